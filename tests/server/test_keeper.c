/* SPDX-License-Identifier: Apache-2.0 */
/* A program of that name in PATH, which writes down how it was called. */
#include "server/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/privilege.h"

enum { PATIENCE_MS = 60000, PIECE_MS = 20 };

struct stage {
	char folder[64], fifo[96], program[96];
	int heard;
	struct keeper *keeper; /* NULL before the first adopt */
	int kept_stderr, log[2];
};

static int set_up(void **state)
{
	static struct stage s;
	char path[256];

	snprintf(s.folder, sizeof(s.folder), "/tmp/r53fwd-keeper-XXXXXX");
	assert_non_null(mkdtemp(s.folder));
	snprintf(s.fifo, sizeof(s.fifo), "%s/fifo", s.folder);
	snprintf(s.program, sizeof(s.program), "%s/r53fwd-http", s.folder);
	assert_int_equal(mkfifo(s.fifo, 0600), 0);
	s.heard = open(s.fifo, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	FILE *out = fopen(s.program, "w");
	fprintf(out, "#!/bin/sh\necho \"$*\" >%s\nexec sleep 600\n", s.fifo);
	fclose(out);
	assert_int_equal(chmod(s.program, 0700), 0);
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", s.folder);
	setenv("PATH", path, 1);
	s.keeper = NULL;
	assert_int_equal(pipe2(s.log, O_CLOEXEC | O_NONBLOCK), 0);
	s.kept_stderr = dup(STDERR_FILENO);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	keeper_free(s->keeper);
	dup2(s->kept_stderr, STDERR_FILENO);
	close(s->kept_stderr);
	close(s->log[0]);
	close(s->log[1]);
	close(s->heard);
	assert_int_equal(unlink(s->fifo), 0);
	assert_int_equal(unlink(s->program), 0);
	assert_int_equal(rmdir(s->folder), 0);
	return 0;
}

/* The first one is the daemon's start. */
static void adopt(struct stage *s, const char *options, bool served)
{
	char text[512];
	struct diagnostics d;

	snprintf(text, sizeof(text), "zones: []\ncontrol: /run/c.sock\n%s", options);
	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	diagnostics_deinit(&d);
	assert_non_null(c);
	if (s->keeper == NULL)
		s->keeper = keeper_new(c);
	assert_non_null(s->keeper);
	keeper_look(s->keeper, c, served);
	config_free(c);
}

static void expect(const struct stage *s, const char *wanted)
{
	struct pollfd wait = {.fd = s->heard, .events = POLLIN};
	char line[512];
	size_t len = 0;

	do {
		assert_true(len < sizeof(line) - 1);
		assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
		assert_int_equal(read(s->heard, line + len, 1), 1);
	} while (line[len++] != '\n');
	line[len - 1] = '\0';
	assert_string_equal(line, wanted);
}

/* Looks on until the log has it, and returns how often it does. */
static int await_log(struct stage *s, const char *options, const char *wanted)
{
	static char text[16384];
	size_t len = 0;
	int found = 0;

	for (int waited = 0; found == 0; waited += PIECE_MS) {
		assert_true(waited < PATIENCE_MS && len < sizeof(text) - 1);
		poll(NULL, 0, PIECE_MS);
		adopt(s, options, true);
		ssize_t got = read(s->log[0], text + len, sizeof(text) - 1 - len);
		len += got > 0 ? (size_t)got : 0;
		text[len] = '\0';
		for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++)
			found++;
	}
	return found;
}

static void program_is_told_what_the_file_says(void **state)
{
	adopt(*state, "http: 127.0.0.1:9000\n", true);
	expect(*state, "--control /run/c.sock --listen 127.0.0.1:9000");
	adopt(*state, "http: 127.0.0.1:9000\nhttp-host: dns.test\n", true);
	expect(*state, "--control /run/c.sock --listen 127.0.0.1:9000 --host dns.test");
	adopt(*state, "http: '::1'\n", true);
	expect(*state, "--control /run/c.sock --listen [::1]:9553");
	adopt(*state, "http: '::1'\nlog: {format: json, level: error}\n", true);
	expect(*state, "--control /run/c.sock --listen [::1]:9553 --log-format json --log-level error");
}

static void program_is_who_user_says(void **state)
{
	struct stage *s = *state;
	struct privilege_user user;
	char uids[64];

	if (geteuid() != 0)
		skip();
	assert_int_equal(privilege_find("daemon", &user), 0);
	assert_int_equal(chmod(s->folder, 0755), 0);
	assert_int_equal(chmod(s->fifo, 0666), 0);
	FILE *out = fopen(s->program, "w");
	fprintf(out, "#!/bin/sh\n(id -un; grep ^Uid: /proc/$PPID/status; echo \"$*\") >%s\nexec sleep 600\n", s->fifo);
	fclose(out);
	assert_int_equal(chmod(s->program, 0755), 0);
	adopt(s, "http: 127.0.0.1\nuser: daemon\n", true);
	expect(s, "daemon");
	snprintf(uids, sizeof(uids), "Uid:\t%u\t%u\t%u\t%u", user.uid, user.uid, user.uid, user.uid);
	expect(s, uids);
	expect(s, "--control /run/c.sock --listen 127.0.0.1:9553");
}

/* What is heard is in the order of what was done: the second is not there, or the third would not be next. */
static void same_again_changes_nothing(void **state)
{
	adopt(*state, "http: 127.0.0.1\n", true);
	expect(*state, "--control /run/c.sock --listen 127.0.0.1:9553");
	adopt(*state, "http: 127.0.0.1:9553\n", true);
	adopt(*state, "http: 127.0.0.2\n", true);
	expect(*state, "--control /run/c.sock --listen 127.0.0.2:9553");
}

static void without_http_or_a_socket_nothing_runs(void **state)
{
	adopt(*state, "", true);
	for (int i = 0; i < 40; i++)
		adopt(*state, "http: 127.0.0.1\n", false);
	adopt(*state, "http: 127.0.0.3\n", true);
	expect(*state, "--control /run/c.sock --listen 127.0.0.3:9553");
	adopt(*state, "", true);
	adopt(*state, "http: 127.0.0.3\n", true); /* the same as once, but it was ended meanwhile */
	expect(*state, "--control /run/c.sock --listen 127.0.0.3:9553");
	keeper_free(NULL);
}

/* ---- somebody has become the daemon ---- */

static int find_pair(void)
{
	for (int fd = 3; fd < 256; fd++) {
		int kind = 0;
		socklen_t size = sizeof(kind);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_SEQPACKET)
			return fd;
	}
	fail();
	return -1;
}

static void nothing_but_values_that_fit_is_taken(void **state)
{
	struct stage *s = *state;
	static const struct {
		const char *message;
		size_t len;
		const char *said;
	} cases[] = {
#define CASE(text, said) {text, sizeof(text) - 1, "is refused: " said "\n"}
		CASE("r/bin/sh\0-c\0touch /tmp/x\0\0", "--listen"),
		CASE("r\0\0\0\0", "--listen"),
		CASE("rlocalhost:80\0\0\0\0", "--listen"),
		CASE("r--control\0\0\0\0", "--listen"),
		CASE("r127.0.0.1:9000\0--control\0\0\0", "--host"),
		CASE("r127.0.0.1:9000\0-x\0\0\0", "--host"),
		CASE("r127.0.0.1:9000\0a b\0\0\0", "--host"),
		CASE("r127.0.0.1:9000\0[::1]\0\0\0", "--host"),
		CASE("r127.0.0.1:9000\0a/../b\0\0\0", "--host"),
		CASE("r127.0.0.1:9000\0a\nb\0\0\0", "--host"),
		CASE("r127.0.0.1:9000\0a\0-x\0\0", "--log-format"),
		CASE("r127.0.0.1:9000\0a\0xml\0\0", "--log-format"),
		CASE("r127.0.0.1:9000\0a\0json\0loud\0", "--log-level"),
		CASE("r127.0.0.1:9000\0a\0json\0info\0--control\0/tmp/other\0", "too many values"),
		CASE("r127.0.0.1:9000\0", "too few values"),
#undef CASE
	};
	static const char moved[] = "r127.0.0.9:9000\0dns.test\0json\0error";

	adopt(s, "http: 127.0.0.1\n", true);
	expect(s, "--control /run/c.sock --listen 127.0.0.1:9553");
	dup2(s->log[1], STDERR_FILENO);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(send(find_pair(), cases[i].message, cases[i].len, 0), cases[i].len);
		assert_int_equal(await_log(s, "http: 127.0.0.1\n", cases[i].said), 1);
	}
	/* Nothing of all that was run: what comes next is what fits. */
	assert_int_equal(send(find_pair(), moved, sizeof(moved), 0), sizeof(moved));
	expect(s, "--control /run/c.sock --listen 127.0.0.9:9000 --host dns.test --log-format json --log-level error");
}

static void death_of_the_process_is_said_once(void **state)
{
	struct stage *s = *state;
	char parent[64];

	FILE *out = fopen(s->program, "w");
	fprintf(out, "#!/bin/sh\necho $PPID >%s\nexec sleep 600\n", s->fifo);
	fclose(out);
	adopt(s, "http: 127.0.0.1\n", true);
	struct pollfd wait = {.fd = s->heard, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
	ssize_t len = read(s->heard, parent, sizeof(parent) - 1);
	assert_true(len > 1);
	parent[len] = '\0';
	dup2(s->log[1], STDERR_FILENO);
	assert_int_equal(kill((pid_t)atoi(parent), SIGKILL), 0);
	assert_int_equal(await_log(s, "http: 127.0.0.1\n", "the process that keeps r53fwd-http alive has died"), 1);
	/* Not again, but that a change comes to nothing. */
	assert_int_equal(await_log(s, "http: 127.0.0.2\n", "`http`: "), 1);
	for (int i = 0; i < 3; i++)
		adopt(s, "http: 127.0.0.2\n", true);
	assert_int_equal(read(s->log[0], parent, sizeof(parent)), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_is_told_what_the_file_says),
		TEST(program_is_who_user_says),
		TEST(same_again_changes_nothing),
		TEST(without_http_or_a_socket_nothing_runs),
		TEST(nothing_but_values_that_fit_is_taken),
		TEST(death_of_the_process_is_said_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
