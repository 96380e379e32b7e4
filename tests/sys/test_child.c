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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, PIECE_MS = 20 };

/* Programs tell us what they do through a pipe in a folder: the keeper leaves them no descriptor of ours. */
struct stage {
	char folder[64], fifo[96];
	int heard;
	struct child *child;
};

static bool is_text(const char *value)
{
	return strstr(value, "unfit") == NULL;
}

/* sh -c SCRIPT "a program" ARGUMENT */
static const struct child_job shell = {
	.program = "sh",
	.fields = {{"-c", is_text, true}, {"a program", is_text, false}},
	.count = 2,
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
	s.child = child_new(&shell);
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

	snprintf(whole, sizeof(whole), "exec >%s; %s", s->fifo, script);
	assert_int_equal(child_run(s->child, (const char *const[]){whole, "and its argument"}), 0);
}

/* As an intruder would who has our end of the pair. */
static void send_raw(const char *message, size_t len)
{
	for (int fd = 3; fd < 256; fd++) {
		int kind = 0;
		socklen_t size = sizeof(kind);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_SEQPACKET) {
			assert_int_equal(send(fd, message, len, 0), len);
			return;
		}
	}
	fail();
}

static void expect_sentence(const struct stage *s, const char *wanted)
{
	char said[CHILD_MESSAGE_BYTES];

	int heard;

	for (int waited = 0; (heard = child_hear(s->child, said)) == 0; waited += PIECE_MS) {
		assert_true(waited < PATIENCE_MS);
		poll(NULL, 0, PIECE_MS);
	}
	assert_int_equal(heard, 1);
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

static void who_the_program_is_is_known_before_it_begins(void **state)
{
	struct stage *s = *state;
	char said[CHILD_MESSAGE_BYTES];

	assert_int_equal(child_program(s->child), 0);
	run(s, "echo $$; exec sleep 600");
	pid_t first = expect_pid(s);
	assert_int_equal(child_hear(s->child, said), 0);
	assert_int_equal(child_program(s->child), first);
	run(s, "echo $$; exec sleep 600");
	pid_t second = expect_pid(s);
	assert_int_equal(child_hear(s->child, said), 0);
	assert_int_equal(child_program(s->child), second);
	assert_int_not_equal(first, second);
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
	assert_int_equal(child_hear(s->child, said), 0);
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

	const struct child_job absent = {.program = "r53fwd-no-such-program"};

	child_free(s->child);
	s->child = child_new(&absent);
	assert_non_null(s->child);
	assert_int_equal(child_run(s->child, (const char *const[]){NULL}), 0);
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

#define REFUSED "sh stays as it is: what it was to be told is refused: "

static void message_is_values_for_the_fields_or_is_refused_and_said(void **state)
{
	struct stage *s = *state;
	static const struct {
		const char *message;
		size_t len;
		const char *said;
	} cases[] = {
#define CASE(text, said) {text, sizeof(text) - 1, REFUSED said}
		CASE("r/bin/sh\0-c\0exit 9\0", "a program"), /* another program, as a list of arguments */
		CASE("r/bin/id\0a\0b\0", "too many values"),
		CASE("rexit 9\0", "too few values"),
		CASE("rexit 9\0x", "too few values"), /* without its zero */
		CASE("r", "too few values"),
		CASE("rexit 9\0\0\0\0\0\0\0\0", "too many values"),
		CASE("r-x\0\0", "-c"),
		CASE("r--version\0\0", "-c"),
		CASE("rexit 9\0-e\0", "a program"),
		CASE("runfit\0\0", "-c"),
		CASE("r\0\0", "-c"), /* what is needed is missing */
		CASE("s\0", "no such message"),
		CASE("x/bin/sh\0\0", "no such message"),
		CASE("\0", "no such message"),
#undef CASE
	};

	run(s, "echo $$; exec sleep 600");
	pid_t first = expect_pid(s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		send_raw(cases[i].message, cases[i].len);
		expect_sentence(s, cases[i].said);
	}
	assert_int_equal(kill(first, 0), 0);
}

static void message_that_is_too_long_is_refused_and_said(void **state)
{
	struct stage *s = *state;
	static char large[2 * CHILD_MESSAGE_BYTES];

	memset(large, 'x', sizeof(large));
	large[0] = 'r';
	send_raw(large, sizeof(large));
	expect_sentence(s, REFUSED "too long");
	large[CHILD_VALUE_BYTES + 1] = '\0'; /* a value without room for its zero */
	large[CHILD_VALUE_BYTES + 2] = '\0';
	send_raw(large, CHILD_VALUE_BYTES + 3);
	expect_sentence(s, REFUSED "-c");
	large[CHILD_VALUE_BYTES] = '\0'; /* the longest, which is no program of the shell's */
	large[CHILD_VALUE_BYTES + 1] = '\0';
	send_raw(large, CHILD_VALUE_BYTES + 2);
	expect_sentence(s, "sh ended with status 127; it is started again in 1 s");
}

static void value_that_is_too_long_is_not_even_sent(void **state)
{
	struct stage *s = *state;
	static char large[CHILD_VALUE_BYTES + 1];
	char said[CHILD_MESSAGE_BYTES];

	memset(large, 'x', sizeof(large) - 1);
	assert_int_equal(child_run(s->child, (const char *const[]){large, NULL}), -E2BIG);
	assert_int_equal(child_run(s->child, (const char *const[]){"exit 0", large}), -E2BIG);
	assert_int_equal(child_hear(s->child, said), 0);
}

static void what_never_changes_goes_before_the_values(void **state)
{
	struct stage *s = *state;
	char script[256];
	const struct child_job job = {
		.program = "/bin/sh",
		.fixed = {"-c", script, "zero", "fixed"},
		.fields = {{"--value", is_text, true}},
		.count = 1,
	};

	snprintf(script, sizeof(script), "echo $0 $* >%s; exec sleep 600", s->fifo);
	child_free(s->child);
	s->child = child_new(&job);
	assert_non_null(s->child);
	assert_int_equal(child_run(s->child, (const char *const[]){"told"}), 0);
	expect(s, "zero fixed --value told");
}

static void program_gets_no_new_privileges(void **state)
{
	run(*state, "grep NoNewPrivs /proc/self/status; exec sleep 600");
	expect(*state, "NoNewPrivs:\t1");
}

/* With them root itself can do nothing to anybody else's files, and the daemon's user nothing but bind. */
static void keeper_and_program_keep_the_rights_that_a_start_takes(void **state)
{
	struct stage *s = *state;
	struct privilege_user user;
	struct child_job job = shell;

	if (geteuid() != 0)
		skip();
	run(s, "grep CapEff /proc/$PPID/status; exec sleep 600");
	expect(s, "CapEff:\t00000000000004e0"); /* KILL, SETGID, SETUID, NET_BIND_SERVICE */
	run(s, "grep CapEff /proc/self/status; exec sleep 600");
	expect(s, "CapEff:\t00000000000004e0");

	assert_int_equal(privilege_find("nobody", &user), 0);
	assert_int_equal(chmod(s->folder, 0755), 0);
	assert_int_equal(chmod(s->fifo, 0666), 0);
	child_free(s->child);
	job.user = &user;
	s->child = child_new(&job);
	assert_non_null(s->child);
	run(s, "grep CapEff /proc/$PPID/status; exec sleep 600");
	expect(s, "CapEff:\t0000000000000400");
	run(s, "id -un; grep CapEff /proc/self/status; cat /proc/self/oom_score_adj; exec sleep 600");
	expect(s, "nobody");
	expect(s, "CapEff:\t0000000000000400");
	expect(s, "500");
}

static void death_of_the_keeper_is_told_and_it_is_buried(void **state)
{
	struct stage *s = *state;
	char said[CHILD_MESSAGE_BYTES];
	int heard = 0;

	run(s, "echo $PPID; exec sleep 600");
	pid_t keeper = expect_pid(s);
	assert_int_equal(kill(keeper, SIGKILL), 0);
	/* A zombie would still be there to be asked. */
	for (int waited = 0; heard != -ECHILD || kill(keeper, 0) == 0; waited += PIECE_MS) {
		assert_true(waited < PATIENCE_MS);
		heard = child_hear(s->child, said);
		poll(NULL, 0, PIECE_MS);
	}
	assert_int_equal(child_hear(s->child, said), -ECHILD);
	assert_int_equal(child_run(s->child, (const char *const[]){"exit 0", NULL}), -EPIPE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_gets_its_arguments),
		TEST(who_the_program_is_is_known_before_it_begins),
		TEST(program_that_ends_is_started_again_and_said_so),
		TEST(program_that_is_killed_is_started_again),
		TEST(another_program_takes_the_place_of_the_first),
		TEST(nothing_runs_after_it_was_told_so),
		TEST(program_ends_with_us),
		TEST(program_deaf_to_sigterm_is_killed),
		TEST(program_that_is_not_there_is_said_to_be_missing),
		TEST(program_inherits_no_descriptor),
		TEST(program_is_the_first_to_go_when_memory_runs_out),
		TEST(message_is_values_for_the_fields_or_is_refused_and_said),
		TEST(message_that_is_too_long_is_refused_and_said),
		TEST(value_that_is_too_long_is_not_even_sent),
		TEST(what_never_changes_goes_before_the_values),
		TEST(program_gets_no_new_privileges),
		TEST(keeper_and_program_keep_the_rights_that_a_start_takes),
		TEST(death_of_the_keeper_is_told_and_it_is_buried),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
