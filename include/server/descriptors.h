/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_DESCRIPTORS_H
#define SERVER_DESCRIPTORS_H
/* How many files, sockets above all, the process may have open (RLIMIT_NOFILE), and what of that is for source ports. */

#include "server/snapshot.h"

/* To the hard limit. Before the process is confined: limits are not raised from inside. */
void descriptors_raise(void);

/* How many source ports each of `threads` may have open: half of the descriptors are for them. 0: as many as it likes. Says so when that
 * is fewer than zones.conf asks for. */
uint32_t descriptors_share(const struct snapshot *s, uint32_t threads);

/* How many connections clients may have over TCP: what zones.conf says, unless source ports and the rest then ran out of descriptors. Says
 * so when that is fewer than zones.conf asks for, once for each number that it asks for: `said` (kept by the caller, 0 at first) is the
 * last one. */
uint32_t descriptors_connections(const struct snapshot *s, uint32_t threads, uint32_t *said);

#endif
