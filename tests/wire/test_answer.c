/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include "wire/answer.h"

#define SOA "example.com. 900 IN SOA ns-0.awsdns-00.com. host.example.com. 1 7200 900 1209600 60"

static const uint8_t address4[4] = {10, 0, 0, 1};
static const uint8_t address6[16] = {0xfd, 0};

static struct message m;
static struct answer a;

/* From heap memory of exactly the message's size, so that a sanitizer sees one octet too far. */
static enum answer_verdict read_exactly(struct answer *answer, const uint8_t *octets, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, octets, len);
	enum answer_verdict verdict = answer_read(answer, copy, len);
	free(copy);
	answer->message = octets;
	return verdict;
}

static void assert_reads(enum answer_verdict verdict)
{
	assert_int_equal(read_exactly(&a, m.octets, m.len), verdict);
}

static void assert_kind(enum answer_kind kind)
{
	assert_reads(ANSWER_OK);
	assert_int_equal(a.kind, kind);
}

/* ---- what an answer says ---- */

static void one_address_is_positive(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A, "www.example.com. 300 IN A 192.0.2.1", NULL);
	assert_kind(ANSWER_POSITIVE);
	assert_int_equal(a.flags, DNS_QR | DNS_RD | DNS_RA);
	assert_int_equal(a.rcode, DNS_NOERROR);
	assert_int_equal(a.type, DNS_TYPE_A);
	assert_int_equal(a.ancount, 1);
	assert_int_equal(a.nscount + a.arcount, 0);
	assert_int_equal(a.body_at, 12 + 17 + 4);
	assert_int_equal(a.body_end, m.len);
	assert_int_equal(a.ttl_s, 300);
	assert_int_equal(a.ttls, 1);
	assert_int_equal(a.ttl_at[0], a.body_at + 6);
	assert_false(a.edns.present);
	assert_false(a.has_soa);
}

static void least_ttl_is_that_of_any_section(void **state)
{
	(void)state;
	ldns_pkt *pkt = message_response("www.example.com", DNS_TYPE_A);
	message_push_text(pkt, LDNS_SECTION_ANSWER, "www.example.com. 300 IN A 192.0.2.1\nwww.example.com. 200 IN A 192.0.2.2");
	message_push_text(pkt, LDNS_SECTION_AUTHORITY, "example.com. 100 IN NS ns.example.com.");
	message_push_text(pkt, LDNS_SECTION_ADDITIONAL, "ns.example.com. 50 IN A 192.0.2.3");
	message_from_pkt(&m, pkt);
	assert_kind(ANSWER_POSITIVE);
	assert_int_equal(a.ttl_s, 50);
	assert_int_equal(a.ttls, 4);
	assert_int_equal(dns_get32(m.octets + a.ttl_at[2]), 100);
	assert_int_equal(dns_get32(m.octets + a.ttl_at[3]), 50);
}

static void ttl_with_the_top_bit_reads_as_zero(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_count(&m, 0);
	message_put_name(&m, "a.test");
	message_put_rest(&m, DNS_TYPE_A, 0x80000001, address4, 4);
	assert_kind(ANSWER_POSITIVE);
	assert_int_equal(a.ttl_s, 0);
}

static void negative_ttl_is_bounded_by_the_soa_minimum(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A, NULL, SOA);
	assert_kind(ANSWER_NODATA);
	assert_true(a.has_soa);
	assert_int_equal(a.ttl_s, 60);
	dns_put16(m.octets + 2, DNS_QR | DNS_NXDOMAIN);
	assert_kind(ANSWER_NXDOMAIN);
	assert_int_equal(a.ttl_s, 60);
	/* The TTL itself when that is less. */
	dns_put32(m.octets + a.ttl_at[0], 30);
	assert_kind(ANSWER_NXDOMAIN);
	assert_int_equal(a.ttl_s, 30);
}

static void soa_minimum_does_not_bound_a_positive_answer(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A, "www.example.com. 300 IN A 192.0.2.1", SOA);
	assert_kind(ANSWER_POSITIVE);
	assert_int_equal(a.ttl_s, 300);
}

static void negative_without_records_has_ttl_zero(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	assert_kind(ANSWER_NODATA);
	assert_int_equal(a.ttl_s, 0);
	assert_int_equal(a.ttls, 0);
}

static void other_rcodes_are_failures(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	for (uint8_t rcode = 0; rcode < 16; rcode++) {
		m.octets[3] = rcode;
		assert_kind(rcode == 0 ? ANSWER_NODATA : rcode == 3 ? ANSWER_NXDOMAIN : ANSWER_FAILURE);
		assert_int_equal(a.rcode, rcode);
	}
}

static void opt_gives_the_upper_bits_of_the_rcode(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add_opt(&m, 2);
	m.octets[3] = 3;
	m.octets[m.len - 6] = 1;
	assert_kind(ANSWER_FAILURE);
	assert_int_equal(a.rcode, 16 + 3);
	assert_true(a.edns.present);
	assert_int_equal(a.edns.udp_bytes, 1232);
}

/* ---- chains ---- */

static void cname_chain_to_the_asked_type_is_positive(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A,
			  "www.example.com. 300 IN CNAME b.example.net.\n"
			  "b.example.net. 60 IN CNAME c.example.org.\n"
			  "c.example.org. 20 IN A 192.0.2.1\n"
			  "c.example.org. 20 IN A 192.0.2.2", NULL);
	assert_kind(ANSWER_POSITIVE);
	assert_int_equal(a.ttl_s, 20);
}

static void chain_is_followed_in_any_order_and_letter_case(void **state)
{
	(void)state;
	message_begin(&m, "www.example.com", DNS_TYPE_A);
	message_add(&m, 0, "C.Example.ORG", DNS_TYPE_A, address4, 4);
	message_add_name(&m, 0, "b.EXAMPLE.net", DNS_TYPE_CNAME, "c.example.org");
	message_add_name(&m, 0, "wWw.example.com", DNS_TYPE_CNAME, "B.example.net");
	message_add_name(&m, 1, "example.com", DNS_TYPE_NS, "ns.example.com");
	assert_kind(ANSWER_POSITIVE);
	dns_put16(m.octets + a.ttl_at[0] - 4, DNS_TYPE_TXT);
	assert_kind(ANSWER_POSITIVE); /* a lone chain without SOA */
}

static void lone_chain_is_nodata_only_with_an_soa(void **state)
{
	static const char chain[] = "www.example.com. 300 IN CNAME b.example.com.";

	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_AAAA, chain, SOA);
	assert_kind(ANSWER_NODATA);
	assert_int_equal(a.ttl_s, 60);
	message_from_text(&m, "www.example.com", DNS_TYPE_AAAA, chain, NULL);
	assert_kind(ANSWER_POSITIVE);
	assert_int_equal(a.ttl_s, 300);
}

static void strangers_of_the_asked_type_do_not_count(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A, "other.example.com. 300 IN A 192.0.2.1", NULL);
	assert_kind(ANSWER_NODATA);
	message_from_text(&m, "www.example.com", DNS_TYPE_A,
			  "www.example.com. 300 IN CNAME b.example.com.\nother.example.com. 300 IN A 192.0.2.1", SOA);
	assert_kind(ANSWER_NODATA);
	/* Another type of the right name neither. */
	message_from_text(&m, "www.example.com", DNS_TYPE_A, "www.example.com. 300 IN TXT \"x\"", SOA);
	assert_kind(ANSWER_NODATA);
}

static void asked_cname_and_any_end_the_chain_at_once(void **state)
{
	static const char chain[] = "www.example.com. 300 IN CNAME b.example.com.";

	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_CNAME, chain, SOA);
	assert_kind(ANSWER_POSITIVE);
	message_from_text(&m, "www.example.com", DNS_TYPE_ANY, chain, SOA);
	assert_kind(ANSWER_POSITIVE);
	message_from_text(&m, "www.example.com", DNS_TYPE_ANY, "other.example.com. 300 IN TXT \"x\"", SOA);
	assert_kind(ANSWER_NODATA);
}

static void record_beside_a_cname_counts(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A,
			  "www.example.com. 300 IN CNAME b.example.com.\nwww.example.com. 300 IN A 192.0.2.1", SOA);
	assert_kind(ANSWER_POSITIVE);
}

/* Owner number i of a chain: spelled out, or a plain pointer to the question, then to the rdata of the record before. */
static void put_link_owner(int i, bool plain)
{
	char name[32];

	snprintf(name, sizeof(name), "n%d.test", i);
	message_count(&m, 0);
	if (plain)
		message_put16(&m, i == 0 ? 0xc00c : 0xc000 | (unsigned)(m.len - strlen(name) - 2));
	else
		message_put_name(&m, name);
}

static void add_links(int links, bool plain)
{
	char to[32];

	message_begin(&m, "n0.test", DNS_TYPE_A);
	for (int i = 0; i < links; i++) {
		put_link_owner(i, plain);
		snprintf(to, sizeof(to), "n%d.test", i + 1);
		ldns_rdf *name = message_dname(to);
		message_put_rest(&m, DNS_TYPE_CNAME, 300, ldns_rdf_data(name), ldns_rdf_size(name));
		ldns_rdf_deep_free(name);
	}
	put_link_owner(links, plain);
	message_put_rest(&m, DNS_TYPE_A, 300, address4, 4);
	static const uint8_t soa[22] = {0}; /* two root names and numbers */
	message_add(&m, 1, "test", DNS_TYPE_SOA, soa, sizeof(soa));
}

static void chain_is_followed_for_16_links(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		add_links(16, plain);
		assert_kind(ANSWER_POSITIVE);
		add_links(17, plain);
		assert_kind(ANSWER_NODATA);
	}
}

static void cname_loop_ends(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add_name(&m, 0, "a.test", DNS_TYPE_CNAME, "b.test");
	message_add_name(&m, 0, "b.test", DNS_TYPE_CNAME, "a.test");
	assert_kind(ANSWER_POSITIVE);
}

static void dname_is_followed_below_its_owner(void **state)
{
	(void)state;
	message_begin(&m, "x.y.old.test", DNS_TYPE_A);
	message_add_name(&m, 0, "old.test", DNS_TYPE_DNAME, "new.example");
	message_add(&m, 0, "x.y.new.example", DNS_TYPE_A, address4, 4);
	message_add_name(&m, 1, "example", DNS_TYPE_NS, "ns.example");
	assert_kind(ANSWER_POSITIVE);
	/* At its owner it is no alias. */
	message_begin(&m, "old.test", DNS_TYPE_A);
	message_add_name(&m, 0, "old.test", DNS_TYPE_DNAME, "new.example");
	message_add(&m, 0, "new.example", DNS_TYPE_A, address4, 4);
	assert_kind(ANSWER_NODATA);
}

static void dname_that_makes_too_long_a_name_ends_the_chain(void **state)
{
	char prefix[200], name[256], target[220];

	(void)state;
	memset(prefix, 'x', sizeof(prefix) - 1);
	for (size_t i = 50; i < sizeof(prefix) - 1; i += 50)
		prefix[i] = '.';
	prefix[sizeof(prefix) - 1] = 0;
	snprintf(name, sizeof(name), "%s.o", prefix);
	snprintf(target, sizeof(target), "%s.n", prefix);
	message_begin(&m, name, DNS_TYPE_A);
	message_add_name(&m, 0, "o", DNS_TYPE_DNAME, target);
	assert_kind(ANSWER_POSITIVE); /* a lone alias */
	assert_int_equal(a.ancount, 1);
}

/* ---- what is refused ---- */

static void every_cut_message_is_refused_but_its_flags_are_read(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A,
			  "www.example.com. 300 IN CNAME b.example.net.\nb.example.net. 20 IN A 192.0.2.1", SOA);
	m.octets[2] |= DNS_TC >> 8;
	size_t whole = m.len;
	for (m.len = 0; m.len < whole; m.len++) {
		assert_reads(ANSWER_MALFORMED);
		assert_int_equal(a.flags, m.len < 12 ? 0 : DNS_QR | DNS_TC | DNS_RD | DNS_RA);
	}
	assert_reads(ANSWER_OK);
	message_put(&m, "", 1);
	assert_reads(ANSWER_MALFORMED);
}

static void counts_must_be_those_of_the_records(void **state)
{
	(void)state;
	for (int section = 0; section < 3; section++) {
		message_begin(&m, "a.test", DNS_TYPE_A);
		message_add(&m, section, "a.test", DNS_TYPE_A, address4, 4);
		assert_reads(ANSWER_OK);
		message_count(&m, section);
		assert_reads(ANSWER_MALFORMED);
		dns_put16(m.octets + 6 + 2 * section, 0);
		assert_reads(ANSWER_MALFORMED);
	}
}

static void only_one_question_is_taken(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_put_name(&m, "a.test");
	message_put16(&m, DNS_TYPE_A);
	message_put16(&m, DNS_CLASS_IN);
	m.octets[5] = 2;
	assert_reads(ANSWER_MALFORMED);
}

static void without_question_only_a_failure_is_believed(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	m.octets[5] = 0;
	m.octets[3] = DNS_SERVFAIL;
	assert_kind(ANSWER_FAILURE); /* whatever follows is not read */
	assert_int_equal(a.body_at, a.body_end);
	assert_int_equal(a.ancount + a.nscount + a.arcount + a.ttls, 0);
	m.octets[3] = DNS_NXDOMAIN;
	assert_reads(ANSWER_MALFORMED);
	m.octets[3] = DNS_NOERROR;
	assert_reads(ANSWER_MALFORMED);
}

static void opt_stands_once_in_the_additional_section_only(void **state)
{
	(void)state;
	for (int section = 0; section < 3; section++) {
		message_begin(&m, "a.test", DNS_TYPE_A);
		message_add_opt(&m, section);
		assert_reads(section == 2 ? ANSWER_OK : ANSWER_MALFORMED);
	}
	message_add_opt(&m, 2);
	assert_reads(ANSWER_MALFORMED);
}

static void opt_with_an_owner_or_bad_options_is_refused(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 2, "a", DNS_TYPE_OPT, "", 0);
	assert_reads(ANSWER_MALFORMED);
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 2, ".", DNS_TYPE_OPT, "\0\3\0\2x", 5);
	assert_reads(ANSWER_MALFORMED);
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 2, ".", DNS_TYPE_OPT, "\0\3\0\1x", 5);
	assert_reads(ANSWER_OK);
}

static void records_behind_the_opt_are_checked_and_dropped(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 2, "b.test", DNS_TYPE_A, address4, 4);
	size_t end = m.len;
	message_add_opt(&m, 2);
	message_add(&m, 2, "c.test", DNS_TYPE_A, address4, 4);
	assert_reads(ANSWER_OK);
	assert_int_equal(a.arcount, 1);
	assert_int_equal(a.ttls, 1);
	assert_int_equal(a.body_end, end);
	dns_put16(m.octets + m.len - 6, 3);
	m.len--;
	assert_reads(ANSWER_MALFORMED);
}

static void checked_rdata_must_fit_exactly(void **state)
{
	static const struct {
		uint16_t type, len;
		uint8_t rdata[24];
	} rows[] = {
		{DNS_TYPE_A, 4, {10, 0, 0, 1}},
		{DNS_TYPE_AAAA, 16, {0xfd}},
		{DNS_TYPE_NS, 3, {1, 'a', 0}},
		{DNS_TYPE_CNAME, 4, {1, 'a', 0xc0, 12}},
		{DNS_TYPE_PTR, 1, {0}},
		{DNS_TYPE_DNAME, 2, {0xc0, 12}},
		{DNS_TYPE_MX, 4, {0, 10, 0xc0, 12}},
		{DNS_TYPE_SRV, 9, {0, 1, 0, 2, 0, 3, 1, 'a', 0}},
		{DNS_TYPE_SOA, 24, {0xc0, 12, 0xc0, 12}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (int differs = -1; differs <= 1; differs++) {
			uint8_t rdata[32] = {0};
			memcpy(rdata, rows[i].rdata, rows[i].len);
			message_begin(&m, "a.test", DNS_TYPE_A);
			message_add(&m, 0, "a.test", rows[i].type, rdata, (size_t)(rows[i].len + differs));
			assert_reads(differs == 0 ? ANSWER_OK : ANSWER_MALFORMED);
		}
		message_begin(&m, "a.test", DNS_TYPE_A);
		message_add(&m, 0, "a.test", rows[i].type, "", 0);
		assert_reads(ANSWER_MALFORMED);
	}
	message_begin(&m, "a.test", DNS_TYPE_TXT);
	message_add(&m, 0, "a.test", DNS_TYPE_TXT, "\377", 1); /* opaque */
	assert_reads(ANSWER_OK);
}

static void pointers_that_lead_forward_or_into_the_header_are_refused(void **state)
{
	static const uint16_t pointers[] = {0xc000, 0xc00b, 0xc0ff, 0xffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++) {
		message_begin(&m, "a.test", DNS_TYPE_A);
		message_count(&m, 0);
		message_put16(&m, pointers[i]);
		message_put_rest(&m, DNS_TYPE_A, 300, address4, 4);
		assert_reads(ANSWER_MALFORMED);
		message_begin(&m, "a.test", DNS_TYPE_A);
		uint8_t rdata[2] = {(uint8_t)(pointers[i] >> 8), (uint8_t)pointers[i]};
		message_add(&m, 0, "a.test", DNS_TYPE_NS, rdata, 2);
		assert_reads(ANSWER_MALFORMED);
	}
}

static void name_that_reads_on_behind_its_own_end_is_refused(void **state)
{
	(void)state;
	/* The second owner points at an octet of a TXT that says "label of 40 octets": those reach into what follows. */
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 0, "a.test", DNS_TYPE_TXT, "\1\50", 2);
	message_count(&m, 0);
	message_put16(&m, 0xc000 | (unsigned)(m.len - 1));
	message_put_rest(&m, DNS_TYPE_TXT, 300, "012345678901234567890123456789012345678901234567\0", 50);
	assert_reads(ANSWER_MALFORMED);
}

static void longest_message_of_shortest_records_is_read(void **state)
{
	(void)state;
	message_begin(&m, ".", DNS_TYPE_TXT);
	unsigned records = (DNS_MESSAGE_MAX - (unsigned)m.len) / 11;
	for (unsigned i = 0; i < records; i++) {
		message_put(&m, "", 1);
		message_put_rest(&m, 65280, 7, "", 0);
	}
	dns_put16(m.octets + 6, (uint16_t)records);
	assert_int_equal(records, ANSWER_MAX_RECORDS);
	assert_reads(ANSWER_OK);
	assert_int_equal(a.ttls, ANSWER_MAX_RECORDS);
	m.len = DNS_MESSAGE_MAX + 1;
	assert_reads(ANSWER_MALFORMED);
}

/* ---- what is walked ---- */

struct seen {
	unsigned count, stop_at;
	size_t len[8];
	uint8_t first[8];
};

static bool see_address(void *arg, const uint8_t *octets, size_t len)
{
	struct seen *seen = arg;

	seen->len[seen->count] = len;
	seen->first[seen->count] = octets[0];
	return ++seen->count != seen->stop_at;
}

static bool see_name(void *arg, const struct name *name)
{
	struct seen *seen = arg;

	seen->len[seen->count] = name->len;
	seen->first[seen->count] = name->octets[1];
	return ++seen->count != seen->stop_at;
}

static void addresses_of_the_answer_section_are_seen(void **state)
{
	struct seen seen = {0}, two = {.stop_at = 2};

	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_ANY);
	message_add(&m, 0, "a.test", DNS_TYPE_AAAA, address6, 16);
	message_add_name(&m, 0, "a.test", DNS_TYPE_NS, "b.test");
	message_add(&m, 0, "a.test", DNS_TYPE_A, address4, 4);
	message_add(&m, 0, "a.test", DNS_TYPE_A, address4, 4);
	message_add(&m, 1, "a.test", DNS_TYPE_A, address4, 4);
	message_add(&m, 2, "a.test", DNS_TYPE_A, address4, 4);
	assert_reads(ANSWER_OK);
	assert_true(answer_each_address(&a, see_address, &seen));
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.len[0], 16);
	assert_int_equal(seen.first[0], 0xfd);
	assert_int_equal(seen.len[2], 4);
	assert_int_equal(seen.first[2], 10);
	assert_false(answer_each_address(&a, see_address, &two));
	assert_int_equal(two.count, 2);
}

static void servers_are_seen_in_ns_of_the_answer_and_soa_of_both(void **state)
{
	struct seen seen = {0}, one = {.stop_at = 1};

	(void)state;
	message_from_text(&m, "example.com", DNS_TYPE_NS,
			  "example.com. 9 IN NS A.example.com.\nexample.com. 9 IN A 192.0.2.1\n"
			  "example.com. 9 IN SOA b.example.com. x.example.com. 1 2 3 4 5",
			  "example.com. 9 IN NS c.example.com.\nexample.com. 9 IN SOA d.example.com. x.example.com. 1 2 3 4 5");
	assert_reads(ANSWER_OK);
	assert_true(answer_each_server_name(&a, see_name, &seen));
	assert_int_equal(seen.count, 3);
	assert_memory_equal(seen.first, "abd", 3);
	assert_int_equal(seen.len[2], sizeof("d.example.com") + 1);
	assert_false(answer_each_server_name(&a, see_name, &one));
	assert_int_equal(one.count, 1);
}

/* ---- names and TTLs ---- */

/* The next record's owner is a pointer to `to`, and it holds an address. */
static void add_pointing_to(int section, size_t to)
{
	message_count(&m, section);
	message_put16(&m, (unsigned)(0xc000 | to));
	message_put_rest(&m, DNS_TYPE_A, 300, address4, sizeof(address4));
}

static void begin_with_ttl(uint32_t ttl)
{
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_count(&m, 0);
	message_put_name(&m, "a.test");
	message_put_rest(&m, DNS_TYPE_A, ttl, address4, sizeof(address4));
}

/* Reads as the name "." or "x." today, as another one when it is counted down. */
static void name_in_the_octets_of_a_ttl_is_refused(void **state)
{
	(void)state;
	for (size_t octet = 0; octet < 4; octet++) {
		begin_with_ttl(0);
		size_t ttl_at = m.len - 4 - 2 - 4;
		add_pointing_to(1, ttl_at + octet);
		assert_reads(ANSWER_MALFORMED);
	}
	/* A label of one octet, then the root: of the TTL 0x00017800. */
	begin_with_ttl(0x017800);
	add_pointing_to(1, m.len - 4 - 2 - 3);
	assert_reads(ANSWER_MALFORMED);
	/* In rdata as well. */
	begin_with_ttl(0);
	message_count(&m, 1);
	message_put_name(&m, "a.test");
	uint8_t pointer[2];
	dns_put16(pointer, (uint16_t)(0xc000 | (12 + 8 + 4 + 8 + 4)));
	message_put_rest(&m, DNS_TYPE_NS, 300, pointer, sizeof(pointer));
	assert_reads(ANSWER_MALFORMED);
}

static void name_that_runs_into_a_ttl_is_refused(void **state)
{
	(void)state;
	/* Type A, class IN, then the TTL: from the second octet of the type on there are a label of one octet, another, and the TTL. */
	begin_with_ttl(0);
	size_t type_at = m.len - 4 - 2 - 4 - 4;
	add_pointing_to(1, type_at + 1);
	assert_reads(ANSWER_MALFORMED);
	/* One that ends before it is a strange name, but always the same. */
	begin_with_ttl(0);
	add_pointing_to(1, type_at);
	assert_reads(ANSWER_OK);
}

static void name_that_begins_in_the_question_and_ends_in_a_ttl_is_refused(void **state)
{
	(void)state;
	message_begin(&m, "a.test", 0x0128); /* its second octet says 40 octets: class, record, and on */
	size_t type_at = m.len - 4;
	message_add(&m, 0, "a.test", DNS_TYPE_TXT, "\40................................", 33);
	assert_reads(ANSWER_OK);
	add_pointing_to(0, type_at + 1);
	assert_reads(ANSWER_MALFORMED);
}

static void name_in_its_own_records_ttl_is_refused(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_NS);
	message_count(&m, 0);
	message_put_name(&m, "a.test");
	uint8_t pointer[2];
	dns_put16(pointer, (uint16_t)(0xc000 | (m.len + 4)));
	message_put_rest(&m, DNS_TYPE_NS, 0, pointer, sizeof(pointer));
	assert_reads(ANSWER_MALFORMED);
	/* Its rdlength is no TTL: 00 is the root. */
	message_begin(&m, "a.test", DNS_TYPE_NS);
	message_count(&m, 0);
	message_put_name(&m, "a.test");
	dns_put16(pointer, (uint16_t)(0xc000 | (m.len + 8)));
	message_put_rest(&m, DNS_TYPE_NS, 0, pointer, sizeof(pointer));
	assert_reads(ANSWER_OK);
}

static void name_that_goes_on_in_a_ttl_is_refused(void **state)
{
	(void)state;
	/* The second record's owner points to a label whose own pointer leads to the first one's TTL. */
	begin_with_ttl(0);
	size_t ttl_at = m.len - 4 - 2 - 4;
	uint8_t text[4] = {1, 'x'};
	dns_put16(text + 2, (uint16_t)(0xc000 | ttl_at));
	message_add(&m, 0, "a.test", DNS_TYPE_TXT, text, sizeof(text));
	size_t label_at = m.len - sizeof(text);
	assert_reads(ANSWER_OK);
	add_pointing_to(0, label_at);
	assert_reads(ANSWER_MALFORMED);
}

/* Any message that is accepted has the same names with other TTLs. */
static void names_are_the_same_with_other_ttls(void **state)
{
	(void)state;
	static struct message other;
	static struct answer b;
	uint64_t seed = 88172645463325252u;
	size_t accepted = 0;
	for (int round = 0; round < 200000; round++) {
		begin_with_ttl(message_random(&seed, 2) ? 0 : 0xc00c0000u);
		for (uint32_t more = message_random(&seed, 3); more > 0; more--)
			add_pointing_to((int)message_random(&seed, 2), 12 + message_random(&seed, (uint32_t)m.len - 12));
		if (answer_read(&a, m.octets, m.len) != ANSWER_OK)
			continue;
		accepted++;
		memcpy(other.octets, m.octets, m.len);
		for (size_t i = 0; i < a.ttls; i++)
			dns_put32(other.octets + a.ttl_at[i], 0x01610000u | message_random(&seed, 0x10000));
		assert_int_equal(answer_read(&b, other.octets, m.len), ANSWER_OK);
		assert_int_equal(b.kind, a.kind);
		for (size_t i = 0; i + 1 < a.ttls; i++) {
			struct name one, same;
			size_t owner = a.ttl_at[i] + 10u;
			assert_int_equal(name_unpack(&one, m.octets, m.len, owner), name_unpack(&same, other.octets, m.len, owner));
			assert_true(name_equal(&one, &same));
		}
	}
	assert_true(accepted > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_is_positive),
		cmocka_unit_test(least_ttl_is_that_of_any_section),
		cmocka_unit_test(ttl_with_the_top_bit_reads_as_zero),
		cmocka_unit_test(negative_ttl_is_bounded_by_the_soa_minimum),
		cmocka_unit_test(soa_minimum_does_not_bound_a_positive_answer),
		cmocka_unit_test(negative_without_records_has_ttl_zero),
		cmocka_unit_test(other_rcodes_are_failures),
		cmocka_unit_test(opt_gives_the_upper_bits_of_the_rcode),
		cmocka_unit_test(cname_chain_to_the_asked_type_is_positive),
		cmocka_unit_test(chain_is_followed_in_any_order_and_letter_case),
		cmocka_unit_test(lone_chain_is_nodata_only_with_an_soa),
		cmocka_unit_test(strangers_of_the_asked_type_do_not_count),
		cmocka_unit_test(asked_cname_and_any_end_the_chain_at_once),
		cmocka_unit_test(record_beside_a_cname_counts),
		cmocka_unit_test(chain_is_followed_for_16_links),
		cmocka_unit_test(cname_loop_ends),
		cmocka_unit_test(dname_is_followed_below_its_owner),
		cmocka_unit_test(dname_that_makes_too_long_a_name_ends_the_chain),
		cmocka_unit_test(every_cut_message_is_refused_but_its_flags_are_read),
		cmocka_unit_test(counts_must_be_those_of_the_records),
		cmocka_unit_test(only_one_question_is_taken),
		cmocka_unit_test(without_question_only_a_failure_is_believed),
		cmocka_unit_test(opt_stands_once_in_the_additional_section_only),
		cmocka_unit_test(opt_with_an_owner_or_bad_options_is_refused),
		cmocka_unit_test(records_behind_the_opt_are_checked_and_dropped),
		cmocka_unit_test(checked_rdata_must_fit_exactly),
		cmocka_unit_test(pointers_that_lead_forward_or_into_the_header_are_refused),
		cmocka_unit_test(name_that_reads_on_behind_its_own_end_is_refused),
		cmocka_unit_test(name_in_the_octets_of_a_ttl_is_refused),
		cmocka_unit_test(name_that_runs_into_a_ttl_is_refused),
		cmocka_unit_test(name_that_begins_in_the_question_and_ends_in_a_ttl_is_refused),
		cmocka_unit_test(name_in_its_own_records_ttl_is_refused),
		cmocka_unit_test(name_that_goes_on_in_a_ttl_is_refused),
		cmocka_unit_test(names_are_the_same_with_other_ttls),
		cmocka_unit_test(longest_message_of_shortest_records_is_read),
		cmocka_unit_test(addresses_of_the_answer_section_are_seen),
		cmocka_unit_test(servers_are_seen_in_ns_of_the_answer_and_soa_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
