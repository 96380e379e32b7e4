/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a name: looked at in the cache → enough of its TTL is left: looked at again when it is not → refreshed by a
 * worker, which is told and does not answer: what came of it shows in the cache when it is looked at next.
 * How it can fail: the route is down (looked at again in 5 s), nothing came (5, 10, 20, 40, 60 s), it has no records any more: that is an
 * answer, and somebody's mistake more often than not, so it is said. */
#include "server/keepwarm.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/wheel.h"
#include "wire/dns.h"
#include "wire/text.h"

struct item {
	struct wheel_timer timer;
	const struct name *name; /* in the snapshot's config */
	uint16_t type;
	uint32_t again_s;  /* 0: the last refresh came to something */
	uint64_t asked_us; /* 0: not yet */
	bool was_there;    /* it had records under this configuration … */
	bool is_gone;      /* … and has none now, which was said */
};

struct keepwarm {
	struct keepwarm_world world;
	struct snapshot *snapshot;
	struct item *items; /* [count]; heap */
	size_t count;
	struct wheel wheel;
};

static uint64_t in_s(uint64_t now_us, uint32_t s)
{
	return now_us + (uint64_t)s * US_PER_S;
}

/* How much of the TTL may be left when a name is refreshed. */
static uint32_t least_left_s(uint32_t life_s)
{
	uint32_t usual_s = MAX(life_s / 10, (uint32_t)KEEPWARM_LEFT_S);

	return MIN(usual_s, life_s / 2);
}

/* An answer that holds more than a chain to nowhere, which brings the SOA along. */
static bool has_records(enum cache_result known, const struct cache_hit *hit)
{
	return (known == CACHE_FRESH || known == CACHE_STALE) && hit->rcode == DNS_NOERROR && hit->ancount > 0 && hit->nscount == 0;
}

/* What is known was stored after the last refresh was asked for, though it may have expired already. Ages are whole seconds. */
static bool came_since(const struct item *i, enum cache_result known, const struct cache_hit *hit, uint64_t now_us)
{
	if (known != CACHE_FRESH && known != CACHE_STALE)
		return false;
	return i->asked_us != 0 && in_s(i->asked_us, hit->age_s) < now_us + US_PER_S;
}

/* What has come says whether there are any. */
static void see_records(struct item *i, bool there)
{
	const char *type = i->type == DNS_TYPE_A ? "A" : "AAAA";
	char name[TEXT_NAME_MAX];

	bool news = there ? i->is_gone : i->was_there && !i->is_gone;
	i->was_there |= there;
	if (!news)
		return;
	i->is_gone = !there;
	const struct log_field fields[] = {LOG_STRING("event", "keep-warm"), LOG_STRING("state", there ? "there" : "gone"),
					   LOG_STRING("name", text_name(i->name, name)), LOG_STRING("type", type), LOG_END};
	if (there)
		log_event(LOG_INFO, fields, "%s has %s records again", name, type);
	else
		log_event(LOG_WARN, fields, "%s, which is kept warm, has no %s records any more: clients are told so", name, type);
}

static uint64_t refresh(struct keepwarm *k, struct item *i, const struct cache_key *key, uint64_t now_us)
{
	if (!cache_claim(k->snapshot->cache, key, (uint32_t)(now_us / US_PER_S)))
		return in_s(now_us, 1); /* a prefetch is on its way */
	i->asked_us = now_us;
	i->again_s = i->again_s == 0 ? KEEPWARM_AGAIN_S : MIN(2 * i->again_s, (uint32_t)KEEPWARM_MOST_S);
	k->world.refresh(k->world.arg, i->name, i->type, key->hash);
	return in_s(now_us, i->again_s);
}

/* Returns when to look again. */
static uint64_t look(struct keepwarm *k, struct item *i, unsigned *asked, uint64_t now_us)
{
	const struct snapshot *s = k->snapshot;
	const struct snapshot_zone *zone = snapshot_find_zone(s, i->name);
	const struct snapshot_route *route = &s->routes[zone->route];
	struct cache_key key = {.name = i->name, .route = zone->identity, .type = i->type};
	struct cache_hit hit;

	if (zone->special != SPECIAL_NONE)
		return in_s(now_us, 60 * KEEPWARM_MOST_S); /* answered here, without the cache */
	if (route->pools[0]->count == 0 || snapshot_route_pool(route, now_us) == NULL)
		return in_s(now_us, KEEPWARM_AGAIN_S);
	cache_key_hash(s->cache, &key);
	enum cache_result known = cache_peek(s->cache, &key, &s->cache_rules, (uint32_t)(now_us / US_PER_S), &hit);
	uint32_t least_s = least_left_s(hit.age_s + hit.ttl_left_s);
	bool enough = known == CACHE_FRESH && hit.ttl_left_s > least_s;

	if (enough || came_since(i, known, &hit, now_us)) {
		i->again_s = 0;
		see_records(i, has_records(known, &hit));
	}
	if (enough)
		return in_s(now_us, hit.ttl_left_s - least_s);
	if (i->type == DNS_TYPE_AAAA && !has_records(known, &hit))
		return in_s(now_us, KEEPWARM_MOST_S);
	if (*asked == KEEPWARM_AT_ONCE)
		return now_us + KEEPWARM_PAUSE_US;
	++*asked;
	return refresh(k, i, &key, now_us);
}

void keepwarm_clock(struct keepwarm *k, uint64_t now_us)
{
	unsigned asked = 0;

	for (struct wheel_timer *t; (t = wheel_take(&k->wheel, now_us)) != NULL;)
		wheel_arm(&k->wheel, t, look(k, CONTAINER_OF(t, struct item, timer), &asked, now_us));
}

uint64_t keepwarm_next_us(const struct keepwarm *k)
{
	return wheel_next_us(&k->wheel);
}

/* ---- birth, change, death */

void keepwarm_adopt(struct keepwarm *k, struct snapshot *s, uint64_t now_us)
{
	static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
	const struct config *c = s->config;
	struct item *items = calloc(c->keep_warm_count * ARRAY_SIZE(types) + 1, sizeof(*items));

	if (items == NULL)
		return; /* the old ones are kept warm */
	free(k->items);
	wheel_init(&k->wheel, now_us);
	k->items = items;
	k->count = 0;
	for (size_t i = 0; i < c->keep_warm_count; i++)
		for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
			struct item *item = &items[k->count++];
			*item = (struct item){.name = &c->keep_warm[i].name, .type = types[t]};
			wheel_timer_init(&item->timer);
			wheel_arm(&k->wheel, &item->timer, now_us);
		}
	if (k->snapshot != NULL)
		snapshot_unref(k->snapshot);
	k->snapshot = snapshot_ref(s);
}

struct keepwarm *keepwarm_new(const struct keepwarm_world *world, struct snapshot *s, uint64_t now_us)
{
	struct keepwarm *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->world = *world;
	keepwarm_adopt(k, s, now_us);
	if (k->snapshot != NULL)
		return k;
	free(k);
	return NULL;
}

void keepwarm_free(struct keepwarm *k)
{
	snapshot_unref(k->snapshot);
	free(k->items);
	free(k);
}
