/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners of two workers under the same limits. The other worker takes its turn in the very moment when an answer leaves. */
#include "serving.h"

static struct serving *one, *other;
static int client, newcomer;

/* What happens after the next answer has left, but for its last `kept_back` octets. */
static void (*on_sent)(void);
static size_t kept_back;

ssize_t __real_send(int fd, const void *octets, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *octets, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *octets, size_t len, int flags)
{
	void (*then)(void) = on_sent;
	if (!then)
		return __real_send(fd, octets, len, flags);
	on_sent = NULL;
	ssize_t n = __real_send(fd, octets, len - kept_back, flags);
	then();
	return n;
}

static bool has_judged(struct serving *s)
{
	return COUNT(s, accepted) + COUNT(s, refused) == 1;
}

static void come_to_other(void)
{
	newcomer = client_to(other->listeners[0], NULL);
	serve_until(other, has_judged);
}

static bool none_connected(struct serving *s)
{
	return connections(s) == 0;
}

static void ask(void)
{
	uint8_t frame[2 + QUERY_BYTES];
	dns_put16(frame, QUERY_BYTES);
	write_query(frame + 2, 1);
	assert_int_equal(send(client, frame, sizeof(frame), MSG_NOSIGNAL), sizeof(frame));
}

static void hear(void)
{
	uint8_t frame[2 + QUERY_BYTES];
	assert_int_equal(recv(client, frame, sizeof(frame), MSG_WAITALL), sizeof(frame));
}

/* Both listen; the client is connected to one of them, which is as many as there may be. */
static void start(uint32_t most, uint32_t per_client)
{
	one = serving_new();
	other = serving_new();
	listen_limits_free(other->limits);
	other->limits = one->limits;
	listen_limits_set(one->limits, 10 * US_PER_S, most, per_client);
	serve(one, "127.0.0.1", LISTEN_TCP);
	serve(other, "127.0.0.1", LISTEN_TCP);
	client = client_to(one->listeners[0], NULL);
	serve_until(one, has_judged);
}

static void stop(void)
{
	close(newcomer);
	close(client);
	close_listener(other);
	loop_free(other->loop);
	free(other);
	serving_free(one); /* which counts the descriptors of both */
}

/* Who has the answer has seen nothing that is owed, and comes anew at once. */
static void who_has_been_answered_idles(uint32_t most, uint32_t per_client)
{
	uint8_t octet;
	start(most, per_client);
	ask();
	on_sent = come_to_other;
	serve_until(one, none_connected);
	hear();
	assert_int_equal(recv(client, &octet, 1, MSG_DONTWAIT), 0);
	assert_int_equal(COUNT(other, accepted), 1);
	stop();
}

static void who_has_been_answered_makes_room_at_the_limit_of_all(void **state)
{
	(void)state;
	who_has_been_answered_idles(1, 100);
}

static void who_has_been_answered_makes_room_at_the_clients_own_limit(void **state)
{
	(void)state;
	who_has_been_answered_idles(100, 1);
}

static bool has_sent(struct serving *s)
{
	return COUNT(s, sent) == 1;
}

static void who_has_got_a_part_of_the_answer_gets_the_rest(void **state)
{
	uint8_t octet;
	(void)state;
	start(100, 1);
	ask();
	kept_back = 1;
	on_sent = come_to_other;
	serve_until(one, has_sent);
	kept_back = 0;
	serve_ms(one, 2);
	hear();
	assert_int_equal(recv(client, &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(connections(one), 1);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_been_answered_makes_room_at_the_limit_of_all),
		cmocka_unit_test(who_has_been_answered_makes_room_at_the_clients_own_limit),
		cmocka_unit_test(who_has_got_a_part_of_the_answer_gets_the_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
