/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RTT_H
#define CORE_RTT_H
/* How long an upstream takes: smoothed RTT and its variation (RFC 6298 section 2), in one word that all threads share. */

#include <stdatomic.h>

#include "base/base.h"

/* The hedge delay while no RTT is known, and its bounds (contract, section 5). The least leaves room for a VM's stalls, the largest is
 * RFC 8767's patience with one server. */
enum { RTT_UNKNOWN_HEDGE_US = 100000, RTT_LEAST_HEDGE_US = 10000, RTT_LARGEST_HEDGE_US = 400000 };

/* An attempt is given up, and a probe of a whole endpoint judged, after three times srtt + 4 rttvar, within these. */
enum { RTT_LEAST_TIMEOUT_US = 200000, RTT_LARGEST_TIMEOUT_US = 1000000 };

struct rtt {
	_Atomic uint64_t word; /* srtt in the upper, rttvar in the lower 32 bits, microseconds; 0: nothing known */
};

/* Buckets of a histogram: up to 250 us, and twice as much each time; the last one is everything above 4.1 s. */
enum { RTT_BUCKETS = 16, RTT_FIRST_BOUND_US = 250 };

/* The bucket that a measurement belongs to; the upper bound of one but the last. */
static inline uint32_t rtt_bucket(uint64_t us)
{
	uint64_t times = us == 0 ? 0 : (us - 1) / RTT_FIRST_BOUND_US;
	uint32_t bits = times == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(times);

	return MIN(bits, (uint32_t)RTT_BUCKETS - 1);
}

static inline uint64_t rtt_bound_us(uint32_t bucket)
{
	return (uint64_t)RTT_FIRST_BOUND_US << bucket;
}

/* Takes one measurement. Concurrent ones may replace each other: none is worth a lock. */
void rtt_sample(struct rtt *r, uint64_t us);

/* Smoothed RTT; 0 while unknown. */
uint32_t rtt_smoothed_us(const struct rtt *r);

/* srtt + 4 rttvar within the hedge bounds. */
uint32_t rtt_hedge_us(const struct rtt *r);

/* 3 x (srtt + 4 rttvar) within the timeout bounds. */
uint32_t rtt_timeout_us(const struct rtt *r);

#endif
