/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_PORT_H
#define SIM_PORT_H
/* The sockets of one address: UDP and TCP. Closed, they are really closed, so that the kernel answers with ICMP and RST; an answer
 * may wait before it goes, and a TCP connection may be cut in the middle of one. */

#include "base/addr.h"
#include "sim/watch.h"

struct port;
struct connection;

/* Who asked: good for the call it came with. */
struct port_client {
	struct addr addr;
	struct connection *connection; /* NULL: UDP */
};

/* A query came in; `query` is lent for the call. It is answered with port_answer inside the call, or not at all. */
typedef void port_query_fn(void *arg, const struct port_client *client, const uint8_t *query, size_t len);

/* Opens the sockets. Returns NULL with errno set. */
NODISCARD struct port *port_new(struct watch_set *s, const struct addr *a, port_query_fn *fn, void *arg);
void port_free(struct port *p);

/* Closes everything at once, connections with RST; answers that wait are forgotten. Not from inside port_query_fn. */
void port_close(struct port *p);
NODISCARD int port_open(struct port *p); /* 0 or -errno */

struct port_manner {
	uint64_t wait_us;
	bool cut; /* TCP: half of the answer, then the connection ends */
};

/* Sends a copy of `len` octets as `manner` says. */
void port_answer(struct port *p, const struct port_client *client, const uint8_t *octets, size_t len, struct port_manner manner);

#endif
