/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIMIT_H
#define BASE_LIMIT_H
/* How often something may happen: `burst` times at once, then once each `every_us` (GCRA: one number remembers it all). For one thread. */

#include "base/base.h"

struct limit {
	uint64_t full_at_us; /* when all of the burst is to be had again; 0: always was */
};

/* Whether it may happen now; counts it if so. */
bool limit_pass(struct limit *l, uint64_t now_us, uint64_t every_us, uint32_t burst);

/* When it may happen next, at the earliest. */
uint64_t limit_next_us(const struct limit *l, uint64_t now_us, uint64_t every_us, uint32_t burst);

#endif
