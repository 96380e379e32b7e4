/* SPDX-License-Identifier: Apache-2.0 */
/* What TCP promises beyond the contract: one connection for all, and what becomes of the attempts when it goes. The
 * linker puts our clock and timers in front of the real ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "stub_upstream.h"

static struct fixture *start(void)
{
	fake_clock_reset();
	return fixture_new(&transport_tcp, "127.0.0.1", 2);
}

static void all_attempts_share_one_connection(void **state)
{
	struct fixture *f = start();
	static struct transport_attempt attempts[256];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	ask_many(f, attempts, 100);
	run_until_received(f, 100);
	ask_many(f, attempts + 100, 156);
	run_until_received(f, 256);
	for (size_t i = 0; i < 256; i++)
		stub_send_answer(&f->stub, &f->stub.queries[i]);
	run_until_reported(f, 256);
	ask_answered(f);
	assert_int_equal(f->stub.accepted, 1);
	assert_int_equal(f->env.sockets, 1);
	fixture_free(f);
}

static void answer_may_come_in_pieces(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	uint8_t frame[2 + STUB_QUERY_BYTES];
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	size_t len = stub_answer(&f->stub.queries[0], frame + 2);
	dns_put16(frame, (uint16_t)len);
	for (size_t i = 0; i < len + 2; i++) {
		assert_int_equal(f->reported, 0);
		assert_int_equal(send(f->stub.connections[0], frame + i, 1, MSG_NOSIGNAL), 1);
		if (i % 8 == 0)
			run_quietly(f);
	}
	run_until_reported(f, 1);
	fixture_free(f);
}

static void letter_case_does_not_matter(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	uint8_t m[STUB_QUERY_BYTES];
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	size_t len = stub_answer(&f->stub.queries[0], m);
	memcpy(m + DNS_HEADER_BYTES, f->name.octets, f->name.len);
	stub_send(&f->stub, &f->stub.queries[0], m, len);
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].kind, REPORT_ANSWERED);
	fixture_free(f);
}

/* ---- the connection goes ---- */

static void close_in_the_middle_of_an_answer_fails_all(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[5] = {0};
	(void)state;
	ask_many(f, attempts, 5);
	run_until_received(f, 5);
	assert_int_equal(send(f->stub.connections[0], "\0\x20half", 6, MSG_NOSIGNAL), 6);
	stub_close_connection(&f->stub, 0);
	run_until_reported(f, 5);
	assert_int_equal(count_reports(f, REPORT_FAILED), 5);
	assert_int_equal(f->reports[4].detail, -ECONNRESET);
	assert_int_equal(f->transport->open_attempts, 0);
	assert_int_equal(f->env.sockets, 0);
	fixture_free(f);
}

static void reset_fails_all_and_the_next_send_connects_anew(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[5] = {0};
	struct linger reset = {.l_onoff = 1};
	(void)state;
	ask_many(f, attempts, 5);
	run_until_received(f, 5);
	assert_int_equal(setsockopt(f->stub.connections[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	stub_close_connection(&f->stub, 0);
	run_until_reported(f, 5);
	assert_int_equal(count_reports(f, REPORT_FAILED), 5);
	assert_int_equal(f->reports[0].detail, -ECONNRESET);
	ask_answered(f);
	assert_int_equal(f->stub.accepted, 2);
	fixture_free(f);
}

static void frame_that_is_no_dns_fails_all(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[2] = {0};
	(void)state;
	ask_many(f, attempts, 2);
	run_until_received(f, 2);
	assert_int_equal(send(f->stub.connections[0], "\0\5hello", 7, MSG_NOSIGNAL), 7);
	run_until_reported(f, 2);
	assert_int_equal(count_reports(f, REPORT_FAILED), 2);
	assert_int_equal(f->reports[0].detail, -EBADMSG);
	assert_int_equal(f->env.sockets, 0);
	fixture_free(f);
}

static struct transport_attempt *third, *fourth;

static void cancel_and_ask_inside(struct fixture *f, const struct report *r)
{
	f->on_report = NULL;
	transport_cancel(third);
	ask(f, fourth);
	ask(f, r->attempt);
}

static void inside_a_failure_the_owner_may_cancel_and_ask_anew(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[4] = {0};
	(void)state;
	/* Ids decide in which order attempts fail: cancelled is one that is not the first. */
	ask_many(f, attempts, 3);
	run_until_received(f, 3);
	fourth = &attempts[3];
	third = attempts[0].asked.id % 512 <= attempts[1].asked.id % 512 ? &attempts[1] : &attempts[0];
	f->on_report = cancel_and_ask_inside;
	stub_close_connection(&f->stub, 0);
	run_until_received(f, 5);
	assert_int_equal(count_reports(f, REPORT_FAILED), 2);
	assert_int_equal(f->transport->open_attempts, 2);
	assert_int_equal(f->stub.accepted, 2);
	assert_null(third->transport);
	cancel_many(attempts, 4);
	fixture_free(f);
}

static void refused_connection_is_told_by_send_or_fails(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	(void)state;
	close(f->stub.tcp);
	int r = try_ask(f, &a, 0);
	if (r == 0) {
		run_until_reported(f, 1);
		assert_int_equal(f->reports[0].kind, REPORT_FAILED);
		r = f->reports[0].detail;
	}
	assert_int_equal(r, -ECONNREFUSED);
	assert_null(a.transport);
	assert_int_equal(f->transport->open_attempts, 0);
	assert_int_equal(f->env.sockets, 0);
	f->stub.tcp = -1;
	fixture_free(f);
}

static void connection_that_takes_too_long_fails(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[2] = {0};
	(void)state;
	ask_many(f, attempts, 2);
	fake_clock_pass_s(2);
	fake_clock_fire();
	assert_int_equal(count_reports(f, REPORT_FAILED), 2);
	assert_int_equal(f->reports[0].detail, -ETIMEDOUT);
	assert_int_equal(f->env.sockets, 0);
	fixture_free(f);
}

/* ---- idle ---- */

static void idle_connection_is_closed_after_ten_seconds(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	(void)state;
	ask_answered(f);
	fake_clock_pass_s(9);
	fake_clock_fire();
	assert_int_equal(f->env.sockets, 1);
	ask(f, &a);
	fake_clock_pass_s(3);
	fake_clock_fire(); /* not idle: a question is open */
	assert_int_equal(f->env.sockets, 1);
	transport_cancel(&a);
	fake_clock_pass_s(10);
	fake_clock_fire();
	assert_int_equal(f->env.sockets, 0);
	ask_answered(f);
	assert_int_equal(f->stub.accepted, 2);
	fixture_free(f);
}

static void connection_closed_while_idle_is_nobodys_failure(void **state)
{
	struct fixture *f = start();
	(void)state;
	ask_answered(f);
	stub_close_connection(&f->stub, 0);
	run_quietly(f);
	assert_int_equal(f->reported, 1);
	assert_int_equal(f->env.sockets, 0);
	ask_answered(f);
	assert_int_equal(f->stub.accepted, 2);
	fixture_free(f);
}

/* The server closes, and before that is known we ask. */
static void ask_into_closed(struct fixture *f, struct transport_attempt *attempts, size_t count)
{
	ask_answered(f);
	stub_close_connection(&f->stub, 0);
	ask_many(f, attempts, count);
	f->ops->flush(f->transport);
}

static void close_that_crosses_the_question_is_made_good(void **state)
{
	struct fixture *f = start();
	static struct transport_attempt attempts[1000];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	ask_into_closed(f, attempts, 1000);
	run_until_received(f, 1001);
	assert_int_equal(f->stub.accepted, 2);
	for (size_t i = 1; i < 1001; i++)
		stub_send_answer(&f->stub, &f->stub.queries[i]);
	run_until_reported(f, 1001);
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 1001);
	fixture_free(f);
}

static void but_only_once(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	(void)state;
	ask_into_closed(f, &a, 1);
	run_until_received(f, 2);
	stub_close_connection(&f->stub, 1);
	run_until_reported(f, 2);
	assert_int_equal(f->reports[1].kind, REPORT_FAILED);
	assert_int_equal(f->stub.accepted, 2);
	fixture_free(f);
}

/* It takes so many questions a connection. */
static void close_after_an_answer_is_made_good_as_long_as_there_are_some(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[4] = {0};
	(void)state;
	ask_many(f, attempts, 4);
	run_until_received(f, 4);
	stub_send_answer(&f->stub, &f->stub.queries[0]);
	stub_close_connection(&f->stub, 0);
	run_until_received(f, 4 + 3);
	stub_send_answer(&f->stub, &f->stub.queries[4]);
	stub_close_connection(&f->stub, 1);
	run_until_received(f, 4 + 3 + 2);
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 2);
	assert_int_equal(count_reports(f, REPORT_FAILED), 0);
	stub_close_connection(&f->stub, 2); /* nothing came of this one */
	run_until_reported(f, 4);
	assert_int_equal(count_reports(f, REPORT_FAILED), 2);
	assert_int_equal(f->stub.accepted, 3);
	fixture_free(f);
}

/* ---- it is there, and says nothing ---- */

static void connection_without_any_answer_for_four_seconds_is_exchanged(void **state)
{
	struct fixture *f = start();
	struct transport_attempt attempts[3] = {0};
	(void)state;
	ask_answered(f);
	ask_many(f, attempts, 2);
	run_until_received(f, 3);
	fake_clock_pass_s(3);
	ask(f, &attempts[2]); /* its own time begins now; the connection's goes on */
	run_until_received(f, 4);
	fake_clock_fire();
	assert_int_equal(f->stub.accepted, 1);
	fake_clock_pass_s(1);
	fake_clock_fire();
	run_until_received(f, 4 + 3);
	assert_int_equal(f->stub.accepted, 2);
	for (size_t i = 4; i < 7; i++)
		stub_send_answer(&f->stub, &f->stub.queries[i]);
	run_until_reported(f, 4);
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 4);
	assert_int_equal(f->env.sockets, 1);
	fixture_free(f);
}

/* Whoever asked has given up: the next question must not wait in the same hole. */
static void nor_does_it_wait_for_what_was_given_up(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	(void)state;
	ask_answered(f);
	ask(f, &a);
	run_until_received(f, 2);
	fake_clock_pass_s(4);
	transport_cancel(&a);
	fake_clock_fire();
	assert_int_equal(f->env.sockets, 0);
	assert_int_equal(f->reported, 1);
	ask_answered(f);
	assert_int_equal(f->stub.accepted, 2);
	fixture_free(f);
}

static void one_question_that_nobody_answers_leaves_the_connection_alone(void **state)
{
	struct fixture *f = start();
	struct transport_attempt lame = {0};
	(void)state;
	ask(f, &lame);
	run_until_received(f, 1);
	for (unsigned i = 0; i < 5; i++) {
		fake_clock_pass_s(2);
		ask_answered(f);
		fake_clock_fire();
	}
	assert_int_equal(f->stub.accepted, 1);
	transport_cancel(&lame);
	fixture_free(f);
}

static void repetition_that_cannot_connect_fails(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	(void)state;
	ask_answered(f);
	close(f->stub.tcp);
	f->stub.tcp = -1;
	stub_close_connection(&f->stub, 0);
	ask(f, &a);
	f->ops->flush(f->transport);
	run_until_reported(f, 2);
	assert_int_equal(f->reports[1].kind, REPORT_FAILED);
	assert_int_equal(f->env.sockets, 0);
	fixture_free(f);
}

/* ---- bounds ---- */

/* Nobody is turned away for a bound of ours before a worker's own bound on questions is reached: they wait on the one connection. */
static void two_attempts_of_each_of_8192_questions_wait_on_one_connection(void **state)
{
	struct fixture *f = start();
	static struct transport_attempt attempts[16385];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	ask_many(f, attempts, 16384);
	assert_int_equal(f->transport->open_attempts, 16384);
	assert_int_equal(try_ask(f, &attempts[16384], 0), -EBUSY);
	assert_null(attempts[16384].transport);
	assert_int_equal(f->env.shortages, 0); /* more memory would not help */
	transport_cancel(&attempts[7]);
	ask(f, &attempts[16384]);
	cancel_many(attempts, 16385);
	fixture_free(f);
}

static void crowd_on_one_connection_is_answered(void **state)
{
	struct fixture *f = start();
	static struct transport_attempt attempts[3000];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	ask_many(f, attempts, 3000);
	run_until_received(f, 3000);
	for (size_t i = 0; i < 3000; i++) {
		stub_send_answer(&f->stub, &f->stub.queries[i]);
		if (i % 100 == 99)
			run_until_reported(f, i + 1);
	}
	assert_int_equal(count_reports(f, REPORT_ANSWERED), 3000);
	assert_int_equal(f->stub.accepted, 1);
	ask_answered(f);
	fixture_free(f);
}

static void unsent_output_is_bounded(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	size_t accepted = 0;
	int r;
	(void)state;
	while ((r = try_ask(f, &a, 0)) == 0) {
		transport_cancel(&a); /* its question stays in the output */
		assert_true(++accepted < 100000);
	}
	assert_int_equal(r, -EBUSY);
	assert_in_range(accepted, 16384, 1024 * 1024 / 30);
	fixture_free(f);
}

/* The stub does not read until the kernel's buffers are full: what could not be written waits, and goes out whole. */
static void slow_reader_gets_everything_in_the_end(void **state)
{
	struct fixture *f = start();
	struct transport_attempt a = {0};
	int small = 4096;
	size_t accepted = 0;
	(void)state;
	assert_int_equal(setsockopt(f->stub.tcp, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	ask_answered(f);
	for (int i = 0; i < 200000 && try_ask(f, &a, 0) == 0; i++) {
		transport_cancel(&a);
		if (++accepted % 100 == 0)
			f->ops->flush(f->transport);
		if (accepted + 10 >= STUB_QUERIES)
			break;
	}
	assert_true(accepted > 1500);
	run_until_received(f, 1 + accepted);
	fixture_free(f);
}

static void ipv6_upstream_is_asked(void **state)
{
	struct fixture *f = fixture_new(&transport_tcp, "[::1]", 2);
	(void)state;
	ask_answered(f);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_attempts_share_one_connection),
		cmocka_unit_test(answer_may_come_in_pieces),
		cmocka_unit_test(letter_case_does_not_matter),
		cmocka_unit_test(close_in_the_middle_of_an_answer_fails_all),
		cmocka_unit_test(reset_fails_all_and_the_next_send_connects_anew),
		cmocka_unit_test(frame_that_is_no_dns_fails_all),
		cmocka_unit_test(inside_a_failure_the_owner_may_cancel_and_ask_anew),
		cmocka_unit_test(refused_connection_is_told_by_send_or_fails),
		cmocka_unit_test(connection_that_takes_too_long_fails),
		cmocka_unit_test(idle_connection_is_closed_after_ten_seconds),
		cmocka_unit_test(connection_closed_while_idle_is_nobodys_failure),
		cmocka_unit_test(close_that_crosses_the_question_is_made_good),
		cmocka_unit_test(but_only_once),
		cmocka_unit_test(close_after_an_answer_is_made_good_as_long_as_there_are_some),
		cmocka_unit_test(connection_without_any_answer_for_four_seconds_is_exchanged),
		cmocka_unit_test(nor_does_it_wait_for_what_was_given_up),
		cmocka_unit_test(one_question_that_nobody_answers_leaves_the_connection_alone),
		cmocka_unit_test(repetition_that_cannot_connect_fails),
		cmocka_unit_test(two_attempts_of_each_of_8192_questions_wait_on_one_connection),
		cmocka_unit_test(crowd_on_one_connection_is_answered),
		cmocka_unit_test(unsent_output_is_bounded),
		cmocka_unit_test(slow_reader_gets_everything_in_the_end),
		cmocka_unit_test(ipv6_upstream_is_asked),
	};
	return cmocka_run_group_tests_name("net/transport_tcp", tests, NULL, NULL);
}
