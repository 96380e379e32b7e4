/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the system that a writing or a reading of the cache's file makes fails once, in all manners: what was there before stays,
 * or the new one is there whole; no descriptor is lost, and what was begun is taken away. */
#include "kept.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/log.h"
#include "descriptors.h"
#include "faults.h"
#include "server/persist.h"

enum { CALLS_MOST = 200, ANSWERS = 300 };

static const uint64_t now_us = (uint64_t)KEPT_NOW_S * US_PER_S;

static struct snapshot *filled(unsigned answers)
{
	struct snapshot *s = kept_usual();

	for (unsigned i = 0; i < answers; i++) {
		char name[64];
		snprintf(name, sizeof(name), "host%u.corp.example", i);
		kept_put(s, name, 1, KEPT_NOW_S);
	}
	return s;
}

/* How many answers the file holds. */
static size_t held(const char *path)
{
	struct snapshot *s = kept_usual();
	struct persist_outcome o = kept_read(path, s, KEPT_TIME);

	assert_int_equal(o.verdict, PERSIST_DONE);
	snapshot_unref(s);
	return (size_t)o.entries;
}

static int disarm(void **state)
{
	faults_mean("");
	faults->error = faults->fail_count = 0;
	return kept_remove_folder(state);
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, kept_make_folder, disarm)

/* One writing, the n-th call failing. False: it did not come to that. */
static bool write_with_fault(struct snapshot *s, const char *path, uint64_t n)
{
	uint64_t failed = faults->failed;

	faults_arm(n);
	struct persist_outcome o = kept_write(path, s, KEPT_TIME);
	faults_arm(0);
	bool came = faults->failed > failed;
	assert_true(o.verdict == PERSIST_DONE || came);
	if (o.verdict != PERSIST_DONE) {
		assert_int_equal(o.verdict, PERSIST_SYSTEM);
		assert_true(o.error != 0);
	}
	assert_int_equal(held(path), o.verdict == PERSIST_DONE ? ANSWERS : 1);
	return came;
}

static void a_write_that_fails_anywhere_leaves_what_was_there(void **state)
{
	static const int errors[] = {0, EIO, ENOSPC, EDQUOT, EMFILE, ENOMEM};
	struct snapshot *old = filled(1), *s = filled(ANSWERS);
	char path[128];
	int descriptors = count_descriptors();
	uint64_t most = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s", kept_path("cache"));
	faults_mean("system");
	for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
		faults->error = (uint64_t)errors[e];
		bool came = true;
		for (uint64_t n = 1; came; n++) {
			assert_true(n < CALLS_MOST);
			assert_int_equal(kept_write(path, old, KEPT_TIME).verdict, PERSIST_DONE);
			came = write_with_fault(s, path, n);
			most = MAX(most, n);
		}
	}
	assert_true(most >= 8);
	assert_int_equal(access(kept_path("cache.new"), F_OK), -1);
	assert_int_equal(count_descriptors(), descriptors);
	snapshot_unref(old);
	snapshot_unref(s);
}

static void an_interrupted_call_is_made_again(void **state)
{
	static const char *const calls[] = {"write", "pread"};
	struct snapshot *s = filled(ANSWERS);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		faults_mean(calls[i]);
		faults->error = EINTR;
		faults->fail_count = 3;
		faults->failed = 0;
		faults_arm(1);
		assert_int_equal(kept_write(kept_path("cache"), s, KEPT_TIME).verdict, PERSIST_DONE);
		assert_int_equal(held(kept_path("cache")), ANSWERS);
		assert_int_equal(faults->failed, 3);
	}
	snapshot_unref(s);
}

static void a_read_that_fails_anywhere_says_so(void **state)
{
	struct snapshot *s = filled(ANSWERS);
	int descriptors = count_descriptors();
	bool came = true;

	(void)state;
	assert_int_equal(kept_write(kept_path("cache"), s, KEPT_TIME).verdict, PERSIST_DONE);
	faults_mean("system");
	for (uint64_t n = 1; came; n++) {
		struct snapshot *other = kept_usual();
		uint64_t failed = faults->failed;
		faults_arm(n);
		struct persist_outcome o = kept_read(kept_path("cache"), other, KEPT_TIME);
		faults_arm(0);
		came = faults->failed > failed;
		assert_int_equal(o.verdict, came ? PERSIST_SYSTEM : PERSIST_DONE);
		snapshot_unref(other);
		assert_true(came || n > 3);
	}
	assert_int_equal(count_descriptors(), descriptors);
	snapshot_unref(s);
}

static struct snapshot *keeping(void)
{
	char text[1024];

	snprintf(text, sizeof(text), KEPT_ZONES "cache: {size: 4MiB, persist: %s}\n", kept_path("cache"));
	return kept_snapshot(text);
}

/* Whether it starts where the file cannot be made; if so, it is written once that has passed. */
static bool starts_with(int error)
{
	struct snapshot *s = keeping();

	faults_mean("openat");
	faults->error = (uint64_t)error;
	faults_arm(2); /* the first looks for what another process left or writes there */
	struct persist *p = persist_new(s, now_us);
	faults_arm(0);
	if (p != NULL) {
		kept_put(s, "www.corp.example", 1, KEPT_NOW_S);
		persist_stop(p, s, now_us);
		assert_int_equal(unlink(kept_path("cache")), 0);
		persist_free(p);
	}
	snapshot_unref(s);
	return p != NULL;
}

/* Names are resolved all the same. */
static void a_full_or_ill_disk_does_not_end_the_start(void **state)
{
	static const int passing[] = {ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM}, lasting[] = {EACCES, EROFS, ENOENT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		assert_true(starts_with(passing[i]));
	for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
		assert_false(starts_with(lasting[i]));
}

static void a_stop_without_threads_ends(void **state)
{
	struct snapshot *s = keeping();
	struct persist *p = persist_new(s, now_us);

	(void)state;
	assert_non_null(p);
	kept_put(s, "www.corp.example", 1, KEPT_NOW_S);
	faults_mean("pthread_create");
	faults_arm(1);
	persist_stop(p, s, now_us);
	assert_int_equal(access(kept_path("cache"), F_OK), -1);
	persist_free(p);
	snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(a_write_that_fails_anywhere_leaves_what_was_there),
		FAULT_TEST(an_interrupted_call_is_made_again),
		FAULT_TEST(a_read_that_fails_anywhere_says_so),
		FAULT_TEST(a_full_or_ill_disk_does_not_end_the_start),
		FAULT_TEST(a_stop_without_threads_ends),
	};

	log_configure(LOG_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
