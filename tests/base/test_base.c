/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

struct pair {
	int first, second;
};

/* Runs a false assertion in a child; its standard error ends up in `text`, its wait status is returned. */
static int fail_in_child(char *text, size_t size)
{
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		ASSERT(1 + 1 == 3);
		_exit(0);
	}
	close(ends[1]);
	ssize_t len = read(ends[0], text, size - 1);
	assert_true(len >= 0);
	text[len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void failed_assertion_says_where_and_ends_the_program(void **state)
{
	char text[256];
	int status = fail_in_child(text, sizeof(text));

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "test_base.c:"));
	assert_non_null(strstr(text, "assertion failed: 1 + 1 == 3\n"));
}

static void true_assertion_evaluates_its_condition_once(void **state)
{
	int count = 0;

	(void)state;
	ASSERT(++count == 1);
	assert_int_equal(count, 1);
}

static void small_words_of_c_do_what_they_say(void **state)
{
	struct pair pair = {1, 2};
	int *second = &pair.second;

	(void)state;
	assert_ptr_equal(CONTAINER_OF(second, struct pair, second), &pair);
	assert_int_equal(MIN(3, 2), 2);
	assert_int_equal(MAX(3, 2), 3);
	assert_int_equal(ARRAY_SIZE(((char[7]){0})), 7);
}

static long mapped_kib(void)
{
	long pages = -1;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Sanitizers have heaps of their own, which behave so or not. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { OWN_HEAP = 0 };
#else
enum { OWN_HEAP = 1 };
#endif

static void large_blocks_go_back_to_the_system(void **state)
{
	enum { LARGE = 400 * 1024 };

	(void)state;
	if (!OWN_HEAP)
		skip();
	base_return_large_blocks();
	free(malloc(LARGE)); /* after this glibc would keep blocks of the size */
	long before_kib = mapped_kib();
	char *block = malloc(LARGE);
	assert_non_null(block);
	memset(block, 1, LARGE);
	assert_true(mapped_kib() >= before_kib + LARGE / 1024);
	free(block);
	assert_int_equal(mapped_kib(), before_kib);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_assertion_says_where_and_ends_the_program),
		cmocka_unit_test(true_assertion_evaluates_its_condition_once),
		cmocka_unit_test(small_words_of_c_do_what_they_say), cmocka_unit_test(large_blocks_go_back_to_the_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
