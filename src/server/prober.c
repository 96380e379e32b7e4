/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an endpoint's health: its addresses are probed when they are due (probe.c) → each of them is out: it is closed → one probe
 * after the other goes round → an answer: it is open. */
#include <stdlib.h>
#include <string.h>

#include "server/prober_private.h"

enum { DOUBT_DISTANCE_US = 500000 };

/* ---- the endpoint */

/* Whoever has answered a question since is there, whatever became of its probe; and who is not AWS's may have stopped to answer probes
 * alone: questions have to be silent, too. */
static bool is_out(const struct probe *b, uint64_t now_us)
{
	if (atomic_load_explicit(&b->upstream->drained, memory_order_relaxed))
		return true;
	if (!b->pool->inbound && !probe_is_doubted(b))
		return false;
	if (health_state(&b->upstream->health) == HEALTH_DOWN && probe_last_answer_us(b) < b->bad_us)
		return true;
	return probe_is_out(b) && b->seconded && b->rcode == 0 && probe_last_answer_us(b) < b->sent_us && now_us >= probe_judgement_us(b);
}

/* Whether anything can be heard of a pool that is down. */
static void judge_silence_of_all(struct prober_pool *pp)
{
	bool heard = false, silent = true;

	for (size_t i = 0; i < pp->count; i++) {
		const struct probe *b = pp->probes[i];
		heard |= b->heard;
		silent &= b->bad_rcode == 0 || atomic_load(&b->upstream->drained);
	}
	atomic_store(&pp->pool->silent, heard && silent);
}

void prober_judge_pool(struct prober *p, struct prober_pool *pp, uint64_t now_us)
{
	if (pp->pool->count == 0 || atomic_load(&pp->pool->down))
		return;
	for (size_t i = 0; i < pp->count; i++)
		if (!is_out(pp->probes[i], now_us))
			return;
	pp->round_us = now_us + PROBER_DOWN_US;
	pp->closed_us = now_us;
	/* Where one that is not drained is out, it may be the path: then those who are drained are no better, however well they were. */
	bool by_hand = pool_is_drained(pp->pool);
	for (size_t i = 0; i < pp->count; i++) {
		if (probe_is_out(pp->probes[i]))
			pp->probes[i]->bad_rcode = pp->probes[i]->rcode;
		pp->probes[i]->put_aside = by_hand && health_state(&pp->probes[i]->upstream->health) == HEALTH_UP;
	}
	judge_silence_of_all(pp);
	atomic_store(&pp->pool->trial_us, now_us + POOL_TRIAL_US);
	if (pool_close(pp->pool))
		p->world.closed(p->world.arg, pp->pool);
}

void prober_open_pool(struct prober *p, struct prober_pool *pp, struct probe *answered, uint64_t now_us)
{
	int place = answered != NULL ? answered->place : POOL_NONE;

	if (!pool_open(pp->pool, place, now_us))
		return;
	pp->doubted_us = pp->resolved_us = 0;
	p->world.opened(p->world.arg, pp->pool, place);
	for (size_t i = 0; i < pp->count; i++) {
		struct probe *b = pp->probes[i];
		probe_stop(b); /* sent into the outage: its silence is void */
		b->bad_us = 0;
		b->bad_rcode = 0;
		if (b != answered)
			b->next_us = now_us;
	}
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
	uint64_t idle_us = MAX(probe_last_answer_us(b), b->sent_us) + PROBER_IDLE_US;

	return b->done_once && well ? MAX(idle_us, b->next_us) : b->next_us;
}

/* When more is to be done about one that is out. */
static uint64_t next_look_us(const struct probe *b, uint64_t now_us)
{
	if (!b->seconded && !atomic_load(&b->pool->down))
		return probe_second_us(b);
	return probe_judgement_us(b) > now_us ? probe_judgement_us(b) : b->sent_us + probe_timeout_us(b->pool);
}

static uint64_t visit(struct prober *p, struct probe *b, uint64_t now_us)
{
	if (b->pool->zones == 0 || (atomic_load(&b->pool->down) && !probe_is_out(b)))
		return UINT64_MAX;
	if (probe_is_out(b) && now_us >= b->sent_us + probe_timeout_us(b->pool))
		probe_judge_silence(b, now_us);
	if (!probe_is_out(b) && now_us >= due_us(b, now_us) && !atomic_load(&b->pool->down))
		probe_send(p, b, health_state(&b->upstream->health) != HEALTH_UP, now_us);
	if (probe_is_out(b) && !b->seconded && now_us >= probe_second_us(b) && !atomic_load(&b->pool->down))
		probe_second(p, b, now_us);
	if (!probe_is_out(b)) {
		/* By then the endpoint of a slow one may be in use. */
		uint64_t look_us = is_slow(b) ? now_us + b->pool->probe_interval_us : UINT64_MAX;
		return MAX(MIN(due_us(b, now_us), look_us), now_us + US_PER_MS);
	}
	return next_look_us(b, now_us);
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
		if (!atomic_load(&b->upstream->drained) && probe_last_answer_us(b) > pp->closed_us)
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
	if (pp->pool->zones == 0 || pp->pool->count == 0 || !atomic_load(&pp->pool->down))
		return UINT64_MAX;
	judge_silence_of_all(pp);
	if (give_back(p, pp, now_us))
		return now_us;
	struct probe *answered = find_answer(pp);
	if (answered != NULL || (now_us >= pp->closed_us + POOL_TRIAL_US && !may_be_heard(pp))) {
		prober_open_pool(p, pp, answered, now_us);
		return now_us;
	}
	if (now_us >= pp->round_us) {
		/* Every other time round it is the zones' turn: who was well may not be any more. */
		bool about_address = pp->round / pp->count % 2 == 0;
		struct probe *b = next_in_round(pp);
		if (b != NULL && probe_is_out(b))
			probe_judge_silence(b, now_us);
		if (b != NULL)
			probe_send(p, b, about_address, now_us);
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
		prober_judge_pool(p, &p->pools[i], now_us);
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
		if (p->probes[i]->upstream == u && !probe_is_out(p->probes[i])) {
			p->probes[i]->next_us = now_us;
			p->next_us = now_us;
		}
}

void prober_doubt(struct prober *p, const char *pool_name, uint64_t now_us)
{
	for (size_t i = 0; i < p->count; i++) {
		struct probe *b = p->probes[i];
		struct prober_pool *pp = pool_of(p, b);
		if (strcmp(b->pool->name, pool_name) != 0 || (atomic_load(&b->pool->down) && !give_back(p, pp, now_us)))
			continue;
		pp->doubted_us = now_us;
		if (probe_is_out(b) || (pp->resolved_us != now_us && now_us < pp->resolved_us + DOUBT_DISTANCE_US))
			continue;
		pp->resolved_us = now_us;
		if (now_us >= probe_last_answer_us(b) + rtt_timeout_us(&b->upstream->rtt))
			probe_send(p, b, true, now_us);
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
		if (p->probes[i]->pool->zones > 0 && !p->probes[i]->done_once)
			return false;
	return true;
}

/* ---- birth, change, death */

static void drop_transport(struct probe *b)
{
	probe_stop(b);
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
	b->asked[0].probe = b->asked[1].probe = b;
	b->upstream = upstream_ref(u);
	b->next_us = now_us;
	return b;
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
}

struct prober *prober_new(const struct prober_world *world, struct snapshot *s, uint64_t now_us)
{
	struct prober *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->world = *world;
	probe_listen(p);
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
