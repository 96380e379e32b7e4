/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_LOOP_PRIVATE_H
#define NET_LOOP_PRIVATE_H
/* For net's own .c files, which open their handles on the loop of libuv: nobody else's. */

#include "base/list.h"
#include "net/loop.h"

struct uv_loop_s;

/* The loop of libuv inside; lives as long as `l`. Handles opened on it are closed by those who opened them:
 * loop_free runs their closing callbacks. */
struct uv_loop_s *loop_uv(struct loop *l);

/* Somebody whose handles may still be open when the loop goes. loop_free calls `evict` (off the list by then), which
 * closes them all at once; who leaves before that takes `link` off. */
struct loop_guest {
	struct list link;
	void (*evict)(struct loop_guest *g);
};
void loop_guest_add(struct loop *l, struct loop_guest *g, void (*evict)(struct loop_guest *g));

#endif
