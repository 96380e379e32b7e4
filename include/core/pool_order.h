/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POOL_ORDER_H
#define CORE_POOL_ORDER_H
/* In which order a question would go through the addresses of a pool, and what decided each step: pool_pick told, not done. For people; no
 * rate token is taken, nothing is counted. */

#include "core/pool.h"

/* One address. */
struct pool_step {
	int place;
	enum pool_tier tier;
	bool drained;        /* not asked at all */
	bool above_rate;     /* passed over: above max-qps now */
	bool preferred;      /* is in the preferred AZ, and that decided */
	bool same_az;        /* of an AZ that was asked before: no other was left in its tier */
	uint32_t alike;      /* the policy chose among so many, this one included; 0: nothing was chosen */
	uint32_t share_pm;   /* how likely it is this one of them, per mille; 1000: certain (but for an address that is coming back) */
};

/* Fills `steps` with one a place, p->count of them: those that may be asked first, in order, then those above max-qps, then the drained.
 * `random` decides where lots do, as in a wish; the same gives the same order. Returns how many may be asked. */
int pool_order(const struct pool *p, uint32_t random, uint64_t now_us, struct pool_step steps[POOL_MAX_UPSTREAMS]);

#endif
