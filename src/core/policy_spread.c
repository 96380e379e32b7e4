/* SPDX-License-Identifier: Apache-2.0 */
/* Evenly, by lot: no favourite address becomes hot (AWS spreads nothing over an endpoint's addresses), and many forwarders do not march in
 * step as round robin would. Weighted by the share of an address that is coming back. */
#include "core/policy.h"

static uint32_t pick(const struct policy_view *view, uint32_t random)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < view->count; i++)
		total += view->eligible >> i & 1 ? view->share[i] : 0;
	uint32_t ticket = (uint32_t)((uint64_t)random * total >> 32);
	for (uint32_t i = 0; i < view->count; i++) {
		if (!(view->eligible >> i & 1))
			continue;
		if (ticket < view->share[i])
			return i;
		ticket -= view->share[i];
	}
	ASSERT_NEVER("a share of nothing");
	return 0;
}

const struct policy policy_spread = {.pick = pick};
