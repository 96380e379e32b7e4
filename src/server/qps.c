/* SPDX-License-Identifier: Apache-2.0 */
#include "server/qps.h"

#include <stdlib.h>
#include <string.h>

/* A rate over n seconds needs n + 1 looks at the counter. */
enum { SAMPLES = QPS_WINDOW + 1 };

/* A counter's last values, in a ring. */
struct series {
	uint64_t count[SAMPLES], at_us[SAMPLES];
	uint32_t taken; /* in all */
};

struct row {
	struct upstream *upstream; /* a reference: no other one can have its place in memory meanwhile */
	struct series series;
};

struct qps {
	struct series totals[QPS_TOTALS];
	struct row *rows; /* heap; in the order of the snapshot's pools and places */
	size_t count;
};

static void take(struct series *s, uint64_t count, uint64_t now_us)
{
	uint32_t i = s->taken++ % SAMPLES;

	s->count[i] = count;
	s->at_us[i] = now_us;
}

static double rate(const struct series *s)
{
	if (s->taken < 2)
		return 0;
	uint32_t last = (s->taken - 1) % SAMPLES, first = s->taken < SAMPLES ? 0 : s->taken % SAMPLES;
	uint64_t us = s->at_us[last] - s->at_us[first];
	return us == 0 ? 0 : (double)(s->count[last] - s->count[first]) * US_PER_S / (double)us;
}

struct qps *qps_new(void)
{
	return calloc(1, sizeof(struct qps));
}

static void forget(struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		upstream_unref(rows[i].upstream);
	free(rows);
}

void qps_free(struct qps *q)
{
	forget(q->rows, q->count);
	free(q);
}

/* The row of `u`; from one sample to the next it rarely moves, so it is looked for at `likely` first. */
static const struct row *find(const struct qps *q, const struct upstream *u, size_t likely)
{
	if (likely < q->count && q->rows[likely].upstream == u)
		return &q->rows[likely];
	for (size_t i = 0; i < q->count; i++)
		if (q->rows[i].upstream == u)
			return &q->rows[i];
	return NULL;
}

void qps_sample(struct qps *q, const struct snapshot *s, const uint64_t totals[QPS_TOTALS], uint64_t now_us)
{
	size_t places = 0, count = 0;

	for (int i = 0; i < QPS_TOTALS; i++)
		take(&q->totals[i], totals[i], now_us);
	for (size_t i = 0; i < s->pool_count; i++)
		places += s->pools[i].count;
	struct row *rows = calloc(MAX(places, (size_t)1), sizeof(*rows));
	if (rows == NULL)
		return; /* a second without a sample */
	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++) {
			struct upstream *u = s->pools[i].places[k].upstream;
			const struct row *old = find(q, u, count);
			if (old != NULL)
				rows[count].series = old->series;
			rows[count].upstream = upstream_ref(u);
			take(&rows[count++].series, upstream_counted(u, UPSTREAM_QUERIES), now_us);
		}
	forget(q->rows, q->count);
	q->rows = rows;
	q->count = count;
}

double qps_of(const struct qps *q, const struct upstream *u)
{
	const struct row *row = find(q, u, 0);

	return row == NULL ? 0 : rate(&row->series);
}

double qps_total(const struct qps *q, enum qps_total which)
{
	return rate(&q->totals[which]);
}
