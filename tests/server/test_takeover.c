/* SPDX-License-Identifier: Apache-2.0 */
/* The running instance is a thread that answers one command as it is told to; the far end of the bridge is the test's. */
#include "server/takeover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "descriptors.h"
#include "fake_clock.h"
#include "net/bridge.h"
#include "net/control.h"

enum { SOCKETS = 4 };

struct stage {
	char folder[64], path[CONTROL_PATH_MAX];
	struct loop *loop;
	struct takeover takeover;
	int descriptors, listener, bridge; /* the far end */
	const char *answer;
	size_t sockets;
	bool with_bridge;
	unsigned yours, refused, clients;
	size_t client_len;
};

static int set_up(void **state)
{
	static struct stage stage;
	struct stage *s = &stage;

	memset(s, 0, sizeof(*s));
	loop_free(loop_new());
	s->descriptors = count_descriptors();
	snprintf(s->folder, sizeof(s->folder), "/tmp/r53fwd-takeover-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%.64s/c.sock", s->folder);
	s->listener = control_open(s->path);
	assert_true(s->listener >= 0);
	assert_int_equal(listen(s->listener, 1), 0);
	assert_int_equal(fcntl(s->listener, F_SETFL, 0), 0); /* the thread waits there */
	s->bridge = -1;
	s->answer = "{}\n";
	s->sockets = SOCKETS;
	s->with_bridge = true;
	s->loop = loop_new();
	takeover_init(&s->takeover);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	takeover_deinit(&s->takeover);
	loop_free(s->loop);
	if (s->listener >= 0)
		close(s->listener);
	if (s->bridge >= 0)
		close(s->bridge);
	unlink(s->path);
	assert_int_equal(rmdir(s->folder), 0);
	assert_int_equal(count_descriptors(), s->descriptors);
	return 0;
}

/* The answer with the descriptors that belong to it, in an order of its own. */
static void answer(struct stage *s, int client)
{
	int fds[SOCKETS + 3], ends[2], n = 0;
	union {
		char room[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = {.room = {0}};

	for (size_t i = 0; i < s->sockets; i++)
		fds[n++] = socket(i % 2 == 0 ? AF_INET : AF_INET6, i < 2 ? SOCK_DGRAM : SOCK_STREAM, 0);
	fds[n++] = dup(s->listener);
	fds[n++] = memfd_create("cache", MFD_CLOEXEC);
	if (s->with_bridge) {
		assert_int_equal(bridge_pair(ends), 0);
		s->bridge = ends[0];
		fds[n++] = ends[1];
	}
	struct iovec octets = {.iov_base = (char *)(uintptr_t)s->answer, .iov_len = strlen(s->answer)};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1, .msg_control = control.room};
	message.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	memcpy(CMSG_DATA(header), fds, (size_t)n * sizeof(int));
	assert_true(sendmsg(client, &message, 0) > 0);
	while (n > 0)
		close(fds[--n]);
}

static void *run(void *arg)
{
	struct stage *s = arg;
	int client = accept(s->listener, NULL, NULL);
	char line[64] = "", *end = line;

	while (strchr(line, '\n') == NULL) {
		ssize_t got = recv(client, end, (size_t)(line + sizeof(line) - 1 - end), 0);
		if (got <= 0)
			break;
		end += got;
	}
	if (strcmp(line, "{\"command\": \"takeover\"}\n") == 0)
		answer(s, client);
	close(client);
	return NULL;
}

static enum takeover_verdict ask(struct stage *s)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, s), 0);
	enum takeover_verdict v = takeover_ask(&s->takeover, s->path, geteuid());
	pthread_join(thread, NULL);
	return v;
}

static void descriptors_are_told_apart_by_what_they_are(void **state)
{
	struct stage *s = *state;

	assert_int_equal(ask(s), TAKEOVER_GIVEN);
	assert_int_equal(s->takeover.socket_count, SOCKETS);
	assert_int_equal(s->takeover.pid, getpid());
	assert_true(s->takeover.keeps);
	assert_true(control_is_at(s->takeover.control, s->path));
	assert_true(s->takeover.bridge_end >= 0);
	assert_true(s->takeover.cache >= 0);
	assert_int_equal(s->takeover.drained_count, 0);
}

static void drains_come_along_and_what_is_no_address_does_not(void **state)
{
	struct stage *s = *state;
	char text[ADDR_TEXT_MAX];

	s->answer = "{\"drained\": [\"10.1.0.1:53\", 7, \"nonsense\", \"[fd00::1]:5353\"]}\n";
	assert_int_equal(ask(s), TAKEOVER_GIVEN);
	assert_int_equal(s->takeover.drained_count, 2);
	assert_string_equal(addr_format(&s->takeover.drained[0], text), "10.1.0.1:53");
	assert_string_equal(addr_format(&s->takeover.drained[1], text), "[fd00::1]:5353");
}

static void control_socket_of_another_path_is_not_kept(void **state)
{
	struct stage *s = *state;
	char path[CONTROL_PATH_MAX];

	memcpy(path, s->path, sizeof(path));
	snprintf(s->path, sizeof(s->path), "%.64s/l.sock", s->folder);
	assert_int_equal(symlink("c.sock", s->path), 0);
	assert_int_equal(ask(s), TAKEOVER_GIVEN);
	assert_false(s->takeover.keeps);
	assert_int_equal(s->takeover.control, -1);
	unlink(path);
}

static void refusals_and_what_is_missing_are_failures_and_nothing_stays_open(void **state)
{
	struct stage *s = *state;

	s->answer = "{\"error\": \"not now\"}\n";
	assert_int_equal(ask(s), TAKEOVER_FAILED);
	close(s->bridge);
	s->answer = "nonsense\n";
	assert_int_equal(ask(s), TAKEOVER_FAILED);
	close(s->bridge);
	s->answer = "{}\n";
	s->sockets = 0;
	assert_int_equal(ask(s), TAKEOVER_FAILED);
	takeover_deinit(&s->takeover);
	close(s->bridge);
	s->bridge = -1;
	s->sockets = SOCKETS;
	s->with_bridge = false;
	assert_int_equal(ask(s), TAKEOVER_FAILED);
}

static void nobody_is_no_failure(void **state)
{
	struct stage *s = *state;

	close(s->listener);
	s->listener = -1;
	assert_int_equal(takeover_ask(&s->takeover, s->path, geteuid()), TAKEOVER_NOBODY);
	unlink(s->path);
	assert_int_equal(takeover_ask(&s->takeover, s->path, geteuid()), TAKEOVER_NOBODY);
}

/* ---- once we serve */

static uint64_t due_us; /* when the timer is to fire */

void __real_loop_timer_set(struct loop_timer *t, uint64_t deadline_us);
void __wrap_loop_timer_set(struct loop_timer *t, uint64_t deadline_us);

void __wrap_loop_timer_set(struct loop_timer *t, uint64_t deadline_us)
{
	due_us = deadline_us;
	__real_loop_timer_set(t, deadline_us);
}

static void on_yours(void *arg)
{
	struct stage *s = arg;

	s->yours++;
	loop_stop(s->loop);
}

static void on_refused(void *arg)
{
	struct stage *s = arg;

	s->refused++;
	loop_stop(s->loop);
}

static void on_client(void *arg, int fd, const uint8_t *bytes, size_t len)
{
	struct stage *s = arg;

	assert_int_equal(len, 2);
	assert_memory_equal(bytes, "ab", 2);
	s->clients++;
	close(fd);
	loop_stop(s->loop);
}

static void begin_unheard(struct stage *s)
{
	assert_int_equal(ask(s), TAKEOVER_GIVEN);
	s->takeover.yours = on_yours;
	s->takeover.refused = on_refused;
	s->takeover.client = on_client;
	s->takeover.arg = s;
	assert_true(takeover_begin(&s->takeover, s->loop));
}

static void begin(struct stage *s, char said)
{
	char word;

	begin_unheard(s);
	assert_int_equal(recv(s->bridge, &word, 1, 0), 1);
	assert_int_equal(word, said);
}

static void it_is_ours_once_the_other_says_so_and_clients_follow(void **state)
{
	struct stage *s = *state;

	begin(s, BRIDGE_KEEPS);
	assert_true(bridge_send(s->bridge, BRIDGE_YOURS, -1, NULL, 0));
	assert_true(bridge_send(s->bridge, BRIDGE_YOURS, -1, NULL, 0));
	loop_run(s->loop);
	assert_true(bridge_send(s->bridge, BRIDGE_CLIENT, s->listener, (const uint8_t *)"ab", 2));
	loop_run(s->loop);
	assert_int_equal(s->yours, 1);
	assert_int_equal(s->clients, 1);
	close(s->bridge);
	s->bridge = -1;
	loop_run(s->loop); /* until nothing is left that could happen: the bridge is closed */
	assert_null(s->takeover.bridge);
	assert_int_equal(s->yours, 1);
}

static void one_that_ends_without_a_word_leaves_everything_to_us(void **state)
{
	struct stage *s = *state;

	begin(s, BRIDGE_KEEPS);
	close(s->bridge);
	s->bridge = -1;
	loop_run(s->loop);
	assert_int_equal(s->yours, 1);
	assert_int_equal(s->refused, 0);
}

/* It says no, and that alone counts. */
static void expect_refused(struct stage *s)
{
	assert_true(bridge_send(s->bridge, BRIDGE_NO, -1, NULL, 0));
	close(s->bridge);
	s->bridge = -1;
	loop_run(s->loop);
	assert_int_equal(s->refused, 1);
	assert_int_equal(due_us, UINT64_MAX);
	loop_run(s->loop);
	assert_int_equal(s->yours, 0);
}

static void one_that_serves_on_ends_us(void **state)
{
	struct stage *s = *state;

	begin(s, BRIDGE_KEEPS);
	expect_refused(s);
}

static void one_that_serves_on_and_has_not_heard_us_ends_us_as_well(void **state)
{
	struct stage *s = *state;

	begin_unheard(s);
	expect_refused(s);
}

/* Fires the timer, and reads what is logged by that. */
static size_t fire(char *said, size_t size)
{
	int ends[2], kept = dup(STDERR_FILENO);

	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	fake_clock_fire();
	dup2(kept, STDERR_FILENO);
	ssize_t len = read(ends[0], said, size - 1);
	said[len > 0 ? len : 0] = '\0';
	close(kept);
	close(ends[0]);
	close(ends[1]);
	return strlen(said);
}

static void one_that_hangs_is_named_and_waited_for(void **state)
{
	struct stage *s = *state;
	char said[1024], name[128];

	log_configure(LOG_WARN, LOG_TEXT);
	uint64_t before_us = loop_now_us(s->loop);
	begin(s, BRIDGE_KEEPS);
	assert_in_range(due_us, before_us + TAKEOVER_PATIENCE_US, loop_now_us(s->loop) + TAKEOVER_PATIENCE_US);
	assert_true(fire(said, sizeof(said)) > 0);
	snprintf(name, sizeof(name), "process %d is taken over and does not leave: until it does, or ends, no command", (int)getpid());
	assert_non_null(strstr(said, name));
	assert_int_equal(s->yours + s->refused, 0);
	assert_true(bridge_send(s->bridge, BRIDGE_YOURS, -1, NULL, 0));
	loop_run(s->loop);
	assert_int_equal(s->yours, 1);
	assert_int_equal(due_us, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(descriptors_are_told_apart_by_what_they_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drains_come_along_and_what_is_no_address_does_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_socket_of_another_path_is_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals_and_what_is_missing_are_failures_and_nothing_stays_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_no_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_ours_once_the_other_says_so_and_clients_follow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_ends_without_a_word_leaves_everything_to_us, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_serves_on_ends_us, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_serves_on_and_has_not_heard_us_ends_us_as_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_hangs_is_named_and_waited_for, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
