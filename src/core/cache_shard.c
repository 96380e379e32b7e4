/* SPDX-License-Identifier: Apache-2.0 */
/* The ring is a log with CLOCK (Corbató, 1968) on it: FIFO with reinsertion, which keeps more than LRU does where many names are
 * asked once ("FIFO queues are all you need for cache eviction", Yang et al., SOSP 2023) and asks nothing of a hit but a bit. The
 * index is linear probing with deletion by shifting back (Knuth, volume 3, section 6.4, algorithm R), so it has no tombstones and
 * never has to be cleaned.
 *
 * Numbers. Load 4/5: an unsuccessful search looks at 13 slots on average, a successful one at 3 (Knuth, 6.4); eight slots are a cache
 * line. 7/8 while the ring is still in the way of a larger index: 33 and 5. The hash is keyed, so nobody outside makes it worse.
 * The first index is small, so that few answers lie in few cache lines. */
#include "core/cache_shard.h"

#include <string.h>
#include <sys/mman.h>

enum {
	RING_FIRST = 1, /* granule 0 is left out: a slot's `at` 0 means empty */
	FIRST_SLOTS = 16,
	/* What one insertion may move from tail to head: some 85 small entries, about 5 us. Then it drops what comes, asked for or
	 * not. A tail full of popular entries thus loses one in 85, where a limit of eight entries would lose one in nine. */
	MOVE_GRANULES = 8192 / SHARD_GRANULE_BYTES,
};

_Static_assert(sizeof(struct shard_slot) == SHARD_GRANULE_BYTES, "slots are counted in granules");
_Static_assert(sizeof(struct shard_entry) == 48, "an entry's head must not grow unnoticed");

static inline struct shard_entry *entry_at(const struct cache_shard *s, uint32_t at)
{
	return (struct shard_entry *)(void *)(s->ring + at);
}

static inline uint32_t place_of(const struct cache_shard *s, const struct shard_entry *e)
{
	return (uint32_t)((const uint64_t *)(const void *)e - s->ring);
}

static uint32_t granules_for(const struct shard_size *size)
{
	size_t bytes = sizeof(struct shard_entry) + size->ttls * sizeof(uint16_t) + size->name_len + size->body_bytes;

	return (uint32_t)((bytes + SHARD_GRANULE_BYTES - 1) / SHARD_GRANULE_BYTES);
}

/* ---- index ---- */

static bool has_key(struct shard_entry *e, const struct cache_key *key)
{
	return e->route == key->route && e->type == key->type && e->key_bits == key->bits && e->name_len == key->name->len &&
	       memcmp(shard_entry_name(e), key->name->octets, key->name->len) == 0;
}

struct shard_entry *cache_shard_find(const struct cache_shard *s, const struct cache_key *key)
{
	uint32_t tag = (uint32_t)key->hash;

	for (uint32_t i = tag & s->mask;; i = (i + 1) & s->mask) {
		const struct shard_slot *slot = &s->index[i];
		if (slot->at == 0)
			return NULL;
		if (slot->tag != tag)
			continue;
		struct shard_entry *e = entry_at(s, slot->at);
		/* The name and the body lie on the next lines: on their way while the key is compared. */
		__builtin_prefetch((const char *)e + 64);
		if (LIKELY(has_key(e, key)))
			return e;
	}
}

/* The slot of a live entry. */
static uint32_t slot_of(const struct cache_shard *s, uint32_t tag, uint32_t at)
{
	uint32_t i = tag & s->mask;

	while (s->index[i].at != at) {
		ASSERT(s->index[i].at != 0);
		i = (i + 1) & s->mask;
	}
	return i;
}

static void link_entry(struct cache_shard *s, uint32_t tag, uint32_t at)
{
	uint32_t i = tag & s->mask;

	while (s->index[i].at != 0)
		i = (i + 1) & s->mask;
	s->index[i] = (struct shard_slot){.tag = tag, .at = at};
}

/* Empties slot `hole`: whoever stands behind it, and would no longer be found across it, moves into it. */
static void unlink_slot(struct cache_shard *s, uint32_t hole)
{
	for (uint32_t i = (hole + 1) & s->mask; s->index[i].at != 0; i = (i + 1) & s->mask) {
		uint32_t home = s->index[i].tag & s->mask;
		if (((i - home) & s->mask) < ((i - hole) & s->mask))
			continue;
		s->index[hole] = s->index[i];
		hole = i;
	}
	s->index[hole].at = 0;
}

void cache_shard_remove(struct cache_shard *s, struct shard_entry *e)
{
	unlink_slot(s, slot_of(s, e->tag, place_of(s, e)));
	e->dead = 1;
	s->entries--;
}

/* ---- ring ---- */

static bool ring_has_room(const struct cache_shard *s, uint32_t granules)
{
	return s->head + granules <= (s->wrapped ? s->tail : s->limit);
}

/* The rest of the head's lap is too short for what comes: it goes on at the start. */
static void wrap_head(struct cache_shard *s)
{
	s->lap_end = s->head;
	s->head = RING_FIRST;
	s->wrapped = true;
}

/* Takes the oldest entry, dead or alive, off the ring, not out of the index; its octets stay readable until something is written. */
static struct shard_entry *advance_tail(struct cache_shard *s)
{
	struct shard_entry *e = entry_at(s, s->tail);

	s->tail += e->granules;
	if (s->wrapped && s->tail == s->lap_end) {
		s->tail = RING_FIRST;
		s->wrapped = false;
	}
	return e;
}

static bool is_worth_moving(const struct shard_entry *e, const struct shard_time *time)
{
	uint32_t past_s = shard_elapsed(e->expires_s, time->now_s);

	return e->visited && past_s <= time->serve_stale_s;
}

/* Moves an entry that has just left the tail to the head, and only what it really needs. Returns the granules moved; 0 when there
 * is no room. */
static uint32_t move_to_head(struct cache_shard *s, struct shard_entry *e)
{
	struct shard_size size = {.name_len = e->name_len, .ttls = e->ttls, .body_bytes = e->body_bytes};
	uint32_t granules = granules_for(&size);

	/* Its own octets have made room for it, unless a growing index has just shortened the lap. */
	if (!ring_has_room(s, granules))
		return 0;
	struct shard_slot *slot = &s->index[slot_of(s, e->tag, place_of(s, e))];
	struct shard_entry *moved = entry_at(s, s->head);
	memmove(moved, e, (size_t)granules * SHARD_GRANULE_BYTES);
	moved->granules = (uint16_t)granules;
	moved->visited = 0;
	slot->at = s->head;
	s->head += granules;
	return granules;
}

/* Deals with the oldest entry. Returns the granules moved to the head; 0 when it is gone. */
static uint32_t pass_tail(struct cache_shard *s, const struct shard_time *time, bool may_move)
{
	struct shard_entry *e = advance_tail(s);

	if (e->dead)
		return 0;
	uint32_t moved = may_move && is_worth_moving(e, time) ? move_to_head(s, e) : 0;
	if (moved == 0) {
		cache_shard_remove(s, e);
		s->evictions++;
	}
	return moved;
}

struct shard_entry *cache_shard_next(const struct cache_shard *s, const struct shard_entry *e)
{
	struct shard_entry *next;

	if (!e && s->tail == s->head && !s->wrapped)
		return NULL;
	do {
		/* A full ring's tail is its head too: only behind an entry does that mean the end. */
		uint32_t at = e ? place_of(s, e) + e->granules : s->tail;
		if (s->wrapped && at == s->lap_end)
			at = RING_FIRST;
		if (e && at == s->head)
			return NULL;
		e = next = entry_at(s, at);
	} while (next->dead);
	return next;
}

/* ---- both ---- */

/* Doubles the index. The entries know their tags, so it is written anew from the ring: no memory beyond the slice is needed. */
static void grow_index(struct cache_shard *s)
{
	uint32_t slots = 2 * (s->mask + 1);

	s->mask = slots - 1;
	s->index = (struct shard_slot *)(void *)(s->ring + s->limit);
	memset(s->index, 0, slots * sizeof(struct shard_slot));
	for (struct shard_entry *e = cache_shard_next(s, NULL); e; e = cache_shard_next(s, e))
		link_entry(s, e->tag, place_of(s, e));
}

/* Makes sure that one more entry may be linked. Returns the granules moved to the head meanwhile. */
static uint32_t make_index_room(struct cache_shard *s, const struct shard_time *time)
{
	uint32_t slots = s->mask + 1, moved = 0;

	if (s->entries >= slots / 5 * 4) {
		/* From now on the ring wraps earlier; the index grows once nothing lies in its way. An entry takes at least seven
		 * granules, so a full index of `slots` means a ring 5.6 times as long: doubled it takes a third of the slice at most. */
		s->limit = s->granules - 2 * slots;
		ASSERT(s->limit >= s->granules / 2);
		if ((s->wrapped ? s->lap_end : s->head) <= s->limit)
			grow_index(s);
	}
	slots = s->mask + 1;
	while (s->entries >= slots - slots / 8)
		moved += pass_tail(s, time, moved < MOVE_GRANULES);
	return moved;
}

/* Makes `granules` in one piece at the head. Each round frees a place or moves an entry, and moves are counted: the time is bounded. */
static void make_ring_room(struct cache_shard *s, uint32_t granules, const struct shard_time *time, uint32_t moved)
{
	while (!ring_has_room(s, granules)) {
		if (s->wrapped)
			moved += pass_tail(s, time, moved < MOVE_GRANULES);
		else
			wrap_head(s);
	}
}

bool cache_shard_fits(const struct cache_shard *s, const struct shard_size *size)
{
	return granules_for(size) <= s->granules / 4;
}

struct shard_entry *cache_shard_place(struct cache_shard *s, struct shard_entry *old, const struct cache_key *key,
				      const struct shard_size *size, const struct shard_time *time)
{
	uint32_t granules = granules_for(size);
	bool in_place = old && granules <= old->granules;
	struct shard_entry *e = old;

	ASSERT(granules <= s->granules / 4);
	if (in_place) {
		granules = old->granules;
	} else {
		if (old)
			cache_shard_remove(s, old);
		make_ring_room(s, granules, time, make_index_room(s, time));
		e = entry_at(s, s->head);
		link_entry(s, (uint32_t)key->hash, s->head);
		s->head += granules;
		s->entries++;
		s->touched = true;
	}
	/* An entry that is written over in its place was asked for again: that is how the new answer came. */
	*e = (struct shard_entry){
		.tag = (uint32_t)key->hash,
		.route = key->route,
		.granules = (uint16_t)granules,
		.type = key->type,
		.body_bytes = (uint16_t)size->body_bytes,
		.ttls = (uint16_t)size->ttls,
		.key_bits = key->bits & 3u,
		.name_len = (uint8_t)size->name_len,
		.visited = in_place,
	};
	memcpy(shard_entry_name(e), key->name->octets, size->name_len);
	return e;
}

static void reset(struct cache_shard *s)
{
	s->mask = FIRST_SLOTS - 1;
	s->entries = 0;
	s->tail = s->head = RING_FIRST;
	s->limit = s->granules - FIRST_SLOTS;
	s->index = (struct shard_slot *)(void *)(s->ring + s->limit);
	s->wrapped = s->touched = false;
}

void cache_shard_init(struct cache_shard *s, void *slice, size_t bytes)
{
	s->ring = slice;
	s->granules = (uint32_t)(bytes / SHARD_GRANULE_BYTES);
	reset(s);
}

uint64_t cache_shard_clear(struct cache_shard *s)
{
	uint64_t went = s->entries;

	if (!s->touched)
		return 0;
	reset(s);
	/* Locked memory is not given back: the index must be empty all the same. */
	memset(s->index, 0, FIRST_SLOTS * sizeof(struct shard_slot));
	(void)madvise(s->ring, (size_t)s->granules * SHARD_GRANULE_BYTES, MADV_DONTNEED);
	return went;
}

uint64_t cache_shard_bytes(const struct cache_shard *s)
{
	uint64_t ring = s->wrapped ? (uint64_t)(s->lap_end - s->tail) + (s->head - RING_FIRST) : s->head - s->tail;

	return (ring + (s->touched ? s->mask + 1 : 0)) * SHARD_GRANULE_BYTES;
}
