/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wire/messages.h"
#include "server/association.h"
#include "wire/text.h"
#include "world.h"

#define SEOUL "inbound-endpoints: {seoul: {addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]%s}}\n"
#define REST "resolvers: {ad: {addresses: [10.0.9.1]}}\nlocal-upstreams: [192.168.0.2]\n"

static struct world *w;

static int end(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* `keys`: more of the endpoint's. */
static void start(const char *keys, const char *zones)
{
	char *text = NULL;

	assert_true(asprintf(&text, SEOUL REST "zones: [%s]\n", keys, zones) > 0);
	w = world_new(text);
	free(text);
	world_trace_off(w);
	world_associate(w);
}

static void start_many(const char *keys, unsigned zones)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (unsigned i = 0; i < zones; i++)
		fprintf(out, "%s{name: z%u.example, to: seoul}", i > 0 ? ", " : "", i);
	fclose(out);
	start(keys, text);
	free(text);
}

static unsigned checks(void)
{
	return world_upstream(w, "10.0.1.1")->checked + world_upstream(w, "10.0.2.1")->checked;
}

static void count_zones(unsigned of[3])
{
	const struct snapshot *s = world_snapshot(w);

	memset(of, 0, 3 * sizeof(of[0]));
	for (size_t i = 0; i < s->config->zone_count; i++)
		of[snapshot_zone_association(s, i)]++;
}

/* ---- when */

static void each_zone_is_looked_at_every_five_minutes(void **state)
{
	unsigned zones[3];

	(void)state;
	start_many("", 20);
	world_run_ms(w, 30000);
	count_zones(zones);
	assert_int_equal(zones[ASSOCIATION_PRIVATE], 20);
	unsigned first = checks(), last = first;
	assert_in_range(first, 15, 20); /* the first probes told of some */
	for (int i = 0; i < 12; i++) {
		world_run_ms(w, 300000);
		assert_in_range(checks() - last, 14, 20);
		last = checks();
	}
}

static void a_thousand_zones_are_no_burst(void **state)
{
	unsigned zones[3], most = 0;

	(void)state;
	start_many("", 1000);
	for (int s = 0; s < 302; s++) {
		unsigned before = checks();
		world_run_ms(w, 1000);
		most = MAX(most, checks() - before);
	}
	assert_in_range(most, 3, 4);
	count_zones(zones);
	assert_true(zones[ASSOCIATION_PRIVATE] >= 999);
}

static void more_zones_than_five_a_second_take_longer(void **state)
{
	(void)state;
	start_many("", 3000);
	world_run_ms(w, 10000);
	unsigned before = checks();
	world_run_ms(w, 300000);
	assert_in_range(checks() - before, 1450, 1501);
}

static void what_a_probe_has_told_is_not_asked_again(void **state)
{
	unsigned zones[3];

	(void)state;
	start("", "{name: corp.example, to: seoul}");
	world_run_ms(w, 200000);
	count_zones(zones);
	assert_int_equal(zones[ASSOCIATION_PRIVATE], 1);
	assert_int_equal(checks(), 0);
}

static void only_names_at_inbound_endpoints_are_checked(void **state)
{
	unsigned zones[3];

	(void)state;
	start("", "{name: a.example, to: ad}, {name: b.example, to: local}, {reverse: 10.20.0.0/16, to: seoul}, {name: ., to: seoul},\n"
		  "{name: c.example, to: seoul, association: off}, {name: d.example, to: [ad, seoul]}");
	world_run_ms(w, 10000);
	assert_int_equal(world_upstream(w, "10.0.9.1")->checked, 0);
	assert_int_equal(world_upstream(w, "192.168.0.2")->checked, 0);
	assert_true(checks() <= 1);
	count_zones(zones);
	assert_int_equal(zones[ASSOCIATION_PRIVATE], 1);
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 5), ASSOCIATION_PRIVATE);
}

static void checks_are_probes_and_take_rate_tokens(void **state)
{
	(void)state;
	start_many(", max-qps: 1", 600);
	world_run_ms(w, 60000);
	/* Two addresses: 120 tokens and the burst, of which the probes took some. */
	assert_in_range(checks(), 100, 126);
	uint64_t counted = upstream_counted(world_upstream_state(w, "10.0.1.1"), UPSTREAM_PROBES) +
			   upstream_counted(world_upstream_state(w, "10.0.2.1"), UPSTREAM_PROBES);
	assert_int_equal(counted, checks() + world_upstream(w, "10.0.1.1")->probed + world_upstream(w, "10.0.2.1")->probed);
}

static void an_endpoint_that_is_down_is_left_alone(void **state)
{
	unsigned zones[3];

	(void)state;
	start_many("", 500);
	world_run_ms(w, 1500);
	world_set_all(w, WORLD_SILENT);
	for (int i = 0; i < 10; i++) { /* somebody notices */
		world_ask(w, "www.z1.example", "A");
		world_run_ms(w, 1000);
	}
	assert_true(world_pool(w, "seoul")->down);
	unsigned before = checks();
	world_run_ms(w, 100000);
	assert_int_equal(checks(), before);
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 310000);
	count_zones(zones);
	assert_true(zones[ASSOCIATION_PRIVATE] >= 490);
}

static void silence_of_a_check_is_no_evidence_against_the_address(void **state)
{
	(void)state;
	start_many("", 400);
	world_upstream(w, "10.0.1.1")->lost_pm = 300;
	world_upstream(w, "10.0.2.1")->lost_pm = 300;
	for (int s = 0; s < 290; s++) {
		world_run_ms(w, 1000);
		assert_int_equal(health_state(&world_upstream_state(w, "10.0.1.1")->health), HEALTH_UP);
		assert_int_equal(health_state(&world_upstream_state(w, "10.0.2.1")->health), HEALTH_UP);
	}
	assert_true(upstream_counted(world_upstream_state(w, "10.0.1.1"), UPSTREAM_TIMEOUTS) > 10);
}

/* What was remembered of them has lapsed. */
static void servers_without_edns_are_asked_again_without(void **state)
{
	_Atomic uint64_t *until_us[2];
	unsigned zones[3];

	(void)state;
	start_many("", 100);
	world_set_all(w, WORLD_NO_EDNS);
	world_run_ms(w, 500);
	until_us[0] = &world_upstream_state(w, "10.0.1.1")->no_edns_until_us;
	until_us[1] = &world_upstream_state(w, "10.0.2.1")->no_edns_until_us;
	atomic_store(until_us[0], 0);
	atomic_store(until_us[1], 0);
	world_run_ms(w, 120000);
	count_zones(zones);
	assert_int_equal(zones[ASSOCIATION_PRIVATE], 100);
	assert_true(atomic_load(until_us[0]) > 0 && atomic_load(until_us[1]) > 0);
}

static void a_reload_keeps_what_is_known_and_checks_what_is_new(void **state)
{
	unsigned zones[3];
	char text[1024];

	(void)state;
	start("", "{name: a.example, to: seoul}, {name: b.example, to: seoul}");
	world_run_ms(w, 5000);
	unsigned before = checks();
	snprintf(text, sizeof(text),
		 SEOUL REST "zones: [{name: b.example, to: seoul}, {name: c.example, to: [ad, seoul]}, {name: a.example, to: seoul}]\n",
		 "");
	world_reload(w, text);
	count_zones(zones);
	assert_int_equal(zones[ASSOCIATION_PRIVATE], 2);
	world_run_ms(w, 5000);
	count_zones(zones);
	assert_int_equal(zones[ASSOCIATION_PRIVATE], 3);
	assert_int_equal(checks(), before + 1);
}

/* ---- what */

static unsigned news;
static bool news_detached;
static char news_server[TEXT_NAME_MAX];
static struct association *deaf; /* hears what it is told; never asks */
static struct transport_env deaf_env;

static uint64_t some_time(void *arg)
{
	(void)arg;
	return UINT64_C(1000) * US_PER_S;
}

static void judged(void *arg, const struct name *zone, const struct pool *pool, bool detached, const struct name *server)
{
	char name[TEXT_NAME_MAX];

	(void)arg;
	assert_string_equal(text_name(zone, name), "corp.example");
	assert_string_equal(pool->name, "seoul");
	news++;
	news_detached = detached;
	text_name(server, news_server);
}

static int set_up(void **state)
{
	(void)state;
	start("", "{name: corp.example, to: seoul}");
	news = 0;
	deaf = association_new(&(struct association_world){.env = &deaf_env, .now_us = some_time, .judged = judged}, world_snapshot(w), 0);
	return deaf == NULL;
}

static int tear_down(void **state)
{
	association_free(deaf);
	return end(state);
}

/* Hears of `name` what these sections hold, and returns what is known of corp.example then. */
static enum snapshot_association hear(const char *name, uint8_t rcode, const char *answer, const char *authority)
{
	static struct message m;
	struct name zone;

	assert_int_equal(text_read_name(&zone, name), 0);
	message_from_text(&m, name, DNS_TYPE_NS, answer, authority);
	m.octets[3] = (uint8_t)((m.octets[3] & 0xf0) | rcode);
	association_hear(deaf, world_pool(w, "seoul"), &zone, m.octets, m.len);
	return snapshot_zone_association(world_snapshot(w), 0);
}

static enum snapshot_association hear_servers(const char *first, const char *second)
{
	char text[256];

	snprintf(text, sizeof(text), "corp.example. 60 IN NS %s\ncorp.example. 60 IN NS %s", first, second);
	return hear("corp.example", DNS_NOERROR, text, NULL);
}

static void each_of_the_four_names_is_a_private_zone(void **state)
{
	static const char *const names[] = {"ns-0.awsdns-00.com.", "ns-512.awsdns-00.net.", "ns-1024.awsdns-00.org.",
					    "NS-1536.AwsDns-00.co.uk."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(hear_servers("ns.elsewhere.example.", "ns.elsewhere.example."), ASSOCIATION_DETACHED);
		assert_int_equal(hear_servers(names[i], names[i]), ASSOCIATION_PRIVATE);
		assert_int_equal(hear_servers("ns.elsewhere.example.", "ns.elsewhere.example."), ASSOCIATION_DETACHED);
		assert_int_equal(hear_servers("ns.elsewhere.example.", names[i]), ASSOCIATION_PRIVATE);
	}
}

static void servers_of_public_zones_tell_that_it_is_detached(void **state)
{
	(void)state;
	assert_int_equal(hear_servers("ns-0.awsdns-01.com.", "ns-512.awsdns-00.com."), ASSOCIATION_DETACHED);
	assert_int_equal(news, 1);
	assert_true(news_detached);
	assert_string_equal(news_server, "ns-0.awsdns-01.com");
}

static void an_soa_names_the_server_as_well(void **state)
{
	(void)state;
	assert_int_equal(hear("corp.example", DNS_NOERROR, NULL, "example. 60 IN SOA ns-1536.awsdns-00.co.uk. h. 1 2 3 4 5"),
			 ASSOCIATION_PRIVATE);
	/* The zone does not exist for the public. */
	assert_int_equal(hear("corp.example", DNS_NXDOMAIN, NULL, ". 60 IN SOA a.root-servers.net. h. 1 2 3 4 5"), ASSOCIATION_DETACHED);
	assert_string_equal(news_server, "a.root-servers.net");
}

static void news_are_told_when_they_change(void **state)
{
	(void)state;
	hear_servers("ns-0.awsdns-00.com.", "ns-512.awsdns-00.net.");
	assert_int_equal(news, 0); /* as it should be: nothing to tell */
	hear_servers("a.example.", "b.example.");
	hear_servers("b.example.", "a.example.");
	assert_int_equal(news, 1);
	hear_servers("ns-0.awsdns-00.com.", "ns-512.awsdns-00.net.");
	assert_int_equal(news, 2);
	assert_false(news_detached);
	assert_string_equal(news_server, "ns-0.awsdns-00.com");
}

static void an_answer_that_names_nobody_tells_nothing(void **state)
{
	(void)state;
	assert_int_equal(hear("corp.example", DNS_NOERROR, NULL, NULL), ASSOCIATION_UNKNOWN);
	assert_int_equal(hear("corp.example", DNS_NOERROR, "corp.example. 60 IN TXT \"ns.example\"", NULL), ASSOCIATION_UNKNOWN);
	hear_servers("a.example.", "b.example.");
	assert_int_equal(hear("corp.example", DNS_NOERROR, NULL, NULL), ASSOCIATION_DETACHED);
}

static void an_error_tells_nothing(void **state)
{
	(void)state;
	assert_int_equal(hear("corp.example", DNS_SERVFAIL, NULL, ". 60 IN SOA a.root-servers.net. h. 1 2 3 4 5"), ASSOCIATION_UNKNOWN);
	assert_int_equal(hear("corp.example", DNS_REFUSED, NULL, NULL), ASSOCIATION_UNKNOWN);
}

static void a_message_that_does_not_parse_tells_nothing(void **state)
{
	struct message m;
	struct name zone;

	(void)state;
	assert_int_equal(text_read_name(&zone, "corp.example"), 0);
	message_from_text(&m, "corp.example", DNS_TYPE_NS, "corp.example. 60 IN NS a.example.", NULL);
	for (size_t len = 0; len < m.len; len++)
		association_hear(deaf, world_pool(w, "seoul"), &zone, m.octets, len);
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_UNKNOWN);
}

static void what_is_no_apex_tells_nothing(void **state)
{
	struct message m;
	struct name zone;

	(void)state;
	assert_int_equal(hear("www.corp.example", DNS_NOERROR, "www.corp.example. 60 IN NS a.example.", NULL), ASSOCIATION_UNKNOWN);
	assert_int_equal(hear("example", DNS_NOERROR, "example. 60 IN NS a.example.", NULL), ASSOCIATION_UNKNOWN);
	/* Nor do others than its endpoint. */
	assert_int_equal(text_read_name(&zone, "corp.example"), 0);
	message_from_text(&m, "corp.example", DNS_TYPE_NS, "corp.example. 60 IN NS a.example.", NULL);
	association_hear(deaf, world_pool(w, "ad"), &zone, m.octets, m.len);
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_zone_is_looked_at_every_five_minutes, end),
		cmocka_unit_test_teardown(a_thousand_zones_are_no_burst, end),
		cmocka_unit_test_teardown(more_zones_than_five_a_second_take_longer, end),
		cmocka_unit_test_teardown(what_a_probe_has_told_is_not_asked_again, end),
		cmocka_unit_test_teardown(only_names_at_inbound_endpoints_are_checked, end),
		cmocka_unit_test_teardown(checks_are_probes_and_take_rate_tokens, end),
		cmocka_unit_test_teardown(an_endpoint_that_is_down_is_left_alone, end),
		cmocka_unit_test_teardown(silence_of_a_check_is_no_evidence_against_the_address, end),
		cmocka_unit_test_teardown(servers_without_edns_are_asked_again_without, end),
		cmocka_unit_test_teardown(a_reload_keeps_what_is_known_and_checks_what_is_new, end),
		cmocka_unit_test_setup_teardown(each_of_the_four_names_is_a_private_zone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(servers_of_public_zones_tell_that_it_is_detached, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_soa_names_the_server_as_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(news_are_told_when_they_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_that_names_nobody_tells_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_error_tells_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_message_that_does_not_parse_tells_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_apex_tells_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
