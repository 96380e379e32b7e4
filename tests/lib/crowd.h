/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_CROWD_H
#define TESTS_LIB_CROWD_H
/* Clients of a world who ask in an even stream, each a name that nobody asked before, and how they fared. Every query must have been
 * answered when its patience of 5 s ends: the crowd asserts that. */

#include "world.h"

enum { CROWD_MOST = 1 << 17, CROWD_WAITING = 32768 };

struct crowd {
	struct world *world;
	const char *zone;       /* names are <label><number>.<zone> */
	const char *label;      /* "q" if NULL */
	unsigned asked, well, failed, stale; /* well: NOERROR or NXDOMAIN, stale ones too */
	uint64_t slowest_us;
	char first_failure[300]; /* rcode and extended error, for the test's message */
	/* private: */
	uint32_t *took_us;      /* [CROWD_MOST], heap */
	struct {
		unsigned query;
		uint64_t began_us;
	} *waiting;             /* [CROWD_WAITING], heap */
	unsigned waiting_count;
};

void crowd_init(struct crowd *c, struct world *w, const char *zone);
void crowd_deinit(struct crowd *c);

/* Asks `qps` questions a second for a while; does not wait for the last. */
void crowd_ask(struct crowd *c, unsigned qps, uint64_t ms);

/* Lets everybody be answered. */
void crowd_wait(struct crowd *c);

/* Waits, then forgets the numbers, but not the names. */
void crowd_reset(struct crowd *c);

/* The slowest of the fastest `pm` of 1000. */
uint64_t crowd_percentile_us(const struct crowd *c, unsigned pm);

/* Client questions that came to all upstreams whose IP begins so. */
unsigned crowd_asked_upstream(struct world *w, const char *const *ips, unsigned count);

#endif
