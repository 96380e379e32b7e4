/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a schedule: what clients ask, how upstreams fall ill, when zones.conf changes, how time passes. What must hold stands in
 * tests/lib/chaos.h. Random numbers are the same for each input. */
#include "../lib/chaos.h"
#include "../lib/fixed_random.h"
#include "fuzz.h"

/* Long schedules are test_forward_random's: here many short ones find more. */
enum { INPUT_MOST = 512, EVENTS_MOST = 100 };

struct input {
	const uint8_t *data;
	size_t size, at;
};

/* Zeros behind the end. */
static uint8_t next(void *arg)
{
	struct input *in = arg;

	return in->at < in->size ? in->data[in->at++] : 0;
}

/* The cache's hash key is drawn once a process, whichever input is the first. */
static void draw_what_is_drawn_once(void)
{
	static bool drawn;

	if (!drawn)
		chaos_end(chaos_new());
	drawn = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.data = data, .size = size};

	if (size > INPUT_MOST)
		return 0;
	fixed_random_seed(1);
	draw_what_is_drawn_once();
	fixed_random_seed(2);
	struct chaos *c = chaos_new();
	for (int i = 0; i < EVENTS_MOST && in.at < size; i++)
		chaos_step(c, next, &in);
	chaos_end(c);
	return 0;
}
