/* SPDX-License-Identifier: Apache-2.0 */
#include "server/confine.h"

#include <signal.h>

#include "../sys/walled.h"
#include "base/log.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_user_nobody_changes),
		cmocka_unit_test(a_user_that_is_not_there_is_refused),
		cmocka_unit_test(only_root_becomes_another),
		cmocka_unit_test(a_change_of_user_is_seen),
		cmocka_unit_test(persist_is_reached_in_its_folder_alone),
		cmocka_unit_test(what_is_outside_stays_there_unless_it_is_switched_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
