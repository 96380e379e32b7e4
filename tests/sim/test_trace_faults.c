/* SPDX-License-Identifier: Apache-2.0 */
/* Every way for one address of three to be ill, from the start and in the middle of traffic: no query fails, and the slowest but one
 * in a thousand waits no longer than on a calm day plus one hedge delay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crowd.h"

#define ENDPOINT(keys)                                                                                                       \
	"inbound-endpoints:\n  seoul:\n    addresses:\n"                                                                      \
	"      - {ip: 10.0.1.1, az: az1}\n      - {ip: 10.0.2.1, az: az2}\n      - {ip: 10.0.3.1, az: az3}\n" keys              \
	"zones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\ncache: {size: 1MiB}\n"

enum { QPS = 200, CALM_MS = 5000, ILL_MS = 30000, WELL_MS = 30000, RTT_MS = 4 };

static const char *const ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1"};

struct illness {
	const char *name;
	enum world_fault fault;
	uint16_t rcode;
	unsigned lost_pm;
	uint64_t more_ms; /* RTT */
	bool tcp_closed;
};

static const struct illness illnesses[] = {
	{.name = "silent", .fault = WORLD_SILENT},
	{.name = "refusing (ICMP)", .fault = WORLD_ICMP},
	{.name = "closed", .fault = WORLD_CLOSED},
	{.name = "losing 30 %", .lost_pm = 300},
	{.name = "300 ms slower", .more_ms = 300},
	{.name = "SERVFAIL", .fault = WORLD_RCODE, .rcode = DNS_SERVFAIL},
	{.name = "REFUSED", .fault = WORLD_RCODE, .rcode = DNS_REFUSED},
	{.name = "NOTIMP", .fault = WORLD_RCODE, .rcode = DNS_NOTIMP},
	{.name = "truncating", .fault = WORLD_TRUNCATE},
	{.name = "truncating, TCP closed", .fault = WORLD_TRUNCATE, .tcp_closed = true},
	{.name = "lower-casing", .fault = WORLD_WRONG_CASE},
	{.name = "without EDNS", .fault = WORLD_NO_EDNS},
	{.name = "babbling", .fault = WORLD_GARBAGE},
	{.name = "out of reach", .fault = WORLD_UNSENDABLE},
};

static void fall_ill(struct world *w, const char *ip, const struct illness *i)
{
	struct world_upstream *u = world_upstream(w, ip);

	u->fault = i->fault;
	u->rcode = i->rcode;
	u->lost_pm = i->lost_pm;
	u->rtt_us = (RTT_MS + i->more_ms) * US_PER_MS;
	u->tcp_closed = i->tcp_closed;
}

static void recover(struct world *w, const char *ip)
{
	fall_ill(w, ip, &(struct illness){.name = "well"});
}

/* Calm, ill, well again; `from_start`: without the calm. */
static void suffer(const char *conf, const struct illness *i, bool from_start)
{
	struct world *w = world_new(conf);
	struct crowd c;
	uint64_t calm_us = RTT_MS * US_PER_MS;

	world_trace_off(w);
	crowd_init(&c, w, "corp.example");
	if (!from_start) {
		world_run_ms(w, 1000);
		crowd_ask(&c, QPS, CALM_MS);
		calm_us = crowd_percentile_us(&c, 999);
		crowd_reset(&c);
	}
	fall_ill(w, ips[1], i);
	crowd_ask(&c, QPS, ILL_MS);
	crowd_wait(&c);
	/* Unknown RTTs are hedged after 100 ms. */
	uint64_t hedge_us = (from_start ? 100 : 16) * US_PER_MS, p999_us = crowd_percentile_us(&c, 999);
	unsigned sent = crowd_asked_upstream(w, ips, 3);
	print_message("%s%s: p99.9 %llu us, slowest %llu us, load %.3f, failed %u %s\n", i->name, from_start ? " from the start" : "",
		      (unsigned long long)p999_us, (unsigned long long)c.slowest_us, (double)sent / c.asked, c.failed, c.first_failure);
	assert_int_equal(c.failed, 0);
	assert_true(p999_us <= calm_us + hedge_us);
	crowd_reset(&c);
	recover(w, ips[1]);
	crowd_ask(&c, QPS, WELL_MS);
	crowd_wait(&c);
	assert_int_equal(c.failed, 0);
	print_message("   then: p99.9 %llu state %d\n", (unsigned long long)crowd_percentile_us(&c, 999),
		      health_state(&world_upstream_state(w, ips[1])->health));
	crowd_deinit(&c);
	world_free(w);
}

static void ill_address_costs_no_query(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(illnesses); i++) {
		suffer(ENDPOINT(""), &illnesses[i], false);
		suffer(ENDPOINT(""), &illnesses[i], true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ill_address_costs_no_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
