/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CHILD_H
#define SYS_CHILD_H
/* A program that is kept alive on our behalf. The daemon gives up starting programs when it gives up its other privileges, and yet what it
 * wants run may change with a reload. So a small process, the keeper, is forked off before that, and before there are threads: it starts
 * the program, starts it again when it ends, and ends it, and itself, when we are gone, whichever way we went.
 *
 * It is told over a socket pair, and tells us over the same what became of the program. Nothing here waits, but child_new for the fork, and
 * child_free for the end. */

#include "base/base.h"

enum {
	CHILD_ARGUMENTS = 32,      /* at most, the name included */
	CHILD_MESSAGE_BYTES = 4096, /* all arguments with their zeros; a sentence */
	CHILD_GRACE_MS = 2000,     /* from SIGTERM to SIGKILL */
	CHILD_AGAIN_MS = 1000,     /* before the first new start; doubled each time … */
	CHILD_AGAIN_MOST_MS = 60000, /* … up to this; a program that has run for so long begins anew */
};

struct child;

/* Forks the keeper. NULL if that cannot be: then nothing is ever run. */
NODISCARD struct child *child_new(void);

/* Runs `arguments` (lent; ends in NULL) from now on, in the place of what ran before; NULL: nothing. The first one is a program's name: it
 * is looked for beside our own program, in R53FWD_LIBEXEC, in PATH. It gets our standard streams, and SIGTERM should the keeper die; it is
 * the first to go when memory runs out. Returns 0, -E2BIG, or -errno when the keeper is gone. */
NODISCARD int child_run(struct child *c, const char *const *arguments);

/* What the keeper has to say, a sentence to `out`; false if nothing. */
bool child_hear(struct child *c, char *out, size_t size);

/* Ends the program and the keeper, and waits for it: CHILD_GRACE_MS at most, and a little. */
void child_free(struct child *c);

#endif
