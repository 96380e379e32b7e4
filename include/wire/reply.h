/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H
/* What a client gets: header, its own question, records, an OPT if it sent one. Written straight into the outgoing buffer.
 *
 *   size_t body = reply_body_at(asker);         where the records go: write them there, TTLs and all
 *   n = reply_finish(out, room, asker, &r);     header, question, cutting with TC, OPT and EDE around them
 */

#include "wire/question.h"

/* What must be remembered of a query to answer it: fixed part; the spelled name lies beside it. */
struct reply_asker {
	uint16_t id;
	uint16_t flags;       /* of the query: opcode, RD, CD and AD are looked at */
	uint16_t type, class;
	uint16_t limit;       /* largest reply in bytes: over UDP max(512, min(client's size, 1232)); over TCP 65535 */
	bool has_question;    /* false: the query did not parse; the reply is a bare header */
	bool edns;            /* the client sent an OPT */
	bool dnssec_ok;
	uint8_t name_len;
	const uint8_t *spelled; /* lent */
};

/* Fills `asker` from a query; over TCP the limit is 65535. For one whose verdict was NOTIMP or FORMERR the caller clears
 * has_question afterwards. */
void reply_asker_init(struct reply_asker *asker, const struct question *q, bool tcp);

struct reply {
	uint16_t rcode;       /* up to 12 bits; above 15 needs the client's OPT, else SERVFAIL is sent */
	uint16_t flags;       /* DNS_TC and DNS_AD from the answer; AD goes out only if the client asked for it (AD or DO) */
	uint16_t ancount, nscount, arcount; /* records in the body */
	size_t body_bytes;
	enum dns_ede ede;     /* DNS_EDE_NONE: none */
	const char *ede_text; /* may be NULL */
};

/* Offset in the outgoing buffer at which the records begin: behind the question. */
static inline size_t reply_body_at(const struct reply_asker *a)
{
	return DNS_HEADER_BYTES + (a->has_question ? a->name_len + 4u : 0);
}

/* Completes the reply in `out`, whose records stand at reply_body_at. QR and RA are set, opcode, RD and CD copied, AA never. What does
 * not fit into min(room, limit) with the bare OPT is cut at a record's boundary and TC set (all of the additional section
 * first, which alone does not set TC: RFC 2181 section 9); the EDE gets what room is left. Without has_question the body is
 * left out. Returns the reply's length, at least DNS_HEADER_BYTES; room is at least 512. */
size_t reply_finish(uint8_t *out, size_t room, const struct reply_asker *a, const struct reply *r);

/* A reply without records: rcode and EDE only. */
size_t reply_write_error(uint8_t *out, size_t room, const struct reply_asker *a, uint16_t rcode, enum dns_ede ede, const char *ede_text);

#endif
