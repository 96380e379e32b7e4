/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H
/* Counters of one thread: written by that thread alone, read by any. No locks, no shared cache lines. */

#include <stdatomic.h>

#include "base/base.h"

enum metric {
#define METRIC(value, family, labels, help) METRIC_##value,
#include "tables/metrics.def"
#undef METRIC
	METRICS
};

struct metrics {
	_Atomic uint64_t of[METRICS];
} __attribute__((aligned(64)));

/* What a row says of itself. */
struct metrics_row {
	const char *family; /* without the prefix r53fwd_ */
	const char *labels; /* `proto="udp"`, or empty */
	const char *help;   /* empty but for the first row of a family */
};
extern const struct metrics_row metrics_rows[METRICS];

static inline void metrics_add(struct metrics *m, enum metric which, uint64_t n)
{
	atomic_store_explicit(&m->of[which], atomic_load_explicit(&m->of[which], memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t metrics_get(const struct metrics *m, enum metric which)
{
	return atomic_load_explicit(&m->of[which], memory_order_relaxed);
}

#endif
