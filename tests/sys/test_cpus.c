/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "sys/cpus.h"

static void quota_is_rounded_up_to_cpus(void **state)
{
	static const struct {
		const char *text;
		uint32_t cpus;
	} rows[] = {
		{"200000 100000", 2},  {"200000 100000\n", 2},	 {"200001 100000", 3}, {"150000 100000", 2},
		{"50000 100000", 1},   {"1 100000", 1},		 {"100000 100000", 1}, {"99999 100000", 1},
		{"1600000 50000", 32}, {"400000\n 100000\n", 4}, /* version 1: two files, joined */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cpus_read_quota(rows[i].text), rows[i].cpus);
}

static void no_limit_is_no_quota(void **state)
{
	(void)state;
	assert_int_equal(cpus_read_quota("max 100000"), 0);
	assert_int_equal(cpus_read_quota("max 100000\n"), 0);
	assert_int_equal(cpus_read_quota("-1\n 100000\n"), 0); /* version 1 */
}

static void what_cannot_be_read_is_no_quota(void **state)
{
	static const char *const rows[] = {
		"",
		"\n",
		" ",
		"x",
		"200000",
		"200000 ",
		"200000 x",
		"200000 0",
		"0 100000",
		"100000 -5",
		"18446744073709551615 100000",
		"99999999999999999999999999 100000",
		"1000000000000000 1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cpus_read_quota(rows[i]), 0);
}

static void usable_cpus_are_at_least_one_and_at_most_those_of_the_mask(void **state)
{
	cpu_set_t set;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_in_range(cpus_usable(), 1, MIN(CPU_COUNT(&set), (int)CPUS_MOST));
}

static void narrower_mask_makes_fewer_cpus(void **state)
{
	cpu_set_t before, one;
	size_t first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(cpus_usable(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quota_is_rounded_up_to_cpus),
		cmocka_unit_test(no_limit_is_no_quota),
		cmocka_unit_test(what_cannot_be_read_is_no_quota),
		cmocka_unit_test(usable_cpus_are_at_least_one_and_at_most_those_of_the_mask),
		cmocka_unit_test(narrower_mask_makes_fewer_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
