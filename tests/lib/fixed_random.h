/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_FIXED_RANDOM_H
#define TESTS_LIB_FIXED_RANDOM_H
/* Whoever links this draws the same numbers in each run: fixed_random.c takes getrandom's place. R53FWD_SEED=n in the environment gives
 * other ones, to look for what the usual ones do not show. */

#include <stdint.h>

void fixed_random_seed(uint64_t seed);
uint8_t fixed_random_byte(void);

#endif
