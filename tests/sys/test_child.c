/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, PIECE_MS = 20 };

/* Programs tell us what they do through a pipe in a folder: the keeper leaves them no descriptor of ours. */
struct stage {
	char folder[64], fifo[96];
	int heard;
	struct child *child;
};

static int set_up(void **state)
{
	static struct stage s;

	snprintf(s.folder, sizeof(s.folder), "/tmp/r53fwd-child-XXXXXX");
	assert_non_null(mkdtemp(s.folder));
	snprintf(s.fifo, sizeof(s.fifo), "%s/fifo", s.folder);
	assert_int_equal(mkfifo(s.fifo, 0600), 0);
	s.heard = open(s.fifo, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	assert_true(s.heard >= 0);
	s.child = child_new();
	assert_non_null(s.child);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	if (s->child != NULL)
		child_free(s->child);
	close(s->heard);
	assert_int_equal(unlink(s->fifo), 0);
	assert_int_equal(rmdir(s->folder), 0);
	return 0;
}

/* The next line that a program wrote. */
static void hear(const struct stage *s, char *line, size_t size)
{
	struct pollfd wait = {.fd = s->heard, .events = POLLIN};
	size_t len = 0;

	while (len + 1 < size) {
		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		assert_int_equal(read(s->heard, line + len, 1), 1);
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
}

static void expect(const struct stage *s, const char *wanted)
{
	char line[256];

	hear(s, line, sizeof(line));
	assert_string_equal(line, wanted);
}

static pid_t expect_pid(const struct stage *s)
{
	char line[256];

	hear(s, line, sizeof(line));
	return (pid_t)atoi(line);
}

/* A shell that does `script`, with the pipe as its standard output. */
static void run(const struct stage *s, const char *script)
{
	char whole[512];
	const char *const arguments[] = {"sh", "-c", whole, "a program", "and its argument", NULL};

	snprintf(whole, sizeof(whole), "exec >%s; %s", s->fifo, script);
	assert_int_equal(child_run(s->child, arguments), 0);
}

static void expect_sentence(const struct stage *s, const char *wanted)
{
	char said[CHILD_MESSAGE_BYTES];

	for (int waited = 0; !child_hear(s->child, said, sizeof(said)); waited += PIECE_MS) {
		assert_true(waited < PATIENCE_MS);
		poll(NULL, 0, PIECE_MS);
	}
	assert_string_equal(said, wanted);
}

static void expect_gone(pid_t pid)
{
	for (int waited = 0; kill(pid, 0) == 0; waited += PIECE_MS) {
		assert_true(waited < PATIENCE_MS);
		poll(NULL, 0, PIECE_MS);
	}
}

static void program_gets_its_arguments(void **state)
{
	run(*state, "echo \"$0, $1\"; exec sleep 600");
	expect(*state, "a program, and its argument");
}

static void program_that_ends_is_started_again_and_said_so(void **state)
{
	run(*state, "echo once; exit 7");
	expect(*state, "once");
	expect_sentence(*state, "sh ended with status 7; it is started again in 1 s");
	expect(*state, "once");
	expect_sentence(*state, "sh ended with status 7; it is started again in 2 s");
}

static void program_that_is_killed_is_started_again(void **state)
{
	run(*state, "echo $$; exec sleep 600");
	pid_t first = expect_pid(*state);
	assert_int_equal(kill(first, SIGKILL), 0);
	expect_sentence(*state, "sh was ended by signal 9; it is started again in 1 s");
	pid_t second = expect_pid(*state);
	assert_int_not_equal(first, second);
}

static void another_program_takes_the_place_of_the_first(void **state)
{
	struct stage *s = *state;
	char said[CHILD_MESSAGE_BYTES];

	run(s, "echo $$; exec sleep 600");
	pid_t first = expect_pid(s);
	run(s, "echo second; exec sleep 600");
	expect(s, "second");
	assert_int_equal(kill(first, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_false(child_hear(s->child, said, sizeof(said)));
}

static void nothing_runs_after_it_was_told_so(void **state)
{
	struct stage *s = *state;

	run(s, "echo $$; exec sleep 600");
	pid_t first = expect_pid(s);
	assert_int_equal(child_run(s->child, NULL), 0);
	expect_gone(first);
}

static void program_ends_with_us(void **state)
{
	struct stage *s = *state;

	run(s, "echo $$; exec sleep 600");
	pid_t first = expect_pid(s);
	child_free(s->child);
	s->child = NULL;
	expect_gone(first);
}

static void program_deaf_to_sigterm_is_killed(void **state)
{
	struct stage *s = *state;

	run(s, "trap '' TERM; echo $$; while :; do :; done");
	pid_t first = expect_pid(s);
	child_free(s->child);
	s->child = NULL;
	assert_int_equal(kill(first, 0), -1);
}

static void program_that_is_not_there_is_said_to_be_missing(void **state)
{
	struct stage *s = *state;

	assert_int_equal(child_run(s->child, (const char *const[]){"r53fwd-no-such-program", NULL}), 0);
	expect_sentence(s, "r53fwd-no-such-program is not installed; it is started again in 1 s");
}

static void program_inherits_no_descriptor(void **state)
{
	/* Of the shell's own: the folder that it looks into. */
	run(*state, "cd /proc/$$/fd && echo *; exec sleep 600");
	char line[256];
	hear(*state, line, sizeof(line));
	for (const char *at = line; *at != '\0'; at += strcspn(at, " "), at += *at == ' ')
		assert_true(atoi(at) <= 2 || atoi(at) == 3 || atoi(at) >= 10); /* 3: the folder; from 10: dash keeps its own there */
}

static void program_is_the_first_to_go_when_memory_runs_out(void **state)
{
	run(*state, "cat /proc/self/oom_score_adj; exec sleep 600");
	expect(*state, "500");
}

static void too_many_arguments_are_refused(void **state)
{
	struct stage *s = *state;
	const char *many[CHILD_ARGUMENTS + 2];
	static char large[CHILD_MESSAGE_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(many) - 1; i++)
		many[i] = "x";
	many[ARRAY_SIZE(many) - 1] = NULL;
	assert_int_equal(child_run(s->child, many), -E2BIG);
	memset(large, 'x', sizeof(large) - 1);
	assert_int_equal(child_run(s->child, (const char *const[]){large, NULL}), -E2BIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_gets_its_arguments),
		TEST(program_that_ends_is_started_again_and_said_so),
		TEST(program_that_is_killed_is_started_again),
		TEST(another_program_takes_the_place_of_the_first),
		TEST(nothing_runs_after_it_was_told_so),
		TEST(program_ends_with_us),
		TEST(program_deaf_to_sigterm_is_killed),
		TEST(program_that_is_not_there_is_said_to_be_missing),
		TEST(program_inherits_no_descriptor),
		TEST(program_is_the_first_to_go_when_memory_runs_out),
		TEST(too_many_arguments_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
