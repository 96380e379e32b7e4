/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a flight as stories on the virtual clock: how long it waits, who is asked next, what its end leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/forward_private.h"
#include "story.h"

#define TWO_REGIONS                                                                                                          \
	"inbound-endpoints:\n  seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}\n"       \
	"  tokyo: {policy: ordered, addresses: [{ip: 10.9.1.1, az: az1}, {ip: 10.9.2.1, az: az2}]}\n"                           \
	"zones: [{name: corp.example, to: [seoul, tokyo]}]\nlocal-upstreams: [192.168.0.2]\n"

#define ONE_ADDRESS                                                                                                         \
	"inbound-endpoints:\n  seoul: {addresses: [{ip: 10.0.1.1, az: az1}]}\nzones: [{name: corp.example, to: seoul}]\n"     \
	"local-upstreams: [192.168.0.2]\n"

static void give_rtt(uint64_t ms)
{
	at("10.0.1.1")->rtt_us = at("10.0.2.1")->rtt_us = at("10.0.3.1")->rtt_us = ms * US_PER_MS;
}

static void nobody_knows(const char *label)
{
	at("10.0.1.1")->silent_name = at("10.0.2.1")->silent_name = at("10.0.3.1")->silent_name = label;
}

static void all_say(uint16_t rcode)
{
	world_set_all(w, WORLD_RCODE);
	at("10.0.1.1")->rcode = at("10.0.2.1")->rcode = at("10.0.3.1")->rcode = rcode;
	world_trace(w);
}

/* In the cache, and expired. */
static void know(const char *name)
{
	assert_int_equal(ask_within(name, "A", 61000)->rcode, DNS_NOERROR);
	world_trace(w);
}

/* ---- patience */

static void lame_name_is_asked_of_all_twice_and_told_after_four_seconds(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	nobody_knows("lame");
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 9000);
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 1500);
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 20);
	expect("[ 1000] query 1 lame.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: lame.corp.example\n"
	       "[ 1062]   attempt 10.0.3.1: lame.corp.example\n"
	       "[ 1212]   seoul is doubted\n"
	       "[ 1212]   probe 10.0.1.1: corp.example\n"
	       "[ 1212]   probe 10.0.2.1: corp.example\n"
	       "[ 1212]   probe 10.0.3.1: corp.example\n"
	       "[ 3000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[ 3200]   attempt 10.0.2.1: lame.corp.example\n"
	       "[ 3600]   attempt 10.0.3.1: lame.corp.example\n"
	       "[ 4995] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) silent, 10.0.2.1:53 (az2) silent, 10.0.3.1:53 (az3) silent\n"
	       "[10000] query 2 lame.corp.example A\n"
	       "[10000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[10010]   attempt 10.0.2.1: lame.corp.example\n"
	       "[10060]   attempt 10.0.3.1: lame.corp.example\n"
	       "[10210]   seoul is doubted\n"
	       "[10210]   probe 10.0.1.1: corp.example\n"
	       "[10210]   probe 10.0.2.1: corp.example\n"
	       "[10210]   probe 10.0.3.1: corp.example\n"
	       "[11500] query 3 lame.corp.example A\n");
}

static void lame_name_that_was_known_is_served_stale_after_a_while(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	know("lame.corp.example");
	nobody_knows("lame");
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 10000);
	world_ask(w, "lame.corp.example", "A"); /* at once, for 30 s */
	world_run_ms(w, 20000);
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 10000);
	world_ask(w, "lame.corp.example", "A"); /* then somebody asks again */
	world_run_ms(w, 6000);
	expect("[62000] query 2 lame.corp.example A\n"
	       "[62000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[62010]   attempt 10.0.2.1: lame.corp.example\n"
	       "[62060]   attempt 10.0.3.1: lame.corp.example\n"
	       "[62210]   seoul is doubted\n"
	       "[62210]   probe 10.0.1.1: corp.example\n"
	       "[62210]   probe 10.0.2.1: corp.example\n"
	       "[62210]   probe 10.0.3.1: corp.example\n"
	       "[63795] reply 2 NOERROR, no address has answered in time; this was the last answer\n"
	       "[64000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[64200]   attempt 10.0.2.1: lame.corp.example\n"
	       "[64600]   attempt 10.0.3.1: lame.corp.example\n"
	       "[72000] query 3 lame.corp.example A\n"
	       "[72000] reply 3 NOERROR, asked a moment ago without success; this was the last answer\n"
	       "[92000] query 4 lame.corp.example A\n"
	       "[92000] reply 4 NOERROR, asked a moment ago without success; this was the last answer\n"
	       "[102000] query 5 lame.corp.example A\n"
	       "[102000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[102010]   attempt 10.0.2.1: lame.corp.example\n"
	       "[102060]   attempt 10.0.3.1: lame.corp.example\n"
	       "[102210]   seoul is doubted\n"
	       "[102210]   probe 10.0.1.1: corp.example\n"
	       "[102210]   probe 10.0.2.1: corp.example\n"
	       "[102210]   probe 10.0.3.1: corp.example\n"
	       "[103795] reply 5 NOERROR, no address has answered in time; this was the last answer\n"
	       "[104000]   attempt 10.0.1.1: lame.corp.example\n"
	       "[104200]   attempt 10.0.2.1: lame.corp.example\n"
	       "[104600]   attempt 10.0.3.1: lame.corp.example\n");
}

static void slow_name_is_waited_for(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->slow_name = at("10.0.2.1")->slow_name = at("10.0.3.1")->slow_name = "slow";
	at("10.0.1.1")->slow_us = at("10.0.2.1")->slow_us = at("10.0.3.1")->slow_us = 1500 * US_PER_MS;
	world_ask(w, "slow.corp.example", "A");
	world_run_ms(w, 6000);
	expect("[ 1000] query 1 slow.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: slow.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: slow.corp.example\n"
	       "[ 1062]   attempt 10.0.3.1: slow.corp.example\n"
	       "[ 1212]   seoul is doubted\n"
	       "[ 1212]   probe 10.0.1.1: corp.example\n"
	       "[ 1212]   probe 10.0.2.1: corp.example\n"
	       "[ 1212]   probe 10.0.3.1: corp.example\n"
	       "[ 2504] reply 1 NOERROR\n");
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

static void endpoint_that_is_slower_than_stale_after_is_answered_for_from_stale(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	know("www.corp.example");
	give_rtt(2500);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1800);
	expect("[62000] query 2 www.corp.example A\n"
	       "[62000]   attempt 10.0.1.1: www.corp.example\n"
	       "[62010]   attempt 10.0.2.1: www.corp.example\n"
	       "[62060]   attempt 10.0.3.1: www.corp.example\n"
	       "[62210]   seoul is doubted\n"
	       "[62210]   probe 10.0.1.1: corp.example\n"
	       "[62210]   probe 10.0.2.1: corp.example\n"
	       "[62210]   probe 10.0.3.1: corp.example\n"
	       "[62410] seoul is down\n"
	       "[62410] reply 2 NOERROR, no address answers; this was the last answer\n"
	       "[62910]   probe 10.0.1.1: corp.example\n"
	       "[63410]   probe 10.0.2.1: corp.example\n");
}

/* ---- to: [seoul, tokyo] */

/* An error of one address must not end the asking of the others. */
static void datagram_lost_before_an_error_is_sent_again(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}}\n" STORY_REST);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_RCODE);
	at("10.0.2.1")->rcode = DNS_SERVFAIL;
	unsigned q = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1);
	world_set(w, "10.0.1.1", WORLD_WELL); /* it was but one */
	world_run_ms(w, 300);
	assert_non_null(world_reply(w, q));
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

static void addresses_not_asked_yet_are_asked_after_an_error_of_the_last_other_az(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}, "
	      "{ip: 10.0.1.2, az: az1}, {ip: 10.0.2.2, az: az2}]}}\n" STORY_REST);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_RCODE);
	at("10.0.2.1")->rcode = DNS_SERVFAIL;
	assert_int_equal(ask_within("www.corp.example", "A", 300)->rcode, DNS_NOERROR);
}

static void region_that_was_left_out_at_first_is_turned_to(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	world_pool(w, "seoul")->open_since_us = world_now_us(w); /* open, but not for long yet: tokyo is asked */
	world_set(w, "10.9.1.1", WORLD_SILENT);
	world_set(w, "10.9.2.1", WORLD_SILENT);
	unsigned q = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 2000);
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

static void drained_addresses_do_not_hide_an_outage(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}}\n" STORY_REST);
	world_upstream_state(w, "10.0.2.1")->drained = true;
	world_set_all(w, WORLD_SILENT);
	unsigned q = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1000);
	assert_non_null(world_reply(w, q));
	assert_int_equal(world_reply(w, q)->rcode, DNS_SERVFAIL);
}

static void attempts_from_before_an_outage_ended_are_no_evidence(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_SILENT);
	for (int i = 0; i < 5; i++) {
		char name[64];
		snprintf(name, sizeof(name), "n%d.corp.example", i);
		world_ask(w, name, "A");
		world_run_ms(w, 40);
	}
	world_run_ms(w, 600);
	assert_true(world_pool(w, "seoul")->down);
	world_trace(w);
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 600);
	assert_false(world_pool(w, "seoul")->down);
	world_run_ms(w, 2000);
	assert_null(strstr(world_trace(w), "suspect"));
}

/* ---- max-qps */

/* Each way of asking the same address once more: of thirty questions, all of them asked twice, no more go out than may. */
static void asking_once_more_counts_for_max_qps(void **state)
{
	static const enum world_fault reasons[] = {WORLD_TRUNCATE, WORLD_WRONG_CASE, WORLD_NO_EDNS, WORLD_GUESSED};
	char name[64];

	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(reasons); r++) {
		start("inbound-endpoints: {seoul: {max-qps: 20, addresses: [10.0.1.1]}}\n" STORY_REST);
		world_set(w, "10.0.1.1", reasons[r]);
		world_run_ms(w, 2000); /* the bucket is full */
		unsigned before = at("10.0.1.1")->asked;
		world_trace_off(w);
		for (int i = 0; i < 30; i++) {
			snprintf(name, sizeof(name), "n%d.corp.example", i);
			world_ask(w, name, "A");
		}
		world_run_ms(w, 20);
		assert_in_range(at("10.0.1.1")->asked - before, 15, 21);
		end(state);
	}
}

static void above_max_qps_is_told_and_not_remembered(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {max-qps: 2, addresses: [10.0.1.1]}}\n" STORY_REST);
	know("known.corp.example");
	ask_within("a.corp.example", "A", 0);
	ask_within("b.corp.example", "A", 0);
	const struct world_reply *r = ask_within("c.corp.example", "A", 0);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	assert_int_equal(r->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
	assert_string_equal(r->ede_text, "seoul: every address is above max-qps");
	r = ask_within("known.corp.example", "A", 0);
	assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
	assert_string_equal(r->ede_text, "every address is above max-qps; this was the last answer");
	world_run_ms(w, 1000);
	assert_int_equal(ask_within("c.corp.example", "A", 10)->rcode, DNS_NOERROR);
}

/* One garbled answer is a reason to ask elsewhere, not to ask again who has not had the time to answer. */
static void garbage_asks_nobody_twice_at_once(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}}\n" STORY_REST);
	world_set(w, "10.0.1.1", WORLD_GARBAGE);
	at("10.0.1.1")->rtt_us = 25 * US_PER_MS;
	at("10.0.2.1")->rtt_us = 25 * US_PER_MS;
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 34);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: www.corp.example\n");
}

static void dead_servers_that_the_network_calls_so_are_told_of_at_once_when_they_are_down(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	assert_int_equal(ask_within("known.example.org", "A", 100)->rcode, DNS_NOERROR);
	world_set(w, "192.168.0.2", WORLD_CLOSED);
	ask_within("first.example.org", "A", 5000);
	assert_true(world_pool(w, "local")->down);
	assert_int_equal(ask_within("second.example.org", "A", 100)->rcode, DNS_SERVFAIL);
}

static void too_many_clients_get_the_stale_answer_if_there_is_one(void **state)
{
	unsigned first = 0, last = 0;

	(void)state;
	start(STORY_ORDERED);
	know("www.corp.example");
	world_set_all(w, WORLD_SILENT);
	world_trace_off(w);
	for (int i = 0; i < 400; i++) {
		last = world_ask(w, "www.corp.example", "A");
		first = first == 0 ? last : first;
	}
	world_run_ms(w, 2500);
	for (unsigned q = first; q <= last; q++)
		assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

static void second_region_is_asked_when_the_first_is_silent(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 700);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1062]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1212]   seoul is doubted\n"
	       "[ 1212]   probe 10.0.1.1: corp.example\n"
	       "[ 1212]   probe 10.0.2.1: corp.example\n"
	       "[ 1412] seoul is down\n"
	       "[ 1412]   attempt 10.9.1.1: www.corp.example\n"
	       "[ 1416] reply 1 NOERROR\n");
}

static void second_region_is_asked_when_the_first_is_out_of_reach(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	world_set(w, "10.0.1.1", WORLD_UNSENDABLE);
	world_set(w, "10.0.2.1", WORLD_UNSENDABLE);
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1000]   10.0.1.1 suspect\n"
	       "[ 1000]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1000]   10.0.2.1 suspect\n"
	       "[ 1000]   attempt 10.9.1.1: www.corp.example\n"
	       "[ 1000]   probe 10.0.1.1: corp.example\n"
	       "[ 1000]   probe 10.0.2.1: corp.example\n"
	       "[ 1004] reply 1 NOERROR\n");
}

static bool is_probe(const struct question_upstream *asked)
{
	return asked->type == DNS_TYPE_NS;
}

static size_t write_rcode(const struct question_upstream *asked, uint16_t rcode, uint8_t *out)
{
	struct question_upstream echo = *asked;

	echo.flags = 0;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, (uint16_t)(DNS_QR | DNS_RD | DNS_RA | rcode));
	return len;
}

/* Well, but for the names. */
static size_t break_names(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	(void)stream;
	return write_rcode(asked, is_probe(asked) ? DNS_NOERROR : DNS_SERVFAIL, out);
}

static void broken_name_is_not_asked_of_the_second_region(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	at("10.0.1.1")->answer = at("10.0.2.1")->answer = break_names;
	world_ask(w, "broken.corp.example", "A");
	world_run_ms(w, 1000);
	expect("[ 1000] query 1 broken.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: broken.corp.example\n"
	       "[ 1004]   attempt 10.0.2.1: broken.corp.example\n"
	       "[ 1008]   seoul is doubted\n"
	       "[ 1008]   probe 10.0.1.1: corp.example\n"
	       "[ 1008]   probe 10.0.2.1: corp.example\n"
	       "[ 1208]   attempt 10.0.1.1: broken.corp.example\n"
	       "[ 1212] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) SERVFAIL, 10.0.2.1:53 (az2) SERVFAIL\n");
}

static void second_region_takes_over_from_one_that_answers_errors_only(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	world_set(w, "10.0.1.1", WORLD_RCODE);
	world_set(w, "10.0.2.1", WORLD_RCODE);
	at("10.0.1.1")->rcode = at("10.0.2.1")->rcode = DNS_SERVFAIL;
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1000);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1004]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1008]   seoul is doubted\n"
	       "[ 1008]   probe 10.0.1.1: corp.example\n"
	       "[ 1008]   probe 10.0.2.1: corp.example\n"
	       "[ 1012]   10.0.1.1 suspect\n"
	       "[ 1012]   10.0.2.1 suspect\n"
	       "[ 1012]   probe 10.0.1.1: corp.example\n"
	       "[ 1012]   probe 10.0.2.1: corp.example\n"
	       "[ 1208]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1212]   attempt 10.9.1.1: www.corp.example\n"
	       "[ 1216] reply 1 NOERROR\n");
}

static void client_is_told_of_both_regions_when_both_are_silent(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	world_set_all(w, WORLD_SILENT);
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 4500);
	world_ask(w, "other.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1062]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1212]   seoul is doubted\n"
	       "[ 1212]   probe 10.0.1.1: corp.example\n"
	       "[ 1212]   probe 10.0.2.1: corp.example\n"
	       "[ 1412] seoul is down\n"
	       "[ 1412]   attempt 10.9.1.1: www.corp.example\n"
	       "[ 1424]   attempt 10.9.2.1: www.corp.example\n"
	       "[ 1474]   attempt 10.9.1.1: www.corp.example\n"
	       "[ 1624]   tokyo is doubted\n"
	       "[ 1624]   probe 10.9.1.1: corp.example\n"
	       "[ 1624]   probe 10.9.2.1: corp.example\n"
	       "[ 1824] tokyo is down\n"
	       "[ 1824] reply 1 SERVFAIL, seoul: down; tokyo: 10.9.1.1:53 (az1) silent, 10.9.2.1:53 (az2) silent\n"
	       "[ 1912]   probe 10.0.1.1: corp.example\n"
	       "[ 2324]   probe 10.9.1.1: corp.example\n"
	       "[ 2412]   probe 10.0.2.1: corp.example\n"
	       "[ 2824]   probe 10.9.2.1: corp.example\n"
	       "[ 2912]   probe 10.0.1.1: corp.example\n"
	       "[ 3324]   probe 10.9.1.1: corp.example\n"
	       "[ 3412]   probe 10.0.2.1: corp.example\n"
	       "[ 3824]   probe 10.9.2.1: corp.example\n"
	       "[ 3912]   probe 10.0.1.1: corp.example\n"
	       "[ 4324]   probe 10.9.1.1: corp.example\n"
	       "[ 4412]   probe 10.0.2.1: corp.example\n"
	       "[ 4824]   probe 10.9.2.1: corp.example\n"
	       "[ 4912]   probe 10.0.1.1: corp.example\n"
	       "[ 5324]   probe 10.9.1.1: corp.example\n"
	       "[ 5412]   probe 10.0.2.1: corp.example\n"
	       "[ 5500] query 2 other.corp.example A\n"
	       "[ 5500] reply 2 SERVFAIL, seoul: down, 10.0.1.1:53 (az1) silent, 10.0.2.1:53 (az2) silent; "
	       "tokyo: down, 10.9.1.1:53 (az1) silent, 10.9.2.1:53 (az2) silent\n");
}

/* The first is not known to be down yet. */
static void client_is_told_of_a_region_that_was_left(void **state)
{
	(void)state;
	start(TWO_REGIONS);
	world_set(w, "10.0.1.1", WORLD_UNSENDABLE);
	world_set(w, "10.0.2.1", WORLD_UNSENDABLE);
	world_set(w, "10.9.1.1", WORLD_SILENT);
	world_set(w, "10.9.2.1", WORLD_SILENT);
	const struct world_reply *r = ask_within("www.corp.example", "A", 1000);
	assert_false(world_pool(w, "seoul")->down);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	assert_string_equal(r->ede_text, "seoul: no answer of use; tokyo: 10.9.1.1:53 (az1) silent, 10.9.2.1:53 (az2) silent");
}

/* A name that nobody knows anything of: the second region would know no more. */
static void lame_name_is_asked_of_no_address_more_than_twice(void **state)
{
	static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.9.1.1", "10.9.2.1"};

	(void)state;
	start(TWO_REGIONS);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		at(ips[i])->silent_name = "lame";
	assert_int_equal(ask_within("lame.corp.example", "A", 5000)->rcode, DNS_SERVFAIL);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		assert_in_range(at(ips[i])->asked, 0, 2);
}

static void open_group_is_asked_before_one_that_is_down(void **state)
{
	(void)state;
	start("resolvers: {one: {addresses: [10.9.0.1]}, two: {addresses: [10.8.0.1]}, three: {addresses: [10.7.0.1]}}\n"
	      "zones: [{name: office.example, to: [one, two, three]}, {name: x.example, to: two}]\nlocal-upstreams: [192.168.0.2]\n");
	world_set(w, "10.8.0.1", WORLD_SILENT);
	ask_within("a.x.example", "A", 5000);
	assert_true(world_pool(w, "two")->down);
	world_set(w, "10.9.0.1", WORLD_UNSENDABLE);
	unsigned before = at("10.8.0.1")->asked;
	assert_int_equal(ask_within("a.office.example", "A", 4000)->rcode, DNS_NOERROR);
	assert_int_equal(at("10.8.0.1")->asked, before);
}

/* ---- EDNS */

static bool last_had_edns;

/* EDNS is known there; but the name `odd` is too much for it, in any form. */
static size_t say_formerr_of_odd(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	struct question_upstream echo = *asked;
	bool odd = memcmp(asked->name->octets + 1, "odd", 3) == 0;

	(void)stream;
	last_had_edns = asked->edns;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, (uint16_t)(DNS_QR | DNS_RD | DNS_RA | (odd ? DNS_FORMERR : DNS_NOERROR)));
	if (odd || is_probe(asked))
		return len;
	memcpy(out + len, a, sizeof(a));
	out[7] = 1;
	return len + sizeof(a);
}

static void one_name_that_is_a_formerr_leaves_edns_on(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->answer = at("10.0.2.1")->answer = at("10.0.3.1")->answer = say_formerr_of_odd;
	assert_int_equal(ask_within("odd.corp.example", "A", 1000)->rcode, DNS_FORMERR);
	assert_false(last_had_edns); /* it was tried */
	assert_int_equal(ask_within("www.corp.example", "A", 1000)->rcode, DNS_NOERROR);
	assert_true(last_had_edns);
}

/* BADVERS, 16: its upper bits are in the OPT. */
static size_t say_badvers(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	echo.flags = 0;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	if (asked->edns)
		out[len - EDNS_OPT_BYTES + 5] = 1;
	return len;
}

/* It is about the hop from us to the server (RFC 6891 section 6.1.3). */
static void badvers_of_an_upstream_is_servfail(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->answer = at("10.0.2.1")->answer = at("10.0.3.1")->answer = say_badvers;
	const struct world_reply *r = ask_within("www.corp.example", "A", 1000);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	assert_non_null(strstr(r->ede_text, "BADVERS"));
}

/* Cuts all over UDP, with the question's own letters as the owner of what there is. */
static size_t cut_with_a_copied_owner(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t rest[] = {0, DNS_TYPE_A, 0, DNS_CLASS_IN, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	struct question_upstream echo = *asked;

	if (stream)
		return 0;
	echo.flags = 0;
	echo.edns = false;
	size_t len = question_write(&echo, out), name_len = asked->name->len;
	dns_put16(out + 2, DNS_QR | DNS_TC | DNS_RD | DNS_RA);
	out[7] = 1;
	memcpy(out + len, out + DNS_HEADER_BYTES, name_len);
	memcpy(out + len + name_len, rest, sizeof(rest));
	return len + name_len + sizeof(rest);
}

static void letters_of_our_making_do_not_reach_clients_in_a_cut_answer(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->answer = at("10.0.2.1")->answer = at("10.0.3.1")->answer = cut_with_a_copied_owner;
	at("10.0.1.1")->tcp_closed = at("10.0.2.1")->tcp_closed = at("10.0.3.1")->tcp_closed = true;
	const struct world_reply *r = ask_within("www.corp.example", "A", 5000);
	assert_non_null(r);
	assert_int_equal(r->flags & DNS_TC, DNS_TC);
	assert_int_equal(r->ancount, 1);
	for (size_t i = DNS_HEADER_BYTES; i < r->len; i++)
		assert_false(r->message[i] >= 'A' && r->message[i] <= 'Z');
}

/* Two servers behind one address: the one that is asked first knows no EDNS. What is asked without is not answered. */
static unsigned asked_of_both;

static size_t knows_edns_but_for_the_first(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	echo.flags = 0;
	if (asked->type == DNS_TYPE_A)
		asked_of_both++;
	if (asked->type == DNS_TYPE_A && !asked->edns)
		return 0;
	bool first = asked->type == DNS_TYPE_A && asked_of_both == 1;
	echo.edns = !first;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA | (first ? DNS_FORMERR : DNS_NXDOMAIN));
	return len;
}

static void answer_to_a_question_with_edns_does_not_switch_it_off(void **state)
{
	(void)state;
	start(ONE_ADDRESS);
	asked_of_both = 0;
	at("10.0.1.1")->answer = knows_edns_but_for_the_first;
	at("10.0.1.1")->rtt_us = 15 * US_PER_MS; /* its hedge is under way by then */
	assert_int_equal(ask_within("www.corp.example", "A", 5000)->rcode, DNS_NXDOMAIN);
	assert_true(asked_of_both >= 2);
	assert_true(atomic_load(&world_upstream_state(w, "10.0.1.1")->no_edns_until_us) == 0);
}

static uint64_t rate_spent_ns(void)
{
	return atomic_load(&world_upstream_state(w, "10.0.1.1")->rate_ns);
}

static void hedge_that_cannot_leave_is_tried_once(void **state)
{
	(void)state;
	start(ONE_ADDRESS);
	at("10.0.1.1")->silent_name = "lame";
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 1);
	uint64_t spent_ns = rate_spent_ns();
	at("10.0.1.1")->full = true;
	world_run_ms(w, 15);
	/* It is due after 12 ms, and is worth 0.1 ms of 10,000 a second. */
	assert_in_range(rate_spent_ns(), spent_ns + 1, spent_ns + 13000 * 1000);
}

/* ---- what a failure leaves behind */

static void error_is_remembered_for_a_second(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	all_say(DNS_SERVFAIL);
	world_run_ms(w, 1950 - world_now_us(w) % US_PER_S / US_PER_MS); /* the second is nearly over */
	world_ask(w, "broken.corp.example", "A");
	world_run_ms(w, 980);
	unsigned asked = at("10.0.1.1")->asked;
	assert_int_equal(ask_within("broken.corp.example", "A", 100)->rcode, DNS_SERVFAIL);
	assert_int_equal(at("10.0.1.1")->asked, asked);
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 1500);
	assert_int_equal(ask_within("broken.corp.example", "A", 100)->rcode, DNS_NOERROR);
}

static void known_name_is_served_stale_when_all_answer_errors(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	know("www.corp.example");
	all_say(DNS_REFUSED);
	const struct world_reply *r = ask_within("www.corp.example", "A", 100);
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
	assert_int_equal(r->ttl_s, 30);
	/* The failure did not replace it. */
	world_run_ms(w, 31000);
	assert_int_equal(ask_within("www.corp.example", "A", 1000)->ede, DNS_EDE_STALE_ANSWER);
}

/* ---- joining */

static void client_that_joins_a_prefetch_is_served_stale_in_time(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	for (int i = 0; i < 4; i++)
		ask_within("pop.corp.example", "A", 10);
	nobody_knows("pop");
	world_run_ms(w, 58900);
	world_ask(w, "pop.corp.example", "A"); /* claims the refresh */
	world_run_ms(w, 1200);                 /* expired */
	unsigned q = world_ask(w, "pop.corp.example", "A");
	uint64_t asked_us = world_now_us(w);
	world_run_ms(w, 3000);
	assert_non_null(world_reply(w, q));
	assert_int_equal(world_reply(w, q)->ede, DNS_EDE_STALE_ANSWER);
	assert_true(world_reply(w, q)->at_us <= asked_us + 610 * US_PER_MS); /* 1.8 s since the prefetch began */
}

static void flights_attempts_and_queries_are_given_back(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	ask_within("a.corp.example", "A", 20);
	const struct forward *f = world_forward(w);
	assert_int_equal(forward_waiting(f), 0);
	assert_int_equal(f->flights.used, 1); /* lingers to see whether the first address was slow or silent */
	world_run_ms(w, 1100);
	assert_int_equal(f->flights.used, 0);
	assert_int_equal(f->attempts.used, 0);
	assert_int_equal(f->queries.used, 0);
}

static void forwarder_may_end_with_questions_in_flight(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_TRUNCATE);
	at("10.0.1.1")->tcp_closed = true;
	world_set(w, "10.0.3.1", WORLD_SILENT);
	at("10.0.2.1")->silent_name = "slow";
	world_ask(w, "slow.corp.example", "A"); /* a cut answer is kept, two are silent */
	world_ask(w, "well.corp.example", "A");
	world_run_ms(w, 30);
	expect("[ 1000] -- 10.0.1.1 is truncating\n"
	       "[ 1000] -- 10.0.3.1 is silent\n"
	       "[ 1000] query 1 slow.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: slow.corp.example\n"
	       "[ 1000] query 2 well.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: well.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1 over TCP: slow.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1 over TCP: well.corp.example\n"
	       "[ 1008]   attempt 10.0.2.1: slow.corp.example\n"
	       "[ 1008]   attempt 10.0.2.1: well.corp.example\n"
	       "[ 1012] reply 2 NOERROR\n"
	       "[ 1020]   attempt 10.0.3.1: slow.corp.example\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(lame_name_is_asked_of_all_twice_and_told_after_four_seconds),
		STORY(lame_name_that_was_known_is_served_stale_after_a_while),
		STORY(slow_name_is_waited_for),
		STORY(endpoint_that_is_slower_than_stale_after_is_answered_for_from_stale),
		STORY(datagram_lost_before_an_error_is_sent_again),
		STORY(addresses_not_asked_yet_are_asked_after_an_error_of_the_last_other_az),
		STORY(region_that_was_left_out_at_first_is_turned_to),
		STORY(drained_addresses_do_not_hide_an_outage),
		STORY(attempts_from_before_an_outage_ended_are_no_evidence),
		STORY(asking_once_more_counts_for_max_qps),
		STORY(above_max_qps_is_told_and_not_remembered),
		STORY(garbage_asks_nobody_twice_at_once),
		STORY(dead_servers_that_the_network_calls_so_are_told_of_at_once_when_they_are_down),
		STORY(too_many_clients_get_the_stale_answer_if_there_is_one),
		STORY(second_region_is_asked_when_the_first_is_silent),
		STORY(second_region_is_asked_when_the_first_is_out_of_reach),
		STORY(broken_name_is_not_asked_of_the_second_region),
		STORY(second_region_takes_over_from_one_that_answers_errors_only),
		STORY(client_is_told_of_both_regions_when_both_are_silent),
		STORY(client_is_told_of_a_region_that_was_left),
		STORY(lame_name_is_asked_of_no_address_more_than_twice),
		STORY(open_group_is_asked_before_one_that_is_down),
		STORY(one_name_that_is_a_formerr_leaves_edns_on),
		STORY(badvers_of_an_upstream_is_servfail),
		STORY(letters_of_our_making_do_not_reach_clients_in_a_cut_answer),
		STORY(answer_to_a_question_with_edns_does_not_switch_it_off),
		STORY(hedge_that_cannot_leave_is_tried_once),
		STORY(error_is_remembered_for_a_second),
		STORY(known_name_is_served_stale_when_all_answer_errors),
		STORY(client_that_joins_a_prefetch_is_served_stale_in_time),
		STORY(flights_attempts_and_queries_are_given_back),
		STORY(forwarder_may_end_with_questions_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
