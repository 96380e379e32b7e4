/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/cpus.h"

static void quota_is_rounded_up_to_cpus(void **state)
{
	static const struct {
		const char *text;
		uint32_t cpus;
	} rows[] = {
		{"200000 100000", 2},  {"200000 100000\n", 2},	 {"200001 100000", 3}, {"150000 100000", 2},
		{"50000 100000", 1},   {"1 100000", 1},		 {"100000 100000", 1}, {"99999 100000", 1},
		{"1600000 50000", 32}, {"400000\n 100000\n", 4}, /* version 1: two files, joined */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cpus_read_quota(rows[i].text), rows[i].cpus);
}

static void no_limit_is_no_quota(void **state)
{
	(void)state;
	assert_int_equal(cpus_read_quota("max 100000"), 0);
	assert_int_equal(cpus_read_quota("max 100000\n"), 0);
	assert_int_equal(cpus_read_quota("-1\n 100000\n"), 0); /* version 1 */
}

static void what_cannot_be_read_is_no_quota(void **state)
{
	static const char *const rows[] = {
		"",
		"\n",
		" ",
		"x",
		"200000",
		"200000 ",
		"200000 x",
		"200000 0",
		"0 100000",
		"100000 -5",
		"18446744073709551615 100000",
		"99999999999999999999999999 100000",
		"1000000000000000 1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cpus_read_quota(rows[i]), 0);
}

/* ---- cgroups, in a folder of ours */

static char folder[] = "/tmp/r53fwd-cpus.XXXXXX";

static void write_at(const char *name, const char *text)
{
	char path[256];

	for (const char *slash = name; (slash = strchr(slash, '/')) != NULL; slash++) {
		snprintf(path, sizeof(path), "%s/%.*s", folder, (int)(slash - name), name);
		(void)mkdir(path, 0700);
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static uint32_t found_in(const char *proc)
{
	char path[256];

	write_at("cgroup", proc);
	snprintf(path, sizeof(path), "%s/cgroup", folder);
	return cpus_find_quota(path, folder);
}

static int make_folder(void **state)
{
	(void)state;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	return mkdtemp(folder) == NULL;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static int remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void the_tightest_quota_on_the_way_up_holds(void **state)
{
	(void)state;
	assert_int_equal(found_in("0::/a/b\n"), 0);
	write_at("a/b/cpu.max", "max 100000\n");
	write_at("a/cpu.max", "300000 100000\n");
	assert_int_equal(found_in("0::/a/b\n"), 3);
	write_at("a/b/cpu.max", "150000 100000\n");
	assert_int_equal(found_in("0::/a/b\n"), 2);
	assert_int_equal(found_in("0::/a\n"), 3);
	assert_int_equal(found_in("0::/\n"), 0);
}

/* A service under version 1 has its quota in its own group; the one at the top is everybody's, and mostly none. */
static void in_version_1_our_own_group_is_looked_at(void **state)
{
	static const char proc[] = "12:cpuset:/\n4:cpu,cpuacct:/system.slice/r53fwd.service\n1:name=systemd:/x\n0::/x\n";

	(void)state;
	write_at("cpu/cpu.cfs_quota_us", "-1\n");
	write_at("cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(found_in(proc), 0);
	write_at("cpu/system.slice/r53fwd.service/cpu.cfs_quota_us", "200000\n");
	write_at("cpu/system.slice/r53fwd.service/cpu.cfs_period_us", "100000\n");
	assert_int_equal(found_in(proc), 2);
	assert_int_equal(found_in("5:cpuacct,cpu:/system.slice/r53fwd.service\n"), 2);
	assert_int_equal(found_in("5:cpuset,cpuacct:/system.slice/r53fwd.service\n"), 0);
	/* In a container that sees the host's path and its own files. */
	write_at("cpu/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(found_in("4:cpu,cpuacct:/docker/0123\n"), 1);
}

static void strange_lines_are_no_cgroup(void **state)
{
	static const char *const rows[] = {"", "\n", "4", "4:cpu", "cpu:", "::", "4:cpu:\n", ":,:/a\n", "0:"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(found_in(rows[i]), 0);
	assert_int_equal(cpus_find_quota("/nonexistent", "/nonexistent"), 0);
}

static void usable_cpus_are_at_least_one_and_at_most_those_of_the_mask(void **state)
{
	cpu_set_t set;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_in_range(cpus_usable(), 1, MIN(CPU_COUNT(&set), (int)CPUS_MOST));
}

static void narrower_mask_makes_fewer_cpus(void **state)
{
	cpu_set_t before, one;
	size_t first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(first, &before))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(cpus_usable(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quota_is_rounded_up_to_cpus),
		cmocka_unit_test(no_limit_is_no_quota),
		cmocka_unit_test(what_cannot_be_read_is_no_quota),
		cmocka_unit_test_setup_teardown(the_tightest_quota_on_the_way_up_holds, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(in_version_1_our_own_group_is_looked_at, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(strange_lines_are_no_cgroup, make_folder, remove_folder),
		cmocka_unit_test(usable_cpus_are_at_least_one_and_at_most_those_of_the_mask),
		cmocka_unit_test(narrower_mask_makes_fewer_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
