/* SPDX-License-Identifier: Apache-2.0 */
/* Which address is asked next. Places are written with their AZ: "a a b" are three addresses in two AZs, "-" one of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"

enum { PICKS = 400 };

static const uint64_t start_us = 1000 * (uint64_t)US_PER_S;

static struct pool pool;
static uint64_t now_us;

static void make(const char *azs, const struct policy *policy)
{
	memset(&pool, 0, sizeof(pool));
	pool.name = "seoul";
	pool.policy = policy;
	pool.rules = (struct health_rules){.fall = 3, .rise = 2};
	pool.max_qps = 1000000;
	pool.hedge_us = -1;
	pool.hedge_budget_pm = 100;
	pool.prefer_az = -1;
	for (; *azs != '\0'; azs++) {
		struct addr a;
		char text[32];
		if (*azs == ' ')
			continue;
		snprintf(text, sizeof(text), "10.10.1.%u", 10u + pool.count);
		assert_int_equal(addr_parse(&a, text, 53), 0);
		struct pool_place *p = &pool.places[pool.count];
		p->upstream = upstream_new(&a, pool.count);
		assert_non_null(p->upstream);
		p->az_index = *azs == '-' ? (uint8_t)(100 + pool.count) : (uint8_t)(*azs - 'a');
		pool.count++;
	}
	now_us = start_us;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < pool.count; i++)
		upstream_unref(pool.places[i].upstream);
	pool.count = 0;
	return 0;
}

static struct upstream *at(int place)
{
	return pool.places[place].upstream;
}

static void set_rtt(int place, uint32_t us)
{
	at(place)->rtt = (struct rtt){0};
	rtt_sample(&at(place)->rtt, us);
}

static void make_suspect(int place)
{
	health_never(&at(place)->health, &pool.rules, 1, now_us);
}

static void make_down(int place)
{
	for (int i = 0; i < 3; i++)
		health_probe_bad(&at(place)->health, &pool.rules, true, 0, now_us);
}

static void drain(int place)
{
	atomic_store(&at(place)->drained, true);
}

static int pick(uint32_t tried, uint32_t tried_twice, bool other_az_only)
{
	const struct pool_wish wish = {.tried = tried,
				       .tried_twice = tried_twice,
				       .random = (uint32_t)rand() << 17 ^ (uint32_t)rand(),
				       .now_us = now_us,
				       .other_az_only = other_az_only};

	return pool_pick(&pool, &wish);
}

/* The places that come up in many picks, as bits. */
static uint32_t picked(uint32_t tried, uint32_t tried_twice)
{
	uint32_t seen = 0;

	for (int i = 0; i < PICKS; i++) {
		int place = pick(tried, tried_twice, false);
		if (place < 0)
			return 0;
		seen |= 1u << place;
		now_us += 10;
	}
	return seen;
}

/* ---- kinds of health */

static void every_healthy_address_is_picked(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	assert_int_equal(picked(0, 0), 7);
}

static void suspect_is_picked_only_when_nobody_healthy_is_left(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	make_suspect(0);
	assert_int_equal(picked(0, 0), 6);
	make_suspect(1);
	assert_int_equal(picked(0, 0), 4);
	make_suspect(2);
	assert_int_equal(picked(0, 0), 7);
}

static void down_is_picked_after_suspect(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	make_down(0);
	make_suspect(1);
	make_down(2);
	assert_int_equal(picked(0, 0), 2);
	assert_int_equal(picked(2, 0), 5);
}

static void all_down_are_asked_all_the_same(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	make_down(0);
	make_down(1);
	assert_int_equal(picked(0, 0), 3);
}

static void tiers_are_told(void **state)
{
	(void)state;
	make("a b c d e", &policy_spread);
	set_rtt(0, 4000);
	set_rtt(1, 60000);
	make_suspect(2);
	make_down(3);
	drain(4);
	assert_int_equal(pool_tier(&pool, 0), POOL_TIER_UP);
	assert_int_equal(pool_tier(&pool, 1), POOL_TIER_SLOW);
	assert_int_equal(pool_tier(&pool, 2), POOL_TIER_SUSPECT);
	assert_int_equal(pool_tier(&pool, 3), POOL_TIER_DOWN);
	assert_int_equal(pool_tier(&pool, 4), POOL_TIER_DOWN);
	assert_false(pool_is_doubtful(&pool, 0));
	assert_false(pool_is_doubtful(&pool, 1));
	assert_true(pool_is_doubtful(&pool, 2));
	assert_true(pool_is_doubtful(&pool, 3));
	assert_true(pool_is_doubtful(&pool, 4));
}

/* ---- slow */

static void slow_begins_above_twice_the_best_and_20_ms(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	set_rtt(0, 5000);
	set_rtt(1, 2 * 5000 + POOL_SLOW_US);
	set_rtt(2, 2 * 5000 + POOL_SLOW_US + 1);
	assert_int_equal(pool_tier(&pool, 1), POOL_TIER_UP);
	assert_int_equal(pool_tier(&pool, 2), POOL_TIER_SLOW);
	assert_int_equal(picked(0, 0), 3);
}

static void slow_is_picked_before_suspect(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	set_rtt(0, 5000);
	set_rtt(1, 500000);
	make_suspect(2);
	assert_int_equal(picked(1, 0), 2);
	assert_int_equal(picked(3, 0), 4);
}

static void address_of_unknown_rtt_is_not_slow(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	assert_int_equal(picked(0, 0), 7);
	set_rtt(0, 1000);
	assert_int_equal(picked(0, 0), 7);
}

/* What is fast but suspect, down or drained is no measure for those that answer. */
static void best_is_the_best_of_the_healthy(void **state)
{
	(void)state;
	make("a b c d e", &policy_spread);
	for (int i = 0; i < 3; i++)
		set_rtt(i, 1000);
	make_suspect(0);
	make_down(1);
	drain(2);
	set_rtt(3, 100000);
	set_rtt(4, 150000);
	assert_int_equal(pool_tier(&pool, 3), POOL_TIER_UP);
	assert_int_equal(pool_tier(&pool, 4), POOL_TIER_UP);
}

static void ordered_knows_no_slow(void **state)
{
	(void)state;
	make("a b", &policy_ordered);
	set_rtt(0, 900000);
	set_rtt(1, 1000);
	assert_int_equal(picked(0, 0), 1);
	assert_int_equal(pool_tier(&pool, 0), POOL_TIER_UP);
	make_suspect(0);
	assert_int_equal(picked(0, 0), 2);
}

static void nearest_takes_the_least_rtt_of_the_best_kind(void **state)
{
	(void)state;
	make("a b c", &policy_nearest);
	set_rtt(0, 1000);
	set_rtt(1, 9000);
	set_rtt(2, 4000);
	assert_int_equal(picked(0, 0), 1);
	make_suspect(0);
	assert_int_equal(picked(0, 0), 4);
}

static void address_coming_back_gets_a_growing_share(void **state)
{
	unsigned early = 0, late = 0;

	(void)state;
	make("a b", &policy_spread);
	make_down(0);
	health_probe_good(&at(0)->health, &pool.rules, now_us);
	assert_int_equal(health_probe_good(&at(0)->health, &pool.rules, now_us), HEALTH_TO_UP);
	uint64_t up_us = now_us;
	for (int i = 0; i < 2000; i++)
		early += pick(0, 0, false) == 0;
	now_us = up_us + HEALTH_RAMP_US;
	for (int i = 0; i < 2000; i++)
		late += pick(0, 0, false) == 0;
	assert_in_range(early, 150, 300); /* 32 of 288 */
	assert_in_range(late, 900, 1100);
}

/* ---- AZs */

static void another_az_than_the_tried_one_is_preferred(void **state)
{
	(void)state;
	make("a a b b", &policy_spread);
	assert_int_equal(picked(1, 0), 12);
	assert_int_equal(picked(4, 0), 3);
}

static void same_az_is_picked_when_there_is_no_other(void **state)
{
	(void)state;
	make("a a a", &policy_spread);
	assert_int_equal(picked(1, 0), 6);
	assert_int_equal(picked(3, 0), 4);
}

/* Kinds of health come before AZs: a suspect elsewhere is worse than a healthy sibling next door. */
static void healthy_in_the_same_az_comes_before_suspect_in_another(void **state)
{
	(void)state;
	make("a a b", &policy_spread);
	make_suspect(2);
	assert_int_equal(picked(1, 0), 2);
}

static void address_without_an_az_is_a_domain_of_its_own(void **state)
{
	(void)state;
	make("- - -", &policy_spread);
	assert_int_equal(picked(1, 0), 6);
	assert_int_equal(pick(7, 0, true), POOL_NONE);
}

static void preferred_az_is_picked_while_it_is_healthy(void **state)
{
	(void)state;
	make("a b b c", &policy_spread);
	pool.prefer_az = 1;
	assert_int_equal(picked(0, 0), 6);
	make_suspect(1);
	assert_int_equal(picked(0, 0), 4);
	make_suspect(2);
	assert_int_equal(picked(0, 0), 9);
}

static void preferred_az_that_is_slow_is_not_preferred(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	pool.prefer_az = 1;
	set_rtt(0, 1000);
	set_rtt(1, 2 * 1000 + POOL_SLOW_US);
	assert_int_equal(picked(0, 0), 2);
	set_rtt(1, 2 * 1000 + POOL_SLOW_US + 1);
	assert_int_equal(picked(0, 0), 1);
}

static void preferred_az_once_tried_gives_way_to_another(void **state)
{
	(void)state;
	make("a b b", &policy_nearest);
	pool.prefer_az = 1;
	set_rtt(0, 9000);
	set_rtt(1, 1000);
	set_rtt(2, 1000);
	assert_int_equal(picked(2, 0), 1);
}

static void preferred_az_counts_among_the_tried_ones_too(void **state)
{
	(void)state;
	make("a a b b", &policy_spread);
	pool.prefer_az = 1;
	/* One of each AZ was asked: no other AZ is left, so the preferred one comes first. */
	assert_int_equal(picked(1 | 4, 0), 8);
}

static void ordered_knows_no_preferred_az(void **state)
{
	(void)state;
	make("a b", &policy_ordered);
	pool.prefer_az = 1;
	assert_int_equal(picked(0, 0), 1);
}

static void other_az_only_ends_when_all_azs_were_tried(void **state)
{
	(void)state;
	make("a a b b c", &policy_spread);
	for (int i = 0; i < PICKS; i++) {
		int place = pick(1, 0, true);
		assert_in_range(place, 2, 4);
		place = pick(1 | 4, 0, true);
		assert_int_equal(place, 4);
	}
	assert_int_equal(pick(1 | 4 | 16, 0, true), POOL_NONE);
}

static void other_az_only_asks_nobody_a_second_time(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	assert_int_equal(pick(3, 0, true), POOL_NONE);
	assert_int_equal(atomic_load(&pool.spilled), 0);
}

static void other_az_only_takes_even_a_down_address(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	make_down(1);
	assert_int_equal(pick(1, 0, true), 1);
}

/* ---- rounds */

static void each_address_is_tried_once_then_each_once_more(void **state)
{
	uint32_t tried = 0, twice = 0;

	(void)state;
	make("a a b c", &policy_spread);
	for (int i = 0; i < 4; i++) {
		int place = pick(tried, twice, false);
		assert_in_range(place, 0, 3);
		assert_false(tried >> place & 1);
		tried |= 1u << place;
	}
	for (int i = 0; i < 4; i++) {
		int place = pick(tried, twice, false);
		assert_in_range(place, 0, 3);
		assert_false(twice >> place & 1);
		twice |= 1u << place;
	}
	assert_int_equal(pick(tried, twice, false), POOL_NONE);
}

static void second_round_prefers_the_healthy_too(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	make_suspect(0);
	make_down(2);
	assert_int_equal(picked(7, 0), 2);
	assert_int_equal(picked(7, 2), 1);
	assert_int_equal(picked(7, 3), 4);
}

/* ---- drained */

static void drained_address_is_not_picked(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	drain(1);
	assert_int_equal(picked(0, 0), 5);
	make_down(0);
	make_down(2);
	assert_int_equal(picked(0, 0), 5);
	assert_int_equal(picked(5, 0), 5); /* the second round, still without it */
	assert_int_equal(pick(5, 5, false), POOL_NONE);
}

static void nobody_is_picked_when_all_are_drained(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	drain(0);
	drain(1);
	assert_int_equal(pick(0, 0, false), POOL_NONE);
	atomic_store(&at(1)->drained, false);
	assert_int_equal(picked(0, 0), 2);
}

static void nobody_is_picked_from_an_empty_pool(void **state)
{
	(void)state;
	make("", &policy_spread);
	assert_int_equal(pick(0, 0, false), POOL_NONE);
}

static void full_pool_is_picked_from_evenly(void **state)
{
	(void)state;
	make("a b c d e f g h i j k l m n o p q r s t", &policy_spread);
	assert_int_equal(pool.count, POOL_MAX_UPSTREAMS);
	assert_int_equal(picked(0, 0), (1u << POOL_MAX_UPSTREAMS) - 1);
}

/* ---- max-qps */

static void a_second_of_queries_may_come_at_once_and_no_more(void **state)
{
	(void)state;
	make("a", &policy_spread);
	pool.max_qps = 10;
	for (int i = 0; i < 10; i++)
		assert_int_equal(pick(0, 0, false), 0);
	assert_int_equal(pick(0, 0, false), POOL_ABOVE_RATE);
	assert_int_equal(atomic_load(&pool.spilled), 1);
	now_us += 99999;
	assert_int_equal(pick(0, 0, false), POOL_ABOVE_RATE);
	now_us += 1;
	assert_int_equal(pick(0, 0, false), 0);
	assert_int_equal(pick(0, 0, false), POOL_ABOVE_RATE);
}

static void idle_time_is_not_saved_beyond_one_second(void **state)
{
	int taken = 0;

	(void)state;
	make("a", &policy_spread);
	pool.max_qps = 10;
	now_us += 3600 * (uint64_t)US_PER_S;
	while (pool_take_rate(&pool, at(0), now_us))
		taken++;
	assert_int_equal(taken, 10);
	now_us += US_PER_S / 2;
	while (pool_take_rate(&pool, at(0), now_us))
		taken++;
	assert_int_equal(taken, 15);
}

static void rate_holds_exactly_over_a_minute(void **state)
{
	static const uint32_t qps[] = {1, 3, 7, 1000, 10000};
	uint64_t taken;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(qps); i++) {
		make("a", &policy_spread);
		pool.max_qps = qps[i];
		taken = 0;
		for (int step = 0; step < 60 * 200; step++) {
			while (pool_take_rate(&pool, at(0), now_us))
				taken++;
			now_us += 5 * US_PER_MS;
		}
		assert_in_range(taken, 60 * (uint64_t)qps[i], 61 * (uint64_t)qps[i]);
		end(NULL);
	}
}

static void largest_max_qps_is_within_the_clock_of_the_rate(void **state)
{
	uint32_t taken = 0;

	(void)state;
	make("a", &policy_spread);
	pool.max_qps = 10000000;
	while (pool_take_rate(&pool, at(0), now_us))
		taken++;
	assert_int_equal(taken, 10000000);
}

static void address_above_its_rate_is_passed_over(void **state)
{
	(void)state;
	make("a b", &policy_nearest);
	pool.max_qps = 10;
	set_rtt(0, 1000);
	set_rtt(1, 2000);
	for (int i = 0; i < 10; i++)
		assert_int_equal(pick(0, 0, false), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(pick(0, 0, false), 1);
	assert_int_equal(pick(0, 0, false), POOL_ABOVE_RATE);
	assert_int_equal(atomic_load(&pool.spilled), 1);
}

static void rate_passes_over_to_slower_kinds_and_tried_azs(void **state)
{
	(void)state;
	make("a a b", &policy_nearest);
	pool.max_qps = 1;
	pool.prefer_az = 0;
	set_rtt(0, 1000);
	set_rtt(1, 900000);
	make_suspect(2);
	assert_int_equal(pick(0, 0, false), 0);
	assert_int_equal(pick(0, 0, false), 1);
	assert_int_equal(pick(0, 0, false), 2);
	assert_int_equal(pick(0, 0, false), POOL_ABOVE_RATE);
}

/* Nothing left to try is not the rate's fault, nor may it be reported as such. */
static void nothing_to_try_is_told_from_rate(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	pool.max_qps = 1;
	pick(0, 0, false);
	pick(0, 0, false);
	assert_int_equal(pick(3, 3, false), POOL_NONE);
	assert_int_equal(pick(3, 0, true), POOL_NONE);
	assert_int_equal(pick(1, 0, false), POOL_ABOVE_RATE);
	assert_int_equal(atomic_load(&pool.spilled), 1);
}

static void pick_that_fails_takes_no_token(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	pool.max_qps = 5;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pick(3, 3, false), POOL_NONE);
		assert_int_equal(pick(3, 0, true), POOL_NONE);
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(pick(0, 0, false), 0, 1); /* all are left */
}

/* ---- hedging */

static void bucket_of_hedges_holds_twenty_and_refills_a_tenth_a_query(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	pool.hedge_tokens_pm = POOL_HEDGE_BUCKET * 1000;
	for (int i = 0; i < 20; i++)
		assert_true(pool_spend_hedge(&pool));
	assert_false(pool_spend_hedge(&pool));
	for (int i = 0; i < 9; i++)
		pool_earn_hedge(&pool);
	assert_false(pool_spend_hedge(&pool));
	pool_earn_hedge(&pool);
	assert_true(pool_spend_hedge(&pool));
	assert_false(pool_spend_hedge(&pool));
	for (int i = 0; i < 1000; i++)
		pool_earn_hedge(&pool);
	assert_int_equal(atomic_load(&pool.hedge_tokens_pm), POOL_HEDGE_BUCKET * 1000);
}

static void bucket_that_is_almost_full_does_not_overflow(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	pool.hedge_budget_pm = 1000;
	pool.hedge_tokens_pm = POOL_HEDGE_BUCKET * 1000 - 1;
	pool_earn_hedge(&pool);
	assert_int_equal(atomic_load(&pool.hedge_tokens_pm), POOL_HEDGE_BUCKET * 1000);
}

static void budget_that_is_off_never_refills(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	pool.hedge_budget_pm = 0;
	for (int i = 0; i < 1000; i++)
		pool_earn_hedge(&pool);
	assert_false(pool_spend_hedge(&pool));
}

static void hedge_delay_is_of_the_rtt_the_file_or_never(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	set_rtt(0, 20000);
	assert_int_equal(pool_hedge_delay_us(&pool, 0), 60000);
	assert_int_equal(pool_hedge_delay_us(&pool, 1), RTT_UNKNOWN_HEDGE_US);
	pool.hedge_us = 35000;
	assert_int_equal(pool_hedge_delay_us(&pool, 0), 35000);
	assert_int_equal(pool_hedge_delay_us(&pool, 1), 35000);
	pool.hedge_us = 0;
	assert_true(pool_hedge_delay_us(&pool, 0) == UINT64_MAX);
}

/* ---- outages */

static void pool_is_closed_once_and_opened_once(void **state)
{
	(void)state;
	make("a b", &policy_spread);
	assert_false(pool_open(&pool, 0, now_us));
	assert_int_equal(pool.outage, 0);
	assert_true(pool_close(&pool));
	assert_true(pool.down);
	assert_int_equal(pool.outage, 1);
	assert_false(pool_close(&pool));
	assert_int_equal(pool.outage, 1);
	assert_true(pool_open(&pool, 0, now_us));
	assert_false(pool.down);
	assert_int_not_equal(pool.outage, 1);
	assert_false(pool_open(&pool, 1, now_us));
	assert_int_equal(pool.outages, 1);
	for (int i = 0; i < 2; i++)
		atomic_store(&at(i)->drained, true);
	assert_true(pool_is_drained(&pool) && pool_close(&pool));
	assert_int_equal(pool.outages, 1); /* what is done by hand is no outage */
}

static void opening_voids_what_the_outage_left_behind(void **state)
{
	(void)state;
	make("a b c", &policy_spread);
	for (int i = 0; i < 3; i++)
		make_down(i);
	pool_close(&pool);
	pool_open(&pool, 1, now_us);
	assert_int_equal(health_state(&at(0)->health), HEALTH_SUSPECT);
	assert_int_equal(health_state(&at(1)->health), HEALTH_UP);
	assert_int_equal(health_state(&at(2)->health), HEALTH_SUSPECT);
	assert_int_equal(picked(0, 0), 2);
	assert_int_equal(health_probe_good(&at(0)->health, &pool.rules, now_us), HEALTH_TO_UP);
	assert_int_equal(picked(0, 0), 3);
}

static void each_outage_has_a_number_of_its_own(void **state)
{
	uint16_t last;

	(void)state;
	make("a", &policy_spread);
	for (int i = 0; i < 100; i++) {
		last = pool.outage;
		pool_close(&pool);
		assert_int_not_equal(pool.outage, last);
		last = pool.outage;
		pool_open(&pool, 0, now_us);
		assert_int_not_equal(pool.outage, last);
	}
}

static void pool_is_steady_again_ten_seconds_after_an_outage(void **state)
{
	(void)state;
	make("a", &policy_spread);
	assert_true(pool_is_steady(&pool, now_us)); /* no outage yet: no waiting at the start */
	pool_close(&pool);
	assert_false(pool_is_steady(&pool, now_us));
	now_us += 3600 * (uint64_t)US_PER_S;
	assert_false(pool_is_steady(&pool, now_us));
	pool_open(&pool, 0, now_us);
	assert_false(pool_is_steady(&pool, now_us));
	assert_false(pool_is_steady(&pool, now_us + POOL_RETURN_US - 1));
	assert_true(pool_is_steady(&pool, now_us + POOL_RETURN_US));
	pool_close(&pool);
	assert_false(pool_is_steady(&pool, now_us + POOL_RETURN_US));
}

/* ---- upstreams */

static void upstream_lives_until_its_last_reference(void **state)
{
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse(&a, "10.10.1.10:5353", 53), 0);
	struct upstream *u = upstream_new(&a, 7);
	assert_non_null(u);
	assert_int_equal(u->id, 7);
	assert_string_equal(u->text, "10.10.1.10:5353");
	assert_true(addr_equal(&u->addr, &a));
	assert_int_equal(health_state(&u->health), HEALTH_UP);
	assert_ptr_equal(upstream_ref(u), u);
	upstream_unref(u);
	assert_int_equal(u->id, 7);
	upstream_unref(u);
}

static void counts_of_all_threads_are_summed(void **state)
{
	(void)state;
	make("a", &policy_spread);
	for (int c = 0; c < UPSTREAM_COUNTERS; c++)
		assert_int_equal(upstream_counted(at(0), (enum upstream_counter)c), 0);
	for (uint32_t thread = 0; thread < POOL_MAX_THREADS; thread++)
		upstream_count(at(0), thread, UPSTREAM_QUERIES);
	upstream_count(at(0), 3, UPSTREAM_TIMEOUTS);
	assert_int_equal(upstream_counted(at(0), UPSTREAM_QUERIES), POOL_MAX_THREADS);
	assert_int_equal(upstream_counted(at(0), UPSTREAM_TIMEOUTS), 1);
	assert_int_equal(upstream_counted(at(0), UPSTREAM_ANSWERS), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_healthy_address_is_picked),
		TEST(suspect_is_picked_only_when_nobody_healthy_is_left),
		TEST(down_is_picked_after_suspect),
		TEST(all_down_are_asked_all_the_same),
		TEST(tiers_are_told),
		TEST(slow_begins_above_twice_the_best_and_20_ms),
		TEST(slow_is_picked_before_suspect),
		TEST(address_of_unknown_rtt_is_not_slow),
		TEST(best_is_the_best_of_the_healthy),
		TEST(ordered_knows_no_slow),
		TEST(nearest_takes_the_least_rtt_of_the_best_kind),
		TEST(address_coming_back_gets_a_growing_share),
		TEST(another_az_than_the_tried_one_is_preferred),
		TEST(same_az_is_picked_when_there_is_no_other),
		TEST(healthy_in_the_same_az_comes_before_suspect_in_another),
		TEST(address_without_an_az_is_a_domain_of_its_own),
		TEST(preferred_az_is_picked_while_it_is_healthy),
		TEST(preferred_az_that_is_slow_is_not_preferred),
		TEST(preferred_az_once_tried_gives_way_to_another),
		TEST(preferred_az_counts_among_the_tried_ones_too),
		TEST(ordered_knows_no_preferred_az),
		TEST(other_az_only_ends_when_all_azs_were_tried),
		TEST(other_az_only_asks_nobody_a_second_time),
		TEST(other_az_only_takes_even_a_down_address),
		TEST(each_address_is_tried_once_then_each_once_more),
		TEST(second_round_prefers_the_healthy_too),
		TEST(drained_address_is_not_picked),
		TEST(nobody_is_picked_when_all_are_drained),
		TEST(nobody_is_picked_from_an_empty_pool),
		TEST(full_pool_is_picked_from_evenly),
		TEST(a_second_of_queries_may_come_at_once_and_no_more),
		TEST(idle_time_is_not_saved_beyond_one_second),
		TEST(rate_holds_exactly_over_a_minute),
		TEST(largest_max_qps_is_within_the_clock_of_the_rate),
		TEST(address_above_its_rate_is_passed_over),
		TEST(rate_passes_over_to_slower_kinds_and_tried_azs),
		TEST(nothing_to_try_is_told_from_rate),
		TEST(pick_that_fails_takes_no_token),
		TEST(bucket_of_hedges_holds_twenty_and_refills_a_tenth_a_query),
		TEST(bucket_that_is_almost_full_does_not_overflow),
		TEST(budget_that_is_off_never_refills),
		TEST(hedge_delay_is_of_the_rtt_the_file_or_never),
		TEST(pool_is_closed_once_and_opened_once),
		TEST(opening_voids_what_the_outage_left_behind),
		TEST(each_outage_has_a_number_of_its_own),
		TEST(pool_is_steady_again_ten_seconds_after_an_outage),
		TEST(upstream_lives_until_its_last_reference),
		TEST(counts_of_all_threads_are_summed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
