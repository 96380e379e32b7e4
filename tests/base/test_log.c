/* SPDX-License-Identifier: Apache-2.0 */
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

#include "base/log.h"
#include "base/log_writer.h"

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

/* JOURNAL_STREAM as systemd sets it for whoever has stderr where ours goes. */
static void name_stderr_the_journal(const char *tail)
{
	char text[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu%s", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, tail);
	setenv("JOURNAL_STREAM", text, 1);
}

static void when_stderr_is_the_journal_a_priority_stands_for_time_and_level(void **state)
{
	(void)state;
	catch_stderr();
	name_stderr_the_journal("");
	log_configure(LOG_DEBUG, LOG_TEXT);
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	assert_string_equal(give_back(), "<3>e\n<4>w\n<6>i\n<7>d\n");
	unsetenv("JOURNAL_STREAM");
}

static void json_has_its_level_inside_even_in_the_journal(void **state)
{
	(void)state;
	catch_stderr();
	name_stderr_the_journal("");
	log_configure(LOG_INFO, LOG_JSON);
	log_info("x");
	const char *text = give_back();
	assert_int_equal(text[0], '{');
	assert_non_null(strstr(text, "\"level\":\"info\",\"message\":\"x\"}\n"));
	unsetenv("JOURNAL_STREAM");
}

static void journal_of_somebody_else_is_not_ours(void **state)
{
	static const char *const rows[] = {"8:1234", "", ":", "8", "x:y"};

	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(rows); i++) {
		catch_stderr();
		if (i < ARRAY_SIZE(rows))
			setenv("JOURNAL_STREAM", rows[i], 1);
		else
			name_stderr_the_journal("x");
		log_configure(LOG_INFO, LOG_TEXT);
		log_info("x");
		assert_non_null(strstr(give_back(), "Z info: x\n"));
	}
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

static const char *print_fields(enum log_format format, const struct log_field *fields, const char *message)
{
	log_configure(LOG_INFO, format);
	catch_stderr();
	log_event(LOG_WARN, fields, "%s", message);
	return give_back();
}

static void fields_are_members_in_json_and_nothing_in_text(void **state)
{
	const struct log_field fields[] = {LOG_STRING("event", "query"),
					   LOG_STRING("name", "a\"\n"),
					   LOG_STRING("az", NULL),
					   LOG_COUNT("count", 12),
					   LOG_MS("duration_ms", 1002003),
					   LOG_MS("none_ms", 7),
					   LOG_END};

	(void)state;
	assert_non_null(strstr(print_fields(LOG_JSON, fields, "m"),
			       "\"level\":\"warn\",\"event\":\"query\",\"name\":\"a\\\"\\u000a\",\"az\":null,\"count\":12,"
			       "\"duration_ms\":1002.003,\"none_ms\":0.007,\"message\":\"m\"}\n"));
	assert_non_null(strstr(print_fields(LOG_TEXT, fields, "m"), "Z warn: m\n"));
}

static void huge_fields_are_cut_and_the_line_stays_json(void **state)
{
	static char huge[5000];
	const struct log_field fields[] = {LOG_STRING("event", "query"), LOG_STRING("one", huge),   LOG_STRING("two", huge),
					   LOG_STRING("three", huge),	  LOG_STRING("four", huge),  LOG_STRING("five", huge),
					   LOG_STRING("six", huge),	  LOG_STRING("seven", huge), LOG_STRING("eight", huge),
					   LOG_COUNT("n", UINT64_MAX),	  LOG_STRING("nine", NULL),  LOG_STRING("ten", huge),
					   LOG_END};

	(void)state;
	memset(huge, '"', sizeof(huge) - 1);
	const char *text = print_fields(LOG_JSON, fields, huge);
	size_t len = strlen(text);
	assert_in_range(len, 3000, 4096);
	assert_non_null(strstr(text, "...\",\"two\":\"...\",\"three\":\"...\","));
	assert_non_null(strstr(text, "\"ten\":\"...\",\"message\":\"\\\"\\\""));
	assert_string_equal(text + len - 6, "...\"}\n");
}

static void report_is_printed_whatever_the_level(void **state)
{
	const struct log_field fields[] = {LOG_STRING("event", "query"), LOG_END};

	(void)state;
	log_configure(LOG_ERROR, LOG_TEXT);
	catch_stderr();
	log_event(LOG_INFO, fields, "an event");
	log_report(fields, "asked for");
	const char *text = give_back();
	assert_null(strstr(text, "an event"));
	assert_non_null(strstr(text, "Z info: asked for\n"));
}

static void each_line_comes_or_is_counted_as_lost(void **state)
{
	static char message[2000], line[4097];
	unsigned long came = 0, lost = 0, said = 0;

	(void)state;
	memset(message, 'x', sizeof(message) - 1);
	log_configure(LOG_INFO, LOG_JSON);
	catch_stderr();
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
	FILE *reader = fdopen(dup(ends[0]), "r");
	assert_non_null(reader);
	setvbuf(reader, NULL, _IONBF, 0); /* what has not been read shows in poll() */
	log_writer_start();
	for (; said < 1000; said++) /* 2 MB: more than pipe and queue hold */
		log_info("%s", message);
	while (came + lost < said) {
		if (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 20) == 0) {
			log_info("more"); /* all that was queued has come */
			said++;
			continue;
		}
		assert_non_null(fgets(line, sizeof(line), reader));
		const char *number = strstr(line, "\"event\":\"log\",\"lost\":");
		if (number)
			lost += strtoul(number + strlen("\"event\":\"log\",\"lost\":"), NULL, 10);
		else
			came++;
	}
	assert_int_equal(came + lost, said);
	assert_in_range(lost, 100, 1000);
	log_writer_stop();
	fclose(reader);
	give_back();
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
		cmocka_unit_test(when_stderr_is_the_journal_a_priority_stands_for_time_and_level),
		cmocka_unit_test(json_has_its_level_inside_even_in_the_journal),
		cmocka_unit_test(journal_of_somebody_else_is_not_ours),
		cmocka_unit_test(fields_are_members_in_json_and_nothing_in_text),
		cmocka_unit_test(huge_fields_are_cut_and_the_line_stays_json),
		cmocka_unit_test(report_is_printed_whatever_the_level),
		cmocka_unit_test(each_line_comes_or_is_counted_as_lost),
		cmocka_unit_test(control_characters_cannot_reach_the_terminal),
		cmocka_unit_test(utf8_is_kept_and_broken_utf8_is_not),
		cmocka_unit_test(json_strings_are_escaped_as_json),
		cmocka_unit_test(long_line_is_cut_and_still_whole),
	};
	return cmocka_run_group_tests(tests, outside_of_systemd, NULL);
}
