/* SPDX-License-Identifier: Apache-2.0 */
/* The usual reply fits: it costs its header, the client's spelling of the question and 11 octets of OPT. All that looks
 * at records stands in `cut`, which is called only when something has to go. */
#include "wire/reply.h"

void reply_asker_init(struct reply_asker *asker, const struct question *q, bool tcp)
{
	uint16_t takes = q->edns.present ? MAX(q->edns.udp_bytes, (uint16_t)DNS_UDP_PLAIN_BYTES) : DNS_UDP_PLAIN_BYTES;

	asker->id = q->id;
	asker->flags = q->flags;
	asker->type = q->type;
	asker->class = q->class;
	asker->limit = tcp ? DNS_MESSAGE_MAX : MIN(takes, (uint16_t)DNS_UDP_BYTES);
	asker->has_question = true;
	asker->edns = q->edns.present;
	asker->dnssec_ok = q->edns.dnssec_ok;
	asker->name_len = q->name.len;
	asker->spelled = q->spelled;
}

/* Offset behind the record at `at`, 0 when it does not end within `end`. */
static size_t skip_record(const uint8_t *out, size_t end, size_t at)
{
	int fixed = name_skip(out, end, at);

	if (fixed < 0 || end - (size_t)fixed < 10)
		return 0;
	size_t next = (size_t)fixed + 10 + dns_get16(out + fixed + 8);
	return next <= end ? next : 0;
}

/* What is left of the body. */
struct cut {
	size_t end;
	uint16_t ancount, nscount, arcount;
	bool truncated;
};

/* Keeps the records that end within `end`. Of an additional section that does not fit nothing is kept: nobody could
 * tell which of its RRsets are whole. */
static struct cut cut(const uint8_t *out, size_t body, size_t end, const struct reply *r)
{
	uint32_t fit = 0, needed = (uint32_t)r->ancount + r->nscount;

	while (fit < needed) {
		size_t next = skip_record(out, end, body);
		if (next == 0)
			break;
		body = next;
		fit++;
	}
	uint16_t ancount = (uint16_t)MIN(fit, r->ancount);
	return (struct cut){
		.end = body,
		.ancount = ancount,
		.nscount = (uint16_t)(fit - ancount),
		.truncated = fit < needed,
	};
}

static inline uint16_t flags_of(const struct reply_asker *a, const struct reply *r, uint16_t rcode)
{
	uint16_t copied = a->flags & (DNS_RD | DNS_CD);
	uint16_t flags = (uint16_t)(DNS_QR | DNS_RA | copied | (r->flags & DNS_TC) | (rcode & DNS_RCODE));

	/* What flags mean under another opcode is not known here. */
	if (UNLIKELY(a->flags & DNS_OPCODE))
		return (uint16_t)(DNS_QR | (a->flags & DNS_OPCODE) | (rcode & DNS_RCODE));
	/* RFC 6840 section 5.7: a client that set AD or DO understands AD. */
	if ((a->flags & DNS_AD) || a->dnssec_ok)
		flags |= r->flags & DNS_AD;
	return flags;
}

size_t reply_finish(uint8_t *out, size_t room, const struct reply_asker *a, const struct reply *r)
{
	size_t at = reply_body_at(a), limit = MIN(room, (size_t)a->limit);
	size_t body_end = limit - (a->edns ? EDNS_OPT_BYTES : 0);
	uint16_t rcode = r->rcode > DNS_RCODE && !a->edns ? DNS_SERVFAIL : r->rcode;
	uint16_t flags = flags_of(a, r, rcode);
	struct cut left = {.end = at};

	ASSERT(limit >= DNS_UDP_PLAIN_BYTES);
	/* A header without its question has nothing that records could belong to. */
	if (LIKELY(a->has_question)) {
		memcpy(out + DNS_HEADER_BYTES, a->spelled, a->name_len);
		dns_put16(out + at - 4, a->type);
		dns_put16(out + at - 2, a->class);
		if (LIKELY(r->body_bytes <= body_end - at))
			left = (struct cut){at + r->body_bytes, r->ancount, r->nscount, r->arcount, false};
		else
			left = cut(out, at, body_end, r);
	}
	dns_put16(out, a->id);
	dns_put16(out + 2, left.truncated ? flags | DNS_TC : flags);
	dns_put16(out + 4, a->has_question);
	dns_put16(out + 6, left.ancount);
	dns_put16(out + 8, left.nscount);
	dns_put16(out + 10, (uint16_t)(left.arcount + a->edns));
	if (!a->edns)
		return left.end;
	return left.end + edns_write(out + left.end, limit - left.end, a->dnssec_ok, rcode, r->ede, r->ede_text);
}

size_t reply_write_error(uint8_t *out, size_t room, const struct reply_asker *a, uint16_t rcode, enum dns_ede ede,
			 const char *ede_text)
{
	struct reply r = {.rcode = rcode, .ede = ede, .ede_text = ede_text};

	return reply_finish(out, room, a, &r);
}
