/* SPDX-License-Identifier: Apache-2.0 */
/* The octets are a message to the keeper of r53fwd-http, which stands outside our walls, from a daemon that has been broken into. Either it
 * is refused with a reason, or the program's arguments are those of the start, and behind them options that we know, each with one value
 * that its check takes and that is no option; and the message says nothing else. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "server/keeper.h"
#include "sys/child_call.h"

static struct child_job job = {
	.program = "r53fwd-http",
	.fixed = {"--control", "/run/r53fwd/control.sock", "--sandbox", "off"},
	.count = KEEPER_VALUES,
};

enum { ALWAYS = 5 }; /* the program and what is fixed */

/* Takes one option with its value, if it stands there. How many arguments that is. */
static size_t check_option(const struct child_field *f, const char *const *at)
{
	if (*at == NULL || strcmp(*at, f->option) != 0) {
		ASSERT(!f->needed);
		return 0;
	}
	ASSERT(at[1] != NULL && *at[1] != '\0' && *at[1] != '-' && strlen(at[1]) < CHILD_VALUE_BYTES && f->fits(at[1]));
	return 2;
}

static void check_call(const char *const values[CHILD_FIELDS], size_t len)
{
	struct child_call call;
	const char *const *at = call.arguments;
	size_t octets = 1;

	memset(&call, 'x', sizeof(call));
	child_call_fill(&call, &job, values);
	ASSERT(strcmp(*at++, job.program) == 0);
	for (size_t i = 0; job.fixed[i] != NULL; i++)
		ASSERT(*at++ == job.fixed[i]);
	ASSERT(at == call.arguments + ALWAYS);
	for (size_t i = 0; i < job.count; i++) {
		at += check_option(&job.fields[i], at);
		ASSERT(strcmp(call.values[i], values[i]) == 0);
		octets += strlen(values[i]) + 1;
	}
	ASSERT(*at == NULL && at <= call.arguments + CHILD_ARGUMENTS_MAX && octets == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *values[CHILD_FIELDS];
	char *message;

	/* The keeper reads no other. */
	if (size == 0 || size > CHILD_MESSAGE_BYTES)
		return 0;
	message = malloc(size);
	ASSERT(message != NULL);
	memcpy(message, data, size);
	memcpy(job.fields, keeper_fields, sizeof(keeper_fields));
	const char *misfit = child_call_misfit(&job, message, size, values);
	if (misfit != NULL)
		ASSERT(*misfit != '\0');
	else if (*message == CHILD_STOP)
		ASSERT(size == 1);
	else
		check_call(values, size);
	free(message);
	return 0;
}
