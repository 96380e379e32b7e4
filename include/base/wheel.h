/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H
/* Many deadlines of one thread: arming and disarming take constant time, so a question that is answered in time never
 * pays for its timer. 4,096 slots of 1 ms (a question's life is 4 s); what lies further ahead waits in the last slot and is put
 * in again. A bitmap finds the next slot that holds anything. Times are rounded up to the slot: never early. */

#include "base/list.h"

enum { WHEEL_SLOTS = 4096, WHEEL_SLOT_US = 1000 };

/* Embedded in what has a deadline. */
struct wheel_timer {
	struct list link;
	uint64_t deadline_us; /* meaningful while armed */
	uint32_t slot;        /* where it hangs; WHEEL_SLOTS when not armed */
};

struct wheel {
	uint64_t now_slot; /* last slot walked, counted since the clock's zero */
	uint32_t armed;    /* timers in the wheel */
	uint64_t bitmap[WHEEL_SLOTS / 64];
	struct list slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_us);
void wheel_timer_init(struct wheel_timer *t);

/* Arms `t`, or moves it if it was armed. A deadline in the past fires at the next wheel_take. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline_us);
void wheel_disarm(struct wheel *w, struct wheel_timer *t);
bool wheel_is_armed(const struct wheel_timer *t);

/* A timer whose deadline is at or before `now_us`, disarmed; NULL when none is left. Call until NULL. */
struct wheel_timer *wheel_take(struct wheel *w, uint64_t now_us);

/* When wheel_take would next find something (at or before the earliest deadline's slot); UINT64_MAX when empty. */
uint64_t wheel_next_us(const struct wheel *w);

#endif
