/* SPDX-License-Identifier: Apache-2.0 */
/* Clients and upstreams that mean harm, on the virtual clock: what docs/security.md says of them. */
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

#define ENDPOINTS                                                                                                                          \
	"listen: [127.0.0.1:5353]\nallow-from: [127.0.0.0/8, 10.0.0.0/8, \"fd00::/8\"]\n"                                                  \
	"inbound-endpoints:\n"                                                                                                             \
	"  seoul: {addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}], max-qps: 1000000}\n"                                     \
	"  tokyo: {addresses: [{ip: 10.9.1.1, az: az1}, {ip: 10.9.2.1, az: az2}], max-qps: 1000000}\n"                                     \
	"zones: [{name: corp.example, to: seoul}, {name: other.example, to: tokyo}]\nlocal-upstreams: [192.168.0.2]\n"
#define LIMITED ENDPOINTS "rate-limit: {qps: 10, slip: 3, exempt: [10.7.0.0/16]}\n"

static struct world *w;

static void begin(const char *conf)
{
	w = world_new(conf);
	world_trace_off(w);
	world_run_ms(w, 1000);
}

static int end(void **state)
{
	(void)state;
	world_free(w);
	w = NULL;
	return 0;
}

/* A query with RD; an OPT of `udp_bytes` unless 0. */
static size_t compose(uint8_t *packet, const char *name, uint16_t type, uint16_t udp_bytes)
{
	struct name n;

	assert_int_equal(text_read_name(&n, name), 0);
	struct question_upstream q = {
		.name = &n, .id = 0x1234, .type = type, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = udp_bytes > 0};
	size_t len = question_write(&q, packet);
	if (udp_bytes > 0)
		dns_put16(packet + len - EDNS_OPT_BYTES + 3, udp_bytes);
	return len;
}

static const struct world_reply *reply_to(const uint8_t *packet, size_t len, const char *client, bool stream)
{
	unsigned q = world_send(w, packet, len, client, stream);

	world_run_ms(w, 50);
	return world_reply(w, q);
}

static const struct world_reply *ask(const char *name, uint16_t type)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];

	return reply_to(packet, compose(packet, name, type, DNS_UDP_BYTES), "127.0.0.1", false);
}

/* Of `count` queries at one moment: the answered ones, and those told to come over TCP. */
struct outcome {
	unsigned answered, slipped, silent;
};

static struct outcome ask_at_once(unsigned count, const char *client, bool stream)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, 0);
	unsigned first = 0, last = 0;
	struct outcome out = {0};

	assert_non_null(ask("www.corp.example", DNS_TYPE_A)); /* known from now on */
	for (unsigned i = 0; i < count; i++) {
		last = world_send(w, packet, len, client, stream);
		first = first == 0 ? last : first;
	}
	for (unsigned q = first; q <= last; q++) {
		const struct world_reply *r = world_reply(w, q);
		if (r == NULL) {
			out.silent++;
		} else if (r->flags & DNS_TC) {
			assert_int_equal(r->len, len); /* no larger than what was asked */
			assert_int_equal(r->rcode, DNS_NOERROR);
			out.slipped++;
		} else {
			out.answered++;
		}
	}
	return out;
}

/* ---- rate-limit */

static void client_above_its_rate_is_told_to_come_over_tcp_now_and_then(void **state)
{
	(void)state;
	begin(LIMITED);
	struct outcome o = ask_at_once(40, "10.1.1.1", false);
	assert_int_equal(o.answered, 10);
	assert_int_equal(o.slipped, 10); /* one in three */
	assert_int_equal(o.silent, 20);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_SLIPPED), 10);
	assert_int_equal(metrics_get(world_metrics(w), METRIC_DROPPED_RATE_LIMIT), 20);
	world_run_ms(w, 1000);
	o = ask_at_once(40, "10.1.1.1", false);
	assert_int_equal(o.answered, 10);
}

static void others_are_served_while_one_is_limited(void **state)
{
	(void)state;
	begin(LIMITED);
	assert_int_equal(ask_at_once(1000, "10.1.1.1", false).answered, 10);
	assert_int_equal(ask_at_once(10, "10.1.1.2", false).answered, 10);
	assert_int_equal(ask_at_once(10, "[fd00::1]:4000", false).answered, 10);
}

static void queries_over_tcp_are_never_limited(void **state)
{
	(void)state;
	begin(LIMITED);
	assert_int_equal(ask_at_once(1000, "10.1.1.1", true).answered, 1000);
	assert_int_equal(ask_at_once(20, "10.1.1.1", false).answered, 10); /* nor counted */
}

static void exempt_networks_are_left_alone(void **state)
{
	(void)state;
	begin(LIMITED);
	assert_int_equal(ask_at_once(1000, "10.7.1.1", false).answered, 1000);
}

static void limit_is_off_unless_it_is_set(void **state)
{
	(void)state;
	begin(ENDPOINTS);
	assert_int_equal(ask_at_once(3000, "10.1.1.1", false).answered, 3000);
	assert_null(world_snapshot(w)->limiter);
}

static void without_slip_all_above_the_rate_are_dropped(void **state)
{
	(void)state;
	begin(ENDPOINTS "rate-limit: {qps: 10, slip: off}\n");
	struct outcome o = ask_at_once(100, "10.1.1.1", false);
	assert_int_equal(o.slipped, 0);
	assert_int_equal(o.silent, 90);
	end(NULL);
	begin(ENDPOINTS "rate-limit: {qps: 10, slip: 1}\n");
	o = ask_at_once(100, "10.1.1.1", false);
	assert_int_equal(o.slipped, 90);
	assert_int_equal(o.silent, 0);
}

static void strangers_above_the_rate_draw_nothing(void **state)
{
	(void)state;
	begin(ENDPOINTS "rate-limit: {qps: 10, slip: 1}\n");
	struct outcome o = ask_at_once(100, "203.0.113.9", false);
	assert_int_equal(o.answered, 10); /* refused */
	assert_int_equal(o.slipped, 0);
	assert_int_equal(o.silent, 90);
}

static void what_cannot_be_read_counts_and_never_slips(void **state)
{
	uint8_t packet[DNS_HEADER_BYTES] = {0, 1, 0, 0, 0, 2};

	(void)state;
	begin(ENDPOINTS "rate-limit: {qps: 10, slip: 1}\n");
	unsigned answered = 0;
	for (int i = 0; i < 100; i++)
		answered += world_reply(w, world_send(w, packet, sizeof(packet), "10.1.1.1", false)) != NULL;
	assert_int_equal(answered, 10);
}

static void limit_lives_on_through_a_reload_and_ends_with_it(void **state)
{
	(void)state;
	begin(LIMITED);
	assert_int_equal(ask_at_once(100, "10.1.1.1", false).answered, 10);
	world_reload(w, LIMITED);
	assert_int_equal(ask_at_once(4, "10.1.1.1", false).answered, 0);
	world_reload(w, ENDPOINTS);
	assert_int_equal(ask_at_once(100, "10.1.1.1", false).answered, 100);
}

/* ---- amplification */

/* 3 KiB of TXT records for any name. */
static size_t answer_much(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	struct question_upstream echo = *asked;

	(void)stream;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	for (int i = 0; i < 12; i++) {
		static const uint8_t fixed[] = {0xc0, 12, 0, DNS_TYPE_TXT, 0, 1, 0, 0, 0, 60, 0, 251, 250};
		memcpy(out + len, fixed, sizeof(fixed));
		memset(out + len + sizeof(fixed), 'a' + i, 250);
		len += sizeof(fixed) + 250;
	}
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	out[7] = 12;
	return len;
}

static double factor_of(const char *name, uint16_t type, uint16_t udp_bytes, const char *client)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	size_t len = compose(packet, name, type, udp_bytes);
	const struct world_reply *r = reply_to(packet, len, client, false);

	assert_non_null(r);
	assert_true(r->len <= MAX(512u, MIN(udp_bytes, 1232u)));
	return (double)r->len / (double)len;
}

/* The smallest query with an OPT has 28 octets and draws 1,232: 44 times. Without one, 17 and 512: 30 times. */
static void datagram_is_amplified_by_44_at_the_most(void **state)
{
	static const uint16_t sizes[] = {0, 1, 511, 512, 513, 1000, 1231, 1232, 1233, 4096, 65535};
	static const char *const names[] = {".", "x", "corp.example", "a.corp.example"};
	double worst = 0, worst_plain = 0;

	(void)state;
	begin(ENDPOINTS);
	world_upstream(w, "192.168.0.2")->answer = world_upstream(w, "10.0.1.1")->answer = world_upstream(w, "10.0.2.1")->answer =
		answer_much;
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			worst = MAX(worst, factor_of(names[n], DNS_TYPE_TXT, sizes[i], "10.1.1.1"));
			if (sizes[i] == 0)
				worst_plain = MAX(worst_plain, factor_of(names[n], DNS_TYPE_TXT, 0, "10.1.1.1"));
		}
	}
	print_message("worst amplification: %.1f with EDNS, %.1f without\n", worst, worst_plain);
	assert_true(worst <= 44 && worst_plain <= 512.0 / 17);
	assert_true(worst > 10); /* or the answers were not large */
}

static void any_is_hardly_amplified(void **state)
{
	(void)state;
	begin(ENDPOINTS);
	world_upstream(w, "192.168.0.2")->answer = answer_much;
	assert_true(factor_of(".", DNS_TYPE_ANY, 1232, "10.1.1.1") < 2);
	assert_true(factor_of(".", DNS_TYPE_ANY, 0, "10.1.1.1") < 3);
}

static void stranger_is_hardly_amplified(void **state)
{
	(void)state;
	begin(ENDPOINTS);
	assert_true(factor_of(".", DNS_TYPE_A, 1232, "203.0.113.9") < 2);
	assert_true(factor_of(".", DNS_TYPE_A, 0, "203.0.113.9") <= 1);
}

/* ---- loops of responses */

/* Whatever comes in, what goes out for it draws nothing when it comes back. */
static void no_reply_is_ever_answered(void **state)
{
	uint64_t seed = 42;
	unsigned replies = 0;

	(void)state;
	begin(ENDPOINTS);
	for (int round = 0; round < 20000; round++) {
		uint8_t packet[QUESTION_UPSTREAM_MAX];
		size_t len = compose(packet, "www.corp.example", DNS_TYPE_A, 1232);
		for (int flips = 0; flips < 4; flips++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			packet[(seed >> 40) % len] = (uint8_t)(seed >> 33);
		}
		const struct world_reply *r = reply_to(packet, len - (seed >> 20) % 3, round % 2 ? "10.1.1.1" : "203.0.113.9", false);
		if (r == NULL)
			continue;
		replies++;
		assert_true(r->flags & DNS_QR);
		size_t back = MIN(r->len, sizeof(packet));
		memcpy(packet, r->message, back);
		assert_null(reply_to(packet, back, "10.1.1.1", false));
	}
	assert_true(replies > 5000);
}

/* ---- attacks with random names */

static unsigned send_random(unsigned i, const char *zone)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	char name[64];

	snprintf(name, sizeof(name), "x%u.%s", i, zone);
	return world_send(w, packet, compose(packet, name, DNS_TYPE_A, 0), "10.1.1.1", false);
}

/* 20,000 a second for 10 s at a zone whose endpoint is silent. */
static void random_names_of_one_zone_leave_the_others_alone(void **state)
{
	unsigned made = 0;
	uint64_t shed = 0;

	(void)state;
	begin(ENDPOINTS);
	world_set(w, "10.0.1.1", WORLD_SILENT);
	world_set(w, "10.0.2.1", WORLD_SILENT);
	for (int tick = 0; tick < 1000; tick++) {
		for (int i = 0; i < 200; i++)
			send_random(made++, "corp.example");
		assert_true(forward_waiting(world_forward(w)) <= FORWARD_FLIGHTS / 2 + 2);
		uint8_t packet[QUESTION_UPSTREAM_MAX];
		char name[64];
		snprintf(name, sizeof(name), "host%d.%s", tick, tick % 2 ? "other.example" : "public.test");
		unsigned good = world_send(w, packet, compose(packet, name, DNS_TYPE_A, 0), "10.1.1.2", false);
		world_run_ms(w, 10);
		const struct world_reply *r = world_reply(w, good);
		assert_non_null(r);
		assert_int_equal(r->rcode, DNS_NOERROR);
		assert_int_equal(r->ancount, 1);
		shed = metrics_get(world_metrics(w), METRIC_SHED);
	}
	print_message("%u random names, %lu shed\n", made, (unsigned long)shed);
	world_run_ms(w, 5000);
	assert_int_equal(forward_waiting(world_forward(w)), 0);
}

/* 3,000 a second for 10 s at a zone of an endpoint that takes 1,000 and answers at once. */
static void random_names_of_one_zone_leave_others_of_their_endpoint_some_of_its_max_qps(void **state)
{
	unsigned made = 0, refused = 0;

	(void)state;
	begin("inbound-endpoints:\n  seoul: {max-qps: 500, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}\n"
	      "zones: [{name: corp.example, to: seoul}, {name: other.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n");
	for (int tick = 0; tick < 1000; tick++) {
		unsigned last = 0;
		for (int i = 0; i < 30; i++)
			last = send_random(made++, "corp.example");
		uint8_t packet[QUESTION_UPSTREAM_MAX];
		char name[64];
		snprintf(name, sizeof(name), "host%d.other.example", tick);
		unsigned good = world_send(w, packet, compose(packet, name, DNS_TYPE_A, 0), "10.1.1.2", false);
		world_run_ms(w, 10);
		assert_int_equal(world_reply(w, good)->rcode, DNS_NOERROR);
		refused += world_reply(w, last)->rcode == DNS_SERVFAIL;
	}
	assert_in_range(refused, 500, 999); /* it gets the rest */
}

/* 100,000 random names, through a cache of 1 MiB: what is asked now and then stays. */
static void random_names_do_not_drive_out_what_is_asked(void **state)
{
	enum { POPULAR = 100, ROUNDS = 100, RANDOM = 1000 };
	unsigned made = 0, asked = 0;

	(void)state;
	begin(ENDPOINTS "cache: {size: 1MiB}\n");
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < RANDOM; i++)
			send_random(made++, "nx.other.example");
		for (int i = 0; i < POPULAR; i++) {
			char name[32];
			uint8_t packet[QUESTION_UPSTREAM_MAX];
			snprintf(name, sizeof(name), "popular%d.corp.example", i);
			world_send(w, packet, compose(packet, name, DNS_TYPE_A, 0), "10.1.1.2", false);
		}
		world_run_ms(w, 100); /* 10 s in all: nothing expires */
	}
	asked = world_upstream(w, "10.0.1.1")->asked + world_upstream(w, "10.0.2.1")->asked;
	struct cache_counts counts;
	cache_count(world_snapshot(w)->cache, &counts);
	print_message("%u random names, %lu evictions, %u of %d popular queries went upstream\n", made, (unsigned long)counts.evictions,
		      asked, POPULAR * ROUNDS);
	assert_true(counts.evictions > 50000);
	assert_true(counts.bytes <= (1 << 20) * 105 / 100);
	assert_true(asked < POPULAR * ROUNDS / 20);
}

/* ---- hostile upstreams */

/* The answer, and all that its sender would like to have remembered. */
static size_t answer_more(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t good[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	static const uint8_t evil[] = "\4bank\4test\0\0\1\0\1\0\1\121\200\0\4\313\0\161\102";
	static const uint8_t server[] = "\4bank\4test\0\0\2\0\1\0\1\121\200\0\14\2ns\4evil\2me";
	struct question_upstream echo = *asked;

	(void)stream;
	if (asked->type != DNS_TYPE_A || memcmp(asked->name->octets, "\4evil", 5) != 0)
		return 0;
	echo.edns = false;
	size_t len = question_write(&echo, out);
	memcpy(out + len, good, sizeof(good));
	len += sizeof(good);
	memcpy(out + len, evil, sizeof(evil) - 1);
	len += sizeof(evil) - 1;
	memcpy(out + len, server, sizeof(server)); /* the zero that C adds ends the name */
	len += sizeof(server);
	memcpy(out + len, evil, sizeof(evil) - 1);
	len += sizeof(evil) - 1;
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	out[7] = 2;
	out[9] = 1;
	out[11] = 1;
	return len;
}

static void answer_is_kept_for_its_own_question_alone(void **state)
{
	(void)state;
	begin(ENDPOINTS);
	world_upstream(w, "192.168.0.2")->answer = answer_more;
	for (int again = 0; again < 2; again++) {
		const struct world_reply *r = ask("evil.test", DNS_TYPE_A);
		assert_int_equal(r->rcode, DNS_NOERROR);
		assert_int_equal(r->ancount, 1);
		assert_int_equal(dns_nscount(r->message), 0);
		assert_int_equal(dns_arcount(r->message), 1); /* the OPT */
	}
	unsigned before = world_upstream(w, "192.168.0.2")->asked;
	ask("bank.test", DNS_TYPE_A);
	assert_true(world_upstream(w, "192.168.0.2")->asked > before);
	before = world_upstream(w, "192.168.0.2")->asked;
	ask("bank.test", DNS_TYPE_NS);
	assert_true(world_upstream(w, "192.168.0.2")->asked > before);
}

/* An owner that points into a TTL, which would be counted down. */
static size_t answer_shifting(const struct question_upstream *asked, bool stream, uint8_t *out)
{
	static const uint8_t good[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	struct question_upstream echo = *asked;

	(void)stream;
	echo.edns = false;
	size_t first = question_write(&echo, out), len = first;
	memcpy(out + len, good, sizeof(good));
	len += sizeof(good);
	memcpy(out + len, good, sizeof(good));
	dns_put16(out + len, (uint16_t)(0xc000 | (first + 6)));
	len += sizeof(good);
	dns_put16(out + 2, DNS_QR | DNS_RD | DNS_RA);
	out[7] = 2;
	return len;
}

static void answer_whose_names_would_change_is_none(void **state)
{
	(void)state;
	begin(ENDPOINTS);
	world_upstream(w, "192.168.0.2")->answer = answer_shifting;
	unsigned query = world_ask(w, "shifty.test", "A");
	world_run_ms(w, 2000); /* the true answer is waited for */
	assert_int_equal(world_reply(w, query)->rcode, DNS_SERVFAIL);
	assert_true(metrics_get(world_metrics(w), METRIC_DROPPED_MALFORMED_ANSWER) > 0);
}

#define HOSTILE(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(client_above_its_rate_is_told_to_come_over_tcp_now_and_then),
		HOSTILE(others_are_served_while_one_is_limited),
		HOSTILE(queries_over_tcp_are_never_limited),
		HOSTILE(exempt_networks_are_left_alone),
		HOSTILE(limit_is_off_unless_it_is_set),
		HOSTILE(without_slip_all_above_the_rate_are_dropped),
		HOSTILE(strangers_above_the_rate_draw_nothing),
		HOSTILE(what_cannot_be_read_counts_and_never_slips),
		HOSTILE(limit_lives_on_through_a_reload_and_ends_with_it),
		HOSTILE(datagram_is_amplified_by_44_at_the_most),
		HOSTILE(any_is_hardly_amplified),
		HOSTILE(stranger_is_hardly_amplified),
		HOSTILE(no_reply_is_ever_answered),
		HOSTILE(random_names_of_one_zone_leave_the_others_alone),
		HOSTILE(random_names_of_one_zone_leave_others_of_their_endpoint_some_of_its_max_qps),
		HOSTILE(random_names_do_not_drive_out_what_is_asked),
		HOSTILE(answer_is_kept_for_its_own_question_alone),
		HOSTILE(answer_whose_names_would_change_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
