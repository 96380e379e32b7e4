/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/hash.h"

/* The paper's text put into code word by word, slowly: an octet at a time, rounds counted in a loop. */
static uint64_t turn(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t v[4], int count)
{
	while (count-- > 0) {
		v[0] += v[1], v[2] += v[3];
		v[1] = turn(v[1], 13), v[3] = turn(v[3], 16);
		v[1] ^= v[0], v[3] ^= v[2];
		v[0] = turn(v[0], 32);
		v[2] += v[1], v[0] += v[3];
		v[1] = turn(v[1], 17), v[3] = turn(v[3], 21);
		v[1] ^= v[2], v[3] ^= v[0];
		v[2] = turn(v[2], 32);
	}
}

static uint64_t slow_siphash(int c, int d, struct hash_key key, const uint8_t *data, size_t len)
{
	uint64_t k[2] = {key.k0, key.k1}, v[4] = {0};
	const char *words = "somepseudorandomlygeneratedbytes";
	size_t padded = (len / 8 + 1) * 8;

	for (int i = 0; i < 32; i++)
		v[i / 8] = v[i / 8] << 8 | (uint8_t)words[i];
	for (int i = 0; i < 4; i++)
		v[i] ^= k[i % 2];
	for (size_t i = 0; i < padded; i += 8) {
		uint64_t m = 0;
		for (size_t j = 0; j < 8; j++) {
			uint8_t octet = i + j < len ? data[i + j] : i + j == padded - 1 ? (uint8_t)len : 0;
			m |= (uint64_t)octet << (8 * j);
		}
		v[3] ^= m;
		rounds(v, c);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Key 00 01 … 0f and message 00 01 … 0e: the example of the paper's appendix A, for SipHash-2-4. */
static void slow_reference_gives_the_papers_own_example(void **state)
{
	struct hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t data[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof(data); i++)
		data[i] = i;
	assert_true(slow_siphash(2, 4, key, data, sizeof(data)) == UINT64_C(0xa129ca6149be45e5));
}

static void hash_is_siphash_1_3_for_every_length_and_alignment(void **state)
{
	struct hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0xffeeddccbbaa9988)};
	uint8_t data[300];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t from = 0; from < 8; from++)
		for (size_t len = 0; len <= 280; len++)
			assert_true(hash_bytes(&key, data + from, len) == slow_siphash(1, 3, key, data + from, len));
}

/* CPython 3.11's hash() of bytes is SipHash-1-3, with a key of zeroes under PYTHONHASHSEED=0. */
static void hash_agrees_with_another_implementation(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		uint64_t hash;
	} rows[] = {
		{"a", 1, UINT64_C(0x407448d2b89b1813)},
		{"siphash", 7, UINT64_C(0x8264ceeccb16bcbe)},
		{"digest-sip_hash", 15, UINT64_C(0xce31007e34130c0a)},
		{"\003www\007example\003com", 17, UINT64_C(0x8f7953d3bcaad838)},
	};
	struct hash_key zero = {0, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_true(hash_bytes(&zero, rows[i].data, rows[i].len) == rows[i].hash);
}

static void fresh_keys_differ(void **state)
{
	struct hash_key a, b;

	(void)state;
	hash_key_init(&a);
	hash_key_init(&b);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_true(hash_bytes(&a, "www", 3) != hash_bytes(&b, "www", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_reference_gives_the_papers_own_example),
		cmocka_unit_test(hash_is_siphash_1_3_for_every_length_and_alignment),
		cmocka_unit_test(hash_agrees_with_another_implementation),
		cmocka_unit_test(fresh_keys_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
