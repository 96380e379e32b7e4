/* SPDX-License-Identifier: Apache-2.0 */
/* Three rounds, each with a bound of its own, so that one silent address costs the wait of three questions and no more. The first tells who
 * answers, the second asks those about sizes, loops and the like, the third asks again what was silent: a datagram may be lost. */
#include "cli/survey.h"

#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "net/loop.h"
#include "server/loopcheck.h"
#include "wire/answer.h"

enum { WAIT_US = 1500000, FIRST_US = 4000000, SECOND_US = 3000000, THIRD_US = 2500000 };
enum { PLAIN_SAMPLES = 3, P95_PERCENT = 95, EAR_BYTES = 4096 };

const uint16_t survey_sizes[SURVEY_SIZES] = {DNS_UDP_PLAIN_BYTES, DNS_UDP_BYTES, 1400, SOUNDER_QUERY_MAX};

enum plan_kind { PLAN_SAMPLE, PLAN_LOOK, PLAN_TCP, PLAN_TCP_LARGE, PLAN_SIZE, PLAN_PLAIN, PLAN_A, PLAN_LOOP };

/* Why a question is asked; its tag is the number of its plan. */
struct plan {
	enum plan_kind kind;
	struct survey_endpoint *endpoint;
	struct survey_address *address;
	struct survey_zone *zone;
	size_t number; /* of the look or the size */
};

struct round {
	struct survey *survey;
	struct plan *plans;
	struct sounder_question *questions;
	size_t count, allocated;
	struct answer answer; /* 12 KiB of scratch */
};

/* ---- planning */

static struct sounder_question *add(struct round *r, const struct plan *p, const struct name *name)
{
	if (r->count == r->allocated) {
		r->allocated = r->allocated * 2 + 64;
		r->plans = realloc(r->plans, r->allocated * sizeof(*r->plans));
		r->questions = realloc(r->questions, r->allocated * sizeof(*r->questions));
		ASSERT(r->plans && r->questions);
	}
	r->plans[r->count] = *p;
	struct sounder_question *q = &r->questions[r->count];
	*q = (struct sounder_question){.to = p->address->addr,
				       .name = *name,
				       .type = DNS_TYPE_NS,
				       .udp_bytes = DNS_UDP_BYTES,
				       .tcp = p->endpoint->tcp,
				       .tag = (uint32_t)r->count++};
	return q;
}

/* The address that is asked second, or first, for a zone. */
static size_t place_of(const struct survey_endpoint *e, size_t zone, size_t look)
{
	return (zone + look) % e->count;
}

static void plan_first(struct round *r, struct survey_endpoint *e, size_t place)
{
	struct plan p = {PLAN_TCP, e, &e->addresses[place], NULL, 0};
	size_t asked = 0;

	ASSERT(e->zone_count > 0); /* the root at least */
	/* Before the others, so that its wait is theirs too. */
	add(r, &p, &e->zones[0].name)->tcp = true;
	for (size_t z = 0; z < e->zone_count; z++)
		for (size_t k = 0; k < e->zones[z].look_count; k++)
			if (place_of(e, z, k) == place) {
				add(r, &(struct plan){PLAN_LOOK, e, p.address, &e->zones[z], k}, &e->zones[z].name);
				asked++;
			}
	/* The first zone is asked for everywhere: its TTLs are compared. */
	bool first_asked = place_of(e, 0, 0) == place || (e->zones[0].look_count > 1 && place_of(e, 0, 1) == place);
	for (size_t z = 0; asked < SURVEY_SAMPLES || !first_asked; asked++, z++) {
		p = (struct plan){PLAN_SAMPLE, e, p.address, &e->zones[z % e->zone_count], 0};
		add(r, &p, &p.zone->name);
		first_asked = true;
	}
}

static void plan_sizes(struct round *r, const struct plan *of)
{
	for (size_t k = 0; k < SURVEY_SIZES; k++) {
		struct sounder_question *q =
			add(r, &(struct plan){PLAN_SIZE, of->endpoint, of->address, NULL, k}, &of->endpoint->zones[0].name);
		q->type = DNS_TYPE_TXT; /* what may be large at an apex */
		q->udp_bytes = q->octets = survey_sizes[k];
	}
}

static void plan_a(struct round *r, struct survey_endpoint *e, size_t place, size_t zone)
{
	struct survey_zone *z = &e->zones[zone];

	if (z->source == ZONE_VPC_ENDPOINTS && z->a == SURVEY_A_UNASKED && z->expect)
		add(r, &(struct plan){PLAN_A, e, &e->addresses[place], z, 0}, &z->name)->type = DNS_TYPE_A;
}

static void plan_loop(struct round *r, struct survey_endpoint *e, size_t place, struct random *random)
{
	struct name name;
	size_t z = 0;

	e->nonce = random_u64(random) | 1;
	while (z < e->zone_count && !loopcheck_write_name(&name, e->nonce, &e->zones[z].name))
		z++;
	if (z == e->zone_count)
		return;
	e->loop_place = place;
	struct sounder_question *q = add(r, &(struct plan){PLAN_LOOP, e, &e->addresses[place], NULL, 0}, &name);
	q->type = DNS_TYPE_HINFO;
	q->udp_bytes = 0; /* as the daemon's own */
}

/* Zones are shared out over the addresses that answer; `answering` is this one's number among them, of `all`. */
static void plan_second(struct round *r, struct survey_endpoint *e, size_t place, size_t answering, size_t all)
{
	struct survey_address *a = &e->addresses[place];
	struct plan p = {PLAN_PLAIN, e, a, &e->zones[0], 0};

	if (a->tcp == SOUNDER_ANSWERED) {
		struct sounder_question *q = add(r, &(struct plan){PLAN_TCP_LARGE, e, a, NULL, 0}, &e->zones[0].name);
		q->tcp = true;
		q->octets = SOUNDER_QUERY_MAX;
	}
	if (a->answered == 0)
		return;
	a->no_edns = a->rcodes[DNS_FORMERR] == a->answered;
	for (size_t k = 0; a->no_edns && k < PLAIN_SAMPLES; k++)
		add(r, &p, &p.zone->name)->udp_bytes = 0;
	if (!a->no_edns && !e->tcp)
		plan_sizes(r, &p);
	for (size_t z = answering; z < e->zone_count; z += all)
		plan_a(r, e, place, z);
}

static bool is_silent(const struct sounder_question *q)
{
	return q->outcome == SOUNDER_SILENT || q->outcome == SOUNDER_UNCONNECTED;
}

/* ---- hearing */

static void note_time(struct survey_address *a, uint32_t took_us)
{
	if (a->times_us == NULL)
		a->times_us = calloc(SURVEY_TIMES_MOST, sizeof(*a->times_us));
	ASSERT(a->times_us);
	if (a->times < SURVEY_TIMES_MOST)
		a->times_us[a->times++] = took_us;
}

/* The usual small question was answered; `read` says whether r->answer holds it. */
static void hear_small(struct round *r, const struct plan *p, const struct sounder_question *q, bool read)
{
	struct survey_address *a = p->address;
	uint16_t rcode = r->answer.flags & DNS_RCODE;

	note_time(a, q->took_us);
	a->wrong_case = a->wrong_case || q->wrong_case;
	if (r->answer.flags & DNS_TC) {
		a->cut++;
		return;
	}
	if (!read) {
		a->malformed++;
		return;
	}
	a->rcodes[rcode]++;
	a->no_recursion = a->no_recursion || (rcode == DNS_NOERROR && !(r->answer.flags & DNS_RA));
	if (p->zone == &p->endpoint->zones[0] && r->answer.ttl_s > 0 && !a->has_ttl) {
		a->has_ttl = true;
		a->ttl_s = r->answer.ttl_s;
	}
}

static void hear_look(struct round *r, const struct plan *p, bool read)
{
	struct survey_look *l = &p->zone->looks[p->number];

	l->cut = r->answer.flags & DNS_TC;
	l->malformed = !read && !l->cut;
	l->rcode = r->answer.flags & DNS_RCODE;
	if (read && !l->cut)
		l->origin = origin_of(&r->answer, &l->server);
}

static void hear_a(struct round *r, const struct plan *p, bool read)
{
	const struct config_expect *e = p->zone->expect;
	struct guard_expect expect = {e->is_private, e->networks, e->count};

	p->zone->a_rcode = r->answer.flags & DNS_RCODE;
	if (!read || r->answer.kind == ANSWER_FAILURE || r->answer.kind == ANSWER_NXDOMAIN)
		p->zone->a = SURVEY_A_FAILED;
	else if (r->answer.kind == ANSWER_NODATA || r->answer.ancount == 0)
		p->zone->a = SURVEY_A_NONE;
	else
		p->zone->a = guard_accepts(&expect, &r->answer, &p->zone->seen) ? SURVEY_A_EXPECTED : SURVEY_A_OTHER;
}

static void heard(void *arg, struct sounder_question *q, const uint8_t *message, size_t len)
{
	struct round *r = arg;
	const struct plan *p = &r->plans[q->tag];
	bool read = answer_read(&r->answer, message, len) == ANSWER_OK;

	switch (p->kind) {
	case PLAN_LOOK:
		hear_look(r, p, read);
		hear_small(r, p, q, read);
		break;
	case PLAN_SAMPLE:
	case PLAN_PLAIN:
		hear_small(r, p, q, read);
		break;
	case PLAN_A:
		hear_a(r, p, read);
		break;
	case PLAN_TCP:
	case PLAN_TCP_LARGE:
	case PLAN_SIZE:
	case PLAN_LOOP:
		break; /* that it came is all that matters */
	}
}

/* A question that has reached where r53fwd would listen: refused, as by a closed port, and looked at for our own nonces. */
static void ear(void *arg, int fd)
{
	struct survey *s = ((struct round *)arg)->survey;
	uint8_t bytes[EAR_BYTES];
	struct addr from = {0};
	socklen_t from_len = sizeof(from);
	struct question q;
	ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, &from.sa, &from_len);

	if (len < 0 || question_glance(bytes, (size_t)len) != QUESTION_OK || question_read(&q, bytes, (size_t)len) != QUESTION_OK)
		return;
	uint64_t nonce = loopcheck_read_nonce(&q.name);
	for (size_t i = 0; i < s->count && nonce != 0; i++)
		if (s->endpoints[i].nonce == nonce) {
			s->endpoints[i].loop = SURVEY_LOOP_FOUND;
			s->endpoints[i].loop_client = from;
		}
	dns_put16(bytes + 2, (uint16_t)(DNS_QR | DNS_REFUSED | (q.flags & DNS_RD)));
	dns_put16(bytes + 10, 0);
	(void)sendto(fd, bytes, DNS_HEADER_BYTES + q.name.len + 4u, 0, &from.sa, from_len);
}

/* ---- outcomes */

static void settle_small(struct survey_address *a, const struct sounder_question *q)
{
	a->asked += q->outcome != SOUNDER_SKIPPED;
	a->answered += q->outcome == SOUNDER_ANSWERED;
	a->refused += q->outcome == SOUNDER_REFUSED;
	a->unreachable += q->outcome == SOUNDER_UNREACHABLE;
	if (q->outcome == SOUNDER_UNREACHABLE)
		a->error = q->error;
}

static void settle(const struct plan *p, const struct sounder_question *q)
{
	struct survey_address *a = p->address;

	a->misfits += q->misfits;
	switch (p->kind) {
	case PLAN_LOOK:
		p->zone->looks[p->number].outcome = q->outcome;
		p->zone->looks[p->number].place = (uint8_t)(a - p->endpoint->addresses);
		settle_small(a, q);
		break;
	case PLAN_SAMPLE:
	case PLAN_PLAIN:
		settle_small(a, q);
		break;
	case PLAN_TCP:
		a->tcp = q->outcome;
		a->tcp_error = q->error;
		break;
	case PLAN_TCP_LARGE:
		a->tcp_large = q->outcome;
		break;
	case PLAN_SIZE:
		a->sizes[p->number] = q->outcome;
		break;
	case PLAN_A:
		break; /* unheard: unasked */
	case PLAN_LOOP:
		if (p->endpoint->loop == SURVEY_LOOP_UNKNOWN && q->outcome != SOUNDER_SKIPPED)
			p->endpoint->loop = SURVEY_LOOP_NONE;
		break;
	}
}

static void run_round(struct round *r, struct sounder *sounder, uint64_t most_us)
{
	sounder->most_us = most_us;
	sounder->arg = r;
	r->survey->questions += sounder_run(sounder, r->questions, r->count);
	for (size_t i = 0; i < r->count; i++) {
		settle(&r->plans[i], &r->questions[i]);
		r->survey->billed += r->questions[i].outcome != SOUNDER_SKIPPED && r->plans[i].endpoint->kind == ENDPOINT_INBOUND;
	}
}

/* ---- rounds */

static void first_round(struct round *r, struct sounder *sounder)
{
	for (size_t i = 0; i < r->survey->count; i++)
		for (size_t k = 0; k < r->survey->endpoints[i].count; k++)
			plan_first(r, &r->survey->endpoints[i], k);
	run_round(r, sounder, FIRST_US);
}

static void second_round(struct round *r, struct sounder *sounder)
{
	for (size_t i = 0; i < r->survey->count; i++) {
		struct survey_endpoint *e = &r->survey->endpoints[i];
		size_t answering = 0, number = 0;
		for (size_t k = 0; k < e->count; k++)
			answering += e->addresses[k].answered > 0;
		for (size_t k = 0; k < e->count; k++) {
			plan_second(r, e, k, number, MAX(answering, (size_t)1));
			if (e->addresses[k].answered > 0 && number++ == 0 && sounder->ear_count > 0)
				plan_loop(r, e, k, sounder->random);
		}
	}
	run_round(r, sounder, SECOND_US);
}

/* What was silent at an address that answers at all; and what must be asked another way: without EDNS, or over TCP. */
static void plan_third(struct round *again, const struct plan *p, const struct sounder_question *q)
{
	const struct survey_look *l = p->kind == PLAN_LOOK ? &p->zone->looks[p->number] : NULL;
	bool plain = l && p->address->no_edns && l->rcode == DNS_FORMERR;
	bool cut = l && l->cut && p->address->tcp == SOUNDER_ANSWERED;
	bool silent = is_silent(q) && p->kind != PLAN_SAMPLE && p->kind != PLAN_LOOP;

	if (p->address->answered == 0 || !(silent || plain || cut))
		return;
	struct sounder_question *repeated = add(again, p, &q->name);
	repeated->type = q->type;
	repeated->udp_bytes = plain ? 0 : q->udp_bytes;
	repeated->octets = q->octets;
	repeated->tcp = q->tcp || cut;
}

unsigned survey_good_answers(const struct survey_address *a)
{
	return a->rcodes[DNS_NOERROR] + a->rcodes[DNS_NXDOMAIN];
}

unsigned survey_errors(const struct survey_address *a)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < SURVEY_RCODES; i++)
		sum += a->rcodes[i];
	return sum - survey_good_answers(a);
}

bool survey_is_failing(const struct survey_address *a)
{
	return survey_good_answers(a) == 0 && survey_errors(a) > 0;
}

static bool is_heard(const struct survey_endpoint *e, const struct survey_zone *z)
{
	for (size_t i = 0; i < z->look_count; i++)
		if (z->looks[i].outcome == SOUNDER_ANSWERED && !z->looks[i].malformed && !z->looks[i].cut &&
		    !survey_is_failing(&e->addresses[z->looks[i].place]))
			return true;
	return false;
}

/* Zones whose two addresses did not answer for them: a third may, in the place of the first. */
static void plan_unheard(struct round *again, struct survey_endpoint *e)
{
	struct survey_address *sound = NULL;

	for (size_t k = 0; k < e->count && sound == NULL; k++)
		if (survey_good_answers(&e->addresses[k]) > 0)
			sound = &e->addresses[k];
	for (size_t z = 0; z < e->zone_count && sound != NULL; z++) {
		bool asked = false;
		for (size_t k = 0; k < e->zones[z].look_count; k++)
			asked = asked ||
				(sound == &e->addresses[e->zones[z].looks[k].place] && e->zones[z].looks[k].outcome != SOUNDER_SKIPPED);
		if (!asked && !is_heard(e, &e->zones[z]))
			add(again, &(struct plan){PLAN_LOOK, e, sound, &e->zones[z], 0}, &e->zones[z].name);
	}
}

static void third_round(struct round *again, const struct round *before, struct sounder *sounder)
{
	for (size_t i = 0; i < again->survey->count; i++)
		plan_unheard(again, &again->survey->endpoints[i]);
	for (int b = 0; b < 2; b++)
		for (size_t i = 0; i < before[b].count; i++)
			plan_third(again, &before[b].plans[i], &before[b].questions[i]);
	run_round(again, sounder, THIRD_US);
}

static int compare_times(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sum_up(struct survey_address *a)
{
	if (a->times == 0)
		return;
	qsort(a->times_us, a->times, sizeof(*a->times_us), compare_times);
	a->min_us = a->times_us[0];
	a->median_us = a->times_us[a->times / 2];
	a->p95_us = a->times_us[(a->times * P95_PERCENT + 99) / 100 - 1];
}

void survey_run(struct survey *s, struct random *random, const int *ears, size_t ear_count)
{
	struct sounder sounder = {.random = random, .wait_us = WAIT_US, .heard = heard, .ears = ears, .ear_count = ear_count, .ear = ear};
	struct round *rounds = calloc(3, sizeof(*rounds));
	uint64_t begun_us = loop_clock_us();

	ASSERT(rounds);
	for (int i = 0; i < 3; i++)
		rounds[i].survey = s;
	first_round(&rounds[0], &sounder);
	second_round(&rounds[1], &sounder);
	third_round(&rounds[2], rounds, &sounder);
	for (size_t i = 0; i < s->count; i++)
		for (size_t k = 0; k < s->endpoints[i].count; k++)
			sum_up(&s->endpoints[i].addresses[k]);
	s->took_us = loop_clock_us() - begun_us;
	for (int i = 0; i < 3; i++) {
		free(rounds[i].plans);
		free(rounds[i].questions);
	}
	free(rounds);
}

/* ---- birth and death */

static bool goes_to(const struct config_zone *z, size_t endpoint)
{
	for (size_t i = 0; i < z->to_count; i++)
		if (z->to[i] == endpoint)
			return true;
	return false;
}

static void add_zone(struct survey_endpoint *e, const struct config_zone *z)
{
	e->zones[e->zone_count++] = (struct survey_zone){
		.name = z->name,
		.source = z->source,
		.association = z->association && e->kind == ENDPOINT_INBOUND,
		.expect = z->expect,
		.look_count = MIN(e->count, (size_t)SURVEY_LOOKS),
	};
}

/* As many zones as may be asked for, evenly out of all; the root stands for none, and for the local upstreams. */
static void add_zones(struct survey_endpoint *e, const struct config *c, size_t endpoint)
{
	static const uint8_t root[] = {0};
	struct config_zone everything = {.source = ZONE_NAME};
	size_t number = 0, all = 0;

	for (size_t i = 0; i < c->zone_count; i++)
		if (endpoint != 0 && goes_to(&c->zones[i], endpoint))
			all++;
	size_t most = MIN(all, (size_t)SURVEY_ZONES_MOST);
	e->zones_in_file = all;
	e->zones = calloc(most + 1, sizeof(*e->zones));
	ASSERT(e->zones);
	for (size_t i = 0; i < c->zone_count && most > 0; i++)
		if (goes_to(&c->zones[i], endpoint) && number++ * most / all == e->zone_count)
			add_zone(e, &c->zones[i]);
	if (e->zone_count > 0)
		return;
	int read = name_read(&everything.name, root, sizeof(root));
	ASSERT(read > 0);
	add_zone(e, &everything);
}

static void add_endpoint(struct survey *s, const struct config *c, size_t number, const struct addr *local, size_t local_count)
{
	const struct config_endpoint *from = &c->endpoints[number];
	struct survey_endpoint *e = &s->endpoints[s->count++];

	*e = (struct survey_endpoint){.name = from->name,
				      .kind = from->kind,
				      .tcp = from->options.transport == TRANSPORT_TCP,
				      .count = number == 0 ? local_count : from->count};
	e->addresses = calloc(e->count + 1, sizeof(*e->addresses));
	ASSERT(e->addresses);
	for (size_t i = 0; i < e->count; i++) {
		e->addresses[i].addr = number == 0 ? local[i] : from->addresses[i].addr;
		e->addresses[i].az = number == 0 ? NULL : from->addresses[i].az;
	}
	add_zones(e, c, number);
}

struct survey *survey_new(const struct config *c, const struct addr *local, size_t local_count)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->endpoints = calloc(c->endpoint_count, sizeof(*s->endpoints));
	ASSERT(s->endpoints);
	for (size_t i = 1; i < c->endpoint_count; i++)
		add_endpoint(s, c, i, NULL, 0);
	add_endpoint(s, c, 0, local, local_count);
	return s;
}

void survey_free(struct survey *s)
{
	for (size_t i = 0; i < s->count; i++) {
		for (size_t k = 0; k < s->endpoints[i].count; k++)
			free(s->endpoints[i].addresses[k].times_us);
		free(s->endpoints[i].addresses);
		free(s->endpoints[i].zones);
	}
	free(s->endpoints);
	free(s);
}
