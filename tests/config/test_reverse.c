/* SPDX-License-Identifier: Apache-2.0 */
#include "config/reverse.h"

#include "load.h"
#include "wire/text.h"

/* The network becomes `count` zones from `first` to `last`. */
static void expect(const char *text, unsigned count, const char *first, const char *last)
{
	char name[TEXT_NAME_MAX];
	struct cidr network;
	struct name zone;

	assert_int_equal(cidr_parse(&network, text), 0);
	assert_int_equal(reverse_count(&network), count);
	assert_true(count <= REVERSE_MAX_ZONES);
	reverse_zone(&network, 0, &zone);
	assert_string_equal(text_name(&zone, name), first);
	reverse_zone(&network, count - 1, &zone);
	assert_string_equal(text_name(&zone, name), last);
}

static void ipv4_is_cut_at_octets(void **state)
{
	(void)state;
	expect("10.0.0.0/8", 1, "10.in-addr.arpa", "10.in-addr.arpa");
	expect("10.100.0.0/16", 1, "100.10.in-addr.arpa", "100.10.in-addr.arpa");
	expect("192.0.2.0/24", 1, "2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa");
	expect("192.0.2.7/32", 1, "7.2.0.192.in-addr.arpa", "7.2.0.192.in-addr.arpa");
	expect("192.0.2.7", 1, "7.2.0.192.in-addr.arpa", "7.2.0.192.in-addr.arpa");
}

static void a_prefix_inside_an_octet_becomes_the_names_it_covers(void **state)
{
	(void)state;
	expect("10.20.0.0/14", 4, "20.10.in-addr.arpa", "23.10.in-addr.arpa");
	expect("10.20.16.0/20", 16, "16.20.10.in-addr.arpa", "31.20.10.in-addr.arpa");
	expect("10.20.30.64/26", 64, "64.30.20.10.in-addr.arpa", "127.30.20.10.in-addr.arpa");
	expect("172.16.0.0/12", 16, "16.172.in-addr.arpa", "31.172.in-addr.arpa");
	expect("8.0.0.0/6", 4, "8.in-addr.arpa", "11.in-addr.arpa");
	expect("10.128.0.0/9", 128, "128.10.in-addr.arpa", "255.10.in-addr.arpa");
	expect("128.0.0.0/1", 128, "128.in-addr.arpa", "255.in-addr.arpa");
}

static void everything_is_the_whole_tree(void **state)
{
	(void)state;
	expect("0.0.0.0/0", 1, "in-addr.arpa", "in-addr.arpa");
	expect("::/0", 1, "ip6.arpa", "ip6.arpa");
}

static void ipv6_is_cut_at_nibbles(void **state)
{
	(void)state;
	expect("fd00::/8", 1, "d.f.ip6.arpa", "d.f.ip6.arpa");
	expect("2001:db8::/32", 1, "8.b.d.0.1.0.0.2.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa");
	expect("fc00::/7", 2, "c.f.ip6.arpa", "d.f.ip6.arpa");
	expect("2001:db8::/29", 8, "8.b.d.0.1.0.0.2.ip6.arpa", "f.b.d.0.1.0.0.2.ip6.arpa");
	expect("2001:db8:0:10::/60", 1, "1.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "1.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	expect("::1", 1, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
	       "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa");
}

/* Every address of the network lies in exactly one zone, none from outside in any: walked for all IPv4 prefix lengths. */
static void zones_cover_exactly_the_network(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits <= 32; bits++) {
		struct cidr network = {.bytes = {172, 31, 255, 254}, .bits = (uint8_t)bits, .family = AF_INET};
		for (unsigned bit = bits; bit < 32; bit++)
			network.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
		uint64_t covered = 0;
		struct name previous = {0};
		for (unsigned i = 0; i < reverse_count(&network); i++) {
			struct name zone;
			reverse_zone(&network, i, &zone);
			assert_false(i > 0 && name_equal(&zone, &previous));
			covered += UINT64_C(1) << (32 - 8 * (zone.labels - 2));
			previous = zone;
		}
		assert_true(covered == UINT64_C(1) << (32 - bits));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_cut_at_octets),	   cmocka_unit_test(a_prefix_inside_an_octet_becomes_the_names_it_covers),
		cmocka_unit_test(everything_is_the_whole_tree),	   cmocka_unit_test(ipv6_is_cut_at_nibbles),
		cmocka_unit_test(zones_cover_exactly_the_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
