/* SPDX-License-Identifier: Apache-2.0 */
#include "chaos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/forward_private.h"
#include "wire/text.h"

enum {
	PATIENCE_US = FORWARD_DEADLINE_US + 50000, /* and the clock's slack */
	WAITING_MOST = 4096,
	PACKET_MOST = 600,
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

struct waiting {
	unsigned query;
	uint64_t asked_us;
	uint16_t limit;
	size_t len;
	uint8_t packet[PACKET_MOST];
};

struct chaos {
	struct world *world;
	unsigned names, sent, waiting_count;
	struct waiting waiting[WAITING_MOST];
};

typedef uint8_t next_fn(void *arg);

struct chaos *chaos_new(void)
{
	struct chaos *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->world = world_new(confs[0]);
	world_trace_off(c->world);
	for (size_t i = 0; i < ARRAY_SIZE(local_ips); i++)
		world_upstream(c->world, local_ips[i])->never = "\4corp\7example";
	for (size_t i = 0; i < ARRAY_SIZE(endpoint_ips); i++)
		world_upstream(c->world, endpoint_ips[i])->never = "\7example\3org";
	return c;
}

/* ---- what clients get */

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
	if (dns_qdcount(r->message) == 0)
		return;
	int end = name_skip(q->packet, q->len, DNS_HEADER_BYTES);
	ASSERT(end > 0 && memcmp(r->message + DNS_HEADER_BYTES, q->packet + DNS_HEADER_BYTES, (size_t)end + 4 - DNS_HEADER_BYTES) == 0);
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
		c->waiting[left++] = *q;
	}
	c->waiting_count = left;
}

static void check_flights(const struct forward *f)
{
	for (int i = 0; i < FLIGHT_BUCKETS; i++)
		LIST_FOR_EACH (link, &f->table[i]) {
			const struct flight *fl = CONTAINER_OF(link, struct flight, chain);
			ASSERT(fl->open <= FORWARD_OPEN_ATTEMPTS && fl->query_count <= FORWARD_QUERIES_PER_FLIGHT);
			ASSERT(fl->open > 0 || fl->next_at_us != UINT64_MAX); /* somebody is asked, or will be */
		}
}

static void pass(struct chaos *c, uint64_t ms)
{
	world_run_ms(c->world, ms);
	look(c);
	check_flights(world_forward(c->world));
}

static void ask_packet(struct chaos *c, const uint8_t *packet, size_t len, uint16_t limit, bool stream)
{
	unsigned dropped = world_dropped(c->world);
	struct waiting *q = &c->waiting[c->waiting_count];

	if (c->waiting_count == WAITING_MOST)
		return;
	*q = (struct waiting){.asked_us = world_now_us(c->world), .limit = limit, .len = len};
	memcpy(q->packet, packet, len);
	q->query = world_send(c->world, packet, len, "10.77.0.1", stream);
	c->sent++;
	if (world_dropped(c->world) == dropped)
		c->waiting_count++;
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
	uint16_t limit = stream ? DNS_MESSAGE_MAX : q.edns ? DNS_UDP_BYTES : DNS_UDP_PLAIN_BYTES;
	size_t len = question_write(&q, packet);
	unsigned times = (how & 0xe0) == 0x20 ? 1u + next(arg) : 1; /* many who want the same */
	for (unsigned i = 0; i < times; i++)
		ask_packet(c, packet, len, limit, stream);
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
	ask_packet(c, packet, len, DNS_UDP_BYTES, next(arg) % 8 == 0);
}

/* ---- what else may happen */

static struct world_upstream *any_upstream(struct chaos *c, next_fn *next, void *arg)
{
	uint8_t which = next(arg);

	if (which % 8 < ARRAY_SIZE(endpoint_ips))
		return world_upstream(c->world, endpoint_ips[which % 8]);
	return world_upstream(c->world, local_ips[which % ARRAY_SIZE(local_ips)]);
}

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
		world_reload(c->world, confs[next(arg) % ARRAY_SIZE(confs)]);
		break;
	case 2:
		drain(c, next(arg));
		break;
	case 3: /* up to two minutes, now and then two hours: TTLs, probes, what is remembered */
		pass(c, (uint64_t)1 << next(arg) % (next(arg) % 32 == 0 ? 24 : 18));
		break;
	case 4:
	case 5:
		fall_ill(any_upstream(c, next, arg), next, arg);
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
	ASSERT(f->old_leases == NULL && f->lease->flights == 0 && f->wheel.armed == 0);
	for (size_t i = 0; i < f->lease->snapshot->zone_count; i++)
		ASSERT(f->lease->zone_flights[i] == 0);
	world_free(c->world);
	free(c);
}
