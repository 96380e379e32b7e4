/* SPDX-License-Identifier: Apache-2.0 */
/* What an address is asked for its health, and what its answer says: as stories on the virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "world.h"

#define CACHE "cache: {size: 1MiB}\n"
#define ONE_ADDRESS "inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n" CACHE
#define SEOUL "inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10, 10.10.3.10]}}\n" CACHE
#define ZONE "zones: [{name: a.example, to: seoul}]\n"

static const char *const ips[] = {"10.10.1.10", "10.10.2.10", "10.10.3.10"};

static struct world *w;

static int end(void **state)
{
	(void)state;
	if (w != NULL)
		world_free(w);
	w = NULL;
	return 0;
}

static void expect_trace(const char *expected)
{
	assert_string_equal(world_trace(w), expected);
}

static void expect_state(const char *ip, enum health_state expected)
{
	assert_int_equal(health_state(&world_upstream_state(w, ip)->health), expected);
}

static bool happened(const char *what)
{
	return strstr(world_trace(w), what) != NULL;
}

/* ---- without EDNS */

static void lose_edns(void)
{
	world_set_all(w, WORLD_NO_EDNS);
	world_trace(w);
}

static bool knows_edns(const char *ip)
{
	return atomic_load(&world_upstream_state(w, ip)->no_edns_until_us) == 0;
}

/* They are asked again at once, and it is remembered. */
static void endpoint_that_knows_no_edns_is_well(void **state)
{
	(void)state;
	w = world_new(ONE_ADDRESS ZONE);
	lose_edns();
	world_run_ms(w, 1000);
	expect_trace("[    0]   probe 10.10.1.10: a.example\n"
		     "[    4]   probe 10.10.1.10: a.example\n");
	expect_state(ips[0], HEALTH_UP);
	assert_false(knows_edns(ips[0]));
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_SERVFAIL), 0);
	world_run_ms(w, 300 * MS_PER_S);
	expect_trace("[300008]   probe 10.10.1.10: a.example\n");
}

/* Nobody asks, for longer than it is remembered. */
static void idle_endpoint_that_knows_no_edns_stays_well(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	lose_edns();
	for (int quarter = 0; quarter < 20; quarter++) {
		world_run_ms(w, 901 * MS_PER_S);
		for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
			expect_state(ips[i], HEALTH_UP);
	}
	assert_false(happened("suspect"));
}

static void endpoint_that_knows_no_edns_comes_back_from_an_outage(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 3600 * MS_PER_S);
	assert_true(world_pool(w, "seoul")->down);
	lose_edns();
	world_run_ms(w, 520);
	assert_false(world_pool(w, "seoul")->down);
	world_run_ms(w, 100);
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++)
		expect_state(ips[i], HEALTH_UP);
}

/* Of whatever is asked, and in whatever way. */
static size_t answer_formerr(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA | DNS_FORMERR);
	return len;
}

static void formerr_without_edns_as_well_teaches_nothing(void **state)
{
	(void)state;
	w = world_new(SEOUL ZONE);
	world_upstream(w, ips[0])->answer = answer_formerr;
	world_run_ms(w, 10000);
	expect_state(ips[0], HEALTH_DOWN);
	assert_true(knows_edns(ips[0]));
	assert_int_equal(upstream_counted(world_upstream_state(w, ips[0]), UPSTREAM_SERVFAIL) * 2, world_upstream(w, ips[0])->probed);
}

/* It answers questions to those who ask without, and what it makes of `NS` is its own affair. */
static void server_of_ones_own_that_knows_no_edns_is_known_as_such(void **state)
{
	(void)state;
	w = world_new("local-upstreams: [192.168.0.2]\n" CACHE "zones: []\n");
	world_set(w, "192.168.0.2", WORLD_NO_EDNS);
	world_run_ms(w, 1000);
	expect_state("192.168.0.2", HEALTH_UP);
	assert_false(knows_edns("192.168.0.2"));
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(endpoint_that_knows_no_edns_is_well),
		TEST(idle_endpoint_that_knows_no_edns_stays_well),
		TEST(endpoint_that_knows_no_edns_comes_back_from_an_outage),
		TEST(formerr_without_edns_as_well_teaches_nothing),
		TEST(server_of_ones_own_that_knows_no_edns_is_known_as_such),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
