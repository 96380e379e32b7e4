/* SPDX-License-Identifier: Apache-2.0 */
/* The prober without a forwarder, over a transport of the test's own: what it sends, what it does when it cannot, how often it wakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/prober.h"
#include "wire/text.h"

#define CACHE "cache: {size: 1MiB}\n"
#define SEOUL "inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10, 10.10.3.10]}}\n" CACHE
#define ONE "zones: [{name: a.example, to: seoul}]\n"
#define TWO "zones: [{name: a.example, to: seoul}, {name: broken.example, to: seoul}]\n"

enum { MOST_OUT = 64, RTT_US = 4000 };

static const uint64_t start_us = 1000 * (uint64_t)US_PER_S;

struct stub {
	struct transport transport; /* first */
	struct addr upstream;
};

/* A probe under way. */
static struct {
	struct transport_attempt *attempt;
	uint64_t answer_us; /* UINT64_MAX: never */
	uint16_t rcode;
} out[MOST_OUT];

static struct {
	bool refuse_to_open, silent, garbage, cut;
	int refusal;           /* -errno of every send; 0: it is sent */
	uint16_t broken_rcode; /* about broken.example */
	unsigned opened, refused, sent, closed, turns, closings, openings, downs;
	uint32_t source_ports;
	struct question_upstream last;
	char last_name[TEXT_NAME_MAX];
} seen;

static struct transport_env env;
static struct random random_numbers;
static struct snapshot *snapshot;
static struct prober *prober;
static uint64_t now_us;

/* ---- the transport */

static struct transport *stub_open(struct transport_env *e, const struct addr *upstream, uint32_t source_ports);

static int stub_send(struct transport *t, struct transport_attempt *a)
{
	size_t i = 0;

	(void)t;
	if (seen.refusal != 0) {
		seen.refused++;
		return seen.refusal;
	}
	while (i < MOST_OUT && out[i].attempt != NULL)
		i++;
	ASSERT(i < MOST_OUT);
	seen.sent++;
	seen.last = a->asked;
	text_name(a->asked.name, seen.last_name);
	out[i].attempt = a;
	out[i].answer_us = seen.silent ? UINT64_MAX : now_us + RTT_US;
	out[i].rcode = strcmp(seen.last_name, "broken.example") == 0 ? seen.broken_rcode : DNS_NOERROR;
	return 0;
}

static void stub_cancel(struct transport *t, struct transport_attempt *a)
{
	(void)t;
	for (size_t i = 0; i < MOST_OUT; i++)
		if (out[i].attempt == a)
			out[i].attempt = NULL;
}

static void stub_flush(struct transport *t)
{
	t->dirty = false;
}

static void stub_close(struct transport *t)
{
	ASSERT(t->open_attempts == 0);
	seen.closed++;
	free(t);
}

static const struct transport_ops stub_ops = {stub_open, stub_send, stub_cancel, stub_flush, stub_close, false, NULL};

static struct transport *stub_open(struct transport_env *e, const struct addr *upstream, uint32_t source_ports)
{
	if (seen.refuse_to_open) {
		seen.refused++;
		return NULL;
	}
	struct stub *s = calloc(1, sizeof(*s));
	ASSERT(s != NULL);
	s->transport.ops = &stub_ops;
	s->transport.env = e;
	s->upstream = *upstream;
	seen.opened++;
	seen.source_ports = source_ports;
	return &s->transport;
}

/* ---- time */

static uint64_t clock_now(void *arg)
{
	(void)arg;
	return now_us;
}

static void on_closed(void *arg, struct pool *pool)
{
	(void)arg;
	(void)pool;
	seen.closings++;
}

static void on_opened(void *arg, struct pool *pool, int place)
{
	(void)arg;
	(void)pool;
	(void)place;
	seen.openings++;
}

static void on_changed(void *arg, struct pool *pool, struct upstream *u, enum health_change change)
{
	(void)arg;
	(void)pool;
	seen.downs += change == HEALTH_TO_DOWN;
	if (change == HEALTH_TO_SUSPECT)
		prober_suspect(prober, u, now_us);
}

static void answer_due(void)
{
	for (size_t i = 0; i < MOST_OUT; i++) {
		struct transport_attempt *a = out[i].attempt;
		uint8_t message[QUESTION_UPSTREAM_MAX];
		if (a == NULL || out[i].answer_us > now_us)
			continue;
		out[i].attempt = NULL;
		a->transport->open_attempts--;
		a->transport = NULL;
		size_t len = question_write(&a->asked, message) - (a->asked.edns ? EDNS_OPT_BYTES : 0);
		message[11] = 0; /* the OPT that was cut off */
		message[7] = seen.garbage ? 9 : 0; /* records that are not there */
		dns_put16(message + 2, (uint16_t)(DNS_QR | (seen.cut ? DNS_TC : 0) | out[i].rcode));
		env.events.answered(env.events.arg, a, message, len);
	}
}

/* Lets time pass as the main thread's loop does: answers, then the clock door, then sleep until it wants to be woken. */
static void run_ms(uint64_t ms)
{
	uint64_t until = now_us + ms * US_PER_MS;

	for (;;) {
		uint64_t next = prober_next_us(prober);
		for (size_t i = 0; i < MOST_OUT; i++)
			if (out[i].attempt != NULL)
				next = MIN(next, out[i].answer_us);
		if (next > until)
			break;
		now_us = MAX(now_us, next);
		answer_due();
		prober_clock(prober, now_us);
		prober_flush(prober);
		assert_true(prober_next_us(prober) > now_us);
		seen.turns++;
	}
	now_us = until;
}

static struct snapshot *compile(const char *zones_conf, struct snapshot *previous)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(zones_conf, strlen(zones_conf), &d);
	diagnostics_deinit(&d);
	assert_non_null(c);
	struct snapshot *s = snapshot_new(c, NULL, previous);
	assert_non_null(s);
	return s;
}

static void begin(const char *zones_conf)
{
	const struct prober_world world = {.random = &random_numbers,
					   .env = &env,
					   .now_us = clock_now,
					   .closed = on_closed,
					   .transports = {[TRANSPORT_UDP] = &stub_ops, [TRANSPORT_TCP] = &stub_ops},
					   .opened = on_opened,
					   .changed = on_changed};

	now_us = start_us;
	snapshot = compile(zones_conf, NULL);
	prober = prober_new(&world, snapshot, now_us);
	assert_non_null(prober);
}

static int clean(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(out, 0, sizeof(out));
	env.shortages = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	prober_free(prober);
	snapshot_unref(snapshot);
	for (size_t i = 0; i < MOST_OUT; i++)
		assert_null(out[i].attempt);
	assert_int_equal(seen.closed, seen.opened);
	return 0;
}

static struct pool *seoul(void)
{
	return &snapshot->pools[1];
}

static struct upstream *at(int place)
{
	return seoul()->places[place].upstream;
}

/* ---- what is sent */

static void probe_asks_for_the_apexs_name_servers(void **state)
{
	(void)state;
	begin(SEOUL ONE);
	run_ms(10);
	assert_int_equal(seen.sent, 3);
	assert_string_equal(seen.last_name, "a.example");
	assert_int_equal(seen.last.type, DNS_TYPE_NS);
	assert_int_equal(seen.last.class, DNS_CLASS_IN);
	assert_int_equal(seen.last.flags, DNS_RD);
	assert_true(seen.last.edns);
}

static void address_that_knows_no_edns_is_probed_without(void **state)
{
	(void)state;
	begin("inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n" CACHE ONE);
	run_ms(10);
	assert_true(seen.last.edns);
	atomic_store(&at(0)->no_edns_until_us, now_us + POOL_NO_EDNS_US);
	run_ms(301 * MS_PER_S);
	assert_int_equal(seen.sent, 2);
	assert_false(seen.last.edns);
	run_ms(900 * MS_PER_S);
	assert_true(seen.last.edns);
}

static void probes_take_their_share_of_the_source_ports(void **state)
{
	(void)state;
	begin("inbound-endpoints: {seoul: {source-ports: 100, addresses: [10.10.1.10, 10.10.2.10]}}\n" CACHE ONE);
	run_ms(10);
	assert_int_equal(seen.source_ports, POOL_PROBE_PORTS);
	run_ms(1000 * MS_PER_S);
	assert_int_equal(seen.opened, 2); /* one transport an address, kept */
}

static void probes_count_for_max_qps(void **state)
{
	(void)state;
	begin("inbound-endpoints: {seoul: {max-qps: 2, addresses: [10.10.1.10]}}\n" CACHE ONE);
	run_ms(10);
	assert_true(pool_take_rate(seoul(), at(0), now_us));
	assert_false(pool_take_rate(seoul(), at(0), now_us));
}

static void probe_above_max_qps_is_put_off_by_one_interval(void **state)
{
	(void)state;
	begin("inbound-endpoints: {seoul: {max-qps: 1, addresses: [10.10.1.10], probe: {interval: 5s}}}\n" CACHE ONE);
	assert_true(pool_take_rate(seoul(), at(0), now_us));
	run_ms(4999);
	assert_int_equal(seen.sent, 0);
	assert_false(prober_is_done(prober));
	run_ms(2);
	assert_int_equal(seen.sent, 1);
}

/* The same for one that was idle for five minutes: it waits, and is not looked at each millisecond. */
static void idle_probe_above_max_qps_is_put_off_too(void **state)
{
	(void)state;
	begin("inbound-endpoints: {seoul: {max-qps: 1, addresses: [10.10.1.10], probe: {interval: 5s}}}\n" CACHE ONE);
	run_ms(299 * MS_PER_S);
	now_us += 900 * US_PER_MS;
	assert_true(pool_take_rate(seoul(), at(0), now_us));
	seen.turns = 0;
	run_ms(10000);
	assert_int_equal(seen.sent, 2);
	assert_in_range(seen.turns, 2, 10);
}

/* ---- what cannot be sent */

static void probe_that_the_system_refuses_counts_as_silence(void **state)
{
	(void)state;
	seen.refusal = -ENETUNREACH;
	begin("inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n" CACHE ONE);
	run_ms(10000);
	assert_in_range(seen.refused, 1, 30);
	assert_true(prober_is_done(prober));
	assert_int_not_equal(health_state(&at(0)->health), HEALTH_UP);
}

/* Nothing can be sent, for want of something of this host's own: nothing is known, so nothing is judged. Then it passes. */
static void expect_no_judgement(void)
{
	begin(SEOUL ONE);
	run_ms(10000);
	assert_in_range(seen.refused, 3, 90);
	assert_false(prober_is_done(prober));
	assert_int_equal(seen.closings, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(health_state(&at(i)->health), HEALTH_UP);
	seen.refuse_to_open = false;
	seen.refusal = 0;
	run_ms(10000);
	assert_true(prober_is_done(prober));
	assert_true(seen.sent >= 3);
}

static void transport_that_cannot_be_opened_says_nothing_of_the_address(void **state)
{
	(void)state;
	seen.refuse_to_open = true;
	expect_no_judgement();
}

static void shortage_on_this_host_says_nothing_of_any_address(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC, EADDRINUSE};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (i > 0) {
			end(state);
			clean(state);
		}
		seen.refusal = -errors[i];
		expect_no_judgement();
		assert_int_equal(env.shortages, seen.refused);
	}
}

/* It was answered before, and is asked for the second time, about the zone that is well. */
static void shortage_in_the_midst_of_a_doubt_judges_nothing(void **state)
{
	(void)state;
	begin(SEOUL TWO);
	run_ms(3000);
	seen.refusal = -EMFILE;
	run_ms(30000);
	assert_int_equal(seen.downs, 0);
	assert_int_equal(seen.closings, 0);
	seen.refusal = 0;
	run_ms(10000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(health_state(&at(i)->health), HEALTH_UP);
}

static void connection_that_fails_is_silence(void **state)
{
	(void)state;
	seen.silent = true;
	begin(SEOUL ONE);
	run_ms(100);
	struct transport_attempt *a = out[0].attempt;
	assert_non_null(a);
	out[0].attempt = NULL;
	a->transport->open_attempts--;
	a->transport = NULL;
	env.events.failed(env.events.arg, a, -ECONNREFUSED);
	assert_int_equal(health_state(&at(0)->health), HEALTH_SUSPECT);
	assert_int_equal(upstream_counted(at(0), UPSTREAM_TIMEOUTS), 1);
}

/* ---- done */

static void prober_is_done_when_each_address_was_probed_with_or_without_an_answer(void **state)
{
	(void)state;
	seen.silent = true;
	begin(SEOUL ONE);
	run_ms(900);
	assert_false(prober_is_done(prober));
	run_ms(200);
	assert_true(prober_is_done(prober));
}

static void prober_may_go_with_probes_under_way(void **state)
{
	(void)state;
	seen.silent = true;
	begin(SEOUL ONE);
	run_ms(10);
	assert_int_equal(seen.sent, 3);
}

static void address_removed_with_its_probe_under_way_is_forgotten(void **state)
{
	(void)state;
	seen.silent = true;
	begin(SEOUL ONE);
	run_ms(10);
	struct snapshot *next = compile("inbound-endpoints: {seoul: {addresses: [10.10.2.10]}}\n" CACHE ONE, snapshot);
	const struct upstream *gone = at(0);
	prober_adopt(prober, next, now_us);
	prober_suspect(prober, gone, now_us); /* a worker that has not heard of the reload yet */
	snapshot_unref(snapshot);
	snapshot = next;
	assert_int_equal(seen.closed, 2);
	run_ms(10000);
	assert_int_equal(seen.opened, 3);
}

/* ---- zones that are broken */

/* Evidence is per question: a zone that every address answers with SERVFAIL is that zone's failure. */
static void one_broken_zone_does_not_take_an_address_down(void **state)
{
	(void)state;
	seen.broken_rcode = DNS_SERVFAIL;
	begin(SEOUL TWO);
	run_ms(600 * MS_PER_S);
	assert_int_equal(seen.closings, 0);
	assert_int_equal(seen.downs, 0);
}

static void one_broken_zone_does_not_close_an_endpoint_of_one_address(void **state)
{
	(void)state;
	seen.broken_rcode = DNS_SERVFAIL;
	begin("inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n" CACHE TWO);
	run_ms(600 * MS_PER_S);
	assert_int_equal(seen.closings, 0);
}

static void zone_that_does_not_exist_is_health_as_well(void **state)
{
	(void)state;
	seen.broken_rcode = DNS_NXDOMAIN;
	begin(SEOUL TWO);
	run_ms(600 * MS_PER_S);
	assert_int_equal(seen.closings, 0);
	assert_in_range(seen.sent, 6, 9);
}

/* ---- what cannot be read */

/* NOERROR in the header, and nothing behind it that a client could be given. */
static void address_that_sends_garbage_is_not_well(void **state)
{
	(void)state;
	begin(SEOUL ONE);
	run_ms(1000);
	seen.garbage = true;
	prober_doubt(prober, "seoul", now_us);
	run_ms(10000);
	struct health_report r;
	for (int i = 0; i < 3; i++)
		assert_int_equal(health_state(&at(i)->health), HEALTH_DOWN);
	health_report(&at(0)->health, &seoul()->rules, &r);
	assert_int_equal(r.cause, HEALTH_CAUSE_PROBE_FAILED); /* it is there: not silent */
	assert_int_equal(upstream_counted(at(0), UPSTREAM_TIMEOUTS), 0);
	assert_in_range(upstream_counted(at(0), UPSTREAM_SERVFAIL), 3, 30);
	assert_int_equal(seen.closings, 1);
	seen.garbage = false;
	run_ms(10000);
	assert_int_equal(seen.openings, 1);
	assert_int_equal(health_state(&at(0)->health), HEALTH_UP);
}

/* It says that there is more; the whole is asked for over TCP when a client wants it. */
static void answer_that_is_cut_counts_by_its_header(void **state)
{
	(void)state;
	seen.garbage = seen.cut = true;
	begin(SEOUL ONE);
	run_ms(1000);
	assert_int_equal(health_state(&at(0)->health), HEALTH_UP);
	assert_int_equal(upstream_counted(at(0), UPSTREAM_ANSWERS), 1);
}

/* ---- doubt */

static void doubt_probes_who_has_not_just_answered_and_again_after_half_a_second_only(void **state)
{
	(void)state;
	begin(SEOUL ONE);
	run_ms(10000);
	assert_int_equal(seen.sent, 3);
	health_answered(&at(1)->health, now_us);
	prober_doubt(prober, "seoul", now_us);
	assert_int_equal(seen.sent, 5);
	run_ms(400);
	prober_doubt(prober, "seoul", now_us);
	assert_int_equal(seen.sent, 5);
	run_ms(101);
	prober_doubt(prober, "seoul", now_us);
	assert_int_equal(seen.sent, 8);
	prober_doubt(prober, "of another snapshot", now_us);
	run_ms(100);
	assert_int_equal(seen.sent, 8);
	assert_int_equal(seen.closings, 0); /* the probes were answered: it was the name */
}

static void closed_endpoint_is_not_doubted_again(void **state)
{
	(void)state;
	seen.silent = true;
	begin(SEOUL ONE);
	run_ms(2000);
	assert_int_equal(seen.closings, 1);
	unsigned sent = seen.sent;
	for (int i = 0; i < 10; i++)
		prober_doubt(prober, "seoul", now_us);
	assert_int_equal(seen.sent, sent);
}

/* ---- sleep */

static void healthy_hour_costs_few_turns(void **state)
{
	(void)state;
	begin(SEOUL ONE);
	run_ms(3600 * MS_PER_S);
	assert_in_range(seen.turns, 2, 100);
}

static void hour_with_a_suspect_costs_a_few_turns_an_interval(void **state)
{
	(void)state;
	begin(SEOUL ONE);
	run_ms(1000);
	for (int i = 0; i < 3; i++)
		health_probe_bad(&at(0)->health, &seoul()->rules, true, 0, now_us);
	prober_suspect(prober, at(0), now_us);
	seen.turns = 0;
	run_ms(60 * MS_PER_S);
	assert_int_equal(health_state(&at(0)->health), HEALTH_UP);
	assert_in_range(seen.turns, 2, 100);
}

static void outage_costs_a_few_turns_a_probe(void **state)
{
	(void)state;
	seen.silent = true;
	begin(SEOUL ONE);
	run_ms(60 * MS_PER_S);
	assert_int_equal(seen.closings, 1);
	assert_in_range(seen.turns, 120, 120 * 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clean, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(probe_asks_for_the_apexs_name_servers),
		TEST(address_that_knows_no_edns_is_probed_without),
		TEST(probes_take_their_share_of_the_source_ports),
		TEST(probes_count_for_max_qps),
		TEST(probe_above_max_qps_is_put_off_by_one_interval),
		TEST(idle_probe_above_max_qps_is_put_off_too),
		TEST(probe_that_the_system_refuses_counts_as_silence),
		TEST(transport_that_cannot_be_opened_says_nothing_of_the_address),
		TEST(shortage_on_this_host_says_nothing_of_any_address),
		TEST(shortage_in_the_midst_of_a_doubt_judges_nothing),
		TEST(connection_that_fails_is_silence),
		TEST(prober_is_done_when_each_address_was_probed_with_or_without_an_answer),
		TEST(prober_may_go_with_probes_under_way),
		TEST(address_removed_with_its_probe_under_way_is_forgotten),
		TEST(one_broken_zone_does_not_take_an_address_down),
		TEST(one_broken_zone_does_not_close_an_endpoint_of_one_address),
		TEST(zone_that_does_not_exist_is_health_as_well),
		TEST(address_that_sends_garbage_is_not_well),
		TEST(answer_that_is_cut_counts_by_its_header),
		TEST(doubt_probes_who_has_not_just_answered_and_again_after_half_a_second_only),
		TEST(closed_endpoint_is_not_doubted_again),
		TEST(healthy_hour_costs_few_turns),
		TEST(hour_with_a_suspect_costs_a_few_turns_an_interval),
		TEST(outage_costs_a_few_turns_a_probe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
