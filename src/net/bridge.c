/* SPDX-License-Identifier: Apache-2.0 */
/* SOCK_SEQPACKET: a message is whole or not there, and several threads may send at once. */
#include "net/bridge.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <uv.h>

#include "net/loop_private.h"

enum { MESSAGES_PER_TURN = 16 };

union rights {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

struct bridge {
	uv_poll_t poll;
	struct loop_guest guest;
	int end;
	bool closed, ended;
	bridge_fn *fn;
	void *arg;
	uint8_t in[1 + BRIDGE_BYTES_MAX];
};

int bridge_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0 ? 0 : -errno;
}

/* The kernel may have room in a moment. Whoever took that for the other's end would have two instances serve. */
static bool passes(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOMEM || error == ENOBUFS;
}

/* ---- out ---- */

static void attach(struct msghdr *message, union rights *rights, int fd)
{
	message->msg_control = rights->room;
	message->msg_controllen = sizeof(rights->room);
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
}

bool bridge_send(int end, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	uint64_t until_us = loop_clock_us() + (uint64_t)BRIDGE_SEND_MS * US_PER_MS;
	uint8_t first = (uint8_t)word;
	struct iovec octets[2] = {{.iov_base = &first, .iov_len = 1}, {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len}};
	struct msghdr message = {.msg_iov = octets, .msg_iovlen = len > 0 ? 2 : 1};
	union rights rights = {.room = {0}};

	if (len > BRIDGE_BYTES_MAX)
		return false;
	if (fd >= 0)
		attach(&message, &rights, fd);
	for (;;) {
		if (sendmsg(end, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return true;
		if (!passes(errno))
			return false;
		/* One that waits for the kernel's memory calls itself writable: it is asked again in a millisecond. */
		bool full = errno == EAGAIN;
		uint64_t now_us = loop_clock_us();
		struct pollfd wait = {.fd = end, .events = full ? POLLOUT : 0};
		if (now_us >= until_us || (poll(&wait, 1, full ? (int)((until_us - now_us) / US_PER_MS) + 1 : 1) == 0 && full))
			return false;
	}
}

/* ---- in ---- */

/* The one descriptor; -1 if there is none, or if there are several, of which the kernel has put as many as found room. */
static int take_fd(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fds[sizeof(union rights) / sizeof(int)];

	if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return -1;
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(header), count * sizeof(int));
	if (count == 1 && !(message->msg_flags & MSG_CTRUNC))
		return fds[0];
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	return -1;
}

static void end_it(struct bridge *b)
{
	b->ended = true;
	uv_poll_stop(&b->poll);
	b->fn(b->arg, BRIDGE_ENDED, -1, NULL, 0);
}

static void hand_up(struct bridge *b, size_t len, int fd)
{
	bool client = b->in[0] == BRIDGE_CLIENT;

	if (client == (fd >= 0))
		b->fn(b->arg, (enum bridge_word)b->in[0], fd, b->in + 1, len - 1);
	else if (fd >= 0)
		close(fd); /* nothing that we know of */
}

/* Whether there may be more. */
static bool read_one(struct bridge *b)
{
	union rights rights;
	struct iovec octets = {.iov_base = b->in, .iov_len = sizeof(b->in)};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1, .msg_control = rights.room, .msg_controllen = sizeof(rights.room)};
	ssize_t got = recvmsg(b->end, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	/* It was closed with words of ours unread. The kernel says so once, and before what it has said itself. */
	if (got < 0 && errno == ECONNRESET)
		return true;
	if (got > 0)
		hand_up(b, (size_t)got, take_fd(&message));
	else if (got == 0 || !passes(errno))
		end_it(b);
	return got > 0;
}

static void read_some(struct bridge *b, int most)
{
	for (int i = 0; i < most && !b->closed && !b->ended && read_one(b); i++)
		continue;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct bridge *b = CONTAINER_OF(handle, struct bridge, poll);

	(void)events;
	/* After an error libuv does not call again: the rest is read now, and there is no more of it than a socket holds. */
	read_some(b, status < 0 ? INT_MAX : MESSAGES_PER_TURN);
	if (status < 0 && !b->closed && !b->ended)
		end_it(b);
}

void bridge_read(struct bridge *b)
{
	read_some(b, MESSAGES_PER_TURN);
}

/* ---- open and close ---- */

static void free_bridge(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct bridge, poll));
}

static void evict(struct loop_guest *g)
{
	bridge_close(CONTAINER_OF(g, struct bridge, guest));
}

struct bridge *bridge_new(struct loop *l, int end, bridge_fn *fn, void *arg)
{
	struct bridge *b = calloc(1, sizeof(*b));

	if (b == NULL || uv_poll_init(loop_uv(l), &b->poll, end) != 0) {
		free(b);
		close(end);
		return NULL;
	}
	b->end = end;
	b->fn = fn;
	b->arg = arg;
	list_init(&b->guest.link);
	loop_guest_add(l, &b->guest, evict);
	loop_watch(&b->poll, UV_READABLE, on_readable);
	return b;
}

void bridge_close(struct bridge *b)
{
	ASSERT(!b->closed);
	b->closed = true;
	list_remove(&b->guest.link);
	uv_close((uv_handle_t *)&b->poll, free_bridge);
	close(b->end);
}

int bridge_end(const struct bridge *b)
{
	return b->end;
}
