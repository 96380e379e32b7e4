/* SPDX-License-Identifier: Apache-2.0 */
#include "server/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

struct stage {
	char folder[64], path[CONTROL_PATH_MAX];
	struct loop *loop;
	struct loop_wakeup *done;
	struct snapshot *snapshot;
	struct metrics metrics[2];
	struct console *console;
	const char *question;
	struct control_reply reply;
	int result;
	unsigned reloads;
};

static struct snapshot *in_force(void *arg)
{
	return ((struct stage *)arg)->snapshot;
}

static const struct metrics *metrics_of(void *arg, uint32_t worker)
{
	return &((struct stage *)arg)->metrics[worker];
}

static void reload(void *arg, struct command_reload *result)
{
	struct stage *s = arg;

	s->reloads++;
	result->loaded = true;
	console_reloaded(s->console, true);
}

static void drained(void *arg, const struct pool *pool)
{
	(void)arg;
	(void)pool;
}

static bool is_probed(void *arg)
{
	(void)arg;
	return true;
}

static pid_t nobody(void *arg)
{
	(void)arg;
	return 0;
}

static bool only_stays(void *arg)
{
	(void)arg;
	return false;
}

static bool only_looks(void *arg, pid_t pid)
{
	(void)arg;
	(void)pid;
	return false;
}

static const char *takeover(void *arg, pid_t pid, struct control_reply *reply)
{
	(void)arg;
	(void)reply;
	return pid == getpid() ? "not now" : "who is that?";
}

static void on_done(void *arg)
{
	loop_stop(((struct stage *)arg)->loop);
}

static int set_up(void **state)
{
	struct stage *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);
	static const char conf[] = "zones: []\nlocal-upstreams: [192.0.2.1]\n";
	struct diagnostics d;

	memset(s, 0, sizeof(*s));
	snprintf(s->folder, sizeof(s->folder), "/tmp/r53fwd-console-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/c.sock", s->folder);
	diagnostics_init(&d);
	struct config *c = config_load_text(conf, strlen(conf), &d);
	diagnostics_deinit(&d);
	free(c->top.control);
	c->top.control = strdup(s->path);
	c->control_default = false;
	s->snapshot = snapshot_new(c, NULL, NULL);
	s->loop = loop_new();
	s->done = loop_wakeup_new(s->loop, on_done, s);
	const struct console_world world = {in_force, metrics_of, reload,     drained, is_probed, takeover,
					    only_looks, nobody,	only_stays, s,	     2,		"zones.conf"};
	s->console = console_new(s->loop, &world);
	assert_non_null(s->console);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	console_free(s->console);
	loop_free(s->loop);
	snapshot_unref(s->snapshot);
	assert_int_equal(rmdir(s->folder), 0); /* the socket is gone */
	free(s);
	return 0;
}

static void *ask(void *arg)
{
	struct stage *s = arg;

	s->result = control_ask(s->path, s->question, &s->reply, PATIENCE_MS);
	loop_wakeup_send(s->done);
	return NULL;
}

/* The reply to `question` holds `part`. */
static void expect_reply(struct stage *s, const char *question, const char *part)
{
	pthread_t thread;

	s->question = question;
	assert_int_equal(pthread_create(&thread, NULL, ask, s), 0);
	loop_run(s->loop);
	pthread_join(thread, NULL);
	assert_int_equal(s->result, 0);
	if (strstr(s->reply.text, part) == NULL)
		fail_msg("%s: there is no %s in %s", question, part, s->reply.text);
	control_reply_deinit(&s->reply);
}

static void commands_reach_the_server(void **state)
{
	struct stage *s = *state;

	assert_true(console_open(s->console, s->snapshot->config));
	assert_string_equal(console_path(s->console), s->path);
	expect_reply(s, "{\"command\":\"alive\"}", "{\"alive\":true}");
	metrics_add(&s->metrics[0], METRIC_CACHE_HITS, 3);
	metrics_add(&s->metrics[1], METRIC_CACHE_HITS, 4);
	expect_reply(s, "{\"command\":\"status\"}", "\"hits\":7,");
	expect_reply(s, "{\"command\":\"status\"}", "\"workers\":2,");
	expect_reply(s, "{\"command\":\"reload\"}", "\"loaded\":true");
	assert_int_equal(s->reloads, 1);
}

static void reloads_are_counted(void **state)
{
	struct stage *s = *state;

	assert_true(console_open(s->console, s->snapshot->config));
	console_reloaded(s->console, false);
	console_reloaded(s->console, true);
	console_reloaded(s->console, false);
	expect_reply(s, "{\"command\":\"status\"}", "\"reloads\":{\"ok\":1,\"failed\":2}");
}

static void a_socket_that_cannot_be_is_fatal_if_it_was_asked_for(void **state)
{
	struct stage *s = *state;
	int other = control_open(s->path);

	assert_true(other >= 0);
	struct control *control = control_new(s->loop, other, NULL, NULL);
	assert_non_null(control);
	assert_false(console_open(s->console, s->snapshot->config));
	control_close(control);
}

static void the_default_socket_may_be_missing(void **state)
{
	struct stage *s = *state;
	int other = control_open(s->path);

	assert_true(other >= 0);
	struct control *control = control_new(s->loop, other, NULL, NULL);
	assert_non_null(control);
	s->snapshot->config->control_default = true;
	assert_true(console_open(s->console, s->snapshot->config));
	assert_string_equal(console_path(s->console), s->path);
	control_close(control);
}

static void takeover_reaches_the_server(void **state)
{
	struct stage *s = *state;

	assert_true(console_open(s->console, s->snapshot->config));
	expect_reply(s, "{\"command\":\"takeover\"}", "{\"error\":\"not now\"}");
}

/* The socket as another process has it; its own console is gone, and the file is not. */
static int leave(struct stage *s)
{
	assert_true(console_open(s->console, s->snapshot->config));
	int fd = dup(console_fd(s->console));
	assert_true(fd >= 0);
	console_leave(s->console, true);
	assert_int_equal(console_fd(s->console), -1);
	assert_int_equal(access(s->path, F_OK), 0);
	const struct console_world world = {in_force, metrics_of, reload,     drained, is_probed, takeover,
					    only_looks, nobody,	only_stays, s,	     2,		"zones.conf"};
	console_free(s->console);
	assert_int_equal(access(s->path, F_OK), 0);
	s->console = console_new(s->loop, &world);
	return fd;
}

static void socket_that_was_left_is_inherited_with_all_that_waits_there(void **state)
{
	struct stage *s = *state;
	int fd = leave(s);

	assert_true(console_expect(s->console, s->snapshot->config));
	assert_string_equal(console_path(s->console), s->path);
	assert_int_equal(console_fd(s->console), -1);
	console_inherit(s->console, s->snapshot->config, fd);
	assert_int_equal(console_fd(s->console), fd);
	expect_reply(s, "{\"command\":\"alive\"}", "{\"alive\":true}");
}

static void socket_whose_file_is_gone_is_made_anew(void **state)
{
	struct stage *s = *state;
	int fd = leave(s);

	unlink(s->path);
	assert_true(console_expect(s->console, s->snapshot->config));
	console_inherit(s->console, s->snapshot->config, fd);
	expect_reply(s, "{\"command\":\"alive\"}", "{\"alive\":true}");
}

static void console_may_leave_and_take_its_file_along(void **state)
{
	struct stage *s = *state;

	assert_true(console_open(s->console, s->snapshot->config));
	console_leave(s->console, false);
	assert_int_equal(access(s->path, F_OK), -1);
	console_leave(s->console, false); /* twice is no matter */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_reach_the_server),
		TEST(reloads_are_counted),
		TEST(a_socket_that_cannot_be_is_fatal_if_it_was_asked_for),
		TEST(the_default_socket_may_be_missing),
		TEST(takeover_reaches_the_server),
		TEST(socket_that_was_left_is_inherited_with_all_that_waits_there),
		TEST(socket_whose_file_is_gone_is_made_anew),
		TEST(console_may_leave_and_take_its_file_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
