/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H
/* SipHash-1-3 (Aumasson, Bernstein, 2012): a keyed hash, so that nobody outside can aim at one bucket. One
 * compression and three finalization rounds, as in Rust's and Ruby's tables: enough where only the distribution
 * must be secret. About 15 ns for a name of 30 octets. */

#include "base/base.h"

struct hash_key {
	uint64_t k0, k1;
};

/* A fresh key from the kernel. */
void hash_key_init(struct hash_key *key);

/* The hash of `len` octets. Unkeyed uses (a stable identity on disk) pass a key of zeroes. */
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len);

#endif
