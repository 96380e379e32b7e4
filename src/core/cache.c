/* SPDX-License-Identifier: Apache-2.0 */
/* What entries mean: fresh, stale, failed, popular. Where they lie is cache_shard.c's.
 *
 * Numbers. 256 KiB a shard and 256 shards at most: eight workers rarely meet at one lock, and a 64 MiB cache still keeps answers of
 * 64 KiB (a quarter of a shard). A hit costs one SipHash, one uncontended lock, one line of the index, two or three of the entry and
 * the copy: 80 ns while it all lies in the processor's caches. Pages are of 4 KiB on purpose: with huge ones the first entry of each
 * shard would touch 2 MiB. */
#include "core/cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/cache_shard.h"
#include "wire/dns.h"

enum {
	SHARD_BYTES = 256 * 1024,
	/* Enough for eight workers. 256 of them spread the index of 1,000 answers over as many pages: 0.7 us more for a hit. */
	SHARDS_MAX = 64,
	SHARD_LEAST_BYTES = 64 * 1024, /* a smaller cache than this is made this large */
	PAGE_BYTES = 4096,
	POPULAR_ASKED = 2, /* hits before the one that falls into the last share of the TTL */
};

/* Places are 32 bits of granules; above this they would not do. */
#define SHARD_LARGEST_BYTES ((uint64_t)UINT32_MAX * SHARD_GRANULE_BYTES / 2)

struct cache {
	uint32_t shards; /* a power of two */
	_Atomic uint32_t refs;
	void *slices;
	size_t slices_bytes;
	struct cache_shard shard[];
};

/* ---- life ---- */

static uint32_t shards_for(uint64_t size_bytes)
{
	uint32_t shards = 1;

	while (shards < SHARDS_MAX && (uint64_t)shards * 2 * SHARD_BYTES <= size_bytes)
		shards *= 2;
	return shards;
}

/* One key for the whole process: a hash stays what it is when a reload changes the cache's size. */
static struct hash_key hash_key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
	hash_key_init(&hash_key);
}

struct cache *cache_new(uint64_t size_bytes)
{
	uint32_t shards = shards_for(size_bytes);
	uint64_t slice = MIN(MAX(size_bytes / shards, (uint64_t)SHARD_LEAST_BYTES), SHARD_LARGEST_BYTES) / PAGE_BYTES * PAGE_BYTES;
	size_t bytes = sizeof(struct cache) + shards * sizeof(struct cache_shard);
	struct cache *c = aligned_alloc(_Alignof(struct cache_shard), bytes);

	if (!c)
		return NULL;
	memset(c, 0, bytes);
	c->slices_bytes = (size_t)(slice * shards);
	c->slices = mmap(NULL, c->slices_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->slices == MAP_FAILED) {
		free(c);
		return NULL;
	}
	(void)madvise(c->slices, c->slices_bytes, MADV_NOHUGEPAGE); /* refused by kernels without huge pages: then there are none */
	pthread_once(&key_once, draw_key);
	c->shards = shards;
	atomic_init(&c->refs, 1);
	for (uint32_t i = 0; i < shards; i++) {
		pthread_mutex_init(&c->shard[i].lock, NULL);
		cache_shard_init(&c->shard[i], (uint8_t *)c->slices + i * slice, (size_t)slice);
	}
	return c;
}

struct cache *cache_ref(struct cache *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void cache_unref(struct cache *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (uint32_t i = 0; i < c->shards; i++)
		pthread_mutex_destroy(&c->shard[i].lock);
	munmap(c->slices, c->slices_bytes);
	free(c);
}

/* ---- shards ---- */

/* High bits choose the shard, low bits the slot: what one does says nothing about the other. */
static struct cache_shard *shard_of(const struct cache *c, const struct cache_key *key)
{
	return (struct cache_shard *)&c->shard[(key->hash >> 56) & (c->shards - 1)];
}

static void lock(struct cache_shard *s)
{
	if (LIKELY(pthread_mutex_trylock(&s->lock) == 0))
		return;
	pthread_mutex_lock(&s->lock);
	s->contended++;
}

static void unlock(struct cache_shard *s)
{
	pthread_mutex_unlock(&s->lock);
}

void cache_key_hash(const struct cache *c, struct cache_key *key)
{
	enum { CHUNK = 32 };
	struct {
		uint32_t route;
		uint16_t type;
		uint8_t bits, zero;
		uint8_t octets[NAME_MAX_OCTETS + 1];
	} whole;
	const struct name *n = key->name;

	whole.route = key->route;
	whole.type = key->type;
	whole.bits = key->bits;
	whole.zero = 0;
	/* In chunks of a fixed size, past the name's end but within its array: stores that do not overlap are what the hash can load
	 * at once. */
	for (size_t i = 0; i < n->len; i += CHUNK)
		memcpy(whole.octets + i, n->octets + i, CHUNK);
	key->hash = hash_bytes(&hash_key, &whole, 8u + n->len);
	__builtin_prefetch(shard_of(c, key), 1);
}

/* ---- asking ---- */

uint32_t cache_bound_ttl(const struct cache_rules *rules, uint32_t ttl_s, bool negative)
{
	uint32_t most_s = negative ? MIN(rules->max_ttl_s, rules->negative_max_ttl_s) : rules->max_ttl_s;

	/* RFC 2181 section 8: the top bit set reads as 0. */
	if (ttl_s == 0 || ttl_s > INT32_MAX)
		return 0;
	/* The caps win, as in Unbound: a long min-ttl must not keep a new record invisible. */
	return MIN(MAX(ttl_s, rules->min_ttl_s), MIN(most_s, (uint32_t)INT32_MAX));
}

/* An answer that may be given. */
static void tell_answer(const struct shard_entry *e, uint32_t age_s, uint32_t life_s, struct cache_hit *hit)
{
	bool fresh = age_s < life_s;

	*hit = (struct cache_hit){
		.rcode = e->rcode,
		.flags = (uint16_t)((e->tc ? DNS_TC : 0) | (e->ad && fresh ? DNS_AD : 0)),
		.ancount = e->ancount,
		.nscount = e->nscount,
		.arcount = e->arcount,
		.body_bytes = e->body_bytes,
		.age_s = age_s,
		.ttl_left_s = fresh ? life_s - age_s : 0,
		.stale_s = fresh ? 0 : age_s - life_s,
		.origin = e->origin,
		.retry_at_s = e->retry_at_s,
		.outage = e->outage,
	};
}

/* What `e` (NULL: nothing) is worth now. */
static enum cache_result judge(const struct shard_entry *e, const struct cache_rules *rules, uint32_t now_s, struct cache_hit *hit)
{
	if (!e) {
		*hit = (struct cache_hit){.rcode = 0};
		return CACHE_MISS;
	}
	uint32_t age_s = shard_elapsed(e->stored_s, now_s), life_s = e->expires_s - e->stored_s;
	if (!e->failure && (age_s < life_s || age_s - life_s < rules->serve_stale_s)) {
		tell_answer(e, age_s, life_s, hit);
		return age_s < life_s ? CACHE_FRESH : CACHE_STALE;
	}
	/* Nothing known, or only what is past serve-stale: the failure is all there is to say. */
	*hit = (struct cache_hit){.rcode = e->failed_rcode, .retry_at_s = e->retry_at_s, .outage = e->outage};
	if (e->retry_at_s != 0 && shard_elapsed(now_s, e->retry_at_s) > 0)
		return CACHE_FAILED;
	*hit = (struct cache_hit){.rcode = 0};
	return CACHE_MISS;
}

/* 16 bits of time are enough to keep two apart: taken wrongly once in 18 hours, a claim comes some seconds later. */
static bool claim(struct shard_entry *e, uint32_t now_s)
{
	if ((uint16_t)(now_s - e->claim_s) < CACHE_CLAIM_S)
		return false;
	e->claim_s = (uint16_t)now_s;
	return true;
}

/* Counts a hit. True if a refresh is due and nobody has claimed it: for a stale answer always, for a fresh one when it is popular and
 * near its end. */
static bool use(struct shard_entry *e, const struct cache_rules *rules, uint32_t now_s, const struct cache_hit *hit)
{
	bool popular = e->asked >= POPULAR_ASKED;
	uint64_t life_s = e->expires_s - e->stored_s;
	bool near_end = hit->ttl_left_s * UINT64_C(1000) <= life_s * rules->prefetch_pm && rules->prefetch_pm > 0;

	/* Written only when they change: an entry that all workers ask for stays in all their processor caches. */
	if (!e->visited)
		e->visited = 1;
	if (e->asked < SHARD_ASKED_MAX)
		e->asked = (e->asked + 1u) & SHARD_ASKED_MAX;
	if (hit->ttl_left_s > 0 && !(popular && near_end))
		return false;
	return claim(e, now_s);
}

static void copy_body(struct shard_entry *e, const struct cache_hit *hit, uint8_t *body)
{
	size_t body_at = SHARD_QUESTION_BYTES + (size_t)e->name_len;

	if (e->body_bytes > 0) /* `body` may be NULL then */
		memcpy(body, shard_entry_body(e), e->body_bytes);
	for (unsigned i = 0; i < e->ttls; i++) {
		uint8_t *at = body + (e->ttl_at[i] - body_at);
		uint32_t ttl_s = dns_get32(at);
		if (UNLIKELY(hit->ttl_left_s == 0))
			dns_put32(at, CACHE_STALE_TTL_S);
		else
			dns_put32(at, ttl_s > hit->age_s ? ttl_s - hit->age_s : 0);
	}
}

enum cache_result cache_get(struct cache *c, const struct cache_key *key, const struct cache_rules *rules, uint32_t now_s,
			    struct cache_room room, struct cache_hit *hit)
{
	struct cache_shard *s = shard_of(c, key);

	lock(s);
	struct shard_entry *e = cache_shard_find(s, key);
	enum cache_result result = judge(e, rules, now_s, hit);
	if (result == CACHE_FRESH || result == CACHE_STALE) {
		if (e->body_bytes > room.bytes) {
			result = CACHE_LARGE; /* the next call counts */
		} else {
			hit->refresh = use(e, rules, now_s, hit);
			copy_body(e, hit, room.at);
		}
	}
	unlock(s);
	return result;
}

enum cache_result cache_peek(struct cache *c, const struct cache_key *key, const struct cache_rules *rules, uint32_t now_s,
			     struct cache_hit *hit)
{
	struct cache_shard *s = shard_of(c, key);

	lock(s);
	enum cache_result result = judge(cache_shard_find(s, key), rules, now_s, hit);
	unlock(s);
	return result;
}

bool cache_claim(struct cache *c, const struct cache_key *key, uint32_t now_s)
{
	struct cache_shard *s = shard_of(c, key);

	lock(s);
	struct shard_entry *e = cache_shard_find(s, key);
	bool claimed = !e || e->failure || claim(e, now_s);
	unlock(s);
	return claimed;
}

/* ---- keeping ---- */

/* Writes the TTLs' offsets, the body and what is said of them. `rules` bound the TTLs; NULL leaves them. */
static void fill(struct shard_entry *e, const struct cache_answer *a, const struct cache_rules *rules, uint32_t stored_s, uint32_t life_s)
{
	size_t body_at = SHARD_QUESTION_BYTES + (size_t)e->name_len;
	uint8_t *body = shard_entry_body(e);

	e->stored_s = stored_s;
	e->expires_s = stored_s + life_s;
	e->claim_s = (uint16_t)(stored_s - CACHE_CLAIM_S);
	e->origin = a->origin;
	e->rcode = a->rcode & 0xfffu; /* all there are: RFC 6891 section 6.1.3 */
	e->tc = (a->flags & DNS_TC) != 0;
	e->ad = (a->flags & DNS_AD) != 0;
	e->ancount = a->ancount;
	e->nscount = a->nscount;
	e->arcount = a->arcount;
	e->negative = a->negative;
	if (a->body_bytes > 0)
		memcpy(body, a->body, a->body_bytes);
	for (unsigned i = 0; i < a->ttls; i++) {
		size_t at = (size_t)a->ttl_at[i] - a->body_at;
		e->ttl_at[i] = (uint16_t)(at + body_at);
		if (rules)
			dns_put32(body + at, cache_bound_ttl(rules, dns_get32(body + at), a->negative));
	}
}

/* The offsets lie in the body. */
static bool is_sound(const struct cache_answer *a)
{
	for (unsigned i = 0; i < a->ttls; i++)
		if (a->ttl_at[i] < a->body_at || a->ttl_at[i] - a->body_at + 4u > a->body_bytes)
			return false;
	return true;
}

static struct shard_size size_of(const struct cache_key *key, const struct cache_answer *a)
{
	return (struct shard_size){.name_len = key->name->len, .ttls = a->ttls, .body_bytes = a->body_bytes};
}

/* Fits the shard, and a message together with its question. */
static bool may_keep(const struct cache_shard *s, const struct shard_size *size)
{
	return size->body_bytes + SHARD_QUESTION_BYTES + size->name_len <= DNS_MESSAGE_MAX && cache_shard_fits(s, size);
}

/* A newer answer came that cannot be kept: the old one is no longer the truth, but may still be better than nothing. */
static void outdate(struct cache_shard *s, struct shard_entry *e, uint32_t now_s)
{
	if (e->failure) {
		cache_shard_remove(s, e);
		return;
	}
	uint32_t age_s = shard_elapsed(e->stored_s, now_s);
	if (age_s < e->expires_s - e->stored_s)
		e->expires_s = e->stored_s + age_s;
	e->retry_at_s = 0;
}

bool cache_put(struct cache *c, const struct cache_key *key, const struct cache_rules *rules, uint32_t now_s, const struct cache_answer *a)
{
	struct cache_shard *s = shard_of(c, key);
	struct shard_time time = {.now_s = now_s, .serve_stale_s = rules->serve_stale_s};
	struct shard_size size = size_of(key, a);
	uint32_t life_s = cache_bound_ttl(rules, a->ttl_s, a->negative);

	ASSERT(is_sound(a));
	lock(s);
	struct shard_entry *e = cache_shard_find(s, key);
	bool kept = life_s > 0 && may_keep(s, &size);
	if (kept)
		fill(cache_shard_place(s, e, key, &size, &time), a, rules, now_s, life_s);
	else if (e)
		outdate(s, e, now_s);
	unlock(s);
	return kept;
}

void cache_put_failure(struct cache *c, const struct cache_key *key, uint16_t rcode, uint32_t now_s, uint32_t retry_at_s, uint16_t outage)
{
	struct cache_shard *s = shard_of(c, key);
	struct shard_time time = {.now_s = now_s, .serve_stale_s = UINT32_MAX};
	struct shard_size size = {.name_len = key->name->len};

	lock(s);
	struct shard_entry *e = cache_shard_find(s, key);
	if (!e) {
		e = cache_shard_place(s, NULL, key, &size, &time);
		e->failure = 1;
		e->stored_s = e->expires_s = now_s;
	}
	e->failed_rcode = rcode;
	e->retry_at_s = retry_at_s;
	e->outage = outage;
	unlock(s);
}

/* ---- forgetting ---- */

static bool is_name(struct shard_entry *e, const struct name *n)
{
	return e->name_len == n->len && memcmp(shard_entry_name(e), n->octets, n->len) == 0;
}

static bool is_below(struct shard_entry *e, const struct name *zone)
{
	const uint8_t *octets = shard_entry_name(e);
	unsigned at = 0;

	if (e->name_len < zone->len)
		return false;
	unsigned suffix = (unsigned)e->name_len - zone->len;
	/* The octets may agree where no label begins. */
	while (at < suffix)
		at += octets[at] + 1u;
	return at == suffix && memcmp(octets + at, zone->octets, zone->len) == 0;
}

static uint64_t flush(struct cache *c, bool (*concerns)(struct shard_entry *e, const struct name *n), const struct name *n)
{
	uint64_t went = 0;

	for (uint32_t i = 0; i < c->shards; i++) {
		struct cache_shard *s = &c->shard[i];
		lock(s);
		for (struct shard_entry *e = cache_shard_next(s, NULL); e; e = cache_shard_next(s, e)) {
			if (!concerns(e, n))
				continue;
			cache_shard_remove(s, e);
			went++;
		}
		unlock(s);
	}
	return went;
}

uint64_t cache_flush_name(struct cache *c, const struct name *name)
{
	return flush(c, is_name, name);
}

uint64_t cache_flush_zone(struct cache *c, const struct name *zone)
{
	return flush(c, is_below, zone);
}

uint64_t cache_flush_all(struct cache *c)
{
	uint64_t went = 0;

	for (uint32_t i = 0; i < c->shards; i++) {
		lock(&c->shard[i]);
		went += cache_shard_clear(&c->shard[i]);
		unlock(&c->shard[i]);
	}
	return went;
}

/* ---- looking on ---- */

void cache_count(struct cache *c, struct cache_counts *out)
{
	*out = (struct cache_counts){.entries = 0};
	for (uint32_t i = 0; i < c->shards; i++) {
		struct cache_shard *s = &c->shard[i];
		lock(s);
		out->entries += s->entries;
		out->bytes += cache_shard_bytes(s);
		out->evictions += s->evictions;
		out->contended += s->contended;
		unlock(s);
	}
}

/* Fills `out` from `e`, without copying more than the name. */
static void unfold(const struct cache *c, struct shard_entry *e, struct cache_entry *out)
{
	int len = name_read(&out->name, shard_entry_name(e), e->name_len);

	ASSERT(len == e->name_len);
	out->key = (struct cache_key){.name = &out->name, .route = e->route, .type = e->type, .bits = e->key_bits};
	cache_key_hash(c, &out->key);
	out->stored_s = e->stored_s;
	out->expires_s = e->expires_s;
	out->answer = (struct cache_answer){
		.body = shard_entry_body(e),
		.body_bytes = e->body_bytes,
		.ttl_at = e->ttl_at,
		.ttls = e->ttls,
		.body_at = (uint16_t)(SHARD_QUESTION_BYTES + e->name_len),
		.rcode = e->rcode,
		.flags = (uint16_t)((e->tc ? DNS_TC : 0) | (e->ad ? DNS_AD : 0)),
		.ancount = e->ancount,
		.nscount = e->nscount,
		.arcount = e->arcount,
		.negative = e->negative,
		.ttl_s = e->expires_s - e->stored_s,
		.origin = e->origin,
	};
}

static bool walk(const struct cache *c, const struct cache_shard *s, bool (*see)(void *arg, const struct cache_entry *entry), void *arg)
{
	struct cache_entry entry;

	for (struct shard_entry *e = cache_shard_next(s, NULL); e; e = cache_shard_next(s, e)) {
		if (e->failure)
			continue;
		unfold(c, e, &entry);
		if (!see(arg, &entry))
			return false;
	}
	return true;
}

void cache_each(struct cache *c, bool (*see)(void *arg, const struct cache_entry *entry), void *arg)
{
	bool more = true;

	for (uint32_t i = 0; i < c->shards && more; i++) {
		lock(&c->shard[i]);
		more = walk(c, &c->shard[i], see, arg);
		unlock(&c->shard[i]);
	}
}

uint32_t cache_shards(const struct cache *c)
{
	return c->shards;
}

void cache_each_of_shard(struct cache *c, uint32_t shard, bool (*see)(void *arg, const struct cache_entry *entry), void *arg)
{
	ASSERT(shard < c->shards);
	lock(&c->shard[shard]);
	walk(c, &c->shard[shard], see, arg);
	unlock(&c->shard[shard]);
}

bool cache_restore(struct cache *c, const struct cache_entry *entry)
{
	const struct cache_answer *a = &entry->answer;
	struct cache_key key = entry->key;
	struct shard_time time = {.now_s = entry->stored_s, .serve_stale_s = UINT32_MAX};
	uint32_t life_s = shard_elapsed(entry->stored_s, entry->expires_s);

	/* A file may say anything; no assertion here. */
	if (life_s == 0 || !is_sound(a) || key.bits > (CACHE_KEY_DO | CACHE_KEY_CD))
		return false;
	key.name = &entry->name;
	cache_key_hash(c, &key);
	struct cache_shard *s = shard_of(c, &key);
	struct shard_size size = size_of(&key, a);
	lock(s);
	struct shard_entry *e = cache_shard_find(s, &key);
	/* What came over the wire meanwhile is newer. */
	bool kept = may_keep(s, &size) && !(e && !e->failure && shard_elapsed(entry->stored_s, e->stored_s) > 0);
	if (kept)
		fill(cache_shard_place(s, e, &key, &size, &time), a, NULL, entry->stored_s, life_s);
	unlock(s);
	return kept;
}
