/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "cli/ask.h"

int cmd_reload(const struct cli *c)
{
	json_t *answer = ask_done(c, json_pack("{s:s}", "command", "reload"));

	if (answer == NULL)
		return CLI_FAILED;
	json_decref(answer);
	return CLI_OK;
}
