/* SPDX-License-Identifier: Apache-2.0 */
/* Private IPv4: RFC 1918 section 3, and RFC 6598's 100.64.0.0/10, which providers and EKS use inside. Private IPv6: RFC 4193's
 * fc00::/7. 64:ff9b::/96 is NAT64 (RFC 6052 section 2.1): Route 53's DNS64 puts a VPC's IPv4 addresses there. */
#include "core/guard.h"

#include <string.h>

enum { IPV4_OCTETS = 4, IPV6_OCTETS = 16, NAT64_OCTETS = 12 };

static const uint8_t nat64[NAT64_OCTETS] = {0x00, 0x64, 0xff, 0x9b};

struct judging {
	const struct guard_expect *expect;
	struct addr *seen;
};

static bool is_private_v4(const uint8_t *ip)
{
	return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
	       (ip[0] == 100 && (ip[1] & 0xc0) == 64);
}

static bool is_private_v6(const uint8_t *ip)
{
	return (ip[0] & 0xfe) == 0xfc || (memcmp(ip, nat64, NAT64_OCTETS) == 0 && is_private_v4(ip + NAT64_OCTETS));
}

static void make_addr(struct addr *a, const uint8_t *octets, size_t len)
{
	memset(a, 0, sizeof(*a));
	if (len == IPV4_OCTETS) {
		a->in.sin_family = AF_INET;
		memcpy(&a->in.sin_addr, octets, len);
	} else {
		a->in6.sin6_family = AF_INET6;
		memcpy(&a->in6.sin6_addr, octets, len);
	}
}

static bool is_listed(const struct guard_expect *e, const struct addr *a)
{
	bool named = a->sa.sa_family == AF_INET;

	for (size_t i = 0; i < e->count; i++) {
		named = named || e->networks[i].family == AF_INET6;
		if (cidr_contains(&e->networks[i], a))
			return true;
	}
	return !named; /* an IPv6 address, and nobody spoke of IPv6 */
}

static bool see(void *arg, const uint8_t *octets, size_t len)
{
	const struct judging *j = arg;

	ASSERT(len == IPV4_OCTETS || len == IPV6_OCTETS); /* answer_read has checked it */
	make_addr(j->seen, octets, len);
	if (j->expect->is_private)
		return len == IPV4_OCTETS ? is_private_v4(octets) : is_private_v6(octets);
	return is_listed(j->expect, j->seen);
}

bool guard_accepts(const struct guard_expect *expect, const struct answer *answer, struct addr *seen)
{
	struct judging j = {expect, seen};

	return answer_each_address(answer, see, &j);
}
