/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limit.h"

enum { EVERY_US = 10 * US_PER_S, BURST = 3 };

static bool pass(struct limit *l, uint64_t now_us)
{
	return limit_pass(l, now_us, EVERY_US, BURST);
}

static void burst_passes_at_once_and_then_no_more(void **state)
{
	struct limit l = {0};

	(void)state;
	for (int i = 0; i < BURST; i++)
		assert_true(pass(&l, 1000));
	assert_false(pass(&l, 1000));
	assert_false(pass(&l, 1000 + EVERY_US - 1));
	assert_true(pass(&l, 1000 + EVERY_US));
	assert_false(pass(&l, 1000 + EVERY_US));
}

static void what_is_refused_costs_nothing(void **state)
{
	struct limit l = {0};
	unsigned passed = 0;

	(void)state;
	/* A thousand tries a second for 100 s: the burst, and one each 10 s. */
	for (uint64_t now_us = US_PER_S; now_us < 101 * US_PER_S; now_us += US_PER_MS)
		passed += pass(&l, now_us);
	assert_int_equal(passed, BURST + 9);
}

static void rest_restores_the_burst_and_not_more(void **state)
{
	struct limit l = {0};
	unsigned passed = 0;

	(void)state;
	for (int i = 0; i < BURST; i++)
		assert_true(pass(&l, 0));
	for (int i = 0; i < 10; i++)
		passed += pass(&l, 1000 * (uint64_t)EVERY_US);
	assert_int_equal(passed, BURST);
}

static void next_time_is_when_it_passes(void **state)
{
	struct limit l = {0};
	uint64_t now_us = 5 * US_PER_S;

	(void)state;
	assert_int_equal(limit_next_us(&l, now_us, EVERY_US, BURST), now_us);
	for (int i = 0; i < BURST; i++)
		assert_true(pass(&l, now_us));
	uint64_t next_us = limit_next_us(&l, now_us, EVERY_US, BURST);
	assert_int_equal(next_us, now_us + EVERY_US);
	assert_false(pass(&l, next_us - 1));
	assert_true(pass(&l, next_us));
}

static void burst_of_one_is_a_pace(void **state)
{
	struct limit l = {0};

	(void)state;
	assert_true(limit_pass(&l, 7, 100, 1));
	assert_false(limit_pass(&l, 106, 100, 1));
	assert_true(limit_pass(&l, 107, 100, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_passes_at_once_and_then_no_more),
		cmocka_unit_test(what_is_refused_costs_nothing),
		cmocka_unit_test(rest_restores_the_burst_and_not_more),
		cmocka_unit_test(next_time_is_when_it_passes),
		cmocka_unit_test(burst_of_one_is_a_pace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
