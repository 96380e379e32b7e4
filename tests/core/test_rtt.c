/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/rtt.h"

static void nothing_is_known_at_first(void **state)
{
	struct rtt r = {0};

	(void)state;
	assert_int_equal(rtt_smoothed_us(&r), 0);
	assert_int_equal(rtt_hedge_us(&r), RTT_UNKNOWN_HEDGE_US);
	assert_int_equal(rtt_timeout_us(&r), 3 * RTT_UNKNOWN_HEDGE_US);
}

static void first_sample_is_the_rtt_and_half_of_it_the_variation(void **state)
{
	struct rtt r = {0};

	(void)state;
	rtt_sample(&r, 40000);
	assert_int_equal(rtt_smoothed_us(&r), 40000);
	assert_int_equal(rtt_hedge_us(&r), 40000 + 4 * 20000);
	assert_int_equal(rtt_timeout_us(&r), 3 * (40000 + 4 * 20000));
}

/* RFC 6298 section 2.3, worked by hand: RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R|, then SRTT = 7/8 SRTT + 1/8 R. */
static void later_samples_move_it_as_rfc_6298_says(void **state)
{
	static const struct {
		uint64_t sample;
		uint32_t srtt, rttvar;
	} rows[] = {
		{16000, 16000, 8000}, {16000, 16000, 6000}, {24000, 17000, 6500}, {9000, 16000, 6875}, {16000, 16000, 5156},
	};
	struct rtt r = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rtt_sample(&r, rows[i].sample);
		assert_int_equal(rtt_smoothed_us(&r), rows[i].srtt);
		assert_int_equal(rtt_hedge_us(&r), rows[i].srtt + 4 * rows[i].rttvar);
	}
}

static void steady_path_is_hedged_at_its_rtt(void **state)
{
	struct rtt r = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		rtt_sample(&r, 30000);
	assert_int_equal(rtt_smoothed_us(&r), 30000);
	assert_in_range(rtt_hedge_us(&r), 30000, 30100);
}

static void hedge_delay_stays_within_its_bounds(void **state)
{
	struct rtt fast = {0}, slow = {0};

	(void)state;
	rtt_sample(&fast, 500);
	assert_int_equal(rtt_hedge_us(&fast), RTT_LEAST_HEDGE_US);
	rtt_sample(&slow, 3 * (uint64_t)US_PER_S);
	assert_int_equal(rtt_hedge_us(&slow), RTT_LARGEST_HEDGE_US);
}

static void timeout_stays_within_its_bounds(void **state)
{
	struct rtt fast = {0}, slow = {0};

	(void)state;
	rtt_sample(&fast, 500);
	assert_int_equal(rtt_timeout_us(&fast), RTT_LEAST_TIMEOUT_US);
	rtt_sample(&slow, 200000);
	assert_int_equal(rtt_timeout_us(&slow), RTT_LARGEST_TIMEOUT_US);
}

/* 0 is the word for unknown: an answer within the clock's own microsecond must not read as that. */
static void answer_in_no_time_is_still_known(void **state)
{
	struct rtt r = {0};

	(void)state;
	for (int i = 0; i < 50; i++) {
		rtt_sample(&r, 0);
		assert_int_equal(rtt_smoothed_us(&r), 1);
	}
	assert_int_equal(rtt_hedge_us(&r), RTT_LEAST_HEDGE_US);
}

static void absurd_samples_neither_overflow_nor_stick(void **state)
{
	struct rtt r = {0};

	(void)state;
	for (int i = 0; i < 200; i++)
		rtt_sample(&r, UINT64_MAX);
	assert_in_range(rtt_smoothed_us(&r), 1, 10 * US_PER_S);
	assert_int_equal(rtt_timeout_us(&r), RTT_LARGEST_TIMEOUT_US);
	for (int i = 0; i < 100; i++)
		rtt_sample(&r, 5000);
	assert_in_range(rtt_smoothed_us(&r), 5000, 5100);
}

/* Both halves in one word: whoever reads meanwhile never sees one half of each of two measurements. */
static void *measure(void *arg)
{
	struct rtt *r = arg;

	for (int i = 0; i < 20000; i++)
		rtt_sample(r, 10000 + (uint64_t)(i % 7) * 1000);
	return NULL;
}

static void samples_from_many_threads_leave_a_sane_rtt(void **state)
{
	struct rtt r = {0};
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, measure, &r), 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t us = rtt_smoothed_us(&r);
		assert_true(us == 0 || (us >= 9000 && us <= 16000));
	}
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_in_range(rtt_smoothed_us(&r), 9000, 16000);
}

static void bucket_is_the_first_whose_bound_is_not_below(void **state)
{
	(void)state;
	assert_int_equal(rtt_bucket(0), 0);
	for (uint64_t us = 1; us < 5000000; us += us < 3000 ? 1 : 77) {
		uint32_t first = 0;
		while (first < RTT_BUCKETS - 1 && us > rtt_bound_us(first))
			first++;
		assert_int_equal(rtt_bucket(us), first);
	}
	for (uint32_t i = 0; i < RTT_BUCKETS - 1; i++) {
		assert_int_equal(rtt_bucket(rtt_bound_us(i)), i);
		assert_int_equal(rtt_bucket(rtt_bound_us(i) + 1), i + 1);
	}
	assert_int_equal(rtt_bucket(UINT64_MAX), RTT_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(first_sample_is_the_rtt_and_half_of_it_the_variation),
		cmocka_unit_test(later_samples_move_it_as_rfc_6298_says),
		cmocka_unit_test(steady_path_is_hedged_at_its_rtt),
		cmocka_unit_test(hedge_delay_stays_within_its_bounds),
		cmocka_unit_test(timeout_stays_within_its_bounds),
		cmocka_unit_test(answer_in_no_time_is_still_known),
		cmocka_unit_test(absurd_samples_neither_overflow_nor_stick),
		cmocka_unit_test(bucket_is_the_first_whose_bound_is_not_below),
		cmocka_unit_test(samples_from_many_threads_leave_a_sane_rtt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
