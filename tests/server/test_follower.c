/* SPDX-License-Identifier: Apache-2.0 */
#include "server/follower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

enum { FILES = 3, NOBODY = 65534 };

/* Three files in a row, each of which names one server: 192.0.2.1, .2 and .3. */
struct row {
	char folder[32], names[FILES][40];
	const char *paths[FILES + 1];
	struct config config;
	struct follower follower;
	struct resolv taken;
};

static void write_file(const struct row *w, int i, const char *text)
{
	FILE *file = fopen(w->paths[i], "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(w->paths[i], 0644), 0);
}

static void name_server(const struct row *w, int i)
{
	char text[64];

	snprintf(text, sizeof(text), "nameserver 192.0.2.%d\n", i + 1);
	write_file(w, i, text);
}

static void deny(const struct row *w, int i)
{
	assert_int_equal(chmod(w->paths[i], 0), 0);
}

static void be(uid_t uid)
{
	if (getuid() == 0) {
		assert_int_equal(seteuid(uid), 0);
		assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0); /* LeakSanitizer looks into its own process */
	}
}

static int set_up(void **state)
{
	char folder[] = "/tmp/r53fwd-followXXXXXX";
	struct row *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	memcpy(w->folder, folder, sizeof(folder));
	for (int i = 0; i < FILES; i++) {
		snprintf(w->names[i], sizeof(w->names[i]), "%s/%d", folder, i);
		w->paths[i] = w->names[i];
	}
	w->config.local_from_resolv = true;
	log_configure(LOG_ERROR, LOG_TEXT);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct row *w = *state;

	for (int i = 0; i < FILES; i++)
		unlink(w->paths[i]);
	rmdir(w->folder);
	free(w);
	return 0;
}

static void begin(struct row *w)
{
	follower_begin(&w->follower, w->paths, &w->config, &w->taken);
}

/* Which file a reload and the watch take, asked by who may not read what was denied; both say the same. -1: nobody. */
static int file_taken(struct row *w)
{
	struct resolv watched = w->taken, reloaded, looked;

	be(NOBODY);
	if (follower_look(&w->follower, &w->config, &w->taken, &looked))
		watched = looked;
	follower_reload(&w->follower, &w->config, &w->taken, &reloaded);
	be(0);
	assert_true(resolv_same_servers(&watched, &reloaded));
	assert_ptr_equal(watched.path, reloaded.path);
	for (int i = 0; i < FILES; i++)
		if (reloaded.path == w->paths[i])
			return i;
	return -1;
}

static void first_file_that_names_somebody_is_followed(void **state)
{
	struct row *w = *state;

	name_server(w, 1);
	name_server(w, 2);
	begin(w);
	assert_ptr_equal(w->taken.path, w->paths[1]);
	assert_int_equal(file_taken(w), 1);
	assert_int_equal(unlink(w->paths[1]), 0);
	assert_int_equal(file_taken(w), 2);
	name_server(w, 0);
	assert_int_equal(file_taken(w), 0);
}

static void file_that_may_not_be_read_any_more_is_not_replaced_by_one_further_down(void **state)
{
	struct row *w = *state;

	name_server(w, 1);
	name_server(w, 2);
	begin(w);
	deny(w, 1);
	assert_int_equal(file_taken(w), 1);
	assert_true(w->follower.warned);
	/* By one that stands before it, as always. */
	name_server(w, 0);
	assert_int_equal(file_taken(w), 0);
	/* One of the row that nothing was taken from stands in nobody's way. */
	deny(w, 0);
	assert_int_equal(file_taken(w), 1);
	assert_int_equal(chmod(w->paths[1], 0644), 0);
	assert_int_equal(file_taken(w), 1);
	assert_false(w->follower.warned);
}

static void nobody_is_taken_instead_of_somebody(void **state)
{
	struct row *w = *state;

	name_server(w, 1);
	begin(w);
	write_file(w, 1, "# nobody\n");
	assert_int_equal(file_taken(w), 1);
	assert_true(w->follower.warned);
	/* Nor is there anything to warn of where nobody ever was. */
	begin(w);
	assert_int_equal(w->taken.count, 0);
	assert_int_equal(file_taken(w), -1);
	assert_false(w->follower.warned);
}

static void zones_conf_that_names_its_own_follows_nothing(void **state)
{
	struct row *w = *state;

	w->config.local_from_resolv = false;
	name_server(w, 0);
	begin(w);
	assert_int_equal(w->taken.count, 0);
	assert_int_equal(file_taken(w), -1);
	/* A reload that leaves them out begins to. */
	w->config.local_from_resolv = true;
	assert_int_equal(file_taken(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_file_that_names_somebody_is_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(file_that_may_not_be_read_any_more_is_not_replaced_by_one_further_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_taken_instead_of_somebody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(zones_conf_that_names_its_own_follows_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
