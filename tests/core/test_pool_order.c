/* SPDX-License-Identifier: Apache-2.0 */
/* The order that is told is the order that is done. */
#include "core/pool_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

enum { ROUNDS = 20000 };

static const uint64_t now_us = 1000 * (uint64_t)US_PER_S;

static struct pool pool;
static struct pool_step steps[POOL_MAX_UPSTREAMS];

/* Places by the letters of their AZs: "aab" are three addresses in two AZs. */
static void make(const char *azs, const struct policy *policy)
{
	memset(&pool, 0, sizeof(pool));
	pool.policy = policy;
	pool.rules = (struct health_rules){.fall = 3, .rise = 2};
	pool.max_qps = 1000;
	pool.prefer_az = -1;
	for (; *azs != '\0'; azs++) {
		struct addr a;
		char text[32];
		snprintf(text, sizeof(text), "10.10.1.%u", 10u + pool.count);
		assert_int_equal(addr_parse(&a, text, 53), 0);
		struct pool_place *p = &pool.places[pool.count];
		p->upstream = upstream_new(&a, pool.count);
		assert_non_null(p->upstream);
		p->az_index = (uint8_t)(*azs - 'a');
		rtt_sample(&p->upstream->rtt, 4000u + 1000u * pool.count);
		pool.count++;
	}
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

static void make_suspect(int place)
{
	health_never(&at(place)->health, &pool.rules, 1, now_us);
}

static void make_down(int place)
{
	for (int i = 0; i < 3; i++)
		health_probe_bad(&at(place)->health, &pool.rules, true, 0, now_us);
}

static void spend_rate(int place)
{
	while (pool_take_rate(&pool, at(place), now_us))
		;
}

/* The order as digits; "|" stands before those that are not asked. */
static const char *order(uint32_t random)
{
	static char text[2 * POOL_MAX_UPSTREAMS];
	int asked = pool_order(&pool, random, now_us, steps);
	struct strbuf s;

	strbuf_init(&s, text, sizeof(text));
	for (int i = 0; i < pool.count; i++)
		strbuf_addf(&s, "%s%d", i == asked ? "|" : "", steps[i].place);
	return text;
}

static void ordered_is_the_file_but_other_azs_come_first(void **state)
{
	(void)state;
	make("aab", &policy_ordered);
	assert_string_equal(order(0), "021");
	assert_false(steps[1].same_az);
	assert_true(steps[2].same_az);
	assert_int_equal(steps[0].alike, 3);
	assert_int_equal(steps[0].share_pm, 1000);
}

static void the_preferred_az_comes_first_and_says_so(void **state)
{
	(void)state;
	make("abc", &policy_nearest);
	pool.prefer_az = 2;
	assert_string_equal(order(0), "201");
	assert_true(steps[0].preferred);
	assert_int_equal(steps[0].alike, 1);
	assert_false(steps[1].preferred);
}

static void lots_are_told_as_shares(void **state)
{
	(void)state;
	make("abcd", &policy_spread);
	assert_string_equal(order(0), "0123");
	assert_string_equal(order(UINT32_MAX), "3210");
	assert_int_equal(steps[0].alike, 4);
	assert_int_equal(steps[0].share_pm, 250);
	assert_int_equal(steps[3].share_pm, 1000);
}

static void health_goes_before_everything_else(void **state)
{
	(void)state;
	make("abcd", &policy_ordered);
	pool.prefer_az = 0;
	make_down(0);
	make_suspect(1);
	assert_string_equal(order(0), "2310");
	assert_int_equal(steps[2].tier, POOL_TIER_SUSPECT);
	assert_int_equal(steps[3].tier, POOL_TIER_DOWN);
}

static void who_is_not_asked_stands_behind_and_why(void **state)
{
	(void)state;
	make("abcd", &policy_ordered);
	atomic_store(&at(0)->drained, true);
	spend_rate(1);
	assert_string_equal(order(0), "23|10");
	assert_true(steps[2].above_rate);
	assert_false(steps[2].drained);
	assert_true(steps[3].drained);
	assert_false(steps[3].above_rate);
	assert_int_equal(steps[3].alike, 0);
}

static void looking_takes_no_token(void **state)
{
	(void)state;
	make("ab", &policy_spread);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(pool_order(&pool, (uint32_t)rand(), now_us, steps), 2);
	assert_false(pool_is_above_rate(&pool, at(0), now_us));
	unsigned taken = 0;
	while (pool_take_rate(&pool, at(0), now_us))
		taken++;
	assert_in_range(taken, 999, 1001);
	assert_true(pool_is_above_rate(&pool, at(0), now_us));
	assert_false(pool_is_above_rate(&pool, at(0), now_us + US_PER_S));
}

static void an_empty_pool_has_no_order(void **state)
{
	(void)state;
	make("", &policy_spread);
	assert_int_equal(pool_order(&pool, 0, now_us, steps), 0);
}

/* A pool in any state: pool_pick with the same lots goes the same way, step by step, and then says that nothing is left. */
static void the_order_told_is_the_order_done(void **state)
{
	static const struct policy *const policies[] = {&policy_spread, &policy_nearest, &policy_ordered};

	for (int round = 0; round < ROUNDS; round++) {
		char azs[9] = "";
		int count = 1 + rand() % 8;
		for (int i = 0; i < count; i++)
			azs[i] = (char)('a' + rand() % 4);
		make(azs, policies[rand() % 3]);
		pool.max_qps = 1000000;
		pool.prefer_az = rand() % 5 - 1;
		for (int i = 0; i < count; i++) {
			int what = rand() % 8;
			if (what == 0)
				make_suspect(i);
			else if (what == 1)
				make_down(i);
			else if (what == 2)
				atomic_store(&at(i)->drained, true);
			else if (what == 3)
				rtt_sample(&at(i)->rtt, 900000);
		}
		struct pool_wish wish = {.random = (uint32_t)rand() << 17 ^ (uint32_t)rand(), .now_us = now_us};
		int asked = pool_order(&pool, wish.random, now_us, steps);
		wish.tried_twice = (1u << count) - 1;
		for (int i = 0; i < asked; i++) {
			assert_int_equal(pool_pick(&pool, &wish), steps[i].place);
			wish.tried |= 1u << steps[i].place;
		}
		assert_int_equal(pool_pick(&pool, &wish), POOL_NONE);
		end(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(ordered_is_the_file_but_other_azs_come_first, end),
		cmocka_unit_test_teardown(the_preferred_az_comes_first_and_says_so, end),
		cmocka_unit_test_teardown(lots_are_told_as_shares, end),
		cmocka_unit_test_teardown(health_goes_before_everything_else, end),
		cmocka_unit_test_teardown(who_is_not_asked_stands_behind_and_why, end),
		cmocka_unit_test_teardown(looking_takes_no_token, end),
		cmocka_unit_test_teardown(an_empty_pool_has_no_order, end),
		cmocka_unit_test_teardown(the_order_told_is_the_order_done, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
