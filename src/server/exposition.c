/* SPDX-License-Identifier: Apache-2.0 */
/* Everything here is read while workers go on: numbers that belong together may be a query apart. */
#include "server/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "server/jsontext.h"
#include "server/ready.h"
#include "wire/text.h"

/* The families that are being filled. */
struct sheet {
	const struct status_world *world;
	json_t *families;
	json_t *gathered[METRICS_GATHERED]; /* their samples; lent by families */
};

/* Which counter of an upstream is which metric. */
static const struct {
	enum metrics_gathered metric;
	enum upstream_counter counter;
} upstream_counters[] = {
	{GATHERED_ADDRESS_QUERIES, UPSTREAM_QUERIES},	{GATHERED_ADDRESS_ANSWERS, UPSTREAM_ANSWERS},
	{GATHERED_ADDRESS_TIMEOUTS, UPSTREAM_TIMEOUTS}, {GATHERED_ADDRESS_SERVFAIL, UPSTREAM_SERVFAIL},
	{GATHERED_ADDRESS_REFUSED, UPSTREAM_REFUSED},	{GATHERED_ADDRESS_HEDGES, UPSTREAM_HEDGES},
	{GATHERED_ADDRESS_PROBES, UPSTREAM_PROBES},	{GATHERED_ADDRESS_TCP, UPSTREAM_TCP},
	{GATHERED_ADDRESS_UNREACHABLE, UPSTREAM_UNREACHABLE},
};
_Static_assert(ARRAY_SIZE(upstream_counters) == UPSTREAM_COUNTERS, "each counter has a metric");

static const char *const states[] = {"up", "slow", "suspect", "down", "drained"};

/* ---- small things ---- */

/* A label that has no value is an empty one. */
static json_t *text(const char *from)
{
	return jsontext_new(from != NULL ? from : "");
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *label(const char *name, const char *value)
{
	json_t *labels = json_object();

	json_object_set_new(labels, name, text(value));
	return labels;
}

/* Takes `value`; `labels` is shared, NULL: none. */
static void put(json_t *samples, json_t *labels, json_t *value)
{
	json_t *sample = json_object();

	if (labels != NULL)
		json_object_set(sample, "labels", labels);
	json_object_set_new(sample, "value", value);
	json_array_append_new(samples, sample);
}

static void put_one(struct sheet *s, enum metrics_gathered which, json_t *value)
{
	put(s->gathered[which], NULL, value);
}

/* Returns the list of samples, lent. */
static json_t *add_family(json_t *families, const char *name, enum metrics_type type, const char *help)
{
	json_t *family = json_object(), *samples = json_array();

	json_object_set_new(family, "name", json_sprintf("r53fwd_%s", name));
	json_object_set_new(family, "type", json_string(metrics_type_name(type)));
	json_object_set_new(family, "help", json_string(help));
	json_object_set_new(family, "samples", samples);
	json_array_append_new(families, family);
	return samples;
}

/* ---- what workers count ---- */

/* `proto="udp"`: rows hold one pair at most. */
static json_t *labels_of(const struct metrics_row *row)
{
	char name[32], value[32];

	if (sscanf(row->labels, "%31[^=]=\"%31[^\"]\"", name, value) != 2)
		return NULL;
	return label(name, value);
}

static void add_counters(struct sheet *s)
{
	json_t *samples = NULL;

	for (enum metric i = 0; i < METRICS; i++) {
		const struct metrics_row *row = &metrics_rows[i];
		json_t *labels = labels_of(row);
		if (*row->help != '\0')
			samples = add_family(s->families, row->family, METRICS_COUNTER, row->help);
		put(samples, labels, count(status_metric(s->world, i)));
		json_decref(labels);
	}
}

/* ---- endpoints and addresses ---- */

static void add_histogram(struct sheet *s, json_t *labels, const struct upstream *u)
{
	json_t *sample = json_object(), *buckets = json_array();
	struct upstream_rtts rtts;
	uint64_t below = 0;

	upstream_measured(u, &rtts);
	for (uint32_t i = 0; i < RTT_BUCKETS - 1; i++) {
		below += rtts.in[i];
		json_array_append_new(buckets, json_pack("[f,I]", (double)rtt_bound_us(i) / US_PER_S, (json_int_t)below));
	}
	json_object_set(sample, "labels", labels);
	json_object_set_new(sample, "buckets", buckets);
	json_object_set_new(sample, "sum", json_real((double)rtts.sum_us / US_PER_S));
	json_object_set_new(sample, "count", count(rtts.count));
	json_array_append_new(s->gathered[GATHERED_ADDRESS_RTT], sample);
}

static void add_states(struct sheet *s, const json_t *labels, const char *state)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		json_t *with_state = json_copy((json_t *)labels);
		json_object_set_new(with_state, "state", json_string(states[i]));
		put(s->gathered[GATHERED_ADDRESS_STATE], with_state, json_integer(strcmp(states[i], state) == 0));
		json_decref(with_state);
	}
}

static void add_address(struct sheet *s, const struct pool *p, int place)
{
	struct upstream *u = p->places[place].upstream;
	const char *state = status_address(p, place);
	json_t *labels = label("endpoint", p->name);

	json_object_set_new(labels, "address", text(u->text));
	json_object_set_new(labels, "az", text(p->places[place].az));
	put(s->gathered[GATHERED_ADDRESS_UP], labels, json_integer(status_address_is_up(p, place)));
	add_states(s, labels, state);
	add_histogram(s, labels, u);
	put(s->gathered[GATHERED_ADDRESS_SMOOTHED], labels, json_real((double)rtt_smoothed_us(&u->rtt) / US_PER_S));
	for (size_t i = 0; i < ARRAY_SIZE(upstream_counters); i++)
		put(s->gathered[upstream_counters[i].metric], labels, count(upstream_counted(u, upstream_counters[i].counter)));
	put(s->gathered[GATHERED_ADDRESS_QPS], labels, json_real(qps_of(s->world->qps, u)));
	put(s->gathered[GATHERED_ADDRESS_MAX_QPS], labels, count(p->max_qps));
	put(s->gathered[GATHERED_ADDRESS_SHARE], labels,
	    json_real((double)health_share(&u->health, s->world->now_us) / HEALTH_FULL_SHARE));
	json_decref(labels);
}

static void add_endpoint(struct sheet *s, const struct pool *p)
{
	json_t *labels = label("endpoint", p->name);

	put(s->gathered[GATHERED_ENDPOINT_UP], labels, json_integer(status_pool(p) != STATUS_DOWN));
	put(s->gathered[GATHERED_ENDPOINT_OUTAGES], labels, count(status_outages(p)));
	put(s->gathered[GATHERED_ENDPOINT_ABOVE], labels, count(atomic_load_explicit(&p->spilled, memory_order_relaxed)));
	json_decref(labels);
	for (int i = 0; i < p->count; i++)
		add_address(s, p, i);
}

/* ---- zones ---- */

static void add_associations(struct sheet *s, const char *name, size_t zone)
{
	const struct snapshot *snapshot = s->world->snapshot;
	const struct snapshot_route *r = &snapshot->routes[snapshot->zones[zone].route];

	for (int i = 0; i < r->count; i++) {
		enum snapshot_association a = atomic_load_explicit(&snapshot->learned[zone].association[i], memory_order_relaxed);
		if (a == ASSOCIATION_UNKNOWN)
			continue;
		json_t *labels = label("zone", name);
		json_object_set_new(labels, "endpoint", text(r->pools[i]->name));
		put(s->gathered[GATHERED_ZONE_DETACHED], labels, json_integer(a == ASSOCIATION_DETACHED));
		json_decref(labels);
	}
}

static void add_zone(struct sheet *s, size_t zone, bool up)
{
	const struct snapshot *snapshot = s->world->snapshot;
	char name[TEXT_NAME_MAX];
	json_t *labels = label("zone", text_name(&snapshot->zones[zone].config->name, name));

	put(s->gathered[GATHERED_ZONE_UP], labels, json_integer(up));
	put(s->gathered[GATHERED_ZONE_QUERIES], labels, count(snapshot_zone_queries(snapshot, zone)));
	put(s->gathered[GATHERED_ZONE_VIOLATIONS], labels,
	    count(atomic_load_explicit(&snapshot->learned[zone].violations, memory_order_relaxed)));
	add_associations(s, name, zone);
	json_decref(labels);
}

static void add_zones(struct sheet *s)
{
	const struct snapshot *snapshot = s->world->snapshot;
	enum status_pool *routes = status_routes(snapshot);
	bool all = snapshot->config->zone_count <= STATUS_ZONES;
	size_t listed = 0;

	for (size_t i = 0; routes != NULL && i < snapshot->zone_count && listed < EXPOSITION_ZONES; i++) {
		if (snapshot->zones[i].config == NULL)
			continue;
		bool up = routes[snapshot->zones[i].route] != STATUS_DOWN;
		bool told = up && snapshot_zone_association(snapshot, i) != ASSOCIATION_DETACHED && snapshot_zone_queries(snapshot, i) == 0;
		if (told && !all)
			continue;
		add_zone(s, i, up);
		listed++;
	}
	free(routes);
}

/* ---- the whole ---- */

static void add_daemon(struct sheet *s)
{
	const struct status_world *w = s->world;
	json_t *version = label("version", R53FWD_VERSION), *ok = label("result", "ok"), *failed = label("result", "failed");

	put(s->gathered[GATHERED_INFO], version, json_integer(1));
	put_one(s, GATHERED_STARTED, json_integer((json_int_t)w->started_at));
	put_one(s, GATHERED_READY, json_integer(ready_is(w)));
	put_one(s, GATHERED_WORKERS, count(w->workers));
	put(s->gathered[GATHERED_RELOADS], ok, count(w->reloads_ok));
	put(s->gathered[GATHERED_RELOADS], failed, count(w->reloads_failed));
	put_one(s, GATHERED_CONFIG_LOADED, json_integer((json_int_t)w->loaded_at));
	put_one(s, GATHERED_QPS, json_real(qps_total(w->qps, QPS_QUERIES)));
	put_one(s, GATHERED_STALE_QPS, json_real(qps_total(w->qps, QPS_STALE)));
	json_decref(version);
	json_decref(ok);
	json_decref(failed);
}

static void add_cache(struct sheet *s)
{
	struct cache_counts counts;

	cache_count(s->world->snapshot->cache, &counts);
	put_one(s, GATHERED_CACHE_ENTRIES, count(counts.entries));
	put_one(s, GATHERED_CACHE_BYTES, count(counts.bytes));
	put_one(s, GATHERED_CACHE_SIZE, count(s->world->snapshot->config->cache.size_bytes));
	put_one(s, GATHERED_CACHE_EVICTIONS, count(counts.evictions));
}

struct json_t *exposition_make(const struct status_world *w)
{
	struct sheet s = {.world = w, .families = json_array()};

	add_counters(&s);
	for (size_t i = 0; i < METRICS_GATHERED; i++)
		s.gathered[i] = add_family(s.families, metrics_gathered[i].name, metrics_gathered[i].type, metrics_gathered[i].help);
	add_daemon(&s);
	add_cache(&s);
	for (size_t i = 0; i < w->snapshot->pool_count; i++)
		add_endpoint(&s, &w->snapshot->pools[i]);
	add_zones(&s);
	return json_pack("{s:o}", "families", s.families);
}
