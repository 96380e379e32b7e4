/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "base/utf8.h"

static void characters_are_measured_in_octets(void **state)
{
	static const char *const rows[] = {"\u00e9", "\u00a0", "\u07ff",
					   "\u0800",     "\uc11c",    "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(utf8_multibyte(rows[i]), strlen(rows[i]));
	assert_int_equal(utf8_multibyte("\uc11c\uc6b8"), 3);
}

static void what_is_none_is_none(void **state)
{
	static const char *const rows[] = {
		"",	      "a",	  "\x7f",	  "\x80",	 "\xbf",	"\xc0\x80", "\xc1\xbf", "\xc3",	"\xc3z",
		"\xe0\x9f\xbf", "\xed\xa0\x80", "\xec\x84", "\xec\x84z", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
		"\xf0\x90\x80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(utf8_multibyte(rows[i]), 0);
}

static void controls_of_the_upper_half_are_none(void **state)
{
	char c[3] = {(char)0xc2, 0, 0};

	(void)state;
	for (int i = 0x80; i < 0xa0; i++) {
		c[1] = (char)i;
		assert_int_equal(utf8_multibyte(c), 0);
	}
}

static void what_is_obeyed_is_not_shown(void **state)
{
	static const char *const obeyed[] = {"\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\ufffe", "\uffff"};
	static const char *const shown[] = {"\u2027", "\u202f", "\u2065", "\u206a", "\ufefe", "\uff00"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(obeyed); i++)
		assert_int_equal(utf8_multibyte(obeyed[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		assert_int_equal(utf8_multibyte(shown[i]), 3);
}

static void what_may_not_be_shown_is_spelled_out(void **state)
{
	static const struct {
		const char *text, *shown;
		size_t octets;
	} rows[] = {
		{"ab", "a", 1},
		{"~", "~", 1},
		{" ", " ", 1},
		{"\x7f", "\\x7f", 1},
		{"\x1b[", "\\x1b", 1},
		{"\uc11cx", "\uc11c", 3},
		{"\U00010000", "\U00010000", 4},
		{"\u2028", "\\xe2", 1},
		{"\xc2\x9b", "\\xc2", 1},
	};
	char out[UTF8_SHOWN_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(utf8_show(rows[i].text, out), rows[i].octets);
		assert_string_equal(out, rows[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_are_measured_in_octets),
		cmocka_unit_test(what_is_none_is_none),
		cmocka_unit_test(controls_of_the_upper_half_are_none),
		cmocka_unit_test(what_is_obeyed_is_not_shown),
		cmocka_unit_test(what_may_not_be_shown_is_spelled_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
