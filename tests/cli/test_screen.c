/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include <jansson.h>

static void a_missing_or_odd_value_is_shown_as_nothing(void **state)
{
	json_t *o = json_pack("{s:s, s:i, s:f, s:n}", "text", "x", "count", 7, "number", 1.5, "nothing");

	(void)state;
	assert_string_equal(screen_text(o, "text"), "x");
	assert_string_equal(screen_text(o, "count"), "");
	assert_string_equal(screen_text(o, "nothing"), "");
	assert_string_equal(screen_text(o, "missing"), "");
	assert_string_equal(screen_text(NULL, "text"), "");
	assert_int_equal(screen_count(o, "count"), 7);
	assert_int_equal(screen_count(o, "text"), 0);
	assert_true(screen_number(o, "number") == 1.5);
	assert_true(screen_number(o, "text") == 0);
	json_decref(o);
}

static void what_could_command_a_terminal_is_escaped(void **state)
{
	char cell[SCREEN_CELL_MAX];

	(void)state;
	assert_string_equal(screen_safe("a b~", cell), "a b~");
	assert_string_equal(screen_safe("\033[2J\n\x7f\xc3\xc2\x9b", cell), "\\x1b[2J\\x0a\\x7f\\xc3\\xc2\\x9b");
	assert_string_equal(screen_safe(NULL, cell), "");
}

/* zones.conf takes names in any script, and check and the log show them. */
static void names_in_utf8_are_readable_and_never_cut_in_two(void **state)
{
	char cell[SCREEN_CELL_MAX], from[2 * SCREEN_CELL_MAX] = "";

	(void)state;
	assert_string_equal(screen_safe("\uc11c\uc6b8 a", cell), "\uc11c\uc6b8 a");
	for (size_t i = 0; i + 3 < sizeof(from); i += 3)
		memcpy(from + i, "\uc11c", 3);
	assert_int_equal(strlen(screen_safe(from, cell)), (SCREEN_CELL_MAX - 1) / 3 * 3);
}

static void long_text_is_cut(void **state)
{
	char cell[SCREEN_CELL_MAX], from[2 * SCREEN_CELL_MAX];

	(void)state;
	memset(from, 'x', sizeof(from) - 1);
	from[sizeof(from) - 1] = '\0';
	assert_int_equal(strlen(screen_safe(from, cell)), SCREEN_CELL_MAX - 1);
	memset(from, '\033', sizeof(from) - 1);
	assert_in_range(strlen(screen_safe(from, cell)), SCREEN_CELL_MAX - 5, SCREEN_CELL_MAX - 1);
}

static void times_are_said_in_two_units(void **state)
{
	static const struct {
		double seconds;
		const char *said;
	} rows[] = {{0, "0 s"},		    {59.9, "59 s"},	     {60, "1 min 0 s"}, {3599, "59 min 59 s"}, {3600, "1 h 0 min"},
		    {86399, "23 h 59 min"}, {90061, "1 d 1 h"}, {-1e300, "0 s"},   {1e300, "0 s"}};
	char out[SCREEN_TIME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(screen_time(rows[i].seconds, out), rows[i].said);
}

static void a_column_is_as_wide_as_its_widest_cell(void **state)
{
	json_t *rows = json_pack("[{s:s}, {s:s}, i, {}]", "az", "apne2-az1", "az", "\n", 5);

	(void)state;
	assert_int_equal(screen_column(rows, "az", "AZ"), 9);
	assert_int_equal(screen_column(rows, "no", "HEADING"), 7);
	assert_int_equal(screen_column(NULL, "az", "AZ"), 2);
	json_decref(rows);
}

static void a_file_has_no_colours(void **state)
{
	(void)state;
	assert_false(screen_may_colour() && !isatty(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_or_odd_value_is_shown_as_nothing),
		cmocka_unit_test(what_could_command_a_terminal_is_escaped),
		cmocka_unit_test(names_in_utf8_are_readable_and_never_cut_in_two),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(times_are_said_in_two_units),
		cmocka_unit_test(a_column_is_as_wide_as_its_widest_cell),
		cmocka_unit_test(a_file_has_no_colours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
