/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LISTEN_PRIVATE_H
#define NET_LISTEN_PRIVATE_H
/* What listen.c and the kinds of listeners share. */

#include "net/listen.h"
#include "net/loop_private.h"

struct listen_ops {
	uint8_t *(*room)(const struct reply_to *to, size_t *room);
	void (*send)(const struct reply_to *to, size_t len);
	void (*drop)(const struct reply_to *to);
	void (*flush)(struct listener *l);
	/* Hands up what the kernel holds, then takes nothing more in and starts to close. Replies may still come. */
	void (*close)(struct listener *l);
	/* The loop goes: closes whatever is open, at once. After close or without it. */
	void (*cut)(struct listener *l);
	/* Nothing is open any more, no handle is out. */
	void (*free)(struct listener *l);
};

/* Each kind begins with this. */
struct listener {
	const struct listen_ops *ops;
	struct loop *loop;
	struct loop_guest guest;
	listen_query_fn *fn;
	void *arg;
	uint64_t handles;    /* replies not yet sent or dropped */
	uint32_t uv_handles; /* of libuv's, not yet closed */
	int fd;
	enum listen_kind kind;
	bool handing_up; /* inside fn */
	listen_pass_fn *pass; /* while closing: who takes clients over; NULL: nobody */
	void *pass_arg;
	listen_allows_fn *allows; /* NULL: there are no strangers */
	void *allows_arg;
	listen_gone_fn *gone;
	void *gone_arg;
	bool closing;    /* the owner has forgotten us: replies leave as they come */
	struct addr addr;
	struct listener_counts counts;
};

/* `common` is copied, its descriptor taken over. NULL without memory, or when the system refuses: then fd is still
 * the caller's. */
NODISCARD struct listener *listen_udp_new(const struct listener *common);
NODISCARD struct listener *listen_tcp_new(const struct listener *common, struct listen_limits *limits);

/* listener_adopt, of a client's socket. */
void listen_tcp_adopt(struct listener *l, int fd, const struct addr *client, const uint8_t *bytes, size_t len);

/* `allows` says something else from now on. */
void listen_tcp_judge(struct listener *l);

/* Frees a closing listener once nothing holds it any more. */
void listen_release(struct listener *l);

/* Hands a query up. */
static inline void listen_hand_up(struct listener *l, const struct reply_to *to, const uint8_t *query, size_t len)
{
	l->handles++;
	l->counts.received++;
	l->handing_up = true;
	l->fn(l->arg, to, query, len);
	l->handing_up = false;
}

enum limits_verdict { LIMITS_ENTERED, LIMITS_FULL, LIMITS_CLIENT_FULL };

/* What the limits know of a TCP connection; a part of it, the limits' own but for `stranger` and reading. */
struct listen_guest {
	struct list by_progress;     /* among its listener's */
	struct list of_client;       /* among its client's at this listener that may be closed to make room */
	struct listen_idlers *among; /* those of its listener that may be; NULL: it is busy */
	struct listen_seat *seat;    /* its client's */
	uint64_t progress_us;
	bool busy;     /* something is owed to it */
	bool stranger; /* may not ask: makes room first, and never gets it from others than strangers */
};

/* Closes the connection, which leaves. */
typedef void listen_close_fn(struct listen_guest *g, enum listen_closed why);
/* Whether a busy one does not take its answers. */
typedef bool listen_stuck_fn(const struct listen_guest *g);

/* A TCP listener among all that share the limits. All is for the thread of its loop. */
struct listen_member;
/* NULL without memory. */
NODISCARD struct listen_member *listen_member_new(struct listen_limits *l, struct loop *loop, listen_close_fn *close,
						  listen_stuck_fn *is_stuck);
/* A connection comes; others are closed for it, here or elsewhere. FULL: nobody idles whom it may push out, and nobody here is stuck.
 * CLIENT_FULL: none of the client's own idles, or there is no memory. */
NODISCARD enum limits_verdict listen_member_enter(struct listen_member *m, struct listen_guest *g, const struct addr *client);
/* And goes. */
void listen_member_leave(struct listen_member *m, struct listen_guest *g);
/* It has made progress. */
void listen_member_note(struct listen_member *m, struct listen_guest *g, bool busy, uint64_t now_us);
/* It has become known of some whether they are strangers. */
void listen_member_sort(struct listen_member *m);
/* When listen_member_close_idle must be called next. UINT64_MAX: as far as is known, never. */
uint64_t listen_member_next_us(const struct listen_member *m);
/* Closes those without progress for `tcp: idle`. Who waits for answers does not idle; who does not take them does. */
void listen_member_close_idle(struct listen_member *m, uint64_t now_us);
/* Nobody asks it for room any more. */
void listen_member_retire(struct listen_member *m);
void listen_member_free(struct listen_member *m); /* retired or not; NULL: nothing */

#endif
