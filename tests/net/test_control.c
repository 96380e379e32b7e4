/* SPDX-License-Identifier: Apache-2.0 */
/* One thread is both sides, but for control_ask, which waits: what a client has sent is in the socket before the loop turns. */
#include "net/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "fake_clock.h"

enum { GUARD_US = 20 * US_PER_S, HEARD_MAX = 256 };

struct stage {
	char folder[64], path[CONTROL_PATH_MAX];
	struct loop *loop;
	struct loop_timer *guard;
	struct control *control;
	unsigned handled, want; /* stop after so many lines */
	int watched;		/* or when there is something to read here; -1: nothing is watched */
	bool late;
	char heard[HEARD_MAX]; /* the last line, as far as it fits */
	size_t heard_len;
	uid_t uid;
	pid_t pid;
	size_t reply_bytes, reply_fds; /* besides the text */
	bool silent;
};

static void handle(void *arg, const struct control_line *line, struct control_reply *reply)
{
	struct stage *s = arg;

	s->handled++;
	s->heard_len = line->len;
	s->uid = line->uid;
	s->pid = line->pid;
	assert_int_equal(line->text[line->len], '\0');
	memcpy(s->heard, line->text, MIN(line->len + 1, sizeof(s->heard)));
	if (s->silent)
		return;
	reply->len = 5 + s->reply_bytes;
	reply->text = malloc(reply->len + 1);
	memset(reply->text, 'x', reply->len);
	memcpy(reply->text, "done.", 5);
	reply->text[reply->len] = '\0';
	reply->fds = calloc(s->reply_fds + 1, sizeof(int));
	for (; reply->fd_count < s->reply_fds; reply->fd_count++)
		reply->fds[reply->fd_count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_turn(void *arg)
{
	struct stage *s = arg;
	struct pollfd p = {.fd = s->watched, .events = POLLIN};

	if ((s->want > 0 && s->handled >= s->want) || (s->watched >= 0 && poll(&p, 1, 0) > 0))
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

	snprintf(s->folder, sizeof(s->folder), "/tmp/r53fwd-control-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/c.sock", s->folder);
	fake_clock_reset();
	s->watched = -1;
	s->loop = loop_new();
	s->guard = loop_timer_new(s->loop, on_guard, s);
	loop_set_turn(s->loop, on_turn, s);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	if (s->control != NULL)
		control_close(s->control);
	loop_free(s->loop);
	unlink(s->path);
	rmdir(s->folder);
	free(s);
	return 0;
}

static void open_control(struct stage *s)
{
	int fd = control_open(s->path);

	assert_true(fd >= 0);
	s->control = control_new(s->loop, fd, handle, s);
	assert_non_null(s->control);
}

static void run(struct stage *s)
{
	loop_timer_set(s->guard, loop_now_us(s->loop) + GUARD_US);
	loop_run(s->loop);
	loop_timer_set(s->guard, UINT64_MAX);
	assert_false(s->late);
}

static void run_until_handled(struct stage *s, unsigned want)
{
	s->want = want;
	run(s);
	s->want = 0;
}

static void run_until_readable(struct stage *s, int fd)
{
	s->watched = fd;
	run(s);
	s->watched = -1;
}

static int knock(const struct stage *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads to the end; returns octets. */
static size_t read_all(int fd, char *out, size_t size)
{
	size_t len = 0;

	for (ssize_t got = 1; got > 0 && len<size - 1; len += got> 0 ? (size_t)got : 0)
		got = recv(fd, out + len, size - 1 - len, 0);
	out[len] = '\0';
	return len;
}

/* The server has closed this one without a word. */
static void expect_closed(struct stage *s, int fd)
{
	char c;

	run_until_readable(s, fd);
	assert_true(recv(fd, &c, 1, MSG_DONTWAIT) <= 0);
	close(fd);
}

static void expect_mode(const char *path, mode_t mode)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, mode);
}

/* ---- the file ---- */

static void the_file_is_for_owner_and_group_whatever_the_mask(void **state)
{
	struct stage *s = *state;
	mode_t mask = umask(0);

	open_control(s);
	umask(mask);
	expect_mode(s->path, 0660);
}

static void a_missing_folder_is_made(void **state)
{
	struct stage *s = *state;
	char folder[sizeof(s->folder) + 8];

	snprintf(folder, sizeof(folder), "%s/run", s->folder);
	snprintf(s->path, sizeof(s->path), "%.64s/run/c.sock", s->folder);
	open_control(s);
	expect_mode(folder, 0750);
	control_close(s->control);
	s->control = NULL;
	rmdir(folder);
	snprintf(s->path, sizeof(s->path), "%.64s/a/b/c.sock", s->folder);
	assert_int_equal(control_open(s->path), -ENOENT);
}

static void a_socket_that_somebody_serves_is_left_alone(void **state)
{
	struct stage *s = *state;
	struct stat before, after;

	open_control(s);
	assert_int_equal(stat(s->path, &before), 0);
	assert_int_equal(control_open(s->path), -EADDRINUSE);
	assert_int_equal(stat(s->path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct stage *s = *state;
	int fd = control_open(s->path);

	assert_true(fd >= 0);
	close(fd); /* as a program leaves it that was killed */
	open_control(s);
	int client = knock(s);
	say(client, "x\n");
	run_until_handled(s, 1);
	close(client);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct stage *s = *state;
	int fd = open(s->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	assert_int_equal(control_open(s->path), -EEXIST);
	assert_int_equal(access(s->path, F_OK), 0);
}

static void paths_that_no_address_holds_are_refused(void **state)
{
	char path[CONTROL_PATH_MAX + 1];
	struct control_reply reply;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[CONTROL_PATH_MAX] = '\0';
	assert_int_equal(control_open(path), -ENAMETOOLONG);
	assert_int_equal(control_ask(path, "x", &reply, 10), -ENAMETOOLONG);
	assert_int_equal(control_open(""), -EINVAL);
}

static void the_file_goes_with_us_unless_it_is_anothers(void **state)
{
	struct stage *s = *state;

	open_control(s);
	control_close(s->control);
	assert_int_equal(access(s->path, F_OK), -1);
	open_control(s);
	unlink(s->path);
	int other = control_open(s->path);
	assert_true(other >= 0);
	control_close(s->control);
	s->control = NULL;
	assert_int_equal(access(s->path, F_OK), 0);
	close(other);
}

static void who_leaves_leaves_the_file(void **state)
{
	struct stage *s = *state;

	open_control(s);
	int other = dup(control_fd(s->control)); /* as another process has it */
	assert_true(control_is_at(other, s->path));
	assert_false(control_is_at(other, s->folder));
	control_leave(s->control);
	assert_int_equal(access(s->path, F_OK), 0);
	s->control = control_new(s->loop, other, handle, s);
	assert_non_null(s->control);
	int client = knock(s);
	say(client, "x\n");
	run_until_handled(s, 1);
	close(client);
	int strange = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_false(control_is_at(strange, s->path));
	close(strange);
}

static void a_loop_that_goes_closes_it(void **state)
{
	struct stage *s = *state;
	int before = count_descriptors();

	open_control(s);
	int client = knock(s), second = knock(s);
	say(client, "half a li");
	say(second, "x\n");
	run_until_handled(s, 1);
	s->control = NULL;
	loop_free(s->loop);
	close(client);
	close(second);
	assert_int_equal(access(s->path, F_OK), -1);
	s->loop = loop_new();
	s->guard = loop_timer_new(s->loop, on_guard, s);
	assert_int_equal(count_descriptors(), before);
}

/* ---- lines ---- */

static void a_line_in_a_line_out_and_closed(void **state)
{
	struct stage *s = *state;
	char text[64];

	open_control(s);
	int client = knock(s);
	say(client, "status please\nand more that nobody reads");
	run_until_handled(s, 1);
	assert_string_equal(s->heard, "status please");
	assert_int_equal(s->uid, getuid());
	assert_int_equal(s->pid, getpid());
	assert_int_equal(read_all(client, text, sizeof(text)), 6);
	assert_string_equal(text, "done.\n");
	close(client);
}

static void pieces_make_a_line(void **state)
{
	struct stage *s = *state;

	open_control(s);
	int client = knock(s);
	for (const char *at = "abc"; *at != '\0'; at++) {
		say(client, (char[]){*at, '\0'});
		int other = knock(s);
		say(other, "x\n");
		run_until_handled(s, s->handled + 1); /* a turn in between */
		close(other);
	}
	say(client, "\n");
	run_until_handled(s, 4);
	assert_string_equal(s->heard, "abc");
	close(client);
}

static void zero_octets_are_part_of_a_line(void **state)
{
	struct stage *s = *state;

	open_control(s);
	int client = knock(s);
	assert_int_equal(send(client, "a\0b\n", 4, 0), 4);
	run_until_handled(s, 1);
	assert_int_equal(s->heard_len, 3);
	assert_memory_equal(s->heard, "a\0b", 3);
	close(client);
}

static void half_a_line_is_no_command(void **state)
{
	struct stage *s = *state;

	open_control(s);
	int client = knock(s);
	say(client, "reload");
	shutdown(client, SHUT_WR);
	expect_closed(s, client);
	assert_int_equal(s->handled, 0);
}

/* Sends `len` octets without an end, all at once. */
static void flood(int fd, size_t len)
{
	static char octets[CONTROL_LINE_BYTES + 1];

	memset(octets, 'a', sizeof(octets));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){4 * CONTROL_LINE_BYTES}, sizeof(int)), 0);
	assert_int_equal(send(fd, octets, len, MSG_NOSIGNAL), len);
}

static void the_longest_line_is_taken_and_a_longer_one_is_not(void **state)
{
	struct stage *s = *state;

	open_control(s);
	int client = knock(s);
	flood(client, CONTROL_LINE_BYTES - 1);
	say(client, "\n");
	run_until_handled(s, 1);
	assert_int_equal(s->heard_len, CONTROL_LINE_BYTES - 1);
	close(client);
	client = knock(s);
	flood(client, CONTROL_LINE_BYTES + 1);
	expect_closed(s, client);
	assert_int_equal(s->handled, 1);
}

static void without_a_reply_the_connection_ends(void **state)
{
	struct stage *s = *state;

	s->silent = true;
	open_control(s);
	int client = knock(s);
	say(client, "x\n");
	expect_closed(s, client);
	assert_int_equal(s->handled, 1);
}

/* ---- who may ---- */

/* Asks as somebody else, a member of `group` besides his own; returns how many octets came back. */
static char ask_as_nobody(struct stage *s, gid_t group)
{
	int ends[2];
	char got[16], count;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		if (setgroups(1, &group) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		int fd = knock(s);
		(void)send(fd, "x\n", 2, MSG_NOSIGNAL);
		count = (char)read_all(fd, got, sizeof(got));
		bool told = write(ends[1], &count, 1) == 1;
		knock(s); /* wakes the loop, which does not know of the pipe */
		_exit(told ? 0 : 1);
	}
	close(ends[1]);
	run_until_readable(s, ends[0]);
	assert_int_equal(read(ends[0], &count, 1), 1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ends[0]);
	return count;
}

static void strangers_are_sent_away_whatever_the_mode_says(void **state)
{
	struct stage *s = *state;

	if (geteuid() != 0)
		skip(); /* nobody else may become somebody */
	open_control(s);
	chmod(s->folder, 0711);
	chmod(s->path, 0666);
	assert_int_equal(ask_as_nobody(s, 65534), 0);
	assert_int_equal(s->handled, 0);
	assert_int_equal(ask_as_nobody(s, getegid()), 6);
	assert_int_equal(s->uid, 65534);
}

/* ---- those who take their time ---- */

static void who_says_nothing_is_closed_in_the_end(void **state)
{
	struct stage *s = *state;

	open_control(s);
	int first = knock(s), client = knock(s);
	say(first, "x\n");
	run_until_handled(s, 1);
	fake_clock_fire(); /* the timer of the one accepted last */
	expect_closed(s, client);
	close(first);
}

static void who_does_not_take_its_reply_is_closed_in_the_end(void **state)
{
	struct stage *s = *state;
	static char text[8 << 20];

	s->reply_bytes = 4 << 20;
	open_control(s);
	int client = knock(s), before = count_descriptors();
	say(client, "x\n");
	run_until_handled(s, 1);
	assert_int_equal(count_descriptors(), before + 1);
	fake_clock_fire();
	assert_int_equal(count_descriptors(), before);
	size_t len = read_all(client, text, sizeof(text));
	assert_true(len > 0 && len < s->reply_bytes);
	close(client);
}

static void a_client_that_goes_while_it_is_replied_to_does_no_harm(void **state)
{
	struct stage *s = *state;
	int before;

	s->reply_bytes = 4 << 20;
	open_control(s);
	before = count_descriptors();
	int client = knock(s);
	say(client, "x\n");
	run_until_handled(s, 1);
	close(client);
	client = knock(s);
	s->reply_bytes = 0;
	say(client, "y\n");
	run_until_readable(s, client);
	close(client);
	assert_int_equal(count_descriptors(), before);
}

static void of_too_many_the_oldest_goes(void **state)
{
	struct stage *s = *state;
	int clients[CONTROL_CLIENTS + 1];
	char c;

	open_control(s);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = knock(s);
	run_until_readable(s, clients[0]);
	assert_int_equal(recv(clients[0], &c, 1, 0), 0);
	for (size_t i = 1; i < ARRAY_SIZE(clients); i++)
		assert_int_equal(recv(clients[i], &c, 1, MSG_DONTWAIT), -1);
	say(clients[CONTROL_CLIENTS], "x\n");
	run_until_handled(s, 1);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
}

/* ---- the asking side ---- */

struct asking {
	struct stage *stage;
	struct control_reply reply;
	const char *line;
	int result, timeout_ms;
	struct loop_wakeup *done;
};

static void on_answered(void *arg)
{
	loop_stop(((struct stage *)arg)->loop);
}

static void *ask(void *arg)
{
	struct asking *a = arg;

	a->result = control_ask(a->stage->path, a->line, &a->reply, a->timeout_ms);
	loop_wakeup_send(a->done);
	return NULL;
}

/* Asks from another thread while this one serves. */
static void ask_beside(struct stage *s, struct asking *a)
{
	pthread_t thread;

	a->stage = s;
	a->timeout_ms = a->timeout_ms == 0 ? 20000 : a->timeout_ms;
	a->done = loop_wakeup_new(s->loop, on_answered, s);
	assert_int_equal(pthread_create(&thread, NULL, ask, a), 0);
	run(s);
	pthread_join(thread, NULL);
	loop_wakeup_close(a->done);
}

static void asking_brings_the_reply(void **state)
{
	struct stage *s = *state;
	struct asking a = {.line = "how are you"};

	open_control(s);
	ask_beside(s, &a);
	assert_int_equal(a.result, 0);
	assert_string_equal(s->heard, "how are you");
	assert_string_equal(a.reply.text, "done.");
	assert_int_equal(a.reply.len, 5);
	assert_int_equal(a.reply.fd_count, 0);
	control_reply_deinit(&a.reply);
}

static void a_large_reply_comes_whole(void **state)
{
	struct stage *s = *state;
	struct asking a = {.line = "x"};

	s->reply_bytes = 8 << 20;
	open_control(s);
	ask_beside(s, &a);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.reply.len, 5 + s->reply_bytes);
	assert_int_equal(strspn(a.reply.text + 5, "x"), s->reply_bytes);
	control_reply_deinit(&a.reply);
}

static void descriptors_travel_with_the_reply(void **state)
{
	struct stage *s = *state;
	static const size_t counts[] = {1, 253, 254, 600};

	open_control(s);
	int before = count_descriptors();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct asking a = {.line = "sockets"};
		s->reply_fds = counts[i];
		ask_beside(s, &a);
		assert_int_equal(a.result, 0);
		assert_string_equal(a.reply.text, "done.");
		assert_int_equal(a.reply.fd_count, counts[i]);
		for (size_t k = 0; k < a.reply.fd_count; k++)
			assert_int_equal(fcntl(a.reply.fds[k], F_GETFD), FD_CLOEXEC);
		assert_true(count_descriptors() >= before + (int)counts[i]);
		control_reply_deinit(&a.reply);
		assert_int_equal(count_descriptors(), before); /* neither side keeps any */
	}
}

static void asking_nobody_says_so(void **state)
{
	struct stage *s = *state;
	struct control_reply reply;

	assert_int_equal(control_ask(s->path, "x", &reply, 1000), -ENOENT);
	int fd = control_open(s->path);
	assert_int_equal(control_ask(s->path, "x", &reply, 1000), -ECONNREFUSED);
	close(fd);
}

static void asking_has_an_end(void **state)
{
	struct stage *s = *state;
	struct control_reply reply;
	int fd = control_open(s->path);

	assert_int_equal(listen(fd, 4), 0);
	uint64_t begun_us = loop_clock_us();
	assert_int_equal(control_ask(s->path, "x", &reply, 50), -ETIMEDOUT);
	assert_true(loop_clock_us() - begun_us >= 50000);
	assert_null(reply.text);
	close(fd);
}

static void an_end_without_a_line_is_no_reply(void **state)
{
	struct stage *s = *state;
	struct asking a = {.line = "x"};

	s->silent = true;
	open_control(s);
	ask_beside(s, &a);
	assert_int_equal(a.result, -EPROTO);
	assert_null(a.reply.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_file_is_for_owner_and_group_whatever_the_mask),
		TEST(a_missing_folder_is_made),
		TEST(a_socket_that_somebody_serves_is_left_alone),
		TEST(a_stale_socket_is_replaced),
		TEST(a_file_that_is_no_socket_is_left_alone),
		TEST(paths_that_no_address_holds_are_refused),
		TEST(the_file_goes_with_us_unless_it_is_anothers),
		TEST(who_leaves_leaves_the_file),
		TEST(a_loop_that_goes_closes_it),
		TEST(a_line_in_a_line_out_and_closed),
		TEST(pieces_make_a_line),
		TEST(zero_octets_are_part_of_a_line),
		TEST(half_a_line_is_no_command),
		TEST(the_longest_line_is_taken_and_a_longer_one_is_not),
		TEST(without_a_reply_the_connection_ends),
		TEST(strangers_are_sent_away_whatever_the_mode_says),
		TEST(who_says_nothing_is_closed_in_the_end),
		TEST(who_does_not_take_its_reply_is_closed_in_the_end),
		TEST(a_client_that_goes_while_it_is_replied_to_does_no_harm),
		TEST(of_too_many_the_oldest_goes),
		TEST(asking_brings_the_reply),
		TEST(a_large_reply_comes_whole),
		TEST(descriptors_travel_with_the_reply),
		TEST(asking_nobody_says_so),
		TEST(asking_has_an_end),
		TEST(an_end_without_a_line_is_no_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
