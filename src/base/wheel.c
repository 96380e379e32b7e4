/* SPDX-License-Identifier: Apache-2.0 */
/* A hashed timing wheel (Varghese, Lauck, 1987, scheme 6). Slots are counted from the clock's zero; slot number n hangs
 * at n mod 4,096. Every armed timer hangs within [now_slot, now_slot + 4,095], so a place in the ring stands for one
 * number only. now_slot itself is looked at again with each take: deadlines that are past go there. */
#include "base/wheel.h"

/* The first slot that begins at or after the deadline: never early. */
static uint64_t due_slot(const struct wheel_timer *t)
{
	return t->deadline_us / WHEEL_SLOT_US + (t->deadline_us % WHEEL_SLOT_US != 0);
}

static void hang(struct wheel *w, struct wheel_timer *t)
{
	/* Past deadlines hang in the slot being looked at, far ones in the last. */
	uint64_t slot = MIN(MAX(due_slot(t), w->now_slot), w->now_slot + WHEEL_SLOTS - 1);

	t->slot = (uint32_t)(slot % WHEEL_SLOTS);
	list_append(&w->slots[t->slot], &t->link);
	w->bitmap[t->slot / 64] |= UINT64_C(1) << (t->slot % 64);
}

static void unhang(struct wheel *w, struct wheel_timer *t)
{
	list_remove(&t->link);
	if (list_empty(&w->slots[t->slot]))
		w->bitmap[t->slot / 64] &= ~(UINT64_C(1) << (t->slot % 64));
	t->slot = WHEEL_SLOTS;
}

/* The number of the first slot from now_slot on that holds a timer; there is one. */
static uint64_t first_slot(const struct wheel *w)
{
	uint32_t from = (uint32_t)(w->now_slot % WHEEL_SLOTS);
	uint32_t word = from / 64;
	uint64_t bits = w->bitmap[word] & ~UINT64_C(0) << (from % 64);

	/* Round the ring; the first word comes last again, then for the bits below `from`. */
	while (bits == 0) {
		word = (word + 1) % ARRAY_SIZE(w->bitmap);
		bits = w->bitmap[word];
	}
	uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(bits);
	return w->now_slot + (at - from) % WHEEL_SLOTS;
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
	w->now_slot = now_us / WHEEL_SLOT_US;
	w->armed = 0;
	for (size_t i = 0; i < ARRAY_SIZE(w->bitmap); i++)
		w->bitmap[i] = 0;
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slots[i]);
}

void wheel_timer_init(struct wheel_timer *t)
{
	list_init(&t->link);
	t->deadline_us = 0;
	t->slot = WHEEL_SLOTS;
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline_us)
{
	wheel_disarm(w, t);
	t->deadline_us = deadline_us;
	hang(w, t);
	w->armed++;
}

void wheel_disarm(struct wheel *w, struct wheel_timer *t)
{
	if (!wheel_is_armed(t))
		return;
	unhang(w, t);
	w->armed--;
}

bool wheel_is_armed(const struct wheel_timer *t)
{
	return t->slot != WHEEL_SLOTS;
}

struct wheel_timer *wheel_take(struct wheel *w, uint64_t now_us)
{
	uint64_t now_slot = now_us / WHEEL_SLOT_US;

	while (w->armed > 0) {
		uint64_t slot = first_slot(w);
		if (slot > now_slot)
			break;
		w->now_slot = slot;
		struct list *link = w->slots[slot % WHEEL_SLOTS].next;
		struct wheel_timer *t = CONTAINER_OF(link, struct wheel_timer, link);
		unhang(w, t);
		/* Held against the time asked for, not against the slot: after a jump of the clock a far deadline may
		 * be due. */
		if (due_slot(t) <= now_slot) {
			w->armed--;
			return t;
		}
		/* It only waited in the last slot: on to what is the last one now, never the one it came from. */
		hang(w, t);
	}
	/* All that is left hangs behind now_slot, within the old reach, hence within the new one. */
	w->now_slot = MAX(w->now_slot, now_slot);
	return NULL;
}

uint64_t wheel_next_us(const struct wheel *w)
{
	return w->armed > 0 ? first_slot(w) * WHEEL_SLOT_US : UINT64_MAX;
}
