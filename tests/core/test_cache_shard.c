/* SPDX-License-Identifier: Apache-2.0 */
/* Many entries: what is kept, what goes, how much memory it takes, and that ring and index agree whatever happens. */
#include "cached.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "core/cache_shard.h"

enum { KIB = 1024, MIB = 1024 * 1024, NAME_BYTES = 30 };

static struct made made;
static uint8_t out[CACHE_BODY_MAX];
static struct cache_hit hit;

static bool put(struct cache *c, const struct cache_key *key, uint32_t now_s, uint32_t seed, uint32_t bytes)
{
	return cache_put(c, key, &RULES, now_s, make(&made, seed, bytes, 600));
}

static enum cache_result get(struct cache *c, const struct cache_key *key, uint32_t now_s)
{
	return cache_get(c, key, &RULES, now_s, (struct cache_room){out, sizeof(out)}, &hit);
}

/* Number `i` is fresh, with the body that it was put with. */
static bool knows(struct cache *c, const char *prefix, unsigned i, uint32_t seed, uint32_t bytes)
{
	struct asked q;
	enum cache_result result = get(c, ask_numbered(&q, c, prefix, i), 0);

	if (result == CACHE_MISS)
		return false;
	assert_int_equal(result, CACHE_FRESH);
	assert_int_equal(hit.body_bytes, bytes);
	assert_true(is_made(out, seed, bytes, 600));
	return true;
}

static struct cache_counts count(struct cache *c)
{
	struct cache_counts counts;

	cache_count(c, &counts);
	return counts;
}

/* ThreadSanitizer keeps a shadow several times as large beside each page: what is resident then says nothing. */
#ifdef __SANITIZE_THREAD__
enum { SHADOWED = 1 };
#else
enum { SHADOWED = 0 };
#endif

/* What the heap has of it: the cache's is nowhere else. Exact, unlike /proc/self/statm, whose counters lag by some dozen pages, and nobody
 * else's business, unlike Pss, which changes when others begin or cease to map the same libraries. */
static long resident_bytes(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");

	assert_non_null(f);
	while (kib < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, "Anonymous:", 10) == 0)
			kib = strtol(line + 10, NULL, 10);
	(void)fclose(f);
	assert_true(kib > 0);
	return kib * KIB;
}

/* ---- memory ---- */

static void empty_cache_takes_next_to_no_memory(void **state)
{
	(void)state;
	if (SHADOWED)
		skip();
	long before = resident_bytes();
	struct cache *c = cache_new(64 * MIB);
	assert_in_range(resident_bytes() - before + 1, 0, 200 * KIB);
	assert_int_equal(count(c).bytes, 0);
	cache_unref(c);
}

static void answer_with_one_address_takes_at_most_140_bytes(void **state)
{
	struct cache *c = cache_new(64 * MIB);
	struct asked q;

	(void)state;
	if (SHADOWED)
		skip();
	long before = resident_bytes();
	for (unsigned i = 0; i < 100000; i++)
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
	assert_int_equal(count(c).entries, 100000);
	assert_in_range(count(c).bytes, 9000000, 12500000);
	assert_in_range(resident_bytes() - before, 0, 14000000);
	for (unsigned i = 0; i < 100000; i += 7)
		assert_true(knows(c, "u", i, i, 16));
	cache_unref(c);
}

static void overfilled_cache_holds_its_budget(void **state)
{
	static const uint64_t sizes[] = {0, 64 * KIB, 300 * KIB, 3 * MIB + 1, 8 * MIB};
	struct asked q;

	(void)state;
	if (SHADOWED)
		skip();
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct cache *c = cache_new(sizes[s]);
		uint64_t budget = MAX(sizes[s], 64u * KIB), random = 5;
		long before = resident_bytes();
		unsigned puts = (unsigned)(budget / 1000);
		for (unsigned i = 0; i < puts; i++)
			assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 12 + next_number(&random) % (8 * KIB - 11)));
		assert_true(count(c).bytes <= budget);
		assert_true(count(c).bytes >= budget * 3 / 4);
		assert_true(count(c).evictions > 0);
		assert_in_range(resident_bytes() - before, 0, budget + budget / 20 + 320 * KIB);
		for (unsigned i = 0; i < puts; i++) {
			bool known = get(c, ask_numbered(&q, c, "u", i), 0) == CACHE_FRESH;
			assert_true(!known || is_made(out, i, hit.body_bytes, 600));
		}
		cache_unref(c);
	}
}

static void memory_is_given_back_when_everything_is_flushed(void **state)
{
	struct cache *c = cache_new(16 * MIB);
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 500));
	long before = resident_bytes();
	assert_int_equal(cache_flush_all(c), 20000);
	assert_true(before - resident_bytes() > 8 * MIB);
	cache_unref(c);
}

static void last_reference_frees(void **state)
{
	struct cache *c = cache_new(MIB);
	struct asked q;

	(void)state;
	assert_ptr_equal(cache_ref(c), c);
	cache_unref(c);
	assert_true(put(c, ask_numbered(&q, c, "u", 1), 0, 1, 16));
	assert_true(knows(c, "u", 1, 1, 16));
	cache_unref(c);
}

/* ---- who stays ---- */

static void names_asked_throughout_survive_a_scan(void **state)
{
	enum { POPULAR = 1000, SCAN = 10 * 5000 };
	static const uint64_t sizes[] = {512 * KIB, MIB, 8 * MIB};
	struct asked q;

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct cache *c = cache_new(sizes[s]);
		unsigned left = 0, scan = SCAN * (unsigned)(sizes[s] / sizes[0]);
		for (unsigned i = 0; i < POPULAR; i++)
			assert_true(put(c, ask_numbered(&q, c, "hot", i), 0, i, 16));
		for (unsigned i = 0; i < scan; i++) {
			assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
			if (i % 2 == 0)
				(void)knows(c, "hot", i / 2 % POPULAR, i / 2 % POPULAR, 16);
		}
		for (unsigned i = 0; i < POPULAR; i++)
			left += knows(c, "hot", i, i, 16);
		assert_in_range(left, POPULAR * 95 / 100, POPULAR);
		cache_unref(c);
	}
}

static void oldest_goes_first_where_nobody_asks(void **state)
{
	struct cache *c = cache_new(256 * KIB);
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
	unsigned kept = (unsigned)count(c).entries;
	assert_int_equal(kept + count(c).evictions, 10000);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(knows(c, "u", i, i, 16), i >= 10000 - kept);
	cache_unref(c);
}

static void answer_that_is_replaced_counts_as_asked_for(void **state)
{
	struct cache *c = cache_new(256 * KIB);
	struct asked q;

	(void)state;
	assert_true(put(c, ask_numbered(&q, c, "short", 1), 0, 1, 16));
	for (unsigned i = 0; i < 10000; i++) {
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
		if (i % 500 == 0)
			assert_true(put(c, ask_numbered(&q, c, "short", 1), 0, i, 16));
	}
	assert_true(knows(c, "short", 1, 9500, 16));
	cache_unref(c);
}

static void name_past_serve_stale_goes_even_if_it_was_popular(void **state)
{
	for (int useless = 0; useless < 2; useless++) {
		struct cache *c = cache_new(256 * KIB);
		uint32_t now_s = 600 + RULES.serve_stale_s + (useless ? 1 : 0);
		struct asked q;

		(void)state;
		assert_true(put(c, ask_numbered(&q, c, "hot", 1), 0, 1, 16));
		assert_true(knows(c, "hot", 1, 1, 16));
		/* Just enough for the tail to come by once. */
		for (unsigned i = 0; count(c).evictions < 2; i++)
			assert_true(put(c, ask_numbered(&q, c, "u", i), now_s, i, 16));
		assert_int_equal(knows(c, "hot", 1, 1, 16), !useless);
		cache_unref(c);
	}
}

static void insertion_gives_up_moving_when_everything_is_popular(void **state)
{
	struct cache *c = cache_new(256 * KIB);
	struct asked q;
	unsigned i = 0;

	(void)state;
	for (; count(c).evictions == 0; i++)
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
	for (unsigned j = 0; j < i; j++)
		(void)knows(c, "u", j, j, 16);
	uint64_t before = count(c).evictions;
	assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
	assert_in_range(count(c).evictions - before, 1, 2);
	/* Some were moved, not all: the rest is still marked and gets its turn later. */
	assert_true(put(c, ask_numbered(&q, c, "u", i + 1), 0, i, 16));
	assert_in_range(count(c).evictions - before, 2, 4);
	cache_unref(c);
}

static void failures_are_kept_like_answers_and_walked_past(void **state)
{
	struct cache *c = cache_new(256 * KIB);
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		cache_put_failure(c, ask_numbered(&q, c, "u", i), DNS_SERVFAIL, 0, 5, 0);
	assert_in_range(count(c).entries, 2000, 4000);
	for (unsigned i = 19000; i < 20000; i++)
		assert_int_equal(get(c, ask_numbered(&q, c, "u", i), 1), CACHE_FAILED);
	cache_unref(c);
}

/* ---- ring and index ---- */

static void bodies_stay_whole_where_the_ring_wraps(void **state)
{
	enum { LAST = 8 };
	struct cache *c = cache_new(256 * KIB);
	static uint32_t sizes[5000];
	uint64_t random = 9;
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		sizes[i] = next_number(&random) % (16 * KIB);
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, sizes[i]));
		for (unsigned j = i > LAST ? i - LAST : 0; j <= i; j++)
			assert_true(knows(c, "u", j, j, sizes[j]));
	}
	cache_unref(c);
}

static void index_grows_when_answers_get_smaller_later(void **state)
{
	struct cache *c = cache_new(256 * KIB);
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		assert_true(put(c, ask_numbered(&q, c, "large", i), 0, i, 5000));
	assert_in_range(count(c).entries, 40, 60);
	for (unsigned i = 0; i < 20000; i++) {
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 16));
		assert_true(knows(c, "u", i, i, 16));
	}
	/* As many as if it had never held anything else, and all can be found. */
	assert_in_range(count(c).entries, 2000, 2500);
	assert_true(count(c).bytes <= 256 * KIB);
	for (unsigned i = 18000; i < 20000; i++)
		assert_true(knows(c, "u", i, i, 16));
	cache_unref(c);
}

/* What the index says and what the ring says must be the same. */
static void check_agreement(const struct cache_shard *s)
{
	struct asked q;
	unsigned seen = 0;

	for (struct shard_entry *e = cache_shard_next(s, NULL); e; e = cache_shard_next(s, e), seen++) {
		assert_false(e->dead);
		assert_true(name_read(&q.name, shard_entry_name(e), e->name_len) == e->name_len);
		q.key = (struct cache_key){.name = &q.name, .route = e->route, .type = e->type, .bits = e->key_bits, .hash = e->tag};
		assert_ptr_equal(cache_shard_find(s, &q.key), e);
		for (unsigned i = 0; i < e->body_bytes; i++)
			assert_int_equal(shard_entry_body(e)[i], octet_of(e->origin, i));
	}
	assert_int_equal(seen, s->entries);
	unsigned slots = 0;
	for (uint32_t i = 0; i <= s->mask; i++)
		slots += s->index[i].at != 0;
	assert_int_equal(slots, s->entries);
	assert_true(cache_shard_bytes(s) <= (uint64_t)s->granules * SHARD_GRANULE_BYTES);
}

/* In memory that the sanitizers watch, and with hashes that collide often. */
static void ring_and_index_agree_whatever_happens(void **state)
{
	enum { SLICE = 64 * KIB, OPERATIONS = 150000 };
	uint64_t random = 77;
	void *slice = aligned_alloc(4096, SLICE);
	struct cache_shard *s = aligned_alloc(64, sizeof(*s));
	struct asked q;
	uint32_t most = 0;

	(void)state;
	assert_non_null(slice);
	assert_non_null(s);
	memset(s, 0, sizeof(*s));
	memset(slice, 0, SLICE);
	(void)mlock(slice, SLICE); /* then the kernel does not clear it when the shard is cleared */
	cache_shard_init(s, slice, SLICE);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		/* Phases of small and of large answers, over few and over many names. */
		unsigned phase = i / 10000 % 5, names = phase % 2 ? 3000 : 200;
		name_from(&q.name, (char[]){'a', (char)('a' + next_number(&random) % 20), '.', (char)('a' + next_number(&random) % 20), 0});
		q.key = (struct cache_key){.name = &q.name, .route = next_number(&random) % names, .type = 1};
		q.key.hash = (q.key.route * 2654435761u + q.name.octets[2]) & (phase == 3 ? 0xffffff00u : UINT32_MAX);
		struct shard_size size = {.name_len = q.name.len, .ttls = next_number(&random) % 4};
		size.body_bytes = next_number(&random) % (phase == 2 ? 12000 : phase == 4 ? 300 : 20);
		struct shard_time time = {.now_s = i, .serve_stale_s = 100};
		struct shard_entry *e = cache_shard_find(s, &q.key);
		unsigned what = next_number(&random) % 16;
		if (what == 0 && e) {
			cache_shard_remove(s, e);
			assert_null(cache_shard_find(s, &q.key));
		} else if (what < 4 && e) {
			e->visited = 1;
		} else if (cache_shard_fits(s, &size)) {
			e = cache_shard_place(s, e, &q.key, &size, &time);
			e->origin = i;
			e->expires_s = i + 1000;
			for (unsigned k = 0; k < size.body_bytes; k++)
				shard_entry_body(e)[k] = octet_of(i, k);
			assert_ptr_equal(cache_shard_find(s, &q.key), e);
		}
		if (i % 499 == 0)
			check_agreement(s);
		uint32_t entries = s->entries;
		most = MAX(most, entries);
		if (i % 40000 == 39999)
			assert_int_equal(cache_shard_clear(s), entries);
	}
	assert_true(most > 500);
	(void)munlock(slice, SLICE);
	free(slice);
	free(s);
}

/* ---- forgetting ---- */

static void flushed_name_loses_all_types_and_routes_and_no_other_name(void **state)
{
	struct cache *c = cache_new(MIB);
	struct asked q;

	(void)state;
	for (uint16_t type = 1; type <= 20; type++) {
		ask(&q, c, "www.example", type);
		q.key.route = type * 1000u;
		cache_key_hash(c, &q.key);
		assert_true(put(c, &q.key, 0, type, 30));
	}
	cache_put_failure(c, ask(&q, c, "www.example", 99), DNS_SERVFAIL, 0, 5, 0);
	assert_true(put(c, ask(&q, c, "example", 1), 0, 1, 30));
	assert_true(put(c, ask(&q, c, "a.www.example", 1), 0, 1, 30));
	name_from(&q.name, "www.example");
	assert_int_equal(cache_flush_name(c, &q.name), 21);
	assert_int_equal(cache_flush_name(c, &q.name), 0);
	assert_int_equal(count(c).entries, 2);
	assert_int_equal(get(c, ask(&q, c, "a.www.example", 1), 1), CACHE_FRESH);
	assert_int_equal(get(c, ask(&q, c, "example", 1), 1), CACHE_FRESH);
	assert_int_equal(get(c, ask(&q, c, "www.example", 99), 1), CACHE_MISS);
	for (uint16_t type = 1; type <= 20; type++) {
		ask(&q, c, "www.example", type);
		q.key.route = type * 1000u;
		cache_key_hash(c, &q.key);
		assert_int_equal(get(c, &q.key, 1), CACHE_MISS);
	}
	cache_unref(c);
}

static void flushed_zone_loses_what_lies_below_it_on_label_boundaries(void **state)
{
	struct cache *c = cache_new(MIB);
	static const char *const names[] = {
		"example.internal", "a.example.internal", "b.a.example.internal", "xexample.internal", "internal", "example.internal.x",
		""};
	struct asked q;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(put(c, ask(&q, c, names[i], 1), 0, i, 30));
	/* The octets of `\7example\10internal` inside a label: the same octets, but no label begins there. */
	name_from(&q.name, "ab\007example\010internal");
	q.key = (struct cache_key){.name = &q.name, .route = ROUTE, .type = 1};
	cache_key_hash(c, &q.key);
	assert_true(put(c, &q.key, 0, 77, 30));
	name_from(&q.name, "example.internal");
	assert_int_equal(cache_flush_zone(c, &q.name), 3);
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(get(c, ask(&q, c, names[i], 1), 1), i < 3 ? CACHE_MISS : CACHE_FRESH);
	name_from(&q.name, "");
	assert_int_equal(cache_flush_zone(c, &q.name), 5);
	assert_int_equal(count(c).entries, 0);
	cache_unref(c);
}

static void flush_of_everything_leaves_an_empty_cache_that_works(void **state)
{
	struct cache *c = cache_new(MIB);
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		assert_true(put(c, ask_numbered(&q, c, "u", i), 0, i, 100));
	assert_int_equal(cache_flush_all(c), 3000);
	assert_int_equal(cache_flush_all(c), 0);
	assert_int_equal(count(c).entries, 0);
	assert_int_equal(count(c).bytes, 0);
	assert_int_equal(count(c).evictions, 0);
	assert_int_equal(get(c, ask_numbered(&q, c, "u", 7), 1), CACHE_MISS);
	assert_true(put(c, &q.key, 1, 7, 100));
	assert_int_equal(get(c, &q.key, 2), CACHE_FRESH);
	assert_true(is_made(out, 7, 100, 599));
	cache_unref(c);
}

/* ---- walking and putting back ---- */

struct seen {
	struct cache *to;
	unsigned entries, stop_after;
};

static bool see(void *arg, const struct cache_entry *entry)
{
	struct seen *seen = arg;

	assert_int_equal(entry->answer.body_at, 16 + entry->name.len);
	if (seen->to)
		assert_true(cache_restore(seen->to, entry));
	return ++seen->entries != seen->stop_after;
}

static void walk_sees_answers_and_moves_them_to_a_cache_of_another_size(void **state)
{
	struct cache *from = cache_new(2 * MIB), *to = cache_new(16 * MIB);
	struct seen seen = {.to = to};
	struct asked q;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		ask_numbered(&q, from, "u", i);
		q.key.bits = i & 3;
		cache_key_hash(from, &q.key);
		make(&made, i, 10 + i % 300, 600);
		made.answer.flags = DNS_AD | DNS_TC;
		made.answer.rcode = DNS_NXDOMAIN;
		assert_true(cache_put(from, &q.key, &RULES, 100, &made.answer));
		cache_put_failure(from, ask_numbered(&q, from, "failed", i), DNS_SERVFAIL, 0, 5, 0);
	}
	cache_each(from, see, &seen);
	assert_int_equal(seen.entries, 3000);
	assert_int_equal(count(to).entries, 3000);
	for (unsigned i = 0; i < 3000; i++) {
		ask_numbered(&q, to, "u", i);
		q.key.bits = i & 3;
		cache_key_hash(to, &q.key);
		assert_int_equal(cache_get(to, &q.key, &RULES, 150, (struct cache_room){out, sizeof(out)}, &hit), CACHE_FRESH);
		assert_true(is_made(out, i, 10 + i % 300, 550));
		assert_int_equal(hit.flags, DNS_AD | DNS_TC);
		assert_int_equal(hit.rcode, DNS_NXDOMAIN);
		assert_int_equal(hit.origin, i);
		assert_int_equal(hit.age_s, 50);
	}
	seen = (struct seen){.stop_after = 10};
	cache_each(from, see, &seen);
	assert_int_equal(seen.entries, 10);
	seen = (struct seen){0};
	for (uint32_t i = 0; i < cache_shards(from); i++)
		cache_each_of_shard(from, i, see, &seen);
	assert_int_equal(seen.entries, 3000);
	cache_unref(from);
	cache_unref(to);
}

static void restored_answer_keeps_its_times_and_never_replaces_a_later_one(void **state)
{
	struct cache *c = cache_new(MIB);
	struct cache_entry entry = {.key = {.route = ROUTE, .type = DNS_TYPE_A}, .stored_s = (uint32_t)-500, .expires_s = 100};
	struct asked q;

	(void)state;
	/* Stored before the clock's zero; not bounded again. */
	entry.answer = *make(&made, 1, 20, 100000);
	name_from(&entry.name, "www.example");
	assert_true(cache_restore(c, &entry));
	assert_int_equal(get(c, ask(&q, c, "www.example", DNS_TYPE_A), 50), CACHE_FRESH);
	assert_int_equal(hit.age_s, 550);
	assert_int_equal(hit.ttl_left_s, 50);
	assert_true(is_made(out, 1, 20, 100000 - 550));
	assert_int_equal(get(c, &q.key, 200), CACHE_STALE);
	assert_int_equal(hit.stale_s, 100);
	assert_true(put(c, &q.key, 300, 2, 20));
	assert_false(cache_restore(c, &entry));
	assert_int_equal(get(c, &q.key, 300), CACHE_FRESH);
	assert_true(is_made(out, 2, 20, 600));
	cache_unref(c);
}

static void entry_from_a_damaged_file_is_refused(void **state)
{
	struct cache *c = cache_new(MIB);
	struct cache_entry good = {.key = {.route = ROUTE, .type = DNS_TYPE_A}, .stored_s = 10, .expires_s = 20}, bad;

	(void)state;
	good.answer = *make(&made, 1, 20, 10);
	name_from(&good.name, "www.example");
	bad = good;
	bad.expires_s = 10;
	assert_false(cache_restore(c, &bad));
	bad.expires_s = 5;
	assert_false(cache_restore(c, &bad));
	bad = good;
	bad.key.bits = 4;
	assert_false(cache_restore(c, &bad));
	bad = good;
	bad.answer.body_bytes = 9;
	assert_false(cache_restore(c, &bad));
	bad = good;
	bad.answer.body_at = 60;
	assert_false(cache_restore(c, &bad));
	bad = good;
	bad.answer.body_bytes = UINT32_MAX;
	assert_false(cache_restore(c, &bad));
	assert_int_equal(count(c).entries, 0);
	assert_true(cache_restore(c, &good));
	cache_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_cache_takes_next_to_no_memory),
		cmocka_unit_test(answer_with_one_address_takes_at_most_140_bytes),
		cmocka_unit_test(overfilled_cache_holds_its_budget),
		cmocka_unit_test(memory_is_given_back_when_everything_is_flushed),
		cmocka_unit_test(last_reference_frees),
		cmocka_unit_test(names_asked_throughout_survive_a_scan),
		cmocka_unit_test(oldest_goes_first_where_nobody_asks),
		cmocka_unit_test(answer_that_is_replaced_counts_as_asked_for),
		cmocka_unit_test(name_past_serve_stale_goes_even_if_it_was_popular),
		cmocka_unit_test(insertion_gives_up_moving_when_everything_is_popular),
		cmocka_unit_test(failures_are_kept_like_answers_and_walked_past),
		cmocka_unit_test(bodies_stay_whole_where_the_ring_wraps),
		cmocka_unit_test(index_grows_when_answers_get_smaller_later),
		cmocka_unit_test(ring_and_index_agree_whatever_happens),
		cmocka_unit_test(flushed_name_loses_all_types_and_routes_and_no_other_name),
		cmocka_unit_test(flushed_zone_loses_what_lies_below_it_on_label_boundaries),
		cmocka_unit_test(flush_of_everything_leaves_an_empty_cache_that_works),
		cmocka_unit_test(walk_sees_answers_and_moves_them_to_a_cache_of_another_size),
		cmocka_unit_test(restored_answer_keeps_its_times_and_never_replaces_a_later_one),
		cmocka_unit_test(entry_from_a_damaged_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
