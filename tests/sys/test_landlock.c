/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/landlock.h"

#include <sys/stat.h>

#include "walled.h"

/* A folder of our own: read/file, keep/file, other/file. */
static char base[64];

static char *at(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

static void make_file(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static int set_up(void **state)
{
	static const char *const folders[] = {"read", "keep", "other"};

	(void)state;
	snprintf(base, sizeof(base), "/tmp/r53fwd-landlock-XXXXXX");
	assert_non_null(mkdtemp(base));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char name[32];
		assert_int_equal(mkdir(at(folders[i]), 0700), 0);
		snprintf(name, sizeof(name), "%s/file", folders[i]);
		make_file(name);
	}
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"read/file", "read/link", "read/new", "read/late/file", "keep/file", "keep/new", "other/file"};
	static const char *const folders[] = {"read/late", "read", "keep", "other", "."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(at(files[i]));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		rmdir(at(folders[i]));
	rmdir(base);
	return 0;
}

static int try_open(const char *name, int flags)
{
	int fd = open(at(name), flags | O_CLOEXEC, 0600);

	return fd < 0 ? errno : 0;
}

static void enter(void)
{
	const struct landlock_rule rules[] = {{at("read/file"), LANDLOCK_RIGHT_READ}, {at("keep/file"), LANDLOCK_RIGHT_CHANGE}};

	WALLED_NEED(landlock_enter(rules, ARRAY_SIZE(rules)) == 0);
}

static int read_inside(void)
{
	enter();
	return try_open("read/file", O_RDONLY);
}

static int read_outside(void)
{
	enter();
	return try_open("other/file", O_RDONLY);
}

static int read_the_systems(void)
{
	enter();
	return WALLED_ERROR(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int write_where_it_may_read(void)
{
	enter();
	return try_open("read/file", O_WRONLY);
}

static int make_where_it_may_read(void)
{
	enter();
	return try_open("read/new", O_WRONLY | O_CREAT);
}

static int rename_over(void)
{
	enter();
	WALLED_NEED(try_open("keep/new", O_WRONLY | O_CREAT | O_EXCL) == 0);
	return WALLED_ERROR(rename(at("keep/new"), at("keep/file")));
}

static int carry_out(void)
{
	enter();
	return WALLED_ERROR(rename(at("keep/file"), at("other/file")));
}

static int execute(void)
{
	enter();
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}

static void needs_landlock(void)
{
	if (landlock_version() < 0)
		skip();
}

static void files_of_the_folders_are_read_and_no_others(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_inside), 0);
	assert_int_equal(walled_run(read_outside), EACCES);
	assert_int_equal(walled_run(read_the_systems), EACCES);
}

static void what_may_be_read_is_not_written(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(write_where_it_may_read), EACCES);
	assert_int_equal(walled_run(make_where_it_may_read), EACCES);
}

static void a_file_is_replaced_where_it_is_kept_and_carried_nowhere(void **state)
{
	int carried;

	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(rename_over), 0);
	carried = walled_run(carry_out);
	assert_true(carried == EACCES || carried == EXDEV);
}

static void nothing_is_executed(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(execute), EACCES);
}

static int read_what_replaced_it(void)
{
	int ready[2];
	char c;

	WALLED_NEED(pipe(ready) == 0);
	/* Whoever replaces it stands outside. */
	if (fork() == 0) {
		WALLED_NEED(read(ready[0], &c, 1) == 1);
		WALLED_NEED(rename(at("other/file"), at("read/file")) == 0);
		_exit(0);
	}
	enter();
	WALLED_NEED(write(ready[1], "x", 1) == 1);
	int status;
	WALLED_NEED(wait(&status) > 0 && status == 0);
	return try_open("read/file", O_RDONLY);
}

static void a_file_that_was_replaced_is_read(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_what_replaced_it), 0);
}

static int read_through_the_link(void)
{
	const struct landlock_rule rule = {at("read/link"), LANDLOCK_RIGHT_READ};

	WALLED_NEED(symlink("../other/file", at("read/link")) == 0);
	WALLED_NEED(landlock_enter(&rule, 1) == 0);
	return try_open("read/link", O_RDONLY);
}

static void a_link_stands_for_the_folder_that_it_leads_to(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_through_the_link), 0);
}

static int read_what_came_late(void)
{
	const struct landlock_rule rule = {at("read/late/file"), LANDLOCK_RIGHT_READ};
	int ready[2];
	char c;

	WALLED_NEED(pipe(ready) == 0);
	if (fork() == 0) {
		WALLED_NEED(read(ready[0], &c, 1) == 1);
		WALLED_NEED(mkdir(at("read/late"), 0700) == 0 && rename(at("other/file"), at("read/late/file")) == 0);
		_exit(0);
	}
	WALLED_NEED(landlock_enter(&rule, 1) == 0);
	WALLED_NEED(write(ready[1], "x", 1) == 1);
	int status;
	WALLED_NEED(wait(&status) > 0 && status == 0);
	return try_open("read/late/file", O_RDONLY);
}

static void a_folder_that_comes_late_is_read(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_what_came_late), 0);
}

static int make_in_a_folder_that_is_not_there(void)
{
	const struct landlock_rule rule = {at("read/late/file"), LANDLOCK_RIGHT_CHANGE};

	WALLED_NEED(landlock_enter(&rule, 1) == 0);
	return try_open("read/new", O_WRONLY | O_CREAT);
}

static void where_files_are_made_the_folder_must_be_there(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(make_in_a_folder_that_is_not_there), EACCES);
}

static int read_a_device(void)
{
	const struct landlock_rule rule = {"/dev/urandom", LANDLOCK_RIGHT_READ};

	WALLED_NEED(landlock_enter(&rule, 1) == 0);
	WALLED_NEED(open("/dev/urandom", O_RDONLY | O_CLOEXEC) >= 0);
	return WALLED_ERROR(open("/dev/zero", O_RDONLY | O_CLOEXEC));
}

static void a_device_is_named_without_those_beside_it(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_a_device), EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_of_the_folders_are_read_and_no_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_may_be_read_is_not_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_is_replaced_where_it_is_kept_and_carried_nowhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_executed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_was_replaced_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_stands_for_the_folder_that_it_leads_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_folder_that_comes_late_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(where_files_are_made_the_folder_must_be_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_device_is_named_without_those_beside_it, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
