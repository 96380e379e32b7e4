/* SPDX-License-Identifier: Apache-2.0 */
#include "scripted.h"

#include "cli/survey.h"
#include "server/loopcheck.h"

enum { CONF_MAX = 1 << 20 };

static struct random rng;

static struct config *PRINTF_LIKE(1, 2) load(const char *format, ...)
{
	static char text[CONF_MAX];
	struct diagnostics d;
	va_list args;

	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_true(len > 0 && len < CONF_MAX);
	diagnostics_init(&d);
	struct config *c = config_load_text(text, (size_t)len, &d);
	if (c == NULL)
		diagnostics_print(&d, "conf", stderr);
	assert_non_null(c);
	diagnostics_deinit(&d);
	random_init(&rng);
	return c;
}

/* An endpoint `seoul` with these servers, and the zones that follow. */
static struct config *load_seoul(struct scripted *const *servers, const char *extra, const char *zones)
{
	char list[512], text[ADDR_TEXT_MAX];
	size_t len = 0;

	for (size_t i = 0; servers[i] != NULL; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s\"%s\"", i > 0 ? ", " : "",
					addr_format(&servers[i]->addr, text));
	return load("inbound-endpoints:\n  seoul: {addresses: [%s]%s}\nzones:\n%slocal-upstreams: [192.168.0.2]\n", list, extra, zones);
}

static const char corp[] = "  - {name: corp.test, to: seoul}\n";

/* ---- scripts */

static size_t public(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)len;
	(void)tcp;
	return scripted_ns(q, 30, "ns1.example.net", out);
}

static size_t servfail(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)len;
	(void)tcp;
	return scripted_header(q, DNS_SERVFAIL, out);
}

/* FORMERR to whatever has an OPT. */
static size_t without_edns(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	return q->edns.present ? scripted_header(q, DNS_FORMERR, out) : scripted_private(s, q, len, tcp, out);
}

/* TC over UDP, all of it over TCP. */
static size_t cut_over_udp(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	return tcp ? scripted_private(s, q, len, tcp, out) : scripted_header(q, DNS_TC, out);
}

static size_t up_to_1232(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	return len > DNS_UDP_BYTES ? SCRIPTED_NO_ANSWER : scripted_private(s, q, len, tcp, out);
}

static uint8_t a_rdata[4];

/* A private zone whose A is what a_rdata says. */
static size_t with_an_a(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	if (q->type == DNS_TYPE_A)
		return scripted_record(out, scripted_header(q, 0, out), DNS_TYPE_A, 60, a_rdata, sizeof(a_rdata));
	return scripted_private(s, q, len, tcp, out);
}

static struct addr back_to;

/* Sends questions with a nonce on to where r53fwd listens, as a rule in the VPC would. */
static size_t looping(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	if (loopcheck_read_nonce(&q->name) != 0) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(sendto(fd, out, len, 0, &back_to.sa, addr_len(&back_to)), len);
		/* The refusal of our own ear is what the loop answers with. */
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		ssize_t answer = poll(&polled, 1, 10000) == 1 ? recv(fd, out, SCRIPTED_BYTES - 2, 0) : 0;
		close(fd);
		return answer > 0 ? (size_t)answer : SCRIPTED_NO_ANSWER;
	}
	return scripted_private(s, q, len, tcp, out);
}

/* ---- the bed */

struct bed {
	struct config *config;
	struct survey *survey;
	struct survey_endpoint *seoul;
	struct scripted *servers[4];
};

static void run(struct bed *b, const char *extra, const char *zones, const int *ears, size_t ear_count)
{
	b->config = load_seoul(b->servers, extra, zones);
	b->survey = survey_new(b->config, NULL, 0);
	assert_non_null(b->survey);
	b->seoul = &b->survey->endpoints[0];
	survey_run(b->survey, &rng, ears, ear_count);
}

static void end(struct bed *b)
{
	survey_free(b->survey);
	config_free(b->config);
	for (size_t i = 0; i < ARRAY_SIZE(b->servers) && b->servers[i]; i++)
		scripted_free(b->servers[i]);
}

/* ---- tests */

static void healthy_addresses_are_measured_in_all_ways(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", scripted_private, true, true),
				    scripted_new("127.0.0.2", scripted_private, true, true)}};

	(void)state;
	run(&b, "", corp, NULL, 0);
	for (size_t i = 0; i < 2; i++) {
		const struct survey_address *a = &b.seoul->addresses[i];
		assert_true(a->asked >= SURVEY_SAMPLES);
		assert_int_equal(a->answered, a->asked);
		assert_int_equal(a->rcodes[DNS_NOERROR], a->asked);
		assert_int_equal(a->tcp, SOUNDER_ANSWERED);
		assert_int_equal(a->tcp_large, SOUNDER_ANSWERED);
		for (size_t k = 0; k < SURVEY_SIZES; k++)
			assert_int_equal(a->sizes[k], SOUNDER_ANSWERED);
		assert_true(a->min_us > 0 && a->min_us <= a->median_us && a->median_us <= a->p95_us);
		assert_true(a->has_ttl && a->ttl_s == 60);
		assert_false(a->no_edns || a->no_recursion || a->malformed || a->cut || a->misfits);
		assert_int_equal(atomic_load(&b.servers[i]->largest), survey_sizes[SURVEY_SIZES - 1]);
	}
	assert_int_equal(b.seoul->zones[0].looks[0].origin, ORIGIN_PRIVATE);
	assert_int_equal(b.seoul->zones[0].looks[1].origin, ORIGIN_PRIVATE);
	assert_int_not_equal(b.seoul->zones[0].looks[0].place, b.seoul->zones[0].looks[1].place);
	assert_int_equal(b.seoul->loop, SURVEY_LOOP_UNKNOWN);
	end(&b);
}

/* 5 samples, 1 + 1 over TCP, 4 sizes: 11 for each address, and no more. */
static void questions_are_few_and_counted(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", scripted_private, true, true),
				    scripted_new("127.0.0.2", scripted_private, true, true)}};

	(void)state;
	run(&b, "", corp, NULL, 0);
	unsigned came = 0;
	for (size_t i = 0; i < 2; i++)
		came += atomic_load(&b.servers[i]->udp_queries) + atomic_load(&b.servers[i]->tcp_queries);
	assert_int_equal(b.survey->questions, came);
	assert_int_equal(b.survey->billed, came);
	assert_int_equal(came, 22);
	end(&b);
}

static void silent_address_is_asked_little_and_costs_no_other(void **state)
{
	struct bed b = {
		.servers = {scripted_new("127.0.0.1", scripted_private, true, true), scripted_new("127.0.0.2", up_to_1232, false, false)}};

	(void)state;
	run(&b, "", corp, NULL, 0);
	assert_int_equal(b.seoul->addresses[0].answered, b.seoul->addresses[0].asked);
	assert_int_equal(b.seoul->addresses[1].answered, 0);
	assert_true(b.seoul->addresses[1].refused > 0);
	assert_int_equal(b.seoul->addresses[1].tcp, SOUNDER_REFUSED);
	assert_int_equal(b.seoul->addresses[1].sizes[0], SOUNDER_SKIPPED);
	assert_true(b.survey->took_us < SURVEY_MOST_US);
	end(&b);
}

static void public_zone_and_its_server_are_seen(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", public, true, true), scripted_new("127.0.0.2", public, true, true)}};
	struct name server;

	(void)state;
	run(&b, "", corp, NULL, 0);
	assert_int_equal(b.seoul->zones[0].looks[0].origin, ORIGIN_ELSEWHERE);
	assert_int_equal(text_read_name(&server, "ns1.example.net"), 0);
	assert_true(name_equal(&b.seoul->zones[0].looks[0].server, &server));
	end(&b);
}

/* Of three addresses two fail: the zones that those were to be asked for are asked for at the third. */
static void zone_that_was_not_heard_is_asked_for_elsewhere(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", servfail, true, true), scripted_new("127.0.0.2", servfail, true, true),
				    scripted_new("127.0.0.3", scripted_private, true, true)}};

	(void)state;
	run(&b, "", corp, NULL, 0);
	assert_true(survey_is_failing(&b.seoul->addresses[0]));
	assert_false(survey_is_failing(&b.seoul->addresses[2]));
	assert_int_equal(b.seoul->zones[0].looks[0].place, 2);
	assert_int_equal(b.seoul->zones[0].looks[0].origin, ORIGIN_PRIVATE);
	end(&b);
}

static void address_without_edns_is_asked_without_it(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", without_edns, true, true)}};

	(void)state;
	run(&b, "", corp, NULL, 0);
	assert_true(b.seoul->addresses[0].no_edns);
	assert_true(survey_good_answers(&b.seoul->addresses[0]) > 0);
	assert_int_equal(b.seoul->addresses[0].sizes[0], SOUNDER_SKIPPED);
	assert_int_equal(b.seoul->zones[0].looks[0].origin, ORIGIN_PRIVATE);
	end(&b);
}

static void cut_answer_is_asked_for_again_over_tcp(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", cut_over_udp, true, true)}};

	(void)state;
	run(&b, "", corp, NULL, 0);
	assert_int_equal(b.seoul->addresses[0].cut, SURVEY_SAMPLES);
	assert_false(b.seoul->zones[0].looks[0].cut);
	assert_int_equal(b.seoul->zones[0].looks[0].origin, ORIGIN_PRIVATE);
	end(&b);
}

static void sizes_beyond_the_paths_are_silent(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", up_to_1232, true, true)}};
	static const enum sounder_outcome expected[] = {SOUNDER_ANSWERED, SOUNDER_ANSWERED, SOUNDER_SILENT, SOUNDER_SILENT};

	(void)state;
	run(&b, "", corp, NULL, 0);
	for (size_t i = 0; i < SURVEY_SIZES; i++)
		assert_int_equal(b.seoul->addresses[0].sizes[i], expected[i]);
	assert_true(b.survey->took_us < SURVEY_MOST_US);
	end(&b);
}

static void endpoint_over_tcp_is_not_asked_over_udp(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", scripted_private, true, true)}};

	(void)state;
	run(&b, ", transport: tcp", corp, NULL, 0);
	assert_int_equal(atomic_load(&b.servers[0]->udp_queries), 0);
	assert_true(b.seoul->addresses[0].answered >= SURVEY_SAMPLES);
	assert_int_equal(b.seoul->zones[0].looks[0].origin, ORIGIN_PRIVATE);
	end(&b);
}

static void vpc_endpoints_are_asked_for_their_addresses(void **state)
{
	static const char zones[] = "  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, kms]}, to: seoul}\n";
	static const uint8_t expected[] = {10, 20, 1, 1}, other[] = {52, 95, 1, 1};

	(void)state;
	for (int is_private = 0; is_private < 2; is_private++) {
		struct bed b = {.servers = {scripted_new("127.0.0.1", with_an_a, true, true)}};
		memcpy(a_rdata, is_private ? expected : other, sizeof(a_rdata));
		run(&b, "", zones, NULL, 0);
		assert_int_equal(b.seoul->zone_count, 2);
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(b.seoul->zones[i].a, is_private ? SURVEY_A_EXPECTED : SURVEY_A_OTHER);
		if (!is_private)
			assert_memory_equal(&b.seoul->zones[0].seen.in.sin_addr, other, sizeof(other));
		end(&b);
	}
}

static void vpc_endpoint_without_records_is_none(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", scripted_private, true, true)}};

	(void)state;
	run(&b, "", "  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm]}, to: seoul}\n", NULL, 0);
	assert_int_equal(b.seoul->zones[0].a, SURVEY_A_NONE);
	end(&b);
}

static void question_that_comes_back_is_seen_and_refused(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", looping, true, true)}};
	char client[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(addr_parse(&back_to, "127.0.0.1", 1), 0);
	addr_set_port(&back_to, 0);
	int ear = scripted_bind(&back_to, SOCK_DGRAM);
	run(&b, "", corp, &ear, 1);
	assert_int_equal(b.seoul->loop, SURVEY_LOOP_FOUND);
	assert_string_equal(addr_format_ip(&b.seoul->loop_client, client), "127.0.0.1");
	close(ear);
	end(&b);
}

static void question_that_does_not_come_back_is_no_loop(void **state)
{
	struct bed b = {.servers = {scripted_new("127.0.0.1", scripted_private, true, true)}};
	struct addr at;

	(void)state;
	assert_int_equal(addr_parse(&at, "127.0.0.1", 1), 0);
	addr_set_port(&at, 0);
	int ear = scripted_bind(&at, SOCK_DGRAM);
	run(&b, "", corp, &ear, 1);
	assert_int_equal(b.seoul->loop, SURVEY_LOOP_NONE);
	close(ear);
	end(&b);
}

static void zones_stand_where_they_go_and_the_root_for_none(void **state)
{
	struct config *c = load("inbound-endpoints:\n  seoul: {addresses: [10.10.1.10, 10.10.2.10]}\n  tokyo: {addresses: [10.20.1.10]}\n"
				"zones:\n  - {name: a.test, to: [seoul, tokyo]}\n  - {name: b.test, to: seoul, association: off}\n"
				"  - {name: c.test, to: local}\nlocal-upstreams: [192.168.0.2]\n");
	struct addr local;
	(void)state;
	assert_int_equal(addr_parse(&local, "192.168.0.2", 53), 0);
	struct survey *s = survey_new(c, &local, 1);

	assert_int_equal(s->count, 3);
	assert_int_equal(s->endpoints[0].zone_count, 2);
	assert_int_equal(s->endpoints[0].zones_in_file, 2);
	assert_true(s->endpoints[0].zones[0].association);
	assert_false(s->endpoints[0].zones[1].association);
	assert_int_equal(s->endpoints[0].zones[0].look_count, 2);
	assert_int_equal(s->endpoints[1].zone_count, 1);
	assert_int_equal(s->endpoints[1].zones[0].look_count, 1);
	assert_int_equal(s->endpoints[2].kind, ENDPOINT_LOCAL);
	assert_int_equal(s->endpoints[2].zones_in_file, 0);
	assert_int_equal(s->endpoints[2].zone_count, 1);
	assert_int_equal(s->endpoints[2].zones[0].name.labels, 0);
	assert_true(addr_equal(&s->endpoints[2].addresses[0].addr, &local));
	survey_free(s);
	config_free(c);
}

static void of_many_zones_some_are_taken_evenly(void **state)
{
	enum { MANY = 5000 };
	static char zones[CONF_MAX];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		len += (size_t)snprintf(zones + len, sizeof(zones) - len, "  - {name: z%d.test, to: seoul}\n", i);
	struct config *c = load(
		"inbound-endpoints:\n  seoul: {addresses: [10.10.1.10, 10.10.2.10]}\nzones:\n%slocal-upstreams: [192.168.0.2]\n", zones);
	struct survey *s = survey_new(c, NULL, 0);
	struct name last;
	assert_int_equal(s->endpoints[0].zone_count, SURVEY_ZONES_MOST);
	assert_int_equal(s->endpoints[0].zones_in_file, MANY);
	assert_int_equal(text_read_name(&last, "z4990.test"), 0);
	assert_true(name_equal(&s->endpoints[0].zones[SURVEY_ZONES_MOST - 1].name, &last));
	survey_free(s);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_addresses_are_measured_in_all_ways),
		cmocka_unit_test(questions_are_few_and_counted),
		cmocka_unit_test(silent_address_is_asked_little_and_costs_no_other),
		cmocka_unit_test(public_zone_and_its_server_are_seen),
		cmocka_unit_test(zone_that_was_not_heard_is_asked_for_elsewhere),
		cmocka_unit_test(address_without_edns_is_asked_without_it),
		cmocka_unit_test(cut_answer_is_asked_for_again_over_tcp),
		cmocka_unit_test(sizes_beyond_the_paths_are_silent),
		cmocka_unit_test(endpoint_over_tcp_is_not_asked_over_udp),
		cmocka_unit_test(vpc_endpoints_are_asked_for_their_addresses),
		cmocka_unit_test(vpc_endpoint_without_records_is_none),
		cmocka_unit_test(question_that_comes_back_is_seen_and_refused),
		cmocka_unit_test(question_that_does_not_come_back_is_no_loop),
		cmocka_unit_test(zones_stand_where_they_go_and_the_root_for_none),
		cmocka_unit_test(of_many_zones_some_are_taken_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
