/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uv.h>

static struct faults own;
struct faults *faults = &own;

__attribute__((constructor)) static void map_file(void)
{
	const char *path = getenv("R53FWD_FAULTS");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *page = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		faults = page;
	close(fd);
}

void faults_arm(uint64_t n)
{
	faults->fail_at = n == 0 ? 0 : faults->calls + n;
}

static bool is_due(void)
{
	uint64_t call = ++faults->calls, from = faults->fail_at, count = faults->fail_count;

	if (from == 0 || call < from || call >= from + (count == 0 ? 1 : count))
		return false;
	faults->failed++;
	return true;
}

static bool is_out_of_memory(void)
{
	if (!is_due())
		return false;
	errno = ENOMEM;
	return true;
}

/* What the linker makes of a wrapped call, and what it leads to. */
#define WRAPPED(type, name, ...)                                                                                                           \
	type __real_##name(__VA_ARGS__);                                                                                                   \
	type __wrap_##name(__VA_ARGS__);                                                                                                   \
	type __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t size)
{
	return is_out_of_memory() ? NULL : __real_malloc(size);
}

WRAPPED(void *, calloc, size_t count, size_t size)
{
	return is_out_of_memory() ? NULL : __real_calloc(count, size);
}

WRAPPED(void *, realloc, void *memory, size_t size)
{
	return is_out_of_memory() ? NULL : __real_realloc(memory, size);
}

WRAPPED(void *, reallocarray, void *memory, size_t count, size_t size)
{
	return is_out_of_memory() ? NULL : __real_reallocarray(memory, count, size);
}

WRAPPED(void *, aligned_alloc, size_t alignment, size_t size)
{
	return is_out_of_memory() ? NULL : __real_aligned_alloc(alignment, size);
}

WRAPPED(char *, strdup, const char *text)
{
	return is_out_of_memory() ? NULL : __real_strdup(text);
}

WRAPPED(FILE *, open_memstream, char **text, size_t *len)
{
	return is_out_of_memory() ? NULL : __real_open_memstream(text, len);
}

WRAPPED(int, vasprintf, char **text, const char *format, va_list arguments)
{
	return is_out_of_memory() ? -1 : __real_vasprintf(text, format, arguments);
}

WRAPPED(int, uv_loop_init, uv_loop_t *loop)
{
	return is_due() ? UV_EMFILE : __real_uv_loop_init(loop);
}

WRAPPED(int, uv_async_init, uv_loop_t *loop, uv_async_t *handle, uv_async_cb fn)
{
	return is_due() ? UV_EMFILE : __real_uv_async_init(loop, handle, fn);
}

WRAPPED(int, uv_signal_init, uv_loop_t *loop, uv_signal_t *handle)
{
	return is_due() ? UV_EMFILE : __real_uv_signal_init(loop, handle);
}

WRAPPED(int, uv_poll_init, uv_loop_t *loop, uv_poll_t *handle, int fd)
{
	return is_due() ? UV_ENOMEM : __real_uv_poll_init(loop, handle, fd);
}
