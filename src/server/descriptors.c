/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers: beside source ports and clients' connections a thread has some 8 open, for its loop and its listeners, and the process 32,
 * for the control socket, the log, files and what comes with a takeover. An eighth of a large limit is for connections to upstreams as
 * well; of a small one clients get an eighth all the same. */
#include "server/descriptors.h"

#include <sys/resource.h>

#include "base/log.h"

enum { REST_OF_ALL = 32, REST_PER_THREAD = 8, SMALL_SHARE = 8 };

void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static uint64_t wanted_ports(const struct snapshot *s)
{
	uint64_t wanted = 0;

	for (size_t i = 0; i < s->pool_count; i++)
		wanted += (uint64_t)s->pools[i].count * s->pools[i].source_ports / 2;
	return wanted;
}

uint32_t descriptors_share(const struct snapshot *s, uint32_t threads)
{
	struct rlimit limit;
	uint64_t wanted = wanted_ports(s);

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	if (wanted > limit.rlim_cur / 2)
		log_warn("RLIMIT_NOFILE of %llu leaves room for %llu source ports at a time; zones.conf asks for %llu",
			 (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_cur / 2, (unsigned long long)wanted);
	return (uint32_t)MAX(1u, limit.rlim_cur / 2 / threads);
}

uint32_t descriptors_connections(const struct snapshot *s, uint32_t threads, uint32_t *said)
{
	struct rlimit limit;
	uint32_t wanted = s->config->tcp.connections;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return wanted;
	uint64_t all = limit.rlim_cur, little = MAX((uint64_t)1, all / SMALL_SHARE);
	uint64_t taken = MIN(wanted_ports(s), all / 2) + MAX(little, (uint64_t)REST_OF_ALL + (uint64_t)REST_PER_THREAD * threads);
	uint64_t room = MAX(little, all > taken ? all - taken : 0);

	if (wanted <= room) {
		*said = 0;
		return wanted;
	}
	if (*said != wanted)
		log_warn("RLIMIT_NOFILE of %llu leaves room for %llu connections of clients over TCP; zones.conf asks for %u",
			 (unsigned long long)all, (unsigned long long)room, wanted);
	*said = wanted;
	return (uint32_t)room;
}
