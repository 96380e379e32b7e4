/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_PERSIST_FILE_H
#define SERVER_PERSIST_FILE_H
/* The cache as a file: how it is written so that it is never torn, and what is read at all. When that happens is persist.h's, what is
 * in it persist_record.h's.
 *
 *   magic 8 | version 4 | seconds of the wall clock at writing 8 | record … record | checksum 8
 *
 * Numbers are in network byte order. Any thread; blocks on the disk. */

#include "server/snapshot.h"

enum { PERSIST_FILE_HEAD_BYTES = 20, PERSIST_FILE_SUM_BYTES = 8, PERSIST_FILE_VERSION = 1 };

enum persist_verdict {
	PERSIST_DONE,
	PERSIST_ABSENT,     /* no file, or an empty one */
	PERSIST_CANCELLED,
	PERSIST_SYSTEM,     /* refused by the system: `error` says why */
	PERSIST_LINK,       /* a symbolic link: neither read nor replaced */
	PERSIST_IRREGULAR,  /* a folder, device, pipe …: the same */
	PERSIST_OWNER,      /* of somebody else: the same */
	PERSIST_EXPOSED,    /* others may write it: not read */
	PERSIST_STRANGE,    /* not a cache of ours: not read; nor are these: */
	PERSIST_VERSION,
	PERSIST_SIZE,
	PERSIST_DAMAGED,
};

struct persist_outcome {
	enum persist_verdict verdict;
	int error;         /* errno, positive; with PERSIST_SYSTEM */
	uint64_t entries;  /* written, or taken into the cache */
	uint64_t left_out;
	uint64_t bytes;    /* of the file */
};

/* The outcome as the end of a sentence: "it is a symbolic link". Lent until the thread's next call. */
const char *persist_file_reason(const struct persist_outcome *o);

/* Both clocks at one moment: the cache's, and the one that goes on while the machine is off. */
struct persist_time {
	uint32_t now_s;
	uint64_t wall_s;
};

/* What is to be written. */
struct persist_plan {
	const char *path;
	struct cache *cache;
	uint32_t serve_stale_s; /* what has been expired for longer is left out */
	struct persist_time time;
	const _Atomic bool *cancelled; /* NULL, or looked at now and then: once it is true nothing is put in place */
};

/* Whether `path` could be written: makes the file beside it and takes it away again. PERSIST_DONE, or why not. */
struct persist_outcome persist_file_try(const char *path);

/* Writes PATH.new, syncs it and puts it in the place of PATH in one step: whoever looks sees the old one or the new one, whole. Each shard
 * is copied under its lock, then written with none held. */
struct persist_outcome persist_file_write(const struct persist_plan *plan);

/* The same octets to an open, empty file. `path` and `cancelled` of the plan may be NULL. */
struct persist_outcome persist_file_write_to(int fd, const struct persist_plan *plan);

/* Checks `path` to its last octet, then takes into the cache of `s` what persist_record_read says. Nothing is taken from a file that is
 * refused. */
struct persist_outcome persist_file_read(const char *path, struct snapshot *s, const struct persist_time *time);

/* The same from an open file, whosever it is. */
struct persist_outcome persist_file_read_from(int fd, struct snapshot *s, const struct persist_time *time);

#endif
