/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/random.h"

static struct random numbers;

static int start(void **state)
{
	(void)state;
	random_init(&numbers);
	return 0;
}

static void bytes_handed_out_are_wiped(void **state)
{
	static const uint8_t zeroes[RANDOM_BLOCK_BYTES];

	(void)state;
	for (int i = 0; i < 100; i++) {
		random_u16(&numbers);
		random_u32(&numbers);
		random_u64(&numbers);
		assert_memory_equal(numbers.block, zeroes, numbers.used);
	}
	assert_int_equal(numbers.used, 1400);
}

static void values_are_those_of_the_block_in_order(void **state)
{
	uint16_t first;
	uint64_t second;

	(void)state;
	random_u16(&numbers);
	memcpy(&first, numbers.block + 2, sizeof(first));
	memcpy(&second, numbers.block + 4, sizeof(second));
	assert_int_equal(random_u16(&numbers), first);
	assert_true(random_u64(&numbers) == second);
}

static void used_up_block_is_filled_again(void **state)
{
	uint64_t seen[RANDOM_BLOCK_BYTES / 8 * 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		seen[i] = random_u64(&numbers);
	/* 64 random bits twice among 512: one in 10^14. */
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		for (size_t j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
}

static void value_never_straddles_two_blocks(void **state)
{
	(void)state;
	random_u16(&numbers);
	for (int i = 0; i < RANDOM_BLOCK_BYTES / 8 - 1; i++)
		random_u64(&numbers);
	assert_int_equal(numbers.used, RANDOM_BLOCK_BYTES - 6);
	random_u64(&numbers);
	assert_int_equal(numbers.used, 8);
}

static void below_stays_below_and_reaches_everything(void **state)
{
	static const uint32_t limits[] = {1, 2, 3, 7, 64};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		uint64_t reached = 0;
		for (int draw = 0; draw < 4096; draw++) {
			uint32_t value = random_below(&numbers, limits[i]);
			assert_true(value < limits[i]);
			reached |= UINT64_C(1) << value;
		}
		assert_true(reached == UINT64_MAX >> (64 - limits[i]));
	}
}

/* With a limit of 3/4 of 2^32 a plain remainder would give the lowest third twice as often. */
static void below_is_uniform_where_a_remainder_would_not_be(void **state)
{
	uint32_t limit = 3u << 30, counts[3] = {0};

	(void)state;
	for (int draw = 0; draw < 30000; draw++)
		counts[random_below(&numbers, limit) / (1u << 30)]++;
	/* 10,000 each, with a standard deviation of 82: ten of them off is never seen. */
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		assert_in_range(counts[i], 9180, 10820);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bytes_handed_out_are_wiped, start),
		cmocka_unit_test_setup(values_are_those_of_the_block_in_order, start),
		cmocka_unit_test_setup(used_up_block_is_filled_again, start),
		cmocka_unit_test_setup(value_never_straddles_two_blocks, start),
		cmocka_unit_test_setup(below_stays_below_and_reaches_everything, start),
		cmocka_unit_test_setup(below_is_uniform_where_a_remainder_would_not_be, start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
