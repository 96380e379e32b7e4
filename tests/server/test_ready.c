/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ready.h"

#include "commanded.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [10.1.0.1, 10.1.0.2]}\n"
			   "  tokyo: {addresses: [10.2.0.1]}\n"
			   "zones:\n"
			   "  - {name: corp.test, to: seoul}\n"
			   "  - {name: below.corp.test, to: seoul}\n"
			   "  - {name: other.test, to: tokyo}\n"
			   "local-upstreams: [10.9.0.1]\n"
			   "cache: {serve-stale: 60s}\n";

static struct commanded c;

static int set_up(void **state)
{
	(void)state;
	commanded_start(&c, conf);
	world_run_ms(c.world, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	commanded_stop(&c);
	return 0;
}

static void take_down(const char *ip, const char *other_ip, const char *name)
{
	world_set(c.world, ip, WORLD_SILENT);
	world_set(c.world, other_ip, WORLD_SILENT);
	world_ask(c.world, name, "A");
	world_run_ms(c.world, 6000);
}

/* Strictly: ready, or not for these zones, a blank between. */
static void expect_lost(const char *zones)
{
	json_t *r = tell(&c, "{\"command\": \"ready\", \"zones\": true}"), *zone;
	char lost[256] = "";
	size_t i, len = 0;

	json_array_foreach(json_object_get(r, "zones"), i, zone)
		len += (size_t)snprintf(lost + len, sizeof(lost) - len, "%s%s", i > 0 ? " " : "", json_string_value(zone));
	assert_string_equal(lost, zones);
	assert_true(json_is_boolean(json_object_get(r, "ready")));
	assert_int_equal(json_is_true(json_object_get(r, "ready")), *zones == '\0');
	json_decref(r);
}

static void ready_once_probed_or_three_seconds_old(void **state)
{
	struct status_world w = {.started_us = 5 * US_PER_S, .now_us = 5 * US_PER_S};

	(void)state;
	assert_false(ready_is(&w));
	w.probed = true;
	assert_true(ready_is(&w));
	w.probed = false;
	w.now_us += READY_PATIENCE_US - 1;
	assert_false(ready_is(&w));
	w.now_us++;
	assert_true(ready_is(&w));
}

static void a_healthy_world_is_ready_for_every_zone(void **state)
{
	(void)state;
	expect_lost("");
	json_t *r = tell(&c, "{\"command\": \"ready\"}");
	assert_true(json_is_true(json_object_get(r, "ready")));
	assert_null(json_object_get(r, "zones"));
	json_decref(r);
}

static void zone_without_an_answer_or_anything_stale_is_lost(void **state)
{
	(void)state;
	take_down("10.1.0.1", "10.1.0.2", "x.corp.test");
	expect_lost("corp.test below.corp.test");
	json_t *r = tell(&c, "{\"command\": \"ready\"}");
	assert_true(json_is_true(json_object_get(r, "ready"))); /* it serves what it can */
	json_decref(r);
	world_set_all(c.world, WORLD_WELL);
	world_run_ms(c.world, 10000);
	expect_lost("");
}

static void stale_answer_keeps_its_zone_and_no_other(void **state)
{
	(void)state;
	world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	take_down("10.1.0.1", "10.1.0.2", "x.corp.test");
	expect_lost("below.corp.test");
}

static void answer_too_old_to_be_served_keeps_nothing(void **state)
{
	(void)state;
	world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	take_down("10.1.0.1", "10.1.0.2", "x.corp.test");
	/* The pretended upstreams' TTL is at most a day. */
	world_run_ms(c.world, (86400 + 61) * 1000);
	expect_lost("corp.test below.corp.test");
}

/* What an enforced zone knows is told from what others know of the same route. */
static void stale_answer_of_an_enforced_zone_keeps_it(void **state)
{
	(void)state;
	world_reload(c.world, "inbound-endpoints:\n"
			      "  seoul: {addresses: [10.1.0.1, 10.1.0.2]}\n"
			      "zones:\n"
			      "  - {name: corp.test, to: seoul, expect: private, guard: enforce}\n"
			      "  - {name: below.corp.test, to: seoul}\n"
			      "local-upstreams: [10.9.0.1]\n");
	world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	take_down("10.1.0.1", "10.1.0.2", "x.corp.test");
	expect_lost("below.corp.test");
}

static void what_another_route_has_cached_keeps_nothing(void **state)
{
	(void)state;
	world_ask(c.world, "www.other.test", "A");
	world_run_ms(c.world, 100);
	world_reload(c.world, "inbound-endpoints:\n"
			      "  seoul: {addresses: [10.1.0.1, 10.1.0.2]}\n"
			      "zones: [{name: other.test, to: seoul}]\n"
			      "local-upstreams: [10.9.0.1]\n");
	take_down("10.1.0.1", "10.1.0.2", "x.other.test");
	expect_lost("other.test");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ready_once_probed_or_three_seconds_old),
		TEST(a_healthy_world_is_ready_for_every_zone),
		TEST(zone_without_an_answer_or_anything_stale_is_lost),
		TEST(stale_answer_keeps_its_zone_and_no_other),
		TEST(answer_too_old_to_be_served_keeps_nothing),
		TEST(stale_answer_of_an_enforced_zone_keeps_it),
		TEST(what_another_route_has_cached_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
