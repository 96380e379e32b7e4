/* SPDX-License-Identifier: Apache-2.0 */
#include "server/history.h"

#include <stdlib.h>

struct row {
	struct upstream *upstream; /* a reference: no other one can have its place in memory meanwhile */
	uint32_t rtt_us[HISTORY_SAMPLES]; /* a ring */
	uint32_t taken;                   /* in all */
};

struct history {
	struct row *rows; /* heap; in the order of the snapshot's pools and places */
	size_t count;
	uint64_t due_us;
};

struct history *history_new(void)
{
	return calloc(1, sizeof(struct history));
}

static void forget(struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		upstream_unref(rows[i].upstream);
	free(rows);
}

void history_free(struct history *h)
{
	forget(h->rows, h->count);
	free(h);
}

static const struct row *find(const struct history *h, const struct upstream *u)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->rows[i].upstream == u)
			return &h->rows[i];
	return NULL;
}

static uint32_t measure(const struct pool *p, const struct upstream *u)
{
	bool usable = !atomic_load(&p->down) && health_state(&u->health) == HEALTH_UP;

	return usable ? rtt_smoothed_us(&u->rtt) : 0;
}

static void take(const struct history *h, const struct pool *p, int place, struct row *row)
{
	struct upstream *u = p->places[place].upstream;
	const struct row *old = find(h, u);

	if (old != NULL)
		*row = *old;
	row->upstream = upstream_ref(u);
	row->rtt_us[row->taken++ % HISTORY_SAMPLES] = measure(p, u);
}

void history_sample(struct history *h, const struct snapshot *s, uint64_t now_us)
{
	size_t places = 0, count = 0;

	if (now_us < h->due_us)
		return;
	h->due_us = now_us + HISTORY_EVERY_US;
	for (size_t i = 0; i < s->pool_count; i++)
		places += s->pools[i].count;
	struct row *rows = calloc(MAX(places, (size_t)1), sizeof(*rows));
	if (rows == NULL)
		return; /* one sample less */
	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++)
			take(h, &s->pools[i], k, &rows[count++]);
	forget(h->rows, h->count);
	h->rows = rows;
	h->count = count;
}

uint32_t history_of(const struct history *h, const struct upstream *u, uint32_t out[HISTORY_SAMPLES])
{
	const struct row *row = find(h, u);
	uint32_t count = row == NULL ? 0 : MIN(row->taken, (uint32_t)HISTORY_SAMPLES);

	for (uint32_t i = 0; i < count; i++)
		out[i] = row->rtt_us[(row->taken - count + i) % HISTORY_SAMPLES];
	return count;
}
