/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NET_SERVING_H
#define TESTS_NET_SERVING_H
/* A loop with listeners that answers what it is asked, at once or when the test says so, and blocking clients beside
 * it. Everything is one thread on loopback: what a client has sent is in the server's socket before the loop turns,
 * and the other way round. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "net/listen.h"
#include "wire/dns.h"

enum { KEPT_MAX = 600, QUERY_BYTES = 20, GUARD_US = 10 * US_PER_S };

struct serving {
	struct loop *loop;
	struct loop_timer *guard; /* fires: what was awaited never came */
	struct listen_limits *limits;
	struct listener *listeners[4];
	size_t listener_count;
	bool (*done)(struct serving *s);
	bool late;
	bool keep;          /* keeps the handles for later instead of answering at once */
	size_t reply_bytes; /* 0: as long as the query */
	size_t want;        /* for done functions */
	size_t received, turns;
	struct {
		struct reply_to to;
		uint8_t query[QUERY_BYTES];
		size_t len;
	} kept[KEPT_MAX];
	size_t kept_count;
	void *reader; /* for done functions */
	int descriptors;
};

static inline void write_query(uint8_t query[QUERY_BYTES], uint16_t id)
{
	memset(query, 0, QUERY_BYTES);
	dns_put16(query, id);
	query[5] = 1;
}

static inline void reply(struct serving *s, const struct reply_to *to, const uint8_t *query, size_t len)
{
	size_t room, bytes = s->reply_bytes ? s->reply_bytes : len;
	uint8_t *out = listener_room(to, &room);
	assert_true(room >= bytes);
	memset(out, 0, bytes);
	memcpy(out, query, MIN(len, bytes));
	out[2] |= 0x80;
	listener_send(to, bytes);
}

static inline void reply_kept(struct serving *s, size_t i)
{
	reply(s, &s->kept[i].to, s->kept[i].query, s->kept[i].len);
}

static inline void on_query(void *arg, const struct reply_to *to, const uint8_t *query, size_t len)
{
	struct serving *s = arg;
	s->received++;
	if (!s->keep) {
		reply(s, to, query, len);
		return;
	}
	assert_true(s->kept_count < KEPT_MAX && len <= QUERY_BYTES);
	s->kept[s->kept_count].to = *to;
	s->kept[s->kept_count].len = len;
	memcpy(s->kept[s->kept_count++].query, query, len);
}

static inline void on_turn(void *arg)
{
	struct serving *s = arg;
	s->turns++;
	for (size_t i = 0; i < s->listener_count; i++)
		listener_flush(s->listeners[i]);
	if (s->done(s))
		loop_stop(s->loop);
}

static inline void on_guard(void *arg)
{
	struct serving *s = arg;
	s->late = true;
	loop_stop(s->loop);
}

/* Serves until `done`; fails if that does not come. */
static inline void serve_until(struct serving *s, bool (*done)(struct serving *s))
{
	s->done = done;
	s->late = false;
	loop_timer_set(s->guard, loop_clock_us() + GUARD_US);
	loop_run(s->loop);
	loop_timer_set(s->guard, UINT64_MAX);
	assert_false(s->late);
}

static inline bool never(struct serving *s)
{
	(void)s;
	return false;
}

/* Serves for a while, to see what does not happen. */
static inline void serve_ms(struct serving *s, uint64_t ms)
{
	s->done = never;
	loop_timer_set(s->guard, loop_clock_us() + ms * US_PER_MS);
	loop_run(s->loop);
	loop_timer_set(s->guard, UINT64_MAX);
}

static inline bool all_received(struct serving *s)
{
	return s->received >= s->want;
}

static inline struct serving *serving_new(void)
{
	struct serving *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	/* The first loop of the process opens libuv's own pipe. */
	loop_free(loop_new());
	s->descriptors = count_descriptors();
	s->done = never;
	s->loop = loop_new();
	s->limits = listen_limits_new();
	assert_non_null(s->loop);
	assert_non_null(s->limits);
	s->guard = loop_timer_new(s->loop, on_guard, s);
	loop_set_turn(s->loop, on_turn, s);
	return s;
}

/* All handles used, clients closed: nothing may be left. */
static inline void serving_free(struct serving *s)
{
	for (size_t i = 0; i < s->listener_count; i++)
		listener_close(s->listeners[i]);
	loop_free(s->loop);
	listen_limits_free(s->limits);
	assert_int_equal(count_descriptors(), s->descriptors);
	free(s);
}

static inline struct addr address(const char *text)
{
	struct addr a;
	assert_int_equal(addr_parse(&a, text, 1), 0);
	if (addr_port(&a) == 1)
		addr_set_port(&a, 0);
	return a;
}

static inline struct listener *serve(struct serving *s, const char *text, enum listen_kind kind)
{
	struct addr a = address(text);
	int fd = listen_open(&a, kind, false);
	assert_true(fd >= 0);
	struct listener *l = listener_new(s->loop, kind, fd, s->limits, on_query, s);
	assert_non_null(l);
	s->listeners[s->listener_count++] = l;
	return l;
}

/* Closes the only listener. */
static inline void close_listener(struct serving *s)
{
	assert_int_equal(s->listener_count, 1);
	s->listener_count = 0;
	listener_close(s->listeners[0]);
}

static inline uint64_t count_of(struct serving *s, size_t offset)
{
	struct listener_counts counts;
	listener_counts(s->listeners[0], &counts);
	return *(const uint64_t *)(const void *)((const char *)&counts + offset);
}
#define COUNT(s, field) count_of(s, offsetof(struct listener_counts, field))

static inline uint32_t connections(struct serving *s)
{
	struct listener_counts counts;
	listener_counts(s->listeners[0], &counts);
	return counts.connections;
}

/* A client, connected to where `l` listens, or to `ip` with its port. */
static inline int client_to(const struct listener *l, const char *ip)
{
	struct addr to = *listener_addr(l);
	if (ip) {
		to = address(ip);
		addr_set_port(&to, addr_port(listener_addr(l)));
	}
	int type = listener_kind(l) == LISTEN_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(to.sa.sa_family, type | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = GUARD_US / US_PER_S};
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, &to.sa, addr_len(&to)), 0);
	return fd;
}

#endif
