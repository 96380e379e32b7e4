/* SPDX-License-Identifier: Apache-2.0 */
#include "net/slots_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MANY = 100 };

static void every_owner_gets_a_number_of_its_own(void **state)
{
	struct slots s;
	char owners[MANY];
	uint32_t numbers[MANY];

	(void)state;
	slots_init(&s);
	for (int i = 0; i < MANY; i++)
		assert_true(slots_take(&s, &owners[i], &numbers[i]));
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(slots_find(&s, numbers[i], s.at[numbers[i]].generation), &owners[i]);
	slots_deinit(&s);
}

static void what_was_remembered_of_a_slot_finds_nobody_once_it_was_given_back(void **state)
{
	struct slots s;
	char first, second;
	uint32_t slot, again;

	(void)state;
	slots_init(&s);
	assert_true(slots_take(&s, &first, &slot));
	uint32_t generation = s.at[slot].generation;
	slots_give(&s, slot);
	assert_null(slots_find(&s, slot, generation));
	assert_true(slots_take(&s, &second, &again));
	assert_int_equal(again, slot);
	assert_null(slots_find(&s, slot, generation));
	assert_ptr_equal(slots_find(&s, slot, generation + 1), &second);
	slots_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_owner_gets_a_number_of_its_own),
		cmocka_unit_test(what_was_remembered_of_a_slot_finds_nobody_once_it_was_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
