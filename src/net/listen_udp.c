/* SPDX-License-Identifier: Apache-2.0 */
/* UDP from clients, in batches.
 *
 * The life of a batch: the poll handle says that there is something → recvmmsg fills up to 64 buffers → each query goes
 * up → what is answered at once is written straight into an out slot → the slots leave with one sendmmsg, when all 64
 * are used or at flush.
 * How it can fail: a datagram that the kernel would not send is counted and forgotten, as the network would have it.
 *
 * The numbers: 64 datagrams share one system call; more would only cost cache. After four full batches, about 1 ms of
 * work, the loop gets its turn. Buffers lie an odd number of cache lines apart (33 and 21): multiples of 2048 bytes
 * would all fall into the same few sets of the first-level cache. Headers are set up once; what the kernel writes into
 * them is put back only where the next call reads it. Measured so, this file and the loop below it take some 1.5 % of what
 * a query costs; the rest is the kernel's. */
#include "net/listen_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <uv.h>

enum { BATCH = 64, BATCHES_PER_TURN = 4 };
enum { IN_BYTES = 2048, IN_STRIDE = 33 * 64, OUT_BYTES = 1232, OUT_STRIDE = 21 * 64 };
enum { CONTROL_BYTES = CMSG_SPACE(sizeof(struct in6_pktinfo)) };

/* What the kernel holds at close: two times 4 MiB of buffer at 768 bytes or more for a datagram. Above that somebody
 * sends faster than we read. */
enum { BATCHES_AT_CLOSE = (8 << 20) / 768 / BATCH + 1 };

struct control {
	_Alignas(struct cmsghdr) uint8_t bytes[CONTROL_BYTES];
};

/* One direction: all headers together, the bytes apart. */
struct batch {
	struct mmsghdr heads[BATCH];
	struct iovec at[BATCH];
	struct addr names[BATCH]; /* from whom, or to whom */
	struct control control[BATCH];
};

struct listen_udp {
	struct listener base;
	uv_poll_t poll;
	bool wildcard;  /* the address asked comes with each datagram and goes with its reply */
	uint32_t ready; /* out slots waiting for flush */
	struct batch in, out;
	uint8_t in_bytes[BATCH][IN_STRIDE]; /* never cleared: pages are touched as load comes */
	uint8_t out_bytes[BATCH][OUT_STRIDE];
};

static struct listen_udp *udp_of(struct listener *l)
{
	return CONTAINER_OF(l, struct listen_udp, base);
}

/* ---- in ---- */

/* The address that was asked. None for multicast, which nobody can reply from: then the system chooses. */
static void read_local(struct reply_to *to, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(&to->udp.local, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
			to->udp.family = AF_INET;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			to->udp.local = info.ipi6_addr;
			/* Only a link-local address means nothing without its interface; others may leave as routes
			 * say. */
			to->udp.interface = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
			to->udp.family = IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) ? AF_UNSPEC : AF_INET6;
		}
	}
}

static void take_datagram(struct listen_udp *u, int i)
{
	struct msghdr *h = &u->in.heads[i].msg_hdr;
	struct reply_to to = {.listener = &u->base, .client = u->in.names[i]};
	if (u->wildcard) {
		read_local(&to, h);
		h->msg_controllen = CONTROL_BYTES;
	}
	/* The port lies at the same place in both families. Nobody can be answered at port 0. */
	if (UNLIKELY(to.client.in.sin_port == 0)) {
		u->base.counts.port_zero++;
		return;
	}
	if (UNLIKELY(h->msg_flags & MSG_TRUNC)) {
		u->base.counts.too_long++;
		return;
	}
	listen_hand_up(&u->base, &to, u->in_bytes[i], u->in.heads[i].msg_len);
}

/* Whether there may be more. */
static bool read_batch(struct listen_udp *u)
{
	int got = recvmmsg(u->base.fd, u->in.heads, BATCH, 0, NULL);
	for (int i = 0; i < got; i++)
		take_datagram(u, i);
	return got == BATCH;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct listen_udp *u = CONTAINER_OF(handle, struct listen_udp, poll);
	(void)events;
	for (int i = 0; i < BATCHES_PER_TURN && read_batch(u); i++)
		continue;
	/* With an error on the socket, which reading has taken off, libuv stops its handle. */
	if (UNLIKELY(status < 0))
		loop_watch(&u->poll, UV_READABLE, on_readable);
}

/* ---- out ---- */

static uint8_t *udp_room(const struct reply_to *to, size_t *room)
{
	struct listen_udp *u = udp_of(to->listener);
	*room = OUT_BYTES;
	return u->out_bytes[u->ready];
}

/* One control message for the address in `to`; returns its length. */
static size_t write_local(struct control *control, const struct reply_to *to)
{
	struct msghdr h = {.msg_control = control->bytes, .msg_controllen = CONTROL_BYTES};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	if (to->udp.family == AF_INET) {
		struct in_pktinfo info = {0};
		memcpy(&info.ipi_spec_dst, &to->udp.local, sizeof(info.ipi_spec_dst));
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in6_pktinfo info = {.ipi6_addr = to->udp.local, .ipi6_ifindex = to->udp.interface};
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

static void udp_flush(struct listener *l)
{
	struct listen_udp *u = udp_of(l);
	uint32_t count = u->ready;
	u->ready = 0;
	for (uint32_t sent = 0; sent < count;) {
		int r = l->fd < 0 ? -1 : sendmmsg(l->fd, u->out.heads + sent, count - sent, 0);
		if (r > 0) {
			sent += (uint32_t)r;
			l->counts.sent += (uint32_t)r;
		} else if (l->fd < 0 || errno == EAGAIN) {
			/* 4 MiB wait already: replies that come later than those help nobody. */
			l->counts.send_failed += count - sent;
			return;
		} else {
			/* This one's own fault: a client without a route, a rule of the firewall. */
			l->counts.send_failed++;
			sent++;
		}
	}
}

static void udp_send(const struct reply_to *to, size_t len)
{
	struct listen_udp *u = udp_of(to->listener);
	uint32_t i = u->ready++;
	ASSERT(len <= OUT_BYTES);
	u->out.names[i] = to->client;
	u->out.at[i].iov_len = len;
	if (u->wildcard) {
		struct msghdr *h = &u->out.heads[i].msg_hdr;
		h->msg_control = u->out.control[i].bytes;
		h->msg_controllen = to->udp.family != AF_UNSPEC ? write_local(&u->out.control[i], to) : 0;
	}
	if (u->ready == BATCH)
		udp_flush(to->listener);
}

static void udp_drop(const struct reply_to *to)
{
	(void)to;
}

/* ---- open and close ---- */

static void on_closed(uv_handle_t *handle)
{
	struct listen_udp *u = CONTAINER_OF(handle, struct listen_udp, poll);
	u->base.uv_handles--;
	listen_release(&u->base);
}

static void close_poll(struct listen_udp *u)
{
	if (!uv_is_closing((uv_handle_t *)&u->poll))
		uv_close((uv_handle_t *)&u->poll, on_closed);
}

/* The socket stays for the replies that are still to come. */
static void udp_close(struct listener *l)
{
	struct listen_udp *u = udp_of(l);
	for (int i = 0; i < BATCHES_AT_CLOSE && read_batch(u); i++)
		continue;
	close_poll(u);
}

static void udp_cut(struct listener *l)
{
	close_poll(udp_of(l));
	close(l->fd);
	l->fd = -1;
}

static void udp_free(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(udp_of(l));
}

static const struct listen_ops ops = {
	.room = udp_room,
	.send = udp_send,
	.drop = udp_drop,
	.flush = udp_flush,
	.close = udp_close,
	.cut = udp_cut,
	.free = udp_free,
};

/* The length of names is that of the socket's family from the start, so the kernel never changes it. */
static void set_up_batches(struct listen_udp *u)
{
	socklen_t name_len = addr_len(&u->base.addr);
	for (size_t i = 0; i < BATCH; i++) {
		u->in.at[i] = (struct iovec){.iov_base = u->in_bytes[i], .iov_len = IN_BYTES};
		u->out.at[i] = (struct iovec){.iov_base = u->out_bytes[i]};
		struct msghdr *in = &u->in.heads[i].msg_hdr, *out = &u->out.heads[i].msg_hdr;
		*in = (struct msghdr){.msg_name = &u->in.names[i], .msg_namelen = name_len};
		*out = (struct msghdr){.msg_name = &u->out.names[i], .msg_namelen = name_len};
		in->msg_iov = &u->in.at[i];
		out->msg_iov = &u->out.at[i];
		in->msg_iovlen = out->msg_iovlen = 1;
		if (u->wildcard) {
			in->msg_control = u->in.control[i].bytes;
			in->msg_controllen = CONTROL_BYTES;
		}
	}
}

struct listener *listen_udp_new(const struct listener *common)
{
	/* Above malloc's threshold: zeroed pages from the kernel, none of them touched. */
	struct listen_udp *u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->base = *common;
	u->base.ops = &ops;
	u->wildcard = addr_is_any(&common->addr);
	set_up_batches(u);
	if (uv_poll_init(loop_uv(common->loop), &u->poll, common->fd) != 0) {
		free(u);
		return NULL;
	}
	u->base.uv_handles = 1;
	loop_watch(&u->poll, UV_READABLE, on_readable);
	return &u->base;
}
