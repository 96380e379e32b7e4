/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an attempt: pool_pick names the place → send → answered, failed, or judged silent after HEALTH_NEVER_US. What it
 * does is evidence for the address's health, weighed in core/health.h; here it is only told apart.
 * How it can fail: the network calls it unreachable (it stays open: that can be forged; the next one starts at once), an rcode,
 * an unreadable answer or one that the zone's guard does not let pass (another AZ is asked at once), a cut answer (the same
 * address over TCP), wrong letter case (the same address, in lower case). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/forward_private.h"
#include "wire/answer_trim.h"

/* Answers in a row that were right in all but letter case, before an address is asked in lower case for good; other AZs
 * asked after an rcode. */
enum { WRONG_CASE_LEARNED = 3, RCODE_RETRIES = 2 };

static uint64_t now(struct forward *f)
{
	return f->world.now_us(f->world.arg);
}

static struct pool *pool_of(const struct attempt *a)
{
	return a->flight->route->pools[a->pool_number];
}

/* Hash of name and type: the same for every pool and route. */
static uint64_t question_of(const struct flight *fl)
{
	return fl->key.hash;
}

static void tell(struct forward *f, struct pool *p, struct upstream *u, enum health_change change)
{
	if (change != HEALTH_SAME)
		f->world.changed(f->world.arg, p, u, change);
}

/* UDP's silence is the address's; TCP's only where all questions go over TCP. */
static bool is_evidence(const struct attempt *a)
{
	return !a->stream || pool_of(a)->tcp;
}

static void end(struct forward *f, struct attempt *a)
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
	q->edns = now_us >= atomic_load_explicit(&u->no_edns_until_us, memory_order_relaxed);
	if (random_case && !a->stream && fl->pool->case_randomization && !atomic_load_explicit(&u->case_off, memory_order_relaxed))
		q->case_bits = random_u64(f->world.random);
}

static uint8_t pool_number(const struct flight *fl)
{
	uint8_t n = 0;

	while (fl->route->pools[n] != fl->pool)
		n++;
	return n;
}

/* Sends one attempt to `place`. False if nothing went out. */
static bool start(struct forward *f, struct flight *fl, int place, bool stream, bool random_case, uint64_t now_us)
{
	struct upstream *u = fl->pool->places[place].upstream;
	struct transport *t = transport_of(f, fl->pool, u, stream ? TRANSPORT_TCP : TRANSPORT_UDP);
	struct attempt *a = t == NULL ? NULL : slab_take(&f->attempts);

	if (a == NULL)
		return false;
	memset(a, 0, sizeof(*a));
	a->flight = fl;
	a->upstream = u;
	a->place = (uint8_t)place;
	a->pool_number = pool_number(fl);
	a->stream = stream;
	a->sent_us = now_us;
	uint64_t hedge_us = rtt_hedge_us(&u->rtt);
	a->overdue_us = now_us + hedge_us + MAX(hedge_us, (uint64_t)HEALTH_OVERDUE_LEAST_US);
	compose(f, fl, a, random_case, now_us);
	if (!note_dirty(f, t) || transport_send(t, &a->via) != 0) {
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

static void set_next(struct flight *fl, int place, uint64_t now_us)
{
	uint64_t delay = pool_hedge_delay_us(fl->pool, place);

	if (delay == UINT64_MAX)
		delay = rtt_timeout_us(&fl->pool->places[place].upstream->rtt);
	if (fl->delay_us == 0)
		fl->delay_us = delay;
	fl->next_at_us = now_us + delay;
}

bool attempt_next(struct forward *f, struct flight *fl, bool other_az_only, uint64_t now_us)
{
	for (int tries = 0; tries < 2 * POOL_MAX_UPSTREAMS; tries++) {
		struct pool_wish wish = {.tried = fl->tried,
					 .tried_twice = fl->tried_twice,
					 .random = random_u32(f->world.random),
					 .now_us = now_us,
					 .other_az_only = other_az_only};
		int place = pool_pick(fl->pool, &wish);
		if (place < 0) {
			fl->above_rate |= place == POOL_ABOVE_RATE;
			return false;
		}
		uint32_t bit = 1u << place;
		fl->tried_twice |= fl->tried & bit;
		fl->tried |= bit;
		if (LIKELY(start(f, fl, place, fl->pool->tcp, true, now_us))) {
			set_next(fl, place, now_us);
			return true;
		}
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
	}
	return at;
}

static void judge_silent(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct pool *p = pool_of(a);
	bool current = p == fl->pool;
	uint32_t bit = 1u << a->place;

	upstream_count(a->upstream, f->world.thread, UPSTREAM_TIMEOUTS);
	if (current)
		fl->silent |= bit;
	if (!is_evidence(a) || atomic_load_explicit(&p->down, memory_order_relaxed))
		return; /* a path that is down says nothing of its addresses */
	if (fl->answered)
		tell(f, p, a->upstream, health_never(&a->upstream->health, &p->rules, question_of(fl), now_us));
	else if (!current || !(fl->blamed & bit))
		tell(f, p, a->upstream, health_silent(&a->upstream->health, &p->rules, question_of(fl), now_us));
	if (current)
		fl->blamed |= bit;
}

void attempt_judge_open(struct forward *f, struct flight *fl, uint64_t now_us)
{
	LIST_FOR_EACH(link, &fl->attempts) {
		struct attempt *a = CONTAINER_OF(link, struct attempt, link);
		if (now_us >= a->sent_us + HEALTH_NEVER_US) {
			if (!a->judged)
				judge_silent(f, a, now_us);
			a->judged = true;
			if (fl->landed)
				end(f, a); /* while somebody waits it stays: names may be slow, addresses need not be */
		} else if (fl->answered && !a->overdue && now_us >= a->overdue_us) {
			a->overdue = true;
			if (is_evidence(a))
				tell(f, pool_of(a), a->upstream,
				     health_overdue(&a->upstream->health, question_of(fl), a->sent_us, now_us));
		}
	}
}

void attempt_give_up(struct forward *f, struct attempt *a)
{
	upstream_count(a->upstream, f->world.thread, UPSTREAM_TIMEOUTS);
	if (!a->hinted)
		a->flight->silent |= 1u << a->place;
	end(f, a);
}

void attempt_blame(struct forward *f, struct flight *fl, uint64_t now_us)
{
	if (LIKELY((fl->broken | fl->silent) == 0))
		return;
	for (int i = 0; i < fl->pool->count; i++) {
		struct upstream *u = fl->pool->places[i].upstream;
		if (fl->broken >> i & 1)
			tell(f, fl->pool, u, health_broken(&u->health, &fl->pool->rules, fl->rcodes[i], now_us));
		else if (fl->silent >> i & 1 && !(fl->blamed >> i & 1))
			tell(f, fl->pool, u, health_overdue(&u->health, question_of(fl), fl->began_us, now_us));
	}
}

void attempt_cancel_all(struct forward *f, struct flight *fl)
{
	LIST_FOR_EACH(link, &fl->attempts)
		end(f, CONTAINER_OF(link, struct attempt, link));
}

/* ---- events */

bool attempt_all_were_asked(const struct flight *fl)
{
	for (int i = 0; i < fl->pool->count; i++)
		if (!(fl->tried >> i & 1) && !atomic_load_explicit(&fl->pool->places[i].upstream->drained, memory_order_relaxed))
			return false;
	return true;
}

static bool all_are_doubtful(const struct pool *p)
{
	for (int i = 0; i < p->count; i++)
		if (!pool_is_doubtful(p, i))
			return false;
	return true;
}

static bool has_next_pool(const struct flight *fl)
{
	return pool_number(fl) + 1 < fl->route->count;
}

static bool has_answered_lately(const struct pool *p, uint64_t now_us)
{
	for (int i = 0; i < p->count; i++) {
		const struct health *h = &p->places[i].upstream->health;
		if (now_us < atomic_load_explicit(&h->last_answer_us, memory_order_relaxed) + p->probe_interval_us)
			return true;
	}
	return false;
}

/* All that were asked have answered with errors. If they do so to probes, too, it is not the name; asking them is dear, so it is done
 * when there is an endpoint to turn to, or nothing good has come for a while. */
static bool may_be_the_pool(const struct flight *fl, uint64_t now_us)
{
	return fl->broken != 0 && !fl->doubted && (has_next_pool(fl) || !has_answered_lately(fl->pool, now_us));
}

/* No address of this pool is left to ask, and none is out. The next endpoint takes over if nobody answered here, or if nobody here is in
 * favour: an error of one name is no reason, since the other endpoint may know less of it. */
static void leave_pool(struct forward *f, struct flight *fl, uint64_t now_us)
{
	bool answers = fl->broken != 0 || fl->blocked_from != NULL || fl->cut != NULL;

	if ((!answers || all_are_doubtful(fl->pool)) && flight_move(f, fl, now_us))
		return;
	if (may_be_the_pool(fl, now_us)) {
		fl->doubted = true;
		f->world.doubt(f->world.arg, fl->pool);
		if (has_next_pool(fl)) {
			fl->next_at_us = now_us + RTT_LEAST_TIMEOUT_US; /* once more, when the probes have told */
			flight_arm(f, fl, now_us);
			return;
		}
	}
	flight_fail(f, fl, now_us);
}

/* Nothing good came of this attempt and it is over: what next? */
static void go_on(struct forward *f, struct flight *fl, bool after_rcode, uint64_t now_us)
{
	bool sent = false;

	if (after_rcode && fl->rcode_retries < RCODE_RETRIES) {
		fl->rcode_retries++;
		sent = attempt_next(f, fl, true, now_us);
		if (!sent && fl->rcode_retries == 1 && list_empty(&fl->attempts))
			sent = attempt_next(f, fl, false, now_us); /* there is but one AZ */
	} else if (!after_rcode && fl->open < FORWARD_OPEN_ATTEMPTS && !attempt_all_were_asked(fl)) {
		sent = attempt_next(f, fl, false, now_us);
	}
	if (!sent && list_empty(&fl->attempts)) {
		leave_pool(f, fl, now_us);
		return;
	}
	if (!sent && after_rcode)
		fl->next_at_us = UINT64_MAX; /* whoever is still out may answer */
	flight_arm(f, fl, now_us);
}

static void take_broken(struct forward *f, struct attempt *a, uint16_t rcode, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct pool *p = pool_of(a);
	struct upstream *u = a->upstream;
	uint8_t place = a->place;

	upstream_count(u, f->world.thread, rcode == DNS_REFUSED ? UPSTREAM_REFUSED : UPSTREAM_SERVFAIL);
	end(f, a);
	if (fl->landed) {
		if (fl->answered)
			tell(f, p, u, health_broken(&u->health, &p->rules, rcode, now_us));
		flight_settle(f, fl, now_us);
		return;
	}
	if (p == fl->pool) {
		fl->broken |= 1u << place;
		fl->rcodes[place] = rcode;
	}
	go_on(f, fl, true, now_us);
}

/* TC: the whole over TCP, from the same address; the cut one is kept as a last resort. */
static void take_cut(struct forward *f, struct attempt *a, const uint8_t *message, size_t len, uint64_t now_us)
{
	struct flight *fl = a->flight;
	int place = pool_of(a) == fl->pool ? a->place : POOL_NONE;

	end(f, a);
	if (fl->landed) {
		flight_settle(f, fl, now_us);
		return;
	}
	uint8_t *copy = realloc(fl->cut, len);
	if (copy != NULL) {
		memcpy(copy, message, len);
		fl->cut = copy;
		fl->cut_len = (uint16_t)len;
	}
	if (place == POOL_NONE || !start(f, fl, place, true, false, now_us)) {
		go_on(f, fl, false, now_us);
		return;
	}
	set_next(fl, place, now_us);
	flight_arm(f, fl, now_us);
}

/* FORMERR without an OPT: it does not know EDNS. True if it is asked again without. */
static bool take_no_edns(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	int place = a->place;
	bool stream = a->stream;

	if (!a->via.asked.edns || f->answer.rcode != DNS_FORMERR || f->answer.edns.present || fl->landed || pool_of(a) != fl->pool)
		return false;
	atomic_store_explicit(&a->upstream->no_edns_until_us, now_us + POOL_NO_EDNS_US, memory_order_relaxed);
	if (!start(f, fl, place, stream, true, now_us))
		return false;
	end(f, a);
	flight_arm(f, fl, now_us);
	return true;
}

static void keep(struct forward *f, struct flight *fl, const struct upstream *from, uint64_t now_us)
{
	const struct answer *a = &f->answer;
	struct cache_answer c = {.body = a->message + a->body_at,
				 .body_bytes = a->body_end - a->body_at,
				 .ttl_at = a->ttl_at,
				 .ttls = a->ttls,
				 .body_at = a->body_at,
				 .rcode = a->rcode,
				 .flags = a->flags & (DNS_TC | DNS_AD),
				 .ancount = a->ancount,
				 .nscount = a->nscount,
				 .arcount = a->arcount,
				 .negative = a->kind != ANSWER_POSITIVE,
				 .ttl_s = a->ttl_s,
				 .origin = from->id};

	if (c.negative && !a->has_soa && c.ttl_s > 5)
		c.ttl_s = 5; /* RFC 2308 section 5: not to be cached; kept as long as a failure, against a flood */
	if (!(c.flags & DNS_TC))
		cache_put(f->lease->snapshot->cache, &fl->key, &f->lease->snapshot->cache_rules, (uint32_t)(now_us / US_PER_S), &c);
}

/* Right in every way but what it says: that is no fault of the address's, so nothing of health; another AZ may know better. */
static void take_blocked(struct forward *f, struct flight *fl, int place, uint64_t now_us)
{
	if (place != POOL_NONE)
		fl->blocked |= 1u << place;
	go_on(f, fl, true, now_us);
}

static void take_good(struct forward *f, struct attempt *a, size_t len, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct pool *p = pool_of(a);
	const struct pool_place *by = &p->places[a->place];
	int place = p == fl->pool ? a->place : POOL_NONE;

	tell(f, p, by->upstream, health_answered(&by->upstream->health, now_us));
	end(f, a);
	if (fl->landed) {
		flight_settle(f, fl, now_us);
		return;
	}
	if (fl->route->local) {
		size_t trimmed = answer_trim(&f->answer, len, f->scratch);
		if (trimmed != len && answer_read(&f->answer, f->scratch, trimmed) != ANSWER_OK)
			ASSERT_NEVER("what answer_trim wrote must be readable");
	}
	if (UNLIKELY(flight_blocks(f, fl, p, now_us))) {
		take_blocked(f, fl, place, now_us);
		return;
	}
	if (place != POOL_NONE) {
		fl->broken &= ~(1u << place); /* it may have taken two tries */
		fl->silent &= ~(1u << place);
	}
	keep(f, fl, by->upstream, now_us);
	metrics_add(f->world.metrics, METRIC_UPSTREAM_ANSWERS, 1);
	fl->answered = true;
	fl->by_pool = p, fl->by = by;
	landing_answer(f, fl, now_us);
	attempt_blame(f, fl, now_us);
	flight_land(f, fl);
	flight_settle(f, fl, now_us);
}

void attempt_answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len, bool echo_error)
{
	struct forward *f = arg;
	struct attempt *a = CONTAINER_OF(via, struct attempt, via);
	uint64_t now_us = now(f);

	(void)echo_error;
	if (is_evidence(a))
		upstream_measure(a->upstream, f->world.thread, now_us - a->sent_us);
	if (via->asked.case_bits != 0)
		atomic_store_explicit(&a->upstream->wrong_case, 0, memory_order_relaxed);
	upstream_count(a->upstream, f->world.thread, UPSTREAM_ANSWERS);
	enum answer_verdict verdict = answer_read(&f->answer, message, len);
	if (!a->stream && f->answer.flags & DNS_TC)
		take_cut(f, a, message, verdict == ANSWER_OK ? len : DNS_HEADER_BYTES, now_us);
	else if (verdict != ANSWER_OK) {
		metrics_add(f->world.metrics, METRIC_DROPPED_MALFORMED_ANSWER, 1);
		take_broken(f, a, DNS_SERVFAIL, now_us);
	} else if (f->answer.rcode == DNS_NOERROR || f->answer.rcode == DNS_NXDOMAIN)
		take_good(f, a, len, now_us);
	else if (!take_no_edns(f, a, now_us))
		take_broken(f, a, f->answer.rcode, now_us);
}

void attempt_failed(void *arg, struct transport_attempt *via, int error)
{
	struct forward *f = arg;
	struct attempt *a = CONTAINER_OF(via, struct attempt, via);
	struct flight *fl = a->flight;
	uint64_t now_us = now(f);

	(void)error;
	upstream_count(a->upstream, f->world.thread, UPSTREAM_UNREACHABLE);
	if (is_evidence(a))
		tell(f, pool_of(a), a->upstream, health_unreachable(&a->upstream->health, now_us));
	if (pool_of(a) == fl->pool)
		fl->unreachable |= 1u << a->place;
	end(f, a);
	if (fl->landed)
		flight_settle(f, fl, now_us);
	else
		go_on(f, fl, false, now_us);
}

/* The answer came in another letter case: asked again in lower case, which a forger would have to guess anew. */
static void ask_in_lower_case(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;

	if (atomic_fetch_add_explicit(&a->upstream->wrong_case, 1, memory_order_relaxed) + 1 >= WRONG_CASE_LEARNED)
		atomic_store_explicit(&a->upstream->case_off, true, memory_order_relaxed);
	a->judged = a->overdue = true; /* not silent: it stays open against forgers only */
	/* Asked in lower case already, more of the same would bring the same. */
	if (fl->landed || a->hinted || a->via.asked.case_bits == 0 || pool_of(a) != fl->pool)
		return;
	a->hinted = true;
	if (start(f, fl, a->place, false, false, now_us) && fl->open > FORWARD_OPEN_ATTEMPTS)
		end(f, a);
	flight_arm(f, fl, now_us);
}

/* Somebody guesses at the attempt's port: it ends there, before a guess is right, and the address is asked over TCP. */
static void flee(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	bool asked = pool_of(a) == fl->pool && start(f, fl, a->place, true, false, now_us);

	end(f, a);
	if (!asked) {
		go_on(f, fl, false, now_us);
		return;
	}
	set_next(fl, fl->last_place, now_us);
	flight_arm(f, fl, now_us);
}

void attempt_hint(void *arg, struct transport_attempt *via, enum transport_hint hint, int detail)
{
	struct forward *f = arg;
	struct attempt *a = CONTAINER_OF(via, struct attempt, via);
	struct flight *fl = a->flight;
	uint64_t now_us = now(f);

	(void)detail;
	if (hint == TRANSPORT_WRONG_CASE) {
		ask_in_lower_case(f, a, now_us);
		return;
	}
	if (hint == TRANSPORT_FORGERY) {
		if (!fl->landed) /* else nothing more comes of it */
			flee(f, a, now_us);
		return;
	}
	if (hint == TRANSPORT_ICMP) {
		upstream_count(a->upstream, f->world.thread, UPSTREAM_UNREACHABLE);
		tell(f, pool_of(a), a->upstream, health_unreachable(&a->upstream->health, now_us));
	}
	if (fl->landed || a->hinted || pool_of(a) != fl->pool)
		return;
	a->hinted = true;
	fl->unreachable |= 1u << a->place;
	if (fl->open < FORWARD_OPEN_ATTEMPTS && !attempt_all_were_asked(fl))
		attempt_next(f, fl, false, now_us);
	else if (!attempt_all_were_asked(fl))
		fl->next_at_us = now_us; /* gives this one's place up */
	flight_arm(f, fl, now_us);
}
