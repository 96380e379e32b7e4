/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LOOP_PRIVATE_H
#define NET_LOOP_PRIVATE_H
/* For net's own .c files, which open their handles on the loop of libuv: nobody else's. */

#include "base/list.h"
#include "net/loop.h"

struct uv_loop_s;
struct uv_poll_s;

/* How libuv can fail (read in 1.44 to 1.52). What takes descriptors or memory may be refused, and is handled where it is called:
 * uv_loop_init, uv_async_init, uv_signal_init, uv_poll_init (epoll's ENOMEM and ENOSPC among them); uv_signal_start as well, for sigaction
 * may be. The others can fail by a mistake of ours alone, and are asserted: uv_poll_start where another handle has the descriptor,
 * uv_timer_start, uv_prepare_start and uv_idle_start without a callback or on a closed handle, uv_loop_close while a handle is open;
 * uv_timer_init, uv_prepare_init, uv_idle_init and uv_async_send never say anything but 0. Where libuv itself finds no memory for its table
 * of descriptors, which grows in uv_poll_start, it aborts (to 1.50) or does not say so (from 1.51 on); where epoll refuses what it took a
 * moment before, in uv_poll_init, it aborts: nobody is asked. */

/* The loop of libuv inside; lives as long as `l`. Handles opened on it are closed by those who opened them:
 * loop_free runs their closing callbacks. */
struct uv_loop_s *loop_uv(struct loop *l);

/* Somebody whose handles may still be open when the loop goes. loop_free calls `evict` (off the list by then), which
 * closes them all at once; who leaves before that takes `link` off. */
struct loop_guest {
	struct list link;
	void (*evict)(struct loop_guest *g);
};
/* From now on `fn` (uv_poll_cb) is called for these `events` (UV_READABLE …). The handle was opened with uv_poll_init and not closed. */
void loop_watch(struct uv_poll_s *poll, int events, void (*fn)(struct uv_poll_s *poll, int status, int events));

void loop_guest_add(struct loop *l, struct loop_guest *g, void (*evict)(struct loop_guest *g));

#endif
