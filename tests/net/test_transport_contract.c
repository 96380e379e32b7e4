/* SPDX-License-Identifier: Apache-2.0 */
/* The promises of net/transport.h, asked of every row of transports.def: a new row is examined without a new test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stub_upstream.h"

static const struct transport_ops *const ROWS[] = {
#define TRANSPORT(value, name, unit, help) &transport_##unit,
#include "tables/transports.def"
#undef TRANSPORT
};

static void each_row(void (*body)(struct fixture *f))
{
	for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
		struct fixture *f = fixture_new(ROWS[i], "127.0.0.1", 64);
		body(f);
		fixture_free(f);
	}
}

static void answer_all(struct fixture *f, size_t first)
{
	for (size_t i = first; i < f->stub.received; i++)
		stub_send_answer(&f->stub, &f->stub.queries[i]);
}

static void be_answered_once(struct fixture *f)
{
	struct transport_attempt attempts[3] = {0};
	ask_many(f, attempts, 3);
	assert_int_equal(f->transport->open_attempts, 3);
	run_until_received(f, 3);
	assert_int_equal(f->reported, 0);
	answer_all(f, 0);
	answer_all(f, 0);
	run_until_reported(f, 3);
	run_quietly(f);
	assert_int_equal(f->reported, 3);
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 3);
	assert_int_equal(f->transport->open_attempts, 0);
	assert_int_equal(f->env.mismatched, 3);
}

static void accepted_send_is_answered_exactly_once(void **state)
{
	(void)state;
	each_row(be_answered_once);
}

static bool is_reported(const struct fixture *f, const struct transport_attempt *a)
{
	for (size_t i = 0; i < f->reported; i++) {
		if (f->reports[i].attempt == a)
			return true;
	}
	return false;
}

static void answer_backwards(struct fixture *f)
{
	static struct transport_attempt attempts[200];
	memset(attempts, 0, sizeof(attempts));
	ask_many(f, attempts, 200);
	run_until_received(f, 200);
	for (size_t i = 200; i > 0; i--)
		stub_send_answer(&f->stub, &f->stub.queries[i - 1]);
	run_until_reported(f, 200);
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 200);
	assert_int_equal(f->env.mismatched, 0);
	for (size_t i = 0; i < 200; i++)
		assert_true(is_reported(f, &attempts[i]));
}

static void answers_may_come_in_any_order(void **state)
{
	(void)state;
	each_row(answer_backwards);
}

static void cancel_each(struct fixture *f)
{
	struct transport_attempt before_flush = {0}, after_flush = {0}, other = {0};
	ask(f, &before_flush);
	ask(f, &after_flush);
	ask(f, &other);
	transport_cancel(&before_flush);
	assert_null(before_flush.transport);
	transport_cancel(&before_flush); /* nothing happens */
	run_until_received(f, 2);
	transport_cancel(&after_flush);
	run_quietly(f);
	answer_all(f, 0);
	run_until_reported(f, 1);
	run_quietly(f);
	assert_int_equal(f->reported, 1);
	assert_ptr_equal(f->reports[0].attempt, &other);
	assert_int_equal(f->transport->open_attempts, 0);
}

static void cancelled_attempt_is_never_reported(void **state)
{
	(void)state;
	each_row(cancel_each);
}

/* All that a stranger or a broken server may send; returns how many messages it sent. */
static size_t send_garbage(struct fixture *f, const struct stub_query *q)
{
	uint8_t m[STUB_QUERY_BYTES];
	size_t len = stub_answer(q, m), sent = 0;
	m[1] ^= 1; /* another id */
	stub_send(&f->stub, q, m, len), sent++;
	for (uint16_t i = 0; i < 40; i++, sent++) {
		dns_put16(m, (uint16_t)(stub_id(q) + 1000 + i));
		stub_send(&f->stub, q, m, len);
	}
	len = stub_answer(q, m);
	m[DNS_HEADER_BYTES + 1] ^= 3; /* another name */
	stub_send(&f->stub, q, m, len), sent++;
	len = stub_answer(q, m);
	m[len - 3] = DNS_TYPE_AAAA;
	stub_send(&f->stub, q, m, len), sent++;
	len = stub_answer(q, m);
	stub_send(&f->stub, q, m, len - 4), sent++; /* a question that ends early */
	m[2] &= 0x7f;                                /* a query */
	stub_send(&f->stub, q, m, len), sent++;
	memset(m, 0xff, sizeof(m));
	stub_send(&f->stub, q, m, sizeof(m)), sent++;
	/* Over a stream the length before it makes that a broken frame: another test's. */
	for (size_t bytes = 0; bytes < DNS_HEADER_BYTES && !f->ops->stream; bytes++, sent++)
		stub_send(&f->stub, q, q->bytes, bytes);
	return sent;
}

static void survive_garbage(struct fixture *f)
{
	struct transport_attempt a = {0};
	ask(f, &a);
	run_until_received(f, 1);
	size_t sent = send_garbage(f, &f->stub.queries[0]);
	run_quietly(f);
	assert_int_equal(f->reported, 0);
	assert_non_null(a.transport);
	assert_int_equal(f->env.mismatched, sent);
	answer_all(f, 0);
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].kind, REPORT_ANSWERED);
}

static void what_does_not_fit_is_counted_and_the_attempt_survives(void **state)
{
	(void)state;
	each_row(survive_garbage);
}

static void pass_cut_answer(struct fixture *f)
{
	struct transport_attempt a = {0};
	uint8_t m[STUB_QUERY_BYTES];
	ask(f, &a);
	run_until_received(f, 1);
	size_t len = stub_answer(&f->stub.queries[0], m);
	dns_put16(m + 2, DNS_QR | DNS_TC);
	stub_send(&f->stub, &f->stub.queries[0], m, len);
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].kind, REPORT_ANSWERED);
	assert_true(f->reports[0].flags & DNS_TC);
}

static void cut_answer_is_an_answer(void **state)
{
	(void)state;
	each_row(pass_cut_answer);
}

static void pass_bare_error(struct fixture *f)
{
	struct transport_attempt a = {0};
	uint8_t m[DNS_HEADER_BYTES] = {0};
	ask(f, &a);
	run_until_received(f, 1);
	dns_put16(m, stub_id(&f->stub.queries[0]));
	dns_put16(m + 2, DNS_QR | DNS_SERVFAIL);
	stub_send(&f->stub, &f->stub.queries[0], m, sizeof(m));
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].kind, REPORT_ANSWERED);
	assert_int_equal(f->reports[0].flags & DNS_RCODE, DNS_SERVFAIL);
}

static void error_without_question_is_an_answer(void **state)
{
	(void)state;
	each_row(pass_bare_error);
}

static struct transport_attempt *cancel_inside, *send_inside;

static void act_inside(struct fixture *f, const struct report *r)
{
	f->on_report = NULL;
	transport_cancel(cancel_inside);
	ask(f, send_inside);
	ask(f, r->attempt);
}

static void use_inside_report(struct fixture *f)
{
	struct transport_attempt attempts[3] = {0};
	cancel_inside = &attempts[1];
	send_inside = &attempts[2];
	ask_many(f, attempts, 2);
	f->on_report = act_inside;
	run_until_received(f, 2);
	answer_all(f, 0); /* both answers wait when the first is reported */
	run_until_reported(f, 1);
	run_until_received(f, 4);
	assert_ptr_equal(f->reports[0].attempt, &attempts[0]);
	assert_int_equal(f->reported, 1);
	assert_int_equal(f->transport->open_attempts, 2);
	assert_int_equal(f->env.mismatched, 1); /* the cancelled one's answer */
	cancel_many(attempts, 3);
}

static void inside_a_report_the_owner_may_send_cancel_and_reuse(void **state)
{
	(void)state;
	each_row(use_inside_report);
}

static void flush_in_vain(struct fixture *f)
{
	struct transport_attempt a = {0};
	f->ops->flush(f->transport);
	assert_false(f->transport->dirty);
	ask(f, &a);
	assert_true(f->transport->dirty);
	f->ops->flush(f->transport);
	assert_false(f->transport->dirty);
	transport_cancel(&a);
	f->ops->flush(f->transport);
	run_quietly(f);
	assert_int_equal(f->reported, 0);
}

static void dirty_says_whether_something_waits_for_flush(void **state)
{
	(void)state;
	each_row(flush_in_vain);
}

static void draw_ids(struct fixture *f)
{
	static struct transport_attempt attempts[250];
	static bool seen[65536];
	memset(attempts, 0, sizeof(attempts));
	memset(seen, 0, sizeof(seen));
	size_t distinct = 0, successors = 0;
	ask_many(f, attempts, ARRAY_SIZE(attempts));
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		distinct += !seen[attempts[i].asked.id];
		seen[attempts[i].asked.id] = true;
		successors += i > 0 && attempts[i].asked.id == (uint16_t)(attempts[i - 1].asked.id + 1);
	}
	/* 250 of 65,536: half a repetition is expected where ids of several ports may repeat, ten have a chance of 1
	 * in 10^9. */
	assert_true(distinct > 240);
	assert_true(successors < 3);
	cancel_many(attempts, ARRAY_SIZE(attempts));
}

static void ids_follow_no_pattern(void **state)
{
	(void)state;
	each_row(draw_ids);
}

static void open_and_close(struct fixture *f)
{
	assert_int_equal(f->env.sockets, 0); /* nothing is opened before it is needed */
}

static void unused_transport_opens_nothing(void **state)
{
	(void)state;
	each_row(open_and_close);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_send_is_answered_exactly_once),
		cmocka_unit_test(answers_may_come_in_any_order),
		cmocka_unit_test(cancelled_attempt_is_never_reported),
		cmocka_unit_test(what_does_not_fit_is_counted_and_the_attempt_survives),
		cmocka_unit_test(cut_answer_is_an_answer),
		cmocka_unit_test(error_without_question_is_an_answer),
		cmocka_unit_test(inside_a_report_the_owner_may_send_cancel_and_reuse),
		cmocka_unit_test(dirty_says_whether_something_waits_for_flush),
		cmocka_unit_test(ids_follow_no_pattern),
		cmocka_unit_test(unused_transport_opens_nothing),
	};
	return cmocka_run_group_tests_name("net/transport_contract", tests, NULL, NULL);
}
