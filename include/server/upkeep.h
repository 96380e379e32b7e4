/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_UPKEEP_H
#define SERVER_UPKEEP_H
/* What the main thread asks upstreams of its own accord, on one timer: the prober, the search for loops, the check of
 * associations, and the names that are kept warm. Says in the log what they find. */

#include "net/loop.h"
#include "server/prober.h"

struct upkeep;

struct upkeep_world {
	struct loop *loop;
	struct random *random;
	uint32_t sockets; /* towards upstreams, at most; 0: no limit */
	/* The endpoint is down: whoever waits for it must be told. */
	void (*closed)(void *arg, struct pool *pool);
	/* A worker should ask without a client; `hash` is the same for the same question. */
	void (*refresh)(void *arg, const struct name *name, uint16_t type, uint64_t hash);
	void *arg;
};

/* NULL without memory. */
NODISCARD struct upkeep *upkeep_new(const struct upkeep_world *world, struct snapshot *s);
void upkeep_free(struct upkeep *u);
void upkeep_adopt(struct upkeep *u, struct snapshot *s);

/* The loop's turn ends: sends what was collected, sets the timer. */
void upkeep_turn(struct upkeep *u);

/* The workers' evidence: the state of an address of `pool_name` changed; nobody there has answered a question for a while. */
void upkeep_changed(struct upkeep *u, const char *pool_name, struct upstream *upstream, enum health_change change);
void upkeep_doubt(struct upkeep *u, const char *pool_name);

/* Each address was probed once, with or without an answer. */
bool upkeep_is_probed(const struct upkeep *u);

#endif
