/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_FORWARD_H
#define SERVER_FORWARD_H
/* The life of a query, on one thread. Four doors, each given the time:
 *
 *   query ▸    a client asks                    forward_query
 *   answer ▸   an upstream answered or failed   forward_events, handed to the transports
 *   clock ▸    a deadline has come              forward_clock, not later than forward_next_us
 *   message ▸  the main thread has news         forward_adopt, forward_pool_closed, forward_refresh
 *
 * and forward_flush when a turn ends. It opens no socket and asks no clock: what it needs of the world stands in struct
 * forward_world, so a day of outages runs in milliseconds on a virtual clock (tests/sim).
 *
 *   query ─▸ special name? ─▸ cache ─▸ flight of the same question? ─▸ pool_pick ─▸ attempt ─▸ …
 *
 * A flight is answered by the first good answer; its other attempts stay open a while, to learn whether they were slow or silent. */

#include "net/listen.h"
#include "net/transport.h"
#include "obs/metrics.h"
#include "server/snapshot.h"

/* Bounds (contract, section 5). */
enum {
	FORWARD_FLIGHTS = 8192,           /* unanswered questions a worker */
	FORWARD_QUERIES_PER_FLIGHT = 256, /* clients waiting on one */
	FORWARD_QUERIES = 4 * FORWARD_FLIGHTS,
	FORWARD_ATTEMPTS = 3 * FORWARD_FLIGHTS,
	FORWARD_OPEN_ATTEMPTS = 3,        /* per question */
	FORWARD_DEADLINE_US = 4000000,    /* then the client has been told */
	FORWARD_SLACK_US = 5000,          /* before a time that is promised to the client: a timer's millisecond, a turn, the way */
};

/* What the cache remembers of a question that got no rcode from anybody, in place of one, of which there are 4,096. */
enum forward_failure {
	FORWARD_FAILED_BLOCKED = 0x1000, /* its answers were kept from clients */
	FORWARD_FAILED_SILENT,           /* nobody answered … */
	FORWARD_FAILED_UNREACHABLE,      /* … and the network said why */
};

/* The rcode that clients get for what is remembered. */
static inline uint16_t forward_failed_rcode(uint16_t remembered)
{
	return remembered >= FORWARD_FAILED_BLOCKED ? DNS_SERVFAIL : remembered;
}

/* How replies reach clients: net/listen.h in the daemon. */
struct forward_replies {
	uint8_t *(*room)(const struct reply_to *to, size_t *room);
	void (*send)(const struct reply_to *to, size_t len);
	void (*drop)(const struct reply_to *to);
	bool (*is_stream)(const struct reply_to *to);
};

struct forward;

struct forward_world {
	uint32_t thread;            /* index for counters: 0 is the main thread */
	struct random *random;
	struct metrics *metrics;
	struct transport_env *env;  /* its events are set by forward_new */
	const struct transport_ops *transports[TRANSPORT_KINDS];
	struct forward_replies replies;
	uint32_t workers;           /* source-ports are divided by it */
	uint64_t (*now_us)(void *arg); /* only for events from transports: the turn's time */
	/* Nobody has answered a question for a while: somebody should ask how the whole pool is. */
	void (*doubt)(void *arg, struct pool *pool);
	/* A question of the route came back from `client`: the first news of a loop. */
	void (*looped)(void *arg, const struct snapshot_route *route, const struct addr *client);
	/* An answer of the pool broke the zone's `expect` with this address: the first one in a while. */
	void (*violated)(void *arg, const struct snapshot_zone *zone, const struct pool *pool, const struct addr *seen);
	/* The state of an address changed through a query's evidence. */
	void (*changed)(void *arg, struct pool *pool, struct upstream *upstream, enum health_change change);
	void *arg;
};

/* `world` is copied; `snapshot` gains a reference. NULL without memory. */
NODISCARD struct forward *forward_new(const struct forward_world *world, struct snapshot *snapshot, uint64_t now_us);

/* Drops what waits, closes the transports, frees. */
void forward_free(struct forward *f);

/* Whether `client` may ask, as of the snapshot that the next query will see. */
bool forward_allows(const struct forward *f, const struct addr *client);

void forward_query(struct forward *f, const struct reply_to *to, const uint8_t *packet, size_t len, uint64_t now_us);
void forward_clock(struct forward *f, uint64_t now_us);
uint64_t forward_next_us(const struct forward *f);

/* From now on new queries see `s` (gains a reference); those in flight end as they began. */
void forward_adopt(struct forward *f, struct snapshot *s, uint64_t now_us);

/* The endpoint of this name was found to be down: whoever waits for it is served from what is known, or told, or moved to the next one. */
void forward_pool_closed(struct forward *f, const char *pool_name, uint64_t now_us);

/* Asks without a client: prefetch, keep-warm. */
void forward_refresh(struct forward *f, const struct name *name, uint16_t type, uint64_t now_us);

/* Sends what the turn has collected towards upstreams. */
void forward_flush(struct forward *f);

/* Questions unanswered now: a stop waits for 0. */
uint32_t forward_waiting(const struct forward *f);

#endif
