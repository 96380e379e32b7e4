/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/metrics.h"

const struct metrics_row metrics_rows[METRICS] = {
#define METRIC(value, family, labels, help) {family, labels, help},
#include "tables/metrics.def"
#undef METRIC
};
