/* SPDX-License-Identifier: Apache-2.0 */
/* bench_reflector ADDRESS:PORT…: the least a DNS server can do, and so the limit of this machine. Turns each query round with one A record
 * behind the question (TTL 3600), batch by batch over UDP and read by read over TCP; reads nothing else of it. Serves as the upstream too.
 * One thread; ends on SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"

enum { BATCH = 64, DATAGRAM = 1500, ANSWER = 16, STREAM = 65536, MOST_EVENTS = 64 };

static const uint8_t answer[ANSWER] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 10, 9, 9, 9};

static uint8_t datagrams[BATCH][DATAGRAM];
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static struct addr clients[BATCH];
static uint8_t stream_in[STREAM], stream_out[2 * STREAM];

/* Where the question ends: behind its name, type and class. */
static size_t question_end(const uint8_t *m, size_t len)
{
	size_t at = 12;

	while (at < len && m[at] != 0)
		at += 1u + m[at];
	return at + 5 <= len ? at + 5 : 0;
}

/* Makes the query in `m` its own answer; 0 if it is none. */
static size_t turn_round(uint8_t *m, size_t len)
{
	size_t end = len < 17 ? 0 : question_end(m, len);

	if (end == 0 || end + ANSWER > DATAGRAM)
		return 0;
	m[2] |= 0x80;
	m[3] = 0x80;
	memset(m + 6, 0, 6);
	m[7] = 1;
	memcpy(m + end, answer, ANSWER);
	return end + ANSWER;
}

static void serve_datagrams(int fd)
{
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){datagrams[i], DATAGRAM};
		messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &clients[i], .msg_namelen = sizeof(clients[i])};
	}
	int got = recvmmsg(fd, messages, BATCH, 0, NULL);
	for (int i = 0; i < got; i++)
		vectors[i].iov_len = turn_round(datagrams[i], messages[i].msg_len);
	for (int sent = 0; sent < got;) {
		int n = sendmmsg(fd, messages + sent, (unsigned)(got - sent), 0);
		sent += n > 0 ? n : 1;
	}
}

/* Whole messages only: a client that splits one is not what this measures. */
static void serve_stream(int fd)
{
	ssize_t got = recv(fd, stream_in, sizeof(stream_in), 0);
	size_t out = 0;

	if (got <= 0) {
		close(fd);
		return;
	}
	for (size_t at = 0; at + 2 <= (size_t)got;) {
		size_t len = (size_t)(stream_in[at] << 8 | stream_in[at + 1]);
		if (at + 2 + len > (size_t)got || len > DATAGRAM - ANSWER || out + DATAGRAM + 2 > sizeof(stream_out))
			break;
		memcpy(stream_out + out + 2, stream_in + at + 2, len);
		size_t answered = turn_round(stream_out + out + 2, len);
		stream_out[out] = (uint8_t)(answered >> 8);
		stream_out[out + 1] = (uint8_t)answered;
		out += 2 + answered;
		at += 2 + len;
	}
	if (send(fd, stream_out, out, MSG_NOSIGNAL) < 0)
		close(fd);
}

static int open_socket(const struct addr *a, int type)
{
	int one = 1, size = 4 << 20, fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (fd < 0 || bind(fd, &a->sa, addr_len(a)) != 0 || (type == SOCK_STREAM && listen(fd, 128) != 0)) {
		perror("bench_reflector");
		exit(1);
	}
	return fd;
}

static void watch(int loop, int fd, uint32_t kind)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd};

	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e);
}

enum { KIND_DATAGRAM, KIND_LISTEN, KIND_STREAM };

int main(int argc, char **argv)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 1; i < argc; i++) {
		struct addr a;
		if (addr_parse(&a, argv[i], 53) != 0)
			return 2;
		watch(loop, open_socket(&a, SOCK_DGRAM), KIND_DATAGRAM);
		watch(loop, open_socket(&a, SOCK_STREAM), KIND_LISTEN);
	}
	for (;;) {
		struct epoll_event events[MOST_EVENTS];
		int n = epoll_wait(loop, events, MOST_EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64, client;
			switch (events[i].data.u64 >> 32) {
			case KIND_DATAGRAM:
				serve_datagrams(fd);
				break;
			case KIND_LISTEN:
				if ((client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
					watch(loop, client, KIND_STREAM);
				break;
			default:
				serve_stream(fd);
			}
		}
	}
}
