/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP client goes from one listener to another as it does from one process to the next: none of its questions is lost on the way. */
#include "serving.h"

#include <fcntl.h>
#include <netinet/tcp.h>

enum { FRAME_BYTES = 2 + QUERY_BYTES, PASSED_MAX = 8, BYTES_MAX = 64 << 10 };

static struct {
	int fds[PASSED_MAX];
	uint8_t bytes[PASSED_MAX][BYTES_MAX];
	size_t len[PASSED_MAX], count;
	bool refuse;
} passed;

static bool pass(void *arg, int fd, const uint8_t *bytes, size_t len)
{
	(void)arg;
	assert_true(passed.count < PASSED_MAX && len <= BYTES_MAX);
	if (passed.refuse)
		return false;
	passed.fds[passed.count] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (len > 0)
		memcpy(passed.bytes[passed.count], bytes, len);
	passed.len[passed.count++] = len;
	return true;
}

static int set_up(void **state)
{
	*state = serving_new();
	memset(&passed, 0, sizeof(passed));
	serve(*state, "127.0.0.1", LISTEN_TCP);
	serve(*state, "127.0.0.1", LISTEN_TCP);
	return 0;
}

static int tear_down(void **state)
{
	serving_free(*state);
	return 0;
}

/* The first listener goes; the second one stays, and is the first then. */
static void pass_all(struct serving *s)
{
	struct listener *going = s->listeners[0];

	s->listeners[0] = s->listeners[--s->listener_count];
	listener_pass(going, pass, s);
}

static void adopt_all(struct serving *s)
{
	for (size_t i = 0; i < passed.count; i++)
		listener_adopt(s->listeners[0], passed.fds[i], passed.bytes[i], passed.len[i]);
}

static void write_frame(uint8_t frame[FRAME_BYTES], uint16_t id)
{
	dns_put16(frame, QUERY_BYTES);
	write_query(frame + 2, id);
}

static void ask(int fd, uint16_t first, uint16_t count)
{
	uint8_t frame[FRAME_BYTES];

	for (uint16_t i = 0; i < count; i++) {
		write_frame(frame, (uint16_t)(first + i));
		assert_int_equal(send(fd, frame, sizeof(frame), MSG_NOSIGNAL), sizeof(frame));
	}
}

static uint16_t hear(int fd)
{
	uint8_t frame[FRAME_BYTES];

	assert_int_equal(recv(fd, frame, sizeof(frame), MSG_WAITALL), sizeof(frame));
	return dns_id(frame + 2);
}

static bool first_has_accepted(struct serving *s)
{
	return COUNT(s, accepted) >= s->want;
}

static int connect_first(struct serving *s)
{
	int client = client_to(s->listeners[0], NULL);

	s->want = COUNT(s, accepted) + 1;
	serve_until(s, first_has_accepted);
	return client;
}

static void serve_until_received(struct serving *s, size_t want)
{
	s->want = want;
	serve_until(s, all_received);
}

static void idle_client_goes_at_once_and_is_served_on(void **state)
{
	struct serving *s = *state;
	int client = connect_first(s);

	ask(client, 1, 1);
	serve_until_received(s, 1);
	assert_int_equal(hear(client), 1);
	pass_all(s);
	assert_int_equal(passed.count, 1);
	assert_int_equal(passed.len[0], 0);
	ask(client, 2, 1);
	adopt_all(s);
	serve_until_received(s, 2);
	assert_int_equal(hear(client), 2);
	close(client);
}

static void what_the_kernel_holds_of_a_client_goes_along(void **state)
{
	struct serving *s = *state;
	int accepted = connect_first(s), waiting = client_to(s->listeners[0], NULL);

	ask(accepted, 1, 2);
	ask(waiting, 3, 1);
	pass_all(s);
	assert_int_equal(passed.count, 2);
	assert_int_equal(s->received, 0);
	adopt_all(s);
	serve_until_received(s, 3);
	assert_int_equal(hear(accepted), 1);
	assert_int_equal(hear(accepted), 2);
	assert_int_equal(hear(waiting), 3);
	close(accepted);
	close(waiting);
}

static void client_who_waits_for_answers_goes_after_them(void **state)
{
	struct serving *s = *state;
	int client = connect_first(s);

	s->keep = true;
	ask(client, 1, 2);
	serve_until_received(s, 2);
	pass_all(s);
	ask(client, 3, 1); /* not ours any more */
	serve_ms(s, 5);
	assert_int_equal(s->received, 2);
	reply_kept(s, 1);
	serve_ms(s, 1);
	assert_int_equal(passed.count, 0);
	reply_kept(s, 0);
	assert_int_equal(passed.count, 1);
	assert_int_equal(hear(client), 2);
	assert_int_equal(hear(client), 1);
	s->keep = false;
	adopt_all(s);
	serve_until_received(s, 3);
	assert_int_equal(hear(client), 3);
	close(client);
}

static void half_a_question_goes_along(void **state)
{
	enum { FIRST = 9 };
	struct serving *s = *state;
	int client = connect_first(s);
	uint8_t frame[FRAME_BYTES];

	write_frame(frame, 9);
	assert_int_equal(send(client, frame, FIRST, 0), FIRST);
	serve_ms(s, 5);
	pass_all(s);
	assert_int_equal(passed.count, 1);
	assert_int_equal(passed.len[0], FIRST);
	adopt_all(s);
	assert_int_equal(s->received, 0);
	assert_int_equal(send(client, frame + FIRST, sizeof(frame) - FIRST, 0), sizeof(frame) - FIRST);
	serve_until_received(s, 1);
	assert_int_equal(hear(client), 9);
	close(client);
}

static void questions_that_were_read_and_held_back_go_along(void **state)
{
	enum { QUERIES = 2 * LISTEN_TCP_PIPELINE };
	struct serving *s = *state;
	int client = connect_first(s);

	s->keep = true;
	ask(client, 0, QUERIES);
	serve_until_received(s, LISTEN_TCP_PIPELINE);
	serve_ms(s, 5);
	pass_all(s);
	for (size_t i = 0; i < LISTEN_TCP_PIPELINE; i++)
		reply_kept(s, i);
	assert_int_equal(s->received, LISTEN_TCP_PIPELINE);
	assert_int_equal(passed.count, 1);
	s->keep = false;
	adopt_all(s);
	serve_until_received(s, QUERIES);
	for (uint16_t i = 0; i < QUERIES; i++)
		assert_int_equal(hear(client), i);
	close(client);
}

static void half_closed_client_with_questions_held_back_gets_all_answers(void **state)
{
	enum { QUERIES = LISTEN_TCP_PIPELINE + 20 };
	struct serving *s = *state;
	int client = connect_first(s);
	uint8_t byte;

	s->keep = true;
	ask(client, 0, QUERIES);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	serve_until_received(s, LISTEN_TCP_PIPELINE);
	serve_ms(s, 5);
	pass_all(s);
	for (size_t i = 0; i < LISTEN_TCP_PIPELINE; i++)
		reply_kept(s, i);
	s->keep = false;
	adopt_all(s);
	serve_until_received(s, QUERIES);
	for (uint16_t i = 0; i < QUERIES; i++)
		assert_int_equal(hear(client), i);
	serve_ms(s, 5);
	assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
	close(client);
}

static void client_that_could_not_be_passed_is_closed(void **state)
{
	struct serving *s = *state;
	int client = connect_first(s);
	uint8_t byte;

	passed.refuse = true;
	pass_all(s);
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	close(client);
}

static void on_gone(void *arg)
{
	++*(unsigned *)arg;
}

/* As connect_first, but with so small a window and segments that the kernel takes little for it. */
static int connect_narrow(struct serving *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), segment = 1400, window = 16384;
	const struct addr *to = listener_addr(s->listeners[0]);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)), 0);
	assert_int_equal(connect(fd, &to->sa, addr_len(to)), 0);
	s->want = COUNT(s, accepted) + 1;
	serve_until(s, first_has_accepted);
	return fd;
}

static void listener_is_gone_when_its_last_client_has_taken_all(void **state)
{
	enum { QUERIES = 15, REPLY_BYTES = 65000 }; /* more than the kernel takes for this client, less than the listener keeps */
	struct serving *s = *state;
	unsigned gone = 0;
	int client = connect_narrow(s);
	uint8_t piece[1 << 14];
	size_t left = (size_t)QUERIES * (2 + REPLY_BYTES);

	listener_set_gone(s->listeners[0], on_gone, &gone);
	s->keep = true;
	s->reply_bytes = REPLY_BYTES;
	ask(client, 0, QUERIES);
	serve_until_received(s, QUERIES);
	for (size_t i = 0; i < QUERIES; i++)
		reply_kept(s, i);
	struct listener *going = s->listeners[0];
	s->listeners[0] = s->listeners[--s->listener_count];
	listener_close(going);
	serve_ms(s, 20);
	assert_int_equal(gone, 0);
	while (left > 0) {
		ssize_t got = recv(client, piece, MIN(left, sizeof(piece)), MSG_DONTWAIT);
		left -= got > 0 ? (size_t)got : 0;
		assert_int_not_equal(got, 0);
		serve_ms(s, 1);
	}
	serve_ms(s, 20);
	assert_int_equal(gone, 1);
	s->reply_bytes = 0;
	close(client);
}

static void what_is_no_client_is_not_adopted(void **state)
{
	struct serving *s = *state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	listener_adopt(s->listeners[0], pair[0], NULL, 0);
	listener_adopt(s->listeners[0], socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL, 0);
	assert_int_equal(connections(s), 0);
	close(pair[1]);
}

static void adopted_clients_count_like_others(void **state)
{
	struct serving *s = *state;
	int client = connect_first(s);
	uint8_t byte;

	pass_all(s);
	listen_limits_set(s->limits, US_PER_S, 10, 0);
	adopt_all(s);
	assert_int_equal(connections(s), 0);
	assert_int_equal(COUNT(s, refused), 1);
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(idle_client_goes_at_once_and_is_served_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_kernel_holds_of_a_client_goes_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_who_waits_for_answers_goes_after_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_a_question_goes_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(questions_that_were_read_and_held_back_go_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_closed_client_with_questions_held_back_gets_all_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_that_could_not_be_passed_is_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listener_is_gone_when_its_last_client_has_taken_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_client_is_not_adopted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(adopted_clients_count_like_others, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
