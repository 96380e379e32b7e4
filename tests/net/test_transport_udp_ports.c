/* SPDX-License-Identifier: Apache-2.0 */
/* From which ports UDP asks, how long, and how many they are. The linker puts our clock and timers in front of the
 * real ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "stub_upstream.h"

enum { LIFE_S = 180 };

static struct fixture *start(uint32_t source_ports)
{
	fake_clock_reset();
	return fixture_new(&transport_udp, "127.0.0.1", source_ports);
}

static uint16_t port_asked_from(struct fixture *f)
{
	ask_answered(f);
	return port_of(f, f->stub.received - 1);
}

static void batch_leaves_from_one_port_and_the_next_may_from_another(void **state)
{
	struct fixture *f = start(512);
	static struct transport_attempt attempts[640];
	(void)state;
	memset(attempts, 0, sizeof(attempts));
	size_t changes = 0;
	for (size_t i = 0; i < 640; i += 64) {
		ask_many(f, attempts + i, 64);
		run_until_received(f, i + 64); /* one by one: the stub's buffer holds some hundred */
	}
	for (size_t i = 1; i < 640; i++) {
		assert_true(i % 64 == 0 || port_of(f, i) == port_of(f, i - 1));
		changes += port_of(f, i) != port_of(f, i - 1);
	}
	/* Ten batches over 256 slots: 8 changes or more but once in a million runs. */
	assert_true(changes >= 6);
	cancel_many(attempts, 640);
	fixture_free(f);
}

static void port_is_exchanged_after_its_life_and_drains(void **state)
{
	struct fixture *f = start(2);
	struct transport_attempt old = {0};
	(void)state;
	ask(f, &old);
	run_until_received(f, 1);
	fake_clock_pass_s(LIFE_S - 1);
	assert_int_equal(port_asked_from(f), port_of(f, 0));
	fake_clock_pass_s(1);
	assert_int_not_equal(port_asked_from(f), port_of(f, 0));
	assert_int_equal(f->env.sockets, 2);
	stub_send_answer(&f->stub, &f->stub.queries[0]);
	run_until_reported(f, 3);
	assert_ptr_equal(f->reports[2].attempt, &old);
	assert_int_equal(f->env.sockets, 1);
	fixture_free(f);
}

struct use {
	uint32_t second;
	uint16_t port;
};

/* Distinct ports among the uses in the 180 s that end with number `last`. */
static size_t count_ports(const struct use *uses, size_t last)
{
	static bool seen[65536];
	size_t count = 0;
	memset(seen, 0, sizeof(seen));
	for (size_t i = last + 1; i > 0 && uses[last].second - uses[i - 1].second < LIFE_S; i--) {
		count += !seen[uses[i - 1].port];
		seen[uses[i - 1].port] = true;
	}
	return count;
}

/* 20 minutes, a batch every 6 s, and whatever `disturb` does; returns the number of exchanges seen. */
static size_t keep_to_quota(uint32_t source_ports, void (*disturb)(struct fixture *f, size_t step))
{
	enum { STEPS = 200, STEP_S = 6 };
	struct fixture *f = start(source_ports);
	static struct use uses[STEPS];
	static bool seen[65536];
	size_t distinct = 0, most = 0;
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < STEPS; i++) {
		size_t received = f->stub.received;
		if (disturb != NULL)
			disturb(f, i);
		else
			ask_answered(f);
		uses[i] = (struct use){.second = (uint32_t)(i * STEP_S), .port = port_of(f, received)};
		distinct += !seen[uses[i].port];
		seen[uses[i].port] = true;
		most = MAX(most, count_ports(uses, i));
		fake_clock_pass_s(STEP_S);
	}
	assert_true(most <= source_ports);
	assert_true(most > source_ports / 2);
	fixture_free(f);
	return distinct;
}

static void any_180_seconds_see_at_most_the_quota_of_ports(void **state)
{
	(void)state;
	/* 1,200 s are six lives; two slots have seven ports each but for the accident of being picked late. */
	size_t distinct = keep_to_quota(4, NULL);
	assert_true(distinct >= 10 && distinct <= 14);
	assert_true(keep_to_quota(2, NULL) >= 6);
}

static void guess_often(struct fixture *f, size_t step)
{
	struct transport_attempt a = {0};
	size_t received = f->stub.received;
	ask(f, &a);
	run_until_received(f, received + 1);
	if (step % 7 == 0)
		guess(f, &f->stub.queries[received], 70);
	run_quietly(f);
	transport_cancel(&a);
}

static void quota_holds_while_somebody_guesses(void **state)
{
	(void)state;
	keep_to_quota(4, guess_often);
	keep_to_quota(8, guess_often);
}

/* As many distinct ports as `asked` questions, each of its own turn, leave from. */
static size_t ports_of(struct fixture *f, size_t asked)
{
	static bool seen[65536];
	size_t distinct = 0;
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < asked; i++) {
		uint16_t port = port_asked_from(f);
		distinct += !seen[port];
		seen[port] = true;
	}
	return distinct;
}

/* 64 of 256 slots miss one with a chance of 1 in 10^28 less than ten times. */
static void number_of_ports_may_shrink_and_grow(void **state)
{
	struct fixture *f = start(512);
	struct transport_attempt old[20] = {0};
	(void)state;
	assert_true(ports_of(f, 64) > 16);
	for (size_t i = 0; i < 20; i++) {
		ask(f, &old[i]);
		run_until_received(f, 65 + i);
	}
	f->ops->set_ports(f->transport, 32);
	assert_in_range(f->env.sockets, 1, 16 + 20); /* those that something is open on, and what is left of the old ones */
	for (size_t i = 0; i < 20; i++)
		stub_send_answer(&f->stub, &f->stub.queries[64 + i]);
	run_until_reported(f, 64 + 20); /* nothing is lost that was under way */
	assert_in_range(f->env.sockets, 0, 16);
	assert_true(ports_of(f, 200) <= 16);
	f->ops->set_ports(f->transport, 512);
	assert_true(ports_of(f, 64) > 16);
	fixture_free(f);
}

/* What is collected for the batch is sent from where it was to be sent from. */
static void batch_outlives_its_port(void **state)
{
	struct fixture *f = start(512);
	struct transport_attempt attempts[8] = {0};
	(void)state;
	ask_many(f, attempts, 4);
	f->ops->set_ports(f->transport, 2);
	ask_many(f, attempts + 4, 4);
	run_until_received(f, 8);
	for (size_t i = 0; i < 8; i++)
		stub_send_answer(&f->stub, &f->stub.queries[i]);
	run_until_reported(f, 8);
	assert_int_equal(f->env.sockets, 1);
	fixture_free(f);
}

/* Over and over, from 2 to 4 and back: a slot that comes back remembers what it has used. */
static void shrink_and_grow(struct fixture *f, size_t step)
{
	f->ops->set_ports(f->transport, step % 2 == 0 ? 2 : 4);
	ask_answered(f);
}

static void quota_holds_while_its_number_changes(void **state)
{
	(void)state;
	keep_to_quota(4, shrink_and_grow);
}

static void unused_port_is_closed(void **state)
{
	struct fixture *f = start(64);
	struct transport_attempt a = {0};
	(void)state;
	ask_answered(f);
	fake_clock_pass_s(LIFE_S / 2);
	fake_clock_fire();
	assert_int_equal(f->env.sockets, 1);
	ask_answered(f);
	size_t opened = f->env.sockets;
	fake_clock_pass_s(LIFE_S / 2);
	fake_clock_fire();
	assert_int_equal(f->env.sockets, 1); /* used since, or the younger of two */
	assert_true(opened <= 2);
	ask(f, &a);
	run_until_received(f, 3);
	fake_clock_pass_s(LIFE_S);
	fake_clock_fire();
	assert_int_equal(f->env.sockets, 1); /* drains */
	transport_cancel(&a);
	assert_int_equal(f->env.sockets, 0);
	ask_answered(f);
	fixture_free(f);
}

static void ports_are_drawn_from_the_whole_range(void **state)
{
	struct fixture *f = start(1024);
	size_t low = 0, repeated = 0;
	(void)state;
	for (size_t i = 0; i < 200; i++) {
		uint16_t port = port_asked_from(f);
		assert_true(port >= 1024);
		low += port < 32768; /* below the range of the kernel's choice */
		repeated += i > 0 && port == port_of(f, i - 1);
	}
	/* Half of 200 (31,744 of 64,512 ports): within 6 standard deviations. */
	assert_true(low > 55 && low < 145);
	assert_true(repeated < 10);
	fixture_free(f);
}

static void sockets_above_the_limit_are_shared(void **state)
{
	struct fixture *f = start(64);
	(void)state;
	f->env.socket_limit = 2;
	for (size_t i = 0; i < 40; i++) {
		ask_answered(f);
		assert_true(f->env.sockets <= 2);
	}
	assert_int_equal(f->env.sockets, 2);
	/* Another upstream has no socket to share and gets its one. */
	struct transport *other = transport_udp.open(&f->env, &f->stub.addr, 64);
	struct transport_attempt a = {0};
	a.asked = (struct question_upstream){.name = &f->name, .type = DNS_TYPE_A, .class = DNS_CLASS_IN};
	assert_int_equal(transport_send(other, &a), 0);
	assert_int_equal(f->env.sockets, 3);
	transport_cancel(&a);
	transport_udp.close(other);
	fixture_free(f);
}

static void without_descriptors_what_is_open_is_shared(void **state)
{
	struct fixture *f = start(64);
	struct transport_attempt a = {0};
	struct rlimit limit, none;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(try_ask(f, &a, 0), -EMFILE);
	assert_null(a.transport);
	assert_int_equal(f->transport->open_attempts, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	uint16_t port = port_asked_from(f);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(port_asked_from(f), port);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_leaves_from_one_port_and_the_next_may_from_another),
		cmocka_unit_test(port_is_exchanged_after_its_life_and_drains),
		cmocka_unit_test(any_180_seconds_see_at_most_the_quota_of_ports),
		cmocka_unit_test(quota_holds_while_somebody_guesses),
		cmocka_unit_test(number_of_ports_may_shrink_and_grow),
		cmocka_unit_test(batch_outlives_its_port),
		cmocka_unit_test(quota_holds_while_its_number_changes),
		cmocka_unit_test(unused_port_is_closed),
		cmocka_unit_test(ports_are_drawn_from_the_whole_range),
		cmocka_unit_test(sockets_above_the_limit_are_shared),
		cmocka_unit_test(without_descriptors_what_is_open_is_shared),
	};
	return cmocka_run_group_tests_name("net/transport_udp_ports", tests, NULL, NULL);
}
