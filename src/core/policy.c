/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"

#include "core/health.h"

uint32_t policy_take_part(const struct policy_view *view, uint32_t random)
{
	uint32_t in = 0;

	for (uint32_t i = 0; i < view->count; i++)
		if (view->eligible >> i & 1 && random % HEALTH_FULL_SHARE < view->share[i])
			in |= 1u << i;
	return in != 0 ? in : view->eligible;
}
