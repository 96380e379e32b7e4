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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

struct stage {
	char folder[64], fifo[96], program[96];
	int heard;
	struct keeper *keeper;
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
	s.keeper = keeper_new();
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	keeper_free(s->keeper);
	close(s->heard);
	assert_int_equal(unlink(s->fifo), 0);
	assert_int_equal(unlink(s->program), 0);
	assert_int_equal(rmdir(s->folder), 0);
	return 0;
}

static void adopt(struct stage *s, const char *options, const char *control)
{
	char text[512];
	struct diagnostics d;

	snprintf(text, sizeof(text), "zones: []\n%s", options);
	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	diagnostics_deinit(&d);
	assert_non_null(c);
	keeper_look(s->keeper, c, control);
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

static void program_is_told_what_the_file_says(void **state)
{
	adopt(*state, "http: 127.0.0.1:9000\n", "/run/c.sock");
	expect(*state, "--control /run/c.sock --listen 127.0.0.1:9000");
	adopt(*state, "http: 127.0.0.1:9000\nhttp-host: dns.test\n", "/run/c.sock");
	expect(*state, "--control /run/c.sock --listen 127.0.0.1:9000 --host dns.test");
	adopt(*state, "http: '::1'\nuser: daemon\n", "/run/c.sock");
	expect(*state, "--control /run/c.sock --listen [::1]:9553 --user daemon");
}

/* What is heard is in the order of what was done: the second is not there, or the third would not be next. */
static void same_again_changes_nothing(void **state)
{
	adopt(*state, "http: 127.0.0.1\n", "/run/c.sock");
	expect(*state, "--control /run/c.sock --listen 127.0.0.1:9553");
	adopt(*state, "http: 127.0.0.1:9553\n", "/run/c.sock");
	adopt(*state, "http: 127.0.0.2\n", "/run/c.sock");
	expect(*state, "--control /run/c.sock --listen 127.0.0.2:9553");
}

static void without_http_or_a_socket_nothing_runs(void **state)
{
	adopt(*state, "", "/run/c.sock");
	for (int i = 0; i < 40; i++)
		adopt(*state, "http: 127.0.0.1\n", NULL);
	adopt(*state, "http: 127.0.0.3\n", "/run/c.sock");
	expect(*state, "--control /run/c.sock --listen 127.0.0.3:9553");
	adopt(*state, "", "/run/c.sock");
	adopt(*state, "http: 127.0.0.3\n", "/run/c.sock"); /* the same as once, but it was ended meanwhile */
	expect(*state, "--control /run/c.sock --listen 127.0.0.3:9553");
	keeper_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(program_is_told_what_the_file_says),
		TEST(same_again_changes_nothing),
		TEST(without_http_or_a_socket_nothing_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
