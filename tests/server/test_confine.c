/* SPDX-License-Identifier: Apache-2.0 */
#include "server/confine.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../sys/walled.h"
#include "base/log.h"
#include "net/loop.h"
#include "sys/landlock.h"

static struct config *load(const char *more)
{
	struct diagnostics d;
	char text[512];

	diagnostics_init(&d);
	snprintf(text, sizeof(text), "zones: []\nlocal-upstreams: [192.0.2.1]\n%s", more);
	struct config *c = config_load_text(text, strlen(text), &d);
	diagnostics_deinit(&d);
	assert_non_null(c);
	log_configure(LOG_ERROR, LOG_TEXT);
	return c;
}

static bool becomes(const char *more)
{
	struct config *c = load(more);
	bool became = confine_become(c);

	config_free(c);
	return became;
}

static void without_a_user_nobody_changes(void **state)
{
	(void)state;
	uid_t before = geteuid();
	assert_true(becomes(""));
	assert_int_equal(geteuid(), before);
}

static void a_user_that_is_not_there_is_refused(void **state)
{
	(void)state;
	assert_false(becomes("user: nobody-of-this-name\n"));
}

/* As nobody: to become root is refused. */
static int become_root_as_nobody(void)
{
	if (!becomes("user: nobody\ncontrol: /tmp/r53fwd-confine.sock\n"))
		return geteuid() == 0 ? 1 : 2;
	return becomes("user: root\n") ? 3 : 2;
}

static void only_root_becomes_another(void **state)
{
	(void)state;
	assert_int_equal(walled_run(become_root_as_nobody), 2);
}

static bool same_user(const char *one, const char *other)
{
	struct config *a = load(one), *b = load(other);
	bool same = confine_same_user(a, b);

	config_free(a);
	config_free(b);
	return same;
}

static void a_change_of_user_is_seen(void **state)
{
	(void)state;
	assert_true(same_user("", ""));
	assert_true(same_user("user: a\n", "user: a\n"));
	assert_false(same_user("user: a\n", "user: b\n"));
	assert_false(same_user("user: a\n", ""));
	assert_false(same_user("", "user: a\n"));
}

static void persist_is_reached_in_its_folder_alone(void **state)
{
	const struct confine walled = {.walled = true, .folder = "/var/lib/r53fwd"}, open_ = {.walled = false, .folder = "/var/lib/r53fwd"};

	(void)state;
	assert_true(confine_reaches(&walled, NULL));
	assert_true(confine_reaches(&walled, "/var/lib/r53fwd/cache"));
	assert_true(confine_reaches(&walled, "/var/lib/r53fwd/another"));
	assert_false(confine_reaches(&walled, "/var/lib/cache"));
	assert_false(confine_reaches(&walled, "/var/lib/r53fwd/below/cache"));
	assert_true(confine_reaches(&open_, "/var/lib/cache"));
	assert_false(confine_reaches(&(struct confine){.walled = true}, "/var/lib/cache"));
}

static int open_outside(const char *more)
{
	struct config *c = load(more);
	struct confine k;
	bool walls = c->top.sandbox && landlock_version() >= 0;

	confine_enter(&k, c, "/tmp/zones.conf");
	WALLED_NEED(k.walled == walls);
	config_free(c);
	return WALLED_ERROR(open("/usr", O_RDONLY | O_CLOEXEC));
}

static int open_outside_the_walls(void)
{
	return open_outside("cache: {persist: /tmp/cache}\n");
}

static int open_without_walls(void)
{
	return open_outside("sandbox: off\n");
}

static int execute_inside(void)
{
	(void)open_outside("");
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static void what_is_outside_stays_there_unless_it_is_switched_off(void **state)
{
	(void)state;
	if (landlock_version() >= 0)
		assert_int_equal(walled_run(open_outside_the_walls), EACCES);
	assert_int_equal(walled_run(open_without_walls), 0);
	assert_int_equal(walled_run(execute_inside), -SIGSYS);
}

static void on_time(void *arg)
{
	*(bool *)arg = true;
}

/* Frees it. */
static bool turns(struct loop *l)
{
	bool rang = false;
	struct loop_timer *t = loop_timer_new(l, on_time, &rang);

	if (t == NULL)
		return false;
	loop_timer_set(t, loop_now_us(l) + 1);
	loop_run(l);
	loop_timer_close(t);
	loop_free(l);
	return rang;
}

static int make_loops_before_and_inside(void)
{
	struct config *c = load("");
	struct confine k;

	confine_forbid_rings(c);
	WALLED_NEED(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	struct loop *before = loop_new();
	confine_enter(&k, c, "/tmp/zones.conf");
	struct loop *inside = loop_new();
	config_free(c);
	WALLED_NEED(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS);
	return before == NULL || inside == NULL ? 1 : !turns(before) || !turns(inside) ? 2 : 0;
}

static int ask_for_a_ring(void)
{
	return WALLED_ERROR(syscall(SYS_io_uring_setup, 1, NULL));
}

static int ask_for_a_ring_without_walls(void)
{
	struct config *c = load("sandbox: off\n");

	confine_forbid_rings(c);
	config_free(c);
	return ask_for_a_ring();
}

static void loops_from_before_and_from_inside_turn_without_rings(void **state)
{
	(void)state;
	assert_int_equal(walled_run(make_loops_before_and_inside), 0);
	assert_int_equal(walled_run(ask_for_a_ring_without_walls), walled_run(ask_for_a_ring));
}

static int become_nobody_after_rings_are_forbidden(void)
{
	struct config *c = load("user: nobody\ncontrol: /tmp/r53fwd-confine.sock\n");

	confine_forbid_rings(c);
	bool became = confine_become(c) && geteuid() == confine_uid(c);
	config_free(c);
	return became ? 0 : 1;
}

static void rings_forbidden_leave_the_change_of_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(walled_run(become_nobody_after_rings_are_forbidden), 0);
}

/* What confine_enter says with zones.conf at `path`, in a root of its own; is `words` among it? */
static int enter_and_hear(const char *path, const char *words)
{
	static char said[4096];
	char root[] = "/tmp/r53fwd-confine-XXXXXX";
	struct config *c = load("");
	struct confine k;
	int heard[2], tmp = open("/tmp", O_PATH | O_CLOEXEC);

	log_configure(LOG_WARN, LOG_TEXT);
	WALLED_NEED(mkdtemp(root) != NULL && pipe2(heard, O_CLOEXEC | O_NONBLOCK) == 0);
	WALLED_NEED(chroot(root) == 0 && chdir("/") == 0 && mkdir("/folder", 0700) == 0);
	WALLED_NEED(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
	WALLED_NEED(dup2(heard[1], STDERR_FILENO) == STDERR_FILENO);
	pid_t child = fork();
	if (child == 0) {
		confine_enter(&k, c, path);
		_exit(0);
	}
	WALLED_NEED(child > 0 && waitpid(child, NULL, 0) == child);
	config_free(c);
	unlink(path);
	WALLED_NEED(rmdir("/folder") == 0 && unlinkat(tmp, strrchr(root, '/') + 1, AT_REMOVEDIR) == 0);
	WALLED_NEED(read(heard[0], said, sizeof(said) - 1) >= 0 || errno == EAGAIN);
	return strstr(said, words) != NULL;
}

static int hear_of_a_file_in_the_root(void)
{
	return enter_and_hear("/zones.conf", "/zones.conf lies in / itself");
}

static int hear_of_a_file_in_a_folder(void)
{
	return enter_and_hear("/folder/zones.conf", "lies in /");
}

static void zones_conf_in_the_root_is_warned_of(void **state)
{
	(void)state;
	if (geteuid() != 0 || landlock_version() < 0)
		skip();
	assert_int_equal(walled_run(hear_of_a_file_in_the_root), 1);
	assert_int_equal(walled_run(hear_of_a_file_in_a_folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_user_nobody_changes),
		cmocka_unit_test(a_user_that_is_not_there_is_refused),
		cmocka_unit_test(only_root_becomes_another),
		cmocka_unit_test(a_change_of_user_is_seen),
		cmocka_unit_test(persist_is_reached_in_its_folder_alone),
		cmocka_unit_test(loops_from_before_and_from_inside_turn_without_rings),
		cmocka_unit_test(rings_forbidden_leave_the_change_of_user),
		cmocka_unit_test(zones_conf_in_the_root_is_warned_of),
		cmocka_unit_test(what_is_outside_stays_there_unless_it_is_switched_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
