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
	static const char *const files[] = {"read/file", "read/link", "read/new", "read/late/file", "keep/file", "keep/new", "other/file",
					    "other/v1/file", "other/v2/file", "other/current", "other/next", "file", "new"};
	static const char *const folders[] = {"read/late", "read", "keep", "other/v1", "other/v2", "other", "."};

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

/* Who changes files stands outside the walls: is there before they are, and acts when they stand. */
static int go[2];

static void stand_by(void (*act)(void))
{
	char c;

	WALLED_NEED(pipe(go) == 0);
	if (fork() != 0)
		return;
	close(go[1]);
	WALLED_NEED(read(go[0], &c, 1) == 1);
	act();
	_exit(0);
}

static void let_act(void)
{
	int status;

	WALLED_NEED(write(go[1], "x", 1) == 1);
	WALLED_NEED(wait(&status) > 0 && status == 0);
}

/* read/link → other/current/file, other/current → v1; and there is a v2. */
static void make_chain(void)
{
	WALLED_NEED(mkdir(at("other/v1"), 0700) == 0 && mkdir(at("other/v2"), 0700) == 0);
	WALLED_NEED(try_open("other/v1/file", O_WRONLY | O_CREAT) == 0 && try_open("other/v2/file", O_WRONLY | O_CREAT) == 0);
	WALLED_NEED(symlink("v1", at("other/current")) == 0 && symlink(at("other/current/file"), at("read/link")) == 0);
}

static void lead_to_v2(void)
{
	WALLED_NEED(symlink("v2", at("other/next")) == 0 && rename(at("other/next"), at("other/current")) == 0);
}

static int open_through_a_chain_that_changes(enum landlock_right right, int flags)
{
	make_chain();
	stand_by(lead_to_v2);
	WALLED_NEED(landlock_enter(&(const struct landlock_rule){at("read/link"), right}, 1) == 0);
	WALLED_NEED(try_open("read/link", flags) == 0);
	let_act();
	return try_open("read/link", flags);
}

static int read_through_a_chain_that_changes(void)
{
	return open_through_a_chain_that_changes(LANDLOCK_RIGHT_READ, O_RDONLY);
}

static int write_through_a_chain_that_changes(void)
{
	return open_through_a_chain_that_changes(LANDLOCK_RIGHT_CHANGE, O_WRONLY);
}

static void a_link_on_the_way_may_lead_elsewhere_below_its_folder(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_through_a_chain_that_changes), 0);
}

static void what_may_be_changed_is_where_links_led_at_first(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(write_through_a_chain_that_changes), EACCES);
}

static int read_a_link_to_itself(void)
{
	const struct landlock_rule rule = {at("read/link"), LANDLOCK_RIGHT_READ};

	WALLED_NEED(symlink("link", at("read/link")) == 0);
	WALLED_NEED(landlock_enter(&rule, 1) == 0);
	return try_open("read/link", O_RDONLY);
}

static void links_that_go_round_end(void **state)
{
	(void)state;
	needs_landlock();
	assert_int_equal(walled_run(read_a_link_to_itself), ELOOP);
}

/* ---- in the root itself, which our folder becomes */

static void needs_a_root_of_its_own(void)
{
	needs_landlock();
	if (geteuid() != 0)
		skip();
	make_file("file");
}

static void enter_below_base(const char *path, enum landlock_right right)
{
	const struct landlock_rule rule = {path, right};

	WALLED_NEED(chroot(base) == 0 && chdir("/") == 0);
	WALLED_NEED(landlock_enter(&rule, 1) == 0);
}

/* The file can be opened; what became of another one. */
static int read_beside(const char *name)
{
	enter_below_base(name, LANDLOCK_RIGHT_READ);
	WALLED_NEED(open(name, O_RDONLY | O_CLOEXEC) >= 0);
	WALLED_NEED(open("/file", O_WRONLY | O_CLOEXEC) < 0);
	return WALLED_ERROR(open("/read/file", O_RDONLY | O_CLOEXEC));
}

static int read_beside_a_plain_name(void)
{
	return read_beside("/file");
}

static int read_beside_a_relative_name(void)
{
	return read_beside("file");
}

static int read_beside_a_roundabout_name(void)
{
	return read_beside("/read/..//file");
}

static void a_file_in_the_root_is_read_and_opens_nothing_else(void **state)
{
	(void)state;
	needs_a_root_of_its_own();
	assert_int_equal(walled_run(read_beside_a_plain_name), EACCES);
	assert_int_equal(walled_run(read_beside_a_relative_name), EACCES);
	assert_int_equal(walled_run(read_beside_a_roundabout_name), EACCES);
}

static void write_in_place(void)
{
	WALLED_NEED(try_open("file", O_WRONLY | O_TRUNC) == 0);
}

static void replace(void)
{
	WALLED_NEED(rename(at("other/file"), at("file")) == 0);
}

static int read_after(void (*act)(void))
{
	stand_by(act);
	enter_below_base("/file", LANDLOCK_RIGHT_READ);
	let_act();
	return WALLED_ERROR(open("/file", O_RDONLY | O_CLOEXEC));
}

static int read_what_was_written_in_place(void)
{
	return read_after(write_in_place);
}

static int read_what_was_replaced(void)
{
	return read_after(replace);
}

static void a_file_in_the_root_is_read_until_it_is_replaced(void **state)
{
	(void)state;
	needs_a_root_of_its_own();
	assert_int_equal(walled_run(read_what_was_written_in_place), 0);
	assert_int_equal(walled_run(read_what_was_replaced), EACCES);
}

static int make_in_the_root(void)
{
	enter_below_base("/file", LANDLOCK_RIGHT_CHANGE);
	return WALLED_ERROR(open("/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void nothing_is_made_in_the_root(void **state)
{
	(void)state;
	needs_a_root_of_its_own();
	assert_int_equal(walled_run(make_in_the_root), EACCES);
}

static int tell_what_lies_in_the_root(void)
{
	WALLED_NEED(symlink("/file", at("read/link")) == 0);
	WALLED_NEED(chroot(base) == 0 && chdir("/") == 0);
	if (!landlock_in_root("/file") || !landlock_in_root("file") || !landlock_in_root("/read/link"))
		return 1;
	return landlock_in_root("/read/file") || landlock_in_root("/read") || landlock_in_root("/none") ? 2 : 0;
}

static void what_lies_in_the_root_is_told_by_where_it_leads(void **state)
{
	(void)state;
	needs_a_root_of_its_own();
	assert_int_equal(walled_run(tell_what_lies_in_the_root), 0);
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
		cmocka_unit_test_setup_teardown(a_link_on_the_way_may_lead_elsewhere_below_its_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_may_be_changed_is_where_links_led_at_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_that_go_round_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_in_the_root_is_read_and_opens_nothing_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_in_the_root_is_read_until_it_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_made_in_the_root, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_lies_in_the_root_is_told_by_where_it_leads, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
