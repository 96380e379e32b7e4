/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CHILD_CALL_H
#define SYS_CHILD_CALL_H
/* What the keeper (sys/child.h) makes of a message: the one thing of it that whoever has broken into us can choose. */

#include "sys/child.h"

/* The first octet of a message to the keeper: values follow, one for each field, with a zero behind each; nothing. */
enum { CHILD_RUN = 'r', CHILD_STOP = 's' };

enum { CHILD_ARGUMENTS_MAX = 1 + CHILD_FIXED + 2 * CHILD_FIELDS };

/* How a program is called. */
struct child_call {
	char values[CHILD_FIELDS][CHILD_VALUE_BYTES];
	const char *arguments[CHILD_ARGUMENTS_MAX + 1]; /* point there, and into the job; end in NULL */
};

/* What of a message, of `len` octets and one at least, does not fit. NULL: all of it does, and of CHILD_RUN `values` is where the values
 * are in it. */
const char *child_call_misfit(const struct child_job *job, const char *message, size_t len, const char *values[CHILD_FIELDS]);

/* The program's name, what never changes, and what was told: values that fit (lent). */
void child_call_fill(struct child_call *call, const struct child_job *job, const char *const values[CHILD_FIELDS]);

#endif
