/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H
/* Objects of one size for one thread: taken and given back without malloc, bounded in number. Memory is asked for in
 * blocks as needed and kept until slab_deinit, so that a burst costs once. */

#include "base/base.h"

struct slab {
	size_t object_bytes; /* rounded up to 16 */
	uint32_t limit;      /* objects at most */
	uint32_t made;       /* objects carved out of blocks so far */
	uint32_t used;       /* objects with the caller */
	void *free;          /* singly linked */
	void *blocks;        /* singly linked */
};

void slab_init(struct slab *s, size_t object_bytes, uint32_t limit);

/* Frees all memory; objects still with the caller die with it. */
void slab_deinit(struct slab *s);

/* An object, not zeroed; NULL at the limit or without memory. */
NODISCARD void *slab_take(struct slab *s);
void slab_give(struct slab *s, void *object);

#endif
