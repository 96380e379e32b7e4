/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limit.h"

uint64_t limit_next_us(const struct limit *l, uint64_t now_us, uint64_t every_us, uint32_t burst)
{
	uint64_t spread_us = every_us * (burst - 1);

	ASSERT(burst > 0);
	return l->full_at_us > now_us + spread_us ? l->full_at_us - spread_us : now_us;
}

bool limit_pass(struct limit *l, uint64_t now_us, uint64_t every_us, uint32_t burst)
{
	if (limit_next_us(l, now_us, every_us, burst) > now_us)
		return false;
	l->full_at_us = MAX(l->full_at_us, now_us) + every_us;
	return true;
}
