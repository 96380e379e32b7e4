/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/wheel.h"

enum { TIMERS = 300 };

static struct wheel wheel;
static struct wheel_timer timers[TIMERS];

static void begin(uint64_t now_us)
{
	wheel_init(&wheel, now_us);
	for (int i = 0; i < TIMERS; i++)
		wheel_timer_init(&timers[i]);
}

static void timer_never_fires_early_and_at_most_a_slot_late(void **state)
{
	(void)state;
	begin(10 * US_PER_S + 123);
	wheel_arm(&wheel, &timers[0], 10 * US_PER_S + 5001);
	assert_true(wheel_is_armed(&timers[0]));
	assert_null(wheel_take(&wheel, 10 * US_PER_S + 5000));
	assert_null(wheel_take(&wheel, 10 * US_PER_S + 5999));
	assert_ptr_equal(wheel_take(&wheel, 10 * US_PER_S + 6000), &timers[0]);
	assert_false(wheel_is_armed(&timers[0]));
	assert_null(wheel_take(&wheel, 10 * US_PER_S + 6000));
}

static void deadline_on_a_slot_fires_at_that_very_time(void **state)
{
	(void)state;
	begin(0);
	wheel_arm(&wheel, &timers[0], 5000);
	assert_true(wheel_next_us(&wheel) == 5000);
	assert_null(wheel_take(&wheel, 4999));
	assert_ptr_equal(wheel_take(&wheel, 5000), &timers[0]);
}

static void deadline_in_the_past_fires_at_the_next_take(void **state)
{
	(void)state;
	begin(US_PER_S);
	assert_null(wheel_take(&wheel, US_PER_S + 7777));
	wheel_arm(&wheel, &timers[0], 0);
	wheel_arm(&wheel, &timers[1], US_PER_S);
	assert_true(wheel_next_us(&wheel) <= US_PER_S + 7777);
	assert_ptr_equal(wheel_take(&wheel, US_PER_S + 7777), &timers[0]);
	assert_ptr_equal(wheel_take(&wheel, US_PER_S + 7777), &timers[1]);
	assert_null(wheel_take(&wheel, US_PER_S + 7777));
}

static void disarmed_timer_does_not_fire(void **state)
{
	(void)state;
	begin(0);
	wheel_arm(&wheel, &timers[0], 1000);
	wheel_arm(&wheel, &timers[1], 1000);
	wheel_disarm(&wheel, &timers[0]);
	wheel_disarm(&wheel, &timers[0]);
	assert_int_equal(wheel.armed, 1);
	assert_ptr_equal(wheel_take(&wheel, US_PER_S), &timers[1]);
	assert_null(wheel_take(&wheel, US_PER_S));
	assert_true(wheel_next_us(&wheel) == UINT64_MAX);
}

static void armed_timer_may_be_moved_both_ways(void **state)
{
	(void)state;
	begin(0);
	wheel_arm(&wheel, &timers[0], 50000);
	wheel_arm(&wheel, &timers[0], 90000);
	assert_null(wheel_take(&wheel, 60000));
	wheel_arm(&wheel, &timers[0], 70000);
	assert_int_equal(wheel.armed, 1);
	assert_ptr_equal(wheel_take(&wheel, 70000), &timers[0]);
	assert_int_equal(wheel.armed, 0);
}

static void far_deadline_waits_in_the_last_slot_as_often_as_needed(void **state)
{
	uint64_t hour = 3600 * (uint64_t)US_PER_S, next;
	int looks = 0;

	(void)state;
	begin(42);
	wheel_arm(&wheel, &timers[0], hour);
	while ((next = wheel_next_us(&wheel)) < hour) {
		assert_null(wheel_take(&wheel, next));
		assert_true(wheel_next_us(&wheel) > next);
		looks++;
	}
	/* An hour is 879 rounds of the ring. */
	assert_in_range(looks, 870, 890);
	assert_ptr_equal(wheel_take(&wheel, next), &timers[0]);
}

static void jump_of_the_clock_fires_what_is_due_and_keeps_the_rest(void **state)
{
	uint64_t day = 86400 * (uint64_t)US_PER_S;

	(void)state;
	begin(0);
	wheel_arm(&wheel, &timers[0], 2 * day);
	wheel_arm(&wheel, &timers[1], day / 2);
	wheel_arm(&wheel, &timers[2], 1500);
	assert_ptr_equal(wheel_take(&wheel, day), &timers[2]);
	assert_ptr_equal(wheel_take(&wheel, day), &timers[1]);
	assert_null(wheel_take(&wheel, day));
	assert_true(wheel_next_us(&wheel) > day);
	assert_null(wheel_take(&wheel, 2 * day - 1));
	assert_ptr_equal(wheel_take(&wheel, 2 * day), &timers[0]);
}

static void never_is_a_deadline_like_any_other(void **state)
{
	(void)state;
	begin(0);
	wheel_arm(&wheel, &timers[0], UINT64_MAX);
	assert_null(wheel_take(&wheel, 100 * (uint64_t)US_PER_S));
	assert_true(wheel_is_armed(&timers[0]));
}

static void timer_taken_may_be_armed_again_while_others_are_taken(void **state)
{
	struct wheel_timer *t;
	int taken = 0;

	(void)state;
	begin(0);
	for (int i = 0; i < 10; i++)
		wheel_arm(&wheel, &timers[i], (uint64_t)i * 1000);
	while ((t = wheel_take(&wheel, 10000))) {
		taken++;
		wheel_arm(&wheel, t, 20000);
	}
	assert_int_equal(taken, 10);
	assert_int_equal(wheel.armed, 10);
	assert_true(wheel_next_us(&wheel) == 20000);
}

/* What a plain array of deadlines would do, beside the wheel, over a seeded day of arming, moving and waiting. */
static uint64_t plain[TIMERS];

static uint64_t slot_end(uint64_t us)
{
	return us == UINT64_MAX ? us : (us + WHEEL_SLOT_US - 1) / WHEEL_SLOT_US * WHEEL_SLOT_US;
}

static void take_and_compare(uint64_t now_us)
{
	struct wheel_timer *t;

	while ((t = wheel_take(&wheel, now_us))) {
		size_t i = (size_t)(t - timers);
		assert_true(slot_end(plain[i]) <= now_us);
		plain[i] = UINT64_MAX;
	}
	uint64_t earliest = UINT64_MAX;
	for (int i = 0; i < TIMERS; i++) {
		assert_true(slot_end(plain[i]) > now_us);
		assert_int_equal(wheel_is_armed(&timers[i]), plain[i] != UINT64_MAX);
		earliest = MIN(earliest, slot_end(plain[i]));
	}
	assert_true(wheel_next_us(&wheel) <= earliest);
	assert_true(wheel_next_us(&wheel) > now_us);
}

static void wheel_agrees_with_a_plain_list_of_deadlines(void **state)
{
	uint64_t now_us = 123456789;

	(void)state;
	srand(1);
	begin(now_us);
	for (int i = 0; i < TIMERS; i++)
		plain[i] = UINT64_MAX;
	for (int step = 0; step < 3000; step++) {
		for (int n = rand() % 8; n > 0; n--) {
			int i = rand() % TIMERS;
			/* From a little in the past up to four rounds of the ring. */
			plain[i] = now_us - 3000 + (uint64_t)(rand() % (rand() % 2 ? 20 : 16000)) * 1024;
			wheel_arm(&wheel, &timers[i], plain[i]);
		}
		int i = rand() % TIMERS;
		plain[i] = UINT64_MAX;
		wheel_disarm(&wheel, &timers[i]);
		take_and_compare(now_us);
		now_us += (uint64_t)(rand() % (step % 100 == 0 ? 20 * US_PER_S : 30 * US_PER_MS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_never_fires_early_and_at_most_a_slot_late),
		cmocka_unit_test(deadline_on_a_slot_fires_at_that_very_time),
		cmocka_unit_test(deadline_in_the_past_fires_at_the_next_take),
		cmocka_unit_test(disarmed_timer_does_not_fire),
		cmocka_unit_test(armed_timer_may_be_moved_both_ways),
		cmocka_unit_test(far_deadline_waits_in_the_last_slot_as_often_as_needed),
		cmocka_unit_test(jump_of_the_clock_fires_what_is_due_and_keeps_the_rest),
		cmocka_unit_test(never_is_a_deadline_like_any_other),
		cmocka_unit_test(timer_taken_may_be_armed_again_while_others_are_taken),
		cmocka_unit_test(wheel_agrees_with_a_plain_list_of_deadlines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
