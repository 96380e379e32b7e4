/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every kind of listener: each test runs over UDP and over TCP. */
#include "serving.h"

#include <fcntl.h>

#include "net/listen_private.h"

static const enum listen_kind kinds[] = {LISTEN_UDP, LISTEN_TCP};
static const char *const addresses[] = {"127.0.0.1", "0.0.0.0", "[::1]", "[::]"};

static bool has_ipv6(void)
{
	struct addr a = address("[::1]");
	int fd = listen_open(&a, LISTEN_UDP, false);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static struct addr bound_to(int fd)
{
	struct addr a;
	socklen_t len = sizeof(a);
	assert_int_equal(getsockname(fd, &a.sa, &len), 0);
	return a;
}

/* Asks one query with `id`; over TCP framed. */
static void ask(int fd, enum listen_kind kind, uint16_t id)
{
	uint8_t message[2 + QUERY_BYTES] = {0, QUERY_BYTES};
	write_query(message + 2, id);
	size_t skip = kind == LISTEN_UDP ? 2 : 0;
	assert_int_equal(send(fd, message + skip, sizeof(message) - skip, 0), sizeof(message) - skip);
}

/* Reads one reply, returns its id. */
static uint16_t hear(int fd, enum listen_kind kind)
{
	uint8_t message[2 + QUERY_BYTES];
	size_t skip = kind == LISTEN_UDP ? 2 : 0;
	assert_int_equal(recv(fd, message + skip, sizeof(message) - skip, MSG_WAITALL), sizeof(message) - skip);
	assert_int_equal(message[4], 0x80);
	return dns_id(message + 2);
}

/* ---- listen_open ---- */

static void sockets_are_set_up_for_serving(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct addr a = address("127.0.0.1");
		int fd = listen_open(&a, kinds[i], false);
		assert_true(fd >= 0);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEPORT), 1);
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEADDR), kinds[i] == LISTEN_TCP);
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
		close(fd);
	}
}

/* Both wildcards at one port. */
static bool opens_both(enum listen_kind kind, uint16_t port)
{
	struct addr six = address("[::]"), four = address("0.0.0.0");
	addr_set_port(&six, port);
	addr_set_port(&four, port);
	int fd = listen_open(&six, kind, false);
	if (fd < 0)
		return false;
	assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	int other = listen_open(&four, kind, false);
	if (other >= 0)
		close(other);
	close(fd);
	return other >= 0;
}

static void wildcard_of_ipv6_leaves_ipv4_alone(void **state)
{
	(void)state;
	if (!has_ipv6())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool both = false;
		/* Above those that Linux gives to who asks for any: of these, connections that other tests closed may hold every one. */
		for (uint16_t port = 61000; port < 65535 && !both; port++)
			both = opens_both(kinds[i], port);
		assert_true(both);
	}
}

static void port_in_use_is_refused_even_by_our_own_kind(void **state)
{
	struct serving *s = serving_new();
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct listener *l = serve(s, "127.0.0.1", kinds[i]);
		assert_int_equal(listen_open(listener_addr(l), kinds[i], false), -EADDRINUSE);
	}
	serving_free(s);
}

static void address_that_is_not_ours_is_refused(void **state)
{
	struct addr a = address("192.0.2.1:5353");
	int before = count_descriptors();
	(void)state;
	assert_int_equal(listen_open(&a, LISTEN_UDP, false), -EADDRNOTAVAIL);
	assert_int_equal(listen_open(&a, LISTEN_TCP, false), -EADDRNOTAVAIL);
	assert_int_equal(count_descriptors(), before);
}

static void others_join_and_share_the_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct serving *s = serving_new();
		struct listener *first = serve(s, "127.0.0.1", kinds[i]);
		int fd = listen_open(listener_addr(first), kinds[i], true);
		assert_true(fd >= 0);
		s->listeners[1] = listener_new(s->loop, kinds[i], fd, s->limits, on_query, s);
		assert_non_null(s->listeners[1]);
		s->listener_count = 2;
		int clients[64];
		for (size_t c = 0; c < ARRAY_SIZE(clients); c++) {
			clients[c] = client_to(first, NULL);
			ask(clients[c], kinds[i], (uint16_t)c);
		}
		s->want = ARRAY_SIZE(clients);
		serve_until(s, all_received);
		for (size_t c = 0; c < ARRAY_SIZE(clients); c++) {
			assert_int_equal(hear(clients[c], kinds[i]), c);
			close(clients[c]);
		}
		struct listener_counts one, two;
		listener_counts(s->listeners[0], &one);
		listener_counts(s->listeners[1], &two);
		assert_int_equal(one.received + two.received, ARRAY_SIZE(clients));
		assert_true(one.received > 0 && two.received > 0);
		serving_free(s);
	}
}

/* ---- serving ---- */

static void every_family_is_answered_on_every_kind_of_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) * ARRAY_SIZE(addresses); i++) {
		const char *text = addresses[i / 2];
		enum listen_kind kind = kinds[i % 2];
		if (text[0] == '[' && !has_ipv6())
			continue;
		struct serving *s = serving_new();
		struct listener *l = serve(s, text, kind);
		assert_int_equal(listener_kind(l), kind);
		assert_int_not_equal(addr_port(listener_addr(l)), 0);
		int client = client_to(l, text[0] == '[' ? "[::1]" : "127.0.0.1");
		ask(client, kind, 7);
		s->want = 1;
		s->keep = true;
		serve_until(s, all_received);
		struct addr mine = bound_to(client);
		assert_true(addr_equal(&s->kept[0].to.client, &mine));
		reply_kept(s, 0);
		listener_flush(l);
		assert_int_equal(hear(client, kind), 7);
		assert_int_equal(COUNT(s, received), 1);
		assert_int_equal(COUNT(s, sent), 1);
		close(client);
		serving_free(s);
	}
}

static void reply_handle_outlives_its_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct serving *s = serving_new();
		struct listener *l = serve(s, "127.0.0.1", kinds[i]);
		int gone = client_to(l, NULL);
		struct linger at_once = {.l_onoff = 1};
		ask(gone, kinds[i], 1);
		s->keep = true;
		s->want = 1;
		serve_until(s, all_received);
		assert_int_equal(setsockopt(gone, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
		close(gone);
		/* Its place is taken by another, who must not get its answer. */
		int client = client_to(l, NULL);
		ask(client, kinds[i], 2);
		s->want = 2;
		serve_until(s, all_received);
		reply_kept(s, 0);
		reply_kept(s, 1);
		listener_flush(l);
		assert_int_equal(hear(client, kinds[i]), 2);
		close(client);
		serving_free(s);
	}
}

static void dropped_query_is_never_answered(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct serving *s = serving_new();
		struct listener *l = serve(s, "127.0.0.1", kinds[i]);
		int client = client_to(l, NULL);
		ask(client, kinds[i], 1);
		ask(client, kinds[i], 2);
		s->keep = true;
		s->want = 2;
		serve_until(s, all_received);
		listener_drop(&s->kept[0].to);
		reply_kept(s, 1);
		listener_flush(l);
		assert_int_equal(hear(client, kinds[i]), 2);
		uint8_t byte;
		assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
		close(client);
		serving_free(s);
	}
}

static void closing_hands_up_what_the_kernel_holds(void **state)
{
	enum { QUERIES = 100 };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct serving *s = serving_new();
		int client = client_to(serve(s, "127.0.0.1", kinds[i]), NULL);
		for (uint16_t id = 0; id < QUERIES; id++)
			ask(client, kinds[i], id);
		close_listener(s);
		assert_int_equal(s->received, QUERIES);
		for (uint16_t id = 0; id < QUERIES; id++)
			assert_int_equal(hear(client, kinds[i]), id);
		close(client);
		serving_free(s);
	}
}

static void replies_after_closing_leave_as_they_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct serving *s = serving_new();
		int client = client_to(serve(s, "127.0.0.1", kinds[i]), NULL);
		ask(client, kinds[i], 1);
		ask(client, kinds[i], 2);
		ask(client, kinds[i], 3);
		s->keep = true;
		close_listener(s);
		assert_int_equal(s->kept_count, 3);
		/* A turn later as well as at once. */
		reply_kept(s, 2);
		assert_int_equal(hear(client, kinds[i]), 3);
		listener_drop(&s->kept[1].to);
		serve_ms(s, 1);
		reply_kept(s, 0);
		assert_int_equal(hear(client, kinds[i]), 1);
		close(client);
		serving_free(s);
	}
}

static void closed_listener_leaves_its_port(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct serving *s = serving_new();
		struct addr a = *listener_addr(serve(s, "127.0.0.1", kinds[i]));
		close_listener(s);
		serve_ms(s, 1);
		int fd = listen_open(&a, kinds[i], false);
		assert_true(fd >= 0);
		close(fd);
		serving_free(s);
	}
}

/* The loop goes while answers are still owed: their handles stay usable, and free what is left. */
static void handles_outlive_the_loop(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) * 2; i++) {
		enum listen_kind kind = kinds[i / 2];
		struct serving *s = serving_new();
		struct listener *l = serve(s, "127.0.0.1", kind);
		int silent = client_to(l, NULL), client = client_to(l, NULL);
		ask(client, kind, 1);
		ask(client, kind, 2);
		s->keep = true;
		s->want = 2;
		serve_until(s, all_received);
		if (i % 2)
			close_listener(s);
		loop_free(s->loop);
		reply_kept(s, 0);
		listener_drop(&s->kept[1].to);
		listen_limits_free(s->limits);
		close(client);
		close(silent);
		assert_int_equal(count_descriptors(), s->descriptors);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_are_set_up_for_serving),
		cmocka_unit_test(wildcard_of_ipv6_leaves_ipv4_alone),
		cmocka_unit_test(port_in_use_is_refused_even_by_our_own_kind),
		cmocka_unit_test(address_that_is_not_ours_is_refused),
		cmocka_unit_test(others_join_and_share_the_load),
		cmocka_unit_test(every_family_is_answered_on_every_kind_of_address),
		cmocka_unit_test(reply_handle_outlives_its_client),
		cmocka_unit_test(dropped_query_is_never_answered),
		cmocka_unit_test(closing_hands_up_what_the_kernel_holds),
		cmocka_unit_test(replies_after_closing_leave_as_they_come),
		cmocka_unit_test(closed_listener_leaves_its_port),
		cmocka_unit_test(handles_outlive_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
