/* SPDX-License-Identifier: Apache-2.0 */
/* What clients are told of why they get no answer, or an old one: the extended errors and their texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "story.h"

#define DOWN(one, two, three)                                                                                                \
	"seoul: down, 10.0.1.1:53 (az1) " one ", 10.0.2.1:53 (az2) " two ", 10.0.3.1:53 (az3) " three

static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1"};

static void all_say(uint16_t rcode)
{
	world_set_all(w, WORLD_RCODE);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		at(ips[i])->rcode = rcode;
}

static void expect_told(const char *name, uint64_t ms, uint16_t rcode, int ede, const char *text)
{
	const struct world_reply *r = ask_within(name, "A", ms);

	assert_non_null(r);
	assert_int_equal(r->rcode, rcode);
	assert_string_equal(r->ede_text, text);
	assert_int_equal(r->ede, ede);
}

/* ---- asked a moment ago */

#define A_MOMENT_AGO "asked a moment ago without success: seoul"
#define NONE_ANSWERED A_MOMENT_AGO ": no answer from 10.0.1.1:53 (az1), 10.0.2.1:53 (az2), 10.0.3.1:53 (az3)"

/* RFC 8914 section 4.14: 13 is for SERVFAIL. */
static void remembered_rcode_is_not_told_as_silence(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	all_say(DNS_REFUSED);
	assert_int_equal(ask_within("www.corp.example", "A", 100)->ede, DNS_EDE_OTHER);
	expect_told("www.corp.example", 0, DNS_REFUSED, DNS_EDE_OTHER, A_MOMENT_AGO);
	all_say(DNS_SERVFAIL);
	assert_int_equal(ask_within("app.corp.example", "A", 100)->ede, DNS_EDE_OTHER);
	expect_told("app.corp.example", 0, DNS_SERVFAIL, DNS_EDE_CACHED_ERROR, A_MOMENT_AGO);
}

/* A name that nobody answers, though the addresses answer probes. */
static void remembered_silence_is_told_as_such(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		at(ips[i])->silent_name = "lame";
	assert_int_equal(ask_within("lame.corp.example", "A", 5000)->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
	expect_told("lame.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, NONE_ANSWERED);
}

/* Nobody remembers whether the second was asked. */
static void addresses_of_several_endpoints_are_not_accused(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {addresses: [10.0.1.1, 10.0.2.1]}, tokyo: {addresses: [10.0.3.1]}}\n"
	      "zones: [{name: corp.example, to: [seoul, tokyo]}]\nlocal-upstreams: [192.168.0.2]\n");
	at("10.0.1.1")->silent_name = at("10.0.2.1")->silent_name = "lame";
	ask_within("lame.corp.example", "A", 5000);
	expect_told("lame.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, A_MOMENT_AGO ", tokyo");
}

static void remembered_closed_ports_are_told_as_such(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_UNSENDABLE);
	assert_int_equal(ask_within("www.corp.example", "A", 100)->ede, DNS_EDE_NETWORK_ERROR);
	assert_false(world_pool(w, "seoul")->down);
	expect_told("www.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NETWORK_ERROR, NONE_ANSWERED);
}

/* ---- nobody is there to ask */

static void lack_of_local_upstreams_is_told(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_pool(w, "local")->count = 0; /* as when resolv.conf names nobody but us */
	expect_told("www.example.org", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, "no local upstream is known");
	world_pool(w, "local")->count = 1;
}

/* ---- down */

static void endpoint_that_is_down_is_told_of_by_address(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_SILENT);
	assert_int_equal(ask_within("first.corp.example", "A", 3000)->rcode, DNS_SERVFAIL);
	expect_told("www.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, DOWN("silent", "silent", "silent"));
	atomic_store(&world_upstream_state(w, "10.0.2.1")->drained, true);
	expect_told("app.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, DOWN("silent", "drained", "silent"));
}

/* Before the main thread has heard of it, and after. */
static void endpoint_that_is_drained_is_not_told_of_as_down(void **state)
{
	static const char sentence[] = "seoul: every address is drained";

	(void)state;
	start(STORY_ORDERED);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		atomic_store(&world_upstream_state(w, ips[i])->drained, true);
	assert_false(world_pool(w, "seoul")->down);
	expect_told("www.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, sentence);
	assert_true(pool_close(world_pool(w, "seoul")));
	expect_told("app.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, sentence);
}

static void closed_ports_of_an_endpoint_that_is_down_are_told(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_CLOSED);
	assert_int_equal(ask_within("first.corp.example", "A", 500)->ede, DNS_EDE_NETWORK_ERROR);
	assert_true(world_pool(w, "seoul")->down);
	expect_told("www.corp.example", 0, DNS_SERVFAIL, DNS_EDE_NETWORK_ERROR, DOWN("unreachable", "unreachable", "unreachable"));
}

/* Error 23 speaks for all of them, as once the endpoint is known to be down. */
static void one_closed_port_among_silent_addresses_does_not_speak_for_them(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_CLOSED);
	const struct world_reply *r = ask_within("first.corp.example", "A", 5000);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	assert_non_null(strstr(r->ede_text, "10.0.1.1:53 (az1) silent, 10.0.2.1:53 (az2) unreachable"));
	assert_int_equal(r->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
	assert_int_equal(ask_within("www.corp.example", "A", 5000)->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
}

static void errors_of_an_endpoint_that_is_down_are_told(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	all_say(DNS_SERVFAIL);
	for (int i = 0; i < 20 && !world_pool(w, "seoul")->down; i++)
		ask_within("first.corp.example", "A", 2000);
	assert_true(world_pool(w, "seoul")->down);
	expect_told("www.corp.example", 0, DNS_SERVFAIL, DNS_EDE_OTHER, DOWN("SERVFAIL", "SERVFAIL", "SERVFAIL"));
}

/* ---- stale */

static void know(const char *name)
{
	assert_int_equal(ask_within(name, "A", 61000)->rcode, DNS_NOERROR);
}

static void stale_answer_says_what_the_addresses_did(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	know("www.corp.example");
	all_say(DNS_SERVFAIL);
	expect_told("www.corp.example", 100, DNS_NOERROR, DNS_EDE_STALE_ANSWER,
		    "the addresses answer with errors; this was the last answer");
	expect_told("www.corp.example", 0, DNS_NOERROR, DNS_EDE_STALE_ANSWER,
		    "asked a moment ago without success; this was the last answer");
}

static void stale_answer_says_that_the_addresses_are_slow(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	know("slow.corp.example");
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		at(ips[i])->slow_name = "slow";
		at(ips[i])->slow_us = 3 * US_PER_S;
	}
	expect_told("slow.corp.example", 2000, DNS_NOERROR, DNS_EDE_STALE_ANSWER,
		    "no address has answered in time; this was the last answer");
}

static void stale_answer_says_that_the_endpoint_is_down(void **state)
{
	static const char text[] = "no address answers; this was the last answer";

	(void)state;
	start(STORY_ORDERED);
	know("www.corp.example");
	world_set_all(w, WORLD_SILENT);
	expect_told("www.corp.example", 2000, DNS_NOERROR, DNS_EDE_STALE_ANSWER, text);
	expect_told("www.corp.example", 0, DNS_NOERROR, DNS_EDE_STALE_ANSWER, text);
}

static void stale_answer_says_that_this_host_could_not_ask(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	know("www.corp.example");
	world_set_all(w, WORLD_STARVED);
	expect_told("www.corp.example", 100, DNS_NOERROR, DNS_EDE_STALE_ANSWER, "nobody could be asked; this was the last answer");
}

/* ---- length */

#define ADDRESS(net) "{ip: 10.120.1" net ".110, az: apne2-az" net "}"
#define SIX ADDRESS("1") ", " ADDRESS("2") ", " ADDRESS("3") ", " ADDRESS("4") ", " ADDRESS("5") ", " ADDRESS("6")
#define TEN SIX ", 10.120.17.110, 10.120.18.110, 10.120.19.110, 10.120.20.110, 10.120.21.110, 10.120.22.110, 10.120.23.110, 10.120.24.110"
#define CONF(addresses)                                                                                                      \
	"inbound-endpoints: {onpremises-to-aws: {policy: ordered, addresses: [" addresses "]}}\n"                             \
	"zones: [{name: corp.example, to: onpremises-to-aws}]\nlocal-upstreams: [192.168.0.2]\n"

/* As many as AWS has. */
static void all_of_six_addresses_are_told_of(void **state)
{
	(void)state;
	start(CONF(SIX));
	world_set_all(w, WORLD_SILENT);
	const struct world_reply *r = ask_within("first.corp.example", "A", 5000);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	r = ask_within("www.corp.example", "A", 0);
	assert_non_null(strstr(r->ede_text, "onpremises-to-aws: down, 10.120.11.110:53 (apne2-az1) silent,"));
	assert_non_null(strstr(r->ede_text, " 10.120.16.110:53 (apne2-az6) silent"));
}

static void what_is_too_long_is_cut_between_two_words(void **state)
{
	(void)state;
	start(CONF(TEN));
	world_set_all(w, WORLD_SILENT);
	ask_within("first.corp.example", "A", 8000);
	const struct world_reply *r = ask_within("www.corp.example", "A", 0);
	assert_true(world_pool(w, "onpremises-to-aws")->down);
	const char *last = strrchr(r->ede_text, ' ') + 1;
	assert_true(strcmp(last, "silent,") == 0 || strchr(last, ')') != NULL || strcmp(last + strlen(last) - 3, ":53") == 0);
	assert_in_range(strlen(r->ede_text), EDNS_EDE_TEXT_MAX - 20, EDNS_EDE_TEXT_MAX);
}

/* ---- loops */

/* Where the way back has the address that all others have. */
static void on_loopback_a_query_for_what_is_being_asked_has_come_round(void **state)
{
	static const uint8_t ip[] = {127, 0, 0, 1};
	uint64_t word = 0;

	(void)state;
	start(STORY_ORDERED);
	memcpy(&word, ip, sizeof(ip));
	atomic_store(&world_pool(w, "seoul")->loop.client[0], word);
	atomic_store(&world_pool(w, "seoul")->loop.until_us, UINT64_MAX);
	unsigned first = world_ask(w, "www.corp.example", "A"), second = world_ask(w, "www.corp.example", "A");
	unsigned other = world_ask(w, "app.corp.example", "A");
	world_run_ms(w, 1);
	assert_non_null(world_reply(w, second));
	assert_int_equal(world_reply(w, second)->rcode, DNS_REFUSED);
	assert_string_equal(world_reply(w, second)->ede_text, "a loop: what we ask for this zone comes back to us");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, first)->rcode, DNS_NOERROR);
	assert_int_equal(world_reply(w, other)->rcode, DNS_NOERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(remembered_rcode_is_not_told_as_silence),
		STORY(remembered_silence_is_told_as_such),
		STORY(addresses_of_several_endpoints_are_not_accused),
		STORY(remembered_closed_ports_are_told_as_such),
		STORY(lack_of_local_upstreams_is_told),
		STORY(endpoint_that_is_down_is_told_of_by_address),
		STORY(endpoint_that_is_drained_is_not_told_of_as_down),
		STORY(closed_ports_of_an_endpoint_that_is_down_are_told),
		STORY(one_closed_port_among_silent_addresses_does_not_speak_for_them),
		STORY(errors_of_an_endpoint_that_is_down_are_told),
		STORY(stale_answer_says_what_the_addresses_did),
		STORY(stale_answer_says_that_the_addresses_are_slow),
		STORY(stale_answer_says_that_the_endpoint_is_down),
		STORY(stale_answer_says_that_this_host_could_not_ask),
		STORY(all_of_six_addresses_are_told_of),
		STORY(what_is_too_long_is_cut_between_two_words),
		STORY(on_loopback_a_query_for_what_is_being_asked_has_come_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
