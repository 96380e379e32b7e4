/* SPDX-License-Identifier: Apache-2.0 */
/* ldns as the oracle: what it writes we read, and find in it what it finds; what we accept of damaged messages it accepts
 * too, with the same records.
 *
 * The exception, by design: rdata of types that we do not check is opaque to us (HINFO and TXT here, and whatever a
 * damaged type has become), while ldns parses what it knows, and goes on reading where that ended, rdlength or not (an
 * SOA that became an MB: 20 octets too early). Where such a record stands its opinion says nothing. */
#include "messages.h"

#include "wire/answer.h"

enum { MESSAGES = 3000, MUTATIONS = 40000 };

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
	return message_random(&random_state, n);
}

/* Few labels, so that names meet, lie below each other and differ in letter case. */
static const char *random_name(char out[64])
{
	static const char *const labels[] = {"a", "A", "bb", "www", "WwW", "db-1", "x0123456789abcdef"};
	static const char *const ends[] = {"example.com.", "Example.COM.", "test.", "a.test.", "."};
	size_t at = 0;

	out[0] = 0;
	for (uint32_t n = below(3); n > 0; n--)
		at += (size_t)snprintf(out + at, 64 - at, "%s.", labels[below(ARRAY_SIZE(labels))]);
	const char *end = ends[below(ARRAY_SIZE(ends))];
	if (at == 0 || strcmp(end, ".") != 0)
		snprintf(out + at, 64 - at, "%s", end);
	return out;
}

static ldns_rr *random_rr(const char *owner)
{
	static const char *const forms[] = {"A 192.0.2.7", "AAAA fd00::1", "CNAME %s", "CNAME %s", "NS %s", "PTR %s", "MX 5 %s",
					    "SRV 1 2 443 %s", "DNAME %s", "SOA %s %s 1 2 3 4 77", "TXT \"some text\" \"more\"",
					    "HINFO cpu os", "TYPE65280 \\# 3 c00c01"};
	char name[64], other[64], rdata[200], line[300];
	ldns_rr *rr = NULL;

	/* The last three are opaque to us, and rarer. */
	const char *form = forms[below(ARRAY_SIZE(forms) - (below(4) > 0 ? 3 : 0))];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(rdata, sizeof(rdata), form, random_name(name), random_name(other));
#pragma GCC diagnostic pop
	snprintf(line, sizeof(line), "%s 60 IN %s", owner, rdata);
	assert_int_equal(ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL), LDNS_STATUS_OK);
	ldns_rr_set_ttl(rr, below(10) == 0 ? 0x80000000 + below(100) : below(100000));
	return rr;
}

/* A question and up to a dozen records, often a chain. */
static ldns_pkt *random_pkt(void)
{
	static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_CNAME, DNS_TYPE_ANY, DNS_TYPE_MX};
	static const uint8_t rcodes[] = {0, 0, 0, 0, 3, 2, 5};
	static const ldns_pkt_section sections[] = {LDNS_SECTION_ANSWER, LDNS_SECTION_AUTHORITY, LDNS_SECTION_ADDITIONAL};
	char owner[64];

	ldns_pkt *pkt = message_response(random_name(owner), types[below(ARRAY_SIZE(types))]);
	ldns_pkt_set_rcode(pkt, rcodes[below(ARRAY_SIZE(rcodes))]);
	for (size_t section = 0; section < 3; section++) {
		for (uint32_t left = below(6); left > 0; left--) {
			ldns_rr *rr = random_rr(owner);
			ldns_pkt_push_rr(pkt, sections[section], rr);
			if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME && below(4) > 0) {
				char *target = ldns_rdf2str(ldns_rr_rdf(rr, 0));
				snprintf(owner, sizeof(owner), "%s", target);
				free(target);
			} else if (below(3) == 0) {
				random_name(owner);
			}
		}
	}
	if (below(2)) {
		ldns_pkt_set_edns_udp_size(pkt, 1232);
		ldns_pkt_set_edns_do(pkt, below(2));
	}
	return pkt;
}

/* ---- the oracle's opinion ---- */

static bool has_type(const ldns_rr_list *rrs, ldns_rr_type type)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++)
		if (ldns_rr_get_type(ldns_rr_list_rr(rrs, i)) == type)
			return true;
	return false;
}

/* `name` with the DNAME's owner replaced by its target. */
static ldns_rdf *substituted(const ldns_rdf *name, const ldns_rr *dname)
{
	ldns_rdf *result = ldns_dname_new_frm_str(".");
	uint8_t labels = (uint8_t)(ldns_dname_label_count(name) - ldns_dname_label_count(ldns_rr_owner(dname)));

	for (uint8_t i = 0; i < labels; i++) {
		ldns_rdf *label = ldns_dname_label(name, i);
		assert_int_equal(ldns_dname_cat(result, label), LDNS_STATUS_OK);
		ldns_rdf_deep_free(label);
	}
	assert_int_equal(ldns_dname_cat(result, ldns_rr_rdf(dname, 0)), LDNS_STATUS_OK);
	return result;
}

/* What `name` is an alias of, NULL if of nothing; `*found` when it has records of the type itself. */
static ldns_rdf *alias_of(const ldns_rr_list *rrs, const ldns_rdf *name, ldns_rr_type type, bool *found)
{
	ldns_rdf *cname = NULL, *dname = NULL;

	*found = false;
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(rrs, i);
		bool here = ldns_dname_compare(ldns_rr_owner(rr), name) == 0;
		*found = *found || (here && (ldns_rr_get_type(rr) == type || type == LDNS_RR_TYPE_ANY));
		if (here && ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME && !cname)
			cname = ldns_rdf_clone(ldns_rr_rdf(rr, 0));
		/* For ldns a name may be its own subdomain; for a DNAME it is not (RFC 6672 section 2.3). */
		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_DNAME && !here && !dname && ldns_dname_is_subdomain(name, ldns_rr_owner(rr)))
			dname = substituted(name, rr);
	}
	if (cname && dname)
		ldns_rdf_deep_free(dname);
	return cname ? cname : dname;
}

static enum answer_kind kind_by_ldns(const ldns_pkt *pkt)
{
	const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(pkt), 0);
	bool found = false;
	int links = 0;

	if (ldns_pkt_get_rcode(pkt) != LDNS_RCODE_NOERROR)
		return ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN ? ANSWER_NXDOMAIN : ANSWER_FAILURE;
	ldns_rdf *name = ldns_rdf_clone(ldns_rr_owner(question));
	for (;;) {
		ldns_rdf *next = alias_of(ldns_pkt_answer(pkt), name, ldns_rr_get_type(question), &found);
		ldns_rdf_deep_free(name);
		name = next;
		if (found || !name || links == 16)
			break;
		links++;
	}
	ldns_rdf_deep_free(name);
	return found || (links > 0 && !has_type(ldns_pkt_authority(pkt), LDNS_RR_TYPE_SOA)) ? ANSWER_POSITIVE : ANSWER_NODATA;
}

static uint32_t least_ttl(const ldns_rr_list *rrs, uint32_t least, bool minimum_too)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(rrs); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(rrs, i);
		uint32_t ttl = ldns_rr_ttl(rr) >> 31 ? 0 : ldns_rr_ttl(rr);
		least = MIN(least, ttl);
		if (minimum_too && ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA)
			least = MIN(least, ldns_rdf2native_int32(ldns_rr_rdf(rr, 6)));
	}
	return least;
}

static void whatever_ldns_writes_is_read_alike(void **state)
{
	static struct message m;
	static struct answer a;
	unsigned kinds[4] = {0};

	(void)state;
	random_state = 0x2545f4914f6cdd1d;
	for (int i = 0; i < MESSAGES; i++) {
		ldns_pkt *pkt = random_pkt();
		enum answer_kind kind = kind_by_ldns(pkt);
		bool negative = kind == ANSWER_NODATA || kind == ANSWER_NXDOMAIN;
		uint32_t ttl = least_ttl(ldns_pkt_answer(pkt), UINT32_MAX, false);
		ttl = least_ttl(ldns_pkt_authority(pkt), ttl, negative);
		ttl = least_ttl(ldns_pkt_additional(pkt), ttl, false);
		size_t counts[3] = {ldns_rr_list_rr_count(ldns_pkt_answer(pkt)), ldns_rr_list_rr_count(ldns_pkt_authority(pkt)),
				    ldns_rr_list_rr_count(ldns_pkt_additional(pkt))};
		bool edns = ldns_pkt_edns(pkt), has_soa = has_type(ldns_pkt_authority(pkt), LDNS_RR_TYPE_SOA);

		message_from_pkt(&m, pkt);
		assert_int_equal(answer_read(&a, m.octets, m.len), ANSWER_OK);
		assert_int_equal(a.kind, kind);
		assert_int_equal(a.ttl_s, a.ttls > 0 ? ttl : 0);
		assert_int_equal(a.ancount, counts[0]);
		assert_int_equal(a.nscount, counts[1]);
		assert_int_equal(a.arcount, counts[2]);
		assert_int_equal(a.edns.present, edns);
		assert_int_equal(a.has_soa, has_soa);
		kinds[a.kind]++;
	}
	/* The generator reaches all of them. */
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
		assert_true(kinds[kind] > MESSAGES / 50);
}

/* ---- damage ---- */

static void damage(struct message *m)
{
	for (uint32_t left = 1 + below(3); left > 0; left--) {
		uint32_t at = below((uint32_t)m->len);
		switch (below(6)) {
		case 0:
			m->octets[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			m->octets[at] = (uint8_t)below(256);
			break;
		case 2: /* a pointer to somewhere */
			dns_put16(m->octets + at, (uint16_t)(0xc000 | below((uint32_t)m->len)));
			break;
		case 3:
			m->octets[at] = (uint8_t)(m->octets[at] + 1 - 2 * below(2));
			break;
		case 4: /* a piece of it somewhere else */
			memmove(m->octets + at, m->octets + below(at + 1), MIN(m->len - at, (size_t)below(20)));
			break;
		default:
			if (below(8) == 0)
				m->len = MAX(at, 1u);
		}
	}
}

static bool has_opaque_types_that_ldns_knows(const struct answer *a)
{
	static const uint16_t checked[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_NS, DNS_TYPE_CNAME, DNS_TYPE_SOA,
					   DNS_TYPE_PTR, DNS_TYPE_MX, DNS_TYPE_SRV, DNS_TYPE_DNAME, 65280};

	for (unsigned i = 0; i < a->ttls; i++) {
		size_t known = 0;
		while (known < ARRAY_SIZE(checked) && checked[known] != dns_get16(a->message + a->ttl_at[i] - 4))
			known++;
		if (known == ARRAY_SIZE(checked))
			return true;
	}
	/* Types behind the OPT are not listed. */
	return dns_arcount(a->message) != a->arcount + a->edns.present;
}

/* Both read the same records. */
static void compare(const struct answer *a, size_t len)
{
	ldns_pkt *pkt = NULL;

	assert_int_equal(ldns_wire2pkt(&pkt, a->message, len), LDNS_STATUS_OK);
	assert_int_equal(ldns_rr_list_rr_count(ldns_pkt_answer(pkt)), a->ancount);
	assert_int_equal(ldns_rr_list_rr_count(ldns_pkt_authority(pkt)), a->nscount);
	assert_int_equal(ldns_rr_list_rr_count(ldns_pkt_additional(pkt)), a->arcount);
	ldns_pkt_free(pkt);
}

static void what_is_accepted_of_damaged_messages_ldns_accepts(void **state)
{
	static struct message original, m;
	static struct answer a;
	unsigned accepted = 0, compared = 0;

	(void)state;
	random_state = 0x9e3779b97f4a7c15;
	for (int i = 0; i < MUTATIONS; i++) {
		if (i % 10 == 0)
			message_from_pkt(&original, random_pkt());
		m = original;
		damage(&m);
		uint8_t *copy = malloc(m.len);
		memcpy(copy, m.octets, m.len);
		if (answer_read(&a, copy, m.len) == ANSWER_OK && dns_qdcount(copy) == 1) {
			accepted++;
			if (!has_opaque_types_that_ldns_knows(&a)) {
				compare(&a, m.len);
				compared++;
			}
		}
		free(copy);
	}
	/* No side of the comparison is empty. */
	assert_in_range(accepted, MUTATIONS / 10, MUTATIONS * 9 / 10);
	assert_true(compared > accepted / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_ldns_writes_is_read_alike),
		cmocka_unit_test(what_is_accepted_of_damaged_messages_ldns_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
