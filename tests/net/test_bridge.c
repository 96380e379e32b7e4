/* SPDX-License-Identifier: Apache-2.0 */
/* One thread is both ends. */
#include "net/bridge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"

enum { HEARD_MAX = 64, GUARD_US = 10 * US_PER_S };

struct stage {
	struct loop *loop;
	struct loop_timer *guard;
	struct bridge *bridge;
	int other; /* the far end */
	int descriptors;
	size_t want, heard;
	enum bridge_word words[HEARD_MAX];
	int fds[HEARD_MAX];
	uint8_t *bytes; /* of the last one; heap */
	size_t len;
	bool close_at_first, late;
};

static void on_word(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	struct stage *s = arg;

	assert_true(s->heard < HEARD_MAX);
	s->words[s->heard] = word;
	s->fds[s->heard++] = fd;
	free(s->bytes);
	s->bytes = malloc(len + 1);
	if (len > 0)
		memcpy(s->bytes, bytes, len);
	s->len = len;
	if (s->close_at_first) {
		bridge_close(s->bridge);
		s->bridge = NULL;
	}
	if (s->heard == s->want)
		loop_stop(s->loop);
}

static void on_guard(void *arg)
{
	struct stage *s = arg;

	s->late = true;
	loop_stop(s->loop);
}

static int set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	int ends[2];

	loop_free(loop_new()); /* the first one opens what libuv keeps */
	s->descriptors = count_descriptors();
	s->loop = loop_new();
	s->guard = loop_timer_new(s->loop, on_guard, s);
	assert_int_equal(bridge_pair(ends), 0);
	s->other = ends[1];
	s->bridge = bridge_new(s->loop, ends[0], on_word, s);
	assert_non_null(s->bridge);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < s->heard; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	if (s->other >= 0)
		close(s->other);
	loop_free(s->loop); /* a bridge that is open goes with it */
	assert_int_equal(count_descriptors(), s->descriptors);
	free(s->bytes);
	free(s);
	return 0;
}

static void run_until_heard(struct stage *s, size_t want)
{
	s->want = want;
	loop_timer_set(s->guard, loop_now_us(s->loop) + GUARD_US);
	loop_run(s->loop);
	loop_timer_set(s->guard, UINT64_MAX);
	assert_false(s->late);
}

static void words_come_in_their_order_and_the_end_comes_last_and_once(void **state)
{
	struct stage *s = *state;

	assert_true(bridge_send(s->other, BRIDGE_KEEPS, -1, NULL, 0));
	assert_true(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
	close(s->other);
	s->other = -1;
	run_until_heard(s, 3);
	assert_int_equal(s->words[0], BRIDGE_KEEPS);
	assert_int_equal(s->words[1], BRIDGE_NO);
	assert_int_equal(s->words[2], BRIDGE_ENDED);
	loop_timer_set(s->guard, loop_now_us(s->loop) + 20 * US_PER_MS);
	loop_run(s->loop);
	assert_int_equal(s->heard, 3);
}

static void what_was_said_before_a_close_with_words_unread_is_heard(void **state)
{
	struct stage *s = *state;

	assert_true(bridge_send(bridge_end(s->bridge), BRIDGE_KEEPS, -1, NULL, 0));
	for (int i = 0; i < HEARD_MAX / 2; i++) /* more than one turn reads */
		assert_true(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
	close(s->other);
	s->other = -1;
	run_until_heard(s, HEARD_MAX / 2 + 1);
	assert_int_equal(s->words[0], BRIDGE_NO);
	assert_int_equal(s->words[HEARD_MAX / 2 - 1], BRIDGE_NO);
	assert_int_equal(s->words[HEARD_MAX / 2], BRIDGE_ENDED);
}

static void what_waits_can_be_heard_without_the_loop(void **state)
{
	struct stage *s = *state;

	bridge_read(s->bridge);
	assert_int_equal(s->heard, 0);
	assert_true(bridge_send(s->other, BRIDGE_KEEPS, -1, NULL, 0));
	bridge_read(s->bridge);
	assert_int_equal(s->heard, 1);
	assert_int_equal(s->words[0], BRIDGE_KEEPS);
	close(s->other);
	s->other = -1;
	bridge_read(s->bridge);
	bridge_read(s->bridge);
	assert_int_equal(s->heard, 2);
	assert_int_equal(s->words[1], BRIDGE_ENDED);
}

static void what_is_said_back_is_heard_at_the_other_end(void **state)
{
	struct stage *s = *state;
	char word;

	assert_true(bridge_send(bridge_end(s->bridge), BRIDGE_YOURS, -1, NULL, 0));
	assert_int_equal(recv(s->other, &word, 1, 0), 1);
	assert_int_equal(word, BRIDGE_YOURS);
}

static void client_crosses_with_all_that_was_read_of_it(void **state)
{
	struct stage *s = *state;
	uint8_t *bytes = malloc(BRIDGE_BYTES_MAX);
	int pair[2];
	char c = 'x';

	memset(bytes, 7, BRIDGE_BYTES_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(bridge_send(s->other, BRIDGE_CLIENT, pair[0], bytes, BRIDGE_BYTES_MAX));
	close(pair[0]);
	run_until_heard(s, 1);
	assert_int_equal(s->words[0], BRIDGE_CLIENT);
	assert_int_equal(s->len, BRIDGE_BYTES_MAX);
	assert_memory_equal(s->bytes, bytes, BRIDGE_BYTES_MAX);
	assert_int_equal(write(s->fds[0], &c, 1), 1);
	assert_int_equal(read(pair[1], &c, 1), 1);
	close(pair[1]);
	free(bytes);
}

static void client_without_bytes_crosses_as_well(void **state)
{
	struct stage *s = *state;

	assert_true(bridge_send(s->other, BRIDGE_CLIENT, s->other, NULL, 0));
	run_until_heard(s, 1);
	assert_true(s->fds[0] >= 0);
	assert_int_equal(s->len, 0);
}

static void descriptors_where_none_belong_are_closed(void **state)
{
	struct stage *s = *state;

	assert_true(bridge_send(s->other, BRIDGE_YOURS, s->other, NULL, 0));
	assert_true(bridge_send(s->other, BRIDGE_CLIENT, -1, NULL, 0));
	assert_true(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
	run_until_heard(s, 1);
	assert_int_equal(s->words[0], BRIDGE_NO); /* and tear_down counts */
}

/* There is room for one, and where the kernel rounds up, for two. */
static void of_several_descriptors_none_is_left_open(void **state)
{
	struct stage *s = *state;
	union {
		char room[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} rights = {.room = {0}};
	const int sent[] = {s->other, s->other, s->other};
	uint8_t word = BRIDGE_CLIENT;
	struct iovec octets = {.iov_base = &word, .iov_len = 1};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1, .msg_control = rights.room};

	for (size_t fds = 2; fds <= ARRAY_SIZE(sent); fds++) {
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(header), sent, fds * sizeof(int));
		assert_int_equal(sendmsg(s->other, &message, 0), 1);
	}
	assert_true(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
	run_until_heard(s, 1);
	assert_int_equal(s->words[0], BRIDGE_NO); /* and tear_down counts */
}

static void bridge_may_be_closed_from_inside(void **state)
{
	struct stage *s = *state;

	assert_true(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
	assert_true(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
	s->close_at_first = true;
	run_until_heard(s, 1);
	assert_int_equal(s->heard, 1);
	assert_false(bridge_send(s->other, BRIDGE_NO, -1, NULL, 0));
}

static void too_much_is_not_said(void **state)
{
	struct stage *s = *state;
	uint8_t *bytes = calloc(1, BRIDGE_BYTES_MAX + 1);

	assert_false(bridge_send(s->other, BRIDGE_CLIENT, s->other, bytes, BRIDGE_BYTES_MAX + 1));
	free(bytes);
}

static void nobody_who_reads_is_waited_for_a_while_only(void **state)
{
	struct stage *s = *state;
	uint64_t begun_us = loop_clock_us();

	while (bridge_send(s->other, BRIDGE_NO, -1, NULL, 0))
		assert_true(loop_clock_us() - begun_us < GUARD_US);
	assert_true(loop_clock_us() - begun_us >= BRIDGE_SEND_MS * US_PER_MS);
	bridge_close(s->bridge); /* unread */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(words_come_in_their_order_and_the_end_comes_last_and_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_said_before_a_close_with_words_unread_is_heard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_waits_can_be_heard_without_the_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_said_back_is_heard_at_the_other_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_crosses_with_all_that_was_read_of_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_without_bytes_crosses_as_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(descriptors_where_none_belong_are_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_several_descriptors_none_is_left_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bridge_may_be_closed_from_inside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_much_is_not_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_who_reads_is_waited_for_a_while_only, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
