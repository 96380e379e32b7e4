/* SPDX-License-Identifier: Apache-2.0 */
/* A block is about 64 KiB, 16 pages: large enough that malloc is seldom asked, small enough that an idle daemon does
 * not hold what only a burst needs. A free object's first bytes hold the link to the next one. */
#include "base/slab.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 64 * 1024, ALIGN_BYTES = 16 };

/* Stands at the start of a block, and of each free object. */
struct link {
	struct link *next;
};

void slab_init(struct slab *s, size_t object_bytes, uint32_t limit)
{
	ASSERT(object_bytes > 0);
	*s = (struct slab){
		.object_bytes = (object_bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES,
		.limit = limit,
	};
}

void slab_deinit(struct slab *s)
{
	struct link *block = s->blocks;

	while (block) {
		struct link *next = block->next;
		free(block);
		block = next;
	}
	slab_init(s, s->object_bytes, s->limit);
}

static void put(struct slab *s, void *object)
{
	struct link *link = object;

	link->next = s->free;
	s->free = link;
}

/* Carves a new block into free objects, as many as the limit leaves. */
static bool grow(struct slab *s)
{
	size_t count = MAX(BLOCK_BYTES / s->object_bytes, (size_t)1);

	/* The limit counts what was carved, so that no object ever lies free beyond it. */
	count = MIN(count, (size_t)(s->limit - s->made));
	if (count == 0)
		return false;
	/* malloc aligns to 16 as well, and the block's own link keeps to that. */
	struct link *block = malloc(ALIGN_BYTES + count * s->object_bytes);
	if (!block)
		return false;
	block->next = s->blocks;
	s->blocks = block;
	/* From the back, so that objects are first taken in the order of their addresses. */
	char *objects = (char *)block + ALIGN_BYTES;
	for (size_t i = count; i > 0; i--)
		put(s, objects + (i - 1) * s->object_bytes);
	s->made += (uint32_t)count;
	return true;
}

void *slab_take(struct slab *s)
{
	if (UNLIKELY(!s->free) && !grow(s))
		return NULL;
	struct link *object = s->free;
	s->free = object->next;
	s->used++;
	return object;
}

void slab_give(struct slab *s, void *object)
{
	/* The one double give that can be seen for nothing. */
	ASSERT(s->used > 0);
	s->used--;
	put(s, object);
}
