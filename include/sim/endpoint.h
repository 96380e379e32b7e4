/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ENDPOINT_H
#define SIM_ENDPOINT_H
/* The simulated inbound endpoint: addresses, each with an AZ, its own sockets and its own faults, all answering from the same zones.
 * Each query is one line of the log:
 *
 *   query 127.0.10.1:5300 apne2-az1 udp www.corp.example.internal. A id=4660 from=127.0.0.1:40000 edns=1232 flags=rd,do
 *   spelled=wWw.corp.EXAMPLE.internal. answer=NOERROR
 *
 * (on one line). `-` stands for no AZ, no OPT, no flags and an answer that never goes out; `?` for what could not be read. */

#include <stdio.h>

#include "base/addr.h"
#include "base/strbuf.h"
#include "sim/watch.h"
#include "sim/zone.h"

enum { ENDPOINT_MAX_ADDRESSES = 64, ENDPOINT_AZ_MAX = 64 };

struct endpoint;

struct endpoint_settings {
	FILE *log;              /* lent; NULL: no log */
	uint16_t outside_rcode; /* for names outside all zones */
	bool countdown;         /* TTLs count down, as a resolver's cache would have them */
};

/* Takes `zones`. NULL without memory: zones are freed then. */
NODISCARD struct endpoint *endpoint_new(struct watch_set *w, const struct endpoint_settings *settings, struct zone_set *zones);

/* Forgets answers that wait, closes the sockets. */
void endpoint_free(struct endpoint *e);

/* Opens UDP and TCP on `a`. `az` is copied; NULL: none. Returns 0 or -errno (-E2BIG: too many addresses). */
NODISCARD int endpoint_add(struct endpoint *e, const struct addr *a, const char *az);

/* Takes `zones` in place of the present ones. */
void endpoint_set_zones(struct endpoint *e, struct zone_set *zones);

/* Carries out `ADDRESS FAULT…` on every address meant: an IP, an IP with port, an AZ's name, or `all`. Without a fault: adds a
 * line for each to `out`. Returns 0, or a negative errno with a sentence in `out`. */
NODISCARD int endpoint_command(struct endpoint *e, const char *line, struct strbuf *out);

#endif
