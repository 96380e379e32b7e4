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
#include <stdlib.h>
#include <string.h>

#include "net/listen_private.h"

enum { MEMBERS = 3 };

/* A listener, whose connections are nothing but guests. */
static struct pretended {
	struct loop *loop;
	struct listen_member *member;
	struct list guests;
	unsigned number, closed; /* closed: how many made room, or idled for too long */
	enum listen_closed last; /* why the last one was closed */
	_Atomic bool stop;
} members[MEMBERS];

struct pretended_guest {
	struct listen_guest guest;
	struct list link;
	struct pretended *at;
	struct addr client;
	bool stuck;
};

static struct listen_limits *limits;

static struct addr address(const char *text)
{
	struct addr a;
	assert_int_equal(addr_parse(&a, text, 1), 0);
	return a;
}

static void forget(struct pretended_guest *p)
{
	listen_member_leave(p->at->member, &p->guest);
	list_remove(&p->link);
	free(p);
}

static void close_guest(struct listen_guest *g, enum listen_closed why)
{
	struct pretended_guest *p = CONTAINER_OF(g, struct pretended_guest, guest);
	p->at->closed++;
	p->at->last = why;
	forget(p);
}

static bool is_stuck(const struct listen_guest *g)
{
	return ((const struct pretended_guest *)(const void *)((const char *)g - offsetof(struct pretended_guest, guest)))->stuck;
}

static enum limits_verdict enter_as(int member, const char *text, bool stranger)
{
	struct pretended_guest *p = calloc(1, sizeof(*p));
	ASSERT(p != NULL);
	p->at = &members[member];
	p->client = address(text);
	p->guest.stranger = stranger;
	enum limits_verdict verdict = listen_member_enter(p->at->member, &p->guest, &p->client);
	if (verdict == LIMITS_ENTERED)
		list_append(&p->at->guests, &p->link);
	else
		free(p);
	return verdict;
}

static enum limits_verdict enter(int member, const char *text)
{
	return enter_as(member, text, false);
}

static struct pretended_guest *find(int member, const char *text)
{
	struct addr a = address(text);
	LIST_FOR_EACH(link, &members[member].guests) {
		struct pretended_guest *p = CONTAINER_OF(link, struct pretended_guest, link);
		if (addr_equal(&p->client, &a))
			return p;
	}
	return NULL;
}

static void leave(int member, const char *text)
{
	struct pretended_guest *p = find(member, text);
	assert_non_null(p);
	forget(p);
}

static void note(int member, const char *text, bool busy, uint64_t now_us)
{
	struct pretended_guest *p = find(member, text);
	assert_non_null(p);
	listen_member_note(members[member].member, &p->guest, busy, now_us);
}

/* Enters `count` connections, of clients 10.9.MEMBER.N, that idle since then. */
static void let_idle(int member, unsigned count, uint64_t since_us)
{
	char text[32];
	for (unsigned i = 1; i <= count; i++) {
		snprintf(text, sizeof(text), "10.9.%d.%u", member, i);
		assert_int_equal(enter(member, text), LIMITS_ENTERED);
		note(member, text, false, since_us);
	}
}

static unsigned connections(int member)
{
	unsigned count = 0;
	LIST_FOR_EACH(link, &members[member].guests)
		count++;
	return count;
}

static void leave_all(int member)
{
	LIST_FOR_EACH(link, &members[member].guests)
		forget(CONTAINER_OF(link, struct pretended_guest, link));
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
		members[i].member = listen_member_new(limits, members[i].loop, close_guest, is_stuck);
		assert_non_null(members[i].member);
		list_init(&members[i].guests);
	}
	return 0;
}

/* Every connection has left. */
static int end(void **state)
{
	(void)state;
	for (int i = 0; i < MEMBERS; i++) {
		leave_all(i);
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
	assert_int_equal(members[0].closed, 0);
	assert_int_equal(members[1].closed, 1); /* it is the longest of all */
	assert_int_equal(members[1].last, CLOSED_ROOM);
	assert_int_equal(connections(1), 1);
}

static void own_longest_idle_goes_at_once(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 4, 100);
	let_idle(0, 2, 500);
	let_idle(1, 2, 300);
	assert_int_equal(enter(1, "10.0.0.1"), LIMITS_ENTERED);
	assert_int_equal(members[1].closed, 1);
	assert_null(find(1, "10.9.1.1"));
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
	assert_int_equal(members[0].closed, 2);
	assert_int_equal(enter(2, "10.0.0.3"), LIMITS_FULL);
	leave(2, "10.0.0.1");
	assert_int_equal(enter(2, "10.0.0.3"), LIMITS_ENTERED);
}

/* There is one too many then, and the next newcomer does not add to that. */
static void who_has_begun_to_ask_meanwhile_is_spared(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 1, 100);
	let_idle(0, 1, 500);
	assert_int_equal(enter(2, "10.0.0.1"), LIMITS_ENTERED);
	note(0, "10.9.0.1", true, 600);
	run(0);
	assert_int_equal(members[0].closed, 0);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_FULL);
	leave(0, "10.9.0.1");
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_FULL);
	leave(2, "10.0.0.1");
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_ENTERED);
}

static void listener_that_closes_is_not_asked_and_owes_nothing(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 2, 100);
	let_idle(0, 2, 500);
	assert_int_equal(enter(2, "10.0.0.1"), LIMITS_ENTERED);
	listen_member_retire(members[0].member); /* asked, and gone before it has heard */
	run(0);
	assert_int_equal(members[0].closed, 0);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_FULL);
	leave_all(0);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_ENTERED);
}

static void who_does_not_take_answers_goes_before_the_newcomer(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 2, 100);
	let_idle(0, 2, 500);
	note(0, "10.9.0.1", true, 600);
	note(0, "10.9.0.2", true, 600);
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_FULL);
	find(0, "10.9.0.2")->stuck = true;
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_ENTERED);
	assert_null(find(0, "10.9.0.2"));
}

/* ---- room of a client's own ---- */

static void longest_idle_of_the_client_makes_room(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 10, 3);
	let_idle(0, 1, 50);
	for (unsigned i = 1; i <= 3; i++) {
		const char *text = (const char *[]){"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"}[i - 1];
		assert_int_equal(enter(0, text), LIMITS_ENTERED);
		note(0, text, false, 100 * i);
	}
	note(0, "10.0.0.1:1", false, 400);
	assert_int_equal(enter(0, "10.0.0.1:4"), LIMITS_ENTERED);
	assert_null(find(0, "10.0.0.1:2"));
	note(0, "10.0.0.1:3", true, 500);
	note(0, "10.0.0.1:4", true, 500);
	assert_int_equal(enter(0, "10.0.0.1:5"), LIMITS_ENTERED);
	assert_null(find(0, "10.0.0.1:1"));
	note(0, "10.0.0.1:5", true, 600);
	/* All wait, and one that takes no answers is given its time: the client cannot push out itself. */
	find(0, "10.0.0.1:3")->stuck = true;
	assert_int_equal(enter(0, "10.0.0.1:6"), LIMITS_CLIENT_FULL);
	assert_non_null(find(0, "10.9.0.1"));
	assert_int_equal(members[0].closed, 2);
}

static void longest_idle_of_the_client_makes_room_elsewhere(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 3, 2);
	let_idle(0, 1, 50);
	assert_int_equal(enter(0, "10.0.0.1:1"), LIMITS_ENTERED);
	note(0, "10.0.0.1:1", false, 100);
	assert_int_equal(enter(1, "10.0.0.1:2"), LIMITS_ENTERED);
	note(1, "10.0.0.1:2", false, 200);
	/* It is the room among all as well, so that nobody else goes. */
	assert_int_equal(enter(2, "10.0.0.1:3"), LIMITS_ENTERED);
	run(0);
	run(1);
	assert_null(find(0, "10.0.0.1:1"));
	assert_non_null(find(0, "10.9.0.1"));
	assert_int_equal(members[0].closed + members[1].closed, 1);
}

/* For each that was asked for and went by itself, or whose listener closed, there is nothing to wait for. */
static void what_a_client_was_asked_for_ends_with_its_connections(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 10, 1);
	assert_int_equal(enter(0, "10.0.0.1:1"), LIMITS_ENTERED);
	note(0, "10.0.0.1:1", false, 100);
	assert_int_equal(enter(1, "10.0.0.1:2"), LIMITS_ENTERED);
	leave(0, "10.0.0.1:1");
	run(0);
	assert_int_equal(enter(2, "10.0.0.1:3"), LIMITS_CLIENT_FULL);
	note(1, "10.0.0.1:2", false, 200);
	assert_int_equal(enter(2, "10.0.0.1:3"), LIMITS_ENTERED);
	listen_member_retire(members[1].member);
	run(1);
	assert_non_null(find(1, "10.0.0.1:2"));
	assert_int_equal(enter(0, "10.0.0.1:4"), LIMITS_CLIENT_FULL);
	leave(1, "10.0.0.1:2");
	leave(2, "10.0.0.1:3");
	assert_int_equal(enter(0, "10.0.0.1:4"), LIMITS_ENTERED);
	assert_int_equal(enter(0, "10.0.0.1:5"), LIMITS_CLIENT_FULL);
}

/* A network of 64 bits may hold both. */
static void stranger_is_another_client_than_one_who_may_ask(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 10, 1);
	assert_int_equal(enter(0, "[2001:db8::1]"), LIMITS_ENTERED);
	note(0, "[2001:db8::1]", false, 100);
	assert_int_equal(enter_as(0, "[2001:db8::2]", true), LIMITS_ENTERED);
	assert_non_null(find(0, "[2001:db8::1]"));
}

/* ---- strangers ---- */

/* However short they idle, and wherever; a busy one as well, who has nothing to wait for. */
static void strangers_make_room_before_any_client(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 4, 100);
	let_idle(0, 2, 100);
	assert_int_equal(enter_as(1, "192.0.2.1", true), LIMITS_ENTERED);
	note(1, "192.0.2.1", false, 800);
	assert_int_equal(enter_as(1, "192.0.2.2", true), LIMITS_ENTERED);
	note(1, "192.0.2.2", true, 900);
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_ENTERED);
	assert_int_equal(enter(2, "10.0.0.2"), LIMITS_ENTERED);
	run(1);
	assert_int_equal(connections(1), 0);
	assert_int_equal(members[0].closed, 0);
	assert_int_equal(enter(2, "10.0.0.3"), LIMITS_ENTERED);
	run(0);
	assert_int_equal(members[0].closed, 1);
}

static void stranger_pushes_out_strangers_only(void **state)
{
	(void)state;
	listen_limits_set(limits, US_PER_S, 2, 100);
	let_idle(0, 2, 100);
	assert_int_equal(enter_as(0, "192.0.2.1", true), LIMITS_FULL);
	assert_int_equal(enter_as(1, "192.0.2.1", true), LIMITS_FULL);
	note(0, "10.9.0.1", true, 200);
	find(0, "10.9.0.1")->stuck = true;
	leave(0, "10.9.0.2");
	assert_int_equal(enter_as(0, "192.0.2.1", true), LIMITS_ENTERED);
	note(0, "192.0.2.1", false, 300);
	assert_int_equal(enter_as(0, "192.0.2.2", true), LIMITS_ENTERED);
	assert_null(find(0, "192.0.2.1"));
	run(0);
	assert_non_null(find(0, "10.9.0.1"));
}

static void who_becomes_a_stranger_keeps_the_place_in_time(void **state)
{
	(void)state;
	listen_limits_set(limits, 1000, 4, 100);
	let_idle(0, 3, 100);
	note(0, "10.9.0.2", false, 200);
	note(0, "10.9.0.3", true, 300);
	assert_int_equal(enter_as(0, "192.0.2.1", true), LIMITS_ENTERED);
	note(0, "192.0.2.1", false, 150);
	/* Now the one is what the others were. */
	for (unsigned i = 1; i <= 3; i++)
		find(0, (const char *[]){"10.9.0.1", "10.9.0.2", "10.9.0.3"}[i - 1])->guest.stranger = true;
	find(0, "192.0.2.1")->guest.stranger = false;
	listen_member_sort(members[0].member);
	assert_int_equal(listen_member_next_us(members[0].member), 1100);
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_ENTERED);
	assert_null(find(0, "10.9.0.1"));
	assert_int_equal(listen_member_next_us(members[0].member), 1150);
	listen_member_close_idle(members[0].member, 1160);
	assert_null(find(0, "192.0.2.1"));
	assert_int_equal(members[0].last, CLOSED_IDLE);
	assert_int_equal(connections(0), 3);
}

/* ---- threads ---- */

static void look(void *arg)
{
	struct pretended *p = arg;
	if (atomic_load(&p->stop))
		loop_stop(p->loop);
}

static bool of_few_clients;

/* Newcomers of its own, and others' wishes in between. */
static void *come_and_go(void *arg)
{
	struct pretended *p = arg;
	struct loop_wakeup *w = loop_wakeup_new(p->loop, look, p);
	ASSERT(w != NULL);
	for (unsigned i = 0; i < 2000; i++) {
		char text[32];
		if (of_few_clients)
			snprintf(text, sizeof(text), "10.9.9.%u:%u", i % 7, i + 1);
		else
			snprintf(text, sizeof(text), "10.9.%u.%u", p->number, i % 251);
		if (connections((int)p->number) >= 50)
			forget(CONTAINER_OF(p->guests.next, struct pretended_guest, link));
		else if (enter_as((int)p->number, text, i % 3 == 0) == LIMITS_ENTERED)
			note((int)p->number, text, i % 7 == 0, loop_clock_us());
		atomic_store(&p->stop, true);
		loop_wakeup_send(w);
		loop_run(p->loop);
	}
	loop_wakeup_close(w);
	return NULL;
}

static void come_and_go_at_all(void)
{
	pthread_t threads[MEMBERS];
	for (int i = 0; i < MEMBERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &members[i]), 0);
	for (int i = 0; i < MEMBERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < MEMBERS; i++)
		run(i);
	/* One too many for each that was not closed since it had gone by itself: nothing idles that was asked to close. */
	for (int i = 0; i < MEMBERS; i++)
		leave_all(i);
}

static void workers_ask_each_other_without_harm(void **state)
{
	(void)state;
	of_few_clients = false;
	listen_limits_set(limits, US_PER_S, 40, 1000);
	come_and_go_at_all();
	for (int i = 0; i < 40; i++)
		assert_int_equal(enter(0, "10.0.0.1"), LIMITS_ENTERED);
	assert_int_equal(enter(0, "10.0.0.1"), LIMITS_FULL);
}

static void workers_ask_each_other_for_a_clients_own_without_harm(void **state)
{
	(void)state;
	of_few_clients = true;
	listen_limits_set(limits, US_PER_S, 20, 4);
	come_and_go_at_all();
	for (int i = 0; i < 20; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.9.9.%d:%d", i / 4, i + 1);
		assert_int_equal(enter(i % MEMBERS, text), LIMITS_ENTERED);
	}
	assert_int_equal(enter(0, "10.9.9.1"), LIMITS_CLIENT_FULL);
	assert_int_equal(enter(0, "10.9.9.6"), LIMITS_FULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_client_has_its_own_limit),
		TEST(network_of_64_bits_is_one_client_of_ipv6),
		TEST(limit_of_all_holds_over_many_clients),
		TEST(longest_idle_elsewhere_makes_room),
		TEST(own_longest_idle_goes_at_once),
		TEST(nobody_is_asked_for_more_than_idles_there),
		TEST(who_has_begun_to_ask_meanwhile_is_spared),
		TEST(listener_that_closes_is_not_asked_and_owes_nothing),
		TEST(who_does_not_take_answers_goes_before_the_newcomer),
		TEST(longest_idle_of_the_client_makes_room),
		TEST(longest_idle_of_the_client_makes_room_elsewhere),
		TEST(what_a_client_was_asked_for_ends_with_its_connections),
		TEST(stranger_is_another_client_than_one_who_may_ask),
		TEST(strangers_make_room_before_any_client),
		TEST(stranger_pushes_out_strangers_only),
		TEST(who_becomes_a_stranger_keeps_the_place_in_time),
		TEST(workers_ask_each_other_without_harm),
		TEST(workers_ask_each_other_for_a_clients_own_without_harm),
	};
	return cmocka_run_group_tests_name("net/listen_limits", tests, NULL, NULL);
}
