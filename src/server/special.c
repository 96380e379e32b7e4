/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are answered here: localhost and its reverse (RFC 6761 section 6.3), invalid (6.4), onion (RFC 7686),
 * resolver.arpa (RFC 9462 section 6.4), version and identity in class CHAOS (RFC 4892), and RFC 8482's HINFO for ANY.
 * Records are owned by the question's name, so each begins with a pointer to it. */
#include <string.h>
#include <unistd.h>

#include "server/forward_private.h"

/* A day for what never changes; an hour for "there is nothing" (RFC 8482 gives none: its section 4.2 asks for a long one). */
enum { FIXED_TTL_S = 86400, NOTHING_TTL_S = 3600 };

static const uint8_t localhost_name[] = "\011localhost";

/* Writes one record owned by the question's name; returns its size. */
static size_t write_record(uint8_t *out, uint16_t type, uint16_t class, uint32_t ttl_s, const void *rdata, size_t len)
{
	dns_put16(out, 0xc000 | DNS_HEADER_BYTES);
	dns_put16(out + 2, type);
	dns_put16(out + 4, class);
	dns_put32(out + 6, ttl_s);
	dns_put16(out + 10, (uint16_t)len);
	memcpy(out + 12, rdata, len);
	return 12 + len;
}

/* An SOA that lets others remember the nothing (RFC 6303 section 3: nobody's zone, served locally). */
static size_t write_soa(uint8_t *out)
{
	static const uint8_t rdata[] = "\011localhost\0" "\000" /* mname localhost., rname . */
				       "\0\0\0\1" "\0\0\016\020" "\0\0\004\260" "\0\011\072\200" "\0\0\016\020";

	return write_record(out, DNS_TYPE_SOA, DNS_CLASS_IN, NOTHING_TTL_S, rdata, sizeof(rdata) - 1);
}

static void reply_record(struct forward *f, const struct client *c, struct reply *r, size_t (*write)(uint8_t *out, const void *arg),
			 const void *arg)
{
	size_t room;
	uint8_t *out = f->world.replies.room(c->to, &room);

	r->ede = DNS_EDE_NONE;
	r->body_bytes = write(out + reply_body_at(c->asker), arg);
	landing_note(f, c, r->rcode, LANDING_HERE, NULL);
	f->world.replies.send(c->to, reply_finish(out, room, c->asker, r));
}

struct record {
	uint16_t type, class;
	const void *rdata;
	size_t len;
};

static size_t write_answer(uint8_t *out, const void *arg)
{
	const struct record *rec = arg;

	return write_record(out, rec->type, rec->class, rec->class == DNS_CLASS_CH ? 0 : FIXED_TTL_S, rec->rdata, rec->len);
}

static size_t write_nothing(uint8_t *out, const void *arg)
{
	(void)arg;
	return write_soa(out);
}

static void reply_nothing(struct forward *f, const struct client *c, uint16_t rcode)
{
	struct reply r = {.rcode = rcode, .nscount = 1};

	reply_record(f, c, &r, write_nothing, NULL);
}

static void reply_one(struct forward *f, const struct client *c, const struct record *rec)
{
	struct reply r = {.ancount = 1};

	reply_record(f, c, &r, write_answer, rec);
}

static void reply_localhost(struct forward *f, const struct client *c, const struct question *q)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
	struct record rec = {.type = q->type, .class = DNS_CLASS_IN, .rdata = v4, .len = sizeof(v4)};

	if (q->type == DNS_TYPE_AAAA) {
		rec.rdata = v6;
		rec.len = sizeof(v6);
	} else if (q->type != DNS_TYPE_A) {
		reply_nothing(f, c, DNS_NOERROR);
		return;
	}
	reply_one(f, c, &rec);
}

/* 1.0.0.127.in-addr.arpa has 6 labels, the one of ::1 has 34: the only names in these zones with a record. What lies between the first and
 * its zone has none, and exists for the name below it (RFC 8020). */
static void reply_reverse(struct forward *f, const struct client *c, const struct question *q)
{
	static const char full[] = "\0011\0010\0010\003127";
	size_t left_out = q->name.labels <= 6 ? 2u * (6u - q->name.labels) : 0;
	bool on_the_way = q->name.labels >= 3 && q->name.labels <= 6 &&
			  memcmp(q->name.octets, full + left_out, sizeof(full) - 1 - left_out) == 0;
	bool exists = q->name.labels == 34 || (q->name.labels == 6 && on_the_way);

	if (exists && q->type == DNS_TYPE_PTR)
		reply_one(f, c, &(struct record){DNS_TYPE_PTR, DNS_CLASS_IN, localhost_name, sizeof(localhost_name)});
	else
		reply_nothing(f, c, exists || on_the_way ? DNS_NOERROR : DNS_NXDOMAIN);
}

bool special_reply(struct forward *f, const struct client *c, const struct snapshot_zone *zone, const struct question *q)
{
	switch (zone->special) {
	case SPECIAL_LOCALHOST:
		reply_localhost(f, c, q);
		return true;
	case SPECIAL_LOCALHOST_REVERSE:
		reply_reverse(f, c, q);
		return true;
	case SPECIAL_NXDOMAIN:
		reply_nothing(f, c, DNS_NXDOMAIN);
		return true;
	case SPECIAL_NODATA:
		reply_nothing(f, c, DNS_NOERROR);
		return true;
	case SPECIAL_NONE:
		break;
	}
	return false;
}

void special_any(struct forward *f, const struct client *c)
{
	static const uint8_t rfc8482[] = "\007RFC8482"; /* CPU; the zero that C adds is the empty OS */

	reply_one(f, c, &(struct record){DNS_TYPE_HINFO, DNS_CLASS_IN, rfc8482, sizeof(rfc8482)});
}

static bool asks(const struct question *q, const char *octets, size_t len)
{
	return q->name.len == len && memcmp(q->name.octets, octets, len) == 0;
}

void special_chaos(struct forward *f, const struct client *c, const struct question *q)
{
	uint8_t text[256] = {0};
	char *words = (char *)text + 1;

	if (asks(q, "\007version\006server", 16) || asks(q, "\007version\004bind", 14))
		memcpy(words, "r53fwd " R53FWD_VERSION, sizeof("r53fwd " R53FWD_VERSION));
	else if (!(asks(q, "\002id\006server", 11) || asks(q, "\010hostname\004bind", 15)) || gethostname(words, 250) != 0) {
		landing_error(f, c, DNS_REFUSED, DNS_EDE_NONE, NULL);
		return;
	}
	if (q->type != DNS_TYPE_TXT && q->type != DNS_TYPE_ANY) {
		landing_error(f, c, DNS_NOERROR, DNS_EDE_NONE, NULL);
		return;
	}
	text[0] = (uint8_t)strlen(words);
	reply_one(f, c, &(struct record){DNS_TYPE_TXT, DNS_CLASS_CH, text, 1u + text[0]});
}
