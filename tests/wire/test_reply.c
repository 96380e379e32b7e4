/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include "wire/answer.h"
#include "wire/reply.h"

static const uint8_t spelled[] = "\3wWw\7Example\3com";

static uint8_t out[DNS_MESSAGE_MAX];
static size_t out_len;
static struct reply_asker asker;
static struct reply reply;

static int ask(void **state)
{
	(void)state;
	asker = (struct reply_asker){
		.id = 0xbeef,
		.flags = DNS_RD,
		.type = DNS_TYPE_A,
		.class = DNS_CLASS_IN,
		.limit = 512,
		.has_question = true,
		.name_len = sizeof(spelled),
		.spelled = spelled,
	};
	reply = (struct reply){.ede = DNS_EDE_NONE};
	memset(out, 0xee, sizeof(out));
	return 0;
}

static void finish(void)
{
	out_len = reply_finish(out, sizeof(out), &asker, &reply);
}

/* One A record as the body. */
static void put_address(void)
{
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1};

	memcpy(out + reply_body_at(&asker), record, sizeof(record));
	reply.ancount = 1;
	reply.body_bytes = sizeof(record);
}

static void asker_is_filled_from_the_query(void **state)
{
	static const uint16_t takes[][2] = {{512, 512}, {600, 600}, {1232, 1232}, {4096, 1232}, {65535, 1232}};
	struct question q = {.id = 7, .flags = DNS_RD | DNS_CD, .type = DNS_TYPE_AAAA, .class = DNS_CLASS_IN, .spelled = spelled};

	(void)state;
	q.name.len = sizeof(spelled);
	reply_asker_init(&asker, &q, false);
	assert_int_equal(asker.id, 7);
	assert_int_equal(asker.flags, DNS_RD | DNS_CD);
	assert_int_equal(asker.type, DNS_TYPE_AAAA);
	assert_int_equal(asker.class, DNS_CLASS_IN);
	assert_int_equal(asker.limit, 512);
	assert_true(asker.has_question);
	assert_false(asker.edns);
	assert_ptr_equal(asker.spelled, spelled);
	assert_int_equal(reply_body_at(&asker), 12 + sizeof(spelled) + 4);
	q.edns = (struct edns){.present = true, .dnssec_ok = true};
	for (size_t i = 0; i < ARRAY_SIZE(takes); i++) {
		q.edns.udp_bytes = takes[i][0];
		reply_asker_init(&asker, &q, false);
		assert_int_equal(asker.limit, takes[i][1]);
	}
	assert_true(asker.edns && asker.dnssec_ok);
	reply_asker_init(&asker, &q, true);
	assert_int_equal(asker.limit, 65535);
}

static void usual_reply_is_header_question_and_records(void **state)
{
	static const uint8_t header[] = {0xbe, 0xef, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};

	(void)state;
	put_address();
	finish();
	assert_int_equal(out_len, 12 + sizeof(spelled) + 4 + 16);
	assert_memory_equal(out, header, sizeof(header));
	assert_memory_equal(out + 12, spelled, sizeof(spelled));
	assert_memory_equal(out + 12 + sizeof(spelled), "\0\1\0\1", 4);
	assert_int_equal(out[out_len], 0xee);
}

static void opt_follows_for_a_client_that_sent_one(void **state)
{
	(void)state;
	asker.edns = asker.dnssec_ok = true;
	put_address();
	finish();
	assert_int_equal(out_len, 12 + sizeof(spelled) + 4 + 16 + 11);
	assert_int_equal(dns_arcount(out), 1);
	assert_memory_equal(out + out_len - 11, "\0\0\51\4\320\0\0\200\0\0\0", 11);
}

static void flags_are_copied_or_set_as_promised(void **state)
{
	(void)state;
	asker.flags = 0xffff & ~DNS_QR & ~DNS_OPCODE & ~DNS_AD;
	reply.flags = DNS_AA | DNS_AD;
	finish();
	assert_int_equal(dns_flags(out), DNS_QR | DNS_RD | DNS_RA | DNS_CD);
	asker.flags = 0;
	reply.flags = DNS_TC;
	reply.rcode = DNS_NXDOMAIN;
	finish();
	assert_int_equal(dns_flags(out), DNS_QR | DNS_TC | DNS_RA | DNS_NXDOMAIN);
	asker.flags = 0x2000 | DNS_RD | DNS_CD; /* NOTIFY: what its flags mean is not ours to say */
	reply.flags = 0;
	reply.rcode = DNS_NOTIMP;
	finish();
	assert_int_equal(dns_flags(out), DNS_QR | 0x2000 | DNS_NOTIMP);
}

static void ad_goes_to_those_who_asked_for_it(void **state)
{
	(void)state;
	reply.flags = DNS_AD;
	finish();
	assert_false(dns_flags(out) & DNS_AD);
	asker.flags = DNS_AD;
	finish();
	assert_true(dns_flags(out) & DNS_AD);
	asker.flags = 0;
	asker.edns = asker.dnssec_ok = true;
	finish();
	assert_true(dns_flags(out) & DNS_AD);
	reply.flags = 0;
	asker.flags = DNS_AD;
	finish();
	assert_false(dns_flags(out) & DNS_AD);
}

static void long_rcode_needs_the_clients_opt(void **state)
{
	(void)state;
	reply.rcode = DNS_BADVERS;
	finish();
	assert_int_equal(dns_flags(out) & DNS_RCODE, DNS_SERVFAIL);
	asker.edns = true;
	finish();
	assert_int_equal(dns_flags(out) & DNS_RCODE, 0);
	assert_int_equal(out[out_len - 6], 1);
}

static void query_that_did_not_parse_gets_a_bare_header(void **state)
{
	(void)state;
	asker.has_question = false;
	asker.spelled = NULL;
	assert_int_equal(reply_body_at(&asker), 12);
	out_len = reply_write_error(out, 512, &asker, DNS_FORMERR, DNS_EDE_NONE, NULL);
	assert_int_equal(out_len, 12);
	assert_memory_equal(out, "\276\357\201\201\0\0\0\0\0\0\0\0", 12);
	asker.edns = true;
	out_len = reply_write_error(out, 512, &asker, DNS_FORMERR, DNS_EDE_NONE, NULL);
	assert_int_equal(out_len, 12 + 11);
	assert_int_equal(dns_arcount(out), 1);
	put_address();
	finish();
	assert_int_equal(out_len, 12 + 11);
	assert_int_equal(dns_ancount(out), 0);
}

static void error_carries_its_text_only_to_clients_with_edns(void **state)
{
	static const char text[] = "endpoint seoul: 10.10.1.10 silent";

	(void)state;
	out_len = reply_write_error(out, 512, &asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, text);
	assert_int_equal(out_len, 12 + sizeof(spelled) + 4);
	asker.edns = true;
	out_len = reply_write_error(out, 512, &asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, text);
	assert_int_equal(out_len, 12 + sizeof(spelled) + 4 + 11 + 6 + strlen(text));
	assert_int_equal(dns_flags(out) & DNS_RCODE, DNS_SERVFAIL);
	assert_memory_equal(out + out_len - strlen(text), text, strlen(text));
	assert_int_equal(dns_get16(out + out_len - strlen(text) - 2), 22);
}

/* ---- cutting ---- */

/* A big answer: records of several types in all three sections, their names compressed. */
static ldns_pkt *big_pkt(void)
{
	ldns_pkt *pkt = message_response("www.example.com", DNS_TYPE_A);
	char line[200];

	message_push_text(pkt, LDNS_SECTION_ANSWER, "www.example.com. 300 IN CNAME pool.example.net.");
	for (int i = 0; i < 60; i++) {
		snprintf(line, sizeof(line), "pool.example.net. %d IN A 192.0.2.%d", 1000 + i, i);
		message_push_text(pkt, LDNS_SECTION_ANSWER, line);
	}
	for (int i = 0; i < 6; i++) {
		snprintf(line, sizeof(line), "example.net. %d IN NS ns-%d.awsdns-%02d.com.", 2000 + i, i, i);
		message_push_text(pkt, LDNS_SECTION_AUTHORITY, line);
		snprintf(line, sizeof(line), "ns-%d.awsdns-%02d.com. %d IN AAAA fd00::%d", i, i, 3000 + i, i);
		message_push_text(pkt, LDNS_SECTION_ADDITIONAL, line);
	}
	return pkt;
}

static void put_body(const struct message *m)
{
	static struct answer a;

	assert_int_equal(answer_read(&a, m->octets, m->len), ANSWER_OK);
	assert_int_equal(a.body_at, reply_body_at(&asker));
	reply.body_bytes = (size_t)a.body_end - a.body_at;
	reply.ancount = a.ancount;
	reply.nscount = a.nscount;
	reply.arcount = a.arcount;
	memcpy(out + a.body_at, m->octets + a.body_at, reply.body_bytes);
}

/* `got` is the beginning of `all`, TTLs included. Returns how many are missing. */
static size_t assert_prefix(const ldns_rr_list *got, const ldns_rr_list *all)
{
	assert_true(ldns_rr_list_rr_count(got) <= ldns_rr_list_rr_count(all));
	for (size_t i = 0; i < ldns_rr_list_rr_count(got); i++) {
		assert_int_equal(ldns_rr_compare(ldns_rr_list_rr(got, i), ldns_rr_list_rr(all, i)), 0);
		assert_int_equal(ldns_rr_ttl(ldns_rr_list_rr(got, i)), ldns_rr_ttl(ldns_rr_list_rr(all, i)));
	}
	return ldns_rr_list_rr_count(all) - ldns_rr_list_rr_count(got);
}

static void assert_cut_right(const ldns_pkt *all)
{
	ldns_pkt *pkt = NULL;

	assert_int_equal(ldns_wire2pkt(&pkt, out, out_len), LDNS_STATUS_OK);
	size_t answer = assert_prefix(ldns_pkt_answer(pkt), ldns_pkt_answer(all));
	size_t authority = assert_prefix(ldns_pkt_authority(pkt), ldns_pkt_authority(all));
	size_t additional = assert_prefix(ldns_pkt_additional(pkt), ldns_pkt_additional(all));
	assert_int_equal(ldns_pkt_tc(pkt), answer + authority > 0);
	/* Nothing goes before what is less worth has gone. */
	assert_true(answer == 0 || authority == ldns_rr_list_rr_count(ldns_pkt_authority(all)));
	assert_true(additional == 0 || additional == ldns_rr_list_rr_count(ldns_pkt_additional(all)));
	assert_true(authority == 0 || additional > 0);
	assert_int_equal(ldns_pkt_edns(pkt), asker.edns);
	ldns_pkt_free(pkt);
}

static void reply_is_cut_right_for_every_limit(void **state)
{
	static struct message m;
	ldns_pkt *all = big_pkt();

	(void)state;
	message_from_pkt(&m, big_pkt());
	assert_true(m.len > 1232);
	for (int edns = 0; edns < 2; edns++) {
		size_t before = 0;
		for (uint16_t limit = 512; limit <= m.len + 12; limit++) {
			/* The limit is the client's in one half and the room's in the other. */
			asker.edns = edns;
			asker.limit = limit % 2 ? limit : DNS_MESSAGE_MAX;
			put_body(&m);
			size_t room = limit % 2 ? sizeof(out) : limit;
			out_len = reply_finish(out, room, &asker, &reply);
			assert_true(out_len <= limit && out_len >= before);
			assert_cut_right(all);
			before = out_len;
		}
		assert_int_equal(before, m.len + (edns ? 11 : 0));
	}
	ldns_pkt_free(all);
}

static void extended_error_takes_only_what_records_leave(void **state)
{
	static struct message m;
	ldns_pkt *all = big_pkt();

	(void)state;
	message_from_pkt(&m, big_pkt());
	asker.edns = true;
	reply.ede = DNS_EDE_STALE_ANSWER;
	reply.ede_text = "every address of the endpoint is silent";
	for (uint16_t limit = 512; limit <= m.len + 80; limit++) {
		asker.limit = limit;
		put_body(&m);
		finish();
		assert_true(out_len <= limit);
		assert_cut_right(all);
	}
	assert_int_equal(out_len, m.len + 11 + 6 + strlen(reply.ede_text));
	ldns_pkt_free(all);
}

static void body_that_cannot_be_walked_is_cut_where_it_breaks(void **state)
{
	static struct message m;

	(void)state;
	message_from_pkt(&m, big_pkt());
	put_body(&m);
	memset(out + reply_body_at(&asker) + 100, 0xff, 64);
	finish();
	assert_true(out_len < reply_body_at(&asker) + 100);
	assert_true(dns_flags(out) & DNS_TC);
	assert_int_equal(dns_nscount(out) + dns_arcount(out), 0);
	assert_int_not_equal(dns_ancount(out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(asker_is_filled_from_the_query, ask),
		cmocka_unit_test_setup(usual_reply_is_header_question_and_records, ask),
		cmocka_unit_test_setup(opt_follows_for_a_client_that_sent_one, ask),
		cmocka_unit_test_setup(flags_are_copied_or_set_as_promised, ask),
		cmocka_unit_test_setup(ad_goes_to_those_who_asked_for_it, ask),
		cmocka_unit_test_setup(long_rcode_needs_the_clients_opt, ask),
		cmocka_unit_test_setup(query_that_did_not_parse_gets_a_bare_header, ask),
		cmocka_unit_test_setup(error_carries_its_text_only_to_clients_with_edns, ask),
		cmocka_unit_test_setup(reply_is_cut_right_for_every_limit, ask),
		cmocka_unit_test_setup(extended_error_takes_only_what_records_leave, ask),
		cmocka_unit_test_setup(body_that_cannot_be_walked_is_cut_where_it_breaks, ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
