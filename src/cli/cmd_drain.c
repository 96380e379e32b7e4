/* SPDX-License-Identifier: Apache-2.0 */
/* drain and undrain: the daemon's commands have the same names. */
#include <stdio.h>

#include <jansson.h>

#include "cli/ask.h"

int cmd_drain(const struct cli *c)
{
	json_t *endpoint;
	size_t i;

	if (c->operand_count != 1) {
		fprintf(stderr, "r53fwd: %s wants an ADDRESS\nTry `r53fwd --help`.\n", c->command);
		return CLI_USAGE;
	}
	json_t *question = json_pack("{s:s, s:s}", "command", c->command, "address", c->operands[0]);
	if (question == NULL) {
		fputs("r53fwd: that is no address\n", stderr); /* not even text */
		return CLI_FAILED;
	}
	json_t *answer = ask_done(c, question);
	if (answer == NULL)
		return CLI_FAILED;
	printf("%s: %sed at", c->operands[0], c->command);
	json_array_foreach(json_object_get(answer, "endpoints"), i, endpoint)
		printf("%s %s", i > 0 ? "," : "", json_string_value(endpoint));
	putchar('\n');
	json_decref(answer);
	return CLI_OK;
}
