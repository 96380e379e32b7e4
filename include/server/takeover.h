/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_TAKEOVER_H
#define SERVER_TAKEOVER_H
/* `--takeover`: the younger side (the older one is server/handover.h).
 *
 * The life of a takeover: the running instance is asked over its control socket for its listening sockets, its cache and its
 * drains → the sockets go to our bindings → our workers serve them, beside the older instance's → takeover_begin says so there → it
 * leaves control socket and snapshot to us, sends the TCP clients that it owes nothing, answers what is in flight, and stops.
 * How it can fail: before takeover_begin the older one serves on as if nothing had been, whatever becomes of us. If it ends before it has
 * left anything, by a stop or a crash, we have the sockets and serve on alone. If it lost patience, we end. */

#include <sys/types.h>

#include "base/addr.h"
#include "net/loop.h"

/* From takeover_begin on: it has nothing left to do but to leave its control socket. Then it hangs, which is said. */
enum { TAKEOVER_PATIENCE_US = 10 * US_PER_S };

enum takeover_verdict {
	TAKEOVER_GIVEN,
	TAKEOVER_NOBODY, /* no instance runs there */
	TAKEOVER_FAILED, /* said why */
};

struct bridge;

struct takeover {
	int bridge_end; /* -1: the bridge has it, or there is none */
	int control;    /* the other's control socket; -1: there is none, or it was taken */
	int *sockets;   /* heap; those at which it listens for DNS */
	size_t socket_count;
	int cache;      /* what it knows, for persist_unpack; -1: it did not come along, or was taken */
	struct addr *drained; /* heap; addresses that take no questions, by its operator's will */
	size_t drained_count;
	pid_t pages;    /* its r53fwd-http; 0: none */
	pid_t pid;      /* the other one, as far as it is seen from here */
	struct bridge *bridge;
	struct loop_timer *patience; /* NULL: not begun */
	void (*yours)(void *arg); /* from here on: see takeover_begin */
	void (*refused)(void *arg);
	void (*client)(void *arg, int fd, const uint8_t *bytes, size_t len);
	void *arg;
	bool keeps;     /* its control socket is where ours is to be */
	bool settled;   /* yours, or refused */
};

/* There is none. */
void takeover_init(struct takeover *t);

/* Asks the instance whose control socket is at `path`, and waits for it. Fills `t`; NOBODY is said as well. Only the answer of root, of
 * our own user and of `user`, which we may be about to become, is taken. */
enum takeover_verdict takeover_ask(struct takeover *t, const char *path, uid_t user);

/* The sockets are somebody else's now. */
void takeover_forget_sockets(struct takeover *t);

/* Our workers serve. From now on, on `l`: yours (once: the control socket and the snapshot are ours alone; t->control is to be taken),
 * or refused (once: it serves on, we must not), and client (`fd` is taken over, bytes are lent). Callbacks and arg stand in `t`. False
 * without memory. */
NODISCARD bool takeover_begin(struct takeover *t, struct loop *l);

/* All that is still here. */
void takeover_deinit(struct takeover *t);

#endif
