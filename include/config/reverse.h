/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_REVERSE_H
#define CONFIG_REVERSE_H
/* A network as the in-addr.arpa or ip6.arpa zones that cover exactly it. */

#include "base/addr.h"
#include "wire/name.h"

/* A prefix inside an octet leaves 7 bits at most, one inside a nibble 3. */
enum { REVERSE_MAX_ZONES = 128 };

/* How many zones cover `network`. */
unsigned reverse_count(const struct cidr *network);

/* The i-th of them, in the order of the addresses. */
void reverse_zone(const struct cidr *network, unsigned i, struct name *zone);

#endif
