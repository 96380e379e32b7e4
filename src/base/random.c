/* SPDX-License-Identifier: Apache-2.0 */
/* A block of 2048 bytes is 1,024 ids: one system call of about 3 us for each thousand. Bytes are wiped as they are
 * handed out, so that a later look into memory does not tell earlier ids and ports. */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void refill(struct random *r)
{
	size_t have = 0;

	/* Above 256 bytes a signal may cut the call short. */
	while (have < sizeof(r->block)) {
		ssize_t got = getrandom(r->block + have, sizeof(r->block) - have, 0);
		ASSERT(got > 0 || (got < 0 && errno == EINTR));
		have += got > 0 ? (size_t)got : 0;
	}
	r->used = 0;
}

/* Moves `len` fresh bytes to `out`. What a large draw does not find at the end of the block is thrown away. */
static inline void draw(struct random *r, void *out, uint32_t len)
{
	if (UNLIKELY(r->used + len > sizeof(r->block)))
		refill(r);
	memcpy(out, r->block + r->used, len);
	memset(r->block + r->used, 0, len);
	r->used += len;
}

void random_init(struct random *r)
{
	memset(r->block, 0, sizeof(r->block));
	r->used = sizeof(r->block);
}

uint16_t random_u16(struct random *r)
{
	uint16_t value;

	draw(r, &value, sizeof(value));
	return value;
}

uint32_t random_u32(struct random *r)
{
	uint32_t value;

	draw(r, &value, sizeof(value));
	return value;
}

uint64_t random_u64(struct random *r)
{
	uint64_t value;

	draw(r, &value, sizeof(value));
	return value;
}

uint32_t random_below(struct random *r, uint32_t limit)
{
	ASSERT(limit > 0);
	uint64_t product = (uint64_t)random_u32(r) * limit;

	/* "Fast random integer generation in an interval" (Lemire, 2019): the division is needed only when the low half
	 * falls below `limit`, which is rare for a small one. */
	if (UNLIKELY((uint32_t)product < limit)) {
		uint32_t biased = (0u - limit) % limit;
		while ((uint32_t)product < biased)
			product = (uint64_t)random_u32(r) * limit;
	}
	return (uint32_t)(product >> 32);
}
