/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp_table.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256 };

bool udp_table_make(struct udp_table *t)
{
	if (LIKELY(t->buckets != NULL))
		return true;
	t->buckets = malloc(BUCKETS * sizeof(*t->buckets));
	for (size_t i = 0; t->buckets != NULL && i < BUCKETS; i++)
		list_init(&t->buckets[i]);
	return t->buckets != NULL;
}

void udp_table_free(struct udp_table *t)
{
	free(t->buckets);
	t->buckets = NULL;
}

/* Ids are random, so they need no hash; the factor keeps ports apart. */
static struct list *bucket_of(const struct udp_table *t, uint32_t port, uint16_t id)
{
	return &t->buckets[(id + port * 31) % BUCKETS];
}

void udp_table_add(struct udp_table *t, struct transport_attempt *a)
{
	list_append(bucket_of(t, a->slot, a->asked.id), &a->link);
}

struct transport_attempt *udp_table_find(const struct udp_table *t, uint32_t port, uint16_t id)
{
	struct list *bucket = bucket_of(t, port, id);
	LIST_FOR_EACH(link, bucket) {
		struct transport_attempt *a = CONTAINER_OF(link, struct transport_attempt, link);
		if (a->asked.id == id && a->slot == port)
			return a;
	}
	return NULL;
}

void udp_table_ids(const struct udp_table *t, uint32_t port, uint64_t ids[UDP_IDS / 64])
{
	memset(ids, 0, UDP_IDS / 8);
	for (size_t i = 0; i < BUCKETS; i++) {
		LIST_FOR_EACH(link, &t->buckets[i]) {
			const struct transport_attempt *a = CONTAINER_OF(link, struct transport_attempt, link);
			if (a->slot == port)
				ids[a->asked.id / 64] |= 1ULL << a->asked.id % 64;
		}
	}
}
