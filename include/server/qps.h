/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_QPS_H
#define SERVER_QPS_H
/* Queries per second: counters that only grow, looked at once a second, and the rate over the last five. Main thread only. */

#include "server/snapshot.h"

enum { QPS_WINDOW = 5, QPS_EVERY_US = 1000000 };

struct qps;

NODISCARD struct qps *qps_new(void);
void qps_free(struct qps *q);

/* What is counted for all clients together: their queries, and those answered stale. */
enum qps_total { QPS_QUERIES, QPS_STALE, QPS_TOTALS };

/* Looks at every address of `s`, and at `totals`, which only grow, too. Addresses that `s` does not have are forgotten. */
void qps_sample(struct qps *q, const struct snapshot *s, const uint64_t totals[QPS_TOTALS], uint64_t now_us);

/* Towards an address; of a total. 0 before the second sample. */
double qps_of(const struct qps *q, const struct upstream *u);
double qps_total(const struct qps *q, enum qps_total which);

#endif
