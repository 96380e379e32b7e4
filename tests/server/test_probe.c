/* SPDX-License-Identifier: Apache-2.0 */
/* What an address is asked for its health, and what its answer says: as stories on the virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "probed.h"
#include "wire/text.h"

#define ONE_ADDRESS "inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n" CACHE
#define SEOUL "inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10, 10.10.3.10]}}\n" CACHE

static bool happened(const char *what)
{
	return strstr(world_trace(w), what) != NULL;
}

/* ---- without EDNS */

static void lose_edns(void)
{
	world_set_all(w, WORLD_NO_EDNS);
	world_trace(w);
}

static bool knows_edns(const char *ip)
{
	return atomic_load(&world_upstream_state(w, ip)->no_edns_until_us) == 0;
}

/* They are asked again at once, and it is remembered. */
static void endpoint_that_knows_no_edns_is_well(void **state)
{
	(void)state;
	w = world_new(ONE_ADDRESS ZONE);
	lose_edns();
	world_run_ms(w, 1000);
	expect_trace("[    0]   probe 10.10.1.10: a.example\n"
		     "[    4]   probe 10.10.1.10: a.example\n");
	expect_state(ips[0], HEALTH_UP);
	assert_false(knows_edns(ips[0]));
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_SERVFAIL), 0);
	world_run_ms(w, 300 * MS_PER_S);
	expect_trace("[300008]   probe 10.10.1.10: a.example\n");
}

/* Nobody asks, for longer than it is remembered. */
static void idle_endpoint_that_knows_no_edns_stays_well(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	lose_edns();
	for (int quarter = 0; quarter < 20; quarter++) {
		world_run_ms(w, 901 * MS_PER_S);
		for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
			expect_state(ips[i], HEALTH_UP);
	}
	assert_false(happened("suspect"));
}

static void endpoint_that_knows_no_edns_comes_back_from_an_outage(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 3600 * MS_PER_S);
	assert_true(world_pool(w, "seoul")->down);
	lose_edns();
	world_run_ms(w, 520);
	assert_false(world_pool(w, "seoul")->down);
	world_run_ms(w, 100);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		expect_state(ips[i], HEALTH_UP);
}

/* Of whatever is asked, and in whatever way. */
static size_t answer_formerr(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA | DNS_FORMERR);
	return len;
}

/* The probe has taken the only token. */
static void endpoint_that_knows_no_edns_is_well_at_one_query_a_second(void **state)
{
	(void)state;
	w = world_new("inbound-endpoints: {seoul: {max-qps: 1, addresses: [10.10.1.10]}}\n" CACHE ZONE);
	lose_edns();
	world_run_ms(w, 10000);
	assert_false(knows_edns("10.10.1.10"));
	expect_state("10.10.1.10", HEALTH_UP);
}

static void formerr_without_edns_as_well_teaches_nothing(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_upstream(w, ips[0])->answer = answer_formerr;
	world_run_ms(w, 10000);
	expect_state(ips[0], HEALTH_DOWN);
	assert_true(knows_edns(ips[0]));
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_SERVFAIL) * 2, world_upstream(w, ips[0])->probed);
}

/* It answers questions to those who ask without, and what it makes of `NS` is its own affair. */
static void server_of_ones_own_that_knows_no_edns_is_known_as_such(void **state)
{
	(void)state;
	w = world_new("local-upstreams: [192.168.0.2]\n" CACHE "zones: []\n");
	world_set(w, "192.168.0.2", WORLD_NO_EDNS);
	world_run_ms(w, 1000);
	expect_state("192.168.0.2", HEALTH_UP);
	assert_false(knows_edns("192.168.0.2"));
}

/* ---- zones that are dead */

#define TWO_ZONES "zones: [{name: a.example, to: seoul}, {name: dead.example, to: seoul}]\n"
#define DEAD_FIRST "zones: [{name: dead.example, to: seoul}, {name: a.example, to: seoul}]\n"

static const char *dead; /* the zone of whose names, and apex, nothing is answered */

static size_t answer_but_dead(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	struct question_upstream echo = *asked;
	struct name zone;

	(void)stream;
	assert_int_equal(text_read_name(&zone, dead), 0);
	if (asked->name->len >= zone.len && memcmp(asked->name->octets + asked->name->len - zone.len, zone.octets, zone.len) == 0)
		return 0;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	if (asked->type != DNS_TYPE_A)
		return len;
	memcpy(out + len, a, sizeof(a));
	out[7] = 1;
	return len + sizeof(a);
}

static void begin(const char *conf)
{
	w = world_new(conf);
	dead = "dead.example";
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		world_upstream(w, ips[i])->answer = answer_but_dead;
}

/* An hour and a half with nothing but probes, and one more with questions. */
static void expect_to_stay_well(const char *conf)
{
	begin(conf);
	world_run_ms(w, 5400 * MS_PER_S);
	for (int i = 0; i < 900; i++) {
		char name[64];
		snprintf(name, sizeof(name), "d%d.dead.example", i);
		world_ask(w, name, "A");
		world_run_ms(w, 400);
		if (i % 6 != 5)
			continue;
		snprintf(name, sizeof(name), "n%d.a.example", i);
		unsigned query = world_ask(w, name, "A");
		world_run_ms(w, 50);
		assert_non_null(world_reply(w, query));
		assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
	}
	const char *trace = world_trace(w);
	assert_null(strstr(trace, "seoul is down"));
	assert_null(strstr(trace, "10 down\n"));
}

static void dead_zone_does_not_close_its_endpoint(void **state)
{
	(void)state;
	expect_to_stay_well(SEOUL TWO_ZONES);
}

static void dead_zone_does_not_close_an_endpoint_of_two_addresses(void **state)
{
	(void)state;
	expect_to_stay_well("inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10]}}\n" CACHE TWO_ZONES);
}

static void dead_zone_does_not_close_an_endpoint_of_one_address(void **state)
{
	(void)state;
	expect_to_stay_well(ONE_ADDRESS TWO_ZONES);
}

/* Only the one that dies has been asked about: a quiet endpoint, after a start. */
static void zone_that_alone_was_answered_may_die_before_others_were_asked_about(void **state)
{
	(void)state;
	begin(ONE_ADDRESS DEAD_FIRST);
	dead = "none.example";
	world_run_ms(w, 10000);
	assert_true(happened("probe 10.10.1.10: dead.example"));
	dead = "dead.example";
	world_ask(w, "x.dead.example", "A");
	world_run_ms(w, 3000);
	assert_false(happened("seoul is down"));
	unsigned query = world_ask(w, "www.a.example", "A");
	world_run_ms(w, 50);
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
}

static void dead_zone_that_comes_first_does_not_close_its_endpoint_at_the_start(void **state)
{
	(void)state;
	expect_to_stay_well(ONE_ADDRESS DEAD_FIRST);
}

/* The idle address alone makes no suspect of it either. */
static void apex_that_is_silent_is_no_evidence_against_the_address(void **state)
{
	(void)state;
	begin(ONE_ADDRESS TWO_ZONES);
	world_run_ms(w, 301 * MS_PER_S);
	expect_trace("[    0]   probe 10.10.1.10: a.example\n"
		     "[300004]   probe 10.10.1.10: dead.example\n"
		     "[300104]   probe 10.10.1.10: a.example\n");
	expect_state(ips[0], HEALTH_UP);
}

/* It is not known yet that it has died: the other one speaks for the address. */
static void zone_that_was_answered_last_may_die(void **state)
{
	(void)state;
	begin(SEOUL TWO_ZONES);
	dead = "other.example";
	world_run_ms(w, 301 * MS_PER_S);
	for (int k = 0; k < 4; k++) {
		dead = k % 2 == 0 ? "a.example" : "dead.example";
		char name[64];
		for (int i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "n%d-%d.%s", k, i, dead);
			world_ask(w, name, "A");
			world_run_ms(w, 500);
		}
		assert_false(happened("seoul is down"));
	}
}

/* Asked of either zone, and at whatever moment of its idle time: 400 ms, two timeouts. */
static void expect_outage_within(const char *conf, const char *name, uint64_t idle_ms, uint64_t ms)
{
	begin(conf);
	world_run_ms(w, idle_ms);
	world_set_all(w, WORLD_SILENT);
	world_ask(w, name, "A");
	world_run_ms(w, ms);
	assert_true(atomic_load(&world_pool(w, "seoul")->down));
	world_free(w);
	w = NULL;
}

static void path_is_found_to_be_down_as_soon_with_several_zones(void **state)
{
	static const char *const names[] = {"x.a.example", "x.dead.example"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		expect_outage_within(ONE_ADDRESS TWO_ZONES, names[i], 60000, 401);
		expect_outage_within(SEOUL TWO_ZONES, names[i], 60000, 450);
		/* Just before the idle probes, and behind them. */
		expect_outage_within(ONE_ADDRESS TWO_ZONES, names[i], 300000, 401);
		expect_outage_within(ONE_ADDRESS TWO_ZONES, names[i], 300005, 401);
	}
}

/* While it is down one probe goes out each half second, no more; it is about the zone that was well, every other time round. */
static void closed_endpoint_is_asked_about_the_zone_that_was_well(void **state)
{
	(void)state;
	begin(ONE_ADDRESS TWO_ZONES);
	world_run_ms(w, 1000);
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 1000);
	assert_true(happened("seoul is down"));
	world_run_ms(w, 2000);
	expect_trace("[ 2400]   probe 10.10.1.10: a.example\n"
		     "[ 2900]   probe 10.10.1.10: a.example\n"
		     "[ 3400]   probe 10.10.1.10: dead.example\n"
		     "[ 3900]   probe 10.10.1.10: a.example\n");
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 1010);
	assert_true(happened("seoul is open"));
}

/* ---- servers of one's own */

static bool answers_probes;

static size_t answer_well(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	if (asked->type == DNS_TYPE_NS && !answers_probes)
		return 0;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA | DNS_NXDOMAIN);
	return len;
}

static bool is_down(void)
{
	return atomic_load(&world_pool(w, "local")->down);
}

/* It answers questions again, and no probes: one question in half a minute finds that out, unless one that is refused takes its turn. */
static void query_that_is_refused_takes_no_trial_from_others(void **state)
{
	static const uint8_t without_rd[] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'm', 'o',
					     'n', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
	char name[32];

	(void)state;
	w = world_new("local-upstreams: [192.168.0.2]\n" CACHE "zones: []\n");
	answers_probes = true;
	world_upstream(w, "192.168.0.2")->answer = answer_well;
	world_run_ms(w, 2000);
	world_upstream(w, "192.168.0.2")->answer = NULL;
	world_set(w, "192.168.0.2", WORLD_SILENT);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "q%d.example", i);
		world_ask(w, name, "A");
		world_run_ms(w, 2000);
	}
	assert_true(is_down());
	answers_probes = false;
	world_set(w, "192.168.0.2", WORLD_WELL);
	world_upstream(w, "192.168.0.2")->answer = answer_well;
	world_run_ms(w, 500); /* so that the one without RD is there first when it is time */
	for (int i = 0; i < 60 && is_down(); i++) {
		world_send(w, without_rd, sizeof(without_rd), "10.9.9.9", false);
		world_run_ms(w, 500);
		snprintf(name, sizeof(name), "z%d.example", i);
		world_ask(w, name, "A");
		world_run_ms(w, 500);
	}
	assert_false(is_down());
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(endpoint_that_knows_no_edns_is_well),
		TEST(idle_endpoint_that_knows_no_edns_stays_well),
		TEST(endpoint_that_knows_no_edns_comes_back_from_an_outage),
		TEST(endpoint_that_knows_no_edns_is_well_at_one_query_a_second),
		TEST(formerr_without_edns_as_well_teaches_nothing),
		TEST(server_of_ones_own_that_knows_no_edns_is_known_as_such),
		TEST(dead_zone_does_not_close_its_endpoint),
		TEST(dead_zone_does_not_close_an_endpoint_of_two_addresses),
		TEST(dead_zone_does_not_close_an_endpoint_of_one_address),
		TEST(zone_that_alone_was_answered_may_die_before_others_were_asked_about),
		TEST(dead_zone_that_comes_first_does_not_close_its_endpoint_at_the_start),
		TEST(apex_that_is_silent_is_no_evidence_against_the_address),
		TEST(zone_that_was_answered_last_may_die),
		TEST(path_is_found_to_be_down_as_soon_with_several_zones),
		TEST(closed_endpoint_is_asked_about_the_zone_that_was_well),
		TEST(query_that_is_refused_takes_no_trial_from_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
