/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "net/loop.h"
#include "net/loop_private.h"

/* What happened, seen from the callbacks. */
struct seen {
	struct loop *loop;
	struct loop_timer *timer;
	uint64_t deadline_us, now_us, clock_us;
	struct loop_timer *other;
	int fired, turns, turns_at_callback, stop_at;
	int place; /* among all that count() saw */
};

/* Lets the clock move, without a look at the loop's. */
static void pass_us(uint64_t us)
{
	uint64_t until_us = loop_clock_us() + us;
	while (loop_clock_us() < until_us)
		continue;
}

static struct loop *new_loop(void)
{
	struct loop *l = loop_new();
	assert_non_null(l);
	return l;
}

static void count(void *arg)
{
	static int seen;
	struct seen *s = arg;
	s->fired++;
	s->place = ++seen;
	s->now_us = loop_now_us(s->loop);
	s->clock_us = loop_clock_us();
	s->turns_at_callback = s->turns;
}

static void count_turn(void *arg)
{
	((struct seen *)arg)->turns++;
}

static struct loop_timer *new_timer(struct loop *l, loop_fn *fn, struct seen *s)
{
	s->loop = l;
	s->timer = loop_timer_new(l, fn, s);
	assert_non_null(s->timer);
	return s->timer;
}

/* ---- time ---- */

static void look_twice(void *arg)
{
	struct seen *s = arg;
	s->now_us = loop_now_us(s->loop);
	pass_us(3000);
	assert_int_equal(loop_now_us(s->loop), s->now_us);
	assert_true(loop_clock_us() >= s->now_us + 3000);
	s->fired++;
}

static void look_twice_and_go_on(void *arg)
{
	struct seen *s = arg;
	look_twice(arg);
	loop_timer_set(s->other, 1); /* long ago: in the next turn */
}

static void time_stands_still_within_a_turn_and_moves_between_turns(void **state)
{
	struct loop *l = new_loop();
	struct seen first = {0}, second = {0};
	(void)state;
	first.other = new_timer(l, count, &second);
	loop_timer_set(new_timer(l, look_twice_and_go_on, &first), loop_clock_us() + 1000);
	loop_run(l);
	assert_int_equal(first.fired, 1);
	assert_int_equal(second.fired, 1);
	assert_true(second.now_us >= first.now_us + 3000);
	loop_free(l);
}

static void time_moves_while_nobody_runs_the_loop(void **state)
{
	struct loop *l = new_loop();
	(void)state;
	uint64_t before_us = loop_now_us(l);
	pass_us(2000);
	assert_true(loop_now_us(l) >= before_us + 2000);
	loop_free(l);
}

/* ---- timers ---- */

static void timer_is_never_early(void **state)
{
	enum { TIMERS = 24 };
	struct loop *l = new_loop();
	struct seen seen[TIMERS] = {0};
	(void)state;
	for (int i = 0; i < TIMERS; i++) {
		struct loop_timer *t = new_timer(l, count, &seen[i]);
		seen[i].deadline_us = loop_clock_us() + (uint64_t)i * 777 + 1;
		loop_timer_set(t, seen[i].deadline_us);
	}
	loop_run(l);
	for (int i = 0; i < TIMERS; i++) {
		assert_int_equal(seen[i].fired, 1);
		assert_true(seen[i].now_us >= seen[i].deadline_us);
		assert_true(seen[i].clock_us >= seen[i].deadline_us);
	}
	loop_free(l);
}

static void moved_timer_fires_once_where_it_stands_last(void **state)
{
	struct loop *l = new_loop();
	struct seen later = {0}, earlier = {0};
	uint64_t now_us = loop_clock_us();
	(void)state;
	loop_timer_set(new_timer(l, count, &later), now_us + 1000);
	loop_timer_set(later.timer, now_us + 12000);
	loop_timer_set(later.timer, now_us + 12001);
	loop_timer_set(new_timer(l, count, &earlier), now_us + 3600 * (uint64_t)US_PER_S);
	loop_timer_set(earlier.timer, now_us + 2000);
	loop_run(l);
	assert_int_equal(later.fired, 1);
	assert_true(later.now_us >= now_us + 12001);
	assert_int_equal(earlier.fired, 1);
	assert_true(earlier.place < later.place);
	loop_free(l);
}

static void timer_can_be_set_again_to_where_it_has_fired(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	uint64_t at_us = loop_clock_us();
	(void)state;
	loop_timer_set(new_timer(l, count, &s), at_us);
	loop_run(l);
	loop_timer_set(s.timer, at_us);
	loop_run(l);
	assert_int_equal(s.fired, 2);
	loop_free(l);
}

static void unset_timer_does_not_fire_nor_keep_the_loop_running(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	(void)state;
	loop_timer_set(new_timer(l, count, &s), loop_clock_us() + 1000);
	loop_timer_set(s.timer, UINT64_MAX);
	loop_run(l);
	assert_int_equal(s.fired, 0);
	loop_free(l);
}

static void close_itself(void *arg)
{
	struct seen *s = arg;
	s->fired++;
	loop_timer_close(s->timer);
}

static void timer_may_close_itself(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	(void)state;
	loop_timer_set(new_timer(l, close_itself, &s), 0);
	loop_run(l);
	assert_int_equal(s.fired, 1);
	loop_free(l);
}

static void set_into_the_past(void *arg)
{
	struct seen *s = arg;
	s->fired++;
	loop_timer_set(s->timer, 0);
}

static void stop(void *arg)
{
	struct seen *s = arg;
	s->fired++;
	s->turns_at_callback = s->turns;
	loop_stop(s->loop);
}

static void timer_that_sets_itself_into_the_past_starves_nobody(void **state)
{
	struct loop *l = new_loop();
	struct seen greedy = {0}, other = {.loop = l};
	(void)state;
	loop_timer_set(new_timer(l, set_into_the_past, &greedy), 0);
	struct loop_wakeup *w = loop_wakeup_new(l, stop, &other);
	loop_wakeup_send(w);
	loop_run(l);
	assert_int_equal(other.fired, 1);
	assert_true(greedy.fired < 10);
	loop_free(l);
}

/* A thread that had no CPU for a while: its timers are due, and answers have come to its sockets meanwhile. */
static struct {
	struct loop *loop;
	struct addr at;
	bool heard, was_heard_first;
} late;

static void stand_still(void *arg)
{
	static const uint8_t query[20];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	(void)arg;
	pass_us(10 * US_PER_MS);
	assert_int_equal(sendto(fd, query, sizeof(query), 0, &late.at.sa, addr_len(&late.at)), sizeof(query));
	close(fd);
}

static void on_query(void *arg, const struct reply_to *to, const uint8_t *query, size_t len)
{
	(void)arg;
	(void)query;
	(void)len;
	late.heard = true;
	listener_drop(to);
}

static void on_late_timer(void *arg)
{
	(void)arg;
	late.was_heard_first = late.heard;
	loop_stop(late.loop);
}

static void what_has_come_meanwhile_is_heard_before_a_late_timer(void **state)
{
	struct loop *l = late.loop = new_loop();
	struct listen_limits *limits = listen_limits_new();
	(void)state;
	assert_int_equal(addr_parse(&late.at, "127.0.0.1", 1), 0);
	addr_set_port(&late.at, 0);
	struct listener *heard_by = listener_new(l, LISTEN_UDP, listen_open(&late.at, LISTEN_UDP, false), limits, on_query, NULL);
	assert_non_null(heard_by);
	late.at = *listener_addr(heard_by);
	struct loop_wakeup *w = loop_wakeup_new(l, stand_still, NULL);
	loop_wakeup_send(w);
	struct loop_timer *t = loop_timer_new(l, on_late_timer, NULL);
	loop_timer_set(t, loop_now_us(l) + 2 * US_PER_MS);
	loop_run(l);
	assert_true(late.was_heard_first);
	listener_close(heard_by);
	loop_free(l);
	listen_limits_free(limits);
}

/* ---- turns ---- */

static void what_any_callback_collects_is_sent_before_the_loop_blocks(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	(void)state;
	loop_set_turn(l, count_turn, &s);
	loop_timer_set(new_timer(l, count, &s), loop_clock_us() + 3000);
	loop_run(l);
	assert_int_equal(s.fired, 1);
	assert_true(s.turns > s.turns_at_callback);
	/* It did not spin meanwhile. */
	assert_true(s.turns < 10);
	loop_free(l);
}

static void what_a_stopping_callback_collects_is_sent_too(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {.loop = l};
	(void)state;
	loop_set_turn(l, count_turn, &s);
	struct loop_wakeup *w = loop_wakeup_new(l, stop, &s);
	assert_non_null(w);
	loop_wakeup_send(w);
	loop_run(l);
	assert_int_equal(s.fired, 1);
	assert_true(s.turns > s.turns_at_callback);
	loop_free(l);
}

static void loop_that_was_stopped_runs_again(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {.loop = l};
	(void)state;
	struct loop_wakeup *w = loop_wakeup_new(l, stop, &s);
	for (int i = 1; i <= 3; i++) {
		loop_wakeup_send(w);
		loop_run(l);
		assert_int_equal(s.fired, i);
	}
	loop_wakeup_close(w);
	loop_run(l);
	loop_free(l);
}

static void stop_turn(void *arg)
{
	struct seen *s = arg;
	if (++s->turns >= s->stop_at)
		loop_stop(s->loop);
}

static void turn_that_stops_its_loop_stops_one_run_only(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {.stop_at = 1};
	(void)state;
	loop_set_turn(l, stop_turn, &s);
	loop_timer_set(new_timer(l, count, &s), loop_clock_us() + 3600 * (uint64_t)US_PER_S);
	loop_run(l);
	assert_int_equal(s.fired, 0);
	s.stop_at = 100;
	loop_timer_set(s.timer, loop_clock_us() + 1000);
	loop_run(l);
	assert_int_equal(s.fired, 1);
	loop_free(l);
}

/* ---- wakeups and signals ---- */

enum { THREADS = 4, SENDS = 500 };

struct taps {
	struct loop *loop;
	struct loop_wakeup *wakeup;
	pthread_mutex_t lock;
	int sent, calls;
};

static void *tap(void *arg)
{
	struct taps *t = arg;
	for (int i = 0; i < SENDS; i++) {
		pthread_mutex_lock(&t->lock);
		t->sent++;
		pthread_mutex_unlock(&t->lock);
		loop_wakeup_send(t->wakeup);
	}
	return NULL;
}

static void on_tap(void *arg)
{
	struct taps *t = arg;
	t->calls++;
	pthread_mutex_lock(&t->lock);
	if (t->sent == THREADS * SENDS)
		loop_stop(t->loop);
	pthread_mutex_unlock(&t->lock);
}

static void no_tap_is_lost_among_threads(void **state)
{
	struct taps t = {.loop = new_loop(), .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[THREADS];
	(void)state;
	t.wakeup = loop_wakeup_new(t.loop, on_tap, &t);
	assert_non_null(t.wakeup);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, tap, &t), 0);
	/* Ends when a tap after the last word was felt. */
	loop_run(t.loop);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(t.calls >= 1);
	assert_int_equal(t.sent, THREADS * SENDS);
	loop_free(t.loop);
}

static void on_signal(void *arg, int number)
{
	struct seen *s = arg;
	s->fired = number;
	loop_stop(s->loop);
}

static void signal_arrives(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {.loop = l};
	(void)state;
	struct loop_signal *usr1 = loop_signal_new(l, SIGUSR1, on_signal, &s);
	struct loop_signal *usr2 = loop_signal_new(l, SIGUSR2, on_signal, &s);
	assert_non_null(usr1);
	assert_non_null(usr2);
	raise(SIGUSR1);
	loop_run(l);
	assert_int_equal(s.fired, SIGUSR1);
	loop_signal_close(usr2);
	loop_signal_close(usr1);
	loop_free(l);
}

static void signal_that_cannot_be_caught_is_refused(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	(void)state;
	assert_null(loop_signal_new(l, SIGKILL, on_signal, &s));
	loop_free(l);
}

/* ---- the end ---- */

static void freeing_closes_what_is_still_open(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	(void)state;
	loop_timer_set(new_timer(l, count, &s), loop_clock_us());
	assert_non_null(loop_wakeup_new(l, count, &s));
	assert_non_null(loop_signal_new(l, SIGUSR1, on_signal, &s));
	loop_free(l);
	assert_int_equal(s.fired, 0);
	loop_free(NULL);
}

struct lodger {
	struct loop_guest guest;
	struct loop_timer *timer;
	int evicted;
};

static void evict(struct loop_guest *g)
{
	struct lodger *lodger = CONTAINER_OF(g, struct lodger, guest);
	lodger->evicted++;
	loop_timer_close(lodger->timer);
}

static void guests_are_evicted_before_their_timers_go(void **state)
{
	struct loop *l = new_loop();
	struct seen s = {0};
	struct lodger stays = {.timer = new_timer(l, count, &s)}, leaves = {0};
	(void)state;
	loop_guest_add(l, &stays.guest, evict);
	loop_guest_add(l, &leaves.guest, evict);
	list_remove(&leaves.guest.link);
	loop_free(l);
	assert_int_equal(stays.evicted, 1);
	assert_int_equal(leaves.evicted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_stands_still_within_a_turn_and_moves_between_turns),
		cmocka_unit_test(time_moves_while_nobody_runs_the_loop),
		cmocka_unit_test(timer_is_never_early),
		cmocka_unit_test(moved_timer_fires_once_where_it_stands_last),
		cmocka_unit_test(timer_can_be_set_again_to_where_it_has_fired),
		cmocka_unit_test(unset_timer_does_not_fire_nor_keep_the_loop_running),
		cmocka_unit_test(timer_may_close_itself),
		cmocka_unit_test(timer_that_sets_itself_into_the_past_starves_nobody),
		cmocka_unit_test(what_has_come_meanwhile_is_heard_before_a_late_timer),
		cmocka_unit_test(what_any_callback_collects_is_sent_before_the_loop_blocks),
		cmocka_unit_test(what_a_stopping_callback_collects_is_sent_too),
		cmocka_unit_test(loop_that_was_stopped_runs_again),
		cmocka_unit_test(turn_that_stops_its_loop_stops_one_run_only),
		cmocka_unit_test(no_tap_is_lost_among_threads),
		cmocka_unit_test(signal_arrives),
		cmocka_unit_test(signal_that_cannot_be_caught_is_refused),
		cmocka_unit_test(freeing_closes_what_is_still_open),
		cmocka_unit_test(guests_are_evicted_before_their_timers_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
