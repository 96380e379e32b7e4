/* SPDX-License-Identifier: Apache-2.0 */
/* TCP from clients: pipelined questions, answered in the order in which answers come (RFC 7766 section 7).
 *
 * The life of a connection: accepted, if the limits allow → its bytes become queries, which go up → replies are collected → one write per
 * turn, at flush → the client is done, idle or slow: closed. Its slot's generation moves on, so that late replies find nobody.
 * A whole question is progress, and so are answers that leave (stream_is_moving); a part of a question is not. Who has made none for too
 * long, or makes room for others, is for listen_limits.c to say.
 * When another process takes over, a connection that is owed nothing goes there instead, with what was read of it (listener_pass).
 * How it can fail: a reset, a length that is no DNS, or no memory end one connection. Without descriptors, accepting rests.
 *
 * The numbers: 16 KiB per read are some 400 small questions for one system call, and the most that a client can leave unlooked at in our
 * memory when it asks faster than it is answered; the rest waits in the kernel and, once its window is full, at the client. 32 accepts a
 * turn, at 9 us each, keep UDP waiting for 0.3 ms; 64 questions of each connection are as many as UDP takes in one go. */
#include "net/listen_private.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "net/slots_private.h"
#include "net/stream_private.h"

enum { IN_BYTES = 16 << 10, BACKLOG = 1024, ACCEPTS_PER_TURN = 32, QUERIES_PER_TURN = 64, READS_AT_CLOSE = 16 };

/* The timer looks at least this often, so that a shorter idle time from a reload is soon in force. */
enum { LOOK_US = 5 * US_PER_S, ACCEPT_REST_US = 100 * US_PER_MS };

struct connection {
	uv_poll_t poll;
	struct listen_tcp *tcp;
	struct listen_guest guest;
	struct list flush, resume;
	struct addr client;
	int watched; /* events of libuv */
	uint32_t slot;
	uint32_t unanswered;
	struct stream stream;
	bool progressed; /* since the last settle */
	bool broken;     /* without memory for what it sent or gets */
	bool closed;
};

struct listen_tcp {
	struct listener base;
	struct listen_member *member; /* of all listeners under the same limits */
	uv_poll_t poll;
	uv_idle_t resume_soon; /* active while `resume` has connections: they go on without word from their socket */
	struct loop_timer *timer;
	bool timer_set;
	bool resting;  /* accepting waits for descriptors */
	bool draining; /* inside listener_close */
	struct list flush, resume;
	struct slots slots;
	uint64_t accept_again_us;
	uint8_t in[IN_BYTES];
	uint8_t room[DNS_MESSAGE_MAX];
};

static void settle(struct connection *c);

static struct listen_tcp *tcp_of(struct listener *l)
{
	return CONTAINER_OF(l, struct listen_tcp, base);
}

static uint64_t now_of(const struct listen_tcp *t)
{
	return loop_now_us(t->base.loop);
}

/* Whom a reply is for; NULL when gone. */
static struct connection *find_connection(const struct reply_to *to)
{
	return slots_find(&tcp_of(to->listener)->slots, to->tcp.slot, to->tcp.generation);
}

/* ---- the end of a connection ---- */

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *c = CONTAINER_OF(handle, struct connection, poll);
	struct listener *l = &c->tcp->base;
	stream_deinit(&c->stream);
	free(c);
	l->uv_handles--;
	listen_release(l);
}

/* Memory stays until libuv lets go: a query that is being handed up may lie in it. */
static void close_connection(struct connection *c)
{
	struct listen_tcp *t = c->tcp;
	if (c->closed)
		return;
	c->closed = true;
	slots_give(&t->slots, c->slot);
	list_remove(&c->flush);
	list_remove(&c->resume);
	listen_member_leave(t->member, &c->guest);
	t->base.counts.connections--;
	uv_close((uv_handle_t *)&c->poll, on_connection_closed);
	close(c->stream.fd);
}

/* ---- idle connections ---- */

static void set_timer(struct listen_tcp *t)
{
	uint64_t next_us = listen_member_next_us(t->member);
	if (next_us != UINT64_MAX)
		next_us = MIN(next_us, now_of(t) + LOOK_US);
	if (t->resting)
		next_us = MIN(next_us, t->accept_again_us);
	t->timer_set = next_us != UINT64_MAX;
	loop_timer_set(t->timer, next_us);
}

/* Something is owed to the client. */
static bool is_busy(const struct connection *c)
{
	return c->unanswered > 0 || c->stream.out_len > 0;
}

static void mark_progress(struct connection *c, bool busy)
{
	struct listen_tcp *t = c->tcp;
	c->progressed = false;
	listen_member_note(t->member, &c->guest, busy, now_of(t));
	/* Deadlines only move away: a timer that is set comes early enough. */
	if (!t->timer_set)
		set_timer(t);
}

static void give_up(struct connection *c, enum listen_closed why)
{
	c->tcp->base.counts.closed[why]++;
	close_connection(c);
}

static void close_guest(struct listen_guest *g, enum listen_closed why)
{
	give_up(CONTAINER_OF(g, struct connection, guest), why);
}

static bool is_stuck(const struct listen_guest *g)
{
	return CONTAINER_OF(g, const struct connection, guest)->stream.blocked;
}

/* ---- out ---- */

static void write_out(struct connection *c)
{
	if (stream_write(&c->stream) < 0)
		close_connection(c);
}

static void mark_flush(struct connection *c)
{
	if (list_empty(&c->flush))
		list_append(&c->tcp->flush, &c->flush);
}

static uint8_t *tcp_room(const struct reply_to *to, size_t *room)
{
	*room = DNS_MESSAGE_MAX;
	return tcp_of(to->listener)->room;
}

static void tcp_send(const struct reply_to *to, size_t len)
{
	struct listen_tcp *t = tcp_of(to->listener);
	struct connection *c = find_connection(to);
	ASSERT(len <= DNS_MESSAGE_MAX);
	if (!c)
		return;
	c->unanswered--;
	t->base.counts.sent++;
	if (!stream_append(&c->stream, t->room, len))
		c->broken = true;
	mark_flush(c);
}

static void tcp_drop(const struct reply_to *to)
{
	struct connection *c = find_connection(to);
	if (!c)
		return;
	c->unanswered--;
	mark_flush(c);
}

static void tcp_flush(struct listener *l)
{
	struct listen_tcp *t = tcp_of(l);
	for (struct list *link; (link = list_take_first(&t->flush)) != NULL;) {
		struct connection *c = CONTAINER_OF(link, struct connection, flush);
		if (c->stream.out_len > 0 && !c->stream.blocked) {
			/* Before it leaves: who reads the last answer may come anew at once, to another worker, and counts on its room. */
			mark_progress(c, c->unanswered > 0);
			write_out(c);
		}
		settle(c);
	}
}

/* ---- in ---- */

/* When the listener closes, only memory counts. */
static bool is_paused(struct connection *c)
{
	return stream_is_paused(&c->stream, c->tcp->draining ? 0 : c->unanswered);
}

static void hand_up(struct connection *c, const uint8_t *query, size_t len)
{
	struct listener *l = &c->tcp->base;
	struct reply_to to = {.listener = l, .client = c->client, .tcp = {c->slot, c->tcp->slots.at[c->slot].generation}};
	c->unanswered++;
	c->progressed |= !c->stream.blocked; /* asking on is none while answers are left lying */
	listen_hand_up(l, &to, query, len);
}

static void hand_up_all(struct connection *c)
{
	const uint8_t *query;
	size_t len;
	int most = c->tcp->draining ? INT_MAX : QUERIES_PER_TURN; /* the rest is the next turn's: others wait */
	while (most-- > 0 && !c->closed && !is_paused(c) && stream_next(&c->stream, &query, &len))
		hand_up(c, query, len);
	if (!c->closed && !stream_keep(&c->stream))
		c->broken = true;
}

/* Whether there was something. */
static bool read_in(struct connection *c)
{
	int n = stream_read(&c->stream, c->tcp->in, IN_BYTES);
	if (n > 0)
		hand_up_all(c);
	else if (n < 0 && n != -EAGAIN && n != -EINTR)
		close_connection(c);
	return n > 0;
}

static void on_event(uv_poll_t *handle, int status, int events)
{
	struct connection *c = CONTAINER_OF(handle, struct connection, poll);
	if (status < 0) { /* an error of the socket: nobody is there to answer to */
		close_connection(c);
		return;
	}
	if (events & UV_WRITABLE) {
		write_out(c);
		c->progressed |= stream_is_moving(&c->stream);
	}
	if (!c->closed && (events & UV_READABLE))
		(void)read_in(c);
	settle(c);
}

static void on_resume(uv_idle_t *handle)
{
	struct listen_tcp *t = CONTAINER_OF(handle, struct listen_tcp, resume_soon);
	/* Whoever is put on the list meanwhile waits for the next turn: one client must not keep all others waiting. */
	struct list now;
	list_init(&now);
	for (struct list *link; (link = list_take_first(&t->resume)) != NULL;)
		list_append(&now, link);
	uv_idle_stop(&t->resume_soon);
	for (struct list *link; (link = list_take_first(&now)) != NULL;) {
		struct connection *c = CONTAINER_OF(link, struct connection, resume);
		hand_up_all(c);
		settle(c);
	}
}

static void watch(struct connection *c, int events)
{
	if (events == c->watched)
		return;
	c->watched = events;
	if (events == 0)
		uv_poll_stop(&c->poll);
	else
		loop_watch(&c->poll, events, on_event);
}

/* Another process serves it from now on; the descriptor that goes is a copy. */
static void pass_on(struct connection *c)
{
	const struct listener *l = &c->tcp->base;
	const uint8_t *bytes;
	size_t len;
	if (stream_rest(&c->stream, &bytes, &len))
		(void)l->pass(l->pass_arg, c->stream.fd, bytes, len);
	close_connection(c);
}

/* After anything that happened to a connection: is it over, what does it wait for, on which list does it belong? */
static void settle(struct connection *c)
{
	struct listen_tcp *t = c->tcp;
	if (c->closed)
		return;
	const struct stream *s = &c->stream;
	if (c->broken) {
		give_up(c, CLOSED_MEMORY);
		return;
	}
	if (s->ended && !is_busy(c) && s->len == 0) {
		close_connection(c);
		return;
	}
	if (t->base.pass && !is_busy(c)) {
		pass_on(c);
		return;
	}
	/* What a client sends while it waits to be passed on is the other process's to read. */
	bool read_on = !t->base.pass && !is_paused(c);
	watch(c, (s->blocked ? UV_WRITABLE : 0) | (read_on && s->len == 0 && !s->ended ? UV_READABLE : 0));
	if (read_on && s->len > 0 && list_empty(&c->resume)) {
		list_append(&t->resume, &c->resume);
		ASSERT(uv_idle_start(&t->resume_soon, on_resume) == 0);
	}
	if (c->progressed || is_busy(c) != c->guest.busy)
		mark_progress(c, is_busy(c));
}

/* ---- accepting ---- */

static bool is_stranger(const struct listener *l, const struct addr *client)
{
	return l->allows && !l->allows(l->allows_arg, client);
}

void listen_tcp_judge(struct listener *l)
{
	struct listen_tcp *t = tcp_of(l);
	for (uint32_t i = 0; i < t->slots.count; i++) {
		struct connection *c = t->slots.at[i].owner;
		if (c)
			c->guest.stranger = is_stranger(l, &c->client);
	}
	listen_member_sort(t->member);
}

/* Takes over `fd`, unless the limits are against it, or there is no memory. */
static struct connection *new_connection(struct listen_tcp *t, int fd, const struct addr *client)
{
	struct connection *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->guest.stranger = is_stranger(&t->base, client);
	bool entered = listen_member_enter(t->member, &c->guest, client) == LIMITS_ENTERED;
	bool has_slot = entered && slots_take(&t->slots, c, &c->slot);
	if (!has_slot || uv_poll_init(loop_uv(t->base.loop), &c->poll, fd) != 0) {
		if (has_slot)
			slots_give(&t->slots, c->slot);
		if (entered)
			listen_member_leave(t->member, &c->guest);
		free(c);
		return NULL;
	}
	c->tcp = t;
	c->client = *client;
	stream_init(&c->stream, fd);
	list_init(&c->flush);
	list_init(&c->resume);
	t->base.uv_handles++;
	return c;
}

/* NULL: turned away, and closed. Else it is to be settled. */
static struct connection *take_connection(struct listen_tcp *t, int fd, const struct addr *client)
{
	int on = 1;
	struct connection *c = new_connection(t, fd, client);
	if (!c) {
		t->base.counts.refused++;
		close(fd);
		return NULL;
	}
	/* Replies are written whole, once a turn: to wait for more would only cost time. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	t->base.counts.accepted++;
	t->base.counts.connections++;
	c->progressed = true;
	return c;
}

void listen_tcp_adopt(struct listener *l, int fd, const struct addr *client, const uint8_t *bytes, size_t len)
{
	struct connection *c = take_connection(tcp_of(l), fd, client);
	if (c && len > 0) {
		stream_feed(&c->stream, bytes, len);
		hand_up_all(c);
	}
	if (c)
		settle(c);
}

static void rest(struct listen_tcp *t)
{
	t->resting = true;
	t->base.counts.rests++;
	t->accept_again_us = now_of(t) + ACCEPT_REST_US;
	uv_poll_stop(&t->poll);
	set_timer(t);
}

/* Whether there may be more. */
static bool accept_one(struct listen_tcp *t)
{
	struct addr client = {0};
	socklen_t len = sizeof(client);
	int fd = accept4(t->base.fd, &client.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		struct connection *c = take_connection(t, fd, &client);
		if (c)
			settle(c);
		return true;
	}
	int error = errno;
	/* Out of descriptors or memory, the connection stays in the queue: asking again at once would spin. */
	bool out = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
	if (out)
		rest(t);
	/* Anything else happened to that one connection (accept(2)). */
	return !out && error != EAGAIN;
}

static void on_acceptable(uv_poll_t *handle, int status, int events)
{
	struct listen_tcp *t = CONTAINER_OF(handle, struct listen_tcp, poll);
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(t); i++)
		continue;
	if (status < 0 && !t->resting)
		loop_watch(&t->poll, UV_READABLE, on_acceptable);
}

static void on_timer(void *arg)
{
	struct listen_tcp *t = arg;
	if (t->resting && now_of(t) >= t->accept_again_us) {
		t->resting = false;
		loop_watch(&t->poll, UV_READABLE, on_acceptable);
	}
	listen_member_close_idle(t->member, now_of(t));
	set_timer(t);
}

/* ---- open and close ---- */

static void on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;
	l->uv_handles--;
	listen_release(l);
}

/* No connection comes in any more. */
static void stop_accepting(struct listen_tcp *t)
{
	if (t->base.fd < 0)
		return;
	t->resting = false;
	listen_member_retire(t->member);
	uv_close((uv_handle_t *)&t->poll, on_closed);
	uv_close((uv_handle_t *)&t->resume_soon, on_closed);
	close(t->base.fd);
	t->base.fd = -1;
}

/* What has arrived from this client and was not handed up yet. */
static void drain(struct connection *c)
{
	bool more = !c->stream.ended;
	if (c->stream.len > 0)
		hand_up_all(c);
	for (int i = 0; i < READS_AT_CLOSE && more; i++)
		more = !c->closed && c->stream.len == 0 && !is_paused(c) && read_in(c);
	if (c->closed)
		return;
	stream_forget(&c->stream);
	c->stream.ended = true;
	mark_flush(c);
}

static void tcp_close(struct listener *l)
{
	struct listen_tcp *t = tcp_of(l);
	t->draining = true;
	for (int i = 0; i < BACKLOG && accept_one(t); i++)
		continue;
	for (uint32_t i = 0; i < t->slots.count; i++) {
		struct connection *c = t->slots.at[i].owner;
		if (c && l->pass)
			settle(c);
		else if (c)
			drain(c);
	}
	t->draining = false;
	stop_accepting(t);
}

static void tcp_cut(struct listener *l)
{
	struct listen_tcp *t = tcp_of(l);
	for (uint32_t i = 0; i < t->slots.count; i++)
		if (t->slots.at[i].owner)
			close_connection(t->slots.at[i].owner);
	stop_accepting(t);
	loop_timer_close(t->timer);
	t->timer = NULL;
}

static void tcp_free(struct listener *l)
{
	struct listen_tcp *t = tcp_of(l);
	loop_timer_close(t->timer);
	listen_member_free(t->member);
	slots_deinit(&t->slots);
	free(t);
}

static const struct listen_ops ops = {
	.room = tcp_room,
	.send = tcp_send,
	.drop = tcp_drop,
	.flush = tcp_flush,
	.close = tcp_close,
	.cut = tcp_cut,
	.free = tcp_free,
};

struct listener *listen_tcp_new(const struct listener *common, struct listen_limits *limits)
{
	struct uv_loop_s *uv = loop_uv(common->loop);
	struct listen_tcp *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->base = *common;
	t->base.ops = &ops;
	slots_init(&t->slots);
	list_init(&t->flush);
	list_init(&t->resume);
	t->timer = loop_timer_new(common->loop, on_timer, t);
	t->member = listen_member_new(limits, common->loop, close_guest, is_stuck);
	if (!t->timer || !t->member || listen(common->fd, BACKLOG) < 0 || uv_poll_init(uv, &t->poll, common->fd) != 0) {
		tcp_free(&t->base);
		return NULL;
	}
	ASSERT(uv_idle_init(uv, &t->resume_soon) == 0);
	t->poll.data = t->resume_soon.data = &t->base;
	t->base.uv_handles = 2;
	loop_watch(&t->poll, UV_READABLE, on_acceptable);
	return &t->base;
}
