/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>

#include "core/limiter.h"

static struct limiter *l;

/* A clock does not begin at zero; nor need it be a whole second. */
static const uint64_t start_us = 86400 * (uint64_t)US_PER_S + 123456;

static int make(void **state)
{
	(void)state;
	l = limiter_new();
	return l == NULL;
}

static int unmake(void **state)
{
	(void)state;
	limiter_unref(l);
	return 0;
}

static struct addr client(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text, 4242), 0);
	return a;
}

static struct addr numbered(uint32_t n)
{
	struct addr a = client("10.0.0.0");

	a.in.sin_addr.s_addr = htonl(0x0a000000u + n);
	return a;
}

/* How many of `count` queries pass that come `every_us`. */
static int passing(const struct addr *a, uint32_t qps, int count, uint64_t from_us, uint64_t every_us)
{
	int passed = 0;

	for (int i = 0; i < count; i++)
		passed += limiter_passes(l, LIMITER_CLIENTS, a, qps, from_us + (uint64_t)i * every_us);
	return passed;
}

static void one_seconds_worth_may_come_at_once(void **state)
{
	static const uint32_t rates[] = {1, 2, 7, 100, 1000, 1000000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct addr a = numbered((uint32_t)i);
		int passed = passing(&a, rates[i], 1100000, start_us, 0);
		assert_int_equal(passed, rates[i]);
	}
}

static void client_at_its_limit_passes_for_ever(void **state)
{
	(void)state;
	struct addr a = client("192.0.2.1");
	assert_int_equal(passing(&a, 100, 10000, start_us, 10000), 10000);
}

static void client_above_its_limit_passes_at_the_limit(void **state)
{
	(void)state;
	struct addr a = client("192.0.2.1");
	/* 1,000 a second for 10 s: what may come at once, and 100 in each second. */
	int passed = passing(&a, 100, 10000, start_us, 1000);
	assert_in_range(passed, 1095, 1105);
	/* What was refused is not held against it: a second later all is forgotten. */
	assert_int_equal(passing(&a, 100, 200, start_us + 11 * US_PER_S, 0), 100);
}

static void long_silence_earns_one_second_only(void **state)
{
	(void)state;
	struct addr a = client("192.0.2.1");
	assert_int_equal(passing(&a, 10, 100, start_us, 0), 10);
	assert_int_equal(passing(&a, 10, 100, start_us + 3600 * (uint64_t)US_PER_S, 0), 10);
}

static void clients_have_limits_of_their_own(void **state)
{
	(void)state;
	struct addr one = client("192.0.2.1"), other = client("192.0.2.2");
	assert_int_equal(passing(&one, 10, 100, start_us, 0), 10);
	assert_int_equal(passing(&other, 10, 100, start_us, 0), 10);
}

static void ports_of_a_client_share_its_limit(void **state)
{
	(void)state;
	struct addr one = client("192.0.2.1:1000"), other = client("192.0.2.1:2000");
	assert_int_equal(passing(&one, 10, 100, start_us, 0), 10);
	assert_int_equal(passing(&other, 10, 100, start_us, 0), 0);
}

static void addresses_of_one_64_share_a_limit(void **state)
{
	(void)state;
	struct addr one = client("[2001:db8::1]:1"), same = client("[2001:db8::ffff:2]:1"), other = client("[2001:db8:0:1::1]:1");
	assert_int_equal(passing(&one, 10, 100, start_us, 0), 10);
	assert_int_equal(passing(&same, 10, 100, start_us, 0), 0);
	assert_int_equal(passing(&other, 10, 100, start_us, 0), 10);
}

static void forged_strangers_cost_clients_nothing(void **state)
{
	(void)state;
	struct addr a = client("192.0.2.1");
	for (uint32_t i = 0; i < 1000000; i++) {
		struct addr forged = numbered(i);
		(void)limiter_passes(l, LIMITER_STRANGERS, &forged, 10, start_us);
	}
	assert_int_equal(passing(&a, 10, 100, start_us, 0), 10);
}

/* 100 clients far above the limit, 20,000 who keep to it: hardly one of these is hit. */
static void those_who_keep_to_it_are_left_alone_by_those_who_do_not(void **state)
{
	enum { LOUD = 100, QUIET = 20000 };
	int limited = 0;

	(void)state;
	for (uint32_t i = 0; i < LOUD; i++) {
		struct addr a = numbered(i);
		assert_true(passing(&a, 10, 1000, start_us, 0) <= 10);
	}
	for (uint32_t i = 0; i < QUIET; i++) {
		struct addr a = numbered(LOUD + i);
		limited += passing(&a, 10, 1, start_us, 0) == 0;
	}
	assert_true(limited < 40); /* 0.2 in theory for the loud; the quiet fill buckets too */
}

/* Addresses that are never the same again: the table neither grows nor forgets who is above the limit. */
static void flood_of_forged_clients_drives_nobody_out(void **state)
{
	(void)state;
	struct addr loud = client("192.0.2.1");
	assert_int_equal(passing(&loud, 10, 100, start_us, 0), 10);
	for (uint32_t i = 0; i < 1000000; i++) {
		struct addr forged = numbered(i);
		(void)limiter_passes(l, LIMITER_CLIENTS, &forged, 10, start_us);
	}
	assert_int_equal(passing(&loud, 10, 100, start_us, 0), 0);
}

static void raised_limit_holds_at_once(void **state)
{
	(void)state;
	struct addr a = client("192.0.2.1");
	assert_int_equal(passing(&a, 10, 100, start_us, 0), 10);
	assert_true(passing(&a, 1000, 2000, start_us + US_PER_S, 0) >= 990);
}

static void *ask_much(void *arg)
{
	int *passed = arg;
	struct addr a = client("192.0.2.1");

	*passed = passing(&a, 1000, 500000, start_us, 0);
	return NULL;
}

static void threads_share_the_limit(void **state)
{
	pthread_t threads[4];
	int passed[4], all = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_much, &passed[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		all += passed[i];
	}
	assert_in_range(all, 1000, 4000); /* at worst each of them once, never each of 2,000,000 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_seconds_worth_may_come_at_once, make, unmake),
		cmocka_unit_test_setup_teardown(client_at_its_limit_passes_for_ever, make, unmake),
		cmocka_unit_test_setup_teardown(client_above_its_limit_passes_at_the_limit, make, unmake),
		cmocka_unit_test_setup_teardown(long_silence_earns_one_second_only, make, unmake),
		cmocka_unit_test_setup_teardown(clients_have_limits_of_their_own, make, unmake),
		cmocka_unit_test_setup_teardown(ports_of_a_client_share_its_limit, make, unmake),
		cmocka_unit_test_setup_teardown(addresses_of_one_64_share_a_limit, make, unmake),
		cmocka_unit_test_setup_teardown(forged_strangers_cost_clients_nothing, make, unmake),
		cmocka_unit_test_setup_teardown(those_who_keep_to_it_are_left_alone_by_those_who_do_not, make, unmake),
		cmocka_unit_test_setup_teardown(flood_of_forged_clients_drives_nobody_out, make, unmake),
		cmocka_unit_test_setup_teardown(raised_limit_holds_at_once, make, unmake),
		cmocka_unit_test_setup_teardown(threads_share_the_limit, make, unmake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
