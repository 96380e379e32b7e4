/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096 };

uint32_t cpus_read_quota(const char *text)
{
	char *end;
	unsigned long long quota = strtoull(text, &end, 10);

	if (end == text || *text == '-')
		return 0; /* "max", or -1 in version 1 */
	unsigned long long period = strtoull(end, NULL, 10);
	if (quota == 0 || period == 0)
		return 0;
	unsigned long long cpus = (quota + period - 1) / period;
	return cpus > UINT32_MAX ? 0 : (uint32_t)cpus;
}

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return false;
	bool ok = fgets(line, (int)size, f) != NULL;
	fclose(f);
	return ok;
}

/* Version 2: the tightest of our cgroup and those above it. */
static uint32_t quota_v2(void)
{
	char line[LINE_MAX_BYTES], path[LINE_MAX_BYTES + 64];
	uint32_t least = 0;

	if (!read_line("/proc/self/cgroup", line, sizeof(line)) || strncmp(line, "0::", 3) != 0)
		return 0;
	char *cgroup = line + 3;
	cgroup[strcspn(cgroup, "\n")] = '\0';
	for (;;) {
		char max[128];
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", strcmp(cgroup, "/") == 0 ? "" : cgroup);
		uint32_t here = read_line(path, max, sizeof(max)) ? cpus_read_quota(max) : 0;
		if (here != 0 && (least == 0 || here < least))
			least = here;
		char *slash = strrchr(cgroup, '/');
		if (slash == NULL || *cgroup == '\0')
			return least;
		*slash = '\0';
	}
}

static uint32_t quota_v1(void)
{
	char quota[64], period[64], both[130];

	if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof(period)))
		return 0;
	snprintf(both, sizeof(both), "%s %s", quota, period);
	return cpus_read_quota(both);
}

uint32_t cpus_usable(void)
{
	cpu_set_t set;
	uint32_t cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
	uint32_t quota = quota_v2();

	if (quota == 0)
		quota = quota_v1();
	if (quota != 0)
		cpus = MIN(cpus, quota);
	return MAX(1u, MIN(cpus, (uint32_t)CPUS_MOST));
}
