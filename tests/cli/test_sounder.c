/* SPDX-License-Identifier: Apache-2.0 */
#include "scripted.h"

#include "cli/sounder.h"
#include "net/loop.h"

/* For an answer that comes; for one that does not; where both are in one test. */
enum { PATIENT_US = 10000000, BRIEF_US = 200000, MIXED_US = 2000000 };
enum { MOST_US = 60000000, QUESTIONS = 64, LARGE = 4096 };

static struct random rng;
static unsigned hearings;
static uint16_t heard_flags;

static void heard(void *arg, struct sounder_question *q, const uint8_t *message, size_t len)
{
	(void)arg;
	assert_true(len >= DNS_HEADER_BYTES);
	assert_int_equal(q->outcome, SOUNDER_ANSWERED);
	heard_flags = dns_flags(message);
	hearings++;
}

static struct sounder sounder(void)
{
	hearings = 0;
	random_init(&rng);
	return (struct sounder){.random = &rng, .wait_us = PATIENT_US, .most_us = MOST_US, .heard = heard};
}

static struct sounder_question question(const struct scripted *s, bool tcp)
{
	struct sounder_question q = {.to = s->addr, .type = DNS_TYPE_NS, .udp_bytes = DNS_UDP_BYTES, .tcp = tcp};

	assert_int_equal(text_read_name(&q.name, "corp.test"), 0);
	return q;
}

/* One question, and what became of it. */
static struct sounder_question ask_within(struct scripted *s, bool tcp, uint64_t wait_us)
{
	struct sounder_question q = question(s, tcp);
	struct sounder so = sounder();

	so.wait_us = wait_us;
	(void)sounder_run(&so, &q, 1);
	return q;
}

static struct sounder_question ask(struct scripted *s, bool tcp)
{
	return ask_within(s, tcp, PATIENT_US);
}

/* ---- scripts */

static size_t nothing(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)q;
	(void)len;
	(void)tcp;
	(void)out;
	return SCRIPTED_NO_ANSWER;
}

static size_t cut(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)q;
	(void)len;
	(void)out;
	return tcp ? SCRIPTED_CUT : SCRIPTED_NO_ANSWER;
}

static size_t with_a_wrong_id(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	size_t answer = scripted_private(s, q, len, tcp, out);

	dns_put16(out, (uint16_t)(q->id + 1));
	return answer;
}

static size_t in_lower_case(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	memcpy(out + DNS_HEADER_BYTES, q->name.octets, q->name.len);
	return scripted_private(s, q, len, tcp, out);
}

static size_t formerr_alone(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)len;
	(void)tcp;
	(void)scripted_header(q, DNS_FORMERR, out);
	dns_put16(out + 4, 0);
	return DNS_HEADER_BYTES;
}

static size_t small_ones_only(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	return len > DNS_UDP_BYTES ? SCRIPTED_NO_ANSWER : scripted_private(s, q, len, tcp, out);
}

/* The first is lost. */
static size_t but_the_first(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	return atomic_load(&s->udp_queries) == 1 ? SCRIPTED_NO_ANSWER : scripted_private(s, q, len, tcp, out);
}

/* ---- tests */

static void query_is_padded_to_the_octet(void **state)
{
	static const uint16_t sizes[] = {64, 512, 1232, 1400, LARGE};
	uint8_t out[SOUNDER_QUERY_MAX];
	struct question read;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct sounder_question q = {.type = DNS_TYPE_TXT, .udp_bytes = 1400, .octets = sizes[i], .id = 7};
		assert_int_equal(text_read_name(&q.name, "corp.test"), 0);
		assert_int_equal(sounder_write(&q, out), sizes[i]);
		assert_int_equal(question_read(&read, out, sizes[i]), QUESTION_OK);
		assert_int_equal(read.edns.udp_bytes, 1400);
		assert_int_equal(read.type, DNS_TYPE_TXT);
	}
}

static void query_is_as_small_as_it_comes_where_padding_does_not_fit(void **state)
{
	uint8_t out[SOUNDER_QUERY_MAX];
	struct sounder_question q = {.type = DNS_TYPE_NS, .udp_bytes = 512, .octets = 20};
	struct question read;

	(void)state;
	assert_int_equal(text_read_name(&q.name, "corp.test"), 0);
	size_t len = sounder_write(&q, out);
	assert_int_equal(len, DNS_HEADER_BYTES + q.name.len + 4 + EDNS_OPT_BYTES);
	assert_int_equal(question_read(&read, out, len), QUESTION_OK);
	q.udp_bytes = 0;
	assert_int_equal(sounder_write(&q, out), len - EDNS_OPT_BYTES);
}

static void answer_over_udp_and_tcp_is_heard_and_timed(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", scripted_private, true, true);

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		struct sounder_question q = ask(s, tcp);
		assert_int_equal(q.outcome, SOUNDER_ANSWERED);
		assert_int_equal(hearings, 1);
		assert_true(heard_flags & DNS_RA);
		assert_true(q.took_us > 0 && q.took_us < MOST_US);
		assert_false(q.wrong_case);
	}
	scripted_free(s);
}

static void large_query_goes_over_udp_and_tcp_whole(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", scripted_private, true, true);
	struct sounder so = sounder();

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		struct sounder_question q = question(s, tcp);
		q.octets = LARGE;
		assert_int_equal(sounder_run(&so, &q, 1), 1);
		assert_int_equal(q.outcome, SOUNDER_ANSWERED);
		assert_int_equal(atomic_exchange(&s->largest, 0), LARGE);
	}
	scripted_free(s);
}

static void silence_is_told_from_a_closed_port(void **state)
{
	struct scripted *silent = scripted_new("127.0.0.1", nothing, true, true);

	(void)state;
	assert_int_equal(ask_within(silent, false, BRIEF_US).outcome, SOUNDER_SILENT);
	assert_int_equal(ask_within(silent, true, BRIEF_US).outcome, SOUNDER_SILENT);
	struct scripted *closed = scripted_new("127.0.0.1", nothing, false, false);
	assert_int_equal(ask(closed, false).outcome, SOUNDER_REFUSED);
	assert_int_equal(ask(closed, true).outcome, SOUNDER_REFUSED);
	assert_int_equal(hearings, 0);
	scripted_free(silent);
	scripted_free(closed);
}

static void connection_that_ends_early_is_cut(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", cut, true, true);

	(void)state;
	assert_int_equal(ask(s, true).outcome, SOUNDER_CUT);
	scripted_free(s);
}

/* 240.0.0.0/4 is nobody's, and Linux has no way there unless told so. */
static void address_without_a_way_is_unreachable(void **state)
{
	struct scripted s = {.udp = -1};

	(void)state;
	assert_int_equal(addr_parse(&s.addr, "255.255.255.255", 53), 0);
	for (int tcp = 0; tcp < 2; tcp++) {
		struct sounder_question q = ask(&s, tcp);
		assert_int_equal(q.outcome, SOUNDER_UNREACHABLE);
		assert_int_not_equal(q.error, 0);
	}
}

static void misfit_is_counted_and_answers_nothing(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", with_a_wrong_id, true, true);

	(void)state;
	struct sounder_question q = ask_within(s, false, MIXED_US);
	assert_int_equal(q.outcome, SOUNDER_SILENT);
	assert_int_equal(q.misfits, 1);
	q = ask(s, true);
	assert_int_equal(q.outcome, SOUNDER_CUT);
	assert_int_equal(q.misfits, 1);
	assert_int_equal(hearings, 0);
	scripted_free(s);
}

static void other_letter_case_is_an_answer_and_noted(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", in_lower_case, true, true);

	(void)state;
	/* 8 letters: one question in 256 is in lower case by chance. */
	struct sounder_question q = ask(s, false);
	for (int i = 0; i < 8 && !q.wrong_case; i++)
		q = ask(s, false);
	assert_int_equal(q.outcome, SOUNDER_ANSWERED);
	assert_true(q.wrong_case);
	scripted_free(s);
}

static void error_without_the_question_is_an_answer(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", formerr_alone, true, true);

	(void)state;
	assert_int_equal(ask(s, false).outcome, SOUNDER_ANSWERED);
	assert_int_equal(heard_flags & DNS_RCODE, DNS_FORMERR);
	scripted_free(s);
}

static void address_that_answers_nothing_is_asked_no_more(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", nothing, true, true);
	struct sounder_question questions[QUESTIONS];
	struct sounder so = sounder();
	unsigned silent = 0, skipped = 0;

	(void)state;
	for (size_t i = 0; i < QUESTIONS; i++)
		questions[i] = question(s, false);
	so.wait_us = BRIEF_US;
	size_t sent = sounder_run(&so, questions, QUESTIONS);
	for (size_t i = 0; i < QUESTIONS; i++) {
		silent += questions[i].outcome == SOUNDER_SILENT;
		skipped += questions[i].outcome == SOUNDER_SKIPPED;
	}
	assert_int_equal(silent, sent);
	assert_true(sent >= 3 && sent < 10);
	assert_int_equal(silent + skipped, QUESTIONS);
	assert_true(atomic_load(&s->udp_queries) <= sent);
	scripted_free(s);
}

static void silence_over_udp_says_nothing_about_tcp(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", scripted_private, false, true);
	struct sounder_question questions[8];
	struct sounder so = sounder();

	(void)state;
	for (size_t i = 0; i < 8; i++)
		questions[i] = question(s, i == 7);
	(void)sounder_run(&so, questions, 8);
	assert_int_equal(questions[0].outcome, SOUNDER_REFUSED);
	assert_int_equal(questions[6].outcome, SOUNDER_SKIPPED);
	assert_int_equal(questions[7].outcome, SOUNDER_ANSWERED);
	scripted_free(s);
}

static void one_lost_question_does_not_end_the_asking(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", but_the_first, true, true);
	struct sounder_question questions[QUESTIONS];
	struct sounder so = sounder();
	unsigned answered = 0;

	(void)state;
	for (size_t i = 0; i < QUESTIONS; i++)
		questions[i] = question(s, false);
	so.wait_us = MIXED_US;
	assert_int_equal(sounder_run(&so, questions, QUESTIONS), QUESTIONS);
	for (size_t i = 0; i < QUESTIONS; i++)
		answered += questions[i].outcome == SOUNDER_ANSWERED;
	assert_int_equal(answered, QUESTIONS - 1);
	scripted_free(s);
}

static void sizes_that_do_not_pass_are_told_from_those_that_do(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", small_ones_only, true, true);
	struct sounder_question questions[2] = {question(s, false), question(s, false)};
	struct sounder so = sounder();

	(void)state;
	questions[0].octets = 1232;
	questions[1].octets = 1400;
	so.wait_us = MIXED_US;
	(void)sounder_run(&so, questions, 2);
	assert_int_equal(questions[0].outcome, SOUNDER_ANSWERED);
	assert_int_equal(questions[1].outcome, SOUNDER_SILENT);
	scripted_free(s);
}

static void no_time_leaves_questions_skipped(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", scripted_private, true, true);
	struct sounder_question q = question(s, false);
	struct sounder so = sounder();

	(void)state;
	so.most_us = 0;
	assert_int_equal(sounder_run(&so, &q, 1), 0);
	assert_int_equal(q.outcome, SOUNDER_SKIPPED);
	scripted_free(s);
}

/* More addresses than are open at once, a part of them silent. */
static void many_addresses_are_asked_side_by_side(void **state)
{
	enum { MANY = 300 };
	struct scripted *alive = scripted_new("127.0.0.1", scripted_private, true, true);
	struct scripted *dead = scripted_new("127.0.0.1", nothing, true, true);
	struct sounder_question *questions = calloc(MANY, sizeof(*questions));
	struct sounder so = sounder();

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		questions[i] = question(i % 2 ? alive : dead, false);
	so.wait_us = MIXED_US;
	uint64_t begun_us = loop_clock_us();
	assert_int_equal(sounder_run(&so, questions, MANY), MANY);
	assert_true(loop_clock_us() - begun_us < MOST_US);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(questions[i].outcome, i % 2 ? SOUNDER_ANSWERED : SOUNDER_SILENT);
	free(questions);
	scripted_free(alive);
	scripted_free(dead);
}

static int ear_fd;
static unsigned ear_calls;

static void ear(void *arg, int fd)
{
	uint8_t bytes[512];

	(void)arg;
	assert_int_equal(fd, ear_fd);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
	ear_calls++;
}

static void ears_are_open_meanwhile(void **state)
{
	struct scripted *s = scripted_new("127.0.0.1", nothing, true, true);
	struct addr at = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	struct sounder_question q = question(s, false);
	struct sounder so = sounder();

	(void)state;
	ear_fd = scripted_bind(&at, SOCK_DGRAM);
	ear_calls = 0;
	so.wait_us = MIXED_US;
	so.ears = &ear_fd;
	so.ear_count = 1;
	so.ear = ear;
	assert_int_equal(sendto(ear_fd, "x", 1, 0, &at.sa, addr_len(&at)), 1);
	(void)sounder_run(&so, &q, 1);
	assert_int_equal(ear_calls, 1);
	close(ear_fd);
	scripted_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_is_padded_to_the_octet),
		cmocka_unit_test(query_is_as_small_as_it_comes_where_padding_does_not_fit),
		cmocka_unit_test(answer_over_udp_and_tcp_is_heard_and_timed),
		cmocka_unit_test(large_query_goes_over_udp_and_tcp_whole),
		cmocka_unit_test(silence_is_told_from_a_closed_port),
		cmocka_unit_test(connection_that_ends_early_is_cut),
		cmocka_unit_test(address_without_a_way_is_unreachable),
		cmocka_unit_test(misfit_is_counted_and_answers_nothing),
		cmocka_unit_test(other_letter_case_is_an_answer_and_noted),
		cmocka_unit_test(error_without_the_question_is_an_answer),
		cmocka_unit_test(address_that_answers_nothing_is_asked_no_more),
		cmocka_unit_test(silence_over_udp_says_nothing_about_tcp),
		cmocka_unit_test(one_lost_question_does_not_end_the_asking),
		cmocka_unit_test(sizes_that_do_not_pass_are_told_from_those_that_do),
		cmocka_unit_test(no_time_leaves_questions_skipped),
		cmocka_unit_test(many_addresses_are_asked_side_by_side),
		cmocka_unit_test(ears_are_open_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
