/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_PERSIST_H
#define SERVER_PERSIST_H
/* `cache: {persist: PATH}`: when the cache goes to the disk and comes from it (server/persist_file.h says how); and how it goes from one
 * instance to the next.
 *
 * The life of it: read once at the start, before anybody asks → written every `persist-interval` if something has changed, within a
 * second or so when an endpoint goes down, for that is when it may be needed, and at the stop. The writing is done by a thread of its own:
 * a disk that takes its time holds up neither workers nor probes. A reload may change the path, which is then written soon.
 * How it can fail: a path that cannot be written ends the start with one sentence; a file that is damaged or not ours is not read, with a
 * warning; while running a write that fails is a warning, and the next interval's is the next try.
 *
 * Main thread only. */

#include "server/snapshot.h"

struct persist;

enum {
	PERSIST_GAP_US = 10 * 1000000,   /* an outage does not have it written sooner than this after it was begun last */
	PERSIST_STOP_US = 10 * 1000000,  /* so long a stop waits for the disk */
	PERSIST_QUIET_US = 900 * 1000000, /* the same failure is said again after this */
};

/* Looks whether the path can be written. Without `persist:` it does nothing, and nothing will be done. NULL when the path cannot be
 * written, or without memory: said why. */
NODISCARD struct persist *persist_new(struct snapshot *s, uint64_t now_us);
void persist_free(struct persist *p);

/* Takes what the file holds into the cache of `s`; once, before anybody asks. Not after persist_unpack: the file is older, and may
 * hold what was flushed since. */
void persist_load(struct persist *p, struct snapshot *s, uint64_t now_us);

/* Each second or so. `answers`: a number that grows with each answer that was kept. True if writing was begun. */
bool persist_clock(struct persist *p, struct snapshot *s, uint64_t answers, uint64_t now_us);

/* An endpoint went down: the next persist_clock writes. */
void persist_soon(struct persist *p);

/* Writes for the last time and waits for it. Nobody may be serving any more. */
void persist_stop(struct persist *p, struct snapshot *s, uint64_t now_us);

/* Another process is about to take over, or has: what is being written is cancelled, and nothing is written again, at the stop neither,
 * unless persist_enable says that the file is ours. */
void persist_disable(struct persist *p);
void persist_enable(struct persist *p);

/* All that is known in a file without a name, for whoever takes over; whether or not there is a `persist:`. Some 0.2 s for a million
 * answers, in which nothing else is done by this thread. -1: said why. */
NODISCARD int persist_pack(const struct snapshot *s, uint64_t now_us);

/* The other side: takes into the cache of `s` what such a file holds, as careful as with one from the disk. `fd` is closed; -1: none.
 * False if nothing was taken. */
bool persist_unpack(int fd, struct snapshot *s, uint64_t now_us);

#endif
