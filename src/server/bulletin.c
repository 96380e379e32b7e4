/* SPDX-License-Identifier: Apache-2.0 */
#include "server/bulletin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limit.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "server/status.h"

enum { TEXT_MAX = 256, MESSAGE_MAX = 1024, NAME_MAX_BYTES = 72, WHAT_MAX_BYTES = 128 };

/* What a line may be about. */
enum subject_kind { SUBJECT_ADDRESS, SUBJECT_AZ, SUBJECT_ENDPOINT };

struct subject {
	struct list link;
	enum subject_kind kind;
	char pool[NAME_MAX_BYTES], what[WHAT_MAX_BYTES]; /* the address, the AZ, or nothing */
	enum health_state said;   /* in the last line; UP before the first one */
	struct limit limit;
	uint32_t unsaid;          /* changes since then */
	uint64_t unsaid_since_us; /* the first of them */
};

struct bulletin {
	struct list subjects;
};

static const char *const event_names[] = {[SUBJECT_ADDRESS] = "address", [SUBJECT_AZ] = "az", [SUBJECT_ENDPOINT] = "endpoint"};
static const char *const state_names[] = {[HEALTH_UP] = "up", [HEALTH_SUSPECT] = "suspect", [HEALTH_DOWN] = "down"};

/* ---- subjects */

static struct subject *find(struct bulletin *b, enum subject_kind kind, const struct pool *p, const char *what)
{
	LIST_FOR_EACH(link, &b->subjects) {
		struct subject *s = CONTAINER_OF(link, struct subject, link);
		if (s->kind == kind && strcmp(s->pool, p->name) == 0 && strcmp(s->what, what) == 0)
			return s;
	}
	struct subject *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->kind = kind;
	snprintf(s->pool, sizeof(s->pool), "%s", p->name);
	snprintf(s->what, sizeof(s->what), "%s", what);
	list_append(&b->subjects, &s->link);
	return s;
}

static void forget(struct subject *s)
{
	list_remove(&s->link);
	free(s);
}

static int place_of(const struct pool *p, const char *text)
{
	for (int i = 0; i < p->count; i++)
		if (strcmp(p->places[i].upstream->text, text) == 0)
			return i;
	return POOL_NONE;
}

static bool is_in_az(const struct pool *p, int place, const char *az)
{
	return p->places[place].az != NULL && strcmp(p->places[place].az, az) == 0;
}

/* Out when no address of it takes questions, by the network's will or the operator's. Who is drained alone is not news. */
static enum health_state az_state(const struct pool *p, const char *az, int *count)
{
	bool out = true;

	*count = 0;
	for (int i = 0; i < p->count; i++) {
		if (!is_in_az(p, i, az))
			continue;
		const struct upstream *u = p->places[i].upstream;
		out &= health_state(&u->health) == HEALTH_DOWN || atomic_load_explicit(&u->drained, memory_order_relaxed);
		++*count;
	}
	return out && *count > 0 ? HEALTH_DOWN : HEALTH_UP;
}

/* ---- lines */

static const char *whose(const struct pool *p)
{
	return p->local ? "the local upstreams" : p->name;
}

static const char *describe_address(const struct pool *p, int place, struct strbuf *text)
{
	const struct pool_place *at = &p->places[place];
	struct health_report r;

	health_report(&at->upstream->health, &p->rules, &r);
	strbuf_addf(text, "address %s", at->upstream->text);
	if (at->az != NULL)
		strbuf_addf(text, " (%s)", at->az);
	strbuf_addf(text, " of %s is %s", whose(p), state_names[r.state]);
	if (r.state == HEALTH_UP)
		return NULL;
	strbuf_addf(text, ": %s", status_cause(&r));
	return status_cause(&r);
}

static void describe_az(const struct pool *p, const char *az, struct strbuf *text)
{
	int count;

	if (az_state(p, az, &count) == HEALTH_DOWN)
		strbuf_addf(text, "AZ %s of %s is out: %s", az, whose(p),
			    count == 1 ? "it has no other address" : "none of its addresses answers");
	else
		strbuf_addf(text, "AZ %s of %s is back", az, whose(p));
}

/* What becomes of the zones whose endpoint is down. */
static void describe_zones(const struct snapshot *s, const struct pool *p, struct strbuf *text)
{
	size_t elsewhere = 0, kept = 0;

	for (size_t i = 0; i < s->zone_count; i++) {
		const struct snapshot_route *r = &s->routes[s->zones[i].route];
		bool other = false;
		if (s->zones[i].config == NULL || snapshot_route_place(r, p) < 0)
			continue;
		for (int k = 0; k < r->count; k++)
			other |= r->pools[k] != p && !atomic_load(&r->pools[k]->down);
		elsewhere += other;
		kept += !other;
	}
	if (kept > 0 || elsewhere == 0)
		strbuf_addf(text, "; known names %s%s are answered from the cache",
			    p->local ? "outside the forwarded zones" : "of its zones", elsewhere > 0 ? " with no other endpoint" : "");
	if (elsewhere > 0)
		strbuf_addf(text, "; %zu of its zones %s asked elsewhere", elsewhere, elsewhere == 1 ? "is" : "are");
}

static void describe_endpoint(const struct snapshot *s, const struct pool *p, int place, struct strbuf *text)
{
	const char *be = p->local ? "are" : "is";

	if (pool_is_drained(p)) {
		strbuf_addf(text, "every address of %s is drained", whose(p));
		describe_zones(s, p, text);
	} else if (atomic_load(&p->down)) {
		strbuf_addf(text, "%s %s down: none of %s %d addresses answers", whose(p), be, p->local ? "their" : "its", p->count);
		describe_zones(s, p, text);
	} else if (place != POOL_NONE) {
		strbuf_addf(text, "%s %s up again: %s answers", whose(p), be, p->places[place].upstream->text);
	} else {
		strbuf_addf(text, "%s %s up again", whose(p), be);
	}
}

/* How something is now. */
struct line {
	const struct snapshot *snapshot; /* for endpoints */
	const struct pool *pool;
	int place; /* of the address, or of the one that answered; POOL_NONE: unknown */
	enum health_state state;
};

static void print(const struct subject *s, const struct line *l, uint64_t now_us)
{
	char message[MESSAGE_MAX], left_out[TEXT_MAX] = "";
	const char *az = s->kind == SUBJECT_AZ ? s->what : NULL, *cause = NULL;
	struct strbuf text;

	strbuf_init(&text, message, sizeof(message));
	if (s->kind == SUBJECT_ADDRESS) {
		cause = describe_address(l->pool, l->place, &text);
		az = l->pool->places[l->place].az;
	} else if (s->kind == SUBJECT_AZ) {
		describe_az(l->pool, s->what, &text);
	} else {
		describe_endpoint(l->snapshot, l->pool, l->place, &text);
	}
	if (s->unsaid > 0)
		snprintf(left_out, sizeof(left_out), "; %u changes of the last %llu s were left out", s->unsaid,
			 (unsigned long long)((now_us - s->unsaid_since_us) / US_PER_S));
	const struct log_field fields[] = {LOG_STRING("event", event_names[s->kind]),
					   LOG_STRING("endpoint", l->pool->name),
					   LOG_STRING("address", s->kind == SUBJECT_ADDRESS ? s->what : NULL),
					   LOG_STRING("az", az),
					   LOG_STRING("state", state_names[l->state]),
					   LOG_STRING("cause", cause),
					   LOG_COUNT("left_out", s->unsaid),
					   LOG_END};
	log_event(l->state == HEALTH_DOWN ? LOG_WARN : LOG_INFO, fields, "%s%s", message, left_out);
}

/* Says how it is, if that is news and the limit allows. */
static void tell(struct subject *s, const struct line *l, uint64_t now_us)
{
	if (l->state == s->said && s->unsaid == 0)
		return;
	if (!limit_pass(&s->limit, now_us, BULLETIN_EVERY_US, BULLETIN_BURST)) {
		if (s->unsaid++ == 0)
			s->unsaid_since_us = now_us;
		return;
	}
	print(s, l, now_us);
	s->said = l->state;
	s->unsaid = 0;
}

static void tell_az(struct bulletin *b, const struct pool *p, const char *az, uint64_t now_us)
{
	int count;
	struct subject *s = find(b, SUBJECT_AZ, p, az);

	if (s != NULL)
		tell(s, &(struct line){.pool = p, .place = POOL_NONE, .state = az_state(p, az, &count)}, now_us);
}

void bulletin_address(struct bulletin *b, struct pool *p, const struct upstream *u, uint64_t now_us)
{
	int place = place_of(p, u->text);

	if (place == POOL_NONE || atomic_load(&p->down))
		return;
	struct subject *s = find(b, SUBJECT_ADDRESS, p, u->text);
	if (s != NULL)
		tell(s, &(struct line){.pool = p, .place = place, .state = health_state(&u->health)}, now_us);
	if (p->places[place].az != NULL)
		tell_az(b, p, p->places[place].az, now_us);
}

static void tell_endpoint(struct bulletin *b, const struct line *l, uint64_t now_us)
{
	struct subject *s = find(b, SUBJECT_ENDPOINT, l->pool, "");

	if (s != NULL)
		tell(s, l, now_us);
}

void bulletin_closed(struct bulletin *b, const struct snapshot *s, struct pool *p, uint64_t now_us)
{
	tell_endpoint(b, &(struct line){s, p, POOL_NONE, HEALTH_DOWN}, now_us);
}

void bulletin_opened(struct bulletin *b, const struct snapshot *s, struct pool *p, int place, uint64_t now_us)
{
	tell_endpoint(b, &(struct line){s, p, place, HEALTH_UP}, now_us);
	LIST_FOR_EACH(link, &b->subjects) {
		struct subject *x = CONTAINER_OF(link, struct subject, link);
		if (x->kind == SUBJECT_ENDPOINT || strcmp(x->pool, p->name) != 0)
			continue;
		x->unsaid = 0;
		int at = x->kind == SUBJECT_ADDRESS ? place_of(p, x->what) : POOL_NONE;
		if (at != POOL_NONE) /* an AZ that was said to be out is to be said to be back */
			x->said = health_state(&p->places[at].upstream->health);
	}
}

/* ---- what was left out */

static const struct pool *pool_of(const struct snapshot *s, const struct subject *x)
{
	for (size_t i = 0; i < s->pool_count; i++)
		if (strcmp(s->pools[i].name, x->pool) == 0)
			return &s->pools[i];
	return NULL;
}

static bool find_line(const struct snapshot *s, const struct subject *x, struct line *l)
{
	int count = 1;

	*l = (struct line){.snapshot = s, .pool = pool_of(s, x), .place = POOL_NONE};
	if (l->pool == NULL)
		return false;
	if (x->kind == SUBJECT_ENDPOINT) {
		l->state = atomic_load(&l->pool->down) ? HEALTH_DOWN : HEALTH_UP;
	} else if (x->kind == SUBJECT_AZ) {
		l->state = az_state(l->pool, x->what, &count);
	} else if ((l->place = place_of(l->pool, x->what)) != POOL_NONE) {
		l->state = health_state(&l->pool->places[l->place].upstream->health);
	}
	return count > 0 && (x->kind != SUBJECT_ADDRESS || l->place != POOL_NONE);
}

void bulletin_clock(struct bulletin *b, const struct snapshot *s, uint64_t now_us)
{
	struct line l;

	LIST_FOR_EACH(link, &b->subjects) {
		struct subject *x = CONTAINER_OF(link, struct subject, link);
		if (x->unsaid == 0 || limit_next_us(&x->limit, now_us, BULLETIN_EVERY_US, BULLETIN_BURST) > now_us)
			continue;
		if (find_line(s, x, &l) && (x->kind == SUBJECT_ENDPOINT || !atomic_load(&l.pool->down)))
			tell(x, &l, now_us);
		else
			x->unsaid = 0;
	}
}

uint64_t bulletin_next_us(const struct bulletin *b)
{
	uint64_t next_us = UINT64_MAX;

	LIST_FOR_EACH(link, &b->subjects) {
		const struct subject *x = CONTAINER_OF(link, struct subject, link);
		if (x->unsaid > 0)
			next_us = MIN(next_us, limit_next_us(&x->limit, 0, BULLETIN_EVERY_US, BULLETIN_BURST));
	}
	return next_us;
}

void bulletin_adopt(struct bulletin *b, const struct snapshot *s)
{
	struct line l;

	LIST_FOR_EACH(link, &b->subjects) {
		struct subject *x = CONTAINER_OF(link, struct subject, link);
		if (!find_line(s, x, &l))
			forget(x);
	}
}

/* ---- birth and death */

struct bulletin *bulletin_new(void)
{
	struct bulletin *b = calloc(1, sizeof(*b));

	if (b != NULL)
		list_init(&b->subjects);
	return b;
}

void bulletin_free(struct bulletin *b)
{
	LIST_FOR_EACH(link, &b->subjects)
		forget(CONTAINER_OF(link, struct subject, link));
	free(b);
}
