/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-c-d with c = 1 and d = 3: "SipHash: a fast short-input PRF" (Aumasson, Bernstein, 2012), whose initial state
 * spells "somepseudorandomlygeneratedbytes". */
#include "base/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Words are little-endian by definition: a stable identity must not depend on the machine that it was written on. */
static inline uint64_t load_le64(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? w : __builtin_bswap64(w);
}

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void compress(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

void hash_key_init(struct hash_key *key)
{
	ssize_t got;

	/* 256 bytes or fewer come whole; only the wait for the first entropy after boot can be interrupted. */
	do
		got = getrandom(key, sizeof(*key), 0);
	while (got < 0 && errno == EINTR);
	ASSERT(got == (ssize_t)sizeof(*key));
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len)
{
	const uint8_t *at = data;
	struct state s = {
		.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->k1 ^ UINT64_C(0x7465646279746573),
	};

	for (size_t words = len / 8; words > 0; words--, at += 8)
		compress(&s, load_le64(at));
	/* The last word: what is left over, and the length in the top octet. */
	uint64_t last = (uint64_t)len << 56;
	for (size_t i = 0; i < len % 8; i++)
		last |= (uint64_t)at[i] << (8 * i);
	compress(&s, last);
	/* Sets the finalization apart from any message's words. */
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
