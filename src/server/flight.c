/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a flight: a query finds nothing fresh → attempt → answer → every waiting query is replied to → it has landed, and
 * lingers only while attempts of it are open: a late answer tells the RTT, none at all tells of health.
 * How it can fail: nobody answers by the deadline of 4 s, the endpoint is found down, all rcodes are bad, or the zone's guard lets
 * no answer pass: the stale answer if one is known, else the rcode, else the cut answer, else SERVFAIL with the reason. A failure
 * is remembered (RFC 9520): 5 s, an rcode 1 s at the least, and 30 s where a stale answer serves meanwhile (RFC 8767 section 5). */
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "server/forward_private.h"
#include "wire/answer_spell.h"

/* Whole seconds, the first of which has begun: at the least it is one less. RFC 9520 wants 1 s of an rcode, RFC 8767 30 s of the stale. */
enum { RETRY_AFTER_FAILURE_S = 5, RETRY_AFTER_STALE_S = 31, RETRY_AFTER_RCODE_S = 2 };

/* A hedge that the budget forbids is thought of again after this. */
enum { AGAIN_US = 10000, LEAST_NEXT_DELAY_US = 50000 };

/* An attempt makes room for another after this, while FORWARD_OPEN_ATTEMPTS are out: names that are slow to resolve are given time. One
 * at an address that has come into doubt does so at once when its own timeout is over, which is looked for this often. */
enum { GIVE_UP_US = 2000000, LOOK_AGAIN_US = 100000 };

static struct list *bucket(struct forward *f, uint64_t hash)
{
	return &f->table[hash % FLIGHT_BUCKETS];
}

static bool same_key(const struct cache_key *a, const struct cache_key *b)
{
	return a->hash == b->hash && a->route == b->route && a->type == b->type && a->bits == b->bits && name_equal(a->name, b->name);
}

struct flight *flight_find(struct forward *f, const struct cache_key *key)
{
	struct list *head = bucket(f, key->hash);

	LIST_FOR_EACH (link, head) {
		struct flight *fl = CONTAINER_OF(link, struct flight, chain);
		if (same_key(&fl->key, key))
			return fl;
	}
	return NULL;
}

static void copy_name(struct name *to, const struct name *from)
{
	to->len = from->len;
	to->labels = from->labels;
	memcpy(to->at, from->at, from->labels + 1u);
	memcpy(to->octets, from->octets, from->len);
}

/* One question more to `pool`. True if its zone is the one that asks most, and others may want to. */
static bool asks_most(struct lease *l, const struct snapshot_zone *zone, const struct pool *pool)
{
	struct share *s = &l->shares[pool - l->snapshot->pools];

	if (s->zone == zone)
		s->lead += s->lead < SHARE_LEAD_MAX;
	else if (s->lead > 0)
		s->lead--;
	else
		s->zone = zone;
	return pool->zones > 1 && s->zone == zone && s->lead >= SHARE_LEAD_MAX / 2;
}

struct flight *flight_new(struct forward *f, const struct snapshot_zone *zone, const struct cache_key *key, struct pool *pool,
			  uint64_t now_us)
{
	struct lease *lease = f->lease;
	size_t zone_number = (size_t)(zone - lease->snapshot->zones);

	if (lease->zone_flights[zone_number] >= FORWARD_FLIGHTS / 2 || f->waiting >= FORWARD_FLIGHTS)
		return NULL;
	struct flight *fl = slab_take(&f->flights);
	if (fl == NULL)
		return NULL;
	memset(fl, 0, offsetof(struct flight, name));
	copy_name(&fl->name, key->name);
	fl->key = *key;
	fl->key.name = &fl->name;
	fl->lease = lease;
	fl->zone = zone;
	fl->route = &lease->snapshot->routes[zone->route];
	fl->pool = pool;
	fl->began_us = now_us;
	fl->stale_at_us = now_us + lease->snapshot->config->cache.stale_after_us - FORWARD_SLACK_US;
	fl->deadline_us = now_us + FORWARD_DEADLINE_US - FORWARD_SLACK_US;
	fl->next_at_us = UINT64_MAX;
	fl->last_place = POOL_NONE;
	fl->outage = snapshot_route_outage(fl->route);
	fl->modest = asks_most(lease, zone, pool);
	list_init(&fl->queries);
	list_init(&fl->attempts);
	wheel_timer_init(&fl->timer);
	list_append(bucket(f, key->hash), &fl->chain);
	lease->flights++;
	lease->zone_flights[zone_number]++;
	f->waiting++;
	return fl;
}

void flight_land(struct forward *f, struct flight *fl)
{
	if (fl->landed)
		return;
	fl->landed = true;
	list_remove(&fl->chain);
	fl->lease->zone_flights[fl->zone - fl->lease->snapshot->zones]--;
	f->waiting--;
}

void flight_settle(struct forward *f, struct flight *fl, uint64_t now_us)
{
	ASSERT(fl->landed && list_empty(&fl->queries));
	if (!list_empty(&fl->attempts)) {
		flight_arm(f, fl, now_us);
		return;
	}
	wheel_disarm(&f->wheel, &fl->timer);
	free(fl->cut);
	struct lease *lease = fl->lease;
	slab_give(&f->flights, fl);
	lease_return(f, lease);
}

void flight_arm(struct forward *f, struct flight *fl, uint64_t now_us)
{
	uint64_t at = attempt_next_judgement_us(fl, now_us);

	if (!fl->landed) {
		at = MIN(at, fl->next_at_us);
		at = MIN(at, fl->deadline_us);
		if (!list_empty(&fl->queries))
			at = MIN(at, fl->stale_at_us);
	}
	wheel_arm(&f->wheel, &fl->timer, at);
}

uint8_t flight_pool_number(const struct flight *fl)
{
	return (uint8_t)snapshot_route_place(fl->route, fl->pool);
}

/* Who else of the route may be asked: the first that is open, else the first that may be all the same; NULL: nobody. */
static struct pool *find_next_pool(const struct flight *fl)
{
	struct pool *unsure = NULL;

	for (int i = 0; i < fl->route->count; i++) {
		struct pool *p = fl->route->pools[i];
		if (p == fl->pool || fl->left >> i & 1)
			continue;
		if (!atomic_load_explicit(&p->down, memory_order_relaxed))
			return p;
		if (unsure == NULL && pool_is_unsure(p))
			unsure = p;
	}
	return unsure;
}

bool flight_has_next_pool(const struct flight *fl)
{
	return find_next_pool(fl) != NULL;
}

bool flight_move(struct forward *f, struct flight *fl, uint64_t now_us)
{
	struct pool *next = find_next_pool(fl);

	if (next == NULL)
		return false;
	fl->left |= (uint8_t)(1u << flight_pool_number(fl));
	/* What is still out there must not take the places of the next endpoint's attempts. */
	LIST_FOR_EACH (link, &fl->attempts)
		attempt_give_up(f, CONTAINER_OF(link, struct attempt, link));
	fl->pool = next;
	fl->tried = fl->tried_twice = fl->silent = fl->unreachable = fl->broken = fl->blamed = fl->blocked = fl->plain = 0;
	fl->rcode_retries = 0;
	fl->delay_us = 0;
	fl->doubted = false;
	if (!attempt_next(f, fl, false, now_us))
		return false;
	flight_arm(f, fl, now_us);
	return true;
}

bool flight_blocks(struct forward *f, struct flight *fl, const struct pool *p, uint64_t now_us)
{
	const struct config_zone *zone = fl->zone->config;
	struct snapshot *s = fl->lease->snapshot;
	struct addr seen;

	if (LIKELY(zone == NULL || zone->guard == GUARD_OFF))
		return false;
	const struct guard_expect expect = {zone->expect->is_private, zone->expect->networks, zone->expect->count};
	if (LIKELY(guard_accepts(&expect, &f->answer, &seen)))
		return false;
	metrics_add(f->world.metrics, METRIC_GUARD_VIOLATIONS, 1);
	if (snapshot_violation(s, (size_t)(fl->zone - s->zones), p, (uint32_t)(now_us / US_PER_S)))
		f->world.violated(f->world.arg, fl->zone, p, &seen);
	if (zone->guard != GUARD_ENFORCE)
		return false;
	fl->blocked_by = seen;
	fl->blocked_from = p;
	return true;
}

static bool was_blocked(const struct flight *fl)
{
	return fl->blocked_from != NULL;
}

/* The same rcode from all who gave one, if nobody failed otherwise. Those of EDNS (BADVERS, BADCOOKIE) are about this hop. */
static uint16_t agreed_rcode(const struct flight *fl)
{
	int rcode = -1;

	if (fl->silent != 0 || fl->unreachable != 0 || fl->broken == 0 || was_blocked(fl))
		return DNS_SERVFAIL;
	for (int i = 0; i < fl->pool->count; i++) {
		if (!(fl->broken >> i & 1))
			continue;
		if (rcode >= 0 && rcode != fl->rcodes[i])
			return DNS_SERVFAIL;
		rcode = fl->rcodes[i];
	}
	return rcode > DNS_RCODE ? DNS_SERVFAIL : (uint16_t)rcode;
}

bool flight_is_starved(const struct flight *fl)
{
	return fl->starved && (fl->silent | fl->unreachable | fl->broken) == 0 && !was_blocked(fl);
}

/* Of those that were asked nobody answered, and of each the network says why. */
static bool is_out_of_reach(const struct flight *fl)
{
	return fl->unreachable != 0 && fl->broken == 0 && (fl->tried & ~fl->unreachable) == 0;
}

static void remember_failure(struct forward *f, struct flight *fl, uint16_t rcode, bool stale_known, uint64_t now_us)
{
	uint32_t now_s = (uint32_t)(now_us / US_PER_S);
	uint32_t wait_s = stale_known			       ? RETRY_AFTER_STALE_S
			  : fl->broken != 0 || was_blocked(fl) ? RETRY_AFTER_RCODE_S
							       : RETRY_AFTER_FAILURE_S;

	if (fl->above_rate || flight_is_starved(fl))
		return; /* not the name's fault */
	if (was_blocked(fl))
		rcode = FORWARD_FAILED_BLOCKED;
	else if (fl->broken == 0)
		rcode = is_out_of_reach(fl) ? FORWARD_FAILED_UNREACHABLE : FORWARD_FAILED_SILENT;
	cache_put_failure(f->lease->snapshot->cache, &fl->key, rcode, now_s, now_s + wait_s, fl->outage);
}

/* The answer with TC whose whole could not be had: the client may try for itself. */
static bool land_cut(struct forward *f, struct flight *fl, uint64_t now_us)
{
	if (fl->cut == NULL || answer_read(&f->answer, fl->cut, fl->cut_len) != ANSWER_OK || flight_blocks(f, fl, fl->pool, now_us))
		return false;
	(void)answer_spell_lower(&f->answer, fl->cut);
	landing_answer(f, fl, now_us);
	return true;
}

/* Tells those who still wait why. */
static void land_failed(struct forward *f, struct flight *fl, uint16_t rcode)
{
	char text[LANDING_TEXT_MAX];

	if (was_blocked(fl)) {
		landing_describe_blocked(fl, text, sizeof(text));
		landing_failure(f, fl, DNS_SERVFAIL, DNS_EDE_BLOCKED, text);
		return;
	}
	if (flight_is_starved(fl)) {
		metrics_add(f->world.metrics, METRIC_SHED, fl->query_count);
		landing_failure(f, fl, DNS_SERVFAIL, DNS_EDE_OTHER,
				fl->crowded ? "as many questions are open as may be" : "no descriptor, port or memory is left to ask with");
		return;
	}
	landing_describe(fl, text, sizeof(text));
	landing_failure(f, fl, rcode,
			is_out_of_reach(fl) ? DNS_EDE_NETWORK_ERROR
			: fl->broken != 0   ? DNS_EDE_OTHER
					    : DNS_EDE_NO_REACHABLE_AUTHORITY,
			text);
}

void flight_fail(struct forward *f, struct flight *fl, uint64_t now_us)
{
	uint16_t rcode = agreed_rcode(fl);
	uint16_t clients = fl->query_count;
	bool cut = false;
	struct cache_hit hit;

	bool stale_known = cache_peek(f->lease->snapshot->cache, &fl->key, &f->lease->snapshot->cache_rules, (uint32_t)(now_us / US_PER_S),
				      &hit) == CACHE_STALE;
	if (landing_stale(f, fl, now_us) > 0) {
		cut = land_cut(f, fl, now_us);
		if (!cut)
			land_failed(f, fl, rcode);
	}
	if (!cut && (clients > 0 || stale_known)) /* a cut answer is better than the memory of a failure */
		remember_failure(f, fl, rcode, stale_known, now_us);
	flight_land(f, fl);
	flight_settle(f, fl, now_us);
}

/* Nobody has answered for longer than their timeouts: is it the name, or the path? Ask the prober, once. */
static void doubt(struct forward *f, struct flight *fl, uint64_t now_us)
{
	uint32_t silent = fl->silent;

	if (fl->doubted)
		return;
	LIST_FOR_EACH (link, &fl->attempts) {
		struct attempt *a = CONTAINER_OF(link, struct attempt, link);
		if (attempt_pool(a) == fl->pool && now_us >= a->sent_us + rtt_timeout_us(&a->upstream->rtt))
			silent |= 1u << a->place;
	}
	if (silent == 0 || __builtin_popcount(silent) < MIN(2, __builtin_popcount(pool_usable(fl->pool))))
		return;
	fl->doubted = true;
	f->world.doubt(f->world.arg, fl->pool);
}

/* Its timeout is over, and it has answered nothing else meanwhile. */
static bool looks_dead(const struct attempt *a, uint64_t now_us)
{
	return now_us >= a->sent_us + rtt_timeout_us(&a->upstream->rtt) &&
	       atomic_load_explicit(&a->upstream->health.last_answer_us, memory_order_relaxed) < a->sent_us;
}

/* Nothing is lost with it: its address is in doubt, or looks dead while others have not been asked at all. */
static bool is_hopeless(const struct attempt *a, uint64_t now_us)
{
	bool in_doubt = health_state(&a->upstream->health) != HEALTH_UP && now_us >= a->sent_us + rtt_timeout_us(&a->upstream->rtt);

	return a->hinted || in_doubt || (looks_dead(a, now_us) && !attempt_all_were_asked(a->flight));
}

/* The open attempts stand in the order in which they were sent. */
static struct attempt *oldest(const struct flight *fl)
{
	return CONTAINER_OF(fl->attempts.next, struct attempt, link);
}

/* When the next of the open attempts is given up on by its own timeout. */
static uint64_t next_timeout_us(const struct flight *fl, uint64_t now_us)
{
	uint64_t at = UINT64_MAX;

	LIST_FOR_EACH (link, &fl->attempts) {
		const struct attempt *a = CONTAINER_OF(link, struct attempt, link);
		uint64_t timeout_us = a->sent_us + rtt_timeout_us(&a->upstream->rtt);
		if (timeout_us > now_us)
			at = MIN(at, timeout_us);
	}
	return at;
}

/* Who makes room for another attempt; NULL: nobody yet. */
static struct attempt *find_victim(const struct flight *fl, uint64_t now_us)
{
	LIST_FOR_EACH (link, &fl->attempts) {
		struct attempt *a = CONTAINER_OF(link, struct attempt, link);
		if (is_hopeless(a, now_us))
			return a;
	}
	return now_us >= oldest(fl)->sent_us + GIVE_UP_US ? oldest(fl) : NULL;
}

/* Nothing has come from whoever was asked, to this question or another: no slow name, then, but datagrams that were lost. An endpoint's
 * prober tells the path from the name, and soon; servers of one's own need not answer probes. */
static bool all_look_dead(const struct flight *fl, uint64_t now_us)
{
	if (fl->pool->inbound || list_empty(&fl->attempts))
		return false;
	LIST_FOR_EACH (link, &fl->attempts)
		if (!looks_dead(CONTAINER_OF(link, struct attempt, link), now_us))
			return false;
	return true;
}

/* Each may be asked once more, after longer and longer. */
static void begin_round(struct flight *fl, uint64_t now_us)
{
	fl->tried_twice = 0;
	fl->delay_us = MAX(2 * fl->delay_us, LEAST_NEXT_DELAY_US);
	fl->next_at_us = now_us + fl->delay_us;
}

/* What follows is a retry, not a hedge: the last attempt was at an address in doubt, or its own timeout is over. */
static bool is_retry(const struct flight *fl, uint64_t now_us)
{
	if (list_empty(&fl->attempts) || pool_is_doubtful(fl->pool, fl->last_place))
		return true;
	const struct attempt *last = CONTAINER_OF(fl->attempts.prev, struct attempt, link);
	return now_us >= last->sent_us + rtt_timeout_us(&last->upstream->rtt);
}

/* Time for another address, if budget and bounds allow. */
static void try_again(struct forward *f, struct flight *fl, uint64_t now_us)
{
	bool full = fl->open >= FORWARD_OPEN_ATTEMPTS;
	struct attempt *victim = full ? find_victim(fl, now_us) : NULL;
	bool retry = is_retry(fl, now_us), dead = all_look_dead(fl, now_us);

	if (dead && (pool_usable(fl->pool) & ~fl->tried_twice) == 0) {
		begin_round(fl, now_us);
		return;
	}
	if (full && victim == NULL && dead)
		victim = CONTAINER_OF(fl->attempts.prev, struct attempt, link); /* the latest: those before may yet be answered */
	if (full && victim == NULL) {
		fl->next_at_us = MIN(now_us + LOOK_AGAIN_US, MIN(oldest(fl)->sent_us + GIVE_UP_US, next_timeout_us(fl, now_us)));
		return;
	}
	if (!retry && !(fl->pool->hedge_us != 0 && pool_spend_hedge(fl->pool))) {
		fl->next_at_us = now_us + AGAIN_US;
		return;
	}
	if (full)
		attempt_give_up(f, victim);
	uint64_t delay = fl->delay_us;
	if (!attempt_next(f, fl, false, now_us)) {
		fl->next_at_us = next_timeout_us(fl, now_us); /* all were asked twice: wait for what is out */
		return;
	}
	if (!retry)
		upstream_count(fl->pool->places[fl->last_place].upstream, f->world.thread, UPSTREAM_HEDGES);
	if (fl->pool->hedge_us != 0) {
		fl->delay_us = MAX(2 * delay, LEAST_NEXT_DELAY_US);
		fl->next_at_us = now_us + fl->delay_us;
	}
	if (!attempt_all_were_asked(fl)) /* several have died at once: whose timeout ends is replaced without further delay */
		fl->next_at_us = MIN(fl->next_at_us, next_timeout_us(fl, now_us));
}

void flight_due(struct forward *f, struct flight *fl, uint64_t now_us)
{
	attempt_judge_open(f, fl, now_us);
	if (fl->landed) {
		flight_settle(f, fl, now_us);
		return;
	}
	if (now_us >= fl->stale_at_us && !list_empty(&fl->queries)) {
		landing_stale(f, fl, now_us);
		fl->stale_at_us = list_empty(&fl->queries) ? fl->stale_at_us : UINT64_MAX;
	}
	doubt(f, fl, now_us);
	if (now_us >= fl->deadline_us) {
		flight_fail(f, fl, now_us);
		return;
	}
	if (now_us >= fl->next_at_us)
		try_again(f, fl, now_us);
	if (list_empty(&fl->attempts) && fl->next_at_us == UINT64_MAX)
		outcome_leave_pool(f, fl, now_us);
	else
		flight_arm(f, fl, now_us);
}
