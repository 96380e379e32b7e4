/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: the checksum is SipHash-1-3, 64 KiB at a time, each block keyed by the sum so far
 * (4 GB/s); damage goes unnoticed once in 2^64. It tells damage, not forgery: whoever can write the file could write its sum, hence every
 * record is judged as a stranger's. A record of an A answer with a name of 30 octets takes 72 octets; 100,000 of them are written in 20 ms
 * and read in 30 ms. A file may be larger than the cache, which may have been made smaller since; 1 GiB is read in some seconds, more
 * would delay a start. */
#include "server/persist_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "server/persist_record.h"
#include "wire/dns.h"

enum {
	BLOCK_BYTES = 64 * 1024,
	WINDOW_BYTES = 2 * BLOCK_BYTES,
	BATCH_BYTES = 256 * 1024,       /* what a shard of most caches holds */
	OVERHEAD_BYTES = PERSIST_FILE_HEAD_BYTES + PERSIST_FILE_SUM_BYTES,
};

_Static_assert((int)PERSIST_RECORD_MAX_BYTES < (int)WINDOW_BYTES, "a full window holds a whole record");

static const uint64_t SIZE_MOST = UINT64_C(1) << 30;
static const uint8_t magic[8] = {'R', '5', '3', 'C', 'A', 'C', 'H', 'E'};

/* A folder, the file's name in it, and what the next one is called until it is whole. */
struct place {
	int folder;
	char name[NAME_MAX + 1];
	char fresh[NAME_MAX + sizeof(".new")];
};

const char *persist_file_reason(const struct persist_outcome *o)
{
	static const char *const texts[] = {
		[PERSIST_DONE] = "it is sound",
		[PERSIST_ABSENT] = "there is none",
		[PERSIST_CANCELLED] = "it was cancelled",
		[PERSIST_LINK] = "it is a symbolic link",
		[PERSIST_IRREGULAR] = "it is no regular file",
		[PERSIST_OWNER] = "it belongs to another user",
		[PERSIST_EXPOSED] = "other users may write it",
		[PERSIST_STRANGE] = "it is no cache of r53fwd's",
		[PERSIST_VERSION] = "another version of r53fwd has written it",
		[PERSIST_SIZE] = "it is too large",
		[PERSIST_DAMAGED] = "it is damaged",
	};

	return o->verdict == PERSIST_SYSTEM ? strerror(o->error) : texts[o->verdict];
}

static bool refuse(struct persist_outcome *o, enum persist_verdict verdict)
{
	o->verdict = verdict;
	return false;
}

static bool fail(struct persist_outcome *o)
{
	o->error = errno;
	return refuse(o, PERSIST_SYSTEM);
}

static void put64(uint8_t *p, uint64_t v)
{
	dns_put32(p, (uint32_t)(v >> 32));
	dns_put32(p + 4, (uint32_t)v);
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)dns_get32(p) << 32 | dns_get32(p + 4);
}

static uint64_t add_to_sum(uint64_t sum, const uint8_t *block, size_t len)
{
	const struct hash_key key = {sum, 0};

	return hash_bytes(&key, block, len);
}

/* ---- the place */

/* Whose and of what kind a file must be, whether it is to be read or replaced. */
static bool may_touch(const struct stat *status, struct persist_outcome *o)
{
	if (S_ISLNK(status->st_mode))
		return refuse(o, PERSIST_LINK);
	if (!S_ISREG(status->st_mode))
		return refuse(o, PERSIST_IRREGULAR);
	return status->st_uid == geteuid() || refuse(o, PERSIST_OWNER);
}

/* The folder is held open: what is done later is done in this one, whatever its path leads to then. */
static bool open_place(struct place *p, const char *path, struct persist_outcome *o)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	size_t folder_len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	char folder[PATH_MAX] = ".";

	errno = ENAMETOOLONG;
	if (folder_len >= sizeof(folder) || strlen(name) >= sizeof(p->name))
		return fail(o);
	if (folder_len > 0) {
		memcpy(folder, path, folder_len);
		folder[folder_len] = '\0';
	}
	if (name[0] == '\0')
		return refuse(o, PERSIST_IRREGULAR);
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->fresh, sizeof(p->fresh), "%s.new", name);
	p->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->folder >= 0 || fail(o);
}

/* What is in the place now may be replaced. */
static bool may_replace(const struct place *p, struct persist_outcome *o)
{
	struct stat status;

	if (fstatat(p->folder, p->name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return may_touch(&status, o);
	return errno == ENOENT || fail(o);
}

/* Whoever writes a file holds its lock; where a filesystem has none, nobody is kept out. */
static bool is_anothers(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/* Its name may stand for another file by now, half written by another process that was told the same path. */
static bool is_still_named(const struct place *p, int fd)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && fstatat(p->folder, p->fresh, &there, AT_SYMLINK_NOFOLLOW) == 0 && mine.st_ino == there.st_ino &&
	       mine.st_dev == there.st_dev;
}

static int replace_fresh(const struct place *p)
{
	if (unlinkat(p->folder, p->fresh, 0) != 0 && errno != ENOENT)
		return -1;
	int fd = openat(p->folder, p->fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && is_anothers(fd)) { /* who took it for a leftover, in this moment */
		close(fd);
		errno = EBUSY;
		return -1;
	}
	return fd;
}

/* What an earlier process left there goes; it was never whole. -1 when it cannot be: EBUSY while another process writes it. */
static int create_fresh(const struct place *p, struct persist_outcome *o)
{
	int there = openat(p->folder, p->fresh, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), fd = -1;

	if (there >= 0 && (is_anothers(there) || !is_still_named(p, there))) /* or done in this moment, and the next one is begun */
		errno = EBUSY;
	else
		fd = replace_fresh(p);
	if (fd < 0)
		fail(o);
	if (there >= 0)
		close(there);
	return fd;
}

struct persist_outcome persist_file_try(const char *path)
{
	struct persist_outcome o = {.verdict = PERSIST_DONE};
	struct place p;

	if (!open_place(&p, path, &o))
		return o;
	if (may_replace(&p, &o)) {
		int fd = create_fresh(&p, &o);
		if (fd >= 0) {
			unlinkat(p.folder, p.fresh, 0);
			close(fd);
		} else if (o.error == EBUSY) { /* by another process: it can be */
			o.verdict = PERSIST_DONE;
		}
	}
	close(p.folder);
	return o;
}

/* ---- writing */

/* Octets on their way to the disk, in the blocks of the checksum. */
struct sink {
	int fd;
	bool failed; /* errno was kept in `error` */
	int error;
	size_t used;
	uint64_t sum, bytes;
	uint8_t block[BLOCK_BYTES];
};

/* The records of one shard. */
struct batch {
	const struct persist_plan *plan;
	struct persist_outcome *outcome;
	uint8_t *bytes; /* heap */
	size_t used, room;
	bool no_memory;
};

struct writing {
	struct sink sink;
	struct batch batch;
};

static void write_all(struct sink *s, const uint8_t *bytes, size_t len)
{
	while (len > 0 && !s->failed) {
		ssize_t wrote = write(s->fd, bytes, len);
		if (wrote < 0 && errno != EINTR) {
			s->failed = true;
			s->error = errno;
		} else if (wrote > 0) {
			bytes += wrote;
			len -= (size_t)wrote;
			s->bytes += (uint64_t)wrote;
		}
	}
}

static void flush(struct sink *s)
{
	s->sum = add_to_sum(s->sum, s->block, s->used);
	write_all(s, s->block, s->used);
	s->used = 0;
}

static void put(struct sink *s, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t piece = MIN(len, sizeof(s->block) - s->used);
		memcpy(s->block + s->used, bytes, piece);
		s->used += piece;
		bytes += piece;
		len -= piece;
		if (s->used == sizeof(s->block))
			flush(s);
	}
}

static bool make_room(struct batch *b, size_t len)
{
	size_t room = MAX(b->room, (size_t)BATCH_BYTES);

	while (room - b->used < len)
		room *= 2;
	if (room == b->room)
		return true;
	uint8_t *grown = realloc(b->bytes, room);
	if (grown == NULL) {
		b->no_memory = true;
		return false;
	}
	b->bytes = grown;
	b->room = room;
	return true;
}

/* Under the shard's lock: copies and nothing else. */
static bool note(void *arg, const struct cache_entry *e)
{
	struct batch *b = arg;
	const struct persist_plan *plan = b->plan;
	size_t len = persist_record_bytes(e);

	if (persist_record_is_past(persist_record_age_s(e, plan->time.now_s), e->expires_s - e->stored_s, plan->serve_stale_s)) {
		b->outcome->left_out++;
		return true;
	}
	if (!make_room(b, len))
		return false;
	persist_record_write(e, plan->time.now_s, b->bytes + b->used);
	b->used += len;
	b->outcome->entries++;
	return true;
}

static bool is_cancelled(const struct persist_plan *plan)
{
	return plan->cancelled != NULL && atomic_load(plan->cancelled);
}

static void put_head(struct sink *s, const struct persist_time *time)
{
	uint8_t head[PERSIST_FILE_HEAD_BYTES];

	memcpy(head, magic, sizeof(magic));
	dns_put32(head + 8, PERSIST_FILE_VERSION);
	put64(head + 12, time->wall_s);
	put(s, head, sizeof(head));
}

static void put_sum(struct sink *s)
{
	uint8_t sum[PERSIST_FILE_SUM_BYTES];

	if (s->used > 0)
		flush(s);
	put64(sum, s->sum);
	write_all(s, sum, sizeof(sum));
}

static bool write_records(struct writing *w, const struct persist_plan *plan, struct persist_outcome *o)
{
	struct sink *s = &w->sink;
	struct batch *b = &w->batch;

	put_head(s, &plan->time);
	for (uint32_t i = 0; i < cache_shards(plan->cache) && !s->failed; i++) {
		if (is_cancelled(plan))
			return refuse(o, PERSIST_CANCELLED);
		b->used = 0;
		cache_each_of_shard(plan->cache, i, note, b);
		errno = ENOMEM;
		if (b->no_memory)
			return fail(o);
		put(s, b->bytes, b->used);
	}
	put_sum(s);
	errno = s->error;
	o->bytes = s->bytes;
	return !s->failed || fail(o);
}

static bool put_in_place(const struct place *p, int fd, const struct persist_plan *plan, struct persist_outcome *o)
{
	if (fsync(fd) != 0)
		return fail(o);
	if (is_cancelled(plan))
		return refuse(o, PERSIST_CANCELLED);
	errno = EBUSY;
	if (!is_still_named(p, fd) || renameat(p->folder, p->fresh, p->folder, p->name) != 0)
		return fail(o);
	/* It is in place, whole and on the disk. Without this, which not every filesystem can, a crash may bring the old one back. */
	(void)fsync(p->folder);
	return true;
}

static bool write_open(int fd, const struct persist_plan *plan, struct persist_outcome *o)
{
	struct writing *w = malloc(sizeof(*w));

	if (w == NULL)
		return fail(o);
	w->sink.fd = fd;
	w->sink.failed = false;
	w->sink.error = 0;
	w->sink.used = 0;
	w->sink.sum = w->sink.bytes = 0;
	w->batch = (struct batch){.plan = plan, .outcome = o};
	bool wrote = write_records(w, plan, o);
	free(w->batch.bytes);
	free(w);
	return wrote;
}

static void write_fresh(const struct place *p, const struct persist_plan *plan, struct persist_outcome *o)
{
	int fd = create_fresh(p, o);

	if (fd < 0)
		return;
	bool wrote = write_open(fd, plan, o) && put_in_place(p, fd, plan, o);
	if (!wrote && is_still_named(p, fd))
		unlinkat(p->folder, p->fresh, 0);
	close(fd);
}

struct persist_outcome persist_file_write(const struct persist_plan *plan)
{
	struct persist_outcome o = {.verdict = PERSIST_DONE};
	struct place p;

	if (!open_place(&p, plan->path, &o))
		return o;
	if (may_replace(&p, &o))
		write_fresh(&p, plan, &o);
	close(p.folder);
	return o;
}

struct persist_outcome persist_file_write_to(int fd, const struct persist_plan *plan)
{
	struct persist_outcome o = {.verdict = PERSIST_DONE};

	(void)write_open(fd, plan, &o);
	return o;
}

/* ---- reading */

/* A file that became shorter while it was read is damaged. */
static bool read_at(int fd, uint8_t *out, size_t len, uint64_t at, struct persist_outcome *o)
{
	while (len > 0) {
		ssize_t got = pread(fd, out, len, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? refuse(o, PERSIST_DAMAGED) : fail(o);
		out += got;
		len -= (size_t)got;
		at += (uint64_t)got;
	}
	return true;
}

static bool judge_head(const uint8_t *head, struct persist_outcome *o)
{
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return refuse(o, PERSIST_STRANGE);
	return dns_get32(head + 8) == PERSIST_FILE_VERSION || refuse(o, PERSIST_VERSION);
}

/* Reads all of it once: nothing is taken before the whole is known to be sound. */
static bool verify(int fd, uint8_t *block, uint64_t *wall_s, struct persist_outcome *o)
{
	uint64_t end = o->bytes - PERSIST_FILE_SUM_BYTES, sum = 0;

	for (uint64_t at = 0; at < end; at += BLOCK_BYTES) {
		size_t len = (size_t)MIN(end - at, (uint64_t)BLOCK_BYTES);
		if (!read_at(fd, block, len, at, o) || (at == 0 && !judge_head(block, o)))
			return false;
		if (at == 0)
			*wall_s = get64(block + 12);
		sum = add_to_sum(sum, block, len);
	}
	if (!read_at(fd, block, PERSIST_FILE_SUM_BYTES, end, o))
		return false;
	return get64(block) == sum || refuse(o, PERSIST_DAMAGED);
}

static bool take_all(int fd, struct persist_reading *r, uint8_t *window, struct persist_outcome *o)
{
	uint64_t at = PERSIST_FILE_HEAD_BYTES, end = o->bytes - PERSIST_FILE_SUM_BYTES;
	size_t have = 0, more;

	while ((more = (size_t)MIN(end - at, (uint64_t)(WINDOW_BYTES - have))) > 0) {
		if (!read_at(fd, window + have, more, at, o))
			return false;
		at += more;
		have += more;
		size_t took = persist_record_read(r, window, have);
		have -= took;
		memmove(window, window + took, have);
	}
	r->left_out += have > 0; /* the last one is cut, and the sum is right: no file of ours */
	return true;
}

static bool may_read(int fd, struct persist_outcome *o)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return fail(o);
	return may_touch(&status, o) && ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0 || refuse(o, PERSIST_EXPOSED));
}

static bool has_right_size(int fd, const struct snapshot *s, struct persist_outcome *o)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return fail(o);
	o->bytes = (uint64_t)status.st_size;
	if (o->bytes == 0)
		return refuse(o, PERSIST_ABSENT);
	if (o->bytes > MAX(SIZE_MOST, 2 * s->config->cache.size_bytes))
		return refuse(o, PERSIST_SIZE);
	return o->bytes >= OVERHEAD_BYTES || refuse(o, PERSIST_DAMAGED);
}

static void read_open(int fd, struct snapshot *s, const struct persist_time *time, struct persist_outcome *o)
{
	uint64_t wall_s = 0;

	if (!has_right_size(fd, s, o))
		return;
	struct persist_reading *r = malloc(sizeof(*r));
	uint8_t *window = malloc(WINDOW_BYTES);
	if (r == NULL || window == NULL) {
		fail(o);
	} else if (verify(fd, window, &wall_s, o)) {
		r->snapshot = s;
		r->now_s = time->now_s;
		r->passed_s = time->wall_s > wall_s ? (uint32_t)MIN(time->wall_s - wall_s, (uint64_t)UINT32_MAX) : 0;
		r->entries = r->left_out = 0;
		take_all(fd, r, window, o);
		o->entries = r->entries;
		o->left_out = r->left_out;
	}
	free(window);
	free(r);
}

struct persist_outcome persist_file_read(const char *path, struct snapshot *s, const struct persist_time *time)
{
	struct persist_outcome o = {.verdict = PERSIST_DONE};
	/* Not waiting: it may be a pipe. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0) {
		if (may_read(fd, &o))
			read_open(fd, s, time, &o);
		close(fd);
	} else if (errno == ENOENT || errno == ELOOP) {
		refuse(&o, errno == ENOENT ? PERSIST_ABSENT : PERSIST_LINK);
	} else {
		fail(&o);
	}
	return o;
}

struct persist_outcome persist_file_read_from(int fd, struct snapshot *s, const struct persist_time *time)
{
	struct persist_outcome o = {.verdict = PERSIST_DONE};

	read_open(fd, s, time, &o);
	return o;
}
