/* SPDX-License-Identifier: Apache-2.0 */
/* How it can fail: without /proc the file cannot be connected to, and the path alone is left. A daemon that was started anew has another
 * file, which is found by the path or, where that cannot be passed, not at all: the keeper starts us anew with it. */
#include "http/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FD_PATH_BYTES = 32 };

/* One part of the way. A folder can be passed by its owner where nobody else can: for files, we are the owner for this moment. */
static int step(int folder, const char *name)
{
	struct stat status;
	int fd = openat(folder, name, O_PATH | O_CLOEXEC), error = errno;

	if (fd < 0 && error == EACCES && fstat(folder, &status) == 0) {
		(void)setfsuid(status.st_uid);
		fd = openat(folder, name, O_PATH | O_CLOEXEC);
		error = errno;
		(void)setfsuid(geteuid());
	}
	return fd >= 0 ? fd : -error;
}

/* The file itself, by a way that is gone part by part; or -errno. */
static int open_by_parts(const char *path)
{
	char name[NAME_MAX + 1];
	int at = open(*path == '/' ? "/" : ".", O_PATH | O_CLOEXEC);

	if (at < 0)
		return -errno;
	for (path += strspn(path, "/"); *path != '\0' && at >= 0; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");
		int next = len < sizeof(name) ? snprintf(name, sizeof(name), "%.*s", (int)len, path) : -ENAMETOOLONG;
		if (next >= 0)
			next = step(at, name);
		close(at);
		at = next;
		path += len;
	}
	return at;
}

void socket_file_find(struct socket_file *f, const char *path)
{
	*f = (struct socket_file){.path = path, .fd = -1, .error = -EACCES};
	if (geteuid() != 0)
		return;
	int fd = open_by_parts(path);
	f->fd = fd >= 0 ? fd : -1;
	f->error = fd >= 0 ? 0 : fd;
}

gid_t socket_file_group(const struct socket_file *f, gid_t otherwise)
{
	struct stat status;

	return f->fd >= 0 && fstat(f->fd, &status) == 0 ? status.st_gid : otherwise;
}

int socket_file_ask(const struct socket_file *f, const char *line, struct control_reply *reply, int timeout_ms)
{
	char by_fd[FD_PATH_BYTES];
	int error = control_ask(f->path, line, reply, timeout_ms);

	if (error != -EACCES)
		return error;
	if (f->fd < 0)
		return f->error; /* that of root, who saw more */
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", f->fd);
	int again = control_ask(by_fd, line, reply, timeout_ms);
	return again == -ENOENT ? error : again; /* there is no /proc */
}

void socket_file_forget(struct socket_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
