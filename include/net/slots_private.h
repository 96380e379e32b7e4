/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_SLOTS_PRIVATE_H
#define NET_SLOTS_PRIVATE_H
/* Numbers for things that come and go, and that others remember for longer than they are there: a slot that is used again has another
 * generation, so what was remembered finds nobody. */

#include "base/base.h"

struct slot {
	void *owner; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct slots {
	struct slot *at; /* heap, [count] */
	uint32_t count, first_free;
};

void slots_init(struct slots *s);
void slots_deinit(struct slots *s);

/* A number for `owner`. False without memory. */
NODISCARD bool slots_take(struct slots *s, void *owner, uint32_t *slot);
void slots_give(struct slots *s, uint32_t slot);

/* Who has the slot since it was at this generation; NULL: gone. */
void *slots_find(const struct slots *s, uint32_t slot, uint32_t generation);

#endif
