/* SPDX-License-Identifier: Apache-2.0 */
/* Outages on a virtual clock, as stories: what happened is compared word for word. Policy `ordered`, so that a story is the
 * same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define ORDERED                                                                                                              \
	"inbound-endpoints:\n  seoul:\n    addresses:\n"                                                                      \
	"      - {ip: 10.0.1.1, az: az1}\n      - {ip: 10.0.2.1, az: az2}\n      - {ip: 10.0.3.1, az: az3}\n"                  \
	"    policy: ordered\nzones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n"
#define SPREAD                                                                                                               \
	"inbound-endpoints:\n  seoul:\n    addresses:\n"                                                                      \
	"      - {ip: 10.0.1.1, az: az1}\n      - {ip: 10.0.2.1, az: az2}\n      - {ip: 10.0.3.1, az: az3}\n"                  \
	"zones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n"

static struct world *w;

/* With the first probes behind it. */
static void start(const char *conf)
{
	w = world_new(conf);
	world_run_ms(w, 1000);
	world_trace(w);
}

static int end(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static void expect(const char *story)
{
	assert_string_equal(world_trace(w), story);
}

static void one_silent_az_costs_one_hedge_delay(void **state)
{
	(void)state;
	start(ORDERED);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1500);
	expect("[ 1000] -- 10.0.1.1 is silent\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1016] reply 1 NOERROR\n"
	       "[ 2000]   10.0.1.1 suspect\n"
	       "[ 2000]   probe 10.0.1.1: corp.example\n");
}

static void servfail_is_asked_elsewhere_at_once(void **state)
{
	(void)state;
	start(ORDERED);
	world_set(w, "10.0.1.1", WORLD_RCODE);
	world_upstream(w, "10.0.1.1")->rcode = DNS_SERVFAIL;
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] -- 10.0.1.1 is broken\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1004]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n"
	       "[ 1008]   10.0.1.1 suspect\n"
	       "[ 1008]   probe 10.0.1.1: corp.example\n");
}

static void cut_answer_is_fetched_whole_over_tcp(void **state)
{
	(void)state;
	start(ORDERED);
	world_set(w, "10.0.1.1", WORLD_TRUNCATE);
	world_ask(w, "cut.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] -- 10.0.1.1 is truncating\n"
	       "[ 1000] query 1 cut.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: cut.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1 over TCP: cut.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n");
}

static void closed_port_starts_the_next_attempt_at_once(void **state)
{
	(void)state;
	start(ORDERED);
	world_set(w, "10.0.1.1", WORLD_CLOSED);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] -- 10.0.1.1 is closed\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1004]   10.0.1.1 suspect\n"
	       "[ 1004]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1004]   probe 10.0.1.1: corp.example\n"
	       "[ 1008] reply 1 NOERROR\n");
}

static void path_down_is_told_within_a_second_and_known_names_are_served(void **state)
{
	(void)state;
	start(ORDERED);
	world_ask(w, "known.corp.example", "A");
	world_run_ms(w, 100);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 100000); /* its TTL is over */
	world_trace(w);
	unsigned known = world_ask(w, "known.corp.example", "A"), other = world_ask(w, "other.corp.example", "A");
	world_run_ms(w, 1000);
	assert_true(world_pool(w, "seoul")->down);
	assert_int_equal(world_reply(w, known)->rcode, DNS_NOERROR);
	assert_int_equal(world_reply(w, known)->ede, DNS_EDE_STALE_ANSWER);
	assert_int_equal(world_reply(w, known)->ttl_s, 30);
	assert_int_equal(world_reply(w, other)->rcode, DNS_SERVFAIL);
	assert_int_equal(world_reply(w, other)->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
	assert_string_equal(world_reply(w, other)->ede_text,
			    "seoul: 10.0.1.1:53 (az1) silent, 10.0.2.1:53 (az2) silent, 10.0.3.1:53 (az3) silent");
	/* From now on at once. */
	uint64_t now_us = world_now_us(w);
	known = world_ask(w, "known.corp.example", "A");
	other = world_ask(w, "third.corp.example", "A");
	assert_non_null(world_reply(w, known));
	assert_string_equal(world_reply(w, other)->ede_text,
			    "seoul: down, 10.0.1.1:53 (az1) silent, 10.0.2.1:53 (az2) silent, 10.0.3.1:53 (az3) silent");
	assert_int_equal(world_now_us(w), now_us);
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 1000);
	assert_false(world_pool(w, "seoul")->down);
	other = world_ask(w, "other.corp.example", "A"); /* what failed in the outage is void */
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, other)->rcode, DNS_NOERROR);
}

static void name_that_all_are_silent_about_takes_no_address_out_in_an_hour(void **state)
{
	static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1"};

	(void)state;
	start(SPREAD);
	world_trace_off(w);
	for (int i = 0; i < 3; i++)
		world_upstream(w, ips[i])->silent_name = "lame";
	for (int minute = 0; minute < 60; minute++) {
		unsigned lame = world_ask(w, "lame.corp.example", "A");
		world_run_ms(w, 30000);
		assert_int_equal(world_reply(w, lame)->rcode, DNS_SERVFAIL);
		char name[64];
		snprintf(name, sizeof(name), "well%d.corp.example", minute);
		unsigned well = world_ask(w, name, "A");
		world_run_ms(w, 30000);
		assert_int_equal(world_reply(w, well)->rcode, DNS_NOERROR);
		for (int i = 0; i < 3; i++)
			assert_int_equal(health_state(&world_upstream_state(w, ips[i])->health), HEALTH_UP);
	}
}

/* 500 questions a second for a minute, one of three addresses silent. */
static void silent_address_loses_no_query_and_costs_little_load(void **state)
{
	enum { SECONDS = 60, QPS = 500 };
	uint64_t slowest_us = 0;
	unsigned asked = 0;

	(void)state;
	start(SPREAD);
	world_trace_off(w);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	for (int i = 0; i < SECONDS * QPS; i++) {
		char name[64];
		snprintf(name, sizeof(name), "n%d.corp.example", i);
		uint64_t began_us = world_now_us(w);
		unsigned q = world_ask(w, name, "A");
		world_run_ms(w, 1000 / QPS);
		for (int ms = 0; world_reply(w, q) == NULL; ms++) {
			assert_true(ms < 4000);
			world_run_ms(w, 1);
		}
		assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
		slowest_us = MAX(slowest_us, world_now_us(w) - began_us);
	}
	static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1"};
	for (int i = 0; i < 3; i++)
		asked += world_upstream(w, ips[i])->asked;
	assert_true(slowest_us <= 50 * US_PER_MS); /* one hedge delay and the answer, at an RTT of 4 ms */
	assert_true(asked * 100 < 115u * SECONDS * QPS);
	/* And back within seconds, with a share that grows. */
	world_set(w, "10.0.2.1", WORLD_WELL);
	world_run_ms(w, 6000);
	assert_int_equal(health_state(&world_upstream_state(w, "10.0.2.1")->health), HEALTH_UP);
}

static void second_region_takes_over_within_the_first_querys_patience(void **state)
{
	(void)state;
	start("inbound-endpoints:\n  seoul: {addresses: [10.0.1.1, 10.0.1.2]}\n  tokyo: {addresses: [10.9.1.1, 10.9.1.2]}\n"
	      "zones: [{name: corp.example, to: [seoul, tokyo]}]\nlocal-upstreams: [192.168.0.2]\n");
	world_run_ms(w, 60000);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.1.2", WORLD_SILENT);
	unsigned q = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 2000);
	assert_non_null(world_reply(w, q));
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
	assert_true(world_upstream(w, "10.9.1.1")->asked + world_upstream(w, "10.9.1.2")->asked > 0);
	/* Back with hysteresis: not in the first moments after the first answers again. */
	world_set(w, "10.0.1.1", WORLD_WELL);
	world_set(w, "10.0.1.2", WORLD_WELL);
	world_run_ms(w, 3000);
	unsigned seoul = world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.1.2")->asked;
	world_ask(w, "second.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.1.2")->asked, seoul);
	world_run_ms(w, 12000);
	world_ask(w, "third.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.1.2")->asked, seoul + 1);
}

static void private_names_never_reach_the_local_upstream_whatever_fails(void **state)
{
	static const enum world_fault faults[] = {WORLD_SILENT, WORLD_RCODE, WORLD_ICMP, WORLD_CLOSED, WORLD_TRUNCATE, WORLD_WRONG_CASE};

	(void)state;
	start(SPREAD);
	world_trace_off(w);
	for (size_t f = 0; f < ARRAY_SIZE(faults); f++) {
		static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1"};
		for (int i = 0; i < 3; i++) {
			world_upstream(w, ips[i])->rcode = DNS_REFUSED;
			world_upstream(w, ips[i])->tcp_closed = true;
			world_set(w, ips[i], faults[f]);
		}
		for (int i = 0; i < 50; i++) {
			char name[64];
			snprintf(name, sizeof(name), "p%zu-%d.corp.example", f, i);
			world_ask(w, name, "A");
			world_run_ms(w, 100);
		}
		world_run_ms(w, 5000);
	}
	assert_int_equal(world_upstream(w, "192.168.0.2")->asked, 0);
}

static unsigned asked_in_all(void)
{
	return world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked + world_upstream(w, "10.0.3.1")->asked;
}

static void burst_of_unknown_names_while_down_costs_the_endpoint_nothing(void **state)
{
	(void)state;
	start(SPREAD);
	world_trace_off(w);
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "first.corp.example", "A");
	world_run_ms(w, 2000);
	assert_true(world_pool(w, "seoul")->down);
	unsigned before = asked_in_all();
	for (int i = 0; i < 10000; i++) {
		char name[64];
		snprintf(name, sizeof(name), "b%d.corp.example", i);
		unsigned q = world_ask(w, name, "A");
		assert_int_equal(world_reply(w, q)->rcode, DNS_SERVFAIL);
	}
	assert_int_equal(asked_in_all(), before);
	assert_int_equal(forward_waiting(world_forward(w)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_silent_az_costs_one_hedge_delay, end),
		cmocka_unit_test_teardown(servfail_is_asked_elsewhere_at_once, end),
		cmocka_unit_test_teardown(cut_answer_is_fetched_whole_over_tcp, end),
		cmocka_unit_test_teardown(closed_port_starts_the_next_attempt_at_once, end),
		cmocka_unit_test_teardown(path_down_is_told_within_a_second_and_known_names_are_served, end),
		cmocka_unit_test_teardown(name_that_all_are_silent_about_takes_no_address_out_in_an_hour, end),
		cmocka_unit_test_teardown(silent_address_loses_no_query_and_costs_little_load, end),
		cmocka_unit_test_teardown(second_region_takes_over_within_the_first_querys_patience, end),
		cmocka_unit_test_teardown(private_names_never_reach_the_local_upstream_whatever_fails, end),
		cmocka_unit_test_teardown(burst_of_unknown_names_while_down_costs_the_endpoint_nothing, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
