/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers: slow is twice the best RTT + 20 ms (contract, section 2: `policy`). max-qps is a generic cell rate algorithm
 * with a burst of one second. */
#include "core/pool.h"

#include <stdlib.h>
#include <string.h>

enum { NS_PER_US = 1000, BURST_NS = 1000000000 };

struct upstream *upstream_new(const struct addr *addr, uint32_t id)
{
	struct upstream *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->counts = aligned_alloc(64, POOL_MAX_THREADS * sizeof(*u->counts));
	if (u->counts == NULL) {
		free(u);
		return NULL;
	}
	memset(u->counts, 0, POOL_MAX_THREADS * sizeof(*u->counts));
	u->refs = 1;
	u->id = id;
	u->addr = *addr;
	addr_format(addr, u->text);
	health_init(&u->health);
	return u;
}

struct upstream *upstream_ref(struct upstream *u)
{
	atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
	return u;
}

void upstream_unref(struct upstream *u)
{
	if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
		return;
	health_deinit(&u->health);
	free(u->counts);
	free(u);
}

uint64_t upstream_counted(const struct upstream *u, enum upstream_counter c)
{
	uint64_t sum = 0;

	for (uint32_t t = 0; t < POOL_MAX_THREADS; t++)
		sum += atomic_load_explicit(&u->counts[t].of[c], memory_order_relaxed);
	return sum;
}

static void grow(_Atomic uint64_t *n, uint64_t by)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + by, memory_order_relaxed);
}

void upstream_measure(struct upstream *u, uint32_t thread, uint64_t us)
{
	struct upstream_counts *mine = &u->counts[thread];

	rtt_sample(&u->rtt, us);
	grow(&mine->rtt[rtt_bucket(us)], 1);
	grow(&mine->rtt_sum_us, us);
}

void upstream_measured(const struct upstream *u, struct upstream_rtts *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t t = 0; t < POOL_MAX_THREADS; t++) {
		out->sum_us += atomic_load_explicit(&u->counts[t].rtt_sum_us, memory_order_relaxed);
		for (uint32_t i = 0; i < RTT_BUCKETS; i++)
			out->in[i] += atomic_load_explicit(&u->counts[t].rtt[i], memory_order_relaxed);
	}
	for (uint32_t i = 0; i < RTT_BUCKETS; i++)
		out->count += out->in[i];
}

/* What a pick looks at: one pass over the places. */
struct survey {
	uint32_t tier[POOL_TIERS]; /* bit per place */
	uint32_t rtt_us[POOL_MAX_UPSTREAMS];
	uint32_t share[POOL_MAX_UPSTREAMS];
	uint64_t slow_us;          /* above this is slow */
};

static void look(const struct pool *p, uint64_t now_us, struct survey *s)
{
	uint32_t best = UINT32_MAX;

	memset(s->tier, 0, sizeof(s->tier));
	for (int i = 0; i < p->count; i++) {
		const struct upstream *u = p->places[i].upstream;
		enum health_state state = health_state(&u->health);
		s->rtt_us[i] = rtt_smoothed_us(&u->rtt);
		s->share[i] = health_share(&u->health, now_us);
		if (atomic_load_explicit(&u->drained, memory_order_relaxed))
			continue;
		s->tier[state == HEALTH_UP ? POOL_TIER_UP : state == HEALTH_SUSPECT ? POOL_TIER_SUSPECT : POOL_TIER_DOWN] |= 1u << i;
		if (state == HEALTH_UP && s->rtt_us[i] != 0)
			best = MIN(best, s->rtt_us[i]);
	}
	s->slow_us = 2 * (uint64_t)best + POOL_SLOW_US;
	for (int i = 0; i < p->count; i++)
		if (s->tier[POOL_TIER_UP] >> i & 1 && s->rtt_us[i] > s->slow_us && p->policy != &policy_ordered) {
			s->tier[POOL_TIER_UP] &= ~(1u << i);
			s->tier[POOL_TIER_SLOW] |= 1u << i;
		}
}

enum pool_tier pool_tier(const struct pool *p, int place)
{
	struct survey s;

	look(p, 0, &s);
	for (enum pool_tier t = POOL_TIER_UP; t < POOL_TIERS; t++)
		if (s.tier[t] >> place & 1)
			return t;
	return POOL_TIER_DOWN; /* drained */
}

unsigned pool_set_drained(const struct pool *p, const struct addr *address, bool drained)
{
	unsigned places = 0;

	for (int i = 0; i < p->count; i++) {
		struct upstream *u = p->places[i].upstream;
		if (!(addr_port(address) == 0 ? addr_equal_ip(&u->addr, address) : addr_equal(&u->addr, address)))
			continue;
		atomic_store(&u->drained, drained);
		places++;
	}
	return places;
}

uint32_t pool_usable(const struct pool *p)
{
	uint32_t usable = 0;

	for (int i = 0; i < p->count; i++)
		usable |= atomic_load_explicit(&p->places[i].upstream->drained, memory_order_relaxed) ? 0 : 1u << i;
	return usable;
}

bool pool_is_drained(const struct pool *p)
{
	return p->count > 0 && pool_usable(p) == 0;
}

bool pool_is_own(const struct pool *p)
{
	return !p->inbound && pool_usable(p) != 0;
}

bool pool_is_unsure(const struct pool *p)
{
	return pool_is_own(p) && !atomic_load_explicit(&p->silent, memory_order_relaxed);
}

bool pool_take_trial(struct pool *p, uint64_t now_us)
{
	uint64_t due_us = atomic_load_explicit(&p->trial_us, memory_order_relaxed);

	if (!pool_is_own(p) || now_us < due_us)
		return false;
	return atomic_compare_exchange_strong_explicit(&p->trial_us, &due_us, now_us + POOL_TRIAL_US, memory_order_relaxed,
						       memory_order_relaxed);
}

bool pool_is_doubtful(const struct pool *p, int place)
{
	const struct upstream *u = p->places[place].upstream;

	return health_state(&u->health) != HEALTH_UP || atomic_load_explicit(&u->drained, memory_order_relaxed);
}

static uint32_t places_in_tried_azs(const struct pool *p, uint32_t tried)
{
	uint32_t in = 0;

	for (int i = 0; i < p->count; i++)
		for (int k = 0; k < p->count; k++)
			if (tried >> k & 1 && p->places[i].az_index == p->places[k].az_index)
				in |= 1u << i;
	return in;
}

static uint32_t places_in_az(const struct pool *p, int az)
{
	uint32_t in = 0;

	for (int i = 0; i < p->count; i++)
		if (p->places[i].az_index == az)
			in |= 1u << i;
	return in;
}

/* Picks within `eligible`, passing over addresses above their rate. */
static int pick_within_rate(struct pool *p, const struct pool_wish *wish, const struct survey *s, uint32_t *eligible)
{
	while (*eligible != 0) {
		struct policy_view view = {.eligible = *eligible, .count = p->count, .rtt_us = s->rtt_us, .share = s->share};
		uint32_t i = p->policy->pick(&view, wish->random);
		if (LIKELY(pool_take_rate_of(p, p->places[i].upstream, wish->modest, wish->now_us)))
			return (int)i;
		*eligible &= ~(1u << i);
	}
	return POOL_NONE;
}

/* The preferred AZ's first, if it has any there. */
static int pick_preferring(struct pool *p, const struct pool_wish *wish, const struct survey *s, uint32_t eligible)
{
	uint32_t preferred = p->prefer_az >= 0 && p->policy != &policy_ordered ? eligible & places_in_az(p, p->prefer_az) : 0;
	uint32_t others = eligible & ~preferred;
	int place = pick_within_rate(p, wish, s, &preferred);

	return place != POOL_NONE ? place : pick_within_rate(p, wish, s, &others);
}

static int pick_in_tier(struct pool *p, const struct pool_wish *wish, const struct survey *s, uint32_t eligible)
{
	uint32_t near_tried = wish->tried == 0 ? 0 : places_in_tried_azs(p, wish->tried);
	int place = pick_preferring(p, wish, s, eligible & ~near_tried);

	if (place == POOL_NONE && !wish->other_az_only)
		place = pick_preferring(p, wish, s, eligible & near_tried);
	return place;
}

int pool_pick(struct pool *p, const struct pool_wish *wish)
{
	struct survey s;
	uint32_t all = 0, wanted;

	look(p, wish->now_us, &s);
	for (enum pool_tier t = POOL_TIER_UP; t < POOL_TIERS; t++)
		all |= s.tier[t];
	wanted = all & ~wish->tried;
	if (wanted == 0 && !wish->other_az_only)
		wanted = all & ~wish->tried_twice;
	if (wish->other_az_only)
		wanted &= ~places_in_tried_azs(p, wish->tried);
	for (enum pool_tier t = POOL_TIER_UP; t < POOL_TIERS; t++) {
		int place = pick_in_tier(p, wish, &s, s.tier[t] & wanted);
		if (place != POOL_NONE)
			return place;
	}
	if (wanted == 0)
		return POOL_NONE;
	atomic_fetch_add_explicit(&p->spilled, 1, memory_order_relaxed);
	return POOL_ABOVE_RATE;
}

void pool_earn_hedge(struct pool *p)
{
	int32_t now = atomic_load_explicit(&p->hedge_tokens_pm, memory_order_relaxed);

	/* A full bucket, the usual case, costs no write. Where somebody else has earned or spent meanwhile, a tenth of a hedge is lost:
	 * what was spent must not come back. */
	if (now < POOL_HEDGE_BUCKET * 1000)
		(void)atomic_compare_exchange_strong_explicit(&p->hedge_tokens_pm, &now,
							      MIN(now + (int32_t)p->hedge_budget_pm, POOL_HEDGE_BUCKET * 1000),
							      memory_order_relaxed, memory_order_relaxed);
}

bool pool_spend_hedge(struct pool *p)
{
	int32_t now = atomic_load_explicit(&p->hedge_tokens_pm, memory_order_relaxed);

	while (now >= 1000)
		if (atomic_compare_exchange_weak_explicit(&p->hedge_tokens_pm, &now, now - 1000, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

uint64_t pool_hedge_delay_us(const struct pool *p, int place)
{
	if (p->hedge_us == 0)
		return UINT64_MAX;
	return p->hedge_us > 0 ? (uint64_t)p->hedge_us : rtt_hedge_us(&p->places[place].upstream->rtt);
}

uint32_t pool_worker_ports(const struct pool *p, uint32_t workers)
{
	uint32_t ours = POOL_PROBE_PORTS + POOL_LOOP_PORTS + POOL_ASSOCIATION_PORTS;

	return MAX(2u, p->source_ports > ours ? (p->source_ports - ours) / workers : 0);
}

bool pool_take_rate(const struct pool *p, struct upstream *u, uint64_t now_us)
{
	return pool_take_rate_of(p, u, false, now_us);
}

bool pool_take_rate_of(const struct pool *p, struct upstream *u, bool modest, uint64_t now_us)
{
	uint64_t now_ns = now_us * NS_PER_US, step = BURST_NS / p->max_qps;
	uint64_t room_ns = modest ? MAX(BURST_NS - BURST_NS / 8, step) : BURST_NS; /* one question at least */
	uint64_t due = atomic_load_explicit(&u->rate_ns, memory_order_relaxed);

	for (;;) {
		uint64_t from = MAX(due, now_ns);
		if (UNLIKELY(from + step > now_ns + room_ns))
			return false;
		if (LIKELY(atomic_compare_exchange_weak_explicit(&u->rate_ns, &due, from + step, memory_order_relaxed,
								 memory_order_relaxed)))
			return true;
	}
}

bool pool_is_above_rate(const struct pool *p, const struct upstream *u, uint64_t now_us)
{
	uint64_t now_ns = now_us * NS_PER_US;

	return MAX(atomic_load_explicit(&u->rate_ns, memory_order_relaxed), now_ns) + BURST_NS / p->max_qps > now_ns + BURST_NS;
}

bool pool_close(struct pool *p)
{
	if (atomic_exchange(&p->down, true))
		return false;
	atomic_fetch_add(&p->outage, 1);
	if (!pool_is_drained(p))
		atomic_fetch_add(&p->outages, 1);
	return true;
}

bool pool_give_back(struct pool *p, uint64_t now_us)
{
	if (!atomic_load(&p->down))
		return false;
	/* What failed while it was down is void: a new number, before anybody can see it open. */
	atomic_fetch_add(&p->outage, 1);
	atomic_store(&p->open_since_us, now_us);
	atomic_store(&p->down, false);
	return true;
}

bool pool_open(struct pool *p, int answered, uint64_t now_us)
{
	if (!atomic_load(&p->down))
		return false;
	for (int i = 0; i < p->count; i++)
		health_void(&p->places[i].upstream->health, i == answered, now_us);
	return pool_give_back(p, now_us);
}

bool pool_is_steady(const struct pool *p, uint64_t now_us)
{
	uint64_t since = atomic_load_explicit(&p->open_since_us, memory_order_relaxed);

	if (atomic_load_explicit(&p->down, memory_order_relaxed))
		return false;
	return since == 0 || now_us >= since + POOL_RETURN_US;
}
