/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_PROBER_H
#define SERVER_PROBER_H
/* Who is asked for its health, and when. Probes are billed like any query, so traffic is the first evidence:
 *
 *   healthy, just answered     not probed; idle: once in 5 minutes
 *   suspect or down            every `interval`; while good probes are being counted, every 500 ms
 *   slow                       every `interval` while questions are asked of the endpoint, idle: once in 5 minutes
 *   suspect since this moment  at once
 *   a question nobody answers  all that have not just answered, at once: is it the name or the path?
 *
 * Whoever is well is asked about the pool's zones in turn, whoever is in doubt about one that was answered before; and a zone's silence
 * or error counts only when another one fares no better (probe.c).
 *
 * When every address is down or has a probe unanswered for max(200 ms, 3 x (srtt + 4 rttvar)), the endpoint is closed: it
 * is the path. Then one probe every 500 ms goes round the addresses, and the first answer opens it. Lives on the main
 * thread; like forward.h, without a clock of its own. */

#include "net/transport.h"
#include "server/snapshot.h"

enum {
	PROBER_IDLE_US = 300 * 1000000,
	PROBER_DOWN_US = 500000,    /* round an endpoint that is down, and between good probes that are being counted */
	PROBER_TIMEOUT_US = 1000000, /* at most; else the interval */
};

struct prober;

struct prober_world {
	struct random *random;
	struct transport_env *env; /* its events are set by prober_new */
	const struct transport_ops *transports[TRANSPORT_KINDS];
	uint64_t (*now_us)(void *arg);
	void (*closed)(void *arg, struct pool *pool);
	void (*opened)(void *arg, struct pool *pool, int place);
	void (*changed)(void *arg, struct pool *pool, struct upstream *upstream, enum health_change change);
	/* An address answered `NS zone` with this message. NULL: nobody listens. */
	void (*heard)(void *arg, const struct pool *pool, const struct name *zone, const uint8_t *message, size_t len);
	void *arg;
};

/* Probes every address once at the start. NULL without memory. */
NODISCARD struct prober *prober_new(const struct prober_world *world, struct snapshot *s, uint64_t now_us);
void prober_free(struct prober *p);

/* The snapshot changed: addresses that stay keep their schedule, new ones are probed at once. */
void prober_adopt(struct prober *p, struct snapshot *s, uint64_t now_us);

/* A worker's evidence made the address suspect: probed at once. The address may have gone with a reload. */
void prober_suspect(struct prober *p, const struct upstream *u, uint64_t now_us);

/* A question went unanswered by the whole pool. */
void prober_doubt(struct prober *p, const char *pool_name, uint64_t now_us);

void prober_clock(struct prober *p, uint64_t now_us);
uint64_t prober_next_us(const struct prober *p);
void prober_flush(struct prober *p);

/* Each address was probed once, with or without an answer. */
bool prober_is_done(const struct prober *p);

#endif
