/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/response.h"

#include <string.h>

#include "wire/edns.h"

enum {
	MAX_POINTER = 0x3fff,   /* RFC 1035 section 4.1.4: 14 bits */
	POINTER = 0xc000,
	SEEN_NAMES = 32,        /* names remembered for compression; later ones are written out */
	RECORD_FIXED_BYTES = 10,
	SOA_NUMBERS_BYTES = 20,
	GARBAGE_BYTES = 64,
	MIN_ROOM = 512,
};

/* A message as it grows. */
struct writer {
	uint8_t *out;
	size_t len, limit; /* limit: what the client takes, less the OPT that must still fit */
	uint32_t age_s;
	bool full;         /* a record did not fit */
	unsigned seen_count;
	struct seen {
		struct name name;
		uint16_t at;
		uint8_t plain; /* labels written out; a pointer or the root followed */
	} seen[SEEN_NAMES];
};

static void put(struct writer *w, const void *octets, size_t len)
{
	if (w->full || len > w->limit - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->len, octets, len);
	w->len += len;
}

static void put16(struct writer *w, uint16_t v)
{
	uint8_t octets[2];

	dns_put16(octets, v);
	put(w, octets, sizeof(octets));
}

/* Where the message already spells `n` from label `label` on; 0: nowhere. */
static size_t find_suffix(const struct writer *w, const struct name *n, unsigned label)
{
	const size_t len = n->len - n->at[label];

	for (unsigned i = 0; i < w->seen_count; i++) {
		const struct seen *s = &w->seen[i];
		unsigned labels = n->labels - label;
		if (labels > s->name.labels)
			continue;
		unsigned from = s->name.labels - labels;
		size_t at = s->name.at[from];
		if (from >= s->plain || s->name.len - at != len || s->at + at > MAX_POINTER)
			continue;
		if (memcmp(s->name.octets + at, n->octets + n->at[label], len) == 0)
			return s->at + at;
	}
	return 0;
}

/* Writes a name, from the first label that the message has already as a pointer. */
static void put_name(struct writer *w, const struct name *n)
{
	const size_t at = w->len;
	unsigned label = 0;
	size_t pointer = 0;

	while (label < n->labels && pointer == 0) {
		pointer = find_suffix(w, n, label);
		label += pointer == 0;
	}
	if (label > 0 && w->seen_count < SEEN_NAMES)
		w->seen[w->seen_count++] = (struct seen){*n, (uint16_t)at, (uint8_t)label};
	put(w, n->octets, n->at[label]);
	if (pointer > 0)
		put16(w, (uint16_t)(POINTER | pointer));
	else
		put(w, "", 1);
}

/* Names inside the rdata of the types of RFC 1035 may be compressed, no others (RFC 3597 section 4). */
static void put_rdata(struct writer *w, const struct zone_record *r)
{
	const bool one = r->type == DNS_TYPE_NS || r->type == DNS_TYPE_CNAME || r->type == DNS_TYPE_PTR;
	size_t names = r->type == DNS_TYPE_SOA ? 2 : one || r->type == DNS_TYPE_MX;
	size_t at = r->type == DNS_TYPE_MX ? 2 : 0;

	put(w, r->rdata, at);
	for (; names > 0; names--) {
		struct name n;
		int took = name_read(&n, r->rdata + at, r->rdata_len - at);
		if (took < 0)
			break;
		put_name(w, &n);
		at += (size_t)took;
	}
	put(w, r->rdata + at, r->rdata_len - at);
}

static uint32_t count_down(uint32_t ttl_s, uint32_t age_s)
{
	return ttl_s == 0 ? 0 : ttl_s - age_s % ttl_s;
}

/* Writes one record or, when it does not fit, nothing. */
static bool put_record(struct writer *w, const struct name *owner, const struct zone_record *r, uint32_t ttl_s)
{
	const size_t at = w->len;
	const unsigned seen = w->seen_count;
	uint8_t fixed[RECORD_FIXED_BYTES];

	put_name(w, owner);
	dns_put16(fixed, r->type);
	dns_put16(fixed + 2, DNS_CLASS_IN);
	dns_put32(fixed + 4, count_down(ttl_s, w->age_s));
	dns_put16(fixed + 8, 0);
	put(w, fixed, sizeof(fixed));
	const size_t rdata_at = w->len;
	put_rdata(w, r);
	if (w->full) {
		w->len = at;
		w->seen_count = seen;
		return false;
	}
	dns_put16(w->out + rdata_at - 2, (uint16_t)(w->len - rdata_at));
	return true;
}

/* RFC 2308 section 3: the SOA of a negative answer tells how long it holds. */
static uint32_t negative_ttl(const struct zone_record *soa)
{
	if (soa->rdata_len < SOA_NUMBERS_BYTES)
		return soa->ttl_s;
	return MIN(soa->ttl_s, dns_get32(soa->rdata + soa->rdata_len - 4));
}

static void put_answer(struct writer *w, const struct zone_answer *found)
{
	uint16_t written = 0;

	for (size_t i = 0; i < found->count && !w->full; i++) {
		const struct zone_rrset *set = &found->sets[i];
		for (size_t j = 0; j < set->count && !w->full; j++)
			written += put_record(w, &set->owner, &set->first[j], set->first[j].ttl_s);
	}
	dns_put16(w->out + 6, written);
	if (!w->full && found->soa.count > 0) {
		const struct zone_record *soa = found->soa.first;
		dns_put16(w->out + 8, put_record(w, &found->soa.owner, soa, negative_ttl(soa)));
	}
}

/* Header and question; no question where none could be read. */
static void begin(struct writer *w, const struct response_asked *a)
{
	const struct question *q = a->question;
	const bool has_question = a->verdict == QUESTION_OK || a->verdict == QUESTION_BADVERS;
	uint8_t header[DNS_HEADER_BYTES] = {0};

	dns_put16(header, q->id);
	dns_put16(header + 2, (uint16_t)(DNS_QR | DNS_RA | (q->flags & (DNS_OPCODE | DNS_RD))));
	dns_put16(header + 4, has_question);
	put(w, header, sizeof(header));
	if (!has_question)
		return;
	/* The lower-case name is remembered: spelling does not matter where a pointer leads. */
	if (q->name.labels > 0)
		w->seen[w->seen_count++] = (struct seen){q->name, (uint16_t)w->len, q->name.labels};
	put(w, a->fault->lower_case ? q->name.octets : q->spelled, q->name.len);
	put16(w, q->type);
	put16(w, q->class);
}

/* What is said of the question before any zone is looked at; -1: look. */
static int judge(const struct response_asked *a)
{
	static const int by_verdict[] = {
		[QUESTION_OK] = -1,
		[QUESTION_DROP] = DNS_FORMERR,
		[QUESTION_NOTIMP] = DNS_NOTIMP,
		[QUESTION_FORMERR] = DNS_FORMERR,
		[QUESTION_BADVERS] = DNS_BADVERS,
	};
	const struct question *q = a->question;

	if (by_verdict[a->verdict] >= 0)
		return by_verdict[a->verdict];
	if (a->fault->has_rcode)
		return a->fault->rcode;
	bool transfer = q->type == DNS_TYPE_AXFR || q->type == DNS_TYPE_IXFR;
	return q->class != DNS_CLASS_IN || transfer ? DNS_REFUSED : -1;
}

static int answer(struct writer *w, const struct response_asked *a)
{
	struct zone_answer found;
	int rcode = judge(a);

	if (rcode >= 0)
		return rcode;
	zone_set_lookup(a->rules->zones, &a->question->name, a->question->type, &found);
	if (found.outside)
		return a->rules->outside_rcode;
	if (a->fault->truncate && !a->tcp)
		w->full = true;
	put_answer(w, &found);
	return found.rcode;
}

static size_t size_limit(const struct response_asked *a, size_t room)
{
	if (a->tcp)
		return MIN(room, (size_t)DNS_MESSAGE_MAX);
	size_t taken = a->question->edns.present ? MAX(a->question->edns.udp_bytes, DNS_UDP_PLAIN_BYTES) : DNS_UDP_PLAIN_BYTES;
	return MIN(room, MIN(taken, (size_t)RESPONSE_UDP_BYTES));
}

static size_t put_opt(uint8_t *out, int rcode)
{
	memset(out, 0, EDNS_OPT_BYTES);
	dns_put16(out + 1, DNS_TYPE_OPT);
	dns_put16(out + 3, RESPONSE_UDP_BYTES);
	out[5] = (uint8_t)(rcode >> 4);
	return EDNS_OPT_BYTES;
}

/* Another question than the one asked: the first octet of its name differs, or for the root, which has none, the
 * type. A digit, because letters may differ in their case alone. */
static void change_question(uint8_t *out)
{
	uint8_t *label = out + DNS_HEADER_BYTES;

	if (label[0] == 0)
		label[2] ^= 1;
	else
		label[1] = label[1] == '0' ? '1' : '0';
}

/* Says "three records" and sends none: the first owner points forward, which no reader may follow. */
static size_t put_garbage(uint8_t *out, size_t room, const struct question *q, struct random *r)
{
	const size_t at = DNS_HEADER_BYTES + q->name.len + 4u;
	const size_t len = MIN(room - at, (size_t)GARBAGE_BYTES);

	dns_put16(out + 6, 3);
	dns_put16(out + 8, 0);
	dns_put16(out + 10, 0);
	for (size_t i = 0; i < len; i++)
		out[at + i] = i < 2 ? 0xff : (uint8_t)random_u16(r);
	return at + len;
}

size_t response_write(const struct response_asked *a, struct random *r, uint8_t *out, size_t room)
{
	const struct question *q = a->question;
	const struct fault *f = a->fault;
	const bool old = f->no_edns && q->edns.present;
	const bool edns = q->edns.present && !old;
	struct writer w = {.out = out, .age_s = a->rules->age_s};

	ASSERT(room >= MIN_ROOM);
	w.limit = size_limit(a, room) - (edns ? EDNS_OPT_BYTES : 0);
	begin(&w, a);
	int rcode = old ? DNS_FORMERR : answer(&w, a);
	/* A cut answer has no authority section: section 9 of RFC 2181 tells the client to ask again whatever came. */
	dns_put16(out + 2, (uint16_t)(dns_flags(out) | (w.full ? DNS_TC : 0) | (rcode & DNS_RCODE)));
	if (edns) {
		dns_put16(out + 10, 1);
		w.len += put_opt(out + w.len, rcode);
	}
	if (f->garbage && dns_qdcount(out) == 1)
		w.len = put_garbage(out, w.limit, q, r);
	if (f->wrong_question && dns_qdcount(out) == 1)
		change_question(out);
	if (f->wrong_id)
		dns_put16(out, (uint16_t)(q->id + 1));
	return w.len;
}
