/* SPDX-License-Identifier: Apache-2.0 */
#include "net/slots_private.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 16 };

#define NO_SLOT UINT32_MAX

void slots_init(struct slots *s)
{
	*s = (struct slots){.first_free = NO_SLOT};
}

void slots_deinit(struct slots *s)
{
	free(s->at);
	slots_init(s);
}

static bool grow(struct slots *s)
{
	uint32_t count = s->count ? s->count * 2 : FIRST_SLOTS;
	struct slot *at = realloc(s->at, count * sizeof(*at));
	if (!at)
		return false;
	for (uint32_t i = s->count; i < count; i++)
		at[i] = (struct slot){.next_free = i + 1 < count ? i + 1 : NO_SLOT};
	s->first_free = s->count;
	s->at = at;
	s->count = count;
	return true;
}

bool slots_take(struct slots *s, void *owner, uint32_t *slot)
{
	if (s->first_free == NO_SLOT && !grow(s))
		return false;
	*slot = s->first_free;
	s->first_free = s->at[*slot].next_free;
	s->at[*slot].owner = owner;
	return true;
}

void slots_give(struct slots *s, uint32_t slot)
{
	struct slot *at = &s->at[slot];
	at->owner = NULL;
	at->generation++;
	at->next_free = s->first_free;
	s->first_free = slot;
}

void *slots_find(const struct slots *s, uint32_t slot, uint32_t generation)
{
	return s->at[slot].generation == generation ? s->at[slot].owner : NULL;
}
