/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a probe: an address is due → `NS <apex of a zone>` → an answer, or its timeout → health.
 * How it can fail: the network has no way there (counted as silence); this host has no descriptor, port or memory to ask with, or
 * max-qps is reached: then nothing is known, and it is put off by one interval. */
#include "server/prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/answer.h"

/* TRIAL_US: after so long questions go to a pool again that answers no probes. */
enum { DOUBT_DISTANCE_US = 500000, ZONES_LOOKED_AT = 4096, TRIAL_US = 30 * 1000000 };

struct probe {
	struct transport_attempt via; /* first */
	struct prober *prober;
	struct pool *pool;
	struct upstream *upstream; /* a reference */
	struct transport *transport;
	uint8_t place;
	bool out;                  /* a probe is unanswered */
	bool again;                /* it is the second one, about another zone: the first was answered with an error */
	bool done_once;
	bool heard;                /* it has answered a probe, with whatever rcode */
	bool put_aside;            /* drained, and well, when its pool was closed */
	uint64_t bad_us;           /* when the last bad probe was sent; 0: the last one was good */
	uint64_t sent_us, next_us; /* last sent; next due */
	struct name name;
};

struct prober_pool {
	struct pool *pool;
	struct probe **probes;     /* [count], in the order of places: a part of the prober's */
	size_t count;
	uint64_t doubted_us, round_us; /* last doubt; next step round a closed pool */
	uint64_t closed_us;            /* when it was closed last, or taken over closed */
	size_t round;
	size_t zone;               /* where the next probe's zone is looked for */
	struct name good;          /* the last zone that somebody answered well; empty: none yet */
	bool used;                 /* some zone goes there */
};

struct prober {
	struct prober_world world;
	struct snapshot *snapshot;
	struct prober_pool *pools;
	struct probe **probes;     /* [count], in the order of pools and places */
	size_t count;
	uint64_t next_us;
	struct answer answer;      /* 12 KiB of scratch */
};

static uint64_t timeout_us(const struct pool *p)
{
	return MIN(p->probe_interval_us, (uint64_t)PROBER_TIMEOUT_US);
}

/* After this a probe that is out speaks for a path that is. Where nothing has ever answered nobody knows how far it is, and a cold start
 * over half the world must not look like an outage: just before the probe's own timeout, which makes it a matter of the address alone. */
static uint64_t patience_us(const struct probe *b)
{
	return rtt_smoothed_us(&b->upstream->rtt) != 0 ? rtt_timeout_us(&b->upstream->rtt) : timeout_us(b->pool) * 9 / 10;
}

static struct prober_pool *pool_of(struct prober *p, const struct probe *b)
{
	return &p->pools[b->pool - p->snapshot->pools];
}

static void tell(struct prober *p, const struct probe *b, enum health_change change)
{
	if (change != HEALTH_SAME)
		p->world.changed(p->world.arg, b->pool, b->upstream, change);
}

/* ---- sending */

/* The next zone of the pool, in turn; the root for the local upstreams. */
static void next_zone(struct prober *p, struct prober_pool *pp, struct name *out)
{
	const struct snapshot *s = p->snapshot;

	out->len = 1;
	out->labels = out->at[0] = out->octets[0] = 0;
	if (pp->pool->local)
		return;
	for (size_t looked = 0; looked < MIN(s->zone_count, (size_t)ZONES_LOOKED_AT); looked++) {
		const struct snapshot_zone *z = &s->zones[pp->zone++ % s->zone_count];
		if (z->config != NULL && snapshot_route_place(&s->routes[z->route], pp->pool) >= 0) {
			*out = z->config->name;
			return;
		}
	}
}

/* ---- judging */

static uint64_t last_answer_us(const struct probe *b)
{
	return atomic_load_explicit(&b->upstream->health.last_answer_us, memory_order_relaxed);
}

/* The silence of a probe says nothing of a server that has never answered one, and is not AWS's: it may leave `NS` unanswered and answer
 * questions. It does once questions are silent, too. */
static bool is_telling(const struct probe *b)
{
	return b->pool->inbound || b->heard || pool_of(b->prober, b)->doubted_us > last_answer_us(b);
}

/* Whoever has answered a question since is there, whatever became of its probe. */
static bool is_out(const struct probe *b, uint64_t now_us)
{
	if (atomic_load_explicit(&b->upstream->drained, memory_order_relaxed))
		return true;
	if (!is_telling(b))
		return false;
	if (health_state(&b->upstream->health) == HEALTH_DOWN && last_answer_us(b) < b->bad_us)
		return true;
	return b->out && last_answer_us(b) < b->sent_us && now_us >= b->sent_us + patience_us(b);
}

static void judge_pool(struct prober *p, struct prober_pool *pp, uint64_t now_us)
{
	if (pp->pool->count == 0 || atomic_load(&pp->pool->down))
		return;
	for (size_t i = 0; i < pp->count; i++)
		if (!is_out(pp->probes[i], now_us))
			return;
	pp->round_us = now_us + PROBER_DOWN_US;
	pp->closed_us = now_us;
	for (size_t i = 0; i < pp->count; i++) {
		struct probe *b = pp->probes[i];
		b->put_aside = atomic_load(&b->upstream->drained) && health_state(&b->upstream->health) == HEALTH_UP;
	}
	if (pool_close(pp->pool))
		p->world.closed(p->world.arg, pp->pool);
}

static void judge_silence(struct probe *b, uint64_t now_us)
{
	struct prober *p = b->prober;

	transport_cancel(&b->via);
	b->out = b->again = false;
	b->done_once = true;
	upstream_count(b->upstream, 0, UPSTREAM_TIMEOUTS);
	if (!is_telling(b))
		return;
	b->bad_us = b->sent_us;
	if (!atomic_load(&b->pool->down)) /* of a path that is down, no address remembers anything */
		tell(p, b, health_probe_bad(&b->upstream->health, &b->pool->rules, true, 0, now_us));
}

/* Nothing is known, until the next time that it is due: this host could not ask, say. */
static void put_off(struct probe *b)
{
	transport_cancel(&b->via);
	b->out = b->again = false;
}

static bool open_transport(struct prober *p, struct probe *b)
{
	const struct transport_ops *ops = p->world.transports[b->pool->tcp ? TRANSPORT_TCP : TRANSPORT_UDP];

	if (b->transport == NULL)
		b->transport = ops->open(p->world.env, &b->upstream->addr, POOL_PROBE_PORTS);
	return b->transport != NULL;
}

static void send_probe(struct prober *p, struct probe *b, uint64_t now_us)
{
	b->next_us = now_us + b->pool->probe_interval_us;
	if (b->out || !pool_take_rate(b->pool, b->upstream, now_us))
		return;
	if (b->again)
		b->name = pool_of(p, b)->good;
	else
		next_zone(p, pool_of(p, b), &b->name);
	bool edns = now_us >= atomic_load_explicit(&b->upstream->no_edns_until_us, memory_order_relaxed);
	b->via.asked = (struct question_upstream){
		.name = &b->name, .type = DNS_TYPE_NS, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = edns};
	b->sent_us = now_us;
	int error = open_transport(p, b) ? transport_send(b->transport, &b->via) : -ENOMEM;
	b->out = error == 0;
	if (transport_is_shortage(error)) {
		put_off(b);
		return;
	}
	if (!b->out) {
		judge_silence(b, now_us); /* the system says that there is no way */
		return;
	}
	upstream_count(b->upstream, 0, UPSTREAM_QUERIES);
	upstream_count(b->upstream, 0, UPSTREAM_PROBES);
}

/* `answered`: who has; NULL: nobody, it is a trial. */
static void open_pool(struct prober *p, struct prober_pool *pp, struct probe *answered, uint64_t now_us)
{
	int place = answered != NULL ? answered->place : POOL_NONE;

	if (!pool_open(pp->pool, place, now_us))
		return;
	pp->doubted_us = 0;
	p->world.opened(p->world.arg, pp->pool, place);
	for (size_t i = 0; i < pp->count; i++) {
		struct probe *b = pp->probes[i];
		put_off(b); /* sent into the outage: its silence is void */
		b->bad_us = 0;
		if (b != answered)
			b->next_us = now_us;
	}
}

/* One broken zone says nothing of an address: before an error counts, the zone is asked for that was last answered well. True if the
 * error need not be counted now. */
static bool ask_good_zone(struct prober *p, struct probe *b, uint64_t now_us)
{
	const struct prober_pool *pp = pool_of(p, b);

	if (b->again || pp->good.len == 0 || name_equal(&pp->good, &b->name))
		return false;
	b->again = true;
	send_probe(p, b, now_us);
	return true;
}

/* A company's own server that does not want to be asked for the root, or for a zone's servers, is there all the same. */
static bool is_refusal(const struct pool *p, uint16_t rcode)
{
	return !p->inbound && (rcode == DNS_REFUSED || rcode == DNS_NOTIMP || rcode == DNS_FORMERR);
}

static void judge_answer(struct probe *b, uint16_t rcode, uint64_t now_us)
{
	struct prober *p = b->prober;
	struct health *h = &b->upstream->health;
	bool good = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN || is_refusal(b->pool, rcode);
	bool drained = atomic_load(&b->upstream->drained);

	b->out = false;
	b->done_once = b->heard = true;
	upstream_count(b->upstream, 0, UPSTREAM_ANSWERS);
	if (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN)
		upstream_count(b->upstream, 0, rcode == DNS_REFUSED ? UPSTREAM_REFUSED : UPSTREAM_SERVFAIL);
	upstream_measure(b->upstream, 0, now_us - b->sent_us);
	if (good && !drained && atomic_load(&b->pool->down)) {
		open_pool(p, pool_of(p, b), b, now_us);
		return;
	}
	if (!good && ask_good_zone(p, b, now_us))
		return;
	b->again = false;
	if (good) {
		pool_of(p, b)->good = b->name;
		b->bad_us = 0;
	} else {
		b->bad_us = b->sent_us;
	}
	tell(p, b, good ? health_probe_good(h, &b->pool->rules, now_us) : health_probe_bad(h, &b->pool->rules, false, rcode, now_us));
	if (good && health_state(h) != HEALTH_UP)
		b->next_us = MIN(b->next_us, now_us + PROBER_DOWN_US);
	judge_pool(p, pool_of(p, b), now_us);
}

/* ---- events */

static void answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct prober *p = arg;
	struct probe *b = CONTAINER_OF(via, struct probe, via);
	uint64_t now_us = p->world.now_us(p->world.arg);

	/* What cannot be read is no answer to a client either, whatever its header says. Who might forge it might forge SERVFAIL as well.
	 * Of a cut one, the header is all that can be asked for. */
	bool readable = answer_read(&p->answer, message, len) == ANSWER_OK;
	if (readable && p->world.heard != NULL)
		p->world.heard(p->world.arg, b->pool, &b->name, message, len);
	judge_answer(b, readable || dns_flags(message) & DNS_TC ? dns_flags(message) & DNS_RCODE : DNS_UNREADABLE, now_us);
	p->next_us = now_us;
}

static void failed(void *arg, struct transport_attempt *via, int error)
{
	const struct prober *p = arg;

	if (transport_is_shortage(error))
		put_off(CONTAINER_OF(via, struct probe, via));
	else
		judge_silence(CONTAINER_OF(via, struct probe, via), p->world.now_us(p->world.arg));
}

static void hint(void *arg, struct transport_attempt *via, enum transport_hint what, int detail)
{
	(void)arg;
	(void)detail;
	/* Anybody can forge the others: the timeout decides. */
	if (what == TRANSPORT_UNSENT)
		put_off(CONTAINER_OF(via, struct probe, via));
}

/* ---- schedule */

static bool is_slow(const struct probe *b)
{
	return pool_tier(b->pool, b->place) == POOL_TIER_SLOW;
}

/* Questions are asked of the endpoint: one of those that they go to has answered within half an interval. What answered a probe of its own
 * did so longer ago, when the next one is due; and of the slow ones, nothing but their probes is heard. */
static bool is_in_use(const struct pool *p, uint64_t now_us)
{
	for (int i = 0; i < p->count; i++) {
		const struct health *h = &p->places[i].upstream->health;
		uint64_t answered_us = atomic_load_explicit(&h->last_answer_us, memory_order_relaxed);
		if (now_us < answered_us + p->probe_interval_us / 2 && pool_tier(p, i) == POOL_TIER_UP)
			return true;
	}
	return false;
}

/* A slow address is passed over, so its probes alone can tell that it has become fast: while questions are asked. An idle daemon spares
 * the money, as for those that are well. */
static uint64_t due_us(const struct probe *b, uint64_t now_us)
{
	bool drained = atomic_load_explicit(&b->upstream->drained, memory_order_relaxed);
	bool well = drained || pool_tier(b->pool, b->place) == POOL_TIER_UP || (is_slow(b) && !is_in_use(b->pool, now_us));
	uint64_t idle_us = MAX(last_answer_us(b), b->sent_us) + PROBER_IDLE_US;

	return b->done_once && well ? MAX(idle_us, b->next_us) : b->next_us;
}

static uint64_t visit(struct prober *p, struct probe *b, uint64_t now_us)
{
	if (!pool_of(p, b)->used || (atomic_load(&b->pool->down) && !b->out))
		return UINT64_MAX;
	if (b->out && now_us >= b->sent_us + timeout_us(b->pool))
		judge_silence(b, now_us);
	if (!b->out && now_us >= due_us(b, now_us) && !atomic_load(&b->pool->down))
		send_probe(p, b, now_us);
	if (!b->out) {
		/* By then the endpoint of a slow one may be in use. */
		uint64_t look_us = is_slow(b) ? now_us + b->pool->probe_interval_us : UINT64_MAX;
		return MAX(MIN(due_us(b, now_us), look_us), now_us + US_PER_MS);
	}
	uint64_t judge_us = b->sent_us + patience_us(b);
	return judge_us > now_us ? judge_us : b->sent_us + timeout_us(b->pool);
}

/* NULL when all are drained. */
static struct probe *next_in_round(struct prober_pool *pp)
{
	for (size_t tries = 0; tries < pp->count; tries++) {
		struct probe *b = pp->probes[pp->round++ % pp->count];
		if (!atomic_load(&b->upstream->drained))
			return b;
	}
	return NULL;
}

/* Who has answered a question since the pool was closed, late or by somebody else's doing; NULL: nobody. */
static struct probe *find_answer(const struct prober_pool *pp)
{
	for (size_t i = 0; i < pp->count; i++) {
		struct probe *b = pp->probes[i];
		if (!atomic_load(&b->upstream->drained) && last_answer_us(b) > pp->closed_us)
			return b;
	}
	return NULL;
}

/* A probe may show that the pool is back; else only questions can, which somebody has to ask. */
static bool may_be_heard(const struct prober_pool *pp)
{
	for (size_t i = 0; i < pp->count; i++) {
		const struct probe *b = pp->probes[i];
		if (b->pool->inbound || b->heard || atomic_load(&b->upstream->drained))
			return true;
	}
	return false;
}

/* Opens a pool to which the operator has given back what was well: it need not be asked first. False if he has not. */
static bool give_back(struct prober *p, const struct prober_pool *pp, uint64_t now_us)
{
	for (size_t i = 0; i < pp->count; i++) {
		struct probe *b = pp->probes[i];
		if (!b->put_aside || atomic_load(&b->upstream->drained))
			continue;
		b->next_us = now_us; /* it may have died meanwhile */
		if (pool_give_back(pp->pool, now_us))
			p->world.opened(p->world.arg, pp->pool, POOL_NONE);
		return true;
	}
	return false;
}

/* One probe every PROBER_DOWN_US goes round a pool that is down. */
static uint64_t visit_closed(struct prober *p, struct prober_pool *pp, uint64_t now_us)
{
	if (!pp->used || pp->pool->count == 0 || !atomic_load(&pp->pool->down))
		return UINT64_MAX;
	if (give_back(p, pp, now_us))
		return now_us;
	struct probe *answered = find_answer(pp);
	if (answered != NULL || (now_us >= pp->closed_us + TRIAL_US && !may_be_heard(pp))) {
		open_pool(p, pp, answered, now_us);
		return now_us;
	}
	if (now_us >= pp->round_us) {
		struct probe *b = next_in_round(pp);
		if (b != NULL && b->out)
			judge_silence(b, now_us);
		if (b != NULL)
			send_probe(p, b, now_us);
		/* From the plan, not from now: half seconds must not grow by the clock's slack. */
		uint64_t planned_us = pp->round_us + PROBER_DOWN_US;
		pp->round_us = planned_us > now_us ? planned_us : now_us + PROBER_DOWN_US;
	}
	return pp->round_us;
}

void prober_clock(struct prober *p, uint64_t now_us)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < p->count; i++) {
		uint64_t at = visit(p, p->probes[i], now_us);
		next = MIN(next, at);
	}
	for (size_t i = 0; i < p->snapshot->pool_count; i++) {
		judge_pool(p, &p->pools[i], now_us);
		uint64_t at = visit_closed(p, &p->pools[i], now_us);
		next = MIN(next, at);
	}
	p->next_us = next;
}

uint64_t prober_next_us(const struct prober *p)
{
	return p->next_us;
}

void prober_suspect(struct prober *p, const struct upstream *u, uint64_t now_us)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->probes[i]->upstream == u && !p->probes[i]->out) {
			p->probes[i]->next_us = now_us;
			p->next_us = now_us;
		}
}

void prober_doubt(struct prober *p, const char *pool_name, uint64_t now_us)
{
	for (size_t i = 0; i < p->count; i++) {
		struct probe *b = p->probes[i];
		struct prober_pool *pp = pool_of(p, b);
		uint64_t answered_us = atomic_load_explicit(&b->upstream->health.last_answer_us, memory_order_relaxed);
		if (strcmp(b->pool->name, pool_name) != 0 || (atomic_load(&b->pool->down) && !give_back(p, pp, now_us)) || b->out)
			continue;
		if (pp->doubted_us != now_us && now_us < pp->doubted_us + DOUBT_DISTANCE_US)
			continue;
		pp->doubted_us = now_us;
		if (now_us >= answered_us + rtt_timeout_us(&b->upstream->rtt))
			send_probe(p, b, now_us);
	}
	p->next_us = now_us;
}

void prober_flush(struct prober *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->probes[i]->transport != NULL && p->probes[i]->transport->dirty)
			p->probes[i]->transport->ops->flush(p->probes[i]->transport);
}

bool prober_is_done(const struct prober *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->pools[p->probes[i]->pool - p->snapshot->pools].used && !p->probes[i]->done_once)
			return false;
	return true;
}

/* ---- birth, change, death */

static void drop_transport(struct probe *b)
{
	put_off(b);
	if (b->transport != NULL)
		b->transport->ops->close(b->transport);
	b->transport = NULL;
}

static void free_probe(struct probe *b)
{
	drop_transport(b);
	upstream_unref(b->upstream);
	free(b);
}

/* The probe of the same address in the old list, taken out of it; or a new one. */
static struct probe *take_probe(struct prober *p, struct probe **old, size_t old_count, struct upstream *u, uint64_t now_us)
{
	for (size_t i = 0; i < old_count; i++)
		if (old[i] != NULL && old[i]->upstream == u) {
			struct probe *b = old[i];
			old[i] = NULL;
			return b;
		}
	struct probe *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->prober = p;
	b->upstream = upstream_ref(u);
	b->next_us = now_us;
	return b;
}

static void mark_used(struct prober *p)
{
	for (size_t i = 0; i < p->snapshot->route_count; i++)
		for (int k = 0; k < p->snapshot->routes[i].count; k++)
			p->pools[p->snapshot->routes[i].pools[k] - p->snapshot->pools].used = true;
}

void prober_adopt(struct prober *p, struct snapshot *s, uint64_t now_us)
{
	struct probe **old = p->probes, **probes;
	size_t old_count = p->count, count = 0, places = 0;
	struct prober_pool *pools = calloc(s->pool_count, sizeof(*pools));

	for (size_t i = 0; i < s->pool_count; i++)
		places += s->pools[i].count;
	probes = calloc(places + 1, sizeof(*probes));
	if (pools == NULL || probes == NULL) {
		free(pools);
		free(probes);
		return; /* the old ones go on being probed */
	}
	for (size_t i = 0; i < s->pool_count; i++) {
		pools[i].pool = &s->pools[i];
		pools[i].probes = probes + count;
		pools[i].closed_us = now_us;
		for (int k = 0; k < s->pools[i].count; k++) {
			struct probe *b = take_probe(p, old, old_count, s->pools[i].places[k].upstream, now_us);
			if (b == NULL)
				continue;
			if (b->transport != NULL && b->transport->ops->stream != s->pools[i].tcp)
				drop_transport(b);
			b->pool = &s->pools[i];
			b->place = (uint8_t)k;
			probes[count++] = b;
			pools[i].count++;
		}
	}
	for (size_t i = 0; i < old_count; i++)
		if (old[i] != NULL)
			free_probe(old[i]);
	free(old);
	free(p->pools);
	if (p->snapshot != NULL)
		snapshot_unref(p->snapshot);
	p->snapshot = snapshot_ref(s);
	p->pools = pools;
	p->probes = probes;
	p->count = count;
	p->next_us = now_us;
	mark_used(p);
}

struct prober *prober_new(const struct prober_world *world, struct snapshot *s, uint64_t now_us)
{
	struct prober *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->world = *world;
	p->world.env->events = (struct transport_events){.answered = answered, .failed = failed, .hint = hint, .arg = p};
	prober_adopt(p, s, now_us);
	if (p->snapshot != NULL)
		return p;
	free(p);
	return NULL;
}

void prober_free(struct prober *p)
{
	for (size_t i = 0; i < p->count; i++)
		free_probe(p->probes[i]);
	snapshot_unref(p->snapshot);
	free(p->probes);
	free(p->pools);
	free(p);
}
