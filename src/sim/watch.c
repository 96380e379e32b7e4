/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/watch.h"

#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

uint64_t watch_now_us(void)
{
	struct timespec t;

	ASSERT(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000;
}

int watch_set_init(struct watch_set *s)
{
	s->ended = false;
	wheel_init(&s->wheel, watch_now_us());
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	return s->epoll < 0 ? -errno : 0;
}

void watch_set_deinit(struct watch_set *s)
{
	close(s->epoll);
}

/* Milliseconds until the next timer, rounded up: never early. */
static int patience(const struct watch_set *s)
{
	const uint64_t next = wheel_next_us(&s->wheel), now = watch_now_us();

	if (next == UINT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return (int)MIN((next - now + US_PER_MS - 1) / US_PER_MS, (uint64_t)INT_MAX);
}

void watch_set_run(struct watch_set *s)
{
	while (!s->ended) {
		struct epoll_event event;
		struct wheel_timer *timer;
		/* One at a time: an event may close the descriptor of the next one. */
		if (epoll_wait(s->epoll, &event, 1, patience(s)) > 0) {
			struct watch *w = event.data.ptr;
			w->ready(w, event.events);
		}
		while ((timer = wheel_take(&s->wheel, watch_now_us()))) {
			struct watch_timer *t = CONTAINER_OF(timer, struct watch_timer, timer);
			t->due(t);
		}
	}
}

void watch_set_end(struct watch_set *s)
{
	s->ended = true;
}

int watch_start(struct watch *w, struct watch_set *s, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = w};

	w->set = s;
	w->fd = fd;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	int error = -errno;
	close(fd);
	w->fd = -1;
	return error;
}

void watch_change(struct watch *w, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = w};

	ASSERT(epoll_ctl(w->set->epoll, EPOLL_CTL_MOD, w->fd, &event) == 0);
}

void watch_stop(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

void watch_timer_start(struct watch_set *s, struct watch_timer *t, uint64_t deadline_us)
{
	wheel_timer_init(&t->timer);
	wheel_arm(&s->wheel, &t->timer, deadline_us);
}

void watch_timer_stop(struct watch_set *s, struct watch_timer *t)
{
	wheel_disarm(&s->wheel, &t->timer);
}
