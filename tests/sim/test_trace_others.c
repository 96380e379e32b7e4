/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are not AWS's, on a virtual clock: they answer questions, and do with probes what they like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "story.h"

#define GROUP                                                                                                                \
	"resolvers: {office: {addresses: [10.9.0.1, 10.9.0.2], policy: ordered}}\n"                                          \
	"zones: [{name: office.example, to: office}]\nlocal-upstreams: [192.168.0.2, 192.168.0.3]\n"                         \
	"cache: {max-ttl: 1s, min-ttl: 0s}\n"

static uint16_t ns_rcode; /* what `NS` is answered with; */
static bool ns_silent;    /* or it is not */
static bool cut_off;      /* nothing is answered at all */

/* 10.1.2.3 to everything but `NS`, which only who knows the root, or serves the zone, can answer. */
static size_t answer_names(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	struct question_upstream echo = *asked;
	bool ns = asked->type == DNS_TYPE_NS;

	(void)stream;
	if (cut_off || (ns && ns_silent))
		return 0;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, (uint16_t)(DNS_QR | DNS_RD | DNS_RA | (ns ? ns_rcode : 0)));
	if (ns)
		return len;
	memcpy(out + len, a, sizeof(a));
	out[7] = 1;
	return len + sizeof(a);
}

static void begin(const char *const ips[2])
{
	w = world_new(GROUP);
	at(ips[0])->answer = at(ips[1])->answer = answer_names;
	world_trace_off(w);
	world_run_ms(w, 10000);
}

static const char *const local[] = {"192.168.0.2", "192.168.0.3"}, *const office[] = {"10.9.0.1", "10.9.0.2"};

static int set_up(void **state)
{
	(void)state;
	ns_rcode = DNS_NOERROR;
	ns_silent = cut_off = false;
	return 0;
}

/* New names, ten a second, for a minute, then nothing for ten, then one. */
static void answer_all_day(const char *zone)
{
	char name[64];

	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "n%d.%s", i, zone);
		assert_int_equal(ask_within(name, "A", 100)->rcode, DNS_NOERROR);
	}
	world_run_ms(w, 600000);
	snprintf(name, sizeof(name), "late.%s", zone);
	assert_int_equal(ask_within(name, "A", 100)->rcode, DNS_NOERROR);
}

/* They are well as long as they say something. */
static void servers_that_refuse_probes_are_up_before_anything_was_asked(void **state)
{
	static const uint16_t rcodes[] = {DNS_REFUSED, DNS_NOTIMP, DNS_FORMERR};

	for (size_t i = 0; i < ARRAY_SIZE(rcodes); i++) {
		ns_rcode = rcodes[i];
		begin(local);
		world_run_ms(w, 3600000);
		assert_false(world_pool(w, "local")->down);
		assert_int_equal(state_of(local[0]), HEALTH_UP);
		assert_int_equal(state_of(local[1]), HEALTH_UP);
		end(state);
	}
}

static void servers_that_refuse_probes_and_answer_names_are_asked(void **state)
{
	(void)state;
	ns_rcode = DNS_REFUSED;
	begin(local);
	answer_all_day("example.org");
	assert_false(world_pool(w, "local")->down);
	assert_int_equal(state_of(local[0]), HEALTH_UP);
}

static void servers_that_fail_at_the_root_and_answer_names_are_asked(void **state)
{
	(void)state;
	ns_rcode = DNS_SERVFAIL;
	begin(local);
	answer_all_day("example.org");
}

static void servers_that_leave_probes_unanswered_and_answer_names_are_asked(void **state)
{
	(void)state;
	ns_silent = true;
	begin(office);
	answer_all_day("office.example");
	end(state);
	begin(local);
	answer_all_day("example.org");
}

/* The internet is away, the office's names are not: they must not go with it. */
static void servers_that_answer_probes_no_more_are_asked_all_the_same(void **state)
{
	(void)state;
	begin(local);
	answer_all_day("example.org");
	ns_silent = true;
	world_run_ms(w, 3600000);
	answer_all_day("printer.test");
	world_run_ms(w, 3600000);
	const struct world_reply *r = ask_within("late.printer.test", "A", 50);
	assert_non_null(r);
	assert_int_equal(r->rcode, DNS_NOERROR);
}

static void stale_answer_of_servers_that_are_down_is_made_fresh_behind_the_clients_back(void **state)
{
	(void)state;
	begin(local);
	assert_non_null(ask_within("www.example.org", "A", 100));
	cut_off = true;
	world_run_ms(w, 2000);
	ask_within("new.example.org", "A", 4100);
	assert_true(world_pool(w, "local")->down);
	cut_off = false;
	ns_silent = true;
	assert_int_equal(ask_within("www.example.org", "A", 20)->ede, DNS_EDE_STALE_ANSWER);
	const struct world_reply *r = ask_within("www.example.org", "A", 20);
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_int_equal(r->ede, -1);
}

static enum health_cause cause_of(const char *ip)
{
	static const struct health_rules rules = {.fall = 3, .rise = 2};
	struct health_report r;

	health_report(&world_upstream_state(w, ip)->health, &rules, &r);
	return r.cause;
}

/* Who was not heard from since is told of as such, not as one that left questions unanswered: whether the other one answers at once, or
 * after longer than any address is waited for. */
static void question_sent_into_an_outage_is_no_evidence_after_it(void **state)
{
	(void)state;
	ns_silent = true;
	begin(office);
	assert_non_null(ask_within("www.office.example", "A", 100));
	cut_off = true;
	ask_within("new.office.example", "A", 6000);
	assert_true(world_pool(w, "office")->down);
	cut_off = false;
	at(office[0])->silent_name = "l";
	at(office[1])->slow_name = "late";
	at(office[1])->slow_us = 1500 * US_PER_MS;
	unsigned late = world_ask(w, "late.office.example", "A"), lively = world_ask(w, "lively.office.example", "A");
	while (world_reply(w, lively) == NULL)
		world_run_ms(w, 1);
	assert_false(world_pool(w, "office")->down);
	world_run_ms(w, 200); /* overdue by now; a probe is waited for longer */
	assert_int_equal(cause_of(office[0]), HEALTH_CAUSE_OUTAGE);
	while (world_reply(w, late) == NULL)
		world_run_ms(w, 1);
	assert_int_equal(cause_of(office[0]), HEALTH_CAUSE_PROBE_SILENT);
}

/* An only server, which has answered. */
static void begin_with_one(void)
{
	w = world_new("zones: []\nlocal-upstreams: [192.168.0.2]\n");
	at(local[0])->answer = answer_names;
	world_run_ms(w, 1000);
	assert_non_null(ask_within("www.example.org", "A", 1000));
}

/* What is remembered of a failure that began in an outage is void with it. */
static void failure_that_began_in_an_outage_is_forgotten_after_it(void **state)
{
	(void)state;
	ns_silent = true; /* it is asked for unknown names while it is down */
	begin_with_one();
	cut_off = true;
	unsigned first = world_ask(w, "first.example.org", "A");
	world_run_ms(w, 1000);
	assert_true(world_pool(w, "local")->down);
	unsigned lost = world_ask(w, "lost.example.org", "A");
	at(local[0])->silent_name = "lost";
	cut_off = false;
	world_run_ms(w, 5000);
	assert_false(world_pool(w, "local")->down);
	assert_int_equal(world_reply(w, first)->rcode, DNS_NOERROR); /* it waited, and was asked again */
	assert_int_equal(world_reply(w, lost)->rcode, DNS_SERVFAIL);
	at(local[0])->silent_name = NULL;
	assert_int_equal(ask_within("lost.example.org", "A", 100)->rcode, DNS_NOERROR);
}

/* Of an only address, both datagrams of a question and its hedge: that it answers other questions says nothing of those. */
static void only_address_is_asked_again_after_a_moment_of_silence(void **state)
{
	(void)state;
	begin_with_one();
	cut_off = true;
	unsigned q = world_ask(w, "new.example.org", "A");
	world_run_ms(w, 150);
	cut_off = false;
	world_run_ms(w, 2500);
	assert_non_null(world_reply(w, q));
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

#define TWO_GROUPS                                                                                                           \
	"resolvers: {one: {addresses: [10.9.0.1, 10.9.0.2]}, two: {addresses: [10.8.0.1, 10.8.0.2]}}\n"                       \
	"zones: [{name: office.example, to: [one, two]}]\nlocal-upstreams: [192.168.0.2]\n"

/* Both groups leave probes unanswered. */
static void second_group_is_asked_when_the_first_dies_though_neither_answers_probes(void **state)
{
	static const char *const ips[] = {"10.9.0.1", "10.9.0.2", "10.8.0.1", "10.8.0.2"};
	char name[64];

	(void)state;
	ns_silent = true;
	w = world_new(TWO_GROUPS);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		at(ips[i])->answer = answer_names;
	world_trace_off(w);
	world_run_ms(w, 60000);
	assert_int_equal(ask_within("first.office.example", "A", 100)->rcode, DNS_NOERROR);
	assert_int_equal(at("10.8.0.1")->asked + at("10.8.0.2")->asked, 0);
	at("10.9.0.1")->answer = at("10.9.0.2")->answer = NULL;
	world_set(w, "10.9.0.1", WORLD_SILENT);
	world_set(w, "10.9.0.2", WORLD_SILENT);
	world_run_ms(w, 3000);
	assert_int_equal(ask_within("second.office.example", "A", 2000)->rcode, DNS_NOERROR);
	assert_true(world_pool(w, "one")->down);
	assert_int_equal(ask_within("third.office.example", "A", 10)->rcode, DNS_NOERROR);
	/* Now and then it is seen whether the first is back. */
	at("10.9.0.1")->answer = at("10.9.0.2")->answer = answer_names;
	world_set(w, "10.9.0.1", WORLD_WELL);
	world_set(w, "10.9.0.2", WORLD_WELL);
	world_run_ms(w, 45000);
	unsigned before = at("10.8.0.1")->asked + at("10.8.0.2")->asked;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%d.office.example", i);
		assert_int_equal(ask_within(name, "A", 100)->rcode, DNS_NOERROR);
	}
	assert_int_equal(at("10.8.0.1")->asked + at("10.8.0.2")->asked, before);
	assert_false(world_pool(w, "one")->down);
}

static void servers_that_are_gone_are_down_and_the_first_answer_opens_them(void **state)
{
	(void)state;
	begin(local);
	assert_int_equal(ask_within("www.example.org", "A", 100)->rcode, DNS_NOERROR);
	cut_off = true;
	world_run_ms(w, 2000);
	unsigned q = world_ask(w, "new.example.org", "A");
	world_run_ms(w, 500);
	assert_true(world_pool(w, "local")->down);
	assert_non_null(world_reply(w, q));
	assert_int_equal(world_reply(w, q)->rcode, DNS_SERVFAIL);
	assert_int_equal(world_reply(w, q)->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
	assert_int_equal(ask_within("www.example.org", "A", 0)->ede, DNS_EDE_STALE_ANSWER);
	for (int i = 0; i < 25; i++) {
		char name[64];
		snprintf(name, sizeof(name), "new%d.example.org", i);
		const struct world_reply *r = ask_within(name, "A", 0);
		assert_non_null(r);
		assert_int_equal(r->rcode, DNS_SERVFAIL);
		world_run_ms(w, 1000);
	}
	cut_off = false;
	world_run_ms(w, 510);
	assert_false(world_pool(w, "local")->down);
	assert_int_equal(ask_within("another.example.org", "A", 100)->rcode, DNS_NOERROR);
}

/* The internet is away, and with it the root: they say so, and know the office's names all the same. */
static void servers_that_answer_probes_with_errors_are_asked_for_unknown_names(void **state)
{
	char name[64];

	(void)state;
	begin(local);
	assert_int_equal(ask_within("www.example.org", "A", 100)->rcode, DNS_NOERROR);
	ns_rcode = DNS_SERVFAIL;
	world_run_ms(w, 600000);
	at(local[0])->silent_name = at(local[1])->silent_name = "away";
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "away%d.example.org", i);
		world_ask(w, name, "A");
		world_run_ms(w, 2000);
		snprintf(name, sizeof(name), "printer%d.test", i);
		const struct world_reply *r = ask_within(name, "A", 100);
		assert_non_null(r);
		assert_int_equal(r->rcode, DNS_NOERROR);
	}
}

/* They answered probes once, and answer only questions now: one in half a minute finds that out. */
static void silence_of_probes_alone_does_not_hide_servers_for_long(void **state)
{
	(void)state;
	begin(local);
	cut_off = true;
	ask_within("new.example.org", "A", 600);
	assert_true(world_pool(w, "local")->down);
	cut_off = false;
	ns_silent = true;
	world_run_ms(w, 25000);
	assert_int_equal(ask_within("early.example.org", "A", 0)->rcode, DNS_SERVFAIL);
	world_run_ms(w, 5000);
	assert_int_equal(ask_within("later.example.org", "A", 100)->rcode, DNS_NOERROR);
	world_run_ms(w, 500);
	assert_false(world_pool(w, "local")->down);
	assert_int_equal(ask_within("last.example.org", "A", 100)->rcode, DNS_NOERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(servers_that_refuse_probes_are_up_before_anything_was_asked, set_up, end),
		cmocka_unit_test_setup_teardown(servers_that_refuse_probes_and_answer_names_are_asked, set_up, end),
		cmocka_unit_test_setup_teardown(servers_that_fail_at_the_root_and_answer_names_are_asked, set_up, end),
		cmocka_unit_test_setup_teardown(servers_that_leave_probes_unanswered_and_answer_names_are_asked, set_up, end),
		cmocka_unit_test_setup_teardown(servers_that_answer_probes_no_more_are_asked_all_the_same, set_up, end),
		cmocka_unit_test_setup_teardown(stale_answer_of_servers_that_are_down_is_made_fresh_behind_the_clients_back, set_up, end),
		cmocka_unit_test_setup_teardown(question_sent_into_an_outage_is_no_evidence_after_it, set_up, end),
		cmocka_unit_test_setup_teardown(failure_that_began_in_an_outage_is_forgotten_after_it, set_up, end),
		cmocka_unit_test_setup_teardown(only_address_is_asked_again_after_a_moment_of_silence, set_up, end),
		cmocka_unit_test_setup_teardown(second_group_is_asked_when_the_first_dies_though_neither_answers_probes, set_up, end),
		cmocka_unit_test_setup_teardown(servers_that_are_gone_are_down_and_the_first_answer_opens_them, set_up, end),
		cmocka_unit_test_setup_teardown(servers_that_answer_probes_with_errors_are_asked_for_unknown_names, set_up, end),
		cmocka_unit_test_setup_teardown(silence_of_probes_alone_does_not_hide_servers_for_long, set_up, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
