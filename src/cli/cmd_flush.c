/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <jansson.h>

#include "cli/ask.h"

int cmd_flush(const struct cli *c)
{
	const char *name = c->operand_count > 0 ? c->operands[0] : NULL;

	if ((name != NULL) + (c->zone != NULL) + c->all != 1) {
		fputs("r53fwd: flush wants one of NAME, --zone ZONE, --all\nTry `r53fwd --help`.\n", stderr);
		return CLI_USAGE;
	}
	json_t *question =
		c->all ? json_pack("{s:s, s:b}", "command", "flush", "all", 1)
		       : json_pack("{s:s, s:s}", "command", "flush", name != NULL ? "name" : "zone", name != NULL ? name : c->zone);
	if (question == NULL) {
		fputs("r53fwd: that is no name\n", stderr); /* not even text */
		return CLI_FAILED;
	}
	json_t *answer = ask_done(c, question);
	if (answer == NULL)
		return CLI_FAILED;
	json_int_t forgotten = json_integer_value(json_object_get(answer, "forgotten"));
	printf("%lld answer%s forgotten\n", (long long)forgotten, forgotten == 1 ? "" : "s");
	json_decref(answer);
	return CLI_OK;
}
