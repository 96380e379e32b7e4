/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char printed[8192];
static int kept_stderr, ends[2];

/* Standard error goes into a pipe while a test logs, until give_back. */
static void catch_stderr(void)
{
	assert_int_equal(pipe(ends), 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
}

static const char *give_back(void)
{
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(ends[1]);
	ssize_t len = read(ends[0], printed, sizeof(printed) - 1);
	close(ends[0]);
	assert_true(len >= 0);
	printed[len] = '\0';
	return printed;
}

static const char *print(enum log_format format, const char *message)
{
	log_configure(LOG_INFO, format);
	catch_stderr();
	log_info("%s", message);
	return give_back();
}

static int outside_of_systemd(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	return 0;
}

static void lines_above_the_level_are_not_printed(void **state)
{
	(void)state;
	log_configure(LOG_WARN, LOG_TEXT);
	catch_stderr();
	log_error("one");
	log_warn("two");
	log_info("three");
	log_debug("four");
	const char *text = give_back();
	assert_non_null(strstr(text, "Z error: one\n"));
	assert_non_null(strstr(text, "Z warn: two\n"));
	assert_null(strstr(text, "three"));
	assert_null(strstr(text, "four"));
	assert_true(log_enabled(LOG_WARN));
	assert_false(log_enabled(LOG_INFO));
}

static void debug_arguments_are_not_evaluated_when_debug_is_off(void **state)
{
	int count = 0;

	(void)state;
	log_configure(LOG_INFO, LOG_TEXT);
	log_debug("%d", ++count);
	assert_int_equal(count, 0);
}

static void text_line_begins_with_the_time_in_utc(void **state)
{
	const char *text = print(LOG_TEXT, "hello");
	const char *form = "dddd-dd-ddTdd:dd:dd.dddZ info: hello\n";

	(void)state;
	assert_int_equal(strlen(text), strlen(form));
	for (size_t i = 0; form[i] != '\0'; i++) {
		if (form[i] == 'd' && i < 23)
			assert_in_range(text[i], '0', '9');
		else
			assert_int_equal(text[i], form[i]);
	}
}

static void under_systemd_a_priority_stands_for_time_and_level(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1234", 1);
	log_configure(LOG_DEBUG, LOG_TEXT);
	catch_stderr();
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	assert_string_equal(give_back(), "<3>e\n<4>w\n<6>i\n<7>d\n");
	assert_non_null(strstr(print(LOG_JSON, "x"), "\"level\":\"info\",\"message\":\"x\"}\n"));
	unsetenv("JOURNAL_STREAM");
}

static void control_characters_cannot_reach_the_terminal(void **state)
{
	(void)state;
	assert_non_null(strstr(print(LOG_TEXT, "a\033[31m\nb\r\t\177"), "info: a\\x1b[31m\\x0ab\\x0d\\x09\\x7f\n"));
	/* U+009B is a control sequence's beginning to some terminals. */
	assert_non_null(strstr(print(LOG_TEXT, "\xc2\x9b"
					       "31m"),
			       "info: \\xc2\\x9b31m\n"));
}

static void utf8_is_kept_and_broken_utf8_is_not(void **state)
{
	static const char *const good[] = {"\xc3\xa9",     "\xc2\xa0",         "\xe0\xa0\x80",    "\xed\x9f\xbf",
					   "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80",
					  "\xc1\xbf",
					  "\xc3",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xe2\x82",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf8\x88\x80\x80",
					  "\xff"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_non_null(strstr(print(LOG_TEXT, good[i]), good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *text = print(LOG_TEXT, bad[i]);
		for (; *text != '\0'; text++)
			assert_false(*text & 0x80);
		assert_non_null(strstr(print(LOG_JSON, bad[i]), "\\ufffd"));
	}
}

static void json_strings_are_escaped_as_json(void **state)
{
	const char *text = print(LOG_JSON, "a\"b\\c\nd\xc3\xa9");

	(void)state;
	assert_non_null(strstr(text, "\"message\":\"a\\\"b\\\\c\\u000ad\xc3\xa9\"}\n"));
	assert_int_equal(strncmp(text, "{\"time\":\"20", 11), 0);
	assert_non_null(strstr(text, "Z\",\"level\":\"info\","));
}

static void long_line_is_cut_and_still_whole(void **state)
{
	static char message[10000];

	(void)state;
	memset(message, 'x', sizeof(message) - 1);
	const char *text = print(LOG_TEXT, message);
	assert_int_equal(strcmp(text + strlen(text) - 5, "x...\n"), 0);
	/* Each becomes six characters: the line is full before the message is. */
	memset(message, '\001', sizeof(message) - 1);
	text = print(LOG_JSON, message);
	assert_true(strlen(text) < 4096);
	assert_int_equal(strcmp(text + strlen(text) - 12, "\\u0001...\"}\n"), 0);
	text = print(LOG_TEXT, message);
	assert_int_equal(strcmp(text + strlen(text) - 8, "\\x01...\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_above_the_level_are_not_printed),
		cmocka_unit_test(debug_arguments_are_not_evaluated_when_debug_is_off),
		cmocka_unit_test(text_line_begins_with_the_time_in_utc),
		cmocka_unit_test(under_systemd_a_priority_stands_for_time_and_level),
		cmocka_unit_test(control_characters_cannot_reach_the_terminal),
		cmocka_unit_test(utf8_is_kept_and_broken_utf8_is_not),
		cmocka_unit_test(json_strings_are_escaped_as_json),
		cmocka_unit_test(long_line_is_cut_and_still_whole),
	};
	return cmocka_run_group_tests(tests, outside_of_systemd, NULL);
}
