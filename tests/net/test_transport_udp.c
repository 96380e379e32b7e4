/* SPDX-License-Identifier: Apache-2.0 */
/* What UDP promises beyond the contract about the network's and strangers' doings. The linker puts our clock, timers
 * and sendmmsg in front of the real ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "stub_upstream.h"

static int send_error; /* what the system answers to the next calls; 0: the truth */
static unsigned int send_errors;
int __real_sendmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *m, unsigned int count, int flags)
{
	if (send_errors == 0)
		return __real_sendmmsg(fd, m, count, flags);
	send_errors--;
	errno = send_error;
	return -1;
}

static struct fixture *start(uint32_t source_ports)
{
	return fixture_new(&transport_udp, "127.0.0.1", source_ports);
}

/* ---- hints ---- */

static void refused_port_is_a_hint_and_the_attempt_stays_open(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt a = {0};
	(void)state;
	ask_answered(f);
	struct stub_query q = f->stub.queries[0]; /* one slot: the port stays */
	stub_close_udp(&f->stub);
	ask(f, &a);
	run_until_reported(f, 2);
	assert_int_equal(f->reports[1].kind, REPORT_HINT);
	assert_int_equal(f->reports[1].hint, TRANSPORT_ICMP);
	assert_int_equal(f->reports[1].detail, ECONNREFUSED);
	assert_ptr_equal(f->reports[1].attempt, &a);
	run_quietly(f);
	assert_int_equal(f->reported, 2);
	stub_reopen_udp(&f->stub);
	dns_put16(q.bytes, a.asked.id);
	stub_send_answer(&f->stub, &q);
	run_until_reported(f, 3);
	assert_int_equal(f->reports[2].kind, REPORT_ANSWERED);
	fixture_free(f);
}

static void each_attempt_of_a_batch_hears_of_the_refusal(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt attempts[20] = {0};
	(void)state;
	stub_close_udp(&f->stub);
	ask_many(f, attempts, 20);
	run_until_reported(f, 20);
	run_quietly(f);
	assert_int_equal(count_hints(f, TRANSPORT_ICMP), 20);
	for (size_t i = 0; i < 20; i++)
		assert_ptr_equal(f->reports[i].attempt, &attempts[i]);
	assert_int_equal(f->transport->open_attempts, 20);
	cancel_many(attempts, 20);
	fixture_free(f);
}

static void cancel_reported(struct fixture *f, const struct report *r)
{
	(void)f;
	transport_cancel(r->attempt);
}

static void hinted_attempt_may_be_cancelled_inside(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt attempts[20] = {0};
	(void)state;
	stub_close_udp(&f->stub);
	f->on_report = cancel_reported;
	ask_many(f, attempts, 20);
	run_until_reported(f, 20);
	assert_int_equal(f->transport->open_attempts, 0);
	fixture_free(f);
}

static void refusals_of_the_system_are_told_at_flush(void **state)
{
	struct fixture *f = start(2);
	static struct transport_attempt attempts[65];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	send_error = ENETUNREACH;
	send_errors = 2 * 64;
	ask_many(f, attempts, 65); /* the first 64 leave inside send, which asserts that nothing is reported */
	assert_int_equal(send_errors, 0);
	f->ops->flush(f->transport);
	assert_int_equal(count_hints(f, TRANSPORT_ICMP), 64);
	for (size_t i = 0; i < 64; i++) {
		assert_ptr_equal(f->reports[i].attempt, &attempts[i]);
		assert_int_equal(f->reports[i].detail, ENETUNREACH);
	}
	run_until_received(f, 1);
	cancel_many(attempts, 65);
	fixture_free(f);
}

static void ask_once_more(struct fixture *f, const struct report *r)
{
	f->on_report = NULL;
	assert_false(f->transport->dirty); /* so the owner notes it once more */
	transport_cancel(r->attempt);
	ask(f, r->attempt);
}

static void refused_attempt_may_be_sent_again_inside(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt a = {0};
	(void)state;
	send_error = EPERM;
	send_errors = 2;
	f->on_report = ask_once_more;
	ask(f, &a);
	f->ops->flush(f->transport);
	assert_int_equal(f->reported, 1);
	assert_true(f->transport->dirty);
	run_until_received(f, 1);
	transport_cancel(&a);
	fixture_free(f);
}

static void error_that_came_before_costs_no_datagram(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt attempts[3] = {0};
	(void)state;
	send_error = ECONNREFUSED;
	send_errors = 1;
	ask_many(f, attempts, 3);
	run_until_received(f, 3);
	assert_int_equal(f->reported, 0);
	cancel_many(attempts, 3);
	fixture_free(f);
}

static void full_buffers_drop_the_rest_and_count_it(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt attempts[3] = {0};
	(void)state;
	send_error = EAGAIN;
	send_errors = 1;
	ask_many(f, attempts, 3);
	f->ops->flush(f->transport);
	run_quietly(f);
	assert_int_equal(f->env.unsent, 3);
	assert_int_equal(f->reported, 3);
	assert_int_equal(count_hints(f, TRANSPORT_UNSENT), 3);
	assert_int_equal(f->stub.received, 0);
	assert_int_equal(f->transport->open_attempts, 3);
	cancel_many(attempts, 3);
	fixture_free(f);
}

static void wrong_letter_case_is_a_hint(void **state)
{
	struct fixture *f = start(4);
	struct transport_attempt a = {0};
	uint8_t m[STUB_QUERY_BYTES];
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	const struct stub_query *q = &f->stub.queries[0];
	size_t len = stub_answer(q, m);
	memcpy(m + DNS_HEADER_BYTES, f->name.octets, f->name.len);
	assert_memory_not_equal(m + DNS_HEADER_BYTES, q->bytes + DNS_HEADER_BYTES, f->name.len);
	stub_send(&f->stub, q, m, len);
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].hint, TRANSPORT_WRONG_CASE);
	assert_non_null(a.transport);
	stub_send_answer(&f->stub, q);
	run_until_reported(f, 2);
	assert_int_equal(f->reports[1].kind, REPORT_ANSWERED);
	fixture_free(f);
}

static void oversized_datagram_is_ignored(void **state)
{
	struct fixture *f = start(4);
	struct transport_attempt a = {0};
	static uint8_t m[5000];
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	stub_answer(&f->stub.queries[0], m);
	stub_send(&f->stub, &f->stub.queries[0], m, sizeof(m));
	run_quietly(f);
	assert_int_equal(f->reported, 0);
	assert_int_equal(f->env.mismatched, 1);
	transport_cancel(&a);
	fixture_free(f);
}

static bool counts_no_records(void *arg, struct transport_attempt *a, const uint8_t *message, size_t len)
{
	(void)arg;
	assert_non_null(a->transport);
	assert_true(len >= DNS_HEADER_BYTES);
	return message[7] == 0;
}

static void what_the_owner_cannot_read_is_no_answer(void **state)
{
	struct fixture *f = start(4);
	struct transport_attempt a = {0};
	uint8_t m[STUB_QUERY_BYTES];
	(void)state;
	f->env.events.readable = counts_no_records;
	ask(f, &a);
	run_until_received(f, 1);
	size_t len = stub_answer(&f->stub.queries[0], m);
	m[7] = 9;
	stub_send(&f->stub, &f->stub.queries[0], m, len);
	run_quietly(f);
	assert_int_equal(f->reported, 0);
	assert_non_null(a.transport);
	stub_send_answer(&f->stub, &f->stub.queries[0]);
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].kind, REPORT_ANSWERED);
	fixture_free(f);
}

static void sixty_four_guesses_are_told_and_cost_the_port(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt a = {0}, b = {0};
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	guess(f, &f->stub.queries[0], 63);
	run_quietly(f);
	assert_int_equal(f->reported, 0);
	guess(f, &f->stub.queries[0], 1);
	run_until_reported(f, 1);
	assert_int_equal(f->reports[0].hint, TRANSPORT_FORGERY);
	assert_int_equal(f->env.forgeries, 1);
	assert_int_equal(f->env.mismatched, 64);
	ask(f, &b);
	run_until_received(f, 2);
	assert_int_not_equal(port_of(f, 0), port_of(f, 1));
	assert_int_equal(f->env.sockets, 2);
	/* The old port still hears its answer, and is closed by it. */
	stub_send_answer(&f->stub, &f->stub.queries[0]);
	run_until_reported(f, 2);
	assert_ptr_equal(f->reports[1].attempt, &a);
	assert_int_equal(f->env.sockets, 1);
	transport_cancel(&b);
	fixture_free(f);
}

/* What has no id fits no attempt, whichever are open. */
static void send_strays(struct fixture *f, int count)
{
	const uint8_t stray[4] = {0};
	for (int i = 0; i < count; i++)
		stub_send(&f->stub, &f->stub.queries[0], stray, sizeof(stray));
}

static void give_up(struct fixture *f, const struct report *r)
{
	(void)f;
	transport_cancel(r->attempt);
}

/* However many they are: who guesses has one more chance for each. */
static void every_attempt_of_a_port_is_told_of_the_guesses(void **state)
{
	enum { MANY = 2560 };
	struct fixture *f = start(2);
	static struct transport_attempt attempts[MANY];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	for (size_t i = 0; i < MANY; i += 64) {
		ask_many(f, attempts + i, 64);
		run_until_received(f, i + 64); /* one by one: the stub's buffer holds some hundred */
	}
	f->on_report = give_up;
	send_strays(f, 64);
	while (f->env.forgeries == 0)
		run_quietly(f);
	assert_int_equal(count_hints(f, TRANSPORT_FORGERY), MANY);
	/* The last one has closed it: what comes for the others finds nobody. */
	assert_int_equal(f->env.sockets, 0);
	fixture_free(f);
}

static void flood_at_a_port_without_attempts_closes_it(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt a = {0};
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	stub_send_answer(&f->stub, &f->stub.queries[0]);
	run_until_reported(f, 1);
	assert_int_equal(f->env.sockets, 1);
	guess(f, &f->stub.queries[0], 63);
	run_quietly(f);
	assert_int_equal(f->env.sockets, 1);
	guess(f, &f->stub.queries[0], 1);
	while (f->env.forgeries == 0)
		run_quietly(f);
	assert_int_equal(f->env.sockets, 0);
	assert_int_equal(f->reported, 1);
	fixture_free(f);
}

static void batch_that_waits_while_its_port_goes_is_sent_from_it(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt a = {0}, waiting = {0}, next = {0};
	(void)state;
	ask(f, &a);
	run_until_received(f, 1);
	send_strays(f, 64);
	ask(f, &waiting); /* before they are read: the same port */
	while (f->env.forgeries == 0)
		run_quietly(f);
	ask(f, &next);
	run_until_received(f, 3);
	assert_int_equal(port_of(f, 0), port_of(f, 1));
	assert_int_not_equal(port_of(f, 1), port_of(f, 2));
	transport_cancel(&a);
	transport_cancel(&waiting);
	transport_cancel(&next);
	fixture_free(f);
}

static void late_answers_are_no_guesses(void **state)
{
	struct fixture *f = start(2);
	static struct transport_attempt attempts[100];
	struct transport_attempt open = {0};
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	ask_many(f, attempts, 100);
	ask(f, &open);
	run_until_received(f, 101);
	cancel_many(attempts, 100);
	for (size_t i = 0; i < 100; i++)
		stub_send_answer(&f->stub, &f->stub.queries[i]);
	run_quietly(f);
	assert_int_equal(f->env.mismatched, 100);
	assert_int_equal(f->env.forgeries, 0);
	assert_int_equal(f->reported, 0);
	transport_cancel(&open);
	fixture_free(f);
}

/* ---- the rest ---- */

static void cancelled_before_flush_is_never_sent(void **state)
{
	struct fixture *f = start(4);
	struct transport_attempt attempts[5] = {0};
	(void)state;
	ask_many(f, attempts, 5);
	transport_cancel(&attempts[1]);
	transport_cancel(&attempts[4]);
	run_until_received(f, 3);
	run_quietly(f);
	assert_int_equal(f->stub.received, 3);
	assert_int_equal(stub_id(&f->stub.queries[0]), attempts[0].asked.id);
	cancel_many(attempts, 5);
	fixture_free(f);
}

static void ids_of_one_port_never_collide(void **state)
{
	struct fixture *f = start(2);
	static struct transport_attempt attempts[3000];
	static bool seen[65536];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	for (size_t i = 0; i < 3000; i++) {
		ask(f, &attempts[i]);
		assert_false(seen[attempts[i].asked.id]);
		seen[attempts[i].asked.id] = true;
	}
	cancel_many(attempts, 3000);
	fixture_free(f);
}

static void ipv6_upstream_is_asked_and_its_refusal_heard(void **state)
{
	struct fixture *f = fixture_new(&transport_udp, "[::1]", 2);
	struct transport_attempt a = {0};
	(void)state;
	ask_answered(f);
	stub_close_udp(&f->stub);
	ask(f, &a);
	run_until_reported(f, 2);
	assert_int_equal(f->reports[1].hint, TRANSPORT_ICMP);
	assert_int_equal(f->reports[1].detail, ECONNREFUSED);
	transport_cancel(&a);
	fixture_free(f);
}

static void stranger_is_not_heard(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt a = {0};
	struct stub stranger;
	(void)state;
	stub_init(&stranger, "127.0.0.1");
	ask(f, &a);
	run_until_received(f, 1);
	stub_send_answer(&stranger, &f->stub.queries[0]); /* all right, but for where it comes from */
	run_quietly(f);
	assert_int_equal(f->reported, 0);
	assert_int_equal(f->env.mismatched, 0); /* the kernel dropped it */
	stub_deinit(&stranger);
	transport_cancel(&a);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_port_is_a_hint_and_the_attempt_stays_open),
		cmocka_unit_test(each_attempt_of_a_batch_hears_of_the_refusal),
		cmocka_unit_test(hinted_attempt_may_be_cancelled_inside),
		cmocka_unit_test(refusals_of_the_system_are_told_at_flush),
		cmocka_unit_test(refused_attempt_may_be_sent_again_inside),
		cmocka_unit_test(error_that_came_before_costs_no_datagram),
		cmocka_unit_test(full_buffers_drop_the_rest_and_count_it),
		cmocka_unit_test(wrong_letter_case_is_a_hint),
		cmocka_unit_test(oversized_datagram_is_ignored),
		cmocka_unit_test(what_the_owner_cannot_read_is_no_answer),
		cmocka_unit_test(sixty_four_guesses_are_told_and_cost_the_port),
		cmocka_unit_test(every_attempt_of_a_port_is_told_of_the_guesses),
		cmocka_unit_test(flood_at_a_port_without_attempts_closes_it),
		cmocka_unit_test(batch_that_waits_while_its_port_goes_is_sent_from_it),
		cmocka_unit_test(late_answers_are_no_guesses),
		cmocka_unit_test(cancelled_before_flush_is_never_sent),
		cmocka_unit_test(ids_of_one_port_never_collide),
		cmocka_unit_test(ipv6_upstream_is_asked_and_its_refusal_heard),
		cmocka_unit_test(stranger_is_not_heard),
	};
	return cmocka_run_group_tests_name("net/transport_udp", tests, NULL, NULL);
}
