/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "packet.h"

static const uint8_t asked[] = "\003WwW\007eXample\003com\000\000\034\000\001";    /* AAAA IN */
static const uint8_t plain_opt[] = "\000\000\051\020\000\000\000\200\000\000\000"; /* 4096 bytes, DO */
/* Some TSIG, whose content nobody looks at. */
static const uint8_t record_tsig[] = "\003key\000\000\372\000\377\000\000\000\000\000\003abc";

/* The usual query, with an OPT if told. */
static struct packet usual(bool opt)
{
	struct packet p = BEGIN(DNS_RD, 1, 0, 0, opt);

	PUT(&p, asked);
	if (opt)
		PUT(&p, plain_opt);
	return p;
}

static void plain_query_is_read(void **state)
{
	struct packet p = usual(false);
	struct question q;

	(void)state;
	assert_int_equal(read_packet(&q, &p), QUESTION_OK);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.flags, DNS_RD);
	assert_int_equal(q.type, DNS_TYPE_AAAA);
	assert_int_equal(q.class, DNS_CLASS_IN);
	assert_int_equal(q.name.len, 17);
	assert_memory_equal(q.name.octets, "\003www\007example\003com", 17);
	assert_memory_equal(q.spelled, asked, 17);
	assert_false(q.edns.present);
}

static void query_with_edns_is_read(void **state)
{
	struct packet p = usual(true);
	struct question q;

	(void)state;
	assert_int_equal(read_packet(&q, &p), QUESTION_OK);
	assert_true(q.edns.present);
	assert_true(q.edns.dnssec_ok);
	assert_int_equal(q.edns.udp_bytes, 4096);
}

static void opt_may_stand_anywhere_in_the_additional_section(void **state)
{
	struct question q;

	(void)state;
	for (int before = 0; before < 3; before++) {
		struct packet p = BEGIN(DNS_RD, 1, 0, 0, 3);
		PUT(&p, asked);
		for (int i = 0; i < before; i++)
			PUT(&p, RECORD_A);
		PUT(&p, plain_opt);
		for (int i = before; i < 2; i++)
			PUT(&p, RECORD_A);
		assert_int_equal(read_packet(&q, &p), QUESTION_OK);
		assert_true(q.edns.present);
		assert_int_equal(q.edns.udp_bytes, 4096);
		assert_int_equal(q.name.len, 17);
		assert_memory_equal(q.spelled, asked, 17);
	}
}

static void signed_query_is_accepted_and_its_signature_ignored(void **state)
{
	struct packet p = BEGIN(DNS_RD, 1, 0, 0, 2), only = BEGIN(DNS_RD, 1, 0, 0, 1);
	struct question q;

	(void)state;
	PUT(&p, asked);
	PUT(&p, plain_opt);
	PUT(&p, record_tsig);
	assert_int_equal(read_packet(&q, &p), QUESTION_OK);
	assert_true(q.edns.present);
	PUT(&only, asked);
	PUT(&only, record_tsig);
	assert_int_equal(read_packet(&q, &only), QUESTION_OK);
	assert_false(q.edns.present);
}

static void records_in_answer_and_authority_are_stepped_over(void **state)
{
	struct packet p = BEGIN(DNS_RD, 1, 1, 1, 1);
	struct question q;

	(void)state;
	PUT(&p, asked);
	PUT(&p, RECORD_A);
	PUT(&p, RECORD_A);
	PUT(&p, plain_opt);
	assert_int_equal(read_packet(&q, &p), QUESTION_OK);
	assert_true(q.edns.present);
	p.octets[7] = 2;
	assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
}

static void responses_and_stumps_are_dropped(void **state)
{
	struct packet p = usual(true);
	struct question q;

	(void)state;
	for (p.len = 0; p.len < DNS_HEADER_BYTES; p.len++) {
		assert_int_equal(question_glance(p.octets, p.len), QUESTION_DROP);
		assert_int_equal(read_packet(&q, &p), QUESTION_DROP);
	}
	p = usual(true);
	assert_int_equal(question_glance(p.octets, p.len), QUESTION_OK);
	p.octets[2] |= 0x80;
	assert_int_equal(question_glance(p.octets, p.len), QUESTION_DROP);
	assert_int_equal(read_packet(&q, &p), QUESTION_DROP);
}

static void other_opcodes_are_not_implemented_whatever_else_is_wrong(void **state)
{
	struct question q;

	(void)state;
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		struct packet p = usual(true);
		p.octets[2] = (uint8_t)(opcode << 3);
		assert_int_equal(read_packet(&q, &p), QUESTION_NOTIMP);
		assert_int_equal(q.id, 0x1234);
		assert_int_equal(q.flags, opcode << 11);
		assert_true(q.edns.present);
		p.len = 15;
		assert_int_equal(read_packet(&q, &p), QUESTION_NOTIMP);
		assert_false(q.edns.present);
	}
}

static void cut_query_is_a_format_error_at_every_length(void **state)
{
	struct packet p = usual(true);
	struct question q;

	(void)state;
	for (size_t len = p.len - 1; len >= DNS_HEADER_BYTES; len--) {
		p.len = len;
		assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
		assert_int_equal(q.id, 0x1234);
		assert_false(q.edns.present);
	}
}

static void trailing_octets_are_a_format_error_that_knows_the_opt(void **state)
{
	struct packet p = usual(true), q_only = usual(false);
	struct question q;

	(void)state;
	PUT(&p, "x");
	assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
	assert_true(q.edns.present);
	PUT(&q_only, "x");
	assert_int_equal(read_packet(&q, &q_only), QUESTION_FORMERR);
	assert_false(q.edns.present);
}

static void question_count_must_be_one(void **state)
{
	struct packet none = BEGIN(DNS_RD, 0, 0, 0, 1), two = BEGIN(DNS_RD, 2, 0, 0, 1),
		      header = BEGIN(DNS_RD, 0, 0, 0, 0);
	struct question q;

	(void)state;
	PUT(&none, plain_opt);
	assert_int_equal(read_packet(&q, &none), QUESTION_FORMERR);
	assert_true(q.edns.present);
	PUT(&two, asked);
	PUT(&two, asked);
	PUT(&two, plain_opt);
	assert_int_equal(read_packet(&q, &two), QUESTION_FORMERR);
	assert_true(q.edns.present);
	assert_int_equal(read_packet(&q, &header), QUESTION_FORMERR);
	assert_false(q.edns.present);
}

static void name_with_a_pointer_is_a_format_error(void **state)
{
	struct packet p = BEGIN(DNS_RD, 1, 0, 0, 0), self = BEGIN(DNS_RD, 1, 0, 0, 0);
	struct question q;

	(void)state;
	PUT(&p, "\003www\300\004\000\001\000\001");
	assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
	PUT(&self, "\300\014\000\001\000\001");
	assert_int_equal(read_packet(&q, &self), QUESTION_FORMERR);
}

static void second_opt_is_a_format_error(void **state)
{
	struct packet p = BEGIN(DNS_RD, 1, 0, 0, 2);
	struct question q;

	(void)state;
	PUT(&p, asked);
	PUT(&p, plain_opt);
	PUT(&p, plain_opt);
	assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
	assert_true(q.edns.present);
}

static void opt_outside_the_additional_section_is_a_format_error(void **state)
{
	struct question q;

	(void)state;
	for (size_t count = 7; count <= 9; count += 2) {
		struct packet p = usual(true);
		p.octets[count] = 1;
		p.octets[11] = 0;
		assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
		assert_false(q.edns.present);
	}
}

static void opt_must_belong_to_the_root(void **state)
{
	struct packet p = BEGIN(DNS_RD, 1, 0, 0, 1), pointer = BEGIN(DNS_RD, 1, 0, 0, 1);
	struct question q;

	(void)state;
	PUT(&p, asked);
	PUT(&p, "\001a");
	PUT(&p, plain_opt);
	assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
	assert_false(q.edns.present);
	/* A pointer to the question's final zero is the root, too, but nobody writes that. */
	PUT(&pointer, asked);
	PUT(&pointer, "\300\034");
	put(&pointer, plain_opt + 1, sizeof(plain_opt) - 2);
	assert_int_equal(read_packet(&q, &pointer), QUESTION_FORMERR);
}

static void options_are_checked_for_their_bounds(void **state)
{
	struct packet good = usual(true), bad;
	struct question q;

	(void)state;
	good.octets[good.len - 1] = 12;
	PUT(&good, "\000\012\000\010cookie!!");
	assert_int_equal(read_packet(&q, &good), QUESTION_OK);
	bad = good;
	bad.octets[bad.len - 9] = 9;
	assert_int_equal(read_packet(&q, &bad), QUESTION_FORMERR);
	assert_false(q.edns.present);
	bad.octets[bad.len - 9] = 7;
	assert_int_equal(read_packet(&q, &bad), QUESTION_FORMERR);
	bad = good;
	bad.len--;
	assert_int_equal(read_packet(&q, &bad), QUESTION_FORMERR);
}

static void higher_version_is_told_after_parsing(void **state)
{
	struct packet p = usual(true);
	struct question q;

	(void)state;
	p.octets[p.len - 5] = 1;
	assert_int_equal(read_packet(&q, &p), QUESTION_BADVERS);
	assert_int_equal(q.type, DNS_TYPE_AAAA);
	assert_int_equal(q.name.len, 17);
	assert_int_equal(q.edns.version, 1);
	PUT(&p, "x");
	assert_int_equal(read_packet(&q, &p), QUESTION_FORMERR);
	assert_true(q.edns.present);
}

static void root_and_the_longest_name_are_read(void **state)
{
	struct packet root = BEGIN(DNS_RD, 1, 0, 0, 0), longest = BEGIN(DNS_RD, 1, 0, 0, 0);
	struct question q;

	(void)state;
	PUT(&root, "\000\000\002\000\001");
	assert_int_equal(read_packet(&q, &root), QUESTION_OK);
	assert_int_equal(q.name.labels, 0);
	for (int i = 0; i < 127; i++)
		PUT(&longest, "\001Z");
	PUT(&longest, "\000\000\001\000\001");
	assert_int_equal(read_packet(&q, &longest), QUESTION_OK);
	assert_int_equal(q.name.labels, 127);
}

static void longest_query_upstream_fits_its_maximum(void **state)
{
	uint8_t octets[NAME_MAX_OCTETS], out[QUESTION_UPSTREAM_MAX];
	struct name name;

	(void)state;
	for (size_t i = 0; i < 254; i++)
		octets[i] = i % 2 ? 'a' : 1;
	octets[254] = 0;
	assert_int_equal(name_read(&name, octets, sizeof(octets)), 255);
	struct question_upstream u = {.name = &name, .edns = true, .type = 1, .class = 1};
	assert_int_equal(question_write(&u, out), QUESTION_UPSTREAM_MAX);
}

/* What was sent in the echo tests: www.example.com AAAA in the letter case of `asked`, and the answer to it. */
static struct name sent_name;
static struct question_upstream sent;
static struct packet answer;

static int send_question(void **state)
{
	struct question q;

	(void)state;
	answer = usual(false);
	assert_int_equal(read_packet(&q, &answer), QUESTION_OK);
	sent_name = q.name;
	sent = (struct question_upstream){.name = &sent_name,
					  .id = 0x1234,
					  .type = DNS_TYPE_AAAA,
					  .class = DNS_CLASS_IN,
					  .case_bits = 1 << 0 | 1 << 2 | 1 << 4};
	answer.octets[2] |= DNS_QR >> 8;
	return 0;
}

static enum question_echo judge(const struct packet *p)
{
	uint8_t *exact = sample_exact(p->octets, p->len);
	enum question_echo echo = question_echo(&sent, exact, p->len);

	free(exact);
	return echo;
}

static void echo_has_id_question_and_letter_case(void **state)
{
	(void)state;
	assert_int_equal(judge(&answer), ECHO_YES);
	PUT(&answer, RECORD_A);
	assert_int_equal(judge(&answer), ECHO_YES);
	answer.octets[3] = DNS_SERVFAIL;
	assert_int_equal(judge(&answer), ECHO_YES);
}

static void wrong_letter_case_is_told_from_a_wrong_name(void **state)
{
	(void)state;
	answer.octets[13] ^= 0x20;
	assert_int_equal(judge(&answer), ECHO_WRONG_CASE);
	answer.octets[13] ^= 0x01;
	assert_int_equal(judge(&answer), ECHO_NO);
}

static void letter_case_that_was_not_random_may_come_back_as_any(void **state)
{
	(void)state;
	sent.case_bits = 0;
	assert_int_equal(judge(&answer), ECHO_YES); /* in the case that was sent with the bits above */
	answer.octets[13] ^= 0x20;
	assert_int_equal(judge(&answer), ECHO_YES);
	answer.octets[13] ^= 0x01;
	assert_int_equal(judge(&answer), ECHO_NO);
}

static void every_changed_bit_of_id_and_question_is_seen(void **state)
{
	(void)state;
	for (size_t at = 0; at < answer.len; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct packet p = answer;
			p.octets[at] ^= (uint8_t)(1u << bit);
			bool of_case = at >= 12 && at < 28 && isalpha(answer.octets[at]) && bit == 5;
			/* Flags but QR and opcode, and the counts of the body, are not the question's. */
			bool free_bit = (at == 2 && bit < 3) || at == 3 || (at >= 6 && at < 12);
			assert_int_equal(judge(&p), of_case ? ECHO_WRONG_CASE : free_bit ? ECHO_YES : ECHO_NO);
		}
}

static void cut_echo_is_none(void **state)
{
	(void)state;
	while (answer.len-- > 0)
		assert_int_equal(judge(&answer), ECHO_NO);
}

static void compressed_question_is_no_echo(void **state)
{
	struct packet p = BEGIN(DNS_QR, 1, 0, 0, 0);

	(void)state;
	PUT(&p, "\300\014\000\034\000\001xxxxxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(judge(&p), ECHO_NO);
}

static void error_without_question_is_an_echo_and_nothing_else_without_one(void **state)
{
	(void)state;
	for (unsigned rcode = 0; rcode < 16; rcode++) {
		struct packet p = BEGIN((uint16_t)(DNS_QR | rcode), 0, 0, 0, 0);
		bool says_nothing = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN;
		assert_int_equal(judge(&p), says_nothing ? ECHO_NO : ECHO_ERROR);
		p.octets[0] ^= 1;
		assert_int_equal(judge(&p), ECHO_NO);
	}
}

static void query_that_comes_back_is_no_echo(void **state)
{
	struct packet p = usual(false);

	(void)state;
	assert_int_equal(judge(&p), ECHO_NO);
}

#define ECHO_TEST(name) cmocka_unit_test_setup(name, send_question)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_query_is_read),
		cmocka_unit_test(query_with_edns_is_read),
		cmocka_unit_test(opt_may_stand_anywhere_in_the_additional_section),
		cmocka_unit_test(signed_query_is_accepted_and_its_signature_ignored),
		cmocka_unit_test(records_in_answer_and_authority_are_stepped_over),
		cmocka_unit_test(responses_and_stumps_are_dropped),
		cmocka_unit_test(other_opcodes_are_not_implemented_whatever_else_is_wrong),
		cmocka_unit_test(cut_query_is_a_format_error_at_every_length),
		cmocka_unit_test(trailing_octets_are_a_format_error_that_knows_the_opt),
		cmocka_unit_test(question_count_must_be_one),
		cmocka_unit_test(name_with_a_pointer_is_a_format_error),
		cmocka_unit_test(second_opt_is_a_format_error),
		cmocka_unit_test(opt_outside_the_additional_section_is_a_format_error),
		cmocka_unit_test(opt_must_belong_to_the_root),
		cmocka_unit_test(options_are_checked_for_their_bounds),
		cmocka_unit_test(higher_version_is_told_after_parsing),
		cmocka_unit_test(root_and_the_longest_name_are_read),
		cmocka_unit_test(longest_query_upstream_fits_its_maximum),
		ECHO_TEST(echo_has_id_question_and_letter_case),
		ECHO_TEST(wrong_letter_case_is_told_from_a_wrong_name),
		ECHO_TEST(letter_case_that_was_not_random_may_come_back_as_any),
		ECHO_TEST(every_changed_bit_of_id_and_question_is_seen),
		ECHO_TEST(cut_echo_is_none),
		ECHO_TEST(compressed_question_is_no_echo),
		ECHO_TEST(error_without_question_is_an_echo_and_nothing_else_without_one),
		ECHO_TEST(query_that_comes_back_is_no_echo),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
