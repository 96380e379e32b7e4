/* SPDX-License-Identifier: Apache-2.0 */
#include "server/news.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

enum { POOL_NAME_MAX = 256 };

struct item {
	struct list link;
	char pool[POOL_NAME_MAX];
	struct upstream *upstream; /* a reference; NULL: a doubt */
	enum health_change change;
};

struct news {
	struct news_world world;
	struct loop_wakeup *wakeup;
	pthread_mutex_t lock;
	struct list items;
	uint32_t count;
};

static void forget(struct item *i)
{
	if (i->upstream != NULL)
		upstream_unref(i->upstream);
	free(i);
}

/* ---- in: any thread */

static void post(struct news *n, struct item *i)
{
	pthread_mutex_lock(&n->lock);
	bool room = n->count < NEWS_MOST;
	if (room) {
		list_append(&n->items, &i->link);
		n->count++;
	}
	pthread_mutex_unlock(&n->lock);
	if (room)
		loop_wakeup_send(n->wakeup);
	else
		forget(i);
}

/* Takes the reference. */
static void tell(struct news *n, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	struct item *i = calloc(1, sizeof(*i));

	if (i == NULL) {
		if (upstream != NULL)
			upstream_unref(upstream);
		return;
	}
	list_init(&i->link);
	strncat(i->pool, pool_name, sizeof(i->pool) - 1);
	i->upstream = upstream;
	i->change = change;
	post(n, i);
}

static void on_doubt(void *arg, const char *pool_name)
{
	tell(arg, pool_name, NULL, HEALTH_SAME);
}

static void on_changed(void *arg, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	tell(arg, pool_name, upstream, change);
}

struct worker_news news_ears(struct news *n)
{
	return (struct worker_news){on_doubt, on_changed, n};
}

/* ---- out: the main thread */

static void on_wakeup(void *arg)
{
	struct news *n = arg;

	for (;;) {
		pthread_mutex_lock(&n->lock);
		struct list *link = list_take_first(&n->items);
		n->count -= link != NULL;
		pthread_mutex_unlock(&n->lock);
		if (link == NULL)
			return;
		struct item *i = CONTAINER_OF(link, struct item, link);
		if (i->upstream == NULL)
			n->world.doubt(n->world.arg, i->pool);
		else
			n->world.changed(n->world.arg, i->pool, i->upstream, i->change);
		forget(i);
	}
}

struct news *news_new(const struct news_world *world)
{
	struct news *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->world = *world;
	list_init(&n->items);
	n->wakeup = loop_wakeup_new(world->loop, on_wakeup, n);
	if (n->wakeup == NULL) {
		free(n);
		return NULL;
	}
	ASSERT(pthread_mutex_init(&n->lock, NULL) == 0);
	return n;
}

void news_free(struct news *n)
{
	LIST_FOR_EACH(link, &n->items)
		forget(CONTAINER_OF(link, struct item, link));
	loop_wakeup_close(n->wakeup);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
