/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H
/* Picks one of several addresses; never sends, never asks the clock, keeps no state: same view and same random number, same pick.
 * pool.c has already left only addresses of one kind of health, so a policy weighs RTT, share and order alone. */

#include "base/base.h"

struct policy_view {
	uint32_t eligible;   /* bit i: address i may be picked; at least one is set */
	uint32_t count;      /* addresses in all, at most 32 */
	const uint32_t *rtt_us; /* [count], 0: unknown */
	const uint32_t *share;  /* [count], 1 to HEALTH_FULL_SHARE: less while an address is coming back */
};

struct policy {
	/* Index of the pick, always an eligible one. `random` is uniform over 32 bits. */
	uint32_t (*pick)(const struct policy_view *view, uint32_t random);
};

#define POLICY(value, name, unit, help) extern const struct policy policy_##unit;
#include "tables/policies.def"
#undef POLICY

/* An address that is coming back takes part in `random`'s share of the picks only, unless it is alone. For policies that have a
 * favourite: the eligible set without the addresses whose turn it is not. */
uint32_t policy_take_part(const struct policy_view *view, uint32_t random);

#endif
