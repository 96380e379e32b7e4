/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_WIRE_MESSAGES_H
#define TESTS_WIRE_MESSAGES_H
/* DNS messages for tests: from zone text through ldns (compressed), or put together octet by octet (never compressed). */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* Before ldns, which otherwise makes a bool of its own. */
#include "wire/dns.h"

#include <ldns/ldns.h>
#include <stdlib.h>

struct message {
	size_t len;
	uint8_t octets[DNS_MESSAGE_MAX + 256];
};

static inline ldns_rdf *message_dname(const char *text)
{
	ldns_rdf *name = NULL;

	assert_int_equal(ldns_str2rdf_dname(&name, text), LDNS_STATUS_OK);
	return name;
}

/* Adds the lines of `text` to a section of `pkt`. */
static inline void message_push_text(ldns_pkt *pkt, ldns_pkt_section section, const char *text)
{
	char *copy = strdup(text ? text : ""), *rest = NULL;

	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		ldns_rr *rr = NULL;
		assert_int_equal(ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL), LDNS_STATUS_OK);
		ldns_pkt_push_rr(pkt, section, rr);
	}
	free(copy);
}

/* Takes `pkt`. */
static inline void message_from_pkt(struct message *m, ldns_pkt *pkt)
{
	uint8_t *wire = NULL;

	assert_int_equal(ldns_pkt2wire(&wire, pkt, &m->len), LDNS_STATUS_OK);
	assert_true(m->len <= sizeof(m->octets));
	memcpy(m->octets, wire, m->len);
	free(wire);
	ldns_pkt_free(pkt);
}

static inline ldns_pkt *message_response(const char *name, uint16_t type)
{
	ldns_pkt *pkt = ldns_pkt_query_new(message_dname(name), (ldns_rr_type)type, LDNS_RR_CLASS_IN, LDNS_RD);

	ldns_pkt_set_qr(pkt, true);
	ldns_pkt_set_ra(pkt, true);
	return pkt;
}

/* A response as ldns writes it. */
static inline void message_from_text(struct message *m, const char *name, uint16_t type, const char *answer, const char *authority)
{
	ldns_pkt *pkt = message_response(name, type);

	message_push_text(pkt, LDNS_SECTION_ANSWER, answer);
	message_push_text(pkt, LDNS_SECTION_AUTHORITY, authority);
	message_from_pkt(m, pkt);
}

static inline void message_put(struct message *m, const void *octets, size_t len)
{
	assert_true(m->len + len <= sizeof(m->octets));
	memcpy(m->octets + m->len, octets, len);
	m->len += len;
}

static inline void message_put_name(struct message *m, const char *text)
{
	ldns_rdf *name = message_dname(text);

	message_put(m, ldns_rdf_data(name), ldns_rdf_size(name));
	ldns_rdf_deep_free(name);
}

static inline void message_put16(struct message *m, unsigned v)
{
	dns_put16(m->octets + m->len, (uint16_t)v);
	m->len += 2;
}

/* A response's header and question, without records. */
static inline void message_begin(struct message *m, const char *name, unsigned type)
{
	static const uint8_t header[DNS_HEADER_BYTES] = {0x12, 0x34, 0x81, 0x80, 0, 1};

	m->len = 0;
	message_put(m, header, sizeof(header));
	message_put_name(m, name);
	message_put16(m, type);
	message_put16(m, DNS_CLASS_IN);
}

/* Counts one more record: 0 answer, 1 authority, 2 additional. */
static inline void message_count(struct message *m, int section)
{
	uint8_t *count = m->octets + 6 + 2 * section;

	dns_put16(count, (uint16_t)(dns_get16(count) + 1));
}

/* Everything of a record behind its owner, which was put before. */
static inline void message_put_rest(struct message *m, unsigned type, uint32_t ttl, const void *rdata, size_t len)
{
	message_put16(m, type);
	message_put16(m, DNS_CLASS_IN);
	message_put16(m, ttl >> 16);
	message_put16(m, ttl & 0xffff);
	message_put16(m, (unsigned)len);
	message_put(m, rdata, len);
}

static inline void message_add(struct message *m, int section, const char *owner, unsigned type, const void *rdata, size_t len)
{
	message_count(m, section);
	message_put_name(m, owner);
	message_put_rest(m, type, 300, rdata, len);
}

/* A record whose rdata is a name: CNAME, NS, DNAME. */
static inline void message_add_name(struct message *m, int section, const char *owner, unsigned type, const char *name)
{
	ldns_rdf *rdf = message_dname(name);

	message_add(m, section, owner, type, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
	ldns_rdf_deep_free(rdf);
}

/* An OPT without options. */
static inline void message_add_opt(struct message *m, int section)
{
	static const uint8_t opt[] = {0, 0, DNS_TYPE_OPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};

	message_count(m, section);
	message_put(m, opt, sizeof(opt));
}

/* Reproducible: xorshift64. */
static inline uint32_t message_random(uint64_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32) % below;
}

#endif
