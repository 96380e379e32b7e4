/* SPDX-License-Identifier: Apache-2.0 */
#include "server/descriptors.h"

#include <sys/resource.h>

#include "base/log.h"

void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

uint32_t descriptors_share(const struct snapshot *s, uint32_t threads)
{
	struct rlimit limit;
	uint64_t wanted = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	for (size_t i = 0; i < s->pool_count; i++)
		wanted += (uint64_t)s->pools[i].count * s->pools[i].source_ports / 2;
	if (wanted > limit.rlim_cur / 2)
		log_warn("RLIMIT_NOFILE of %llu leaves room for %llu source ports at a time; zones.conf asks for %llu",
			 (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_cur / 2, (unsigned long long)wanted);
	return (uint32_t)MAX(1u, limit.rlim_cur / 2 / threads);
}
