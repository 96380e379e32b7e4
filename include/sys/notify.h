/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NOTIFY_H
#define SYS_NOTIFY_H
/* What the service manager is told: sd_notify(3), one datagram a message to the socket that NOTIFY_SOCKET names. That is the whole
 * protocol, so no library is needed for it. Without NOTIFY_SOCKET everything here does nothing.
 * How it can fail: nobody reads there any more; then nobody wants to know, and nothing of it is an error. */

#include "base/base.h"

struct notify {
	int fd;               /* -1: nobody is told */
	uint64_t watchdog_us; /* how long the manager waits for "WATCHDOG=1" before it ends us; 0: it does not */
};

/* Looks at NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: they are for nobody that we start. An
 * address begins with '/', or with '@' for an abstract one. 0; -EINVAL for an address that is neither, or the error of connecting:
 * nobody is told then. Before other threads. */
NODISCARD int notify_init(struct notify *n);
void notify_deinit(struct notify *n);

/* One message: lines of NAME=VALUE. Waits for a second at most: what the manager has not taken then is lost. */
void notify_send(const struct notify *n, const char *lines);

/* "RELOADING=1" with the time that belongs to it. */
void notify_send_reloading(const struct notify *n);

#endif
