/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/response.h"
#include "wire/answer.h"
#include "wire/text.h"

static const char zone[] = "$ORIGIN corp.example.internal.\n"
			   "$TTL 60\n"
			   "@ 900 IN SOA ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 300\n"
			   "@ NS ns-0.awsdns-00.com.\n"
			   "@ NS ns-512.awsdns-00.net.\n"
			   "www A 10.20.1.1\n"
			   "app CNAME www\n"
			   "mail MX 10 www\n"
			   "zero 0 A 10.20.1.9\n";

static struct {
	struct zone_set *zones;
	struct random random;
	struct fault fault;
	uint32_t age_s;
	uint8_t query[512];
	size_t query_len;
	uint8_t out[DNS_MESSAGE_MAX];
	size_t len;
	struct answer answer;
} t;

static int set_up(void **state)
{
	char path[] = "/tmp/test_response.XXXXXX";
	struct zone_error error;
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	(void)state;
	fputs(zone, file);
	/* 100 strings of 60 octets: more than 4,096, and no single record of it fits into 512 eight times. */
	for (int i = 0; i < 100; i++)
		fprintf(file, "big TXT \"%060d\"\n", i);
	fclose(file);
	t.zones = zone_set_new();
	assert_int_equal(zone_set_load(t.zones, path, &error), 0);
	unlink(path);
	random_init(&t.random);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	zone_set_free(t.zones);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	t.fault = (struct fault){0};
	t.age_s = 0;
	return 0;
}

/* Writes a query; `udp_bytes` 0: without OPT. */
static void write_query(const char *text, uint16_t type, uint16_t udp_bytes)
{
	struct name name;

	assert_int_equal(text_read_name(&name, text), 0);
	const struct question_upstream u = {.name = &name,
					    .case_bits = 0x5555,
					    .id = 0x1234,
					    .type = type,
					    .class = DNS_CLASS_IN,
					    .flags = DNS_RD,
					    .edns = udp_bytes > 0};
	t.query_len = question_write(&u, t.query);
	if (udp_bytes > 0)
		dns_put16(t.query + t.query_len - EDNS_OPT_BYTES + 3, udp_bytes);
}

static void respond(bool tcp)
{
	const struct response_rules rules = {t.zones, DNS_REFUSED, t.age_s};
	struct question q;
	enum question_verdict verdict = question_read(&q, t.query, t.query_len);
	const struct response_asked asked = {&rules, &t.fault, &q, verdict, tcp};

	t.len = response_write(&asked, &t.random, t.out, sizeof(t.out));
}

static void ask(const char *text, uint16_t type, uint16_t udp_bytes, bool tcp)
{
	write_query(text, type, udp_bytes);
	respond(tcp);
	assert_int_equal(answer_read(&t.answer, t.out, t.len), ANSWER_OK);
}

/* Letter case aside: names that are compressed into the question have the question's. */
static void says(const char *piece)
{
	char *text = text_message(t.out, t.len);

	assert_non_null(text);
	if (!strcasestr(text, piece))
		fail_msg("no `%s` in:\n%s", piece, text);
	free(text);
}

static void answer_is_as_an_inbound_endpoint_sends_it(void **state)
{
	(void)state;
	ask("www.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(dns_id(t.out), 0x1234);
	assert_int_equal(dns_flags(t.out), DNS_QR | DNS_RD | DNS_RA);
	/* The question comes back in the letter case that it had. */
	assert_memory_equal(t.out + 12, t.query + 12, 27);
	assert_int_equal(t.answer.edns.udp_bytes, 4096);
	assert_false(t.answer.edns.dnssec_ok);
	says("10.20.1.1");
}

static void no_opt_goes_to_who_sent_none(void **state)
{
	(void)state;
	ask("www.corp.example.internal", DNS_TYPE_A, 0, false);
	assert_false(t.answer.edns.present);
	assert_int_equal(dns_arcount(t.out), 0);
}

static void chain_and_its_end_come_together_compressed(void **state)
{
	(void)state;
	ask("app.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(dns_ancount(t.out), 2);
	/* Question 31, then two octets of owner, ten fixed and `www` with a pointer; then a pointer, ten and an address. */
	assert_int_equal(t.len, 12 + 31 + (2 + 10 + 6) + (2 + 10 + 4) + EDNS_OPT_BYTES);
	says("app.corp.example.internal.\t60\tIN\tCNAME\twww.corp.example.internal.");
	says("www.corp.example.internal.\t60\tIN\tA\t10.20.1.1");
}

static void names_inside_rdata_survive_compression(void **state)
{
	(void)state;
	ask("mail.corp.example.internal", DNS_TYPE_MX, 1232, false);
	says("MX\t10 www.corp.example.internal.");
	ask("corp.example.internal", DNS_TYPE_ANY, 1232, false);
	assert_int_equal(dns_ancount(t.out), 3);
	says("NS\tns-512.awsdns-00.net.");
	says("ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 300");
}

static void negative_answers_carry_the_soa_with_its_minimum(void **state)
{
	(void)state;
	ask("none.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(t.answer.kind, ANSWER_NXDOMAIN);
	assert_int_equal(t.answer.ttl_s, 300);
	says("corp.example.internal.\t300\tIN\tSOA");
	ask("www.corp.example.internal", DNS_TYPE_AAAA, 1232, false);
	assert_int_equal(t.answer.kind, ANSWER_NODATA);
	assert_true(t.answer.has_soa);
}

static void name_outside_is_refused(void **state)
{
	(void)state;
	ask("example.com", DNS_TYPE_A, 1232, false);
	assert_int_equal(t.answer.rcode, DNS_REFUSED);
}

static void transfers_and_other_classes_are_refused(void **state)
{
	(void)state;
	ask("corp.example.internal", DNS_TYPE_AXFR, 0, true);
	assert_int_equal(t.answer.rcode, DNS_REFUSED);
	write_query("www.corp.example.internal", DNS_TYPE_A, 0);
	dns_put16(t.query + t.query_len - 2, DNS_CLASS_CH);
	respond(false);
	assert_int_equal(dns_flags(t.out) & DNS_RCODE, DNS_REFUSED);
}

static void what_does_not_parse_gets_a_bare_header(void **state)
{
	(void)state;
	write_query("www.corp.example.internal", DNS_TYPE_A, 0);
	dns_put16(t.query + 4, 2);
	respond(false);
	assert_int_equal(t.len, DNS_HEADER_BYTES);
	assert_int_equal(dns_flags(t.out) & DNS_RCODE, DNS_FORMERR);
	write_query("www.corp.example.internal", DNS_TYPE_A, 0);
	t.query[2] = 0x20;
	respond(false);
	assert_int_equal(dns_flags(t.out), DNS_QR | 0x2000 | DNS_RA | DNS_NOTIMP);
}

static void newer_edns_is_badvers(void **state)
{
	(void)state;
	write_query("www.corp.example.internal", DNS_TYPE_A, 1232);
	t.query[t.query_len - EDNS_OPT_BYTES + 6] = 1;
	respond(false);
	assert_int_equal(answer_read(&t.answer, t.out, t.len), ANSWER_OK);
	assert_int_equal(t.answer.rcode, DNS_BADVERS);
}

static void udp_is_cut_where_the_client_or_the_endpoint_ends(void **state)
{
	static const struct {
		uint16_t udp_bytes;
		size_t most;
	} rows[] = {{0, 512}, {100, 512}, {1232, 1232}, {4096, 4096}, {65000, 4096}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask("big.corp.example.internal", DNS_TYPE_TXT, rows[i].udp_bytes, false);
		assert_true(dns_flags(t.out) & DNS_TC);
		assert_in_range(t.len, rows[i].most - 84, rows[i].most);
		assert_true(dns_ancount(t.out) > 0);
	}
}

static void tcp_carries_it_whole(void **state)
{
	(void)state;
	ask("big.corp.example.internal", DNS_TYPE_TXT, 1232, true);
	assert_false(dns_flags(t.out) & DNS_TC);
	assert_int_equal(dns_ancount(t.out), 100);
}

static void ttls_count_down_and_begin_again(void **state)
{
	(void)state;
	t.age_s = 59;
	ask("www.corp.example.internal", DNS_TYPE_A, 0, false);
	assert_int_equal(t.answer.ttl_s, 1);
	t.age_s = 60;
	ask("www.corp.example.internal", DNS_TYPE_A, 0, false);
	assert_int_equal(t.answer.ttl_s, 60);
	ask("zero.corp.example.internal", DNS_TYPE_A, 0, false);
	assert_int_equal(t.answer.ttl_s, 0);
}

static void rcode_fault_sends_no_records(void **state)
{
	(void)state;
	t.fault.has_rcode = true;
	t.fault.rcode = DNS_SERVFAIL;
	ask("www.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(t.answer.rcode, DNS_SERVFAIL);
	assert_int_equal(dns_ancount(t.out) + dns_nscount(t.out), 0);
	assert_true(t.answer.edns.present);
}

static void truncate_fault_is_for_udp(void **state)
{
	(void)state;
	t.fault.truncate = true;
	ask("www.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(dns_flags(t.out) & DNS_TC, DNS_TC);
	assert_int_equal(dns_ancount(t.out), 0);
	ask("www.corp.example.internal", DNS_TYPE_A, 1232, true);
	assert_int_equal(dns_flags(t.out) & DNS_TC, 0);
	assert_int_equal(dns_ancount(t.out), 1);
}

/* What the forwarder's own reader thinks of a response to the last query. */
static enum question_echo echo(void)
{
	struct name name;
	struct question q;

	assert_int_equal(question_read(&q, t.query, t.query_len), QUESTION_OK);
	name = q.name;
	const struct question_upstream u = {
		.name = &name, .case_bits = 0x5555, .id = q.id, .type = q.type, .class = q.class, .flags = DNS_RD};
	return question_echo(&u, t.out, t.len);
}

static void garbage_has_the_right_question_and_no_records(void **state)
{
	(void)state;
	t.fault.garbage = true;
	for (int i = 0; i < 100; i++) {
		write_query("www.corp.example.internal", DNS_TYPE_A, 1232);
		respond(i & 1);
		assert_int_equal(echo(), ECHO_YES);
		assert_int_equal(answer_read(&t.answer, t.out, t.len), ANSWER_MALFORMED);
	}
}

static void wrong_id_and_wrong_question_are_somebody_elses(void **state)
{
	static const char *const names[] = {"www.corp.example.internal", "0ww.corp.example.internal", "."};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		t.fault = (struct fault){.wrong_id = true};
		write_query(names[i], DNS_TYPE_A, 1232);
		respond(false);
		assert_int_equal(echo(), ECHO_NO);
		assert_int_not_equal(dns_id(t.out), 0x1234);
		t.fault = (struct fault){.wrong_question = true};
		respond(false);
		assert_int_equal(echo(), ECHO_NO);
		assert_int_equal(dns_id(t.out), 0x1234);
	}
}

static void lower_case_fault_loses_the_spelling(void **state)
{
	(void)state;
	t.fault.lower_case = true;
	ask("www.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(echo(), ECHO_WRONG_CASE);
	assert_memory_equal(t.out + 12, "\3www\4corp", 9);
}

static void no_edns_fault_refuses_the_opt_alone(void **state)
{
	(void)state;
	t.fault.no_edns = true;
	ask("www.corp.example.internal", DNS_TYPE_A, 1232, false);
	assert_int_equal(t.answer.rcode, DNS_FORMERR);
	assert_false(t.answer.edns.present);
	ask("www.corp.example.internal", DNS_TYPE_A, 0, false);
	assert_int_equal(t.answer.rcode, DNS_NOERROR);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answer_is_as_an_inbound_endpoint_sends_it),
		TEST(no_opt_goes_to_who_sent_none),
		TEST(chain_and_its_end_come_together_compressed),
		TEST(names_inside_rdata_survive_compression),
		TEST(negative_answers_carry_the_soa_with_its_minimum),
		TEST(name_outside_is_refused),
		TEST(transfers_and_other_classes_are_refused),
		TEST(what_does_not_parse_gets_a_bare_header),
		TEST(newer_edns_is_badvers),
		TEST(udp_is_cut_where_the_client_or_the_endpoint_ends),
		TEST(tcp_carries_it_whole),
		TEST(ttls_count_down_and_begin_again),
		TEST(rcode_fault_sends_no_records),
		TEST(truncate_fault_is_for_udp),
		TEST(garbage_has_the_right_question_and_no_records),
		TEST(wrong_id_and_wrong_question_are_somebody_elses),
		TEST(lower_case_fault_loses_the_spelling),
		TEST(no_edns_fault_refuses_the_opt_alone),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
