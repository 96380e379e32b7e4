/* SPDX-License-Identifier: Apache-2.0 */
/* Everything here is read while workers go on: numbers that belong together may be a query apart. */
#include "server/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "server/jsontext.h"
#include "server/ready.h"
#include "wire/text.h"

static const struct {
	enum upstream_counter counter;
	const char *name;
} upstream_counters[] = {
	{UPSTREAM_QUERIES, "queries"},	 {UPSTREAM_ANSWERS, "answers"}, {UPSTREAM_TIMEOUTS, "timeouts"},
	{UPSTREAM_SERVFAIL, "servfail"}, {UPSTREAM_REFUSED, "refused"}, {UPSTREAM_HEDGES, "hedges"},
	{UPSTREAM_PROBES, "probes"},	 {UPSTREAM_TCP, "tcp"},		{UPSTREAM_UNREACHABLE, "unreachable"},
};
_Static_assert(ARRAY_SIZE(upstream_counters) == UPSTREAM_COUNTERS, "each counter has a name");

static const char *const pool_states[] = {[STATUS_UP] = "up", [STATUS_DEGRADED] = "degraded", [STATUS_DOWN] = "down"};
static const char *const tiers[] = {
	[POOL_TIER_UP] = "up", [POOL_TIER_SLOW] = "slow", [POOL_TIER_SUSPECT] = "suspect", [POOL_TIER_DOWN] = "down"};
static const char *const kinds[] = {
	[ENDPOINT_LOCAL] = "local", [ENDPOINT_INBOUND] = "inbound-endpoint", [ENDPOINT_RESOLVERS] = "resolvers"};
static const char *const policies[POLICY_KINDS] = {
#define POLICY(value, name, unit, help) [POLICY_##value] = name,
#include "tables/policies.def"
#undef POLICY
};
static const char *const associations[] = {
	[ASSOCIATION_UNKNOWN] = "unknown", [ASSOCIATION_PRIVATE] = "private", [ASSOCIATION_DETACHED] = "detached"};

const char *status_cause(const struct health_report *r)
{
	static const char *const texts[] = {
		[HEALTH_CAUSE_NONE] = "no reason remembered",
		[HEALTH_CAUSE_SILENT] = "questions went unanswered",
		[HEALTH_CAUSE_UNREACHABLE] = "the network says it is unreachable",
		[HEALTH_CAUSE_BROKEN] = "it answered with an error where another address knew the answer",
		[HEALTH_CAUSE_PROBE_SILENT] = "a probe went unanswered",
		[HEALTH_CAUSE_PROBE_FAILED] = "a probe was answered with an error",
		[HEALTH_CAUSE_OUTAGE] = "not yet heard from since the outage",
	};

	return texts[r->cause];
}

/* Down by hand is no failure: it has a word of its own. */
const char *status_pool_text(const struct pool *p)
{
	return pool_is_drained(p) ? "drained" : pool_states[status_pool(p)];
}

const char *status_policy_text(enum policy_kind policy)
{
	return policies[policy];
}

uint64_t status_metric(const struct status_world *w, enum metric which)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->workers; i++)
		sum += metrics_get(w->metrics[i], which);
	return sum;
}

/* ---- small things ---- */

/* To so many places behind the point. */
static json_t *rounded(double value, int digits)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*f", digits, value);
	return json_real(strtod(text, NULL));
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Time since `then_us`; null if it never was. */
static json_t *age(uint64_t then_us, uint64_t now_us)
{
	return then_us == 0 ? json_null() : rounded(now_us > then_us ? (double)(now_us - then_us) / US_PER_S : 0, 1);
}

/* ---- endpoints ---- */

/* Of an endpoint that is down every address is, whatever is remembered of it. */
const char *status_address(const struct pool *p, int place)
{
	if (atomic_load_explicit(&p->places[place].upstream->drained, memory_order_relaxed))
		return "drained";
	return atomic_load(&p->down) ? tiers[POOL_TIER_DOWN] : tiers[pool_tier(p, place)];
}

bool status_address_is_up(const struct pool *p, int place)
{
	const char *state = status_address(p, place);

	return strcmp(state, tiers[POOL_TIER_UP]) == 0 || strcmp(state, tiers[POOL_TIER_SLOW]) == 0;
}

uint32_t status_outages(const struct pool *p)
{
	return atomic_load_explicit(&p->outages, memory_order_relaxed);
}

enum status_pool status_pool(const struct pool *p)
{
	int usable = 0, good = 0;

	for (int i = 0; i < p->count; i++) {
		if (atomic_load_explicit(&p->places[i].upstream->drained, memory_order_relaxed))
			continue;
		enum pool_tier tier = pool_tier(p, i);
		usable += tier != POOL_TIER_DOWN;
		good += tier <= POOL_TIER_SLOW;
	}
	if (atomic_load(&p->down) || usable == 0)
		return STATUS_DOWN;
	return good == p->count ? STATUS_UP : STATUS_DEGRADED;
}

/* Milliseconds, the latest last; null where it could not be used. */
static json_t *make_history(const struct status_world *w, const struct upstream *u)
{
	uint32_t rtt_us[HISTORY_SAMPLES], samples = history_of(w->history, u, rtt_us);
	json_t *h = json_array();

	for (uint32_t i = 0; i < samples; i++)
		json_array_append_new(h, rtt_us[i] == 0 ? json_null() : rounded((double)rtt_us[i] / US_PER_MS, 2));
	return h;
}

static json_t *make_address(const struct status_world *w, const struct pool *p, int place)
{
	struct upstream *u = p->places[place].upstream;
	uint32_t rtt_us = rtt_smoothed_us(&u->rtt);
	const char *state = status_address(p, place);
	json_t *a = json_object();
	struct health_report r;
	const char *cause = NULL;

	health_report(&u->health, &p->rules, &r);
	/* Of a path that is down no address remembers anything: what was wrong with it was before. */
	bool out = atomic_load(&p->down) && r.state == HEALTH_UP;
	if (r.cause != HEALTH_CAUSE_NONE && !out)
		cause = status_cause(&r);
	else if (strcmp(state, "down") == 0)
		cause = "no address of the endpoint answers";
	json_object_set_new(a, "address", jsontext_new(u->text));
	json_object_set_new(a, "az", jsontext_new(p->places[place].az));
	json_object_set_new(a, "state", json_string(state));
	json_object_set_new(a, "up", json_boolean(status_address_is_up(p, place)));
	json_object_set_new(a, "rtt_ms", rtt_us == 0 ? json_null() : rounded((double)rtt_us / US_PER_MS, 2));
	json_object_set_new(a, "rtt_history_ms", make_history(w, u));
	json_object_set_new(a, "qps", rounded(qps_of(w->qps, u), 1));
	for (size_t i = 0; i < ARRAY_SIZE(upstream_counters); i++)
		json_object_set_new(a, upstream_counters[i].name, count(upstream_counted(u, upstream_counters[i].counter)));
	json_object_set_new(a, "share", rounded((double)health_share(&u->health, w->now_us) / HEALTH_FULL_SHARE, 2));
	json_object_set_new(a, "cause", cause != NULL ? json_string(cause) : json_null());
	json_object_set_new(a, "cause_age_seconds", age(r.cause == HEALTH_CAUSE_NONE || out ? 0 : r.cause_at_us, w->now_us));
	json_object_set_new(a, "last_answer_age_seconds", age(r.last_answer_us, w->now_us));
	return a;
}

/* Whether names go to the local upstreams: not if all names have another way. */
static bool is_local_used(const struct config *c)
{
	bool root = false, local = false;

	for (size_t i = 0; i < c->zone_count; i++) {
		root = root || c->zones[i].name.labels == 0;
		local = local || c->zones[i].to[0] == 0; /* which stands alone */
	}
	return local || !root;
}

static bool is_used(const struct snapshot *s, const struct pool *p)
{
	if (p == &s->pools[0])
		return is_local_used(s->config);
	for (size_t i = 0; i < s->route_count; i++)
		if (snapshot_route_place(&s->routes[i], p) >= 0)
			return true;
	return false;
}

static json_t *make_endpoint(const struct status_world *w, size_t i)
{
	const struct pool *p = &w->snapshot->pools[i];
	json_t *e = json_object(), *addresses = json_array();

	json_object_set_new(e, "name", jsontext_new(p->name));
	json_object_set_new(e, "kind", json_string(kinds[w->snapshot->config->endpoints[i].kind]));
	json_object_set_new(e, "state", json_string(status_pool_text(p)));
	json_object_set_new(e, "used", json_boolean(is_used(w->snapshot, p)));
	json_object_set_new(e, "policy", json_string(policies[w->snapshot->config->endpoints[i].options.policy]));
	json_object_set_new(e, "max_qps", count(p->max_qps));
	json_object_set_new(e, "outages", count(status_outages(p)));
	json_object_set_new(e, "above_max_qps", count(atomic_load_explicit(&p->spilled, memory_order_relaxed)));
	for (int k = 0; k < p->count; k++)
		json_array_append_new(addresses, make_address(w, p, k));
	json_object_set_new(e, "addresses", addresses);
	return e;
}

/* ---- zones ---- */

static enum status_pool judge_route(const struct snapshot_route *r)
{
	enum status_pool best = STATUS_DOWN, first = status_pool(r->pools[0]);

	for (int i = 0; i < r->count; i++) {
		enum status_pool state = status_pool(r->pools[i]);
		best = MIN(best, state);
	}
	return first == best || best == STATUS_DOWN ? best : STATUS_DEGRADED;
}

enum status_pool *status_routes(const struct snapshot *s)
{
	enum status_pool *routes = calloc(s->route_count, sizeof(*routes));

	for (size_t i = 0; routes != NULL && i < s->route_count; i++)
		routes[i] = judge_route(&s->routes[i]);
	return routes;
}

static json_t *make_zone(const struct snapshot *s, size_t i, enum status_pool state)
{
	const struct snapshot_route *r = &s->routes[s->zones[i].route];
	json_t *z = json_object(), *to = json_array();
	char name[TEXT_NAME_MAX];

	json_object_set_new(z, "name", jsontext_new(text_name(&s->zones[i].config->name, name)));
	for (int k = 0; k < r->count; k++)
		json_array_append_new(to, jsontext_new(r->pools[k]->name));
	json_object_set_new(z, "to", to);
	json_object_set_new(z, "state", json_string(pool_states[state]));
	json_object_set_new(z, "association", json_string(associations[snapshot_zone_association(s, i)]));
	json_object_set_new(z, "queries", count(snapshot_zone_queries(s, i)));
	json_object_set_new(z, "guard_violations", count(atomic_load_explicit(&s->learned[i].violations, memory_order_relaxed)));
	return z;
}

static bool is_troubled(const struct snapshot *s, size_t i, enum status_pool state)
{
	return state != STATUS_UP || snapshot_zone_association(s, i) == ASSOCIATION_DETACHED;
}

/* Appends up to `most` zones: all, or only those in trouble, or only the others. */
enum zones_wanted { ZONES_ALL, ZONES_TROUBLED, ZONES_WELL };

static void add_zones(const struct snapshot *s, const enum status_pool *routes, json_t *zones, enum zones_wanted wanted, size_t most)
{
	for (size_t i = 0; i < s->zone_count && json_array_size(zones) < most; i++) {
		if (s->zones[i].config == NULL)
			continue;
		enum status_pool state = routes[s->zones[i].route];
		if (wanted == ZONES_ALL || is_troubled(s, i, state) == (wanted == ZONES_TROUBLED))
			json_array_append_new(zones, make_zone(s, i, state));
	}
}

/* `troubled`: how many there are, listed or not. */
static json_t *make_zones(const struct snapshot *s, bool all, size_t *troubled)
{
	enum status_pool *routes = status_routes(s);
	json_t *zones = json_array();

	*troubled = 0;
	if (routes == NULL)
		return zones;
	for (size_t i = 0; i < s->zone_count; i++)
		*troubled += s->zones[i].config != NULL && is_troubled(s, i, routes[s->zones[i].route]);
	if (all || s->config->zone_count <= STATUS_ZONES) {
		add_zones(s, routes, zones, ZONES_ALL, SIZE_MAX);
	} else {
		add_zones(s, routes, zones, ZONES_TROUBLED, STATUS_ZONES);
		add_zones(s, routes, zones, ZONES_WELL, STATUS_ZONES);
	}
	free(routes);
	return zones;
}

/* ---- the rest ---- */

static json_t *make_cache(const struct status_world *w)
{
	struct cache_counts counts;
	json_t *c = json_object();

	cache_count(w->snapshot->cache, &counts);
	json_object_set_new(c, "entries", count(counts.entries));
	json_object_set_new(c, "bytes", count(counts.bytes));
	json_object_set_new(c, "size_bytes", count(w->snapshot->config->cache.size_bytes));
	json_object_set_new(c, "hits", count(status_metric(w, METRIC_CACHE_HITS)));
	json_object_set_new(c, "misses", count(status_metric(w, METRIC_CACHE_MISSES)));
	json_object_set_new(c, "stale", count(status_metric(w, METRIC_CACHE_STALE)));
	json_object_set_new(c, "stale_qps", rounded(qps_total(w->qps, QPS_STALE), 1));
	json_object_set_new(c, "evictions", count(counts.evictions));
	json_object_set_new(c, "coalesced", count(status_metric(w, METRIC_COALESCED)));
	json_object_set_new(c, "prefetches", count(status_metric(w, METRIC_PREFETCHES)));
	return c;
}

static bool is_inbound(const struct status_world *w, const struct pool *p)
{
	return w->snapshot->config->endpoints[p - w->snapshot->pools].kind == ENDPOINT_INBOUND;
}

/* What inbound endpoints would have been asked if each query went there, and what they were asked, probes and all: AWS bills the latter. */
static json_t *make_billed(const struct status_world *w)
{
	const struct snapshot *s = w->snapshot;
	uint64_t asked = 0, sent = 0;
	json_t *b = json_object();

	for (size_t i = 0; i < s->zone_count; i++)
		if (s->zones[i].config != NULL && is_inbound(w, s->routes[s->zones[i].route].pools[0]))
			asked += snapshot_zone_queries(s, i);
	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count && is_inbound(w, &s->pools[i]); k++)
			sent += upstream_counted(s->pools[i].places[k].upstream, UPSTREAM_QUERIES);
	json_object_set_new(b, "asked", count(asked));
	json_object_set_new(b, "sent", count(sent));
	json_object_set_new(b, "avoided", count(asked > sent ? asked - sent : 0));
	return b;
}

/* Named as Prometheus will see them: r53fwd_queries_total{proto="udp"}. */
static json_t *make_metrics(const struct status_world *w)
{
	json_t *m = json_object();
	char name[160];

	for (enum metric i = 0; i < METRICS; i++) {
		bool labels = *metrics_rows[i].labels != '\0';
		snprintf(name, sizeof(name), "r53fwd_%s%s%s%s", metrics_rows[i].family, labels ? "{" : "", metrics_rows[i].labels,
			 labels ? "}" : "");
		json_object_set_new(m, name, count(status_metric(w, i)));
	}
	return m;
}

struct json_t *status_config(const struct status_world *w)
{
	json_t *c = json_object(), *reloads = json_object();
	time_t at = (time_t)w->loaded_at;
	char stamp[32], digest[24];
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)w->snapshot->config->digest);
	json_object_set_new(c, "path", jsontext_new(w->zones_path));
	json_object_set_new(c, "digest", json_string(digest));
	json_object_set_new(c, "loaded_at", json_string(stamp));
	json_object_set_new(reloads, "ok", count(w->reloads_ok));
	json_object_set_new(reloads, "failed", count(w->reloads_failed));
	json_object_set_new(c, "reloads", reloads);
	return c;
}

struct json_t *status_make(const struct status_world *w, bool all_zones)
{
	json_t *s = json_object(), *endpoints = json_array();
	size_t troubled;

	json_object_set_new(s, "version", json_string(R53FWD_VERSION));
	json_object_set_new(s, "uptime_seconds", age(MAX(w->started_us, UINT64_C(1)), w->now_us));
	json_object_set_new(s, "workers", count(w->workers));
	json_object_set_new(s, "qps", rounded(qps_total(w->qps, QPS_QUERIES), 1));
	for (size_t i = 0; i < w->snapshot->pool_count; i++)
		json_array_append_new(endpoints, make_endpoint(w, i));
	json_object_set_new(s, "endpoints", endpoints);
	json_object_set_new(s, "zones", make_zones(w->snapshot, all_zones, &troubled));
	json_object_set_new(s, "zones_total", count(w->snapshot->config->zone_count));
	json_object_set_new(s, "zones_in_trouble", count(troubled));
	json_object_set_new(s, "cache", make_cache(w));
	json_object_set_new(s, "inbound_queries", make_billed(w));
	json_object_set_new(s, "ready", json_boolean(ready_is(w)));
	json_object_set_new(s, "metrics", make_metrics(w));
	json_object_set_new(s, "config", status_config(w));
	return s;
}
