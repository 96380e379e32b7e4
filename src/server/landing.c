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

static void fill(struct reply *r, const struct cache_hit *hit, bool stale)
{
	*r = (struct reply){.rcode = hit->rcode,
			    .flags = stale ? hit->flags & DNS_TC : hit->flags,
			    .ancount = hit->ancount,
			    .nscount = hit->nscount,
			    .arcount = hit->arcount,
			    .body_bytes = hit->body_bytes,
			    .ede = DNS_EDE_NONE};
	if (stale) {
		r->ede = hit->rcode == DNS_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN : DNS_EDE_STALE_ANSWER;
		r->ede_text = "no address answers; this was the last answer";
	}
}

/* More than the outgoing buffer takes: written aside, cut there, copied. */
static enum cache_result reply_large(struct forward *f, const struct client *c, const struct cache_key *key, bool stale_too,
				     struct cache_hit *hit)
{
	const struct snapshot *s = f->lease->snapshot;
	size_t body = reply_body_at(c->asker), room;
	uint8_t *out = f->world.replies.room(c->to, &room);
	enum cache_result known = cache_get(s->cache, key, &s->cache_rules, (uint32_t)(c->now_us / US_PER_S),
					    (struct cache_room){f->scratch + body, DNS_MESSAGE_MAX - body}, hit);
	struct reply_asker within = *c->asker;
	struct reply r;

	if (known != CACHE_FRESH && !(stale_too && known == CACHE_STALE))
		return known;
	fill(&r, hit, known == CACHE_STALE);
	within.limit = (uint16_t)MIN(room, (size_t)within.limit);
	size_t len = reply_finish(f->scratch, DNS_MESSAGE_MAX, &within, &r);
	memcpy(out, f->scratch, len);
	landing_note(f, c, r.rcode, known == CACHE_STALE ? LANDING_STALE : LANDING_HIT, NULL);
	f->world.replies.send(c->to, len);
	return known;
}

enum cache_result landing_from_cache(struct forward *f, const struct client *c, const struct cache_key *key, bool stale_too,
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
		known = reply_large(f, c, key, stale_too, hit);
	} else if (known == CACHE_FRESH || (stale_too && known == CACHE_STALE)) {
		fill(&r, hit, known == CACHE_STALE);
		landing_note(f, c, r.rcode, known == CACHE_STALE ? LANDING_STALE : LANDING_HIT, NULL);
		f->world.replies.send(c->to, reply_finish(out, room, c->asker, &r));
	}
	if (stale_too && known == CACHE_STALE)
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

uint32_t landing_stale(struct forward *f, struct flight *fl, uint64_t now_us)
{
	struct cache_hit hit;

	LIST_FOR_EACH(link, &fl->queries) {
		struct query *q = CONTAINER_OF(link, struct query, link);
		struct client c = client_of(fl, q, now_us);
		enum cache_result known = landing_from_cache(f, &c, &fl->key, true, &hit);
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
	char text[EDNS_EDE_TEXT_MAX];
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

void landing_describe(const struct flight *fl, char *out, size_t size)
{
	struct strbuf s;
	char rcode[TEXT_TYPE_MAX];

	strbuf_init(&s, out, size);
	for (int i = 0; fl->route->pools[i] != fl->pool; i++)
		if (atomic_load_explicit(&fl->route->pools[i]->down, memory_order_relaxed))
			strbuf_addf(&s, "%s: %s; ", fl->route->pools[i]->name, pool_is_drained(fl->route->pools[i]) ? "drained" : "down");
	if (fl->tried == 0 && pool_is_drained(fl->pool)) {
		strbuf_addf(&s, "every address of %s is drained", fl->pool->name);
		return;
	}
	strbuf_addf(&s, "%s:", fl->pool->name);
	if (fl->above_rate && fl->tried == 0)
		strbuf_add(&s, " every address is above max-qps");
	for (int i = 0; i < fl->pool->count; i++) {
		const struct pool_place *p = &fl->pool->places[i];
		if (!(fl->tried >> i & 1))
			continue;
		strbuf_addf(&s, " %s", p->upstream->text);
		if (p->az != NULL)
			strbuf_addf(&s, " (%s)", p->az);
		if (fl->blocked >> i & 1)
			strbuf_add(&s, " not as expected,");
		else if (fl->broken >> i & 1)
			strbuf_addf(&s, " %s,", text_rcode(fl->rcodes[i], rcode));
		else
			strbuf_add(&s, fl->unreachable >> i & 1 ? " unreachable," : " silent,");
	}
	if (s.len > 0 && out[s.len - 1] == ',')
		out[s.len - 1] = '\0';
}
