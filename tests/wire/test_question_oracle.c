/* SPDX-License-Identifier: Apache-2.0 */
/* ldns as the oracle of questions: what it asks we read, what we accept of damaged queries it reads alike, and what we
 * write it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h> /* before ldns, which makes a bool of its own otherwise */
#include <ldns/ldns.h>
#include <string.h>

#include "packet.h"

/* A query of ldns with a random name, type, class and EDNS. */
static void make_query(struct sample *s, struct packet *p)
{
	static const uint16_t types[] = {1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 64, 65, 255, 257, 65535};
	uint8_t octets[NAME_MAX_OCTETS], *wire = NULL;
	size_t name_len = sample_name(s, octets), len = 0;
	uint32_t type = sample_below(s, 8) ? types[sample_below(s, ARRAY_SIZE(types))] : sample_below(s, 65536);
	uint32_t class = sample_below(s, 4) ? LDNS_RR_CLASS_IN : sample_below(s, 65536);

	ldns_rdf *name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name_len, octets);
	ldns_pkt *packet = ldns_pkt_query_new(name, (ldns_rr_type)type, (ldns_rr_class) class, LDNS_RD);
	ldns_pkt_set_id(packet, (uint16_t)sample_u32(s));
	ldns_pkt_set_cd(packet, sample_below(s, 2));
	ldns_pkt_set_ad(packet, sample_below(s, 2));
	if (sample_below(s, 2)) {
		ldns_pkt_set_edns_udp_size(packet, (uint16_t)(512 + sample_below(s, 4096)));
		ldns_pkt_set_edns_do(packet, sample_below(s, 2));
	}
	if (ldns_pkt_edns(packet) && sample_below(s, 2))
		ldns_pkt_set_edns_data(packet,
				       ldns_rdf_new_frm_data(LDNS_RDF_TYPE_NONE, 12, "\000\012\000\010cookie!!"));
	assert_int_equal(ldns_pkt2wire(&wire, packet, &len), LDNS_STATUS_OK);
	assert_true(len <= sizeof(p->octets));
	memcpy(p->octets, wire, len);
	p->len = len;
	LDNS_FREE(wire);
	ldns_pkt_free(packet);
}

/* Holds what we read against what ldns read. */
static void compare(const struct question *q, const ldns_pkt *packet)
{
	const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
	const ldns_rdf *owner = ldns_rr_owner(rr);

	assert_int_equal(ldns_pkt_qdcount(packet), 1);
	assert_int_equal(q->id, ldns_pkt_id(packet));
	assert_int_equal(!!(q->flags & DNS_RD), ldns_pkt_rd(packet));
	assert_int_equal(!!(q->flags & DNS_CD), ldns_pkt_cd(packet));
	assert_int_equal(!!(q->flags & DNS_AD), ldns_pkt_ad(packet));
	assert_int_equal(q->type, ldns_rr_get_type(rr));
	assert_int_equal(q->class, ldns_rr_get_class(rr));
	assert_int_equal(q->name.len, ldns_rdf_size(owner));
	assert_memory_equal(q->spelled, ldns_rdf_data(owner), q->name.len);
	for (size_t i = 0; i < q->name.len; i++)
		assert_int_equal(q->name.octets[i], tolower(ldns_rdf_data(owner)[i]));
	assert_int_equal(q->name.labels, ldns_dname_label_count(owner));
	assert_int_equal(q->edns.present, ldns_pkt_edns(packet));
	if (!q->edns.present)
		return;
	assert_int_equal(q->edns.udp_bytes, MAX(ldns_pkt_edns_udp_size(packet), DNS_UDP_PLAIN_BYTES));
	assert_int_equal(q->edns.dnssec_ok, ldns_pkt_edns_do(packet));
	assert_int_equal(q->edns.version, ldns_pkt_edns_version(packet));
	assert_int_equal(q->edns.rcode_upper, ldns_pkt_edns_extended_rcode(packet));
}

static void what_ldns_asks_is_read_alike(void **state)
{
	struct sample s = {19};
	struct packet p;
	struct question q;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		ldns_pkt *packet = NULL;
		make_query(&s, &p);
		assert_int_equal(read_packet(&q, &p), QUESTION_OK);
		assert_int_equal(ldns_wire2pkt(&packet, p.octets, p.len), LDNS_STATUS_OK);
		compare(&q, packet);
		ldns_pkt_free(packet);
	}
}

/* Where ldns may refuse what we accept: it looks into the rdata of records that mean nothing in a query (an A of three
 * octets, say), which to us are octets. A query whose only record is an OPT has none. */
static bool holds_foreign_records(const struct packet *p, const struct question *q)
{
	return dns_ancount(p->octets) + dns_nscount(p->octets) + dns_arcount(p->octets) > q->edns.present;
}

static void damaged_query_that_we_accept_is_read_alike_by_ldns(void **state)
{
	struct sample s = {23};
	struct packet p;
	struct question q;
	int verdicts[QUESTION_BADVERS + 1] = {0}, compared = 0;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		make_query(&s, &p);
		if (sample_below(&s, 4) == 0) {
			p.octets[11]++;
			PUT(&p, RECORD_A);
		}
		sample_damage(&s, p.octets, &p.len, sizeof(p.octets));
		enum question_verdict verdict = read_packet(&q, &p);
		verdicts[verdict]++;
		if (verdict != QUESTION_OK && verdict != QUESTION_BADVERS)
			continue;
		ldns_pkt *packet = NULL;
		ldns_status status = ldns_wire2pkt(&packet, p.octets, p.len);
		if (status != LDNS_STATUS_OK) {
			assert_true(holds_foreign_records(&p, &q));
			continue;
		}
		compared++;
		compare(&q, packet);
		ldns_pkt_free(packet);
	}
	/* The damage is such that every verdict is met, and acceptance often. */
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		assert_true(verdicts[i] > 50);
	assert_true(compared > 10000);
}

/* One more record before the OPT takes the packet off the straight path: the same must come of it. */
static void straight_path_and_long_way_judge_alike(void **state)
{
	struct sample s = {29};
	struct packet p, with_record;
	struct question q, slow;
	int accepted = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		make_query(&s, &p);
		sample_damage(&s, p.octets, &p.len, sizeof(p.octets));
		enum question_verdict verdict = read_packet(&q, &p);
		if (verdict == QUESTION_DROP || dns_ancount(p.octets) + dns_nscount(p.octets) > 0 ||
		    dns_arcount(p.octets) > 1)
			continue;
		struct name name;
		int len = name_skip(p.octets, p.len, DNS_HEADER_BYTES);
		if (dns_qdcount(p.octets) != 1 || len < 0 || (size_t)len + 4 > p.len)
			continue;
		assert_int_equal(name_read(&name, p.octets + DNS_HEADER_BYTES, p.len - DNS_HEADER_BYTES),
				 len - DNS_HEADER_BYTES);
		with_record = (struct packet){0};
		put(&with_record, p.octets, (size_t)len + 4);
		PUT(&with_record, RECORD_A);
		put(&with_record, p.octets + len + 4, p.len - (size_t)len - 4);
		with_record.octets[11]++;
		assert_int_equal(read_packet(&slow, &with_record), verdict);
		assert_int_equal(slow.edns.present, q.edns.present);
		if (q.edns.present) {
			assert_int_equal(slow.edns.udp_bytes, q.edns.udp_bytes);
			assert_int_equal(slow.edns.dnssec_ok, q.edns.dnssec_ok);
		}
		accepted += verdict == QUESTION_OK;
	}
	assert_true(accepted > 3000);
}

static void query_upstream_is_what_ldns_reads(void **state)
{
	struct sample s = {31};
	uint8_t octets[NAME_MAX_OCTETS], cased[NAME_MAX_OCTETS];
	struct name name;
	struct question q;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct packet p;
		assert_true(name_read(&name, octets, sample_name(&s, octets)) > 0);
		struct question_upstream u = {
			.name = &name,
			.case_bits = (uint64_t)sample_u32(&s) << 32 | sample_u32(&s),
			.id = (uint16_t)sample_u32(&s),
			.type = (uint16_t)sample_u32(&s),
			.class = DNS_CLASS_IN,
			.flags = (uint16_t)sample_u32(&s),
			.edns = sample_below(&s, 2),
			.dnssec_ok = sample_below(&s, 2),
		};
		p.len = question_write(&u, p.octets);
		assert_int_equal(p.len, DNS_HEADER_BYTES + name.len + 4u + (u.edns ? EDNS_OPT_BYTES : 0u));
		assert_int_equal(read_packet(&q, &p), QUESTION_OK);
		/* Bits that are no business of a query are not let through. */
		assert_int_equal(q.flags, u.flags & (DNS_RD | DNS_CD | DNS_AD));
		assert_int_equal(q.id, u.id);
		assert_int_equal(q.type, u.type);
		name_write_cased(&name, u.case_bits, cased);
		assert_memory_equal(q.spelled, cased, name.len);
		assert_int_equal(q.edns.present, u.edns);
		assert_int_equal(q.edns.dnssec_ok, u.edns && u.dnssec_ok);
		ldns_pkt *packet = NULL;
		assert_int_equal(ldns_wire2pkt(&packet, p.octets, p.len), LDNS_STATUS_OK);
		compare(&q, packet);
		ldns_pkt_free(packet);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ldns_asks_is_read_alike),
		cmocka_unit_test(damaged_query_that_we_accept_is_read_alike_by_ldns),
		cmocka_unit_test(straight_path_and_long_way_judge_alike),
		cmocka_unit_test(query_upstream_is_what_ldns_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
