/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/load.h"

static char path[] = "/tmp/r53fwd-load.XXXXXX";
static int kept_stderr, ends[2];

static const char warned[] = "inbound-endpoints: {a: {addresses: [10.0.0.1, 10.0.0.2]}}\nzones: []\nlocal-upstreams: [10.0.9.1]\n";

static struct server_options options(void)
{
	return (struct server_options){.zones_path = path, .log_level = -1};
}

static void write_zones(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	log_configure(LOG_INFO, LOG_TEXT);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(ends[0]);
	close(ends[1]);
	unlink(path);
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	return 0;
}

static const char *said(void)
{
	static char text[65536];
	ssize_t len = read(ends[0], text, sizeof(text) - 1);

	text[MAX(len, 0)] = '\0';
	return text;
}

static unsigned count(const char *text, const char *piece)
{
	unsigned n = 0;

	for (; (text = strstr(text, piece)) != NULL; text++)
		n++;
	return n;
}

static void command_line_wins_over_the_file(void **state)
{
	struct server_options o = options();

	(void)state;
	o.workers = 3;
	o.log_level = LOG_ERROR;
	write_zones("workers: 2\nlog: {level: debug}\nzones: []\nlocal-upstreams: [10.0.9.1]\n");
	struct config *c = load_zones(&o, stderr);
	assert_non_null(c);
	assert_int_equal(c->top.workers, 3);
	assert_int_equal(c->log.level, LOG_ERROR);
	config_free(c);
	assert_string_equal(said(), "");
}

static void warnings_of_the_first_load_go_to_the_log_as_the_file_wants_it(void **state)
{
	struct server_options o = options();
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "%slog: {format: json}\n", warned);
	write_zones(text);
	struct config *c = load_first(&o);
	assert_non_null(c);
	config_free(c);
	const char *lines = said();
	assert_int_equal(lines[0], '{');
	assert_non_null(strstr(lines, "\"level\":\"warn\",\"event\":\"config\",\"state\":\"warning\",\"message\":\"/tmp/r53fwd-load."));
	assert_non_null(strstr(lines, ":1:21: warning: no zone goes to `a`\"}\n"));
}

static void errors_of_the_first_load_go_to_stderr_as_they_are(void **state)
{
	struct server_options o = options();
	char expected[128];

	(void)state;
	write_zones("log: {format: json}\nzones: nonsense\n");
	assert_null(load_first(&o));
	snprintf(expected, sizeof(expected), "%s:2:8: `zones` must be a list, not `nonsense`\n", path);
	assert_string_equal(said(), expected);
}

static void what_a_reload_says_has_its_level_once(void **state)
{
	(void)state;
	load_say("z.conf:1:2: no\nwarning: `workers` takes effect at a restart\n", false);
	const char *lines = said();
	assert_non_null(strstr(lines, "Z error: z.conf:1:2: no\n"));
	assert_non_null(strstr(lines, "Z warn: `workers` takes effect at a restart\n"));
	load_say("z.conf:1:2: warning: hm", true);
	assert_non_null(strstr(said(), "Z warn: z.conf:1:2: warning: hm\n"));
	load_say("", true);
	assert_string_equal(said(), "");
}

static void file_that_is_wrong_throughout_does_not_fill_the_log(void **state)
{
	static char text[16 * 1000 + 64];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "z:%d:1: wrong\n", i + 1);
	load_say(text, false);
	const char *lines = said();
	assert_int_equal(count(lines, "wrong\n"), LOAD_LINES);
	assert_non_null(strstr(lines, "error: and 980 more; `r53fwd check` shows them all\n"));
}

/* To open a FIFO that nobody writes to waits for ever, and the main thread must not. */
static void reload_does_not_wait_for_a_pipe(void **state)
{
	struct server_options o = options();
	char expected[256], *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(20); /* ends the test that waits */
	assert_null(load_zones(&o, out));
	alarm(0);
	fclose(out);
	snprintf(expected, sizeof(expected), "%s: cannot be read: it is a pipe or a device, which might keep the daemon waiting\n", path);
	assert_string_equal(text, expected);
	free(text);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(command_line_wins_over_the_file),
		CASE(warnings_of_the_first_load_go_to_the_log_as_the_file_wants_it),
		CASE(errors_of_the_first_load_go_to_stderr_as_they_are),
		CASE(what_a_reload_says_has_its_level_once),
		CASE(file_that_is_wrong_throughout_does_not_fill_the_log),
		CASE(reload_does_not_wait_for_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
