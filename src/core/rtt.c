/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 6298 with its own constants: alpha 1/8, beta 1/4, first variation R/2. No clock granularity term: ours is a microsecond. */
#include "core/rtt.h"

/* Longer than any question lives: a late answer counts as this. */
enum { LONGEST_SAMPLE_US = 10 * US_PER_S };

static uint32_t smoothed(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t variation(uint64_t word)
{
	return (uint32_t)word;
}

static uint64_t bound(uint64_t us, uint64_t least, uint64_t largest)
{
	return us < least ? least : us > largest ? largest : us;
}

void rtt_sample(struct rtt *r, uint64_t us)
{
	uint64_t word = atomic_load_explicit(&r->word, memory_order_relaxed);
	uint64_t sample = bound(us, 1, LONGEST_SAMPLE_US), srtt, rttvar;

	if (word == 0) {
		srtt = sample;
		rttvar = sample / 2;
	} else {
		uint64_t distance = smoothed(word) > sample ? smoothed(word) - sample : sample - smoothed(word);
		rttvar = (3 * (uint64_t)variation(word) + distance) / 4;
		srtt = (7 * (uint64_t)smoothed(word) + sample) / 8;
	}
	atomic_store_explicit(&r->word, bound(srtt, 1, UINT32_MAX) << 32 | (uint32_t)rttvar, memory_order_relaxed);
}

uint32_t rtt_smoothed_us(const struct rtt *r)
{
	return smoothed(atomic_load_explicit(&r->word, memory_order_relaxed));
}

uint32_t rtt_hedge_us(const struct rtt *r)
{
	uint64_t word = atomic_load_explicit(&r->word, memory_order_relaxed);

	if (word == 0)
		return RTT_UNKNOWN_HEDGE_US;
	return (uint32_t)bound(smoothed(word) + 4 * (uint64_t)variation(word), RTT_LEAST_HEDGE_US, RTT_LARGEST_HEDGE_US);
}

uint32_t rtt_timeout_us(const struct rtt *r)
{
	uint64_t word = atomic_load_explicit(&r->word, memory_order_relaxed);
	uint64_t once = word == 0 ? RTT_UNKNOWN_HEDGE_US : smoothed(word) + 4 * (uint64_t)variation(word);

	return (uint32_t)bound(3 * once, RTT_LEAST_TIMEOUT_US, RTT_LARGEST_TIMEOUT_US);
}
