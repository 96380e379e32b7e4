/* SPDX-License-Identifier: Apache-2.0 */
#include "config/endpoints.h"

#include "base/strbuf.h"
#include "load.h"

#define ZONES "zones: [{name: x, to: [e]}]\n"

/* Problems of one inbound endpoint with these keys; their place is line 2 from column 25 on. */
static void expect_endpoint(const char *keys, const char *expected)
{
	char *text = NULL;

	assert_true(asprintf(&text, ZONES "inbound-endpoints: {e: {%s}}\n", keys) > 0);
	expect_problems(text, expected);
	free(text);
}

static void addresses_have_a_short_and_a_long_form(void **state)
{
	struct config *c = load_good(ZONES "inbound-endpoints:\n"
					   "  e:\n"
					   "    port: 5300\n"
					   "    addresses: [192.0.2.1, \"192.0.2.2:54\", \"2001:db8::1\", \"[2001:db8::2]:55\",\n"
					   "                {ip: 192.0.2.3, az: a1}, {ip: 192.0.2.4, port: 56, az: a2}]\n");
	static const char *const expected[] = {"192.0.2.1:5300",   "192.0.2.2:54",   "[2001:db8::1]:5300",
					       "[2001:db8::2]:55", "192.0.2.3:5300", "192.0.2.4:56"};
	const struct config_endpoint *e = &c->endpoints[1];
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(c->endpoint_count, 2);
	assert_string_equal(e->name, "e");
	assert_int_equal(e->kind, ENDPOINT_INBOUND);
	assert_int_equal(e->line, 3);
	assert_int_equal(e->count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < e->count; i++)
		assert_string_equal(addr_format(&e->addresses[i].addr, text), expected[i]);
	assert_null(e->addresses[0].az);
	assert_string_equal(e->addresses[4].az, "a1");
	assert_string_equal(e->addresses[5].az, "a2");
	config_free(c);
}

static void an_endpoint_has_one_to_twenty_addresses(void **state)
{
	char keys[512];
	struct strbuf s;

	(void)state;
	expect_endpoint("addresses: []", "z:2:36: `addresses` must not be empty\n");
	expect_endpoint("port: 53", "z:2:21: the endpoint `e` has no `addresses`\n");
	strbuf_init(&s, keys, sizeof(keys));
	strbuf_add(&s, "addresses: [");
	for (unsigned i = 1; i <= 21; i++) {
		strbuf_addf(&s, "192.0.2.%u, ", i);
	}
	strbuf_add(&s, "]");
	expect_endpoint(keys, "z:2:36: `addresses` has 21 members; 20 is the most\n");
}

static void unusual_sizes_are_warned_of(void **state)
{
	(void)state;
	expect_endpoint("addresses: [192.0.2.1]",
			"z:2:36: warning: one address only: an inbound endpoint has at least two, name them all\n");
	expect_endpoint("addresses: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6]", "");
	expect_endpoint("addresses: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, 192.0.2.7]",
			"z:2:36: warning: 7 addresses: an inbound endpoint has 6 at most unless AWS raised the quota\n");
}

static void one_az_for_all_is_warned_of(void **state)
{
	(void)state;
	expect_endpoint("addresses: [{ip: 192.0.2.1, az: a}, {ip: 192.0.2.2, az: a}]",
			"z:2:36: warning: all addresses are in the AZ `a`: when it fails, the whole endpoint does\n");
	expect_endpoint("addresses: [{ip: 192.0.2.1, az: a}, {ip: 192.0.2.2, az: b}]", "");
	expect_endpoint("addresses: [{ip: 192.0.2.1, az: a}, 192.0.2.2]", "");
	expect_endpoint("addresses: [192.0.2.1, 192.0.2.2]", "");
}

static void resolvers_are_not_judged_by_awss_habits(void **state)
{
	struct config *c = load_good(ZONES "resolvers: {e: {addresses: [{ip: 192.0.2.1, az: a}]}}\n");

	(void)state;
	assert_int_equal(c->endpoints[1].kind, ENDPOINT_RESOLVERS);
	config_free(c);
}

static void what_is_no_address_is_refused(void **state)
{
	static const char expected[] = "must be an address (IP, IP:PORT, [IP6]:PORT or {ip, port, az}), not";
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "z:2:37: %s `dns.example`\nz:2:50: %s `192.0.2.1:0`\nz:2:63: %s nothing\nz:2:66: %s a list\n",
		 expected, expected, expected, expected);
	expect_endpoint("addresses: [dns.example, 192.0.2.1:0, ~, [a]]", text);
}

static void interface_that_is_not_there_is_said(void **state)
{
	(void)state;
	expect_endpoint("addresses: [\"fe80::1%no-such-link\", {ip: \"fe80::2%no-such-link\"}]",
			"z:2:37: `fe80::1%no-such-link`: this host has no such interface (now)\n"
			"z:2:66: `fe80::2%no-such-link`: this host has no such interface (now)\n");
}

static void wrong_long_forms_are_refused(void **state)
{
	(void)state;
	expect_endpoint("addresses: [{az: a}, {ip: x}, {ip: [a]}]", "z:2:37: this address has no `ip`\n"
								    "z:2:51: must be an IP address, not `x`\n"
								    "z:2:60: `ip` must be an address, not a list\n");
	expect_endpoint("addresses: [{ip: 192.0.2.1, port: 0}, {ip: 192.0.2.2, port: [1]}]",
			"z:2:59: `port` must be a number from 1 to 65535, not `0`\n"
			"z:2:85: `port` must be a number from 1 to 65535, not a list\n");
	expect_endpoint("addresses: [{ip: \"192.0.2.1:53\", port: 54}, 192.0.2.2]",
			"z:2:42: `192.0.2.1:53` has a port of its own, and `port` says another\n");
	expect_endpoint("addresses: [{ip: 192.0.2.1, az: ''}, {ip: 192.0.2.2, az: {a: b}}, {ip: 192.0.2.3, az: a b}]",
			"z:2:57: `az` must be the name of an AZ, not ``\n"
			"z:2:82: `az` must be the name of an AZ, not a map\n"
			"z:2:111: `az` must be the name of an AZ, not `a b`\n");
}

static void addresses_that_no_server_has_are_refused(void **state)
{
	(void)state;
	expect_endpoint("addresses: [0.0.0.0, 224.0.0.1, \"255.255.255.255:53\", \"::\", \"ff02::1\", \"fe80::1\", \"::ffff:10.0.0.1\"]",
			"z:2:37: `0.0.0.0` is no address of a server\n"
			"z:2:46: `224.0.0.1` is a multicast or reserved address\n"
			"z:2:57: `255.255.255.255` is a multicast or reserved address\n"
			"z:2:79: `::` is no address of a server\n"
			"z:2:85: `ff02::1` is a multicast address\n"
			"z:2:96: `fe80::1` is link-local: name its interface, as in fe80::1%eth0\n"
			"z:2:107: `::ffff:10.0.0.1` is an IPv4 address in IPv6's clothes: write it as IPv4\n");
	expect_endpoint("addresses: [\"fe80::1%lo\", 192.0.2.1]", "");
}

static void an_address_given_twice_is_refused(void **state)
{
	(void)state;
	expect_endpoint("addresses: [192.0.2.1, {ip: 192.0.2.1}, \"192.0.2.1:53\", \"192.0.2.1:54\"]",
			"z:2:48: the address `192.0.2.1:53` is given twice in this endpoint\n"
			"z:2:65: the address `192.0.2.1:53` is given twice in this endpoint\n");
}

static void an_address_that_we_listen_at_is_a_loop(void **state)
{
	(void)state;
	expect_endpoint("addresses: [127.0.0.1, \"[::1]:53\", \"127.0.0.1:54\", 127.0.0.2]",
			"z:2:37: `127.0.0.1:53` is where we listen ourselves: queries would go round in a loop\n"
			"z:2:48: `[::1]:53` is where we listen ourselves: queries would go round in a loop\n");
	expect_problems("local-upstreams: [10.1.1.1, 127.0.0.9]\nzones: []\nlisten: [10.1.1.1, \"0.0.0.0:53\"]\n",
			"z:1:19: `10.1.1.1:53` is where we listen ourselves: queries would go round in a loop\n"
			"z:1:29: `127.0.0.9:53` is where we listen ourselves: queries would go round in a loop\n");
}

static void the_preferred_az_must_have_an_address(void **state)
{
	(void)state;
	expect_endpoint("addresses: [{ip: 192.0.2.1, az: az1}, {ip: 192.0.2.2, az: az2}], prefer-az: az2", "");
	expect_endpoint("addresses: [{ip: 192.0.2.1, az: apne2-az1}, {ip: 192.0.2.2, az: apne2-az2}], prefer-az: apne2az2",
			"z:2:113: no address of this endpoint is in the AZ `apne2az2` (did you mean `apne2-az2`?)\n");
	expect_endpoint("addresses: [192.0.2.1, 192.0.2.2], prefer-az: a", "z:2:71: no address of this endpoint is in the AZ `a`\n");
}

static void names_share_one_space(void **state)
{
	(void)state;
	expect_problems("zones: []\n"
			"inbound-endpoints:\n"
			"  a: {addresses: [192.0.2.1, 192.0.2.2]}\n"
			"  local: {addresses: [192.0.2.1, 192.0.2.2]}\n"
			"resolvers:\n"
			"  a: {addresses: [192.0.2.3]}\n",
			"z:4:3: `local` is the name of the local upstreams: call this one otherwise\n"
			"z:6:3: `a` is given twice; the first is in line 3\n");
}

static void names_are_plain_words(void **state)
{
	(void)state;
	expect_problems("zones: []\nresolvers:\n  \"a b\": {addresses: [192.0.2.1]}\n  '': {addresses: [192.0.2.1]}\n",
			"z:3:3: `a b` is no name for an endpoint: 1 to 64 letters, digits, `-`, `_`, `.`\n"
			"z:4:3: `` is no name for an endpoint: 1 to 64 letters, digits, `-`, `_`, `.`\n");
	config_free(load_good("zones: [{name: x, to: \354\204\234\354\232\270_1.a-b}]\n"
			      "resolvers: {\354\204\234\354\232\270_1.a-b: {addresses: [192.0.2.1]}}\n"));
}

static void an_endpoint_must_be_a_map(void **state)
{
	(void)state;
	expect_problems("zones: []\nresolvers: {a: [192.0.2.1], b: }\n", "z:2:16: `a` must be a map of keys, not a list\n"
									 "z:2:32: `b` must be a map of keys, not nothing\n");
	expect_problems("zones: [{name: x, to: e}]\ninbound-endpoints: [e]\nresolvers: x\n",
			"z:2:20: `inbound-endpoints` must be a map of names, not a list\n"
			"z:3:12: `resolvers` must be a map of names, not `x`\n");
}

static void an_endpoint_that_no_zone_uses_is_warned_of(void **state)
{
	(void)state;
	expect_problems("zones: [{name: x, to: [a, c]}]\n"
			"inbound-endpoints: {a: {addresses: [192.0.2.1, 192.0.2.2]}, b: {addresses: [192.0.2.1, 192.0.2.2]}}\n"
			"resolvers: {c: {addresses: [192.0.2.3]}, d: {addresses: [192.0.2.4]}}\n",
			"z:2:61: warning: no zone goes to `b`\n"
			"z:3:42: warning: no zone goes to `d`\n");
}

static void local_upstreams_come_from_the_file_or_from_resolv_conf(void **state)
{
	struct config *c = load_good("zones: []\n");

	(void)state;
	assert_true(c->local_from_resolv);
	assert_string_equal(c->endpoints[0].name, "local");
	assert_int_equal(c->endpoints[0].kind, ENDPOINT_LOCAL);
	assert_int_equal(c->endpoints[0].count, 0);
	assert_int_equal(c->endpoints[0].options.source_ports, 4096);
	config_free(c);
	c = load_good("zones: []\nlocal-upstreams: [192.168.0.2, {ip: 192.168.0.3, port: 54}]\n");
	assert_false(c->local_from_resolv);
	assert_int_equal(c->endpoints[0].count, 2);
	assert_int_equal(c->endpoints[0].line, 2);
	assert_int_equal(addr_port(&c->endpoints[0].addresses[1].addr), 54);
	config_free(c);
	expect_problems("zones: []\nlocal-upstreams: []\n", "z:2:18: `local-upstreams` must not be empty\n");
	expect_problems("zones: []\nlocal-upstreams: [192.0.2.1, 192.0.2.1]\n",
			"z:2:30: the address `192.0.2.1:53` is given twice in this endpoint\n");
}

static void options_are_per_endpoint(void **state)
{
	struct config *c =
		load_good("zones: [{name: x, to: [a, b]}]\n"
			  "resolvers:\n"
			  "  a: {addresses: [192.0.2.1], policy: ordered, transport: tcp, hedge: off, max-qps: 5, probe: {fall: 9}}\n"
			  "  b: {addresses: [192.0.2.2]}\n");
	const struct config_endpoint *a = &c->endpoints[1], *b = &c->endpoints[2];

	(void)state;
	assert_int_equal(a->options.policy, POLICY_ORDERED);
	assert_int_equal(a->options.transport, TRANSPORT_TCP);
	assert_int_equal(a->options.hedge_us, 0);
	assert_int_equal(a->options.max_qps, 5);
	assert_int_equal(a->probe.fall, 9);
	assert_int_equal(a->probe.interval_us, 2000000);
	assert_int_equal(b->options.policy, POLICY_SPREAD);
	assert_int_equal(b->options.transport, TRANSPORT_UDP);
	assert_int_equal(b->options.hedge_us, CONFIG_HEDGE_AUTO);
	assert_int_equal(b->options.max_qps, 10000);
	assert_int_equal(b->options.source_ports, 512);
	assert_true(b->options.case_randomization);
	assert_int_equal(b->options.hedge_budget_pm, 100);
	assert_null(b->options.prefer_az);
	assert_int_equal(b->probe.fall, 3);
	assert_int_equal(endpoints_find(c, "b"), 2);
	assert_int_equal(endpoints_find(c, "local"), 0);
	assert_int_equal(endpoints_find(c, "c"), -1);
	config_free(c);
}

static void the_number_of_endpoints_is_bounded(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("zones: []\nresolvers:\n", out);
	for (unsigned i = 0; i < ENDPOINTS_MAX; i++)
		fprintf(out, "  e%u: {addresses: [192.0.2.1]}\n", i);
	fclose(out);
	expect_problems(text, "z:3:3: more than 1000 endpoints\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_a_short_and_a_long_form),
		cmocka_unit_test(an_endpoint_has_one_to_twenty_addresses),
		cmocka_unit_test(unusual_sizes_are_warned_of),
		cmocka_unit_test(one_az_for_all_is_warned_of),
		cmocka_unit_test(resolvers_are_not_judged_by_awss_habits),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(interface_that_is_not_there_is_said),
		cmocka_unit_test(wrong_long_forms_are_refused),
		cmocka_unit_test(addresses_that_no_server_has_are_refused),
		cmocka_unit_test(an_address_given_twice_is_refused),
		cmocka_unit_test(an_address_that_we_listen_at_is_a_loop),
		cmocka_unit_test(the_preferred_az_must_have_an_address),
		cmocka_unit_test(names_share_one_space),
		cmocka_unit_test(names_are_plain_words),
		cmocka_unit_test(an_endpoint_must_be_a_map),
		cmocka_unit_test(an_endpoint_that_no_zone_uses_is_warned_of),
		cmocka_unit_test(local_upstreams_come_from_the_file_or_from_resolv_conf),
		cmocka_unit_test(options_are_per_endpoint),
		cmocka_unit_test(the_number_of_endpoints_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
