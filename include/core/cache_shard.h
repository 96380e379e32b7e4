/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CACHE_SHARD_H
#define CORE_CACHE_SHARD_H
/* One stripe of the cache: where entries lie and how they are found; what is in them is cache.c's, the only one who includes this. Nothing
 * here locks: the caller holds `lock`.
 *
 * A shard is one slice of memory. The ring of entries grows from its start, the index from its end; when the index doubles, the ring wraps
 * earlier from then on. Together they never leave the slice, so the budget holds by construction.
 *
 *   | ring: … dead | entry | entry | …                    ‖ limit          index: {tag, at} {tag, at} … |
 *             ↑ tail                 ↑ head
 *
 * Places are counted in granules of 8 bytes, from 1: `at` 0 is an empty slot, hence fresh memory is an empty index. */

#include <pthread.h>

#include "core/cache.h"

enum {
	SHARD_GRANULE_BYTES = 8,
	SHARD_ASKED_MAX = 3, /* `asked` stops counting here */
	SHARD_QUESTION_BYTES = 12 + 4, /* what stands before a body, besides the name: header, type and class */
};

/* An entry's head; the offsets, the name and the body follow without gaps. 48 bytes: with a name of 30 octets and one A record 96. */
struct shard_entry {
	uint32_t tag;        /* low half of the hash */
	uint32_t route;
	uint32_t stored_s, expires_s; /* modulo 2^32, like all times here: only differences are looked at */
	uint32_t retry_at_s; /* 0: no failure since it was stored */
	uint32_t origin;
	uint16_t granules;   /* of its place, which may be larger than it */
	uint16_t type;
	uint16_t body_bytes;
	uint16_t ttls;
	uint16_t ancount, nscount, arcount;
	uint16_t outage;
	uint16_t failed_rcode;
	uint16_t claim_s;    /* low 16 bits of when the refresh was last claimed */
	uint16_t rcode : 12;
	uint16_t key_bits : 2;
	uint16_t tc : 1;
	uint16_t ad : 1;
	uint8_t name_len;
	uint8_t asked : 2;   /* hits since stored, up to SHARD_ASKED_MAX */
	uint8_t visited : 1; /* asked for since the tail last came by */
	uint8_t dead : 1;    /* no longer in the index */
	uint8_t failure : 1; /* no answer known */
	uint8_t negative : 1;
	uint16_t ttl_at[];   /* offsets in a message whose body stands right behind its question */
};

/* Where an entry is; its home in the index is given by the low bits of the tag. */
struct shard_slot {
	uint32_t tag;
	uint32_t at; /* granule; 0: empty */
};

/* What the hit road reads comes first: one cache line. */
struct cache_shard {
	_Alignas(64) pthread_mutex_t lock;
	uint64_t *ring;           /* the slice */
	struct shard_slot *index; /* ends where the slice ends */
	uint32_t mask;            /* slots - 1 */
	uint32_t entries;         /* in the index */
	uint32_t granules;        /* of the slice */
	uint32_t tail, head;      /* oldest entry; where the next one goes */
	uint32_t lap_end;         /* where the tail's lap ends; meaningful while wrapped */
	uint32_t limit;           /* where the head's lap ends at the latest */
	bool wrapped;             /* the head is one lap ahead */
	bool touched;             /* the index takes memory */
	uint64_t evictions;
	uint64_t contended;
};

/* What an entry must hold besides its head. */
struct shard_size {
	uint32_t name_len, ttls, body_bytes;
};

/* By which an eviction sees what is of no more use to anybody. */
struct shard_time {
	uint32_t now_s, serve_stale_s;
};

/* Takes `bytes` of zeroed memory at `slice`, aligned and sized in pages. */
void cache_shard_init(struct cache_shard *s, void *slice, size_t bytes);

/* The entry of `key`; NULL without one. */
struct shard_entry *cache_shard_find(const struct cache_shard *s, const struct cache_key *key);

/* Such an entry is kept: it takes no more than a quarter of the shard. */
bool cache_shard_fits(const struct cache_shard *s, const struct shard_size *size);

/* Makes room and an entry with `key` and `size`, all else zero, offsets and body not written; `old` is what cache_shard_find returned: the
 * new one takes its place, or kills it. The size must fit. */
struct shard_entry *cache_shard_place(struct cache_shard *s, struct shard_entry *old, const struct cache_key *key,
				      const struct shard_size *size, const struct shard_time *time);

/* Takes a live entry out; its bytes stay until the tail comes by. */
void cache_shard_remove(struct cache_shard *s, struct shard_entry *e);

/* The live entry behind `e`, from the oldest (`e` is NULL) to the newest; NULL at the end. */
struct shard_entry *cache_shard_next(const struct cache_shard *s, const struct shard_entry *e);

/* Forgets all and gives the memory back. Returns how many entries went. */
uint64_t cache_shard_clear(struct cache_shard *s);

/* What is in use of the slice. */
uint64_t cache_shard_bytes(const struct cache_shard *s);

static inline uint8_t *shard_entry_name(struct shard_entry *e)
{
	return (uint8_t *)(e->ttl_at + e->ttls);
}

static inline uint8_t *shard_entry_body(struct shard_entry *e)
{
	return shard_entry_name(e) + e->name_len;
}

/* Seconds from `then` to `now`; a clock that went back means none. */
static inline uint32_t shard_elapsed(uint32_t then_s, uint32_t now_s)
{
	return (int32_t)(now_s - then_s) > 0 ? now_s - then_s : 0;
}

#endif
