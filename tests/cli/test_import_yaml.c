/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/import_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void the_reader_of_zones_conf_decides(void **state)
{
	char why[SCREEN_CELL_MAX] = "";

	(void)state;
	assert_true(import_yaml_takes(why, "zones: [{name: %s, to: local}]\n", "corp.example"));
	assert_string_equal(why, "");
	assert_false(import_yaml_takes(why, "zones: [{name: %s, to: local}]\n", "localhost"));
	assert_non_null(strstr(why, "cannot be routed"));
	assert_false(import_yaml_takes(why, "zones: [{"));
	assert_string_not_equal(why, "");
}

/* A word is one word, whatever it holds: no key, no variable, no end of the line. */
static void a_word_reads_back_as_one_name_of_an_endpoint_or_not_at_all(void **state)
{
	static const char *const good[] = {"seoul", "null", "123", "true", "-x", "a.b_c", "~"}, *const bad[] = {"a: b", "${HOME}", "a\nb",
														"#", ""};
	char why[SCREEN_CELL_MAX];

	(void)state;
	setenv("HOME", "home", 1);
	for (size_t i = 0; i < ARRAY_SIZE(good) - 1; i++) {
		char *word = import_yaml_word(good[i]);
		if (!import_yaml_takes(why, "zones: []\ninbound-endpoints: {%s: {addresses: [10.0.0.1, 10.0.0.2]}}\n", word))
			fail_msg("%s: %s", word, why);
		free(word);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *word = import_yaml_word(bad[i]);
		assert_null(strchr(word, '\n'));
		assert_false(import_yaml_takes(why, "zones: []\ninbound-endpoints: {%s: {addresses: [10.0.0.1, 10.0.0.2]}}\n", word));
		free(word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reader_of_zones_conf_decides),
		cmocka_unit_test(a_word_reads_back_as_one_name_of_an_endpoint_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
