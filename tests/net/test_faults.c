/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of libuv and of the system that nearly never fail do, each once or for a while: what is being opened is opened or refused whole,
 * what is open goes on, and no descriptor is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "net/bridge.h"
#include "net/control.h"
#include "serving.h"
#include "stub_upstream.h"

enum { CALLS_MOST = 200 };

static int disarm(void **state)
{
	(void)state;
	faults_mean("");
	faults->error = faults->fail_count = 0;
	return 0;
}

/* From the next one on, `count` calls of this name fail. */
static void break_calls(const char *call, int error, uint64_t count)
{
	faults_mean(call);
	faults->error = (uint64_t)error;
	faults->fail_count = count;
	faults->failed = 0;
	faults_arm(1);
}

/* Makes something, the n-th call failing; true: it was made, and is gone again. */
typedef bool make_fn(void *arg);

/* Every call that `make` makes fails once. Something made in spite of it is whole; else nothing is left. */
static void each_call(make_fn *make, void *arg, uint64_t least)
{
	bool came = true;
	uint64_t n = 0;

	faults_mean("");
	assert_true(make(arg)); /* what a process opens once is open */
	int descriptors = count_descriptors();
	while (came) {
		assert_true(++n < CALLS_MOST);
		faults->failed = 0;
		faults_arm(n);
		bool made = make(arg);
		faults_arm(0);
		came = faults->failed > 0;
		assert_true(made || came);
		assert_int_equal(count_descriptors(), descriptors);
	}
	assert_true(n > least);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Handles that were closed go in the loop's next turn. */
static void let_go(struct loop *l)
{
	struct loop_timer *t = loop_timer_new(l, stop, l);

	assert_non_null(t);
	loop_timer_set(t, 0);
	loop_run(l);
	loop_timer_close(t);
}

/* ---- the loop */

static void nothing(void *arg)
{
	(void)arg;
}

static void no_signal(void *arg, int signal)
{
	(void)arg;
	(void)signal;
}

static bool make_loop(void *arg)
{
	struct loop *l = loop_new();
	struct loop_timer *timer = l != NULL ? loop_timer_new(l, nothing, NULL) : NULL;
	struct loop_wakeup *wakeup = timer != NULL ? loop_wakeup_new(l, nothing, NULL) : NULL;
	struct loop_signal *signal = wakeup != NULL ? loop_signal_new(l, SIGUSR1, no_signal, NULL) : NULL;

	(void)arg;
	faults_arm(0);
	if (l != NULL)
		loop_free(l);
	return signal != NULL;
}

static void loop_is_made_whole_or_not_at_all(void **state)
{
	(void)state;
	each_call(make_loop, NULL, 7);
}

/* ---- listeners */

struct place {
	struct loop *loop;
	struct listen_limits *limits;
	enum listen_kind kind;
	const char *address;
};

static void no_query(void *arg, const struct reply_to *to, const uint8_t *query, size_t len)
{
	(void)arg;
	(void)query;
	(void)len;
	listener_drop(to);
}

static bool make_listener(void *arg)
{
	struct place *p = arg;
	struct addr a = address(p->address);
	int fd = listen_open(&a, p->kind, false);
	struct listener *l = fd >= 0 ? listener_new(p->loop, p->kind, fd, p->limits, no_query, NULL) : NULL;

	faults_arm(0);
	if (l != NULL)
		listener_close(l);
	let_go(p->loop);
	return l != NULL;
}

static void listener_is_opened_or_refused_whole(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "0.0.0.0"};
	struct place p = {.loop = loop_new(), .limits = listen_limits_new()};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		p.address = addresses[i];
		for (p.kind = LISTEN_UDP; p.kind <= LISTEN_TCP; p.kind++)
			each_call(make_listener, &p, 5);
	}
	loop_free(p.loop);
	listen_limits_free(p.limits);
}

/* Asks once. False: the connection was closed, or another call has failed, with which the reply was lost. */
static bool ask_once(struct serving *s, bool may_be_lost)
{
	bool stream = listener_kind(s->listeners[0]) == LISTEN_TCP;
	uint8_t query[2 + QUERY_BYTES] = {0, QUERY_BYTES}, heard[2 + QUERY_BYTES];
	size_t len = stream ? sizeof(query) : QUERY_BYTES;
	uint64_t failed = faults->failed;
	int client = client_to(s->listeners[0], NULL);
	ssize_t got = -1;

	write_query(query + 2, 1);
	assert_int_equal(send(client, stream ? query : query + 2, len, MSG_NOSIGNAL), len);
	for (int turns = 0; got < 0 && !(may_be_lost && faults->failed > failed); turns++) {
		assert_true(turns < 2000);
		serve_ms(s, 5);
		got = recv(client, heard, sizeof(heard), MSG_DONTWAIT);
		if (got < 0 && errno == ECONNRESET)
			got = 0;
	}
	close(client);
	return got == (ssize_t)len;
}

/* As clients do; returns how often it took. */
static unsigned ask_until_answered(struct serving *s, bool may_be_lost)
{
	unsigned tries = 1;

	while (!ask_once(s, may_be_lost))
		assert_true(++tries < 20);
	return tries;
}

/* A call of the road, how it fails, and whether a client may have to ask again. */
struct hardship {
	enum listen_kind kind;
	const char *call;
	int error;
	bool lost;
};

static void listener_goes_on_whatever_fails(void **state)
{
	static const struct hardship all[] = {
		{LISTEN_UDP, "recvmmsg", ENOMEM, false},   {LISTEN_UDP, "recvmmsg", ENOBUFS, false}, {LISTEN_UDP, "recvmmsg", EINTR, false},
		{LISTEN_UDP, "sendmmsg", ENOBUFS, true},   {LISTEN_UDP, "sendmmsg", ENOMEM, true},   {LISTEN_UDP, "sendmmsg", EPERM, true},
		{LISTEN_UDP, "sendmmsg", EINTR, true},     {LISTEN_TCP, "accept4", EMFILE, false},   {LISTEN_TCP, "accept4", ENFILE, false},
		{LISTEN_TCP, "accept4", ENOMEM, false},    {LISTEN_TCP, "accept4", ENOBUFS, false},  {LISTEN_TCP, "accept4", EINTR, false},
		{LISTEN_TCP, "accept4", ECONNABORTED, false}, {LISTEN_TCP, "uv_poll_init", ENOSPC, true},
		{LISTEN_TCP, "uv_poll_init", ENOMEM, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct serving *s = serving_new();
		serve(s, "127.0.0.1", all[i].kind);
		break_calls(all[i].call, all[i].error, 2);
		unsigned tries = ask_until_answered(s, all[i].lost);
		assert_int_equal(faults->failed, 2);
		assert_int_equal(tries, all[i].lost ? 3 : 1);
		disarm(NULL);
		assert_int_equal(ask_until_answered(s, false), 1);
		assert_int_equal(COUNT(s, refused) + COUNT(s, send_failed), all[i].lost ? 2 : 0);
		serving_free(s);
	}
}

static void rests_of_accepting_are_counted(void **state)
{
	struct serving *s = serving_new();

	(void)state;
	serve(s, "127.0.0.1", LISTEN_TCP);
	break_calls("accept4", EMFILE, 3);
	assert_true(ask_once(s, false));
	assert_int_equal(COUNT(s, rests), 3);
	assert_int_equal(COUNT(s, accepted), 1);
	disarm(NULL);
	serving_free(s);
}

/* ---- transports */

static const struct transport_ops *const ROWS[] = {
#define TRANSPORT(value, name, unit, help) &transport_##unit,
#include "tables/transports.def"
#undef TRANSPORT
};

/* Somebody who listens, and takes nothing. */
struct deaf {
	struct fixture *f;
	struct addr addr;
	int fd;
};

static void deaf_init(struct deaf *d, struct fixture *f)
{
	socklen_t len = sizeof(d->addr);
	struct addr any = address("127.0.0.1");

	d->f = f;
	d->fd = listen_open(&any, f->ops->stream ? LISTEN_TCP : LISTEN_UDP, false);
	assert_true(d->fd >= 0);
	assert_true(!f->ops->stream || listen(d->fd, 100) == 0);
	memset(&d->addr, 0, sizeof(d->addr));
	assert_int_equal(getsockname(d->fd, &d->addr.sa, &len), 0);
}

/* One send, after which everything is closed again. */
static bool send_one(void *arg)
{
	const struct deaf *d = arg;
	struct fixture *f = d->f;
	struct transport_attempt a = {0};
	uint32_t sockets = f->env.sockets;
	struct transport *t = f->ops->open(&f->env, &d->addr, 2);
	bool sent = false;

	if (t != NULL) {
		struct transport *before = f->transport;
		f->transport = t;
		int error = try_ask(f, &a, 0);
		f->transport = before;
		sent = error == 0;
		assert_true(sent || (error < 0 && a.transport == NULL));
	}
	faults_arm(0);
	transport_cancel(&a);
	if (t != NULL)
		t->ops->close(t);
	run_quietly(f);
	assert_int_equal(f->env.sockets, sockets);
	return sent;
}

static void send_is_accepted_or_refused_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
		struct fixture *f = fixture_new(ROWS[i], "127.0.0.1", 64);
		struct deaf d;
		deaf_init(&d, f);
		each_call(send_one, &d, 6);
		close(d.fd);
		ask_answered(f);
		fixture_free(f);
	}
}

static void shortages_are_told_from_what_the_network_says(void **state)
{
	static const struct { const char *call; int error; bool shortage; } ways[] = {
		{"socket", EMFILE, true},        {"socket", ENFILE, true},         {"socket", ENOBUFS, true},
		{"uv_poll_init", ENOSPC, true},  {"uv_poll_init", ENOMEM, true},   {"connect", ENETUNREACH, false},
		{"connect", EACCES, false},      {"connect", ENOMEM, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ROWS) * ARRAY_SIZE(ways); i++) {
		struct fixture *f = fixture_new(ROWS[i / ARRAY_SIZE(ways)], "127.0.0.1", 64);
		struct transport_attempt a = {0};
		size_t way = i % ARRAY_SIZE(ways);
		break_calls(ways[way].call, ways[way].error, 1);
		assert_int_equal(try_ask(f, &a, 0), -ways[way].error);
		assert_int_equal(f->env.shortages, ways[way].shortage);
		assert_int_equal(transport_is_shortage(-ways[way].error), ways[way].shortage);
		disarm(NULL);
		ask_answered(f);
		fixture_free(f);
	}
}

/* Every port that is tried is taken. */
static void ports_that_have_run_out_are_a_shortage(void **state)
{
	struct fixture *f = fixture_new(&transport_udp, "127.0.0.1", 64);
	struct transport_attempt a = {0};

	(void)state;
	break_calls("bind", EADDRINUSE, 100);
	assert_int_equal(try_ask(f, &a, 0), -EADDRINUSE);
	assert_int_equal(f->env.shortages, 1);
	disarm(NULL);
	ask_answered(f);
	fixture_free(f);
}

static void full_buffers_lose_datagrams_and_end_nothing(void **state)
{
	static const int errors[] = {ENOBUFS, ENOMEM, EAGAIN};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct fixture *f = fixture_new(&transport_udp, "127.0.0.1", 64);
		struct transport_attempt a = {0};
		ask(f, &a);
		break_calls("sendmmsg", errors[i], 1);
		f->transport->ops->flush(f->transport);
		disarm(NULL);
		run_quietly(f);
		assert_int_equal(f->env.unsent, 1);
		assert_int_equal(f->reported, 1);
		assert_int_equal(f->reports[0].hint, TRANSPORT_UNSENT);
		assert_int_equal(f->stub.received, 0);
		transport_cancel(&a);
		ask(f, &a);
		run_until_received(f, 1);
		stub_send_answer(&f->stub, &f->stub.queries[0]);
		run_until_reported(f, 2);
		assert_int_equal(f->reports[1].kind, REPORT_ANSWERED);
		fixture_free(f);
	}
}

/* What was not read is still there. */
static void answer_is_read_once_the_system_can(void **state)
{
	static const int errors[] = {ENOMEM, EINTR, ENOBUFS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct fixture *f = fixture_new(&transport_udp, "127.0.0.1", 64);
		break_calls("recvmmsg", errors[i], 5);
		ask_answered(f);
		assert_int_equal(faults->failed, 5);
		disarm(NULL);
		fixture_free(f);
	}
}

static void interrupted_connection_goes_on(void **state)
{
	struct fixture *f = fixture_new(&transport_tcp, "127.0.0.1", 64);
	struct transport_attempt a = {0};

	(void)state;
	ask_answered(f);
	ask(f, &a);
	break_calls("send", EINTR, 1);
	f->transport->ops->flush(f->transport);
	assert_int_equal(faults->failed, 1);
	run_until_received(f, 2);
	stub_send_answer(&f->stub, &f->stub.queries[1]);
	break_calls("recv", EINTR, 4); /* some of them the stub's */
	run_until_reported(f, 2);
	assert_int_equal(faults->failed, 4);
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 2);
	assert_int_equal(f->stub.accepted, 1);
	fixture_free(f);
}

/* ---- control and bridge */

struct door {
	struct loop *loop;
	char path[CONTROL_PATH_MAX];
};

static void no_line(void *arg, const struct control_line *line, struct control_reply *reply)
{
	(void)arg;
	(void)line;
	(void)reply;
}

static bool make_control(void *arg)
{
	struct door *d = arg;
	int fd = control_open(d->path);
	struct control *c = fd >= 0 ? control_new(d->loop, fd, no_line, NULL) : NULL;

	faults_arm(0);
	if (c != NULL)
		control_close(c);
	let_go(d->loop);
	unlink(d->path); /* of one that was bound and not kept; the next one would remove it as stale */
	return c != NULL;
}

static void control_socket_is_opened_or_refused_whole(void **state)
{
	struct door d = {.loop = loop_new()};

	(void)state;
	snprintf(d.path, sizeof(d.path), "/tmp/r53fwd-faults-%d.sock", (int)getpid());
	each_call(make_control, &d, 6);
	loop_free(d.loop);
}

static void no_word(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	(void)arg;
	(void)word;
	(void)bytes;
	(void)len;
	if (fd >= 0)
		close(fd);
}

static bool make_bridge(void *arg)
{
	int ends[2];
	struct bridge *b = NULL;

	if (bridge_pair(ends) == 0) {
		b = bridge_new(arg, ends[0], no_word, NULL);
		faults_arm(0);
		close(ends[1]);
	}
	faults_arm(0);
	if (b != NULL)
		bridge_close(b);
	let_go(arg);
	return b != NULL;
}

static void bridge_is_opened_or_refused_whole(void **state)
{
	struct loop *l = loop_new();

	(void)state;
	each_call(make_bridge, l, 2);
	loop_free(l);
}

struct words {
	struct loop *loop;
	size_t heard, ended;
};

static void on_word(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	struct words *w = arg;

	(void)fd;
	(void)bytes;
	(void)len;
	w->ended += word == BRIDGE_ENDED;
	w->heard += word == BRIDGE_YOURS;
	loop_stop(w->loop);
}

/* Who takes a shortage for the other's end serves beside it. */
static void bridge_does_not_end_with_what_passes(void **state)
{
	static const struct { const char *call; int error; } ways[] = {
		{"recvmsg", ENOMEM},  {"recvmsg", ENOBUFS}, {"recvmsg", EINTR}, {"sendmsg", ENOMEM},
		{"sendmsg", ENOBUFS}, {"sendmsg", EINTR},   {"sendmsg", EAGAIN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct words w = {.loop = loop_new()};
		int ends[2];
		assert_int_equal(bridge_pair(ends), 0);
		struct bridge *b = bridge_new(w.loop, ends[0], on_word, &w);
		assert_non_null(b);
		break_calls(ways[i].call, ways[i].error, 3);
		assert_true(bridge_send(ends[1], BRIDGE_YOURS, -1, NULL, 0));
		loop_run(w.loop);
		assert_int_equal(faults->failed, 3);
		assert_int_equal(w.heard, 1);
		assert_int_equal(w.ended, 0);
		disarm(NULL);
		close(ends[1]);
		loop_free(w.loop);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, disarm)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loop_is_made_whole_or_not_at_all),
		TEST(listener_is_opened_or_refused_whole),
		TEST(listener_goes_on_whatever_fails),
		TEST(rests_of_accepting_are_counted),
		TEST(send_is_accepted_or_refused_whole),
		TEST(shortages_are_told_from_what_the_network_says),
		TEST(ports_that_have_run_out_are_a_shortage),
		TEST(full_buffers_lose_datagrams_and_end_nothing),
		TEST(answer_is_read_once_the_system_can),
		TEST(interrupted_connection_goes_on),
		TEST(control_socket_is_opened_or_refused_whole),
		TEST(bridge_is_opened_or_refused_whole),
		TEST(bridge_does_not_end_with_what_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
