/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H
/* The simulator's own small loop: descriptors and timers, one thread, one event at a time. It is not net/loop on purpose: what tests
 * the forwarder's way with sockets must not stand on it, and must do with sockets what a decent server never does. */

#include <sys/epoll.h>

#include "base/wheel.h"

struct watch_set {
	int epoll;
	bool ended;
	struct wheel wheel;
};

/* A descriptor, embedded in what owns it. One that is not watched has fd -1. */
struct watch {
	struct watch_set *set;
	int fd;
	void (*ready)(struct watch *w, uint32_t events); /* may remove any watch, its own too */
};

/* A deadline, embedded likewise. */
struct watch_timer {
	struct wheel_timer timer;
	void (*due)(struct watch_timer *t);
};

/* Returns 0 or -errno. */
NODISCARD int watch_set_init(struct watch_set *s);
void watch_set_deinit(struct watch_set *s);

/* Serves until watch_set_end. */
void watch_set_run(struct watch_set *s);
void watch_set_end(struct watch_set *s);

uint64_t watch_now_us(void);

/* Watches `fd`, which the watch owns from now on, for EPOLLIN, EPOLLOUT or both. Returns 0 or -errno: then fd is closed. */
NODISCARD int watch_start(struct watch *w, struct watch_set *s, int fd, uint32_t events);
void watch_change(struct watch *w, uint32_t events);
void watch_stop(struct watch *w); /* closes the descriptor; again is nothing */

/* `t` is not running: it is new, was due, or was stopped. */
void watch_timer_start(struct watch_set *s, struct watch_timer *t, uint64_t deadline_us);
void watch_timer_stop(struct watch_set *s, struct watch_timer *t);

#endif
