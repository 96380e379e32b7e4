/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_GUARD_H
#define CORE_GUARD_H
/* Whether an answer is what a zone's owner expects: a private zone that lost its association is answered by the public one, with
 * addresses that lead to the Internet. Judges only; what follows is the caller's. */

#include "base/addr.h"
#include "wire/answer.h"

/* Private: A in RFC 1918 or 100.64.0.0/10; AAAA in fc00::/7, or in 64:ff9b::/96 with such an IPv4 address inside. Otherwise
 * the networks, which hold for AAAA only if one of them is IPv6. */
struct guard_expect {
	bool is_private;
	const struct cidr *networks; /* lent */
	size_t count;
};

/* Every address in the answer section is as expected; an answer without addresses always is. If not, *seen is the first other one
 * (port 0). */
bool guard_accepts(const struct guard_expect *expect, const struct answer *answer, struct addr *seen);

#endif
