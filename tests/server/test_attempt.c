/* SPDX-License-Identifier: Apache-2.0 */
/* What one attempt may bring, and what follows from it: as stories on the virtual clock. Policy `ordered`, so that they are the same
 * each time: the first address is the one that is ill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "story.h"

/* ---- other letter case */

static void lower_casing_address_is_asked_again_and_not_doubted(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_WRONG_CASE);
	world_ask(w, "case.corp.example", "A");
	world_run_ms(w, 3000);
	expect("[ 1000] -- 10.0.1.1 is lower-casing\n"
	       "[ 1000] query 1 case.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: case.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1: case.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n");
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

static void lower_casing_is_learned_after_three_answers(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_WRONG_CASE);
	for (int i = 0; i < 3; i++) {
		char name[64];
		snprintf(name, sizeof(name), "case%d.corp.example", i);
		world_ask(w, name, "A");
		world_run_ms(w, 2000);
	}
	world_trace(w);
	world_ask(w, "learned.corp.example", "A");
	world_run_ms(w, 3000);
	expect("[ 7000] query 4 learned.corp.example A\n"
	       "[ 7000]   attempt 10.0.1.1: learned.corp.example\n"
	       "[ 7004] reply 4 NOERROR\n");
}

/* Answers in capitals, whatever was asked. */
static size_t shout(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	echo.case_bits = UINT64_MAX;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA | DNS_NXDOMAIN);
	return len;
}

static void address_that_answers_in_capitals_is_asked_once_more_in_lower_case(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->answer = shout;
	assert_int_equal(ask_within("case.corp.example", "A", 5000)->rcode, DNS_NXDOMAIN);
	assert_int_equal(at("10.0.1.1")->asked, 2);
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

/* Without random letter case there is none to keep: neither queries nor probes are the poorer for it. */
static void address_that_answers_in_capitals_serves_without_case_randomization(void **state)
{
	(void)state;
	w = world_new(STORY_ENDPOINT("    policy: ordered\n    case-randomization: off\n"));
	at("10.0.1.1")->answer = shout;
	world_run_ms(w, 2000);
	assert_int_equal(at("10.0.1.1")->probed, 1);
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
	assert_int_equal(ask_within("case.corp.example", "A", 5000)->rcode, DNS_NXDOMAIN);
	assert_int_equal(at("10.0.1.1")->asked, 1);
	assert_int_equal(at("10.0.2.1")->asked, 0);
}

/* ---- unreachable */

static void icmp_leaves_the_attempt_open(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_ICMP);
	world_ask(w, "icmp.corp.example", "A");
	world_run_ms(w, 8000);
	expect("[ 1000] -- 10.0.1.1 is unreachable\n"
	       "[ 1000] query 1 icmp.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: icmp.corp.example\n"
	       "[ 1004]   10.0.1.1 suspect\n"
	       "[ 1004]   attempt 10.0.2.1: icmp.corp.example\n"
	       "[ 1004]   probe 10.0.1.1: corp.example\n"
	       "[ 1008] reply 1 NOERROR\n"
	       "[ 3004]   probe 10.0.1.1: corp.example\n"
	       "[ 4004]   10.0.1.1 down\n"
	       "[ 5004]   probe 10.0.1.1: corp.example\n"
	       "[ 7004]   probe 10.0.1.1: corp.example\n");
}

static void closed_ports_everywhere_are_no_reason_to_ask_twice_at_once(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_CLOSED);
	world_trace(w);
	world_ask(w, "closed.corp.example", "A");
	world_run_ms(w, 1500);
	expect("[ 1000] query 1 closed.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: closed.corp.example\n"
	       "[ 1004]   10.0.1.1 suspect\n"
	       "[ 1004]   attempt 10.0.2.1: closed.corp.example\n"
	       "[ 1004]   probe 10.0.1.1: corp.example\n"
	       "[ 1008]   10.0.2.1 suspect\n"
	       "[ 1008]   attempt 10.0.3.1: closed.corp.example\n"
	       "[ 1008]   probe 10.0.2.1: corp.example\n"
	       "[ 1012]   10.0.3.1 suspect\n"
	       "[ 1012]   probe 10.0.3.1: corp.example\n"
	       "[ 1020]   attempt 10.0.1.1: closed.corp.example\n"
	       "[ 1070]   attempt 10.0.2.1: closed.corp.example\n"
	       "[ 1170]   attempt 10.0.3.1: closed.corp.example\n"
	       "[ 1212] seoul is down\n"
	       "[ 1212] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) unreachable, "
	       "10.0.2.1:53 (az2) unreachable, 10.0.3.1:53 (az3) unreachable\n"
	       "[ 1712]   probe 10.0.1.1: corp.example\n"
	       "[ 2212]   probe 10.0.2.1: corp.example\n");
}

static void address_out_of_reach_costs_no_time(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_UNSENDABLE);
	world_ask(w, "reach.corp.example", "A");
	world_run_ms(w, 5000);
	expect("[ 1000] -- 10.0.1.1 is out of reach\n"
	       "[ 1000] query 1 reach.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: reach.corp.example\n"
	       "[ 1000]   10.0.1.1 suspect\n"
	       "[ 1000]   attempt 10.0.2.1: reach.corp.example\n"
	       "[ 1000]   probe 10.0.1.1: corp.example\n"
	       "[ 1004] reply 1 NOERROR\n"
	       "[ 3000]   probe 10.0.1.1: corp.example\n"
	       "[ 5000]   probe 10.0.1.1: corp.example\n"
	       "[ 5000]   10.0.1.1 down\n");
}

static void nobody_in_reach_is_told_at_once(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_UNSENDABLE);
	world_trace(w);
	world_ask(w, "reach.corp.example", "A");
	world_run_ms(w, 1500);
	expect("[ 1000] query 1 reach.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: reach.corp.example\n"
	       "[ 1000]   10.0.1.1 suspect\n"
	       "[ 1000]   attempt 10.0.2.1: reach.corp.example\n"
	       "[ 1000]   10.0.2.1 suspect\n"
	       "[ 1000]   attempt 10.0.3.1: reach.corp.example\n"
	       "[ 1000]   10.0.3.1 suspect\n"
	       "[ 1000] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) unreachable, "
	       "10.0.2.1:53 (az2) unreachable, 10.0.3.1:53 (az3) unreachable\n"
	       "[ 1000]   probe 10.0.1.1: corp.example\n"
	       "[ 1000]   probe 10.0.2.1: corp.example\n"
	       "[ 1000]   probe 10.0.3.1: corp.example\n");
}

/* ---- this host's own want */

static void address_that_cannot_be_asked_for_want_of_descriptors_is_not_blamed(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_STARVED);
	world_trace(w);
	for (int i = 0; i < 5; i++) {
		char name[64];
		snprintf(name, sizeof(name), "want%d.corp.example", i);
		unsigned n = world_ask(w, name, "A");
		world_run_ms(w, 2000);
		assert_int_equal(world_reply(w, n)->rcode, DNS_NOERROR);
	}
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), 0);
	assert_int_equal(upstream_counted(world_upstream_state(w, "10.0.1.1"), UPSTREAM_UNREACHABLE), 0);
}

static void question_that_nobody_can_be_asked_is_shed_and_not_remembered(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_STARVED);
	world_trace(w);
	world_ask(w, "want.corp.example", "A");
	world_ask(w, "want.corp.example", "A");
	world_run_ms(w, 10);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), 2);
	world_set_all(w, WORLD_WELL);
	world_trace(w);
	world_ask(w, "want.corp.example", "A");
	world_run_ms(w, 10);
	expect("[ 1010] query 3 want.corp.example A\n"
	       "[ 1010]   attempt 10.0.1.1: want.corp.example\n"
	       "[ 1014] reply 3 NOERROR\n");
	assert_string_equal(world_reply(w, 1)->ede_text, "no descriptor, port or memory is left to ask with");
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

/* The operator is not sent to look for memory. */
static void bound_of_ours_is_told_from_a_shortage(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->full = at("10.0.2.1")->full = at("10.0.3.1")->full = true;
	assert_int_equal(ask_within("many.corp.example", "A", 10)->rcode, DNS_SERVFAIL);
	assert_string_equal(world_reply(w, 1)->ede_text, "as many questions are open as may be");
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), 1);
	at("10.0.2.1")->full = false;
	assert_int_equal(ask_within("many.corp.example", "A", 10)->rcode, DNS_NOERROR);
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

/* For a minute no datagram leaves this host: probes, hedges and questions are lost. */
static void addresses_are_not_blamed_for_datagrams_that_never_left(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_CHOKED);
	for (int i = 0; i < 12; i++) {
		char name[64];
		snprintf(name, sizeof(name), "choked%d.corp.example", i);
		unsigned n = world_ask(w, name, "A");
		world_run_ms(w, 5000);
		assert_int_equal(world_reply(w, n)->rcode, DNS_SERVFAIL);
		assert_string_equal(world_reply(w, n)->ede_text, "no descriptor, port or memory is left to ask with");
	}
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
	assert_int_equal(state_of("10.0.2.1"), HEALTH_UP);
	assert_int_equal(state_of("10.0.3.1"), HEALTH_UP);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), 12);
	world_set_all(w, WORLD_WELL);
	world_trace(w);
	world_ask(w, "choked0.corp.example", "A");
	world_run_ms(w, 10);
	assert_non_null(strstr(world_trace(w), "reply 13 NOERROR"));
}

static void what_is_known_is_given_stale_while_nobody_can_be_asked(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	unsigned first = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 400000);
	world_set_all(w, WORLD_STARVED);
	unsigned second = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 10);
	assert_int_equal(world_reply(w, first)->ede, -1);
	assert_int_equal(world_reply(w, second)->rcode, DNS_NOERROR);
	assert_int_equal(world_reply(w, second)->ede, DNS_EDE_STALE_ANSWER);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), 0);
}

/* ---- rcodes */

static void endpoint_that_answers_errors_only_is_probed_and_closed(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_RCODE);
	at("10.0.1.1")->rcode = at("10.0.2.1")->rcode = at("10.0.3.1")->rcode = DNS_SERVFAIL;
	world_trace(w);
	world_ask(w, "broken.corp.example", "A");
	world_run_ms(w, 500);
	world_ask(w, "broken.corp.example", "A");
	world_run_ms(w, 2000);
	world_ask(w, "broken.corp.example", "A");
	world_run_ms(w, 10000);
	expect("[ 1000] query 1 broken.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: broken.corp.example\n"
	       "[ 1004]   attempt 10.0.2.1: broken.corp.example\n"
	       "[ 1008]   attempt 10.0.3.1: broken.corp.example\n"
	       "[ 1012] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) SERVFAIL, 10.0.2.1:53 (az2) SERVFAIL, 10.0.3.1:53 (az3) SERVFAIL\n"
	       "[ 1500] query 2 broken.corp.example A\n"
	       "[ 1500] reply 2 SERVFAIL, asked a moment ago without success: seoul\n"
	       "[ 3500] query 3 broken.corp.example A\n"
	       "[ 3500]   attempt 10.0.1.1: broken.corp.example\n"
	       "[ 3504]   attempt 10.0.2.1: broken.corp.example\n"
	       "[ 3508]   attempt 10.0.3.1: broken.corp.example\n"
	       "[ 3512]   seoul is doubted\n"
	       "[ 3512]   probe 10.0.1.1: corp.example\n"
	       "[ 3512]   probe 10.0.2.1: corp.example\n"
	       "[ 3512]   probe 10.0.3.1: corp.example\n"
	       "[ 3512] reply 3 SERVFAIL, seoul: 10.0.1.1:53 (az1) SERVFAIL, 10.0.2.1:53 (az2) SERVFAIL, 10.0.3.1:53 (az3) SERVFAIL\n"
	       "[ 3516]   10.0.1.1 suspect\n"
	       "[ 3516]   10.0.2.1 suspect\n"
	       "[ 3516]   10.0.3.1 suspect\n"
	       "[ 3516]   probe 10.0.1.1: corp.example\n"
	       "[ 3516]   probe 10.0.2.1: corp.example\n"
	       "[ 3516]   probe 10.0.3.1: corp.example\n"
	       "[ 5516]   probe 10.0.1.1: corp.example\n"
	       "[ 5516]   probe 10.0.2.1: corp.example\n"
	       "[ 5516]   probe 10.0.3.1: corp.example\n"
	       "[ 5520]   10.0.1.1 down\n"
	       "[ 5520]   10.0.2.1 down\n"
	       "[ 5520]   10.0.3.1 down\n"
	       "[ 5520] seoul is down\n"
	       "[ 6020]   probe 10.0.1.1: corp.example\n"
	       "[ 6520]   probe 10.0.2.1: corp.example\n"
	       "[ 7020]   probe 10.0.3.1: corp.example\n"
	       "[ 7520]   probe 10.0.1.1: corp.example\n"
	       "[ 8020]   probe 10.0.2.1: corp.example\n"
	       "[ 8520]   probe 10.0.3.1: corp.example\n"
	       "[ 9020]   probe 10.0.1.1: corp.example\n"
	       "[ 9520]   probe 10.0.2.1: corp.example\n"
	       "[10020]   probe 10.0.3.1: corp.example\n"
	       "[10520]   probe 10.0.1.1: corp.example\n"
	       "[11020]   probe 10.0.2.1: corp.example\n"
	       "[11520]   probe 10.0.3.1: corp.example\n"
	       "[12020]   probe 10.0.1.1: corp.example\n"
	       "[12520]   probe 10.0.2.1: corp.example\n"
	       "[13020]   probe 10.0.3.1: corp.example\n");
}

static void rcode_is_passed_on_if_all_agree(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_RCODE);
	at("10.0.1.1")->rcode = at("10.0.2.1")->rcode = at("10.0.3.1")->rcode = DNS_REFUSED;
	assert_int_equal(ask_within("a.corp.example", "A", 500)->rcode, DNS_REFUSED);
	at("10.0.1.1")->rcode = DNS_NOTIMP;
	assert_int_equal(ask_within("b.corp.example", "A", 500)->rcode, DNS_SERVFAIL);
}

static void silent_address_is_given_time_when_the_others_answer_errors(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_RCODE);
	world_set(w, "10.0.3.1", WORLD_RCODE);
	at("10.0.2.1")->rcode = at("10.0.3.1")->rcode = DNS_SERVFAIL;
	world_trace(w);
	world_ask(w, "mixed.corp.example", "A");
	world_run_ms(w, 5000);
	expect("[ 1000] query 1 mixed.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: mixed.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: mixed.corp.example\n"
	       "[ 1016]   attempt 10.0.3.1: mixed.corp.example\n"
	       "[ 1028]   attempt 10.0.1.1: mixed.corp.example\n"
	       "[ 4995] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) silent, 10.0.2.1:53 (az2) SERVFAIL, 10.0.3.1:53 (az3) SERVFAIL\n");
}

static void answer_that_does_not_parse_is_asked_elsewhere(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_GARBAGE);
	world_ask(w, "garbage.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] -- 10.0.1.1 is babbling\n"
	       "[ 1000] query 1 garbage.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: garbage.corp.example\n"
	       "[ 1004]   attempt 10.0.2.1: garbage.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n"
	       "[ 1008]   10.0.1.1 suspect\n"
	       "[ 1008]   probe 10.0.1.1: corp.example\n");
}

/* "TuDoor": who has guessed all else must not end the waiting with a datagram that is no answer. */
static void garbage_before_the_answer_does_not_end_the_attempt(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_FORESTALLED);
	world_trace(w);
	world_ask(w, "forestalled.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] query 1 forestalled.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: forestalled.corp.example\n"
	       "[ 1001]   attempt 10.0.2.1: forestalled.corp.example\n"
	       "[ 1002]   attempt 10.0.3.1: forestalled.corp.example\n"
	       "[ 1004] reply 1 NOERROR\n"
	       "[ 1004]   10.0.2.1 suspect\n"
	       "[ 1004]   10.0.3.1 suspect\n"
	       "[ 1004]   probe 10.0.2.1: corp.example\n"
	       "[ 1004]   probe 10.0.3.1: corp.example\n");
	assert_int_equal(metrics_get(world_metrics(w), METRIC_DROPPED_MALFORMED_ANSWER), 3);
}

/* Each is given the time that a true answer may take, 200 ms, and nobody is asked twice. */
static void addresses_that_only_babble_are_an_error_soon(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_GARBAGE);
	world_trace(w);
	world_ask(w, "garbage.corp.example", "A");
	world_run_ms(w, 3000);
	expect("[ 1000] query 1 garbage.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: garbage.corp.example\n"
	       "[ 1004]   attempt 10.0.2.1: garbage.corp.example\n"
	       "[ 1008]   attempt 10.0.3.1: garbage.corp.example\n"
	       "[ 1212] reply 1 SERVFAIL, seoul: 10.0.1.1:53 (az1) unreadable, 10.0.2.1:53 (az2) unreadable, "
	       "10.0.3.1:53 (az3) unreadable\n");
}

/* ---- TC */

static void cut_answer_is_passed_on_when_tcp_is_closed_everywhere_and_not_remembered_as_failure(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_TRUNCATE);
	at("10.0.1.1")->tcp_closed = at("10.0.2.1")->tcp_closed = at("10.0.3.1")->tcp_closed = true;
	world_trace(w);
	world_ask(w, "cut.corp.example", "A");
	world_run_ms(w, 1000);
	world_ask(w, "cut.corp.example", "A");
	world_run_ms(w, 1000);
	expect("[ 1000] query 1 cut.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: cut.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1 over TCP: cut.corp.example\n"
	       "[ 1008]   attempt 10.0.2.1: cut.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1 over TCP: cut.corp.example\n"
	       "[ 1016]   attempt 10.0.3.1: cut.corp.example\n"
	       "[ 1020]   attempt 10.0.3.1 over TCP: cut.corp.example\n"
	       "[ 1024] reply 1 NOERROR TC\n"
	       "[ 2000] query 2 cut.corp.example A\n"
	       "[ 2000]   attempt 10.0.1.1: cut.corp.example\n"
	       "[ 2004]   attempt 10.0.1.1 over TCP: cut.corp.example\n"
	       "[ 2008]   attempt 10.0.2.1: cut.corp.example\n"
	       "[ 2012]   attempt 10.0.2.1 over TCP: cut.corp.example\n"
	       "[ 2016]   attempt 10.0.3.1: cut.corp.example\n"
	       "[ 2020]   attempt 10.0.3.1 over TCP: cut.corp.example\n"
	       "[ 2024] reply 2 NOERROR TC\n");
}

/* ---- EDNS */

static void address_without_edns_is_asked_once_more_and_remembered(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_NO_EDNS);
	world_ask(w, "edns.corp.example", "A");
	world_run_ms(w, 2000);
	world_ask(w, "edns2.corp.example", "A");
	world_run_ms(w, 2000);
	expect("[ 1000] -- 10.0.1.1 is without EDNS\n"
	       "[ 1000] query 1 edns.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: edns.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1: edns.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n"
	       "[ 3000] query 2 edns2.corp.example A\n"
	       "[ 3000]   attempt 10.0.1.1: edns2.corp.example\n"
	       "[ 3004] reply 2 NOERROR\n");
}

/* ---- silent, slow, late */

static void three_silent_questions_are_enough(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	for (int i = 0; i < 4; i++) {
		char name[64];
		snprintf(name, sizeof(name), "q%d.corp.example", i);
		world_ask(w, name, "A");
		world_run_ms(w, 10);
	}
	world_run_ms(w, 90);
	world_ask(w, "after.corp.example", "A");
	world_run_ms(w, 10);
	expect("[ 1000] -- 10.0.1.1 is silent\n"
	       "[ 1000] query 1 q0.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: q0.corp.example\n"
	       "[ 1010] query 2 q1.corp.example A\n"
	       "[ 1010]   attempt 10.0.1.1: q1.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: q0.corp.example\n"
	       "[ 1016] reply 1 NOERROR\n"
	       "[ 1020] query 3 q2.corp.example A\n"
	       "[ 1020]   attempt 10.0.1.1: q2.corp.example\n"
	       "[ 1022]   attempt 10.0.2.1: q1.corp.example\n"
	       "[ 1026] reply 2 NOERROR\n"
	       "[ 1030] query 4 q3.corp.example A\n"
	       "[ 1030]   attempt 10.0.1.1: q3.corp.example\n"
	       "[ 1032]   attempt 10.0.2.1: q2.corp.example\n"
	       "[ 1036] reply 3 NOERROR\n"
	       "[ 1042]   attempt 10.0.2.1: q3.corp.example\n"
	       "[ 1046] reply 4 NOERROR\n"
	       "[ 1057]   10.0.1.1 suspect\n"
	       "[ 1057]   probe 10.0.1.1: corp.example\n"
	       "[ 1130] query 5 after.corp.example A\n"
	       "[ 1130]   attempt 10.0.2.1: after.corp.example\n"
	       "[ 1134] reply 5 NOERROR\n");
}

static void late_answer_moves_the_rtt_only(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->rtt_us = 60 * US_PER_MS;
	world_ask(w, "late.corp.example", "A");
	world_run_ms(w, 3000);
	expect("[ 1000] query 1 late.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: late.corp.example\n"
	       "[ 1012]   attempt 10.0.2.1: late.corp.example\n"
	       "[ 1016] reply 1 NOERROR\n");
	assert_int_equal(rtt_smoothed_us(&world_upstream_state(w, "10.0.1.1")->rtt), (7 * 4000 + 60000) / 8);
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

static void forged_icmp_costs_one_probe(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_FORGED_ICMP);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 3000);
	expect("[ 1000] -- 10.0.1.1 is slandered\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1001]   10.0.1.1 suspect\n"
	       "[ 1001]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1001]   probe 10.0.1.1: corp.example\n"
	       "[ 1004] reply 1 NOERROR\n"
	       "[ 1005]   10.0.1.1 up\n");
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

static void attempt_that_is_guessed_at_moves_to_tcp(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_GUESSED);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 3000);
	/* What came over UDP at 1004 found nobody. */
	expect("[ 1000] -- 10.0.1.1 is guessed at\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1001]   attempt 10.0.1.1 over TCP: www.corp.example\n"
	       "[ 1005] reply 1 NOERROR\n");
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

static void attempt_that_is_guessed_at_is_not_left_there_without_tcp(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set(w, "10.0.1.1", WORLD_GUESSED);
	at("10.0.1.1")->tcp_closed = true;
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 3000);
	expect("[ 1000] -- 10.0.1.1 is guessed at\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1001]   attempt 10.0.1.1 over TCP: www.corp.example\n"
	       "[ 1005]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1009] reply 1 NOERROR\n");
}

static void guesses_at_every_port_end_in_an_error_not_in_a_forgery(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	world_set_all(w, WORLD_GUESSED);
	at("10.0.1.1")->tcp_closed = at("10.0.2.1")->tcp_closed = at("10.0.3.1")->tcp_closed = true;
	assert_int_equal(ask_within("www.corp.example", "A", 5000)->rcode, DNS_SERVFAIL);
}

static void address_that_answers_the_second_try_is_not_blamed_for_the_first(void **state)
{
	(void)state;
	start("inbound-endpoints:\n  seoul: {addresses: [10.0.1.1]}\n" STORY_REST);
	world_set(w, "10.0.1.1", WORLD_RCODE);
	at("10.0.1.1")->rcode = DNS_SERVFAIL;
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 2);
	world_set(w, "10.0.1.1", WORLD_WELL);
	world_run_ms(w, 3000);
	expect("[ 1000] -- 10.0.1.1 is broken\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1002] -- 10.0.1.1 is well\n"
	       "[ 1004]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n");
}

/* ---- hedge */

static void hedge_of_a_fixed_time_waits_that_long(void **state)
{
	(void)state;
	start(STORY_ENDPOINT("    policy: ordered\n    hedge: 77ms\n"));
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] -- 10.0.1.1 is silent\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1077]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1081] reply 1 NOERROR\n");
}

static void without_hedges_the_attempts_own_timeout_decides(void **state)
{
	(void)state;
	start(STORY_ENDPOINT("    policy: ordered\n    hedge: off\n"));
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 450);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1200]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1400]   seoul is doubted\n"
	       "[ 1400]   probe 10.0.1.1: corp.example\n"
	       "[ 1400]   probe 10.0.2.1: corp.example\n"
	       "[ 1400]   probe 10.0.3.1: corp.example\n"
	       "[ 1400]   attempt 10.0.3.1: www.corp.example\n"
	       "[ 1404] reply 1 NOERROR\n");
	assert_int_equal(upstream_counted(world_upstream_state(w, "10.0.2.1"), UPSTREAM_HEDGES), 0);
}

/* When all are slow, no more than the bucket and a tenth of the queries is asked twice before its time. */
static void hedges_keep_to_their_budget(void **state)
{
	enum { QUERIES = 400 };
	unsigned hedges = 0;

	(void)state;
	start(STORY_SPREAD);
	world_trace_off(w);
	/* Too late for the hedge delay, in time for the timeout. */
	at("10.0.1.1")->rtt_us = at("10.0.2.1")->rtt_us = at("10.0.3.1")->rtt_us = 150 * US_PER_MS;
	for (int i = 0; i < QUERIES; i++) {
		char name[64];
		snprintf(name, sizeof(name), "q%d.corp.example", i);
		world_ask(w, name, "A");
	}
	world_run_ms(w, 2000);
	static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1"};
	for (int i = 0; i < 3; i++)
		hedges += (unsigned)upstream_counted(world_upstream_state(w, ips[i]), UPSTREAM_HEDGES);
	assert_in_range(hedges, POOL_HEDGE_BUCKET, POOL_HEDGE_BUCKET + QUERIES / 10);
	assert_int_equal(world_replies(w), QUERIES);
}

/* ---- TCP */

static void transport_tcp_asks_over_tcp_and_probes_so(void **state)
{
	(void)state;
	w = world_new(STORY_ENDPOINT("    policy: ordered\n    transport: tcp\n"));
	world_run_ms(w, 1000);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 10);
	at("10.0.1.1")->tcp_closed = true;
	world_ask(w, "closed.corp.example", "A");
	world_run_ms(w, 5000);
	expect("[    0]   probe 192.168.0.2: .\n"
	       "[    0]   probe 10.0.1.1 over TCP: corp.example\n"
	       "[    0]   probe 10.0.2.1 over TCP: corp.example\n"
	       "[    0]   probe 10.0.3.1 over TCP: corp.example\n"
	       "[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1 over TCP: www.corp.example\n"
	       "[ 1004] reply 1 NOERROR\n"
	       "[ 1010] query 2 closed.corp.example A\n"
	       "[ 1010]   attempt 10.0.1.1 over TCP: closed.corp.example\n"
	       "[ 1014]   10.0.1.1 suspect\n"
	       "[ 1014]   attempt 10.0.2.1 over TCP: closed.corp.example\n"
	       "[ 1014]   probe 10.0.1.1 over TCP: corp.example\n"
	       "[ 1018] reply 2 NOERROR\n"
	       "[ 3014]   probe 10.0.1.1 over TCP: corp.example\n"
	       "[ 5014]   probe 10.0.1.1 over TCP: corp.example\n"
	       "[ 5018]   10.0.1.1 down\n");
}

/* Cuts all over UDP, says nothing over TCP. */
static size_t cut(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	if (stream)
		return 0;
	echo.flags = 0;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_TC | DNS_RD | DNS_RA);
	return len;
}

static void tcp_that_is_silent_after_a_cut_answer_is_hedged(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->answer = cut;
	world_ask(w, "cut.corp.example", "A");
	world_run_ms(w, 2000);
	expect("[ 1000] query 1 cut.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: cut.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1 over TCP: cut.corp.example\n"
	       "[ 1014]   attempt 10.0.2.1: cut.corp.example\n"
	       "[ 1018] reply 1 NOERROR\n");
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

static void cut_answer_is_the_last_resort_when_tcp_is_silent_everywhere(void **state)
{
	(void)state;
	start(STORY_ORDERED);
	at("10.0.1.1")->answer = at("10.0.2.1")->answer = at("10.0.3.1")->answer = cut;
	world_ask(w, "cut.corp.example", "A");
	world_run_ms(w, 6000);
	expect("[ 1000] query 1 cut.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: cut.corp.example\n"
	       "[ 1004]   attempt 10.0.1.1 over TCP: cut.corp.example\n"
	       "[ 1014]   attempt 10.0.2.1: cut.corp.example\n"
	       "[ 1018]   attempt 10.0.2.1 over TCP: cut.corp.example\n"
	       "[ 1028]   attempt 10.0.3.1: cut.corp.example\n"
	       "[ 1032]   attempt 10.0.3.1 over TCP: cut.corp.example\n"
	       "[ 1218]   seoul is doubted\n"
	       "[ 1218]   probe 10.0.1.1: corp.example\n"
	       "[ 1218]   probe 10.0.2.1: corp.example\n"
	       "[ 1218]   probe 10.0.3.1: corp.example\n"
	       "[ 3004]   attempt 10.0.1.1: cut.corp.example\n"
	       "[ 3008]   attempt 10.0.1.1 over TCP: cut.corp.example\n"
	       "[ 3018]   attempt 10.0.2.1: cut.corp.example\n"
	       "[ 3022]   attempt 10.0.2.1 over TCP: cut.corp.example\n"
	       "[ 3032]   attempt 10.0.3.1: cut.corp.example\n"
	       "[ 3036]   attempt 10.0.3.1 over TCP: cut.corp.example\n"
	       "[ 4995] reply 1 NOERROR TC\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(lower_casing_address_is_asked_again_and_not_doubted),
		STORY(lower_casing_is_learned_after_three_answers),
		STORY(address_that_answers_in_capitals_is_asked_once_more_in_lower_case),
		STORY(address_that_answers_in_capitals_serves_without_case_randomization),
		STORY(icmp_leaves_the_attempt_open),
		STORY(closed_ports_everywhere_are_no_reason_to_ask_twice_at_once),
		STORY(address_out_of_reach_costs_no_time),
		STORY(nobody_in_reach_is_told_at_once),
		STORY(address_that_cannot_be_asked_for_want_of_descriptors_is_not_blamed),
		STORY(question_that_nobody_can_be_asked_is_shed_and_not_remembered),
		STORY(bound_of_ours_is_told_from_a_shortage),
		STORY(addresses_are_not_blamed_for_datagrams_that_never_left),
		STORY(what_is_known_is_given_stale_while_nobody_can_be_asked),
		STORY(endpoint_that_answers_errors_only_is_probed_and_closed),
		STORY(rcode_is_passed_on_if_all_agree),
		STORY(silent_address_is_given_time_when_the_others_answer_errors),
		STORY(answer_that_does_not_parse_is_asked_elsewhere),
		STORY(garbage_before_the_answer_does_not_end_the_attempt),
		STORY(addresses_that_only_babble_are_an_error_soon),
		STORY(cut_answer_is_passed_on_when_tcp_is_closed_everywhere_and_not_remembered_as_failure),
		STORY(address_without_edns_is_asked_once_more_and_remembered),
		STORY(three_silent_questions_are_enough),
		STORY(late_answer_moves_the_rtt_only),
		STORY(forged_icmp_costs_one_probe),
		STORY(attempt_that_is_guessed_at_moves_to_tcp),
		STORY(attempt_that_is_guessed_at_is_not_left_there_without_tcp),
		STORY(guesses_at_every_port_end_in_an_error_not_in_a_forgery),
		STORY(address_that_answers_the_second_try_is_not_blamed_for_the_first),
		STORY(hedge_of_a_fixed_time_waits_that_long),
		STORY(without_hedges_the_attempts_own_timeout_decides),
		STORY(hedges_keep_to_their_budget),
		STORY(transport_tcp_asks_over_tcp_and_probes_so),
		STORY(tcp_that_is_silent_after_a_cut_answer_is_hedged),
		STORY(cut_answer_is_the_last_resort_when_tcp_is_silent_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
