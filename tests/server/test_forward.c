/* SPDX-License-Identifier: Apache-2.0 */
/* The query door at packet level: the order of judgement, and what each kind of query gets (interface: behaviour on the
 * wire). On the virtual clock, so that nothing else moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/forward_private.h"
#include "wire/text.h"
#include "world.h"

static const char conf[] = "listen: [127.0.0.1:5353]\nallow-from: [127.0.0.0/8, 10.0.0.0/8]\n"
			   "inbound-endpoints:\n  seoul: {addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}\n"
			   "zones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n";

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	w = world_new(conf);
	world_run_ms(w, 1000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* A query for `name`; flags and class as given, an OPT of `edns` bytes unless 0. */
static size_t compose(uint8_t *packet, const char *name, uint16_t type, uint16_t class, uint16_t flags)
{
	struct name n;

	assert_int_equal(text_read_name(&n, name), 0);
	struct question_upstream q = {.name = &n, .id = 0x1234, .type = type, .class = class, .flags = flags, .edns = true};
	return question_write(&q, packet);
}

static const struct world_reply *reply_to(const uint8_t *packet, size_t len, const char *client, bool stream)
{
	unsigned q = world_send(w, packet, len, client, stream);

	world_run_ms(w, 100);
	return world_reply(w, q);
}

static const struct world_reply *ask(const char *name, uint16_t type, uint16_t class, uint16_t flags, bool stream)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];

	return reply_to(packet, compose(packet, name, type, class, flags), "127.0.0.1", stream);
}

static uint16_t rcode_of(const char *name, uint16_t type, uint16_t class)
{
	const struct world_reply *r = ask(name, type, class, DNS_RD, false);

	assert_non_null(r);
	return r->rcode;
}

static void short_packets_and_responses_draw_nothing(void **state)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD);

	(void)state;
	for (size_t cut = 0; cut < DNS_HEADER_BYTES; cut++)
		assert_null(reply_to(packet, cut, "127.0.0.1", false));
	packet[2] |= 0x80;
	assert_null(reply_to(packet, len, "127.0.0.1", false));
	assert_int_equal(metrics_get(world_metrics(w), METRIC_DROPPED_RESPONSE), 1);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_DROPPED_SHORT), DNS_HEADER_BYTES);
}

static void datagram_from_an_address_of_ours_draws_nothing(void **state)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD);

	(void)state;
	assert_null(reply_to(packet, len, "127.0.0.1:5353", false));
	assert_non_null(reply_to(packet, len, "127.0.0.1:5354", false));
}

static void stranger_is_refused_whatever_it_asks(void **state)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD);

	(void)state;
	for (int stream = 0; stream < 2; stream++) {
		const struct world_reply *r = reply_to(packet, len, "203.0.113.9", stream);
		assert_int_equal(r->rcode, DNS_REFUSED);
		assert_int_equal(r->ede, DNS_EDE_PROHIBITED);
	}
	packet[2] = 0x28; /* UPDATE */
	assert_int_equal(reply_to(packet, len, "203.0.113.9", false)->rcode, DNS_REFUSED);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked, 0);
}

static void what_cannot_be_read_gets_its_rcode(void **state)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX + 16];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD);

	(void)state;
	packet[2] = 0x28;
	assert_int_equal(reply_to(packet, len, "127.0.0.1", false)->rcode, DNS_NOTIMP);
	packet[2] = 0x01;
	packet[5] = 2;
	assert_int_equal(reply_to(packet, len, "127.0.0.1", false)->rcode, DNS_FORMERR);
	packet[5] = 0;
	assert_int_equal(reply_to(packet, len, "127.0.0.1", false)->rcode, DNS_FORMERR);
	packet[5] = 1;
	assert_int_equal(reply_to(packet, len - 1, "127.0.0.1", false)->rcode, DNS_FORMERR);
	memcpy(packet + len, packet + len - EDNS_OPT_BYTES, EDNS_OPT_BYTES);
	packet[11] = 2;
	assert_int_equal(reply_to(packet, len + EDNS_OPT_BYTES, "127.0.0.1", false)->rcode, DNS_FORMERR);
}

static void edns_version_above_0_is_badvers(void **state)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD);

	(void)state;
	packet[len - 5] = 1;
	const struct world_reply *r = reply_to(packet, len, "127.0.0.1", false);
	assert_int_equal(r->rcode, 0);
	assert_int_equal(r->message[r->len - 6], DNS_BADVERS >> 4);
}

static void transfers_and_odd_classes_are_refused(void **state)
{
	(void)state;
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_AXFR, DNS_CLASS_IN), DNS_REFUSED);
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_IXFR, DNS_CLASS_IN), DNS_REFUSED);
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_A, 4), DNS_REFUSED);
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_A, DNS_CLASS_ANY), DNS_REFUSED);
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_OPT, DNS_CLASS_IN), DNS_REFUSED);
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_TSIG, DNS_CLASS_IN), DNS_REFUSED);
	assert_int_equal(rcode_of("corp.example", DNS_TYPE_A, DNS_CLASS_CH), DNS_REFUSED);
}

static void any_is_hinfo_over_udp_and_forwarded_over_tcp(void **state)
{
	(void)state;
	const struct world_reply *r = ask("any.corp.example", DNS_TYPE_ANY, DNS_CLASS_IN, DNS_RD, false);
	assert_int_equal(r->ancount, 1);
	assert_int_equal(dns_get16(r->message + reply_body_at(&(struct reply_asker){.has_question = true, .name_len = 18}) + 2),
			 DNS_TYPE_HINFO);
	unsigned before = world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked;
	assert_non_null(ask("any.corp.example", DNS_TYPE_ANY, DNS_CLASS_IN, DNS_RD, true));
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked, before + 1);
}

static void version_and_identity_are_told_in_class_chaos(void **state)
{
	(void)state;
	assert_int_equal(ask("version.bind", DNS_TYPE_TXT, DNS_CLASS_CH, DNS_RD, false)->ancount, 1);
	assert_int_equal(ask("version.server", DNS_TYPE_TXT, DNS_CLASS_CH, DNS_RD, false)->ancount, 1);
	assert_int_equal(ask("id.server", DNS_TYPE_TXT, DNS_CLASS_CH, DNS_RD, false)->ancount, 1);
	assert_int_equal(ask("id.server", DNS_TYPE_A, DNS_CLASS_CH, DNS_RD, false)->ancount, 0);
}

static void special_names_are_answered_here_and_sent_nowhere(void **state)
{
	static const struct {
		const char *name;
		uint16_t type, rcode, ancount;
	} rows[] = {
		{"localhost", DNS_TYPE_A, DNS_NOERROR, 1},
		{"db.localhost", DNS_TYPE_AAAA, DNS_NOERROR, 1},
		{"localhost", DNS_TYPE_MX, DNS_NOERROR, 0},
		{"1.0.0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NOERROR, 1},
		{"2.0.0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0},
		{"127.in-addr.arpa", DNS_TYPE_SOA, DNS_NOERROR, 0},
		{"0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NOERROR, 0},
		{"0.0.127.in-addr.arpa", DNS_TYPE_A, DNS_NOERROR, 0},
		{"1.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0},
		{"1.0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0},
		{"0.1.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0},
		{"0.0.0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0},
		{"1.1.0.0.127.in-addr.arpa", DNS_TYPE_PTR, DNS_NXDOMAIN, 0},
		{"www.invalid", DNS_TYPE_A, DNS_NXDOMAIN, 0},
		{"abc.onion", DNS_TYPE_A, DNS_NXDOMAIN, 0},
		{"_dns.resolver.arpa", DNS_TYPE_SVCB, DNS_NOERROR, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct world_reply *r = ask(rows[i].name, rows[i].type, DNS_CLASS_IN, DNS_RD, false);
		assert_non_null(r);
		assert_int_equal(r->rcode, rows[i].rcode);
		assert_int_equal(r->ancount, rows[i].ancount);
		assert_false(r->flags & DNS_AA);
	}
	assert_int_equal(world_upstream(w, "192.168.0.2")->asked, 0);
}

static void recursion_that_is_not_desired_is_served_from_the_cache_only(void **state)
{
	(void)state;
	assert_int_equal(ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, 0, false)->rcode, DNS_REFUSED);
	assert_int_equal(ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false)->rcode, DNS_NOERROR);
	const struct world_reply *r = ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, 0, false);
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_false(r->flags & DNS_RD);
}

static void reply_carries_the_clients_id_letter_case_and_bits(void **state)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD | DNS_CD);

	(void)state;
	packet[13] = 'W';
	for (int hit = 0; hit < 2; hit++) { /* from upstream, then from the cache */
		const struct world_reply *r = reply_to(packet, len, "127.0.0.1", false);
		assert_memory_equal(r->message, packet, 2);
		assert_memory_equal(r->message + DNS_HEADER_BYTES, packet + DNS_HEADER_BYTES, 18 + 4);
		assert_int_equal(r->flags & ~DNS_RCODE, DNS_QR | DNS_RD | DNS_RA | DNS_CD);
	}
	assert_int_equal(metrics_get(world_metrics(w), METRIC_CACHE_HITS), 1);
}

static void same_question_in_flight_is_asked_once_and_answered_to_all(void **state)
{
	unsigned first = 0;

	(void)state;
	for (int i = 0; i < FORWARD_QUERIES_PER_FLIGHT; i++) {
		unsigned q = world_ask(w, "shared.corp.example", "A");
		first = i == 0 ? q : first;
	}
	unsigned beyond = world_ask(w, "shared.corp.example", "A");
	assert_int_equal(world_reply(w, beyond)->rcode, DNS_SERVFAIL);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), 1);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_COALESCED), FORWARD_QUERIES_PER_FLIGHT - 1); /* who was shed joined nothing */
	world_run_ms(w, 100);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked, 1);
	for (unsigned q = first; q < first + FORWARD_QUERIES_PER_FLIGHT; q++)
		assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
}

static void one_zone_gets_half_of_the_room_and_all_is_given_back(void **state)
{
	(void)state;
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	world_trace_off(w);
	unsigned shed = 0;
	for (int i = 0; i < 6000; i++) {
		char name[64];
		snprintf(name, sizeof(name), "f%d.corp.example", i);
		unsigned q = world_ask(w, name, "A");
		shed += world_reply(w, q) != NULL;
	}
	assert_int_equal(shed, 6000 - FORWARD_FLIGHTS / 2);
	/* Others are served as if nothing happened. */
	unsigned other = world_ask(w, "www.example.org", "A");
	world_run_ms(w, 50);
	assert_int_equal(world_reply(w, other)->rcode, DNS_NOERROR);
	world_run_ms(w, 6000);
	const struct forward *f = world_forward(w);
	assert_int_equal(forward_waiting(f), 0);
	assert_int_equal(f->flights.used, 0);
	assert_int_equal(f->queries.used, 0);
	assert_int_equal(f->attempts.used, 0);
}

static void known_name_is_answered_stale_when_its_zone_has_no_room(void **state)
{
	(void)state;
	ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
	world_run_ms(w, 61000);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	world_trace_off(w);
	for (int i = 0; i < FORWARD_FLIGHTS; i++) {
		char name[64];
		snprintf(name, sizeof(name), "f%d.corp.example", i);
		world_ask(w, name, "A");
	}
	uint64_t shed = metrics_get(world_metrics(w), METRIC_SHED);
	assert_true(shed > 0);
	const struct world_reply *r = world_reply(w, world_ask(w, "www.corp.example", "A"));
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SHED), shed);
}

/* An owner copied from the question, letter case and all. */
static size_t copy_the_question(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t a[] = {0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	struct question_upstream echo = *asked;

	(void)stream;
	echo.edns = false;
	size_t len = question_write(&echo, out), name_len = asked->name->len;
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	out[7] = 1;
	memcpy(out + len, out + DNS_HEADER_BYTES, name_len);
	memcpy(out + len + name_len, a, sizeof(a));
	return len + name_len + sizeof(a);
}

static void our_letter_case_reaches_no_client(void **state)
{
	static const uint8_t owner[] = "\3www\4corp\7example";

	(void)state;
	world_upstream(w, "10.0.1.1")->answer = world_upstream(w, "10.0.2.1")->answer = copy_the_question;
	for (int hit = 0; hit < 2; hit++) { /* from upstream, then from the cache */
		const struct world_reply *r = ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
		assert_int_equal(r->ancount, 1);
		assert_memory_equal(r->message + DNS_HEADER_BYTES + sizeof(owner) + 4, owner, sizeof(owner));
	}
}

static bool with_a_chain;

/* Bare, or the end of a chain whose first record has a TTL. */
static size_t say_nxdomain_without_soa(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t cname[] = {0xc0, 12, 0, DNS_TYPE_CNAME, 0, DNS_CLASS_IN, 0, 0, 0, 60, 0, 3, 1, 'x', 0};
	struct question_upstream echo = *asked;

	(void)stream;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA | DNS_NXDOMAIN);
	if (!with_a_chain)
		return len;
	out[7] = 1;
	memcpy(out + len, cname, sizeof(cname));
	return len + sizeof(cname);
}

/* As long as a failure. */
static void nxdomain_without_an_soa_is_remembered_for_five_seconds(void **state)
{
	struct world_upstream *one = world_upstream(w, "10.0.1.1"), *two = world_upstream(w, "10.0.2.1");

	(void)state;
	one->answer = two->answer = say_nxdomain_without_soa;
	for (unsigned i = 0; i < 4; i++) {
		with_a_chain = i % 2;
		const char *name = with_a_chain ? "chain.corp.example" : "bare.corp.example";
		assert_int_equal(rcode_of(name, DNS_TYPE_A, DNS_CLASS_IN), DNS_NXDOMAIN);
		assert_int_equal(one->asked + two->asked, i + 1);
		world_run_ms(w, 3800);
		assert_int_equal(rcode_of(name, DNS_TYPE_A, DNS_CLASS_IN), DNS_NXDOMAIN);
		assert_int_equal(one->asked + two->asked, i + 1);
		world_run_ms(w, 2000);
	}
}

static void nxdomain_and_nodata_are_remembered_a_minute_at_most(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct world_reply *r = ask("nx.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
		assert_int_equal(r->rcode, DNS_NXDOMAIN);
		assert_in_range(r->ttl_s, 59, 60); /* the SOA says 900 */
	}
	assert_int_equal(metrics_get(world_metrics(w), METRIC_CACHE_HITS), 1);
	world_run_ms(w, 61000);
	ask("nx.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_CACHE_HITS), 1);
}

static void popular_name_is_refreshed_before_it_expires(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		ask("pop.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
	world_run_ms(w, 55000); /* of 60 s */
	unsigned before = world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked;
	ask("pop.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
	ask("pop.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked, before + 1);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_PREFETCHES), 1);
	world_run_ms(w, 10000);
	assert_int_equal(ask("pop.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false)->rcode, DNS_NOERROR);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_CACHE_MISSES), 1);
}

/* A query from `from` that was sent to `sent_to`: whether it is dropped, as one of ours. */
static bool is_dropped(const char *from, const char *sent_to)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD);
	struct reply_to to = {.listener = (struct listener *)(void *)w};
	struct addr local;
	unsigned before = world_dropped(w);

	assert_int_equal(addr_parse(&to.client, from, 0), 0);
	assert_int_equal(addr_parse(&local, sent_to, 53), 0);
	to.udp.family = (uint8_t)local.sa.sa_family;
	if (to.udp.family == AF_INET)
		memcpy(&to.udp.local, &local.in.sin_addr, sizeof(local.in.sin_addr));
	else
		to.udp.local = local.in6.sin6_addr;
	forward_query(world_forward(w), &to, packet, len, world_now_us(w));
	assert_int_equal(metrics_get(world_metrics(w), METRIC_DROPPED_OURSELVES), world_dropped(w));
	return world_dropped(w) > before;
}

/* A wildcard listens at whatever address of this host somebody pretends to be: the datagram says which one it was sent to. */
static void wildcard_drops_what_claims_to_come_from_where_it_goes(void **state)
{
	(void)state;
	world_reload(w, "listen: [0.0.0.0:5353, \"[::]:5354\"]\nallow-from: [0.0.0.0/0, \"::/0\"]\n"
			"zones: []\nlocal-upstreams: [192.168.0.2]\n");
	assert_true(is_dropped("10.1.1.1:5353", "10.1.1.1"));
	assert_true(is_dropped("127.0.0.5:5353", "10.1.1.1"));
	assert_true(is_dropped("[2001:db8::1]:5354", "2001:db8::1"));
	assert_false(is_dropped("10.1.1.1:5353", "10.1.1.2"));
	assert_false(is_dropped("10.1.1.3:5354", "10.1.1.3"));
	assert_false(is_dropped("[2001:db8::1]:5354", "2001:db8::2"));
}

#define PORTS(seoul)                                                                                                         \
	"inbound-endpoints:\n  seoul: {addresses: [10.0.1.1, 10.0.2.1], policy: ordered, source-ports: " seoul "}\n"            \
	"zones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n"

/* Less the 14 of the main thread. */
static void source_ports_change_with_a_reload(void **state)
{
	(void)state;
	world_reload(w, PORTS("512"));
	unsigned q = world_ask(w, "flying.corp.example", "A");
	assert_int_equal(world_upstream(w, "10.0.1.1")->ports, 498);
	world_reload(w, PORTS("32"));
	assert_int_equal(world_upstream(w, "10.0.1.1")->ports, 18);
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
	world_reload(w, PORTS("1024"));
	assert_int_equal(world_upstream(w, "10.0.1.1")->ports, 1010);
}

static void reload_leaves_what_is_in_flight_alone(void **state)
{
	(void)state;
	unsigned q = world_ask(w, "slow.corp.example", "A");
	world_reload(w, conf);
	world_reload(w, "zones: []\nlocal-upstreams: [192.168.0.2]\n");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, q)->rcode, DNS_NOERROR);
	/* What is asked now goes where the new file says, and never gets what the old route cached. */
	assert_int_equal(ask("slow.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false)->rcode, DNS_NOERROR);
	assert_int_equal(world_upstream(w, "192.168.0.2")->asked, 1);
}

#define ENFORCED(rest) \
	"inbound-endpoints:\n  seoul: {addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}\n" \
	"zones: [{name: corp.example, to: seoul, expect: private, guard: enforce}]\nlocal-upstreams: [192.168.0.2]\n" rest

static void answer_everything_from_elsewhere(void)
{
	world_upstream(w, "10.0.1.1")->detached = world_upstream(w, "10.0.2.1")->detached = true;
}

static void expect_blocked(const struct world_reply *r)
{
	assert_non_null(r);
	assert_int_equal(r->rcode, DNS_SERVFAIL);
	assert_int_equal(r->ede, DNS_EDE_BLOCKED);
}

static void who_asks_once_a_guard_is_enforced_gets_nothing_by_the_rules_before(void **state)
{
	(void)state;
	answer_everything_from_elsewhere();
	unsigned before = world_ask(w, "www.corp.example", "A");
	world_reload(w, ENFORCED(""));
	unsigned after = world_ask(w, "www.corp.example", "A"); /* joins nobody */
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, before)->rcode, DNS_NOERROR);
	expect_blocked(world_reply(w, after));
	expect_blocked(ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false));
}

static void answer_to_a_question_by_the_rules_before_is_not_remembered(void **state)
{
	(void)state;
	answer_everything_from_elsewhere();
	unsigned before = world_ask(w, "www.corp.example", "A");
	world_reload(w, ENFORCED(""));
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, before)->rcode, DNS_NOERROR);
	expect_blocked(ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false));
}

/* The main thread has made the snapshot, and this one still goes by the old rules when an answer comes. */
static void what_was_remembered_before_the_new_rules_came_round_is_forgotten(void **state)
{
	static const char text[] = ENFORCED("allow-from: [127.0.0.0/8]\n");
	struct diagnostics d;

	(void)state;
	diagnostics_init(&d);
	struct config *c = config_load_text(text, sizeof(text) - 1, &d);
	diagnostics_deinit(&d);
	struct snapshot *next = snapshot_new(c, NULL, world_snapshot(w));
	assert_non_null(next);
	answer_everything_from_elsewhere();
	assert_int_equal(ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false)->rcode, DNS_NOERROR);
	forward_adopt(world_forward(w), next, 0 /* it takes no notice */);
	snapshot_unref(next);
	expect_blocked(ask("www.corp.example", DNS_TYPE_A, DNS_CLASS_IN, DNS_RD, false));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(short_packets_and_responses_draw_nothing),
		TEST(datagram_from_an_address_of_ours_draws_nothing),
		TEST(stranger_is_refused_whatever_it_asks),
		TEST(what_cannot_be_read_gets_its_rcode),
		TEST(edns_version_above_0_is_badvers),
		TEST(transfers_and_odd_classes_are_refused),
		TEST(any_is_hinfo_over_udp_and_forwarded_over_tcp),
		TEST(version_and_identity_are_told_in_class_chaos),
		TEST(special_names_are_answered_here_and_sent_nowhere),
		TEST(recursion_that_is_not_desired_is_served_from_the_cache_only),
		TEST(reply_carries_the_clients_id_letter_case_and_bits),
		TEST(same_question_in_flight_is_asked_once_and_answered_to_all),
		TEST(one_zone_gets_half_of_the_room_and_all_is_given_back),
		TEST(known_name_is_answered_stale_when_its_zone_has_no_room),
		TEST(nxdomain_without_an_soa_is_remembered_for_five_seconds),
		TEST(our_letter_case_reaches_no_client),
		TEST(nxdomain_and_nodata_are_remembered_a_minute_at_most),
		TEST(popular_name_is_refreshed_before_it_expires),
		TEST(wildcard_drops_what_claims_to_come_from_where_it_goes),
		TEST(source_ports_change_with_a_reload),
		TEST(reload_leaves_what_is_in_flight_alone),
		TEST(who_asks_once_a_guard_is_enforced_gets_nothing_by_the_rules_before),
		TEST(answer_to_a_question_by_the_rules_before_is_not_remembered),
		TEST(what_was_remembered_before_the_new_rules_came_round_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
