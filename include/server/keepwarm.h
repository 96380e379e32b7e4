/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_KEEPWARM_H
#define SERVER_KEEPWARM_H
/* Names of `keep-warm`: in the cache though nobody asks, so that an outage finds them known. Refreshed once for all workers when
 * a tenth of the TTL is left, or 5 s, or half of a TTL below 10 s. A always; AAAA while the last answer had some: most private
 * names have none, and each question costs money. Nothing is asked while the route is down. Lives on the main thread; asks no
 * clock. */

#include "server/snapshot.h"

enum {
	KEEPWARM_LEFT_S = 5,	   /* refreshed when so much is left, at the latest */
	KEEPWARM_AGAIN_S = 5,	   /* after a failure; a flight ends within 4 s, so there are never two. Doubles … */
	KEEPWARM_MOST_S = 60,	   /* … up to this. Names without AAAA records are looked at as often */
	KEEPWARM_AT_ONCE = 8,	   /* asked in a row … */
	KEEPWARM_PAUSE_US = 10000, /* … then a pause: 10,000 names at the start are no burst */
};

struct keepwarm;

struct keepwarm_world {
	/* Somebody should ask. `hash` is the same for the same name, type and route. */
	void (*refresh)(void *arg, const struct name *name, uint16_t type, uint64_t hash);
	void *arg;
};

/* NULL without memory. */
NODISCARD struct keepwarm *keepwarm_new(const struct keepwarm_world *world, struct snapshot *s, uint64_t now_us);
void keepwarm_free(struct keepwarm *k);
void keepwarm_adopt(struct keepwarm *k, struct snapshot *s, uint64_t now_us);
void keepwarm_clock(struct keepwarm *k, uint64_t now_us);
uint64_t keepwarm_next_us(const struct keepwarm *k);

#endif
