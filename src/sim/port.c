/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: accepted → frames are read and handed up → answers are queued and written as the client takes them →
 * the client ends its side: what it asked for is still answered, then the connection is closed.
 *
 * How it can fail: whatever the system refuses to one client (memory, a descriptor, a write) ends that connection or loses that
 * answer, as a network would. */
#include "sim/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/frame.h"

enum { BACKLOG = 128, READ_BYTES = 65535, FRAME_LENGTH_BYTES = 2 };

struct connection {
	struct watch watch;
	struct list link;
	struct port *port;
	struct addr client;
	struct frame_reader frames;
	uint8_t *out; /* heap: what the kernel has not taken yet */
	size_t out_len;
	uint32_t waiting; /* answers on the port's late list */
	bool ended;       /* the client has ended its side */
	bool cutting;     /* closes as soon as `out` has gone */
};

struct late {
	struct watch_timer timer;
	struct list link;
	struct port *port;
	struct port_client client;
	bool cut;
	size_t len;
	uint8_t octets[];
};

struct port {
	struct watch_set *set;
	struct addr addr;
	port_query_fn *fn;
	void *arg;
	struct watch udp, tcp;
	struct list connections, late;
};

static void forget_late(struct late *late)
{
	watch_timer_stop(late->port->set, &late->timer);
	list_remove(&late->link);
	free(late);
}

static void end_connection(struct connection *c)
{
	LIST_FOR_EACH(link, &c->port->late) {
		struct late *late = CONTAINER_OF(link, struct late, link);
		if (late->client.connection == c)
			forget_late(late);
	}
	watch_stop(&c->watch);
	list_remove(&c->link);
	frame_reader_deinit(&c->frames);
	free(c->out);
	free(c);
}

/* Gives the kernel what it takes. False when that was the connection's end. */
static bool write_out(struct connection *c)
{
	while (c->out_len > 0) {
		ssize_t sent = send(c->watch.fd, c->out, c->out_len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0) {
			end_connection(c);
			return false;
		}
		c->out_len -= (size_t)sent;
		memmove(c->out, c->out + sent, c->out_len);
	}
	if (c->out_len == 0 && (c->cutting || (c->ended && c->waiting == 0))) {
		end_connection(c);
		return false;
	}
	/* A client that has ended its side stays readable for ever: it is not looked at any more. */
	bool deaf = c->ended || c->cutting;
	watch_change(&c->watch, (deaf ? 0u : EPOLLIN) | (c->out_len > 0 ? EPOLLOUT : 0u));
	return true;
}

/* Queues a frame, or its first half. Nothing is written yet: the reader may be in the middle of its frames. */
static void queue_frame(struct connection *c, const uint8_t *octets, size_t len, bool cut)
{
	const size_t part = cut ? len / 2 : len;

	if (c->cutting)
		return;
	uint8_t *out = realloc(c->out, c->out_len + FRAME_LENGTH_BYTES + part);
	if (!out)
		return;
	c->out = out;
	dns_put16(out + c->out_len, (uint16_t)len);
	memcpy(out + c->out_len + FRAME_LENGTH_BYTES, octets, part);
	c->out_len += FRAME_LENGTH_BYTES + part;
	c->cutting = cut;
}

/* Hands up every whole frame. False when the bytes are no DNS. */
static bool hand_up(struct connection *c, const uint8_t *bytes, size_t len)
{
	const struct port_client client = {.addr = c->client, .connection = c};
	const uint8_t *message;
	size_t message_len;
	int read;

	while ((read = frame_read(&c->frames, &bytes, &len, &message, &message_len)) > 0)
		c->port->fn(c->port->arg, &client, message, message_len);
	return read == 0;
}

static void connection_ready(struct watch *w, uint32_t events)
{
	static uint8_t bytes[READ_BYTES];
	struct connection *c = CONTAINER_OF(w, struct connection, watch);

	if (events & EPOLLIN) {
		ssize_t got = recv(w->fd, bytes, sizeof(bytes), 0);
		if (got > 0 && !hand_up(c, bytes, (size_t)got))
			got = -1;
		if (got < 0) {
			end_connection(c);
			return;
		}
		c->ended = got == 0;
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		end_connection(c);
		return;
	}
	(void)write_out(c);
}

static void accept_ready(struct watch *w, uint32_t events)
{
	struct port *p = CONTAINER_OF(w, struct port, tcp);
	struct addr client = {0};
	socklen_t len = sizeof(client);
	int fd = accept4(w->fd, &client.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	struct connection *c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->port = p;
	c->client = client;
	c->watch.ready = connection_ready;
	frame_reader_init(&c->frames);
	list_init(&c->link);
	if (watch_start(&c->watch, p->set, fd, EPOLLIN) == 0)
		list_append(&p->connections, &c->link);
	else
		end_connection(c);
}

static void udp_ready(struct watch *w, uint32_t events)
{
	static uint8_t bytes[READ_BYTES];
	struct port *p = CONTAINER_OF(w, struct port, udp);
	struct port_client client = {0};
	socklen_t len = sizeof(client.addr);
	ssize_t got = recvfrom(w->fd, bytes, sizeof(bytes), 0, &client.addr.sa, &len);

	(void)events;
	if (got >= 0)
		p->fn(p->arg, &client, bytes, (size_t)got);
}

static int bind_socket(const struct addr *a, int type)
{
	const int one = 1;
	int fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* A port in use must be an error, for our own kind too: no SO_REUSEPORT. SO_REUSEADDR is for connections of the last run. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &a->sa, addr_len(a)) == 0 && (type == SOCK_DGRAM || listen(fd, BACKLOG) == 0))
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

int port_open(struct port *p)
{
	int fd = bind_socket(&p->addr, SOCK_DGRAM);
	int error = fd < 0 ? fd : watch_start(&p->udp, p->set, fd, EPOLLIN);

	if (error == 0) {
		fd = bind_socket(&p->addr, SOCK_STREAM);
		error = fd < 0 ? fd : watch_start(&p->tcp, p->set, fd, EPOLLIN);
	}
	if (error < 0)
		port_close(p);
	return error;
}

void port_close(struct port *p)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	watch_stop(&p->udp);
	watch_stop(&p->tcp);
	LIST_FOR_EACH(link, &p->connections) {
		struct connection *c = CONTAINER_OF(link, struct connection, link);
		setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		end_connection(c);
	}
	LIST_FOR_EACH(link, &p->late)
		forget_late(CONTAINER_OF(link, struct late, link));
}

struct port *port_new(struct watch_set *s, const struct addr *a, port_query_fn *fn, void *arg)
{
	struct port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct port){.set = s, .addr = *a, .fn = fn, .arg = arg};
	p->udp = (struct watch){.fd = -1, .ready = udp_ready};
	p->tcp = (struct watch){.fd = -1, .ready = accept_ready};
	list_init(&p->connections);
	list_init(&p->late);
	int error = port_open(p);
	if (error == 0)
		return p;
	free(p);
	errno = -error;
	return NULL;
}

void port_free(struct port *p)
{
	port_close(p);
	free(p);
}

static void send_now(struct port *p, const struct port_client *client, const uint8_t *octets, size_t len, bool cut)
{
	if (client->connection)
		queue_frame(client->connection, octets, len, cut);
	else
		(void)sendto(p->udp.fd, octets, len, 0, &client->addr.sa, addr_len(&client->addr));
}

static void late_is_due(struct watch_timer *t)
{
	struct late *late = CONTAINER_OF(t, struct late, timer);
	struct connection *c = late->client.connection;

	send_now(late->port, &late->client, late->octets, late->len, late->cut);
	forget_late(late);
	if (!c)
		return;
	c->waiting--;
	(void)write_out(c);
}

static void send_later(struct port *p, const struct port_client *client, const uint8_t *octets, size_t len, struct port_manner manner)
{
	struct late *late = malloc(sizeof(*late) + len);

	if (!late)
		return;
	*late = (struct late){.port = p, .client = *client, .cut = manner.cut, .len = len};
	memcpy(late->octets, octets, len);
	late->timer.due = late_is_due;
	list_init(&late->link);
	list_append(&p->late, &late->link);
	if (client->connection)
		client->connection->waiting++;
	watch_timer_start(p->set, &late->timer, watch_now_us() + manner.wait_us);
}

void port_answer(struct port *p, const struct port_client *client, const uint8_t *octets, size_t len, struct port_manner manner)
{
	if (manner.wait_us > 0)
		send_later(p, client, octets, len, manner);
	else
		send_now(p, client, octets, len, manner.cut);
}
