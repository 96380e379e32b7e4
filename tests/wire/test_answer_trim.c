/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include "base/strbuf.h"
#include "wire/answer_trim.h"

static const uint8_t address4[4] = {10, 0, 0, 1};

static struct message m;
static struct answer a;
static uint8_t trimmed[DNS_MESSAGE_MAX];
static size_t trimmed_len;

/* Into memory of exactly the promised size; the result must be accepted again, and have nothing left to drop. */
static void trim(void)
{
	static struct answer again;

	assert_int_equal(answer_read(&a, m.octets, m.len), ANSWER_OK);
	uint8_t *out = malloc(m.len);
	memset(out, 0xee, m.len);
	trimmed_len = answer_trim(&a, m.len, out);
	if (trimmed_len == m.len) {
		for (size_t i = 0; i < m.len; i++)
			assert_int_equal(out[i], 0xee);
		memcpy(out, m.octets, m.len);
	} else {
		assert_true(trimmed_len < m.len);
		assert_int_equal(answer_read(&again, out, trimmed_len), ANSWER_OK);
		assert_int_equal(answer_trim(&again, trimmed_len, out), trimmed_len);
	}
	memcpy(trimmed, out, trimmed_len);
	free(out);
}

static ldns_pkt *parse(const uint8_t *octets, size_t len)
{
	ldns_pkt *pkt = NULL;

	assert_int_equal(ldns_wire2pkt(&pkt, octets, len), LDNS_STATUS_OK);
	return pkt;
}

/* The section holds exactly the lines of `text`, in their order. */
static void assert_section(const ldns_rr_list *section, const char *text)
{
	ldns_pkt *expected = ldns_pkt_new();

	message_push_text(expected, LDNS_SECTION_ANSWER, text);
	assert_int_equal(ldns_rr_list_rr_count(section), ldns_rr_list_rr_count(ldns_pkt_answer(expected)));
	for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(section, i), *wanted = ldns_rr_list_rr(ldns_pkt_answer(expected), i);
		assert_int_equal(ldns_rr_compare(rr, wanted), 0);
		assert_int_equal(ldns_rr_ttl(rr), ldns_rr_ttl(wanted));
	}
	ldns_pkt_free(expected);
}

static void assert_trimmed(const char *answer, const char *authority)
{
	ldns_pkt *pkt = parse(trimmed, trimmed_len);

	assert_section(ldns_pkt_answer(pkt), answer);
	assert_section(ldns_pkt_authority(pkt), authority);
	ldns_pkt_free(pkt);
}

#define CHAIN "www.example.com. 300 IN CNAME b.example.net.\n"
#define END "b.example.net. 20 IN A 192.0.2.1\n"
#define STRANGER "stray.example.org. 20 IN A 192.0.2.66\n"
#define SOA "example.net. 900 IN SOA ns.stray.example.org. host.example.net. 1 7200 900 1209600 60"

static void answer_that_is_all_chain_is_left_alone(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_A, CHAIN END, SOA);
	trim();
	assert_int_equal(trimmed_len, m.len);
	message_from_text(&m, "www.example.com", DNS_TYPE_A, NULL, SOA);
	trim();
	assert_int_equal(trimmed_len, m.len);
}

static void strangers_go_wherever_they_stand(void **state)
{
	static const char *const answers[] = {STRANGER CHAIN END, CHAIN STRANGER END, CHAIN END STRANGER,
					      STRANGER CHAIN STRANGER END STRANGER};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		message_from_text(&m, "www.example.com", DNS_TYPE_A, answers[i], SOA);
		trim();
		assert_true(trimmed_len < m.len);
		assert_trimmed(CHAIN END, SOA);
	}
	message_from_text(&m, "www.example.com", DNS_TYPE_A, STRANGER, SOA);
	trim();
	assert_trimmed(NULL, SOA);
}

static void what_lies_behind_the_asked_type_is_no_chain(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.com", DNS_TYPE_CNAME, CHAIN END, NULL);
	trim();
	assert_trimmed(CHAIN, NULL);
}

static void signatures_stay_with_what_they_sign(void **state)
{
	/* Owner, then RRSIG's rdata cut down to what is looked at: the type covered. */
	(void)state;
	message_begin(&m, "x.old.test", DNS_TYPE_A);
	message_add(&m, 0, "stray.test", DNS_TYPE_A, address4, 4);
	message_add_name(&m, 0, "old.test", DNS_TYPE_DNAME, "new.test");
	message_add(&m, 0, "old.test", 46, "\0\47", 2);
	message_add(&m, 0, "old.test", 46, "\0\1", 2);  /* signs another type of a name that is not on the chain */
	message_add(&m, 0, "old.test", 46, "\0", 1);
	message_add_name(&m, 0, "x.old.test", DNS_TYPE_CNAME, "x.new.test");
	message_add(&m, 0, "x.old.test", 46, "\0\5", 2);
	message_add(&m, 0, "x.new.test", DNS_TYPE_A, address4, 4);
	message_add(&m, 0, "x.new.test", 46, "\0\1", 2);
	trim();
	struct answer *t = malloc(sizeof(*t));
	assert_int_equal(answer_read(t, trimmed, trimmed_len), ANSWER_OK);
	static const uint16_t types[] = {DNS_TYPE_DNAME, 46, DNS_TYPE_CNAME, 46, DNS_TYPE_A, 46};
	assert_int_equal(t->ancount, ARRAY_SIZE(types));
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(dns_get16(trimmed + t->ttl_at[i] - 4), types[i]);
	free(t);
}

static void pointers_into_dropped_records_are_spelled_out_once(void **state)
{
	/* ldns compresses everything of example.org against the stranger. */
	static const char answer[] = "www.example.com. 9 IN CNAME a.stray.example.org.\n"
				     "a.stray.example.org. 9 IN MX 5 b.stray.example.org.\n"
				     "a.stray.example.org. 9 IN SRV 1 2 3 c.stray.example.org.\n"
				     "a.stray.example.org. 9 IN TXT \"text\"\n"
				     "a.stray.example.org. 9 IN A 192.0.2.1\n";
	char all[512];

	(void)state;
	snprintf(all, sizeof(all), "%s%s", STRANGER, answer);
	message_from_text(&m, "www.example.com", DNS_TYPE_A, all, SOA);
	trim();
	assert_trimmed(answer, SOA);
	/* The stranger's owner went from its place to the first that needed it: only its address and fixed part are gone. */
	assert_true(trimmed_len <= m.len - 14);
}

static void additional_section_and_opt_come_along(void **state)
{
	(void)state;
	ldns_pkt *pkt = message_response("www.example.com", DNS_TYPE_A);
	message_push_text(pkt, LDNS_SECTION_ANSWER, STRANGER CHAIN END);
	message_push_text(pkt, LDNS_SECTION_AUTHORITY, "example.net. 20 IN NS ns.stray.example.org.");
	message_push_text(pkt, LDNS_SECTION_ADDITIONAL, "ns.stray.example.org. 20 IN A 192.0.2.53");
	ldns_pkt_set_edns_udp_size(pkt, 4096);
	ldns_pkt_set_edns_do(pkt, true);
	ldns_pkt_set_edns_extended_rcode(pkt, 1);
	message_from_pkt(&m, pkt);
	trim();
	pkt = parse(trimmed, trimmed_len);
	assert_section(ldns_pkt_additional(pkt), "ns.stray.example.org. 20 IN A 192.0.2.53");
	assert_int_equal(ldns_pkt_edns_udp_size(pkt), 4096);
	assert_true(ldns_pkt_edns_do(pkt));
	assert_int_equal(ldns_pkt_edns_extended_rcode(pkt), 1);
	ldns_pkt_free(pkt);
}

static void obsolete_types_that_move_are_dropped(void **state)
{
	static const uint16_t obsolete[] = {3, 4, 7, 8, 9, 14};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(obsolete); i++) {
		message_begin(&m, "a.test", DNS_TYPE_A);
		message_add(&m, 0, "a.test", obsolete[i], "\300\14", 2);
		message_add(&m, 0, "stray.test", DNS_TYPE_A, address4, 4);
		message_add(&m, 0, "a.test", obsolete[i], "\300\14", 2);
		message_add(&m, 0, "a.test", DNS_TYPE_A, address4, 4);
		trim();
		assert_int_equal(dns_ancount(trimmed), 2);
	}
}

static void message_that_would_grow_ends_where_it_does_not_fit(void **state)
{
	/* A name that only the dropped TXT spells out. Named early, it is written once and pointed at; the message shrinks. */
	static const uint8_t hidden[] = "\77aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg\0";

	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 0, "stray.test", DNS_TYPE_TXT, hidden, 65);
	uint16_t at = (uint16_t)(m.len - 65);
	for (int i = 0; i < 300; i++) {
		uint8_t rdata[6] = {3, (uint8_t)('0' + i / 100), (uint8_t)('0' + i / 10 % 10), (uint8_t)('0' + i % 10),
				    (uint8_t)(0xc0 | at >> 8), (uint8_t)at};
		message_add(&m, 0, "a.test", DNS_TYPE_NS, rdata, sizeof(rdata));
	}
	trim();
	assert_int_equal(dns_ancount(trimmed), 300);
	/* Named behind 200 others, it is remembered no more and has to be written each time. */
	message_begin(&m, "a.test", DNS_TYPE_A);
	message_add(&m, 0, "stray.test", DNS_TYPE_TXT, hidden, 65);
	for (int i = 0; i < 300; i++) {
		uint8_t rdata[2] = {3, (uint8_t)i};
		if (i >= 200) {
			rdata[0] = (uint8_t)(0xc0 | at >> 8);
			rdata[1] = (uint8_t)at;
			message_add(&m, 0, "a.test", DNS_TYPE_NS, rdata, 2);
		} else {
			message_add(&m, 0, "a.test", DNS_TYPE_NS, "\1a", 3);
		}
	}
	trim();
	assert_true(dns_ancount(trimmed) > 200 && dns_ancount(trimmed) < 300);
}

/* ---- any mixture ---- */

/* Chain records in order with strangers between them, under names that share suffixes; what must be left is known. */
static void any_mixture_is_trimmed_to_its_chain(void **state)
{
	uint64_t random = 88172645463325252;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char all[8192], kept[8192], line[256], owner[64] = "q.example.com.";
		struct strbuf all_text, kept_text;
		strbuf_init(&all_text, all, sizeof(all));
		strbuf_init(&kept_text, kept, sizeof(kept));
		unsigned links = message_random(&random, 5), records = 1 + message_random(&random, 40);
		for (unsigned i = 0; i < records; i++) {
			unsigned what = message_random(&random, 3);
			if (what == 0) {
				snprintf(line, sizeof(line), "s%u.x%u.example.com. 5 IN MX 1 n%u.y.example.com.\n", i % 7, i % 3, i % 5);
			} else if (what == 1 && links > 0) {
				links--;
				snprintf(line, sizeof(line), "%s 5 IN CNAME n%u.x%u.example.com.\n", owner, i, i % 3);
				snprintf(owner, sizeof(owner), "n%u.x%u.example.com.", i, i % 3);
				strbuf_add(&kept_text, line);
			} else if (links == 0) {
				snprintf(line, sizeof(line), "%s 5 IN A 192.0.2.%u\n", owner, i);
				strbuf_add(&kept_text, line);
			} else {
				continue;
			}
			strbuf_add(&all_text, line);
		}
		message_from_text(&m, "q.example.com", DNS_TYPE_A, all, SOA);
		trim();
		assert_trimmed(kept, SOA);
	}
}

/* ---- the other sections ---- */

static void servers_of_foreign_zones_go(void **state)
{
	(void)state;
	message_from_text(
		&m, "www.example.com", DNS_TYPE_A, CHAIN END,
		"bank.test. 300 IN NS ns.evil.test.\nexample.net. 300 IN NS ns.example.net.\nexample.com. 300 IN NS ns.example.com.\n"
		"b.example.net.evil.test. 300 IN NS ns.evil.test.\nbank.test. 300 IN A 192.0.2.66");
	trim();
	assert_trimmed(CHAIN END, "example.net. 300 IN NS ns.example.net.\nexample.com. 300 IN NS ns.example.com.");
}

static void negative_answer_is_trimmed_too(void **state)
{
	(void)state;
	message_from_text(&m, "www.example.net", DNS_TYPE_A, NULL, "bank.test. 300 IN NS ns.evil.test.\n" SOA);
	trim();
	assert_trimmed(NULL, SOA);
	/* The SOA of a response policy zone says how long its "nothing" holds. */
	message_from_text(&m, "www.blocked.test", DNS_TYPE_A, NULL, "rpz. 300 IN SOA localhost. host.rpz. 1 2 3 4 60");
	trim();
	assert_int_equal(trimmed_len, m.len);
}

static void proofs_stay_in_the_authority_section(void **state)
{
	(void)state;
	message_begin(&m, "www.example.net", DNS_TYPE_A);
	message_add(&m, 1, "bank.test", DNS_TYPE_NS, "", 1);
	message_add(&m, 1, "other.example.net", 47, "\0\0\1\1", 4);
	message_add(&m, 1, "hash.example.net", 50, "\1\0\0\0\0\0", 6);
	message_add(&m, 1, "example.net", 46, "\0\57", 2);
	message_add(&m, 1, "example.net", DNS_TYPE_DS, "\0\1\10\2", 4);
	trim();
	assert_int_equal(dns_nscount(trimmed), 4);
}

static void assert_additional(const char *text)
{
	ldns_pkt *pkt = parse(trimmed, trimmed_len);

	assert_section(ldns_pkt_additional(pkt), text);
	ldns_pkt_free(pkt);
}

static void only_addresses_that_are_pointed_to_stay(void **state)
{
	static const struct {
		uint16_t type;
		const char *answer, *authority;
	} rows[] = {
		{DNS_TYPE_MX, "example.com. 300 IN MX 10 target.test.", NULL},
		{DNS_TYPE_SRV, "example.com. 300 IN SRV 0 0 443 target.test.", NULL},
		{DNS_TYPE_NS, "example.com. 300 IN NS target.test.", NULL},
		{DNS_TYPE_A, "example.com. 300 IN A 192.0.2.1", "com. 300 IN NS target.test."},
		{DNS_TYPE_HTTPS, "example.com. 300 IN TYPE65 \\# 15 0001 06746172676574047465737400", NULL},
		/* "." is the owner itself. */
		{DNS_TYPE_SVCB, "target.test. 300 IN TYPE64 \\# 3 000100", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ldns_pkt *pkt = message_response(rows[i].type == DNS_TYPE_SVCB ? "target.test" : "example.com", rows[i].type);
		message_push_text(pkt, LDNS_SECTION_ANSWER, rows[i].answer);
		message_push_text(pkt, LDNS_SECTION_AUTHORITY, rows[i].authority);
		message_push_text(pkt, LDNS_SECTION_ADDITIONAL,
				  "www.bank.test. 300 IN A 192.0.2.66\ntarget.test. 300 IN A 192.0.2.2\ntarget.test. 300 IN AAAA fd00::2\n"
				  "target.test. 300 IN TXT \"x\"\nx.target.test. 300 IN A 192.0.2.66");
		message_from_pkt(&m, pkt);
		trim();
		assert_trimmed(rows[i].answer, rows[i].authority);
		assert_additional("target.test. 300 IN A 192.0.2.2\ntarget.test. 300 IN AAAA fd00::2");
	}
}

static void addresses_of_what_was_dropped_go_too(void **state)
{
	(void)state;
	ldns_pkt *pkt = message_response("example.com", DNS_TYPE_MX);
	message_push_text(pkt, LDNS_SECTION_ANSWER, "example.com. 300 IN MX 10 mail.test.\nbank.test. 300 IN MX 10 evil.test.");
	message_push_text(pkt, LDNS_SECTION_ADDITIONAL, "evil.test. 300 IN A 192.0.2.66\nmail.test. 300 IN A 192.0.2.2");
	message_from_pkt(&m, pkt);
	trim();
	assert_additional("mail.test. 300 IN A 192.0.2.2");
}

/* Each of 2,000 exchanges might be any of 2,000 addresses: looked for in bounded time, whatever is kept. */
static void awkward_additional_section_costs_bounded_time(void **state)
{
	(void)state;
	message_begin(&m, "a.test", DNS_TYPE_MX);
	for (int i = 0; i < 2000; i++) {
		message_count(&m, 0);
		message_put16(&m, 0xc00c);
		message_put_rest(&m, DNS_TYPE_MX, 300, "\0\1\1x", 5);
	}
	for (int i = 0; i < 1500; i++) {
		message_count(&m, 2);
		message_put16(&m, 0xc00c);
		message_put_rest(&m, DNS_TYPE_A, 300, address4, 4);
	}
	trim();
	assert_int_equal(dns_ancount(trimmed), 2000);
	assert_int_equal(dns_arcount(trimmed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_that_is_all_chain_is_left_alone),
		cmocka_unit_test(strangers_go_wherever_they_stand),
		cmocka_unit_test(what_lies_behind_the_asked_type_is_no_chain),
		cmocka_unit_test(signatures_stay_with_what_they_sign),
		cmocka_unit_test(pointers_into_dropped_records_are_spelled_out_once),
		cmocka_unit_test(additional_section_and_opt_come_along),
		cmocka_unit_test(obsolete_types_that_move_are_dropped),
		cmocka_unit_test(message_that_would_grow_ends_where_it_does_not_fit),
		cmocka_unit_test(any_mixture_is_trimmed_to_its_chain),
		cmocka_unit_test(servers_of_foreign_zones_go),
		cmocka_unit_test(negative_answer_is_trimmed_too),
		cmocka_unit_test(proofs_stay_in_the_authority_section),
		cmocka_unit_test(only_addresses_that_are_pointed_to_stay),
		cmocka_unit_test(addresses_of_what_was_dropped_go_too),
		cmocka_unit_test(awkward_additional_section_costs_bounded_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
