/* SPDX-License-Identifier: Apache-2.0 */
/* The doors. Read forward_query first: it is the picture in docs/architecture.md, in the order of judgement of the contract's section 5. */
#include "server/forward_private.h"
#include "server/loopcheck.h"

#include <stdlib.h>
#include <string.h>

/* ---- birth and death */

static void free_lease(struct lease *l)
{
	free(l->zone_flights);
	free(l->shares);
	free(l);
}

static struct lease *take_lease(struct snapshot *s, uint32_t thread)
{
	struct lease *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->zone_flights = calloc(s->zone_count, sizeof(*l->zone_flights));
	l->shares = calloc(s->pool_count, sizeof(*l->shares));
	l->queries = snapshot_query_counters(s, thread);
	if (l->zone_flights == NULL || l->shares == NULL || l->queries == NULL) {
		free_lease(l);
		return NULL;
	}
	l->snapshot = snapshot_ref(s);
	return l;
}

static void end_lease(struct lease *l)
{
	snapshot_unref(l->snapshot);
	free_lease(l);
}

struct forward *forward_new(const struct forward_world *world, struct snapshot *snapshot, uint64_t now_us)
{
	struct forward *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->world = *world;
	f->lease = take_lease(snapshot, world->thread);
	f->scratch = malloc(DNS_MESSAGE_MAX);
	f->wide = malloc(DNS_MESSAGE_MAX);
	wheel_init(&f->wheel, now_us);
	/* Those that have landed linger for up to a second: they must not take the room of the unanswered. */
	slab_init(&f->flights, sizeof(struct flight), 2 * FORWARD_FLIGHTS);
	slab_init(&f->queries, sizeof(struct query), FORWARD_QUERIES);
	slab_init(&f->attempts, sizeof(struct attempt), 2 * FORWARD_ATTEMPTS);
	for (int i = 0; i < FLIGHT_BUCKETS; i++)
		list_init(&f->table[i]);
	if (f->lease == NULL || f->scratch == NULL || f->wide == NULL) {
		forward_free(f);
		return NULL;
	}
	f->world.env->events = (struct transport_events){
		.answered = outcome_answered, .failed = outcome_failed, .hint = outcome_hint, .readable = outcome_readable, .arg = f};
	return f;
}

static void close_transports(struct forward *f, struct forward_transport *t)
{
	for (int k = 0; k < TRANSPORT_KINDS; k++)
		if (t->by_kind[k] != NULL)
			t->by_kind[k]->ops->close(t->by_kind[k]);
	if (t->upstream != NULL)
		upstream_unref(t->upstream);
	memset(t, 0, sizeof(*t));
	f->dirty_count = 0; /* only called between turns, when all is flushed */
}

void forward_free(struct forward *f)
{
	for (int i = 0; i < FLIGHT_BUCKETS; i++)
		LIST_FOR_EACH(link, &f->table[i]) {
			struct flight *fl = CONTAINER_OF(link, struct flight, chain);
			landing_failure(f, fl, DNS_SERVFAIL, DNS_EDE_OTHER, "shutting down");
			attempt_cancel_all(f, fl);
		}
	/* What lingers after landing hangs in the wheel alone. */
	for (struct wheel_timer *t; (t = wheel_take(&f->wheel, UINT64_MAX)) != NULL;) {
		struct flight *fl = CONTAINER_OF(t, struct flight, timer);
		attempt_cancel_all(f, fl);
		free(fl->cut);
	}
	for (uint32_t i = 0; i < f->transport_count; i++)
		close_transports(f, &f->transports[i]);
	for (struct lease *l = f->old_leases, *next; l != NULL; l = next) {
		next = l->next;
		end_lease(l);
	}
	if (f->lease != NULL)
		end_lease(f->lease);
	slab_deinit(&f->flights);
	slab_deinit(&f->queries);
	slab_deinit(&f->attempts);
	free(f->transports);
	free(f->dirty);
	free(f->scratch);
	free(f->wide);
	free(f);
}

/* ---- query */

static void count_drop(struct forward *f, const struct reply_to *to, enum metric why)
{
	metrics_add(f->world.metrics, why, 1);
	f->world.replies.drop(to);
}

/* What cannot be read is answered by its rcode. True if the query is done with. */
static bool judge_form(struct forward *f, const struct client *c, enum question_verdict v)
{
	static const uint16_t rcodes[] = {
		[QUESTION_NOTIMP] = DNS_NOTIMP, [QUESTION_FORMERR] = DNS_FORMERR, [QUESTION_BADVERS] = DNS_BADVERS};

	if (LIKELY(v == QUESTION_OK))
		return false;
	landing_error(f, c, rcodes[v], DNS_EDE_NONE, NULL);
	return true;
}

/* Classes and types that are no ordinary look-up. True if the query is done with. */
static bool judge_type(struct forward *f, const struct client *c, const struct question *q)
{
	if (LIKELY(q->class == DNS_CLASS_IN && q->type < DNS_TYPE_TKEY && q->type != DNS_TYPE_OPT && q->type != 0))
		return false;
	if (q->class == DNS_CLASS_CH) {
		special_chaos(f, c, q);
		return true;
	}
	if (q->class == DNS_CLASS_IN && q->type == DNS_TYPE_ANY && !f->world.replies.is_stream(c->to)) {
		special_any(f, c);
		return true;
	}
	if (q->class == DNS_CLASS_IN && q->type >= DNS_TYPE_ANY)
		return false; /* unknown types travel as they are */
	/* AXFR, IXFR, other classes; and TKEY, TSIG, OPT, MAILA, MAILB, 0, which nobody can ask for. */
	landing_error(f, c, DNS_REFUSED, DNS_EDE_NONE, NULL);
	return true;
}

static bool wait_in(struct forward *f, struct flight *fl, const struct client *c)
{
	struct query *q = fl->query_count < FORWARD_QUERIES_PER_FLIGHT ? slab_take(&f->queries) : NULL;

	if (q == NULL)
		return false;
	q->to = *c->to;
	q->asker = *c->asker;
	q->asker.spelled = q->spelled;
	q->since_us = c->now_us;
	memcpy(q->spelled, c->asker->spelled, c->asker->name_len);
	list_append(&fl->queries, &q->link);
	fl->query_count++;
	return true;
}

/* Another worker may have renewed the answer meanwhile, or driven it out. */
static bool serve_stale(struct forward *f, const struct client *c, const struct cache_key *key, const char *why)
{
	struct cache_hit again;
	enum cache_result known = landing_from_cache(f, c, key, why, &again);

	return known == CACHE_STALE || known == CACHE_FRESH;
}

/* There is no room to wait in. */
static void shed(struct forward *f, const struct client *c, const struct cache_key *key, const char *why)
{
	if (serve_stale(f, c, key, "there is no room to wait in; this was the last answer"))
		return;
	metrics_add(f->world.metrics, METRIC_SHED, 1);
	landing_error(f, c, DNS_SERVFAIL, DNS_EDE_OTHER, why);
}

static void join(struct forward *f, struct flight *fl, const struct client *c)
{
	bool nobody_waited = list_empty(&fl->queries);

	if (!wait_in(f, fl, c)) {
		shed(f, c, &fl->key, "too many clients wait for this name");
		return;
	}
	metrics_add(f->world.metrics, METRIC_COALESCED, 1);
	if (c->now_us >= fl->stale_at_us)
		landing_stale(f, fl, c->now_us);
	else if (nobody_waited)
		flight_arm(f, fl, c->now_us); /* now there is somebody to serve stale */
}

static void depart(struct forward *f, struct flight *fl, uint64_t now_us)
{
	pool_earn_hedge(fl->pool);
	if (attempt_next(f, fl, false, now_us))
		flight_arm(f, fl, now_us);
	else if (fl->above_rate || !flight_move(f, fl, now_us))
		flight_fail(f, fl, now_us);
}

/* A question that the cache could not answer. */
struct miss {
	const struct snapshot_zone *zone;
	const struct snapshot_route *route;
	/* Looked up once, for the main thread may close it at any moment. */
	struct pool *pool; /* who may be asked; NULL: nobody */
	bool down;	   /* none is open: `pool` may answer all the same */
	struct cache_key key;
	enum cache_result known;
	struct cache_hit hit;
};

/* Nothing fresh is known: joins the flight of the same question, or starts one. */
static void go_upstream(struct forward *f, const struct client *c, const struct miss *m)
{
	struct flight *fl = flight_find(f, &m->key);

	if (fl != NULL) {
		join(f, fl, c);
		return;
	}
	fl = flight_new(f, m->zone, &m->key, m->pool, c->now_us);
	if (fl != NULL && wait_in(f, fl, c)) {
		depart(f, fl, c->now_us);
		return;
	}
	if (fl != NULL) {
		flight_land(f, fl);
		flight_settle(f, fl, c->now_us);
	}
	shed(f, c, &m->key, "too many questions are unanswered");
}

/* Every endpoint of the zone is known to be down, and nothing is known of the name. */
static void refuse_down(struct forward *f, const struct client *c, const struct snapshot_route *route)
{
	char text[LANDING_TEXT_MAX];

	if (route->pools[0]->count == 0) {
		landing_error(f, c, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, "no local upstream is known");
		return;
	}
	enum dns_ede ede = landing_describe_down(route, text, sizeof(text));
	landing_error(f, c, DNS_SERVFAIL, ede, text);
}

/* What failed a moment ago fails again, without asking. */
static void refuse_failed(struct forward *f, const struct client *c, const struct miss *m)
{
	uint16_t remembered = m->hit.rcode, rcode = forward_failed_rcode(remembered);
	char text[LANDING_TEXT_MAX];
	enum dns_ede ede = rcode == DNS_SERVFAIL ? DNS_EDE_CACHED_ERROR : DNS_EDE_OTHER; /* RFC 8914 section 4.14: of SERVFAIL only */

	if (remembered == FORWARD_FAILED_BLOCKED) {
		landing_blocked(f, c, m->zone);
		return;
	}
	if (remembered == FORWARD_FAILED_SILENT)
		ede = DNS_EDE_NO_REACHABLE_AUTHORITY;
	else if (remembered == FORWARD_FAILED_UNREACHABLE)
		ede = DNS_EDE_NETWORK_ERROR;
	landing_describe_failed(m->route, remembered, text, sizeof(text));
	landing_error(f, c, rcode, ede, text);
}

/* NULL: nobody can be asked. */
static struct pool *pool_to_ask(const struct snapshot_route *route, uint64_t now_us)
{
	return route->pools[0]->count == 0 ? NULL : snapshot_route_pool(route, now_us);
}

/* Asks `pool` without a client; NULL: nobody. */
static void refresh(struct forward *f, const struct snapshot_zone *zone, const struct cache_key *key, struct pool *pool, uint64_t now_us)
{
	if (pool == NULL || flight_find(f, key) != NULL)
		return;
	struct flight *fl = flight_new(f, zone, key, pool, now_us);
	if (fl == NULL)
		return;
	metrics_add(f->world.metrics, METRIC_PREFETCHES, 1);
	depart(f, fl, now_us);
}

/* What an expired or failed entry is worth now. True if the query was answered. */
static bool judge_known(struct forward *f, const struct client *c, const struct miss *m)
{
	const struct cache_hit *hit = &m->hit;
	bool failed_lately = hit->retry_at_s > c->now_us / US_PER_S && hit->outage == snapshot_route_outage(m->route);
	const char *why = m->down ? "no address answers; this was the last answer" :
				    "asked a moment ago without success; this was the last answer";

	if (m->known == CACHE_STALE && (m->down || failed_lately) && serve_stale(f, c, &m->key, why)) {
		if (!failed_lately && hit->refresh)
			refresh(f, m->zone, &m->key, m->pool != NULL ? m->pool : snapshot_route_own(m->route), c->now_us);
		return true;
	}
	if (m->pool == NULL) {
		refuse_down(f, c, m->route);
		return true;
	}
	if (m->known == CACHE_FAILED && failed_lately) {
		refuse_failed(f, c, m);
		return true;
	}
	return false;
}

/* A question of ours that came back. True if it was refused. */
static bool judge_loop(struct forward *f, const struct client *c, const struct miss *m)
{
	enum loopcheck_verdict v = loopcheck_meet(m->route, m->key.name, &c->to->client, c->now_us);

	if (LIKELY(v == LOOPCHECK_PASS) || (v == LOOPCHECK_SHARED && flight_find(f, &m->key) == NULL))
		return false;
	if (v == LOOPCHECK_FOUND)
		f->world.looped(f->world.arg, m->route, &c->to->client);
	metrics_add(f->world.metrics, METRIC_LOOPS, 1);
	landing_error(f, c, DNS_REFUSED, DNS_EDE_OTHER, "a loop: what we ask for this zone comes back to us");
	return true;
}

static void make_key(const struct forward *f, struct cache_key *key, const struct snapshot_zone *zone, const struct question *q)
{
	*key = (struct cache_key){.name = &q->name, .route = zone->identity, .type = q->type};
	if (f->lease->snapshot->routes[zone->route].local)
		key->bits = (uint8_t)((q->edns.dnssec_ok ? CACHE_KEY_DO : 0) | (q->flags & DNS_CD ? CACHE_KEY_CD : 0));
	cache_key_hash(f->lease->snapshot->cache, key);
}

static void count_query(struct lease *l, const struct snapshot_zone *zone)
{
	_Atomic uint64_t *n = &l->queries[zone - l->snapshot->zones];

	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* All of the route's are down: who is asked all the same, with a client waiting; NULL: nobody. */
static struct pool *pool_to_try(const struct miss *m, uint64_t now_us)
{
	struct pool *unsure = snapshot_route_unsure(m->route);

	for (int i = 0; i < m->route->count && unsure == NULL && m->known == CACHE_MISS; i++)
		if (pool_take_trial(m->route->pools[i], now_us))
			unsure = m->route->pools[i];
	return unsure;
}

static void look_up(struct forward *f, const struct client *c, const struct question *q)
{
	const struct snapshot *s = f->lease->snapshot;
	const struct snapshot_zone *zone = snapshot_find_zone(s, &q->name);
	struct miss m = {.zone = zone, .route = &s->routes[zone->route]};

	count_query(f->lease, zone);
	if (UNLIKELY(zone->special != SPECIAL_NONE) && special_reply(f, c, zone, q))
		return;
	make_key(f, &m.key, zone, q);
	m.known = landing_from_cache(f, c, &m.key, NULL, &m.hit);
	if (LIKELY(m.known == CACHE_FRESH)) {
		metrics_add(f->world.metrics, METRIC_CACHE_HITS, 1);
		if (UNLIKELY(m.hit.refresh))
			refresh(f, zone, &m.key, pool_to_ask(m.route, c->now_us), c->now_us);
		return;
	}
	metrics_add(f->world.metrics, METRIC_CACHE_MISSES, 1);
	m.pool = pool_to_ask(m.route, c->now_us);
	m.down = m.pool == NULL;
	if (!(q->flags & DNS_RD)) {
		landing_error(f, c, DNS_REFUSED, DNS_EDE_OTHER, "recursion was not asked for");
		return;
	}
	if (judge_loop(f, c, &m))
		return;
	if (m.down)
		m.pool = pool_to_try(&m, c->now_us);
	if (!judge_known(f, c, &m))
		go_upstream(f, c, &m);
}

/* One client asks too much, over UDP. True if the query is done with: dropped or, now and then, told to come over TCP. Strangers would be
 * refused there as well, and what cannot be read is answered with an error that is no shorter. */
static bool judge_rate(struct forward *f, const struct client *c, enum limiter_side side)
{
	const struct snapshot *s = f->lease->snapshot;
	const struct config_rate_limit *rules = &s->config->rate_limit;
	const struct addr *a = &c->to->client;

	if (allow_contains(&s->rate_exempt, a) || limiter_passes(s->limiter, side, a, rules->qps, c->now_us))
		return false;
	bool slip = rules->slip != 0 && side == LIMITER_CLIENTS && c->asker->has_question && ++f->limited % rules->slip == 0;
	if (!slip) {
		count_drop(f, c->to, METRIC_DROPPED_RATE_LIMIT);
		return true;
	}
	metrics_add(f->world.metrics, METRIC_SLIPPED, 1);
	landing_slip(f, c);
	return true;
}

void forward_query(struct forward *f, const struct reply_to *to, const uint8_t *packet, size_t len, uint64_t now_us)
{
	const struct snapshot *s = f->lease->snapshot;
	bool tcp = f->world.replies.is_stream(to);
	struct reply_asker asker;
	struct client client = {.to = to, .asker = &asker, .now_us = now_us};
	struct question q;

	metrics_add(f->world.metrics, tcp ? METRIC_QUERIES_TCP : METRIC_QUERIES_UDP, 1);
	if (UNLIKELY(question_glance(packet, len) == QUESTION_DROP)) {
		count_drop(f, to, len < DNS_HEADER_BYTES ? METRIC_DROPPED_SHORT : METRIC_DROPPED_RESPONSE);
		return;
	}
	if (UNLIKELY(!tcp && snapshot_is_ourselves(s, &to->client, to->udp.family != 0 ? &to->udp.local : NULL))) {
		count_drop(f, to, METRIC_DROPPED_OURSELVES);
		return;
	}
	enum question_verdict verdict = question_read(&q, packet, len);
	ASSERT(verdict != QUESTION_DROP);
	reply_asker_init(&asker, &q, tcp);
	asker.has_question = verdict == QUESTION_OK || verdict == QUESTION_BADVERS;
	bool stranger = !forward_allows(f, &to->client);
	if (UNLIKELY(s->limiter != NULL) && !tcp && judge_rate(f, &client, stranger ? LIMITER_STRANGERS : LIMITER_CLIENTS))
		return;
	if (UNLIKELY(stranger))
		landing_error(f, &client, DNS_REFUSED, DNS_EDE_PROHIBITED, "not in allow-from"); /* whatever a stranger asks */
	else if (!judge_form(f, &client, verdict) && !judge_type(f, &client, &q))
		look_up(f, &client, &q);
}

bool forward_allows(const struct forward *f, const struct addr *client)
{
	return allow_contains(&f->lease->snapshot->allow, client);
}

void forward_refresh(struct forward *f, const struct name *name, uint16_t type, uint64_t now_us)
{
	struct snapshot *s = f->lease->snapshot;
	const struct snapshot_zone *zone = snapshot_find_zone(s, name);
	struct cache_key key = {.name = name, .route = zone->identity, .type = type};

	if (zone->special != SPECIAL_NONE)
		return;
	cache_key_hash(s->cache, &key);
	refresh(f, zone, &key, pool_to_ask(&s->routes[zone->route], now_us), now_us);
}

/* ---- clock and messages */

void forward_clock(struct forward *f, uint64_t now_us)
{
	for (struct wheel_timer *t; (t = wheel_take(&f->wheel, now_us)) != NULL;)
		flight_due(f, CONTAINER_OF(t, struct flight, timer), now_us);
}

uint64_t forward_next_us(const struct forward *f)
{
	return wheel_next_us(&f->wheel);
}

uint32_t forward_waiting(const struct forward *f)
{
	return f->waiting;
}

static bool is_current(const struct snapshot *s, const struct upstream *u)
{
	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++)
			if (s->pools[i].places[k].upstream == u)
				return true;
	return false;
}

/* Upstreams that no snapshot in use knows lose their sockets. */
static void close_strangers(struct forward *f)
{
	if (LIKELY(!f->strangers) || f->old_leases != NULL || f->dirty_count > 0)
		return;
	f->strangers = false;
	for (uint32_t i = 0; i < f->transport_count; i++)
		if (f->transports[i].upstream != NULL && !is_current(f->lease->snapshot, f->transports[i].upstream))
			close_transports(f, &f->transports[i]);
}

/* source-ports may be another number. */
static void share_ports(struct forward *f, const struct pool *p)
{
	for (int i = 0; i < p->count; i++) {
		uint32_t id = p->places[i].upstream->id;
		for (int k = 0; id < f->transport_count && k < TRANSPORT_KINDS; k++) {
			struct transport *t = f->transports[id].by_kind[k];
			if (t != NULL && t->ops->set_ports != NULL)
				t->ops->set_ports(t, pool_worker_ports(p, f->world.workers));
		}
	}
}

void lease_return(struct forward *f, struct lease *l)
{
	l->flights--;
	if (l == f->lease || l->flights > 0)
		return;
	for (struct lease **at = &f->old_leases; *at != NULL; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	end_lease(l);
}

void forward_adopt(struct forward *f, struct snapshot *s, uint64_t now_us)
{
	struct lease *l = take_lease(s, f->world.thread), *old = f->lease;

	(void)now_us;
	if (l == NULL)
		return; /* out of memory: the old one serves on */
	f->lease = l;
	f->strangers = true;
	for (size_t i = 0; i < s->pool_count; i++)
		share_ports(f, &s->pools[i]);
	if (old->flights == 0) {
		end_lease(old);
	} else {
		old->next = f->old_leases;
		f->old_leases = old;
	}
}

void forward_pool_closed(struct forward *f, const char *pool_name, uint64_t now_us)
{
	for (int i = 0; i < FLIGHT_BUCKETS; i++)
		LIST_FOR_EACH(link, &f->table[i]) {
			struct flight *fl = CONTAINER_OF(link, struct flight, chain);
			/* Those of one's own whose last one was drained may yet answer what is out. */
			bool sure = fl->pool->inbound || (atomic_load(&fl->pool->silent) && !pool_is_drained(fl->pool));
			if (strcmp(fl->pool->name, pool_name) != 0 || flight_move(f, fl, now_us))
				continue;
			/* What was out may have been given up for a next one that was not to be had. */
			if (sure || list_empty(&fl->attempts))
				flight_fail(f, fl, now_us);
			else
				landing_stale(f, fl, now_us); /* who knows: the others wait */
		}
}

void forward_flush(struct forward *f)
{
	for (uint32_t i = 0; i < f->dirty_count; i++)
		f->dirty[i]->ops->flush(f->dirty[i]);
	f->dirty_count = 0;
	close_strangers(f);
}
