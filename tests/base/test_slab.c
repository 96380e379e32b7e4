/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/slab.h"

enum { LIMIT = 3000 };

static void objects_are_aligned_apart_and_ours(void **state)
{
	static unsigned char *taken[LIMIT];
	struct slab s;

	(void)state;
	slab_init(&s, 100, LIMIT);
	assert_int_equal(s.object_bytes, 112);
	for (int i = 0; i < LIMIT; i++) {
		taken[i] = slab_take(&s);
		assert_non_null(taken[i]);
		assert_int_equal((uintptr_t)taken[i] % 16, 0);
		memset(taken[i], i % 251, s.object_bytes);
	}
	/* Nobody has written into anybody else's. */
	for (int i = 0; i < LIMIT; i++)
		for (size_t j = 0; j < s.object_bytes; j++)
			assert_int_equal(taken[i][j], i % 251);
	slab_deinit(&s);
}

static void limit_holds_and_moves_with_what_is_given_back(void **state)
{
	struct slab s;
	void *last = NULL;

	(void)state;
	slab_init(&s, 16, LIMIT);
	for (int i = 0; i < LIMIT; i++)
		last = slab_take(&s);
	assert_int_equal(s.used, LIMIT);
	assert_int_equal(s.made, LIMIT);
	assert_null(slab_take(&s));
	assert_int_equal(s.used, LIMIT);
	slab_give(&s, last);
	assert_ptr_equal(slab_take(&s), last);
	assert_null(slab_take(&s));
	slab_deinit(&s);
}

static void burst_costs_memory_once(void **state)
{
	static void *taken[LIMIT];
	struct slab s;

	(void)state;
	slab_init(&s, 64, 2 * LIMIT);
	for (int i = 0; i < LIMIT; i++)
		taken[i] = slab_take(&s);
	uint32_t made = s.made;
	assert_true(made >= LIMIT && made < 2 * LIMIT);
	for (int i = 0; i < LIMIT; i++)
		slab_give(&s, taken[i]);
	assert_int_equal(s.used, 0);
	for (int i = 0; i < LIMIT; i++)
		assert_non_null(slab_take(&s));
	assert_int_equal(s.made, made);
	slab_deinit(&s);
	assert_int_equal(s.made, 0);
	assert_null(s.blocks);
}

static void object_larger_than_a_block_gets_one_of_its_own(void **state)
{
	struct slab s;

	(void)state;
	slab_init(&s, 200000, 2);
	char *one = slab_take(&s), *two = slab_take(&s);
	assert_non_null(one);
	assert_non_null(two);
	memset(one, 1, 200000);
	memset(two, 2, 200000);
	assert_int_equal(one[199999], 1);
	assert_null(slab_take(&s));
	slab_deinit(&s);
}

static void slab_without_objects_gives_none_and_frees_nothing(void **state)
{
	struct slab s;

	(void)state;
	slab_init(&s, 1, 0);
	assert_null(slab_take(&s));
	slab_deinit(&s);
	slab_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_aligned_apart_and_ours),
		cmocka_unit_test(limit_holds_and_moves_with_what_is_given_back),
		cmocka_unit_test(burst_costs_memory_once),
		cmocka_unit_test(object_larger_than_a_block_gets_one_of_its_own),
		cmocka_unit_test(slab_without_objects_gives_none_and_frees_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
