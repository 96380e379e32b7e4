/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect, and who makes room: the limits without sockets, between listeners that are only pretended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "net/listen_private.h"

enum { MEMBERS = 3 };

/* A listener whose connections are of clients 10.9.N.K. */
static struct pretended {
	struct loop *loop;
	struct listen_member *member;
	unsigned number, idle, asked; /* asked: how often it was to close its longest */
	_Atomic bool stop;
} members[MEMBERS];

static struct listen_limits *limits;

static struct addr address(const char *text)
{
	struct addr a;
	assert_int_equal(addr_parse(&a, text, 1), 0);
	return a;
}

static enum limits_verdict enter(int member, const char *text)
{
	struct addr a = address(text);
	return listen_member_enter(members[member].member, &a);
}

static void leave(int member, const char *text)
{
	struct addr a = address(text);
	listen_member_leave(members[member].member, &a);
}

/* So many idle, the longest of them since then. */
static void idle(int member, unsigned count, uint64_t since_us)
{
	members[member].idle = count;
	listen_member_note(members[member].member, count, since_us);
}

static void close_longest(void *arg)
{
	struct pretended *p = arg;
	char text[32];
	p->asked++;
	if (p->idle == 0)
		return;
	snprintf(text, sizeof(text), "10.9.%u.%u", p->number, p->idle);
	idle((int)p->number, p->idle - 1, 1);
	leave((int)p->number, text);
}

/* Enters `count` connections that idle since then. */
static void let_idle(int member, unsigned count, uint64_t since_us)
{
	char text[32];
	for (unsigned i = 1; i <= count; i++) {
		snprintf(text, sizeof(text), "10.9.%d.%u", member, i);
		assert_int_equal(enter(member, text), LIMITS_ENTERED);
	}
	idle(member, count, since_us);
}

static void leave_all(int member)
{
	while (members[member].idle > 0)
		close_longest(&members[member]);
}

static void stop(void *arg)
{
	loop_stop(((struct pretended *)arg)->loop);
}

/* What others have asked of it is carried out. */
static void run(int member)
{
	struct loop_timer *t = loop_timer_new(members[member].loop, stop, &members[member]);
	loop_timer_set(t, loop_clock_us() + 2 * US_PER_MS);
	loop_run(members[member].loop);
	loop_timer_close(t);
}

static int begin(void **state)
{
	(void)state;
	limits = listen_limits_new();
	assert_non_null(limits);
	for (unsigned i = 0; i < MEMBERS; i++) {
		members[i] = (struct pretended){.loop = loop_new(), .number = i};
		assert_non_null(members[i].loop);
		members[i].member = listen_member_new(limits, members[i].loop, close_longest, &members[i]);
		assert_non_null(members[i].member);
		idle((int)i, 0, UINT64_MAX);
	}
	return 0;
}

/* Every connection has left. */
static int end(void **state)
{
	(void)state;
	for (int i = 0; i < MEMBERS; i++) {
		listen_member_free(members[i].member);
		loop_free(members[i].loop);
	}
	listen_limits_free(limits);
	listen_limits_free(NULL);
	listen_member_free(NULL);
	return 0;
}

/* ---- limits ---- */

static void each_client_has_its_own_limit(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 10, 2);
	assert_int_equal(listen_member_idle_us(members[0].member), US_PER_S);
	assert_int_equal(enter(0, "10.0.0.1:1"), LIMITS_ENTERED);
	assert_int_equal(enter(0, "10.0.0.1:2"), LIMITS_ENTERED);
	assert_int_equal(enter(0, "10.0.0.1:3"), LIMITS_CLIENT_FULL);
	assert_int_equal(enter(0, "10.0.0.2:1"), LIMITS_ENTERED);
	leave(0, "10.0.0.1:1");
	assert_int_equal(enter(0, "10.0.0.1:3"), LIMITS_ENTERED);
	leave(0, "10.0.0.1:2");
	leave(0, "10.0.0.1:3");
	leave(0, "10.0.0.2:1");
}

static void network_of_64_bits_is_one_client_of_ipv6(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 10, 1);
	assert_int_equal(enter(0, "[2001:db8:0:1::1]"), LIMITS_ENTERED);
	assert_int_equal(enter(0, "[2001:db8:0:1:ffff::2]"), LIMITS_CLIENT_FULL);
	assert_int_equal(enter(0, "[2001:db8:0:2::1]"), LIMITS_ENTERED);
	/* The same octets in the other family are somebody else. */
	assert_int_equal(enter(0, "32.1.13.184"), LIMITS_ENTERED);
	leave(0, "[2001:db8:0:1::7]");
	leave(0, "[2001:db8:0:2::7]");
	leave(0, "32.1.13.184");
}

static void limit_of_all_holds_over_many_clients(void **state)
{
	char text[32];
	(void)state;
	listen_limits_set(limits, US_PER_S, 3000, 1);
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250);
		assert_int_equal(enter(0, text), LIMITS_ENTERED);
	}
	assert_int_equal(enter(0, "10.1.0.1"), LIMITS_FULL);
	/* Above its own limit, nobody costs others a connection. */
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_CLIENT_FULL);
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250);
		leave(0, text);
	}
	assert_int_equal(enter(0, "10.1.0.1"), LIMITS_ENTERED);
	leave(0, "10.1.0.1");
}

/* ---- room ---- */

static void longest_idle_elsewhere_makes_room(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 4, 100);
	let_idle(0, 2, 500);
	let_idle(1, 2, 300);
	assert_int_equal(enter(2, "10.0.0.1"), LIMITS_ENTERED);
	run(0);
	run(1);
	assert_int_equal(members[0].asked, 0);
	assert_int_equal(members[1].asked, 1); /* it is the longest of all */
	assert_int_equal(members[1].idle, 1);
	leave(2, "10.0.0.1");
	leave_all(0);
	leave_all(1);
}

static void own_longest_idle_is_the_listeners_own_to_close(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 4, 100);
	let_idle(0, 2, 500);
	let_idle(1, 2, 300);
	assert_int_equal(enter(1, "10.0.0.1"), LIMITS_FULL);
	close_longest(&members[1]);
	assert_int_equal(enter(1, "10.0.0.1"), LIMITS_ENTERED);
	leave(1, "10.0.0.1");
	leave_all(0);
	leave_all(1);
}

static void nobody_is_asked_for_more_than_idles_there(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 2, 100);
	let_idle(0, 2, 500);
	assert_int_equal(enter(2, "10.0.0.1"), LIMITS_ENTERED);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_ENTERED);
	assert_int_equal(enter(2, "10.0.0.3"), LIMITS_FULL);
	run(0);
	assert_int_equal(members[0].asked, 2);
	assert_int_equal(enter(2, "10.0.0.3"), LIMITS_FULL);
	leave(2, "10.0.0.1");
	assert_int_equal(enter(2, "10.0.0.3"), LIMITS_ENTERED);
	leave(2, "10.0.0.2");
	leave(2, "10.0.0.3");
}

/* There is one too many then, and the next newcomer does not add to that. */
static void who_has_begun_to_ask_meanwhile_is_spared(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 1, 100);
	let_idle(0, 1, 500);
	assert_int_equal(enter(2, "10.0.0.1"), LIMITS_ENTERED);
	idle(0, 0, UINT64_MAX);
	run(0);
	assert_int_equal(members[0].asked, 1);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_FULL);
	leave(0, "10.9.0.1");
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_FULL);
	leave(2, "10.0.0.1");
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_ENTERED);
	leave(2, "10.0.0.2");
}

static void listener_that_closes_is_not_asked_and_owes_nothing(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 2, 100);
	let_idle(0, 2, 500);
	assert_int_equal(enter(2, "10.0.0.1"), LIMITS_ENTERED);
	listen_member_retire(members[0].member); /* asked, and gone before it has heard */
	run(0);
	assert_int_equal(members[0].asked, 0);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_FULL);
	leave_all(0);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_ENTERED);
	leave(2, "10.0.0.1");
	leave(2, "10.0.0.2");
}

/* ---- threads ---- */

static void look(void *arg)
{
	struct pretended *p = arg;
	if (atomic_load(&p->stop))
		loop_stop(p->loop);
}

/* Newcomers of its own, and others' wishes in between. */
static void *come_and_go(void *arg)
{
	struct pretended *p = arg;
	struct loop_wakeup *w = loop_wakeup_new(p->loop, look, p);
	ASSERT(w != NULL);
	for (unsigned i = 0; i < 2000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.9.%u.%u", p->number, p->idle + 1);
		if (p->idle < 50 && enter((int)p->number, text) == LIMITS_ENTERED)
			idle((int)p->number, p->idle + 1, loop_clock_us());
		else
			close_longest(p);
		atomic_store(&p->stop, true);
		loop_wakeup_send(w);
		loop_run(p->loop);
	}
	loop_wakeup_close(w);
	return NULL;
}

static void workers_ask_each_other_without_harm(void **state)
{
	pthread_t threads[MEMBERS];
	(void)state;
	listen_limits_set(limits, US_PER_S, 40, 1000);
	for (int i = 0; i < MEMBERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &members[i]), 0);
	for (int i = 0; i < MEMBERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < MEMBERS; i++)
		run(i);
	/* One too many for each that was not closed since it had gone by itself: nothing idles that was asked to close. */
	for (int i = 0; i < MEMBERS; i++)
		leave_all(i);
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_ENTERED);
	leave(0, "10.0.0.1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_client_has_its_own_limit),
		TEST(network_of_64_bits_is_one_client_of_ipv6),
		TEST(limit_of_all_holds_over_many_clients),
		TEST(longest_idle_elsewhere_makes_room),
		TEST(own_longest_idle_is_the_listeners_own_to_close),
		TEST(nobody_is_asked_for_more_than_idles_there),
		TEST(who_has_begun_to_ask_meanwhile_is_spared),
		TEST(listener_that_closes_is_not_asked_and_owes_nothing),
		TEST(workers_ask_each_other_without_harm),
	};
	return cmocka_run_group_tests_name("net/listen_limits", tests, NULL, NULL);
}
