/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/signals.h"

/* How a child ends that has begun, and is sent `number` then. */
static int end_by(int number)
{
	int ready[2], status;

	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		signals_begin();
		alarm(10);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	uint8_t byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(child, number);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ready[0]);
	close(ready[1]);
	return status;
}

static void others_are_ended_by_the_signal(void **state)
{
	(void)state;
	int status = end_by(SIGTERM);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* In a namespace of processes of its own, as in a container. */
static void first_process_of_a_container_can_be_stopped(void **state)
{
	int status;

	(void)state;
	pid_t keeper = fork();
	if (keeper == 0) {
		if (unshare(CLONE_NEWPID) != 0)
			_exit(77);
		status = end_by(SIGTERM);
		_exit(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(keeper, &status, 0), keeper);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static volatile sig_atomic_t heard;

static void hear(int number)
{
	(void)number;
	heard++;
}

static void hangup_waits_until_it_may_come(void **state)
{
	(void)state;
	signal(SIGHUP, hear);
	signals_let_hangup(false);
	raise(SIGHUP);
	assert_int_equal(heard, 0);
	signals_let_hangup(true);
	assert_int_equal(heard, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_are_ended_by_the_signal),
		cmocka_unit_test(first_process_of_a_container_can_be_stopped),
		cmocka_unit_test(hangup_waits_until_it_may_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
