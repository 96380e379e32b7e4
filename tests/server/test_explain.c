/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations of a world that lives: what is said is what then happens. */
#include "server/explain.h"

#include "commanded.h"
#include "wire/dns.h"
#include "wire/text.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.1.0.2, az: b}], policy: ordered}\n"
			   "  tokyo: {addresses: [10.2.0.1], policy: ordered}\n"
			   "zones:\n"
			   "  - {name: test, to: local}\n"
			   "  - {name: corp.test, to: [seoul, tokyo]}\n"
			   "  - {name: old.corp.test, to: local}\n"
			   "  - {name: new.corp.test, to: [seoul, tokyo]}\n"
			   "  - {reverse: 10.20.0.0/16, to: tokyo}\n"
			   "local-upstreams: [10.9.0.1]\n";

static struct commanded c;
static json_t *said;

static int set_up(void **state)
{
	(void)state;
	commanded_start(&c, conf);
	/* What explain and the cache are told is one time. */
	world_run_ms(c.world, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(said);
	said = NULL;
	commanded_stop(&c);
	return 0;
}

/* world.h's clock begins far from zero: the same far is commanded's. */
static void explain(const char *name, const char *type)
{
	char line[512];

	json_decref(said);
	snprintf(line, sizeof(line), "{\"command\": \"explain\", \"name\": \"%s\", \"type\": \"%s\"}", name, type);
	said = tell(&c, line);
	assert_null(json_object_get(said, "error"));
}

/* A value by its path: "endpoints.0.addresses.1.why". */
static const json_t *at(const char *path)
{
	const json_t *value = said;
	char copy[128], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((word = strsep(&rest, ".")) != NULL)
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(word)) : json_object_get(value, word);
	return value;
}

static const char *text_at(const char *path)
{
	const char *text = json_string_value(at(path));

	return text != NULL ? text : "(none)";
}

static void expect_within(const char *path, const char *wanted)
{
	if (strstr(text_at(path), wanted) == NULL)
		fail_msg("%s is `%s`, without `%s`", path, text_at(path), wanted);
}

static void ask(const char *name)
{
	unsigned query = world_ask(c.world, name, "A");

	world_run_ms(c.world, 5000);
	assert_non_null(world_reply(c.world, query));
}

/* ---- zones ---- */

static void the_longest_suffix_wins_and_the_others_say_why_not(void **state)
{
	(void)state;
	explain("www.corp.test", "A");
	assert_string_equal(text_at("name"), "www.corp.test");
	assert_string_equal(text_at("zone.name"), "corp.test");
	assert_int_equal(json_integer_value(at("zone.line")), 6);
	assert_string_equal(text_at("zone.to.0"), "seoul");
	assert_string_equal(text_at("zone.to.1"), "tokyo");
	assert_string_equal(text_at("lost.0.name"), "test");
	assert_string_equal(text_at("lost.0.why"), "a shorter suffix of the name");
	assert_string_equal(text_at("lost.1.name"), "old.corp.test");
	expect_within("lost.1.why", "an exception");
	assert_int_equal(json_array_size(at("lost")), 2); /* new.corp.test goes the same way: no exception */
}

static void an_exception_goes_where_it_says(void **state)
{
	(void)state;
	explain("a.OLD.corp.test.", "AAAA");
	assert_string_equal(text_at("zone.name"), "old.corp.test");
	assert_string_equal(text_at("endpoints.0.name"), "local");
	assert_string_equal(text_at("lost.0.name"), "corp.test");
	assert_string_equal(text_at("lost.1.name"), "test");
	explain("old.corp.test", "A");
	assert_string_equal(text_at("zone.why"), "the name is the zone itself");
}

static void a_name_that_only_looks_alike_is_told_so(void **state)
{
	(void)state;
	explain("xcorp.test", "A");
	assert_string_equal(text_at("zone.name"), "test");
	assert_string_equal(text_at("lost.0.name"), "corp.test");
	expect_within("lost.0.why", "not at a dot");
}

static void what_nobody_routed_goes_to_the_local_upstreams(void **state)
{
	(void)state;
	explain("www.example", "A");
	assert_true(json_is_null(at("zone")));
	assert_string_equal(text_at("endpoints.0.name"), "local");
	assert_true(json_is_false(at("endpoints.0.inbound_endpoint")));
}

static void an_expanded_zone_names_its_entry(void **state)
{
	(void)state;
	explain("1.0.20.10.in-addr.arpa", "PTR");
	assert_string_equal(text_at("zone.from"), "reverse 10.20.0.0/16");
	assert_string_equal(text_at("zone.name"), "20.10.in-addr.arpa");
}

static void special_names_are_sent_nowhere(void **state)
{
	static const char *const names[] = {"localhost", "a.localhost",	       "x.invalid",
					    "y.onion",	 "_dns.resolver.arpa", "1.0.0.127.in-addr.arpa"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		explain(names[i], "A");
		assert_true(json_is_string(at("answered_here")));
		assert_null(at("endpoints"));
		unsigned query = world_ask(c.world, names[i], "A");
		world_run_ms(c.world, 1);
		assert_non_null(world_reply(c.world, query));
	}
}

static void odd_types_are_told(void **state)
{
	(void)state;
	explain("www.corp.test", "AXFR");
	expect_within("note", "REFUSED");
	assert_null(at("endpoints"));
	explain("www.corp.test", "ANY");
	expect_within("note", "HINFO");
	assert_non_null(at("endpoints"));
	explain("www.corp.test", "TYPE65400");
	assert_true(json_is_null(at("note")));
	assert_string_equal(text_at("type"), "TYPE65400");
}

static void many_exceptions_are_counted_not_listed(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("inbound-endpoints: {seoul: {addresses: [10.1.0.1, 10.1.0.2]}}\nlocal-upstreams: [10.9.0.1]\nzones:\n", out);
	fputs("  - {name: t, to: seoul}\n", out);
	for (int i = 0; i < 20; i++)
		fprintf(out, "  - {name: e%d.t, to: local}\n", i);
	fclose(out);
	world_reload(c.world, text);
	free(text);
	explain("www.t", "A");
	assert_int_equal(json_array_size(at("lost")), EXPLAIN_LOST);
	assert_int_equal(json_integer_value(at("lost_left_out")), 20 - EXPLAIN_LOST);
}

/* ---- addresses ---- */

static void the_order_of_addresses_has_its_reasons(void **state)
{
	(void)state;
	ask("www.corp.test");
	explain("other.corp.test", "A");
	assert_string_equal(text_at("endpoints.0.addresses.0.address"), "10.1.0.1:53");
	assert_int_equal(json_integer_value(at("endpoints.0.addresses.0.place")), 1);
	assert_string_equal(text_at("endpoints.0.addresses.0.state"), "up");
	assert_true(json_number_value(at("endpoints.0.addresses.0.rtt_ms")) > 0);
	assert_string_equal(text_at("endpoints.0.addresses.0.why"), "healthy; the first in the order of the file");
	assert_string_equal(text_at("endpoints.0.addresses.1.why"), "healthy; in another AZ than those before");
	assert_true(json_is_true(at("endpoints.0.asked")));
	assert_false(json_is_true(at("endpoints.1.asked")));
	expect_within("endpoints.1.why", "only while the one before it is wholly down");
	expect_within("now", "asked at 10.1.0.1:53 (a)");
}

static void who_is_drained_has_no_place(void **state)
{
	(void)state;
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1\"}"));
	explain("www.corp.test", "A");
	assert_string_equal(text_at("endpoints.0.addresses.0.address"), "10.1.0.2:53");
	assert_true(json_is_null(at("endpoints.0.addresses.1.place")));
	expect_within("endpoints.0.addresses.1.why", "drained");
	expect_within("if_first_dies", "seoul has no other address to ask: tokyo would be used");
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.2\"}"));
	explain("www.corp.test", "A");
	expect_within("now", "drained or above max-qps");
	assert_string_equal(text_at("endpoints.0.state"), "drained");
	assert_string_equal(text_at("endpoints.0.why"), "every address is drained: nobody is asked until `r53fwd undrain`");
	assert_true(json_is_null(at("if_first_dies")));
}

static void a_sick_address_stands_behind_with_its_cause(void **state)
{
	(void)state;
	world_set(c.world, "10.1.0.1", WORLD_SILENT);
	ask("www.corp.test");
	explain("other.corp.test", "A");
	assert_string_equal(text_at("endpoints.0.addresses.0.address"), "10.1.0.2:53");
	assert_string_equal(text_at("endpoints.0.addresses.1.address"), "10.1.0.1:53");
	expect_within("endpoints.0.addresses.1.why", "unanswered");
	assert_string_not_equal(text_at("endpoints.0.addresses.1.state"), "up");
	/* And so it is. */
	unsigned asked = world_upstream(c.world, "10.1.0.2")->asked;
	ask("other.corp.test");
	assert_int_equal(world_upstream(c.world, "10.1.0.2")->asked, asked + 1);
}

static void the_second_endpoint_is_used_when_the_first_is_down(void **state)
{
	(void)state;
	world_set(c.world, "10.1.0.1", WORLD_SILENT);
	world_set(c.world, "10.1.0.2", WORLD_SILENT);
	ask("www.corp.test");
	world_run_ms(c.world, 10000);
	explain("other.corp.test", "A");
	expect_within("endpoints.0.why", "down: no address answers");
	assert_null(strstr(text_at("endpoints.0.addresses.0.why"), "healthy"));
	assert_true(json_is_null(at("endpoints.0.addresses.0.place")));
	assert_true(json_is_true(at("endpoints.1.asked")));
	expect_within("endpoints.1.why", "asked: those before it are down");
	world_set(c.world, "10.1.0.1", WORLD_WELL);
	world_set(c.world, "10.1.0.2", WORLD_WELL);
	world_run_ms(c.world, 2000);
	explain("other.corp.test", "A");
	expect_within("endpoints.0.why", "back since");
}

/* It may leave probes unanswered, and answer questions: forward.c asks it all the same. Who has answered them is down when it is
 * silent. */
static void a_server_of_ones_own_that_is_down_is_asked_all_the_same_if_it_never_answered_probes(void **state)
{
	(void)state;
	ask("known.example");
	world_set(c.world, "10.9.0.1", WORLD_SILENT);
	ask("www.example");
	world_run_ms(c.world, 10000);
	explain("other.example", "A");
	assert_string_equal(text_at("endpoints.0.state"), "down");
	assert_true(json_is_false(at("endpoints.0.asked")));
	unsigned before = world_upstream(c.world, "10.9.0.1")->asked;
	assert_non_null(world_reply(c.world, world_ask(c.world, "other.example", "A")));
	assert_int_equal(world_upstream(c.world, "10.9.0.1")->asked, before);
	atomic_store(&world_pool(c.world, "local")->silent, false); /* as if it never had */
	explain("other.example", "A");
	assert_true(json_is_true(at("endpoints.0.asked")));
	expect_within("endpoints.0.why", "asked all the same");
	assert_int_equal(json_integer_value(at("endpoints.0.addresses.0.place")), 1);
	expect_within("now", "asked at 10.9.0.1");
	assert_true(json_is_null(at("if_first_dies")));
	(void)world_ask(c.world, "other.example", "A");
	assert_true(world_upstream(c.world, "10.9.0.1")->asked > before);
	world_run_ms(c.world, 300000);
	explain("known.example", "A");
	expect_within("now", "nobody can be asked");
}

static void above_max_qps_is_passed_over(void **state)
{
	(void)state;
	world_reload(c.world, "inbound-endpoints: {seoul: {addresses: [10.1.0.1, 10.1.0.2], policy: ordered, max-qps: 2}}\n"
			      "zones: [{name: t, to: seoul}]\nlocal-upstreams: [10.9.0.1]\n");
	explain("www.t", "A");
	unsigned before = world_upstream(c.world, "10.1.0.1")->asked;
	for (int i = 0; i < 8; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%d.t", i);
		world_ask(c.world, name, "A");
	}
	explain("www.t", "A");
	assert_true(json_is_null(at("endpoints.0.addresses.0.place")));
	expect_within("endpoints.0.addresses.0.why", "above max-qps (2) now");
	assert_true(world_upstream(c.world, "10.1.0.1")->asked <= before + 3);
}

/* ---- cache ---- */

static void the_cache_is_told_with_age_and_origin(void **state)
{
	(void)state;
	explain("www.corp.test", "A");
	assert_string_equal(text_at("cache.state"), "none");
	ask("www.corp.test");
	explain("www.corp.test", "A");
	assert_string_equal(text_at("cache.state"), "fresh");
	assert_string_equal(text_at("cache.rcode"), "NOERROR");
	assert_string_equal(text_at("cache.address"), "10.1.0.1:53");
	assert_string_equal(text_at("cache.az"), "a");
	assert_in_range(json_integer_value(at("cache.age_seconds")), 4, 6);
	assert_true(json_integer_value(at("cache.ttl_left_seconds")) > 0);
	expect_within("now", "answered from the cache");
	explain("www.corp.test", "AAAA");
	assert_string_equal(text_at("cache.state"), "none");
}

static void a_failure_is_told_by_its_rcode(void **state)
{
	static const char *const ips[] = {"10.1.0.1", "10.1.0.2", "10.2.0.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ips); i++) {
		world_set(c.world, ips[i], WORLD_RCODE);
		world_upstream(c.world, ips[i])->rcode = DNS_SERVFAIL;
	}
	world_ask(c.world, "broken.corp.test", "A");
	world_run_ms(c.world, 400);
	explain("broken.corp.test", "A");
	assert_string_equal(text_at("cache.state"), "failed");
	assert_string_equal(text_at("cache.rcode"), "SERVFAIL");
	assert_string_equal(text_at("cache.failure"), "all who were asked gave an error");
	expect_within("now", "SERVFAIL");
	world_set_all(c.world, WORLD_SILENT);
	world_ask(c.world, "silent.corp.test", "A");
	world_run_ms(c.world, 4100);
	explain("silent.corp.test", "A");
	assert_string_equal(text_at("cache.rcode"), "SERVFAIL");
	assert_string_equal(text_at("cache.failure"), "nobody answered");
}

/* It knows other answers than zones without a guard. */
static void what_an_enforced_zone_knows_is_told(void **state)
{
	(void)state;
	world_reload(c.world, "inbound-endpoints: {seoul: {addresses: [10.1.0.1]}}\n"
			      "zones: [{name: corp.test, to: seoul, expect: private, guard: enforce}]\nlocal-upstreams: [10.9.0.1]\n");
	ask("www.corp.test");
	explain("www.corp.test", "A");
	assert_string_equal(text_at("cache.state"), "fresh");
	expect_within("now", "answered from the cache");
}

static void stale_answers_of_an_outage_are_told(void **state)
{
	(void)state;
	ask("www.corp.test");
	world_set_all(c.world, WORLD_SILENT);
	world_run_ms(c.world, 400000);
	ask("x.corp.test");
	world_run_ms(c.world, 20000);
	explain("www.corp.test", "A");
	assert_string_equal(text_at("cache.state"), "stale");
	assert_true(json_integer_value(at("cache.stale_seconds")) > 0);
	expect_within("now", "answered with what is known");
	expect_within("now", "nobody can be asked");
	assert_true(json_is_null(at("if_first_dies")));
	explain("never.corp.test", "A");
	expect_within("now", "SERVFAIL, with an EDE that says what each address did");
}

/* ---- without a daemon ---- */

static void a_file_alone_tells_of_no_health(void **state)
{
	struct status_world w = look(&c);
	struct name n;

	(void)state;
	assert_int_equal(text_read_name(&n, "www.corp.test"), 0);
	w.qps = NULL;
	said = explain_make(&w, &(struct explain_question){.name = &n, .type = DNS_TYPE_A});
	assert_true(json_is_false(at("live")));
	assert_null(at("cache"));
	assert_null(at("now"));
	assert_true(json_is_null(at("endpoints.0.addresses.0.state")));
	expect_within("endpoints.0.addresses.0.why", "taken as healthy");
	expect_within("if_first_dies", "10.1.0.2:53 (b) would be asked as well");
}

static void it_asks_and_changes_nothing(void **state)
{
	(void)state;
	unsigned asked = world_upstream(c.world, "10.1.0.1")->asked;
	for (int i = 0; i < 100; i++)
		explain("www.corp.test", "A");
	assert_int_equal(world_upstream(c.world, "10.1.0.1")->asked, asked);
	assert_int_equal(json_integer_value(at("zone.queries")), 0);
}

static void what_is_no_question_is_an_error(void **state)
{
	(void)state;
	expect_error(&c, "{\"command\": \"explain\"}", "explain wants a name");
	expect_error(&c, "{\"command\": \"explain\", \"name\": \"a..b\"}", "`a..b` is no name");
	expect_error(&c, "{\"command\": \"explain\", \"name\": \"a\", \"type\": \"NOTHING\"}", "`NOTHING` is no type");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_longest_suffix_wins_and_the_others_say_why_not),
		TEST(an_exception_goes_where_it_says),
		TEST(a_name_that_only_looks_alike_is_told_so),
		TEST(what_nobody_routed_goes_to_the_local_upstreams),
		TEST(an_expanded_zone_names_its_entry),
		TEST(special_names_are_sent_nowhere),
		TEST(odd_types_are_told),
		TEST(many_exceptions_are_counted_not_listed),
		TEST(the_order_of_addresses_has_its_reasons),
		TEST(who_is_drained_has_no_place),
		TEST(a_sick_address_stands_behind_with_its_cause),
		TEST(the_second_endpoint_is_used_when_the_first_is_down),
		TEST(a_server_of_ones_own_that_is_down_is_asked_all_the_same_if_it_never_answered_probes),
		TEST(above_max_qps_is_passed_over),
		TEST(the_cache_is_told_with_age_and_origin),
		TEST(a_failure_is_told_by_its_rcode),
		TEST(what_an_enforced_zone_knows_is_told),
		TEST(stale_answers_of_an_outage_are_told),
		TEST(a_file_alone_tells_of_no_health),
		TEST(it_asks_and_changes_nothing),
		TEST(what_is_no_question_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
