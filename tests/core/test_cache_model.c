/* SPDX-License-Identifier: Apache-2.0 */
/* Random operations beside a model that forgets nothing: the cache may know less (it evicts), never something else. */
#include "cached.h"

enum { NAMES = 400, TYPES = 3, ROUTES = 2, KEYS = NAMES * TYPES * ROUTES, OPERATIONS = 200000 };

/* The last that was put under one key, and the last failure since. */
struct known {
	bool answer, failure;
	uint32_t seed, bytes, stored_s, expires_s;
	uint32_t retry_at_s;
	uint16_t outage;
};

static struct known model[KEYS];
static struct made made;
static uint8_t out[CACHE_BODY_MAX];

/* Names share suffixes, and one is often the beginning of another. */
static const struct cache_key *ask_key(struct asked *q, const struct cache *c, unsigned key)
{
	static const char *const suffixes[] = {"example", "xexample", "a.example", "example.example"};
	unsigned name = key / (TYPES * ROUTES);
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%x.%s", name % 2 ? "www." : "", name / 8, suffixes[name / 2 % 4]);
	name_from(&q->name, text);
	q->key = (struct cache_key){.name = &q->name, .type = (uint16_t)(1 + key / ROUTES % TYPES), .route = key % ROUTES};
	cache_key_hash(c, &q->key);
	return &q->key;
}

static void check_get(struct cache *c, unsigned key, uint32_t now_s, unsigned *hits)
{
	const struct known *m = &model[key];
	struct cache_hit hit;
	struct asked q;

	switch (cache_get(c, ask_key(&q, c, key), &RULES, now_s, (struct cache_room){out, sizeof(out)}, &hit)) {
	case CACHE_FRESH:
		assert_true(m->answer && now_s < m->expires_s);
		assert_int_equal(hit.ttl_left_s, m->expires_s - now_s);
		assert_true(is_made(out, m->seed, m->bytes, m->expires_s - now_s));
		break;
	case CACHE_STALE:
		assert_true(m->answer && now_s >= m->expires_s && now_s - m->expires_s < RULES.serve_stale_s);
		assert_int_equal(hit.stale_s, now_s - m->expires_s);
		assert_true(is_made(out, m->seed, m->bytes, CACHE_STALE_TTL_S));
		break;
	case CACHE_FAILED:
		assert_true(m->failure && now_s < m->retry_at_s);
		assert_int_equal(hit.retry_at_s, m->retry_at_s);
		assert_int_equal(hit.outage, m->outage);
		return;
	default:
		return;
	}
	assert_int_equal(hit.body_bytes, m->bytes);
	assert_int_equal(hit.origin, m->seed);
	/* An answer that was evicted takes its failure with it, and the other way round. */
	assert_true(hit.retry_at_s == 0 || (m->failure && hit.retry_at_s == m->retry_at_s && hit.outage == m->outage));
	(*hits)++;
}

static void put(struct cache *c, unsigned key, uint32_t now_s, uint32_t seed, uint64_t *random)
{
	struct known *m = &model[key];
	uint32_t ttl_s = next_number(random) % 200, bytes = next_number(random) % (next_number(random) % 16 ? 100 : 6000);
	struct asked q;

	ask_key(&q, c, key);
	bool kept = cache_put(c, &q.key, &RULES, now_s, make(&made, seed, bytes, ttl_s));
	assert_int_equal(kept, ttl_s > 0);
	if (kept)
		*m = (struct known){.answer = true, .seed = seed, .bytes = bytes, .stored_s = now_s, .expires_s = now_s + ttl_s};
	else
		*m = (struct known){.answer = m->answer,
				    .seed = m->seed,
				    .bytes = m->bytes,
				    .stored_s = m->stored_s,
				    .expires_s = MIN(m->expires_s, now_s)};
}

static void refuse(struct cache *c, unsigned key, uint32_t now_s, uint64_t *random)
{
	struct known *m = &model[key];
	struct asked q;

	m->failure = true;
	m->retry_at_s = now_s + 1 + next_number(random) % 5;
	m->outage = (uint16_t)next_number(random);
	cache_put_failure(c, ask_key(&q, c, key), DNS_SERVFAIL, now_s, m->retry_at_s, m->outage);
}

/* What a snapshot on disk said: an answer of the past, seldom newer than what is known. */
static void restore(struct cache *c, unsigned key, uint32_t now_s, uint32_t seed)
{
	struct known *m = &model[key];
	struct asked q;
	struct cache_entry entry = {.stored_s = now_s - seed % 50, .expires_s = now_s - seed % 50 + 100};

	ask_key(&q, c, key);
	entry.key = q.key;
	entry.name = q.name;
	entry.answer = *make(&made, seed, 40, 100);
	if (cache_restore(c, &entry))
		*m = (struct known){.answer = true, .seed = seed, .bytes = 40, .stored_s = entry.stored_s, .expires_s = entry.expires_s};
	else
		assert_true(m->answer && m->stored_s > entry.stored_s);
}

static void flush(struct cache *c, unsigned key, bool zone)
{
	struct asked q, other;

	ask_key(&q, c, key);
	if (zone)
		cache_flush_zone(c, &q.name);
	else
		cache_flush_name(c, &q.name);
	for (unsigned k = 0; k < KEYS; k++) {
		ask_key(&other, c, k);
		if (zone ? name_is_within(&other.name, &q.name) : name_equal(&other.name, &q.name))
			model[k] = (struct known){.answer = false};
	}
}

static void cache_knows_nothing_but_what_was_last_put(void **state)
{
	static const uint64_t sizes[] = {100 * 1024, 512 * 1024, 4096 * 1024};

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct cache *c = cache_new(sizes[s]);
		uint64_t random = 1 + s;
		uint32_t now_s = 1000;
		unsigned hits = 0, gets = 0;

		memset(model, 0, sizeof(model));
		for (uint32_t i = 0; i < OPERATIONS / ARRAY_SIZE(sizes); i++) {
			/* Half of the questions concern a tenth of the keys. */
			unsigned key = next_number(&random) % (next_number(&random) % 2 ? KEYS : KEYS / 10);
			unsigned what = next_number(&random) % 1000;
			now_s += next_number(&random) % 50 == 0;
			if (what < 600) {
				check_get(c, key, now_s, &hits);
				gets++;
			} else if (what < 900) {
				put(c, key, now_s, i, &random);
			} else if (what < 960) {
				refuse(c, key, now_s, &random);
			} else if (what < 998) {
				restore(c, key, now_s, i);
			} else {
				flush(c, key, what == 999);
			}
			if (i == 30000) {
				cache_flush_all(c);
				memset(model, 0, sizeof(model));
			}
		}
		for (unsigned k = 0; k < KEYS; k++)
			check_get(c, k, now_s, &hits);
		assert_true(hits > gets / 4);
		cache_unref(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cache_knows_nothing_but_what_was_last_put),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
