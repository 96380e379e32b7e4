/* SPDX-License-Identifier: Apache-2.0 */
#include "serving.h"

#include <netinet/ip.h>
#include <netinet/udp.h>

static void ask(int fd, uint16_t id)
{
	uint8_t query[QUERY_BYTES];
	write_query(query, id);
	assert_int_equal(send(fd, query, sizeof(query), 0), sizeof(query));
}

static uint16_t hear(int fd)
{
	uint8_t answer[QUERY_BYTES];
	assert_int_equal(recv(fd, answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer[2], 0x80);
	return dns_id(answer);
}

static void hear_none(int fd)
{
	uint8_t byte;
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void reply_leaves_from_the_address_that_was_asked(void **state)
{
	struct serving *s = serving_new();
	struct listener *l = serve(s, "0.0.0.0", LISTEN_UDP);
	/* A connected client hears nobody but whom it has asked. */
	int one = client_to(l, "127.0.0.1"), two = client_to(l, "127.0.0.2");
	(void)state;
	ask(one, 1);
	ask(two, 2);
	s->want = 2;
	serve_until(s, all_received);
	assert_int_equal(hear(one), 1);
	assert_int_equal(hear(two), 2);
	/* Later as well, and in another order. */
	s->keep = true;
	ask(two, 3);
	ask(one, 4);
	s->want = 4;
	serve_until(s, all_received);
	reply_kept(s, 1);
	reply_kept(s, 0);
	listener_flush(l);
	assert_int_equal(hear(two), 3);
	assert_int_equal(hear(one), 4);
	close(one);
	close(two);
	serving_free(s);
}

static void reply_without_an_address_leaves_from_where_the_system_says(void **state)
{
	struct serving *s = serving_new();
	struct listener *l = serve(s, "0.0.0.0", LISTEN_UDP);
	int client = client_to(l, "127.0.0.1");
	(void)state;
	ask(client, 1);
	ask(client, 2);
	s->keep = true;
	s->want = 2;
	serve_until(s, all_received);
	s->kept[0].to.udp.family = AF_UNSPEC;
	reply_kept(s, 0);
	reply_kept(s, 1);
	listener_flush(l);
	assert_int_equal(hear(client), 1);
	assert_int_equal(hear(client), 2);
	close(client);
	serving_free(s);
}

static void many_are_answered_in_batches(void **state)
{
	enum { QUERIES = 200 };
	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		struct serving *s = serving_new();
		struct listener *l = serve(s, "127.0.0.1", LISTEN_UDP);
		int client = client_to(l, NULL);
		for (uint16_t id = 0; id < QUERIES; id++)
			ask(client, id);
		s->keep = keep;
		s->want = QUERIES;
		serve_until(s, all_received);
		for (size_t i = 0; i < s->kept_count; i++)
			reply_kept(s, i);
		listener_flush(l);
		for (uint16_t id = 0; id < QUERIES; id++)
			assert_int_equal(hear(client), id);
		hear_none(client);
		assert_int_equal(COUNT(s, received), QUERIES);
		assert_int_equal(COUNT(s, sent), QUERIES);
		close(client);
		serving_free(s);
	}
}

static void flood_leaves_turns_to_others(void **state)
{
	enum { QUERIES = 1024, PER_TURN = 256 };
	struct serving *s = serving_new();
	int client = client_to(serve(s, "127.0.0.1", LISTEN_UDP), NULL);
	(void)state;
	for (int i = 0; i < QUERIES; i++)
		ask(client, (uint16_t)i);
	s->want = QUERIES;
	serve_until(s, all_received);
	assert_true(s->turns >= QUERIES / PER_TURN);
	close(client);
	serving_free(s);
}

static void query_that_was_cut_is_dropped_and_counted(void **state)
{
	struct serving *s = serving_new();
	int client = client_to(serve(s, "127.0.0.1", LISTEN_UDP), NULL);
	uint8_t query[2049] = {0};
	(void)state;
	s->reply_bytes = QUERY_BYTES;
	assert_int_equal(send(client, query, 2049, 0), 2049);
	assert_int_equal(send(client, query, 2048, 0), 2048);
	ask(client, 7);
	s->want = 2;
	serve_until(s, all_received);
	assert_int_equal(hear(client), 0);
	assert_int_equal(hear(client), 7);
	assert_int_equal(COUNT(s, too_long), 1);
	assert_int_equal(COUNT(s, received), 2);
	close(client);
	serving_free(s);
}

static void empty_datagram_is_handed_up_like_any_other(void **state)
{
	struct serving *s = serving_new();
	int client = client_to(serve(s, "127.0.0.1", LISTEN_UDP), NULL);
	(void)state;
	s->keep = true;
	s->want = 1;
	assert_int_equal(send(client, "", 0, 0), 0);
	serve_until(s, all_received);
	assert_int_equal(s->kept[0].len, 0);
	listener_drop(&s->kept[0].to);
	close(client);
	serving_free(s);
}

/* Sends a datagram that says to come from port 0. False where raw sockets are not allowed. */
static bool send_from_port_0(const struct addr *to)
{
	uint8_t query[QUERY_BYTES];
	write_query(query, 1);
	struct {
		struct udphdr head;
		uint8_t query[QUERY_BYTES];
	} datagram = {.head = {.dest = to->in.sin_port, .len = htons(sizeof(datagram))}};
	memcpy(datagram.query, query, sizeof(query));
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return false;
	assert_int_equal(sendto(fd, &datagram, sizeof(datagram), 0, &to->sa, addr_len(to)), sizeof(datagram));
	close(fd);
	return true;
}

static void query_from_port_0_is_dropped_and_counted(void **state)
{
	struct serving *s = serving_new();
	struct listener *l = serve(s, "127.0.0.1", LISTEN_UDP);
	int client = client_to(l, NULL);
	(void)state;
	bool sent = send_from_port_0(listener_addr(l));
	ask(client, 2);
	s->want = 1;
	serve_until(s, all_received);
	assert_int_equal(s->received, 1);
	assert_int_equal(COUNT(s, port_zero), sent);
	close(client);
	serving_free(s);
	if (!sent)
		skip();
}

static void reply_that_cannot_leave_is_counted_and_holds_up_nobody(void **state)
{
	struct serving *s = serving_new();
	struct listener *l = serve(s, "127.0.0.1", LISTEN_UDP);
	int client = client_to(l, NULL);
	(void)state;
	for (uint16_t id = 0; id < 5; id++)
		ask(client, id);
	s->keep = true;
	s->want = 5;
	serve_until(s, all_received);
	/* From loopback nothing leaves for elsewhere. */
	s->kept[1].to.client = address("192.0.2.1:5353");
	s->kept[4].to.client = address("192.0.2.1:5353");
	for (size_t i = 0; i < 5; i++)
		reply_kept(s, i);
	listener_flush(l);
	assert_int_equal(hear(client), 0);
	assert_int_equal(hear(client), 2);
	assert_int_equal(hear(client), 3);
	assert_int_equal(COUNT(s, sent), 3);
	assert_int_equal(COUNT(s, send_failed), 2);
	close(client);
	serving_free(s);
}

static void reply_may_be_as_long_as_crosses_every_path(void **state)
{
	struct serving *s = serving_new();
	int client = client_to(serve(s, "127.0.0.1", LISTEN_UDP), NULL);
	uint8_t answer[2 * DNS_UDP_BYTES];
	(void)state;
	s->reply_bytes = DNS_UDP_BYTES;
	s->want = 1;
	ask(client, 1);
	serve_until(s, all_received);
	assert_int_equal(recv(client, answer, sizeof(answer), 0), DNS_UDP_BYTES);
	close(client);
	serving_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reply_leaves_from_the_address_that_was_asked),
		cmocka_unit_test(reply_without_an_address_leaves_from_where_the_system_says),
		cmocka_unit_test(many_are_answered_in_batches),
		cmocka_unit_test(flood_leaves_turns_to_others),
		cmocka_unit_test(query_that_was_cut_is_dropped_and_counted),
		cmocka_unit_test(empty_datagram_is_handed_up_like_any_other),
		cmocka_unit_test(query_from_port_0_is_dropped_and_counted),
		cmocka_unit_test(reply_that_cannot_leave_is_counted_and_holds_up_nobody),
		cmocka_unit_test(reply_may_be_as_long_as_crosses_every_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
