/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H
/* Where clients ask. A listener hands up bytes and a handle to reply to; the handle is a value, may be kept as long as the owner
 * likes, is used exactly once (listener_send or listener_drop), and outlives its client: a reply to one who has gone is
 * dropped in silence.
 *
 * The life of a listener: listen_open binds a socket (main thread, while it still may) → listener_new puts it on a worker's
 * loop → queries go up, replies come down, each batch leaves at listener_flush → listener_close reads what the kernel
 * already holds, stops, and frees itself when the last handle was used.
 * How it can fail: listen_open says why; afterwards nothing ends a listener but its owner. */

#include "base/addr.h"
#include "net/loop.h"

enum listen_kind { LISTEN_UDP, LISTEN_TCP };

struct listener;

/* Who asked, and where the reply goes. */
struct reply_to {
	struct listener *listener;
	struct addr client;
	union {
		struct { /* UDP: the address the query was sent to, from which the reply must leave; family 0: the socket's own */
			struct in6_addr local; /* IPv4: in the first four bytes */
			uint32_t interface;
			uint8_t family;
		} udp;
		struct { /* TCP: which connection; a reused slot has another generation */
			uint32_t slot, generation;
		} tcp;
	};
};

/* A query came in. `query` is lent for the call. Must end in listener_send or listener_drop, now or later. */
typedef void listen_query_fn(void *arg, const struct reply_to *to, const uint8_t *query, size_t len);

/* Limits of all TCP listeners of the daemon together; counts inside, shared by the workers. */
struct listen_limits;
NODISCARD struct listen_limits *listen_limits_new(void);
void listen_limits_free(struct listen_limits *l);
void listen_limits_set(struct listen_limits *l, uint64_t idle_us, uint32_t connections, uint32_t per_client); /* any thread */

/* Unanswered questions per connection: above, the connection is not read. */
enum { LISTEN_TCP_PIPELINE = 100 };

/* Binds a non-blocking socket. The first of several workers' sockets passes join = false: the bind happens without
 * SO_REUSEPORT, so that a port in use is an error even among our own kind, and SO_REUSEPORT is set afterwards; the others
 * join. IPv6 sockets are V6ONLY; wildcard sockets ask for the local address of each datagram. Returns the descriptor or -errno. */
NODISCARD int listen_open(const struct addr *a, enum listen_kind kind, bool join);

/* Makes a socket that somebody else has bound one like those of listen_open, without binding it: whoever shares it with us sees that it
 * no longer blocks. 0; -EPROTOTYPE if it is of another kind, -EAFNOSUPPORT for an IPv6 socket that takes IPv4 as well, or -errno. The
 * descriptor stays the caller's. `a` gets its address. */
NODISCARD int listen_adopt(int fd, enum listen_kind *kind, struct addr *a);

/* Serves the bound (for TCP, mostly not yet listening) descriptor `fd`, which it owns from now on. `limits` (kept) for TCP only.
 * NULL without memory, or when the system refuses to listen: fd is closed then. */
NODISCARD struct listener *listener_new(struct loop *l, enum listen_kind kind, int fd, struct listen_limits *limits, listen_query_fn *fn,
					void *arg);
const struct addr *listener_addr(const struct listener *l); /* as bound, with the port that the kernel chose for 0 */
enum listen_kind listener_kind(const struct listener *l);
/* What the kernel holds is handed up before this returns, nothing afterwards; the caller forgets the listener, also in its turn function,
 * but for the handles that are out: their replies leave as they come. Not from inside listen_query_fn. */
void listener_close(struct listener *l);

/* Before listener_close, where nobody else has the socket: what is sent to its address from now on finds another socket, a wildcard's or a
 * new one's, or none, though the kernel has this one until the last reply has left. */
void listener_leave(struct listener *l);

/* listener_close where another process serves the same socket from now on: a TCP client who is owed nothing, now or when that is so, is
 * given to `pass` with the octets that it has sent and that were not handed up. All is lent; the other process needs a copy of the
 * descriptor. False: it could not be done, and the connection is closed. */
typedef bool listen_pass_fn(void *arg, int fd, const uint8_t *bytes, size_t len);
void listener_pass(struct listener *l, listen_pass_fn *pass, void *arg);

/* The other side of it: serves a client whom another process has accepted. `l` is for TCP; `fd` is taken over, whatever becomes of it. */
void listener_adopt(struct listener *l, int fd, const uint8_t *bytes, size_t len);

/* Who may ask, on the loop's thread. Connections of strangers, who are told REFUSED, make room at the limit before any other, and push out
 * nobody but each other; without `allows` there are none. To be set again whenever it begins to say something else. */
typedef bool listen_allows_fn(void *arg, const struct addr *client);
void listener_set_allows(struct listener *l, listen_allows_fn *allows, void *arg);

int listener_fd(const struct listener *l); /* lent */

/* `gone` is called when a listener that was closed owes nothing any more, over TCP the octets that its clients have not taken yet included,
 * and is about to free itself; when the loop goes as well. */
typedef void listen_gone_fn(void *arg);
void listener_set_gone(struct listener *l, listen_gone_fn *gone, void *arg);

/* Room for the reply, at least 1232 bytes over UDP and 65535 over TCP: write there, then send. The memory is valid until then;
 * at most one room is open per listener at a time. */
uint8_t *listener_room(const struct reply_to *to, size_t *room);

/* Sends the `len` bytes written to the room: with the batch. */
void listener_send(const struct reply_to *to, size_t len);

/* No reply, ever. */
void listener_drop(const struct reply_to *to);

/* Sends what has been collected: once a turn. */
void listener_flush(struct listener *l);

/* Why we ended a TCP connection: no progress for `idle`, nothing being owed; the same while it left answers lying; others needed its room;
 * it held too much of our memory (the bounds of docs/security.md), or there was none. */
enum listen_closed { CLOSED_IDLE, CLOSED_UNREAD, CLOSED_ROOM, CLOSED_MEMORY, CLOSED_KINDS };

struct listener_counts {
	uint64_t received; /* queries handed up */
	uint64_t sent, send_failed;
	uint64_t port_zero, too_long; /* datagrams dropped: from port 0, above 2048 bytes */
	uint64_t accepted, refused;   /* connections, refused by the limits */
	uint64_t rests;               /* of accepting, without descriptors or memory */
	uint64_t closed[CLOSED_KINDS];
	uint32_t connections;
};
void listener_counts(const struct listener *l, struct listener_counts *out); /* the loop's thread */

#endif
