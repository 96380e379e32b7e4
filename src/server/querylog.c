/* SPDX-License-Identifier: Apache-2.0 */
/* Lines about queries. Nothing here runs while `log.queries` is off. Times are those of the loop's turns: a query that was answered in
 * the turn that read it took no time. */
#include "base/log.h"
#include "server/forward_private.h"
#include "wire/text.h"

enum { WHERE_MAX = 512 };

static const char *const cache_states[] = {
	[LANDING_HIT] = "hit", [LANDING_STALE] = "stale", [LANDING_ANSWER] = "miss", [LANDING_HERE] = "none"};

/* What was asked, in words; every name escaped. */
struct asked {
	char name[TEXT_NAME_MAX], type[TEXT_TYPE_MAX], zone[TEXT_NAME_MAX], client[ADDR_TEXT_MAX];
	bool has_zone;
};

static void read_asked(const struct forward *f, const struct client *c, struct asked *q)
{
	const struct snapshot_zone *zone = c->flight != NULL ? c->flight->zone : NULL;
	struct name n;

	*q = (struct asked){.name = "?", .type = "?", .zone = "."};
	addr_format_ip(&c->to->client, q->client);
	if (!c->asker->has_question || name_read(&n, c->asker->spelled, c->asker->name_len) <= 0)
		return;
	text_name(&n, q->name);
	text_type(c->asker->type, q->type);
	if (zone == NULL)
		zone = snapshot_find_zone(f->lease->snapshot, &n);
	q->has_zone = zone->config != NULL;
	if (q->has_zone)
		text_name(&zone->config->name, q->zone);
}

static void describe_answer(struct strbuf *s, const struct flight *fl)
{
	if (fl->by == NULL) {
		strbuf_addf(s, "%s, cut short", fl->pool->name); /* the answer with TC whose whole nobody gave */
		return;
	}
	strbuf_addf(s, "%s %s", fl->by_pool->name, fl->by->upstream->text);
	if (fl->by->az != NULL)
		strbuf_addf(s, " (%s)", fl->by->az);
}

/* "seoul 10.10.1.10:53 (az1) in 4.213 ms". */
static void describe_reply(struct strbuf *s, const struct client *c, enum landing_how how, const char *why)
{
	uint64_t us = c->flight != NULL ? c->now_us - c->since_us : 0;

	switch (how) {
	case LANDING_HIT:
		strbuf_add(s, "from the cache");
		break;
	case LANDING_STALE:
		strbuf_add(s, "stale");
		break;
	case LANDING_ANSWER:
		describe_answer(s, c->flight);
		break;
	case LANDING_HERE:
		strbuf_add(s, "answered here");
		break;
	case LANDING_REFUSAL:
		strbuf_add(s, why != NULL ? why : "refused by its form");
		break;
	}
	if (c->flight != NULL)
		strbuf_addf(s, " in %llu.%03llu ms", (unsigned long long)us / 1000, (unsigned long long)us % 1000);
}

static void report(struct forward *f, const struct client *c, uint16_t rcode, enum landing_how how, const char *why)
{
	const struct flight *fl = c->flight;
	const struct pool_place *by = how == LANDING_ANSWER && fl->by != NULL ? fl->by : NULL;
	const char *proto = f->world.replies.is_stream(c->to) ? "tcp" : "udp";
	const char *cache = how == LANDING_REFUSAL ? (fl != NULL ? "miss" : "none") : cache_states[how];
	char where[WHERE_MAX], code[TEXT_TYPE_MAX];
	struct strbuf s;
	struct asked q;

	read_asked(f, c, &q);
	strbuf_init(&s, where, sizeof(where));
	describe_reply(&s, c, how, why);
	const char *text = text_rcode(rcode, code);
	const struct log_field fields[] = {LOG_STRING("event", "query"),
					   LOG_STRING("client", q.client),
					   LOG_STRING("proto", proto),
					   LOG_STRING("name", q.name),
					   LOG_STRING("type", q.type),
					   LOG_STRING("zone", q.zone),
					   LOG_STRING("endpoint", by != NULL ? fl->by_pool->name : fl != NULL ? fl->pool->name : NULL),
					   LOG_STRING("address", by != NULL ? by->upstream->text : NULL),
					   LOG_STRING("az", by != NULL ? by->az : NULL),
					   LOG_STRING("cache", cache),
					   LOG_STRING("rcode", text),
					   LOG_MS("duration_ms", fl != NULL ? c->now_us - c->since_us : 0),
					   LOG_END};
	log_report(fields, "query %s %s from %s over %s: %s, %s%s%s", q.name, q.type, q.client, proto, text, where,
		   q.has_zone ? ", zone " : "", q.has_zone ? q.zone : "");
}

void querylog_write(struct forward *f, const struct client *c, uint16_t rcode, enum landing_how how, const char *why)
{
	if (f->lease->snapshot->config->log.queries == LOG_QUERIES_ERRORS) {
		if (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN)
			return;
		/* Anybody can cause errors: whoever asked for all queries wants them all, but nobody wants his disk filled. */
		if (!limit_pass(&f->query_lines, c->now_us, QUERYLOG_EVERY_US, QUERYLOG_BURST)) {
			metrics_add(f->world.metrics, METRIC_LOG_LEFT_OUT, 1);
			return;
		}
	}
	report(f, c, rcode, how, why);
}
