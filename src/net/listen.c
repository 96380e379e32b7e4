/* SPDX-License-Identifier: Apache-2.0 */
/* What all listeners have in common: how sockets are bound, and when a listener may go.
 *
 * The numbers: 4 MiB of socket buffer, which the kernel doubles, hold 10,000 small queries (measured: it charges 832
 * bytes for each): what 300,000 clients a second send while the worker is off the CPU for 30 ms. A backlog of 1024 is
 * a burst of connections after an outage. */
#include "net/listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET_BUFFER_BYTES = 4 << 20 };

/* ---- sockets ---- */

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* As root the limit of the system may be passed; else what it allows is what we get, and no error. */
static void enlarge_buffers(int fd)
{
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_BYTES);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_BYTES);
}

static int set_udp_options(int fd, const struct addr *a)
{
	bool v4 = a->sa.sa_family == AF_INET;
	enlarge_buffers(fd);
	/* Replies are smaller than any path's MTU has to be: whoever claims a smaller one wants them in fragments. */
	int r = v4 ? set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
		   : set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
	/* A socket with an address of its own replies from there anyway, and its datagrams cost less without. */
	if (r == 0 && addr_is_any(a))
		r = v4 ? set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) : set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	return r;
}

static int bind_socket(int fd, const struct addr *a, enum listen_kind kind, bool join)
{
	int r = 0;
	if (a->sa.sa_family == AF_INET6)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r == 0)
		r = kind == LISTEN_UDP ? set_udp_options(fd, a) : set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && join)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r == 0 && bind(fd, &a->sa, addr_len(a)) < 0)
		r = -errno;
	if (r == 0 && !join)
		r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return r;
}

int listen_open(const struct addr *a, enum listen_kind kind, bool join)
{
	int type = kind == LISTEN_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = bind_socket(fd, a, kind, join);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int get_int(int fd, int level, int option, int *value)
{
	socklen_t len = sizeof(*value);
	return getsockopt(fd, level, option, value, &len) < 0 ? -errno : 0;
}

int listen_adopt(int fd, enum listen_kind *kind, struct addr *a)
{
	socklen_t len = sizeof(*a);
	int type = 0, only = 1;
	memset(a, 0, sizeof(*a));
	int r = get_int(fd, SOL_SOCKET, SO_TYPE, &type);
	if (r == 0 && getsockname(fd, &a->sa, &len) < 0)
		r = -errno;
	if (r < 0)
		return r;
	if ((type != SOCK_DGRAM && type != SOCK_STREAM) || (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6))
		return -EPROTOTYPE;
	*kind = type == SOCK_DGRAM ? LISTEN_UDP : LISTEN_TCP;
	if (a->sa.sa_family == AF_INET6)
		r = get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only);
	if (r == 0 && !only)
		return -EAFNOSUPPORT;
	if (r == 0 && *kind == LISTEN_UDP)
		r = set_udp_options(fd, a);
	if (r == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		r = -errno;
	return r;
}

/* ---- listeners ---- */

static void evict(struct loop_guest *g)
{
	struct listener *l = CONTAINER_OF(g, struct listener, guest);
	l->closing = true;
	l->ops->cut(l);
	listen_release(l);
}

struct listener *listener_new(struct loop *loop, enum listen_kind kind, int fd, struct listen_limits *limits,
			      listen_query_fn *fn, void *arg)
{
	struct listener common = {.loop = loop, .fn = fn, .arg = arg, .fd = fd, .kind = kind};
	struct listener *l = NULL;
	socklen_t len = sizeof(common.addr);
	if (getsockname(fd, &common.addr.sa, &len) == 0)
		l = kind == LISTEN_UDP ? listen_udp_new(&common) : listen_tcp_new(&common, limits);
	if (!l) {
		close(fd);
		return NULL;
	}
	loop_guest_add(loop, &l->guest, evict);
	return l;
}

const struct addr *listener_addr(const struct listener *l)
{
	return &l->addr;
}

enum listen_kind listener_kind(const struct listener *l)
{
	return l->kind;
}

void listen_release(struct listener *l)
{
	if (!l->closing || l->handles > 0 || l->uv_handles > 0)
		return;
	list_remove(&l->guest.link);
	if (l->gone)
		l->gone(l->gone_arg);
	l->ops->free(l);
}

void listener_close(struct listener *l)
{
	ASSERT(!l->closing && !l->handing_up);
	l->ops->close(l);
	l->ops->flush(l);
	l->closing = true;
	listen_release(l);
}

/* Connected to itself, a socket is sent nothing by anybody else. Replies name their receiver, and leave all the same. */
void listener_leave(struct listener *l)
{
	struct addr self = l->addr;

	if (l->kind != LISTEN_UDP)
		return;
	if (addr_is_any(&self) && self.sa.sa_family == AF_INET)
		self.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (addr_is_any(&self))
		self.in6.sin6_addr = in6addr_loopback;
	(void)connect(l->fd, &self.sa, addr_len(&self)); /* the address may be gone: then nothing is sent there */
}

void listener_pass(struct listener *l, listen_pass_fn *pass, void *arg)
{
	l->pass = pass;
	l->pass_arg = arg;
	listener_close(l);
}

void listener_adopt(struct listener *l, int fd, const uint8_t *bytes, size_t len)
{
	struct addr client = {0};
	socklen_t size = sizeof(client);

	ASSERT(l->kind == LISTEN_TCP && !l->closing);
	/* Gone meanwhile; or nothing that a listener would have passed on. */
	if (getpeername(fd, &client.sa, &size) < 0 || (client.sa.sa_family != AF_INET && client.sa.sa_family != AF_INET6)) {
		close(fd);
		return;
	}
	listen_tcp_adopt(l, fd, &client, bytes, len);
}

void listener_set_gone(struct listener *l, listen_gone_fn *gone, void *arg)
{
	l->gone = gone;
	l->gone_arg = arg;
}

void listener_set_allows(struct listener *l, listen_allows_fn *allows, void *arg)
{
	l->allows = allows;
	l->allows_arg = arg;
	if (l->kind == LISTEN_TCP)
		listen_tcp_judge(l);
}

int listener_fd(const struct listener *l)
{
	return l->fd;
}

/* A handle is used. Nobody calls flush for a listener that was closed. */
static void end_handle(struct listener *l)
{
	ASSERT(l->handles > 0);
	l->handles--;
	if (UNLIKELY(l->closing)) {
		l->ops->flush(l);
		listen_release(l);
	}
}

uint8_t *listener_room(const struct reply_to *to, size_t *room)
{
	return to->listener->ops->room(to, room);
}

void listener_send(const struct reply_to *to, size_t len)
{
	struct listener *l = to->listener;
	l->ops->send(to, len);
	end_handle(l);
}

void listener_drop(const struct reply_to *to)
{
	struct listener *l = to->listener;
	l->ops->drop(to);
	end_handle(l);
}

void listener_flush(struct listener *l)
{
	l->ops->flush(l);
}

void listener_counts(const struct listener *l, struct listener_counts *out)
{
	*out = l->counts;
}
