/* SPDX-License-Identifier: Apache-2.0 */
/* What is learned of zones and counted for them, and what a reload keeps of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "server/snapshot.h"
#include "wire/text.h"

#define CONF(zones)                                                                                                                        \
	"inbound-endpoints: {seoul: {addresses: [10.0.1.1, 10.0.2.1]}, tokyo: {addresses: [10.1.1.1, 10.1.2.1]}}\n"                        \
	"local-upstreams: [192.168.0.2]\ncache: {size: 1MiB}\nzones: [" zones "]\n"
#define BOTH "{name: a.example, to: [seoul, tokyo]}"

static struct snapshot *build(const char *text, struct snapshot *previous)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	assert_non_null(c);
	diagnostics_deinit(&d);
	struct snapshot *s = snapshot_new(c, NULL, previous);
	assert_non_null(s);
	return s;
}

static size_t zone_of(const struct snapshot *s, const char *name)
{
	struct name n;

	assert_int_equal(text_read_name(&n, name), 0);
	return (size_t)(snapshot_find_zone(s, &n) - s->zones);
}

static void count(struct snapshot *s, uint32_t thread, const char *name, unsigned times)
{
	_Atomic uint64_t *counters = snapshot_query_counters(s, thread);

	assert_non_null(counters);
	counters[zone_of(s, name)] += times;
}

static void queries_are_counted_by_thread_and_summed(void **state)
{
	struct snapshot *s = build(CONF(BOTH), NULL);

	(void)state;
	assert_int_equal(snapshot_zone_queries(s, zone_of(s, "a.example")), 0);
	count(s, 1, "www.a.example", 3);
	count(s, 64, "a.example", 4);
	count(s, 1, "elsewhere.example", 5);
	assert_int_equal(snapshot_zone_queries(s, zone_of(s, "a.example")), 7);
	assert_int_equal(snapshot_zone_queries(s, s->zone_count - 1), 5);
	assert_ptr_equal(snapshot_query_counters(s, 1), snapshot_query_counters(s, 1));
	snapshot_unref(s);
}

static void counts_of_zones_that_stay_go_on(void **state)
{
	struct snapshot *s = build(CONF(BOTH ", {name: b.example, to: seoul}"), NULL);

	(void)state;
	count(s, 1, "a.example", 3);
	count(s, 1, "b.example", 4);
	count(s, 1, "elsewhere.example", 5);
	struct snapshot *next = build(CONF("{name: c.b.example, to: seoul}, {name: a.example, to: local}"), s);
	snapshot_unref(s);
	count(next, 2, "a.example", 10);
	count(next, 2, "c.b.example", 20);
	assert_int_equal(snapshot_zone_queries(next, zone_of(next, "a.example")), 13);
	assert_int_equal(snapshot_zone_queries(next, zone_of(next, "c.b.example")), 20); /* b.example was another zone */
	assert_int_equal(snapshot_zone_queries(next, next->zone_count - 1), 5);
	struct snapshot *last = snapshot_renew(next, NULL);
	assert_non_null(last);
	assert_int_equal(snapshot_zone_queries(last, zone_of(last, "a.example")), 13);
	snapshot_unref(next);
	snapshot_unref(last);
}

static void what_is_known_of_a_zone_follows_its_endpoints(void **state)
{
	struct snapshot *s = build(CONF(BOTH), NULL);

	(void)state;
	s->learned[0].association[0] = ASSOCIATION_PRIVATE;
	s->learned[0].association[1] = ASSOCIATION_DETACHED;
	s->learned[0].heard_s[1] = 77;
	s->learned[0].violated_s[0] = 88;
	s->learned[0].violations = 9;
	struct snapshot *next = build(CONF("{name: a.example, to: [tokyo, seoul]}"), s);
	assert_int_equal(next->learned[0].association[0], ASSOCIATION_DETACHED);
	assert_int_equal(next->learned[0].association[1], ASSOCIATION_PRIVATE);
	assert_int_equal(next->learned[0].heard_s[0], 77);
	assert_int_equal(next->learned[0].violated_s[1], 88);
	assert_int_equal(next->learned[0].violations, 9);
	snapshot_unref(s);
	s = build(CONF("{name: a.example, to: seoul}"), next);
	assert_int_equal(s->learned[0].association[0], ASSOCIATION_PRIVATE);
	assert_int_equal(s->learned[0].heard_s[0], 0);
	snapshot_unref(next);
	next = build(CONF("{name: a.example, to: tokyo}"), s);
	assert_int_equal(next->learned[0].association[0], ASSOCIATION_UNKNOWN);
	assert_int_equal(next->learned[0].violations, 9);
	snapshot_unref(s);
	snapshot_unref(next);
}

/* An alarm about what nobody looks at any more would never end. */
static void what_is_not_checked_any_more_is_forgotten(void **state)
{
	struct snapshot *s = build(CONF("{name: a.example, to: seoul}"), NULL);

	(void)state;
	s->learned[0].association[0] = ASSOCIATION_DETACHED;
	s->learned[0].heard_s[0] = 77;
	struct snapshot *off = build(CONF("{name: a.example, to: seoul, association: off}"), s);
	assert_int_equal(off->learned[0].association[0], ASSOCIATION_UNKNOWN);
	struct snapshot *on = build(CONF("{name: a.example, to: seoul}"), off);
	assert_int_equal(on->learned[0].association[0], ASSOCIATION_UNKNOWN);
	assert_int_equal(on->learned[0].heard_s[0], 0); /* so it is looked at soon */
	struct snapshot *moved = build("resolvers: {seoul: {addresses: [10.10.1.10]}}\nzones: [{name: a.example, to: seoul}]\n", s);
	assert_int_equal(moved->learned[0].association[0], ASSOCIATION_UNKNOWN);
	snapshot_unref(s);
	snapshot_unref(off);
	snapshot_unref(on);
	snapshot_unref(moved);
}

static void a_zone_is_detached_if_one_endpoint_says_so(void **state)
{
	struct snapshot *s = build(CONF(BOTH ", {name: b.example, to: seoul, association: off}"), NULL);

	(void)state;
	assert_int_equal(snapshot_zone_association(s, 0), ASSOCIATION_UNKNOWN);
	s->learned[0].association[1] = ASSOCIATION_PRIVATE;
	assert_int_equal(snapshot_zone_association(s, 0), ASSOCIATION_PRIVATE);
	s->learned[0].association[0] = ASSOCIATION_DETACHED;
	assert_int_equal(snapshot_zone_association(s, 0), ASSOCIATION_DETACHED);
	s->learned[1].association[0] = ASSOCIATION_DETACHED;
	assert_int_equal(snapshot_zone_association(s, 1), ASSOCIATION_UNKNOWN); /* nobody wants to know */
	assert_int_equal(snapshot_zone_association(s, s->zone_count - 1), ASSOCIATION_UNKNOWN);
	snapshot_unref(s);
}

static void a_violation_is_news_once_for_each_endpoint(void **state)
{
	struct snapshot *s = build(CONF(BOTH), NULL);

	(void)state;
	assert_true(snapshot_violation(s, 0, s->routes[s->zones[0].route].pools[0], 0));
	assert_false(snapshot_violation(s, 0, s->routes[s->zones[0].route].pools[0], 1));
	assert_true(snapshot_violation(s, 0, s->routes[s->zones[0].route].pools[1], 1));
	for (uint32_t now_s = 1; now_s < 1000; now_s += SNAPSHOT_VIOLATION_NEWS_S - 1)
		assert_false(snapshot_violation(s, 0, s->routes[s->zones[0].route].pools[0], now_s));
	assert_true(snapshot_violation(s, 0, s->routes[s->zones[0].route].pools[0], 2000));
	assert_int_equal(s->learned[0].violations, 8);
	snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_counted_by_thread_and_summed),
		cmocka_unit_test(counts_of_zones_that_stay_go_on),
		cmocka_unit_test(what_is_known_of_a_zone_follows_its_endpoints),
		cmocka_unit_test(what_is_not_checked_any_more_is_forgotten),
		cmocka_unit_test(a_zone_is_detached_if_one_endpoint_says_so),
		cmocka_unit_test(a_violation_is_news_once_for_each_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
