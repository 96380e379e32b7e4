/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CORE_CACHED_H
#define TESTS_CORE_CACHED_H
/* Questions and answers for the cache's tests: a body follows from its seed, so whatever comes back can be checked to the last octet. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/cache.h"
#include "wire/dns.h"

enum { ROUTE = 7, BODY_TTL_EVERY = 64, BODY_TTLS_MAX = CACHE_BODY_MAX / BODY_TTL_EVERY + 1 };

static const struct cache_rules RULES = {.max_ttl_s = 86400, .negative_max_ttl_s = 60, .prefetch_pm = 100, .serve_stale_s = 1000};

/* A key with its name. */
struct asked {
	struct name name;
	struct cache_key key;
};

/* An answer with what it points to. */
struct made {
	struct cache_answer answer;
	uint16_t ttl_at[BODY_TTLS_MAX];
	uint8_t body[CACHE_BODY_MAX + 1];
};

/* Reads `a.b.c`; "" is the root. */
static inline void name_from(struct name *n, const char *text)
{
	uint8_t octets[NAME_MAX_OCTETS + 1];
	size_t len = 0;

	while (*text != '\0') {
		size_t label = strcspn(text, ".");
		assert_true(label > 0 && label < 64 && len + label + 2 < sizeof(octets));
		octets[len++] = (uint8_t)label;
		memcpy(octets + len, text, label);
		len += label;
		text += label + (text[label] == '.');
	}
	octets[len++] = 0;
	assert_int_equal(name_read(n, octets, len), (int)len);
}

static inline const struct cache_key *ask(struct asked *q, const struct cache *c, const char *name, uint16_t type)
{
	name_from(&q->name, name);
	q->key = (struct cache_key){.name = &q->name, .route = ROUTE, .type = type};
	cache_key_hash(c, &q->key);
	return &q->key;
}

static inline const struct cache_key *ask_numbered(struct asked *q, const struct cache *c, const char *prefix, unsigned number)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%06u.phz.example.internal", prefix, number);
	return ask(q, c, text, DNS_TYPE_A);
}

static inline uint8_t octet_of(uint32_t seed, size_t i)
{
	return (uint8_t)((seed * 2654435761u + (uint32_t)i * 40503u) >> 13);
}

/* `bytes` of body, a TTL of `ttl_s` at 6 and every 64 octets from there; `body_at` as if the question's name had 30 octets. */
static inline const struct cache_answer *make(struct made *m, uint32_t seed, uint32_t bytes, uint32_t ttl_s)
{
	uint16_t ttls = 0;

	for (size_t i = 0; i < bytes; i++)
		m->body[i] = octet_of(seed, i);
	for (size_t at = 6; at + 4 <= bytes; at += BODY_TTL_EVERY) {
		m->ttl_at[ttls++] = (uint16_t)(46 + at);
		dns_put32(m->body + at, ttl_s);
	}
	m->answer = (struct cache_answer){
		.body = m->body,
		.body_bytes = bytes,
		.ttl_at = m->ttl_at,
		.ttls = ttls,
		.body_at = 46,
		.ancount = ttls,
		.ttl_s = ttl_s,
		.origin = seed,
	};
	return &m->answer;
}

/* `body` is what make() gave for `seed`, its TTLs being `ttl_s` now. */
static inline bool is_made(const uint8_t *body, uint32_t seed, uint32_t bytes, uint32_t ttl_s)
{
	size_t ttl = 6;

	for (size_t i = 0; i < bytes; i++) {
		if (i == ttl && i + 4 <= bytes) {
			if (dns_get32(body + i) != ttl_s)
				return false;
			i += 3;
			ttl += BODY_TTL_EVERY;
		} else if (body[i] != octet_of(seed, i)) {
			return false;
		}
	}
	return true;
}

/* A sequence that is the same in each run. */
static inline uint32_t next_number(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

#endif
