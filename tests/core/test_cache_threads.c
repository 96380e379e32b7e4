/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads over few keys, so that they meet. A body follows from its seed and the seed says its key: a torn or foreign body
 * shows. Run under the thread sanitizer too. */
#include "cached.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 4, KEYS = 50, ROUNDS = 20000 };

struct worker {
	struct cache *cache;
	pthread_t thread;
	unsigned number;
	unsigned hits, refreshes, wrong;
	uint8_t out[CACHE_BODY_MAX];
	struct made made;
};

static void get(struct worker *w, const struct cache_key *key, unsigned k, uint32_t now_s)
{
	struct cache_hit hit;

	switch (cache_get(w->cache, key, &RULES, now_s, (struct cache_room){w->out, sizeof(w->out)}, &hit)) {
	case CACHE_FRESH:
	case CACHE_STALE:
		w->hits++;
		w->refreshes += hit.refresh;
		/* cmocka's assertions jump: not from another thread. */
		if (hit.origin % KEYS != k ||
		    !is_made(w->out, hit.origin, hit.body_bytes, hit.ttl_left_s ? hit.ttl_left_s : CACHE_STALE_TTL_S))
			w->wrong++;
		break;
	default:
		break;
	}
}

static bool see(void *arg, const struct cache_entry *entry)
{
	struct worker *w = arg;

	if (!is_made(entry->answer.body, entry->answer.origin, entry->answer.body_bytes, entry->answer.ttl_s))
		w->wrong++;
	return true;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t random = w->number;
	struct asked q;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		unsigned k = next_number(&random) % KEYS, what = next_number(&random) % 1000;
		uint32_t now_s = 1000 + i / 100;
		ask_numbered(&q, w->cache, "u", k);
		if (what < 600)
			get(w, &q.key, k, now_s);
		else if (what < 950)
			cache_put(w->cache, &q.key, &RULES, now_s,
				  make(&w->made, k + KEYS * (next_number(&random) % 100000), next_number(&random) % 3000, 1 + i % 60));
		else if (what < 980)
			cache_put_failure(w->cache, &q.key, DNS_SERVFAIL, now_s, now_s + 1, 1);
		else if (what < 995)
			cache_flush_name(w->cache, &q.name);
		else if (what < 997)
			cache_each(w->cache, see, w);
		else if (what < 999)
			cache_count(w->cache, &(struct cache_counts){0});
		else
			cache_flush_all(w->cache);
	}
	cache_unref(w->cache);
	return NULL;
}

static void run_all(struct worker *workers, struct cache *c, void *(*body)(void *))
{
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].cache = cache_ref(c);
		workers[i].number = i;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
	}
	cache_unref(c);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static void bodies_are_never_torn_between_threads(void **state)
{
	struct worker *workers = calloc(THREADS, sizeof(*workers));

	(void)state;
	assert_non_null(workers);
	run_all(workers, cache_new(128 * 1024), work);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(workers[i].wrong, 0);
		assert_true(workers[i].hits > ROUNDS / 20);
	}
	free(workers);
}

static void *ask_for_one(void *arg)
{
	struct worker *w = arg;
	struct asked q;

	for (uint32_t i = 0; i < 2000; i++)
		get(w, ask_numbered(&q, w->cache, "u", 1), 1, 1100);
	cache_unref(w->cache);
	return NULL;
}

static void refresh_is_claimed_by_one_thread(void **state)
{
	struct worker *workers = calloc(THREADS, sizeof(*workers));
	struct cache *c = cache_new(128 * 1024);
	struct asked q;
	unsigned refreshes = 0;

	(void)state;
	assert_non_null(workers);
	assert_true(cache_put(c, ask_numbered(&q, c, "u", 1), &RULES, 1000, make(&workers[0].made, 1, 100, 105)));
	run_all(workers, c, ask_for_one);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(workers[i].hits, 2000);
		assert_int_equal(workers[i].wrong, 0);
		refreshes += workers[i].refreshes;
	}
	assert_int_equal(refreshes, 1);
	free(workers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_are_never_torn_between_threads),
		cmocka_unit_test(refresh_is_claimed_by_one_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
