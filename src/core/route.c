/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of the zones' tree, found by the hash of the path from the root. A node knows its parent and its own label only: both together
 * say all of the name, so comparing them costs the same at any depth.
 *
 * Numbers. Nodes lie one behind another in one block, nine bytes and the label each; slots are eight bytes and at most half of them are
 * taken: a look-up that fails looks at 2.5 slots, one that finds at 1.5 (Knuth, volume 3, section 6.4), mostly of one cache line. The
 * hash folds a product of 128 bits, as wyhash does. It needs no key: names that strangers ask for are looked up, never stored. */
#include "core/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node {
	uint32_t parent; /* place of the node one label up */
	int32_t value;	 /* ROUTE_NONE: only a name above a zone */
	uint8_t below;	 /* something lies below */
	uint8_t label[]; /* length octet and octets */
};

struct slot {
	uint32_t tag; /* low half of the path's hash */
	uint32_t at;  /* place of the node; 0: empty, the root is in no slot */
};

struct route_table {
	struct slot *slots;
	uint32_t mask; /* slots - 1 */
	uint32_t used;
	uint8_t *nodes; /* the root is at 0; places are multiples of 4 */
	uint32_t nodes_len, nodes_size;
};

enum { SLOTS_LEAST = 16, NODES_LEAST_BYTES = 512, NODE_EXPECTED_BYTES = 24, NODE_LARGEST_BYTES = 80 };

#define SLOTS_MOST (UINT32_C(1) << 30)

static inline struct node *node_at(const struct route_table *t, uint32_t at)
{
	return (struct node *)(void *)(t->nodes + at);
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static inline uint64_t load32(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Odd constants of wyhash: bits in no order. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0xa0761d6478bd642f)) * (b ^ UINT64_C(0xe7037ed1a0b428db));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The hash of a path that goes on with `label`, `len` octets with its length octet. Never reads outside of them: the last step overlaps
 * the one before. */
static inline uint64_t extend(uint64_t path, const uint8_t *label, size_t len)
{
	const uint8_t *end = label + len;

	for (; (size_t)(end - label) > 16; label += 16)
		path = fold(load64(label) ^ path, load64(label + 8));
	len = (size_t)(end - label);
	if (len >= 8)
		return fold(load64(label) ^ path, load64(end - 8));
	if (len >= 4)
		return fold(load32(label) ^ path, load32(end - 4));
	return fold((uint64_t)(label[0] << 16 | label[len / 2] << 8 | end[-1]) ^ path, len);
}

/* The node of `label` right below `parent`; 0 without one. */
static inline uint32_t find_below(const struct route_table *t, uint64_t path, uint32_t parent, const uint8_t *label)
{
	uint32_t tag = (uint32_t)path;

	for (uint32_t i = tag & t->mask; t->slots[i].at != 0; i = (i + 1) & t->mask) {
		if (t->slots[i].tag != tag)
			continue;
		const struct node *node = node_at(t, t->slots[i].at);
		if (LIKELY(node->parent == parent && memcmp(node->label, label, label[0] + 1u) == 0))
			return t->slots[i].at;
	}
	return 0;
}

int route_find(const struct route_table *t, const struct name *n)
{
	const struct node *node = node_at(t, 0);
	uint64_t path = 0;
	uint32_t at = 0;
	int found = node->value;

	for (unsigned i = n->labels; i-- > 0 && node->below;) {
		const uint8_t *label = n->octets + n->at[i];
		path = extend(path, label, label[0] + 1u);
		at = find_below(t, path, at, label);
		if (at == 0)
			break;
		node = node_at(t, at);
		if (node->value != ROUTE_NONE)
			found = node->value;
	}
	return found;
}

size_t route_find_all(const struct route_table *t, const struct name *n, int *values, size_t max)
{
	int found[NAME_MAX_LABELS + 1];
	uint64_t path = 0;
	uint32_t at = 0;
	size_t count = 0, written = 0;

	for (unsigned i = n->labels;;) {
		const struct node *node = node_at(t, at);
		if (node->value != ROUTE_NONE)
			found[count++] = node->value;
		if (i == 0 || !node->below)
			break;
		const uint8_t *label = n->octets + n->at[--i];
		path = extend(path, label, label[0] + 1u);
		at = find_below(t, path, at, label);
		if (at == 0)
			break;
	}
	while (written < max && count > 0)
		values[written++] = found[--count];
	return written;
}

/* ---- building ---- */

static void link_node(struct slot *slots, uint32_t mask, struct slot slot)
{
	uint32_t i = slot.tag & mask;

	while (slots[i].at != 0)
		i = (i + 1) & mask;
	slots[i] = slot;
}

static int grow_slots(struct route_table *t)
{
	if (t->mask + 1 >= SLOTS_MOST)
		return -ENOMEM;
	uint32_t mask = 2 * t->mask + 1;
	struct slot *slots = calloc((size_t)mask + 1, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i <= t->mask; i++)
		if (t->slots[i].at != 0)
			link_node(slots, mask, t->slots[i]);
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return 0;
}

static int grow_nodes(struct route_table *t)
{
	if (t->nodes_size > UINT32_MAX / 2)
		return -ENOMEM;
	uint8_t *nodes = realloc(t->nodes, 2 * (size_t)t->nodes_size);

	if (!nodes)
		return -ENOMEM;
	t->nodes = nodes;
	t->nodes_size *= 2;
	return 0;
}

/* Appends a node to the block; the caller has made sure of room. */
static uint32_t append_node(struct route_table *t, uint32_t parent, const uint8_t *label)
{
	uint32_t at = t->nodes_len;
	struct node *node = node_at(t, at);
	size_t label_bytes = label[0] + 1u;

	*node = (struct node){.parent = parent, .value = ROUTE_NONE};
	memcpy(node->label, label, label_bytes);
	t->nodes_len += (uint32_t)(offsetof(struct node, label) + label_bytes + 3) & ~3u;
	return at;
}

/* Adds a node below `parent`; its place, or 0 without memory. */
static uint32_t add_below(struct route_table *t, uint64_t path, uint32_t parent, const uint8_t *label)
{
	if (t->used >= (t->mask + 1) / 2 && grow_slots(t) < 0)
		return 0;
	if (t->nodes_size - t->nodes_len < NODE_LARGEST_BYTES && grow_nodes(t) < 0)
		return 0;
	uint32_t at = append_node(t, parent, label);
	node_at(t, parent)->below = 1;
	link_node(t->slots, t->mask, (struct slot){.tag = (uint32_t)path, .at = at});
	t->used++;
	return at;
}

struct route_table *route_table_new(size_t zones_expected)
{
	static const uint8_t root_label[1];
	struct route_table *t = calloc(1, sizeof(*t));
	uint32_t slots = SLOTS_LEAST;

	if (!t)
		return NULL;
	while (slots < SLOTS_MOST && slots / 2 < zones_expected)
		slots *= 2;
	t->mask = slots - 1;
	t->slots = calloc(slots, sizeof(*t->slots));
	t->nodes_size = (uint32_t)MIN(MAX(zones_expected * NODE_EXPECTED_BYTES, (size_t)NODES_LEAST_BYTES), (size_t)UINT32_MAX / 2);
	t->nodes = malloc(t->nodes_size);
	if (!t->slots || !t->nodes) {
		route_table_free(t);
		return NULL;
	}
	append_node(t, 0, root_label);
	return t;
}

void route_table_free(struct route_table *t)
{
	if (!t)
		return;
	free(t->slots);
	free(t->nodes);
	free(t);
}

int route_table_add(struct route_table *t, const struct name *zone, int value)
{
	uint64_t path = 0;
	uint32_t at = 0;

	ASSERT(value >= 0);
	for (unsigned i = zone->labels; i-- > 0;) {
		const uint8_t *label = zone->octets + zone->at[i];
		path = extend(path, label, label[0] + 1u);
		uint32_t child = find_below(t, path, at, label);
		if (child == 0)
			child = add_below(t, path, at, label);
		if (child == 0)
			return -ENOMEM; /* names above it that were added already say nothing */
		at = child;
	}
	struct node *node = node_at(t, at);
	if (node->value != ROUTE_NONE)
		return -EEXIST;
	node->value = value;
	return 0;
}

size_t route_table_bytes(const struct route_table *t)
{
	return sizeof(*t) + ((size_t)t->mask + 1) * sizeof(*t->slots) + t->nodes_size;
}
