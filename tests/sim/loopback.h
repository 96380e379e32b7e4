/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_LOOPBACK_H
#define TESTS_SIM_LOOPBACK_H
/* A free port, and a client of it in the same thread: the kernel holds what it sends until the watches run. */

#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"

/* 127.0.0.1 with a port that is free over UDP and TCP. */
static inline struct addr loopback_addr(void)
{
	for (;;) {
		struct addr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
		socklen_t len = sizeof(a);
		int udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);

		ASSERT(bind(udp, &a.sa, addr_len(&a)) == 0 && getsockname(udp, &a.sa, &len) == 0);
		bool both = bind(tcp, &a.sa, addr_len(&a)) == 0;
		close(udp);
		close(tcp);
		if (both)
			return a;
	}
}

/* A socket that is connected to `a` and waits at most a second for what it reads. */
static inline int loopback_connect(const struct addr *a, int type)
{
	const struct timeval patience = {.tv_sec = 1};
	int fd = socket(AF_INET, type, 0);

	ASSERT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	if (connect(fd, &a->sa, addr_len(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

#endif
