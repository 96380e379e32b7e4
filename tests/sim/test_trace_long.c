/* SPDX-License-Identifier: Apache-2.0 */
/* Long stories on the virtual clock: flapping, dying one after another, an AZ lost during a reload, a day without any address. They
 * are told in numbers: what failed, how long the slowest waited, how often a state changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crowd.h"
#include "story.h"

#define SIX                                                                                                                  \
	"inbound-endpoints:\n  seoul:\n    addresses:\n"                                                                      \
	"      - {ip: 10.0.1.1, az: az1}\n      - {ip: 10.0.1.2, az: az1}\n      - {ip: 10.0.2.1, az: az2}\n"                   \
	"      - {ip: 10.0.2.2, az: az2}\n      - {ip: 10.0.3.1, az: az3}\n      - {ip: 10.0.3.2, az: az3}\n" STORY_REST
#define HOUR_MS (3600 * MS_PER_S)

static const char *const six[] = {"10.0.1.1", "10.0.1.2", "10.0.2.1", "10.0.2.2", "10.0.3.1", "10.0.3.2"};

static struct crowd c;

static void gather(const char *conf)
{
	start(conf);
	crowd_init(&c, w, "corp.example");
}

static int part(void **state)
{
	crowd_deinit(&c);
	return end(state);
}

/* How often the trace since the last call says so. */
static unsigned count_in_trace(const char *what)
{
	unsigned n = 0;

	for (const char *p = world_trace(w); (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void nobody_failed_and_nobody_waited_longer_than(uint64_t ms)
{
	crowd_wait(&c);
	if (c.failed > 0)
		print_message("failed: %u of %u, first at %s\n", c.failed, c.asked, c.first_failure);
	if (c.slowest_us > ms * US_PER_MS)
		print_message("slowest: %llu us\n", (unsigned long long)c.slowest_us);
	assert_int_equal(c.failed, 0);
	assert_true(c.slowest_us <= ms * US_PER_MS);
}

/* Ten minutes of two seconds well, two seconds silent: its relapses keep it out for longer and longer. */
static void flapping_address_changes_its_state_a_few_times_only(void **state)
{
	unsigned changes = 0;

	(void)state;
	gather(STORY_SPREAD);
	for (int i = 0; i < 150; i++) {
		world_set(w, "10.0.2.1", WORLD_SILENT);
		crowd_ask(&c, 50, 2000);
		world_set(w, "10.0.2.1", WORLD_WELL);
		crowd_ask(&c, 50, 2000);
		changes += count_in_trace("10.0.2.1 up");
	}
	nobody_failed_and_nobody_waited_longer_than(30);
	assert_in_range(changes, 1, 10);
}

static void addresses_that_die_one_after_another_are_survived_by_the_last(void **state)
{
	(void)state;
	gather(SIX);
	for (int i = 0; i < 5; i++) {
		crowd_ask(&c, 100, 5000);
		world_set(w, six[i], WORLD_SILENT);
		world_trace(w);
	}
	crowd_ask(&c, 100, 10000);
	/* The fifth and the sixth are in one AZ: the other one is asked after the hedge delay all the same. */
	nobody_failed_and_nobody_waited_longer_than(30);
	for (int i = 0; i < 5; i++)
		assert_int_equal(state_of(six[i]), HEALTH_DOWN);
	assert_int_equal(state_of(six[5]), HEALTH_UP);
}

static void addresses_that_die_all_at_once_but_one_cost_the_first_queries_a_moment(void **state)
{
	(void)state;
	gather(SIX);
	crowd_ask(&c, 100, 2000);
	for (int i = 0; i < 5; i++)
		world_set(w, six[i], WORLD_SILENT);
	crowd_reset(&c);
	crowd_ask(&c, 100, 20000);
	crowd_wait(&c);
	/* The bucket is empty after 20 hedges; then each try waits for the one before, whose timeout is 200 ms, until the probes tell. */
	nobody_failed_and_nobody_waited_longer_than(1000);
}

static void az_that_is_lost_during_a_reload_costs_no_query(void **state)
{
	(void)state;
	gather(SIX);
	crowd_ask(&c, 200, 3000);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.1.2", WORLD_SILENT);
	crowd_ask(&c, 200, 5);
	world_reload(w, SIX);
	crowd_ask(&c, 200, 5);
	world_reload(w, STORY_SPREAD); /* which has three of the six */
	crowd_ask(&c, 200, 5000);
	world_reload(w, SIX);
	crowd_ask(&c, 200, 5000);
	/* Whoever is new is waited for 100 ms, since nobody knows its RTT. */
	nobody_failed_and_nobody_waited_longer_than(110);
	/* Health lived through the reloads. */
	assert_int_equal(state_of("10.0.1.1"), HEALTH_DOWN);
}

static void day_without_any_address_ends_with_the_first_that_answers(void **state)
{
	unsigned asked;

	(void)state;
	gather(STORY_SPREAD);
	world_ask(w, "known.corp.example", "A");
	world_run_ms(w, 1000);
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "first.corp.example", "A");
	world_run_ms(w, 5000);
	world_trace_off(w);
	asked = at("10.0.1.1")->asked + at("10.0.2.1")->asked + at("10.0.3.1")->asked;
	for (int hour = 0; hour < 23; hour++) {
		world_run_ms(w, HOUR_MS);
		const struct world_reply *r = ask_within("known.corp.example", "A", 0);
		assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
		assert_int_equal(r->ttl_s, 30);
		assert_int_equal(ask_within("other.corp.example", "A", 0)->ede, DNS_EDE_NO_REACHABLE_AUTHORITY);
	}
	/* Past serve-stale it is forgotten. */
	world_run_ms(w, 2 * HOUR_MS);
	assert_int_equal(ask_within("known.corp.example", "A", 0)->rcode, DNS_SERVFAIL);
	assert_int_equal(at("10.0.1.1")->asked + at("10.0.2.1")->asked + at("10.0.3.1")->asked, asked);
	/* One probe every half a second. */
	unsigned probes = at("10.0.1.1")->probed + at("10.0.2.1")->probed + at("10.0.3.1")->probed;
	assert_in_range(probes, 25 * 7200 - 10, 25 * 7200 + 100);
	world_set(w, "10.0.2.1", WORLD_WELL);
	world_run_ms(w, 1600); /* its turn among three */
	assert_int_equal(ask_within("known.corp.example", "A", 100)->ede, -1);
	crowd_ask(&c, 100, 5000);
	nobody_failed_and_nobody_waited_longer_than(100);
	world_set_all(w, WORLD_WELL);
	crowd_ask(&c, 100, 10000);
	nobody_failed_and_nobody_waited_longer_than(100);
	assert_int_equal(state_of("10.0.1.1"), HEALTH_UP);
}

/* The path comes and goes: known names are always answered, and the first answer voids what failed. */
static void path_that_flaps_serves_what_is_known(void **state)
{
	(void)state;
	gather(STORY_SPREAD);
	world_trace_off(w);
	world_ask(w, "known.corp.example", "A");
	world_run_ms(w, 1000);
	for (int i = 0; i < 60; i++) {
		world_set_all(w, WORLD_SILENT);
		for (int k = 0; k < 20; k++) {
			unsigned q = world_ask(w, "known.corp.example", "A");
			world_run_ms(w, 500);
			assert_true(world_reply(w, q) == NULL || world_reply(w, q)->rcode == DNS_NOERROR);
		}
		world_set_all(w, WORLD_WELL);
		world_run_ms(w, 600);
		char name[64];
		snprintf(name, sizeof(name), "n%d.corp.example", i);
		assert_int_equal(ask_within(name, "A", 100)->rcode, DNS_NOERROR);
		world_run_ms(w, 9300);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(flapping_address_changes_its_state_a_few_times_only, part),
		cmocka_unit_test_teardown(addresses_that_die_one_after_another_are_survived_by_the_last, part),
		cmocka_unit_test_teardown(addresses_that_die_all_at_once_but_one_cost_the_first_queries_a_moment, part),
		cmocka_unit_test_teardown(az_that_is_lost_during_a_reload_costs_no_query, part),
		cmocka_unit_test_teardown(day_without_any_address_ends_with_the_first_that_answers, part),
		cmocka_unit_test_teardown(path_that_flaps_serves_what_is_known, part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
