/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H
/* The older side of a takeover (the younger one is server/takeover.h).
 *
 * The life of a handover: asked for over the control socket → duplicates of all listening sockets and the cache go to the other instance,
 * which serves beside us as soon as it is ready → it says so → the control socket and the snapshot are its own, and it is told → we stop:
 * what is in flight is answered here; what the kernel holds, it reads.
 * How it can fail: until the other one says that it serves, nothing has changed here. If it ends before, or takes longer than
 * HANDOVER_PATIENCE_US, we serve on as if nothing had been, and say so. If we are stopped while it has the offer, our control socket's
 * file stays for it; where it does not come to that, the file is one that nobody serves, which the next start replaces.
 *
 * Main thread only. */

#include "net/control.h"

struct handover;

enum { HANDOVER_PATIENCE_US = 60 * 1000000 };

struct handover_world {
	struct loop *loop;
	/* Appends duplicates of all listening sockets. */
	bool (*sockets)(void *arg, int **fds, size_t *count);
	int (*control)(void *arg); /* the control socket, lent */
	int (*cache)(void *arg);   /* persist_pack: taken over; -1: does not go along */
	/* The snapshot must rest; it may go on. */
	void (*hold)(void *arg);
	void (*resume)(void *arg);
	/* The other one serves, or we stop while it has the offer: leave the control socket, with or without its file, … */
	void (*leave)(void *arg, bool keep_file);
	/* … and, if it serves, stop. TCP clients may be sent over `bridge` (lent) until handover_free. */
	void (*stop)(void *arg, int bridge);
	void *arg;
};

/* `world` is copied. NULL without memory. */
NODISCARD struct handover *handover_new(const struct handover_world *world);

/* The world's leave is called if an offer is out. */
void handover_free(struct handover *h);

/* Somebody has been offered everything, and has not gone away. */
bool handover_is_out(const struct handover *h);

/* Process `pid` asks. NULL when the reply's descriptors were filled: the bridge, the control socket, the cache, the listening sockets; else
 * why not, in a sentence. */
const char *handover_offer(struct handover *h, pid_t pid, struct control_reply *reply);

#endif
