/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/health.h"

/* Questions, as hashes of name and type; and the time at which each test begins, far from zero. */
enum { A = 11, B = 22, C = 33, D = 44 };

static const uint64_t start_us = 1000 * (uint64_t)US_PER_S;
static const struct health_rules rules = {.fall = 3, .rise = 2};

static struct health h;
static uint64_t now_us;

static int begin(void **state)
{
	(void)state;
	health_init(&h);
	now_us = start_us;
	return 0;
}

static int end(void **state)
{
	(void)state;
	health_deinit(&h);
	return 0;
}

static void wait_ms(uint64_t ms)
{
	now_us += ms * US_PER_MS;
}

static void expect_state(enum health_state expected)
{
	assert_int_equal(health_state(&h), expected);
}

static struct health_report reported(void)
{
	struct health_report r;

	health_report(&h, &rules, &r);
	return r;
}

/* A question sent 50 ms ago that a sibling has answered. */
static enum health_change overdue(uint64_t question)
{
	return health_overdue(&h, question, now_us - 50 * US_PER_MS, now_us);
}

static void make_overdue_suspect(void)
{
	wait_ms(100);
	overdue(A);
	overdue(B);
	assert_int_equal(overdue(C), HEALTH_TO_SUSPECT);
}

static void make_down(void)
{
	while (health_state(&h) != HEALTH_DOWN) {
		wait_ms(1000);
		health_probe_bad(&h, &rules, true, 0, now_us);
	}
}

/* Good probes, one a second, until the address is up; returns how many it took. */
static int probes_until_up(void)
{
	for (int n = 1;; n++) {
		wait_ms(1000);
		if (health_probe_good(&h, &rules, now_us) == HEALTH_TO_UP)
			return n;
		assert_in_range(n, 1, 100);
	}
}

/* ---- at first */

static void new_address_is_up_with_its_full_share(void **state)
{
	(void)state;
	expect_state(HEALTH_UP);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE);
	assert_int_equal(reported().cause, HEALTH_CAUSE_NONE);
	assert_int_equal(reported().last_answer_us, 0);
}

static void answer_is_remembered_with_its_time(void **state)
{
	(void)state;
	assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	assert_true(reported().last_answer_us == now_us);
	wait_ms(5);
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_SAME);
	assert_true(reported().last_answer_us == now_us);
}

/* ---- overdue */

static void three_overdue_questions_make_it_suspect_at_once(void **state)
{
	(void)state;
	assert_int_equal(overdue(A), HEALTH_SAME);
	assert_int_equal(overdue(B), HEALTH_SAME);
	expect_state(HEALTH_UP);
	assert_int_equal(overdue(C), HEALTH_TO_SUSPECT);
	expect_state(HEALTH_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_SILENT);
	assert_true(reported().cause_at_us == now_us);
	assert_int_equal(overdue(D), HEALTH_SAME); /* no news */
}

static void one_question_overdue_again_and_again_counts_once(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(overdue(A), HEALTH_SAME);
	assert_int_equal(overdue(B), HEALTH_SAME);
	expect_state(HEALTH_UP);
	assert_int_equal(overdue(C), HEALTH_TO_SUSPECT);
}

static void answer_between_overdue_questions_starts_the_count_again(void **state)
{
	(void)state;
	overdue(A);
	overdue(B);
	assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	wait_ms(100);
	assert_int_equal(overdue(C), HEALTH_SAME);
	assert_int_equal(overdue(D), HEALTH_SAME);
	expect_state(HEALTH_UP);
}

/* It answers, only not this one: overdue says nothing, health_never will. */
static void question_sent_before_an_answer_is_not_overdue_evidence(void **state)
{
	(void)state;
	uint64_t sent_us = now_us;

	wait_ms(30);
	health_answered(&h, now_us);
	wait_ms(30);
	assert_int_equal(health_overdue(&h, A, sent_us, now_us), HEALTH_SAME);
	assert_int_equal(health_overdue(&h, B, sent_us, now_us), HEALTH_SAME);
	assert_int_equal(health_overdue(&h, C, sent_us, now_us), HEALTH_SAME);
	expect_state(HEALTH_UP);
}

static void older_question_does_not_count_among_the_overdue_ones(void **state)
{
	(void)state;
	uint64_t old_us = now_us, answered_us = now_us + 30 * US_PER_MS;

	health_answered(&h, answered_us);
	wait_ms(100);
	assert_int_equal(health_overdue(&h, A, answered_us + 1, now_us), HEALTH_SAME);
	assert_int_equal(health_overdue(&h, B, old_us, now_us), HEALTH_SAME);
	assert_int_equal(health_overdue(&h, C, answered_us + 2, now_us), HEALTH_SAME);
	assert_int_equal(health_overdue(&h, D, answered_us + 3, now_us), HEALTH_TO_SUSPECT);
}

/* Slow, not silent: its answers come, each after the sibling's. */
static void slow_address_is_never_suspect(void **state)
{
	(void)state;
	for (uint64_t question = 1; question < 1000; question++) {
		uint64_t sent_us = now_us;
		wait_ms(60);
		assert_int_equal(health_overdue(&h, question, sent_us, now_us), HEALTH_SAME);
		wait_ms(60);
		assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	}
	expect_state(HEALTH_UP);
}

static void late_answer_revokes_an_overdue_suspicion(void **state)
{
	(void)state;
	make_overdue_suspect();
	wait_ms(10);
	assert_int_equal(health_answered(&h, now_us), HEALTH_TO_UP);
	expect_state(HEALTH_UP);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE); /* nothing happened: no growing */
	/* And with a clean slate. */
	wait_ms(100);
	overdue(A);
	assert_int_equal(overdue(B), HEALTH_SAME);
}

static void good_probe_revokes_an_overdue_suspicion(void **state)
{
	(void)state;
	make_overdue_suspect();
	assert_int_equal(probes_until_up(), 1);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE);
}

static void overdue_alone_never_takes_it_down(void **state)
{
	(void)state;
	for (uint64_t question = 1; question < 1000; question++)
		overdue(question);
	expect_state(HEALTH_SUSPECT);
}

static void overdue_suspect_goes_down_at_the_first_failed_probe(void **state)
{
	(void)state;
	make_overdue_suspect();
	/* Three questions are `fall` failures; what was missing is a probe. */
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_DOWN);
	expect_state(HEALTH_DOWN);
}

/* ---- never */

static void question_never_answered_makes_it_suspect(void **state)
{
	(void)state;
	assert_int_equal(health_never(&h, &rules, A, now_us), HEALTH_TO_SUSPECT);
	expect_state(HEALTH_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_SILENT);
}

static void suspicion_after_never_is_not_revoked_by_an_answer(void **state)
{
	(void)state;
	health_never(&h, &rules, A, now_us);
	wait_ms(10);
	assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_SUSPECT);
}

static void suspicion_after_never_needs_rise_good_probes(void **state)
{
	(void)state;
	health_never(&h, &rules, A, now_us);
	assert_int_equal(reported().goods_needed, 2);
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_SAME);
	assert_int_equal(reported().goods, 1);
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_TO_UP);
}

static void never_confirms_an_overdue_suspicion(void **state)
{
	(void)state;
	make_overdue_suspect();
	assert_int_equal(health_never(&h, &rules, A, now_us), HEALTH_SAME);
	assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_SUSPECT);
	assert_int_equal(probes_until_up(), 2);
}

static void never_alone_never_takes_it_down(void **state)
{
	(void)state;
	for (uint64_t question = 1; question < 100; question++)
		health_never(&h, &rules, question, now_us);
	expect_state(HEALTH_SUSPECT);
}

/* ---- silent */

static void single_silent_name_for_an_hour_is_never_suspect(void **state)
{
	(void)state;
	for (int s = 0; s < 3600; s++) {
		assert_int_equal(health_silent(&h, &rules, A, now_us), HEALTH_SAME);
		expect_state(HEALTH_UP);
		wait_ms(1000);
	}
}

static void two_silent_questions_in_a_row_make_it_suspect(void **state)
{
	(void)state;
	assert_int_equal(health_silent(&h, &rules, A, now_us), HEALTH_SAME);
	assert_int_equal(health_silent(&h, &rules, B, now_us), HEALTH_TO_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_SILENT);
}

static void answer_between_silent_questions_starts_the_count_again(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(health_silent(&h, &rules, i % 2 ? A : B, now_us), HEALTH_SAME);
		wait_ms(10);
		health_answered(&h, now_us);
	}
	expect_state(HEALTH_UP);
}

static void good_probe_says_that_the_names_were_to_blame(void **state)
{
	(void)state;
	health_silent(&h, &rules, A, now_us);
	health_silent(&h, &rules, B, now_us);
	assert_int_equal(reported().goods_needed, 1);
	assert_int_equal(probes_until_up(), 1);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE);
	/* The names go on being silent: without effect as long as each is alone. */
	assert_int_equal(health_silent(&h, &rules, B, now_us), HEALTH_SAME);
	expect_state(HEALTH_UP);
}

static void silent_suspicion_is_not_revoked_by_an_answer(void **state)
{
	(void)state;
	health_silent(&h, &rules, A, now_us);
	health_silent(&h, &rules, B, now_us);
	wait_ms(10);
	assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_SUSPECT);
}

static void silence_alone_never_takes_it_down(void **state)
{
	(void)state;
	for (uint64_t question = 1; question < 1000; question++)
		health_silent(&h, &rules, question, now_us);
	expect_state(HEALTH_SUSPECT);
}

/* ---- broken */

static void rcode_that_a_sibling_did_not_give_makes_it_suspect(void **state)
{
	(void)state;
	assert_int_equal(health_broken(&h, &rules, 2, now_us), HEALTH_TO_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_BROKEN);
	assert_int_equal(reported().rcode, 2);
	assert_int_equal(probes_until_up(), 2);
}

static void broken_address_is_not_cleared_by_the_answers_it_still_gives(void **state)
{
	(void)state;
	health_broken(&h, &rules, 5, now_us);
	for (int i = 0; i < 10; i++)
		assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_SUSPECT);
}

static void broken_answers_alone_never_take_it_down(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		health_broken(&h, &rules, 2, now_us);
	expect_state(HEALTH_SUSPECT);
	assert_int_equal(health_probe_bad(&h, &rules, false, 2, now_us), HEALTH_TO_DOWN);
}

/* ---- ICMP */

static void icmp_makes_it_suspect_and_never_more(void **state)
{
	(void)state;
	assert_int_equal(health_unreachable(&h, now_us), HEALTH_TO_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_UNREACHABLE);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(health_unreachable(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_SUSPECT);
}

static void forged_icmp_costs_one_good_probe(void **state)
{
	(void)state;
	health_unreachable(&h, now_us);
	assert_int_equal(reported().goods_needed, 1);
	assert_int_equal(probes_until_up(), 1);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE);
}

static void icmp_does_not_count_as_a_failure(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		health_unreachable(&h, now_us);
	/* Still `fall` failures away from down. */
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_DOWN);
}

static void icmp_does_not_wake_an_address_that_is_down(void **state)
{
	(void)state;
	make_down();
	assert_int_equal(health_unreachable(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_DOWN);
}

/* ---- probes, down, and back */

static void failed_probes_suspect_it_first_and_take_it_down_at_fall(void **state)
{
	(void)state;
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_PROBE_SILENT);
	assert_int_equal(health_probe_bad(&h, &rules, false, 5, now_us), HEALTH_SAME);
	assert_int_equal(reported().cause, HEALTH_CAUSE_PROBE_FAILED);
	assert_int_equal(reported().rcode, 5);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_DOWN);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
}

static void one_probe_and_fall_less_one_questions_take_it_down(void **state)
{
	(void)state;
	health_never(&h, &rules, A, now_us);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(health_never(&h, &rules, B, now_us), HEALTH_TO_DOWN);
}

static void fall_of_one_takes_it_down_at_the_first_failed_probe(void **state)
{
	static const struct health_rules strict = {.fall = 1, .rise = 1};

	(void)state;
	assert_int_equal(health_probe_bad(&h, &strict, true, 0, now_us), HEALTH_TO_DOWN);
	assert_int_equal(health_probe_good(&h, &strict, now_us), HEALTH_TO_UP);
}

static void answers_alone_do_not_bring_it_back(void **state)
{
	(void)state;
	make_down();
	for (int i = 0; i < 100; i++)
		assert_int_equal(health_answered(&h, now_us), HEALTH_SAME);
	expect_state(HEALTH_DOWN);
}

static void rise_good_probes_in_a_row_bring_it_back(void **state)
{
	(void)state;
	make_down();
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(reported().goods, 0);
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_TO_UP);
	expect_state(HEALTH_UP);
}

static void back_up_it_begins_with_a_clean_slate(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	assert_int_equal(health_silent(&h, &rules, A, now_us), HEALTH_SAME);
	health_answered(&h, now_us);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_SUSPECT);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_DOWN);
}

static void cause_is_remembered_for_people_after_it_is_up_again(void **state)
{
	(void)state;
	health_broken(&h, &rules, 2, now_us);
	uint64_t at_us = now_us;

	probes_until_up();
	assert_int_equal(reported().cause, HEALTH_CAUSE_BROKEN);
	assert_true(reported().cause_at_us == at_us);
}

/* ---- growing share */

static void share_grows_evenly_over_the_ramp(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	assert_int_equal(health_share(&h, now_us), HEALTH_FIRST_SHARE);
	assert_int_equal(health_share(&h, now_us + HEALTH_RAMP_US / 2), (HEALTH_FIRST_SHARE + HEALTH_FULL_SHARE) / 2);
	assert_in_range(health_share(&h, now_us + HEALTH_RAMP_US - 1), HEALTH_FULL_SHARE - 1, HEALTH_FULL_SHARE);
	assert_int_equal(health_share(&h, now_us + HEALTH_RAMP_US), HEALTH_FULL_SHARE);
	for (uint64_t us = 0; us < HEALTH_RAMP_US; us += 10000)
		assert_true(health_share(&h, now_us + us) <= health_share(&h, now_us + us + 10000));
}

/* Another thread's clock may be a turn behind the one that brought it back. */
static void share_before_its_own_beginning_is_the_first(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	assert_int_equal(health_share(&h, now_us - 20 * US_PER_MS), HEALTH_FIRST_SHARE);
}

/* ---- relapses */

static void relapse_within_a_minute_doubles_what_it_needs_up_to_eight_times(void **state)
{
	(void)state;
	make_down();
	assert_int_equal(probes_until_up(), 2);
	for (int expected = 4; expected <= 16; expected *= 2) {
		make_down();
		assert_int_equal(reported().goods_needed, expected);
		assert_int_equal(probes_until_up(), expected);
	}
	make_down();
	assert_int_equal(probes_until_up(), 16);
}

static void relapse_after_a_minute_is_a_first_time(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	make_down();
	assert_int_equal(probes_until_up(), 4);
	uint64_t up_us = now_us;

	now_us = up_us + HEALTH_RELAPSE_US;
	health_never(&h, &rules, A, now_us);
	assert_int_equal(reported().goods_needed, 2);
}

static void relapse_just_within_the_minute_counts(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	now_us += HEALTH_RELAPSE_US - 1;
	health_never(&h, &rules, A, now_us);
	assert_int_equal(reported().goods_needed, 4);
}

/* From one fall to the next, not for each failure within it. */
static void failures_of_one_fall_are_one_relapse(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	for (uint64_t question = 1; question < 10; question++)
		health_never(&h, &rules, question, now_us);
	make_down();
	assert_int_equal(reported().goods_needed, 4);
}

static void mere_doubt_is_no_relapse(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	for (int i = 0; i < 5; i++) {
		health_unreachable(&h, now_us);
		assert_int_equal(reported().goods_needed, 1);
		assert_int_equal(probes_until_up(), 1);
	}
	health_broken(&h, &rules, 2, now_us);
	assert_int_equal(reported().goods_needed, 4);
}

/* A doubt that ends well must not restart the growing share, nor end it. */
static void doubt_leaves_the_ramp_as_it_is(void **state)
{
	(void)state;
	make_down();
	probes_until_up();
	uint64_t up_us = now_us;

	wait_ms(1000);
	health_unreachable(&h, now_us);
	assert_int_equal(health_probe_good(&h, &rules, now_us), HEALTH_TO_UP);
	assert_true(health_share(&h, now_us) < HEALTH_FULL_SHARE / 2);
	assert_int_equal(health_share(&h, up_us + HEALTH_RAMP_US), HEALTH_FULL_SHARE);
}

/* ---- after an outage */

static void address_that_ended_the_outage_is_up_at_once(void **state)
{
	(void)state;
	make_down();
	health_void(&h, true, now_us);
	expect_state(HEALTH_UP);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE);
	assert_int_equal(health_silent(&h, &rules, A, now_us), HEALTH_SAME);
}

static void other_addresses_are_suspect_until_their_first_good_probe(void **state)
{
	(void)state;
	make_down();
	health_void(&h, false, now_us);
	expect_state(HEALTH_SUSPECT);
	assert_int_equal(reported().cause, HEALTH_CAUSE_OUTAGE);
	assert_int_equal(reported().goods_needed, 1);
	assert_int_equal(probes_until_up(), 1);
	assert_int_equal(health_share(&h, now_us), HEALTH_FULL_SHARE);
}

static void failures_of_an_outage_do_not_count_after_it(void **state)
{
	(void)state;
	make_down();
	health_void(&h, false, now_us);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_SAME);
	assert_int_equal(health_probe_bad(&h, &rules, true, 0, now_us), HEALTH_TO_DOWN);
}

static void outage_voids_relapses(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		make_down();
		probes_until_up();
	}
	make_down();
	assert_int_equal(reported().goods_needed, 16);
	health_void(&h, true, now_us);
	health_never(&h, &rules, A, now_us);
	assert_in_range(reported().goods_needed, 2, 4);
}

static void healthy_sibling_is_suspect_after_an_outage_too(void **state)
{
	(void)state;
	health_void(&h, false, now_us);
	expect_state(HEALTH_SUSPECT);
}

/* ---- threads */

struct toil {
	uint64_t seed;
	unsigned up, down;
};

static void *toil(void *arg)
{
	struct toil *t = arg;

	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t at = start_us + i * 1000;
		enum health_change change = HEALTH_SAME;
		t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
		switch (t->seed >> 61) {
		case 0:
			change = health_answered(&h, at);
			break;
		case 1:
			change = health_overdue(&h, t->seed >> 40, at - 50000, at);
			break;
		case 2:
			change = health_never(&h, &rules, t->seed >> 40, at);
			break;
		case 3:
			change = health_silent(&h, &rules, t->seed >> 40, at);
			break;
		case 4:
			change = health_probe_bad(&h, &rules, true, 0, at);
			break;
		default:
			change = health_probe_good(&h, &rules, at);
		}
		t->up += change == HEALTH_TO_UP;
		t->down += change == HEALTH_TO_DOWN;
		ASSERT(health_share(&h, at) >= HEALTH_FIRST_SHARE && health_share(&h, at) <= HEALTH_FULL_SHARE);
	}
	return NULL;
}

static void changes_from_many_threads_are_each_told_once(void **state)
{
	pthread_t threads[4];
	struct toil toils[4];
	unsigned up = 0, down = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		toils[i] = (struct toil){.seed = i};
		assert_int_equal(pthread_create(&threads[i], NULL, toil, &toils[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		up += toils[i].up;
		down += toils[i].down;
	}
	/* Down is left by way of up only: each was told once, or the sums would drift apart. */
	assert_true(down > 0 && up >= down - (health_state(&h) == HEALTH_DOWN));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_address_is_up_with_its_full_share),
		TEST(answer_is_remembered_with_its_time),
		TEST(three_overdue_questions_make_it_suspect_at_once),
		TEST(one_question_overdue_again_and_again_counts_once),
		TEST(answer_between_overdue_questions_starts_the_count_again),
		TEST(question_sent_before_an_answer_is_not_overdue_evidence),
		TEST(older_question_does_not_count_among_the_overdue_ones),
		TEST(slow_address_is_never_suspect),
		TEST(late_answer_revokes_an_overdue_suspicion),
		TEST(good_probe_revokes_an_overdue_suspicion),
		TEST(overdue_alone_never_takes_it_down),
		TEST(overdue_suspect_goes_down_at_the_first_failed_probe),
		TEST(question_never_answered_makes_it_suspect),
		TEST(suspicion_after_never_is_not_revoked_by_an_answer),
		TEST(suspicion_after_never_needs_rise_good_probes),
		TEST(never_confirms_an_overdue_suspicion),
		TEST(never_alone_never_takes_it_down),
		TEST(single_silent_name_for_an_hour_is_never_suspect),
		TEST(two_silent_questions_in_a_row_make_it_suspect),
		TEST(answer_between_silent_questions_starts_the_count_again),
		TEST(good_probe_says_that_the_names_were_to_blame),
		TEST(silent_suspicion_is_not_revoked_by_an_answer),
		TEST(silence_alone_never_takes_it_down),
		TEST(rcode_that_a_sibling_did_not_give_makes_it_suspect),
		TEST(broken_address_is_not_cleared_by_the_answers_it_still_gives),
		TEST(broken_answers_alone_never_take_it_down),
		TEST(icmp_makes_it_suspect_and_never_more),
		TEST(forged_icmp_costs_one_good_probe),
		TEST(icmp_does_not_count_as_a_failure),
		TEST(icmp_does_not_wake_an_address_that_is_down),
		TEST(failed_probes_suspect_it_first_and_take_it_down_at_fall),
		TEST(one_probe_and_fall_less_one_questions_take_it_down),
		TEST(fall_of_one_takes_it_down_at_the_first_failed_probe),
		TEST(answers_alone_do_not_bring_it_back),
		TEST(rise_good_probes_in_a_row_bring_it_back),
		TEST(back_up_it_begins_with_a_clean_slate),
		TEST(cause_is_remembered_for_people_after_it_is_up_again),
		TEST(share_grows_evenly_over_the_ramp),
		TEST(share_before_its_own_beginning_is_the_first),
		TEST(relapse_within_a_minute_doubles_what_it_needs_up_to_eight_times),
		TEST(relapse_after_a_minute_is_a_first_time),
		TEST(relapse_just_within_the_minute_counts),
		TEST(failures_of_one_fall_are_one_relapse),
		TEST(mere_doubt_is_no_relapse),
		TEST(doubt_leaves_the_ramp_as_it_is),
		TEST(address_that_ended_the_outage_is_up_at_once),
		TEST(other_addresses_are_suspect_until_their_first_good_probe),
		TEST(failures_of_an_outage_do_not_count_after_it),
		TEST(outage_voids_relapses),
		TEST(healthy_sibling_is_suspect_after_an_outage_too),
		TEST(changes_from_many_threads_are_each_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
