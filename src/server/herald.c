/* SPDX-License-Identifier: Apache-2.0 */
#include "server/herald.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "server/status.h"
#include "sys/notify.h"

/* Signs of life come this often within the watchdog's time: one may be late, or lost. */
enum { SIGNS = 4 };

struct herald {
	struct herald_world world;
	struct notify notify;
	struct loop_timer *timer;
	bool refused;                   /* the last reload was */
	char said[HERALD_STATUS_MAX];   /* what the manager shows now */
};

/* ---- how it is, in one line */

static int count_up(const struct pool *p)
{
	int up = 0;

	for (int i = 0; i < p->count; i++)
		up += !atomic_load_explicit(&p->places[i].upstream->drained, memory_order_relaxed) && pool_tier(p, i) <= POOL_TIER_SLOW;
	return up;
}

static void describe_pool(struct strbuf *s, const struct pool *p)
{
	const char *name = p->local ? "the local upstreams" : p->name;

	if (p->count == 0)
		strbuf_add(s, "; no local upstream is known");
	else if (pool_is_drained(p))
		strbuf_addf(s, "; every address of %s is drained, known names are answered from the cache", name);
	else if (status_pool(p) == STATUS_DOWN)
		strbuf_addf(s, "; %s %s down, known names are answered from the cache", name, p->local ? "are" : "is");
	else
		strbuf_addf(s, "; %s: %d of %d addresses %s up", name, count_up(p), p->count, count_up(p) == 1 ? "is" : "are");
}

/* Endpoints' names are letters, digits and a few signs: none ends a line, which would begin another message. */
char *herald_describe(const struct snapshot *s, char out[HERALD_STATUS_MAX])
{
	struct strbuf text;
	size_t bad = 0;

	strbuf_init(&text, out, HERALD_STATUS_MAX);
	strbuf_addf(&text, "%zu zone%s", s->config->zone_count, s->config->zone_count == 1 ? "" : "s");
	for (size_t i = 0; i < s->pool_count; i++) {
		if (s->pools[i].count > 0 && status_pool(&s->pools[i]) == STATUS_UP)
			continue;
		bad++;
		describe_pool(&text, &s->pools[i]);
	}
	if (bad == 0)
		strbuf_add(&text, s->pool_count == 1 ? "; the local upstreams are up" : "; all endpoints are up");
	return out;
}

/* ---- what is sent */

/* `lines` are the messages before STATUS; may be empty. */
static void say(struct herald *h, const char *lines)
{
	char text[HERALD_STATUS_MAX], message[2 * HERALD_STATUS_MAX + 64];

	herald_describe(h->world.snapshot(h->world.arg), text);
	memcpy(h->said, text, sizeof(text));
	snprintf(message, sizeof(message), "%sSTATUS=%s%s", lines, h->refused ? "zones.conf was not taken at the last reload; " : "", text);
	notify_send(&h->notify, message);
}

static uint64_t pace_us(const struct herald *h)
{
	return h->notify.watchdog_us / SIGNS;
}

/* Only if all loops turn: a worker that stands still serves nobody, however well this thread does. */
static void on_timer(void *arg)
{
	struct herald *h = arg;

	if (h->world.alive(h->world.arg))
		notify_send(&h->notify, "WATCHDOG=1");
	loop_timer_set(h->timer, loop_now_us(h->world.loop) + pace_us(h));
}

void herald_ready(struct herald *h)
{
	say(h, "READY=1\n");
	if (h->notify.watchdog_us > 0)
		loop_timer_set(h->timer, loop_now_us(h->world.loop) + pace_us(h));
}

void herald_reloading(struct herald *h)
{
	notify_send_reloading(&h->notify);
}

void herald_reloaded(struct herald *h, bool loaded)
{
	h->refused = !loaded;
	say(h, "READY=1\n");
}

void herald_look(struct herald *h)
{
	char text[HERALD_STATUS_MAX];

	if (h->notify.fd >= 0 && strcmp(herald_describe(h->world.snapshot(h->world.arg), text), h->said) != 0)
		say(h, "");
}

void herald_stopping(struct herald *h)
{
	notify_send(&h->notify, "STOPPING=1\nSTATUS=answering what is in flight");
}

/* ---- birth and death */

struct herald *herald_new(const struct herald_world *world)
{
	struct herald *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->world = *world;
	int error = notify_init(&h->notify);
	if (error != 0)
		log_warn("the service manager cannot be told of the start: NOTIFY_SOCKET: %s", strerror(-error));
	h->timer = loop_timer_new(world->loop, on_timer, h);
	if (h->timer != NULL)
		return h;
	herald_free(h);
	return NULL;
}

void herald_free(struct herald *h)
{
	notify_deinit(&h->notify);
	if (h->timer != NULL)
		loop_timer_close(h->timer);
	free(h);
}
