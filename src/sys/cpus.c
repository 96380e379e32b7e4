/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 4096, FOLDER_BYTES = LINE_MAX_BYTES + 64, PATH_BYTES = FOLDER_BYTES + 32 };

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

/* "4:cpu,cpuacct:/a/b": whether the line is of the controller; of version 2, which has none, it is "0::/a/b". */
static bool is_of(const char *line, const char *controller)
{
	const char *at = strchr(line, ':'), *end = at != NULL ? strchr(at + 1, ':') : NULL;
	size_t len = strlen(controller);

	if (end == NULL)
		return false;
	if (len == 0)
		return strncmp(line, "0::", 3) == 0;
	for (at++; at < end; at += strcspn(at, ",:") + 1)
		if (strncmp(at, controller, len) == 0 && (at[len] == ',' || at[len] == ':'))
			return true;
	return false;
}

/* The path of our cgroup, in `line`; NULL: it is in none of that controller. */
static char *read_cgroup(const char *proc, const char *controller, char line[LINE_MAX_BYTES])
{
	FILE *f = fopen(proc, "re");
	bool found = false;

	while (f != NULL && !found && fgets(line, LINE_MAX_BYTES, f) != NULL)
		found = is_of(line, controller);
	if (f != NULL)
		fclose(f);
	if (!found)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return strchr(strchr(line, ':') + 1, ':') + 1;
}

static uint32_t quota_v2(const char *folder)
{
	char path[PATH_BYTES], max[128];

	snprintf(path, sizeof(path), "%s/cpu.max", folder);
	return read_line(path, max, sizeof(max)) ? cpus_read_quota(max) : 0;
}

static uint32_t quota_v1(const char *folder)
{
	char path[PATH_BYTES], quota[64], period[64], both[130];

	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
	if (!read_line(path, quota, sizeof(quota)))
		return 0;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
	if (!read_line(path, period, sizeof(period)))
		return 0;
	snprintf(both, sizeof(both), "%s %s", quota, period);
	return cpus_read_quota(both);
}

/* The tightest of our cgroup and those above it. In a container the path may be the host's, and not be there: what is mounted at the top
 * is our own cgroup then. */
static uint32_t least_quota(const char *mounted, char *cgroup, uint32_t (*quota)(const char *folder))
{
	char folder[FOLDER_BYTES];
	uint32_t least = 0;

	for (;;) {
		snprintf(folder, sizeof(folder), "%s%s", mounted, strcmp(cgroup, "/") == 0 ? "" : cgroup);
		uint32_t here = quota(folder);
		if (here != 0 && (least == 0 || here < least))
			least = here;
		char *slash = strrchr(cgroup, '/');
		if (slash == NULL || *cgroup == '\0')
			return least;
		*slash = '\0';
	}
}

uint32_t cpus_find_quota(const char *proc, const char *mounted)
{
	char line[LINE_MAX_BYTES], top[FOLDER_BYTES];
	char *cgroup = read_cgroup(proc, "", line);
	uint32_t quota = cgroup != NULL ? least_quota(mounted, cgroup, quota_v2) : 0;

	if (quota != 0)
		return quota;
	cgroup = read_cgroup(proc, "cpu", line);
	snprintf(top, sizeof(top), "%s/cpu", mounted);
	return cgroup != NULL ? least_quota(top, cgroup, quota_v1) : 0;
}

uint32_t cpus_usable(void)
{
	cpu_set_t set;
	uint32_t cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
	uint32_t quota = cpus_find_quota("/proc/self/cgroup", "/sys/fs/cgroup");

	if (quota != 0)
		cpus = MIN(cpus, quota);
	return MAX(1u, MIN(cpus, (uint32_t)CPUS_MOST));
}
