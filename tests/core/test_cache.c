/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache promises about one entry; see test_cache_shard.c for many of them and test_cache_threads.c for several threads. */
#include "cached.h"

static struct cache *cache;
static struct made made;
static uint8_t out[CACHE_BODY_MAX];
static struct cache_hit hit;

static int set_up(void **state)
{
	(void)state;
	cache = cache_new(1 << 20);
	return cache ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	cache_unref(cache);
	return 0;
}

static enum cache_result get(const struct cache_key *key, uint32_t now_s)
{
	memset(&hit, 0xee, sizeof(hit));
	return cache_get(cache, key, &RULES, now_s, (struct cache_room){out, sizeof(out)}, &hit);
}

static void put(const struct cache_key *key, uint32_t now_s, uint32_t seed, uint32_t bytes, uint32_t ttl_s)
{
	assert_true(cache_put(cache, key, &RULES, now_s, make(&made, seed, bytes, ttl_s)));
}

static uint64_t entries(void)
{
	struct cache_counts counts;

	cache_count(cache, &counts);
	return counts.entries;
}

/* ---- fresh and stale ---- */

static void unknown_name_is_a_miss(void **state)
{
	struct asked q;

	(void)state;
	assert_int_equal(get(ask(&q, cache, "www.example", DNS_TYPE_A), 5), CACHE_MISS);
	assert_int_equal(hit.retry_at_s, 0);
	assert_false(hit.refresh);
}

static void fresh_answer_comes_back_with_all_that_was_said_of_it(void **state)
{
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	make(&made, 3, 200, 300);
	made.answer.rcode = 0xabc;
	made.answer.flags = 0xffff;
	made.answer.nscount = 8;
	made.answer.arcount = 9;
	assert_true(cache_put(cache, &q.key, &RULES, 1000, &made.answer));
	assert_int_equal(get(&q.key, 1100), CACHE_FRESH);
	assert_true(is_made(out, 3, 200, 200));
	assert_int_equal(hit.rcode, 0xabc);
	assert_int_equal(hit.flags, DNS_TC | DNS_AD);
	assert_int_equal(hit.ancount, made.answer.ttls);
	assert_int_equal(hit.nscount, 8);
	assert_int_equal(hit.arcount, 9);
	assert_int_equal(hit.body_bytes, 200);
	assert_int_equal(hit.age_s, 100);
	assert_int_equal(hit.ttl_left_s, 200);
	assert_int_equal(hit.stale_s, 0);
	assert_int_equal(hit.origin, 3);
	assert_int_equal(hit.retry_at_s, 0);
	assert_false(hit.refresh);
}

static void answer_is_fresh_to_its_last_second_then_stale_then_gone(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 1000, 1, 16, 300);
	assert_int_equal(get(&q.key, 1299), CACHE_FRESH);
	assert_true(is_made(out, 1, 16, 1));
	assert_int_equal(hit.ttl_left_s, 1);
	assert_int_equal(get(&q.key, 1300), CACHE_STALE);
	assert_true(is_made(out, 1, 16, CACHE_STALE_TTL_S));
	assert_int_equal(hit.ttl_left_s, 0);
	assert_int_equal(hit.stale_s, 0);
	assert_int_equal(get(&q.key, 2299), CACHE_STALE);
	assert_int_equal(hit.stale_s, 999);
	assert_int_equal(hit.age_s, 1299);
	assert_int_equal(get(&q.key, 2300), CACHE_MISS);
}

static void stale_answer_loses_ad_and_keeps_tc(void **state)
{
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	make(&made, 1, 16, 10);
	made.answer.flags = DNS_AD | DNS_TC;
	assert_true(cache_put(cache, &q.key, &RULES, 0, &made.answer));
	assert_int_equal(get(&q.key, 20), CACHE_STALE);
	assert_int_equal(hit.flags, DNS_TC);
}

static void nothing_is_stale_when_serve_stale_is_off(void **state)
{
	struct cache_rules rules = RULES;
	struct asked q;

	(void)state;
	rules.serve_stale_s = 0;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 10);
	assert_int_equal(cache_get(cache, &q.key, &rules, 9, (struct cache_room){out, sizeof(out)}, &hit), CACHE_FRESH);
	assert_int_equal(cache_get(cache, &q.key, &rules, 10, (struct cache_room){out, sizeof(out)}, &hit), CACHE_MISS);
}

static void each_record_counts_down_from_its_own_ttl_and_never_below_zero(void **state)
{
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	make(&made, 1, 200, 100);
	assert_int_equal(made.answer.ttls, 3);
	dns_put32(made.body + 6 + 64, 5000);
	dns_put32(made.body + 6 + 128, 20); /* less than what ttl_s says */
	assert_true(cache_put(cache, &q.key, &RULES, 0, &made.answer));
	assert_int_equal(get(&q.key, 40), CACHE_FRESH);
	assert_int_equal(dns_get32(out + 6), 60);
	assert_int_equal(dns_get32(out + 6 + 64), 4960);
	assert_int_equal(dns_get32(out + 6 + 128), 0);
}

static void clock_that_goes_back_means_no_age(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 1000, 1, 16, 300);
	assert_int_equal(get(&q.key, 10), CACHE_FRESH);
	assert_int_equal(hit.age_s, 0);
	assert_int_equal(hit.ttl_left_s, 300);
	assert_true(is_made(out, 1, 16, 300));
}

static void clock_that_overflows_goes_on(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), UINT32_MAX - 10, 1, 16, 300);
	assert_int_equal(get(&q.key, 89), CACHE_FRESH);
	assert_int_equal(hit.age_s, 100);
	assert_int_equal(get(&q.key, 300), CACHE_STALE);
}

static void answer_larger_than_the_room_is_not_copied(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 500, 300);
	memset(out, 0x55, sizeof(out));
	assert_int_equal(cache_get(cache, &q.key, &RULES, 1, (struct cache_room){out, 499}, &hit), CACHE_LARGE);
	assert_int_equal(hit.body_bytes, 500);
	assert_int_equal(out[0], 0x55);
	assert_int_equal(cache_get(cache, &q.key, &RULES, 1, (struct cache_room){out, 500}, &hit), CACHE_FRESH);
	assert_true(is_made(out, 1, 500, 299));
	assert_int_equal(cache_get(cache, &q.key, &RULES, 301, (struct cache_room){out, 499}, &hit), CACHE_LARGE);
	assert_false(hit.refresh);
}

static void answer_without_records_is_an_answer(void **state)
{
	struct asked q;
	struct cache_answer a = {.ttl_s = 20, .rcode = DNS_NXDOMAIN, .negative = true};

	(void)state;
	assert_true(cache_put(cache, ask(&q, cache, "", DNS_TYPE_NS), &RULES, 0, &a));
	assert_int_equal(cache_get(cache, &q.key, &RULES, 1, (struct cache_room){NULL, 0}, &hit), CACHE_FRESH);
	assert_int_equal(hit.rcode, DNS_NXDOMAIN);
}

/* ---- keys ---- */

static void keys_differ_in_each_of_their_parts(void **state)
{
	static const char *const names[] = {"www.example", "ww.example", "www.example.example", "wwwexample", "x.www.example"};
	struct asked q;
	uint32_t seed = 0, found = 0;

	(void)state;
	for (int round = 0; round < 2; round++)
		for (size_t n = 0; n < ARRAY_SIZE(names); n++)
			for (unsigned part = 0; part < 8; part++) {
				ask(&q, cache, names[n], part & 1 ? DNS_TYPE_A : DNS_TYPE_AAAA);
				q.key.route = part & 2 ? 1 : 0x01000000;
				q.key.bits = part & 4 ? CACHE_KEY_DO : CACHE_KEY_CD;
				cache_key_hash(cache, &q.key);
				if (round == 0) {
					assert_int_equal(get(&q.key, 1), CACHE_MISS);
					put(&q.key, 1, seed++, 40, 60);
				} else {
					assert_int_equal(get(&q.key, 1), CACHE_FRESH);
					assert_true(is_made(out, found++, 40, 60));
				}
			}
	assert_int_equal(entries(), seed);
}

static void colliding_hashes_are_told_apart_by_the_key(void **state)
{
	struct asked q[16];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
		ask_numbered(&q[i], cache, "u", i & 1);
		q[i].key.type = i & 2 ? DNS_TYPE_A : DNS_TYPE_AAAA;
		q[i].key.route = i & 4 ? 1 : 2;
		q[i].key.bits = i & 8 ? CACHE_KEY_DO : 0;
		q[i].key.hash = 42;
		put(&q[i].key, 1, i, 40, 60);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
		assert_int_equal(get(&q[i].key, 1), CACHE_FRESH);
		assert_true(is_made(out, i, 40, 60));
	}
}

static void hash_depends_on_the_key_alone_and_outlives_a_cache_of_another_size(void **state)
{
	struct cache *other = cache_new(1 << 20);
	struct asked a, b;

	(void)state;
	ask(&a, cache, "www.example", DNS_TYPE_A);
	memset(&b, 0xff, sizeof(b)); /* what lies behind a name must not matter */
	ask(&b, cache, "www.example", DNS_TYPE_A);
	assert_true(a.key.hash == b.key.hash);
	ask(&b, other, "www.example", DNS_TYPE_A);
	assert_true(a.key.hash == b.key.hash);
	cache_unref(other);
}

/* ---- keeping ---- */

static void newer_answer_replaces_the_older_whatever_its_size(void **state)
{
	static const uint32_t sizes[] = {100, 100, 40, 100, 101, 3000, 20, 4000};
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		put(&q.key, 10 * i, i, sizes[i], 60);
		assert_int_equal(get(&q.key, 10 * i), CACHE_FRESH);
		assert_true(is_made(out, i, sizes[i], 60));
		assert_int_equal(entries(), 1);
	}
}

static void answer_of_the_same_size_takes_no_more_room(void **state)
{
	struct cache_counts before, after;
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	put(&q.key, 0, 1, 120, 60);
	cache_count(cache, &before);
	for (uint32_t i = 0; i < 1000; i++)
		put(&q.key, i, i, 120 - i % 50, 60);
	cache_count(cache, &after);
	assert_int_equal(before.bytes, after.bytes);
	assert_int_equal(get(&q.key, 999), CACHE_FRESH);
	assert_true(is_made(out, 999, 120 - 999 % 50, 60));
}

static void caps_bound_the_lifetime_and_each_ttl(void **state)
{
	struct cache_rules rules = {.min_ttl_s = 20, .max_ttl_s = 500, .negative_max_ttl_s = 60};
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	make(&made, 1, 140, 5);
	dns_put32(made.body + 6 + 64, 100000);
	assert_true(cache_put(cache, &q.key, &rules, 0, &made.answer));
	assert_int_equal(get(&q.key, 0), CACHE_FRESH);
	assert_int_equal(hit.ttl_left_s, 20);
	assert_int_equal(dns_get32(out + 6), 20);
	assert_int_equal(dns_get32(out + 6 + 64), 500);

	make(&made, 1, 140, 900);
	made.answer.negative = true;
	assert_true(cache_put(cache, &q.key, &rules, 0, &made.answer));
	assert_int_equal(get(&q.key, 0), CACHE_FRESH);
	assert_int_equal(hit.ttl_left_s, 60);
	assert_true(is_made(out, 1, 140, 60));
}

static void bound_of_a_ttl_keeps_zero_and_lets_the_caps_win(void **state)
{
	struct cache_rules rules = {.min_ttl_s = 100, .max_ttl_s = 500, .negative_max_ttl_s = 60};

	(void)state;
	assert_int_equal(cache_bound_ttl(&rules, 0, false), 0);
	assert_int_equal(cache_bound_ttl(&rules, 1, false), 100);
	assert_int_equal(cache_bound_ttl(&rules, 300, false), 300);
	assert_int_equal(cache_bound_ttl(&rules, 501, false), 500);
	assert_int_equal(cache_bound_ttl(&rules, 300, true), 60);
	assert_int_equal(cache_bound_ttl(&rules, 1, true), 60);
	assert_int_equal(cache_bound_ttl(&rules, 0x80000000u, false), 0); /* RFC 2181 section 8 */
	rules.max_ttl_s = UINT32_MAX;
	assert_int_equal(cache_bound_ttl(&rules, INT32_MAX, false), INT32_MAX);
	rules.max_ttl_s = 10; /* holds for negatives too */
	assert_int_equal(cache_bound_ttl(&rules, 50, true), 10);
	rules.max_ttl_s = 0;
	assert_int_equal(cache_bound_ttl(&rules, 50, false), 0);
}

static void ttl_zero_is_not_kept_and_ends_the_older_answers_freshness(void **state)
{
	struct cache_rules rules = RULES;
	struct asked q;

	(void)state;
	rules.min_ttl_s = 30;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	assert_false(cache_put(cache, &q.key, &rules, 0, make(&made, 1, 16, 0)));
	assert_int_equal(entries(), 0);
	put(&q.key, 0, 1, 16, 300);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 9, 20, 1);
	assert_false(cache_put(cache, &q.key, &rules, 10, make(&made, 2, 16, 0)));
	assert_int_equal(get(&q.key, 10), CACHE_STALE);
	assert_true(is_made(out, 1, 16, CACHE_STALE_TTL_S));
	assert_int_equal(hit.retry_at_s, 0);
	assert_int_equal(get(&q.key, 1010), CACHE_MISS);
}

static void answer_too_large_for_the_shard_or_for_a_message_is_not_kept(void **state)
{
	struct cache *one = cache_new(2 << 20);
	struct asked q;

	(void)state;
	ask(&q, one, "u000001.phz.example.internal", DNS_TYPE_A);
	assert_true(cache_put(one, &q.key, &RULES, 0, make(&made, 1, 60000, 60)));
	assert_false(cache_put(one, &q.key, &RULES, 0, make(&made, 1, 65480, 60))); /* with its head more than 64 KiB */
	assert_int_equal(cache_get(one, &q.key, &RULES, 0, (struct cache_room){out, sizeof(out)}, &hit), CACHE_STALE);
	cache_unref(one);
	one = cache_new(383 << 10); /* one shard of 383 KiB */
	ask(&q, one, "u000001.phz.example.internal", DNS_TYPE_A);
	assert_true(cache_put(one, &q.key, &RULES, 0, make(&made, 1, CACHE_BODY_MAX - 46, 60)));
	assert_int_equal(cache_get(one, &q.key, &RULES, 0, (struct cache_room){out, sizeof(out)}, &hit), CACHE_FRESH);
	assert_true(is_made(out, 1, CACHE_BODY_MAX - 46, 60));
	make(&made, 1, CACHE_BODY_MAX - 46, 60);
	made.answer.body_bytes++; /* with its question more than a message holds */
	assert_false(cache_put(one, &q.key, &RULES, 0, &made.answer));
	cache_unref(one);
}

/* ---- popular names ---- */

static void popular_name_near_its_end_is_refreshed_by_one_caller(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	assert_int_equal(get(&q.key, 1), CACHE_FRESH);
	assert_int_equal(get(&q.key, 2), CACHE_FRESH);
	assert_int_equal(get(&q.key, 89), CACHE_FRESH);
	assert_false(hit.refresh);
	assert_int_equal(get(&q.key, 90), CACHE_FRESH); /* 10 of 100 left */
	assert_true(hit.refresh);
	assert_int_equal(get(&q.key, 90 + CACHE_CLAIM_S - 1), CACHE_FRESH);
	assert_false(hit.refresh);
	assert_int_equal(get(&q.key, 90 + CACHE_CLAIM_S), CACHE_FRESH);
	assert_true(hit.refresh);
}

static void name_asked_once_before_is_not_popular(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	assert_int_equal(get(&q.key, 1), CACHE_FRESH);
	assert_int_equal(get(&q.key, 95), CACHE_FRESH);
	assert_false(hit.refresh);
	assert_int_equal(get(&q.key, 95), CACHE_FRESH);
	assert_true(hit.refresh);
	/* Stored anew it has to become popular anew. */
	put(&q.key, 96, 1, 16, 100);
	assert_int_equal(get(&q.key, 191), CACHE_FRESH);
	assert_false(hit.refresh);
}

static void prefetch_that_is_off_refreshes_nothing(void **state)
{
	struct cache_rules rules = RULES;
	struct asked q;

	(void)state;
	rules.prefetch_pm = 0;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(cache_get(cache, &q.key, &rules, 99, (struct cache_room){out, sizeof(out)}, &hit), CACHE_FRESH);
		assert_false(hit.refresh);
	}
}

static void stale_answer_is_refreshed_by_one_caller(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	assert_int_equal(get(&q.key, 200), CACHE_STALE);
	assert_true(hit.refresh);
	assert_int_equal(get(&q.key, 200), CACHE_STALE);
	assert_false(hit.refresh);
	assert_int_equal(get(&q.key, 200 + CACHE_CLAIM_S), CACHE_STALE);
	assert_true(hit.refresh);
	/* One that has just been stored is not claimed yet. */
	put(&q.key, 300, 1, 16, 1);
	assert_int_equal(get(&q.key, 301), CACHE_STALE);
	assert_true(hit.refresh);
}

static void peeking_neither_counts_nor_claims(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(cache_peek(cache, &q.key, &RULES, 95, &hit), CACHE_FRESH);
		assert_false(hit.refresh);
		assert_int_equal(hit.ttl_left_s, 5);
	}
	assert_int_equal(get(&q.key, 95), CACHE_FRESH);
	assert_false(hit.refresh);
	assert_int_equal(cache_peek(cache, &q.key, &RULES, 150, &hit), CACHE_STALE);
	assert_false(hit.refresh);
	assert_int_equal(get(&q.key, 150), CACHE_STALE);
	assert_true(hit.refresh);
	assert_int_equal(cache_peek(cache, &q.key, &RULES, 5000, &hit), CACHE_MISS);
}

static void a_refresh_is_claimed_without_a_query(void **state)
{
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	assert_true(cache_claim(cache, &q.key, 0)); /* nothing known: nobody else can have claimed it */
	assert_true(cache_claim(cache, &q.key, 0));
	put(&q.key, 0, 1, 16, 100);
	assert_true(cache_claim(cache, &q.key, 95));
	assert_false(cache_claim(cache, &q.key, 95));
	assert_int_equal(get(&q.key, 150), CACHE_STALE);
	assert_true(hit.refresh);
	assert_false(cache_claim(cache, &q.key, 151));
	assert_true(cache_claim(cache, &q.key, 150 + CACHE_CLAIM_S));
	assert_int_equal(get(&q.key, 151 + CACHE_CLAIM_S), CACHE_STALE);
	assert_false(hit.refresh);
	/* A failure is no answer to refresh. */
	ask(&q, cache, "other.example", DNS_TYPE_A);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 0, 5, 0);
	assert_true(cache_claim(cache, &q.key, 1));
	assert_true(cache_claim(cache, &q.key, 1));
}

/* ---- failures ---- */

static void failure_is_told_until_its_retry_time(void **state)
{
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	cache_put_failure(cache, &q.key, DNS_REFUSED, 100, 105, 3);
	assert_int_equal(get(&q.key, 104), CACHE_FAILED);
	assert_int_equal(hit.rcode, DNS_REFUSED);
	assert_int_equal(hit.retry_at_s, 105);
	assert_int_equal(hit.outage, 3);
	assert_int_equal(hit.body_bytes, 0);
	assert_int_equal(cache_peek(cache, &q.key, &RULES, 104, &hit), CACHE_FAILED);
	assert_int_equal(get(&q.key, 105), CACHE_MISS);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 110, 112, 4);
	assert_int_equal(get(&q.key, 111), CACHE_FAILED);
	assert_int_equal(hit.rcode, DNS_SERVFAIL);
	assert_int_equal(hit.outage, 4);
	assert_int_equal(entries(), 1);
}

static void failure_never_replaces_an_answer(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 50, 55, 9);
	assert_int_equal(get(&q.key, 50), CACHE_FRESH);
	assert_true(is_made(out, 1, 16, 50));
	assert_int_equal(hit.rcode, DNS_NOERROR);
	assert_int_equal(hit.retry_at_s, 55);
	assert_int_equal(hit.outage, 9);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 150, 155, 10);
	assert_int_equal(get(&q.key, 151), CACHE_STALE);
	assert_int_equal(hit.retry_at_s, 155);
	assert_int_equal(hit.outage, 10);
}

static void answer_past_serve_stale_does_not_hide_a_failure(void **state)
{
	struct asked q;

	(void)state;
	put(ask(&q, cache, "www.example", DNS_TYPE_A), 0, 1, 16, 100);
	assert_int_equal(get(&q.key, 1100), CACHE_MISS);
	cache_put_failure(cache, &q.key, DNS_REFUSED, 1100, 1105, 9);
	assert_int_equal(get(&q.key, 1104), CACHE_FAILED);
	assert_int_equal(hit.rcode, DNS_REFUSED);
	assert_int_equal(get(&q.key, 1105), CACHE_MISS);
}

static void answer_clears_what_had_failed(void **state)
{
	struct asked q;

	(void)state;
	ask(&q, cache, "www.example", DNS_TYPE_A);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 100, 105, 3);
	put(&q.key, 101, 1, 16, 100);
	assert_int_equal(get(&q.key, 102), CACHE_FRESH);
	assert_int_equal(hit.retry_at_s, 0);
	assert_int_equal(hit.outage, 0);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 103, 105, 3);
	put(&q.key, 104, 2, 16, 100);
	assert_int_equal(get(&q.key, 104), CACHE_FRESH);
	assert_int_equal(hit.retry_at_s, 0);
	assert_int_equal(entries(), 1);
	/* An answer that cannot be kept is news as well. */
	ask(&q, cache, "ftp.example", DNS_TYPE_A);
	cache_put_failure(cache, &q.key, DNS_SERVFAIL, 100, 105, 3);
	assert_false(cache_put(cache, &q.key, &RULES, 101, make(&made, 1, 16, 0)));
	assert_int_equal(get(&q.key, 102), CACHE_MISS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unknown_name_is_a_miss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fresh_answer_comes_back_with_all_that_was_said_of_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_is_fresh_to_its_last_second_then_stale_then_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stale_answer_loses_ad_and_keeps_tc, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_stale_when_serve_stale_is_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_record_counts_down_from_its_own_ttl_and_never_below_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clock_that_goes_back_means_no_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clock_that_overflows_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_larger_than_the_room_is_not_copied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_without_records_is_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_differ_in_each_of_their_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(colliding_hashes_are_told_apart_by_the_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hash_depends_on_the_key_alone_and_outlives_a_cache_of_another_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(newer_answer_replaces_the_older_whatever_its_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_of_the_same_size_takes_no_more_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(caps_bound_the_lifetime_and_each_ttl, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bound_of_a_ttl_keeps_zero_and_lets_the_caps_win, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ttl_zero_is_not_kept_and_ends_the_older_answers_freshness, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_too_large_for_the_shard_or_for_a_message_is_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(popular_name_near_its_end_is_refreshed_by_one_caller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(name_asked_once_before_is_not_popular, set_up, tear_down),
		cmocka_unit_test_setup_teardown(prefetch_that_is_off_refreshes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stale_answer_is_refreshed_by_one_caller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(peeking_neither_counts_nor_claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refresh_is_claimed_without_a_query, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failure_is_told_until_its_retry_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failure_never_replaces_an_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_past_serve_stale_does_not_hide_a_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_clears_what_had_failed, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
