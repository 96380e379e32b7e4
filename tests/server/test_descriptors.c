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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(soft_limit_is_raised_to_the_hard_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(half_is_shared_out_to_the_threads_and_each_has_one, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
