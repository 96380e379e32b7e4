/* SPDX-License-Identifier: Apache-2.0 */
/* Outages on a virtual clock, as stories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* The order of the file, so that a story is the same each time it is told. */
#define ORDERED                                                                                                                             \
	"inbound-endpoints:\n  seoul:\n    addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}, {ip: 10.0.3.1, az: az3}]\n"         \
	"    policy: ordered\n"                                                                                                              \
	"zones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n"

static struct world *settled(const char *conf)
{
	struct world *w = world_new(conf);

	world_run_ms(w, 1000); /* the first probes */
	world_trace(w);
	return w;
}

static void one_silent_az_costs_one_hedge_delay(void **state)
{
	(void)state;
	struct world *w = settled(ORDERED);

	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 3000);
	fputs(world_trace(w), stderr);
	world_free(w);
}

static void path(void **state)
{
	(void)state;
	struct world *w = settled(ORDERED);

	world_ask(w, "known.corp.example", "A");
	world_run_ms(w, 100);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	world_set(w, "10.0.3.1", WORLD_SILENT);
	world_run_ms(w, 100000);
	world_ask(w, "known.corp.example", "A");
	world_ask(w, "other.corp.example", "A");
	world_run_ms(w, 3000);
	world_set(w, "10.0.2.1", WORLD_WELL);
	world_run_ms(w, 3000);
	fputs(world_trace(w), stderr);
	world_free(w);
}

static void rcode(void **state)
{
	(void)state;
	struct world *w = settled(ORDERED);

	world_set(w, "10.0.1.1", WORLD_RCODE);
	world_upstream(w, "10.0.1.1")->rcode = DNS_SERVFAIL;
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 3000);
	world_set(w, "10.0.2.1", WORLD_TRUNCATE);
	world_ask(w, "cut.corp.example", "A");
	world_run_ms(w, 300);
	world_set(w, "10.0.2.1", WORLD_WRONG_CASE);
	world_ask(w, "case.corp.example", "A");
	world_run_ms(w, 300);
	world_set(w, "10.0.2.1", WORLD_NO_EDNS);
	world_ask(w, "edns.corp.example", "A");
	world_run_ms(w, 300);
	world_set(w, "10.0.2.1", WORLD_CLOSED);
	world_ask(w, "closed.corp.example", "A");
	world_run_ms(w, 300);
	fputs(world_trace(w), stderr);
	world_free(w);
}

static void lame(void **state)
{
	(void)state;
	struct world *w = settled(ORDERED);

	world_upstream(w, "10.0.1.1")->silent_name = world_upstream(w, "10.0.2.1")->silent_name = world_upstream(w, "10.0.3.1")->silent_name = "lame";
	world_ask(w, "lame.corp.example", "A");
	world_run_ms(w, 10000);
	fputs(world_trace(w), stderr);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_silent_az_costs_one_hedge_delay),
		cmocka_unit_test(path), cmocka_unit_test(rcode), cmocka_unit_test(lame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
