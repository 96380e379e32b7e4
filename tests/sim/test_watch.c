/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/watch.h"

static struct {
	struct watch_set set;
	struct watch one, two;
	struct watch_timer early, late;
	char order[8];
	uint64_t due_us;
} t;

static void note(char what)
{
	size_t len = strlen(t.order);

	assert_true(len < sizeof(t.order) - 1);
	t.order[len] = what;
}

static int begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.one.fd = t.two.fd = -1;
	return watch_set_init(&t.set);
}

static int end(void **state)
{
	(void)state;
	watch_stop(&t.one);
	watch_stop(&t.two);
	watch_set_deinit(&t.set);
	return 0;
}

static void end_early(struct watch_timer *timer)
{
	(void)timer;
	note('e');
}

static void end_late(struct watch_timer *timer)
{
	(void)timer;
	note('l');
	t.due_us = watch_now_us();
	watch_set_end(&t.set);
}

static void timers_fire_in_order_and_never_early(void **state)
{
	const uint64_t now_us = watch_now_us();

	(void)state;
	t.early.due = end_early;
	t.late.due = end_late;
	watch_timer_start(&t.set, &t.late, now_us + 20000);
	watch_timer_start(&t.set, &t.early, now_us + 5000);
	watch_set_run(&t.set);
	assert_string_equal(t.order, "el");
	assert_true(t.due_us >= now_us + 20000);
}

static void stopped_timer_stays_silent(void **state)
{
	(void)state;
	t.early.due = end_early;
	t.late.due = end_late;
	watch_timer_start(&t.set, &t.early, watch_now_us());
	watch_timer_start(&t.set, &t.late, watch_now_us() + 2000);
	watch_timer_stop(&t.set, &t.early);
	watch_set_run(&t.set);
	assert_string_equal(t.order, "l");
}

static void stop_the_other(struct watch *w, uint32_t events)
{
	assert_true(events & EPOLLIN);
	note('x');
	watch_stop(w == &t.one ? &t.two : &t.one);
	watch_set_end(&t.set);
}

/* A pipe with an octet in it; the end for reading. */
static int full_pipe(int *write_end)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	*write_end = ends[1];
	return ends[0];
}

static void watch_that_another_one_stopped_is_not_called(void **state)
{
	int writers[2];

	(void)state;
	t.one.ready = t.two.ready = stop_the_other;
	assert_int_equal(watch_start(&t.one, &t.set, full_pipe(&writers[0]), EPOLLIN), 0);
	assert_int_equal(watch_start(&t.two, &t.set, full_pipe(&writers[1]), EPOLLIN), 0);
	watch_set_run(&t.set);
	assert_string_equal(t.order, "x");
	close(writers[0]);
	close(writers[1]);
}

static void watch_can_be_told_to_look_away(void **state)
{
	int writer;

	(void)state;
	t.one.ready = stop_the_other;
	t.late.due = end_late;
	assert_int_equal(watch_start(&t.one, &t.set, full_pipe(&writer), EPOLLIN), 0);
	watch_change(&t.one, 0);
	watch_timer_start(&t.set, &t.late, watch_now_us() + 2000);
	watch_set_run(&t.set);
	assert_string_equal(t.order, "l");
	close(writer);
}

static void descriptor_that_cannot_be_watched_is_closed(void **state)
{
	char path[] = "/tmp/test_watch.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	unlink(path);
	/* epoll takes no ordinary files. */
	assert_int_equal(watch_start(&t.one, &t.set, fd, EPOLLIN), -EPERM);
	assert_int_equal(t.one.fd, -1);
	assert_int_equal(close(fd), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_order_and_never_early),
		TEST(stopped_timer_stays_silent),
		TEST(watch_that_another_one_stopped_is_not_called),
		TEST(watch_can_be_told_to_look_away),
		TEST(descriptor_that_cannot_be_watched_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
