/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/allow.h"

enum { MOST = 16 };

/* Whether `client` may ask under the `count` networks. */
static bool may_ask(const char *const *networks, size_t count, const char *client)
{
	struct cidr read[MOST];
	struct addr a;
	struct allow allow;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(cidr_parse(&read[i], networks[i]), 0);
	assert_int_equal(addr_parse(&a, client, 53), 0);
	assert_int_equal(allow_init(&allow, read, count), 0);
	bool may = allow_contains(&allow, &a);
	allow_deinit(&allow);
	return may;
}

static bool one(const char *network, const char *client)
{
	return may_ask(&network, 1, client);
}

static void networks_end_where_their_prefix_says(void **state)
{
	static const struct {
		const char *network, *inside, *outside;
	} rows[] = {
		{"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
		{"10.0.0.0/8", "10.0.0.0", "9.255.255.255"},
		{"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
		{"100.64.0.0/10", "100.127.255.255", "100.128.0.0"},
		{"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
		{"192.0.2.7", "192.0.2.7", "192.0.2.6"},
		{"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
		{"128.0.0.0/1", "255.255.255.255", "127.255.255.255"},
		{"::1/128", "::1", "::2"},
		{"fc00::/7", "fdff::1", "fe00::"},
		{"fe80::/10", "febf::1", "fec0::"},
		{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
		{"2001:db8:0:1::/64", "2001:db8:0:1:ffff::", "2001:db8:0:2::"},
		{"2001:db8::8000:0:0:0/65", "2001:db8::ffff:0:0:1", "2001:db8::7fff:0:0:1"},
		{"2001:db8::80/121", "2001:db8::ff", "2001:db8::7f"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(one(rows[i].network, rows[i].inside));
		assert_false(one(rows[i].network, rows[i].outside));
	}
}

static void network_of_everything_is_of_its_own_family(void **state)
{
	(void)state;
	assert_true(one("0.0.0.0/0", "203.0.113.9"));
	assert_false(one("0.0.0.0/0", "2001:db8::1"));
	assert_true(one("::/0", "2001:db8::1"));
	assert_false(one("::/0", "203.0.113.9"));
}

static void any_of_several_networks_suffices(void **state)
{
	static const char *const networks[] = {"127.0.0.0/8", "::1/128", "10.0.0.0/8", "fe80::/10", "192.168.0.0/16"};

	(void)state;
	assert_true(may_ask(networks, ARRAY_SIZE(networks), "127.8.8.8"));
	assert_true(may_ask(networks, ARRAY_SIZE(networks), "192.168.255.1"));
	assert_true(may_ask(networks, ARRAY_SIZE(networks), "fe80::1234"));
	assert_false(may_ask(networks, ARRAY_SIZE(networks), "8.8.8.8"));
	assert_false(may_ask(networks, ARRAY_SIZE(networks), "2600::1"));
}

static void nobody_may_ask_under_an_empty_list(void **state)
{
	(void)state;
	assert_false(may_ask(NULL, 0, "127.0.0.1"));
	assert_false(may_ask(NULL, 0, "0.0.0.0"));
	assert_false(may_ask(NULL, 0, "::"));
}

static void neither_port_nor_scope_matters(void **state)
{
	(void)state;
	assert_true(one("10.0.0.0/8", "10.1.2.3:65535"));
	assert_true(one("fe80::/10", "[fe80::1%7]:1"));
}

/* cidr_contains is the plain way; the compiled one must agree with it on any network and client. */
static void compiled_list_agrees_with_each_network_asked_alone(void **state)
{
	struct cidr networks[MOST];
	struct allow allow;

	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		struct addr client = {.sa.sa_family = rand() % 2 ? AF_INET : AF_INET6};
		uint8_t *ip = client.sa.sa_family == AF_INET ? (uint8_t *)&client.in.sin_addr : (uint8_t *)&client.in6.sin6_addr;
		for (int i = 0; i < (client.sa.sa_family == AF_INET ? 4 : 16); i++)
			ip[i] = (uint8_t)rand();
		size_t count = (size_t)rand() % (MOST + 1);
		bool expected = false;
		for (size_t i = 0; i < count; i++) {
			struct cidr *c = &networks[i];
			memset(c, 0, sizeof(*c));
			c->family = rand() % 2 ? AF_INET : AF_INET6;
			c->bits = (uint8_t)(rand() % (c->family == AF_INET ? 33 : 129));
			/* Often the client's own prefix, or all but its last bit: chance alone would seldom hit. */
			for (int bit = 0; bit < c->bits && rand() % 8; bit++)
				if (c->family == client.sa.sa_family)
					c->bytes[bit / 8] |= (uint8_t)(ip[bit / 8] & 0x80 >> bit % 8);
			expected = expected || cidr_contains(c, &client);
		}
		assert_int_equal(allow_init(&allow, networks, count), 0);
		assert_int_equal(allow_contains(&allow, &client), expected);
		allow_deinit(&allow);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_end_where_their_prefix_says),
		cmocka_unit_test(network_of_everything_is_of_its_own_family),
		cmocka_unit_test(any_of_several_networks_suffices),
		cmocka_unit_test(nobody_may_ask_under_an_empty_list),
		cmocka_unit_test(neither_port_nor_scope_matters),
		cmocka_unit_test(compiled_list_agrees_with_each_network_asked_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
