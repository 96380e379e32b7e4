/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/child_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static bool is_short(const char *value)
{
	return strlen(value) < 4;
}

static const struct child_job job = {
	.program = "program",
	.fixed = {"--fixed", "always"},
	.fields = {{"--needed", is_short, true}, {"--wanted", is_short, false}},
	.count = 2,
};

#define MISFIT(text) child_call_misfit(&job, text, sizeof(text) - 1, values)

static void what_fits_is_where_the_message_has_it(void **state)
{
	const char *values[CHILD_FIELDS];
	static const char message[] = "ra\0bcd\0", *const end = message + sizeof(message) - 1;

	(void)state;
	assert_null(child_call_misfit(&job, message, (size_t)(end - message), values));
	assert_ptr_equal(values[0], message + 1);
	assert_ptr_equal(values[1], message + 3);
	assert_null(MISFIT("ra\0\0"));
	assert_string_equal(values[1], "");
	assert_null(MISFIT("s"));
}

static void what_does_not_fit_is_named(void **state)
{
	const char *values[CHILD_FIELDS];

	(void)state;
	assert_string_equal(MISFIT("r\0\0"), "--needed");
	assert_string_equal(MISFIT("ra\0abcd\0"), "--wanted");
	assert_string_equal(MISFIT("ra\0-b\0"), "--wanted");
	assert_string_equal(MISFIT("r"), "too few values");
	assert_string_equal(MISFIT("ra\0b"), "too few values");
	assert_string_equal(MISFIT("ra\0b\0\0"), "too many values");
	assert_string_equal(MISFIT("ra\0b\0c"), "too many values");
	assert_string_equal(MISFIT("s\0"), "no such message");
	assert_string_equal(MISFIT("x"), "no such message");
}

static void expect_call(const char *const *values, const char *const *wanted)
{
	struct child_call call;
	size_t i = 0;

	memset(&call, 'x', sizeof(call));
	child_call_fill(&call, &job, values);
	for (; wanted[i] != NULL; i++)
		assert_string_equal(call.arguments[i], wanted[i]);
	assert_null(call.arguments[i]);
}

static void value_stands_behind_its_option_and_none_without(void **state)
{
	(void)state;
	expect_call((const char *const[]){"a", "b"},
		    (const char *const[]){"program", "--fixed", "always", "--needed", "a", "--wanted", "b", NULL});
	expect_call((const char *const[]){"a", ""}, (const char *const[]){"program", "--fixed", "always", "--needed", "a", NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_where_the_message_has_it),
		cmocka_unit_test(what_does_not_fit_is_named),
		cmocka_unit_test(value_stands_behind_its_option_and_none_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
