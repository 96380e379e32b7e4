/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SYS_WALLED_H
#define TESTS_SYS_WALLED_H
/* Walls are for good: each test builds them in a child, which tries something and ends with what came of it. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WALLED_SETUP_FAILED = 99 };

/* Runs `what` in a child; its exit status is what `what` returns (0 to 98), or minus the number of the signal that ended it. */
static inline int walled_run(int (*what)(void))
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		_exit(what());
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define WALLED_NEED(condition)                                                                                                             \
	do {                                                                                                                               \
		if (!(condition))                                                                                                          \
			_exit(WALLED_SETUP_FAILED);                                                                                        \
	} while (0)

/* The error of a call that says -1 when it fails; 0 when it succeeded. */
#define WALLED_ERROR(call) ((call) < 0 ? errno : 0)

#endif
