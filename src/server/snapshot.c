/* SPDX-License-Identifier: Apache-2.0 */
#include "server/snapshot.h"

#include <errno.h>

#include <stdlib.h>
#include <string.h>

#include "wire/text.h"

/* Answered here: RFC 6761 section 6.3 and 6.4, RFC 7686 section 2, RFC 9462 section 6.4. */
static const struct {
	const char *name;
	enum snapshot_special special;
} specials[] = {
	{"localhost", SPECIAL_LOCALHOST},
	{"127.in-addr.arpa", SPECIAL_LOCALHOST_REVERSE},
	{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", SPECIAL_LOCALHOST_REVERSE},
	{"invalid", SPECIAL_NXDOMAIN},
	{"onion", SPECIAL_NXDOMAIN},
	{"resolver.arpa", SPECIAL_NODATA},
};

static uint32_t us_to_s(uint64_t us)
{
	return (uint32_t)(us / US_PER_S);
}

/* ---- pools */

static struct upstream *find_upstream(const struct snapshot *s, const char *pool, const struct addr *addr)
{
	for (size_t i = 0; s != NULL && i < s->pool_count; i++)
		for (int k = 0; strcmp(s->pools[i].name, pool) == 0 && k < s->pools[i].count; k++)
			if (addr_equal(&s->pools[i].places[k].upstream->addr, addr))
				return upstream_ref(s->pools[i].places[k].upstream);
	return NULL;
}

/* Same AZ, same number; an address without an AZ is a failure domain of its own. */
static uint8_t number_az(const struct pool *p, const char *az)
{
	uint8_t next = 0;

	for (int i = 0; i < p->count; i++) {
		if (az != NULL && p->places[i].az != NULL && strcmp(az, p->places[i].az) == 0)
			return p->places[i].az_index;
		next = (uint8_t)MAX(next, p->places[i].az_index + 1);
	}
	return next;
}

static bool add_place(struct snapshot *s, struct pool *p, const struct addr *addr, const char *az, struct snapshot *previous)
{
	struct upstream *u = find_upstream(previous, p->name, addr);

	if (u == NULL)
		u = upstream_new(addr, s->upstream_ids++);
	if (u == NULL)
		return false;
	p->places[p->count] = (struct pool_place){.upstream = u, .az = az, .az_index = number_az(p, az)};
	if (p->prefer_az < 0 && az != NULL && p->az_wanted != NULL && strcmp(az, p->az_wanted) == 0)
		p->prefer_az = p->places[p->count].az_index;
	p->count++;
	return true;
}

static void inherit(struct pool *p, const struct snapshot *previous)
{
	p->hedge_tokens_pm = POOL_HEDGE_BUCKET * 1000;
	for (size_t i = 0; previous != NULL && i < previous->pool_count; i++) {
		struct pool *old = &previous->pools[i];
		if (strcmp(old->name, p->name) != 0)
			continue;
		p->down = atomic_load(&old->down);
		p->silent = atomic_load(&old->silent);
		p->trial_us = atomic_load(&old->trial_us);
		p->outage = atomic_load(&old->outage);
		p->outages = atomic_load(&old->outages);
		p->open_since_us = atomic_load(&old->open_since_us);
		p->hedge_tokens_pm = atomic_load(&old->hedge_tokens_pm);
		p->spilled = atomic_load(&old->spilled);
		p->loop.until_us = atomic_load(&old->loop.until_us);
		p->loop.client[0] = atomic_load(&old->loop.client[0]);
		p->loop.client[1] = atomic_load(&old->loop.client[1]);
	}
}

static const struct policy *const policies[POLICY_KINDS] = {
#define POLICY(value, name, unit, help) [POLICY_##value] = &policy_##unit,
#include "tables/policies.def"
#undef POLICY
};

static bool compile_pool(struct snapshot *s, struct pool *p, const struct config_endpoint *e, struct snapshot *previous)
{
	const struct config_endpoint_options *o = &e->options;

	p->name = e->name;
	p->policy = policies[o->policy];
	p->rules = (struct health_rules){.fall = e->probe.fall, .rise = e->probe.rise};
	p->max_qps = o->max_qps;
	p->source_ports = o->source_ports;
	p->probe_interval_us = e->probe.interval_us;
	p->hedge_us = o->hedge_us;
	p->hedge_budget_pm = o->hedge_budget_pm;
	p->az_wanted = o->prefer_az;
	p->prefer_az = -1;
	p->case_randomization = o->case_randomization;
	p->local = e->kind == ENDPOINT_LOCAL;
	p->inbound = e->kind == ENDPOINT_INBOUND;
	p->tcp = o->transport == TRANSPORT_TCP;
	inherit(p, previous);
	for (size_t i = 0; i < e->count; i++)
		if (!add_place(s, p, &e->addresses[i].addr, e->addresses[i].az, previous))
			return false;
	for (size_t i = 0; p->local && s->config->local_from_resolv && i < s->resolv.count; i++)
		if (!add_place(s, p, &s->resolv.servers[i], NULL, previous))
			return false;
	return true;
}

static bool compile_pools(struct snapshot *s, struct snapshot *previous)
{
	s->pools = calloc(s->config->endpoint_count, sizeof(*s->pools));
	if (s->pools == NULL)
		return false;
	for (; s->pool_count < s->config->endpoint_count; s->pool_count++)
		if (!compile_pool(s, &s->pools[s->pool_count], &s->config->endpoints[s->pool_count], previous)) {
			s->pool_count++; /* so that what it holds is given back */
			return false;
		}
	return true;
}

/* ---- routes and zones */

static const struct hash_key nobody; /* identities are on disk, too: they must not depend on this process */

static uint32_t identify(const struct snapshot_route *r)
{
	uint64_t h = 0;

	for (int i = 0; i < r->count; i++) {
		uint64_t parts[2] = {h, hash_bytes(&nobody, r->pools[i]->name, strlen(r->pools[i]->name))};
		h = hash_bytes(&nobody, parts, sizeof(parts));
	}
	return (uint32_t)h;
}

static uint32_t identify_zone(const struct snapshot_route *r, const struct config_zone *zone)
{
	if (zone == NULL || zone->guard != GUARD_ENFORCE)
		return r->identity;
	const struct config_expect *x = zone->expect;
	uint64_t networks = x->count > 0 ? hash_bytes(&nobody, x->networks, x->count * sizeof(*x->networks)) : 0;
	uint64_t parts[3] = {r->identity, x->is_private, networks};
	return (uint32_t)hash_bytes(&nobody, parts, sizeof(parts));
}

static bool same_pools(const struct snapshot_route *r, const struct snapshot *s, const uint16_t *to, uint8_t count)
{
	if (r->count != count)
		return false;
	for (int i = 0; i < count; i++)
		if (r->pools[i] != &s->pools[to[i]])
			return false;
	return true;
}

/* Finds or adds; few zones.conf have more than a handful of different `to:`. -1 without memory. */
static int route_of(struct snapshot *s, const uint16_t *to, uint8_t count)
{
	ASSERT(count > 0);
	for (size_t i = s->route_count; i-- > 0;)
		if (same_pools(&s->routes[i], s, to, count))
			return (int)i;
	struct snapshot_route *grown = realloc(s->routes, (s->route_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return -1;
	s->routes = grown;
	struct snapshot_route *r = &grown[s->route_count];
	*r = (struct snapshot_route){.count = count};
	for (int i = 0; i < count; i++)
		r->pools[i] = &s->pools[to[i]];
	r->local = r->pools[0]->local;
	r->identity = identify(r);
	return (int)s->route_count++;
}

static bool add_zone(struct snapshot *s, const struct name *name, struct snapshot_zone zone)
{
	int error = name == NULL ? 0 : route_table_add(s->table, name, (int)s->zone_count);

	ASSERT(error != -EEXIST); /* config has refused duplicates, and zones with special names */
	if (error != 0)
		return false;
	s->zones[s->zone_count++] = zone;
	return true;
}

static void count_at_its_pools(const struct snapshot *s, const struct snapshot_zone *z)
{
	const struct snapshot_route *r = &s->routes[z->route];

	for (int i = 0; z->special == SPECIAL_NONE && i < r->count; i++)
		r->pools[i]->zones++;
}

static bool compile_zones(struct snapshot *s)
{
	const struct config *c = s->config;
	size_t most = c->zone_count + ARRAY_SIZE(specials) + 1;

	s->zones = calloc(most, sizeof(*s->zones));
	s->table = route_table_new(most);
	if (s->zones == NULL || s->table == NULL || route_of(s, (const uint16_t[]){0}, 1) != 0)
		return false;
	for (size_t i = 0; i < c->zone_count; i++) {
		int route = route_of(s, c->zones[i].to, c->zones[i].to_count);
		if (route < 0 || !add_zone(s, &c->zones[i].name, (struct snapshot_zone){.route = (uint32_t)route, .config = &c->zones[i]}))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++) {
		struct name n;
		ASSERT(text_read_name(&n, specials[i].name) == 0);
		int routed = route_find(s->table, &n);
		if (routed != ROUTE_NONE && name_equal(&s->zones[routed].config->name, &n))
			continue; /* the reverse of 127.0.0.0/8 may be routed */
		if (!add_zone(s, &n, (struct snapshot_zone){.special = specials[i].special}))
			return false;
	}
	if (!add_zone(s, NULL, (struct snapshot_zone){.route = 0}))
		return false;
	for (size_t i = 0; i < s->zone_count; i++) {
		s->zones[i].identity = identify_zone(&s->routes[s->zones[i].route], s->zones[i].config);
		count_at_its_pools(s, &s->zones[i]);
	}
	return true;
}

/* ---- what was learned of zones */

/* The zone of the same name in `previous`, or -1. */
static int find_zone(const struct snapshot *previous, const struct snapshot *s, size_t zone)
{
	const struct config_zone *c = s->zones[zone].config;

	if (c == NULL) /* of those without a name of the user's the last one alone is worth remembering */
		return zone + 1 == s->zone_count ? (int)previous->zone_count - 1 : -1;
	int found = route_find(previous->table, &c->name);
	const struct config_zone *old = found == ROUTE_NONE ? NULL : previous->zones[found].config;
	return old != NULL && name_equal(&old->name, &c->name) ? found : -1;
}

bool snapshot_checks_association(const struct snapshot *s, size_t zone, const struct pool *pool)
{
	const struct config_zone *c = s->zones[zone].config;

	return c != NULL && c->association && pool->inbound;
}

static void inherit_learned(struct snapshot *s, size_t zone, const struct snapshot *previous, size_t before)
{
	const struct snapshot_route *r = &s->routes[s->zones[zone].route], *old_r = &previous->routes[previous->zones[before].route];
	struct snapshot_learned *to = &s->learned[zone], *from = &previous->learned[before];

	to->queries_before = snapshot_zone_queries(previous, before);
	to->violations = atomic_load(&from->violations);
	for (int i = 0; i < r->count; i++)
		for (int k = 0; k < old_r->count; k++) {
			if (strcmp(r->pools[i]->name, old_r->pools[k]->name) != 0)
				continue;
			to->violated_s[i] = atomic_load(&from->violated_s[k]);
			if (!snapshot_checks_association(s, zone, r->pools[i]))
				continue; /* what nobody looks at any more is not known any more */
			to->heard_s[i] = from->heard_s[k];
			to->association[i] = atomic_load(&from->association[k]);
		}
}

static bool take_learned(struct snapshot *s, const struct snapshot *previous)
{
	s->learned = calloc(s->zone_count, sizeof(*s->learned));
	if (s->learned == NULL)
		return false;
	for (size_t i = 0; previous != NULL && i < s->zone_count; i++) {
		int before = find_zone(previous, s, i);
		if (before >= 0)
			inherit_learned(s, i, previous, (size_t)before);
	}
	return true;
}

_Atomic uint64_t *snapshot_query_counters(struct snapshot *s, uint32_t thread)
{
	_Atomic uint64_t *counters = atomic_load(&s->queries[thread]);

	/* Large blocks of zeros take memory as they are written: one with 100,000 zones costs what is asked for. */
	if (counters == NULL) {
		counters = calloc(s->zone_count, sizeof(*counters));
		atomic_store(&s->queries[thread], counters);
	}
	return counters;
}

uint64_t snapshot_zone_queries(const struct snapshot *s, size_t zone)
{
	uint64_t sum = s->learned[zone].queries_before;

	for (int i = 0; i < POOL_MAX_THREADS; i++) {
		_Atomic uint64_t *counters = atomic_load_explicit(&s->queries[i], memory_order_acquire);
		if (counters != NULL)
			sum += atomic_load_explicit(&counters[zone], memory_order_relaxed);
	}
	return sum;
}

enum snapshot_association snapshot_zone_association(const struct snapshot *s, size_t zone)
{
	const struct snapshot_zone *z = &s->zones[zone];
	enum snapshot_association worst = ASSOCIATION_UNKNOWN;

	for (int i = 0; z->config != NULL && z->config->association && i < s->routes[z->route].count; i++) {
		enum snapshot_association here = atomic_load_explicit(&s->learned[zone].association[i], memory_order_relaxed);
		worst = MAX(worst, here);
	}
	return worst;
}

int snapshot_route_place(const struct snapshot_route *r, const struct pool *pool)
{
	for (int i = 0; i < r->count; i++)
		if (r->pools[i] == pool)
			return i;
	return -1;
}

bool snapshot_violation(struct snapshot *s, size_t zone, const struct pool *pool, uint32_t now_s)
{
	int place = snapshot_route_place(&s->routes[s->zones[zone].route], pool);

	ASSERT(place >= 0);
	atomic_fetch_add_explicit(&s->learned[zone].violations, 1, memory_order_relaxed);
	/* Of threads that see it at once, one is given the time before. */
	uint32_t before_s = atomic_exchange_explicit(&s->learned[zone].violated_s[place], MAX(now_s, 1u), memory_order_relaxed);
	return before_s == 0 || now_s - before_s >= SNAPSHOT_VIOLATION_NEWS_S;
}

/* ---- cache */

static bool move_entry(void *cache, const struct cache_entry *entry)
{
	cache_restore(cache, entry);
	return true;
}

static bool take_cache(struct snapshot *s, const struct snapshot *previous)
{
	const struct config_cache *c = &s->config->cache;

	s->cache_rules = (struct cache_rules){
		.min_ttl_s = us_to_s(c->min_ttl_us),
		.max_ttl_s = us_to_s(c->max_ttl_us),
		.negative_max_ttl_s = us_to_s(c->negative_max_ttl_us),
		.prefetch_pm = c->prefetch_pm,
		.serve_stale_s = us_to_s(c->serve_stale_us),
	};
	if (previous != NULL && previous->config->cache.size_bytes == c->size_bytes) {
		s->cache = cache_ref(previous->cache);
	} else {
		s->cache = cache_new(c->size_bytes);
		if (s->cache != NULL && previous != NULL)
			cache_each(previous->cache, move_entry, s->cache);
	}
	return s->cache != NULL;
}

/* Who is above the limit stays so over a reload. */
static bool take_limiter(struct snapshot *s, struct snapshot *previous)
{
	if (allow_init(&s->rate_exempt, s->config->rate_exempt, s->config->rate_exempt_count) != 0)
		return false;
	if (s->config->rate_limit.qps == 0)
		return true;
	s->limiter = previous != NULL && previous->limiter != NULL ? limiter_ref(previous->limiter) : limiter_new();
	return s->limiter != NULL;
}

static struct snapshot *compile(struct config *config, _Atomic uint32_t *config_refs, const struct resolv *resolv,
				struct snapshot *previous)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->refs = 1;
	s->config = config;
	s->config_refs = config_refs;
	atomic_fetch_add(config_refs, 1);
	if (previous != NULL)
		s->upstream_ids = previous->upstream_ids;
	if (resolv != NULL)
		s->resolv = *resolv;
	if (compile_pools(s, previous) && compile_zones(s) && take_learned(s, previous) && take_cache(s, previous) &&
	    take_limiter(s, previous) &&
	    allow_init(&s->allow, config->allow_from, config->allow_from_count) == 0)
		return s;
	snapshot_unref(s);
	return NULL;
}

static void give_config_back(struct config *config, _Atomic uint32_t *refs)
{
	if (atomic_fetch_sub(refs, 1) != 1)
		return;
	config_free(config);
	free(refs);
}

struct snapshot *snapshot_new(struct config *config, const struct resolv *resolv, struct snapshot *previous)
{
	_Atomic uint32_t *refs = malloc(sizeof(*refs));

	if (refs == NULL) {
		config_free(config);
		return NULL;
	}
	atomic_init(refs, 1);
	struct snapshot *s = compile(config, refs, resolv, previous);
	give_config_back(config, refs);
	return s;
}

struct snapshot *snapshot_renew(struct snapshot *previous, const struct resolv *resolv)
{
	return compile(previous->config, previous->config_refs, resolv, previous);
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++)
			upstream_unref(s->pools[i].places[k].upstream);
	if (s->cache != NULL)
		cache_unref(s->cache);
	route_table_free(s->table);
	allow_deinit(&s->allow);
	allow_deinit(&s->rate_exempt);
	if (s->limiter != NULL)
		limiter_unref(s->limiter);
	for (int i = 0; i < POOL_MAX_THREADS; i++)
		free((void *)atomic_load(&s->queries[i]));
	free(s->learned);
	free(s->pools);
	free(s->routes);
	free(s->zones);
	give_config_back(s->config, s->config_refs);
	free(s);
}

struct pool *snapshot_route_pool(const struct snapshot_route *r, uint64_t now_us)
{
	struct pool *open = NULL;

	if (LIKELY(r->count == 1))
		return atomic_load_explicit(&r->pools[0]->down, memory_order_relaxed) ? NULL : r->pools[0];
	for (int i = 0; i < r->count; i++) {
		if (pool_is_steady(r->pools[i], now_us))
			return r->pools[i];
		if (open == NULL && !atomic_load_explicit(&r->pools[i]->down, memory_order_relaxed))
			open = r->pools[i];
	}
	return open;
}

struct pool *snapshot_route_unsure(const struct snapshot_route *r)
{
	for (int i = 0; i < r->count; i++)
		if (pool_is_unsure(r->pools[i]))
			return r->pools[i];
	return NULL;
}

struct pool *snapshot_route_own(const struct snapshot_route *r)
{
	for (int i = 0; i < r->count; i++)
		if (pool_is_own(r->pools[i]))
			return r->pools[i];
	return NULL;
}

uint16_t snapshot_route_outage(const struct snapshot_route *r)
{
	uint16_t sum = 0;

	for (int i = 0; i < r->count; i++)
		sum = (uint16_t)(sum + atomic_load_explicit(&r->pools[i]->outage, memory_order_relaxed));
	return sum;
}

static bool is_ip_of(const struct in6_addr *ip, const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? memcmp(ip, &a->in.sin_addr, sizeof(a->in.sin_addr)) == 0
					  : memcmp(ip, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
}

/* Of what a wildcard serves: every address of the loopback, and the one that the datagram was sent to. */
static bool is_own_ip(const struct addr *a, const struct in6_addr *sent_to)
{
	return addr_is_loopback(a) || (sent_to != NULL && is_ip_of(sent_to, a));
}

bool snapshot_is_ourselves(const struct snapshot *s, const struct addr *a, const struct in6_addr *sent_to)
{
	for (size_t i = 0; i < s->config->listen_count; i++) {
		const struct addr *own = &s->config->listen[i];
		if (addr_port(own) != addr_port(a))
			continue;
		bool same_family = own->sa.sa_family == a->sa.sa_family; /* our sockets are of one family each */
		if (addr_equal_ip(own, a) || (same_family && addr_is_any(own) && is_own_ip(a, sent_to)))
			return true;
	}
	return false;
}
