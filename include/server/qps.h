/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_QPS_H
#define SERVER_QPS_H
/* Queries per second: counters that only grow, looked at once a second, and the rate over the last five. Main thread only. */

#include "server/snapshot.h"

enum { QPS_WINDOW = 5, QPS_EVERY_US = 1000000 };

struct qps;

NODISCARD struct qps *qps_new(void);
void qps_free(struct qps *q);

/* Looks at every address of `s`, and at `queries`, which clients have asked in all. Addresses that `s` does not have are forgotten. */
void qps_sample(struct qps *q, const struct snapshot *s, uint64_t queries, uint64_t now_us);

/* Towards an address; from clients. 0 before the second sample. */
double qps_of(const struct qps *q, const struct upstream *u);
double qps_total(const struct qps *q);

#endif
