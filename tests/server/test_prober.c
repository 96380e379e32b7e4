/* SPDX-License-Identifier: Apache-2.0 */
/* The prober among queries, on the virtual clock: who is asked, and when. What is expected stands as text where the order matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "probed.h"

#define ADDRESSES "addresses: [{ip: 10.10.1.10, az: az1}, {ip: 10.10.2.10, az: az2}, {ip: 10.10.3.10, az: az3}]"
#define SEOUL "inbound-endpoints: {seoul: {" ADDRESSES "}}\n" CACHE
#define ORDERED "inbound-endpoints: {seoul: {policy: ordered, " ADDRESSES "}}\n" CACHE
#define TWO_ENDPOINTS                                                                                                                      \
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10]},\n"                                                              \
	"  tokyo: {addresses: [10.20.1.10, 10.20.2.10]}}\n" CACHE

static unsigned probed(const char *ip)
{
	return world_upstream(w, ip)->probed;
}

static unsigned probed_in_all(void)
{
	return probed(ips[0]) + probed(ips[1]) + probed(ips[2]);
}

static void drain(const char *ip, bool drained)
{
	atomic_store(&world_upstream_state(w, ip)->drained, drained);
}

static bool happened(const char *what)
{
	return strstr(world_trace(w), what) != NULL;
}

/* ---- well */

static void every_address_is_probed_once_at_the_start(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	assert_false(prober_is_done(world_prober(w)));
	world_run_ms(w, 1000);
	assert_true(prober_is_done(world_prober(w)));
	expect_trace("[    0]   probe 10.10.1.10: a.example\n"
		     "[    0]   probe 10.10.2.10: a.example\n"
		     "[    0]   probe 10.10.3.10: a.example\n");
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		struct upstream *u = world_upstream_state(w, ips[i]);
		assert_int_equal(rtt_smoothed_us(&u->rtt), 4 * US_PER_MS);
		assert_int_equal(upstream_counted(u, UPSTREAM_PROBES), 1);
		assert_int_equal(upstream_counted(u, UPSTREAM_QUERIES), 1);
		assert_int_equal(upstream_counted(u, UPSTREAM_ANSWERS), 1);
	}
}

static void endpoint_that_is_far_away_is_not_down_while_its_first_answers_are_on_their_way(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		world_upstream(w, ips[i])->rtt_us = 500 * US_PER_MS;
	unsigned query = world_ask(w, "www.a.example", "A");
	world_run_ms(w, 490);
	assert_false(atomic_load(&world_pool(w, "seoul")->down));
	world_run_ms(w, 20);
	assert_non_null(world_reply(w, query));
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
}

static void idle_address_is_probed_once_in_five_minutes(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 299000);
	assert_int_equal(probed_in_all(), 3);
	world_run_ms(w, 2000);
	assert_int_equal(probed_in_all(), 6);
	world_run_ms(w, 3600 * MS_PER_S);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		assert_in_range(probed(ips[i]), 13, 14);
}

static void address_that_has_just_answered_is_not_probed(void **state)
{
	char name[32];

	(void)state;
	w = world_new(ORDERED ZONE);
	/* All questions go to the first: one every four minutes is evidence enough. */
	for (int i = 0; i < 15; i++) {
		world_run_ms(w, 240 * MS_PER_S);
		snprintf(name, sizeof(name), "n%d.a.example", i);
		world_ask(w, name, "A");
	}
	world_run_ms(w, 10);
	assert_int_equal(world_replies(w), 15);
	assert_int_equal(probed(ips[0]), 1);
	assert_in_range(probed(ips[1]), 12, 13);
	/* Then it is idle, too. */
	world_run_ms(w, 301 * MS_PER_S);
	assert_int_equal(probed(ips[0]), 2);
}

static void probes_go_round_the_zones_of_the_endpoint(void **state)
{
	(void)state;
	w = world_new(TWO_ENDPOINTS "zones: [{name: a.example, to: seoul}, {name: t.example, to: tokyo},\n"
				    "  {name: [b.example, c.example], to: [seoul, tokyo]}, {name: l.example, to: local}]\n");
	world_run_ms(w, 301 * MS_PER_S);
	expect_trace("[    0]   probe 10.10.1.10: a.example\n"
		     "[    0]   probe 10.10.2.10: b.example\n"
		     "[    0]   probe 10.20.1.10: t.example\n"
		     "[    0]   probe 10.20.2.10: b.example\n"
		     "[300004]   probe 10.10.1.10: c.example\n"
		     "[300004]   probe 10.10.2.10: a.example\n"
		     "[300004]   probe 10.20.1.10: c.example\n"
		     "[300004]   probe 10.20.2.10: t.example\n");
}

static void local_upstreams_are_asked_for_the_root(void **state)
{
	(void)state;
	w = world_new("local-upstreams: [192.168.0.2]\n" CACHE "zones: []\n");
	world_run_ms(w, 1000);
	expect_trace("[    0]   probe 192.168.0.2: .\n");
}

static void endpoint_that_no_zone_uses_is_not_probed(void **state)
{
	(void)state;
	w = world_new(TWO_ENDPOINTS ZONE);
	world_run_ms(w, 1000 * MS_PER_S);
	assert_int_equal(probed("10.20.1.10") + probed("10.20.2.10"), 0);
	assert_true(prober_is_done(world_prober(w)));
	assert_true(probed("10.10.1.10") > 0);
}

static void tcp_endpoint_is_probed_over_tcp(void **state)
{
	(void)state;
	w = world_new("inbound-endpoints: {seoul: {transport: tcp, addresses: [10.10.1.10, 10.10.2.10]}}\n" CACHE ZONE);
	world_run_ms(w, 1000);
	expect_trace("[    0]   probe 10.10.1.10 over TCP: a.example\n"
		     "[    0]   probe 10.10.2.10 over TCP: a.example\n");
}

/* ---- one address */

static void silent_address_is_probed_at_the_interval_until_it_is_down_and_after(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set(w, ips[0], WORLD_SILENT);
	world_run_ms(w, 7500);
	expect_trace("[    0] -- 10.10.1.10 is silent\n"
		     "[    0]   probe 10.10.1.10: a.example\n"
		     "[    0]   probe 10.10.2.10: a.example\n"
		     "[    0]   probe 10.10.3.10: a.example\n"
		     "[ 1000]   10.10.1.10 suspect\n"
		     "[ 1000]   probe 10.10.1.10: a.example\n" /* suspect since this moment: at once */
		     "[ 3000]   probe 10.10.1.10: a.example\n"
		     "[ 4000]   10.10.1.10 down\n"
		     "[ 5000]   probe 10.10.1.10: a.example\n"
		     "[ 7000]   probe 10.10.1.10: a.example\n");
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_TIMEOUTS), 4);
}

static void good_probes_are_counted_every_half_second(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set(w, ips[0], WORLD_SILENT);
	world_run_ms(w, 6000);
	expect_state(ips[0], HEALTH_DOWN);
	world_set(w, ips[0], WORLD_WELL);
	world_trace(w);
	world_run_ms(w, 20000);
	expect_trace("[ 7000]   probe 10.10.1.10: a.example\n"
		     "[ 7504]   probe 10.10.1.10: a.example\n"
		     "[ 7508]   10.10.1.10 up\n");
}

static void interval_fall_and_rise_are_of_the_file(void **state)
{
	(void)state;
	w = world_new("inbound-endpoints: {seoul: {" ADDRESSES ", probe: {interval: 5s, fall: 2, rise: 1}}}\n" CACHE ZONE);
	world_set(w, ips[0], WORLD_SILENT);
	world_run_ms(w, 6500);
	world_set(w, ips[0], WORLD_WELL);
	world_run_ms(w, 10000);
	expect_trace("[    0] -- 10.10.1.10 is silent\n"
		     "[    0]   probe 10.10.1.10: a.example\n"
		     "[    0]   probe 10.10.2.10: a.example\n"
		     "[    0]   probe 10.10.3.10: a.example\n"
		     "[ 1000]   10.10.1.10 suspect\n"
		     "[ 1000]   probe 10.10.1.10: a.example\n"
		     "[ 2000]   10.10.1.10 down\n"
		     "[ 6000]   probe 10.10.1.10: a.example\n"
		     "[ 6500] -- 10.10.1.10 is well\n"
		     "[11000]   probe 10.10.1.10: a.example\n"
		     "[11004]   10.10.1.10 up\n");
}

static void probe_is_given_up_after_an_interval_that_is_less_than_a_second(void **state)
{
	(void)state;
	w = world_new("inbound-endpoints: {seoul: {" ADDRESSES ", probe: {interval: 400ms}}}\n" CACHE ZONE);
	world_set(w, ips[0], WORLD_SILENT);
	world_run_ms(w, 1000);
	expect_trace("[    0] -- 10.10.1.10 is silent\n"
		     "[    0]   probe 10.10.1.10: a.example\n"
		     "[    0]   probe 10.10.2.10: a.example\n"
		     "[    0]   probe 10.10.3.10: a.example\n"
		     "[  400]   10.10.1.10 suspect\n"
		     "[  400]   probe 10.10.1.10: a.example\n"
		     "[  800]   probe 10.10.1.10: a.example\n");
}

static void address_that_a_query_made_suspect_is_probed_at_once(void **state)
{
	(void)state;
	w = world_new(ORDERED ZONE);
	world_run_ms(w, 60000);
	world_set(w, ips[0], WORLD_ICMP);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 100);
	const char *trace = world_trace(w);
	assert_non_null(strstr(trace, "[60004]   10.10.1.10 suspect\n"));
	assert_non_null(strstr(trace, "[60004]   probe 10.10.1.10: a.example\n"));
}

/* Anybody can forge it: without it, the same probe would be answered all the same. */
static void icmp_about_a_probe_is_not_its_end(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set(w, ips[0], WORLD_ICMP);
	world_run_ms(w, 999);
	expect_state(ips[0], HEALTH_UP);
	world_run_ms(w, 1);
	expect_state(ips[0], HEALTH_SUSPECT);
}

static void servfail_to_a_probe_is_a_failure_and_nxdomain_is_health(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set(w, ips[0], WORLD_RCODE);
	world_upstream(w, ips[0])->rcode = DNS_SERVFAIL;
	world_set(w, ips[1], WORLD_RCODE);
	world_upstream(w, ips[1])->rcode = DNS_NXDOMAIN;
	world_run_ms(w, 10000);
	expect_state(ips[0], HEALTH_DOWN);
	expect_state(ips[1], HEALTH_UP);
	assert_int_equal(probed(ips[1]), 1);
	struct health_report r;
	health_report(&world_upstream_state(w, ips[0])->health, &world_pool(w, "seoul")->rules, &r);
	assert_int_equal(r.cause, HEALTH_CAUSE_PROBE_FAILED);
	assert_int_equal(r.rcode, DNS_SERVFAIL);
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_SERVFAIL), probed(ips[0]));
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[1]), UPSTREAM_SERVFAIL), 0);
	world_upstream(w, ips[0])->rcode = DNS_REFUSED;
	unsigned before = probed(ips[0]);
	world_run_ms(w, 10000);
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_REFUSED), probed(ips[0]) - before);
	assert_false(world_pool(w, "seoul")->down);
}

/* Twice a second, a name each that nobody has asked before. */
static void ask_for_ms(uint64_t ms)
{
	static unsigned asked;
	char name[32];

	for (; ms >= 500; ms -= 500) {
		snprintf(name, sizeof(name), "s%u.a.example", asked++);
		world_ask(w, name, "A");
		world_run_ms(w, 500);
	}
}

static void slow_address_is_probed_at_the_interval_while_others_are_asked(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_upstream(w, ips[2])->rtt_us = 100 * US_PER_MS;
	ask_for_ms(10000);
	assert_in_range(probed(ips[2]), 5, 6);
	assert_int_equal(probed(ips[0]), 1);
	expect_state(ips[2], HEALTH_UP);
	world_upstream(w, ips[2])->rtt_us = 4 * US_PER_MS;
	ask_for_ms(60000);
	unsigned by_then = probed(ips[2]);
	assert_true(world_upstream(w, ips[2])->asked > 0); /* it is fast again, and has its share */
	ask_for_ms(60000);
	assert_int_equal(probed(ips[2]), by_then);
}

/* The first probes' own answers are no use, and two slow ones do not keep each other busy. */
static void slow_addresses_of_an_idle_daemon_are_probed_once_in_five_minutes(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_upstream(w, ips[1])->rtt_us = world_upstream(w, ips[2])->rtt_us = 100 * US_PER_MS;
	world_run_ms(w, 299000);
	assert_int_equal(probed(ips[1]), 1);
	assert_int_equal(probed(ips[2]), 1);
	unsigned before = probed(ips[2]);
	world_run_ms(w, 3600 * MS_PER_S);
	assert_in_range(probed(ips[2]) - before, 11, 13);
	before = probed(ips[2]);
	ask_for_ms(10000); /* noticed within an interval */
	assert_in_range(probed(ips[2]) - before, 4, 6);
}

/* ---- the whole endpoint */

static void endpoint_silent_at_the_start_is_closed_after_a_probes_patience(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_trace(w);
	world_run_ms(w, 1000);
	expect_trace("[    0]   probe 10.10.1.10: a.example\n"
		     "[    0]   probe 10.10.2.10: a.example\n"
		     "[    0]   probe 10.10.3.10: a.example\n"
		     "[  900] seoul is down\n"); /* nothing is known of the way: almost the probe's own timeout */
	world_run_ms(w, 1000);
	assert_true(prober_is_done(world_prober(w)));
}

static void unanswered_question_makes_all_idle_addresses_probed_and_the_endpoint_closed(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 60000);
	world_set_all(w, WORLD_SILENT);
	world_trace(w);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 2000);
	const char *trace = world_trace(w);
	assert_non_null(strstr(trace, "seoul is doubted\n"));
	const char *down = strstr(trace, "seoul is down\n");
	assert_non_null(down);
	/* Known within 200 ms of asking, and long before a client would have given up. */
	unsigned long long at_ms = 0;
	assert_int_equal(sscanf(down - 7, "%llu", &at_ms), 1);
	assert_in_range(at_ms, 60200, 60700);
	assert_non_null(world_reply(w, 1));
}

static void one_probe_every_half_second_goes_round_a_closed_endpoint(void **state)
{
	unsigned before[3];

	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 1000);
	for (int i = 0; i < 3; i++)
		before[i] = probed(ips[i]);
	world_run_ms(w, 600 * MS_PER_S);
	for (int i = 0; i < 3; i++)
		assert_int_equal(probed(ips[i]) - before[i], 400);
	assert_true(world_pool(w, "seoul")->down);
	/* Of a path that is down, no address remembers anything. */
	for (int i = 0; i < 3; i++)
		expect_state(ips[i], HEALTH_UP);
}

static void first_answer_opens_the_endpoint_and_the_others_are_probed_at_once(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 10500);
	/* The round is at the second address next, at 10.900 s; the first's probe of 10.400 s is still out. */
	world_set_all(w, WORLD_WELL);
	world_trace(w);
	world_run_ms(w, 420);
	expect_trace("[10900]   probe 10.10.2.10: a.example\n"
		     "[10904] seoul is open: 10.10.2.10 answers\n"
		     "[10904]   probe 10.10.1.10: a.example\n"
		     "[10904]   probe 10.10.3.10: a.example\n"
		     "[10908]   10.10.1.10 up\n"
		     "[10908]   10.10.3.10 up\n");
	assert_false(world_pool(w, "seoul")->down);
	expect_state(ips[1], HEALTH_UP);
	world_run_ms(w, 5000);
	for (int i = 0; i < 3; i++)
		expect_state(ips[i], HEALTH_UP);
	assert_false(happened("seoul is down"));
}

/* It was lost in the outage, so it says nothing of its address: that one is up again by its first good probe, with all of its share. */
static void probe_lost_in_the_outage_is_void_after_it(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 10000);
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 900);
	expect_state(ips[0], HEALTH_UP);
	assert_int_equal(health_share(&world_upstream_state(w, ips[0])->health, world_now_us(w)), HEALTH_FULL_SHARE);
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_ANSWERS), 1);
}

static void address_that_stays_silent_after_the_outage_goes_down_alone(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 10000);
	world_set(w, ips[1], WORLD_WELL);
	world_run_ms(w, 20000);
	expect_state(ips[0], HEALTH_DOWN);
	expect_state(ips[1], HEALTH_UP);
	expect_state(ips[2], HEALTH_DOWN);
	assert_false(world_pool(w, "seoul")->down);
}

static void endpoint_whose_last_address_falls_is_closed(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set(w, ips[0], WORLD_SILENT);
	world_set(w, ips[1], WORLD_SILENT);
	world_run_ms(w, 10000);
	assert_false(world_pool(w, "seoul")->down);
	world_set(w, ips[2], WORLD_SILENT);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 1000);
	assert_true(world_pool(w, "seoul")->down);
	assert_true(happened("seoul is down"));
}

/* Servers of one's own may refuse `NS` and be well; AWS's do not. */
static void endpoint_that_refuses_probes_is_closed(void **state)
{
	static const uint16_t rcodes[] = {DNS_REFUSED, DNS_NOTIMP, DNS_FORMERR};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(rcodes); k++) {
		w = world_new(SEOUL ZONE);
		for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
			world_set(w, ips[i], WORLD_RCODE);
			world_upstream(w, ips[i])->rcode = rcodes[k];
		}
		world_run_ms(w, 30000);
		expect_state(ips[0], HEALTH_DOWN);
		assert_true(world_pool(w, "seoul")->down);
		world_free(w);
	}
	w = NULL;
}

static void outage_of_one_endpoint_is_not_the_others(void **state)
{
	(void)state;
	w = world_new(TWO_ENDPOINTS "zones: [{name: a.example, to: [seoul, tokyo]}]\n");
	world_set(w, "10.10.1.10", WORLD_SILENT);
	world_set(w, "10.10.2.10", WORLD_SILENT);
	world_run_ms(w, 60000);
	assert_true(world_pool(w, "seoul")->down);
	assert_false(world_pool(w, "tokyo")->down);
	assert_int_equal(probed("10.20.1.10"), 1);
}

/* ---- drained */

static void drained_address_does_not_keep_an_endpoint_open(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	drain(ips[2], true);
	world_set(w, ips[0], WORLD_SILENT);
	world_set(w, ips[1], WORLD_SILENT);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 2000);
	assert_true(world_pool(w, "seoul")->down);
	assert_int_equal(world_upstream(w, ips[2])->asked, 0);
}

static void round_of_a_closed_endpoint_passes_over_the_drained(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	drain(ips[2], true);
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 2000);
	unsigned first = probed(ips[0]), second = probed(ips[1]), third = probed(ips[2]);
	world_run_ms(w, 60000);
	assert_in_range(probed(ips[0]) - first, 59, 61);
	assert_in_range(probed(ips[1]) - second, 59, 61);
	assert_int_equal(probed(ips[2]), third);
}

/* Every probe is billed: one that nobody asks must not cost more than one that is used. */
static void drained_healthy_address_costs_no_more_probes_than_an_idle_one(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	drain(ips[2], true);
	world_reload(w, SEOUL ZONE); /* the clock comes by */
	world_run_ms(w, 600 * MS_PER_S);
	assert_in_range(probed(ips[2]), 1, probed(ips[0]));
}

static void begin_with_all_drained(void)
{
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		drain(ips[i], true);
	world_reload(w, SEOUL ZONE); /* the clock comes by */
	world_run_ms(w, 10000);
}

static void endpoint_with_every_address_drained_is_closed_once(void **state)
{
	unsigned closings = 0;

	(void)state;
	begin_with_all_drained();
	for (const char *at = world_trace(w); (at = strstr(at, "seoul is down")) != NULL; at++)
		closings++;
	assert_int_equal(closings, 1);
	assert_true(world_pool(w, "seoul")->down);
	drain(ips[1], false);
	world_run_ms(w, 2000);
	assert_false(world_pool(w, "seoul")->down);
}

/* It was well, and nobody has asked it since: it need not answer a probe first. */
static void address_given_back_opens_its_endpoint_at_once(void **state)
{
	(void)state;
	begin_with_all_drained();
	drain(ips[1], false);
	prober_doubt(world_prober(w), "seoul", world_now_us(w)); /* as the command does */
	world_run_ms(w, 1);
	assert_false(world_pool(w, "seoul")->down);
	expect_state(ips[1], HEALTH_UP);
	unsigned query = world_ask(w, "app.a.example", "A");
	world_run_ms(w, 10);
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
	/* Down is down: who was drained in an outage has to answer. */
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "new.a.example", "A");
	world_run_ms(w, 2000);
	assert_true(world_pool(w, "seoul")->down);
	drain(ips[1], true);
	world_run_ms(w, 2000);
	drain(ips[1], false);
	world_run_ms(w, 2000);
	assert_true(world_pool(w, "seoul")->down);
}

/* The path went while it was drained: that it was well before says nothing of now. */
static void outage_is_not_ended_by_giving_back_an_address(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	drain(ips[0], true);
	world_run_ms(w, 60000);
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "www.a.example", "A");
	world_run_ms(w, 60000);
	assert_true(world_pool(w, "seoul")->down);
	drain(ips[1], true); /* the others as well, in the midst of it: that changes nothing */
	drain(ips[2], true);
	world_run_ms(w, 1000);
	drain(ips[0], false);
	prober_doubt(world_prober(w), "seoul", world_now_us(w)); /* as the command does */
	world_run_ms(w, 5000);
	assert_true(world_pool(w, "seoul")->down);
	assert_non_null(world_reply(w, world_ask(w, "new.a.example", "A"))); /* at once, as before */
	world_set(w, ips[0], WORLD_WELL);
	world_run_ms(w, 510);
	assert_false(world_pool(w, "seoul")->down);
	assert_true(happened("seoul is open: 10.10.1.10 answers"));
}

/* ---- reload */

static void reload_keeps_the_schedule(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 100 * MS_PER_S);
	world_trace(w);
	world_reload(w, SEOUL "zones: [{name: b.example, to: seoul}]\n");
	world_run_ms(w, 201 * MS_PER_S);
	expect_trace("[100000] -- reload\n"
		     "[300004]   probe 10.10.1.10: b.example\n"
		     "[300004]   probe 10.10.2.10: b.example\n"
		     "[300004]   probe 10.10.3.10: b.example\n");
}

static void new_address_is_probed_at_the_reload_and_a_removed_one_no_more(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	world_trace(w);
	world_reload(w, "inbound-endpoints: {seoul: {addresses: [10.10.9.9, 10.10.2.10]}}\n" CACHE ZONE);
	assert_false(prober_is_done(world_prober(w)));
	world_run_ms(w, 1000);
	expect_trace("[ 1000] -- reload\n"
		     "[ 1000]   probe 10.10.9.9: a.example\n");
	assert_true(prober_is_done(world_prober(w)));
	world_run_ms(w, 1000 * MS_PER_S);
	assert_int_equal(probed(ips[0]), 1);
	assert_int_equal(probed(ips[2]), 1);
	assert_true(probed(ips[1]) > 1);
}

static void suspect_stays_at_its_interval_over_a_reload(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set(w, ips[0], WORLD_SILENT);
	world_run_ms(w, 5500);
	world_trace(w);
	world_reload(w, SEOUL ZONE); /* the probe of 5 s is out, and goes on */
	world_run_ms(w, 2000);
	expect_trace("[ 5500] -- reload\n"
		     "[ 7000]   probe 10.10.1.10: a.example\n");
	expect_state(ips[0], HEALTH_DOWN);
}

static void answer_to_a_probe_sent_before_the_reload_counts(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 2);
	world_reload(w, "inbound-endpoints: {seoul: {addresses: [10.10.3.10, 10.10.1.10]}}\n" CACHE ZONE);
	world_run_ms(w, 100);
	assert_true(prober_is_done(world_prober(w)));
	assert_int_equal(probed(ips[0]), 1);
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_ANSWERS), 1);
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[2]), UPSTREAM_ANSWERS), 1);
}

static void closed_endpoint_stays_closed_over_a_reload_and_opens_after_it(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 10000);
	world_reload(w, SEOUL ZONE);
	world_run_ms(w, 10000);
	assert_true(world_pool(w, "seoul")->down);
	world_set(w, ips[1], WORLD_WELL);
	world_run_ms(w, 3000);
	assert_false(world_pool(w, "seoul")->down);
	expect_state(ips[1], HEALTH_UP);
	const char *trace = world_trace(w);
	const char *down = strstr(trace, "seoul is down");
	assert_non_null(down);
	assert_null(strstr(down + 1, "seoul is down"));
	assert_non_null(strstr(down, "seoul is open: 10.10.2.10 answers"));
}

static void transport_changed_by_a_reload_is_the_probes_too(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_run_ms(w, 1000);
	world_trace(w);
	world_reload(w, "inbound-endpoints: {seoul: {transport: tcp, " ADDRESSES "}}\n" CACHE ZONE);
	world_run_ms(w, 301 * MS_PER_S);
	const char *trace = world_trace(w);
	assert_non_null(strstr(trace, "probe 10.10.1.10 over TCP: a.example\n"));
	assert_null(strstr(trace, "probe 10.10.1.10: a.example\n"));
}

static void zone_added_by_a_reload_makes_its_endpoint_probed(void **state)
{
	(void)state;
	w = world_new(SEOUL "zones: []\n");
	world_run_ms(w, 1000);
	assert_int_equal(probed_in_all(), 0);
	world_reload(w, SEOUL ZONE);
	world_run_ms(w, 1000);
	assert_int_equal(probed_in_all(), 3);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_address_is_probed_once_at_the_start),
		TEST(endpoint_that_is_far_away_is_not_down_while_its_first_answers_are_on_their_way),
		TEST(idle_address_is_probed_once_in_five_minutes),
		TEST(address_that_has_just_answered_is_not_probed),
		TEST(probes_go_round_the_zones_of_the_endpoint),
		TEST(local_upstreams_are_asked_for_the_root),
		TEST(endpoint_that_no_zone_uses_is_not_probed),
		TEST(tcp_endpoint_is_probed_over_tcp),
		TEST(silent_address_is_probed_at_the_interval_until_it_is_down_and_after),
		TEST(good_probes_are_counted_every_half_second),
		TEST(interval_fall_and_rise_are_of_the_file),
		TEST(probe_is_given_up_after_an_interval_that_is_less_than_a_second),
		TEST(address_that_a_query_made_suspect_is_probed_at_once),
		TEST(icmp_about_a_probe_is_not_its_end),
		TEST(servfail_to_a_probe_is_a_failure_and_nxdomain_is_health),
		TEST(slow_address_is_probed_at_the_interval_while_others_are_asked),
		TEST(slow_addresses_of_an_idle_daemon_are_probed_once_in_five_minutes),
		TEST(endpoint_silent_at_the_start_is_closed_after_a_probes_patience),
		TEST(unanswered_question_makes_all_idle_addresses_probed_and_the_endpoint_closed),
		TEST(one_probe_every_half_second_goes_round_a_closed_endpoint),
		TEST(first_answer_opens_the_endpoint_and_the_others_are_probed_at_once),
		TEST(probe_lost_in_the_outage_is_void_after_it),
		TEST(address_that_stays_silent_after_the_outage_goes_down_alone),
		TEST(endpoint_whose_last_address_falls_is_closed),
		TEST(endpoint_that_refuses_probes_is_closed),
		TEST(outage_of_one_endpoint_is_not_the_others),
		TEST(drained_address_does_not_keep_an_endpoint_open),
		TEST(round_of_a_closed_endpoint_passes_over_the_drained),
		TEST(drained_healthy_address_costs_no_more_probes_than_an_idle_one),
		TEST(endpoint_with_every_address_drained_is_closed_once),
		TEST(address_given_back_opens_its_endpoint_at_once),
		TEST(outage_is_not_ended_by_giving_back_an_address),
		TEST(reload_keeps_the_schedule),
		TEST(new_address_is_probed_at_the_reload_and_a_removed_one_no_more),
		TEST(suspect_stays_at_its_interval_over_a_reload),
		TEST(answer_to_a_probe_sent_before_the_reload_counts),
		TEST(closed_endpoint_stays_closed_over_a_reload_and_opens_after_it),
		TEST(transport_changed_by_a_reload_is_the_probes_too),
		TEST(zone_added_by_a_reload_makes_its_endpoint_probed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
