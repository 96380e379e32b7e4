/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_NEWS_H
#define SERVER_NEWS_H
/* What the workers tell the main thread: any thread puts in, the main thread's loop hands out, in order. Bounded: of a flood, what is
 * above NEWS_MOST is lost; the prober finds out by itself, only later. */

#include "net/loop.h"
#include "server/worker.h"

struct news;

enum { NEWS_MOST = 4096 };

struct news_world {
	struct loop *loop;
	void (*doubt)(void *arg, const char *pool_name);
	/* `upstream` is lent. */
	void (*changed)(void *arg, const char *pool_name, struct upstream *upstream, enum health_change change);
	void *arg;
};

/* `world` is copied. NULL without memory. */
NODISCARD struct news *news_new(const struct news_world *world);

/* Nobody may be telling anything any more; what was not handed out is forgotten. */
void news_free(struct news *n);

/* What workers are given to tell by. */
struct worker_news news_ears(struct news *n);

#endif
