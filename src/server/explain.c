/* SPDX-License-Identifier: Apache-2.0 */
#include "server/explain.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "core/pool_order.h"
#include "server/forward.h"
#include "server/jsontext.h"
#include "server/persist_record.h"
#include "wire/dns.h"
#include "wire/text.h"

enum { SENTENCE_MAX = 1024 };

/* What is known once the question has been walked through as forward.c would. */
struct walk {
	const struct status_world *world;
	const struct explain_question *question;
	const struct snapshot *snapshot;
	size_t zone;
	const struct snapshot_route *route;
	struct pool *pool;			    /* who would be asked; NULL: nobody can be */
	bool down;				    /* none is open: `pool` may answer all the same (snapshot_route_unsure) */
	struct pool_step steps[POOL_MAX_UPSTREAMS]; /* of `pool` */
	int asked;
	enum cache_result known;
	struct cache_hit hit;
	uint8_t known_bits; /* CACHE_KEY_* of the entry that is told of */
};

/* ---- small things ---- */

static const struct config_zone *zone_config(const struct walk *w)
{
	return w->snapshot->zones[w->zone].config;
}

static bool is_inbound(const struct walk *w, const struct pool *p)
{
	return w->snapshot->config->endpoints[p - w->snapshot->pools].kind == ENDPOINT_INBOUND;
}

static double ms_of(uint64_t us)
{
	return (double)us / US_PER_MS;
}

static json_t *to_of(const struct snapshot *s, const struct config_zone *zone)
{
	json_t *to = json_array();

	for (size_t i = 0; i < zone->to_count; i++)
		json_array_append_new(to, jsontext_new(s->config->endpoints[zone->to[i]].name));
	return to;
}

/* "10.10.1.10:53 (apne2-az1)" */
static void add_address(struct strbuf *s, const struct pool *p, int place)
{
	strbuf_add(s, p->places[place].upstream->text);
	if (p->places[place].az != NULL)
		strbuf_addf(s, " (%s)", p->places[place].az);
}

/* ---- zones ---- */

static json_t *make_zone(const struct walk *w, const struct config_zone *zone, const char *why)
{
	char name[TEXT_NAME_MAX];
	json_t *z = json_object();

	json_object_set_new(z, "name", jsontext_new(text_name(&zone->name, name)));
	json_object_set_new(z, "line", json_integer(zone->line));
	json_object_set_new(z, "from", jsontext_new(zone->source_text));
	json_object_set_new(z, "to", to_of(w->snapshot, zone));
	json_object_set_new(z, "why", jsontext_new(why));
	return z;
}

static json_t *make_matched(const struct walk *w)
{
	static const char *const guards[] = {[GUARD_OFF] = "off", [GUARD_WARN] = "warn", [GUARD_ENFORCE] = "enforce"};
	static const char *const associations[] = {
		[ASSOCIATION_UNKNOWN] = "unknown", [ASSOCIATION_PRIVATE] = "private", [ASSOCIATION_DETACHED] = "detached"};
	const struct config_zone *zone = zone_config(w);
	bool exact = zone != NULL && name_equal(&zone->name, w->question->name);

	if (zone == NULL)
		return json_null();
	json_t *z = make_zone(w, zone, exact ? "the name is the zone itself" : "the longest suffix of the name that has a route");
	json_object_set_new(z, "guard", json_string(guards[zone->guard]));
	json_object_set_new(z, "association", json_string(associations[snapshot_zone_association(w->snapshot, w->zone)]));
	json_object_set_new(z, "queries", json_integer((json_int_t)snapshot_zone_queries(w->snapshot, w->zone)));
	return z;
}

/* The zones that hold the name as well, but are shorter. */
static void add_shorter(const struct walk *w, json_t *lost)
{
	int values[NAME_MAX_LABELS + 1];
	size_t count = route_find_all(w->snapshot->table, w->question->name, values, ARRAY_SIZE(values));

	for (size_t i = 0; i < count; i++) {
		const struct config_zone *zone = w->snapshot->zones[values[i]].config;
		if ((size_t)values[i] != w->zone && zone != NULL)
			json_array_append_new(lost, make_zone(w, zone, "a shorter suffix of the name"));
	}
}

/* "xcorp.example" ends in the letters of the zone "corp.example", and yet is no name of it. */
static bool looks_within(const struct name *n, const struct name *zone)
{
	return zone->labels > 0 && n->len > zone->len && !name_is_within(n, zone) &&
	       memcmp(n->octets + n->len - zone->len + 1, zone->octets + 1, zone->len - 1u) == 0;
}

static const char *near_miss(const struct walk *w, const struct config_zone *zone)
{
	const struct config_zone *matched = zone_config(w);

	if (looks_within(w->question->name, &zone->name))
		return "the name ends in the same letters, but not at a dot";
	if (matched == NULL || zone == matched || !name_is_within(&zone->name, &matched->name))
		return NULL;
	if (zone->to_count == matched->to_count && memcmp(zone->to, matched->to, zone->to_count * sizeof(zone->to[0])) == 0)
		return NULL;
	return "an exception below the zone; the name is neither it nor below it";
}

static json_t *make_lost(const struct walk *w, size_t *left_out)
{
	const struct config *c = w->snapshot->config;
	json_t *lost = json_array();
	size_t near = 0;

	add_shorter(w, lost);
	for (size_t i = 0; i < c->zone_count; i++) {
		const char *why = near_miss(w, &c->zones[i]);
		if (why != NULL && near++ < EXPLAIN_LOST)
			json_array_append_new(lost, make_zone(w, &c->zones[i], why));
	}
	*left_out = near > EXPLAIN_LOST ? near - EXPLAIN_LOST : 0;
	return lost;
}

/* ---- what is answered here ---- */

static const char *const specials[] = {
	[SPECIAL_LOCALHOST] = "localhost and the names below it: 127.0.0.1 and ::1 (RFC 6761)",
	[SPECIAL_LOCALHOST_REVERSE] = "the reverse of 127.0.0.0/8 and ::1: localhost for the addresses themselves (RFC 6761)",
	[SPECIAL_NXDOMAIN] = "invalid and onion: NXDOMAIN (RFC 6761, RFC 7686)",
	[SPECIAL_NODATA] = "resolver.arpa: nothing, there is no encrypted resolver here (RFC 9462)",
};

/* What becomes of types that are no ordinary look-up; NULL for the others. *refused: it ends here over TCP, too. */
static const char *odd_type(uint16_t type, bool *refused)
{
	*refused = type == 0 || type == DNS_TYPE_OPT || (type >= DNS_TYPE_TKEY && type < DNS_TYPE_ANY);
	if (*refused)
		return "REFUSED: this type is no look-up (zone transfers and the like are not forwarded)";
	return type == DNS_TYPE_ANY ? "over UDP RFC 8482's HINFO is answered here; over TCP ANY is forwarded, as told below" : NULL;
}

/* ---- addresses ---- */

static void add_health(struct strbuf *s, const struct walk *w, const struct pool *p, const struct pool_step *step)
{
	struct upstream *u = p->places[step->place].upstream;
	struct health_report r;

	health_report(&u->health, &p->rules, &r);
	switch (step->tier) {
	case POOL_TIER_UP:
		strbuf_add(s, atomic_load(&p->down) ? "of itself in no doubt: none of the endpoint's addresses answers" : "healthy");
		break;
	case POOL_TIER_SLOW:
		strbuf_addf(s, "slow: RTT %.1f ms, more than twice the best + 20 ms", ms_of(rtt_smoothed_us(&u->rtt)));
		break;
	case POOL_TIER_SUSPECT:
	case POOL_TIER_DOWN:
	case POOL_TIERS:
		strbuf_addf(s, "%s: %s", step->tier == POOL_TIER_SUSPECT ? "suspect" : "down", status_cause(&r));
		if (r.cause != HEALTH_CAUSE_NONE && w->world->now_us > r.cause_at_us)
			strbuf_addf(s, ", %llu s ago", (unsigned long long)((w->world->now_us - r.cause_at_us) / US_PER_S));
		if (r.goods < r.goods_needed)
			strbuf_addf(s, "; %u of %u good probes", r.goods, r.goods_needed);
		break;
	}
}

static void add_choice(struct strbuf *s, const struct pool *p, const struct pool_step *step, bool first)
{
	uint32_t rtt_us = rtt_smoothed_us(&p->places[step->place].upstream->rtt);

	if (step->preferred)
		strbuf_add(s, "; in the preferred AZ");
	if (!first)
		strbuf_add(s, step->same_az ? "; no other AZ is left" : "; in another AZ than those before");
	if (step->alike < 2)
		return;
	if (p->policy == &policy_spread)
		strbuf_addf(s, "; by lot, %u alike (%u %%)", step->alike, (step->share_pm + 5) / 10);
	else if (p->policy == &policy_ordered)
		strbuf_add(s, "; the first in the order of the file");
	else if (rtt_us != 0)
		strbuf_add(s, "; the least RTT");
}

static json_t *make_address(const struct walk *w, const struct pool *p, const struct pool_step *step, int number)
{
	const struct upstream *u = p->places[step->place].upstream;
	uint32_t rtt_us = rtt_smoothed_us(&u->rtt);
	bool asked = !step->drained && (p == w->pool || !atomic_load(&p->down));
	char why[SENTENCE_MAX];
	json_t *a = json_object();
	struct strbuf s;

	strbuf_init(&s, why, sizeof(why));
	if (step->drained)
		strbuf_add(&s, "drained: not asked until `r53fwd undrain`");
	else if (w->question->live)
		add_health(&s, w, p, step);
	else
		strbuf_add(&s, "taken as healthy");
	if (step->above_rate)
		strbuf_addf(&s, "; above max-qps (%u) now: passed over", p->max_qps);
	else if (asked)
		add_choice(&s, p, step, number == 1);
	uint32_t hundredths = rtt_us / 10;
	json_object_set_new(a, "address", jsontext_new(u->text));
	json_object_set_new(a, "az", jsontext_new(p->places[step->place].az));
	json_object_set_new(a, "place", asked && !step->above_rate ? json_integer(number) : json_null());
	json_object_set_new(a, "state", w->question->live ? json_string(status_address(p, step->place)) : json_null());
	json_object_set_new(a, "rtt_ms", rtt_us == 0 ? json_null() : json_real(hundredths / 100.0));
	json_object_set_new(a, "why", jsontext_new(why));
	return a;
}

/* ---- endpoints ---- */

/* Why this endpoint of several is asked or not. */
static void say_use(const struct walk *w, int i, struct strbuf *s)
{
	const struct pool *p = w->route->pools[i];
	uint64_t open_us = atomic_load(&p->open_since_us);

	if (p->count == 0)
		strbuf_add(s, "it has no address: no resolv.conf names any");
	else if (pool_is_drained(p))
		strbuf_add(s, "every address is drained: nobody is asked until `r53fwd undrain`");
	else if (atomic_load(&p->down))
		strbuf_addf(s, "down: no address answers; it is probed every 500 ms and opens at the first answer%s",
			    p == w->pool ? "; asked all the same, since it is no endpoint of AWS's" : "");
	else if (p == w->pool)
		strbuf_add(s, i == 0 ? "asked" : "asked: those before it are down, or not trusted yet");
	else if (!pool_is_steady(p, w->world->now_us))
		strbuf_addf(s, "back since %llu s; trusted again after 10 s",
			    (unsigned long long)((w->world->now_us - open_us) / US_PER_S));
	else
		strbuf_addf(s, "asked only while %s wholly down", i == 1 ? "the one before it is" : "those before it are");
}

static json_t *make_endpoint(const struct walk *w, int i)
{
	struct pool *p = w->route->pools[i];
	const struct config_endpoint *c = &w->snapshot->config->endpoints[p - w->snapshot->pools];
	struct pool_step steps[POOL_MAX_UPSTREAMS];
	json_t *e = json_object(), *addresses = json_array();
	char why[SENTENCE_MAX];
	struct strbuf s;

	strbuf_init(&s, why, sizeof(why));
	say_use(w, i, &s);
	pool_order(p, 0, w->world->now_us, steps);
	for (int k = 0; k < p->count; k++)
		json_array_append_new(addresses, make_address(w, p, &steps[k], k + 1));
	json_object_set_new(e, "name", jsontext_new(p->name));
	json_object_set_new(e, "inbound_endpoint", json_boolean(is_inbound(w, p)));
	json_object_set_new(e, "state", w->question->live ? json_string(status_pool_text(p)) : json_null());
	json_object_set_new(e, "policy", json_string(status_policy_text(c->options.policy)));
	json_object_set_new(e, "asked", json_boolean(p == w->pool));
	json_object_set_new(e, "why", jsontext_new(why));
	json_object_set_new(e, "addresses", addresses);
	return e;
}

/* ---- cache ---- */

/* The address that gave the answer, if it is still there. */
static const struct pool *find_origin(const struct walk *w, uint32_t origin, int *place)
{
	for (size_t i = 0; i < w->snapshot->pool_count; i++)
		for (*place = 0; *place < w->snapshot->pools[i].count; ++*place)
			if (w->snapshot->pools[i].places[*place].upstream->id == origin)
				return &w->snapshot->pools[i];
	return NULL;
}

/* What asking came to, as it is remembered. */
static const char *describe_failure(uint16_t remembered)
{
	if (remembered == FORWARD_FAILED_BLOCKED)
		return "what came is not what the zone expects";
	if (remembered == FORWARD_FAILED_SILENT)
		return "nobody answered";
	return remembered == FORWARD_FAILED_UNREACHABLE ? "every address was unreachable" : "all who were asked gave an error";
}

static bool is_held(const struct walk *w)
{
	return w->known == CACHE_FRESH || w->known == CACHE_STALE || w->known == CACHE_LARGE;
}

static json_t *make_cache(const struct walk *w)
{
	static const char *const states[] = {
		[CACHE_MISS] = "none", [CACHE_FRESH] = "fresh", [CACHE_STALE] = "stale", [CACHE_FAILED] = "failed", [CACHE_LARGE] = "fresh",
	};
	const struct cache_hit *hit = &w->hit;
	char rcode[TEXT_TYPE_MAX];
	json_t *c = json_object();
	int place;

	json_object_set_new(c, "state", json_string(states[w->known]));
	if (w->known == CACHE_FAILED) {
		json_object_set_new(c, "rcode", json_string(text_rcode(forward_failed_rcode(hit->rcode), rcode)));
		json_object_set_new(c, "failure", json_string(describe_failure(hit->rcode)));
	}
	if (!is_held(w))
		return c;
	const struct pool *p = find_origin(w, hit->origin, &place);
	json_object_set_new(c, "rcode", json_string(text_rcode(hit->rcode, rcode)));
	json_object_set_new(c, "answers", json_integer(hit->ancount));
	json_object_set_new(c, "age_seconds", json_integer(hit->age_s));
	json_object_set_new(c, "ttl_left_seconds", json_integer(hit->ttl_left_s));
	json_object_set_new(c, "stale_seconds", json_integer(hit->stale_s));
	json_object_set_new(c, "address", p != NULL ? jsontext_new(p->places[place].upstream->text) : json_null());
	json_object_set_new(c, "az", p != NULL ? jsontext_new(p->places[place].az) : json_null());
	json_object_set_new(c, "from_disk", json_boolean(hit->origin == PERSIST_RECORD_ORIGIN));
	json_object_set_new(c, "dnssec_ok", json_boolean(w->known_bits & CACHE_KEY_DO));
	json_object_set_new(c, "checking_disabled", json_boolean(w->known_bits & CACHE_KEY_CD));
	return c;
}

/* Local routes keep an answer for each of the bits that are passed on; the plain one is told of first. */
static void look_into_cache(struct walk *w)
{
	struct cache_key key = {.name = w->question->name, .route = w->snapshot->zones[w->zone].identity, .type = w->question->type};
	uint32_t now_s = (uint32_t)(w->world->now_us / US_PER_S);

	for (unsigned bits = 0; bits < (w->route->local ? 4u : 1u) && w->known == CACHE_MISS; bits++) {
		key.bits = w->known_bits = (uint8_t)bits;
		cache_key_hash(w->snapshot->cache, &key);
		w->known = cache_peek(w->snapshot->cache, &key, &w->snapshot->cache_rules, now_s, &w->hit);
	}
}

/* ---- what would happen ---- */

static bool has_failed_lately(const struct walk *w)
{
	return (w->known == CACHE_STALE || w->known == CACHE_FAILED) && w->hit.retry_at_s > w->world->now_us / US_PER_S &&
	       w->hit.outage == snapshot_route_outage(w->route);
}

/* As judge_known in forward.c. */
static void say_now(const struct walk *w, struct strbuf *s)
{
	char rcode[TEXT_TYPE_MAX];

	if (w->known == CACHE_FRESH || w->known == CACHE_LARGE) {
		strbuf_add(s, "answered from the cache; nobody is asked");
	} else if (w->known == CACHE_STALE && (w->down || has_failed_lately(w))) {
		strbuf_addf(s, "answered with what is known, %u s past its expiry, with TTL %d and EDE 3: %s", w->hit.stale_s,
			    CACHE_STALE_TTL_S,
			    w->pool == NULL ? "nobody can be asked" : w->down ? "no address answers" : "asking has just failed");
	} else if (w->known == CACHE_FAILED && w->pool != NULL && has_failed_lately(w)) {
		strbuf_addf(s, "answered %s: asked a moment ago without success; asked again in %llu s",
			    text_rcode(forward_failed_rcode(w->hit.rcode), rcode),
			    (unsigned long long)(w->hit.retry_at_s - w->world->now_us / US_PER_S));
	} else if (w->pool == NULL) {
		strbuf_add(s, "SERVFAIL, with an EDE that says what each address did: nobody can be asked, and the name is not known");
	} else if (w->asked == 0) {
		strbuf_addf(s, "%s, with an EDE that says why: every address of %s is drained or above max-qps",
			    w->known == CACHE_STALE ? "answered with what is known" : "SERVFAIL", w->pool->name);
	} else {
		strbuf_add(s, "asked at ");
		add_address(s, w->pool, w->steps[0].place);
		strbuf_addf(s, "%s", w->steps[0].share_pm < 1000 ? " or one of those alike" : "");
	}
}

/* The second place answers for the first. */
static void say_second(const struct walk *w, struct strbuf *s)
{
	const struct pool *p = w->pool;
	int first = w->steps[0].place;
	uint64_t hedge_us = pool_hedge_delay_us(p, first);

	add_address(s, p, w->steps[1].place);
	if (pool_is_doubtful(p, first))
		strbuf_add(s, " would be asked as well once the first one is overdue");
	else if (hedge_us == UINT64_MAX)
		strbuf_addf(s, " would be asked after %.0f ms, the first one's timeout: hedging is off",
			    ms_of(rtt_timeout_us(&p->places[first].upstream->rtt)));
	else
		strbuf_addf(s, " would be asked as well after %.0f ms, and its answer given", ms_of(hedge_us));
	strbuf_addf(s, "%s", w->steps[1].same_az ? " (in the same AZ: no other is left)" : "");
	strbuf_addf(s, ". From then on the others are preferred; after %u failures, one of them a probe, it is down until %u good probes",
		    p->rules.fall, p->rules.rise);
}

/* Nobody else is left in this endpoint. */
static void say_rest(const struct walk *w, struct strbuf *s)
{
	const struct config_cache *c = &w->snapshot->config->cache;

	strbuf_addf(s, "%s has no other address to ask", w->pool->name);
	for (int i = 0; i < w->route->count; i++)
		if (w->route->pools[i] != w->pool && !atomic_load(&w->route->pools[i]->down)) {
			strbuf_addf(s, ": %s would be used as soon as a probe goes unanswered too", w->route->pools[i]->name);
			return;
		}
	if (is_held(w) && c->serve_stale_us > 0)
		strbuf_addf(s, ": the answer in the cache would be given, for %llu s past its expiry",
			    (unsigned long long)(c->serve_stale_us / US_PER_S));
	else
		strbuf_add(s, ": SERVFAIL within 4 s, and at once when it is known to be down");
}

static json_t *make_death(const struct walk *w)
{
	char sentence[SENTENCE_MAX];
	struct strbuf s;

	if (w->down || w->asked == 0)
		return json_null();
	strbuf_init(&s, sentence, sizeof(sentence));
	strbuf_add(&s, "If ");
	add_address(&s, w->pool, w->steps[0].place);
	strbuf_add(&s, " fell silent, ");
	if (w->asked > 1)
		say_second(w, &s);
	else
		say_rest(w, &s);
	strbuf_add(&s, ".");
	return jsontext_new(sentence);
}

/* ---- all of it ---- */

static void set_route(const struct walk *w, json_t *e)
{
	json_t *endpoints = json_array();
	char now[SENTENCE_MAX];
	struct strbuf s;

	for (int i = 0; i < w->route->count; i++)
		json_array_append_new(endpoints, make_endpoint(w, i));
	json_object_set_new(e, "endpoints", endpoints);
	json_object_set_new(e, "if_first_dies", make_death(w));
	if (!w->question->live)
		return;
	strbuf_init(&s, now, sizeof(now));
	say_now(w, &s);
	json_object_set_new(e, "cache", make_cache(w));
	json_object_set_new(e, "now", jsontext_new(now));
}

struct json_t *explain_make(const struct status_world *world, const struct explain_question *q)
{
	const struct snapshot *s = world->snapshot;
	const struct snapshot_zone *zone = snapshot_find_zone(s, q->name);
	struct walk w = {.world = world, .question = q, .snapshot = s, .zone = (size_t)(zone - s->zones), .route = &s->routes[zone->route]};
	char name[TEXT_NAME_MAX], type[TEXT_TYPE_MAX];
	json_t *e = json_object();
	size_t left_out;
	bool refused;

	const char *odd = odd_type(q->type, &refused);
	json_object_set_new(e, "name", jsontext_new(text_name(q->name, name)));
	json_object_set_new(e, "type", json_string(text_type(q->type, type)));
	json_object_set_new(e, "live", json_boolean(q->live));
	json_object_set_new(e, "zone", make_matched(&w));
	json_object_set_new(e, "lost", make_lost(&w, &left_out));
	json_object_set_new(e, "lost_left_out", json_integer((json_int_t)left_out));
	json_object_set_new(e, "note", jsontext_new(odd));
	json_object_set_new(e, "answered_here", zone->special != SPECIAL_NONE ? jsontext_new(specials[zone->special]) : json_null());
	json_object_set_new(e, "config", status_config(world));
	if (zone->special != SPECIAL_NONE || refused)
		return e;
	w.pool = w.route->pools[0]->count == 0 ? NULL : snapshot_route_pool(w.route, world->now_us);
	w.down = w.pool == NULL;
	if (w.down)
		w.pool = snapshot_route_unsure(w.route);
	if (w.pool != NULL)
		w.asked = pool_order(w.pool, 0, world->now_us, w.steps);
	look_into_cache(&w);
	set_route(&w, e);
	return e;
}
