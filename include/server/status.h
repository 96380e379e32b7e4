/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H
/* How the daemon is, as JSON: what `r53fwd status --json` and /status.json show. Names in it are promised to scripts; r53fwd(8) explains
 * them. */

#include "obs/metrics.h"
#include "server/history.h"
#include "server/qps.h"
#include "server/snapshot.h"

struct json_t;

/* So many zones are listed unless all are asked for; those that are not up come first then. */
enum { STATUS_ZONES = 1000 };

/* What it is taken from. All is lent. */
struct status_world {
	struct snapshot *snapshot;
	const struct metrics *const *metrics; /* [workers] */
	uint32_t workers;
	const struct qps *qps;
	const struct history *history;
	bool probed; /* each address was probed once, with or without an answer */
	uint64_t now_us, started_us;
	const char *zones_path;
	int64_t started_at, loaded_at; /* seconds of the wall clock */
	uint64_t reloads_ok, reloads_failed;
};

/* An object; the caller gives it back. NULL without memory. */
NODISCARD struct json_t *status_make(const struct status_world *w, bool all_zones);

/* How a pool is as a whole. */
enum status_pool { STATUS_UP, STATUS_DEGRADED, STATUS_DOWN };
enum status_pool status_pool(const struct pool *p);

/* The same as a word, and "drained" when it is down by hand; an address's state ("up", "slow", "suspect", "down", "drained"); a policy's
 * name. Static. */
const char *status_pool_text(const struct pool *p);
const char *status_address(const struct pool *p, int place);
const char *status_policy_text(enum policy_kind policy);

/* The file in force, when it was loaded, and a digest of its octets. The caller gives it back. */
NODISCARD struct json_t *status_config(const struct status_world *w);

/* The same of every route, heap, [route_count]: up while its first endpoint is, down when all are. NULL without memory. */
NODISCARD enum status_pool *status_routes(const struct snapshot *s);

bool status_address_is_up(const struct pool *p, int place); /* up or slow */

/* How often the pool has been down, but by hand. */
uint32_t status_outages(const struct pool *p);

/* What an address has done wrong, as the end of a sentence; never NULL. */
const char *status_cause(const struct health_report *r);

/* The sum over all workers. */
uint64_t status_metric(const struct status_world *w, enum metric which);

#endif
