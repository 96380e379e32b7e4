/* SPDX-License-Identifier: Apache-2.0 */
/* UDP towards one upstream, in batches, from ports that nobody can guess.
 *
 * The life of an attempt: send picks a slot for the batch (if none is being collected), draws an id and remembers the
 * attempt → flush writes the batch's queries and hands them to the kernel in one call → an answer on the same port
 * ends it, or the owner cancels it. Nothing is allocated on the way.
 *
 * The life of a port: opened when its slot is picked, connected to the upstream, so that the kernel drops whatever
 * has another source and ICMP errors find their way back → used for at least 180 s → exchanged at its slot's next
 * use, after which it only drains: it goes on receiving until its last attempt has ended. A port not used for 180 s
 * is closed.
 *
 * The source: once something was given up unanswered, it is looked which address of this host the system would choose now; if it is
 * another one, each port is moved to it at its next use.
 *
 * The numbers. S = source_ports / 2 slots (at least one). A slot opens a port only when the port before its last one
 * was used 180 s ago or longer: three consecutive ports of a slot never lie within 180 s, so any 180 s see at most
 * two ports a slot, 2 S <= source_ports in all. Who guesses blindly must hit one of 65,536 ids, one of 64,512 ports
 * and the letter case. A port that lives for minutes may be found out by scanning (SAD DNS, 2020): then the id, the
 * letter case and the choice among S ports are left, and 64 wrong guesses at one port (GUESSES) are no accident:
 * the attempts there are told, and the port goes out of use.
 *
 * How it can fail: no socket (send says so when the upstream has no other port to share); the network refuses (a
 * hint: anybody can forge an ICMP error, so it never ends an attempt); the kernel's buffers are full (what does not
 * fit is lost like any datagram, and counted; its owner is told). No attempt is ever ended by anything but its answer or its owner. */

#include "net/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "net/loop_private.h"
#include "net/udp_socket.h"
#include "net/udp_table.h"

/* See above. ICMP errors and datagrams read from one port per turn are bounded, so that a flood on one does not
 * starve the others. */
#define PORT_LIFE_US (180ULL * US_PER_S)
enum { GUESSES = 64, FORGIVEN_MAX = 1024 };
enum { ATTEMPTS_PER_PORT = 32768 };
enum { IN_ROUNDS = 4, ERRORS_PER_TURN = 64 };

struct port {
	uv_poll_t poll;
	struct list by_use;             /* of the thread; off it while draining */
	struct transport_udp *transport;
	int fd;
	uint32_t index;                 /* slot * 2 + side: what its attempts are found by */
	uint32_t attempts;              /* open, those that wait for flush included */
	uint32_t strays;                /* datagrams that fit nothing */
	uint32_t forgiven;              /* attempts given up: each may yet be answered late, which is no guess */
	uint32_t moves;                 /* the transport's, when its source was chosen */
	uint64_t opened_us, used_us;
	bool draining, closed;
	bool deaf;                      /* it could not be moved: what comes there may be anybody's */
};

struct slot {
	struct port *sides[2];     /* the newest port and one that drains, in either order */
	uint8_t newest;            /* index of sides */
	uint64_t counted_until_us; /* the newest port counts against the quota until then */
	uint64_t free_at_us;       /* and the one before it: only from then on may another be opened */
};

/* A datagram that the system did not send: its owner learns it at the next flush. */
struct refusal {
	uint32_t index;
	uint16_t id;
	int error;
};

struct transport_udp {
	struct transport base;
	struct udp_thread *thread;
	struct addr upstream;
	struct udp_socket_source source;
	uint32_t slot_count, slot_room; /* in use; there are */
	struct slot *slots;
	struct udp_table open;     /* attempts; made at the first send */
	struct port *batch_port;   /* meaningful while something is batched */
	uint32_t batched, refusals;
	struct transport_attempt *batch[UDP_OUT_BATCH];
	struct refusal refused[UDP_OUT_BATCH];
};

static struct transport_udp *udp_of(struct transport *t)
{
	return CONTAINER_OF(t, struct transport_udp, base);
}

static uint64_t now_of(const struct transport_udp *u)
{
	return loop_now_us(u->base.env->loop);
}

/* ---- ports ---- */

static void free_port(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct port, poll));
}

static void close_port(struct port *p)
{
	struct transport_udp *u = p->transport;
	u->slots[p->index / 2].sides[p->index % 2] = NULL;
	list_remove(&p->by_use);
	p->closed = true;
	uv_close((uv_handle_t *)&p->poll, free_port);
	close(p->fd);
	u->base.env->sockets--;
}

/* No new attempts; open ones may still be answered. */
static void retire(struct port *p)
{
	p->draining = true;
	list_remove(&p->by_use);
	if (p->attempts == 0)
		close_port(p);
}

static void arm_timer(struct udp_thread *th)
{
	th->timer_set = !list_empty(&th->ports);
	if (th->timer_set)
		loop_timer_set(th->timer, CONTAINER_OF(th->ports.next, struct port, by_use)->used_us + PORT_LIFE_US);
}

static void close_idle(void *arg)
{
	struct udp_thread *th = arg;
	uint64_t now_us = loop_now_us(th->env->loop);
	LIST_FOR_EACH(link, &th->ports) {
		struct port *p = CONTAINER_OF(link, struct port, by_use);
		if (now_us - p->used_us < PORT_LIFE_US)
			break;
		retire(p);
	}
	arm_timer(th);
}

static void mark_used(struct port *p)
{
	struct transport_udp *u = p->transport;
	p->used_us = now_of(u);
	u->slots[p->index / 2].counted_until_us = p->used_us + PORT_LIFE_US;
	if (p->draining)
		return;
	list_remove(&p->by_use);
	list_append(&u->thread->ports, &p->by_use);
	/* The timer may be early for a port used since: it looks again then. Setting it once costs less than moving
	 * it always. */
	if (!u->thread->timer_set)
		arm_timer(u->thread);
}

static void on_event(uv_poll_t *handle, int status, int events);

static struct port *open_port(struct transport_udp *u, uint32_t slot_number, int *error)
{
	struct slot *s = &u->slots[slot_number];
	struct port *p = calloc(1, sizeof(*p));
	*error = -ENOMEM;
	if (p == NULL)
		return NULL;
	p->fd = udp_socket_open(&u->upstream, u->base.env->random);
	*error = p->fd < 0 ? p->fd : uv_poll_init(loop_uv(u->base.env->loop), &p->poll, p->fd);
	if (*error < 0) {
		if (p->fd >= 0)
			close(p->fd);
		free(p);
		return NULL;
	}
	loop_watch(&p->poll, UV_READABLE | UV_PRIORITIZED, on_event);
	p->moves = u->source.moves;
	if (s->sides[s->newest] != NULL)
		s->newest ^= 1;
	p->transport = u;
	p->index = slot_number * 2 + s->newest;
	p->opened_us = now_of(u);
	s->sides[s->newest] = p;
	s->free_at_us = s->counted_until_us;
	list_init(&p->by_use);
	u->base.env->sockets++;
	mark_used(p);
	return p;
}

/* The port that a slot sends from, if it has one. */
static struct port *live_port(const struct slot *s)
{
	struct port *p = s->sides[s->newest];
	return p != NULL && !p->draining ? p : NULL;
}

/* The quota has room for another port of this slot. */
static bool may_exchange(const struct slot *s, uint64_t now_us)
{
	return now_us >= s->free_at_us && (s->sides[0] == NULL || s->sides[1] == NULL);
}

/* A slot's port to send from: the one it has, or a fresh one; NULL when it has none and may or can not open one. */
static struct port *take_port(struct transport_udp *u, uint32_t slot_number, bool may_open, int *error)
{
	struct slot *s = &u->slots[slot_number];
	struct port *p = live_port(s);
	uint64_t now_us = now_of(u);
	if (p != NULL && now_us - p->opened_us < PORT_LIFE_US)
		return p;
	/* An exchange is free under the limit of sockets if the old port closes at once. */
	if (!may_exchange(s, now_us) || !(may_open || (p != NULL && p->attempts == 0)))
		return p;
	struct port *fresh = open_port(u, slot_number, error);
	if (fresh == NULL)
		return p;
	if (p != NULL)
		retire(p);
	return fresh;
}

/* Walks the slots from a random one. The first one serves, but when sockets have run out or slots rest. */
static struct port *search_port(struct transport_udp *u, bool may_open, int *error)
{
	uint32_t first = random_below(u->base.env->random, u->slot_count);
	*error = 0;
	for (uint32_t i = 0; i < u->slot_count; i++) {
		struct port *p = take_port(u, (first + i) % u->slot_count, may_open && *error == 0, error);
		if (p != NULL)
			return p;
	}
	return NULL;
}

static void move(struct port *p)
{
	struct transport_udp *u = p->transport;
	p->deaf = udp_socket_move(p->fd, &u->upstream, &u->source.chosen) < 0;
	p->moves = u->source.moves;
}

static struct port *pick_port(struct transport_udp *u, int *error)
{
	const struct transport_env *env = u->base.env;
	bool may_open = env->socket_limit == 0 || env->sockets < env->socket_limit;
	struct port *p = search_port(u, may_open, error);
	/* An upstream without any port gets one, limit or not: else it could not be asked at all. */
	if (p == NULL && !may_open)
		p = search_port(u, true, error);
	if (p == NULL && *error == 0)
		*error = -EBUSY;
	udp_socket_look(&u->source, &u->upstream, now_of(u));
	if (p != NULL && UNLIKELY(p->moves != u->source.moves || p->deaf))
		move(p);
	return p;
}

/* ---- attempts: out ---- */

static void leave(struct port *p, struct transport_attempt *a)
{
	list_remove(&a->link);
	if (--p->attempts == 0 && p->draining)
		close_port(p);
}

static void end(struct transport_udp *u, struct transport_attempt *a, struct port *p)
{
	leave(p, a);
	a->transport = NULL;
	u->base.open_attempts--;
}

static void refuse(struct transport_udp *u, const struct transport_attempt *a, int error)
{
	/* More than a batch of refusals between two flushes: the attempts' own timeouts tell the rest. */
	if (u->refusals < UDP_OUT_BATCH)
		u->refused[u->refusals++] = (struct refusal){.index = a->slot, .id = a->asked.id, .error = error};
	u->base.dirty = true;
}

/* Hands the first `count` of the thread's messages, written from u->batch, to the kernel. Reports nothing: it may run
 * inside send. */
static void transmit(struct transport_udp *u, const struct port *p, uint32_t count)
{
	bool again = false;
	for (uint32_t sent = 0; sent < count;) {
		int r = sendmmsg(p->fd, u->thread->buffers.out + sent, count - sent, 0), error = errno;
		if (r > 0) {
			sent += (uint32_t)r;
			again = false;
		} else if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
			u->base.env->unsent += count - sent;
			while (sent < count)
				refuse(u, u->batch[sent++], error);
		} else if (!again) {
			/* The errno of an ICMP error that came before: saying it has cleared it, and the error queue
			 * has the details. */
			again = true;
		} else {
			refuse(u, u->batch[sent++], error);
			again = false;
		}
	}
}

static void send_batch(struct transport_udp *u)
{
	struct udp_buffers *buffers = &u->thread->buffers;
	uint32_t count = u->batched;
	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++) {
		struct transport_attempt *a = u->batch[i];
		a->queued = false;
		buffers->out_at[i].iov_len = question_write(&a->asked, buffers->out_bytes[i]);
	}
	u->batched = 0;
	mark_used(u->batch_port);
	transmit(u, u->batch_port, count);
}

static int udp_send(struct transport *t, struct transport_attempt *a)
{
	struct transport_udp *u = udp_of(t);
	if (!udp_table_make(&u->open))
		return -ENOMEM;
	if (u->batched > 0 && u->batch_port->draining)
		send_batch(u);
	if (u->batched == 0) {
		int error;
		u->batch_port = pick_port(u, &error);
		if (u->batch_port == NULL)
			return error;
	}
	struct port *p = u->batch_port;
	/* With more ids than that in use, drawing a free one takes long and guessing one is easy. */
	if (p->attempts >= ATTEMPTS_PER_PORT)
		return -EBUSY;
	do {
		a->asked.id = random_u16(t->env->random);
	} while (udp_table_find(&u->open, p->index, a->asked.id) != NULL);
	a->slot = p->index;
	a->queued = true;
	udp_table_add(&u->open, a);
	p->attempts++;
	u->batch[u->batched++] = a;
	t->dirty = true;
	if (u->batched == UDP_OUT_BATCH)
		send_batch(u);
	return 0;
}

static void udp_cancel(struct transport *t, struct transport_attempt *a)
{
	struct transport_udp *u = udp_of(t);
	struct port *p = u->slots[a->slot / 2].sides[a->slot % 2];
	for (uint32_t i = 0; a->queued && i < u->batched; i++) {
		if (u->batch[i] == a) {
			u->batch[i] = u->batch[--u->batched];
			a->queued = false;
		}
	}
	p->forgiven = MIN(p->forgiven + 1, (uint32_t)FORGIVEN_MAX);
	u->source.doubtful = true;
	leave(p, a);
}

static void udp_flush(struct transport *t)
{
	struct transport_udp *u = udp_of(t);
	send_batch(u);
	/* A report may send, and that may be refused again: those wait for the next flush, and make this dirty anew. */
	t->dirty = false;
	for (uint32_t left = u->refusals; left > 0 && u->refusals > 0; left--) {
		struct refusal r = u->refused[0];
		memmove(u->refused, u->refused + 1, --u->refusals * sizeof(r));
		struct transport_attempt *a = udp_table_find(&u->open, r.index, r.id);
		if (a != NULL)
			t->env->events.hint(t->env->events.arg, a, transport_is_shortage(-r.error) ? TRANSPORT_UNSENT : TRANSPORT_ICMP,
					    r.error);
	}
}

/* ---- attempts: in ---- */

/* A hint to all attempts of a port. Their ids are collected first, for a report may cancel any of them. */
static void tell_all(struct port *p, enum transport_hint hint, int detail)
{
	struct transport_udp *u = p->transport;
	const struct transport_events *events = &u->base.env->events;
	uint64_t ids[UDP_IDS / 64];
	udp_table_ids(&u->open, p->index, ids);
	for (uint32_t id = 0; id < UDP_IDS && !p->closed; id++) {
		bool is_open = ids[id / 64] >> id % 64 & 1;
		struct transport_attempt *a = is_open ? udp_table_find(&u->open, p->index, (uint16_t)id) : NULL;
		if (a != NULL)
			events->hint(events->arg, a, hint, detail);
	}
}

/* Somebody guesses at this port. It goes out of use at once if its slot may open another, or if another slot can go
 * on while this one rests; the last one stays, since a quota that breaks under attack would be the attacker's tool. */
static void retire_guessed(struct port *p)
{
	struct transport_udp *u = p->transport;
	uint64_t now_us = now_of(u);
	bool replaceable = may_exchange(&u->slots[p->index / 2], now_us);
	for (uint32_t i = 0; i < u->slot_count && !replaceable; i++) {
		const struct slot *s = &u->slots[i];
		replaceable = i != p->index / 2 && (live_port(s) != NULL || may_exchange(s, now_us));
	}
	if (replaceable && !p->draining)
		retire(p);
}

static void count_stray(struct port *p)
{
	struct transport_env *env = p->transport->base.env;
	env->mismatched++;
	/* Without attempts there is nothing to guess, but a flood costs time: then the port closes. */
	if (++p->strays < GUESSES + p->forgiven)
		return;
	p->strays = 0;
	p->forgiven = 0;
	env->forgeries++;
	retire_guessed(p);
	tell_all(p, TRANSPORT_FORGERY, 0);
}

static void take_datagram(struct port *p, const uint8_t *bytes, size_t len)
{
	struct transport_udp *u = p->transport;
	struct transport_env *env = u->base.env;
	struct transport_attempt *a = NULL;
	if (len >= DNS_HEADER_BYTES)
		a = udp_table_find(&u->open, p->index, (uint16_t)(bytes[0] << 8 | bytes[1]));
	/* What has not left yet cannot have been answered. */
	enum question_echo echo = a == NULL || a->queued ? ECHO_NO : question_echo(&a->asked, bytes, len);
	if (echo == ECHO_NO) {
		count_stray(p);
	} else if (echo == ECHO_WRONG_CASE) {
		/* No guess: a server that does not keep the letter case does so always. */
		env->mismatched++;
		env->events.hint(env->events.arg, a, TRANSPORT_WRONG_CASE, 0);
	} else if (env->events.readable == NULL || env->events.readable(env->events.arg, a, bytes, len)) {
		end(u, a, p);
		env->events.answered(env->events.arg, a, bytes, len);
	}
}

static void read_datagrams(struct port *p)
{
	struct udp_buffers *buffers = &p->transport->thread->buffers;
	bool again = false;
	for (int round = 0; round < IN_ROUNDS; round++) {
		int count = recvmmsg(p->fd, buffers->in, UDP_IN_BATCH, 0, NULL);
		if (count < 0 && errno != EAGAIN && !again) {
			again = true; /* an ICMP error's errno, see transmit */
			continue;
		}
		for (int i = 0; i < count && !p->closed && !p->deaf; i++) {
			/* Nobody was allowed to send more than 1232 bytes: what was cut here is as good as garbage. */
			bool cut = buffers->in[i].msg_hdr.msg_flags & MSG_TRUNC;
			take_datagram(p, buffers->in_bytes[i], cut ? 0 : buffers->in[i].msg_len);
		}
		if (count < UDP_IN_BATCH || p->closed)
			return;
	}
}

/* Some routers quote too little of a datagram to know its id: then the error concerns whatever is open on this port,
 * for all of it goes the same way, and one such error a turn says as much as 64. */
static void read_errors(struct port *p)
{
	struct transport_udp *u = p->transport;
	const struct transport_events *events = &u->base.env->events;
	struct udp_socket_error e;
	bool told = false;
	for (int i = 0; i < ERRORS_PER_TURN && !p->closed && udp_socket_take_error(p->fd, &e); i++) {
		struct transport_attempt *a = e.has_id ? udp_table_find(&u->open, p->index, e.id) : NULL;
		if (e.error != 0 && !e.has_id && !told)
			tell_all(p, TRANSPORT_ICMP, e.error);
		else if (e.error != 0 && a != NULL && !a->queued)
			events->hint(events->arg, a, TRANSPORT_ICMP, e.error);
		told |= e.error != 0 && !e.has_id;
	}
}

static void on_event(uv_poll_t *handle, int status, int events)
{
	struct port *p = CONTAINER_OF(handle, struct port, poll);
	if (status < 0 || (events & UV_PRIORITIZED))
		read_errors(p);
	if (!p->closed && (status < 0 || (events & UV_READABLE)))
		read_datagrams(p);
	/* With a status libuv has stopped the handle. */
	if (!p->closed && status < 0)
		loop_watch(&p->poll, UV_READABLE | UV_PRIORITIZED, on_event);
}

/* ---- open and close ---- */

/* What has been sent from a slot that goes is heard to its end there. The slot stays, should the number grow again: what it has used of the
 * quota is not forgotten. */
static bool resize(struct transport_udp *u, uint32_t source_ports)
{
	uint32_t count = MAX(1u, source_ports / 2);
	if (count > u->slot_room) {
		struct slot *grown = realloc(u->slots, count * sizeof(*grown));
		if (grown == NULL)
			return false;
		memset(grown + u->slot_room, 0, (count - u->slot_room) * sizeof(*grown));
		u->slots = grown;
		u->slot_room = count;
	}
	for (uint32_t i = count; i < u->slot_count; i++) {
		struct port *p = live_port(&u->slots[i]);
		if (p != NULL)
			retire(p);
	}
	u->slot_count = count;
	return true;
}

static void udp_set_ports(struct transport *t, uint32_t source_ports)
{
	(void)resize(udp_of(t), source_ports); /* without memory for more there are no more */
}

static struct transport *udp_open(struct transport_env *env, const struct addr *upstream, uint32_t source_ports)
{
	struct transport_udp *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	if (!resize(u, source_ports) || (u->thread = udp_thread_ref(env, close_idle)) == NULL) {
		free(u->slots);
		free(u);
		return NULL;
	}
	u->base = (struct transport){.ops = &transport_udp, .env = env};
	u->upstream = *upstream;
	return &u->base;
}

static void udp_close(struct transport *t)
{
	struct transport_udp *u = udp_of(t);
	ASSERT(t->open_attempts == 0);
	for (uint32_t i = 0; i < u->slot_room * 2; i++) {
		struct port *p = u->slots[i / 2].sides[i % 2];
		if (p != NULL)
			close_port(p);
	}
	udp_thread_unref(u->thread);
	udp_table_free(&u->open);
	free(u->slots);
	free(u);
}

const struct transport_ops transport_udp = {
	.open = udp_open,
	.send = udp_send,
	.cancel = udp_cancel,
	.flush = udp_flush,
	.close = udp_close,
	.set_ports = udp_set_ports,
};
