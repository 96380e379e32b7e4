/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim/control.h"

static struct {
	struct watch_set set;
	struct control *control;
	char folder[32], path[64], line[64];
	int verdict;
} t;

int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog)
{
	/* Whoever sees the file may ask. */
	if (!t.control)
		assert_int_equal(access(t.path, F_OK), -1);
	return __real_listen(fd, backlog);
}

static int take_command(void *arg, const char *line, struct strbuf *out)
{
	assert_ptr_equal(arg, &t);
	snprintf(t.line, sizeof(t.line), "%s", line);
	strbuf_add(out, "heard");
	watch_set_end(&t.set);
	return t.verdict;
}

static int begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	snprintf(t.folder, sizeof(t.folder), "/tmp/test_control.XXXXXX");
	assert_non_null(mkdtemp(t.folder));
	snprintf(t.path, sizeof(t.path), "%s/sock", t.folder);
	assert_int_equal(watch_set_init(&t.set), 0);
	t.control = control_new(&t.set, t.path, take_command, &t);
	assert_non_null(t.control);
	return 0;
}

static int end(void **state)
{
	(void)state;
	control_free(t.control);
	watch_set_deinit(&t.set);
	assert_int_equal(access(t.path, F_OK), -1);
	assert_int_equal(rmdir(t.folder), 0);
	return 0;
}

static int connect_client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, t.path, strlen(t.path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* All that comes back, up to the end. */
static void expect_answer(int fd, const char *text)
{
	char got[64] = "";

	assert_true(recv(fd, got, sizeof(got) - 1, MSG_WAITALL) >= 0);
	assert_string_equal(got, text);
	close(fd);
}

static void command_is_carried_out_and_answered(void **state)
{
	int fd = connect_client();

	(void)state;
	assert_int_equal(write(fd, "127.0.0.1 silent\n", 17), 17);
	watch_set_run(&t.set);
	assert_string_equal(t.line, "127.0.0.1 silent");
	expect_answer(fd, "ok\nheard");
}

static void refused_command_says_error(void **state)
{
	int fd = connect_client();

	(void)state;
	t.verdict = -EINVAL;
	assert_int_equal(write(fd, "x\n", 2), 2);
	watch_set_run(&t.set);
	expect_answer(fd, "error\nheard");
}

static void silent_and_talkative_clients_keep_nobody_waiting(void **state)
{
	static const char much[2000];
	int silent = connect_client(), talkative = connect_client(), fd = connect_client();

	(void)state;
	assert_int_equal(write(talkative, much, sizeof(much)), (ssize_t)sizeof(much));
	assert_int_equal(write(fd, "a", 1), 1);
	assert_int_equal(write(fd, "ll\n", 3), 3);
	watch_set_run(&t.set);
	assert_string_equal(t.line, "all");
	expect_answer(fd, "ok\nheard");
	close(silent);
	close(talkative);
}

static void socket_is_for_its_owner_only(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(stat(t.path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void path_in_use_is_an_error(void **state)
{
	(void)state;
	assert_null(control_new(&t.set, t.path, take_command, &t));
	assert_int_equal(errno, EADDRINUSE);
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s/file", t.folder);
	fclose(fopen(path, "w"));
	assert_null(control_new(&t.set, path, take_command, &t));
	assert_int_equal(unlink(path), 0);
}

static void path_that_is_too_long_is_an_error(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_null(control_new(&t.set, path, take_command, &t));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(control_ask(path, "all"), 1);
}

static void *ask(void *arg)
{
	*(int *)arg = control_ask(t.path, "all heal");
	return NULL;
}

static void other_side_tells_success_from_refusal(void **state)
{
	static const int verdicts[] = {0, -EINVAL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		int status = -1;
		pthread_t thread;

		t.verdict = verdicts[i];
		t.set.ended = false;
		assert_int_equal(pthread_create(&thread, NULL, ask, &status), 0);
		watch_set_run(&t.set);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(status, t.verdict < 0);
		assert_string_equal(t.line, "all heal");
	}
	assert_int_equal(control_ask("/nowhere/sock", "all"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(command_is_carried_out_and_answered),
		TEST(refused_command_says_error),
		TEST(silent_and_talkative_clients_keep_nobody_waiting),
		TEST(socket_is_for_its_owner_only),
		TEST(path_in_use_is_an_error),
		TEST(file_that_is_no_socket_is_left_alone),
		TEST(path_that_is_too_long_is_an_error),
		TEST(other_side_tells_success_from_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
