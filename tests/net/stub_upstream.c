/* SPDX-License-Identifier: Apache-2.0 */
#include "stub_upstream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "descriptors.h"

/* ---- the stub ---- */

static int bind_to(struct stub *s, int type)
{
	int fd = socket(s->addr.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	if (bind(fd, &s->addr.sa, addr_len(&s->addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

void stub_init(struct stub *s, const char *ip)
{
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < STUB_CONNECTIONS; i++)
		s->connections[i] = -1;
	/* A port that is free for UDP may be taken for TCP. */
	do {
		assert_int_equal(addr_parse(&s->addr, ip, 1), 0);
		addr_set_port(&s->addr, 0);
		s->tcp = bind_to(s, SOCK_STREAM);
		assert_true(s->tcp >= 0);
		socklen_t len = sizeof(s->addr);
		assert_int_equal(getsockname(s->tcp, &s->addr.sa, &len), 0);
		s->udp = bind_to(s, SOCK_DGRAM);
		if (s->udp < 0)
			close(s->tcp);
	} while (s->udp < 0);
	assert_int_equal(listen(s->tcp, 16), 0);
}

void stub_close_connection(struct stub *s, int connection)
{
	if (s->connections[connection] >= 0)
		close(s->connections[connection]);
	s->connections[connection] = -1;
}

void stub_deinit(struct stub *s)
{
	for (int i = 0; i < STUB_CONNECTIONS; i++)
		stub_close_connection(s, i);
	stub_close_udp(s);
	if (s->tcp >= 0)
		close(s->tcp);
}

void stub_close_udp(struct stub *s)
{
	if (s->udp >= 0)
		close(s->udp);
	s->udp = -1;
}

void stub_reopen_udp(struct stub *s)
{
	s->udp = bind_to(s, SOCK_DGRAM);
	assert_true(s->udp >= 0);
}

static void poll_udp(struct stub *s)
{
	for (;;) {
		assert_true(s->received < STUB_QUERIES);
		struct stub_query *q = &s->queries[s->received];
		socklen_t len = sizeof(q->from);
		ssize_t n = recvfrom(s->udp, q->bytes, sizeof(q->bytes), 0, &q->from.sa, &len);
		if (n < 0)
			return;
		q->len = (size_t)n;
		q->connection = -1;
		s->received++;
	}
}

/* Takes the frames that are whole off the connection's bytes. */
static void take_frames(struct stub *s, int connection)
{
	uint8_t *partial = s->partial[connection];
	size_t *have = &s->have[connection];
	while (*have >= 2 && *have >= 2u + dns_get16(partial)) {
		assert_true(s->received < STUB_QUERIES);
		struct stub_query *q = &s->queries[s->received++];
		q->len = dns_get16(partial);
		q->connection = connection;
		memcpy(q->bytes, partial + 2, q->len);
		*have -= 2 + q->len;
		memmove(partial, partial + 2 + q->len, *have);
	}
}

static void poll_connection(struct stub *s, int connection)
{
	for (;;) {
		uint8_t *partial = s->partial[connection];
		size_t *have = &s->have[connection];
		ssize_t n = recv(s->connections[connection], partial + *have, STUB_QUERY_BYTES - *have, 0);
		if (n <= 0)
			return;
		*have += (size_t)n;
		take_frames(s, connection);
	}
}

void stub_poll(struct stub *s)
{
	if (s->udp >= 0)
		poll_udp(s);
	int fd;
	while ((fd = accept4(s->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		assert_true(s->accepted < STUB_CONNECTIONS);
		s->connections[s->accepted++] = fd;
	}
	for (int i = 0; i < STUB_CONNECTIONS; i++) {
		if (s->connections[i] >= 0)
			poll_connection(s, i);
	}
}

void stub_send(struct stub *s, const struct stub_query *q, const uint8_t *bytes, size_t len)
{
	if (q->connection < 0) {
		assert_int_equal(sendto(s->udp, bytes, len, 0, &q->from.sa, addr_len(&q->from)), len);
		return;
	}
	uint8_t frame[2 + 65535];
	dns_put16(frame, (uint16_t)len);
	memcpy(frame + 2, bytes, len);
	assert_int_equal(send(s->connections[q->connection], frame, len + 2, MSG_NOSIGNAL), len + 2);
}

size_t stub_answer(const struct stub_query *q, uint8_t out[STUB_QUERY_BYTES])
{
	int name_end = name_skip(q->bytes, q->len, DNS_HEADER_BYTES);
	assert_true(name_end > 0);
	size_t len = (size_t)name_end + 4;
	memcpy(out, q->bytes, len);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	memset(out + 6, 0, 6); /* no records, no OPT */
	return len;
}

void stub_send_answer(struct stub *s, const struct stub_query *q)
{
	uint8_t answer[STUB_QUERY_BYTES];
	size_t len = stub_answer(q, answer);
	stub_send(s, q, answer, len);
}

uint16_t stub_id(const struct stub_query *q)
{
	return dns_id(q->bytes);
}

/* ---- the fixture ---- */

static void report(struct fixture *f, struct report r)
{
	assert_true(f->reported < REPORTS);
	f->reports[f->reported++] = r;
	if (f->on_report != NULL)
		f->on_report(f, &r);
}

static void answered(void *arg, struct transport_attempt *a, const uint8_t *message, size_t len)
{
	assert_null(a->transport);
	assert_true(len >= DNS_HEADER_BYTES);
	uint16_t flags = dns_flags(message);
	report(arg, (struct report){.kind = REPORT_ANSWERED, .attempt = a, .flags = flags});
}

static void failed(void *arg, struct transport_attempt *a, int error)
{
	assert_null(a->transport);
	assert_true(error < 0);
	report(arg, (struct report){.kind = REPORT_FAILED, .attempt = a, .detail = error});
}

static void hint(void *arg, struct transport_attempt *a, enum transport_hint h, int detail)
{
	assert_non_null(a->transport);
	report(arg, (struct report){.kind = REPORT_HINT, .attempt = a, .hint = h, .detail = detail});
}

static void turn(void *arg)
{
	struct fixture *f = arg;
	if (f->transport->dirty)
		f->ops->flush(f->transport);
}

/* loop_clock_us, not loop_now_us: tests may have replaced that one. */
static void tick(void *arg)
{
	struct fixture *f = arg;
	stub_poll(&f->stub);
	if (f->done(f) || loop_clock_us() >= f->deadline_us)
		loop_stop(f->loop);
	else
		loop_timer_set(f->tick, loop_clock_us() + US_PER_MS);
}

struct fixture *fixture_new(const struct transport_ops *ops, const char *ip, uint32_t source_ports)
{
	/* The first loop of a process leaves two descriptors: libuv's pipe for signals. */
	struct loop *first = loop_new();
	assert_non_null(first);
	loop_free(first);
	int descriptors = count_descriptors();
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->descriptors = descriptors;
	f->loop = loop_new();
	assert_non_null(f->loop);
	f->tick = loop_timer_new(f->loop, tick, f);
	assert_non_null(f->tick);
	loop_set_turn(f->loop, turn, f);
	random_init(&f->random);
	stub_init(&f->stub, ip);
	f->env = (struct transport_env){
		.loop = f->loop,
		.random = &f->random,
		.events = {.answered = answered, .failed = failed, .hint = hint, .arg = f},
	};
	static const uint8_t octets[] = "\3www\7example";
	assert_int_equal(name_read(&f->name, octets, sizeof(octets)), sizeof(octets));
	f->ops = ops;
	f->transport = ops->open(&f->env, &f->stub.addr, source_ports);
	assert_non_null(f->transport);
	return f;
}

void fixture_free(struct fixture *f)
{
	f->ops->close(f->transport);
	assert_int_equal(f->env.sockets, 0);
	assert_null(f->env.udp);
	loop_timer_close(f->tick);
	loop_free(f->loop);
	stub_deinit(&f->stub);
	assert_int_equal(count_descriptors(), f->descriptors);
	free(f);
}

void run_until(struct fixture *f, bool (*done)(struct fixture *f))
{
	f->done = done;
	f->deadline_us = loop_clock_us() + 10 * US_PER_S;
	loop_timer_set(f->tick, loop_clock_us());
	loop_run(f->loop);
	loop_timer_set(f->tick, UINT64_MAX);
	assert_true(done(f));
}

static bool has_received(struct fixture *f)
{
	return f->stub.received >= f->wanted;
}

void run_until_received(struct fixture *f, size_t queries)
{
	f->wanted = queries;
	run_until(f, has_received);
}

static bool has_reported(struct fixture *f)
{
	return f->reported >= f->wanted;
}

void run_until_reported(struct fixture *f, size_t reports)
{
	f->wanted = reports;
	run_until(f, has_reported);
}

/* Loopback delivers inside the sender's call, so after a few turns nothing is on its way any more. */
static bool has_turned(struct fixture *f)
{
	return f->wanted == 0 || --f->wanted == 0;
}

void run_quietly(struct fixture *f)
{
	f->wanted = 5;
	run_until(f, has_turned);
}

int try_ask(struct fixture *f, struct transport_attempt *a, uint64_t case_bits)
{
	a->asked = (struct question_upstream){
		.name = &f->name,
		.case_bits = case_bits,
		.type = DNS_TYPE_A,
		.class = DNS_CLASS_IN,
		.flags = DNS_RD,
		.edns = true,
	};
	return transport_send(f->transport, a);
}

void ask(struct fixture *f, struct transport_attempt *a)
{
	size_t reported = f->reported;
	assert_int_equal(try_ask(f, a, 0x5a5a), 0);
	assert_int_equal(f->reported, reported); /* never inside send */
	assert_ptr_equal(a->transport, f->transport);
}

void ask_many(struct fixture *f, struct transport_attempt *attempts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ask(f, &attempts[i]);
}

void cancel_many(struct transport_attempt *attempts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		transport_cancel(&attempts[i]);
}

size_t count_reports(const struct fixture *f, enum report_kind kind)
{
	size_t count = 0;
	for (size_t i = 0; i < f->reported; i++)
		count += f->reports[i].kind == kind;
	return count;
}

size_t count_hints(const struct fixture *f, enum transport_hint h)
{
	size_t count = 0;
	for (size_t i = 0; i < f->reported; i++)
		count += f->reports[i].kind == REPORT_HINT && f->reports[i].hint == h;
	return count;
}

void ask_answered(struct fixture *f)
{
	struct transport_attempt a = {0};
	size_t received = f->stub.received, reported = f->reported;
	ask(f, &a);
	run_until_received(f, received + 1);
	stub_send_answer(&f->stub, &f->stub.queries[received]);
	run_until_reported(f, reported + 1);
	assert_int_equal(f->reports[reported].kind, REPORT_ANSWERED);
	assert_ptr_equal(f->reports[reported].attempt, &a);
}

uint16_t port_of(const struct fixture *f, size_t i)
{
	return addr_port(&f->stub.queries[i].from);
}

void guess(struct fixture *f, const struct stub_query *q, uint16_t count)
{
	uint8_t m[STUB_QUERY_BYTES];
	size_t len = stub_answer(q, m);
	for (uint16_t i = 1; i <= count; i++) {
		dns_put16(m, (uint16_t)(stub_id(q) + i));
		stub_send(&f->stub, q, m, len);
	}
}
