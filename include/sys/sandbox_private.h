/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_SANDBOX_PRIVATE_H
#define SYS_SANDBOX_PRIVATE_H
/* What a build has put into the program needs holes in its walls. Each kind of build links one of src/sys/sandbox_holes_*.c; what is
 * shipped links the one without. */

#include "sys/landlock.h"

struct sandbox_holes {
	const char *const *calls; /* allowed as well, whatever their arguments, in workers too */
	size_t call_count;
	const struct landlock_rule *rules;
	size_t rule_count;
};

extern const struct sandbox_holes sandbox_holes;

#endif
