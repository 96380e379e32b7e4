/* SPDX-License-Identifier: Apache-2.0 */
#include "server/jsontext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/base.h"

static void any_octets_become_a_string(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},
		{"zones.conf", "zones.conf"},
		{"\uc11c\uc6b8\n", "\uc11c\uc6b8\n"},
		{"/etc/\xff/\uc11c.conf", "/etc/\\xff/\uc11c.conf"},
		{"\xec\x84", "\\xec\\x84"},
		{"\xed\xa0\x80\\", "\\xed\\xa0\\x80\\"},
		{"a\xc3", "a\\xc3"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *text = jsontext_new(rows[i][0]);
		assert_string_equal(json_string_value(text), rows[i][1]);
		json_decref(text);
	}
}

static void nothing_is_null(void **state)
{
	(void)state;
	json_t *text = jsontext_new(NULL);
	assert_true(json_is_null(text));
	json_decref(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_octets_become_a_string),
		cmocka_unit_test(nothing_is_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
