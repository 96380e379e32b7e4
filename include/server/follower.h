/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_FOLLOWER_H
#define SERVER_FOLLOWER_H
/* The local upstreams of a zones.conf that names none follow resolv.conf: looked at each second, so that replaced, rewritten or
 * bind-mounted files are all seen alike, and at each reload.
 *
 * Who is taken stays where nobody better is known: when a file names nobody but us any more, when it cannot be looked at for want of
 * descriptors say, and when it is one that this process may not read any more. Then a file further down the row, which says less well who
 * answers, does not stand in for it; one before it does, as always. */

#include "config/config.h"
#include "config/resolv.h"

struct follower {
	const char *const *paths; /* resolv_paths(), or a test's */
	bool warned;              /* that somebody is kept */
};

/* At the start. Empty if it could not be looked at: the next look will see. */
void follower_begin(struct follower *f, const char *const *paths, const struct config *c, struct resolv *r);

/* Whom to take at a reload, where `taken` is in force: never nobody instead of somebody. */
void follower_reload(const struct follower *f, const struct config *c, const struct resolv *taken, struct resolv *r);

/* True if `r` is to be taken instead of `taken`. Why somebody is kept is logged once. */
NODISCARD bool follower_look(struct follower *f, const struct config *c, const struct resolv *taken, struct resolv *r);

#endif
