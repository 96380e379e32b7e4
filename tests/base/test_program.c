/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/program.h"

static const struct option options[] = {
	{"zone", required_argument, NULL, 'z'},
	{"zones", required_argument, NULL, 'Z'},
	{"version", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0},
};

/* The options that are taken of up to five words, as "z=a v": their values and words of their own ("1=word"), '?' for what is refused. */
static const char *taken(const char *letters, char *a, char *b, char *c, char *d)
{
	static char out[128];
	char *argv[] = {"program", a, b, c, d, NULL};
	int argc = 1, index = -1;

	while (argv[argc] != NULL)
		argc++;
	*out = '\0';
	optind = 0; /* begins anew */
	for (int option; (option = program_next_option(argc, argv, letters, options, &index)) != -1;) {
		size_t len = strlen(out);
		bool valued = optarg != NULL && option != '?';
		snprintf(out + len, sizeof(out) - len, "%s%c%s%s", len > 0 ? " " : "", option == 1 ? '1' : option, valued ? "=" : "",
			 valued ? optarg : "");
		if (option == 'v')
			assert_int_equal(index, 2);
	}
	return out;
}

static void whole_names_are_taken_wherever_their_value_stands(void **state)
{
	(void)state;
	assert_string_equal(taken("", "--zone", "a", "--zones=b", "--version"), "z=a Z=b v");
	assert_string_equal(taken("", "status", "--version", "x", "--zones"), "v ?");
	assert_string_equal(taken("", "status", "x", "--zone", "--zones"), "z=--zones");
	assert_string_equal(taken("-", "--zone", "a", "b", "--version"), "z=a 1=b v");
	assert_string_equal(taken("-", "--ver", "--version", "", NULL), "? v 1=");
	assert_string_equal(taken("", "--version", "--", "--vers", NULL), "v");
}

static void beginnings_of_names_are_refused(void **state)
{
	(void)state;
	assert_string_equal(taken("", "--vers", "--v", "--version", NULL), "? ? v");
	assert_string_equal(taken("", "x", "--versio", "y", "--version"), "? v");
	assert_string_equal(taken("", "--nothing", "--zo=a", "-z", "--version=1"), "? ? ? ?");
}

static void empty_values_are_refused(void **state)
{
	(void)state;
	assert_string_equal(taken("", "--zones=", "--zone", "", "--version"), "? ? v");
}

/* The exit status of a program that prints `text` to `fd`; what it says goes to `said`. */
static int ended(const char *text, int fd, int status, char said[128])
{
	int pipe_fds[2], result = -1;

	assert_int_equal(pipe(pipe_fds), 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		dup2(fd, STDOUT_FILENO);
		dup2(pipe_fds[1], STDERR_FILENO);
		fputs(text, stdout);
		_exit(program_end("name", status));
	}
	close(pipe_fds[1]);
	ssize_t len = read(pipe_fds[0], said, 127);
	said[MAX(len, 0)] = '\0';
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &result, 0), pid);
	return WEXITSTATUS(result);
}

static void output_that_cannot_be_written_is_a_failure_with_a_sentence(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char said[128], *much = malloc(1 << 20);

	(void)state;
	memset(much, 'x', (1 << 20) - 1);
	much[(1 << 20) - 1] = '\0';
	assert_int_equal(ended("text\n", null, 3, said), 3);
	assert_string_equal(said, "");
	assert_int_equal(ended("", full, 0, said), 0);
	assert_string_equal(said, "");
	assert_int_equal(ended("text\n", full, 0, said), 1);
	assert_string_equal(said, "name: standard output cannot be written: No space left on device\n");
	assert_int_equal(ended(much, full, 3, said), 1);
	assert_memory_equal(said, "name: standard output cannot be written", 39);
	free(much);
	close(full);
	close(null);
}

static void a_reader_who_has_gone_is_a_failure_without_a_sentence(void **state)
{
	int gone[2];
	char said[128];

	(void)state;
	assert_int_equal(pipe(gone), 0);
	close(gone[0]);
	assert_int_equal(ended("text\n", gone[1], 0, said), 1);
	assert_string_equal(said, "");
	close(gone[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_names_are_taken_wherever_their_value_stands),
		cmocka_unit_test(beginnings_of_names_are_refused),
		cmocka_unit_test(empty_values_are_refused),
		cmocka_unit_test(output_that_cannot_be_written_is_a_failure_with_a_sentence),
		cmocka_unit_test(a_reader_who_has_gone_is_a_failure_without_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
