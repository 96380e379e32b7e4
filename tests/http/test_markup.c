/* SPDX-License-Identifier: Apache-2.0 */
#include "http/markup.h"

#include "pretend.h"

static void expect(char *printed, const char *wanted)
{
	assert_string_equal(printed, wanted);
	free(printed);
}

static void markup_is_escaped_wherever_it_comes_from(void **state)
{
	(void)state;
	expect(PRINTED(markup_text("<script>alert('x')</script>", out)), "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
	expect(PRINTED(markup_text("a\" onload=\"b & c", out)), "a&quot; onload=&quot;b &amp; c");
	expect(PRINTED(markup_text("\x01\n\x1b[31m\x7f", out)), "\\x01\\x0a\\x1b[31m\\x7f");
	expect(PRINTED(markup_text("caf\xc3\xa9", out)), "caf\xc3\xa9");
	expect(PRINTED(markup_text("", out)), "");
}

static void counts_have_commas(void **state)
{
	(void)state;
	expect(PRINTED(markup_count(0, out)), "0");
	expect(PRINTED(markup_count(7, out)), "7");
	expect(PRINTED(markup_count(7.25, out)), "7.2");
	expect(PRINTED(markup_count(99.99, out)), "100.0");
	expect(PRINTED(markup_count(142.6, out)), "143");
	expect(PRINTED(markup_count(999, out)), "999");
	expect(PRINTED(markup_count(1000, out)), "1,000");
	expect(PRINTED(markup_count(1234567, out)), "1,234,567");
	expect(PRINTED(markup_count(9e15, out)), "9,000,000,000,000,000");
}

static void times_are_of_two_units_at_most(void **state)
{
	(void)state;
	expect(PRINTED(markup_time(0, out)), "0 s");
	expect(PRINTED(markup_time(59.9, out)), "59 s");
	expect(PRINTED(markup_time(61, out)), "1 min");
	expect(PRINTED(markup_time(2 * 3600 + 5 * 60, out)), "2 h 5 min");
	expect(PRINTED(markup_time(4 * 86400 + 3 * 3600, out)), "4 d 3 h");
	expect(PRINTED(markup_time(1e300, out)), "104166666666 d 16 h");
}

static void sizes_have_the_largest_unit_that_fits(void **state)
{
	(void)state;
	expect(PRINTED(markup_size(0, out)), "0 KiB");
	expect(PRINTED(markup_size(75776, out)), "74 KiB");
	expect(PRINTED(markup_size(64 << 20, out)), "64.0 MiB");
	expect(PRINTED(markup_size(512 << 20, out)), "512 MiB");
	expect(PRINTED(markup_size(3e15, out)), "2728 TiB");
}

static void states_have_grades_and_unknown_ones_warn(void **state)
{
	(void)state;
	assert_string_equal(markup_grade("up"), "up");
	assert_string_equal(markup_grade("slow"), "warn");
	assert_string_equal(markup_grade("down"), "bad");
	assert_string_equal(markup_grade("detached"), "bad");
	assert_string_equal(markup_grade("<x>"), "warn");
	expect(PRINTED(markup_pill("<x>", out)), "<span class=\"pill warn\">&lt;x&gt;</span>");
}

static void bars_stay_within_their_frame_and_warn_when_full(void **state)
{
	char *bar;

	(void)state;
	bar = PRINTED(markup_bar(7, true, out));
	expect_part(bar, "class=\"bar bad\"");
	expect_part(bar, "width=\"100.00\"");
	free(bar);
	bar = PRINTED(markup_bar(0.6, true, out));
	expect_part(bar, "class=\"bar warn\"");
	free(bar);
	bar = PRINTED(markup_bar(0.9, false, out));
	expect_part(bar, "class=\"bar\"");
	free(bar);
	bar = PRINTED(markup_bar(-1, true, out));
	expect_no_part(bar, "<rect");
	free(bar);
}

static void members_that_are_missing_or_wrong_are_nothing(void **state)
{
	json_t *o = read_json("{'text': 'x', 'number': 2.5, 'negative': -7, 'huge': 1e300, 'null': null}");

	(void)state;
	assert_string_equal(markup_text_of(o, "text"), "x");
	assert_string_equal(markup_text_of(o, "number"), "");
	assert_string_equal(markup_text_of(o, "missing"), "");
	assert_string_equal(markup_text_of(NULL, "missing"), "");
	assert_true(markup_number_of(o, "number") == 2.5);
	assert_true(markup_number_of(o, "negative") == 0);
	assert_true(markup_number_of(o, "huge") == 9e15);
	assert_true(markup_number_of(o, "text") == 0);
	assert_true(markup_number_of(NULL, "number") == 0);
	assert_true(markup_has_number(o, "negative"));
	assert_false(markup_has_number(o, "null"));
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markup_is_escaped_wherever_it_comes_from),
		cmocka_unit_test(counts_have_commas),
		cmocka_unit_test(times_are_of_two_units_at_most),
		cmocka_unit_test(sizes_have_the_largest_unit_that_fits),
		cmocka_unit_test(states_have_grades_and_unknown_ones_warn),
		cmocka_unit_test(bars_stay_within_their_frame_and_warn_when_full),
		cmocka_unit_test(members_that_are_missing_or_wrong_are_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
