/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_RESOLV_H
#define CONFIG_RESOLV_H
/* The nameservers that the host itself uses: our local upstreams when zones.conf names none. */

#include "base/addr.h"

enum { RESOLV_MAX_SERVERS = 8 };

struct resolv {
	const char *path; /* the file that was taken; NULL: none named anyone but ourselves */
	struct addr servers[RESOLV_MAX_SERVERS]; /* port 53 */
	size_t count;
};

/* The files of section 5 of the contract, in their order; NULL ends. R53FWD_RESOLV_CONF in the environment, if set, is the only one. */
const char *const *resolv_paths(void);

/* Takes the first of `paths` that names someone other than `own` (an address of ours with its port: a wildcard `own` stands for
 * every address of its family that this host has). Lines that do not parse are skipped, as glibc does; duplicates too. False when
 * one that may be there could not be looked at now, for want of descriptors or memory, or by an error of the disk: `r` is empty then,
 * rather than from a file further down the row. */
bool resolv_read(struct resolv *r, const char *const *paths, const struct addr *own, size_t own_count);

/* The same ones in the same order, from whichever file. */
bool resolv_same_servers(const struct resolv *a, const struct resolv *b);

/* The same from a text that somebody gave us; it may name any address. `path` stays NULL. */
void resolv_read_text(struct resolv *r, const char *text);

#endif
