/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SOCKET_FILE_H
#define HTTP_SOCKET_FILE_H
/* The daemon's control socket as r53fwd-http knows it: by its path, and, where it was root when it started, by the file itself. A daemon
 * that is root may have it in a folder that nobody else can pass, such as one of `mktemp -d`. So the file is taken hold of before root is
 * given up, which allows nothing by itself: who connects still needs to be of the socket's group. */

#include <sys/types.h>

#include "net/control.h"

struct socket_file {
	const char *path; /* lent */
	int fd;           /* the file itself (O_PATH); -1: not known */
	int error;        /* why it is not known, -errno; 0 */
};

/* Takes hold of the file, if we are root; to be called while we are. A folder that root without its powers cannot pass is passed as the
 * one whose it is. One thread alone may run. */
void socket_file_find(struct socket_file *f, const char *path);

/* Of the file, if it was found; else `otherwise`. */
gid_t socket_file_group(const struct socket_file *f, gid_t otherwise);

/* As control_ask. By the path, so that a daemon that came later is found; where the path cannot be passed, by the file. */
NODISCARD int socket_file_ask(const struct socket_file *f, const char *line, struct control_reply *reply, int timeout_ms);

/* Lets go of it. */
void socket_file_forget(struct socket_file *f);

#endif
