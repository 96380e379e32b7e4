/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_LANDLOCK_H
#define SYS_LANDLOCK_H
/* Which files the process can still open: those in a few folders, whatever its user may do elsewhere. Landlock, by its system calls: see
 * landlock(7). A rule names the folder of a file and not the file, because it holds on to an inode, and files get replaced. */

#include "base/base.h"

enum landlock_right {
	LANDLOCK_RIGHT_READ,   /* files and folders may be read */
	LANDLOCK_RIGHT_CHANGE, /* and files made, written, renamed and removed */
};

struct landlock_rule {
	const char *path; /* of a file: its folder is meant, and if it is a symbolic link the folder that it leads to as well */
	enum landlock_right right;
};

/* The version of the kernel's landlock, or -errno: -ENOSYS and -EOPNOTSUPP where it has none, or none switched on. */
int landlock_version(void);

/* From now on this thread, and those that it starts, can open what the rules say and nothing else; what is open stays so. A folder to
 * read in that is not there yet stands for the nearest one above it, but never for the root. 0 or -errno. */
NODISCARD int landlock_enter(const struct landlock_rule *rules, size_t count);

#endif
