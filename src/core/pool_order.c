/* SPDX-License-Identifier: Apache-2.0 */
/* Walks through a pool as one question that nobody answers would. The rules stand in pool.c, where they must be fast; a test holds the two
 * together. */
#include "core/pool_order.h"

enum { CERTAIN_PM = 1000 };

/* What does not change while one question is under way. */
struct view {
	uint32_t tier[POOL_TIERS]; /* bit per place that may be asked */
	uint32_t rtt_us[POOL_MAX_UPSTREAMS];
	uint32_t share[POOL_MAX_UPSTREAMS];
};

static bool is_drained(const struct pool *p, int place)
{
	return atomic_load_explicit(&p->places[place].upstream->drained, memory_order_relaxed);
}

static uint32_t places_in(const struct pool *p, int az)
{
	uint32_t in = 0;

	for (int i = 0; i < p->count; i++)
		in |= p->places[i].az_index == az ? 1u << i : 0;
	return in;
}

static void look(const struct pool *p, uint64_t now_us, struct view *v)
{
	*v = (struct view){.tier = {0}};
	for (int i = 0; i < p->count; i++) {
		const struct upstream *u = p->places[i].upstream;
		v->rtt_us[i] = rtt_smoothed_us(&u->rtt);
		v->share[i] = health_share(&u->health, now_us);
		if (!is_drained(p, i) && !pool_is_above_rate(p, u, now_us))
			v->tier[pool_tier(p, i)] |= 1u << i;
	}
}

/* How likely the policy picks `place` among `eligible`. A policy that asks no lot is certain of its pick. */
static uint32_t likelihood_pm(const struct pool *p, const struct view *v, uint32_t eligible, int place)
{
	uint32_t total = 0;

	if (p->policy != &policy_spread)
		return CERTAIN_PM;
	for (int i = 0; i < p->count; i++)
		total += eligible >> i & 1 ? v->share[i] : 0;
	ASSERT(total > 0); /* the place is one of those that may be asked, and none of them has no share */
	return (uint32_t)((uint64_t)v->share[place] * CERTAIN_PM / total);
}

static struct pool_step choose(const struct pool *p, const struct view *v, uint32_t eligible, uint32_t random)
{
	uint32_t in_az = p->prefer_az >= 0 && p->policy != &policy_ordered ? eligible & places_in(p, p->prefer_az) : 0;
	uint32_t among = in_az != 0 ? in_az : eligible;
	const struct policy_view view = {.eligible = among, .count = p->count, .rtt_us = v->rtt_us, .share = v->share};
	int place = (int)p->policy->pick(&view, random);

	return (struct pool_step){
		.place = place,
		.preferred = in_az != 0,
		.alike = (uint32_t)__builtin_popcount(among),
		.share_pm = likelihood_pm(p, v, among, place),
	};
}

/* The next step among the places that are not `done`; false when none is left. */
static bool next_step(const struct pool *p, const struct view *v, uint32_t done, uint32_t random, struct pool_step *step)
{
	uint32_t near_done = 0;

	for (int i = 0; i < p->count; i++)
		near_done |= done >> i & 1 ? places_in(p, p->places[i].az_index) : 0;
	for (enum pool_tier t = POOL_TIER_UP; t < POOL_TIERS; t++) {
		uint32_t left = v->tier[t] & ~done, elsewhere = left & ~near_done;
		if (left == 0)
			continue;
		*step = choose(p, v, elsewhere != 0 ? elsewhere : left, random);
		step->tier = t;
		step->same_az = elsewhere == 0;
		return true;
	}
	return false;
}

int pool_order(const struct pool *p, uint32_t random, uint64_t now_us, struct pool_step steps[POOL_MAX_UPSTREAMS])
{
	struct view v;
	uint32_t done = 0;
	int count = 0, asked;

	look(p, now_us, &v);
	while (next_step(p, &v, done, random, &steps[count]))
		done |= 1u << steps[count++].place;
	asked = count;
	for (int drained = 0; drained < 2; drained++)
		for (int i = 0; i < p->count; i++)
			if (!(done >> i & 1) && is_drained(p, i) == drained)
				steps[count++] =
					(struct pool_step){.place = i, .tier = pool_tier(p, i), .drained = drained, .above_rate = !drained};
	return asked;
}
