/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ready.h"

#include <stdlib.h>

#include <jansson.h>

#include "wire/text.h"

/* The zones that nobody answers for, until something is found in the cache that could be. */
struct search {
	const struct snapshot *snapshot;
	bool *lost; /* heap, [zone_count] */
	size_t lost_count;
	uint32_t now_s;
};

bool ready_is(const struct status_world *w)
{
	return w->probed || w->now_us >= w->started_us + READY_PATIENCE_US;
}

static bool see(void *arg, const struct cache_entry *entry)
{
	struct search *f = arg;
	const struct snapshot *s = f->snapshot;
	const struct snapshot_zone *zone = snapshot_find_zone(s, &entry->name);
	int32_t past_s = (int32_t)(f->now_s - entry->expires_s);

	if (!f->lost[zone - s->zones] || zone->identity != entry->key.route)
		return true;
	if (past_s < 0 || (uint32_t)past_s < s->cache_rules.serve_stale_s) {
		f->lost[zone - s->zones] = false;
		f->lost_count--;
	}
	return f->lost_count > 0;
}

/* False without memory. */
static bool find_lost(const struct status_world *w, struct search *f)
{
	const struct snapshot *s = w->snapshot;

	*f = (struct search){.snapshot = s, .lost = calloc(s->zone_count, sizeof(bool)), .now_s = (uint32_t)(w->now_us / US_PER_S)};
	enum status_pool *routes = status_routes(s);
	if (f->lost == NULL || routes == NULL) {
		free(f->lost);
		free(routes);
		return false;
	}
	for (size_t i = 0; i < s->zone_count; i++) {
		f->lost[i] = s->zones[i].config != NULL && routes[s->zones[i].route] == STATUS_DOWN;
		f->lost_count += f->lost[i];
	}
	free(routes);
	for (uint32_t i = 0; f->lost_count > 0 && i < cache_shards(s->cache); i++)
		cache_each_of_shard(s->cache, i, see, f);
	return true;
}

static json_t *list_lost(const struct search *f)
{
	json_t *zones = json_array();
	char name[TEXT_NAME_MAX];

	for (size_t i = 0; i < f->snapshot->zone_count && json_array_size(zones) < STATUS_ZONES; i++)
		if (f->lost[i])
			json_array_append_new(zones, json_string(text_name(&f->snapshot->zones[i].config->name, name)));
	return zones;
}

struct json_t *ready_make(const struct status_world *w, bool zones)
{
	json_t *answer = json_object();
	bool ready = ready_is(w);
	struct search f;

	json_object_set_new(answer, "probed", json_boolean(w->probed));
	if (zones && find_lost(w, &f)) {
		ready &= f.lost_count == 0;
		json_object_set_new(answer, "zones", list_lost(&f));
		json_object_set_new(answer, "zones_total", json_integer((json_int_t)f.lost_count));
		free(f.lost);
	}
	json_object_set_new(answer, "ready", json_boolean(ready));
	return answer;
}
