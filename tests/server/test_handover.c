/* SPDX-License-Identifier: Apache-2.0 */
/* The other instance is this test, which holds what the reply would have brought it. */
#include "server/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "fake_clock.h"
#include "net/bridge.h"

enum { SUCCESSOR = 4711, GUARD_US = 10 * US_PER_S };

struct stage {
	struct loop *loop;
	struct handover *handover;
	struct control_reply reply;
	int control, descriptors, stopped_with;
	unsigned held, resumed, left, left_with_file, turns;
	bool no_sockets, no_cache;
};

static bool sockets(void *arg, int **fds, size_t *count)
{
	const struct stage *s = arg;

	*fds = realloc(*fds, (*count + 2) * sizeof(int));
	(*fds)[(*count)++] = socket(AF_INET, SOCK_DGRAM, 0);
	if (s->no_sockets)
		return false;
	(*fds)[(*count)++] = socket(AF_INET, SOCK_STREAM, 0);
	return true;
}

static int control(void *arg)
{
	return ((struct stage *)arg)->control;
}

static int cache(void *arg)
{
	struct stage *s = arg;

	return s->no_cache ? -1 : memfd_create("cache", MFD_CLOEXEC);
}

static void hold(void *arg)
{
	((struct stage *)arg)->held++;
}

static void resume(void *arg)
{
	struct stage *s = arg;

	s->resumed++;
	loop_stop(s->loop);
}

static void leave(void *arg, bool keep_file)
{
	struct stage *s = arg;

	s->left++;
	s->left_with_file += keep_file;
}

static void stop(void *arg, int bridge)
{
	struct stage *s = arg;

	s->stopped_with = bridge;
	loop_stop(s->loop);
}

static int set_up(void **state)
{
	static struct stage stage;
	struct stage *s = &stage;

	loop_free(loop_new()); /* the first one opens what libuv keeps */
	memset(s, 0, sizeof(*s));
	s->descriptors = count_descriptors();
	s->control = socket(AF_UNIX, SOCK_STREAM, 0);
	s->stopped_with = -1;
	s->loop = loop_new();
	fake_clock_reset();
	s->handover = handover_new(&(struct handover_world){s->loop, sockets, control, cache, hold, resume, leave, stop, s});
	assert_non_null(s->handover);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	if (s->handover != NULL)
		handover_free(s->handover);
	loop_free(s->loop);
	control_reply_deinit(&s->reply);
	close(s->control);
	assert_int_equal(count_descriptors(), s->descriptors);
	return 0;
}

static void offer(struct stage *s)
{
	assert_null(handover_offer(s->handover, SUCCESSOR, &s->reply));
	assert_int_equal(s->held, 1);
}

/* What is heard at our end of the bridge. */
static int hear(struct stage *s)
{
	char word;

	assert_int_equal(recv(s->reply.fds[0], &word, 1, MSG_DONTWAIT), 1);
	return word;
}

/* SO_TYPE, or 0: no socket. */
static int kind_of(int fd)
{
	int kind = 0;
	socklen_t len = sizeof(kind);

	assert_true(getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) == 0 || errno == ENOTSOCK);
	return kind;
}

static void offer_brings_bridge_control_socket_cache_and_all_others(void **state)
{
	struct stage *s = *state;
	int kinds[] = {SOCK_SEQPACKET, SOCK_STREAM, 0, SOCK_DGRAM, SOCK_STREAM};

	offer(s);
	assert_int_equal(s->reply.fd_count, 5);
	for (size_t i = 0; i < s->reply.fd_count; i++)
		assert_int_equal(kind_of(s->reply.fds[i]), kinds[i]);
	assert_int_not_equal(s->reply.fds[1], s->control);
}

static void offer_without_a_cache_is_one(void **state)
{
	struct stage *s = *state;

	s->no_cache = true;
	offer(s);
	assert_int_equal(s->reply.fd_count, 4);
	assert_int_equal(kind_of(s->reply.fds[2]), SOCK_DGRAM);
}

static void there_is_one_offer_at_a_time(void **state)
{
	struct stage *s = *state;
	struct control_reply another = {.text = NULL};

	offer(s);
	assert_string_equal(handover_offer(s->handover, 1, &another), "another instance is about to take over");
	assert_int_equal(another.fd_count, 0);
}

static void successor_that_serves_and_keeps_the_control_socket_stops_us(void **state)
{
	struct stage *s = *state;
	struct control_reply another = {.text = NULL};

	offer(s);
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_KEEPS, -1, NULL, 0));
	loop_run(s->loop);
	assert_int_equal(s->left, 1);
	assert_int_equal(s->left_with_file, 1);
	assert_int_equal(hear(s), BRIDGE_YOURS);
	assert_int_equal(s->resumed, 0);
	/* Clients go over the same bridge. */
	assert_true(bridge_send(s->stopped_with, BRIDGE_CLIENT, s->control, NULL, 0));
	assert_int_equal(hear(s), BRIDGE_CLIENT);
	assert_string_equal(handover_offer(s->handover, 1, &another), "another instance has taken over already");
}

static void successor_with_a_control_socket_of_its_own_lets_ours_go(void **state)
{
	struct stage *s = *state;

	offer(s);
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_SERVES, -1, NULL, 0));
	loop_run(s->loop);
	assert_int_equal(s->left, 1);
	assert_int_equal(s->left_with_file, 0);
	assert_true(s->stopped_with >= 0);
}

static void successor_that_ends_first_changes_nothing_and_another_may_come(void **state)
{
	struct stage *s = *state;

	for (unsigned i = 1; i <= 2; i++) {
		assert_null(handover_offer(s->handover, SUCCESSOR, &s->reply));
		control_reply_deinit(&s->reply);
		loop_run(s->loop);
		assert_int_equal(s->held, i);
		assert_int_equal(s->resumed, i);
	}
	assert_int_equal(s->left, 0);
	assert_int_equal(s->stopped_with, -1);
}

static void successor_that_takes_too_long_is_told_so(void **state)
{
	struct stage *s = *state;

	offer(s);
	fake_clock_fire();
	assert_int_equal(s->resumed, 1);
	assert_int_equal(hear(s), BRIDGE_NO);
	assert_false(bridge_send(s->reply.fds[0], BRIDGE_KEEPS, -1, NULL, 0));
	assert_int_equal(s->left, 0);
}

static void word_that_waits_when_patience_ends_came_in_time(void **state)
{
	struct stage *s = *state;

	offer(s);
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_KEEPS, -1, NULL, 0));
	fake_clock_fire();
	assert_int_equal(s->left_with_file, 1);
	assert_true(s->stopped_with >= 0);
	assert_int_equal(s->resumed, 0);
	assert_int_equal(hear(s), BRIDGE_YOURS);
}

static void successor_that_has_ended_when_patience_ends_is_gone_once(void **state)
{
	struct stage *s = *state;

	offer(s);
	control_reply_deinit(&s->reply);
	fake_clock_fire();
	assert_int_equal(s->resumed, 1);
	assert_int_equal(s->left, 0);
	assert_null(handover_offer(s->handover, SUCCESSOR, &s->reply));
}

static void stop_in_the_middle_leaves_the_control_socket_with_its_file(void **state)
{
	struct stage *s = *state;

	offer(s);
	handover_free(s->handover);
	s->handover = NULL;
	assert_int_equal(s->left, 1);
	assert_int_equal(s->left_with_file, 1);
	assert_int_equal(s->stopped_with, -1);
	assert_int_equal(recv(s->reply.fds[0], &(char){0}, 1, MSG_DONTWAIT), 0);
}

static void stop_leaves_nothing_twice_and_nothing_without_an_offer(void **state)
{
	struct stage *s = *state;

	offer(s);
	control_reply_deinit(&s->reply);
	loop_run(s->loop);
	handover_free(s->handover);
	assert_int_equal(s->left, 0);
	s->handover = handover_new(&(struct handover_world){s->loop, sockets, control, cache, hold, resume, leave, stop, s});
	assert_null(handover_offer(s->handover, SUCCESSOR, &s->reply));
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_SERVES, -1, NULL, 0));
	loop_run(s->loop);
	handover_free(s->handover);
	s->handover = NULL;
	assert_int_equal(s->left, 1);
	assert_int_equal(s->left_with_file, 0);
}

static void nonsense_from_the_successor_is_ignored(void **state)
{
	struct stage *s = *state;

	offer(s);
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_CLIENT, s->control, NULL, 0));
	assert_true(bridge_send(s->reply.fds[0], (enum bridge_word)'z', -1, (const uint8_t *)"zz", 2));
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_YOURS, -1, NULL, 0));
	assert_true(bridge_send(s->reply.fds[0], BRIDGE_KEEPS, -1, NULL, 0));
	loop_run(s->loop);
	assert_int_equal(s->left, 1);
}

static void offer_without_sockets_or_control_socket_is_none(void **state)
{
	struct stage *s = *state;

	s->no_sockets = true;
	assert_string_equal(handover_offer(s->handover, SUCCESSOR, &s->reply), "out of memory or descriptors");
	assert_int_equal(s->reply.fd_count, 0);
	close(s->control);
	s->control = -1;
	s->no_sockets = false;
	assert_string_equal(handover_offer(s->handover, SUCCESSOR, &s->reply), "out of memory or descriptors");
	assert_int_equal(s->held, 0);
	s->control = socket(AF_UNIX, SOCK_STREAM, 0);
	offer(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(offer_brings_bridge_control_socket_cache_and_all_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(offer_without_a_cache_is_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_is_one_offer_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(successor_that_serves_and_keeps_the_control_socket_stops_us, set_up, tear_down),
		cmocka_unit_test_setup_teardown(successor_with_a_control_socket_of_its_own_lets_ours_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(successor_that_ends_first_changes_nothing_and_another_may_come, set_up, tear_down),
		cmocka_unit_test_setup_teardown(successor_that_takes_too_long_is_told_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(word_that_waits_when_patience_ends_came_in_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(successor_that_has_ended_when_patience_ends_is_gone_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_in_the_middle_leaves_the_control_socket_with_its_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_leaves_nothing_twice_and_nothing_without_an_offer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense_from_the_successor_is_ignored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(offer_without_sockets_or_control_socket_is_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
