/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_LOOPCHECK_H
#define SERVER_LOOPCHECK_H
/* Does what we ask come back to us? A rule in the VPC that points at the on-premises resolvers, or a local upstream that
 * forwards to us, makes a loop: each query then waits for itself. EDNS marks do not cross resolvers, and coalescing hides a
 * loop of one name, so a question that nobody else asks goes out now and then per endpoint: <16 hex
 * digits>.r53fwd-loop.<apex of a zone>. Whoever delivers it to our door is the way back.
 *
 *   main thread   a nonce per pool, after the start, when an endpoint goes down, and every 5 minutes (30 s while it is down or there is
 *                 a loop: in a loop nobody answers): loopcheck_clock
 *   workers       a query with the pool's nonce: loopcheck_meet. From then on questions of that pool's zones from the same client
 *                 are refused (on loopback those that are in flight already), until LOOPCHECK_HOLD_US after the last nonce that came back.
 *
 * Shared state is a few atomics in struct pool; only misses look at it. */

#include "core/pool.h"
#include "net/transport.h"
#include "server/snapshot.h"

enum {
	LOOPCHECK_FIRST_US = 2 * 1000000,
	LOOPCHECK_EVERY_US = 300 * 1000000,
	LOOPCHECK_AGAIN_US = 30 * 1000000,
	LOOPCHECK_HOLD_US = 90 * 1000000,
	LOOPCHECK_PATIENCE_US = 5 * 1000000, /* an answer later than this is not waited for */
};

/* ---- names */

/* Writes the name that carries `nonce` (not 0) below `apex`; false when that leaves no room for it. */
NODISCARD bool loopcheck_write_name(struct name *out, uint64_t nonce, const struct name *apex);

/* The nonce that a name carries; 0: none. */
uint64_t loopcheck_read_nonce(const struct name *n);

/* ---- on the main thread */

struct loopcheck;

struct loopcheck_world {
	struct random *random;
	struct transport_env *env; /* of its own: its events are set by loopcheck_new */
	const struct transport_ops *transports[TRANSPORT_KINDS];
};

NODISCARD struct loopcheck *loopcheck_new(const struct loopcheck_world *world, struct snapshot *s, uint64_t now_us);
void loopcheck_free(struct loopcheck *l);
void loopcheck_adopt(struct loopcheck *l, struct snapshot *s, uint64_t now_us);
void loopcheck_clock(struct loopcheck *l, uint64_t now_us);
uint64_t loopcheck_next_us(const struct loopcheck *l);
void loopcheck_flush(struct loopcheck *l);

/* ---- on a worker */

enum loopcheck_verdict {
	LOOPCHECK_PASS,
	LOOPCHECK_FOUND,  /* the nonce came back: the first news of a loop */
	LOOPCHECK_REFUSE, /* known: refuse, say no more */
	LOOPCHECK_SHARED, /* known, but on loopback others have that address, too: refuse what is in flight already */
};

/* Judges a query that would go upstream to `route`. */
enum loopcheck_verdict loopcheck_meet(const struct snapshot_route *route, const struct name *name, const struct addr *client,
				      uint64_t now_us);

/* The pool is in a loop as far as is known now. */
bool loopcheck_is_looping(const struct pool *p, uint64_t now_us);

#endif
