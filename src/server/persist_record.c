/* SPDX-License-Identifier: Apache-2.0 */
#include "server/persist_record.h"

#include <string.h>

#include "core/guard.h"
#include "wire/dns.h"

/* Where the fields stand. */
enum {
	AT_ROUTE = 0,
	AT_AGE = 4,
	AT_LIFE = 8,
	AT_TYPE = 12,
	AT_BITS = 14,
	AT_NAME_LEN = 15,
	AT_FLAGS = 16,
	AT_COUNTS = 18,
	AT_BODY_LEN = 24,
};

void persist_record_write(const struct cache_entry *e, uint32_t now_s, uint8_t *out)
{
	const struct cache_answer *a = &e->answer;

	dns_put32(out + AT_ROUTE, e->key.route);
	dns_put32(out + AT_AGE, persist_record_age_s(e, now_s));
	dns_put32(out + AT_LIFE, e->expires_s - e->stored_s);
	dns_put16(out + AT_TYPE, e->key.type);
	out[AT_BITS] = e->key.bits;
	out[AT_NAME_LEN] = e->name.len;
	dns_put16(out + AT_FLAGS, (uint16_t)((a->flags & DNS_AD) | (a->rcode & DNS_RCODE)));
	dns_put16(out + AT_COUNTS, a->ancount);
	dns_put16(out + AT_COUNTS + 2, a->nscount);
	dns_put16(out + AT_COUNTS + 4, a->arcount);
	dns_put16(out + AT_BODY_LEN, (uint16_t)a->body_bytes);
	memcpy(out + PERSIST_RECORD_HEAD_BYTES, e->name.octets, e->name.len);
	memcpy(out + PERSIST_RECORD_HEAD_BYTES + e->name.len, a->body, a->body_bytes);
}

/* ---- reading */

static void write_header(uint8_t *m, const uint8_t *record)
{
	dns_put16(m, 0);
	dns_put16(m + 2, (uint16_t)(DNS_QR | (dns_get16(record + AT_FLAGS) & DNS_RCODE)));
	dns_put16(m + 4, 1);
	memcpy(m + 6, record + AT_COUNTS, 6);
}

/* Makes a whole message of a record and reads it as if it had just come. */
static bool read_again(struct persist_reading *r, const uint8_t *record, const struct name *name)
{
	const struct answer *a = &r->answer;
	size_t body_bytes = dns_get16(record + AT_BODY_LEN), body_at = DNS_HEADER_BYTES + (size_t)name->len + 4;
	uint8_t *m = r->message;

	if (body_at + body_bytes > sizeof(r->message))
		return false;
	write_header(m, record);
	memcpy(m + DNS_HEADER_BYTES, name->octets, name->len);
	memcpy(m + body_at - 4, record + AT_TYPE, 2);
	dns_put16(m + body_at - 2, DNS_CLASS_IN);
	memcpy(m + body_at, record + PERSIST_RECORD_HEAD_BYTES + name->len, body_bytes);
	/* No OPT was ever kept, so nothing may be left out now. */
	return answer_read(&r->answer, m, body_at + body_bytes) == ANSWER_OK && a->kind != ANSWER_FAILURE && !a->edns.present;
}

/* The zone's guard, which may be stricter than when the answer came. */
static bool is_expected(const struct persist_reading *r, const struct snapshot_zone *zone)
{
	struct addr seen;

	if (zone->config == NULL || zone->config->guard != GUARD_ENFORCE)
		return true;
	const struct guard_expect expect = {zone->config->expect->is_private, zone->config->expect->networks, zone->config->expect->count};
	return guard_accepts(&expect, &r->answer, &seen);
}

/* Would be asked for, where it came from, by this key. */
static bool is_routed(const struct persist_reading *r, const struct cache_entry *e)
{
	const struct snapshot_zone *zone = snapshot_find_zone(r->snapshot, &e->name);
	const struct snapshot_route *route = &r->snapshot->routes[zone->route];

	return zone->special == SPECIAL_NONE && zone->identity == e->key.route && (e->key.bits == 0 || route->local) &&
	       is_expected(r, zone);
}

static void bound_ttls(struct persist_reading *r, bool negative)
{
	for (uint16_t i = 0; i < r->answer.ttls; i++) {
		uint8_t *at = r->message + r->answer.ttl_at[i];
		dns_put32(at, cache_bound_ttl(&r->snapshot->cache_rules, dns_get32(at), negative));
	}
}

static bool take(struct persist_reading *r, const uint8_t *record)
{
	const struct cache_rules *rules = &r->snapshot->cache_rules;
	const struct answer *a = &r->answer;
	struct cache_entry e;
	uint8_t name_len = record[AT_NAME_LEN];

	if (name_read(&e.name, record + PERSIST_RECORD_HEAD_BYTES, name_len) != name_len || !read_again(r, record, &e.name))
		return false;
	e.key = (struct cache_key){
		.name = &e.name, .route = dns_get32(record + AT_ROUTE), .type = dns_get16(record + AT_TYPE), .bits = record[AT_BITS]};
	bool negative = a->kind != ANSWER_POSITIVE;
	/* The records say how long it may live; the file only that it was less, and the rules may have become stricter. */
	uint32_t life_s = MIN(dns_get32(record + AT_LIFE), cache_bound_ttl(rules, a->ttl_s, negative));
	uint64_t age_s = (uint64_t)dns_get32(record + AT_AGE) + r->passed_s;
	if (persist_record_is_past(age_s, life_s, rules->serve_stale_s) || !is_routed(r, &e))
		return false;
	bound_ttls(r, negative);
	e.answer = (struct cache_answer){
		.body = r->message + a->body_at,
		.body_bytes = (uint32_t)(a->body_end - a->body_at),
		.ttl_at = a->ttl_at,
		.ttls = a->ttls,
		.body_at = a->body_at,
		.rcode = a->rcode,
		.flags = (uint16_t)(dns_get16(record + AT_FLAGS) & DNS_AD),
		.ancount = a->ancount,
		.nscount = a->nscount,
		.arcount = a->arcount,
		.negative = negative,
		.ttl_s = life_s,
		.origin = PERSIST_RECORD_ORIGIN,
	};
	e.stored_s = r->now_s - (uint32_t)age_s;
	e.expires_s = e.stored_s + life_s;
	return cache_restore(r->snapshot->cache, &e);
}

size_t persist_record_read(struct persist_reading *r, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (len - at >= PERSIST_RECORD_HEAD_BYTES) {
		const uint8_t *record = bytes + at;
		size_t whole = PERSIST_RECORD_HEAD_BYTES + (size_t)record[AT_NAME_LEN] + dns_get16(record + AT_BODY_LEN);
		if (whole > len - at)
			break;
		if (take(r, record))
			r->entries++;
		else
			r->left_out++;
		at += whole;
	}
	return at;
}
