/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

/* glibc's, whose number for M_MMAP_THRESHOLD this is; NULL with another C library. Set, it no longer adapts (mallopt(3)). */
extern int mallopt(int parameter, int value) __attribute__((weak));
enum { MMAP_THRESHOLD = -3, LARGE_BYTES = 128 * 1024 };

void base_return_large_blocks(void)
{
	if (mallopt != NULL)
		mallopt(MMAP_THRESHOLD, LARGE_BYTES);
}

void base_assert_failed(const char *condition, const char *file, int line)
{
	/* One write and no heap: nothing is known of the state that we are in. */
	dprintf(2, "r53fwd: %s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}
