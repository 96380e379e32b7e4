/* SPDX-License-Identifier: Apache-2.0 */
/* What threads share in a pool: the rate, the hedge bucket, the outage. Run under ThreadSanitizer as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "core/pool.h"

enum { THREADS = 4, QPS = 10000 };

static struct pool pool;
static pthread_barrier_t together;
static _Atomic uint64_t clock_us;

static int begin(void **state)
{
	static const char *const texts[] = {"10.10.1.10", "10.10.2.10"};

	(void)state;
	memset(&pool, 0, sizeof(pool));
	pool.name = "seoul";
	pool.policy = &policy_spread;
	pool.rules = (struct health_rules){.fall = 3, .rise = 2};
	pool.max_qps = QPS;
	pool.hedge_us = -1;
	pool.hedge_budget_pm = 100;
	pool.hedge_tokens_pm = POOL_HEDGE_BUCKET * 1000;
	pool.prefer_az = -1;
	for (; pool.count < ARRAY_SIZE(texts); pool.count++) {
		struct addr a;
		assert_int_equal(addr_parse(&a, texts[pool.count], 53), 0);
		pool.places[pool.count] = (struct pool_place){.upstream = upstream_new(&a, pool.count), .az_index = pool.count};
		assert_non_null(pool.places[pool.count].upstream);
	}
	clock_us = 1000 * (uint64_t)US_PER_S;
	return pthread_barrier_init(&together, NULL, THREADS);
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < pool.count; i++)
		upstream_unref(pool.places[i].upstream);
	return pthread_barrier_destroy(&together);
}

/* Runs `work` on all threads at once and adds up what they return. */
static uint64_t together_sum(void *(*work)(void *))
{
	pthread_t threads[THREADS];
	uint64_t sums[THREADS], sum = 0;

	for (uintptr_t i = 0; i < THREADS; i++) {
		sums[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, work, &sums[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += sums[i];
	}
	return sum;
}

static void *take_at_one_moment(void *arg)
{
	uint64_t taken = 0;

	pthread_barrier_wait(&together);
	for (int i = 0; i < QPS; i++)
		taken += pool_take_rate(&pool, pool.places[0].upstream, clock_us);
	*(uint64_t *)arg = taken;
	return NULL;
}

static void threads_at_one_moment_take_exactly_one_second_of_queries(void **state)
{
	(void)state;
	assert_int_equal(together_sum(take_at_one_moment), QPS);
	assert_int_equal(together_sum(take_at_one_moment), 0);
}

static void *take_modestly(void *arg)
{
	uint64_t taken = 0;

	pthread_barrier_wait(&together);
	for (int i = 0; i < QPS; i++)
		taken += pool_take_rate_of(&pool, pool.places[0].upstream, true, clock_us);
	*(uint64_t *)arg = taken;
	return NULL;
}

static void who_is_modest_leaves_the_last_eighth_of_the_burst_to_others(void **state)
{
	(void)state;
	assert_int_equal(together_sum(take_modestly), QPS - QPS / 8);
	assert_int_equal(together_sum(take_at_one_moment), QPS / 8);
	clock_us += 100 * US_PER_MS; /* less than the eighth is back */
	assert_int_equal(together_sum(take_modestly), 0);
	clock_us += 25 * US_PER_MS + 100;
	assert_int_equal(together_sum(take_modestly), 1);
	/* Of one a second, an eighth cannot be left. */
	pool.max_qps = 1;
	clock_us += 10 * US_PER_S;
	assert_int_equal(together_sum(take_modestly), 1);
}

/* Each thread moves the common clock on: their views of it differ by a few microseconds, as those of real loops do. */
static void *take_while_time_goes_on(void *arg)
{
	uint64_t taken = 0;

	pthread_barrier_wait(&together);
	for (int i = 0; i < 50000; i++)
		taken += pool_take_rate(&pool, pool.places[0].upstream, atomic_fetch_add(&clock_us, 5));
	*(uint64_t *)arg = taken;
	return NULL;
}

static void threads_never_exceed_the_rate_while_time_goes_on(void **state)
{
	(void)state;
	/* 4 x 50,000 x 5 us are one second: its queries, and the burst of another. All of them are asked for ten times over. */
	uint64_t taken = together_sum(take_while_time_goes_on);
	assert_in_range(taken, 2 * QPS - 10, 2 * QPS);
}

static void *pick_all(void *arg)
{
	uint64_t taken = 0;
	uint32_t random = (uint32_t) * (uint64_t *)arg;

	pthread_barrier_wait(&together);
	for (int i = 0; i < QPS; i++) {
		const struct pool_wish wish = {.random = random += 2654435769u, .now_us = clock_us};
		int place = pool_pick(&pool, &wish);
		ASSERT(place != POOL_NONE);
		taken += place != POOL_ABOVE_RATE;
	}
	*(uint64_t *)arg = taken;
	return NULL;
}

static void threads_that_pick_fill_both_addresses_and_spill_the_rest(void **state)
{
	(void)state;
	assert_int_equal(together_sum(pick_all), 2 * QPS);
	assert_int_equal(atomic_load(&pool.spilled), (THREADS - 2) * QPS);
}

static void *spend(void *arg)
{
	uint64_t spent = 0;

	pthread_barrier_wait(&together);
	for (int i = 0; i < 1000; i++)
		spent += pool_spend_hedge(&pool);
	*(uint64_t *)arg = spent;
	return NULL;
}

static void threads_share_one_bucket_of_hedges(void **state)
{
	(void)state;
	assert_int_equal(together_sum(spend), POOL_HEDGE_BUCKET);
	assert_int_equal(atomic_load(&pool.hedge_tokens_pm), 0);
}

/* What is earned may be lost, but the bucket neither overflows nor goes below nothing. */
static void *earn_and_spend(void *arg)
{
	pthread_barrier_wait(&together);
	for (int i = 0; i < 20000; i++) {
		pool_earn_hedge(&pool);
		pool_spend_hedge(&pool);
		int32_t tokens = atomic_load(&pool.hedge_tokens_pm);
		ASSERT(tokens >= 0 && tokens <= POOL_HEDGE_BUCKET * 1000);
	}
	*(uint64_t *)arg = 0;
	return NULL;
}

static void bucket_stays_within_its_bounds_between_threads(void **state)
{
	(void)state;
	assert_int_equal(together_sum(earn_and_spend), 0);
}

enum { BUCKETS = 100000 };

static _Atomic bool all_spent;

/* The first fills the bucket and empties it, again and again, while the others earn. */
static void *earn_or_spend(void *arg)
{
	bool spends = *(uint64_t *)arg == 0;
	uint64_t spent = 0;

	pthread_barrier_wait(&together);
	while (!spends && !all_spent)
		pool_earn_hedge(&pool);
	for (int i = 0; spends && i < BUCKETS; i++) {
		atomic_store(&pool.hedge_tokens_pm, POOL_HEDGE_BUCKET * 1000 - 1);
		while (pool_spend_hedge(&pool))
			spent++;
	}
	if (spends)
		all_spent = true;
	*(uint64_t *)arg = spent;
	return NULL;
}

/* Nothing is earned with a budget of 0, so what is handed out is what was there: an earner who writes back what it has read before somebody
 * spent would hand it out twice. */
static void what_was_spent_does_not_come_back(void **state)
{
	(void)state;
	pool.hedge_budget_pm = 0;
	assert_int_equal(together_sum(earn_or_spend), BUCKETS * (POOL_HEDGE_BUCKET - 1));
}

static void *close_and_open(void *arg)
{
	uint64_t closed = 0;

	pthread_barrier_wait(&together);
	for (int i = 0; i < 2000; i++) {
		closed += pool_close(&pool);
		pool_is_steady(&pool, clock_us);
		pool_open(&pool, i % 2, clock_us);
	}
	*(uint64_t *)arg = closed;
	return NULL;
}

static void each_closing_is_told_to_one_thread(void **state)
{
	(void)state;
	uint64_t closed = together_sum(close_and_open);
	/* Each closing has a number of its own. */
	assert_true(closed >= 1);
	assert_true(pool.outage >= closed);
	assert_false(pool.down);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void workers_divide_what_the_main_thread_leaves_of_the_source_ports(void **state)
{
	struct pool any = {.count = 3};

	(void)state;
	for (uint32_t workers = 1; workers <= 8; workers++)
		for (any.source_ports = 32; any.source_ports <= 16384; any.source_ports *= 2) {
			uint32_t share = pool_worker_ports(&any, workers);
			/* A transport uses whole pairs. */
			uint32_t used = share / 2 * 2 * workers + POOL_PROBE_PORTS + POOL_LOOP_PORTS + POOL_ASSOCIATION_PORTS;
			assert_in_range(used, any.source_ports - 2 * workers + 1, any.source_ports);
		}
	any.source_ports = 32;
	assert_int_equal(pool_worker_ports(&any, 64), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(threads_at_one_moment_take_exactly_one_second_of_queries), TEST(threads_never_exceed_the_rate_while_time_goes_on),
		TEST(who_is_modest_leaves_the_last_eighth_of_the_burst_to_others),
		TEST(threads_that_pick_fill_both_addresses_and_spill_the_rest), TEST(threads_share_one_bucket_of_hedges),
		TEST(what_was_spent_does_not_come_back),
		TEST(bucket_stays_within_its_bounds_between_threads),		TEST(each_closing_is_told_to_one_thread),
		cmocka_unit_test(workers_divide_what_the_main_thread_leaves_of_the_source_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
