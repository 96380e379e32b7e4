/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_UDP_SOCKET_H
#define NET_UDP_SOCKET_H
/* The system's side of asking over UDP: a socket that hears one upstream only, and what the network said of its
 * datagrams; and what the sockets of one thread share. */

#include <sys/socket.h>
#include <sys/uio.h>

#include "net/transport.h"

/* A non-blocking socket, bound to a random port and connected to `upstream`, so that the kernel drops whatever has
 * another source. ICMP errors go to its error queue. Returns the descriptor or -errno. */
NODISCARD int udp_socket_open(const struct addr *upstream, struct random *random);

/* Which address of this host the sockets towards one upstream send from. The kernel chooses it when a socket is connected, and keeps it:
 * when that address goes, or another way leads there (a VPN comes up), nothing comes back to the sockets that are open. */
struct udp_socket_source {
	struct addr chosen;  /* at the last look; empty before the first */
	uint32_t moves;      /* how often it has changed */
	uint64_t looked_us;  /* the last time */
	bool doubtful;       /* something went unanswered since */
};

/* Looks which address the system would choose now, at most once a second and only if that is doubtful. */
void udp_socket_look(struct udp_socket_source *s, const struct addr *upstream, uint64_t now_us);

/* Gives an open socket the source that the system chooses now, unless it is `source` already; its port stays, but for one that the kernel
 * has chosen because those drawn were all in use: the kernel chooses again. What has come and was not read is dropped then. Returns 0, or
 * -errno: it hears anybody, and nothing that comes there may be believed. */
NODISCARD int udp_socket_move(int fd, const struct addr *upstream, const struct addr *source);

/* What the error queue holds next. */
struct udp_socket_error {
	int error;   /* errno; 0 when it says nothing of reachability */
	bool has_id; /* enough of the datagram was quoted to know its id */
	uint16_t id;
};

/* Takes one error off the queue; false when it is empty. */
bool udp_socket_take_error(int fd, struct udp_socket_error *e);

/* 64 queries leave in one call, 32 answers are read in one; no answer of more than 4 KiB is expected, for 1232 bytes
 * are asked for. One for a thread: 150 KiB, touched as far as batches grow. */
enum { UDP_OUT_BATCH = 64, UDP_IN_BATCH = 32, UDP_IN_BYTES = 4096 };

struct udp_buffers {
	struct mmsghdr out[UDP_OUT_BATCH], in[UDP_IN_BATCH]; /* each points to its bytes below */
	struct iovec out_at[UDP_OUT_BATCH], in_at[UDP_IN_BATCH];
	uint8_t out_bytes[UDP_OUT_BATCH][QUESTION_UPSTREAM_MAX];
	uint8_t in_bytes[UDP_IN_BATCH][UDP_IN_BYTES];
};

/* What all UDP transports of a thread share: buffers, and the ports in the order of their last use. Counted. */
struct udp_thread {
	uint32_t transports;
	struct transport_env *env;
	struct loop_timer *timer; /* for whoever closes ports that nobody uses any more */
	bool timer_set;
	struct list ports;
	struct udp_buffers buffers;
};

/* `idle` is the timer's, with the thread's struct. NULL without memory. */
NODISCARD struct udp_thread *udp_thread_ref(struct transport_env *env, loop_fn *idle);
void udp_thread_unref(struct udp_thread *th);

#endif
