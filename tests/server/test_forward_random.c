/* SPDX-License-Identifier: Apache-2.0 */
/* A hundred thousand random events, the same in each run; what must hold meanwhile stands in tests/lib/chaos.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chaos.h"
#include "fixed_random.h"

enum { LIVES = 50, EVENTS = 2000 };

static uint8_t next(void *arg)
{
	uint64_t *n = arg;

	*n ^= *n >> 12;
	*n ^= *n << 25;
	*n ^= *n >> 27;
	return (uint8_t)(*n * UINT64_C(0x2545f4914f6cdd1d) >> 56);
}

/* R53FWD_SEED=n: begins with another life than the first. */
static void whatever_happens_every_query_is_answered_once_and_nothing_leaks(void **state)
{
	const char *given = getenv("R53FWD_SEED");
	unsigned long first = given == NULL ? 0 : strtoul(given, NULL, 10);

	(void)state;
	for (unsigned long life = first; life < first + LIVES; life++) {
		uint64_t n = life * 2654435761u + 1;
		fixed_random_seed(life);
		struct chaos *c = chaos_new();
		for (int i = 0; i < EVENTS; i++)
			chaos_step(c, next, &n);
		chaos_end(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens_every_query_is_answered_once_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
