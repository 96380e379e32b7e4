/* SPDX-License-Identifier: Apache-2.0 */
/* The least RTT; an address whose RTT nobody knows is asked first, to learn it. */
#include "core/policy.h"

static uint32_t pick(const struct policy_view *view, uint32_t random)
{
	uint32_t in = policy_take_part(view, random), best = UINT32_MAX;

	for (uint32_t i = 0; i < view->count; i++)
		if (in >> i & 1 && (best == UINT32_MAX || view->rtt_us[i] < view->rtt_us[best]))
			best = i;
	return best;
}

const struct policy policy_nearest = {.pick = pick};
