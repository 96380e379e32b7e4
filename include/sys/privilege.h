/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_PRIVILEGE_H
#define SYS_PRIVILEGE_H
/* As whom the process runs, and what the kernel lets it do because of that. All of this happens while there is one thread: capabilities
 * belong to a thread. Errors are -errno. */

#include <sys/types.h>

#include "base/base.h"

enum { PRIVILEGE_NAME_MAX = 64 };

struct privilege_user {
	uid_t uid;
	gid_t gid;
	char name[PRIVILEGE_NAME_MAX];
};

/* Looks a user up by name. -ENOENT when there is none. */
NODISCARD int privilege_find(const char *name, struct privilege_user *u);

/* Makes the folder that the file `path` is to lie in, unless it is there, and gives it to `u`. What cannot be done here is said by
 * whoever makes the file. */
void privilege_make_folder(const char *path, const struct privilege_user *u);

/* Nothing that is started from now on can have a capability but CAP_NET_BIND_SERVICE, whatever its file says: the bounding set. For root
 * that is about to become somebody by itself; the functions below see to it. Who may not change the set keeps it. */
void privilege_bound(void);

/* Becomes `u` for good, with the groups that the system says it has; CAP_NET_BIND_SERVICE stays, so that a reload may bind port 53. Who
 * is `u` already need not be root; for anybody else -EPERM. */
NODISCARD int privilege_become(const struct privilege_user *u);

/* Gives up every capability but CAP_NET_BIND_SERVICE, those of programs started later too, and the way to new ones (no_new_privs). */
NODISCARD int privilege_shed(void);

/* The same without that exception: for who has bound all that it will. */
NODISCARD int privilege_shed_all(void);

/* For who starts a program that binds a port: like privilege_shed, but the program gets CAP_NET_BIND_SERVICE as well, if it is there. And
 * root keeps the rights to become another user and to end what did so. */
NODISCARD int privilege_shed_to_start(void);

#endif
