/* SPDX-License-Identifier: Apache-2.0 */
/* TCP towards one upstream: one connection, many questions on it, answers in any order (RFC 7766).
 *
 * The life of a connection: opened by the first send → established within 2 s → attempts of one turn leave in one
 * write at flush, answers are matched by id and question → idle for 10 s, it is closed (the upstream's own limit is
 * usually that or longer).
 *
 * How it can fail: it is refused, reset, closed, not established in time, not acknowledged, or what arrives is no
 * DNS: then each open attempt fails with that errno (the end of the stream counts as ECONNRESET), and the next send
 * connects anew. Three failures are no attempt's: all that are open are asked again on a fresh connection.
 *
 * - A server closes an idle connection in the moment we ask on it again: nothing was heard since.
 * - It closes one on which it has answered: it takes so many questions a connection, or restarts (RFC 7766 section 6.2.4). Each
 *   connection has to bring an answer, so that this ends.
 * - It acknowledges, and answers nothing any more: its thread hangs, a proxy has lost what was behind it, or it has begun a message that
 *   it does not end. New questions would follow the old ones into the same hole. */

#include "net/transport.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "net/loop_private.h"
#include "wire/frame.h"

/* 2 s to connect: a retransmitted SYN (after 1 s) still fits, and the question's 4 s are not yet over. A live
 * upstream acknowledges within a round trip: data unacknowledged for 4 s means that the path or a NAT entry is gone,
 * which TCP alone would notice after 15 min. */
#define CONNECT_US (2ULL * US_PER_S)
#define IDLE_US (10ULL * US_PER_S)
enum { UNACKNOWLEDGED_MS = 4000 };

/* Asked, and not one answer for so long: as long as any question is waited for. */
#define UNANSWERED_US (4ULL * US_PER_S)

/* As many attempts as a worker's 8,192 questions may have at one address, each of them two: more wait for nobody. With a quarter of all
 * ids in use, drawing a free one still takes two draws at the most, nearly always. 1 MiB of unsent output is more than 16,000 usual
 * questions; a repetition on a fresh connection holds every open attempt once, however long. */
enum { ATTEMPTS_MAX = 16384, FRAME_MAX = 2 + QUESTION_UPSTREAM_MAX };
enum { OUT_FIRST = 4 * 1024, OUT_KEPT = 64 * 1024, OUT_LIMIT = 1024 * 1024, OUT_MAX = ATTEMPTS_MAX * FRAME_MAX };
enum { BUCKETS = 512, IN_BYTES = 16 * 1024, IN_ROUNDS = 4 };

struct connection {
	uv_poll_t poll;
	struct transport_tcp *transport;
	int fd;
	int events;             /* that the handle waits for */
	bool established, closed;
	bool reused, heard;     /* asked again after it had been idle; something arrived since */
	bool answered;          /* some attempt was, on this connection */
	uint32_t owed;          /* questions asked, less messages that came: an attempt given up may yet be answered */
	uint64_t owed_since_us; /* the first of them, or the last message */
	uint64_t opened_us;
	uint64_t idle_since_us; /* meaningful without open attempts */
	uint64_t timer_us;      /* when the timer fires */
	struct frame_reader reader;
	uint8_t *out; /* heap: what has not left yet, of out_room octets */
	size_t out_len, out_room;
};

struct transport_tcp {
	struct transport base;
	struct addr upstream;
	struct connection *connection; /* NULL: none */
	struct loop_timer *timer;      /* set while there is a connection */
	struct list buckets[BUCKETS];  /* open attempts by id */
};

static struct transport_tcp *tcp_of(struct transport *t)
{
	return CONTAINER_OF(t, struct transport_tcp, base);
}

static uint64_t now_of(const struct transport_tcp *t)
{
	return loop_now_us(t->base.env->loop);
}

static struct transport_attempt *find(struct transport_tcp *t, uint16_t id)
{
	LIST_FOR_EACH(link, &t->buckets[id % BUCKETS]) {
		struct transport_attempt *a = CONTAINER_OF(link, struct transport_attempt, link);
		if (a->asked.id == id)
			return a;
	}
	return NULL;
}

/* Before the last open attempt goes. */
static void note_idle(struct transport_tcp *t)
{
	if (t->base.open_attempts == 1 && t->connection != NULL)
		t->connection->idle_since_us = now_of(t);
}

static void end(struct transport_tcp *t, struct transport_attempt *a)
{
	note_idle(t);
	list_remove(&a->link);
	a->transport = NULL;
	t->base.open_attempts--;
}

/* ---- the connection ---- */

static void free_connection(uv_handle_t *handle)
{
	struct connection *c = CONTAINER_OF(handle, struct connection, poll);
	frame_reader_deinit(&c->reader); /* not earlier: a message of it may be with the owner */
	free(c->out);
	free(c);
}

static void set_timer(struct connection *c, uint64_t at_us)
{
	c->timer_us = at_us;
	loop_timer_set(c->transport->timer, at_us);
}

static void close_connection(struct connection *c)
{
	struct transport_tcp *t = c->transport;
	t->connection = NULL;
	t->base.env->sockets--;
	loop_timer_set(t->timer, UINT64_MAX);
	c->closed = true;
	uv_close((uv_handle_t *)&c->poll, free_connection);
	close(c->fd);
}

static void on_event(uv_poll_t *handle, int status, int events);

static void watch(struct connection *c)
{
	int events = UV_WRITABLE;
	if (c->established)
		events = UV_READABLE | (c->out_len > 0 ? UV_WRITABLE : 0);
	if (events == c->events)
		return;
	c->events = events;
	loop_watch(&c->poll, events, on_event);
}

static int start_connect(const struct addr *upstream)
{
	int fd = socket(upstream->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int on = 1, unacknowledged_ms = UNACKNOWLEDGED_MS;
	/* What is written is a whole batch: waiting for more (Nagle) only delays it. */
	int r = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (r == 0)
		r = setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
	if (r == 0)
		r = connect(fd, &upstream->sa, addr_len(upstream));
	if (r < 0 && errno != EINPROGRESS) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int open_connection(struct transport_tcp *t)
{
	struct connection *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	int fd = start_connect(&t->upstream);
	int r = fd < 0 ? fd : uv_poll_init(loop_uv(t->base.env->loop), &c->poll, fd);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		free(c);
		return r;
	}
	c->transport = t;
	c->fd = fd;
	c->opened_us = c->idle_since_us = now_of(t);
	frame_reader_init(&c->reader);
	watch(c);
	t->connection = c;
	t->base.env->sockets++;
	set_timer(c, c->opened_us + CONNECT_US);
	return 0;
}

/* ---- attempts ---- */

/* Room for one more question. False without memory, or when `limit` is reached. */
static bool make_room(struct connection *c, size_t limit)
{
	size_t wanted = c->out_len + FRAME_MAX, room = c->out_room;
	if (wanted <= room)
		return true;
	if (wanted > limit)
		return false;
	room = MIN(MAX(2 * room, (size_t)OUT_FIRST), (size_t)OUT_MAX);
	uint8_t *grown = realloc(c->out, room);
	if (grown == NULL)
		return false;
	c->out = grown;
	c->out_room = room;
	return true;
}

/* There is room. */
static void write_question(struct connection *c, const struct transport_attempt *a)
{
	uint8_t *frame = c->out + c->out_len;
	size_t len = question_write(&a->asked, frame + 2);
	dns_put16(frame, (uint16_t)len);
	c->out_len += 2 + len;
	if (c->owed++ > 0)
		return;
	c->owed_since_us = now_of(c->transport);
	if (c->established && c->owed_since_us + UNANSWERED_US < c->timer_us) /* else it looks by then */
		set_timer(c, c->owed_since_us + UNANSWERED_US);
}

/* Asks everything open again on a fresh connection, see above. */
static int ask_again(struct transport_tcp *t)
{
	int r = open_connection(t);
	for (size_t i = 0; i < BUCKETS && r == 0; i++) {
		LIST_FOR_EACH(link, &t->buckets[i]) {
			if (!make_room(t->connection, OUT_MAX)) {
				close_connection(t->connection);
				return -ENOMEM;
			}
			write_question(t->connection, CONTAINER_OF(link, struct transport_attempt, link));
		}
	}
	return r;
}

static void fail_all(struct transport_tcp *t, int error)
{
	const struct transport_events *events = &t->base.env->events;
	struct list failing, *link;
	/* Reports may send on a new connection, whose attempts are not meant. */
	list_init(&failing);
	for (size_t i = 0; i < BUCKETS; i++) {
		while ((link = list_take_first(&t->buckets[i])) != NULL)
			list_append(&failing, link);
	}
	while ((link = list_take_first(&failing)) != NULL) {
		struct transport_attempt *a = CONTAINER_OF(link, struct transport_attempt, link);
		end(t, a);
		events->failed(events->arg, a, error);
	}
}

/* `anew`: what is open may be asked on another connection. */
static void end_connection(struct connection *c, bool anew, int error)
{
	struct transport_tcp *t = c->transport;
	close_connection(c);
	if (!anew || t->base.open_attempts == 0 || ask_again(t) < 0)
		fail_all(t, error);
}

static void lose(struct connection *c, int error)
{
	bool closed_by_server = error == -ECONNRESET || error == -EPIPE;
	end_connection(c, closed_by_server && (c->answered || (c->reused && !c->heard)), error);
}

static void write_out(struct connection *c)
{
	while (c->out_len > 0) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			lose(c, -errno);
			return;
		}
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len); /* nearly always of nothing */
	}
	if (c->out_len == 0 && c->out_room > OUT_KEPT) { /* a crowd has left */
		free(c->out);
		c->out = NULL;
		c->out_room = 0;
	}
	watch(c);
}

static void take_message(struct connection *c, const uint8_t *message, size_t len)
{
	struct transport_tcp *t = c->transport;
	struct transport_env *env = t->base.env;
	struct transport_attempt *a = find(t, dns_get16(message));
	c->owed -= c->owed > 0;
	c->owed_since_us = now_of(t);
	/* Letter case is a defence against guesses from outside, which a connection does not let in: it need not be
	 * right here. */
	enum question_echo echo = a == NULL ? ECHO_NO : question_echo(&a->asked, message, len);
	if (echo == ECHO_NO) {
		env->mismatched++; /* most likely late: its attempt was cancelled */
		return;
	}
	c->answered = true;
	end(t, a);
	env->events.answered(env->events.arg, a, message, len);
}

static void take_bytes(struct connection *c, const uint8_t *bytes, size_t len)
{
	while (!c->closed) {
		const uint8_t *message;
		size_t message_len;
		int r = frame_read(&c->reader, &bytes, &len, &message, &message_len);
		if (r < 0)
			lose(c, r);
		if (r <= 0)
			return;
		take_message(c, message, message_len);
	}
}

static void read_in(struct connection *c)
{
	uint8_t bytes[IN_BYTES];
	for (int round = 0; round < IN_ROUNDS && !c->closed; round++) {
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			lose(c, n == 0 ? -ECONNRESET : -errno);
			return;
		}
		c->heard = true;
		take_bytes(c, bytes, (size_t)n);
		if ((size_t)n < sizeof(bytes))
			return;
	}
}

/* The handle's error if there is one; `otherwise` if not. */
static int socket_error(const struct connection *c, int otherwise)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	return error != 0 ? -error : otherwise;
}

static void finish_connect(struct connection *c, int status)
{
	struct transport_tcp *t = c->transport;
	int error = socket_error(c, status < 0 ? -ECONNRESET : 0);
	if (error < 0) {
		lose(c, error);
		return;
	}
	c->established = true;
	c->owed_since_us = now_of(t);
	set_timer(c, c->owed_since_us + UNANSWERED_US);
	write_out(c);
}

static void on_event(uv_poll_t *handle, int status, int events)
{
	struct connection *c = CONTAINER_OF(handle, struct connection, poll);
	if (!c->established) {
		finish_connect(c, status);
		return;
	}
	/* What arrived before an error is read first. */
	if (status < 0 || (events & UV_READABLE))
		read_in(c);
	if (!c->closed && status < 0)
		lose(c, socket_error(c, -ECONNRESET));
	if (!c->closed && (events & UV_WRITABLE))
		write_out(c);
}

static void on_timer(void *arg)
{
	struct transport_tcp *t = arg;
	struct connection *c = t->connection;
	uint64_t now_us = now_of(t);
	if (c == NULL)
		return;
	if (!c->established) {
		lose(c, -ETIMEDOUT);
		return;
	}
	/* Set once per idle time, not once per question: so it has to look whether the time was idle indeed. */
	uint64_t idle_us = (t->base.open_attempts == 0 ? c->idle_since_us : now_us) + IDLE_US;
	uint64_t unanswered_us = c->owed > 0 ? c->owed_since_us + UNANSWERED_US : UINT64_MAX;
	if (now_us >= unanswered_us)
		end_connection(c, true, -ETIMEDOUT);
	else if (now_us >= idle_us)
		close_connection(c);
	else
		set_timer(c, MIN(idle_us, unanswered_us));
}

/* ---- the row ---- */

static int tcp_send(struct transport *base, struct transport_attempt *a)
{
	struct transport_tcp *t = tcp_of(base);
	if (base->open_attempts >= ATTEMPTS_MAX)
		return -EBUSY;
	struct connection *c = t->connection;
	if (c == NULL) {
		int r = open_connection(t);
		if (r < 0)
			return r;
		c = t->connection;
	} else if (base->open_attempts == 0 && c->established) {
		c->reused = true;
		c->heard = false;
	}
	if (c->out_len + FRAME_MAX > OUT_LIMIT)
		return -EBUSY;
	if (!make_room(c, OUT_LIMIT))
		return -ENOMEM;
	do {
		a->asked.id = random_u16(base->env->random);
	} while (find(t, a->asked.id) != NULL);
	write_question(c, a);
	list_append(&t->buckets[a->asked.id % BUCKETS], &a->link);
	base->dirty = true;
	return 0;
}

/* Its question may still leave, and its answer come: that fits nothing then. */
static void tcp_cancel(struct transport *base, struct transport_attempt *a)
{
	note_idle(tcp_of(base));
	list_remove(&a->link);
}

static void tcp_flush(struct transport *base)
{
	struct connection *c = tcp_of(base)->connection;
	base->dirty = false;
	if (c != NULL && c->established)
		write_out(c);
}

static struct transport *tcp_open(struct transport_env *env, const struct addr *upstream, uint32_t source_ports)
{
	(void)source_ports; /* there is one connection */
	struct transport_tcp *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->timer = loop_timer_new(env->loop, on_timer, t);
	if (t->timer == NULL) {
		free(t);
		return NULL;
	}
	t->base = (struct transport){.ops = &transport_tcp, .env = env};
	t->upstream = *upstream;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&t->buckets[i]);
	return &t->base;
}

static void tcp_close(struct transport *base)
{
	struct transport_tcp *t = tcp_of(base);
	ASSERT(base->open_attempts == 0);
	if (t->connection != NULL)
		close_connection(t->connection);
	loop_timer_close(t->timer);
	free(t);
}

const struct transport_ops transport_tcp = {
	.open = tcp_open,
	.send = tcp_send,
	.cancel = tcp_cancel,
	.flush = tcp_flush,
	.close = tcp_close,
	.stream = true,
};
