/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_DOOR_H
#define HTTP_DOOR_H
/* Where visitors come in: HTTP by libmicrohttpd, on one thread, without a loop of its own. GET and HEAD of the pages, 405 to other methods,
 * 404 to other paths, 403 to a Host that is not ours.
 *
 * Bounded: so many connections, each with so much memory, one request and `patience_us` in all, however busy it seems: who is slower
 * than that, in asking or in taking the answer, is closed. Where the last connections are taken the oldest is closed. */

#include "base/addr.h"
#include "http/host.h"
#include "http/pages.h"

enum { DOOR_VISITORS = 64, DOOR_MEMORY_BYTES = 8 * 1024, DOOR_PATIENCE_US = 15 * 1000000 };

struct door;

struct door_world {
	struct pages *pages;            /* lent */
	const struct host_names *hosts; /* lent */
	uint64_t patience_us;
};

/* A listening socket, or -errno. */
NODISCARD int door_listen(const struct addr *at);

/* Serves on what door_listen returned, which is taken over, also on failure. NULL without memory. */
NODISCARD struct door *door_new(int fd, const struct door_world *world);
void door_close(struct door *d);

/* Readable when there is something to do. */
int door_fd(const struct door *d);

/* Does what can be done without waiting. Returns after how many milliseconds, at most, it wants to be called again. */
int door_turn(struct door *d, uint64_t now_us);

#endif
