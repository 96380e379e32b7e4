/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CLI_SCRIPTED_H
#define TESTS_CLI_SCRIPTED_H
/* DNS servers on loopback, on a thread of their own, that answer as a test's function says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "wire/answer.h"
#include "wire/question.h"
#include "wire/text.h"

enum { SCRIPTED_CONNECTIONS = 16, SCRIPTED_BYTES = 8192, SCRIPTED_NO_ANSWER = 0, SCRIPTED_CUT = SIZE_MAX };

struct scripted;

/* Writes the answer to `query` (a copy of it stands in `out`) and returns its length; SCRIPTED_NO_ANSWER; or, over TCP, SCRIPTED_CUT. */
typedef size_t scripted_fn(struct scripted *s, const struct question *q, size_t query_len, bool tcp, uint8_t *out);

struct scripted {
	struct addr addr;
	int udp, tcp; /* -1: closed */
	int connections[SCRIPTED_CONNECTIONS];
	int stop[2];
	pthread_t thread;
	scripted_fn *answer;
	atomic_uint udp_queries, tcp_queries, largest;
};

/* A response with our question and nothing else. */
static inline size_t scripted_header(const struct question *q, uint16_t flags, uint8_t *out)
{
	dns_put16(out + 2, (uint16_t)(DNS_QR | DNS_RD | DNS_RA | flags));
	dns_put16(out + 6, 0);
	dns_put16(out + 8, 0);
	dns_put16(out + 10, 0);
	return DNS_HEADER_BYTES + q->name.len + 4u;
}

/* Adds a record of the question's name to the answer section. */
static inline size_t scripted_record(uint8_t *out, size_t len, uint16_t type, uint32_t ttl, const void *rdata, size_t rdata_len)
{
	dns_put16(out + 6, (uint16_t)(dns_ancount(out) + 1));
	dns_put16(out + len, 0xc000 | DNS_HEADER_BYTES);
	dns_put16(out + len + 2, type);
	dns_put16(out + len + 4, DNS_CLASS_IN);
	dns_put32(out + len + 6, ttl);
	dns_put16(out + len + 10, (uint16_t)rdata_len);
	memcpy(out + len + 12, rdata, rdata_len);
	return len + 12 + rdata_len;
}

/* `NS server` for NS, nothing for other types. */
static inline size_t scripted_ns(const struct question *q, uint32_t ttl, const char *server, uint8_t *out)
{
	size_t len = scripted_header(q, 0, out);
	struct name name;

	if (q->type != DNS_TYPE_NS)
		return len;
	assert_int_equal(text_read_name(&name, server), 0);
	return scripted_record(out, len, DNS_TYPE_NS, ttl, name.octets, name.len);
}

/* What a private hosted zone says. */
static inline size_t scripted_private(struct scripted *s, const struct question *q, size_t query_len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)query_len;
	(void)tcp;
	return scripted_ns(q, 60, "ns-0.awsdns-00.com", out);
}

static inline size_t scripted_answer(struct scripted *s, const uint8_t *query, size_t len, bool tcp, uint8_t *out)
{
	struct question q;

	atomic_fetch_add(tcp ? &s->tcp_queries : &s->udp_queries, 1);
	if (len > atomic_load(&s->largest))
		atomic_store(&s->largest, (unsigned)len);
	if (question_read(&q, query, len) != QUESTION_OK)
		return SCRIPTED_NO_ANSWER;
	memcpy(out, query, len);
	return s->answer(s, &q, len, tcp, out);
}

static inline void scripted_udp(struct scripted *s)
{
	uint8_t query[SCRIPTED_BYTES], out[SCRIPTED_BYTES];
	struct addr from;
	socklen_t from_len = sizeof(from);
	ssize_t len = recvfrom(s->udp, query, sizeof(query), 0, &from.sa, &from_len);
	size_t answer = len > 0 ? scripted_answer(s, query, (size_t)len, false, out) : SCRIPTED_NO_ANSWER;

	if (answer != SCRIPTED_NO_ANSWER)
		(void)sendto(s->udp, out, answer, 0, &from.sa, from_len);
}

/* One question of a connection; false at its end. */
static inline bool scripted_stream(struct scripted *s, int fd)
{
	uint8_t query[SCRIPTED_BYTES], out[SCRIPTED_BYTES], length[2];

	if (recv(fd, length, sizeof(length), MSG_WAITALL) != (ssize_t)sizeof(length))
		return false;
	size_t len = dns_get16(length);
	if (len > sizeof(query) || recv(fd, query, len, MSG_WAITALL) != (ssize_t)len)
		return false;
	size_t answer = scripted_answer(s, query, len, true, out + 2);
	if (answer == SCRIPTED_CUT || answer == SCRIPTED_NO_ANSWER)
		return answer == SCRIPTED_NO_ANSWER;
	dns_put16(out, (uint16_t)answer);
	return send(fd, out, answer + 2, MSG_NOSIGNAL) > 0;
}

static inline void scripted_accept(struct scripted *s)
{
	int fd = accept(s->tcp, NULL, NULL);

	for (size_t i = 0; i < SCRIPTED_CONNECTIONS && fd >= 0; i++)
		if (s->connections[i] < 0) {
			s->connections[i] = fd;
			return;
		}
	if (fd >= 0)
		close(fd);
}

static inline void *scripted_run(void *arg)
{
	struct scripted *s = arg;
	struct pollfd polled[3 + SCRIPTED_CONNECTIONS];

	for (;;) {
		polled[0] = (struct pollfd){.fd = s->stop[0], .events = POLLIN};
		polled[1] = (struct pollfd){.fd = s->udp, .events = POLLIN};
		polled[2] = (struct pollfd){.fd = s->tcp, .events = POLLIN};
		for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
			polled[3 + i] = (struct pollfd){.fd = s->connections[i], .events = POLLIN};
		if (poll(polled, ARRAY_SIZE(polled), -1) <= 0)
			continue;
		if (polled[0].revents)
			return NULL;
		if (polled[1].revents)
			scripted_udp(s);
		for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
			if (polled[3 + i].revents && !scripted_stream(s, s->connections[i])) {
				close(s->connections[i]);
				s->connections[i] = -1;
			}
		if (polled[2].revents)
			scripted_accept(s);
	}
}

/* A socket bound to `a`; its port is drawn if it is 0. */
static inline int scripted_bind(struct addr *a, int type)
{
	int fd = socket(AF_INET, type, 0);
	socklen_t len = sizeof(*a);

	assert_true(fd >= 0);
	if (bind(fd, &a->sa, addr_len(a)) < 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, &a->sa, &len), 0);
	return fd;
}

/* An address of 127.0.0.0/8 with a port that is free over both. `udp`, `tcp`: whether to listen there. */
static inline struct scripted *scripted_new(const char *ip, scripted_fn *answer, bool udp, bool tcp)
{
	struct scripted *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->tcp = -1;
	while (s->tcp < 0) {
		assert_int_equal(addr_parse(&s->addr, ip, 1), 0);
		addr_set_port(&s->addr, 0);
		s->udp = scripted_bind(&s->addr, SOCK_DGRAM);
		s->tcp = scripted_bind(&s->addr, SOCK_STREAM);
		if (s->tcp < 0)
			close(s->udp);
	}
	assert_int_equal(listen(s->tcp, SCRIPTED_CONNECTIONS), 0);
	if (!udp) {
		close(s->udp);
		s->udp = -1;
	}
	if (!tcp) {
		close(s->tcp);
		s->tcp = -1;
	}
	for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
		s->connections[i] = -1;
	s->answer = answer;
	assert_int_equal(pipe(s->stop), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, scripted_run, s), 0);
	return s;
}

static inline void scripted_free(struct scripted *s)
{
	assert_int_equal(write(s->stop[1], "", 1), 1);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	for (size_t i = 0; i < SCRIPTED_CONNECTIONS; i++)
		if (s->connections[i] >= 0)
			close(s->connections[i]);
	for (int i = 0; i < 2; i++)
		close(s->stop[i]);
	if (s->udp >= 0)
		close(s->udp);
	if (s->tcp >= 0)
		close(s->tcp);
	free(s);
}

#endif
