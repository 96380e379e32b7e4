/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_BRIDGE_H
#define NET_BRIDGE_H
/* The socket between a running instance and the one that takes over from it: words of one octet, and TCP clients with what they have
 * sent so far. Both ends are made by the running instance, which gives one away over the control socket; so who is on the other side is
 * known.
 *
 * The life of a bridge: bridge_pair → bridge_new on a loop at either side → words and clients → one side ends or closes, which the other
 * hears as BRIDGE_ENDED, once and last: after all that was said before, whatever was left unread there. */

#include "net/loop.h"

enum bridge_word {
	BRIDGE_ENDED = 0,
	BRIDGE_SERVES = 's', /* to the older one: stop; your control socket's file may go */
	BRIDGE_KEEPS = 'k',  /* the same, but the file stays: I listen there */
	BRIDGE_YOURS = 'y',  /* to the younger one: control socket and snapshot are yours alone from now on */
	BRIDGE_NO = 'n',     /* to the younger one: you took too long, I serve on */
	BRIDGE_CLIENT = 'c', /* to the younger one: a connection, and octets that were read of it and not looked at */
};

/* With a client at most: the start of the longest message, and what one read brings. */
enum { BRIDGE_BYTES_MAX = 96 << 10 };

/* How long bridge_send waits for room. */
enum { BRIDGE_SEND_MS = 1000 };

struct bridge;

/* `fd` is taken over, and is -1 but for BRIDGE_CLIENT; `bytes` are lent. The bridge may be closed here. */
typedef void bridge_fn(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len);

/* Both ends, close-on-exec. 0 or -errno. */
NODISCARD int bridge_pair(int ends[2]);

/* Listens to `end` (taken over, also on failure). NULL without memory. */
NODISCARD struct bridge *bridge_new(struct loop *l, int end, bridge_fn *fn, void *arg);
void bridge_close(struct bridge *b);
int bridge_end(const struct bridge *b); /* lent: for bridge_send, until bridge_close */

/* Hears what waits there now, without the loop's next turn: for a timer, which a loop fires before it looks at sockets. */
void bridge_read(struct bridge *b);

/* Any thread. `fd` (lent; -1: none) and `bytes` go with BRIDGE_CLIENT only. False when it could not be said: nobody hears any more, or
 * not within BRIDGE_SEND_MS. */
bool bridge_send(int end, enum bridge_word word, int fd, const uint8_t *bytes, size_t len);

#endif
