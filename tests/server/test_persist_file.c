/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "server/persist_record.h"

enum { NOBODY = 65534 };

static uint8_t file[1 << 20], original[1 << 20];
static struct kept_message message;

static void expect_refused(const char *path, enum persist_verdict verdict)
{
	struct snapshot *s = kept_usual();
	struct persist_outcome o = kept_read(path, s, KEPT_TIME);

	assert_int_equal(o.verdict, verdict);
	assert_int_equal(o.entries, 0);
	assert_int_equal(kept_entries(s), 0);
	assert_true(strlen(persist_file_reason(&o)) > 0);
	snapshot_unref(s);
}

/* ---- there and back */

static void put_all_kinds(struct snapshot *s)
{
	struct kept_question q;

	kept_put(s, "www.corp.example", 1, KEPT_NOW_S);
	/* A chain, whose second owner is a pointer into the first one's rdata. */
	kept_ask(&q, s, "app.corp.example", DNS_TYPE_A, 0);
	kept_begin(&message, &q, DNS_NOERROR);
	size_t alias_of = kept_add(&message, 12, DNS_TYPE_CNAME, 300, "\3far\3net", 9);
	kept_add(&message, alias_of, DNS_TYPE_A, 20, "\12\0\0\2", 4);
	kept_put_message(s, &q, &message, 0, KEPT_NOW_S);
	kept_ask(&q, s, "none.corp.example", DNS_TYPE_AAAA, 0);
	kept_begin(&message, &q, DNS_NXDOMAIN);
	kept_add_soa(&message, 900, 40);
	kept_put_message(s, &q, &message, 0, KEPT_NOW_S);
	kept_ask(&q, s, "www.db.example", DNS_TYPE_AAAA, 0);
	kept_begin(&message, &q, DNS_NOERROR);
	kept_add_soa(&message, 30, 86400);
	kept_put_message(s, &q, &message, 0, KEPT_NOW_S);
	/* From a local upstream, signed. */
	kept_ask(&q, s, "www.example.net", DNS_TYPE_TXT, CACHE_KEY_DO);
	kept_begin(&message, &q, DNS_NOERROR);
	for (int i = 0; i < 60; i++)
		kept_add(&message, 12, DNS_TYPE_TXT, 3600, kept_folder, sizeof(kept_folder));
	message.section = 2;
	kept_add(&message, 12, DNS_TYPE_A, 3600, "\300\0\2\1", 4);
	kept_put_message(s, &q, &message, DNS_AD, KEPT_NOW_S);
	cache_put_failure(s->cache, kept_ask(&q, s, "broken.corp.example", DNS_TYPE_A, 0), DNS_SERVFAIL, KEPT_NOW_S, KEPT_NOW_S + 5, 0);
}

struct comparing {
	struct snapshot *other;
	unsigned entries;
};

/* The other cache gives the same octets for the same question, ten seconds later. */
static bool is_in_other(void *arg, const struct cache_entry *e)
{
	struct comparing *c = arg;
	struct cache_key key = e->key;
	static uint8_t expected[DNS_MESSAGE_MAX];

	cache_key_hash(c->other->cache, &key);
	assert_int_equal(cache_get(c->other->cache, &key, &c->other->cache_rules, 110, (struct cache_room){kept_body, sizeof(kept_body)},
				   &kept_hit),
			 CACHE_FRESH);
	assert_int_equal(kept_hit.rcode, e->answer.rcode);
	assert_int_equal(kept_hit.flags, e->answer.flags);
	assert_int_equal(kept_hit.ancount, e->answer.ancount);
	assert_int_equal(kept_hit.nscount, e->answer.nscount);
	assert_int_equal(kept_hit.arcount, e->answer.arcount);
	assert_int_equal(kept_hit.origin, PERSIST_RECORD_ORIGIN);
	assert_int_equal(kept_hit.body_bytes, e->answer.body_bytes);
	assert_int_equal(kept_hit.ttl_left_s, e->expires_s - e->stored_s - 10);
	memcpy(expected, e->answer.body, e->answer.body_bytes);
	for (unsigned i = 0; i < e->answer.ttls; i++) {
		uint8_t *ttl = expected + (e->answer.ttl_at[i] - e->answer.body_at);
		dns_put32(ttl, dns_get32(ttl) - 10);
	}
	assert_memory_equal(kept_body, expected, kept_hit.body_bytes);
	c->entries++;
	return true;
}

static void what_was_written_is_read_into_another_cache(void **state)
{
	struct snapshot *from = kept_usual(), *to = kept_usual();
	struct comparing c = {.other = to};

	(void)state;
	put_all_kinds(from);
	struct persist_outcome wrote = kept_write(kept_path("cache"), from, KEPT_TIME);
	assert_int_equal(wrote.verdict, PERSIST_DONE);
	assert_int_equal(wrote.entries, 5); /* failures are not worth it */
	/* Another process, whose clock runs from another zero. */
	struct persist_outcome read = kept_read(kept_path("cache"), to, (struct persist_time){100, KEPT_WALL_S});
	assert_int_equal(read.verdict, PERSIST_DONE);
	assert_int_equal(read.entries, 5);
	assert_int_equal(read.left_out, 0);
	assert_int_equal(read.bytes, wrote.bytes);
	assert_int_equal(kept_entries(to), 5);
	cache_each(from->cache, is_in_other, &c);
	assert_int_equal(c.entries, 5);
	snapshot_unref(from);
	snapshot_unref(to);
}

static void an_empty_cache_is_a_file_too(void **state)
{
	struct snapshot *s = kept_usual();

	(void)state;
	assert_int_equal(kept_write(kept_path("cache"), s, KEPT_TIME).bytes, PERSIST_FILE_HEAD_BYTES + PERSIST_FILE_SUM_BYTES);
	assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).verdict, PERSIST_DONE);
	snapshot_unref(s);
}

/* A TXT answer whose record takes `bytes` in the file. */
static void put_of_size(struct snapshot *s, const char *name, size_t bytes)
{
	struct kept_question q;

	kept_ask(&q, s, name, DNS_TYPE_TXT, 0);
	kept_begin(&message, &q, DNS_NOERROR);
	kept_add(&message, 12, DNS_TYPE_TXT, 60, original, bytes - PERSIST_RECORD_HEAD_BYTES - q.name.len - 12);
	kept_put_message(s, &q, &message, 0, KEPT_NOW_S);
}

/* The checksum goes in blocks of 64 KiB: files that end at, before and behind a block's end. */
static void a_file_of_any_length_is_read_again(void **state)
{
	enum { BLOCK = 64 * 1024, FIRST = 60000 };
	static const char zones_conf[] = KEPT_ZONES "cache: {size: 64MiB}\n";

	(void)state;
	for (int more = -3; more <= 3; more++) {
		struct snapshot *from = kept_snapshot(zones_conf), *to = kept_snapshot(zones_conf);
		put_of_size(from, "a.example.net", FIRST);
		put_of_size(from, "b.example.net", (size_t)(BLOCK - PERSIST_FILE_HEAD_BYTES - FIRST + more));
		assert_int_equal(kept_write(kept_path("cache"), from, KEPT_TIME).bytes, BLOCK + more + PERSIST_FILE_SUM_BYTES);
		assert_int_equal(kept_read(kept_path("cache"), to, KEPT_TIME).entries, 2);
		snapshot_unref(from);
		snapshot_unref(to);
	}
}

/* ---- time */

/* Writes an answer that was `age_s` old then, and reads it `later_s` afterwards by the wall clock. */
static enum cache_result keep_for(int64_t later_s, uint32_t age_s)
{
	struct snapshot *from = kept_usual(), *to = kept_usual();

	kept_put(from, "www.corp.example", 1, KEPT_NOW_S - age_s);
	assert_int_equal(kept_write(kept_path("cache"), from, KEPT_TIME).verdict, PERSIST_DONE);
	struct persist_time then = {.now_s = 3, .wall_s = (uint64_t)(KEPT_WALL_S + later_s)};
	assert_int_equal(kept_read(kept_path("cache"), to, then).verdict, PERSIST_DONE);
	enum cache_result result = kept_get(to, "www.corp.example", DNS_TYPE_A, 3);
	snapshot_unref(from);
	snapshot_unref(to);
	return result;
}

static void ttls_go_on_by_the_wall_clock(void **state)
{
	(void)state;
	assert_int_equal(keep_for(0, 0), CACHE_FRESH);
	assert_int_equal(kept_hit.ttl_left_s, KEPT_TTL_S);
	assert_int_equal(keep_for(20, 0), CACHE_FRESH);
	assert_int_equal(kept_hit.ttl_left_s, KEPT_TTL_S - 20);
	assert_int_equal(dns_get32(kept_body + 6), KEPT_TTL_S - 20);
	assert_int_equal(keep_for(20, 15), CACHE_FRESH);
	assert_int_equal(kept_hit.age_s, 35);
	assert_int_equal(keep_for(KEPT_TTL_S, 0), CACHE_STALE);
	assert_int_equal(keep_for(100, 400), CACHE_STALE);
	assert_int_equal(kept_hit.stale_s, 500 - KEPT_TTL_S);
	assert_int_equal(keep_for(KEPT_TTL_S + KEPT_STALE_S - 1, 0), CACHE_STALE);
	assert_int_equal(keep_for(KEPT_TTL_S + KEPT_STALE_S, 0), CACHE_MISS);
	assert_int_equal(keep_for(INT64_C(1) << 33, 0), CACHE_MISS);
	assert_int_equal(keep_for(INT64_C(1) << 32, 0), CACHE_MISS); /* would be no time at all in 32 bits */
}

static void a_clock_behind_the_file_means_that_no_time_has_passed(void **state)
{
	(void)state;
	assert_int_equal(keep_for(-1000, 10), CACHE_FRESH);
	assert_int_equal(kept_hit.age_s, 10);
	assert_int_equal(keep_for(-KEPT_WALL_S, 0), CACHE_FRESH);
	assert_int_equal(kept_hit.age_s, 0);
}

static void what_is_past_serve_stale_is_not_even_written(void **state)
{
	struct snapshot *s = kept_usual();

	(void)state;
	kept_put(s, "old.corp.example", 1, KEPT_NOW_S - KEPT_TTL_S - KEPT_STALE_S);
	kept_put(s, "stale.corp.example", 1, KEPT_NOW_S - KEPT_TTL_S - KEPT_STALE_S + 1);
	kept_put(s, "ahead.corp.example", 1, KEPT_NOW_S + 3); /* stored while we write */
	struct persist_outcome o = kept_write(kept_path("cache"), s, KEPT_TIME);
	assert_int_equal(o.entries, 2);
	assert_int_equal(o.left_out, 1);
	snapshot_unref(s);
}

static void with_stale_answers_off_only_fresh_ones_are_read(void **state)
{
	struct snapshot *from = kept_usual(), *to = kept_snapshot(KEPT_ZONES "cache: {serve-stale: off}\n");

	(void)state;
	kept_put(from, "fresh.corp.example", 1, KEPT_NOW_S);
	kept_put(from, "stale.corp.example", 1, KEPT_NOW_S - KEPT_TTL_S);
	kept_write(kept_path("cache"), from, KEPT_TIME);
	struct persist_outcome o = kept_read(kept_path("cache"), to, KEPT_TIME);
	assert_int_equal(o.entries, 1);
	assert_int_equal(o.left_out, 1);
	assert_int_equal(kept_get(to, "fresh.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	snapshot_unref(from);
	snapshot_unref(to);
}

/* ---- damage */

static void every_changed_octet_is_noticed(void **state)
{
	struct snapshot *s = kept_usual();

	(void)state;
	kept_put(s, "a.corp.example", 1, KEPT_NOW_S);
	kept_put(s, "b.corp.example", 2, KEPT_NOW_S);
	kept_write(kept_path("cache"), s, KEPT_TIME);
	cache_flush_all(s->cache);
	size_t len = kept_slurp(kept_path("cache"), original, sizeof(original));
	for (size_t at = 0; at < len; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(file, original, len);
			file[at] ^= (uint8_t)(1u << bit);
			kept_spill(kept_path("cache"), file, len);
			enum persist_verdict expected = at < 8 ? PERSIST_STRANGE : at < 12 ? PERSIST_VERSION : PERSIST_DAMAGED;
			assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).verdict, expected);
		}
	}
	assert_int_equal(kept_entries(s), 0);
	kept_spill(kept_path("cache"), original, len);
	assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).entries, 2);
	snapshot_unref(s);
}

static void a_file_of_any_other_length_is_refused(void **state)
{
	struct snapshot *s = kept_usual();
	size_t len = kept_slurp(kept_one("www.corp.example"), file, sizeof(file));

	(void)state;
	assert_true(len < 200);
	file[len] = 0;
	for (size_t cut = 0; cut <= len + 1; cut++) {
		if (cut == len)
			continue;
		kept_spill(kept_path("cache"), file, cut);
		assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).verdict, cut == 0 ? PERSIST_ABSENT : PERSIST_DAMAGED);
	}
	assert_int_equal(kept_entries(s), 0);
	snapshot_unref(s);
}

static void what_is_no_cache_or_too_large_is_refused(void **state)
{
	static const char text[] = "127.0.0.1 localhost\n::1 localhost\n# not ours\n";

	(void)state;
	expect_refused(kept_path("absent"), PERSIST_ABSENT);
	expect_refused("/proc/nowhere/cache", PERSIST_ABSENT);
	kept_spill(kept_path("text"), (const uint8_t *)text, sizeof(text));
	expect_refused(kept_path("text"), PERSIST_STRANGE);
	assert_int_equal(truncate(kept_path("text"), ((off_t)1 << 30) + 1), 0);
	expect_refused(kept_path("text"), PERSIST_SIZE);
}

/* ---- what may stand there */

static void a_symbolic_link_is_neither_read_nor_replaced(void **state)
{
	struct snapshot *s = kept_usual();
	size_t before = kept_slurp(kept_one("www.corp.example"), original, sizeof(original));
	char leads_to[16];

	(void)state;
	assert_int_equal(symlink("cache", kept_path("link")), 0);
	expect_refused(kept_path("link"), PERSIST_LINK);
	assert_int_equal(persist_file_try(kept_path("link")).verdict, PERSIST_LINK);
	assert_int_equal(kept_write(kept_path("link"), s, KEPT_TIME).verdict, PERSIST_LINK);
	assert_int_equal(readlink(kept_path("link"), leads_to, sizeof(leads_to)), 5);
	assert_int_equal(kept_slurp(kept_path("cache"), file, sizeof(file)), before);
	assert_memory_equal(file, original, before);
	/* Nor one that stands where the next file is to be written. */
	assert_int_equal(symlink("cache", kept_path("other.new")), 0);
	assert_int_equal(kept_write(kept_path("other"), s, KEPT_TIME).verdict, PERSIST_DONE);
	assert_int_equal(kept_slurp(kept_path("cache"), file, sizeof(file)), before);
	assert_int_equal(access(kept_path("other.new"), F_OK), -1);
	snapshot_unref(s);
}

static void a_file_of_another_user_is_neither_read_nor_replaced(void **state)
{
	struct snapshot *s = kept_usual();
	const char *path = kept_one("www.corp.example");

	(void)state;
	if (geteuid() != 0) {
		snapshot_unref(s);
		skip();
	}
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	expect_refused(path, PERSIST_OWNER);
	assert_int_equal(persist_file_try(path).verdict, PERSIST_OWNER);
	assert_int_equal(kept_write(path, s, KEPT_TIME).verdict, PERSIST_OWNER);
	snapshot_unref(s);
}

static void a_file_that_others_may_write_is_replaced_but_not_read(void **state)
{
	struct snapshot *s = kept_usual();
	const char *path = kept_one("www.corp.example");
	struct stat status;

	(void)state;
	assert_int_equal(chmod(path, 0620), 0);
	expect_refused(path, PERSIST_EXPOSED);
	assert_int_equal(chmod(path, 0602), 0);
	expect_refused(path, PERSIST_EXPOSED);
	assert_int_equal(kept_write(path, s, KEPT_TIME).verdict, PERSIST_DONE);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	snapshot_unref(s);
}

static void the_file_is_the_users_alone_whatever_the_umask(void **state)
{
	mode_t before = umask(0);
	struct stat status;

	(void)state;
	kept_one("www.corp.example");
	umask(before);
	assert_int_equal(stat(kept_path("cache"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void folders_and_pipes_are_refused_without_waiting(void **state)
{
	struct snapshot *s = kept_usual();
	char slash[128];

	(void)state;
	assert_int_equal(mkdir(kept_path("folder"), 0700), 0);
	assert_int_equal(mkfifo(kept_path("pipe"), 0600), 0);
	expect_refused(kept_path("folder"), PERSIST_IRREGULAR);
	expect_refused(kept_path("pipe"), PERSIST_IRREGULAR);
	assert_int_equal(kept_write(kept_path("folder"), s, KEPT_TIME).verdict, PERSIST_IRREGULAR);
	assert_int_equal(kept_write(kept_path("pipe"), s, KEPT_TIME).verdict, PERSIST_IRREGULAR);
	snprintf(slash, sizeof(slash), "%s/", kept_folder);
	assert_int_equal(persist_file_try(slash).verdict, PERSIST_IRREGULAR);
	snapshot_unref(s);
}

static void expect_system(const char *path, int error)
{
	struct snapshot *s = kept_usual();
	struct persist_outcome o = persist_file_try(path);

	assert_int_equal(o.verdict, PERSIST_SYSTEM);
	assert_int_equal(o.error, error);
	assert_string_equal(persist_file_reason(&o), strerror(error));
	o = kept_write(path, s, KEPT_TIME);
	assert_int_equal(o.verdict, PERSIST_SYSTEM);
	assert_int_equal(o.error, error);
	snapshot_unref(s);
}

static void a_path_that_cannot_be_written_says_why(void **state)
{
	char long_path[300 + 64];

	(void)state;
	expect_system(kept_path("no/such/folder"), ENOENT);
	expect_system("/proc/r53fwd-cache", ENOENT);
	snprintf(long_path, sizeof(long_path), "%s/%0256d", kept_folder, 0);
	expect_system(long_path, ENAMETOOLONG);
	/* A folder stands where the next file is to be written. */
	assert_int_equal(mkdir(kept_path("cache.new"), 0700), 0);
	expect_system(kept_path("cache"), EISDIR);
	/* A file where a folder should be. */
	kept_spill(kept_path("plain"), file, 1);
	expect_system(kept_path("plain/cache"), ENOTDIR);
}

static void trying_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_int_equal(persist_file_try(kept_path("cache")).verdict, PERSIST_DONE);
	assert_int_equal(access(kept_path("cache"), F_OK), -1);
	assert_int_equal(access(kept_path("cache.new"), F_OK), -1);
	kept_one("www.corp.example");
	assert_int_equal(persist_file_try(kept_path("cache")).verdict, PERSIST_DONE);
	struct snapshot *s = kept_usual();
	assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).entries, 1);
	snapshot_unref(s);
}

static void a_plain_name_is_a_file_in_the_working_folder(void **state)
{
	struct snapshot *s = kept_usual();
	int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chdir(kept_folder), 0);
	kept_put(s, "www.corp.example", 1, KEPT_NOW_S);
	assert_int_equal(kept_write("cache", s, KEPT_TIME).verdict, PERSIST_DONE);
	cache_flush_all(s->cache);
	assert_int_equal(kept_read("./cache", s, KEPT_TIME).entries, 1);
	assert_int_equal(fchdir(before), 0);
	close(before);
	snapshot_unref(s);
}

/* ---- never torn */

static void expect_old_file(void)
{
	struct snapshot *s = kept_usual();

	assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).entries, 1);
	assert_int_equal(kept_get(s, "old.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	assert_int_equal(access(kept_path("cache.new"), F_OK), -1);
	snapshot_unref(s);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
	struct snapshot *s = kept_usual();
	struct rlimit before, small;
	char name[64];

	(void)state;
	kept_one("old.corp.example");
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%u.corp.example", i);
		kept_put(s, name, 1, KEPT_NOW_S);
	}
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 70000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct persist_outcome o = kept_write(kept_path("cache"), s, KEPT_TIME);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(o.verdict, PERSIST_SYSTEM);
	assert_int_equal(o.error, EFBIG);
	expect_old_file();
	snapshot_unref(s);
}

static void a_cancelled_write_leaves_the_old_file(void **state)
{
	struct snapshot *s = kept_usual();
	_Atomic bool cancelled = true;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s", kept_one("old.corp.example"));
	const struct persist_plan plan = {.path = path, .cache = s->cache, .time = KEPT_TIME, .cancelled = &cancelled};
	assert_int_equal(persist_file_write(&plan).verdict, PERSIST_CANCELLED);
	expect_old_file();
	cancelled = false;
	assert_int_equal(persist_file_write(&plan).verdict, PERSIST_DONE);
	snapshot_unref(s);
}

/* Two caches, of which writers write one or the other for ever; the number of entries tells which. */
struct two_caches {
	struct snapshot *few, *many;
};

static struct two_caches make_two(void)
{
	struct two_caches two = {kept_usual(), kept_usual()};
	char name[64];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "n%u.corp.example", i);
		kept_put(two.many, name, 1, KEPT_NOW_S);
		if (i < 1000)
			kept_put(two.few, name, 2, KEPT_NOW_S);
	}
	return two;
}

static void give_two_back(const struct two_caches *two)
{
	snapshot_unref(two->few);
	snapshot_unref(two->many);
}

static pid_t writers[2];

static pid_t start_writer(const struct two_caches *two, const char *path)
{
	pid_t child = fork();

	assert_true(child >= 0);
	while (child == 0) {
		(void)kept_write(path, two->few, KEPT_TIME);
		(void)kept_write(path, two->many, KEPT_TIME);
	}
	writers[writers[0] != 0] = child;
	return child;
}

static void end_writer(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	writers[writers[1] == child] = 0;
}

/* Those of a test that has failed as well: they would write for ever. */
static int end_writers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++)
		if (writers[i] != 0)
			end_writer(writers[i]);
	return kept_remove_folder(state);
}

static void expect_whole(const char *path)
{
	struct snapshot *s = kept_usual();
	struct persist_outcome o = kept_read(path, s, KEPT_TIME);

	assert_int_equal(o.verdict, PERSIST_DONE);
	assert_true(o.entries == 1000 || o.entries == 3000);
	assert_int_equal(o.left_out, 0);
	snapshot_unref(s);
}

static void wait_for_file(const char *path)
{
	struct timespec moment = {.tv_nsec = 1000000};

	while (access(path, F_OK) != 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static void a_writer_killed_at_any_moment_leaves_a_whole_file(void **state)
{
	enum { KILLS = 200, DELAY_MOST_US = 12000 };
	struct two_caches two = make_two();
	char path[128];
	unsigned dice = 1;

	(void)state;
	snprintf(path, sizeof(path), "%s", kept_path("cache"));
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t child = start_writer(&two, path);
		wait_for_file(path);
		dice = dice * 1103515245u + 12345u;
		struct timespec moment = {.tv_nsec = (long)(dice >> 8) % DELAY_MOST_US * 1000};
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
		end_writer(child);
		expect_whole(path);
		assert_int_equal(unlink(path), 0);
	}
	give_two_back(&two);
}

/* As another process that writes there; returns what it holds open. */
static int write_as_another(void)
{
	int fd = open(kept_path("cache.new"), O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(write(fd, "half", 4), 4);
	return fd;
}

static void what_another_process_writes_is_left_to_it(void **state)
{
	struct snapshot *s = kept_usual();
	int another = write_as_another();

	(void)state;
	struct persist_outcome o = kept_write(kept_path("cache"), s, KEPT_TIME);
	assert_int_equal(o.verdict, PERSIST_SYSTEM);
	assert_int_equal(o.error, EBUSY);
	/* Which is no reason not to start. */
	assert_int_equal(persist_file_try(kept_path("cache")).verdict, PERSIST_DONE);
	struct stat status, theirs;
	assert_int_equal(stat(kept_path("cache.new"), &status), 0);
	assert_int_equal(fstat(another, &theirs), 0);
	assert_int_equal(status.st_ino, theirs.st_ino);
	/* Killed, it writes no more. */
	close(another);
	assert_int_equal(kept_write(kept_path("cache"), s, KEPT_TIME).verdict, PERSIST_DONE);
	assert_int_equal(access(kept_path("cache.new"), F_OK), -1);
	snapshot_unref(s);
}

static void two_writers_of_one_path_leave_a_whole_file(void **state)
{
	struct two_caches two = make_two();
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s", kept_path("cache"));
	pid_t first = start_writer(&two, path), second = start_writer(&two, path);
	wait_for_file(path);
	for (unsigned i = 0; i < 100; i++)
		expect_whole(path);
	end_writer(first);
	end_writer(second);
	give_two_back(&two);
}

/* ---- how long it takes: of the processor, for machines are shared */

static double seconds_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void a_hundred_thousand_answers_are_read_at_once(void **state)
{
	static const char zones_conf[] = KEPT_ZONES "cache: {size: 32MiB}\n";
	struct snapshot *from = kept_snapshot(zones_conf), *to = kept_snapshot(zones_conf);
	struct timespec begin;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "host%u.phz.corp.example", i);
		kept_put(from, name, (uint8_t)i, KEPT_NOW_S);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	assert_int_equal(kept_write(kept_path("cache"), from, KEPT_TIME).entries, 100000);
	double wrote_s = seconds_since(&begin);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	assert_int_equal(kept_read(kept_path("cache"), to, KEPT_TIME).entries, 100000);
	double read_s = seconds_since(&begin);
	print_message("written in %.3f s, read in %.3f s\n", wrote_s, read_s);
	assert_true(read_s < 10); /* a twentieth of it without sanitizers */
	assert_int_equal(kept_get(to, "host99999.phz.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	assert_int_equal(kept_body[15], (uint8_t)99999);
	snapshot_unref(from);
	snapshot_unref(to);
}

#define KEPT_TEST(name) cmocka_unit_test_setup_teardown(name, kept_make_folder, end_writers)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEPT_TEST(what_was_written_is_read_into_another_cache),
		KEPT_TEST(an_empty_cache_is_a_file_too),
		KEPT_TEST(a_file_of_any_length_is_read_again),
		KEPT_TEST(ttls_go_on_by_the_wall_clock),
		KEPT_TEST(a_clock_behind_the_file_means_that_no_time_has_passed),
		KEPT_TEST(what_is_past_serve_stale_is_not_even_written),
		KEPT_TEST(with_stale_answers_off_only_fresh_ones_are_read),
		KEPT_TEST(every_changed_octet_is_noticed),
		KEPT_TEST(a_file_of_any_other_length_is_refused),
		KEPT_TEST(what_is_no_cache_or_too_large_is_refused),
		KEPT_TEST(a_symbolic_link_is_neither_read_nor_replaced),
		KEPT_TEST(a_file_of_another_user_is_neither_read_nor_replaced),
		KEPT_TEST(a_file_that_others_may_write_is_replaced_but_not_read),
		KEPT_TEST(the_file_is_the_users_alone_whatever_the_umask),
		KEPT_TEST(folders_and_pipes_are_refused_without_waiting),
		KEPT_TEST(a_path_that_cannot_be_written_says_why),
		KEPT_TEST(trying_leaves_nothing_behind),
		KEPT_TEST(a_plain_name_is_a_file_in_the_working_folder),
		KEPT_TEST(a_full_disk_leaves_the_old_file),
		KEPT_TEST(a_cancelled_write_leaves_the_old_file),
		KEPT_TEST(a_writer_killed_at_any_moment_leaves_a_whole_file),
		KEPT_TEST(what_another_process_writes_is_left_to_it),
		KEPT_TEST(two_writers_of_one_path_leave_a_whole_file),
		KEPT_TEST(a_hundred_thousand_answers_are_read_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
