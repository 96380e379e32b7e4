/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_QUESTION_H
#define WIRE_QUESTION_H
/* A client's query, read in place; and the query that goes upstream, written in one go. */

#include "wire/edns.h"
#include "wire/name.h"

struct question {
	uint16_t id;
	uint16_t flags;         /* as received, host byte order */
	uint16_t type, class;
	struct edns edns;
	struct name name;       /* lower case: what the cache and the routes see */
	const uint8_t *spelled; /* name.len octets as the client wrote them; lent: points into the packet */
};

/* In the order in which section 5 of the contract judges: a packet that deserves several gets the first. */
enum question_verdict {
	QUESTION_OK,
	QUESTION_DROP,    /* shorter than a header, or a response: nothing ever answers a response */
	QUESTION_NOTIMP,  /* opcode other than QUERY */
	QUESTION_FORMERR, /* QDCOUNT not 1, does not parse, trailing octets, two OPTs, an OPT outside the additional
	                   * section, a bad OPT */
	QUESTION_BADVERS, /* EDNS version above 0; the rest is filled in */
};

/* The first look, before anybody spends time on the packet: QUESTION_DROP or QUESTION_OK. */
static inline enum question_verdict question_glance(const uint8_t *packet, size_t len)
{
	return len < DNS_HEADER_BYTES || (packet[2] & 0x80) ? QUESTION_DROP : QUESTION_OK;
}

/* Reads all of `packet`, whose glance was OK. For NOTIMP and FORMERR only id and flags are filled in, and edns where an
 * OPT could be read. The usual packet (one question, at most one OPT at the end) takes a straight path. */
NODISCARD enum question_verdict question_read(struct question *q, const uint8_t *packet, size_t len);

/* What is asked of an upstream. */
struct question_upstream {
	const struct name *name;
	uint64_t case_bits; /* for name_write_cased; 0: lower case, and any may come back */
	uint16_t id, type, class;
	uint16_t flags;     /* DNS_RD, DNS_CD, DNS_AD */
	bool edns;          /* an OPT with 1232 bytes */
	bool dnssec_ok;
};

/* Header, name, type and class, OPT. */
enum { QUESTION_UPSTREAM_MAX = DNS_HEADER_BYTES + NAME_MAX_OCTETS + 4 + EDNS_OPT_BYTES };

/* Writes the query, at most QUESTION_UPSTREAM_MAX bytes; returns how many. */
size_t question_write(const struct question_upstream *u, uint8_t *out);

/* What a datagram that came to an attempt's socket is to that attempt. */
enum question_echo {
	ECHO_YES,        /* a response with our id and our question, letter case included where it was random */
	ECHO_WRONG_CASE, /* the same, but for the letter case */
	ECHO_ERROR,      /* our id, QDCOUNT 0 and an error rcode: all some servers send with FORMERR, NOTIMP, REFUSED, SERVFAIL */
	ECHO_NO,         /* anything else: counted and ignored, it never ends the attempt */
};

/* Judges `packet` against what was sent. The body behind the question is answer.h's to judge. */
NODISCARD enum question_echo question_echo(const struct question_upstream *sent, const uint8_t *packet, size_t len);

#endif
