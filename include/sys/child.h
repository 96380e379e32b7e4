/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CHILD_H
#define SYS_CHILD_H
/* A program that is kept alive on our behalf. The daemon gives up starting programs when it gives up its other privileges, and yet what it
 * wants run may change with a reload. So a small process, the keeper, is forked off before that, and before there are threads: it starts
 * the program, starts it again when it ends, and ends it, and itself, when we are gone, whichever way we went.
 *
 * The keeper stands outside our walls, so it must be no way out of them for somebody who has become us. What it runs, as whom, and what the
 * arguments mean is settled at the fork; from then on it takes values for these arguments alone, each checked at its side. It gives up all
 * rights but those that the program needs to bind its port and to become somebody.
 *
 * It is told over a socket pair, and tells us over the same what became of the program. Nothing here waits, but child_new for the fork, and
 * child_free for the end. */

#include "base/base.h"
#include "sys/privilege.h"

enum {
	CHILD_FIXED = 8,            /* arguments that never change, at most */
	CHILD_FIELDS = 4,           /* at most */
	CHILD_VALUE_BYTES = 512,    /* one value with its zero */
	CHILD_MESSAGE_BYTES = 4096, /* all values; a sentence */
	CHILD_GRACE_MS = 2000,     /* from SIGTERM to SIGKILL */
	CHILD_AGAIN_MS = 1000,     /* before the first new start; doubled each time … */
	CHILD_AGAIN_MOST_MS = 60000, /* … up to this; a program that has run for so long begins anew */
};

/* An argument whose value may change. */
struct child_field {
	const char *option;              /* goes before it, such as "--listen" */
	bool (*fits)(const char *value); /* asked by the keeper; of no value that begins with '-', as an option does: that never fits */
	bool needed;                     /* else no value: neither option nor value */
};

struct child_job {
	const char *program; /* a name, looked for beside our own program, in R53FWD_LIBEXEC, in PATH; or a path */
	const char *fixed[CHILD_FIXED + 1]; /* its first arguments; ends in NULL */
	struct child_field fields[CHILD_FIELDS];
	size_t count; /* of the fields */
	const struct privilege_user *user; /* whom the keeper and the program are; NULL: who we are */
};

struct child;

/* Forks the keeper; `job` is lent for the call. NULL if that cannot be: then nothing is ever run. */
NODISCARD struct child *child_new(const struct child_job *job);

/* Runs the program from now on, with `values` (lent) for the job's fields, in the place of what ran before; NULL: nothing. A value that is
 * NULL is none. The program gets our standard streams, and SIGKILL should the keeper die; it is the first to go when memory runs out.
 * What the keeper refuses it says, and all stays as it was. Returns 0, -E2BIG, or -errno when the keeper is gone. */
NODISCARD int child_run(struct child *c, const char *const *values);

/* 1: the keeper has something to say, a sentence to `out`; 0: nothing; -ECHILD: it is gone, and the program with it. */
NODISCARD int child_hear(struct child *c, char out[CHILD_MESSAGE_BYTES]);

/* The process that the program was started as last, as far as child_hear has got; 0: none was. It is told before the program begins. */
pid_t child_program(const struct child *c);

/* Ends the program, without grace, and the keeper, and waits for it: CHILD_GRACE_MS at most, and a little. */
void child_free(struct child *c);

#endif
