/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_ASSOCIATION_H
#define SERVER_ASSOCIATION_H
/* Is each zone still private where it goes? A private hosted zone whose association with the endpoint's VPC was taken away is
 * answered from the public DNS, in silence and with NOERROR. Route 53 reserves four server names for private zones: an answer to
 * `NS <apex>` that names servers, or an SOA's MNAME, and none of the four, comes from elsewhere: the zone is detached at that
 * endpoint.
 *
 * Each (endpoint, zone) is judged every 5 minutes. The prober's questions are the same ones, so its answers are judged as well
 * and put the next check off. Checks of one endpoint are spread: at least min(1 s, 5 minutes / zones) apart, but never less than
 * 200 ms, so above 1,500 zones the 5 minutes grow. They are billed, counted as probes and take rate tokens. What was learned is
 * in struct snapshot_learned. Lives on the main thread. */

#include "net/transport.h"
#include "server/snapshot.h"

enum {
	ASSOCIATION_EVERY_US = 300 * 1000000,
	ASSOCIATION_LEAST_GAP_US = 200000,
	ASSOCIATION_MOST_GAP_US = 1000000,
	ASSOCIATION_PATIENCE_US = 1000000, /* an answer later than this is not waited for */
};

struct association;

struct association_world {
	struct random *random;
	struct transport_env *env; /* of its own: its events are set by association_new */
	const struct transport_ops *transports[TRANSPORT_KINDS];
	uint64_t (*now_us)(void *arg); /* only for events from transports: the turn's time */
	/* The zone is detached at `pool` now, or private again; `server` is what was named as its server. */
	void (*judged)(void *arg, const struct name *zone, const struct pool *pool, bool detached, const struct name *server);
	/* An address that was doubted has answered. */
	void (*changed)(void *arg, struct pool *pool, struct upstream *upstream, enum health_change change);
	void *arg;
};

/* NULL without memory. */
NODISCARD struct association *association_new(const struct association_world *world, struct snapshot *s, uint64_t now_us);
void association_free(struct association *a);
void association_adopt(struct association *a, struct snapshot *s, uint64_t now_us);
void association_clock(struct association *a, uint64_t now_us);
uint64_t association_next_us(const struct association *a);
void association_flush(struct association *a);

/* `pool` answered a probe for `NS zone` with this message. */
void association_hear(struct association *a, const struct pool *pool, const struct name *zone, const uint8_t *message, size_t len);

#endif
