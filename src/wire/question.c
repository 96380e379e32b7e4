/* SPDX-License-Identifier: Apache-2.0 */
/* Nearly every query is a header, one question and at most one OPT at the end: read_plain takes that form in about
 * 20 ns and leaves all others to read_sections, which walks every record. Both judge alike where both can read. */
#include "wire/question.h"

#include <errno.h>

enum {
	TYPE_CLASS_BYTES = 4,
	RECORD_FIXED_BYTES = 10, /* type, class, TTL, rdlength: RFC 1035 section 4.1.3 */
	SECTIONS = 3,            /* answer, authority, additional */
	ADDITIONAL = 2,
};

/* What a walk through the sections has met. */
struct walk {
	const uint8_t *packet;
	size_t len, at;
	struct edns *edns;
};

/* Reads the question at the header's end. Returns the offset behind it, 0 when it does not parse. */
static inline size_t read_question(struct question *q, const uint8_t *packet, size_t len)
{
	int name_len = name_read(&q->name, packet + DNS_HEADER_BYTES, len - DNS_HEADER_BYTES);

	if (UNLIKELY(name_len < 0))
		return 0;
	size_t at = DNS_HEADER_BYTES + (size_t)name_len;
	if (UNLIKELY(len - at < TYPE_CLASS_BYTES))
		return 0;
	q->spelled = packet + DNS_HEADER_BYTES;
	q->type = dns_get16(packet + at);
	q->class = dns_get16(packet + at + 2);
	return at + TYPE_CLASS_BYTES;
}

/* The usual packet. Returns false when it is another one: nothing is decided then, q->edns is as it was. */
static inline bool read_plain(struct question *q, const uint8_t *packet, size_t len)
{
	if (dns_qdcount(packet) != 1 || dns_ancount(packet) != 0 || dns_nscount(packet) != 0 || dns_arcount(packet) > 1)
		return false;
	size_t at = read_question(q, packet, len);
	if (at == 0)
		return false;
	if (dns_arcount(packet) == 0)
		return at == len;
	const uint8_t *record = packet + at;
	if (len - at < EDNS_OPT_BYTES || record[0] != 0 || dns_get16(record + 1) != DNS_TYPE_OPT)
		return false;
	size_t rdata_len = dns_get16(record + 1 + RECORD_FIXED_BYTES - 2);
	return at + EDNS_OPT_BYTES + rdata_len == len && edns_read(&q->edns, record + 1, rdata_len) == 0;
}

/* Steps over one record; an OPT is read on the way. */
static int step(struct walk *w, int section)
{
	bool owner_is_root = w->at < w->len && w->packet[w->at] == 0;
	int fixed = name_skip(w->packet, w->len, w->at);

	if (fixed < 0 || w->len - (size_t)fixed < RECORD_FIXED_BYTES)
		return -EBADMSG;
	const uint8_t *record = w->packet + fixed;
	size_t rdata_len = dns_get16(record + RECORD_FIXED_BYTES - 2);
	w->at = (size_t)fixed + RECORD_FIXED_BYTES + rdata_len;
	if (w->at > w->len)
		return -EBADMSG;
	/* TSIG and SIG(0) are records like all others here: nobody shares a key with us. */
	if (dns_get16(record) != DNS_TYPE_OPT)
		return 0;
	if (section != ADDITIONAL || !owner_is_root || w->edns->present)
		return -EBADMSG;
	return edns_read(w->edns, record, rdata_len);
}

/* Any number of them: even a packet that asks too much may hold an OPT that wants an answer with one. Each takes five
 * octets at least, so the packet's length ends the loop whatever the count says. */
static int skip_questions(struct walk *w)
{
	for (unsigned left = dns_qdcount(w->packet); left > 0; left--) {
		int after = name_skip(w->packet, w->len, w->at);
		if (after < 0 || w->len - (size_t)after < TYPE_CLASS_BYTES)
			return -EBADMSG;
		w->at = (size_t)after + TYPE_CLASS_BYTES;
	}
	return 0;
}

/* Any packet, as far as it can be read: the OPT of a bad one is found if it stands before what is bad. Returns 0 when
 * everything fits to the last octet. */
static int read_sections(struct edns *edns, const uint8_t *packet, size_t len)
{
	const uint16_t counts[SECTIONS] = {dns_ancount(packet), dns_nscount(packet), dns_arcount(packet)};
	struct walk w = {packet, len, DNS_HEADER_BYTES, edns};

	if (skip_questions(&w) < 0)
		return -EBADMSG;
	for (int section = 0; section < SECTIONS; section++)
		for (unsigned left = counts[section]; left > 0; left--)
			if (step(&w, section) < 0)
				return -EBADMSG;
	return w.at == len ? 0 : -EBADMSG;
}

static enum question_verdict judge_version(const struct question *q)
{
	return q->edns.present && q->edns.version > 0 ? QUESTION_BADVERS : QUESTION_OK;
}

enum question_verdict question_read(struct question *q, const uint8_t *packet, size_t len)
{
	if (UNLIKELY(question_glance(packet, len) != QUESTION_OK))
		return QUESTION_DROP;
	q->id = dns_id(packet);
	q->flags = dns_flags(packet);
	q->edns = (struct edns){0};
	bool is_query = (q->flags & DNS_OPCODE) == 0;
	if (LIKELY(is_query && read_plain(q, packet, len)))
		return judge_version(q);

	/* NOTIFY and UPDATE share the layout, so that their OPT is found too. */
	int read = read_sections(&q->edns, packet, len);
	if (!is_query)
		return QUESTION_NOTIMP;
	if (read < 0 || dns_qdcount(packet) != 1 || read_question(q, packet, len) == 0)
		return QUESTION_FORMERR;
	return judge_version(q);
}

size_t question_write(const struct question_upstream *u, uint8_t *out)
{
	uint8_t *at = out + DNS_HEADER_BYTES;

	dns_put16(out, u->id);
	/* What a client set beyond these (Z, or an opcode's remains) is not sent on. */
	dns_put16(out + 2, u->flags & (DNS_RD | DNS_CD | DNS_AD));
	dns_put16(out + 4, 1);
	dns_put16(out + 6, 0);
	dns_put16(out + 8, 0);
	dns_put16(out + 10, u->edns ? 1 : 0);
	name_write_cased(u->name, u->case_bits, at);
	at += u->name->len;
	dns_put16(at, u->type);
	dns_put16(at + 2, u->class);
	at += TYPE_CLASS_BYTES;
	if (u->edns)
		at += edns_write(at, EDNS_OPT_BYTES, u->dnssec_ok, DNS_NOERROR, DNS_EDE_NONE, NULL);
	return (size_t)(at - out);
}

/* A server that could not read the query may leave the question out. NXDOMAIN is no such error: it says something of a
 * name, so it must say of which. */
static enum question_echo judge_without_question(const uint8_t *packet)
{
	int rcode = dns_flags(packet) & DNS_RCODE;

	return rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN ? ECHO_NO : ECHO_ERROR;
}

enum question_echo question_echo(const struct question_upstream *sent, const uint8_t *packet, size_t len)
{
	if (len < DNS_HEADER_BYTES || dns_id(packet) != sent->id)
		return ECHO_NO;
	if ((dns_flags(packet) & (DNS_QR | DNS_OPCODE)) != DNS_QR)
		return ECHO_NO;
	if (dns_qdcount(packet) == 0)
		return judge_without_question(packet);
	/* A question is never compressed, so a true echo has our name's length, and type and class stand where ours
	 * did. */
	const uint8_t *name = packet + DNS_HEADER_BYTES;
	const uint8_t *type = name + sent->name->len;
	if (dns_qdcount(packet) != 1 || len < DNS_HEADER_BYTES + (size_t)sent->name->len + TYPE_CLASS_BYTES)
		return ECHO_NO;
	if (dns_get16(type) != sent->type || dns_get16(type + 2) != sent->class)
		return ECHO_NO;
	if (name_matches_cased(sent->name, sent->case_bits, name))
		return ECHO_YES;
	if (!name_spells(sent->name, name))
		return ECHO_NO;
	/* A server that does not keep letter case is not a forger, but it cannot be told from one by case alone. Where the case is none of
	 * chance, it tells nothing: some servers answer as the zone's file spells the name. */
	return sent->case_bits == 0 ? ECHO_YES : ECHO_WRONG_CASE;
}
