/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/passed.h"

static void name_us(const char *fds)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", fds, 1);
	setenv("LISTEN_FDNAMES", "dns:dns", 1);
}

/* In a process of its own, whose descriptors are numbered as we like: `open` of them from 3 on. Returns what passed_take did. */
static int take(const char *fds, int open)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		for (int fd = PASSED_FIRST; fd < 64; fd++)
			close(fd);
		for (int i = 0; i < open; i++)
			if (dup2(STDIN_FILENO, PASSED_FIRST + i) < 0)
				_exit(255);
		name_us(fds);
		size_t n = passed_take();
		bool clean = getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL && getenv("LISTEN_FDNAMES") == NULL;
		for (size_t i = 0; i < n; i++)
			clean &= (fcntl(PASSED_FIRST + (int)i, F_GETFD) & FD_CLOEXEC) != 0;
		_exit(clean ? (int)n : 255);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The number of the next descriptor, and that the three lead somewhere. */
static void missing_standard_streams_lead_nowhere(void **state)
{
	int status;

	(void)state;
	pid_t child = fork();
	if (child == 0) {
		int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
		for (int fd = 0; fd < 10; fd++)
			close(fd);
		if (dup2(kept, STDOUT_FILENO) != STDOUT_FILENO)
			_exit(255);
		passed_fill_standard();
		bool filled = fcntl(STDIN_FILENO, F_GETFD) == 0 && fcntl(STDERR_FILENO, F_GETFD) == 0;
		_exit(filled && write(STDERR_FILENO, "x", 1) == 1 ? open("/", O_RDONLY | O_CLOEXEC) : 255);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), STDERR_FILENO + 1);
}

static void sockets_are_counted_and_nobody_inherits_them(void **state)
{
	(void)state;
	assert_int_equal(take("2", 2), 2);
	assert_int_equal(take("1", 2), 1);
}

static void what_is_not_open_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(take("4", 2), 2);
	assert_int_equal(take("99999", 1), 1);
}

static void nonsense_is_none(void **state)
{
	static const char *const rows[] = {"", "x", "-1", "1x", "0", "99999999999999999999999"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(take(rows[i], 2), 0);
}

static void sockets_of_another_process_are_not_ours(void **state)
{
	(void)state;
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(passed_take(), 0);
	assert_null(getenv("LISTEN_FDS"));
	assert_int_equal(passed_take(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_standard_streams_lead_nowhere),
		cmocka_unit_test(sockets_are_counted_and_nobody_inherits_them),
		cmocka_unit_test(what_is_not_open_is_not_there),
		cmocka_unit_test(nonsense_is_none),
		cmocka_unit_test(sockets_of_another_process_are_not_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
