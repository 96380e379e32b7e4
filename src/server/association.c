/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a check: it is the first in its endpoint's queue and due → `NS <apex>` to one address → an answer, judged, or
 * nothing for a second → last in the queue.
 * How it can fail: the endpoint is down or above max-qps (put off by one gap); no
 * answer, an error, an answer that names no server (nothing is learned until the next time). */
#include "server/association.h"

#include <stdlib.h>
#include <string.h>

#include "core/origin.h"
#include "wire/answer.h"

/* One zone at one endpoint. */
struct check {
	struct list link; /* in the lane's queue */
	uint32_t zone;
	uint8_t place;	    /* of the pool in the zone's route */
	uint64_t looked_us; /* last asked, or heard of; 0: never */
};

/* One endpoint and its zones. */
struct lane {
	struct transport_attempt via; /* first; the question that is out */
	struct association *owner;
	struct pool *pool;
	struct check *checks; /* [count], by zone; heap */
	size_t count;
	struct list queue;				  /* whoever was looked at longest ago comes first */
	struct check *asked;				  /* whose question is out; NULL: none */
	struct upstream *upstream;			  /* who was asked … */
	uint8_t place;					  /* … and where it stands in the pool */
	bool plain;					  /* without EDNS, since the same question with it was called a FORMERR */
	struct transport *transports[POOL_MAX_UPSTREAMS]; /* by place in the pool; opened when needed */
	uint64_t sent_us, next_us;
	struct name name;
};

struct association {
	struct association_world world;
	struct snapshot *snapshot;
	struct lane *lanes; /* [lane_count], as the snapshot's pools; heap */
	size_t lane_count;
	uint64_t next_us;
	struct answer answer; /* 12 KiB of scratch */
};

/* ---- judging */

static void put_last(struct lane *l, struct check *c, uint64_t now_us)
{
	c->looked_us = now_us;
	list_remove(&c->link);
	list_append(&l->queue, &c->link);
}

static void judge(struct lane *l, struct check *c, const uint8_t *message, size_t len, uint64_t now_us)
{
	struct association *a = l->owner;
	struct snapshot_learned *learned = &a->snapshot->learned[c->zone];
	struct name server;

	if (answer_read(&a->answer, message, len) != ANSWER_OK || a->answer.kind == ANSWER_FAILURE)
		return;
	enum origin origin = origin_of(&a->answer, &server);
	if (origin == ORIGIN_UNKNOWN)
		return;
	bool is_private = origin == ORIGIN_PRIVATE;
	put_last(l, c, now_us);
	learned->heard_s[c->place] = (uint32_t)MAX(now_us / US_PER_S, UINT64_C(1));
	uint8_t now = is_private ? ASSOCIATION_PRIVATE : ASSOCIATION_DETACHED;
	uint8_t before = atomic_exchange_explicit(&learned->association[c->place], now, memory_order_relaxed);
	if (before != now && !(before == ASSOCIATION_UNKNOWN && is_private))
		a->world.judged(a->world.arg, &a->snapshot->zones[c->zone].config->name, l->pool, !is_private, &server);
}

static int compare_checks(const void *key, const void *member)
{
	uint32_t zone = *(const uint32_t *)key, other = ((const struct check *)member)->zone;

	return zone < other ? -1 : zone > other;
}

void association_hear(struct association *a, const struct pool *pool, const struct name *zone, const uint8_t *message, size_t len)
{
	const struct snapshot_zone *z = snapshot_find_zone(a->snapshot, zone);
	uint32_t number = (uint32_t)(z - a->snapshot->zones);

	if (z->config == NULL || !name_equal(&z->config->name, zone))
		return;
	for (size_t i = 0; i < a->lane_count; i++) {
		struct lane *l = &a->lanes[i];
		struct check *c = l->pool == pool ? bsearch(&number, l->checks, l->count, sizeof(*l->checks), compare_checks) : NULL;
		if (c != NULL)
			judge(l, c, message, len, a->world.now_us(a->world.arg));
	}
}

/* ---- asking */

static bool open_transport(struct association *a, struct lane *l, int place)
{
	const struct transport_ops *ops = a->world.transports[l->pool->tcp ? TRANSPORT_TCP : TRANSPORT_UDP];

	if (l->transports[place] == NULL)
		l->transports[place] = ops->open(a->world.env, &l->pool->places[place].upstream->addr, POOL_ASSOCIATION_PORTS);
	return l->transports[place] != NULL;
}

static void send_question(struct lane *l, struct check *c, uint64_t now_us)
{
	bool edns = !l->plain && upstream_takes_edns(l->upstream, now_us);

	l->via.asked =
		(struct question_upstream){.name = &l->name, .type = DNS_TYPE_NS, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = edns};
	if (transport_send(l->transports[l->place], &l->via) != 0)
		return;
	l->asked = c;
	l->sent_us = now_us;
	upstream_count(l->upstream, 0, UPSTREAM_QUERIES);
	upstream_count(l->upstream, 0, UPSTREAM_PROBES);
}

static void ask(struct association *a, struct lane *l, struct check *c, uint64_t now_us)
{
	struct pool_wish wish = {.random = random_u32(a->world.random), .now_us = now_us};
	uint64_t even_us = ASSOCIATION_EVERY_US / l->count;

	l->next_us = now_us + MAX((uint64_t)ASSOCIATION_LEAST_GAP_US, MIN(even_us, (uint64_t)ASSOCIATION_MOST_GAP_US));
	int place = atomic_load(&l->pool->down) ? POOL_NONE : pool_pick(l->pool, &wish);
	if (place < 0)
		return;
	put_last(l, c, now_us);
	if (!open_transport(a, l, place))
		return;
	l->name = a->snapshot->zones[c->zone].config->name;
	l->upstream = l->pool->places[place].upstream;
	l->place = (uint8_t)place;
	l->plain = false;
	send_question(l, c, now_us);
}

/* Silence is the name's as likely as the address's: traffic and probes judge addresses, checks only count it. */
static void give_up(struct lane *l)
{
	transport_cancel(&l->via);
	upstream_count(l->upstream, 0, UPSTREAM_TIMEOUTS);
	l->asked = NULL;
}

static uint64_t visit(struct association *a, struct lane *l, uint64_t now_us)
{
	if (l->count == 0)
		return UINT64_MAX;
	if (l->asked != NULL && now_us >= l->sent_us + ASSOCIATION_PATIENCE_US)
		give_up(l);
	for (int looks = 0; l->asked == NULL && looks < 2; looks++) {
		struct check *first = CONTAINER_OF(l->queue.next, struct check, link);
		uint64_t due_us = first->looked_us == 0 ? 0 : first->looked_us + ASSOCIATION_EVERY_US;
		if (now_us < due_us || now_us < l->next_us)
			return MAX(due_us, l->next_us);
		ask(a, l, first, now_us);
	}
	return l->asked != NULL ? l->sent_us + ASSOCIATION_PATIENCE_US : l->next_us;
}

void association_clock(struct association *a, uint64_t now_us)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < a->lane_count; i++) {
		uint64_t at = visit(a, &a->lanes[i], now_us);
		next = MIN(next, at);
	}
	a->next_us = next;
}

uint64_t association_next_us(const struct association *a)
{
	return a->next_us;
}

void association_flush(struct association *a)
{
	for (size_t i = 0; i < a->lane_count; i++)
		for (int k = 0; k < POOL_MAX_UPSTREAMS; k++) {
			struct transport *t = a->lanes[i].transports[k];
			if (t != NULL && t->dirty)
				t->ops->flush(t);
		}
}

/* ---- events */

/* FORMERR without an OPT: it may not know EDNS. True if it is asked the same again without. */
static bool ask_plain(struct association *a, struct lane *l, struct check *c, const uint8_t *message, size_t len, uint64_t now_us)
{
	if (!l->via.asked.edns || answer_read(&a->answer, message, len) != ANSWER_OK || !answer_denies_edns(&a->answer) ||
	    !pool_take_rate(l->pool, l->upstream, now_us))
		return false;
	l->plain = true;
	send_question(l, c, now_us);
	return l->asked != NULL;
}

static void answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct association *a = arg;
	struct lane *l = CONTAINER_OF(via, struct lane, via);
	struct check *c = l->asked;
	uint64_t now_us = a->world.now_us(a->world.arg);
	uint16_t rcode = dns_flags(message) & DNS_RCODE;

	l->asked = NULL;
	a->next_us = now_us;
	upstream_count(l->upstream, 0, UPSTREAM_ANSWERS);
	upstream_measure(l->upstream, 0, now_us - l->sent_us);
	if (ask_plain(a, l, c, message, len, now_us))
		return;
	bool good = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN;
	if (good && l->plain)
		upstream_learn_no_edns(l->upstream, now_us);
	enum health_change change = good ? health_answered(&l->upstream->health, now_us) : HEALTH_SAME;
	if (change != HEALTH_SAME)
		a->world.changed(a->world.arg, l->pool, l->upstream, change);
	judge(l, c, message, len, now_us);
}

static void failed(void *arg, struct transport_attempt *via, int error)
{
	struct association *a = arg;

	(void)error;
	CONTAINER_OF(via, struct lane, via)->asked = NULL;
	a->next_us = a->world.now_us(a->world.arg);
}

static void hint(void *arg, struct transport_attempt *via, enum transport_hint what, int detail)
{
	(void)arg;
	(void)via;
	(void)what;
	(void)detail;
}

/* ---- birth, change, death */

static void let_go(struct association *a)
{
	for (size_t i = 0; i < a->lane_count; i++) {
		struct lane *l = &a->lanes[i];
		transport_cancel(&l->via);
		for (int k = 0; k < POOL_MAX_UPSTREAMS; k++)
			if (l->transports[k] != NULL)
				l->transports[k]->ops->close(l->transports[k]);
		free(l->checks);
	}
	free(a->lanes);
	if (a->snapshot != NULL)
		snapshot_unref(a->snapshot);
}

/* The place of a zone's check in the lane, -1 if the zone is not checked there. */
static int place_to_check(const struct snapshot *s, const struct lane *l, size_t zone)
{
	if (!snapshot_checks_association(s, zone, l->pool))
		return -1;
	return snapshot_route_place(&s->routes[s->zones[zone].route], l->pool);
}

static int compare_looked(const void *x, const void *y)
{
	uint64_t a = (*(struct check *const *)x)->looked_us, b = (*(struct check *const *)y)->looked_us;

	return a < b ? -1 : a > b;
}

static bool queue_up(struct lane *l)
{
	struct check **order = calloc(l->count + 1, sizeof(struct check *));

	if (order == NULL)
		return false;
	for (size_t i = 0; i < l->count; i++)
		order[i] = &l->checks[i];
	qsort(order, l->count, sizeof(struct check *), compare_looked);
	for (size_t i = 0; i < l->count; i++)
		list_append(&l->queue, &order[i]->link);
	free(order);
	return true;
}

static bool fill(struct lane *l, const struct snapshot *s)
{
	size_t count = 0;

	list_init(&l->queue);
	for (size_t i = 0; i < s->zone_count; i++)
		count += place_to_check(s, l, i) >= 0;
	l->checks = calloc(count + 1, sizeof(*l->checks));
	if (l->checks == NULL)
		return false;
	for (size_t i = 0; i < s->zone_count; i++) {
		int place = place_to_check(s, l, i);
		if (place < 0)
			continue;
		l->checks[l->count] = (struct check){
			.zone = (uint32_t)i, .place = (uint8_t)place, .looked_us = (uint64_t)s->learned[i].heard_s[place] * US_PER_S};
		list_init(&l->checks[l->count++].link);
	}
	return queue_up(l);
}

void association_adopt(struct association *a, struct snapshot *s, uint64_t now_us)
{
	struct lane *lanes = calloc(s->pool_count, sizeof(*lanes));
	size_t filled = 0;

	for (; lanes != NULL && filled < s->pool_count; filled++) {
		/* The first one waits: the probes that come at the start tell something, too. */
		lanes[filled] = (struct lane){.owner = a, .pool = &s->pools[filled], .next_us = now_us + ASSOCIATION_MOST_GAP_US};
		if (!fill(&lanes[filled], s))
			break;
	}
	if (filled < s->pool_count) {
		for (size_t i = 0; lanes != NULL && i <= filled; i++)
			free(lanes[i].checks);
		free(lanes);
		return; /* no memory: the old ones go on being checked */
	}
	/* Links of the queues' heads point into the array, which stays where it is. */
	let_go(a);
	a->lanes = lanes;
	a->lane_count = filled;
	a->snapshot = snapshot_ref(s);
	a->next_us = now_us;
}

struct association *association_new(const struct association_world *world, struct snapshot *s, uint64_t now_us)
{
	struct association *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->world = *world;
	a->world.env->events = (struct transport_events){.answered = answered, .failed = failed, .hint = hint, .arg = a};
	association_adopt(a, s, now_us);
	if (a->snapshot != NULL)
		return a;
	free(a);
	return NULL;
}

void association_free(struct association *a)
{
	let_go(a);
	free(a);
}
