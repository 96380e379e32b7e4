/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ANSWER_H
#define WIRE_ANSWER_H
/* A response from upstream, checked to the last octet, in place: what it says, how long it may be kept, and where its TTLs
 * stand. The message is a hostile stranger's until answer_read has said ANSWER_OK. */

#include "wire/edns.h"
#include "wire/name.h"

/* The shortest record takes 11 octets, so a message holds at most this many. */
enum { ANSWER_MAX_RECORDS = (DNS_MESSAGE_MAX - DNS_HEADER_BYTES - 5) / 11 };

enum answer_verdict {
	ANSWER_OK,
	ANSWER_MALFORMED, /* a name, record, count or well-known rdata that does not fit, octets left over, two OPTs */
};

enum answer_kind {
	ANSWER_POSITIVE, /* NOERROR and at least one record of the asked type (or any, for ANY) at the end of the chain */
	ANSWER_NODATA,   /* NOERROR without; a lone CNAME chain counts here when an SOA came along, else as positive */
	ANSWER_NXDOMAIN,
	ANSWER_FAILURE,  /* every other rcode */
};

struct answer {
	const uint8_t *message; /* lent */
	uint16_t body_at;       /* first octet behind the question */
	uint16_t body_end;      /* end of the records that are kept: the OPT and what follows it are not */
	uint16_t flags;         /* host byte order */
	uint16_t rcode;         /* all 12 bits */
	uint16_t ancount, nscount, arcount; /* records kept, without the OPT */
	uint16_t type;          /* of the question */
	enum answer_kind kind;
	struct edns edns;
	bool has_soa;           /* in the authority section */
	bool own_names;         /* some record's owner is more than a pointer, or it is a CNAME */
	uint32_t ttl_s;         /* the least TTL kept (RFC 2181 section 8: the top bit set reads as 0); for negatives with an SOA:
	                         * min(SOA TTL, SOA MINIMUM) (RFC 2308 section 5) and the least of the others; 0 without any */
	uint16_t ttls;          /* how many TTLs are kept */
	uint16_t ttl_at[ANSWER_MAX_RECORDS]; /* offset of each in the message, ascending */
};

/* Reads a whole message that has one question (its echo was judged before, see question.h). Checked rdata: A, AAAA,
 * NS, CNAME, SOA, PTR, MX, SRV, DNAME (lengths, and names with their pointers), whatever the class; all else is opaque
 * octets. A pointer to the octets of a TTL is malformed: owners and the names of checked rdata stay what they are when TTLs
 * are counted down. Records of an upstream's additional section behind the OPT are dropped, since their pointers would have
 * to move; what is kept may be cut at any record's end. With QDCOUNT 0 (see ECHO_ERROR) the body is not read and the answer
 * has none; NOERROR and NXDOMAIN are malformed then. After ANSWER_MALFORMED only `flags` is filled in: a cut message that
 * does not parse is still to be asked for over TCP when TC is set. */
NODISCARD enum answer_verdict answer_read(struct answer *a, const uint8_t *message, size_t len);

/* To a question with EDNS: whoever sent it may not know that (RFC 6891 section 7), and is to be asked without. */
static inline bool answer_denies_edns(const struct answer *a)
{
	return a->rcode == DNS_FORMERR && !a->edns.present;
}

/* Walks the A and AAAA records of the answer section: calls `see` with the family's octets (4 or 16) until it returns
 * false. Returns false if `see` did. */
bool answer_each_address(const struct answer *a, bool (*see)(void *arg, const uint8_t *octets, size_t len), void *arg);

/* Walks NS records of the answer section and SOA MNAMEs of answer and authority: what the association check reads. */
bool answer_each_server_name(const struct answer *a, bool (*see)(void *arg, const struct name *name), void *arg);

#endif
