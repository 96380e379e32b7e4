/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/child_call.h"

#include <stdio.h>
#include <string.h>

static bool fits(const struct child_field *f, const char *value)
{
	if (*value == '\0')
		return !f->needed;
	return *value != '-' && strlen(value) < CHILD_VALUE_BYTES && f->fits(value);
}

static const char *find_misfit_of_values(const struct child_job *job, const char *at, const char *end, const char *values[CHILD_FIELDS])
{
	for (size_t i = 0; i < job->count; i++) {
		const char *zero = memchr(at, '\0', (size_t)(end - at));
		if (zero == NULL)
			return "too few values";
		if (!fits(&job->fields[i], at))
			return job->fields[i].option;
		values[i] = at;
		at = zero + 1;
	}
	return at == end ? NULL : "too many values";
}

const char *child_call_misfit(const struct child_job *job, const char *message, size_t len, const char *values[CHILD_FIELDS])
{
	if (message[0] == CHILD_RUN)
		return find_misfit_of_values(job, message + 1, message + len, values);
	return message[0] == CHILD_STOP && len == 1 ? NULL : "no such message";
}

void child_call_fill(struct child_call *call, const struct child_job *job, const char *const values[CHILD_FIELDS])
{
	size_t n = 0;

	call->arguments[n++] = job->program;
	for (size_t i = 0; job->fixed[i] != NULL; i++)
		call->arguments[n++] = job->fixed[i];
	for (size_t i = 0; i < job->count; i++) {
		snprintf(call->values[i], sizeof(call->values[i]), "%s", values[i]);
		if (*values[i] == '\0')
			continue;
		call->arguments[n++] = job->fields[i].option;
		call->arguments[n++] = call->values[i];
	}
	call->arguments[n] = NULL;
}
