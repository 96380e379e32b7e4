/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/snapshot.h"
#include "wire/dns.h"
#include "wire/text.h"

#define SEOUL                                                                                                                              \
	"inbound-endpoints: {seoul: {addresses: [{ip: 10.10.1.10, az: az1}, {ip: 10.10.2.10, az: az2},\n"                                  \
	"  {ip: 10.10.3.10, az: az3}]}}\n"
#define LOCAL "local-upstreams: [192.168.0.2]\n"
#define SMALL "cache: {size: 1MiB}\n"
#define ZONES "zones: [{name: corp.example, to: seoul}]\n"

static const uint64_t now_us = 1000 * (uint64_t)US_PER_S;

static struct config *read_config(const char *text)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	if (c == NULL)
		diagnostics_print(&d, "zones.conf", stderr);
	diagnostics_deinit(&d);
	assert_non_null(c);
	return c;
}

static struct snapshot *build(const char *text, struct snapshot *previous)
{
	struct snapshot *s = snapshot_new(read_config(text), NULL, previous);

	assert_non_null(s);
	return s;
}

static struct resolv servers(const char *first, const char *second)
{
	struct resolv r = {.path = "/etc/resolv.conf"};

	assert_int_equal(addr_parse(&r.servers[r.count++], first, 53), 0);
	if (second != NULL)
		assert_int_equal(addr_parse(&r.servers[r.count++], second, 53), 0);
	return r;
}

static struct pool *pool_called(struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->pool_count; i++)
		if (strcmp(s->pools[i].name, name) == 0)
			return &s->pools[i];
	fail_msg("no pool is called %s", name);
	return NULL;
}

static struct upstream *upstream_at(struct snapshot *s, const char *pool, int place)
{
	struct pool *p = pool_called(s, pool);

	assert_in_range(place, 0, p->count - 1);
	return p->places[place].upstream;
}

static const struct snapshot_zone *zone_of(const struct snapshot *s, const char *name)
{
	struct name n;

	assert_int_equal(text_read_name(&n, name), 0);
	return snapshot_find_zone(s, &n);
}

static const struct snapshot_route *route_of(const struct snapshot *s, const char *name)
{
	return &s->routes[zone_of(s, name)->route];
}

/* ---- routes */

static const char many_routes[] =
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10]}, tokyo: {addresses: [10.20.1.10, 10.20.2.10]}}\n" LOCAL SMALL
	"zones: [{name: a.example, to: seoul}, {name: [b.example, c.example], to: [seoul]}, {name: d.example, to: [seoul, tokyo]},\n"
	"  {name: e.example, to: [seoul, tokyo]}, {name: f.example, to: [tokyo, seoul]}, {name: g.example, to: local}]\n";

static void zones_with_the_same_to_share_a_route(void **state)
{
	struct snapshot *s = build(many_routes, NULL);

	(void)state;
	assert_int_equal(s->route_count, 4);
	assert_ptr_equal(route_of(s, "a.example"), route_of(s, "b.example"));
	assert_ptr_equal(route_of(s, "a.example"), route_of(s, "c.example"));
	assert_ptr_equal(route_of(s, "d.example"), route_of(s, "e.example"));
	assert_ptr_not_equal(route_of(s, "a.example"), route_of(s, "d.example"));
	assert_ptr_not_equal(route_of(s, "d.example"), route_of(s, "f.example"));
	/* Names that are answered here are nobody's. */
	assert_int_equal(pool_called(s, "seoul")->zones, 6);
	assert_int_equal(pool_called(s, "tokyo")->zones, 3);
	assert_int_equal(pool_called(s, "local")->zones, 2);
	snapshot_unref(s);
}

static void route_has_its_pools_in_the_order_of_the_file(void **state)
{
	struct snapshot *s = build(many_routes, NULL);

	(void)state;
	assert_int_equal(route_of(s, "f.example")->count, 2);
	assert_ptr_equal(route_of(s, "f.example")->pools[0], pool_called(s, "tokyo"));
	assert_ptr_equal(route_of(s, "f.example")->pools[1], pool_called(s, "seoul"));
	assert_false(route_of(s, "f.example")->local);
	snapshot_unref(s);
}

static void first_route_is_the_local_one(void **state)
{
	struct snapshot *s = build(many_routes, NULL);

	(void)state;
	assert_true(s->routes[0].local);
	assert_int_equal(s->routes[0].count, 1);
	assert_ptr_equal(s->routes[0].pools[0], &s->pools[0]);
	assert_true(s->pools[0].local);
	assert_false(pool_called(s, "seoul")->local);
	assert_ptr_equal(route_of(s, "g.example"), &s->routes[0]);
	assert_non_null(zone_of(s, "g.example")->config); /* routed all the same: an exception */
	snapshot_unref(s);
}

static void identity_depends_on_the_names_of_to_alone(void **state)
{
	struct snapshot *s = build(many_routes, NULL);
	struct snapshot *other =
		build("resolvers: {ad: {addresses: [192.168.1.1]}}\n"
		      "inbound-endpoints: {tokyo: {addresses: [10.99.1.1, 10.99.2.1]}, osaka: {addresses: [10.98.1.1, 10.98.2.1]},\n"
		      "  seoul: {addresses: [10.97.1.1, 10.97.2.1], policy: ordered}}\n" LOCAL SMALL
		      "zones: [{name: x.example, to: ad}, {name: a.example, to: [tokyo, seoul]}, {name: b.example, to: [seoul, tokyo]},\n"
		      "  {name: c.example, to: seoul}]\n",
		      NULL);

	(void)state;
	assert_int_equal(route_of(other, "c.example")->identity, route_of(s, "a.example")->identity);
	assert_int_equal(route_of(other, "b.example")->identity, route_of(s, "d.example")->identity);
	assert_int_equal(route_of(other, "a.example")->identity, route_of(s, "f.example")->identity);
	assert_int_equal(other->routes[0].identity, s->routes[0].identity);
	for (size_t i = 0; i < other->route_count; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(other->routes[i].identity, other->routes[k].identity);
	snapshot_unref(s);
	snapshot_unref(other);
}

/* ---- zones */

static void longest_zone_wins_and_its_neighbours_are_outside(void **state)
{
	struct snapshot *s =
		build(SEOUL LOCAL SMALL "zones: [{name: corp.example, to: seoul}, {name: legacy.corp.example, to: local}]\n", NULL);

	(void)state;
	assert_ptr_equal(route_of(s, "corp.example")->pools[0], pool_called(s, "seoul"));
	assert_ptr_equal(route_of(s, "www.corp.example")->pools[0], pool_called(s, "seoul"));
	assert_true(route_of(s, "legacy.corp.example")->local);
	assert_true(route_of(s, "a.b.legacy.corp.example")->local);
	assert_ptr_equal(route_of(s, "xlegacy.corp.example")->pools[0], pool_called(s, "seoul"));
	assert_true(route_of(s, "xcorp.example")->local);
	snapshot_unref(s);
}

static void name_that_nobody_routed_goes_to_the_last_zone(void **state)
{
	struct snapshot *s = build(SEOUL LOCAL SMALL ZONES, NULL);
	const struct snapshot_zone *z = zone_of(s, "www.example.org");

	(void)state;
	assert_ptr_equal(z, &s->zones[s->zone_count - 1]);
	assert_ptr_equal(zone_of(s, "."), z);
	assert_null(z->config);
	assert_int_equal(z->special, SPECIAL_NONE);
	assert_int_equal(z->route, 0);
	snapshot_unref(s);
}

static void special_names_are_answered_here_with_all_below_them(void **state)
{
	static const struct {
		const char *name;
		enum snapshot_special special;
	} rows[] = {
		{"localhost", SPECIAL_LOCALHOST},
		{"www.localhost", SPECIAL_LOCALHOST},
		{"1.0.0.127.in-addr.arpa", SPECIAL_LOCALHOST_REVERSE},
		{"127.in-addr.arpa", SPECIAL_LOCALHOST_REVERSE},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", SPECIAL_LOCALHOST_REVERSE},
		{"invalid", SPECIAL_NXDOMAIN},
		{"a.b.invalid", SPECIAL_NXDOMAIN},
		{"hidden.onion", SPECIAL_NXDOMAIN},
		{"_dns.resolver.arpa", SPECIAL_NODATA},
		{"resolver.arpa", SPECIAL_NODATA},
		{"localhost.example", SPECIAL_NONE},
		{"mylocalhost", SPECIAL_NONE},
		{"128.in-addr.arpa", SPECIAL_NONE},
		{"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", SPECIAL_NONE},
		{"arpa", SPECIAL_NONE},
	};
	struct snapshot *s = build(SEOUL LOCAL SMALL ZONES, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(zone_of(s, rows[i].name)->special, rows[i].special);
		assert_null(zone_of(s, rows[i].name)->config);
	}
	snapshot_unref(s);
}

static void special_names_stay_special_below_a_routed_root(void **state)
{
	struct snapshot *s = build(SEOUL LOCAL SMALL "zones: [{name: ., to: seoul}, {name: arpa, to: seoul}]\n", NULL);

	(void)state;
	assert_int_equal(zone_of(s, "localhost")->special, SPECIAL_LOCALHOST);
	assert_int_equal(zone_of(s, "x.onion")->special, SPECIAL_NXDOMAIN);
	assert_int_equal(zone_of(s, "1.0.0.127.in-addr.arpa")->special, SPECIAL_LOCALHOST_REVERSE);
	assert_int_equal(zone_of(s, "10.in-addr.arpa")->special, SPECIAL_NONE);
	assert_ptr_equal(route_of(s, "10.in-addr.arpa")->pools[0], pool_called(s, "seoul"));
	assert_ptr_equal(route_of(s, "www.example.org")->pools[0], pool_called(s, "seoul"));
	assert_ptr_equal(route_of(s, ".")->pools[0], pool_called(s, "seoul"));
	snapshot_unref(s);
}

static void empty_list_of_zones_sends_all_to_the_local_upstreams(void **state)
{
	struct snapshot *s = build(LOCAL SMALL "zones: []\n", NULL);

	(void)state;
	assert_int_equal(s->route_count, 1);
	assert_true(route_of(s, "www.example.org")->local);
	assert_int_equal(zone_of(s, "localhost")->special, SPECIAL_LOCALHOST);
	snapshot_unref(s);
}

/* ---- pools */

static void options_reach_their_pool(void **state)
{
	struct snapshot *s =
		build("inbound-endpoints:\n"
		      "  seoul: {addresses: [10.10.1.10, 10.10.2.10], port: 5353, transport: tcp, policy: nearest,\n"
		      "    max-qps: 77, source-ports: 99, case-randomization: off, hedge: 30ms, hedge-budget: 5%, probe: {interval: 3s, "
		      "fall: 4, rise: 5}}\n"
		      "  tokyo: {addresses: [10.20.1.10, 10.20.2.10]}\n" LOCAL SMALL "zones: [{name: a.example, to: [seoul, tokyo]}]\n",
		      NULL);
	const struct pool *p = pool_called(s, "seoul"), *defaults = pool_called(s, "tokyo");

	(void)state;
	assert_ptr_equal(p->policy, &policy_nearest);
	assert_true(p->tcp);
	assert_int_equal(p->max_qps, 77);
	assert_int_equal(p->source_ports, 99);
	assert_false(p->case_randomization);
	assert_int_equal(p->hedge_us, 30 * US_PER_MS);
	assert_int_equal(p->hedge_budget_pm, 50);
	assert_int_equal(p->probe_interval_us, 3 * US_PER_S);
	assert_int_equal(p->rules.fall, 4);
	assert_int_equal(p->rules.rise, 5);
	assert_int_equal(addr_port(&p->places[0].upstream->addr), 5353);
	assert_ptr_equal(defaults->policy, &policy_spread);
	assert_int_equal(defaults->hedge_us, -1);
	assert_false(defaults->tcp);
	assert_int_equal(defaults->prefer_az, -1);
	assert_true(defaults->case_randomization);
	assert_false(defaults->down);
	assert_int_equal(defaults->hedge_tokens_pm, POOL_HEDGE_BUCKET * 1000);
	snapshot_unref(s);
}

static void same_az_has_the_same_number_and_none_is_one_of_its_own(void **state)
{
	struct snapshot *s = build(
		"inbound-endpoints: {seoul: {addresses: [10.0.0.1, {ip: 10.0.0.2, az: x}, {ip: 10.0.0.3, az: y}, {ip: 10.0.0.4, az: x},\n"
		"  10.0.0.5, {ip: 10.0.0.6, az: y}, 10.0.0.7, {ip: 10.0.0.8, az: z}]}}\n" LOCAL SMALL ZONES,
		NULL);
	static const int same_as[] = {0, 1, 2, 1, 4, 2, 6, 7};
	const struct pool *p = pool_called(s, "seoul");

	(void)state;
	assert_int_equal(p->count, ARRAY_SIZE(same_as));
	for (int i = 0; i < p->count; i++)
		for (int k = 0; k < p->count; k++)
			assert_int_equal(p->places[i].az_index == p->places[k].az_index, same_as[i] == same_as[k]);
	assert_null(p->places[0].az);
	assert_string_equal(p->places[3].az, "x");
	snapshot_unref(s);
}

static void prefer_az_is_the_number_of_that_az(void **state)
{
	struct snapshot *s = build("inbound-endpoints: {seoul: {prefer-az: az2, addresses: [{ip: 10.0.0.1, az: az1},\n"
				   "    {ip: 10.0.0.2, az: az2}, {ip: 10.0.0.3, az: az2}]},\n"
				   "  tokyo: {prefer-az: az1, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.1.2, az: az2}]}}\n" LOCAL SMALL
				   "zones: [{name: a.example, to: [seoul, tokyo]}]\n",
				   NULL);
	const struct pool *seoul = pool_called(s, "seoul"), *tokyo = pool_called(s, "tokyo");

	(void)state;
	assert_int_equal(seoul->prefer_az, seoul->places[1].az_index);
	assert_int_equal(seoul->prefer_az, seoul->places[2].az_index);
	assert_int_not_equal(seoul->prefer_az, seoul->places[0].az_index);
	assert_int_equal(tokyo->prefer_az, tokyo->places[0].az_index);
	snapshot_unref(s);
}

static void same_address_in_two_endpoints_is_two_upstreams(void **state)
{
	struct snapshot *s = build("resolvers: {a: {addresses: [10.0.0.1]}, b: {addresses: [10.0.0.1]}}\n" LOCAL SMALL
				   "zones: [{name: x.example, to: a}, {name: y.example, to: b}]\n",
				   NULL);

	(void)state;
	assert_ptr_not_equal(upstream_at(s, "a", 0), upstream_at(s, "b", 0));
	assert_int_not_equal(upstream_at(s, "a", 0)->id, upstream_at(s, "b", 0)->id);
	snapshot_unref(s);
}

/* ---- reload */

static void upstream_that_stays_keeps_what_is_known_of_it(void **state)
{
	struct snapshot *old = build(SEOUL LOCAL SMALL ZONES, NULL);
	struct upstream *u = upstream_at(old, "seoul", 1);

	(void)state;
	rtt_sample(&u->rtt, 7000);
	health_never(&u->health, &pool_called(old, "seoul")->rules, 1, now_us);
	atomic_store(&u->drained, true);
	struct snapshot *next = build(
		"inbound-endpoints: {seoul: {policy: ordered, addresses: [10.10.9.9, {ip: 10.10.2.10, az: other}]}}\n" LOCAL SMALL ZONES,
		old);
	uint32_t fresh = upstream_at(next, "seoul", 0)->id;
	assert_ptr_equal(upstream_at(next, "seoul", 1), u);
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(fresh, upstream_at(old, "seoul", i)->id);
	snapshot_unref(old);
	assert_int_equal(u->refs, 1);
	assert_int_equal(rtt_smoothed_us(&u->rtt), 7000);
	assert_int_equal(health_state(&u->health), HEALTH_SUSPECT);
	assert_true(u->drained);
	assert_string_equal(pool_called(next, "seoul")->places[1].az, "other");
	assert_int_equal(health_state(&upstream_at(next, "seoul", 0)->health), HEALTH_UP);
	snapshot_unref(next);
}

static void address_of_another_port_or_endpoint_is_a_new_upstream(void **state)
{
	struct snapshot *old =
		build("resolvers: {a: {addresses: [10.0.0.1, 10.0.0.2]}}\n" LOCAL SMALL "zones: [{name: x.example, to: a}]\n", NULL);
	struct snapshot *next = build("resolvers: {a: {addresses: [10.0.0.1:5353, 10.0.0.2]}, b: {addresses: [10.0.0.1]}}\n" LOCAL SMALL
				      "zones: [{name: x.example, to: a}, {name: y.example, to: b}]\n",
				      old);

	(void)state;
	assert_ptr_not_equal(upstream_at(next, "a", 0), upstream_at(old, "a", 0));
	assert_ptr_equal(upstream_at(next, "a", 1), upstream_at(old, "a", 1));
	assert_ptr_not_equal(upstream_at(next, "b", 0), upstream_at(old, "a", 0));
	snapshot_unref(old);
	snapshot_unref(next);
}

static void old_snapshot_lives_as_long_as_somebody_holds_it(void **state)
{
	struct snapshot *old = build(SEOUL LOCAL SMALL ZONES, NULL);

	(void)state;
	assert_ptr_equal(snapshot_ref(old), old);
	struct snapshot *next = build(LOCAL SMALL "zones: []\n", old);
	snapshot_unref(old);
	assert_string_equal(upstream_at(old, "seoul", 0)->text, "10.10.1.10:53");
	assert_ptr_equal(zone_of(old, "www.corp.example")->config, &old->config->zones[0]);
	assert_true(route_of(next, "www.corp.example")->local);
	snapshot_unref(old);
	assert_string_equal(upstream_at(next, "local", 0)->text, "192.168.0.2:53");
	snapshot_unref(next);
}

static void pool_takes_over_the_memory_of_the_one_before(void **state)
{
	struct snapshot *old = build(SEOUL LOCAL SMALL ZONES, NULL);
	struct pool *p = pool_called(old, "seoul");

	(void)state;
	assert_true(pool_close(p));
	assert_true(pool_open(p, 0, now_us));
	assert_true(pool_close(p));
	for (int i = 0; i < 5; i++)
		assert_true(pool_spend_hedge(p));
	atomic_store(&p->spilled, 42);
	struct snapshot *next = build(
		"inbound-endpoints: {osaka: {addresses: [10.30.1.1, 10.30.2.1]}, seoul: {addresses: [10.10.1.10, 10.10.9.9]}}\n" LOCAL SMALL
		"zones: [{name: a.example, to: [seoul, osaka]}]\n",
		old);
	const struct pool *seoul = pool_called(next, "seoul"), *osaka = pool_called(next, "osaka");
	assert_true(seoul->down);
	assert_int_equal(seoul->outage, p->outage);
	assert_true(seoul->open_since_us == now_us);
	assert_int_equal(seoul->hedge_tokens_pm, 15000);
	assert_int_equal(seoul->spilled, 42);
	assert_false(osaka->down);
	assert_int_equal(osaka->outage, 0);
	assert_true(pool_is_steady(osaka, now_us));
	assert_int_equal(osaka->hedge_tokens_pm, POOL_HEDGE_BUCKET * 1000);
	snapshot_unref(old);
	snapshot_unref(next);
}

/* ---- cache */

static const uint8_t body[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};

static struct cache_key key_of(const struct snapshot *s, const struct name *n)
{
	struct cache_key k = {.name = n, .route = snapshot_find_zone(s, n)->identity, .type = DNS_TYPE_A};

	cache_key_hash(s->cache, &k);
	return k;
}

static void put(const struct snapshot *s, const char *name)
{
	struct name n;
	uint16_t ttl_at;

	assert_int_equal(text_read_name(&n, name), 0);
	struct cache_key k = key_of(s, &n);
	uint16_t body_at = (uint16_t)(DNS_HEADER_BYTES + n.len + 4);
	ttl_at = (uint16_t)(body_at + 6);
	struct cache_answer a = {
		.body = body, .body_bytes = sizeof(body), .ttl_at = &ttl_at, .ttls = 1, .body_at = body_at, .ancount = 1, .ttl_s = 60};
	assert_true(cache_put(s->cache, &k, &s->cache_rules, 1000, &a));
}

static bool has(const struct snapshot *s, const char *name, uint32_t ttl_left_s)
{
	struct name n;
	struct cache_hit hit;
	uint8_t got[sizeof(body)];

	assert_int_equal(text_read_name(&n, name), 0);
	struct cache_key k = key_of(s, &n);
	if (cache_get(s->cache, &k, &s->cache_rules, 1010, (struct cache_room){got, sizeof(got)}, &hit) != CACHE_FRESH)
		return false;
	assert_int_equal(hit.ttl_left_s, ttl_left_s);
	assert_memory_equal(got + 10, body + 10, 6);
	return true;
}

static void cache_of_the_same_size_is_kept(void **state)
{
	struct snapshot *old = build(SEOUL LOCAL SMALL ZONES, NULL);

	(void)state;
	put(old, "www.corp.example");
	struct snapshot *next = build(SEOUL LOCAL "cache: {size: 1MiB, max-ttl: 2h}\n" ZONES, old);
	assert_ptr_equal(next->cache, old->cache);
	snapshot_unref(old);
	assert_true(has(next, "www.corp.example", 50));
	snapshot_unref(next);
}

static void cache_of_another_size_takes_the_answers_over(void **state)
{
	struct snapshot *old = build(SEOUL LOCAL SMALL ZONES, NULL), *next;
	char name[64];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "host%d.corp.example", i);
		put(old, name);
	}
	put(old, "www.example.org");
	next = build(SEOUL LOCAL "cache: {size: 8MiB}\n" ZONES, old);
	assert_ptr_not_equal(next->cache, old->cache);
	snapshot_unref(old);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "host%d.corp.example", i);
		assert_true(has(next, name, 50));
	}
	assert_true(has(next, "www.example.org", 50));
	snapshot_unref(next);
}

static void answers_of_a_zone_routed_otherwise_now_are_not_found(void **state)
{
	struct snapshot *old = build(SEOUL LOCAL SMALL ZONES, NULL);

	(void)state;
	put(old, "www.corp.example");
	struct snapshot *next = build(SEOUL LOCAL SMALL "zones: [{name: corp.example, to: local}, {name: x.example, to: seoul}]\n", old);
	assert_false(has(next, "www.corp.example", 0));
	assert_true(has(old, "www.corp.example", 50));
	snapshot_unref(old);
	snapshot_unref(next);
}

static void rules_of_the_cache_are_in_seconds(void **state)
{
	struct snapshot *s = build(LOCAL "cache: {size: 1MiB, min-ttl: 5s, max-ttl: 2h, negative-max-ttl: 90s,\n"
					 "  prefetch: 20%, serve-stale: 3d}\nzones: []\n",
				   NULL);

	(void)state;
	assert_int_equal(s->cache_rules.min_ttl_s, 5);
	assert_int_equal(s->cache_rules.max_ttl_s, 7200);
	assert_int_equal(s->cache_rules.negative_max_ttl_s, 90);
	assert_int_equal(s->cache_rules.prefetch_pm, 200);
	assert_int_equal(s->cache_rules.serve_stale_s, 3 * 86400);
	struct snapshot *off = build(LOCAL "cache: {size: 1MiB, prefetch: off, serve-stale: off}\nzones: []\n", s);
	assert_int_equal(off->cache_rules.prefetch_pm, 0);
	assert_int_equal(off->cache_rules.serve_stale_s, 0);
	snapshot_unref(s);
	snapshot_unref(off);
}

/* ---- local upstreams */

static void local_upstreams_come_from_resolv_when_the_file_names_none(void **state)
{
	struct resolv r = servers("192.168.7.1", "192.168.7.2");
	struct snapshot *s = snapshot_new(read_config(SEOUL SMALL ZONES), &r, NULL);

	(void)state;
	assert_non_null(s);
	assert_int_equal(s->pools[0].count, 2);
	assert_string_equal(upstream_at(s, "local", 0)->text, "192.168.7.1:53");
	assert_string_equal(upstream_at(s, "local", 1)->text, "192.168.7.2:53");
	assert_int_not_equal(s->pools[0].places[0].az_index, s->pools[0].places[1].az_index);
	assert_string_equal(s->resolv.path, "/etc/resolv.conf");
	snapshot_unref(s);
}

static void local_upstreams_of_the_file_are_taken_alone(void **state)
{
	struct resolv r = servers("192.168.7.1", NULL);
	struct snapshot *s = snapshot_new(read_config(SEOUL LOCAL SMALL ZONES), &r, NULL);

	(void)state;
	assert_non_null(s);
	assert_int_equal(s->pools[0].count, 1);
	assert_string_equal(upstream_at(s, "local", 0)->text, "192.168.0.2:53");
	snapshot_unref(s);
}

static void no_local_upstream_at_all_is_an_empty_pool(void **state)
{
	struct resolv none = {.path = NULL};
	struct snapshot *s = snapshot_new(read_config(SEOUL SMALL ZONES), &none, NULL);

	(void)state;
	assert_non_null(s);
	assert_int_equal(s->pools[0].count, 0);
	assert_ptr_equal(snapshot_route_pool(&s->routes[0], now_us), &s->pools[0]);
	snapshot_unref(s);
	s = build(SEOUL SMALL ZONES, NULL);
	assert_int_equal(s->pools[0].count, 0);
	snapshot_unref(s);
}

static void renewing_changes_the_local_upstreams_and_nothing_else(void **state)
{
	struct resolv r = servers("192.168.7.1", "192.168.7.2"), other = servers("192.168.7.2", "192.168.7.9");
	struct snapshot *old = snapshot_new(read_config(SEOUL SMALL ZONES), &r, NULL);

	(void)state;
	assert_non_null(old);
	struct upstream *kept = upstream_at(old, "local", 1), *seoul = upstream_at(old, "seoul", 0);
	pool_close(pool_called(old, "seoul"));
	struct snapshot *next = snapshot_renew(old, &other);
	assert_non_null(next);
	assert_ptr_equal(next->config, old->config);
	assert_ptr_equal(next->cache, old->cache);
	assert_int_equal(next->route_count, old->route_count);
	snapshot_unref(old); /* the config lives on */
	assert_int_equal(next->pools[0].count, 2);
	assert_ptr_equal(upstream_at(next, "local", 0), kept);
	assert_string_equal(upstream_at(next, "local", 1)->text, "192.168.7.9:53");
	assert_ptr_equal(upstream_at(next, "seoul", 0), seoul);
	assert_true(pool_called(next, "seoul")->down);
	assert_string_equal(next->config->endpoints[1].name, "seoul");
	snapshot_unref(next);
}

static void snapshots_of_one_config_may_go_in_any_order(void **state)
{
	struct resolv r = servers("192.168.7.1", NULL);
	struct snapshot *first = snapshot_new(read_config(SEOUL SMALL ZONES), &r, NULL);

	(void)state;
	assert_non_null(first);
	struct snapshot *second = snapshot_renew(first, &r);
	assert_non_null(second);
	struct snapshot *third = snapshot_renew(second, &r);
	assert_non_null(third);
	snapshot_unref(second);
	snapshot_unref(third);
	assert_ptr_equal(zone_of(first, "corp.example")->config, &first->config->zones[0]);
	assert_string_equal(pool_called(first, "seoul")->name, "seoul");
	snapshot_unref(first);
}

/* ---- which pool now */

static void first_open_pool_is_used_and_the_next_while_it_is_down(void **state)
{
	struct snapshot *s = build(many_routes, NULL);
	const struct snapshot_route *r = route_of(s, "d.example");
	struct pool *seoul = pool_called(s, "seoul"), *tokyo = pool_called(s, "tokyo");

	(void)state;
	assert_ptr_equal(snapshot_route_pool(r, now_us), seoul);
	pool_close(seoul);
	assert_ptr_equal(snapshot_route_pool(r, now_us), tokyo);
	assert_null(snapshot_route_pool(route_of(s, "a.example"), now_us));
	pool_close(tokyo);
	assert_null(snapshot_route_pool(r, now_us));
	snapshot_unref(s);
}

static void first_pool_is_returned_to_when_it_is_steady(void **state)
{
	struct snapshot *s = build(many_routes, NULL);
	const struct snapshot_route *r = route_of(s, "d.example");
	struct pool *seoul = pool_called(s, "seoul"), *tokyo = pool_called(s, "tokyo");

	(void)state;
	pool_close(seoul);
	pool_open(seoul, 0, now_us);
	assert_ptr_equal(snapshot_route_pool(r, now_us + POOL_RETURN_US - 1), tokyo);
	assert_ptr_equal(snapshot_route_pool(r, now_us + POOL_RETURN_US), seoul);
	/* A single endpoint has nobody to wait for. */
	assert_ptr_equal(snapshot_route_pool(route_of(s, "a.example"), now_us), seoul);
	snapshot_unref(s);
}

static void open_pool_is_used_before_it_is_steady_when_the_others_are_down(void **state)
{
	struct snapshot *s = build(many_routes, NULL);
	const struct snapshot_route *r = route_of(s, "d.example");
	struct pool *seoul = pool_called(s, "seoul"), *tokyo = pool_called(s, "tokyo");

	(void)state;
	pool_close(seoul);
	pool_close(tokyo);
	pool_open(tokyo, 0, now_us);
	assert_ptr_equal(snapshot_route_pool(r, now_us), tokyo);
	pool_open(seoul, 0, now_us);
	assert_ptr_equal(snapshot_route_pool(r, now_us), seoul);
	snapshot_unref(s);
}

static void outage_of_a_route_changes_with_each_of_its_pools(void **state)
{
	struct snapshot *s = build(many_routes, NULL);
	const struct snapshot_route *both = route_of(s, "d.example"), *one = route_of(s, "a.example");
	uint16_t before_both = snapshot_route_outage(both), before_one = snapshot_route_outage(one);

	(void)state;
	pool_close(pool_called(s, "tokyo"));
	assert_int_not_equal(snapshot_route_outage(both), before_both);
	assert_int_equal(snapshot_route_outage(one), before_one);
	before_both = snapshot_route_outage(both);
	pool_open(pool_called(s, "tokyo"), 0, now_us);
	assert_int_not_equal(snapshot_route_outage(both), before_both);
	snapshot_unref(s);
}

/* ---- ourselves, and who may ask */

static bool ours(const struct snapshot *s, const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text, 53), 0);
	return snapshot_is_ourselves(s, &a, NULL);
}

static void datagram_from_where_we_listen_is_ours(void **state)
{
	struct snapshot *s = build("listen: [127.0.0.1:5300, \"[::1]:5300\", 10.1.1.1:53]\n" LOCAL SMALL "zones: []\n", NULL);

	(void)state;
	assert_true(ours(s, "127.0.0.1:5300"));
	assert_true(ours(s, "[::1]:5300"));
	assert_true(ours(s, "10.1.1.1:53"));
	assert_false(ours(s, "127.0.0.1:5301"));
	assert_false(ours(s, "127.0.0.2:5300"));
	assert_false(ours(s, "10.1.1.2:53"));
	assert_false(ours(s, "10.1.1.1:5300"));
	snapshot_unref(s);
}

static void wildcard_is_every_loopback_address_of_its_family(void **state)
{
	struct snapshot *s = build("listen: [0.0.0.0:5300]\n" LOCAL SMALL "zones: []\n", NULL);

	(void)state;
	assert_true(ours(s, "127.0.0.1:5300"));
	assert_true(ours(s, "127.9.9.9:5300"));
	assert_false(ours(s, "127.0.0.1:53"));
	assert_false(ours(s, "10.1.1.1:5300"));
	assert_false(ours(s, "[::1]:5300"));
	snapshot_unref(s);
}

static void allow_from_is_compiled(void **state)
{
	struct snapshot *s = build("allow-from: [10.1.0.0/16]\n" LOCAL SMALL "zones: []\n", NULL);
	struct addr in, out;

	(void)state;
	assert_int_equal(addr_parse(&in, "10.1.2.3", 53), 0);
	assert_int_equal(addr_parse(&out, "10.2.2.3", 53), 0);
	assert_true(allow_contains(&s->allow, &in));
	assert_false(allow_contains(&s->allow, &out));
	struct snapshot *next = build("allow-from: [10.2.0.0/16]\n" LOCAL SMALL "zones: []\n", s);
	assert_false(allow_contains(&next->allow, &in));
	assert_true(allow_contains(&next->allow, &out));
	snapshot_unref(s);
	snapshot_unref(next);
}

/* ---- many */

static void hundred_reloads_leave_one_of_everything(void **state)
{
	struct snapshot *s = build(many_routes, NULL);
	struct upstream *u = upstream_at(s, "seoul", 0);

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct snapshot *next = build(i % 2 ? many_routes : SEOUL LOCAL SMALL ZONES, s);
		snapshot_unref(s);
		s = next;
		assert_ptr_equal(upstream_at(s, "seoul", 0), u);
	}
	assert_int_equal(u->refs, 1);
	assert_int_equal(s->refs, 1);
	snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_with_the_same_to_share_a_route),
		cmocka_unit_test(route_has_its_pools_in_the_order_of_the_file),
		cmocka_unit_test(first_route_is_the_local_one),
		cmocka_unit_test(identity_depends_on_the_names_of_to_alone),
		cmocka_unit_test(longest_zone_wins_and_its_neighbours_are_outside),
		cmocka_unit_test(name_that_nobody_routed_goes_to_the_last_zone),
		cmocka_unit_test(special_names_are_answered_here_with_all_below_them),
		cmocka_unit_test(special_names_stay_special_below_a_routed_root),
		cmocka_unit_test(empty_list_of_zones_sends_all_to_the_local_upstreams),
		cmocka_unit_test(options_reach_their_pool),
		cmocka_unit_test(same_az_has_the_same_number_and_none_is_one_of_its_own),
		cmocka_unit_test(prefer_az_is_the_number_of_that_az),
		cmocka_unit_test(same_address_in_two_endpoints_is_two_upstreams),
		cmocka_unit_test(upstream_that_stays_keeps_what_is_known_of_it),
		cmocka_unit_test(address_of_another_port_or_endpoint_is_a_new_upstream),
		cmocka_unit_test(old_snapshot_lives_as_long_as_somebody_holds_it),
		cmocka_unit_test(pool_takes_over_the_memory_of_the_one_before),
		cmocka_unit_test(cache_of_the_same_size_is_kept),
		cmocka_unit_test(cache_of_another_size_takes_the_answers_over),
		cmocka_unit_test(answers_of_a_zone_routed_otherwise_now_are_not_found),
		cmocka_unit_test(rules_of_the_cache_are_in_seconds),
		cmocka_unit_test(local_upstreams_come_from_resolv_when_the_file_names_none),
		cmocka_unit_test(local_upstreams_of_the_file_are_taken_alone),
		cmocka_unit_test(no_local_upstream_at_all_is_an_empty_pool),
		cmocka_unit_test(renewing_changes_the_local_upstreams_and_nothing_else),
		cmocka_unit_test(snapshots_of_one_config_may_go_in_any_order),
		cmocka_unit_test(first_open_pool_is_used_and_the_next_while_it_is_down),
		cmocka_unit_test(first_pool_is_returned_to_when_it_is_steady),
		cmocka_unit_test(open_pool_is_used_before_it_is_steady_when_the_others_are_down),
		cmocka_unit_test(outage_of_a_route_changes_with_each_of_its_pools),
		cmocka_unit_test(datagram_from_where_we_listen_is_ours),
		cmocka_unit_test(wildcard_is_every_loopback_address_of_its_family),
		cmocka_unit_test(allow_from_is_compiled),
		cmocka_unit_test(hundred_reloads_leave_one_of_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
