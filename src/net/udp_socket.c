/* SPDX-License-Identifier: Apache-2.0 */
/* Ports are drawn uniformly from 1024..65535, for the kernel's own choice covers less than half of them, in an order
 * that has been inferred from outside before (SAD DNS, 2020). A port in use is refused by bind and another one drawn;
 * with so much as 80 % of all ports in use, ten tries fail in one of nine sockets, and the kernel chooses for those. */

#include "net/udp_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h> /* linux/errqueue.h does not bring it along */
#include <linux/errqueue.h>
#include <unistd.h>

#define LOOK_US US_PER_S
enum { PORT_LOWEST = 1024, PORT_COUNT = 65536 - PORT_LOWEST, PORT_TRIES = 10 };

static int bind_random(int fd, struct random *random, sa_family_t family)
{
	struct addr any = {.in = {.sin_family = AF_INET}};
	if (family == AF_INET6)
		any = (struct addr){.in6 = {.sin6_family = AF_INET6}};
	for (int try = 0; try <= PORT_TRIES; try++) {
		uint16_t port = 0;
		if (try < PORT_TRIES)
			port = (uint16_t)(PORT_LOWEST + random_below(random, PORT_COUNT));
		addr_set_port(&any, port);
		if (bind(fd, &any.sa, addr_len(&any)) == 0)
			return 0;
	}
	return -errno;
}

static int set_options(int fd, sa_family_t family)
{
	int on = 1;
	/* Without it an ICMP error would be an errno of some later call, for nobody knows which attempt. */
	int r = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on))
				   : setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	/* The same port of IPv4 may be another socket's. */
	if (r == 0 && family == AF_INET6)
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (r < 0)
		return -errno;
	/* Marks a filled error queue as EPOLLPRI: libuv stops a handle that has EPOLLERR alone. Not everywhere there
	 * (gVisor), not indispensable: the handle is started again then. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SELECT_ERR_QUEUE, &on, sizeof(on));
	return 0;
}

/* Between bind and connect anybody may have left a datagram: from here on the kernel looks at the source. */
static void drop_unread(int fd)
{
	uint8_t byte;
	while (recv(fd, &byte, sizeof(byte), 0) >= 0)
		continue;
}

static int make_socket(const struct addr *upstream)
{
	int fd = socket(upstream->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int read_source(int fd, struct addr *source)
{
	socklen_t len = sizeof(*source);
	return getsockname(fd, &source->sa, &len) < 0 ? -errno : 0;
}

static int choose_source(const struct addr *upstream, struct addr *source)
{
	int fd = make_socket(upstream);
	if (fd < 0)
		return fd;
	int r = connect(fd, &upstream->sa, addr_len(upstream)) < 0 ? -errno : read_source(fd, source);
	close(fd);
	return r;
}

void udp_socket_look(struct udp_socket_source *s, const struct addr *upstream, uint64_t now_us)
{
	struct addr now = {.in = {.sin_family = AF_UNSPEC}};
	if (LIKELY(!s->doubtful) || now_us < s->looked_us + LOOK_US)
		return;
	s->doubtful = false;
	s->looked_us = now_us;
	if (choose_source(upstream, &now) < 0 || addr_equal_ip(&now, &s->chosen))
		return;
	s->chosen = now;
	s->moves++;
}

/* A second connect alone would keep the source of the first. */
int udp_socket_move(int fd, const struct addr *upstream, const struct addr *source)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct addr now = {.in = {.sin_family = AF_UNSPEC}};
	if (read_source(fd, &now) == 0 && addr_equal_ip(&now, source))
		return 0;
	if (connect(fd, &nobody, sizeof(nobody)) < 0 || connect(fd, &upstream->sa, addr_len(upstream)) < 0)
		return -errno;
	drop_unread(fd);
	return 0;
}

int udp_socket_open(const struct addr *upstream, struct random *random)
{
	sa_family_t family = upstream->sa.sa_family;
	int fd = make_socket(upstream);
	if (fd < 0)
		return fd;
	int r = set_options(fd, family);
	if (r == 0)
		r = bind_random(fd, random, family);
	if (r == 0 && connect(fd, &upstream->sa, addr_len(upstream)) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	drop_unread(fd);
	return fd;
}

static int errno_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		struct sock_extended_err error;
		memcpy(&error, CMSG_DATA(c), sizeof(error));
		/* A query is smaller than any path's MTU must be: whoever says otherwise is wrong or lies. */
		return error.ee_errno == EMSGSIZE ? 0 : (int)error.ee_errno;
	}
	return 0;
}

/* The queue gives back the start of the datagram that failed, as far as the router quoted it. */
bool udp_socket_take_error(int fd, struct udp_socket_error *e)
{
	uint8_t start[2];
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct iovec at = {.iov_base = start, .iov_len = sizeof(start)};
	struct msghdr m = {.msg_iov = &at, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(fd, &m, MSG_ERRQUEUE);
	if (len < 0)
		return false;
	*e = (struct udp_socket_error){.error = errno_of(&m), .has_id = len == (ssize_t)sizeof(start)};
	if (e->has_id)
		e->id = (uint16_t)(start[0] << 8 | start[1]);
	return true;
}

/* Points the messages to their bytes. */
static void init_buffers(struct udp_buffers *b)
{
	for (size_t i = 0; i < UDP_OUT_BATCH; i++) {
		b->out_at[i].iov_base = b->out_bytes[i]; /* the length is each query's */
		b->out[i].msg_hdr = (struct msghdr){.msg_iov = &b->out_at[i], .msg_iovlen = 1};
	}
	for (size_t i = 0; i < UDP_IN_BATCH; i++) {
		b->in_at[i] = (struct iovec){.iov_base = b->in_bytes[i], .iov_len = UDP_IN_BYTES};
		b->in[i].msg_hdr = (struct msghdr){.msg_iov = &b->in_at[i], .msg_iovlen = 1};
	}
}

static struct udp_thread *make_thread(struct transport_env *env, loop_fn *idle)
{
	struct udp_thread *th = calloc(1, sizeof(*th));
	if (th == NULL || (th->timer = loop_timer_new(env->loop, idle, th)) == NULL) {
		free(th);
		return NULL;
	}
	th->env = env;
	list_init(&th->ports);
	init_buffers(&th->buffers);
	return th;
}

struct udp_thread *udp_thread_ref(struct transport_env *env, loop_fn *idle)
{
	if (env->udp == NULL)
		env->udp = make_thread(env, idle);
	struct udp_thread *th = env->udp;
	if (th != NULL)
		th->transports++;
	return th;
}

void udp_thread_unref(struct udp_thread *th)
{
	if (--th->transports > 0)
		return;
	loop_timer_close(th->timer);
	th->env->udp = NULL;
	free(th);
}
