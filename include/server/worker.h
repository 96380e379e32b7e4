/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H
/* One thread, its loop, and all it owns: listeners, flights, upstream sockets. Talks to the main thread by messages only.
 *
 * The life of a worker: worker_new → worker_listen for each socket → worker_start → messages → worker_stop: its listeners
 * are read empty and closed, what is unanswered or not taken yet is waited for (5 s at most), the thread ends → worker_free.
 * worker_hand_over instead: the same, but TCP clients go to the instance that takes over as soon as they are owed nothing.
 * How it can fail: at worker_new and worker_start, without memory or threads. */

#include "net/listen.h"
#include "obs/metrics.h"
#include "server/snapshot.h"

struct worker;

/* What workers tell the main thread; called on the worker's thread, must not block. */
struct worker_news {
	void (*doubt)(void *arg, const char *pool_name);
	/* `upstream` gained a reference that the receiver gives back. */
	void (*changed)(void *arg, const char *pool_name, struct upstream *upstream, enum health_change change);
	void *arg;
};

/* What is this worker's of what all share. */
struct worker_plan {
	uint32_t index;   /* from 1; 0 is the main thread */
	uint32_t workers; /* in all */
	uint32_t sockets; /* towards upstreams, at most; 0: no limit */
	struct listen_limits *limits; /* kept */
};

/* NULL without memory. */
NODISCARD struct worker *worker_new(const struct worker_plan *plan, struct snapshot *s, const struct worker_news *news);

/* A bound socket, before worker_start; the worker owns it from now on. False without memory. */
NODISCARD bool worker_listen(struct worker *w, enum listen_kind kind, int fd);

NODISCARD int worker_start(struct worker *w); /* 0 or -errno */

/* Messages; from the main thread. Those about listeners are lost without memory, which they say by false: the new one is closed then. The
 * others arrive, or nothing hangs on them. */
void worker_adopt(struct worker *w, struct snapshot *s);
NODISCARD bool worker_add_listener(struct worker *w, enum listen_kind kind, int fd);
NODISCARD bool worker_remove_listener(struct worker *w, const struct addr *addr, bool ours); /* ours: nobody else has its sockets */
void worker_pool_closed(struct worker *w, const char *pool_name);
/* Asks though no client does; `name` is copied. */
void worker_refresh(struct worker *w, const struct name *name, uint16_t type);
void worker_stop(struct worker *w);
/* Whether its loop has turned since the last check; and asks it again. */
bool worker_check(struct worker *w);
void worker_hand_over(struct worker *w, int bridge); /* an end of a bridge, lent until worker_join */
/* A client of TCP whom another instance has accepted: `fd` is taken over, `bytes` are copied. Goes to the listener at the address that the
 * client has asked, else to any; without one, or without memory, the connection is closed. */
void worker_take_client(struct worker *w, int fd, const uint8_t *bytes, size_t len);

/* Appends duplicates of the sockets that are listened on, or will be, to *fds (heap). False without memory or descriptors. */
NODISCARD bool worker_copy_sockets(struct worker *w, int **fds, size_t *count);

/* Waits for the thread to end. */
void worker_join(struct worker *w);
/* One that still runs is stopped first. */
void worker_free(struct worker *w);

const struct metrics *worker_metrics(const struct worker *w);

#endif
