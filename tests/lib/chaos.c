/* SPDX-License-Identifier: Apache-2.0 */
#include "chaos.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/forward_private.h"
#include "wire/text.h"

enum {
	PATIENCE_US = FORWARD_DEADLINE_US + 50000, /* and the clock's slack */
	WAITING_MOST = 4096,
	PACKET_MOST = 600,
	TTL_MOST_S = 60, /* of the upstreams' A records, and negative-max-ttl */
	TTL_STALE_S = 30,
};

/* Private names lie below corp.example in all of them, public ones below example.org in none. */
static const char *const confs[] = {
	"inbound-endpoints:\n  seoul: {addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}, {ip: 10.0.3.1, az: az3}]}\n"
	"  tokyo: {addresses: [10.9.1.1, 10.9.2.1]}\n"
	"zones: [{name: corp.example, to: seoul}, {name: b.corp.example, to: [seoul, tokyo]}]\n"
	"local-upstreams: [192.168.0.2, 192.168.0.3]\ncache: {size: 1MiB}\n",

	"inbound-endpoints:\n  seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.4.1, az: az1}], max-qps: 50}\n"
	"  tokyo: {addresses: [10.9.1.1], transport: tcp, hedge: off}\n"
	"zones: [{name: corp.example, to: [tokyo, seoul]}, {name: b.corp.example, to: seoul}]\n"
	"local-upstreams: [192.168.0.2]\ncache: {size: 2MiB, stale-after: 300ms, prefetch: off}\n",

	"inbound-endpoints:\n  seoul: {policy: nearest, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}], prefer-az: az1,"
	" hedge: 20ms}\n"
	"zones: [{name: corp.example, to: seoul, expect: private, guard: enforce}]\n"
	"local-upstreams: [192.168.0.3]\ncache: {size: 1MiB, serve-stale: off}\n",
};

static const char *const endpoint_ips[] = {"10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.4.1", "10.9.1.1", "10.9.2.1"};
static const char *const local_ips[] = {"192.168.0.2", "192.168.0.3"};

enum { CONF_WITH_MAX_QPS = 1, CONF_WITH_GUARD = 2, MAX_QPS = 50 };

/* What is known of the reply to a query that was written as it should be. */
struct expectation {
	bool well_formed;
	bool edns;
	bool guarded;  /* asked while `guard: enforce` is in force … */
	bool no_stale; /* … and `serve-stale: off`; both until the next reload */
	bool bounded;  /* no answer of ours: TTLs are the upstreams' */
};

struct waiting {
	unsigned query;
	uint64_t asked_us;
	uint16_t limit;
	struct expectation expect;
	size_t len;
	uint8_t packet[PACKET_MOST];
};

/* Of an address with max-qps: what it has been asked since a moment from which on that can be counted. */
struct metered {
	struct world_upstream *upstream;
	uint64_t since_us;
	unsigned asked;
};

struct chaos {
	struct world *world;
	size_t conf;
	unsigned names, sent, waiting_count;
	struct metered metered[2];
	struct waiting waiting[WAITING_MOST];
};

static struct chaos *spare; /* one that has ended: its pages are warm */

typedef uint8_t next_fn(void *arg);

static struct world_upstream *any_upstream(struct chaos *c, size_t number)
{
	number %= ARRAY_SIZE(endpoint_ips) + ARRAY_SIZE(local_ips);
	if (number < ARRAY_SIZE(endpoint_ips))
		return world_upstream(c->world, endpoint_ips[number]);
	return world_upstream(c->world, local_ips[number - ARRAY_SIZE(endpoint_ips)]);
}

struct chaos *chaos_new(void)
{
	struct chaos *c = spare != NULL ? spare : malloc(sizeof(*c));

	ASSERT(c != NULL);
	spare = NULL;
	c->conf = c->names = c->sent = c->waiting_count = 0;
	c->world = world_new(confs[0]);
	world_trace_off(c->world);
	for (size_t i = 0; i < ARRAY_SIZE(local_ips); i++)
		world_upstream(c->world, local_ips[i])->never[0] = "\4corp\7example";
	for (size_t i = 0; i < ARRAY_SIZE(endpoint_ips); i++)
		world_upstream(c->world, endpoint_ips[i])->never[0] = "\7example\3org";
	for (size_t i = 0; i < ARRAY_SIZE(local_ips) + ARRAY_SIZE(endpoint_ips); i++) {
		struct world_upstream *u = any_upstream(c, i);
		u->never[1] = "\11localhost";
		u->never[2] = "\7invalid";
	}
	c->metered[0] = (struct metered){.upstream = world_upstream(c->world, "10.0.1.1")};
	c->metered[1] = (struct metered){.upstream = world_upstream(c->world, "10.0.4.1")};
	return c;
}

/* ---- what clients get */

static void check_well_formed(const struct expectation *e, const struct world_reply *r)
{
	static const uint8_t detached[] = {0, 4, 203, 0, 113, 5};

	ASSERT(dns_qdcount(r->message) == 1 && dns_arcount(r->message) == e->edns);
	ASSERT(!e->bounded || r->ttl_s <= TTL_MOST_S);
	ASSERT(!e->guarded || memmem(r->message, MIN(r->len, sizeof(r->message)), detached, sizeof(detached)) == NULL);
	bool stale = r->ede == DNS_EDE_STALE_ANSWER || r->ede == DNS_EDE_STALE_NXDOMAIN;
	ASSERT(!stale || (!e->no_stale && !(r->flags & DNS_AD) && r->ttl_s <= TTL_STALE_S));
	ASSERT(r->ede != DNS_EDE_STALE_ANSWER || r->rcode == DNS_NOERROR);
	ASSERT(r->ede != DNS_EDE_STALE_NXDOMAIN || r->rcode == DNS_NXDOMAIN);
}

static void check_reply(const struct waiting *q, const struct world_reply *r)
{
	ASSERT(r->len >= DNS_HEADER_BYTES && r->len <= q->limit);
	ASSERT(memcmp(r->message, q->packet, 2) == 0 && r->flags & DNS_QR && !(r->flags & DNS_AA));
	uint16_t asked = dns_flags(q->packet), copied = DNS_OPCODE | DNS_RD | DNS_CD;
	if (asked & DNS_OPCODE) { /* what flags mean there is not known: none comes back */
		asked = DNS_QR | (asked & DNS_OPCODE);
		copied = 0xffff & ~DNS_RCODE;
	}
	ASSERT(((r->flags ^ asked) & copied) == 0);
	if (q->expect.well_formed)
		check_well_formed(&q->expect, r);
	if (dns_qdcount(r->message) == 0)
		return;
	int end = name_skip(q->packet, q->len, DNS_HEADER_BYTES);
	ASSERT(end > 0 && memcmp(r->message + DNS_HEADER_BYTES, q->packet + DNS_HEADER_BYTES, (size_t)end + 4 - DNS_HEADER_BYTES) == 0);
}

/* From now on other rules may have answered. */
static void forget_rules(struct chaos *c)
{
	for (unsigned i = 0; i < c->waiting_count; i++)
		c->waiting[i].expect.guarded = c->waiting[i].expect.no_stale = false;
}

static void look(struct chaos *c)
{
	unsigned left = 0;

	for (unsigned i = 0; i < c->waiting_count; i++) {
		struct waiting *q = &c->waiting[i];
		const struct world_reply *r = world_reply(c->world, q->query);
		if (r != NULL) {
			check_reply(q, r);
			ASSERT(r->at_us <= q->asked_us + PATIENCE_US);
			continue;
		}
		ASSERT(world_now_us(c->world) <= q->asked_us + PATIENCE_US);
		if (left != i)
			memcpy(&c->waiting[left], q, offsetof(struct waiting, packet) + q->len);
		left++;
	}
	c->waiting_count = left;
}

static void check_flights(const struct forward *f)
{
	uint32_t left = forward_waiting(f), queries = 0;

	for (int i = 0; i < FLIGHT_BUCKETS && left > 0; i++)
		LIST_FOR_EACH (link, &f->table[i]) {
			const struct flight *fl = CONTAINER_OF(link, struct flight, chain);
			ASSERT(fl->open <= FORWARD_OPEN_ATTEMPTS && fl->query_count <= FORWARD_QUERIES_PER_FLIGHT);
			ASSERT(fl->open > 0 || fl->next_at_us != UINT64_MAX); /* somebody is asked, or will be */
			queries += fl->query_count;
			left--;
		}
	ASSERT(left == 0 && queries == f->queries.used);
}

/* An address that is drained and owes nothing is not asked whatever clients and the clock do; asked[i] is UINT_MAX for the others. What an
 * open question leads to is one more at the same address now and then: over TCP, without EDNS, in lower case. */
static void remember_drained(struct chaos *c, unsigned asked[ARRAY_SIZE(endpoint_ips)])
{
	const struct snapshot *s = world_snapshot(c->world);
	char ip[ADDR_TEXT_MAX];

	memset(asked, 0xff, ARRAY_SIZE(endpoint_ips) * sizeof(*asked));
	for (size_t p = 0; p < s->pool_count && world_forward(c->world)->old_leases == NULL; p++)
		for (int k = 0; k < s->pools[p].count; k++) {
			const struct upstream *u = s->pools[p].places[k].upstream;
			if (!atomic_load(&u->drained))
				continue;
			addr_format_ip(&u->addr, ip);
			for (size_t i = 0; i < ARRAY_SIZE(endpoint_ips); i++)
				if (strcmp(ip, endpoint_ips[i]) == 0 && world_open_attempts(c->world, any_upstream(c, i)) == 0)
					asked[i] = any_upstream(c, i)->asked;
		}
}

static void check_drained(struct chaos *c, const unsigned asked[ARRAY_SIZE(endpoint_ips)])
{
	for (size_t i = 0; i < ARRAY_SIZE(endpoint_ips); i++)
		ASSERT(asked[i] == UINT_MAX || any_upstream(c, i)->asked == asked[i]);
}

/* Not counted from: other rules, and their flights. */
static bool can_be_metered(const struct chaos *c)
{
	return c->conf == CONF_WITH_MAX_QPS && world_forward(c->world)->old_leases == NULL;
}

static void check_rates(struct chaos *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->metered); i++) {
		struct metered *m = &c->metered[i];
		uint64_t now_us = world_now_us(c->world);
		if (!can_be_metered(c)) {
			m->since_us = now_us + PATIENCE_US; /* answers to what was asked before come yet */
			m->asked = m->upstream->asked;
		} else if (now_us < m->since_us) {
			m->asked = m->upstream->asked;
		} else {
			ASSERT(m->upstream->asked - m->asked <= MAX_QPS + (now_us - m->since_us) * MAX_QPS / US_PER_S + 1);
		}
	}
}

static void pass(struct chaos *c, uint64_t ms)
{
	unsigned drained[ARRAY_SIZE(endpoint_ips)];

	remember_drained(c, drained);
	world_run_ms(c->world, ms);
	check_drained(c, drained);
	look(c);
	check_flights(world_forward(c->world));
	check_rates(c);
	ASSERT(c->waiting_count == world_forward(c->world)->queries.used);
}

static void ask_packet(struct chaos *c, const uint8_t *packet, size_t len, const struct waiting *as, bool stream)
{
	unsigned dropped = world_dropped(c->world);
	bool answerable = len >= DNS_HEADER_BYTES && !(dns_flags(packet) & DNS_QR);
	struct waiting *q = &c->waiting[c->waiting_count];

	if (c->waiting_count == WAITING_MOST)
		return;
	q->asked_us = world_now_us(c->world);
	q->limit = as->limit;
	q->expect = as->expect;
	q->len = len;
	memcpy(q->packet, packet, len);
	q->query = world_send(c->world, packet, len, "10.77.0.1", stream);
	c->sent++;
	ASSERT((world_dropped(c->world) == dropped) == answerable);
	c->waiting_count += answerable;
}

/* ---- queries */

static void write_name(struct chaos *c, next_fn *next, void *arg, char name[128])
{
	static const char *const labels[] = {"www", "db", "nxa", "nxb", "slow", "lame", "m.w.x.y.z", "api"};
	static const char *const zones[] = {"corp.example", "a.corp.example", "b.corp.example", "example.org",	  "corp.example",
					    "invalid",	    "localhost",	"example.org",	  "b.corp.example", "corp.example"};
	uint8_t which = next(arg);
	const char *zone = zones[which % ARRAY_SIZE(zones)];

	if (which & 0x80)
		snprintf(name, 128, "n%u.%s", c->names++, zone);
	else
		snprintf(name, 128, "%s.%s", labels[(which >> 4) % ARRAY_SIZE(labels)], zone);
}

/* The name lies at or below the zone, in octets. */
static bool is_below(const struct name *n, const char *zone)
{
	size_t len = strlen(zone) + 1;

	return n->len >= len && memcmp(n->octets + n->len - len, zone, len) == 0;
}

static void ask(struct chaos *c, next_fn *next, void *arg)
{
	static const uint16_t types[] = {DNS_TYPE_A,  DNS_TYPE_A,  DNS_TYPE_AAAA, DNS_TYPE_NS,	DNS_TYPE_DS, DNS_TYPE_ANY,
					 DNS_TYPE_TXT, DNS_TYPE_A, DNS_TYPE_A,	  DNS_TYPE_SOA, DNS_TYPE_A,  65280};
	uint8_t packet[QUESTION_UPSTREAM_MAX], how;
	struct name n;
	char name[128];

	write_name(c, next, arg, name);
	ASSERT(text_read_name(&n, name) == 0);
	how = next(arg);
	struct question_upstream q = {.name = &n, .type = types[next(arg) % ARRAY_SIZE(types)], .class = DNS_CLASS_IN,
				      .case_bits = how, .edns = how & 1, .dnssec_ok = how & 2};
	q.id = (uint16_t)(next(arg) << 8 | how);
	q.flags = (uint16_t)((how & 0x7c ? DNS_RD : 0) | (how & 4 ? DNS_CD : 0) | (how & 8 ? DNS_AD : 0));
	bool stream = (how & 0xf0) == 0xf0;
	bool special = is_below(&n, "\11localhost") || is_below(&n, "\7invalid");
	const struct waiting as = {
		.limit = stream ? DNS_MESSAGE_MAX : q.edns ? DNS_UDP_BYTES : DNS_UDP_PLAIN_BYTES,
		.expect = {.well_formed = true,
			   .edns = q.edns,
			   .guarded = c->conf == CONF_WITH_GUARD && is_below(&n, "\4corp\7example"),
			   .no_stale = c->conf == CONF_WITH_GUARD,
			   .bounded = !special && q.type != DNS_TYPE_ANY},
	};
	size_t len = question_write(&q, packet);
	unsigned times = (how & 0xe0) == 0x20 ? 1u + next(arg) : 1; /* many who want the same */
	for (unsigned i = 0; i < times; i++)
		ask_packet(c, packet, len, &as, stream);
}

/* A packet with octets changed, or none but chosen ones. */
static void babble(struct chaos *c, next_fn *next, void *arg)
{
	uint8_t packet[PACKET_MOST];
	struct name n;
	bool from_nothing = next(arg) % 4 == 0;
	size_t len = next(arg) * 2;

	ASSERT(text_read_name(&n, "www.corp.example") == 0);
	if (from_nothing) {
		for (size_t i = 0; i < len; i++)
			packet[i] = next(arg);
	} else {
		struct question_upstream q = {.name = &n, .type = DNS_TYPE_A, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = true};
		len = question_write(&q, packet);
		for (int i = next(arg) % 4; i >= 0; i--)
			packet[next(arg) % len] = next(arg);
	}
	ask_packet(c, packet, len, &(struct waiting){.limit = DNS_UDP_BYTES}, next(arg) % 8 == 0);
}

/* ---- what else may happen */

static void fall_ill(struct world_upstream *u, next_fn *next, void *arg)
{
	static const uint16_t rcodes[] = {DNS_SERVFAIL, DNS_REFUSED, DNS_NOTIMP, DNS_FORMERR, 10};
	uint8_t how = next(arg);

	u->fault = how % 3 == 0 ? WORLD_WELL : (enum world_fault)(next(arg) % WORLD_SERVER_FAULTS);
	u->rcode = rcodes[next(arg) % ARRAY_SIZE(rcodes)];
	u->tcp_closed = how & 16;
	u->lost_pm = how & 32 ? next(arg) * 4u : 0;
	u->detached = (how & 192) == 192;
	u->silent_name = how & 8 ? "lame" : NULL;
	u->slow_name = "slow";
	u->slow_us = next(arg) * 20 * US_PER_MS;
	u->rtt_us = how & 4 ? 4 * US_PER_MS : next(arg) * (uint64_t)next(arg) * 50;
}

static void fall_ill_together(struct chaos *c, next_fn *next, void *arg)
{
	enum world_fault fault = (enum world_fault)(next(arg) % WORLD_SERVER_FAULTS);

	for (size_t i = 0; i < ARRAY_SIZE(endpoint_ips); i++) {
		world_upstream(c->world, endpoint_ips[i])->fault = fault;
		world_upstream(c->world, endpoint_ips[i])->rtt_us = 4 * US_PER_MS;
	}
}

static void drain(struct chaos *c, uint8_t which)
{
	struct snapshot *s = world_snapshot(c->world);
	struct pool *p = &s->pools[which % s->pool_count];

	if (p->count > 0)
		atomic_store(&p->places[(which >> 2) % p->count].upstream->drained, which & 0x80);
}

void chaos_step(struct chaos *c, next_fn *next, void *arg)
{
	uint8_t what = next(arg);

	switch (what % 32) {
	case 0:
		fall_ill_together(c, next, arg);
		break;
	case 1:
		c->conf = next(arg) % ARRAY_SIZE(confs);
		world_reload(c->world, confs[c->conf]);
		forget_rules(c);
		break;
	case 2:
		drain(c, next(arg));
		break;
	case 3: /* up to two minutes, now and then two hours: TTLs, probes, what is remembered */
		pass(c, (uint64_t)1 << next(arg) % (next(arg) % 32 == 0 ? 24 : 18));
		break;
	case 4:
	case 5:
		fall_ill(any_upstream(c, next(arg)), next, arg);
		break;
	case 6:
	case 7:
		babble(c, next, arg);
		break;
	default:
		ask(c, next, arg);
	}
	pass(c, what >> 5 == 7 ? next(arg) * 8u : what >> 5);
}

void chaos_end(struct chaos *c)
{
	const struct forward *f = world_forward(c->world);

	pass(c, 10000);
	ASSERT(c->waiting_count == 0 && world_replies(c->world) + world_dropped(c->world) == c->sent);
	ASSERT(forward_waiting(f) == 0 && f->flights.used == 0 && f->attempts.used == 0 && f->queries.used == 0);
	ASSERT(world_strange_transports(c->world) == 0);
	ASSERT(f->old_leases == NULL && f->lease->flights == 0 && f->wheel.armed == 0);
	for (size_t i = 0; i < f->lease->snapshot->zone_count; i++)
		ASSERT(f->lease->zone_flights[i] == 0);
	world_free(c->world);
	spare = c;
}
