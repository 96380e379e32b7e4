/* SPDX-License-Identifier: Apache-2.0 */
/* The path is gone: nobody answers, not even probes. What clients get, how soon it is known, how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crowd.h"
#include "story.h"

static void lose_the_path(void)
{
	world_set_all(w, WORLD_SILENT);
	world_upstream(w, "192.168.0.2")->fault = WORLD_WELL;
	world_trace(w);
}

static void find_it_again(void)
{
	world_set_all(w, WORLD_WELL);
	world_trace(w);
}

static bool is_down(void)
{
	return atomic_load(&world_pool(w, "seoul")->down);
}

static void endpoint_is_known_to_be_down_within_a_second_and_open_within_another(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	lose_the_path();
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1000);
	find_it_again();
	world_run_ms(w, 1000);
	expect("?");
}

/* At 500 queries a second, whatever was going on. */
static void endpoint_goes_down_within_a_second_among_traffic(void **state)
{
	struct crowd c;

	(void)state;
	start(STORY_SPREAD);
	world_trace_off(w);
	crowd_init(&c, w, "corp.example");
	crowd_ask(&c, 500, 3000);
	lose_the_path();
	crowd_ask(&c, 500, 1000);
	assert_true(is_down());
	crowd_reset(&c);
	unsigned before = at("10.0.1.1")->asked + at("10.0.2.1")->asked + at("10.0.3.1")->asked;
	crowd_ask(&c, 500, 5000);
	assert_int_equal(c.slowest_us, 0);
	assert_int_equal(at("10.0.1.1")->asked + at("10.0.2.1")->asked + at("10.0.3.1")->asked, before);
	find_it_again();
	crowd_ask(&c, 500, 1000);
	assert_false(is_down());
	crowd_reset(&c);
	crowd_ask(&c, 500, 2000);
	crowd_wait(&c);
	assert_int_equal(c.failed, 0);
	crowd_deinit(&c);
}

static void unknown_nxdomain_and_addresses_are_served_stale_each_in_its_way(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	ask_within("www.corp.example", "A", 10);
	ask_within("nx.corp.example", "A", 10);
	ask_within("www.corp.example", "TXT", 10);
	world_run_ms(w, 61000);
	lose_the_path();
	world_ask(w, "any.corp.example", "A");
	world_run_ms(w, 1000);
	const struct world_reply *r = ask_within("www.corp.example", "A", 0);
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_int_equal(r->ancount, 1);
	assert_int_equal(r->ttl_s, 30);
	assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
	r = ask_within("nx.corp.example", "A", 0);
	assert_int_equal(r->rcode, DNS_NXDOMAIN);
	assert_int_equal(r->ttl_s, 30);
	assert_int_equal(r->ede, DNS_EDE_STALE_NXDOMAIN);
	r = ask_within("www.corp.example", "TXT", 0);
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_int_equal(r->ancount, 0);
	assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
}

static void fresh_answers_are_not_touched_by_an_outage(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	ask_within("www.corp.example", "A", 10);
	lose_the_path();
	ask_within("any.corp.example", "A", 1000);
	assert_true(is_down());
	const struct world_reply *r = ask_within("www.corp.example", "A", 0);
	assert_int_equal(r->ede, -1);
	assert_in_range(r->ttl_s, 58, 59);
}

static void other_zones_are_served_as_if_nothing_had_happened(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	lose_the_path();
	ask_within("any.corp.example", "A", 1000);
	assert_true(is_down());
	unsigned q = world_ask(w, "www.example.org", "A");
	world_run_ms(w, 4);
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

static void closed_ports_are_told_as_a_network_error(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_CLOSED);
	const struct world_reply *r = ask_within("www.corp.example", "A", 1000);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	assert_int_equal(r->ede, DNS_EDE_NETWORK_ERROR);
}

static void what_failed_during_the_outage_is_void_when_it_ends(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	lose_the_path();
	assert_int_equal(ask_within("www.corp.example", "A", 1000)->rcode, DNS_SERVFAIL);
	find_it_again();
	while (is_down())
		world_run_ms(w, 1);
	unsigned q = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 4);
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

/* A reload in the middle forgets nothing of it. */
static void outage_lives_through_a_reload(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	ask_within("www.corp.example", "A", 61000);
	lose_the_path();
	ask_within("any.corp.example", "A", 1000);
	world_reload(w, STORY_SPREAD);
	assert_true(is_down());
	assert_int_equal(ask_within("www.corp.example", "A", 0)->ede, DNS_EDE_STALE_ANSWER);
	find_it_again();
	world_run_ms(w, 1000);
	assert_false(is_down());
	assert_int_equal(ask_within("www.corp.example", "A", 100)->ede, -1);
}

static void questions_in_flight_when_it_goes_down_are_answered_at_once_under_the_old_file_too(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	ask_within("www.corp.example", "A", 61000);
	lose_the_path();
	unsigned known = world_ask(w, "www.corp.example", "A"), unknown = world_ask(w, "new.corp.example", "A");
	world_run_ms(w, 10);
	world_reload(w, STORY_ORDERED);
	world_run_ms(w, 800);
	assert_true(is_down());
	assert_int_equal(world_reply(w, known)->ede, DNS_EDE_STALE_ANSWER);
	assert_int_equal(world_reply(w, unknown)->rcode, DNS_SERVFAIL);
}

static void without_serve_stale_known_names_are_told_like_others(void **state)
{
	(void)state;
	start(STORY_ENDPOINT("    policy: ordered\n") "cache: {serve-stale: off}\n");
	ask_within("www.corp.example", "A", 61000);
	lose_the_path();
	assert_int_equal(ask_within("www.corp.example", "A", 1000)->rcode, DNS_SERVFAIL);
	assert_int_equal(ask_within("www.corp.example", "A", 0)->rcode, DNS_SERVFAIL);
}

/* Nothing has been asked for a while when it happens: the first to ask finds out, and one who asks at the same time as well. */
static void single_address_is_a_path_too(void **state)
{
	(void)state;
	start("inbound-endpoints:\n  seoul: {addresses: [10.0.1.1]}\n" STORY_REST);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1000);
	expect("?");
}

static void late_answer_of_a_lost_path_opens_nothing_by_itself_and_harms_nobody(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->rtt_us = at("10.0.2.1")->rtt_us = at("10.0.3.1")->rtt_us = 800 * US_PER_MS;
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 3000);
	/* Closed for a moment, since nobody knew it to be that slow; then it works as slowly as it is. */
	assert_false(is_down());
	for (int i = 0; i < 5; i++) {
		char name[64];
		snprintf(name, sizeof(name), "slow%d.corp.example", i);
		assert_int_equal(ask_within(name, "A", 1000)->rcode, DNS_NOERROR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(endpoint_is_known_to_be_down_within_a_second_and_open_within_another),
		STORY(endpoint_goes_down_within_a_second_among_traffic),
		STORY(unknown_nxdomain_and_addresses_are_served_stale_each_in_its_way),
		STORY(fresh_answers_are_not_touched_by_an_outage),
		STORY(other_zones_are_served_as_if_nothing_had_happened),
		STORY(closed_ports_are_told_as_a_network_error),
		STORY(what_failed_during_the_outage_is_void_when_it_ends),
		STORY(outage_lives_through_a_reload),
		STORY(questions_in_flight_when_it_goes_down_are_answered_at_once_under_the_old_file_too),
		STORY(without_serve_stale_known_names_are_told_like_others),
		STORY(single_address_is_a_path_too),
		STORY(late_answer_of_a_lost_path_opens_nothing_by_itself_and_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
