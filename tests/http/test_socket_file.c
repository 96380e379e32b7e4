/* SPDX-License-Identifier: Apache-2.0 */
#include "http/socket_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/privilege.h"

enum { STRANGER = 12345, GROUP = 12346, PATIENCE_MS = 20000 };

/* A folder with a socket in it, of mode 0660 and of a group. */
struct stage {
	char folder[64], path[96];
	int listener;
};

static int set_up(void **state)
{
	static struct stage s;

	snprintf(s.folder, sizeof(s.folder), "/tmp/r53fwd-file-XXXXXX");
	assert_non_null(mkdtemp(s.folder));
	snprintf(s.path, sizeof(s.path), "%s/./control", s.folder);
	s.listener = control_open(s.path);
	assert_true(s.listener >= 0);
	assert_int_equal(listen(s.listener, 8), 0);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	close(s->listener);
	(void)unlink(s->path);
	assert_int_equal(rmdir(s->folder), 0);
	return 0;
}

static void needs_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* As r53fwd-http does, from the rights that its keeper leaves it: finds, becomes a stranger of the group, and asks. The error of asking. */
static int find_and_ask(const struct stage *s, gid_t group, void (*between)(const struct stage *s))
{
	struct control_reply reply;
	struct socket_file file;

	if (privilege_shed_to_start() != 0)
		_exit(99);
	socket_file_find(&file, s->path);
	gid_t found = socket_file_group(&file, GROUP);
	if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 || setresuid(STRANGER + 1, STRANGER + 1, STRANGER + 1) != 0)
		_exit(98);
	if (between != NULL)
		between(s);
	int error = socket_file_ask(&file, "how are you", &reply, PATIENCE_MS);
	if (error == 0 && (strcmp(reply.text, "well") != 0 || found != GROUP))
		error = -EPROTO;
	control_reply_deinit(&reply);
	socket_file_forget(&file);
	return error;
}

static void answer_once(int listener)
{
	struct pollfd wait = {.fd = listener, .events = POLLIN};
	char octet = '\0';

	assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
	int fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	while (octet != '\n')
		assert_int_equal(recv(fd, &octet, 1, 0), 1);
	assert_int_equal(send(fd, "well\n", 5, 0), 5);
	close(fd);
}

/* What asking comes to for a process of this group; an answer is given if one is `wanted`. */
static int try_to_ask(struct stage *s, gid_t group, bool wanted, void (*between)(const struct stage *s))
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		_exit(-find_and_ask(s, group, between));
	assert_true(child > 0);
	if (wanted)
		answer_once(s->listener);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void file_is_asked_where_the_path_cannot_be_passed_and_only_by_its_group(void **state)
{
	struct stage *s = *state;

	needs_root();
	assert_int_equal(lchown(s->path, 0, GROUP), 0);
	assert_int_equal(try_to_ask(s, GROUP, true, NULL), 0);
	assert_int_equal(try_to_ask(s, STRANGER, false, NULL), -EACCES);
}

static void folder_of_somebody_else_is_passed_as_its_owner(void **state)
{
	struct stage *s = *state;

	needs_root();
	assert_int_equal(lchown(s->path, 0, GROUP), 0);
	assert_int_equal(chown(s->folder, STRANGER, STRANGER), 0);
	assert_int_equal(try_to_ask(s, GROUP, true, NULL), 0);
}

static void path_is_asked_where_it_can_be_passed(void **state)
{
	struct stage *s = *state;

	/* A daemon that came later: the file that was found is another one's. */
	needs_root();
	assert_int_equal(chmod(s->folder, 0755), 0);
	assert_int_equal(unlink(s->path), 0);
	int later = control_open(s->path);
	assert_true(later >= 0);
	assert_int_equal(lchown(s->path, 0, GROUP), 0);
	assert_int_equal(listen(later, 8), 0);
	close(s->listener);
	s->listener = later;
	assert_int_equal(try_to_ask(s, GROUP, true, NULL), 0);
}

static void file_that_nobody_serves_any_more_is_said(void **state)
{
	struct stage *s = *state;

	needs_root();
	assert_int_equal(lchown(s->path, 0, GROUP), 0);
	close(s->listener);
	assert_int_equal(try_to_ask(s, GROUP, false, NULL), -ECONNREFUSED);
	s->listener = -1;
}

static void file_that_was_not_there_is_said(void **state)
{
	struct stage *s = *state;

	needs_root();
	assert_int_equal(unlink(s->path), 0);
	assert_int_equal(try_to_ask(s, GROUP, false, NULL), -ENOENT);
}

static void what_was_not_found_is_asked_by_the_path(void **state)
{
	struct control_reply reply;
	struct socket_file file;

	(void)state;
	socket_file_find(&file, "/nowhere/control");
	assert_int_equal(file.fd, -1);
	assert_int_equal(socket_file_group(&file, GROUP), GROUP);
	assert_int_equal(socket_file_ask(&file, "how are you", &reply, PATIENCE_MS), -ENOENT);
	socket_file_forget(&file);
}

static void name_that_is_too_long_is_none(void **state)
{
	char path[600];
	struct socket_file file;

	(void)state;
	needs_root();
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	socket_file_find(&file, path);
	assert_int_equal(file.fd, -1);
	assert_int_equal(file.error, -ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(file_is_asked_where_the_path_cannot_be_passed_and_only_by_its_group),
		TEST(folder_of_somebody_else_is_passed_as_its_owner),
		TEST(path_is_asked_where_it_can_be_passed),
		TEST(file_that_nobody_serves_any_more_is_said),
		TEST(file_that_was_not_there_is_said),
		TEST(what_was_not_found_is_asked_by_the_path),
		TEST(name_that_is_too_long_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
