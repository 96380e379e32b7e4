/* SPDX-License-Identifier: Apache-2.0 */
/* Limits are the process's: each test sets its own, and puts back what was there. */
#include "kept.h"

#include <sys/resource.h>

#include "base/log.h"
#include "server/descriptors.h"

static struct rlimit before;

static int set_up(void **state)
{
	(void)state;
	log_configure(LOG_ERROR, LOG_TEXT);
	return getrlimit(RLIMIT_NOFILE, &before);
}

static int tear_down(void **state)
{
	(void)state;
	return setrlimit(RLIMIT_NOFILE, &before);
}

static void limit(rlim_t soft)
{
	struct rlimit l = {soft, before.rlim_max};

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
}

static void soft_limit_is_raised_to_the_hard_one(void **state)
{
	struct rlimit now;

	(void)state;
	limit(64);
	descriptors_raise();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, before.rlim_max);
}

static void half_is_shared_out_to_the_threads_and_each_has_one(void **state)
{
	struct snapshot *s = kept_usual();

	(void)state;
	limit(256);
	assert_int_equal(descriptors_share(s, 1), 128);
	assert_int_equal(descriptors_share(s, 4), 32);
	limit(16);
	assert_int_equal(descriptors_share(s, 64), 1);
	snapshot_unref(s);
}

/* 4 addresses of 512 ports each, half of them at a time, and a local upstream of 4,096. */
static void connections_leave_room_for_source_ports_and_the_rest(void **state)
{
	struct snapshot *s = kept_usual();
	uint32_t said = 0;

	(void)state;
	limit(1024);
	assert_int_equal(descriptors_connections(s, 2, &said), 1024 - 512 - 128);
	assert_int_equal(said, 1000);
	/* The rest of many threads is more than an eighth. */
	assert_int_equal(descriptors_connections(s, 32, &said), 1024 - 512 - (32 + 32 * 8));
	limit(64);
	assert_int_equal(descriptors_connections(s, 64, &said), 8);
	limit(4);
	assert_int_equal(descriptors_connections(s, 64, &said), 1);
	snapshot_unref(s);
	/* Ports that nobody asks for are left to connections. */
	s = kept_snapshot(KEPT_ZONES "tcp: {connections: 5000}\n");
	if (before.rlim_max >= 8192) {
		limit(8192);
		assert_int_equal(descriptors_connections(s, 2, &said), 8192 - (4 * 256 + 2048) - 1024);
	}
	snapshot_unref(s);
}

/* Whether a warning is written. */
static bool says(const struct snapshot *s, uint32_t *said)
{
	char line[512] = "";
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	(void)descriptors_connections(s, 2, said);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	bool any = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	assert_true(!any || strstr(line, "RLIMIT_NOFILE of ") != NULL);
	return any;
}

static void too_many_connections_are_said_once(void **state)
{
	struct snapshot *s = kept_usual(), *more = kept_snapshot(KEPT_ZONES "tcp: {connections: 5000}\n");
	uint32_t said = 0;

	(void)state;
	limit(1024);
	log_configure(LOG_WARN, LOG_TEXT);
	assert_true(says(s, &said));
	assert_false(says(s, &said));
	/* Another wish is another warning. */
	assert_true(says(more, &said));
	assert_true(says(s, &said));
	limit(before.rlim_max);
	if (before.rlim_max >= 16384) {
		assert_int_equal(descriptors_connections(s, 2, &said), 1000);
		assert_int_equal(said, 0);
		assert_false(says(more, &said));
	}
	snapshot_unref(s);
	snapshot_unref(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(soft_limit_is_raised_to_the_hard_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(connections_leave_room_for_source_ports_and_the_rest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_connections_are_said_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_is_shared_out_to_the_threads_and_each_has_one, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
