/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_UDP_TABLE_H
#define NET_UDP_TABLE_H
/* The open attempts of one UDP transport, by port and id: a->slot and a->asked.id, which stay as they are while an attempt is in here.
 * list_remove of its link takes it out. */

#include "net/transport.h"

enum { UDP_IDS = 65536 };

struct udp_table {
	struct list *buckets; /* heap; NULL: not made yet, and then it may not be asked */
};

/* Makes it, unless it is there. False without memory. */
NODISCARD bool udp_table_make(struct udp_table *t);
void udp_table_free(struct udp_table *t);

void udp_table_add(struct udp_table *t, struct transport_attempt *a);
/* NULL: there is none. */
struct transport_attempt *udp_table_find(const struct udp_table *t, uint32_t port, uint16_t id);
/* Sets the bits of the ids that are open at the port, and clears the others. */
void udp_table_ids(const struct udp_table *t, uint32_t port, uint64_t ids[UDP_IDS / 64]);

#endif
