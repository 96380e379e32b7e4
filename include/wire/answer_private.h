/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ANSWER_PRIVATE_H
#define WIRE_ANSWER_PRIVATE_H
/* What answer.c (reading) and answer_trim.c (leaving out) share: records in place, and the chain that begins at the question. */

#include "wire/answer.h"

enum {
	ANSWER_FIXED_BYTES = 10, /* of a record, behind its owner (RFC 1035 section 3.2.1) */
	ANSWER_POINTER = 0xc000,
	ANSWER_POINTER_MAX = 0x3fff, /* farther than that no pointer reaches */
	/* No more records are looked at for one answer than two longest messages hold. */
	ANSWER_MAX_VISITS = 2 * ANSWER_MAX_RECORDS,
	ANSWER_TYPE_RRSIG = 46,
	ANSWER_TYPE_NSEC = 47,
	ANSWER_TYPE_NSEC3 = 50,
};

/* Offsets in the message, each checked against its length. */
struct answer_record {
	size_t owner, fixed, rdata, end;
	uint16_t type;
};

/* Checked rdata: so many octets, then names, then octets, and no more. */
struct answer_layout {
	bool checked;
	uint8_t before, names, after;
};

static inline struct answer_layout answer_layout_of(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_A:
		return (struct answer_layout){true, 4, 0, 0};
	case DNS_TYPE_AAAA:
		return (struct answer_layout){true, 16, 0, 0};
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
	case DNS_TYPE_DNAME:
		return (struct answer_layout){true, 0, 1, 0};
	case DNS_TYPE_MX:
		return (struct answer_layout){true, 2, 1, 0};
	case DNS_TYPE_SRV:
		return (struct answer_layout){true, 6, 1, 0};
	case DNS_TYPE_SOA:
		return (struct answer_layout){true, 0, 2, 20};
	default:
		return (struct answer_layout){false, 0, 0, 0};
	}
}

/* Where a name's own octets end, its pointer or root included; beyond the message if they do not fit. */
static inline size_t answer_own_end(const uint8_t *message, size_t len, size_t at)
{
	while (at < len && message[at] != 0) {
		if (message[at] >= 0xc0)
			return at + 2;
		at += message[at] + 1u;
	}
	return at + 1;
}

/* A record that answer_read has kept, found again by its TTL. */
static inline struct answer_record answer_record_at(const struct answer *a, size_t i)
{
	size_t ttl = a->ttl_at[i];
	size_t owner = a->body_at;

	if (i > 0) {
		size_t before = a->ttl_at[i - 1];
		owner = before + 6 + dns_get16(a->message + before + 4);
	}
	return (struct answer_record){
		.owner = owner,
		.fixed = ttl - 4,
		.rdata = ttl + 6,
		.end = ttl + 6 + dns_get16(a->message + ttl + 4),
		.type = dns_get16(a->message + ttl - 4),
	};
}

/* The chain from the question's name on. */
struct answer_chain {
	struct name name;   /* where it has come to */
	unsigned links;
	unsigned visits;
	bool found;         /* a record of the asked type stands at `name` */
	uint8_t *keep;      /* a bit for each record of the answer section that belongs to the chain, or NULL */
};

static inline void answer_mark(uint8_t *keep, size_t i)
{
	keep[i / 8] |= (uint8_t)(1u << i % 8);
}

static inline bool answer_is_marked(const uint8_t *keep, size_t i)
{
	return keep[i / 8] >> i % 8 & 1;
}

/* What an authority section proves with (RFC 4035 section 3.1): worth nothing to whoever does not validate. */
static inline bool answer_is_proof(uint16_t type)
{
	return type == DNS_TYPE_DS || type == ANSWER_TYPE_RRSIG || type == ANSWER_TYPE_NSEC || type == ANSWER_TYPE_NSEC3;
}

/* Follows the chain from the question's name to its end. Marks in `keep`, one bit each (may be NULL), the records of the answer and
 * authority sections that belong to it. */
void answer_follow_chain(const struct answer *a, struct answer_chain *c, uint8_t *keep);

#endif
