/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/addr.h"

static struct addr read_addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text, 53), 0);
	return a;
}

static void addresses_are_read_in_every_form_and_written_in_one(void **state)
{
	static const char *const rows[][2] = {
		{"10.0.0.1", "10.0.0.1:53"},
		{"10.0.0.1:5353", "10.0.0.1:5353"},
		{"255.255.255.255:65535", "255.255.255.255:65535"},
		{"::1", "[::1]:53"},
		{"[::1]", "[::1]:53"},
		{"[::1]:1", "[::1]:1"},
		{"2001:DB8:0:0::1", "[2001:db8::1]:53"},
		{"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:53"},
		{"fe80::1%lo", "[fe80::1%lo]:53"},
		{"[fe80::1%lo]:54", "[fe80::1%lo]:54"},
	};
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a = read_addr(rows[i][0]);
		assert_string_equal(addr_format(&a, text), rows[i][1]);
		struct addr again = read_addr(text);
		assert_true(addr_equal(&a, &again));
	}
}

static void what_is_no_address_is_refused_and_changes_nothing(void **state)
{
	static const char *const rows[] = {
		"",
		":",
		"::1:",
		"1",
		"10.0.0",
		"10.0.0.256",
		"010.0.0.1",
		"10.0.0.1 ",
		" 10.0.0.1",
		"10.0.0.1:",
		"10.0.0.1:0",
		"10.0.0.1:65536",
		"10.0.0.1:+53",
		"10.0.0.1:5 3",
		"10.0.0.1:0x35",
		"10.0.0.1:99999999999",
		"10.0.0.1:53:53",
		"10.0.0.1%lo",
		"[10.0.0.1]:53",
		"[::1",
		"::1]",
		"[]",
		"[]:53",
		"[::1]53",
		"[::1]:",
		"[::1]:0",
		"[[::1]]",
		"1::2::3",
		"::1%",
		"::1%0",
		"nonsense::1%no-such-link",
		"example.com",
		"localhost:53",
		"*:53",
		"111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct addr a = read_addr("10.1.2.3:4"), before = a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(addr_parse(&a, rows[i], 53), -EINVAL);
		assert_memory_equal(&a, &before, sizeof(a));
	}
	/* It is one; whether there is the interface is another question. */
	assert_int_equal(addr_parse(&a, "fe80::1%no-such-link", 53), -ENODEV);
	assert_int_equal(addr_parse(&a, "[fe80::1%99999999999]:53", 53), -ENODEV);
	assert_memory_equal(&a, &before, sizeof(a));
}

static void scope_id_may_be_a_number_of_no_link(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct addr a = read_addr("[fe80::1%4000000000]:53");

	(void)state;
	assert_int_equal(a.in6.sin6_scope_id, 4000000000u);
	assert_string_equal(addr_format(&a, text), "[fe80::1%4000000000]:53");
	assert_string_equal(addr_format_ip(&a, text), "fe80::1%4000000000");
	a = read_addr("fe80::1%lo");
	assert_int_equal(a.in6.sin6_scope_id, if_nametoindex("lo"));
}

static void longest_text_fits(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct addr a = read_addr("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535");

	(void)state;
	assert_string_equal(addr_format(&a, text), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

static void empty_address_is_written_as_a_dash(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct addr none = {.sa = {.sa_family = AF_UNSPEC}}, other = none;

	(void)state;
	assert_string_equal(addr_format(&none, text), "-");
	assert_string_equal(addr_format_ip(&none, text), "-");
	assert_int_equal(addr_port(&none), 0);
	addr_set_port(&none, 53);
	assert_int_equal(addr_port(&none), 0);
	assert_true(addr_equal(&none, &other));
	assert_false(addr_is_any(&none));
	assert_false(addr_is_loopback(&none));
}

static void port_is_read_and_set_in_both_families(void **state)
{
	struct addr four = read_addr("10.0.0.1:1"), six = read_addr("[::1]:1");

	(void)state;
	addr_set_port(&four, 258);
	addr_set_port(&six, 259);
	assert_int_equal(addr_port(&four), 258);
	assert_int_equal(addr_port(&six), 259);
	assert_int_equal(four.in.sin_port, htons(258));
	assert_int_equal(addr_len(&four), sizeof(struct sockaddr_in));
	assert_int_equal(addr_len(&six), sizeof(struct sockaddr_in6));
}

static void equality_looks_at_family_ip_scope_and_port(void **state)
{
	struct addr a = read_addr("10.0.0.1:1"), b = read_addr("10.0.0.1:2"), c = read_addr("10.0.0.2:1");
	struct addr d = read_addr("[fe80::1%1]:1"), e = read_addr("[fe80::1%2]:1"), f = read_addr("::ffff:10.0.0.1");

	(void)state;
	assert_true(addr_equal_ip(&a, &b));
	assert_false(addr_equal(&a, &b));
	assert_false(addr_equal_ip(&a, &c));
	assert_false(addr_equal_ip(&d, &e));
	assert_false(addr_equal_ip(&a, &f));
	/* What the kernel puts into padding and flow label does not count. */
	memset(b.in.sin_zero, 0xff, sizeof(b.in.sin_zero));
	addr_set_port(&b, 1);
	assert_true(addr_equal(&a, &b));
	e = d;
	e.in6.sin6_flowinfo = 7;
	assert_true(addr_equal(&d, &e));
}

static void any_and_loopback_are_known(void **state)
{
	static const struct {
		const char *text;
		bool any, loopback;
	} rows[] = {
		{"0.0.0.0", true, false},    {"::", true, false},
		{"127.0.0.1", false, true},  {"127.255.255.254", false, true},
		{"::1", false, true},        {"::2", false, false},
		{"128.0.0.1", false, false}, {"126.255.255.255", false, false},
		{"0.0.0.1", false, false},   {"1::", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a = read_addr(rows[i].text);
		assert_int_equal(addr_is_any(&a), rows[i].any);
		assert_int_equal(addr_is_loopback(&a), rows[i].loopback);
	}
}

static void networks_are_read_and_written(void **state)
{
	static const char *const rows[][2] = {
		{"10.0.0.0/8", "10.0.0.0/8"}, {"10.1.2.3", "10.1.2.3/32"},
		{"0.0.0.0/0", "0.0.0.0/0"},   {"::/0", "::/0"},
		{"::1", "::1/128"},           {"fc00::/7", "fc00::/7"},
		{"fe80::/10", "fe80::/10"},   {"100.64.0.0/10", "100.64.0.0/10"},
	};
	char text[CIDR_TEXT_MAX];
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(cidr_parse(&c, rows[i][0]), 0);
		assert_string_equal(cidr_format(&c, text), rows[i][1]);
	}
}

static void host_bits_are_refused_with_the_network_that_was_meant(void **state)
{
	static const char *const rows[][2] = {
		{"10.20.0.1/14", "10.20.0.0/14"}, {"10.23.255.255/14", "10.20.0.0/14"},
		{"1.2.3.4/0", "0.0.0.0/0"},       {"2001:db8::1/33", "2001:db8::/33"},
		{"ffff::/7", "fe00::/7"},
	};
	char text[CIDR_TEXT_MAX];
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(cidr_parse(&c, rows[i][0]), -EDOM);
		assert_string_equal(cidr_format(&c, text), rows[i][1]);
	}
}

static void what_is_no_network_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"::/129",
		"10.0.0.0/8/8",
		"10/8",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/ 8",
		"10.0.0.0/99999999999",
		"10.0.0.1:53",
		"fe80::1%lo/64",
		"[::1]/128",
		"any",
		"10.0.0.0/8                                                                            ",
	};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cidr_parse(&c, rows[i]), -EINVAL);
}

static void network_contains_its_addresses_only(void **state)
{
	static const struct {
		const char *network, *address;
		bool inside;
	} rows[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"0.0.0.0/0", "8.8.8.8", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "10.0.0.1", false},
		{"::/0", "2001:db8::1", true},
		{"100.64.0.0/10", "100.127.255.255", true},
		{"100.64.0.0/10", "100.128.0.0", false},
		{"100.64.0.0/10", "100.63.0.0", false},
		{"fc00::/7", "fdff::1", true},
		{"fc00::/7", "fe00::1", false},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.2", false},
		{"::1/128", "::1", true},
		{"2001:db8::/127", "2001:db8::1", true},
		{"2001:db8::/127", "2001:db8::2", false},
	};
	struct cidr c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a = read_addr(rows[i].address);
		assert_int_equal(cidr_parse(&c, rows[i].network), 0);
		assert_int_equal(cidr_contains(&c, &a), rows[i].inside);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_in_every_form_and_written_in_one),
		cmocka_unit_test(what_is_no_address_is_refused_and_changes_nothing),
		cmocka_unit_test(scope_id_may_be_a_number_of_no_link),
		cmocka_unit_test(longest_text_fits),
		cmocka_unit_test(empty_address_is_written_as_a_dash),
		cmocka_unit_test(port_is_read_and_set_in_both_families),
		cmocka_unit_test(equality_looks_at_family_ip_scope_and_port),
		cmocka_unit_test(any_and_loopback_are_known),
		cmocka_unit_test(networks_are_read_and_written),
		cmocka_unit_test(host_bits_are_refused_with_the_network_that_was_meant),
		cmocka_unit_test(what_is_no_network_is_refused),
		cmocka_unit_test(network_contains_its_addresses_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
