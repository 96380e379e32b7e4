/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

static struct faults own;
struct faults *faults = &own;

/* What the linker makes of a wrapped call, and what it leads to. */
#define WRAPPED(type, name, ...)                                                                                                           \
	type __real_##name(__VA_ARGS__);                                                                                                   \
	type __wrap_##name(__VA_ARGS__);                                                                                                   \
	type __wrap_##name(__VA_ARGS__)

int __real_open(const char *path, int flags, ...);
void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);

__attribute__((constructor)) static void map_file(void)
{
	const char *path = getenv("R53FWD_FAULTS");
	int fd = path != NULL ? __real_open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *page = __real_mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		faults = page;
	close(fd);
}

void faults_arm(uint64_t n)
{
	faults->fail_at = n == 0 ? 0 : faults->calls + n;
}

void faults_mean(const char *only)
{
	faults_arm(0);
	snprintf(faults->only, sizeof(faults->only), "%s", only);
}

static bool is_due(const char *kind, const char *name)
{
	if (faults->only[0] != '\0' && strcmp(faults->only, kind) != 0 && strcmp(faults->only, name) != 0)
		return false;
	uint64_t call = ++faults->calls, from = faults->fail_at, count = faults->fail_count;

	if (from == 0 || call < from || call >= from + (count == 0 ? 1 : count))
		return false;
	faults->failed++;
	return true;
}

static int error_or(int usual)
{
	int error = (int)faults->error;

	return error != 0 ? error : usual;
}

/* ---- memory */

static bool is_out_of_memory(const char *name)
{
	if (!is_due("memory", name))
		return false;
	errno = ENOMEM;
	return true;
}

WRAPPED(void *, malloc, size_t size)
{
	return is_out_of_memory("malloc") ? NULL : __real_malloc(size);
}

WRAPPED(void *, calloc, size_t count, size_t size)
{
	return is_out_of_memory("calloc") ? NULL : __real_calloc(count, size);
}

WRAPPED(void *, realloc, void *memory, size_t size)
{
	return is_out_of_memory("realloc") ? NULL : __real_realloc(memory, size);
}

WRAPPED(void *, reallocarray, void *memory, size_t count, size_t size)
{
	return is_out_of_memory("reallocarray") ? NULL : __real_reallocarray(memory, count, size);
}

WRAPPED(void *, aligned_alloc, size_t alignment, size_t size)
{
	return is_out_of_memory("aligned_alloc") ? NULL : __real_aligned_alloc(alignment, size);
}

WRAPPED(char *, strdup, const char *text)
{
	return is_out_of_memory("strdup") ? NULL : __real_strdup(text);
}

WRAPPED(FILE *, open_memstream, char **text, size_t *len)
{
	return is_out_of_memory("open_memstream") ? NULL : __real_open_memstream(text, len);
}

/* What open_memstream has collected needs memory for the last time. */
WRAPPED(int, fclose, FILE *file)
{
	int closed = __real_fclose(file);

	return is_out_of_memory("fclose") ? EOF : closed;
}

WRAPPED(int, vasprintf, char **text, const char *format, va_list arguments)
{
	return is_out_of_memory("vasprintf") ? -1 : __real_vasprintf(text, format, arguments);
}

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	return is_out_of_memory("mmap") ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

/* ---- libuv */

WRAPPED(int, uv_loop_init, uv_loop_t *loop)
{
	return is_due("libuv", "uv_loop_init") ? -error_or(EMFILE) : __real_uv_loop_init(loop);
}

WRAPPED(int, uv_async_init, uv_loop_t *loop, uv_async_t *handle, uv_async_cb fn)
{
	return is_due("libuv", "uv_async_init") ? -error_or(EMFILE) : __real_uv_async_init(loop, handle, fn);
}

WRAPPED(int, uv_signal_init, uv_loop_t *loop, uv_signal_t *handle)
{
	return is_due("libuv", "uv_signal_init") ? -error_or(EMFILE) : __real_uv_signal_init(loop, handle);
}

WRAPPED(int, uv_signal_start, uv_signal_t *handle, uv_signal_cb fn, int signal)
{
	return is_due("libuv", "uv_signal_start") ? -error_or(EINVAL) : __real_uv_signal_start(handle, fn, signal);
}

/* Asks epoll for the descriptor once, which is where ENOSPC comes from as well (fs.epoll.max_user_watches). */
WRAPPED(int, uv_poll_init, uv_loop_t *loop, uv_poll_t *handle, int fd)
{
	return is_due("libuv", "uv_poll_init") ? -error_or(ENOMEM) : __real_uv_poll_init(loop, handle, fd);
}

/* ---- the system */

static bool is_refused(const char *name, int usual)
{
	if (!is_due("system", name))
		return false;
	errno = error_or(usual);
	return true;
}

/* A call of the system that says -1: its parameters, the arguments that it passes on, the usual errno. */
#define SYSTEM(type, name, usual, parameters, arguments)                                                                                   \
	type __real_##name parameters;                                                                                                     \
	type __wrap_##name parameters;                                                                                                     \
	type __wrap_##name parameters                                                                                                      \
	{                                                                                                                                  \
		return is_refused(#name, usual) ? -1 : __real_##name arguments;                                                            \
	}

SYSTEM(int, socket, EMFILE, (int family, int type, int protocol), (family, type, protocol))
SYSTEM(int, socketpair, EMFILE, (int family, int type, int protocol, int *pair), (family, type, protocol, pair))
SYSTEM(int, bind, EADDRINUSE, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
SYSTEM(int, connect, EADDRNOTAVAIL, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
SYSTEM(int, listen, EADDRINUSE, (int fd, int backlog), (fd, backlog))
SYSTEM(int, accept4, EMFILE, (int fd, struct sockaddr *a, socklen_t *len, int flags), (fd, a, len, flags))
SYSTEM(int, setsockopt, ENOMEM, (int fd, int level, int option, const void *value, socklen_t len), (fd, level, option, value, len))
SYSTEM(int, getsockopt, ENOBUFS, (int fd, int level, int option, void *value, socklen_t *len), (fd, level, option, value, len))
SYSTEM(int, getsockname, ENOBUFS, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len))
SYSTEM(int, getpeername, ENOBUFS, (int fd, struct sockaddr *a, socklen_t *len), (fd, a, len))
SYSTEM(ssize_t, recv, ENOMEM, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags))
SYSTEM(ssize_t, send, ENOBUFS, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags))
SYSTEM(ssize_t, recvmsg, ENOMEM, (int fd, struct msghdr *message, int flags), (fd, message, flags))
SYSTEM(ssize_t, sendmsg, ENOBUFS, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
SYSTEM(int, recvmmsg, ENOMEM, (int fd, struct mmsghdr *heads, unsigned count, int flags, struct timespec *most),
       (fd, heads, count, flags, most))
SYSTEM(int, sendmmsg, ENOBUFS, (int fd, struct mmsghdr *heads, unsigned count, int flags), (fd, heads, count, flags))
SYSTEM(int, fstat, EIO, (int fd, struct stat *status), (fd, status))
SYSTEM(int, stat, EIO, (const char *path, struct stat *status), (path, status))
SYSTEM(int, lstat, EIO, (const char *path, struct stat *status), (path, status))
SYSTEM(int, fstatat, EIO, (int folder, const char *name, struct stat *status, int flags), (folder, name, status, flags))
SYSTEM(ssize_t, read, EIO, (int fd, void *bytes, size_t size), (fd, bytes, size))
SYSTEM(ssize_t, pread, EIO, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
SYSTEM(int, fsync, EIO, (int fd), (fd))
SYSTEM(int, renameat, ENOSPC, (int from, const char *name, int to, const char *other), (from, name, to, other))
SYSTEM(int, unlink, EIO, (const char *path), (path))
SYSTEM(int, unlinkat, EIO, (int folder, const char *name, int flags), (folder, name, flags))
SYSTEM(pid_t, fork, EAGAIN, (void), ())
SYSTEM(int, memfd_create, EMFILE, (const char *name, unsigned flags), (name, flags))
SYSTEM(int, signalfd, EMFILE, (int fd, const sigset_t *signals, int flags), (fd, signals, flags))
SYSTEM(int, dup2, EBUSY, (int fd, int other), (fd, other))
SYSTEM(int, mkdir, ENOSPC, (const char *path, mode_t mode), (path, mode))
SYSTEM(int, poll, ENOMEM, (struct pollfd *fds, nfds_t count, int most_ms), (fds, count, most_ms))
SYSTEM(int, getrlimit, EIO, (int which, struct rlimit *limit), (which, limit))
SYSTEM(int, setrlimit, EPERM, (int which, const struct rlimit *limit), (which, limit))

/* The standard streams are left alone. */
WRAPPED(ssize_t, write, int fd, const void *bytes, size_t len)
{
	return fd > STDERR_FILENO && is_refused("write", ENOSPC) ? -1 : __real_write(fd, bytes, len);
}

static int take_mode(int flags, va_list arguments)
{
	return (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
}

WRAPPED(int, open, const char *path, int flags, ...)
{
	va_list arguments;

	va_start(arguments, flags);
	int mode = take_mode(flags, arguments);
	va_end(arguments);
	return is_refused("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}

/* What open() is with _FORTIFY_SOURCE where the compiler does not know the flags. */
WRAPPED(int, __open_2, const char *path, int flags)
{
	return is_refused("open", EMFILE) ? -1 : __real___open_2(path, flags);
}

WRAPPED(int, openat, int folder, const char *name, int flags, ...)
{
	va_list arguments;

	va_start(arguments, flags);
	int mode = take_mode(flags, arguments);
	va_end(arguments);
	return is_refused("openat", EMFILE) ? -1 : __real_openat(folder, name, flags, mode);
}

/* All uses of ours have a number for an argument, or none. */
WRAPPED(int, fcntl, int fd, int command, ...)
{
	va_list arguments;

	va_start(arguments, command);
	long argument = va_arg(arguments, long);
	va_end(arguments);
	return is_refused("fcntl", EMFILE) ? -1 : __real_fcntl(fd, command, argument);
}

WRAPPED(int, pthread_create, pthread_t *thread, const pthread_attr_t *how, void *(*fn)(void *), void *arg)
{
	return is_due("system", "pthread_create") ? error_or(EAGAIN) : __real_pthread_create(thread, how, fn, arg);
}
