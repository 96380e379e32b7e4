/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CONTROL_H
#define NET_CONTROL_H
/* The control socket: a Unix stream socket with one line in and one line out, and file descriptors beside the reply if need be. What the
 * lines say is not looked at here.
 *
 * The socket's file has mode 0660, so who may talk to us is decided by its owner and group; the kernel's word on the other side
 * (SO_PEERCRED) is asked as well: root, ourselves, or a member of the file's group. */

#include <sys/types.h>

#include "net/loop.h"

enum {
	CONTROL_LINE_BYTES = 64 * 1024,     /* more is no command */
	CONTROL_CLIENTS = 32,               /* at the limit the oldest is closed */
	CONTROL_PATIENCE_US = 10 * 1000000, /* for a whole line to come, and again for its reply to be taken */
	CONTROL_PATH_MAX = 108,             /* sockaddr_un, with the zero */
};

struct control;

/* A line without its end, from somebody who may give commands. */
struct control_line {
	const char *text; /* lent; a zero behind it, and perhaps in it */
	size_t len;
	uid_t uid;
	pid_t pid;
};

/* One line, its end left out, and what travels with it. Whoever gets one frees it by control_reply_deinit. */
struct control_reply {
	char *text; /* heap, len and a zero; NULL: nothing is said */
	size_t len;
	int *fds; /* heap; owned. They reach the other side before the line's end does */
	size_t fd_count;
	uid_t uid; /* who serves there, as the kernel says; set by control_ask once it is connected, whatever comes then */
	pid_t pid;
};

void control_reply_deinit(struct control_reply *r);

/* Fills `reply` (zeroed), which is taken over. Must not close the socket. */
typedef void control_fn(void *arg, const struct control_line *line, struct control_reply *reply);

/* Binds `path`, and makes its folder (0750) if only that is missing. A socket's file that nobody serves any more is replaced. Returns a
 * descriptor that is not yet listened on, or -errno: -EADDRINUSE when somebody serves there, -EEXIST when the file is no socket. */
NODISCARD int control_open(const char *path);

/* Serves on what control_open returned, from now on; `fd` is taken over, also on failure. NULL without memory. */
NODISCARD struct control *control_new(struct loop *l, int fd, control_fn *handle, void *arg);

/* Closes all, and removes the file if it is still ours. loop_free does so as well. */
void control_close(struct control *c);

/* Closes all but leaves the file: another process listens on the same socket. */
void control_leave(struct control *c);

int control_fd(const struct control *c); /* lent */

/* Whether `fd` is a socket like those of control_open, bound to `path`. */
bool control_is_at(int fd, const char *path);

/* The other side, without a loop: sends `line` and waits for the reply, `timeout_ms` in all. Returns 0, or -errno: -ENOENT and
 * -ECONNREFUSED when nobody serves there, -ETIMEDOUT, -EPROTO when the connection ended without a line. */
NODISCARD int control_ask(const char *path, const char *line, struct control_reply *reply, int timeout_ms);

#endif
