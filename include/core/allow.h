/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ALLOW_H
#define CORE_ALLOW_H
/* allow-from, compiled: who may ask. Built once, then only read. */

#include "base/addr.h"

struct allow_v4 {
	uint32_t net, mask; /* network byte order */
};
struct allow_v6 {
	uint64_t net[2], mask[2]; /* as they lie in memory */
};

struct allow {
	struct allow_v4 *v4; /* heap */
	struct allow_v6 *v6; /* heap */
	size_t v4_count, v6_count;
};

/* Returns 0 or -ENOMEM. */
NODISCARD int allow_init(struct allow *a, const struct cidr *networks, size_t count);
void allow_deinit(struct allow *a);

bool allow_contains(const struct allow *a, const struct addr *client);

#endif
