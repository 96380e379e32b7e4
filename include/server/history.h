/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_HISTORY_H
#define SERVER_HISTORY_H
/* How long each address has lately taken: its smoothed RTT, looked at every 5 seconds and kept for 5 minutes. Main thread only. */

#include "server/snapshot.h"

enum { HISTORY_SAMPLES = 60, HISTORY_EVERY_US = 5 * 1000000 };

struct history;

NODISCARD struct history *history_new(void);
void history_free(struct history *h);

/* Looks at every address of `s`, if it is time to. Addresses that `s` does not have are forgotten. */
void history_sample(struct history *h, const struct snapshot *s, uint64_t now_us);

/* Microseconds, the latest last, to `out`; 0: the address could not be used then, or nothing was known. Returns how many there are. */
uint32_t history_of(const struct history *h, const struct upstream *u, uint32_t out[HISTORY_SAMPLES]);

#endif
