/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a turn: epoll wakes the loop → sockets, wakeups and signals are served, then timers → the turn function
 * sends what all of them have collected → the loop blocks.
 *
 * The turn function runs from libuv's prepare hook, the last thing before blocking: whichever callback collected
 * something, nothing waits over a block. The cached time ends there too, hence one look at the clock per turn, at its
 * first callback.
 *
 * libuv has timers before sockets where both are due. A thread that had no CPU for a while would take answers that lie in its sockets
 * for ones that never came: so a timer that is late waits for one look at the sockets. 2 ms are more than a busy turn takes.
 *
 * How it can fail: memory and descriptors at creation; afterwards not at all. A handle that is left open by someone
 * who is not a guest is our own mistake and ends the program in loop_free. */
#include "net/loop_private.h"

#include <stdlib.h>
#include <time.h>

#include <uv.h>

/* Closing callbacks may close more handles; nothing in net nests deeper than two. */
enum { CLOSE_ROUNDS = 8 };

enum { LATE_US = 2 * US_PER_MS };

#define UNSET UINT64_MAX

struct loop {
	uv_loop_t uv;
	uv_prepare_t before_block;
	uint64_t now_us; /* 0: the clock was not asked since the loop last blocked */
	loop_fn *turn;
	void *turn_arg;
	struct list handles; /* timers, wakeups, signals */
	struct list guests;
	bool running, leaving;
};

/* What timers, wakeups and signals have in common; each begins with it. */
struct handle {
	union {
		uv_handle_t any;
		uv_timer_t timer;
		uv_async_t async;
		uv_signal_t signal;
	} uv;
	struct loop *loop;
	struct list link;
};

struct loop_timer {
	struct handle handle;
	loop_fn *fn;
	void *arg;
	uint64_t deadline_us;
	uint64_t armed_ms; /* the deadline in whole milliseconds that libuv's timer was started for */
	uint64_t due_us;   /* when that is to fire */
	bool let_pass;     /* it was late, and what lay in the sockets went first */
};

struct loop_wakeup {
	struct handle handle;
	loop_fn *fn;
	void *arg;
};

struct loop_signal {
	struct handle handle;
	loop_signal_fn *fn;
	void *arg;
};

/* ---- the loop ---- */

static void run_turn(struct loop *l)
{
	if (l->turn)
		l->turn(l->turn_arg);
	l->now_us = 0;
}

static void on_before_block(uv_prepare_t *handle)
{
	run_turn(CONTAINER_OF(handle, struct loop, before_block));
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	if (uv_loop_init(&l->uv) != 0) {
		free(l);
		return NULL;
	}
	list_init(&l->handles);
	list_init(&l->guests);
	ASSERT(uv_prepare_init(&l->uv, &l->before_block) == 0);
	ASSERT(uv_prepare_start(&l->before_block, on_before_block) == 0);
	/* The hook is no reason to go on running. */
	uv_unref((uv_handle_t *)&l->before_block);
	return l;
}

static void free_handle(uv_handle_t *uv)
{
	free(CONTAINER_OF(uv, struct handle, uv.any));
}

static void close_handle(struct handle *h)
{
	list_remove(&h->link);
	uv_close(&h->uv.any, free_handle);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	ASSERT(!l->running);
	/* Guests first: they have timers of their own, which they close themselves. */
	for (struct list *link; (link = list_take_first(&l->guests)) != NULL;) {
		struct loop_guest *g = CONTAINER_OF(link, struct loop_guest, link);
		g->evict(g);
	}
	while (!list_empty(&l->handles))
		close_handle(CONTAINER_OF(l->handles.next, struct handle, link));
	l->turn = NULL;
	uv_close((uv_handle_t *)&l->before_block, NULL);
	int r = UV_EBUSY;
	for (int i = 0; i < CLOSE_ROUNDS && r == UV_EBUSY; i++) {
		uv_run(&l->uv, UV_RUN_NOWAIT);
		r = uv_loop_close(&l->uv);
	}
	ASSERT(r == 0);
	free(l);
}

void loop_run(struct loop *l)
{
	ASSERT(!l->running);
	l->running = true;
	l->now_us = 0;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	/* A stop from a socket's callback leaves before the hook: what was collected still goes out. */
	l->leaving = true;
	run_turn(l);
	l->leaving = l->running = false;
}

void loop_stop(struct loop *l)
{
	/* Asked for by the last turn, it would stop the next run. */
	if (!l->leaving)
		uv_stop(&l->uv);
}

void loop_set_turn(struct loop *l, loop_fn *fn, void *arg)
{
	l->turn = fn;
	l->turn_arg = arg;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

void loop_watch(struct uv_poll_s *poll, int events, uv_poll_cb fn)
{
	int r = uv_poll_start(poll, events, fn);
	ASSERT(r == 0); /* UV_EEXIST: two handles for one descriptor */
}

void loop_guest_add(struct loop *l, struct loop_guest *g, void (*evict)(struct loop_guest *g))
{
	g->evict = evict;
	list_append(&l->guests, &g->link);
}

/* ---- time ---- */

uint64_t loop_clock_us(void)
{
	struct timespec t;
	ASSERT(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
	return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000;
}

uint64_t loop_now_us(struct loop *l)
{
	/* Outside of loop_run nobody ends a turn: there the time must not stand still. */
	if (l->now_us == 0 || !l->running)
		l->now_us = loop_clock_us();
	return l->now_us;
}

/* ---- timers ---- */

static void own(struct loop *l, struct handle *h)
{
	h->loop = l;
	list_append(&l->handles, &h->link);
}

static void on_timer(uv_timer_t *handle);

static void arm(struct loop_timer *t)
{
	uint64_t now_us = loop_now_us(t->handle.loop);
	uint64_t delay_ms = 0;
	if (t->deadline_us > now_us)
		delay_ms = (t->deadline_us - now_us + US_PER_MS - 1) / US_PER_MS;
	/* Never 0: libuv runs timers until none is due, so one that sets itself into the past would keep sockets
	 * waiting forever. */
	delay_ms = MAX(delay_ms, 1);
	t->due_us = now_us + delay_ms * US_PER_MS;
	ASSERT(uv_timer_start(&t->handle.uv.timer, on_timer, delay_ms, 0) == 0);
}

static void on_timer(uv_timer_t *handle)
{
	struct loop_timer *t = CONTAINER_OF(handle, struct loop_timer, handle.uv.timer);
	struct loop *l = t->handle.loop;
	/* libuv's clock is another one, in cut milliseconds, and newer than this turn's. Never early means by ours. */
	if (loop_now_us(l) < t->deadline_us)
		l->now_us = 0;
	bool is_late = !t->let_pass && loop_now_us(l) > t->due_us + LATE_US;
	if (loop_now_us(l) < t->deadline_us || is_late) {
		t->let_pass = is_late;
		arm(t);
		return;
	}
	t->let_pass = false;
	t->deadline_us = UNSET;
	t->armed_ms = UNSET;
	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	ASSERT(uv_timer_init(&l->uv, &t->handle.uv.timer) == 0);
	own(l, &t->handle);
	t->fn = fn;
	t->arg = arg;
	t->deadline_us = UNSET;
	t->armed_ms = UNSET;
	return t;
}

void loop_timer_set(struct loop_timer *t, uint64_t deadline_us)
{
	uint64_t deadline_ms = deadline_us == UNSET ? UNSET : deadline_us / US_PER_MS + (deadline_us % US_PER_MS != 0);
	t->deadline_us = deadline_us;
	/* Owners set their timer each turn, mostly to where it stands. */
	if (deadline_ms == t->armed_ms)
		return;
	t->armed_ms = deadline_ms;
	if (deadline_us == UNSET)
		uv_timer_stop(&t->handle.uv.timer);
	else
		arm(t);
}

void loop_timer_close(struct loop_timer *t)
{
	if (t)
		close_handle(&t->handle);
}

/* ---- wakeups and signals ---- */

static void on_wakeup(uv_async_t *handle)
{
	struct loop_wakeup *w = CONTAINER_OF(handle, struct loop_wakeup, handle.uv.async);
	w->fn(w->arg);
}

struct loop_wakeup *loop_wakeup_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_wakeup *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	if (uv_async_init(&l->uv, &w->handle.uv.async, on_wakeup) != 0) {
		free(w);
		return NULL;
	}
	own(l, &w->handle);
	w->fn = fn;
	w->arg = arg;
	return w;
}

void loop_wakeup_send(struct loop_wakeup *w)
{
	ASSERT(uv_async_send(&w->handle.uv.async) == 0);
}

void loop_wakeup_close(struct loop_wakeup *w)
{
	if (w)
		close_handle(&w->handle);
}

static void on_signal(uv_signal_t *handle, int signal)
{
	struct loop_signal *s = CONTAINER_OF(handle, struct loop_signal, handle.uv.signal);
	s->fn(s->arg, signal);
}

struct loop_signal *loop_signal_new(struct loop *l, int signal, loop_signal_fn *fn, void *arg)
{
	struct loop_signal *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	if (uv_signal_init(&l->uv, &s->handle.uv.signal) != 0) {
		free(s);
		return NULL;
	}
	own(l, &s->handle);
	s->fn = fn;
	s->arg = arg;
	if (uv_signal_start(&s->handle.uv.signal, on_signal, signal) != 0) {
		close_handle(&s->handle);
		return NULL;
	}
	return s;
}

void loop_signal_close(struct loop_signal *s)
{
	if (s)
		close_handle(&s->handle);
}
