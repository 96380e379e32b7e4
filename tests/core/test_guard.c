/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../wire/messages.h"
#include "core/guard.h"

enum { MOST_NETWORKS = 4 };

static const struct guard_expect private = {.is_private = true};
static struct cidr networks[MOST_NETWORKS];

/* What a zone expects that names these networks, up to a NULL. */
static struct guard_expect expect_networks(const char *const *texts)
{
	size_t count = 0;

	for (; texts[count] != NULL; count++)
		assert_int_equal(cidr_parse(&networks[count], texts[count]), 0);
	return (struct guard_expect){.networks = networks, .count = count};
}

static bool judge(const struct guard_expect *e, const char *records, struct addr *seen)
{
	static struct answer a;
	static struct message m;

	message_from_text(&m, "www.corp.example", DNS_TYPE_A, records, NULL);
	assert_int_equal(answer_read(&a, m.octets, m.len), ANSWER_OK);
	return guard_accepts(e, &a, seen);
}

static void accepted(const struct guard_expect *e, const char *ip)
{
	char record[128];
	struct addr seen;

	snprintf(record, sizeof(record), "www.corp.example. 60 IN %s %s", strchr(ip, ':') ? "AAAA" : "A", ip);
	if (!judge(e, record, &seen))
		fail_msg("%s was not accepted", ip);
}

static void broken_by(const struct guard_expect *e, const char *ip)
{
	char record[128], text[ADDR_TEXT_MAX];
	struct addr seen;

	snprintf(record, sizeof(record), "www.corp.example. 60 IN %s %s", strchr(ip, ':') ? "AAAA" : "A", ip);
	if (judge(e, record, &seen))
		fail_msg("%s was accepted", ip);
	assert_string_equal(addr_format_ip(&seen, text), ip);
	assert_int_equal(addr_port(&seen), 0);
}

static void private_ipv4_is_rfc_1918_and_the_shared_range(void **state)
{
	static const char *const inside[] = {"10.0.0.0",    "10.255.255.255",  "172.16.0.0", "172.31.255.255",
					     "192.168.0.0", "192.168.255.255", "100.64.0.0", "100.127.255.255"};
	static const char *const outside[] = {"9.255.255.255",	 "11.0.0.0",	   "172.15.255.255", "172.32.0.0", "192.167.255.255",
					      "192.169.0.0",	 "100.63.255.255", "100.128.0.0",    "52.94.5.6",  "127.0.0.1",
					      "169.254.169.254", "0.0.0.0",	   "255.255.255.255"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		accepted(&private, inside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		broken_by(&private, outside[i]);
}

static void private_ipv6_is_unique_local_or_a_private_ipv4_behind_nat64(void **state)
{
	static const char *const inside[] = {"fc00::", "fd00:ec2::253", "fdff:ffff::1", "64:ff9b::a00:1", "64:ff9b::6440:1"};
	static const char *const outside[] = {"fbff::1", "fe00::1",	   "fe80::1",	       "2600:1f18::1",	 "::1",
					      "::",	 "64:ff9b::5:606", "64:ff9b:1::a00:1", "::ffff:10.0.0.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		accepted(&private, inside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		broken_by(&private, outside[i]);
}

static void a_list_is_taken_at_its_word(void **state)
{
	struct guard_expect e = expect_networks((const char *const[]){"10.20.0.0/14", "198.51.100.7/32", NULL});

	(void)state;
	accepted(&e, "10.20.0.1");
	accepted(&e, "10.23.255.255");
	accepted(&e, "198.51.100.7");
	broken_by(&e, "10.24.0.0");
	broken_by(&e, "192.168.0.1");
}

static void a_list_without_ipv6_says_nothing_of_ipv6(void **state)
{
	struct guard_expect e = expect_networks((const char *const[]){"10.20.0.0/14", NULL});

	(void)state;
	accepted(&e, "2600:1f18::1");
	accepted(&e, "fd00::1");
}

static void a_list_with_ipv6_holds_for_it(void **state)
{
	struct guard_expect e = expect_networks((const char *const[]){"10.20.0.0/14", "2001:db8:1::/48", NULL});

	(void)state;
	accepted(&e, "2001:db8:1:2::3");
	broken_by(&e, "2001:db8:2::1");
	broken_by(&e, "fd00::1");
	accepted(&e, "10.20.0.1");
}

static void a_list_of_ipv6_alone_leaves_no_ipv4(void **state)
{
	struct guard_expect e = expect_networks((const char *const[]){"fd00::/8", NULL});

	(void)state;
	accepted(&e, "fd00::1");
	broken_by(&e, "10.0.0.1");
}

static void the_first_of_several_addresses_that_breaks_it_is_told(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct addr seen;

	(void)state;
	assert_false(judge(&private,
			   "www.corp.example. 60 IN CNAME lb.corp.example.\nlb.corp.example. 60 IN A 10.0.0.1\n"
			   "lb.corp.example. 60 IN A 203.0.113.5\nlb.corp.example. 60 IN A 203.0.113.6",
			   &seen));
	assert_string_equal(addr_format_ip(&seen, text), "203.0.113.5");
}

static void an_answer_without_addresses_passes(void **state)
{
	struct addr seen;

	(void)state;
	assert_true(judge(&private, "www.corp.example. 60 IN CNAME www.example.com.", &seen));
	assert_true(judge(&private, "www.corp.example. 60 IN TXT \"203.0.113.5\"", &seen));
	assert_true(judge(&private, NULL, &seen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_ipv4_is_rfc_1918_and_the_shared_range),
		cmocka_unit_test(private_ipv6_is_unique_local_or_a_private_ipv4_behind_nat64),
		cmocka_unit_test(a_list_is_taken_at_its_word),
		cmocka_unit_test(a_list_without_ipv6_says_nothing_of_ipv6),
		cmocka_unit_test(a_list_with_ipv6_holds_for_it),
		cmocka_unit_test(a_list_of_ipv6_alone_leaves_no_ipv4),
		cmocka_unit_test(the_first_of_several_addresses_that_breaks_it_is_told),
		cmocka_unit_test(an_answer_without_addresses_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
