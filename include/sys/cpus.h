/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CPUS_H
#define SYS_CPUS_H
/* How many CPUs this process may really use. */

#include "base/base.h"

enum { CPUS_MOST = 8 };

/* The CPUs of its affinity mask, at most its cgroup's quota rounded up (v2 and v1), at least 1 and at most CPUS_MOST. */
uint32_t cpus_usable(void);

/* The least quota of our cgroup and those above it, rounded up to CPUs; 0: none. `proc`: /proc/self/cgroup; `mounted`: /sys/fs/cgroup. */
uint32_t cpus_find_quota(const char *proc, const char *mounted);

/* The quota in `text` as cpu.max has it ("200000 100000", "max 100000"), rounded up to CPUs; 0: none. */
uint32_t cpus_read_quota(const char *text);

#endif
