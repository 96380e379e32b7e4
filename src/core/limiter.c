/* SPDX-License-Identifier: Apache-2.0 */
/* A count-min sketch (Cormode, Muthukrishnan, 2005) of virtual schedules (GCRA, ITU-T I.371): each bucket holds the time up to which what
 * came is paid for, and a client is above its limit only if both of its buckets say so. No client is remembered, so there is nothing
 * to evict, and nothing to find: two words, no lock.
 *
 * The numbers: 32,768 buckets in each of two rows are 512 KiB, touched as clients come. Who shares both buckets with others that are
 * above the limit is limited with them: with 100 of those, one client in 100,000; with 1,000, one in 1,000. Random forged sources fill all
 * buckets alike: 1,000,000 a second bring 30 a second to each. Limited clients are told to come over TCP now and then (slip), so none
 * is cut off. Hashed with a secret key: nobody outside can aim at another's buckets.
 *
 * Two workers that judge queries of the same buckets at the same moment may count one of them only: a limit that is a little generous. */
#include "core/limiter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { ROWS = 2, BUCKETS = 32768 };
#define SECOND_NS UINT64_C(1000000000)

struct limiter {
	_Atomic uint32_t refs;
	struct hash_key key;
	_Atomic uint64_t paid_ns[LIMITER_SIDES][ROWS][BUCKETS];
};

struct limiter *limiter_new(void)
{
	/* Above malloc's threshold: pages that nobody has touched. */
	struct limiter *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	atomic_init(&l->refs, 1);
	hash_key_init(&l->key);
	return l;
}

struct limiter *limiter_ref(struct limiter *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

void limiter_unref(struct limiter *l)
{
	if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
		free(l);
}

static uint64_t hash_client(const struct limiter *l, const struct addr *a)
{
	struct {
		uint8_t prefix[8];
		uint64_t family;
	} client = {.family = a->sa.sa_family};

	if (a->sa.sa_family == AF_INET6)
		memcpy(client.prefix, &a->in6.sin6_addr, 8);
	else
		memcpy(client.prefix, &a->in.sin_addr, 4);
	return hash_bytes(&l->key, &client, sizeof(client));
}

bool limiter_passes(struct limiter *l, enum limiter_side side, const struct addr *client, uint32_t qps, uint64_t now_us)
{
	uint64_t hash = hash_client(l, client), now_ns = now_us * 1000, step_ns = SECOND_NS / qps;
	_Atomic uint64_t *at[ROWS] = {&l->paid_ns[side][0][hash % BUCKETS], &l->paid_ns[side][1][(hash >> 32) % BUCKETS]};
	uint64_t had[ROWS], least = UINT64_MAX;

	for (int i = 0; i < ROWS; i++) {
		had[i] = atomic_load_explicit(at[i], memory_order_relaxed);
		least = MIN(least, had[i]);
	}
	uint64_t paid = MAX(least, now_ns) + step_ns;
	if (paid > now_ns + SECOND_NS)
		return false;
	/* Only up to what this client needs: the other bucket's other clients may have paid for longer. */
	for (int i = 0; i < ROWS; i++)
		if (had[i] < paid)
			atomic_store_explicit(at[i], paid, memory_order_relaxed);
	return true;
}
