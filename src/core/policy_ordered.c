/* SPDX-License-Identifier: Apache-2.0 */
/* The first in the order of the file: for servers of which the later ones are only a reserve. */
#include "core/policy.h"

static uint32_t pick(const struct policy_view *view, uint32_t random)
{
	return (uint32_t)__builtin_ctz(policy_take_part(view, random));
}

const struct policy policy_ordered = {.pick = pick};
