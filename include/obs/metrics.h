/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H
/* Counters of one thread: written by that thread alone, read by any. No locks, no shared cache lines. */

#include <stdatomic.h>
#include <stdio.h>

#include "base/base.h"

enum metric {
#define METRIC(value, family, labels, help) METRIC_##value,
#include "tables/metrics.def"
	METRICS
};

/* What no thread counts: it is looked up when somebody asks. */
enum metrics_gathered {
#define GATHERED(value, family, type, labels, help) GATHERED_##value,
#include "tables/metrics.def"
	METRICS_GATHERED
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

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };
struct metrics_family {
	const char *name; /* without the prefix r53fwd_ */
	const char *labels; /* names, a comma between */
	const char *help;
	enum metrics_type type;
};
extern const struct metrics_family metrics_gathered[METRICS_GATHERED];

/* As Prometheus calls it: counter. */
const char *metrics_type_name(enum metrics_type type);

/* Every family once, in the order of the table: what METRIC rows make up, then the gathered ones. Returns false behind the last one. */
bool metrics_family_at(size_t i, struct metrics_family *out);

/* The list in r53fwd-metrics(7), in mdoc. */
void metrics_print_man(FILE *out);

static inline void metrics_add(struct metrics *m, enum metric which, uint64_t n)
{
	atomic_store_explicit(&m->of[which], atomic_load_explicit(&m->of[which], memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t metrics_get(const struct metrics *m, enum metric which)
{
	return atomic_load_explicit(&m->of[which], memory_order_relaxed);
}

#endif
