/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct transport_attempt at(uint32_t port, uint16_t id)
{
	return (struct transport_attempt){.slot = port, .asked.id = id};
}

static void attempt_is_found_by_its_port_and_id(void **state)
{
	/* 31 ids away from a port lies the next one's bucket. */
	struct transport_attempt a = at(0, 31), b = at(1, 0), c = at(0, 31 + 256), d = at(1, 31);
	struct udp_table t = {NULL};

	(void)state;
	assert_true(udp_table_make(&t));
	udp_table_add(&t, &a);
	udp_table_add(&t, &b);
	udp_table_add(&t, &c);
	assert_true(udp_table_make(&t)); /* it is there */
	assert_ptr_equal(udp_table_find(&t, 0, 31), &a);
	assert_ptr_equal(udp_table_find(&t, 1, 0), &b);
	assert_ptr_equal(udp_table_find(&t, 0, 31 + 256), &c);
	assert_null(udp_table_find(&t, 1, 31));
	udp_table_add(&t, &d);
	assert_ptr_equal(udp_table_find(&t, 1, 31), &d);
	list_remove(&a.link);
	assert_null(udp_table_find(&t, 0, 31));
	udp_table_free(&t);
	udp_table_free(&t);
}

static void ids_of_a_port_are_all_of_them_and_no_others(void **state)
{
	enum { MANY = 5000 };
	static struct transport_attempt attempts[MANY];
	uint64_t ids[UDP_IDS / 64];
	struct udp_table t = {NULL};

	(void)state;
	memset(ids, 0xff, sizeof(ids)); /* whatever stood there */
	assert_true(udp_table_make(&t));
	for (uint32_t i = 0; i < MANY; i++) {
		attempts[i] = at(i % 3, (uint16_t)(i * 13));
		udp_table_add(&t, &attempts[i]);
	}
	udp_table_ids(&t, 2, ids);
	for (uint32_t id = 0; id < UDP_IDS; id++)
		assert_int_equal(ids[id / 64] >> id % 64 & 1, id % 13 == 0 && id / 13 < MANY && id / 13 % 3 == 2);
	udp_table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempt_is_found_by_its_port_and_id),
		cmocka_unit_test(ids_of_a_port_are_all_of_them_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
