/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a visitor: accepted → one request, of which only the head is read → its answer → the end.
 *
 * How it can fail: says nothing, half a head, or does not read: its time is up. Sends a body: it is answered before that is read, and
 * closed. Comes in crowds: the oldest make room. libmicrohttpd's own patience begins anew with each octet, so that it alone would let
 * somebody stay for ever with an octet every few seconds; hence the deadline here. A socket is not closed behind the library's back: it is
 * shut down, and the library sees its end. */
#include "http/door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/list.h"

enum {
	BACKLOG = 64,
	CROWDED = DOOR_VISITORS - 8, /* from here on the oldest make room */
	LOOK_MS = 250,               /* how often deadlines are looked at */
	HTTP_BAD = 400,
	HTTP_FORBIDDEN = 403,
	HTTP_NO_METHOD = 405,
};

struct visitor {
	struct list link; /* the oldest first */
	int fd;
	uint64_t deadline_us;
	bool ended;
};

struct door {
	struct MHD_Daemon *daemon;
	struct door_world world;
	struct list visitors;
	unsigned visitor_count;
	int fd;
	uint64_t now_us;
};

int door_listen(const struct addr *at)
{
	int one = 1, fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    (at->sa.sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0) &&
	    bind(fd, &at->sa, addr_len(at)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

/* ---- visitors ---- */

/* What it has not read is not kept for it in the kernel either. */
static void send_away(struct visitor *v)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (v->ended)
		return;
	v->ended = true;
	(void)setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	shutdown(v->fd, SHUT_RDWR);
}

static void send_oldest_away(struct door *d)
{
	LIST_FOR_EACH(link, &d->visitors) {
		struct visitor *v = CONTAINER_OF(link, struct visitor, link);
		if (v->ended)
			continue;
		send_away(v);
		return;
	}
}

static void enter(struct door *d, struct MHD_Connection *c, void **socket)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct visitor *v = calloc(1, sizeof(*v));

	*socket = v;
	d->visitor_count++;
	if (info == NULL || v == NULL)
		return; /* without memory it has the library's patience alone */
	list_init(&v->link);
	v->fd = info->connect_fd;
	v->deadline_us = d->now_us + d->world.patience_us;
	list_append(&d->visitors, &v->link);
	if (d->visitor_count > CROWDED)
		send_oldest_away(d);
}

static void leave(struct door *d, void **socket)
{
	struct visitor *v = *socket;

	d->visitor_count--;
	if (v != NULL)
		list_remove(&v->link);
	free(v);
	*socket = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *c, void **socket, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		enter(arg, c, socket);
	else
		leave(arg, socket);
}

static void look_at_deadlines(struct door *d)
{
	LIST_FOR_EACH(link, &d->visitors) {
		struct visitor *v = CONTAINER_OF(link, struct visitor, link);
		if (v->deadline_us > d->now_us)
			return;
		send_away(v);
	}
}

/* ---- requests ---- */

static void give_back(void *reply)
{
	pages_give_back(reply);
}

static void add_header(struct MHD_Response *r, const char *name, const char *value)
{
	(void)MHD_add_response_header(r, name, value); /* fails without memory: then the header is missing */
}

/* Takes the reference. */
static enum MHD_Result send_reply(struct MHD_Connection *c, struct pages_reply *reply)
{
	struct MHD_Response *r = NULL;

	if (reply == NULL)
		return MHD_NO;
	r = MHD_create_response_from_buffer_with_free_callback_cls(reply->len, reply->body, give_back, reply);
	if (r == NULL) {
		pages_give_back(reply);
		return MHD_NO;
	}
	add_header(r, "Content-Type", reply->type);
	add_header(r, "Content-Security-Policy", reply->policy);
	add_header(r, "X-Content-Type-Options", "nosniff");
	add_header(r, "Referrer-Policy", "no-referrer");
	add_header(r, "Cross-Origin-Resource-Policy", "same-origin");
	add_header(r, "Cache-Control", "no-store");
	add_header(r, "Connection", "close");
	if (reply->status == HTTP_NO_METHOD)
		add_header(r, "Allow", "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(c, reply->status, r);
	MHD_destroy_response(r);
	return result;
}

struct host_field {
	const char *value;
	unsigned count;
};

static enum MHD_Result see_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct host_field *h = arg;

	(void)kind;
	if (strcasecmp(name, "Host") != 0)
		return MHD_YES;
	h->value = value != NULL ? value : "";
	h->count++;
	return MHD_YES;
}

/* NULL: it is right; else what is said to it. HTTP 1.0 has no Host, and no browser speaks it. */
static struct pages_reply *judge_host(const struct door *d, struct MHD_Connection *c, const char *version)
{
	struct host_field host = {.value = NULL};

	MHD_get_connection_values(c, MHD_HEADER_KIND, see_header, &host);
	if (host.count > 1 || (host.count == 0 && strcmp(version, "HTTP/1.0") != 0))
		return pages_say(HTTP_BAD, "a request has one Host");
	if (host.count == 0 || host_is_right(d->world.hosts, host.value))
		return NULL;
	return pages_say(HTTP_FORBIDDEN, "r53fwd-http is not known by this name; --host NAME, or `http-host` in zones.conf, tells it");
}

static enum MHD_Result on_visit(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version,
				  const char *upload, size_t *upload_len, void **state)
{
	struct door *d = arg;
	const char *zones = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "zones");
	struct pages_reply *refusal;

	(void)upload;
	(void)upload_len;
	(void)state;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return send_reply(c, pages_say(HTTP_NO_METHOD, "GET and HEAD are all that is served"));
	refusal = judge_host(d, c, version);
	if (refusal != NULL)
		return send_reply(c, refusal);
	if (strcmp(url, "/ready") == 0 && zones != NULL && strcmp(zones, "1") == 0)
		url = "/ready?zones=1";
	return send_reply(c, pages_get(d->world.pages, url, d->now_us));
}

/* ---- the door ---- */

static void be_silent(void *arg, const char *format, va_list arguments)
{
	(void)arg;
	(void)format;
	(void)arguments;
}

struct door *door_new(int fd, const struct door_world *world)
{
	struct door *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		close(fd);
		return NULL;
	}
	d->world = *world;
	list_init(&d->visitors);
	d->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_visit, d, /* first, or it speaks */
				     MHD_OPTION_EXTERNAL_LOGGER, be_silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)DOOR_VISITORS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)DOOR_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned)(world->patience_us / US_PER_S + 1), MHD_OPTION_NOTIFY_CONNECTION, on_connection, d,
				     MHD_OPTION_END);
	const union MHD_DaemonInfo *info = d->daemon != NULL ? MHD_get_daemon_info(d->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (info != NULL) {
		d->fd = info->epoll_fd;
		return d;
	}
	if (d->daemon != NULL)
		MHD_stop_daemon(d->daemon);
	else
		close(fd);
	free(d);
	return NULL;
}

void door_close(struct door *d)
{
	MHD_stop_daemon(d->daemon);
	free(d);
}

int door_fd(const struct door *d)
{
	return d->fd;
}

int door_turn(struct door *d, uint64_t now_us)
{
	MHD_UNSIGNED_LONG_LONG wanted_ms;

	d->now_us = now_us;
	(void)MHD_run(d->daemon);
	look_at_deadlines(d);
	if (MHD_get_timeout(d->daemon, &wanted_ms) == MHD_YES && wanted_ms < LOOK_MS)
		return (int)wanted_ms;
	return d->visitor_count > 0 ? LOOK_MS : MS_PER_S;
}
