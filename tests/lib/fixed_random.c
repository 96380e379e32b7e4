/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the kernel's random numbers, so that a run can be told again: xorshift64* (Marsaglia, 2003; Vigna, 2016). */
#include "fixed_random.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t number = 1;

void fixed_random_seed(uint64_t seed)
{
	number = seed * 2 + 1;
}

__attribute__((constructor)) static void seed_from_environment(void)
{
	const char *given = getenv("R53FWD_SEED");

	fixed_random_seed(given == NULL ? 0 : strtoul(given, NULL, 10));
}

uint8_t fixed_random_byte(void)
{
	number ^= number >> 12;
	number ^= number << 25;
	number ^= number >> 27;
	return (uint8_t)(number * UINT64_C(0x2545f4914f6cdd1d) >> 56);
}

ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
	uint8_t *bytes = buffer;

	(void)flags;
	for (size_t i = 0; i < length; i++)
		bytes[i] = fixed_random_byte();
	return (ssize_t)length;
}
