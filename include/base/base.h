/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BASE_H
#define BASE_BASE_H
/* What every room may lean on: assertions that stay in release, and a few words of C. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Our own mistake, never the network's or the user's: says where, and ends the program (release builds too). */
#define ASSERT(condition) ((condition) ? (void)0 : base_assert_failed(#condition, __FILE__, __LINE__))

/* The same where there is no condition, only a place that cannot be reached. */
#define ASSERT_NEVER(why) base_assert_failed(why, __FILE__, __LINE__)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(text_at, first) __attribute__((format(printf, text_at, first)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Time is an argument everywhere: microseconds (_us) of a clock that counts suspend, see net/loop.h. */
enum { US_PER_MS = 1000, US_PER_S = 1000 * 1000, MS_PER_S = 1000 };

__attribute__((noreturn)) void base_assert_failed(const char *condition, const char *file, int line);

/* From now on blocks of 128 KiB and more always go back to the system when they are freed. By default glibc keeps such memory once it has
 * seen it freed: 0.6 MiB after zones.conf was read. Nothing to do with another C library. */
void base_return_large_blocks(void);

#endif
