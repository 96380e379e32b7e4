/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "loopback.h"
#include "sim/port.h"

enum { QUERY_BYTES = 20, FRAME_BYTES = QUERY_BYTES + 2 };

static struct {
	struct watch_set set;
	struct port *port;
	struct addr addr;
	struct watch_timer timer;
	struct port_manner manner;
	unsigned wanted, seen; /* queries: the set ends with the last one */
	bool over_tcp, mute;
	uint8_t query[FRAME_BYTES];
} t;

/* Answers with the query itself. */
static void take_query(void *arg, const struct port_client *client, const uint8_t *query, size_t len)
{
	assert_ptr_equal(arg, &t);
	assert_true(addr_is_loopback(&client->addr));
	t.over_tcp = client->connection != NULL;
	if (!t.mute)
		port_answer(t.port, client, query, len, t.manner);
	if (++t.seen == t.wanted)
		watch_set_end(&t.set);
}

static int begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.query[1] = QUERY_BYTES;
	memset(t.query + 2, 'q', QUERY_BYTES);
	t.wanted = 1;
	t.addr = loopback_addr();
	assert_int_equal(watch_set_init(&t.set), 0);
	t.port = port_new(&t.set, &t.addr, take_query, &t);
	assert_non_null(t.port);
	return 0;
}

static int end(void **state)
{
	(void)state;
	port_free(t.port);
	watch_set_deinit(&t.set);
	return 0;
}

static void end_run(struct watch_timer *timer)
{
	(void)timer;
	watch_set_end(&t.set);
}

/* Lets the port work for `us`, and on for later calls. */
static void run_for(uint64_t us)
{
	t.timer.due = end_run;
	t.set.ended = false;
	watch_timer_start(&t.set, &t.timer, watch_now_us() + us);
	watch_set_run(&t.set);
	watch_timer_stop(&t.set, &t.timer); /* a query may have ended it first */
}

/* All that comes until the port ends the connection, which is to be soon. */
static size_t read_to_the_end(int fd, uint8_t *got, size_t size)
{
	uint64_t until_us = watch_now_us() + 10 * US_PER_S;
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, got + len, size - len, MSG_DONTWAIT)) != 0 && len < size) {
		assert_true(watch_now_us() < until_us);
		len += n > 0 ? (size_t)n : 0;
		run_for(1000);
	}
	return len;
}

static void udp_query_is_answered(void **state)
{
	uint8_t got[64];
	int fd = loopback_connect(&t.addr, SOCK_DGRAM);

	(void)state;
	assert_int_equal(send(fd, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	watch_set_run(&t.set);
	assert_false(t.over_tcp);
	assert_int_equal(recv(fd, got, sizeof(got), 0), FRAME_BYTES);
	assert_memory_equal(got, t.query, FRAME_BYTES);
	close(fd);
}

static void tcp_queries_are_answered_in_whatever_pieces_they_come(void **state)
{
	uint8_t got[3 * FRAME_BYTES];
	int fd = loopback_connect(&t.addr, SOCK_STREAM);

	(void)state;
	t.wanted = 3;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(fd, t.query, 5, 0), 5);
		run_for(2000);
		assert_int_equal(send(fd, t.query + 5, FRAME_BYTES - 5, 0), FRAME_BYTES - 5);
	}
	t.set.ended = false;
	watch_set_run(&t.set);
	assert_true(t.over_tcp);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), 3 * FRAME_BYTES);
	assert_memory_equal(got + 2 * FRAME_BYTES, t.query, FRAME_BYTES);
	close(fd);
}

static void client_that_ended_its_side_is_answered_then_closed(void **state)
{
	uint8_t got[2 * FRAME_BYTES];
	int fd = loopback_connect(&t.addr, SOCK_STREAM);

	(void)state;
	t.manner.wait_us = 3000;
	assert_int_equal(send(fd, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	watch_set_run(&t.set);
	assert_int_equal(read_to_the_end(fd, got, sizeof(got)), FRAME_BYTES);
	close(fd);
}

static void what_is_no_dns_ends_the_connection(void **state)
{
	uint8_t got[4];
	int fd = loopback_connect(&t.addr, SOCK_STREAM);

	(void)state;
	assert_int_equal(send(fd, "\0\1x", 3, 0), 3);
	assert_int_equal(read_to_the_end(fd, got, sizeof(got)), 0);
	assert_int_equal(t.seen, 0);
	close(fd);
}

static void large_answers_wait_for_a_client_that_reads_slowly(void **state)
{
	static uint8_t frame[2 + 65535], got[65535];
	int fd = loopback_connect(&t.addr, SOCK_STREAM);
	size_t expected = 0;

	(void)state;
	memset(frame, 0xff, sizeof(frame));
	t.wanted = 300;
	/* Some 20 MB: more than the kernel keeps for a socket. */
	for (unsigned i = 0; i < t.wanted; i++) {
		for (size_t at = 0; at < sizeof(frame);) {
			ssize_t sent = send(fd, frame + at, sizeof(frame) - at, MSG_DONTWAIT);
			at += sent > 0 ? (size_t)sent : 0;
			if (at < sizeof(frame))
				run_for(1000);
		}
		expected += sizeof(frame);
	}
	while (expected > 0) {
		run_for(1000);
		ssize_t len = recv(fd, got, sizeof(got), MSG_DONTWAIT);
		assert_true(len != 0);
		for (ssize_t i = 0; i < len; i++)
			assert_true(got[i] == 0xff);
		expected -= len > 0 ? (size_t)len : 0;
	}
	close(fd);
}

static void late_answer_comes_late(void **state)
{
	uint8_t got[64];
	int fd = loopback_connect(&t.addr, SOCK_DGRAM);

	(void)state;
	t.manner.wait_us = 20000;
	uint64_t begun_us = watch_now_us();
	assert_int_equal(send(fd, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	watch_set_run(&t.set);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
	while (recv(fd, got, sizeof(got), MSG_DONTWAIT) < 0)
		run_for(1000);
	assert_true(watch_now_us() >= begun_us + 20000);
	close(fd);
}

static void late_answer_to_one_who_has_gone_is_forgotten(void **state)
{
	int fd = loopback_connect(&t.addr, SOCK_STREAM);

	(void)state;
	t.manner.wait_us = 10000;
	assert_int_equal(send(fd, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	watch_set_run(&t.set);
	assert_int_equal(t.seen, 1);
	t.wanted = 2;
	/* Broken off, not ended: the connection goes, and its answer with it. */
	const struct linger reset = {.l_onoff = 1};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd);
	run_for(20000);
}

static void cut_connection_ends_in_the_middle_of_an_answer(void **state)
{
	uint8_t got[2 * FRAME_BYTES];
	int fd = loopback_connect(&t.addr, SOCK_STREAM);

	(void)state;
	t.manner.cut = true;
	assert_int_equal(send(fd, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	watch_set_run(&t.set);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), 2 + QUERY_BYTES / 2);
	assert_int_equal(got[1], QUERY_BYTES);
	close(fd);
}

static void closed_port_refuses_and_resets(void **state)
{
	uint8_t got[4];
	int old = loopback_connect(&t.addr, SOCK_STREAM), udp = loopback_connect(&t.addr, SOCK_DGRAM);

	(void)state;
	t.mute = true;
	assert_int_equal(send(old, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	watch_set_run(&t.set);
	port_close(t.port);
	port_close(t.port);
	assert_int_equal(recv(old, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(loopback_connect(&t.addr, SOCK_STREAM), -1);
	assert_int_equal(send(udp, t.query, FRAME_BYTES, 0), FRAME_BYTES);
	assert_int_equal(recv(udp, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(old);
	close(udp);
}

static void closed_port_opens_again(void **state)
{
	(void)state;
	port_close(t.port);
	assert_int_equal(port_open(t.port), 0);
	udp_query_is_answered(state);
}

static void port_in_use_is_an_error(void **state)
{
	(void)state;
	assert_null(port_new(&t.set, &t.addr, take_query, &t));
	assert_int_equal(errno, EADDRINUSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(udp_query_is_answered),
		TEST(tcp_queries_are_answered_in_whatever_pieces_they_come),
		TEST(client_that_ended_its_side_is_answered_then_closed),
		TEST(what_is_no_dns_ends_the_connection),
		TEST(large_answers_wait_for_a_client_that_reads_slowly),
		TEST(late_answer_comes_late),
		TEST(late_answer_to_one_who_has_gone_is_forgotten),
		TEST(cut_connection_ends_in_the_middle_of_an_answer),
		TEST(closed_port_refuses_and_resets),
		TEST(closed_port_opens_again),
		TEST(port_in_use_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
