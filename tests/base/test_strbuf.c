/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/strbuf.h"

static void text_is_appended(void **state)
{
	char memory[32];
	struct strbuf s;

	(void)state;
	strbuf_init(&s, memory, sizeof(memory));
	assert_string_equal(s.text, "");
	strbuf_add(&s, "az");
	strbuf_addf(&s, "%d: %s", 1, "up");
	strbuf_add(&s, "");
	assert_string_equal(s.text, "az1: up");
	assert_int_equal(s.len, 7);
	assert_false(s.cut);
}

static void exact_fit_is_not_cut(void **state)
{
	char memory[5];
	struct strbuf s;

	(void)state;
	strbuf_init(&s, memory, sizeof(memory));
	strbuf_add(&s, "abcd");
	assert_false(s.cut);
	strbuf_init(&s, memory, sizeof(memory));
	strbuf_addf(&s, "%s", "abcd");
	assert_false(s.cut);
	strbuf_add(&s, "");
	strbuf_addf(&s, "%s", "");
	assert_false(s.cut);
	assert_string_equal(s.text, "abcd");
}

static void what_does_not_fit_is_cut_and_remembered(void **state)
{
	char memory[8] = "xxxxxxx";
	struct strbuf s;

	(void)state;
	strbuf_init(&s, memory, 5);
	strbuf_add(&s, "abcdef");
	assert_true(s.cut);
	assert_string_equal(s.text, "abcd");
	assert_int_equal(s.len, 4);
	strbuf_add(&s, "g");
	strbuf_addf(&s, "%d", 1);
	assert_string_equal(s.text, "abcd");
	assert_string_equal(memory + 5, "xx");

	strbuf_init(&s, memory, 5);
	assert_false(s.cut);
	strbuf_addf(&s, "%s", "abcdef");
	assert_true(s.cut);
	assert_string_equal(s.text, "abcd");
	assert_int_equal(s.len, 4);
}

static void one_byte_holds_the_zero_only(void **state)
{
	char memory[1];
	struct strbuf s;

	(void)state;
	strbuf_init(&s, memory, sizeof(memory));
	strbuf_addf(&s, "a");
	strbuf_add(&s, "b");
	assert_string_equal(s.text, "");
	assert_int_equal(s.len, 0);
	assert_true(s.cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_appended),
		cmocka_unit_test(exact_fit_is_not_cut),
		cmocka_unit_test(what_does_not_fit_is_cut_and_remembered),
		cmocka_unit_test(one_byte_holds_the_zero_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
