/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "server/persist.h"

/* The clock that persist is given; the wall goes on by itself. */
#define NOW_US (UINT64_C(5000) * US_PER_S)
#define SECOND ((uint64_t)US_PER_S)
#define INTERVAL (900 * SECOND)

/* zones.conf that keeps its cache in `name` of the test's folder. */
static struct snapshot *keeping(const char *name)
{
	char text[1024];

	snprintf(text, sizeof(text), KEPT_ZONES "cache: {size: 4MiB, persist: %s/%s}\n", kept_folder, name);
	return kept_snapshot(text);
}

static size_t threads_without_writer;

static size_t count_threads(void)
{
	size_t n = 0;
	DIR *tasks = opendir("/proc/self/task");

	assert_non_null(tasks);
	while (readdir(tasks) != NULL)
		n++;
	closedir(tasks);
	return n;
}

static struct persist *start(struct snapshot *s)
{
	threads_without_writer = count_threads();
	struct persist *p = persist_new(s, NOW_US);

	assert_non_null(p);
	persist_load(p, s, NOW_US);
	return p;
}

/* How many answers the file holds; -1 without one. */
static int held(const char *name)
{
	struct snapshot *s = kept_usual();
	struct persist_time now = {.now_s = (uint32_t)(NOW_US / US_PER_S), .wall_s = (uint64_t)time(NULL)};
	struct persist_outcome o = persist_file_read(kept_path(name), s, &now);

	assert_true(o.verdict == PERSIST_DONE || o.verdict == PERSIST_ABSENT);
	snapshot_unref(s);
	return o.verdict == PERSIST_DONE ? (int)o.entries : -1;
}

/* Lets the clock say the same until the thread has put `answers` into the file. */
static void await_file(struct persist *p, struct snapshot *s, uint64_t now_us, const char *name, int answers)
{
	struct timespec moment = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < 10000 && held(name) != answers; i++) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
		persist_clock(p, s, 1, now_us);
	}
	assert_int_equal(held(name), answers);
}

/* Lets the clock say the same until the thread of before has ended and another one begins. */
static void await_begin(struct persist *p, struct snapshot *s, uint64_t now_us)
{
	struct timespec moment = {.tv_nsec = 1000000};
	bool begun = false;

	for (unsigned i = 0; i < 10000 && !(begun = persist_clock(p, s, 1, now_us)); i++)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
	assert_true(begun);
}

/* The same for a while in which the thread of before ends, but none begins. */
static void expect_no_begin(struct persist *p, struct snapshot *s, uint64_t now_us)
{
	struct timespec moment = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < 50 || (i < 10000 && count_threads() > threads_without_writer); i++) {
		assert_false(persist_clock(p, s, 1, now_us));
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
	}
}

static void end(struct persist *p, struct snapshot *s)
{
	persist_free(p);
	snapshot_unref(s);
}

static void without_a_path_nothing_is_written(void **state)
{
	struct snapshot *s = kept_usual();
	struct persist *p = start(s);

	(void)state;
	kept_put(s, "www.corp.example", 1, 5000);
	persist_soon(p);
	assert_false(persist_clock(p, s, 1, NOW_US + INTERVAL));
	persist_stop(p, s, NOW_US + INTERVAL);
	persist_disable(p);
	end(p, s);
	assert_int_equal(rmdir(kept_folder), 0); /* it is empty */
	assert_int_equal(mkdir(kept_folder, 0700), 0);
}

static void the_stop_writes_and_the_next_start_reads(void **state)
{
	struct snapshot *s = keeping("cache");
	struct persist *p = start(s);

	(void)state;
	assert_int_equal(held("cache"), -1);
	kept_put(s, "www.corp.example", 1, 5000);
	persist_stop(p, s, NOW_US);
	end(p, s);
	s = keeping("cache");
	p = start(s);
	assert_int_equal(kept_get(s, "www.corp.example", DNS_TYPE_A, 5000), CACHE_FRESH);
	end(p, s);
}

static void it_is_written_at_the_interval_if_something_has_changed(void **state)
{
	struct snapshot *s = keeping("cache");
	struct persist *p = start(s);

	(void)state;
	assert_false(persist_clock(p, s, 0, NOW_US + INTERVAL));
	kept_put(s, "www.corp.example", 1, 5000);
	assert_false(persist_clock(p, s, 1, NOW_US + INTERVAL - 1));
	assert_true(persist_clock(p, s, 1, NOW_US + INTERVAL));
	await_file(p, s, NOW_US + INTERVAL, "cache", 1);
	end(p, s);
}

static void an_answer_in_the_place_of_another_is_a_change(void **state)
{
	struct snapshot *s = keeping("cache");
	struct persist *p = start(s);

	(void)state;
	kept_put(s, "www.corp.example", 1, 5000);
	persist_stop(p, s, NOW_US);
	persist_free(p);
	p = start(s);
	assert_int_equal(unlink(kept_path("cache")), 0);
	assert_false(persist_clock(p, s, 0, NOW_US + INTERVAL));
	kept_put(s, "www.corp.example", 2, 5000);
	assert_true(persist_clock(p, s, 1, NOW_US + INTERVAL));
	await_file(p, s, NOW_US + INTERVAL, "cache", 1);
	end(p, s);
}

static void an_outage_has_it_written_soon_but_not_again_and_again(void **state)
{
	struct snapshot *s = keeping("cache");
	struct persist *p = start(s);

	(void)state;
	kept_put(s, "a.corp.example", 1, 5000);
	persist_soon(p);
	assert_true(persist_clock(p, s, 0, NOW_US + SECOND));
	await_file(p, s, NOW_US + SECOND, "cache", 1);
	kept_put(s, "b.corp.example", 1, 5000);
	persist_soon(p);
	expect_no_begin(p, s, NOW_US + SECOND + PERSIST_GAP_US - 1);
	await_begin(p, s, NOW_US + SECOND + PERSIST_GAP_US);
	await_file(p, s, NOW_US + SECOND + PERSIST_GAP_US, "cache", 2);
	end(p, s);
}

static void a_reload_may_change_the_path(void **state)
{
	struct snapshot *s = keeping("cache"), *other = keeping("other"), *none = kept_usual();
	struct persist *p = start(s);

	(void)state;
	kept_put(other, "a.corp.example", 1, 5000);
	assert_true(persist_clock(p, other, 0, NOW_US + SECOND));
	await_file(p, other, NOW_US + SECOND, "other", 1);
	assert_int_equal(held("cache"), -1);
	/* The stop follows the path of the last moment. */
	kept_put(s, "b.corp.example", 1, 5000);
	persist_stop(p, s, NOW_US + 2 * SECOND);
	assert_int_equal(held("cache"), 1);
	assert_int_equal(unlink(kept_path("cache")), 0);
	persist_stop(p, none, NOW_US + 3 * SECOND);
	assert_int_equal(held("cache"), -1);
	persist_free(p);
	snapshot_unref(s);
	snapshot_unref(other);
	snapshot_unref(none);
}

static void a_path_that_cannot_be_written_ends_the_start(void **state)
{
	struct snapshot *s = keeping("no/folder");

	(void)state;
	assert_null(persist_new(s, NOW_US));
	snapshot_unref(s);
	assert_int_equal(mkdir(kept_path("folder"), 0700), 0);
	s = keeping("folder");
	assert_null(persist_new(s, NOW_US));
	snapshot_unref(s);
}

static void what_may_not_be_touched_ends_nothing(void **state)
{
	struct snapshot *s = keeping("link");

	(void)state;
	assert_int_equal(symlink("nowhere", kept_path("link")), 0);
	struct persist *p = start(s);
	persist_stop(p, s, NOW_US);
	assert_int_equal(access(kept_path("nowhere"), F_OK), -1);
	end(p, s);
}

static void a_damaged_file_is_replaced_at_the_stop(void **state)
{
	struct snapshot *s = keeping("cache");

	(void)state;
	kept_spill(kept_path("cache"), (const uint8_t *)"R53CACHE and what else there was, which is no more", 50);
	struct persist *p = start(s);
	assert_int_equal(kept_entries(s), 0);
	kept_put(s, "www.corp.example", 1, 5000);
	persist_stop(p, s, NOW_US);
	assert_int_equal(held("cache"), 1);
	end(p, s);
}

static void a_write_that_fails_is_tried_again_at_the_next_interval(void **state)
{
	struct snapshot *s = keeping("cache");
	struct persist *p = start(s);

	(void)state;
	kept_put(s, "www.corp.example", 1, 5000);
	/* In the way of the file that is being written. */
	assert_int_equal(mkdir(kept_path("cache.new"), 0700), 0);
	assert_true(persist_clock(p, s, 1, NOW_US + INTERVAL));
	expect_no_begin(p, s, NOW_US + 2 * INTERVAL - 1);
	/* Nothing has changed but that it failed. */
	await_begin(p, s, NOW_US + 2 * INTERVAL);
	expect_no_begin(p, s, NOW_US + 2 * INTERVAL);
	assert_int_equal(rmdir(kept_path("cache.new")), 0);
	await_begin(p, s, NOW_US + 3 * INTERVAL);
	await_file(p, s, NOW_US + 3 * INTERVAL, "cache", 1);
	expect_no_begin(p, s, NOW_US + 5 * INTERVAL);
	assert_int_equal(held("cache"), 1);
	end(p, s);
}

static void who_was_taken_over_writes_no_more(void **state)
{
	struct snapshot *s = keeping("cache");
	struct persist *p = start(s);

	(void)state;
	kept_put(s, "www.corp.example", 1, 5000);
	persist_disable(p);
	persist_soon(p);
	assert_false(persist_clock(p, s, 1, NOW_US + INTERVAL));
	persist_stop(p, s, NOW_US + INTERVAL);
	assert_int_equal(held("cache"), -1);
	end(p, s);
}

static void what_is_packed_is_unpacked_elsewhere_with_or_without_a_path(void **state)
{
	struct snapshot *from = kept_usual(), *to = keeping("cache");

	(void)state;
	kept_put(from, "www.corp.example", 1, (uint32_t)(NOW_US / US_PER_S));
	kept_put(from, "db.example", 2, (uint32_t)(NOW_US / US_PER_S));
	assert_true(persist_unpack(persist_pack(from, NOW_US), to, NOW_US));
	assert_int_equal(kept_entries(to), 2);
	assert_false(persist_unpack(-1, to, NOW_US));
	assert_int_equal(kept_entries(to), 2);
	snapshot_unref(from);
	snapshot_unref(to);
}

static void what_came_along_is_read_as_if_a_stranger_had_sent_it(void **state)
{
	struct snapshot *from = kept_usual(), *to = kept_usual();

	(void)state;
	kept_put(from, "www.corp.example", 1, (uint32_t)(NOW_US / US_PER_S));
	int fd = persist_pack(from, NOW_US);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\377", 1, PERSIST_FILE_HEAD_BYTES + 3), 1);
	assert_false(persist_unpack(fd, to, NOW_US));
	assert_int_equal(kept_entries(to), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* it is closed whatever was in it */
	snapshot_unref(from);
	snapshot_unref(to);
}

static void what_is_being_written_may_outlive_the_snapshot(void **state)
{
	struct snapshot *s = keeping("cache"), *next = keeping("cache");
	struct persist *p = start(s);
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u.corp.example", i);
		kept_put(s, name, 1, 5000);
	}
	persist_soon(p);
	assert_true(persist_clock(p, s, 0, NOW_US));
	snapshot_unref(s);
	await_file(p, next, NOW_US, "cache", 5000);
	end(p, next);
}

#define KEPT_TEST(name) cmocka_unit_test_setup_teardown(name, kept_make_folder, kept_remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEPT_TEST(without_a_path_nothing_is_written),
		KEPT_TEST(the_stop_writes_and_the_next_start_reads),
		KEPT_TEST(it_is_written_at_the_interval_if_something_has_changed),
		KEPT_TEST(an_answer_in_the_place_of_another_is_a_change),
		KEPT_TEST(an_outage_has_it_written_soon_but_not_again_and_again),
		KEPT_TEST(a_reload_may_change_the_path),
		KEPT_TEST(a_path_that_cannot_be_written_ends_the_start),
		KEPT_TEST(what_may_not_be_touched_ends_nothing),
		KEPT_TEST(a_damaged_file_is_replaced_at_the_stop),
		KEPT_TEST(a_write_that_fails_is_tried_again_at_the_next_interval),
		KEPT_TEST(who_was_taken_over_writes_no_more),
		KEPT_TEST(what_is_packed_is_unpacked_elsewhere_with_or_without_a_path),
		KEPT_TEST(what_came_along_is_read_as_if_a_stranger_had_sent_it),
		KEPT_TEST(what_is_being_written_may_outlive_the_snapshot),
	};

	log_configure(LOG_ERROR, LOG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
