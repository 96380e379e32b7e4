/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H
/* Unpredictable numbers, drawn from the kernel in blocks: glibc 2.36's arc4random makes a system call each time.
 * One per thread; bytes handed out are wiped. */

#include "base/base.h"

enum { RANDOM_BLOCK_BYTES = 2048 };

struct random {
	uint32_t used; /* bytes of block already handed out */
	uint8_t block[RANDOM_BLOCK_BYTES];
};

/* Starts empty: the first draw asks the kernel. Asserts that the kernel gives (getrandom cannot fail after boot). */
void random_init(struct random *r);

uint16_t random_u16(struct random *r);
uint32_t random_u32(struct random *r);
uint64_t random_u64(struct random *r);

/* Uniform in 0 .. limit-1, limit > 0 (Lemire's multiply and reject). */
uint32_t random_below(struct random *r, uint32_t limit);

#endif
