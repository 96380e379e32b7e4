/* SPDX-License-Identifier: Apache-2.0 */
/* What clients get. Records are copied once, into the outgoing buffer. */
#include "server/forward_private.h"

#include <string.h>

#include "wire/text.h"

void landing_note(struct forward *f, const struct client *c, uint16_t rcode, enum landing_how how, const char *why)
{
	static const enum metric by_rcode[] = {
		[DNS_NOERROR] = METRIC_RESPONSES_NOERROR,   [DNS_FORMERR] = METRIC_RESPONSES_FORMERR,
		[DNS_SERVFAIL] = METRIC_RESPONSES_SERVFAIL, [DNS_NXDOMAIN] = METRIC_RESPONSES_NXDOMAIN,
		[DNS_NOTIMP] = METRIC_RESPONSES_NOTIMP,     [DNS_REFUSED] = METRIC_RESPONSES_REFUSED,
	};

	metrics_add(f->world.metrics, rcode < ARRAY_SIZE(by_rcode) ? by_rcode[rcode] : METRIC_RESPONSES_OTHER, 1);
	if (UNLIKELY(f->lease->snapshot->config->log.queries != LOG_QUERIES_OFF))
		querylog_write(f, c, rcode, how, why);
}

void landing_error(struct forward *f, const struct client *c, uint16_t rcode, enum dns_ede ede, const char *text)
{
	size_t room;
	uint8_t *out = f->world.replies.room(c->to, &room);

	landing_note(f, c, rcode, LANDING_REFUSAL, text);
	f->world.replies.send(c->to, reply_write_error(out, room, c->asker, rcode, ede, text));
}

void landing_slip(struct forward *f, const struct client *c)
{
	struct reply r = {.flags = DNS_TC, .ede = DNS_EDE_NONE};
	size_t room;
	uint8_t *out = f->world.replies.room(c->to, &room);

	landing_note(f, c, DNS_NOERROR, LANDING_REFUSAL, "told to come over TCP");
	f->world.replies.send(c->to, reply_finish(out, room, c->asker, &r));
}

/* ---- from the cache */

/* `stale`: why it is so, if it is. */
static void fill(struct reply *r, const struct cache_hit *hit, const char *stale)
{
	*r = (struct reply){.rcode = hit->rcode,
			    .flags = hit->flags,
			    .ancount = hit->ancount,
			    .nscount = hit->nscount,
			    .arcount = hit->arcount,
			    .body_bytes = hit->body_bytes,
			    .ede = DNS_EDE_NONE};
	if (stale != NULL) {
		r->ede = hit->rcode == DNS_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN : DNS_EDE_STALE_ANSWER;
		r->ede_text = stale;
	}
}

/* More than the outgoing buffer takes: written aside, cut there, copied. */
static enum cache_result reply_large(struct forward *f, const struct client *c, const struct cache_key *key, const char *stale,
				     struct cache_hit *hit)
{
	const struct snapshot *s = f->lease->snapshot;
	size_t body = reply_body_at(c->asker), room;
	uint8_t *out = f->world.replies.room(c->to, &room);
	enum cache_result known = cache_get(s->cache, key, &s->cache_rules, (uint32_t)(c->now_us / US_PER_S),
					    (struct cache_room){f->scratch + body, DNS_MESSAGE_MAX - body}, hit);
	struct reply_asker within = *c->asker;
	struct reply r;

	if (known != CACHE_FRESH && !(stale != NULL && known == CACHE_STALE))
		return known;
	fill(&r, hit, known == CACHE_STALE ? stale : NULL);
	within.limit = (uint16_t)MIN(room, (size_t)within.limit);
	size_t len = reply_finish(f->scratch, DNS_MESSAGE_MAX, &within, &r);
	memcpy(out, f->scratch, len);
	landing_note(f, c, r.rcode, known == CACHE_STALE ? LANDING_STALE : LANDING_HIT, NULL);
	f->world.replies.send(c->to, len);
	return known;
}

enum cache_result landing_from_cache(struct forward *f, const struct client *c, const struct cache_key *key, const char *stale,
				     struct cache_hit *hit)
{
	const struct snapshot *s = f->lease->snapshot;
	size_t body = reply_body_at(c->asker), room;
	uint8_t *out = f->world.replies.room(c->to, &room);
	enum cache_result known =
		cache_get(s->cache, key, &s->cache_rules, (uint32_t)(c->now_us / US_PER_S),
			  (struct cache_room){out + body, room - body}, hit);
	struct reply r;

	if (UNLIKELY(known == CACHE_LARGE)) {
		known = reply_large(f, c, key, stale, hit);
	} else if (known == CACHE_FRESH || (stale != NULL && known == CACHE_STALE)) {
		fill(&r, hit, known == CACHE_STALE ? stale : NULL);
		landing_note(f, c, r.rcode, known == CACHE_STALE ? LANDING_STALE : LANDING_HIT, NULL);
		f->world.replies.send(c->to, reply_finish(out, room, c->asker, &r));
	}
	if (stale != NULL && known == CACHE_STALE)
		metrics_add(f->world.metrics, METRIC_CACHE_STALE, 1);
	return known;
}

/* ---- to those who wait */

static void give_back(struct forward *f, struct flight *fl, struct query *q)
{
	list_remove(&q->link);
	fl->query_count--;
	slab_give(&f->queries, q);
}

static void bound_ttls(struct forward *f, uint8_t *body)
{
	const struct answer *a = &f->answer;
	bool negative = a->kind != ANSWER_POSITIVE;

	for (uint16_t i = 0; i < a->ttls; i++) {
		uint8_t *at = body + (a->ttl_at[i] - a->body_at);
		uint32_t ttl = dns_get32(at);
		dns_put32(at, cache_bound_ttl(&f->lease->snapshot->cache_rules, ttl > INT32_MAX ? 0 : ttl, negative));
	}
}

static struct client client_of(const struct flight *fl, const struct query *q, uint64_t now_us)
{
	return (struct client){&q->to, &q->asker, now_us, fl, q->since_us};
}

static void reply_answer(struct forward *f, const struct client *c, const struct reply *r)
{
	const struct answer *a = &f->answer;
	size_t body = reply_body_at(c->asker), room;
	uint8_t *out = f->world.replies.room(c->to, &room), *at = out;
	struct reply_asker within = *c->asker;

	/* Not in f->scratch: a trimmed answer is there, and others wait for it. */
	if (body + r->body_bytes > room) {
		at = f->wide;
		within.limit = (uint16_t)MIN(room, (size_t)c->asker->limit);
		room = DNS_MESSAGE_MAX;
	}
	memcpy(at + body, a->message + a->body_at, r->body_bytes);
	bound_ttls(f, at + body);
	size_t len = reply_finish(at, room, &within, r);
	if (at != out)
		memcpy(out, at, len);
	landing_note(f, c, r->rcode, LANDING_ANSWER, NULL);
	f->world.replies.send(c->to, len);
}

void landing_answer(struct forward *f, struct flight *fl, uint64_t now_us)
{
	const struct answer *a = &f->answer;
	struct reply r = {.rcode = a->rcode,
			  .flags = a->flags & (DNS_TC | DNS_AD),
			  .ancount = a->ancount,
			  .nscount = a->nscount,
			  .arcount = a->arcount,
			  .body_bytes = (size_t)(a->body_end - a->body_at),
			  .ede = DNS_EDE_NONE};

	LIST_FOR_EACH(link, &fl->queries) {
		struct query *q = CONTAINER_OF(link, struct query, link);
		struct client c = client_of(fl, q, now_us);
		reply_answer(f, &c, &r);
		give_back(f, fl, q);
	}
}

/* Why those who wait get what is expired. */
static const char *why_stale(const struct flight *fl)
{
	if (fl->blocked_from != NULL)
		return "the zone does not expect what comes now; this was the last answer";
	if (fl->above_rate && fl->tried == 0)
		return "every address is above max-qps; this was the last answer";
	if (flight_is_starved(fl))
		return "nobody could be asked; this was the last answer";
	if (atomic_load_explicit(&fl->pool->down, memory_order_relaxed))
		return "no address answers; this was the last answer";
	return fl->broken != 0 ? "the addresses answer with errors; this was the last answer"
			       : "no address has answered in time; this was the last answer";
}

uint32_t landing_stale(struct forward *f, struct flight *fl, uint64_t now_us)
{
	struct cache_hit hit;

	LIST_FOR_EACH(link, &fl->queries) {
		struct query *q = CONTAINER_OF(link, struct query, link);
		struct client c = client_of(fl, q, now_us);
		enum cache_result known = landing_from_cache(f, &c, &fl->key, why_stale(fl), &hit);
		if (known != CACHE_STALE && known != CACHE_FRESH)
			break; /* nor for the others */
		give_back(f, fl, q);
	}
	return fl->query_count;
}

void landing_failure(struct forward *f, struct flight *fl, uint16_t rcode, enum dns_ede ede, const char *text)
{
	uint64_t now_us = f->world.now_us(f->world.arg);

	LIST_FOR_EACH(link, &fl->queries) {
		struct query *q = CONTAINER_OF(link, struct query, link);
		struct client c = client_of(fl, q, now_us);
		landing_error(f, &c, rcode, ede, text);
		give_back(f, fl, q);
	}
}

/* Zones that expect something have a name of the user's. */
static void describe_zone(struct strbuf *s, const struct snapshot_zone *zone)
{
	char name[TEXT_NAME_MAX];

	strbuf_addf(s, "%s does not expect ", text_name(&zone->config->name, name));
}

void landing_blocked(struct forward *f, const struct client *c, const struct snapshot_zone *zone)
{
	char text[LANDING_TEXT_MAX];
	struct strbuf s;

	strbuf_init(&s, text, sizeof(text));
	if (zone->config != NULL)
		describe_zone(&s, zone);
	strbuf_add(&s, "the addresses that came a moment ago");
	landing_error(f, c, DNS_SERVFAIL, DNS_EDE_BLOCKED, text);
}

void landing_describe_blocked(const struct flight *fl, char *out, size_t size)
{
	struct strbuf s;
	char ip[ADDR_TEXT_MAX];

	strbuf_init(&s, out, size);
	describe_zone(&s, fl->zone);
	strbuf_addf(&s, "%s, which came from %s", addr_format_ip(&fl->blocked_by, ip), fl->blocked_from->name);
}

static const char every_drained[] = "every address is drained";

static void add_place(struct strbuf *s, const struct pool_place *p)
{
	strbuf_addf(s, " %s", p->upstream->text);
	if (p->az != NULL)
		strbuf_addf(s, " (%s)", p->az);
}

/* A list of places has come to its end. */
static void drop_comma(struct strbuf *s)
{
	if (s->len > 0 && s->text[s->len - 1] == ',')
		s->text[--s->len] = '\0';
}

/* Another pool of the zone's, if it was of no use. */
static void add_other(struct strbuf *s, const struct pool *p, bool was_asked)
{
	bool down = atomic_load_explicit(&p->down, memory_order_relaxed);

	if (down || was_asked)
		strbuf_addf(s, "%s: %s; ", p->name, pool_is_drained(p) ? every_drained : down ? "down" : "no answer of use");
}

void landing_describe(const struct flight *fl, char *out, size_t size)
{
	struct strbuf s;
	char rcode[TEXT_TYPE_MAX];

	strbuf_init(&s, out, size);
	for (int i = 0; i < fl->route->count; i++)
		if (fl->route->pools[i] != fl->pool)
			add_other(&s, fl->route->pools[i], fl->left >> i & 1);
	strbuf_addf(&s, "%s:", fl->pool->name);
	if (fl->tried == 0 && pool_is_drained(fl->pool))
		strbuf_addf(&s, " %s", every_drained);
	else if (fl->above_rate && fl->tried == 0)
		strbuf_add(&s, " every address is above max-qps");
	for (int i = 0; i < fl->pool->count; i++) {
		if (!(fl->tried >> i & 1))
			continue;
		add_place(&s, &fl->pool->places[i]);
		if (fl->blocked >> i & 1)
			strbuf_add(&s, " not as expected,");
		else if (fl->broken >> i & 1)
			strbuf_addf(&s, " %s,", text_rcode(fl->rcodes[i], rcode));
		else
			strbuf_add(&s, fl->unreachable >> i & 1 ? " unreachable," : " silent,");
	}
	drop_comma(&s);
}

void landing_describe_failed(const struct snapshot_route *route, uint16_t remembered, char *out, size_t size)
{
	/* Of several pools, who knows which were asked. */
	bool of_each = route->count == 1 && (remembered == FORWARD_FAILED_SILENT || remembered == FORWARD_FAILED_UNREACHABLE);
	struct strbuf s;

	strbuf_init(&s, out, size);
	strbuf_add(&s, "asked a moment ago without success:");
	for (int i = 0; i < route->count; i++) {
		const struct pool *p = route->pools[i];
		uint32_t usable = pool_usable(p);
		strbuf_addf(&s, "%s %s%s", i == 0 ? "" : ",", p->name, of_each ? ": no answer from" : "");
		for (int k = 0; of_each && k < p->count; k++) {
			if (!(usable >> k & 1))
				continue;
			add_place(&s, &p->places[k]);
			strbuf_add(&s, ",");
		}
		drop_comma(&s);
	}
}

/* What the address of an endpoint that is down was last seen to do. Who looks well has its probe unanswered. */
static enum dns_ede add_last_seen(struct strbuf *s, const struct pool *p, struct upstream *u)
{
	struct health_report r;
	char rcode[TEXT_TYPE_MAX];

	if (atomic_load_explicit(&u->drained, memory_order_relaxed)) {
		strbuf_add(s, " drained,");
		return DNS_EDE_NONE;
	}
	health_report(&u->health, &p->rules, &r);
	bool ill = r.state != HEALTH_UP;
	if (ill && (r.cause == HEALTH_CAUSE_BROKEN || r.cause == HEALTH_CAUSE_PROBE_FAILED)) {
		strbuf_addf(s, " %s,", text_rcode(r.rcode, rcode));
		return DNS_EDE_OTHER;
	}
	bool unreachable = ill && r.cause == HEALTH_CAUSE_UNREACHABLE;
	strbuf_add(s, unreachable ? " unreachable," : " silent,");
	return unreachable ? DNS_EDE_NETWORK_ERROR : DNS_EDE_NO_REACHABLE_AUTHORITY;
}

enum dns_ede landing_describe_down(const struct snapshot_route *route, char *out, size_t size)
{
	bool answers = false, silent = false, unreachable = false;
	struct strbuf s;

	strbuf_init(&s, out, size);
	for (int i = 0; i < route->count; i++) {
		const struct pool *p = route->pools[i];
		bool drained = pool_is_drained(p);
		strbuf_addf(&s, "%s%s: %s", i == 0 ? "" : "; ", p->name, drained ? every_drained : "down,");
		for (int k = 0; !drained && k < p->count; k++) {
			add_place(&s, &p->places[k]);
			enum dns_ede ede = add_last_seen(&s, p, p->places[k].upstream);
			answers |= ede == DNS_EDE_OTHER;
			silent |= ede == DNS_EDE_NO_REACHABLE_AUTHORITY;
			unreachable |= ede == DNS_EDE_NETWORK_ERROR;
		}
		drop_comma(&s);
	}
	return answers ? DNS_EDE_OTHER : unreachable && !silent ? DNS_EDE_NETWORK_ERROR : DNS_EDE_NO_REACHABLE_AUTHORITY;
}
