/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LOOP_H
#define NET_LOOP_H
/* One thread's event loop. libuv lives behind this and its siblings in src/net; no header outside shows it.
 * A callback never runs inside the call that registered it. Everything here belongs to the loop's thread, but for
 * loop_wakeup_send. Failures of memory at creation end in NULL. */

#include "base/base.h"

struct loop;
struct loop_timer;
struct loop_wakeup;
struct loop_signal;

typedef void loop_fn(void *arg);

NODISCARD struct loop *loop_new(void);

/* Closes what is still open, runs the closing callbacks, frees. Not from inside loop_run. */
void loop_free(struct loop *l);

/* Serves until loop_stop, or until nothing is left that could happen. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Microseconds of CLOCK_BOOTTIME, which counts suspend. Asked once per batch: all callbacks of one turn of the loop see
 * the same time. loop_clock_us asks the clock itself: for whoever has no loop. */
uint64_t loop_now_us(struct loop *l);
uint64_t loop_clock_us(void);

/* `fn` runs at the end of each turn, after all sockets were read: where a worker sends what it has collected, in one call. One per loop. */
void loop_set_turn(struct loop *l, loop_fn *fn, void *arg);

/* A timer, unset. Resolution 1 ms, never early. */
NODISCARD struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, uint64_t deadline_us); /* UINT64_MAX: unset; moving it is cheap */
void loop_timer_close(struct loop_timer *t);

/* Another thread's tap on the shoulder: several sends may arrive as one call of `fn`, never as none. */
NODISCARD struct loop_wakeup *loop_wakeup_new(struct loop *l, loop_fn *fn, void *arg);
void loop_wakeup_send(struct loop_wakeup *w); /* from any thread, until close */
void loop_wakeup_close(struct loop_wakeup *w);

typedef void loop_signal_fn(void *arg, int signal);
NODISCARD struct loop_signal *loop_signal_new(struct loop *l, int signal, loop_signal_fn *fn, void *arg);
void loop_signal_close(struct loop_signal *s);

#endif
