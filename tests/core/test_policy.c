/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of core/policy.h, asked of every row of tables/policies.def, and what each row promises besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/health.h"
#include "core/policy.h"

enum { MOST = 32, VIEWS = 10000, DRAWS = 200000 };

static const struct {
	const char *name;
	const struct policy *policy;
} rows[] = {
#define POLICY(value, name, unit, help) {name, &policy_##unit},
#include "tables/policies.def"
#undef POLICY
};

struct sample {
	struct policy_view view;
	uint32_t rtt_us[MOST], share[MOST];
};

static uint32_t draw(void)
{
	return (uint32_t)rand() << 17 ^ (uint32_t)rand();
}

/* `count` addresses, all eligible, RTT 4 ms, with their full share. */
static void make_even(struct sample *s, uint32_t count)
{
	for (uint32_t i = 0; i < MOST; i++) {
		s->rtt_us[i] = 4000;
		s->share[i] = HEALTH_FULL_SHARE;
	}
	s->view = (struct policy_view){.eligible = (uint32_t)((1ull << count) - 1), .count = count, .rtt_us = s->rtt_us, .share = s->share};
}

static void make_random(struct sample *s)
{
	uint32_t count = 1 + draw() % MOST, all = (uint32_t)((1ull << count) - 1);

	make_even(s, count);
	do
		s->view.eligible = draw() & (draw() % 2 ? draw() : UINT32_MAX) & all;
	while (s->view.eligible == 0);
	for (uint32_t i = 0; i < count; i++) {
		s->rtt_us[i] = draw() % 4 == 0 ? 0 : draw() % 2 ? draw() % 50000 : draw();
		s->share[i] = draw() % 2 ? HEALTH_FULL_SHARE : 1 + draw() % HEALTH_FULL_SHARE;
	}
}

/* How often each of `count` addresses is picked in DRAWS draws. */
static void tally(const struct policy *policy, const struct sample *s, unsigned picks[MOST])
{
	for (uint32_t i = 0; i < MOST; i++)
		picks[i] = 0;
	for (int i = 0; i < DRAWS; i++)
		picks[policy->pick(&s->view, draw())]++;
}

/* ---- every row */

static void only_eligible_addresses_are_picked(void **state)
{
	static const uint32_t edges[] = {0, 1, HEALTH_FULL_SHARE - 1, HEALTH_FULL_SHARE, UINT32_MAX - 1, UINT32_MAX};
	struct sample s;

	(void)state;
	srand(1);
	for (int n = 0; n < VIEWS; n++) {
		make_random(&s);
		for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
			uint32_t i = rows[row].policy->pick(&s.view, n % 2 ? edges[(uint32_t)n / 2 % ARRAY_SIZE(edges)] : draw());
			if (i >= s.view.count || !(s.view.eligible >> i & 1))
				fail_msg("%s picked %u of %u, eligible %08x", rows[row].name, i, s.view.count, s.view.eligible);
		}
	}
}

static void same_view_and_number_make_the_same_pick(void **state)
{
	struct sample s, copy;
	uint32_t first[ARRAY_SIZE(rows)];

	(void)state;
	srand(2);
	for (int n = 0; n < VIEWS; n++) {
		make_random(&s);
		uint32_t random = draw();
		for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
			first[row] = rows[row].policy->pick(&s.view, random);
		/* Elsewhere in memory, after other picks: no state, no addresses in the decision. */
		copy = s;
		copy.view.rtt_us = copy.rtt_us;
		copy.view.share = copy.share;
		for (size_t row = ARRAY_SIZE(rows); row-- > 0;)
			assert_int_equal(rows[row].policy->pick(&copy.view, random), first[row]);
	}
}

static void the_only_address_is_picked_however_small_its_share(void **state)
{
	struct sample s;

	(void)state;
	srand(3);
	for (uint32_t only = 0; only < MOST; only++) {
		make_even(&s, MOST);
		s.view.eligible = 1u << only;
		s.share[only] = 1;
		for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
			for (int n = 0; n < 50; n++)
				assert_int_equal(rows[row].policy->pick(&s.view, draw()), only);
	}
}

/* Every row gives an address that comes back an eighth of what it would have with its full share, no more. */
static void address_coming_back_gets_its_share_and_no_more(void **state)
{
	struct sample s;
	unsigned full[MOST], ramp[MOST];

	(void)state;
	srand(4);
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
		make_even(&s, 3);
		s.rtt_us[0] = 1000; /* the favourite of all */
		tally(rows[row].policy, &s, full);
		s.share[0] = HEALTH_FIRST_SHARE;
		tally(rows[row].policy, &s, ramp);
		double wanted = (double)full[0] * HEALTH_FIRST_SHARE / HEALTH_FULL_SHARE;
		/* By lot the others gain, so the whole is less: 32 of 544 instead of 32 of 768. */
		assert_true(ramp[0] > wanted * 0.9 && ramp[0] < wanted * 1.5);
		assert_int_equal(ramp[0] + ramp[1] + ramp[2], DRAWS);
	}
}

static void full_house_of_addresses_is_handled(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, MOST);
	assert_int_equal(s.view.eligible, UINT32_MAX);
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
		assert_in_range(rows[row].policy->pick(&s.view, 0), 0, MOST - 1);
		assert_in_range(rows[row].policy->pick(&s.view, UINT32_MAX), 0, MOST - 1);
	}
}

/* ---- taking part */

static void shares_decide_who_takes_part(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 3);
	s.share[1] = 100;
	assert_int_equal(policy_take_part(&s.view, 99), 7);
	assert_int_equal(policy_take_part(&s.view, 100), 5);
	assert_int_equal(policy_take_part(&s.view, HEALTH_FULL_SHARE + 99), 7);
	s.view.eligible = 2;
	assert_int_equal(policy_take_part(&s.view, 255), 2);
	s.view.eligible = 6;
	assert_int_equal(policy_take_part(&s.view, 255), 4);
}

static void all_take_part_when_all_are_coming_back(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 4);
	for (int i = 0; i < 4; i++)
		s.share[i] = 32;
	assert_int_equal(policy_take_part(&s.view, 200), 15);
	assert_int_equal(policy_take_part(&s.view, 3), 15);
}

/* ---- spread */

static void spread_is_even_within_five_percent(void **state)
{
	struct sample s;
	unsigned picks[MOST];

	(void)state;
	srand(5);
	for (uint32_t count = 1; count <= 20; count++) {
		make_even(&s, count);
		tally(&policy_spread, &s, picks);
		for (uint32_t i = 0; i < count; i++) {
			/* At 20 addresses five standard deviations of the lot itself. */
			double even = (double)DRAWS / count;
			assert_true(picks[i] > even * 0.95 && picks[i] < even * 1.05);
		}
	}
}

static void spread_weighs_by_share_and_not_by_rtt(void **state)
{
	struct sample s;
	unsigned picks[MOST];

	(void)state;
	srand(6);
	make_even(&s, 3);
	s.rtt_us[0] = 1;
	s.share[2] = HEALTH_FULL_SHARE / 2;
	tally(&policy_spread, &s, picks);
	assert_in_range(picks[0], DRAWS * 39 / 100, DRAWS * 41 / 100);
	assert_in_range(picks[1], DRAWS * 39 / 100, DRAWS * 41 / 100);
	assert_in_range(picks[2], DRAWS * 19 / 100, DRAWS * 21 / 100);
}

static void spread_reaches_the_last_address_with_the_largest_number(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 20);
	assert_int_equal(policy_spread.pick(&s.view, 0), 0);
	assert_int_equal(policy_spread.pick(&s.view, UINT32_MAX), 19);
	s.share[19] = 1;
	assert_int_equal(policy_spread.pick(&s.view, UINT32_MAX), 19);
}

/* ---- nearest */

static void nearest_picks_the_least_rtt(void **state)
{
	struct sample s;

	(void)state;
	srand(7);
	for (int n = 0; n < 1000; n++) {
		make_random(&s);
		for (uint32_t i = 0; i < s.view.count; i++)
			s.share[i] = HEALTH_FULL_SHARE;
		uint32_t i = policy_nearest.pick(&s.view, draw());
		for (uint32_t k = 0; k < s.view.count; k++)
			if (s.view.eligible >> k & 1)
				assert_true(s.rtt_us[i] <= s.rtt_us[k]);
	}
}

static void nearest_asks_an_unknown_address_first_to_learn_its_rtt(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 3);
	s.rtt_us[0] = 10;
	s.rtt_us[2] = 0;
	assert_int_equal(policy_nearest.pick(&s.view, 77), 2);
}

static void nearest_passes_over_one_that_is_coming_back_most_of_the_time(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 3);
	s.rtt_us[0] = 1000;
	s.rtt_us[2] = 2000;
	s.share[0] = HEALTH_FIRST_SHARE;
	assert_int_equal(policy_nearest.pick(&s.view, HEALTH_FIRST_SHARE - 1), 0);
	assert_int_equal(policy_nearest.pick(&s.view, HEALTH_FIRST_SHARE), 2);
}

/* ---- ordered */

static void ordered_picks_the_first_whatever_the_rtt(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 4);
	s.rtt_us[0] = 900000;
	assert_int_equal(policy_ordered.pick(&s.view, 12345), 0);
	s.view.eligible = 12;
	assert_int_equal(policy_ordered.pick(&s.view, 12345), 2);
}

static void ordered_lets_the_second_help_while_the_first_comes_back(void **state)
{
	struct sample s;

	(void)state;
	make_even(&s, 2);
	s.share[0] = HEALTH_FIRST_SHARE;
	assert_int_equal(policy_ordered.pick(&s.view, HEALTH_FIRST_SHARE - 1), 0);
	assert_int_equal(policy_ordered.pick(&s.view, HEALTH_FIRST_SHARE), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_eligible_addresses_are_picked),
		cmocka_unit_test(same_view_and_number_make_the_same_pick),
		cmocka_unit_test(the_only_address_is_picked_however_small_its_share),
		cmocka_unit_test(address_coming_back_gets_its_share_and_no_more),
		cmocka_unit_test(full_house_of_addresses_is_handled),
		cmocka_unit_test(shares_decide_who_takes_part),
		cmocka_unit_test(all_take_part_when_all_are_coming_back),
		cmocka_unit_test(spread_is_even_within_five_percent),
		cmocka_unit_test(spread_weighs_by_share_and_not_by_rtt),
		cmocka_unit_test(spread_reaches_the_last_address_with_the_largest_number),
		cmocka_unit_test(nearest_picks_the_least_rtt),
		cmocka_unit_test(nearest_asks_an_unknown_address_first_to_learn_its_rtt),
		cmocka_unit_test(nearest_passes_over_one_that_is_coming_back_most_of_the_time),
		cmocka_unit_test(ordered_picks_the_first_whatever_the_rtt),
		cmocka_unit_test(ordered_lets_the_second_help_while_the_first_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
