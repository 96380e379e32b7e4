/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/keepwarm.h"
#include "wire/dns.h"
#include "wire/text.h"

#define CONF(zone)                                                                                                                         \
	"inbound-endpoints: {seoul: {addresses: [10.0.1.1, 10.0.2.1]}}\nlocal-upstreams: [192.168.0.2]\nzones: [{" zone ", to: seoul}]\n"
#define WARM CONF("name: corp.example, keep-warm: [www.corp.example]")

enum { MOST_ASKED = 32, START_S = 1000 };

static struct snapshot *snapshot;
static struct keepwarm *warm;
static uint64_t now_us;

/* What was asked, and after how many seconds. */
static struct {
	unsigned after_s;
	uint16_t type;
} asked[MOST_ASKED];
static unsigned asked_count, most_at_once;

static void on_refresh(void *arg, const struct name *name, uint16_t type, uint64_t hash)
{
	(void)arg;
	(void)name;
	(void)hash;
	if (asked_count < MOST_ASKED) {
		asked[asked_count].after_s = (unsigned)(now_us / US_PER_S) - START_S;
		asked[asked_count].type = type;
	}
	asked_count++;
}

static void start(const char *text)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	assert_non_null(c);
	diagnostics_deinit(&d);
	struct snapshot *next = snapshot_new(c, NULL, snapshot);
	assert_non_null(next);
	if (snapshot == NULL) {
		now_us = (uint64_t)START_S * US_PER_S;
		asked_count = most_at_once = 0;
		warm = keepwarm_new(&(struct keepwarm_world){on_refresh, NULL}, next, now_us);
		assert_non_null(warm);
	} else {
		keepwarm_adopt(warm, next, now_us);
		snapshot_unref(snapshot);
	}
	snapshot = next;
}

static int end(void **state)
{
	(void)state;
	keepwarm_free(warm);
	snapshot_unref(snapshot);
	snapshot = NULL;
	return 0;
}

static void run_to(unsigned s)
{
	uint64_t until_us = (uint64_t)(START_S + s) * US_PER_S;

	while (keepwarm_next_us(warm) <= until_us) {
		unsigned before = asked_count;
		now_us = MAX(now_us, keepwarm_next_us(warm));
		keepwarm_clock(warm, now_us);
		most_at_once = MAX(most_at_once, asked_count - before);
	}
	now_us = until_us;
}

/* An answer of one record is in the cache from now on. */
static void keep(const char *name, uint16_t type, uint32_t ttl_s, bool negative)
{
	static const uint8_t body[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	struct name n;

	assert_int_equal(text_read_name(&n, name), 0);
	struct cache_key key = {.name = &n, .type = type, .route = snapshot_find_zone(snapshot, &n)->identity};
	struct cache_answer a = {.body = body,
				 .body_bytes = sizeof(body),
				 .body_at = (uint16_t)(DNS_HEADER_BYTES + n.len + 4),
				 .ancount = !negative,
				 .nscount = negative,
				 .negative = negative,
				 .ttl_s = ttl_s};
	cache_key_hash(snapshot->cache, &key);
	assert_true(cache_put(snapshot->cache, &key, &snapshot->cache_rules, (uint32_t)(now_us / US_PER_S), &a));
}

/* The next refresh comes after so many seconds, and is answered. */
static void expect_refresh(unsigned after_s, uint32_t ttl_s)
{
	unsigned before = asked_count;

	run_to(after_s - 1);
	assert_int_equal(asked_count, before);
	run_to(after_s);
	assert_int_equal(asked_count, before + 1);
	assert_int_equal(asked[before].type, DNS_TYPE_A);
	keep("www.corp.example", DNS_TYPE_A, ttl_s, false);
}

static void a_name_that_nobody_knows_is_asked_at_once(void **state)
{
	(void)state;
	start(WARM);
	run_to(0);
	assert_int_equal(asked_count, 1);
	assert_int_equal(asked[0].type, DNS_TYPE_A);
}

static void a_name_is_refreshed_in_the_last_tenth_of_its_ttl(void **state)
{
	(void)state;
	start(WARM);
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 300, false);
	expect_refresh(270, 1000);
	expect_refresh(270 + 900, 1000);
}

/* The zone's own answers are looked for, not those of others by the same route. */
static void a_name_of_an_enforced_zone_is_refreshed_no_oftener(void **state)
{
	(void)state;
	start(CONF("name: corp.example, expect: private, guard: enforce, keep-warm: [www.corp.example]"));
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 300, false);
	expect_refresh(270, 1000);
}

static void five_seconds_are_left_at_least(void **state)
{
	(void)state;
	start(WARM);
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 30, false);
	expect_refresh(25, 12);
	expect_refresh(25 + 7, 12);
}

static void a_short_ttl_is_refreshed_every_five_seconds_at_most(void **state)
{
	(void)state;
	start(WARM);
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 1, false);
	for (unsigned i = 1; i < 20; i++)
		expect_refresh(5 * i, 1 + i % 8);
}

static void after_failures_it_is_asked_less_and_less(void **state)
{
	static const unsigned expected[] = {0, 5, 15, 35, 75, 135, 195};

	(void)state;
	start(WARM);
	run_to(200);
	assert_int_equal(asked_count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_int_equal(asked[i].after_s, expected[i]);
	/* A success makes it forget. */
	keep("www.corp.example", DNS_TYPE_A, 300, false);
	run_to(1000);
	assert_int_equal(asked[7].after_s, 200 + 270);
	assert_int_equal(asked[8].after_s, 200 + 275);
}

static void an_answer_that_says_no_is_kept_as_well(void **state)
{
	(void)state;
	start(WARM);
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 60, true);
	expect_refresh(54, 60);
}

static void ipv6_is_asked_where_there_is_some(void **state)
{
	(void)state;
	start(WARM);
	keep("www.corp.example", DNS_TYPE_A, 86400, false);
	keep("www.corp.example", DNS_TYPE_AAAA, 60, true);
	run_to(300);
	assert_int_equal(asked_count, 0);
	keep("www.corp.example", DNS_TYPE_AAAA, 600, false);
	run_to(300 + 540);
	assert_int_equal(asked_count, 1);
	assert_int_equal(asked[0].type, DNS_TYPE_AAAA);
	/* Expired, it is still known to have been there. */
	run_to(300 + 700);
	assert_true(asked_count > 3);
}

static void nothing_is_asked_while_the_route_is_down(void **state)
{
	(void)state;
	start(WARM);
	assert_true(pool_close(&snapshot->pools[1]));
	run_to(1000);
	assert_int_equal(asked_count, 0);
	assert_true(pool_open(&snapshot->pools[1], 0, now_us));
	run_to(1005);
	assert_int_equal(asked_count, 1);
}

static void a_prefetch_on_its_way_is_waited_for(void **state)
{
	struct name n;

	(void)state;
	start(WARM);
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 100, false);
	run_to(89);
	assert_int_equal(text_read_name(&n, "www.corp.example"), 0);
	struct cache_key key = {.name = &n, .type = DNS_TYPE_A, .route = snapshot->zones[0].identity};
	cache_key_hash(snapshot->cache, &key);
	assert_true(cache_claim(snapshot->cache, &key, START_S + 89));
	run_to(91);
	assert_int_equal(asked_count, 1);
	keep("www.corp.example", DNS_TYPE_A, 100, false);
	run_to(180);
	assert_int_equal(asked_count, 1);
}

static void names_that_are_answered_here_are_not_asked(void **state)
{
	(void)state;
	start(CONF("name: ., keep-warm: [localhost, a.onion]"));
	run_to(10000);
	assert_int_equal(asked_count, 0);
}

static void many_names_are_no_burst(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("inbound-endpoints: {seoul: {addresses: [10.0.1.1, 10.0.2.1]}}\nzones: [{name: corp.example, to: seoul, keep-warm: "
	      "[a.corp.example",
	      out);
	for (unsigned i = 1; i < 1000; i++)
		fprintf(out, ", n%u.corp.example", i);
	fputs("]}]\n", out);
	fclose(out);
	start(text);
	free(text);
	run_to(1);
	assert_int_equal(most_at_once, KEEPWARM_AT_ONCE);
	assert_in_range(asked_count, 700, 810);
	run_to(2);
	assert_int_equal(asked_count, 1000);
}

static void a_reload_changes_the_names(void **state)
{
	(void)state;
	start(WARM);
	run_to(0);
	keep("www.corp.example", DNS_TYPE_A, 300, false);
	start(CONF("name: corp.example, keep-warm: [www.corp.example, db.corp.example]"));
	run_to(1);
	assert_int_equal(asked_count, 2); /* one of them is known */
	start(CONF("name: corp.example"));
	run_to(10000);
	assert_int_equal(asked_count, 2);
	assert_int_equal(keepwarm_next_us(warm), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_name_that_nobody_knows_is_asked_at_once, end),
		cmocka_unit_test_teardown(a_name_is_refreshed_in_the_last_tenth_of_its_ttl, end),
		cmocka_unit_test_teardown(a_name_of_an_enforced_zone_is_refreshed_no_oftener, end),
		cmocka_unit_test_teardown(five_seconds_are_left_at_least, end),
		cmocka_unit_test_teardown(a_short_ttl_is_refreshed_every_five_seconds_at_most, end),
		cmocka_unit_test_teardown(after_failures_it_is_asked_less_and_less, end),
		cmocka_unit_test_teardown(an_answer_that_says_no_is_kept_as_well, end),
		cmocka_unit_test_teardown(ipv6_is_asked_where_there_is_some, end),
		cmocka_unit_test_teardown(nothing_is_asked_while_the_route_is_down, end),
		cmocka_unit_test_teardown(a_prefetch_on_its_way_is_waited_for, end),
		cmocka_unit_test_teardown(names_that_are_answered_here_are_not_asked, end),
		cmocka_unit_test_teardown(many_names_are_no_burst, end),
		cmocka_unit_test_teardown(a_reload_changes_the_names, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
