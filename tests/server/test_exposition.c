/* SPDX-License-Identifier: Apache-2.0 */
/* Names of metrics are promised to scripts and to dashboards: here they are written down. */
#include "server/exposition.h"

#include "commanded.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.1.0.2, az: b}], policy: ordered}\n"
			   "  tokyo: {addresses: [10.2.0.1], max-qps: 700}\n"
			   "zones:\n"
			   "  - {name: corp.test, to: [seoul, tokyo]}\n"
			   "  - {name: other.test, to: tokyo}\n"
			   "local-upstreams: [10.9.0.1]\n";

static struct commanded c;
static json_t *said;

static int set_up(void **state)
{
	(void)state;
	commanded_start(&c, conf);
	world_run_ms(c.world, 100);
	said = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(said);
	commanded_stop(&c);
	return 0;
}

static void look_again(void)
{
	json_decref(said);
	said = tell(&c, "{\"command\": \"metrics\"}");
}

static json_t *family(const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(said, "families"), i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
			return one;
	return NULL;
}

/* The sample of `name` with these labels, `endpoint=seoul,az=a`; others it may have as well. */
static json_t *sample(const char *name, const char *labels)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(family(name), "samples"), i, one) {
		char pair[64];
		bool fits = true;
		for (const char *at = labels; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
			snprintf(pair, sizeof(pair), "%.*s", (int)strcspn(at, ","), at);
			char *equals = strchr(pair, '=');
			*equals = '\0';
			const char *value = json_string_value(json_object_get(json_object_get(one, "labels"), pair));
			fits &= value != NULL && strcmp(value, equals + 1) == 0;
		}
		if (fits)
			return one;
	}
	fail_msg("there is no %s{%s}", name, labels);
	return NULL;
}

static double value(const char *name, const char *labels)
{
	json_t *v = json_object_get(sample(name, labels), "value");

	assert_true(json_is_number(v));
	return json_number_value(v);
}

static void names_promised_to_scripts_are_there(void **state)
{
	static const char *const names[][2] = {
		{"queries_total", "counter"},		{"responses_total", "counter"},	      {"dropped_total", "counter"},
		{"cache_hits_total", "counter"},	{"cache_misses_total", "counter"},    {"cache_stale_total", "counter"},
		{"cache_evictions_total", "counter"},	{"cache_entries", "gauge"},	      {"cache_bytes", "gauge"},
		{"coalesced_total", "counter"},		{"address_up", "gauge"},	      {"address_rtt_seconds", "histogram"},
		{"address_queries_total", "counter"},	{"address_timeouts_total", "counter"}, {"address_hedges_total", "counter"},
		{"address_probes_total", "counter"},	{"zone_queries_total", "counter"},    {"zone_detached", "gauge"},
		{"reloads_total", "counter"},		{"address_servfail_total", "counter"}, {"address_refused_total", "counter"},
		{"address_state", "gauge"},		{"zone_guard_violations_total", "counter"},
		{"address_queries_per_second", "gauge"}, {"address_max_queries_per_second", "gauge"},
	};
	char name[64];

	(void)state;
	look_again();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "r53fwd_%s", names[i][0]);
		if (family(name) == NULL)
			fail_msg("there is no %s", name);
		assert_string_equal(json_string_value(json_object_get(family(name), "type")), names[i][1]);
	}
}

static void every_family_of_the_table_is_there_once_with_its_help(void **state)
{
	struct metrics_family f;
	size_t i = 0;
	char name[128];

	(void)state;
	look_again();
	for (; metrics_family_at(i, &f); i++) {
		snprintf(name, sizeof(name), "r53fwd_%s", f.name);
		assert_non_null(family(name));
		assert_string_equal(json_string_value(json_object_get(family(name), "help")), f.help);
	}
	assert_int_equal(json_array_size(json_object_get(said, "families")), i);
}

/* What a row says of its labels is what its samples have. */
static void samples_have_the_labels_of_their_row(void **state)
{
	char wanted[128], name[128];

	(void)state;
	world_ask(c.world, "x.corp.test", "A");
	world_run_ms(c.world, 100);
	look_again();
	for (size_t i = 0; i < METRICS_GATHERED; i++) {
		json_t *one, *v;
		size_t k;
		const char *key;
		snprintf(name, sizeof(name), "r53fwd_%s", metrics_gathered[i].name);
		json_array_foreach(json_object_get(family(name), "samples"), k, one) {
			size_t len = 0;
			wanted[0] = '\0';
			json_object_foreach(json_object_get(one, "labels"), key, v)
				len += (size_t)snprintf(wanted + len, sizeof(wanted) - len, "%s%s", len > 0 ? "," : "", key);
			assert_string_equal(wanted, metrics_gathered[i].labels);
		}
	}
}

static void numbers_follow_what_happens(void **state)
{
	(void)state;
	world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	for (int i = 0; i < 3; i++)
		world_ask(c.world, "www.corp.test", "A");
	world_run_ms(c.world, 100);
	look_again();
	assert_true(value("r53fwd_queries_total", "proto=udp") == 4);
	assert_true(value("r53fwd_responses_total", "rcode=NOERROR") == 4);
	assert_true(value("r53fwd_cache_hits_total", "") == 3);
	assert_true(value("r53fwd_cache_entries", "") == 1);
	assert_true(value("r53fwd_zone_queries_total", "zone=corp.test") == 4);
	assert_true(value("r53fwd_address_queries_total", "endpoint=seoul,address=10.1.0.1:53,az=a") == 2);
	assert_true(value("r53fwd_address_probes_total", "endpoint=seoul,az=a") == 1);
	assert_true(value("r53fwd_address_up", "endpoint=seoul,az=b") == 1);
	assert_true(value("r53fwd_address_state", "endpoint=seoul,az=b,state=up") == 1);
	assert_true(value("r53fwd_address_state", "endpoint=seoul,az=b,state=down") == 0);
	assert_true(value("r53fwd_address_max_queries_per_second", "endpoint=tokyo,az=") == 700);
	assert_true(value("r53fwd_reloads_total", "result=failed") == 1);
	assert_true(value("r53fwd_start_time_seconds", "") == 1763999000);
	assert_true(value("r53fwd_info", "version=" R53FWD_VERSION) == 1);
}

static void histogram_counts_answers_up_to_each_bound(void **state)
{
	json_t *h, *bucket;
	size_t i;

	(void)state;
	world_upstream(c.world, "10.1.0.1")->rtt_us = 9000;
	world_ask(c.world, "a.corp.test", "A");
	world_run_ms(c.world, 100);
	look_again();
	h = sample("r53fwd_address_rtt_seconds", "endpoint=seoul,az=a");
	assert_int_equal(json_array_size(json_object_get(h, "buckets")), RTT_BUCKETS - 1);
	json_array_foreach(json_object_get(h, "buckets"), i, bucket) {
		double bound = json_number_value(json_array_get(bucket, 0));
		/* A probe of 4 ms, a query of 9. */
		assert_int_equal(json_integer_value(json_array_get(bucket, 1)), (bound >= 0.004) + (bound >= 0.009));
	}
	assert_int_equal(json_integer_value(json_object_get(h, "count")), 2);
	assert_true(json_number_value(json_object_get(h, "sum")) > 0.0129 && json_number_value(json_object_get(h, "sum")) < 0.0131);
}

static void an_outage_shows(void **state)
{
	(void)state;
	world_set(c.world, "10.2.0.1", WORLD_SILENT);
	world_ask(c.world, "x.other.test", "A");
	world_run_ms(c.world, 6000);
	look_again();
	assert_true(value("r53fwd_endpoint_up", "endpoint=tokyo") == 0);
	assert_true(value("r53fwd_endpoint_up", "endpoint=seoul") == 1);
	assert_true(value("r53fwd_endpoint_outages_total", "endpoint=tokyo") == 1);
	assert_true(value("r53fwd_address_up", "endpoint=tokyo") == 0);
	assert_true(value("r53fwd_address_state", "endpoint=tokyo,state=down") == 1);
	assert_true(value("r53fwd_zone_up", "zone=other.test") == 0);
	assert_true(value("r53fwd_zone_up", "zone=corp.test") == 1);
	assert_true(value("r53fwd_address_timeouts_total", "endpoint=tokyo") >= 1);
	/* A counter goes on over a reload. */
	world_reload(c.world, "inbound-endpoints: {tokyo: {addresses: [10.2.0.1], policy: nearest}}\n"
			      "zones: [{name: other.test, to: tokyo}]\nlocal-upstreams: [10.9.0.1]\n");
	look_again();
	assert_true(value("r53fwd_endpoint_outages_total", "endpoint=tokyo") == 1);
}

static void a_detached_zone_shows_by_endpoint(void **state)
{
	struct snapshot *s = world_snapshot(c.world);

	(void)state;
	atomic_store(&s->learned[0].association[0], ASSOCIATION_PRIVATE);
	atomic_store(&s->learned[0].association[1], ASSOCIATION_DETACHED);
	look_again();
	assert_true(value("r53fwd_zone_detached", "zone=corp.test,endpoint=seoul") == 0);
	assert_true(value("r53fwd_zone_detached", "zone=corp.test,endpoint=tokyo") == 1);
	assert_int_equal(json_array_size(json_object_get(family("r53fwd_zone_detached"), "samples")), 2);
}

static void a_zone_that_is_not_checked_any_more_is_not_detached(void **state)
{
	static const char off[] = "inbound-endpoints:\n"
				  "  seoul: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.1.0.2, az: b}], policy: ordered}\n"
				  "zones: [{name: corp.test, to: seoul, association: off}]\n"
				  "local-upstreams: [10.9.0.1]\n";

	(void)state;
	atomic_store(&world_snapshot(c.world)->learned[0].association[0], ASSOCIATION_DETACHED);
	look_again();
	assert_true(value("r53fwd_zone_detached", "zone=corp.test,endpoint=seoul") == 1);
	world_reload(c.world, off);
	look_again();
	assert_int_equal(json_array_size(json_object_get(family("r53fwd_zone_detached"), "samples")), 0);
}

static void of_many_zones_those_in_use_or_in_trouble_are_listed(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("inbound-endpoints:\n  seoul: {addresses: [10.1.0.1, 10.1.0.2]}\n  tokyo: {addresses: [10.2.0.1]}\n"
	      "local-upstreams: [10.9.0.1]\nzones:\n",
	      out);
	for (unsigned i = 0; i < 3000; i++)
		fprintf(out, "  - {name: z%u.test, to: %s}\n", i, i == 2999 ? "tokyo" : "seoul");
	fclose(out);
	world_reload(c.world, text);
	free(text);
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.1\"}"));
	world_ask(c.world, "x.z7.test", "A");
	world_run_ms(c.world, 100);
	look_again();
	assert_int_equal(json_array_size(json_object_get(family("r53fwd_zone_up"), "samples")), 2);
	assert_true(value("r53fwd_zone_queries_total", "zone=z7.test") == 1);
	assert_true(value("r53fwd_zone_up", "zone=z2999.test") == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_promised_to_scripts_are_there),
		TEST(every_family_of_the_table_is_there_once_with_its_help),
		TEST(samples_have_the_labels_of_their_row),
		TEST(numbers_follow_what_happens),
		TEST(histogram_counts_answers_up_to_each_bound),
		TEST(an_outage_shows),
		TEST(a_detached_zone_shows_by_endpoint),
		TEST(a_zone_that_is_not_checked_any_more_is_not_detached),
		TEST(of_many_zones_those_in_use_or_in_trouble_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
