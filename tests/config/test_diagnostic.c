/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diagnostic.h"

#include "load.h"

static char *printed(const struct diagnostics *d)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	diagnostics_print(d, "z", out);
	fclose(out);
	return text;
}

static void expect(struct diagnostics *d, const char *expected)
{
	char *text = printed(d);

	assert_string_equal(text, expected);
	free(text);
	diagnostics_deinit(d);
}

static void problems_are_sorted_by_place(void **state)
{
	struct diagnostics d;

	(void)state;
	diagnostics_init(&d);
	diagnostics_add(&d, DIAGNOSTIC_ERROR, 3, 1, "third");
	diagnostics_add(&d, DIAGNOSTIC_WARNING, 2, 9, "second, a warning");
	diagnostics_add(&d, DIAGNOSTIC_ERROR, 2, 9, "second");
	diagnostics_add(&d, DIAGNOSTIC_ERROR, 2, 10, "%s %d", "behind", 2);
	diagnostics_add(&d, DIAGNOSTIC_ERROR, 0, 0, "of the whole file");
	diagnostics_sort(&d);
	assert_int_equal(d.count, 5);
	assert_int_equal(d.errors, 4);
	expect(&d, "z: of the whole file\n"
		   "z:2:9: second\n"
		   "z:2:9: warning: second, a warning\n"
		   "z:2:10: behind 2\n"
		   "z:3:1: third\n");
}

static void control_characters_are_shown_not_obeyed(void **state)
{
	struct diagnostics d;

	(void)state;
	diagnostics_init(&d);
	diagnostics_add(&d, DIAGNOSTIC_ERROR, 1, 1, "%s", "\033[2J\177 \302\233 \n \302\265 \354\204\234");
	expect(&d, "z:1:1: \\x1b[2J\\x7f \\xc2\\x9b \\x0a \302\265 \354\204\234\n");
}

static void problems_beyond_the_bound_are_counted(void **state)
{
	struct diagnostics d;

	(void)state;
	diagnostics_init(&d);
	for (unsigned i = 0; i < DIAGNOSTICS_MAX + 3; i++)
		diagnostics_add(&d, DIAGNOSTIC_ERROR, i + 1, 1, "wrong");
	assert_int_equal(d.count, DIAGNOSTICS_MAX);
	assert_int_equal(d.errors, DIAGNOSTICS_MAX + 3);
	char *text = printed(&d);
	assert_non_null(strstr(text, "z:10000:1: wrong\nz: and 3 more\n"));
	free(text);
	diagnostics_deinit(&d);
}

static void nothing_wrong_prints_nothing(void **state)
{
	struct diagnostics d;

	(void)state;
	diagnostics_init(&d);
	diagnostics_sort(&d);
	expect(&d, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems_are_sorted_by_place),
		cmocka_unit_test(control_characters_are_shown_not_obeyed),
		cmocka_unit_test(problems_beyond_the_bound_are_counted),
		cmocka_unit_test(nothing_wrong_prints_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
