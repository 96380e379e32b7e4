/* SPDX-License-Identifier: Apache-2.0 */
/* Names in the status are promised to scripts: here they are written down. */
#include "server/status.h"

#include "commanded.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.1.0.2, az: b}], policy: ordered}\n"
			   "  tokyo: {addresses: [{ip: 10.2.0.1, az: a}, {ip: 10.2.0.2, az: b}]}\n"
			   "resolvers:\n"
			   "  ad: {addresses: [10.3.0.1]}\n"
			   "zones:\n"
			   "  - {name: corp.test, to: [seoul, tokyo]}\n"
			   "  - {name: other.test, to: tokyo}\n"
			   "  - {name: ad.test, to: ad}\n"
			   "local-upstreams: [10.9.0.1]\n";

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

static json_t *status(void)
{
	return tell(&c, "{\"command\": \"status\"}");
}

/* The object in the list `key` that has this name; lent. */
static json_t *named(json_t *s, const char *key, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(s, key), i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
			return one;
	fail_msg("%s is not in %s", name, key);
	return NULL;
}

static const char *text_of(json_t *o, const char *key)
{
	assert_non_null(json_object_get(o, key));
	return json_string_value(json_object_get(o, key));
}

static json_int_t count_of(json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static json_t *address(json_t *s, const char *endpoint, size_t i)
{
	return json_array_get(json_object_get(named(s, "endpoints", endpoint), "addresses"), i);
}

static void expect_keys(json_t *o, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (json_object_get(o, keys[i]) == NULL)
			fail_msg("there is no `%s`", keys[i]);
	assert_int_equal(json_object_size(o), count);
}
#define EXPECT_KEYS(o, ...) expect_keys(o, (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static void all_names_are_there(void **state)
{
	json_t *s = status();

	(void)state;
	EXPECT_KEYS(s, "version", "uptime_seconds", "workers", "qps", "endpoints", "zones", "zones_total", "zones_in_trouble", "cache",
		    "inbound_queries",
		    "ready", "metrics", "config");
	EXPECT_KEYS(named(s, "endpoints", "seoul"), "name", "kind", "state", "used", "policy", "max_qps", "outages", "above_max_qps",
		    "addresses");
	EXPECT_KEYS(address(s, "seoul", 0), "address", "az", "state", "up", "rtt_ms", "rtt_history_ms", "qps", "queries", "answers",
		    "timeouts", "servfail", "refused", "hedges", "probes", "tcp", "unreachable", "share", "cause",
		    "cause_age_seconds", "last_answer_age_seconds");
	EXPECT_KEYS(named(s, "zones", "corp.test"), "name", "to", "state", "association", "queries", "guard_violations");
	EXPECT_KEYS(json_object_get(s, "cache"), "entries", "bytes", "size_bytes", "hits", "misses", "stale", "stale_qps",
		    "evictions", "coalesced", "prefetches");
	EXPECT_KEYS(json_object_get(s, "config"), "path", "digest", "loaded_at", "reloads");
	assert_int_equal(json_object_size(json_object_get(s, "metrics")), METRICS);
	json_decref(s);
}

static void a_healthy_world_is_up(void **state)
{
	json_t *s = status(), *endpoints = json_object_get(s, "endpoints");

	(void)state;
	assert_string_equal(text_of(s, "version"), R53FWD_VERSION);
	assert_int_equal(count_of(s, "workers"), 1);
	assert_int_equal(json_array_size(endpoints), 4);
	assert_string_equal(text_of(json_array_get(endpoints, 0), "name"), "local");
	assert_string_equal(text_of(json_array_get(endpoints, 0), "kind"), "local");
	assert_string_equal(text_of(named(s, "endpoints", "seoul"), "kind"), "inbound-endpoint");
	assert_string_equal(text_of(named(s, "endpoints", "seoul"), "policy"), "ordered");
	assert_string_equal(text_of(named(s, "endpoints", "tokyo"), "policy"), "spread");
	assert_string_equal(text_of(named(s, "endpoints", "ad"), "kind"), "resolvers");
	assert_string_equal(text_of(named(s, "endpoints", "ad"), "state"), "up");
	assert_true(json_is_null(json_object_get(address(s, "ad", 0), "az")));
	json_t *a = address(s, "seoul", 1);
	assert_string_equal(text_of(a, "address"), "10.1.0.2:53");
	assert_string_equal(text_of(a, "az"), "b");
	assert_string_equal(text_of(a, "state"), "up");
	assert_true(json_is_true(json_object_get(a, "up")));
	assert_true(json_number_value(json_object_get(a, "rtt_ms")) == 4);
	assert_int_equal(count_of(a, "probes"), 1);
	assert_int_equal(count_of(a, "answers"), 1);
	assert_true(json_is_null(json_object_get(a, "cause")));
	assert_true(json_number_value(json_object_get(a, "last_answer_age_seconds")) == 0.1);
	assert_true(json_number_value(json_object_get(s, "uptime_seconds")) == 0.1);
	assert_string_equal(text_of(named(s, "zones", "other.test"), "state"), "up");
	assert_string_equal(json_string_value(json_array_get(json_object_get(named(s, "zones", "corp.test"), "to"), 1)), "tokyo");
	assert_int_equal(count_of(s, "zones_total"), 3);
	assert_string_equal(text_of(json_object_get(s, "config"), "loaded_at"), "2025-11-24T16:00:00Z");
	assert_int_equal(count_of(json_object_get(json_object_get(s, "config"), "reloads"), "ok"), 3);
	assert_int_equal(count_of(json_object_get(json_object_get(s, "config"), "reloads"), "failed"), 1);
	json_decref(s);
}

static void numbers_follow_what_happens(void **state)
{
	(void)state;
	world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	for (int i = 0; i < 3; i++)
		world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	json_t *s = status(), *cache = json_object_get(s, "cache"), *metrics = json_object_get(s, "metrics");
	assert_int_equal(count_of(cache, "entries"), 1);
	assert_int_equal(count_of(cache, "hits"), 3);
	assert_int_equal(count_of(cache, "misses"), 1);
	assert_true(count_of(cache, "bytes") > 0);
	assert_int_equal(count_of(cache, "size_bytes"), 64 << 20);
	assert_int_equal(count_of(metrics, "r53fwd_queries_total{proto=\"udp\"}"), 4);
	assert_int_equal(count_of(metrics, "r53fwd_cache_hits_total"), 3);
	assert_int_equal(count_of(address(s, "seoul", 0), "queries"), 2);
	assert_int_equal(count_of(named(s, "zones", "corp.test"), "queries"), 4);
	assert_int_equal(count_of(named(s, "zones", "other.test"), "queries"), 0);
	json_decref(s);
}

static void saved_is_what_the_endpoints_were_not_asked(void **state)
{
	json_t *s, *b;

	(void)state;
	s = status();
	b = json_object_get(s, "inbound_queries");
	assert_int_equal(count_of(b, "asked"), 0);
	assert_int_equal(count_of(b, "sent"), 4); /* the first probes */
	assert_int_equal(count_of(b, "avoided"), 0);
	json_decref(s);
	world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	for (int i = 0; i < 20; i++)
		world_ask(c.world, "www.corp.test", "A");
	world_ask(c.world, "www.ad.test", "A"); /* no inbound endpoint's */
	world_run_ms(c.world, 100);
	s = status();
	b = json_object_get(s, "inbound_queries");
	assert_int_equal(count_of(b, "asked"), 21);
	assert_int_equal(count_of(b, "sent"), 5);
	assert_int_equal(count_of(b, "avoided"), 16);
	json_decref(s);
}

static void history_of_an_address_shows_its_rtt_and_gaps(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		history_sample(c.history, world_snapshot(c.world), (uint64_t)i * HISTORY_EVERY_US);
		if (i == 1)
			assert_true(pool_close(world_pool(c.world, "seoul")));
	}
	json_t *s = status(), *h = json_object_get(address(s, "seoul", 0), "rtt_history_ms");
	assert_int_equal(json_array_size(h), 3);
	assert_true(json_number_value(json_array_get(h, 0)) == 4);
	assert_true(json_is_null(json_array_get(h, 2)));
	json_decref(s);
}

static void one_address_out_is_degraded(void **state)
{
	(void)state;
	world_set(c.world, "10.1.0.1", WORLD_SILENT);
	for (int i = 0; i < 40; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%d.corp.test", i);
		world_ask(c.world, name, "A");
		world_run_ms(c.world, 500);
	}
	json_t *s = status(), *a = address(s, "seoul", 0);
	assert_string_equal(text_of(named(s, "endpoints", "seoul"), "state"), "degraded");
	assert_string_equal(text_of(a, "state"), "down");
	assert_true(json_is_false(json_object_get(a, "up")));
	assert_string_equal(text_of(a, "cause"), "a probe went unanswered");
	assert_true(json_number_value(json_object_get(a, "cause_age_seconds")) < 5);
	assert_true(json_number_value(json_object_get(a, "last_answer_age_seconds")) > 19);
	assert_string_equal(text_of(named(s, "zones", "corp.test"), "state"), "degraded");
	json_decref(s);
}

static void an_endpoint_that_is_out_is_down_with_all_its_addresses(void **state)
{
	(void)state;
	world_set(c.world, "10.1.0.1", WORLD_SILENT);
	world_set(c.world, "10.1.0.2", WORLD_SILENT);
	world_ask(c.world, "x.corp.test", "A");
	world_run_ms(c.world, 6000);
	json_t *s = status();
	assert_string_equal(text_of(named(s, "endpoints", "seoul"), "state"), "down");
	assert_int_equal(count_of(named(s, "endpoints", "seoul"), "outages"), 1);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(text_of(address(s, "seoul", i), "state"), "down");
		assert_non_null(text_of(address(s, "seoul", i), "cause"));
	}
	assert_string_equal(text_of(named(s, "zones", "corp.test"), "state"), "degraded"); /* tokyo answers for it */
	json_decref(s);
	world_set_all(c.world, WORLD_WELL);
	world_run_ms(c.world, 10000);
	s = status();
	assert_string_equal(text_of(named(s, "endpoints", "seoul"), "state"), "up");
	assert_int_equal(count_of(named(s, "endpoints", "seoul"), "outages"), 1);
	json_decref(s);
	/* What the first outage left behind says nothing of the second. */
	world_run_ms(c.world, 60000);
	world_set(c.world, "10.1.0.1", WORLD_SILENT);
	world_set(c.world, "10.1.0.2", WORLD_SILENT);
	world_ask(c.world, "y.corp.test", "A");
	world_run_ms(c.world, 1000);
	s = status();
	assert_int_equal(count_of(named(s, "endpoints", "seoul"), "outages"), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(text_of(address(s, "seoul", i), "cause"), "no address of the endpoint answers");
		assert_true(json_is_null(json_object_get(address(s, "seoul", i), "cause_age_seconds")));
	}
	json_decref(s);
}

static void a_zone_without_any_endpoint_is_down(void **state)
{
	(void)state;
	world_set_all(c.world, WORLD_SILENT);
	world_ask(c.world, "x.corp.test", "A");
	world_ask(c.world, "x.other.test", "A");
	world_run_ms(c.world, 1000);
	world_ask(c.world, "y.corp.test", "A");
	world_run_ms(c.world, 8000);
	json_t *s = status();
	assert_string_equal(text_of(named(s, "zones", "corp.test"), "state"), "down");
	assert_string_equal(text_of(named(s, "zones", "other.test"), "state"), "down");
	assert_string_equal(text_of(named(s, "zones", "ad.test"), "state"), "up"); /* nobody has asked: nobody knows */
	json_decref(s);
}

static void drained_is_a_state_of_its_own(void **state)
{
	(void)state;
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.1\"}"));
	json_t *s = status();
	assert_string_equal(text_of(address(s, "tokyo", 0), "state"), "drained");
	assert_true(json_is_false(json_object_get(address(s, "tokyo", 0), "up")));
	assert_string_equal(text_of(named(s, "endpoints", "tokyo"), "state"), "degraded");
	json_decref(s);
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.2\"}"));
	s = status();
	assert_string_equal(text_of(named(s, "endpoints", "tokyo"), "state"), "drained");
	assert_int_equal(json_integer_value(json_object_get(named(s, "endpoints", "tokyo"), "outages")), 0);
	assert_string_equal(text_of(address(s, "tokyo", 1), "state"), "drained");
	json_decref(s);
}

/* A configuration of `count` zones, each third of them at an endpoint whose addresses are all drained. */
static void use_many_zones(unsigned count)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs("inbound-endpoints:\n"
	      "  seoul: {addresses: [10.1.0.1, 10.1.0.2]}\n"
	      "  tokyo: {addresses: [10.2.0.1, 10.2.0.2]}\n"
	      "local-upstreams: [10.9.0.1]\n"
	      "zones:\n",
	      out);
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "  - {name: z%u.test, to: %s}\n", i, i % 3 == 2 ? "tokyo" : "seoul");
	fclose(out);
	world_reload(c.world, text);
	free(text);
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.1\"}"));
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.2\"}"));
}

static void many_zones_are_listed_in_part_those_in_trouble_first(void **state)
{
	json_t *s, *zones;

	(void)state;
	use_many_zones(1500);
	s = status();
	zones = json_object_get(s, "zones");
	assert_int_equal(json_array_size(zones), STATUS_ZONES);
	assert_int_equal(count_of(s, "zones_total"), 1500);
	assert_int_equal(count_of(s, "zones_in_trouble"), 500);
	for (size_t i = 0; i < STATUS_ZONES; i++)
		assert_string_equal(text_of(json_array_get(zones, i), "state"), i < 500 ? "down" : "up");
	json_decref(s);
	s = tell(&c, "{\"command\": \"status\", \"zones\": \"all\"}");
	zones = json_object_get(s, "zones");
	assert_int_equal(json_array_size(zones), 1500);
	assert_string_equal(text_of(json_array_get(zones, 1499), "name"), "z1499.test");
	json_decref(s);
}

static void every_cause_has_words(void **state)
{
	(void)state;
	for (int cause = HEALTH_CAUSE_NONE; cause <= HEALTH_CAUSE_OUTAGE; cause++)
		assert_true(strlen(status_cause(&(struct health_report){.cause = (enum health_cause)cause})) > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static bool is_used(const char *zones, const char *name)
{
	char text[512];

	snprintf(text, sizeof(text), "resolvers: {ad: {addresses: [10.3.0.1]}}\nlocal-upstreams: [10.9.0.1]\nzones: [%s]\n", zones);
	commanded_stop(&c);
	commanded_start(&c, text);
	json_t *s = status();
	bool used = json_is_true(json_object_get(named(s, "endpoints", name), "used"));
	json_decref(s);
	return used;
}

static void endpoint_is_used_if_a_name_goes_there(void **state)
{
	(void)state;
	assert_true(is_used("", "local"));
	assert_false(is_used("", "ad"));
	assert_true(is_used("{name: a, to: ad}", "local"));
	assert_true(is_used("{name: a, to: ad}", "ad"));
	assert_false(is_used("{name: ., to: ad}", "local"));
	assert_true(is_used("{name: ., to: ad}, {name: a, to: local}", "local"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_names_are_there),
		TEST(a_healthy_world_is_up),
		TEST(numbers_follow_what_happens),
		TEST(saved_is_what_the_endpoints_were_not_asked),
		TEST(history_of_an_address_shows_its_rtt_and_gaps),
		TEST(one_address_out_is_degraded),
		TEST(an_endpoint_that_is_out_is_down_with_all_its_addresses),
		TEST(a_zone_without_any_endpoint_is_down),
		TEST(drained_is_a_state_of_its_own),
		TEST(many_zones_are_listed_in_part_those_in_trouble_first),
		TEST(every_cause_has_words),
		TEST(endpoint_is_used_if_a_name_goes_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
