/* SPDX-License-Identifier: Apache-2.0 */
#include "server/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const char conf[] = "inbound-endpoints:\n"
			   "  a: {addresses: [192.0.2.1, 192.0.2.2]}\n"
			   "  b: {addresses: [192.0.2.3]}\n"
			   "zones: [{name: x.test, to: [a, b]}]\n"
			   "local-upstreams: [192.0.2.9]\n";
static const char without_a[] = "inbound-endpoints:\n"
				"  b: {addresses: [192.0.2.3, 192.0.2.5]}\n"
				"zones: [{name: x.test, to: b}]\n"
				"local-upstreams: [192.0.2.9]\n";

static struct snapshot *load(const char *text, struct snapshot *previous)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	diagnostics_deinit(&d);
	assert_non_null(c);
	struct snapshot *s = snapshot_new(c, NULL, previous);
	assert_non_null(s);
	return s;
}

static struct upstream *at(const struct snapshot *s, size_t pool, int place)
{
	return s->pools[pool].places[place].upstream;
}

static void samples_are_five_seconds_apart(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct history *h = history_new();
	uint32_t rtt_us[HISTORY_SAMPLES];

	(void)state;
	assert_int_equal(history_of(h, at(s, 1, 0), rtt_us), 0);
	for (uint64_t second = 100; second < 111; second++) {
		at(s, 1, 0)->rtt = (struct rtt){0};
		rtt_sample(&at(s, 1, 0)->rtt, 1000 * second);
		history_sample(h, s, second * US_PER_S);
	}
	assert_int_equal(history_of(h, at(s, 1, 0), rtt_us), 3);
	assert_int_equal(rtt_us[0], 100000);
	assert_int_equal(rtt_us[1], 105000);
	assert_int_equal(rtt_us[2], 110000);
	assert_int_equal(history_of(h, at(s, 1, 1), rtt_us), 3);
	assert_int_equal(rtt_us[2], 0);
	history_free(h);
	snapshot_unref(s);
}

static void only_the_last_five_minutes_are_kept(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct history *h = history_new();
	uint32_t rtt_us[HISTORY_SAMPLES];

	(void)state;
	for (uint64_t i = 1; i <= 2 * HISTORY_SAMPLES + 7; i++) {
		at(s, 2, 0)->rtt = (struct rtt){0};
		rtt_sample(&at(s, 2, 0)->rtt, i);
		history_sample(h, s, i * HISTORY_EVERY_US);
	}
	assert_int_equal(history_of(h, at(s, 2, 0), rtt_us), HISTORY_SAMPLES);
	for (uint32_t i = 0; i < HISTORY_SAMPLES; i++)
		assert_int_equal(rtt_us[i], HISTORY_SAMPLES + 8 + i);
	history_free(h);
	snapshot_unref(s);
}

static void what_cannot_be_used_leaves_a_gap(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct history *h = history_new();
	uint32_t rtt_us[HISTORY_SAMPLES];

	(void)state;
	rtt_sample(&at(s, 1, 0)->rtt, 4000);
	rtt_sample(&at(s, 2, 0)->rtt, 5000);
	history_sample(h, s, HISTORY_EVERY_US);
	assert_true(pool_close(&s->pools[1]));
	history_sample(h, s, 2 * HISTORY_EVERY_US);
	assert_int_equal(history_of(h, at(s, 1, 0), rtt_us), 2);
	assert_int_equal(rtt_us[0], 4000);
	assert_int_equal(rtt_us[1], 0);
	assert_int_equal(history_of(h, at(s, 2, 0), rtt_us), 2);
	assert_int_equal(rtt_us[1], 5000);
	history_free(h);
	snapshot_unref(s);
}

static void addresses_that_stay_keep_their_history_through_a_reload(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct history *h = history_new();
	uint32_t rtt_us[HISTORY_SAMPLES];

	(void)state;
	rtt_sample(&at(s, 2, 0)->rtt, 5000);
	history_sample(h, s, HISTORY_EVERY_US);
	struct snapshot *next = load(without_a, s);
	snapshot_unref(s);
	history_sample(h, next, 2 * HISTORY_EVERY_US);
	assert_int_equal(history_of(h, at(next, 1, 0), rtt_us), 2);
	assert_int_equal(rtt_us[0], 5000);
	assert_int_equal(history_of(h, at(next, 1, 1), rtt_us), 1);
	history_free(h);
	snapshot_unref(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_five_seconds_apart),
		cmocka_unit_test(only_the_last_five_minutes_are_kept),
		cmocka_unit_test(what_cannot_be_used_leaves_a_gap),
		cmocka_unit_test(addresses_that_stay_keep_their_history_through_a_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
