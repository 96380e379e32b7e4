/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_FAKE_CLOCK_H
#define TESTS_LIB_FAKE_CLOCK_H
/* A loop's clock that can be put forward, and its latest timer fired by hand: the linker puts both in front of the
 * real ones (--wrap=loop_now_us, --wrap=loop_timer_new). */

#include "base/base.h"

void fake_clock_reset(void);
void fake_clock_pass_s(uint32_t seconds);
void fake_clock_fire(void); /* the timer that was made last */

#endif
