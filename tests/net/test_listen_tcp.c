/* SPDX-License-Identifier: Apache-2.0 */
#include "serving.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { FRAME_BYTES = 2 + QUERY_BYTES, LONG = 65535, IDLE_US = 500 * US_PER_MS };

static void write_frame(uint8_t frame[FRAME_BYTES], uint16_t id)
{
	dns_put16(frame, QUERY_BYTES);
	write_query(frame + 2, id);
}

/* Sends `count` queries in one piece, ids from `first`. */
static void ask(int fd, uint16_t first, uint16_t count)
{
	uint8_t frames[KEPT_MAX][FRAME_BYTES];
	for (uint16_t i = 0; i < count; i++)
		write_frame(frames[i], (uint16_t)(first + i));
	assert_int_equal(send(fd, frames, (size_t)count * FRAME_BYTES, MSG_NOSIGNAL), count * FRAME_BYTES);
}

static uint16_t hear(int fd)
{
	uint8_t frame[FRAME_BYTES];
	assert_int_equal(recv(fd, frame, sizeof(frame), MSG_WAITALL), sizeof(frame));
	assert_int_equal(dns_get16(frame), QUERY_BYTES);
	assert_int_equal(frame[4], 0x80);
	return dns_id(frame + 2);
}

/* The server has closed: no byte is left, and none will come. */
static bool is_closed(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
	assert_true(n <= 0);
	return n == 0 || errno == ECONNRESET;
}

static bool none_connected(struct serving *s)
{
	return connections(s) == 0;
}

static bool all_accepted(struct serving *s)
{
	return COUNT(s, accepted) + COUNT(s, refused) >= s->want;
}

static struct serving *serve_tcp(void)
{
	struct serving *s = serving_new();
	serve(s, "127.0.0.1", LISTEN_TCP);
	return s;
}

static int connect_one(struct serving *s)
{
	int client = client_to(s->listeners[0], NULL);
	s->want = COUNT(s, accepted) + COUNT(s, refused) + 1;
	serve_until(s, all_accepted);
	return client;
}

/* ---- in and out ---- */

static void query_in_single_bytes_is_one_query(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s), on = 1;
	uint8_t frame[FRAME_BYTES];
	(void)state;
	assert_int_equal(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	write_frame(frame, 77);
	for (size_t i = 0; i < sizeof(frame); i++) {
		assert_int_equal(s->received, 0);
		assert_int_equal(send(client, frame + i, 1, 0), 1);
		serve_ms(s, 1);
	}
	assert_int_equal(s->received, 1);
	assert_int_equal(hear(client), 77);
	close(client);
	serving_free(s);
}

static void replies_come_in_the_order_of_answers(void **state)
{
	enum { QUERIES = 150 };
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	(void)state;
	s->keep = true;
	ask(client, 0, QUERIES);
	s->want = LISTEN_TCP_PIPELINE;
	serve_until(s, all_received);
	serve_ms(s, 5);
	/* What is above the limit waits until half of it is answered. */
	assert_int_equal(s->received, LISTEN_TCP_PIPELINE);
	for (size_t i = LISTEN_TCP_PIPELINE; i-- > 0;)
		reply_kept(s, i);
	s->want = QUERIES;
	serve_until(s, all_received);
	for (size_t i = QUERIES; i-- > LISTEN_TCP_PIPELINE;)
		reply_kept(s, i);
	listener_flush(s->listeners[0]);
	for (uint16_t i = LISTEN_TCP_PIPELINE; i-- > 0;)
		assert_int_equal(hear(client), i);
	for (uint16_t i = QUERIES; i-- > LISTEN_TCP_PIPELINE;)
		assert_int_equal(hear(client), i);
	assert_false(is_closed(client));
	close(client);
	serving_free(s);
}

static void paused_client_sends_on_and_is_read_later(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	(void)state;
	s->keep = true;
	ask(client, 0, LISTEN_TCP_PIPELINE);
	s->want = LISTEN_TCP_PIPELINE;
	serve_until(s, all_received);
	ask(client, 1000, 3);
	serve_ms(s, 5);
	assert_int_equal(s->received, LISTEN_TCP_PIPELINE);
	for (size_t i = 0; i < LISTEN_TCP_PIPELINE; i++)
		i % 2 ? reply_kept(s, i) : listener_drop(&s->kept[i].to);
	s->want += 3;
	serve_until(s, all_received);
	for (uint16_t i = 1; i < LISTEN_TCP_PIPELINE; i += 2)
		assert_int_equal(hear(client), i);
	for (size_t i = 0; i < 3; i++)
		reply_kept(s, LISTEN_TCP_PIPELINE + i);
	close(client);
	serving_free(s);
}

static void flood_of_questions_is_answered_whole(void **state)
{
	enum { QUERIES = KEPT_MAX };
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	(void)state;
	ask(client, 0, QUERIES);
	ask(client, QUERIES, QUERIES);
	s->want = 2 * QUERIES;
	serve_until(s, all_received);
	for (uint16_t i = 0; i < 2 * QUERIES; i++)
		assert_int_equal(hear(client), i);
	close(client);
	serving_free(s);
}

static void half_closed_client_gets_its_answers_then_the_end(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	(void)state;
	s->keep = true;
	ask(client, 0, 120);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	s->want = LISTEN_TCP_PIPELINE;
	serve_until(s, all_received);
	for (size_t i = 0; i < LISTEN_TCP_PIPELINE; i++)
		reply_kept(s, i);
	s->want = 120;
	serve_until(s, all_received);
	serve_ms(s, 2);
	assert_int_equal(connections(s), 1);
	for (size_t i = LISTEN_TCP_PIPELINE; i < 120; i++)
		reply_kept(s, i);
	serve_until(s, none_connected);
	for (uint16_t i = 0; i < 120; i++)
		assert_int_equal(hear(client), i);
	assert_true(is_closed(client));
	close(client);
	serving_free(s);
}

static void half_closed_client_whose_questions_are_dropped_gets_the_end(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	(void)state;
	s->keep = true;
	ask(client, 0, 1);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	s->want = 1;
	serve_until(s, all_received);
	listener_drop(&s->kept[0].to);
	serve_until(s, none_connected);
	assert_true(is_closed(client));
	close(client);
	serving_free(s);
}

static void client_that_leaves_is_forgotten(void **state)
{
	struct linger at_once = {.l_onoff = 1};
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct serving *s = serve_tcp();
		int client = connect_one(s);
		assert_int_equal(connections(s), 1);
		if (reset)
			assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
		close(client);
		serve_until(s, none_connected);
		serving_free(s);
	}
}

static void length_that_is_no_dns_ends_the_connection_after_its_answers(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	const uint8_t no_dns[] = {0, 11, 1, 2, 3};
	(void)state;
	s->keep = true;
	ask(client, 5, 1);
	assert_int_equal(send(client, no_dns, sizeof(no_dns), 0), sizeof(no_dns));
	s->want = 1;
	serve_until(s, all_received);
	serve_ms(s, 2);
	assert_int_equal(connections(s), 1);
	reply_kept(s, 0);
	serve_until(s, none_connected);
	assert_int_equal(hear(client), 5);
	assert_true(is_closed(client));
	close(client);
	serving_free(s);
}

/* ---- unsent answers ---- */

/* A client that reads in a thread of its own: when a kernel's buffers move is not the loop's to see. */
struct reader {
	int fd;
	size_t bytes, want;
	bool end; /* it saw the end of its connection */
	atomic_bool finished;
	struct loop_wakeup *wakeup;
	pthread_t thread;
};

static void *read_all(void *arg)
{
	static uint8_t bytes[1 << 18];
	struct reader *r = arg;
	ssize_t n = 1;
	while (r->bytes < r->want && n > 0) {
		n = recv(r->fd, bytes, sizeof(bytes), 0);
		r->bytes += n > 0 ? (size_t)n : 0;
	}
	r->end = n == 0;
	atomic_store(&r->finished, true);
	loop_wakeup_send(r->wakeup);
	return NULL;
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static bool reader_finished(struct serving *s)
{
	return atomic_load(&((struct reader *)s->reader)->finished);
}

/* Serves until the client has read `want` bytes or seen the end. */
static struct reader serve_reader(struct serving *s, int client, size_t want)
{
	struct reader r = {.fd = client, .want = want, .wakeup = loop_wakeup_new(s->loop, do_nothing, NULL)};
	s->reader = &r;
	assert_int_equal(pthread_create(&r.thread, NULL, read_all, &r), 0);
	serve_until(s, reader_finished);
	pthread_join(r.thread, NULL);
	loop_wakeup_close(r.wakeup);
	return r;
}

/* A client that asks for far more than the kernel's buffers take, and does not read. */
static int ask_too_much(struct serving *s, uint16_t queries)
{
	int client = connect_one(s);
	s->reply_bytes = LONG;
	ask(client, 0, queries);
	size_t before;
	do { /* until nothing more is read, however slow the machine */
		before = s->received;
		serve_ms(s, 20);
	} while (s->received != before);
	assert_true(s->received > 0 && s->received < queries);
	return client;
}

static void client_that_does_not_read_is_not_read(void **state)
{
	enum { QUERIES = 500 };
	struct serving *s = serve_tcp();
	int client = ask_too_much(s, QUERIES);
	size_t received = s->received;
	(void)state;
	serve_ms(s, 5);
	assert_int_equal(s->received, received);
	/* Nor does it spin. */
	assert_true(s->turns < 200);
	struct reader r = serve_reader(s, client, (size_t)QUERIES * (2 + LONG));
	assert_int_equal(r.bytes, r.want);
	assert_int_equal(s->received, QUERIES);
	close(client);
	serving_free(s);
}

static void client_that_takes_no_answers_for_long_is_closed(void **state)
{
	struct serving *s = serving_new();
	listen_limits_set(s->limits, IDLE_US, 10, 10);
	serve(s, "127.0.0.1", LISTEN_TCP);
	int client = ask_too_much(s, 500);
	(void)state;
	serve_until(s, none_connected);
	assert_int_equal(COUNT(s, closed[CLOSED_UNREAD]), 1);
	close(client);
	serving_free(s);
}

/* Answers held in our memory leave after the listener is closed too. */
static void closed_listener_writes_on_until_all_is_sent(void **state)
{
	struct serving *s = serve_tcp();
	int client = ask_too_much(s, 500);
	(void)state;
	close_listener(s);
	size_t answered = s->received;
	struct reader r = serve_reader(s, client, SIZE_MAX);
	assert_true(r.end);
	assert_int_equal(r.bytes, answered * (2 + LONG));
	close(client);
	serving_free(s);
}

static void loop_that_goes_cuts_what_is_still_unsent(void **state)
{
	struct serving *s = serve_tcp();
	int client = ask_too_much(s, 500);
	(void)state;
	close_listener(s);
	close(client);
	serving_free(s);
}

/* ---- idle ---- */

static void idle_connection_is_closed_in_time(void **state)
{
	struct serving *s = serving_new();
	listen_limits_set(s->limits, IDLE_US, 10, 10);
	serve(s, "127.0.0.1", LISTEN_TCP);
	int client = connect_one(s);
	(void)state;
	uint64_t asked_us = loop_clock_us();
	ask(client, 1, 1);
	s->want = 1;
	serve_until(s, all_received);
	assert_int_equal(hear(client), 1);
	assert_false(is_closed(client));
	serve_until(s, none_connected);
	assert_true(is_closed(client));
	assert_true(loop_clock_us() - asked_us >= IDLE_US);
	assert_int_equal(COUNT(s, closed[CLOSED_IDLE]), 1);
	close(client);
	serving_free(s);
}

static void parts_of_a_question_do_not_keep_a_connection(void **state)
{
	struct serving *s = serving_new();
	listen_limits_set(s->limits, IDLE_US, 10, 10);
	serve(s, "127.0.0.1", LISTEN_TCP);
	uint64_t begun_us = loop_clock_us();
	int client = connect_one(s);
	uint8_t frame[FRAME_BYTES];
	(void)state;
	write_frame(frame, 1);
	for (size_t i = 0; connections(s) > 0; i++) {
		assert_true(i < sizeof(frame) - 1);
		(void)send(client, frame + i, 1, MSG_NOSIGNAL);
		serve_ms(s, IDLE_US / US_PER_MS / 5);
	}
	assert_true(loop_clock_us() - begun_us >= IDLE_US);
	assert_int_equal(s->received, 0);
	close(client);
	serving_free(s);
}

static void connection_that_waits_for_answers_is_not_idle(void **state)
{
	struct serving *s = serving_new();
	listen_limits_set(s->limits, IDLE_US, 10, 10);
	serve(s, "127.0.0.1", LISTEN_TCP);
	int client = connect_one(s);
	(void)state;
	s->keep = true;
	ask(client, 9, 1);
	serve_ms(s, 3 * IDLE_US / US_PER_MS);
	assert_int_equal(connections(s), 1);
	reply_kept(s, 0);
	serve_until(s, none_connected);
	assert_int_equal(hear(client), 9);
	close(client);
	serving_free(s);
}

static void reply_the_first(void *arg)
{
	reply_kept(arg, 0);
}

/* Both timers are due when the loop comes to look: the answer is there, and nobody has tried to send it yet. */
static void answer_that_comes_when_the_idle_time_is_over_is_sent(void **state)
{
	struct serving *s = serving_new();
	listen_limits_set(s->limits, IDLE_US, 10, 10);
	serve(s, "127.0.0.1", LISTEN_TCP);
	int client = connect_one(s);
	struct loop_timer *timer = loop_timer_new(s->loop, reply_the_first, s);
	(void)state;
	s->keep = true;
	s->want = 1;
	ask(client, 9, 1);
	serve_until(s, all_received);
	uint64_t asked_us = loop_clock_us();
	loop_timer_set(timer, asked_us + IDLE_US / 3);
	while (loop_clock_us() < asked_us + 2 * IDLE_US)
		; /* the loop stands still, as one that has lost its CPU */
	serve_until(s, none_connected);
	assert_int_equal(hear(client), 9);
	loop_timer_close(timer);
	close(client);
	serving_free(s);
}

/* ---- limits ---- */

static void client_above_its_limit_closes_its_own_longest_idle(void **state)
{
	struct serving *s = serving_new();
	int clients[5];
	(void)state;
	listen_limits_set(s->limits, 10 * US_PER_S, 100, 3);
	serve(s, "127.0.0.1", LISTEN_TCP);
	for (size_t i = 0; i < 4; i++)
		clients[i] = connect_one(s);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(is_closed(clients[i]), i == 0);
	assert_int_equal(COUNT(s, accepted), 4);
	assert_int_equal(COUNT(s, refused), 0);
	/* Those that wait for answers stay; once all do, the newest is refused. */
	s->keep = true;
	ask(clients[1], 1, 1);
	ask(clients[2], 2, 1);
	s->want = 2;
	serve_until(s, all_received);
	clients[4] = connect_one(s);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(is_closed(clients[i]), i == 3);
	ask(clients[4], 4, 1);
	s->want = 3;
	serve_until(s, all_received);
	close(clients[3]);
	clients[3] = connect_one(s);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(is_closed(clients[i]), i == 3);
	assert_int_equal(COUNT(s, refused), 1);
	for (size_t i = 0; i < s->kept_count; i++)
		reply_kept(s, i);
	/* Who leaves makes room. */
	close(clients[4]);
	serve_ms(s, 2);
	assert_int_equal(hear(clients[1]), 1);
	assert_int_equal(hear(clients[2]), 2);
	close(clients[3]);
	clients[3] = connect_one(s);
	for (size_t i = 1; i < 4; i++)
		assert_false(is_closed(clients[i]));
	for (size_t i = 0; i < 4; i++)
		close(clients[i]);
	serving_free(s);
}

static void longest_idle_makes_room_at_the_limit_of_all(void **state)
{
	struct serving *s = serving_new();
	int clients[4];
	(void)state;
	listen_limits_set(s->limits, US_PER_S, 3, 100);
	serve(s, "127.0.0.1", LISTEN_TCP);
	for (size_t i = 0; i < 3; i++)
		clients[i] = connect_one(s);
	/* The oldest has just asked, so the second is idle for longest. */
	ask(clients[0], 1, 1);
	s->want = 1;
	serve_until(s, all_received);
	assert_int_equal(hear(clients[0]), 1);
	clients[3] = connect_one(s);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(is_closed(clients[i]), i == 1);
	assert_int_equal(connections(s), 3);
	assert_int_equal(COUNT(s, closed[CLOSED_ROOM]), 1);
	for (size_t i = 0; i < 4; i++)
		close(clients[i]);
	serving_free(s);
}

static void as_many_make_room_as_a_lower_limit_asks_for(void **state)
{
	struct serving *s = serving_new();
	int clients[6];
	(void)state;
	listen_limits_set(s->limits, 10 * US_PER_S, 5, 100);
	serve(s, "127.0.0.1", LISTEN_TCP);
	for (size_t i = 0; i < 5; i++)
		clients[i] = connect_one(s);
	listen_limits_set(s->limits, 10 * US_PER_S, 2, 100);
	clients[5] = connect_one(s);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(is_closed(clients[i]), i < 4);
	for (size_t i = 0; i < 6; i++)
		close(clients[i]);
	serving_free(s);
}

/* Wherever it is connected to: the newcomer comes to another address. */
static void longest_idle_makes_room_at_another_address(void **state)
{
	struct serving *s = serving_new();
	int clients[4];
	(void)state;
	listen_limits_set(s->limits, 10 * US_PER_S, 3, 100);
	struct listener *first = serve(s, "127.0.0.1", LISTEN_TCP), *second = serve(s, "127.0.0.1", LISTEN_TCP);
	for (size_t i = 0; i < 3; i++) {
		clients[i] = client_to(first, NULL);
		serve_ms(s, 2);
	}
	clients[3] = client_to(second, NULL);
	s->want = 1;
	ask(clients[3], 1, 1);
	serve_until(s, all_received);
	assert_int_equal(hear(clients[3]), 1);
	serve_ms(s, 10);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(is_closed(clients[i]), i == 0);
	struct listener_counts counts;
	listener_counts(second, &counts);
	assert_int_equal(counts.refused, 0);
	for (size_t i = 0; i < 4; i++)
		close(clients[i]);
	serving_free(s);
}

static bool all_but_one_address(void *arg, const struct addr *client)
{
	struct addr stranger = address(arg);
	return client->in.sin_addr.s_addr != stranger.in.sin_addr.s_addr;
}

static int client_from(struct serving *s, const char *ip)
{
	struct addr from = address(ip);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, &from.sa, addr_len(&from)), 0);
	const struct addr *to = listener_addr(s->listeners[0]);
	assert_int_equal(connect(fd, &to->sa, addr_len(to)), 0);
	serve_ms(s, 2);
	return fd;
}

/* Who is one is asked when he comes, and again when the answer may be another. */
static void strangers_cost_no_client_its_connection(void **state)
{
	struct serving *s = serving_new();
	char first[] = "127.0.0.3", second[] = "127.0.0.2";
	(void)state;
	listen_limits_set(s->limits, 10 * US_PER_S, 2, 100);
	listener_set_allows(serve(s, "127.0.0.1", LISTEN_TCP), all_but_one_address, first);
	int client = client_from(s, "127.0.0.2"), stranger = client_from(s, first), another = client_from(s, first);
	assert_false(is_closed(client));
	assert_true(is_closed(stranger));
	assert_false(is_closed(another));
	int next = client_from(s, "127.0.0.4");
	assert_true(is_closed(another));
	close(another);
	another = client_from(s, first);
	assert_true(is_closed(another));
	assert_int_equal(COUNT(s, refused), 1);
	/* Now the youngest of the two is a client, and the other one is not. */
	listener_set_allows(s->listeners[0], all_but_one_address, second);
	close(another);
	another = client_from(s, first);
	assert_true(is_closed(client));
	assert_false(is_closed(next) || is_closed(another));
	close(client);
	close(stranger);
	close(another);
	close(next);
	serving_free(s);
}

static void client_that_takes_no_answers_makes_room_before_those_that_wait(void **state)
{
	struct serving *s = serving_new();
	(void)state;
	listen_limits_set(s->limits, 60 * (uint64_t)US_PER_S, 2, 100);
	serve(s, "127.0.0.1", LISTEN_TCP);
	int hog = ask_too_much(s, 500);
	s->keep = true;
	s->want = s->received + 1;
	int waiting = connect_one(s);
	ask(waiting, 7, 1);
	serve_until(s, all_received);
	int newcomer = connect_one(s);
	assert_int_equal(connections(s), 2);
	assert_int_equal(COUNT(s, refused), 0);
	assert_false(is_closed(waiting));
	assert_false(is_closed(newcomer));
	s->reply_bytes = 0;
	for (size_t i = 0; i < s->kept_count; i++)
		reply_kept(s, i);
	close(hog);
	close(waiting);
	close(newcomer);
	serving_free(s);
}

static void many_questions_of_one_connection_take_turns(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s);
	(void)state;
	size_t turns = s->turns;
	ask(client, 0, 400);
	s->want = 400;
	serve_until(s, all_received);
	assert_true(s->turns - turns >= 400 / 64);
	close(client);
	serving_free(s);
}

/* 100 questions are out, each with an answer of 64 KiB, when it shows that the client does not read. */
static void answers_to_a_client_that_does_not_read_are_bounded(void **state)
{
	struct serving *s = serve_tcp();
	int client = connect_one(s), small = 4096;
	(void)state;
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	s->keep = true;
	ask(client, 0, LISTEN_TCP_PIPELINE);
	s->want = LISTEN_TCP_PIPELINE;
	serve_until(s, all_received);
	s->reply_bytes = 65000;
	for (size_t i = 0; i < s->kept_count; i++)
		reply_kept(s, i);
	/* 6.5 MB are more than the kernel takes and what is kept for it: it is given up. */
	serve_until(s, none_connected);
	assert_int_equal(COUNT(s, closed[CLOSED_MEMORY]), 1);
	close(client);
	serving_free(s);
}

static void newcomer_is_refused_when_nobody_is_idle(void **state)
{
	struct serving *s = serving_new();
	int clients[3];
	(void)state;
	listen_limits_set(s->limits, US_PER_S, 2, 100);
	serve(s, "127.0.0.1", LISTEN_TCP);
	s->keep = true;
	for (uint16_t i = 0; i < 2; i++) {
		clients[i] = connect_one(s);
		ask(clients[i], i, 1);
	}
	s->want = 2;
	serve_until(s, all_received);
	clients[2] = connect_one(s);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(is_closed(clients[i]), i == 2);
	assert_int_equal(COUNT(s, refused), 1);
	for (size_t i = 0; i < 2; i++)
		reply_kept(s, i);
	for (size_t i = 0; i < 3; i++)
		close(clients[i]);
	serving_free(s);
}

static void many_connections_come_and_go(void **state)
{
	enum { CLIENTS = 70 };
	struct serving *s = serve_tcp();
	int clients[CLIENTS];
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < CLIENTS; i++) {
			clients[i] = client_to(s->listeners[0], NULL);
			ask(clients[i], i, 1);
		}
		s->want = (size_t)CLIENTS * (size_t)(round + 1);
		serve_until(s, all_received);
		for (uint16_t i = 0; i < CLIENTS; i++) {
			assert_int_equal(hear(clients[i]), i);
			close(clients[i]);
		}
		serve_until(s, none_connected);
	}
	assert_int_equal(COUNT(s, accepted), 3 * CLIENTS);
	serving_free(s);
}

static void accepting_rests_while_there_are_no_descriptors(void **state)
{
	struct serving *s = serve_tcp();
	struct rlimit before, none;
	(void)state;
	int client = client_to(s->listeners[0], NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* The client has the newest descriptor, hence the highest. */
	none = (struct rlimit){.rlim_cur = (rlim_t)client + 1, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	serve_ms(s, 20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(COUNT(s, accepted), 0);
	assert_true(s->turns < 10);
	ask(client, 3, 1);
	s->want = 1;
	serve_until(s, all_received);
	assert_int_equal(hear(client), 3);
	close(client);
	serving_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_in_single_bytes_is_one_query),
		cmocka_unit_test(replies_come_in_the_order_of_answers),
		cmocka_unit_test(paused_client_sends_on_and_is_read_later),
		cmocka_unit_test(flood_of_questions_is_answered_whole),
		cmocka_unit_test(half_closed_client_gets_its_answers_then_the_end),
		cmocka_unit_test(half_closed_client_whose_questions_are_dropped_gets_the_end),
		cmocka_unit_test(client_that_leaves_is_forgotten),
		cmocka_unit_test(length_that_is_no_dns_ends_the_connection_after_its_answers),
		cmocka_unit_test(client_that_does_not_read_is_not_read),
		cmocka_unit_test(client_that_takes_no_answers_for_long_is_closed),
		cmocka_unit_test(closed_listener_writes_on_until_all_is_sent),
		cmocka_unit_test(loop_that_goes_cuts_what_is_still_unsent),
		cmocka_unit_test(idle_connection_is_closed_in_time),
		cmocka_unit_test(parts_of_a_question_do_not_keep_a_connection),
		cmocka_unit_test(connection_that_waits_for_answers_is_not_idle),
		cmocka_unit_test(answer_that_comes_when_the_idle_time_is_over_is_sent),
		cmocka_unit_test(client_above_its_limit_closes_its_own_longest_idle),
		cmocka_unit_test(longest_idle_makes_room_at_the_limit_of_all),
		cmocka_unit_test(as_many_make_room_as_a_lower_limit_asks_for),
		cmocka_unit_test(longest_idle_makes_room_at_another_address),
		cmocka_unit_test(strangers_cost_no_client_its_connection),
		cmocka_unit_test(client_that_takes_no_answers_makes_room_before_those_that_wait),
		cmocka_unit_test(many_questions_of_one_connection_take_turns),
		cmocka_unit_test(answers_to_a_client_that_does_not_read_are_bounded),
		cmocka_unit_test(newcomer_is_refused_when_nobody_is_idle),
		cmocka_unit_test(many_connections_come_and_go),
		cmocka_unit_test(accepting_rests_while_there_are_no_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
