/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CACHE_H
#define CORE_CACHE_H
/* One cache for all workers: answers without id, question and OPT, ready to be copied behind a client's question.
 *
 * Striped into shards, each with a plain mutex, an index and a ring of bytes. New entries are written at the ring's head; room is made
 * at its tail, where an entry that was asked since it was last looked at moves to the head again and any other is dropped (FIFO with
 * reinsertion, "CLOCK" on a log): a scan of names asked once runs through without disturbing what is popular, nothing fragments, nothing
 * is allocated per entry. An answer that replaces one of the same size or larger is written in its place.
 * All calls from any thread. Seconds (_s) are of a clock that counts suspend; nothing here asks it. */

#include "base/hash.h"
#include "wire/name.h"

struct cache;

/* What makes two questions the same. */
struct cache_key {
	const struct name *name;
	uint32_t route; /* the route's stable identity: a route that changed never answers from what the old one cached */
	uint16_t type;
	uint8_t bits;   /* CACHE_KEY_*: for local routes only */
	uint64_t hash;  /* of all the above, by cache_key_hash */
};
enum { CACHE_KEY_DO = 1, CACHE_KEY_CD = 2 };

/* The rules of zones.conf's `cache:`; passed with each call, so a reload needs no message to the cache. */
struct cache_rules {
	uint32_t min_ttl_s, max_ttl_s, negative_max_ttl_s;
	uint32_t prefetch_pm;   /* per mille of the TTL at its end; 0: off */
	uint32_t serve_stale_s; /* 0: off */
};

enum { CACHE_STALE_TTL_S = 30, CACHE_CLAIM_S = 5, CACHE_BODY_MAX = 65535 };

/* An answer to keep. */
struct cache_answer {
	const uint8_t *body;     /* the records behind the question, OPT left out; pointers in them count from the message's start */
	uint32_t body_bytes;
	const uint16_t *ttl_at;  /* offsets of the TTLs, from the message's start */
	uint16_t ttls;
	uint16_t body_at;        /* offset of body in that message, which ttl_at is relative to */
	uint16_t rcode, flags;   /* flags: DNS_TC, DNS_AD */
	uint16_t ancount, nscount, arcount;
	bool negative;           /* NXDOMAIN or no data: negative_max_ttl_s holds */
	uint32_t ttl_s;          /* as answer_read found it */
	uint32_t origin;         /* the caller's: which upstream answered; given back by a hit */
};

enum cache_result {
	CACHE_MISS,
	CACHE_FRESH,
	CACHE_STALE,  /* expired, within serve_stale_s: the body was copied with TTL 30 all the same; AD is cleared */
	CACHE_FAILED, /* no answer known, but a failure that is not older than its retry time */
	CACHE_LARGE,  /* fresh or stale, but more than `room`: nothing was copied; ask again with more */
};

struct cache_hit {
	uint16_t rcode, flags;
	uint16_t ancount, nscount, arcount;
	uint32_t body_bytes;
	uint32_t age_s;       /* since stored */
	uint32_t ttl_left_s;  /* 0 when stale */
	uint32_t stale_s;     /* how long past expiry */
	uint32_t origin;
	uint32_t retry_at_s;  /* a refresh has failed: none before this time (0: none has) … */
	uint16_t outage;      /* … unless the pool's outage number is another one now */
	bool refresh;         /* stale, or popular and near its end, and this call claimed the refresh: nobody else is told so for
	                       * CACHE_CLAIM_S. Whether retry_at_s forbids it is the caller's to judge */
};

/* `size_bytes` is the budget for rings and indices together; it is held within 5 %. Memory is touched as it fills. NULL without memory. */
NODISCARD struct cache *cache_new(uint64_t size_bytes);
struct cache *cache_ref(struct cache *c);
void cache_unref(struct cache *c);

/* Fills key->hash. Keyed per process, not per cache: nobody outside can aim at one shard or bucket. */
void cache_key_hash(const struct cache *c, struct cache_key *key);

/* Where a body is to be copied to, and how much fits. */
struct cache_room {
	uint8_t *at;
	size_t bytes;
};

/* Looks `key` up and copies the body to `room`, TTLs counted down (never below 0, or 30 when stale). */
NODISCARD enum cache_result cache_get(struct cache *c, const struct cache_key *key, const struct cache_rules *rules, uint32_t now_s,
				      struct cache_room room, struct cache_hit *hit);

/* The same without copying, counting as a use, or claiming: for explain, for keep-warm. */
NODISCARD enum cache_result cache_peek(struct cache *c, const struct cache_key *key, const struct cache_rules *rules, uint32_t now_s,
				       struct cache_hit *hit);

/* Claims the refresh of what is known of `key`, as cache_get does. False when somebody has claimed it within CACHE_CLAIM_S. */
NODISCARD bool cache_claim(struct cache *c, const struct cache_key *key, uint32_t now_s);

/* Keeps an answer, in place of any older one. The TTLs in the kept body are bounded by the rules as well. Not kept: TTL 0 (after the
 * caps; min_ttl does not make it cacheable), what would not fit a quarter of a shard; the older answer then counts as expired from now
 * on. Returns true if kept. */
bool cache_put(struct cache *c, const struct cache_key *key, const struct cache_rules *rules, uint32_t now_s, const struct cache_answer *a);

/* Bounds that cache_put applies to each TTL; the first hand-out, which never went through the cache, uses it too. TTL 0 stays 0; a cap
 * that is less than min_ttl wins. */
uint32_t cache_bound_ttl(const struct cache_rules *rules, uint32_t ttl_s, bool negative);

/* Remembers that asking has failed (RFC 9520): until retry_at_s nobody should ask again, unless `outage` has changed. Never replaces an
 * answer, not even a stale one: there it only sets the retry time. (An answer past serve_stale_s is no answer: cache_get then says
 * CACHE_FAILED.) */
void cache_put_failure(struct cache *c, const struct cache_key *key, uint16_t rcode, uint32_t now_s, uint32_t retry_at_s, uint16_t outage);

/* Forgets: all types and routes of one name; all at and below a name; everything. Returns how many entries went. */
uint64_t cache_flush_name(struct cache *c, const struct name *name);
uint64_t cache_flush_zone(struct cache *c, const struct name *zone);
uint64_t cache_flush_all(struct cache *c);

struct cache_counts {
	uint64_t entries, bytes; /* bytes: what is in use of the budget, index included */
	uint64_t evictions;
	uint64_t contended;      /* locks that were not free at the first try */
};
void cache_count(struct cache *c, struct cache_counts *out);

/* Walks all answers (failures not), shard by shard under its lock: for the snapshot on disk and for moving into a cache of another
 * size. The entry's memory is lent for the call; ttl_at are offsets from the message's start with body at `body_at`. `see` returns
 * false to stop; it must not call the cache that is walked. */
struct cache_entry {
	struct name name;
	struct cache_key key; /* name points above */
	struct cache_answer answer;
	uint32_t stored_s, expires_s;
};
void cache_each(struct cache *c, bool (*see)(void *arg, const struct cache_entry *entry), void *arg);

/* The same for one of cache_shards() alone: between two calls no lock is held, so what was seen can go to a disk that takes its time. */
uint32_t cache_shards(const struct cache *c);
void cache_each_of_shard(struct cache *c, uint32_t shard, bool (*see)(void *arg, const struct cache_entry *entry), void *arg);

/* Puts an entry back with its own times, which may lie before the clock's zero (modulo 2^32): for loading. TTLs are not bounded again;
 * hash is not needed. False if not kept: offsets outside the body, no lifetime, too large, or an answer stored later is there. */
bool cache_restore(struct cache *c, const struct cache_entry *entry);

#endif
