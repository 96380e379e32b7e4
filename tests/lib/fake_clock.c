/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_clock.h"

#include "net/loop.h"

static uint64_t ahead_us; /* before the real clock */
static loop_fn *timer_fn;
static void *timer_arg;

uint64_t __real_loop_now_us(struct loop *l);
uint64_t __wrap_loop_now_us(struct loop *l);
struct loop_timer *__real_loop_timer_new(struct loop *l, loop_fn *fn, void *arg);
struct loop_timer *__wrap_loop_timer_new(struct loop *l, loop_fn *fn, void *arg);

uint64_t __wrap_loop_now_us(struct loop *l)
{
	return __real_loop_now_us(l) + ahead_us;
}

struct loop_timer *__wrap_loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	timer_fn = fn;
	timer_arg = arg;
	return __real_loop_timer_new(l, fn, arg);
}

void fake_clock_reset(void)
{
	ahead_us = 0;
}

void fake_clock_pass_s(uint32_t seconds)
{
	ahead_us += (uint64_t)seconds * US_PER_S;
}

void fake_clock_fire(void)
{
	timer_fn(timer_arg);
}
