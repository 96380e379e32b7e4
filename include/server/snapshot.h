/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_SNAPSHOT_H
#define SERVER_SNAPSHOT_H
/* One zones.conf, compiled: immutable and counted. A reload builds the next one aside and hands it to every worker; the old one goes
 * when the last question that started under it has ended. Pools, health and cache inside are shared and changing, see their headers. */

#include "config/config.h"
#include "config/resolv.h"
#include "core/allow.h"
#include "core/cache.h"
#include "core/limiter.h"
#include "core/pool.h"
#include "core/route.h"

/* Where questions go: zones with the same `to:` share one. */
struct snapshot_route {
	uint32_t identity; /* stable over reloads and restarts: of the endpoints' names, in order */
	bool local;        /* the local upstreams: DO, CD and AD pass */
	uint8_t count;
	struct pool *pools[CONFIG_MAX_TO];
};

/* Names that are answered here and never sent anywhere. */
enum snapshot_special { SPECIAL_NONE, SPECIAL_LOCALHOST, SPECIAL_LOCALHOST_REVERSE, SPECIAL_NXDOMAIN, SPECIAL_NODATA };

struct snapshot_zone {
	uint32_t route; /* index into routes */
	uint32_t identity; /* of its answers in the cache: the route's, and that of an enforced `expect`, so that what was not held to it is
	                    * another zone's; stable over reloads and restarts */
	enum snapshot_special special;
	const struct config_zone *config; /* NULL for special zones and for what nobody routed */
};

/* What an endpoint says of a zone: the hosted zone that answers is a private one, or no longer (server/association.h). */
enum snapshot_association { ASSOCIATION_UNKNOWN, ASSOCIATION_PRIVATE, ASSOCIATION_DETACHED };

/* What is learned of a zone while it is served. Written rarely; lives on through reloads as far as the zone and its endpoints stay.
 * Arrays are by the pool's place in the zone's route. */
struct snapshot_learned {
	uint64_t queries_before;                 /* under earlier snapshots */
	_Atomic uint64_t violations;             /* answers that broke `expect` */
	_Atomic uint32_t violated_s[CONFIG_MAX_TO]; /* when one last did; 0: never */
	uint32_t heard_s[CONFIG_MAX_TO];         /* when `association` was last judged; 0: never. Main thread only */
	_Atomic uint8_t association[CONFIG_MAX_TO];
};

/* An endpoint's violations are news again when it has kept to `expect` for so long. */
enum { SNAPSHOT_VIOLATION_NEWS_S = 300 };

struct snapshot {
	_Atomic uint32_t refs;
	struct config *config; /* shared with snapshots that differ in the local upstreams only */
	_Atomic uint32_t *config_refs; /* heap */
	struct route_table *table; /* values: indices into zones */
	struct snapshot_zone *zones;
	size_t zone_count;     /* the last one is everything that nobody routed */
	struct snapshot_learned *learned; /* [zone_count] */
	_Atomic uint64_t *_Atomic queries[POOL_MAX_THREADS]; /* each [zone_count], heap, of that thread alone; NULL: it has no lease */
	struct snapshot_route *routes;
	size_t route_count;    /* routes[0]: local */
	struct pool *pools;
	size_t pool_count;     /* as config->endpoints; pools[0]: local */
	uint32_t upstream_ids; /* how many were given out, here and in all that went before */
	struct cache *cache;   /* a reference */
	struct cache_rules cache_rules;
	struct allow allow;
	struct limiter *limiter; /* a reference; NULL: rate-limit is off */
	struct allow rate_exempt;
	struct resolv resolv;  /* what the local upstreams were taken from, if not from the file */
};

/* Compiles `config` (taken over, also on failure). From `previous` (NULL at start) come upstreams with their health, pools'
 * memory and the cache. `resolv` gives the local upstreams when the file names none. NULL without memory. Main thread only.
 * */
NODISCARD struct snapshot *snapshot_new(struct config *config, const struct resolv *resolv, struct snapshot *previous);
/* The same zones.conf with other local upstreams from `resolv`. */
NODISCARD struct snapshot *snapshot_renew(struct snapshot *previous, const struct resolv *resolv);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);

/* The zone that a name belongs to; always one. */
static inline const struct snapshot_zone *snapshot_find_zone(const struct snapshot *s, const struct name *n)
{
	int i = route_find(s->table, n);
	return &s->zones[i == ROUTE_NONE ? (int)s->zone_count - 1 : i];
}

/* The first of a route's pools that may be used now, or NULL when all are down: the first that is steady, else the first that is open. */
struct pool *snapshot_route_pool(const struct snapshot_route *r, uint64_t now_us);

/* When all are down: the first that may be asked all the same, or NULL. Of an inbound endpoint it is known that it answers probes; other
 * servers may leave them unanswered or refuse them, and answer questions. Who has answered them, and leaves those and questions
 * unanswered now, is as down as an endpoint. */
struct pool *snapshot_route_unsure(const struct snapshot_route *r);

/* When all are down: the first that may be asked where no client waits for it, since it costs nothing and is not AWS's; or NULL. */
struct pool *snapshot_route_own(const struct snapshot_route *r);

/* The outage numbers of a route's pools together: when it changes, what was remembered of failures is void. */
uint16_t snapshot_route_outage(const struct snapshot_route *r);

/* `thread`'s counters of queries, one a zone; made at the first call. NULL without memory. */
_Atomic uint64_t *snapshot_query_counters(struct snapshot *s, uint32_t thread);

/* Since the zone was first routed. What is counted while workers change over from one snapshot to the next may be lost. */
uint64_t snapshot_zone_queries(const struct snapshot *s, size_t zone);

/* Whether `pool` is asked if the zone is still associated: it is an inbound endpoint, and the zone's `association` is on. */
bool snapshot_checks_association(const struct snapshot *s, size_t zone, const struct pool *pool);

/* Detached if one of its endpoints says so. */
enum snapshot_association snapshot_zone_association(const struct snapshot *s, size_t zone);

/* The place of `pool` in a route; -1 if it is not there. */
int snapshot_route_place(const struct snapshot_route *r, const struct pool *pool);

/* An answer of `pool` broke the zone's `expect`. True if that is news. */
bool snapshot_violation(struct snapshot *s, size_t zone, const struct pool *pool, uint32_t now_s);

/* A datagram from `a` is ours, or claims to be: we listen there. `sent_to`: where it was sent to, as in net/listen.h's reply_to, since a
 * wildcard listens at every address that this host has; NULL: at the address that the listener is bound to. */
bool snapshot_is_ourselves(const struct snapshot *s, const struct addr *a, const struct in6_addr *sent_to);

#endif
