/* SPDX-License-Identifier: Apache-2.0 */
#include "http/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct host_names names = {
	.names = {"metrics.example.internal", "dns", "dot.example."}, .count = 3, .own = "gate.office.example"};

static void ip_addresses_are_right(void **state)
{
	static const char *const right[] = {"127.0.0.1", "127.0.0.1:9553", "10.0.0.7:", "[::1]", "[::1]:9553", "[fe80::1]:80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(host_is_right(&names, right[i]));
}

static void localhost_and_our_own_name_are_right(void **state)
{
	static const char *const right[] = {"localhost", "LocalHost:9553", "localhost.", "gate", "gate:80", "gate.office.example",
					    "GATE.office.EXAMPLE."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(host_is_right(&names, right[i]));
}

static void names_given_hold_for_what_is_below(void **state)
{
	static const char *const right[] = {"metrics.example.internal", "a.metrics.example.internal:9553", "dns", "r53.DNS",
					    "dot.example", "a.dot.example.:80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(host_is_right(&names, right[i]));
}

static void everything_else_is_wrong(void **state)
{
	static const char *const wrong[] = {
		"",	     "evil.example",  "evil.example:9553", "xmetrics.example.internal", "example.internal", "gate.evil.example",
		"gat",	     "gate2",	      "localhost.evil",	   "127.0.0.1.evil.example",	"127.0.0.1:80:80",  "127.0.0.1:8a",
		"[::1",	     "[]",	      "[127.0.0.1]",	   "[::1]x",			"::1",		    ":9553",
		"office.example", ".",	      "xdns",		   "local host",		"127.1",	    "0x7f.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (host_is_right(&names, wrong[i]))
			fail_msg("%s", wrong[i]);
}

static void name_longer_than_any_name_is_wrong(void **state)
{
	char field[600];

	(void)state;
	for (size_t i = 0; i < sizeof(field) - 1; i++)
		field[i] = 'a';
	field[sizeof(field) - 1] = '\0';
	assert_false(host_is_right(&names, field));
}

static void without_a_name_of_our_own_nothing_is_right_by_it(void **state)
{
	const struct host_names none = {.count = 0};
	const struct host_names empty = {.names = {""}, .count = 1, .own = ""};

	(void)state;
	assert_false(host_is_right(&none, "gate"));
	assert_false(host_is_right(&empty, "gate"));
	assert_true(host_is_right(&none, "localhost"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_addresses_are_right),
		cmocka_unit_test(localhost_and_our_own_name_are_right),
		cmocka_unit_test(names_given_hold_for_what_is_below),
		cmocka_unit_test(everything_else_is_wrong),
		cmocka_unit_test(name_longer_than_any_name_is_wrong),
		cmocka_unit_test(without_a_name_of_our_own_nothing_is_right_by_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
