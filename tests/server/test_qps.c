/* SPDX-License-Identifier: Apache-2.0 */
#include "server/qps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const char conf[] = "inbound-endpoints:\n"
			   "  a: {addresses: [192.0.2.1, 192.0.2.2]}\n"
			   "  b: {addresses: [192.0.2.3, 192.0.2.4]}\n"
			   "zones: [{name: x.test, to: [a, b]}]\n"
			   "local-upstreams: [192.0.2.9]\n";
static const char without_a[] = "inbound-endpoints:\n"
				"  b: {addresses: [192.0.2.4, 192.0.2.5]}\n"
				"zones: [{name: x.test, to: b}]\n"
				"local-upstreams: [192.0.2.9]\n";

/* Of so many queries every tenth is answered stale. */
#define TOTALS(queries) ((const uint64_t[QPS_TOTALS]){[QPS_QUERIES] = (queries), [QPS_STALE] = (queries) / 10})

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

static void ask(struct upstream *u, unsigned times)
{
	while (times-- > 0)
		upstream_count(u, times % 2, UPSTREAM_QUERIES);
}

static void rates_are_of_the_last_five_seconds(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct qps *q = qps_new();
	uint64_t now_us = 77 * US_PER_S, queries = 1000;

	(void)state;
	assert_true(qps_of(q, at(s, 1, 0)) == 0 && qps_total(q, QPS_QUERIES) == 0);
	qps_sample(q, s, TOTALS(queries), now_us);
	assert_true(qps_of(q, at(s, 1, 0)) == 0 && qps_total(q, QPS_QUERIES) == 0);
	for (unsigned second = 1; second <= 20; second++) {
		unsigned now = second <= 10 ? 10 : 50;
		ask(at(s, 1, 0), now);
		ask(at(s, 2, 1), 2 * now);
		queries += 3 * now;
		now_us += US_PER_S;
		qps_sample(q, s, TOTALS(queries), now_us);
		if (second == 10)
			assert_true(qps_of(q, at(s, 1, 0)) == 10 && qps_of(q, at(s, 2, 1)) == 20 && qps_total(q, QPS_QUERIES) == 30);
		if (second == 12)
			assert_true(qps_of(q, at(s, 1, 0)) == (3 * 10 + 2 * 50) / 5.0);
	}
	assert_true(qps_of(q, at(s, 1, 0)) == 50 && qps_of(q, at(s, 2, 1)) == 100 && qps_total(q, QPS_QUERIES) == 150);
	assert_true(qps_total(q, QPS_STALE) == 15);
	assert_true(qps_of(q, at(s, 1, 1)) == 0);
	qps_free(q);
	snapshot_unref(s);
}

static void late_samples_count_by_their_time(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct qps *q = qps_new();

	(void)state;
	qps_sample(q, s, TOTALS(0), 0);
	qps_sample(q, s, TOTALS(100), 4 * US_PER_S);
	assert_true(qps_total(q, QPS_QUERIES) == 25);
	qps_sample(q, s, TOTALS(100), 4 * US_PER_S);
	assert_true(qps_total(q, QPS_QUERIES) == 25);
	qps_free(q);
	snapshot_unref(s);
}

static void a_reload_keeps_the_rate_of_addresses_that_stay(void **state)
{
	struct snapshot *s = load(conf, NULL);
	struct qps *q = qps_new();

	(void)state;
	qps_sample(q, s, TOTALS(0), 0);
	ask(at(s, 2, 1), 40);
	qps_sample(q, s, TOTALS(0), US_PER_S);
	struct snapshot *next = load(without_a, s);
	snapshot_unref(s);
	assert_true(qps_of(q, at(next, 1, 0)) == 40); /* known by what it is, not by where it stands */
	qps_sample(q, next, TOTALS(0), 2 * US_PER_S);
	assert_true(qps_of(q, at(next, 1, 0)) == 20);
	assert_true(qps_of(q, at(next, 1, 1)) == 0);
	qps_free(q);
	snapshot_unref(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_of_the_last_five_seconds),
		cmocka_unit_test(late_samples_count_by_their_time),
		cmocka_unit_test(a_reload_keeps_the_rate_of_addresses_that_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
