/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_LANDLOCK_H
#define SYS_LANDLOCK_H
/* Which files the process can still open: those in a few folders, whatever its user may do elsewhere. Landlock, by its system calls: see
 * landlock(7). A rule names the folder of a file and not the file, because it holds on to an inode, and files get replaced.
 * For reading, the folders in which symbolic links on the way lie are open as well: so a link may be made to lead elsewhere below its
 * folder.
 * The root is never opened, as all files are below it: of a file that lies in the root itself the inode can be read, nothing changed. */

#include "base/base.h"

enum landlock_right {
	LANDLOCK_RIGHT_READ,   /* files and folders may be read */
	LANDLOCK_RIGHT_CHANGE, /* and files made, written, renamed and removed */
};

struct landlock_rule {
	const char *path; /* of a file: its folder is meant, and if symbolic links are on the way the folder that they lead to as well */
	enum landlock_right right;
};

/* The version of the kernel's landlock, or -errno: -ENOSYS and -EOPNOTSUPP where it has none, or none switched on. */
int landlock_version(void);

/* `path` leads to a file that is there, and that lies in the root itself: once it is replaced it is out of reach. */
bool landlock_in_root(const char *path);

/* From now on this thread, and those that it starts, can open what the rules say and nothing else; what is open stays so. A folder to
 * read in that is not there yet stands for the nearest one above it, but never for the root. 0 or -errno. */
NODISCARD int landlock_enter(const struct landlock_rule *rules, size_t count);

#endif
