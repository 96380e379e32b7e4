/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <sys/stat.h>

#include <jansson.h>

#include "pretend.h"

static void expect_path(const struct cli *c, const char *expected)
{
	char why[ASK_WHY_MAX], *path = ask_path(c, why);

	assert_string_equal(path, expected);
	free(path);
}

static void the_option_wins_then_the_file_then_the_default(void **state)
{
	char file[] = "/tmp/r53fwd-ask-XXXXXX";
	int fd = mkstemp(file);
	struct cli c = {.zones_path = file, .zones_given = true};

	(void)state;
	assert_int_equal(write(fd, "control: /a/b.sock\n", 19), 19);
	close(fd);
	expect_path(&c, "/a/b.sock");
	c.control = "c.sock";
	expect_path(&c, "c.sock");
	c.control = NULL;
	c.zones_path = "/nowhere/zones.conf";
	c.zones_given = false; /* nobody has written one: no wonder */
	expect_path(&c, "/run/r53fwd/control.sock");
	unlink(file);
}

/* The default socket may be another daemon's. */
static void file_that_was_named_and_does_not_tell_is_an_error(void **state)
{
	struct cli c = {.zones_path = "/nowhere/zones.conf", .zones_given = true};
	char why[ASK_WHY_MAX];

	(void)state;
	assert_null(ask_path(&c, why));
	assert_string_equal(why, "/nowhere/zones.conf: No such file or directory: it does not say where its daemon listens to commands, "
				 "--control does");
	assert_null(ask_try(&c, json_pack("{s:s}", "command", "x"), ASK_MS, why));
	assert_non_null(strstr(why, "/nowhere/zones.conf"));
	char file[] = "/tmp/r53fwd-ask-XXXXXX", expected[ASK_WHY_MAX];
	int fd = mkstemp(file);
	assert_int_equal(write(fd, "{control: /a/b.sock, zones: [}", 30), 30);
	close(fd);
	c.zones_path = file;
	assert_null(ask_path(&c, why));
	snprintf(expected, sizeof(expected),
		 "%s: it is no YAML: it does not say where its daemon listens to commands, --control does", file);
	assert_string_equal(why, expected);
	/* Nobody has named it: the default is whose it is. */
	c.zones_given = false;
	expect_path(&c, "/run/r53fwd/control.sock");
	unlink(file);
}

/* What is asked by a command of the test's own. */
static int timeout_ms;
static json_t *answer;

static int ask_something(const struct cli *c)
{
	answer = ask_daemon(c, json_pack("{s:s}", "command", "x\xc3\xa9"), timeout_ms);
	return answer != NULL ? CLI_OK : CLI_FAILED;
}

static int ask_done_something(const struct cli *c)
{
	answer = ask_done(c, json_pack("{s:s}", "command", "x"));
	return answer != NULL ? CLI_OK : CLI_FAILED;
}

static void the_answer_is_brought(void **state)
{
	struct pretend *p = pretend_new("{\"a\":1}");

	(void)state;
	timeout_ms = ASK_MS;
	assert_int_equal(pretend_command(p, ask_something, (struct cli){.control = NULL}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"x\\u00E9\"}");
	assert_int_equal(json_integer_value(json_object_get(answer, "a")), 1);
	assert_string_equal(p->said, "");
	json_decref(answer);
	pretend_free(p);
}

static void nobody_there_is_said_with_the_path(void **state)
{
	struct pretend *p = pretend_new("{}");
	char expected[256];

	(void)state;
	timeout_ms = ASK_MS;
	assert_int_equal(pretend_command(p, ask_something, (struct cli){.control = "/nowhere/c.sock"}), CLI_FAILED);
	assert_string_equal(
		p->said, "r53fwd: no daemon serves at /nowhere/c.sock (No such file or directory); --control or --zones says where else\n");
	char stale[] = "/tmp/r53fwd-stale.XXXXXX";
	int fd = mkstemp(stale);
	close(fd);
	unlink(stale);
	fd = control_open(stale);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pretend_command(p, ask_something, (struct cli){.control = stale}), CLI_FAILED);
	snprintf(expected, sizeof(expected), "r53fwd: no daemon serves at %s (Connection refused); --control or --zones says where else\n",
		 stale);
	assert_string_equal(p->said, expected);
	unlink(stale);
	pretend_free(p);
}

static void expect_said(const char *says, const char *part)
{
	struct pretend *p = pretend_new(says);

	timeout_ms = ASK_MS;
	assert_int_equal(pretend_command(p, ask_something, (struct cli){.control = NULL}), CLI_FAILED);
	assert_non_null(strstr(p->said, part));
	assert_string_equal(p->printed, "");
	pretend_free(p);
}

static void what_is_no_answer_is_said_to_be_none(void **state)
{
	(void)state;
	expect_said(NULL, "ended the connection without an answer\n");
	expect_said("hello", "is no r53fwd\n");
	expect_said("[1]", "is no r53fwd\n");
	expect_said("", "is no r53fwd\n");
}

static void a_daemon_that_hangs_is_left(void **state)
{
	struct pretend *p = pretend_new("{}");
	char path[] = "/tmp/r53fwd-mute.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	unlink(path);
	fd = control_open(path);
	assert_int_equal(listen(fd, 1), 0);
	timeout_ms = 20;
	assert_int_equal(pretend_command(p, ask_something, (struct cli){.control = path}), CLI_FAILED);
	assert_non_null(strstr(p->said, "does not answer\n"));
	close(fd);
	unlink(path);
	pretend_free(p);
}

static void errors_and_warnings_are_printed(void **state)
{
	struct pretend *p = pretend_new("{\"error\":\"it was too much\",\"diagnostics\":\"z:1:1: hm\\n\"}");

	(void)state;
	assert_int_equal(pretend_command(p, ask_done_something, (struct cli){.control = NULL}), CLI_FAILED);
	assert_string_equal(p->said, "z:1:1: hm\nr53fwd: it was too much\n");
	p->says = "{\"done\":1,\"warnings\":[\"one\",\"two\"]}";
	assert_int_equal(pretend_command(p, ask_done_something, (struct cli){.control = NULL}), CLI_OK);
	assert_string_equal(p->said, "warning: one\nwarning: two\n");
	json_decref(answer);
	pretend_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_option_wins_then_the_file_then_the_default),
		cmocka_unit_test(file_that_was_named_and_does_not_tell_is_an_error),
		cmocka_unit_test(the_answer_is_brought),
		cmocka_unit_test(nobody_there_is_said_with_the_path),
		cmocka_unit_test(what_is_no_answer_is_said_to_be_none),
		cmocka_unit_test(a_daemon_that_hangs_is_left),
		cmocka_unit_test(errors_and_warnings_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
