/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H
/* How one worker asks one upstream: a row of tables/transports.def, a file, a struct of functions.
 *
 * The contract (tests/net/test_transport_contract.c walks every row):
 * - send never reports before it returns; each accepted send is ended exactly once, by answered, by failed, or by
 *   transport_cancel, after which nothing is ever reported;
 * - hints may come before the end, any number of them;
 * - bytes are lent for the call; an attempt's memory is the caller's and must stay until its end;
 * - a datagram ends an attempt only if it came from the upstream's IP and port to the attempt's own socket with its id and
 *   question (question_echo), and the owner can read it: all else is counted and ignored;
 * - a cut answer (TC) is an answer: going to TCP is the caller's decision; so is every timeout;
 * - inside a callback the owner may send, cancel any attempt, and reuse the ended one. */

#include "base/addr.h"
#include "base/list.h"
#include "base/random.h"
#include "net/loop.h"
#include "wire/question.h"

struct transport;

/* One try, embedded in the caller's own struct. */
struct transport_attempt {
	struct question_upstream asked; /* the caller's but for id, which send draws; name must stay until the end */
	struct transport *transport;    /* NULL before send and after the end */
	/* private to the transport: */
	struct list link;
	uint32_t slot;
	bool queued;
};

enum transport_hint {
	TRANSPORT_ICMP,       /* the network says unreachable (errno in `detail`); the attempt stays open: anybody can forge that */
	TRANSPORT_WRONG_CASE, /* an answer right in all but the letter case of its question; the attempt stays open */
	TRANSPORT_UNSENT,     /* this host did not send it, for its buffers were full: its silence says nothing; the attempt stays open */
	TRANSPORT_FORGERY,    /* many datagrams with wrong ids on the attempt's port: somebody is guessing */
};

struct transport_events {
	/* Can a datagram that fits in all else be read? After true the same bytes come to `answered`. After false they are no answer:
	 * the attempt stays open, lest a forger end it with garbage ("TuDoor", IEEE S&P 2024), and the owner may do what it may in a
	 * hint. Not asked by streams, into which nothing is slipped. NULL: whatever fits is an answer. */
	bool (*readable)(void *arg, struct transport_attempt *a, const uint8_t *message, size_t len);
	/* The answer: id and question match, or it is an error without a question (ECHO_ERROR). */
	void (*answered)(void *arg, struct transport_attempt *a, const uint8_t *message, size_t len);
	/* It cannot be answered any more: the connection was refused, closed or timed out. Streams only. -errno. */
	void (*failed)(void *arg, struct transport_attempt *a, int error);
	void (*hint)(void *arg, struct transport_attempt *a, enum transport_hint hint, int detail);
	void *arg;
};

/* What all transports of one thread share. Lives as long as they do. */
struct transport_env {
	struct loop *loop;
	struct random *random;
	struct transport_events events;
	uint64_t mismatched;   /* datagrams ignored because id, question or source did not fit: counted here */
	uint64_t forgeries;    /* bursts of them */
	uint32_t sockets;      /* open now */
	uint32_t socket_limit; /* 0: none; above it sends share the sockets there are */
	uint64_t unsent;       /* datagrams dropped because the kernel's buffers were full */
	uint64_t shortages;    /* sends that were not accepted for want of descriptors, ports or memory; not those of transport_is_full */
	void *udp;             /* private to transport_udp: what its transports share */
};

struct transport_ops {
	/* `source_ports`: distinct local ports that this transport may use towards the upstream in any 180 s, at least 2 (UDP). */
	struct transport *(*open)(struct transport_env *env, const struct addr *upstream, uint32_t source_ports);
	/* 0, or -errno when not accepted: then nothing is reported. Batched until flush where the transport can. */
	int (*send)(struct transport *t, struct transport_attempt *a);
	void (*cancel)(struct transport *t, struct transport_attempt *a);
	/* May report; `dirty` is false then, and true again when a report has sent something: that waits for another flush. */
	void (*flush)(struct transport *t);
	/* Frees; all attempts must have ended. Not from inside a report. */
	void (*close)(struct transport *t);
	bool stream; /* an answer cannot be cut, letter case need not be random */
	/* Another number of source ports from now on; attempts under way are heard where they were sent from. What 180 s have seen before
	 * counts: after less, so long may pass until the bound holds. NULL: has none. Not from inside a report. */
	void (*set_ports)(struct transport *t, uint32_t source_ports);
};

/* Every transport begins with this. */
struct transport {
	const struct transport_ops *ops;
	struct transport_env *env;
	bool dirty; /* something waits for flush */
	uint32_t open_attempts;
};

#define TRANSPORT(value, name, unit, help) extern const struct transport_ops transport_##unit;
#include "tables/transports.def"
#undef TRANSPORT

/* The -errno says that this host lacks something: descriptors, ports, memory, or room within a bound of ours. Of the upstream and the
 * way there it says nothing. */
bool transport_is_shortage(int error);

/* Of these the last: as many questions are open as may be, or every source port rests. More memory would not help. */
bool transport_is_full(int error);

/* Draws the id, counts, sends. */
NODISCARD int transport_send(struct transport *t, struct transport_attempt *a);

/* Ends the attempt without a report; nothing happens if it has ended already. */
void transport_cancel(struct transport_attempt *a);

#endif
