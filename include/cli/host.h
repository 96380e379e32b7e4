/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_HOST_H
#define CLI_HOST_H
/* What doctor looks at on this host: where r53fwd would listen, whether a daemon runs, and where resolv.conf points. */

#include "config/config.h"
#include "config/resolv.h"

enum { HOST_EARS = 64, HOST_VERSION_MAX = 32 };

struct host {
	const struct addr *listen; /* lent from the config */
	size_t listen_count;
	bool listen_default;
	int listen_error[HOST_EARS]; /* by listen: 0 free, else errno of bind */
	int ears[HOST_EARS];	     /* UDP sockets that were bound there; none while a daemon runs */
	size_t ear_count;
	bool daemon;			/* one runs: it answered at the control socket, or to `version.server` where we would listen */
	bool told;			/* it was at the control socket: the rest is known */
	int control_error;		/* errno of asking there; 0 when something answered */
	char version[HOST_VERSION_MAX]; /* of the daemon */
	long long uptime_s, loops;	/* its queries refused as loops */
	struct resolv local;		/* the local upstreams, if zones.conf names none */
	struct resolv programs;		/* what the C library reads: every server of it, ourselves too */
	const char *programs_path;
	struct addr *interfaces; /* heap: this host's addresses, port 0 */
	size_t interface_count;
};

/* Looks. `control` is the socket where a daemon would be. The ears are open until host_deinit: programs that ask there are refused
 * meanwhile as by a closed port, if they are listened to. */
void host_init(struct host *h, const struct config *c, const char *control);
void host_deinit(struct host *h);

/* A datagram to `a` would come in where r53fwd listens. */
bool host_is_ours(const struct host *h, const struct addr *a);

#endif
