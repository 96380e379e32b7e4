/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_CONFINE_H
#define SERVER_CONFINE_H
/* What the daemon gives up before its first thread starts: first who it is (`user`), once its sockets are bound; then, once its control
 * socket is made, what it does not need for serving (`sandbox`): capabilities, files elsewhere, system calls. A kernel that lacks one of
 * the walls is no reason not to serve: it is said once. */

#include <sys/types.h>

#include "config/config.h"

enum { CONFINE_FOLDER_MAX = 4096 };

struct confine {
	bool walled;                     /* files outside the known folders are out of reach */
	char folder[CONFINE_FOLDER_MAX]; /* where `persist` lies; empty: nowhere */
};

/* Becomes the `user` of `c`, if it names one. False: it cannot, and said why. */
NODISCARD bool confine_become(const struct config *c);

/* Whom confine_become leads to: ourselves without `user`, or if there is no such user. */
uid_t confine_uid(const struct config *c);

bool confine_same_user(const struct config *a, const struct config *b);

/* Before the first event loop is made, and after confine_become: loops are made without io_uring, which the walls would take from them.
 * Does nothing when `sandbox` is off. */
void confine_forbid_rings(const struct config *c);

/* Does nothing but say so when `sandbox` is off. Before it builds the walls it warns of a zones.conf, and of files that local upstreams are
 * taken from, that who we are by now may not read. */
void confine_enter(struct confine *k, const struct config *c, const char *zones_path);

/* Is a file there that this process may not read: because of who it is by now, or of the sandbox, which knows the folders of the start and
 * none that was made anew since? */
bool confine_denies(const char *path);

/* Can `persist` of another configuration be written without a restart? NULL: nothing is to be written. */
bool confine_reaches(const struct confine *k, const char *persist);

#endif
