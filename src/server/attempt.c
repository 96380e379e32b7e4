/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an attempt: pool_pick names the place → send → what comes of it (outcome.c), or judged silent after HEALTH_NEVER_US. What
 * it does is evidence for the address's health, weighed in core/health.h; here it is only told apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/forward_private.h"

struct pool *attempt_pool(const struct attempt *a)
{
	return a->flight->route->pools[a->pool_number];
}

/* Hash of name and type: the same for every pool and route. */
static uint64_t question_of(const struct flight *fl)
{
	return fl->key.hash;
}

void attempt_tell(struct forward *f, struct pool *p, struct upstream *u, enum health_change change)
{
	if (change != HEALTH_SAME)
		f->world.changed(f->world.arg, p, u, change);
}

bool attempt_is_evidence(const struct attempt *a)
{
	return !a->stream || attempt_pool(a)->tcp;
}

void attempt_end(struct forward *f, struct attempt *a)
{
	transport_cancel(&a->via);
	list_remove(&a->link);
	a->flight->open--;
	slab_give(&f->attempts, a);
}

/* ---- sending */

static bool grow_transports(struct forward *f, uint32_t id)
{
	uint32_t count = id + 8;
	struct forward_transport *grown;

	if (id < f->transport_count)
		return true;
	grown = realloc(f->transports, count * sizeof(*grown));
	if (grown == NULL)
		return false;
	memset(grown + f->transport_count, 0, (count - f->transport_count) * sizeof(*grown));
	f->transports = grown;
	f->transport_count = count;
	return true;
}

static struct transport *transport_of(struct forward *f, const struct pool *p, struct upstream *u, enum transport_kind kind)
{
	if (!grow_transports(f, u->id))
		return NULL;
	struct forward_transport *t = &f->transports[u->id];
	if (UNLIKELY(t->by_kind[kind] == NULL)) {
		if (t->upstream == NULL)
			t->upstream = upstream_ref(u);
		uint32_t ports = pool_worker_ports(p, f->world.workers);
		t->by_kind[kind] = f->world.transports[kind]->open(f->world.env, &u->addr, ports);
	}
	return t->by_kind[kind];
}

/* So that the turn's end sends it. */
static bool note_dirty(struct forward *f, struct transport *t)
{
	if (t->dirty)
		return true;
	if (f->dirty_count == f->dirty_room) {
		uint32_t room = MAX(16u, 2 * f->dirty_room);
		struct transport **grown = realloc(f->dirty, room * sizeof(struct transport *));
		if (grown == NULL)
			return false;
		f->dirty = grown;
		f->dirty_room = room;
	}
	f->dirty[f->dirty_count++] = t;
	return true;
}

static void compose(struct forward *f, const struct flight *fl, struct attempt *a, bool random_case, uint64_t now_us)
{
	struct upstream *u = a->upstream;
	struct question_upstream *q = &a->via.asked;

	*q = (struct question_upstream){.name = &fl->name, .type = fl->key.type, .class = DNS_CLASS_IN, .flags = DNS_RD};
	if (fl->route->local) {
		/* AD asks for AD without DO (RFC 6840 section 5.7); who did not ask for it is not given it. */
		q->flags |= (uint16_t)(DNS_AD | (fl->key.bits & CACHE_KEY_CD ? DNS_CD : 0));
		q->dnssec_ok = fl->key.bits & CACHE_KEY_DO;
	}
	q->edns = !(fl->plain >> a->place & 1) && upstream_takes_edns(u, now_us);
	if (random_case && !a->stream && fl->pool->case_randomization && !atomic_load_explicit(&u->case_off, memory_order_relaxed))
		q->case_bits = random_u64(f->world.random);
}

bool attempt_start(struct forward *f, struct flight *fl, int place, bool stream, bool random_case, uint64_t now_us)
{
	struct upstream *u = fl->pool->places[place].upstream;
	struct transport *t = transport_of(f, fl->pool, u, stream ? TRANSPORT_TCP : TRANSPORT_UDP);
	struct attempt *a = t == NULL ? NULL : slab_take(&f->attempts);

	if (a == NULL) {
		fl->starved = true;
		return false;
	}
	memset(a, 0, sizeof(*a));
	a->flight = fl;
	a->upstream = u;
	a->place = (uint8_t)place;
	a->pool_number = flight_pool_number(fl);
	a->stream = stream;
	a->sent_us = now_us;
	uint64_t hedge_us = rtt_hedge_us(&u->rtt);
	a->overdue_us = now_us + hedge_us + MAX(hedge_us, (uint64_t)HEALTH_OVERDUE_LEAST_US);
	compose(f, fl, a, random_case, now_us);
	int error = note_dirty(f, t) ? transport_send(t, &a->via) : -ENOMEM;
	if (error != 0) {
		fl->starved |= transport_is_shortage(error);
		fl->crowded |= transport_is_full(error);
		slab_give(&f->attempts, a);
		return false;
	}
	list_append(&fl->attempts, &a->link);
	fl->open++;
	fl->last_place = (int8_t)place;
	upstream_count(u, f->world.thread, UPSTREAM_QUERIES);
	if (stream)
		upstream_count(u, f->world.thread, UPSTREAM_TCP);
	return true;
}

void attempt_set_next(struct flight *fl, int place, uint64_t now_us)
{
	uint64_t delay = pool_hedge_delay_us(fl->pool, place);

	if (delay == UINT64_MAX)
		delay = rtt_timeout_us(&fl->pool->places[place].upstream->rtt);
	if (fl->delay_us == 0)
		fl->delay_us = delay;
	fl->next_at_us = now_us + delay;
}

/* A hedge at the address just asked, where there is no other: what loses one datagram loses both, so it is not the second try of it. */
static bool is_in_haste(const struct flight *fl, int place, uint64_t now_us)
{
	if (place != fl->last_place || list_empty(&fl->attempts))
		return false;
	const struct attempt *last = CONTAINER_OF(fl->attempts.prev, struct attempt, link);
	return now_us < last->sent_us + rtt_timeout_us(&last->upstream->rtt);
}

bool attempt_next(struct forward *f, struct flight *fl, bool other_az_only, uint64_t now_us)
{
	for (int tries = 0; tries < 2 * POOL_MAX_UPSTREAMS; tries++) {
		/* While somebody may yet answer, who has answered with an error is not asked for it again. */
		struct pool_wish wish = {.tried = fl->tried,
					 .tried_twice = fl->tried_twice | (list_empty(&fl->attempts) ? 0 : fl->broken | fl->blocked),
					 .random = random_u32(f->world.random),
					 .now_us = now_us,
					 .other_az_only = other_az_only,
					 .modest = fl->modest};
		int place = pool_pick(fl->pool, &wish);
		if (place < 0) {
			fl->above_rate |= place == POOL_ABOVE_RATE;
			return false;
		}
		uint32_t bit = 1u << place;
		if (!is_in_haste(fl, place, now_us))
			fl->tried_twice |= fl->tried & bit;
		fl->tried |= bit;
		if (LIKELY(attempt_start(f, fl, place, fl->pool->tcp, true, now_us))) {
			attempt_set_next(fl, place, now_us);
			return true;
		}
		fl->tried_twice |= bit; /* it would not leave a moment later either */
		if (!fl->starved)
			fl->unreachable |= bit;
	}
	return false;
}

/* ---- judging */

uint64_t attempt_next_judgement_us(const struct flight *fl, uint64_t now_us)
{
	uint64_t at = UINT64_MAX;

	LIST_FOR_EACH(link, &fl->attempts) {
		const struct attempt *a = CONTAINER_OF(link, struct attempt, link);
		uint64_t doubt_us = a->sent_us + rtt_timeout_us(&a->upstream->rtt);
		if (fl->landed || !a->judged)
			at = MIN(at, a->sent_us + HEALTH_NEVER_US);
		if (fl->answered && !a->overdue)
			at = MIN(at, a->overdue_us);
		if (!fl->landed && !fl->doubted && doubt_us > now_us)
			at = MIN(at, doubt_us);
		if (a->ends_us != 0)
			at = MIN(at, a->ends_us);
	}
	return at;
}

/* A path that is down says nothing of its addresses, nor does what was sent into it. */
static bool is_of_an_outage(const struct pool *p, uint64_t sent_us)
{
	return atomic_load_explicit(&p->down, memory_order_relaxed) ||
	       sent_us < atomic_load_explicit(&p->open_since_us, memory_order_relaxed);
}

static void judge_silent(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct pool *p = attempt_pool(a);
	bool current = p == fl->pool;
	uint32_t bit = 1u << a->place;

	upstream_count(a->upstream, f->world.thread, UPSTREAM_TIMEOUTS);
	if (current)
		fl->silent |= bit;
	if (!attempt_is_evidence(a) || is_of_an_outage(p, a->sent_us))
		return;
	if (fl->answered)
		attempt_tell(f, p, a->upstream, health_never(&a->upstream->health, &p->rules, question_of(fl), now_us));
	else if (!current || !(fl->blamed & bit))
		attempt_tell(f, p, a->upstream, health_silent(&a->upstream->health, &p->rules, question_of(fl), now_us));
	if (current)
		fl->blamed |= bit;
}

void attempt_judge_open(struct forward *f, struct flight *fl, uint64_t now_us)
{
	LIST_FOR_EACH(link, &fl->attempts) {
		struct attempt *a = CONTAINER_OF(link, struct attempt, link);
		if (a->ends_us != 0 && now_us >= a->ends_us) {
			attempt_end(f, a);
		} else if (now_us >= a->sent_us + HEALTH_NEVER_US) {
			if (!a->judged)
				judge_silent(f, a, now_us);
			a->judged = true;
			if (fl->landed)
				attempt_end(f, a); /* while somebody waits it stays: names may be slow, addresses need not be */
		} else if (fl->answered && !a->overdue && now_us >= a->overdue_us) {
			a->overdue = true;
			if (attempt_is_evidence(a) && !is_of_an_outage(attempt_pool(a), a->sent_us))
				attempt_tell(f, attempt_pool(a), a->upstream,
				     health_overdue(&a->upstream->health, question_of(fl), a->sent_us, now_us));
		}
	}
}

void attempt_give_up(struct forward *f, struct attempt *a)
{
	if (!a->judged)
		upstream_count(a->upstream, f->world.thread, UPSTREAM_TIMEOUTS);
	if (!a->hinted && a->ends_us == 0)
		a->flight->silent |= 1u << a->place;
	attempt_end(f, a);
}

void attempt_blame(struct forward *f, struct flight *fl, uint64_t now_us)
{
	if (LIKELY((fl->broken | fl->silent) == 0))
		return;
	for (int i = 0; i < fl->pool->count; i++) {
		struct upstream *u = fl->pool->places[i].upstream;
		if (fl->broken >> i & 1)
			attempt_tell(f, fl->pool, u, health_broken(&u->health, &fl->pool->rules, fl->rcodes[i], now_us));
		else if (fl->silent >> i & 1 && !(fl->blamed >> i & 1) && !is_of_an_outage(fl->pool, fl->began_us))
			attempt_tell(f, fl->pool, u, health_overdue(&u->health, question_of(fl), fl->began_us, now_us));
	}
}

void attempt_cancel_all(struct forward *f, struct flight *fl)
{
	LIST_FOR_EACH(link, &fl->attempts)
		attempt_end(f, CONTAINER_OF(link, struct attempt, link));
}

bool attempt_all_were_asked(const struct flight *fl)
{
	return (pool_usable(fl->pool) & ~fl->tried) == 0;
}
