/* SPDX-License-Identifier: Apache-2.0 */
/* Length octets are at most 63 (RFC 1035 section 3.1) and letters begin at 65 ('A'), so a length octet never looks like
 * a letter: letter case is changed and compared over a whole name at once, eight octets a step, without looking where
 * its labels begin. */
#include "wire/name.h"

#include <errno.h>
#include <string.h>

#include "wire/dns.h"

enum {
	LABEL_POINTER = 0xc0, /* both bits set: the rest is an offset (RFC 1035 section 4.1.4) */
	/* A sensible writer puts at least one label before each pointer. The limit keeps a message full of pointers to
	 * pointers from costing more than its length times this. */
	MAX_POINTERS = NAME_MAX_LABELS + 1,
};

/* The same octet eight times. */
#define EIGHT(octet) (UINT64_C(0x0101010101010101) * (octet))

/* A to Z become a to z in each of eight octets; all others, those above 127 too, stay. The sums cannot carry into the
 * next octet because the top bits are masked off first. */
static inline uint64_t lower8(uint64_t w)
{
	uint64_t low7 = w & EIGHT(0x7f);
	uint64_t from_a = low7 + EIGHT(0x80 - 'A');
	uint64_t above_z = low7 + EIGHT(0x7f - 'Z');
	uint64_t upper = (from_a ^ above_z) & ~w & EIGHT(0x80);

	return w | upper >> 2;
}

static inline uint8_t lower(uint8_t c)
{
	return (uint8_t)(c | ((uint8_t)(c - 'A') < 26) << 5);
}

static inline uint64_t load8(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static inline void store8(uint8_t *p, uint64_t w)
{
	memcpy(p, &w, sizeof(w));
}

/* Copies `len` octets in lower case. The last step overlaps the one before it instead of going octet by octet. */
static inline void copy_lower(uint8_t *to, const uint8_t *from, size_t len)
{
	size_t i = 0;

	if (len < 8) {
		for (; i < len; i++)
			to[i] = lower(from[i]);
		return;
	}
	for (; i + 8 <= len; i += 8)
		store8(to + i, lower8(load8(from + i)));
	store8(to + len - 8, lower8(load8(from + len - 8)));
}

void name_lower(uint8_t *to, const uint8_t *from, size_t len)
{
	copy_lower(to, from, len);
}

int name_read(struct name *n, const uint8_t *octets, size_t len)
{
	size_t limit = MIN(len, (size_t)NAME_MAX_OCTETS);
	size_t at = 0;
	unsigned labels = 0;

	/* A label takes two octets at least, so `limit` also keeps `labels` inside n->at. */
	for (;; labels++) {
		if (UNLIKELY(at >= limit))
			return -EBADMSG;
		n->at[labels] = (uint8_t)at;
		uint8_t label = octets[at];
		if (label == 0)
			break;
		if (UNLIKELY(label > NAME_MAX_LABEL_OCTETS))
			return -EBADMSG;
		at += label + 1u;
	}
	n->labels = (uint8_t)labels;
	n->len = (uint8_t)(at + 1);
	copy_lower(n->octets, octets, at + 1);
	return (int)(at + 1);
}

/* Where a pointer at `at` leads; 0 when it is refused. A pointer into the header is: the header is rewritten for each
 * client, and a name must not change with it. */
static inline size_t follow(const uint8_t *message, size_t len, size_t at, size_t piece)
{
	if (message[at] < LABEL_POINTER || len - at < 2)
		return 0;
	size_t to = dns_get16(message + at) & 0x3fffu;
	return to < DNS_HEADER_BYTES || to >= piece ? 0 : to;
}

/* Walks a name that may be compressed; copies it unless `n` is NULL, which the compiler sees in each caller. */
__attribute__((always_inline)) static inline int walk(struct name *n, const uint8_t *message, size_t len, size_t at)
{
	size_t piece = at; /* where the octets being walked began */
	size_t after = 0;  /* offset behind the name: known at the first pointer */
	size_t octets = 0; /* of the name, before `piece` */
	unsigned labels = 0, pointers = 0;

	for (;;) {
		if (UNLIKELY(at >= len))
			return -EBADMSG;
		size_t label = message[at];
		bool pointer = label > NAME_MAX_LABEL_OCTETS;
		size_t next = pointer ? at : at + 1 + label;
		/* Without its root a name may have 254 octets: with it 255. */
		if (UNLIKELY(next > len || octets + (next - piece) > NAME_MAX_OCTETS))
			return -EBADMSG;
		if (n && !pointer)
			n->at[labels] = (uint8_t)(octets + (at - piece));
		if (!pointer && label > 0) {
			labels++;
			at = next;
			continue;
		}
		/* The piece ends, with a pointer or with the root. */
		if (n)
			copy_lower(n->octets + octets, message + piece, next - piece);
		octets += next - piece;
		if (!pointer) {
			after = after > 0 ? after : next;
			break;
		}
		after = after > 0 ? after : at + 2;
		at = piece = follow(message, len, at, piece);
		if (UNLIKELY(at == 0 || ++pointers > MAX_POINTERS))
			return -EBADMSG;
	}
	if (n) {
		n->labels = (uint8_t)labels;
		n->len = (uint8_t)octets;
	}
	return (int)after;
}

int name_unpack(struct name *n, const uint8_t *message, size_t len, size_t at)
{
	return walk(n, message, len, at);
}

int name_skip(const uint8_t *message, size_t len, size_t at)
{
	return walk(NULL, message, len, at);
}

/* Both are lower case, and lengths are octets too: equal octets are equal labels. */
bool name_equal(const struct name *a, const struct name *b)
{
	return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

bool name_is_within(const struct name *n, const struct name *zone)
{
	if (n->labels < zone->labels)
		return false;
	/* Counted in labels, a suffix can only begin where a label does. */
	size_t at = n->at[n->labels - zone->labels];
	return n->len - at == zone->len && memcmp(n->octets + at, zone->octets, zone->len) == 0;
}

bool name_spells(const struct name *n, const uint8_t *octets)
{
	size_t len = n->len, i = 0;

	if (len < 8) {
		while (i < len && lower(octets[i]) == n->octets[i])
			i++;
		return i == len;
	}
	for (; i + 8 <= len; i += 8)
		if (lower8(load8(octets + i)) != load8(n->octets + i))
			return false;
	return lower8(load8(octets + len - 8)) == load8(n->octets + len - 8);
}

/* Octet `c` of a checked name with the next bit's letter case; `*letter` counts letters. Without a branch: the bits are
 * random, and a processor would guess half of them wrongly. */
static inline uint8_t cased(uint8_t c, uint64_t bits, unsigned *letter)
{
	unsigned is_letter = (uint8_t)(c - 'a') < 26;
	unsigned upper = is_letter & (unsigned)(bits >> (*letter & 63));

	*letter += is_letter;
	return (uint8_t)(c ^ upper << 5);
}

void name_write_cased(const struct name *n, uint64_t bits, uint8_t *out)
{
	unsigned letter = 0;

	for (size_t i = 0; i < n->len; i++)
		out[i] = cased(n->octets[i], bits, &letter);
}

bool name_matches_cased(const struct name *n, uint64_t bits, const uint8_t *octets)
{
	unsigned letter = 0, differs = 0;

	for (size_t i = 0; i < n->len; i++)
		differs |= cased(n->octets[i], bits, &letter) ^ octets[i];
	return differs == 0;
}
