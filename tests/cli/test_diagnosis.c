/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements are put together by hand; each test begins with a healthy endpoint, and spoils something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/diagnosis.h"
#include "wire/text.h"

enum { ENDPOINTS = 3, ADDRESSES = 3, ZONES = 3, SAMPLES = 5, MS = 1000, PLACES = 8 };

/* seoul (inbound, three AZs, two zones), ad (resolvers), local. */
struct bed {
	struct survey survey;
	struct survey_endpoint endpoints[ENDPOINTS];
	struct survey_address addresses[ENDPOINTS][ADDRESSES];
	struct survey_zone zones[ENDPOINTS][ZONES];
	struct config_expect expect;
	struct host host;
	struct addr listen[2];
	struct findings found;
};

static struct bed *bed;
static struct survey_endpoint *seoul, *ad, *local;

static struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text, 53), 0);
	return a;
}

static struct name name(const char *text)
{
	struct name n;

	assert_int_equal(text_read_name(&n, text), 0);
	return n;
}

static void make_healthy(struct survey_address *a, const char *ip, const char *az)
{
	*a = (struct survey_address){.addr = address(ip),
				     .az = az,
				     .asked = SAMPLES,
				     .answered = SAMPLES,
				     .min_us = MS,
				     .median_us = 2 * MS,
				     .p95_us = 3 * MS,
				     .tcp = SOUNDER_ANSWERED,
				     .tcp_large = SOUNDER_ANSWERED,
				     .has_ttl = true,
				     .ttl_s = 60};
	a->rcodes[DNS_NOERROR] = SAMPLES;
	for (size_t i = 0; i < SURVEY_SIZES; i++)
		a->sizes[i] = SOUNDER_ANSWERED;
}

static void make_look(struct survey_look *l, uint8_t place)
{
	*l = (struct survey_look){.place = place,
				  .outcome = SOUNDER_ANSWERED,
				  .rcode = DNS_NOERROR,
				  .origin = ORIGIN_PRIVATE,
				  .server = name("ns-0.awsdns-00.com")};
}

static void make_zone(struct survey_endpoint *e, const char *text, enum config_zone_source source)
{
	struct survey_zone *z = &e->zones[e->zone_count++];

	*z = (struct survey_zone){.name = name(text),
				  .source = source,
				  .association = e->kind == ENDPOINT_INBOUND && source != ZONE_REVERSE,
				  .look_count = MIN(e->count, (size_t)SURVEY_LOOKS)};
	for (size_t i = 0; i < z->look_count; i++)
		make_look(&z->looks[i], (uint8_t)i);
	e->zones_in_file = e->zone_count;
}

static void make_endpoint(int number, const char *endpoint, enum config_endpoint_kind kind)
{
	bed->endpoints[number] = (struct survey_endpoint){
		.name = endpoint, .kind = kind, .addresses = bed->addresses[number], .zones = bed->zones[number], .loop = SURVEY_LOOP_NONE};
}

static int set_up(void **state)
{
	static const char *const azs[] = {"az1", "az2", "az3"}, *const ips[] = {"10.10.1.10", "10.10.2.10", "10.10.3.10"};

	(void)state;
	bed = calloc(1, sizeof(*bed));
	make_endpoint(0, "seoul", ENDPOINT_INBOUND);
	make_endpoint(1, "ad", ENDPOINT_RESOLVERS);
	make_endpoint(2, "local", ENDPOINT_LOCAL);
	seoul = &bed->endpoints[0];
	ad = &bed->endpoints[1];
	local = &bed->endpoints[2];
	for (size_t i = 0; i < ADDRESSES; i++)
		make_healthy(&seoul->addresses[i], ips[i], azs[i]);
	make_healthy(&ad->addresses[0], "192.168.10.10", NULL);
	make_healthy(&local->addresses[0], "192.168.0.2", NULL);
	seoul->count = ADDRESSES;
	ad->count = local->count = 1;
	make_zone(seoul, "corp.example", ZONE_NAME);
	make_zone(seoul, "ssm.ap-northeast-2.amazonaws.com", ZONE_VPC_ENDPOINTS);
	seoul->zones[1].expect = &bed->expect;
	seoul->zones[1].a = SURVEY_A_EXPECTED;
	make_zone(ad, "corp.local", ZONE_NAME);
	make_zone(local, ".", ZONE_NAME);
	local->zones_in_file = 0;
	bed->survey = (struct survey){.endpoints = bed->endpoints, .count = ENDPOINTS};
	bed->listen[0] = address("127.0.0.1:53");
	bed->host = (struct host){.listen = bed->listen, .listen_count = 1, .ear_count = 1, .programs_path = "/etc/resolv.conf"};
	bed->host.programs.servers[0] = address("127.0.0.1");
	bed->host.programs.count = 1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	findings_free(&bed->found);
	free(bed);
	return 0;
}

static void diagnose(void)
{
	findings_free(&bed->found);
	diagnosis_make(&bed->survey, &bed->host, &bed->found);
}

static const struct finding *find(enum finding_kind kind)
{
	for (size_t i = 0; i < bed->found.count; i++)
		if (bed->found.rows[i].kind == kind)
			return &bed->found.rows[i];
	return NULL;
}

/* These kinds and no others, in any order; SILENCE ends the list. */
enum { END_OF_LIST = -1 };
static void found_are(int first, ...)
{
	va_list kinds;
	size_t count = 0;

	diagnose();
	va_start(kinds, first);
	for (int kind = first; kind != END_OF_LIST; kind = va_arg(kinds, int), count++)
		if (find((enum finding_kind)kind) == NULL)
			fail_msg("%s was not found", finding_row((enum finding_kind)kind)->id);
	va_end(kinds);
	if (bed->found.count > count)
		for (size_t i = 0; i < bed->found.count; i++)
			print_message("found %s\n", finding_row(bed->found.rows[i].kind)->id);
	assert_int_equal(bed->found.count, count);
}

static void nothing_is_found(void)
{
	found_are(END_OF_LIST);
}

static void make_silent(struct survey_address *a)
{
	const char *az = a->az;
	struct addr addr = a->addr;

	*a = (struct survey_address){.addr = addr, .az = az, .asked = 3, .tcp = SOUNDER_UNCONNECTED};
}

static void detail_is(enum finding_kind kind, const char *text)
{
	const struct finding *f = find(kind);

	assert_non_null(f);
	assert_string_equal(f->detail, text);
}

/* ---- addresses */

static void healthy_endpoint_has_no_findings(void **state)
{
	(void)state;
	nothing_is_found();
}

static void one_silent_address_is_that_address(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[1]);
	found_are(FINDING_ADDRESS_SILENT, END_OF_LIST);
	assert_string_equal(find(FINDING_ADDRESS_SILENT)->address, "10.10.2.10:53");
	assert_string_equal(find(FINDING_ADDRESS_SILENT)->az, "az2");
}

static void all_silent_addresses_are_the_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < ADDRESSES; i++)
		make_silent(&seoul->addresses[i]);
	found_are(FINDING_PATH_SILENT, END_OF_LIST);
	detail_is(FINDING_PATH_SILENT, "any of its 3 addresses");
}

/* Zones are not blamed for a path. */
static void zones_of_a_dead_endpoint_are_not_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ADDRESSES; i++)
		make_silent(&seoul->addresses[i]);
	for (size_t i = 0; i < SURVEY_LOOKS; i++)
		seoul->zones[0].looks[i].outcome = SOUNDER_SILENT;
	found_are(FINDING_PATH_SILENT, END_OF_LIST);
}

static void silent_udp_with_tcp_is_udp_blocked(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].tcp = SOUNDER_ANSWERED;
	found_are(FINDING_UDP_BLOCKED, END_OF_LIST);
}

static void refused_udp_with_tcp_is_udp_refused(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].refused = 3;
	seoul->addresses[0].tcp = SOUNDER_ANSWERED;
	found_are(FINDING_UDP_REFUSED, END_OF_LIST);
}

static void refused_udp_and_tcp_is_a_closed_port(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].refused = 3;
	seoul->addresses[0].tcp = SOUNDER_REFUSED;
	found_are(FINDING_ADDRESS_CLOSED, END_OF_LIST);
}

static void unreachable_address_says_what_the_network_said(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].unreachable = 3;
	seoul->addresses[0].error = EHOSTUNREACH;
	found_are(FINDING_ADDRESS_UNREACHABLE, END_OF_LIST);
	detail_is(FINDING_ADDRESS_UNREACHABLE, strerror(EHOSTUNREACH));
}

static void address_that_was_not_asked_is_not_judged_but_told(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].asked = 0;
	found_are(FINDING_ADDRESSES_LEFT_OUT, END_OF_LIST);
	detail_is(FINDING_ADDRESSES_LEFT_OUT, "2 of 3 addresses were asked");
}

static void each_way_tcp_can_fail_has_its_finding(void **state)
{
	static const struct {
		enum sounder_outcome outcome;
		enum finding_kind kind;
	} ways[] = {{SOUNDER_REFUSED, FINDING_TCP_CLOSED},
		    {SOUNDER_UNREACHABLE, FINDING_TCP_CLOSED},
		    {SOUNDER_UNCONNECTED, FINDING_TCP_SILENT},
		    {SOUNDER_SILENT, FINDING_TCP_SILENT},
		    {SOUNDER_CUT, FINDING_TCP_CUT}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		seoul->addresses[2].tcp = ways[i].outcome;
		seoul->addresses[2].tcp_error = EHOSTUNREACH;
		found_are((int)ways[i].kind, END_OF_LIST);
	}
}

static void large_question_lost_over_tcp_is_the_mtu(void **state)
{
	(void)state;
	seoul->addresses[2].tcp_large = SOUNDER_SILENT;
	found_are(FINDING_TCP_LARGE_LOST, END_OF_LIST);
	/* A server may end a connection that brings such a question. */
	seoul->addresses[2].tcp_large = SOUNDER_CUT;
	nothing_is_found();
}

static void largest_size_that_passes_decides(void **state)
{
	static const int kinds[SURVEY_SIZES] = {FINDING_SIZE_SMALL, FINDING_SIZE_SMALL, FINDING_SIZE_TUNNEL, FINDING_SIZE_FRAGMENTS};
	static const uint16_t largest[SURVEY_SIZES] = {0, 512, 1232, 1400};

	(void)state;
	for (size_t first = 0; first < SURVEY_SIZES; first++) {
		for (size_t i = 0; i < SURVEY_SIZES; i++)
			seoul->addresses[0].sizes[i] = i < first ? SOUNDER_ANSWERED : SOUNDER_SILENT;
		found_are(kinds[first], END_OF_LIST);
		assert_int_equal(diagnosis_largest(&seoul->addresses[0]), largest[first]);
	}
	assert_int_equal(diagnosis_largest(&seoul->addresses[1]), 4096);
}

static void small_size_lost_while_larger_pass_is_chance(void **state)
{
	(void)state;
	seoul->addresses[0].sizes[1] = SOUNDER_SILENT;
	nothing_is_found();
}

static void sizes_that_were_not_asked_say_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < SURVEY_SIZES; i++)
		seoul->addresses[0].sizes[i] = SOUNDER_SKIPPED;
	nothing_is_found();
}

static void lost_questions_are_counted(void **state)
{
	(void)state;
	seoul->addresses[0].answered = 3;
	found_are(FINDING_LOSS, END_OF_LIST);
	detail_is(FINDING_LOSS, "2 of 5");
}

static void address_that_answers_errors_only_is_failing_and_its_zones_are_not(void **state)
{
	(void)state;
	memset(seoul->addresses[0].rcodes, 0, sizeof(seoul->addresses[0].rcodes));
	seoul->addresses[0].rcodes[DNS_SERVFAIL] = 3;
	seoul->addresses[0].rcodes[DNS_REFUSED] = 2;
	seoul->zones[0].looks[0].rcode = seoul->zones[1].looks[0].rcode = DNS_SERVFAIL;
	found_are(FINDING_RCODE, END_OF_LIST);
	detail_is(FINDING_RCODE, "SERVFAIL and REFUSED to all of 5 questions");
}

static void some_errors_among_answers_are_not_the_addresss(void **state)
{
	(void)state;
	seoul->addresses[0].rcodes[DNS_SERVFAIL] = 3;
	nothing_is_found();
}

static void formerr_to_edns_alone_is_no_edns(void **state)
{
	(void)state;
	seoul->addresses[0].no_edns = true;
	seoul->addresses[0].rcodes[DNS_FORMERR] = 5;
	found_are(FINDING_NO_EDNS, END_OF_LIST);
	seoul->addresses[0].rcodes[DNS_NOERROR] = 0;
	diagnose();
	assert_non_null(find(FINDING_RCODE));
	assert_null(find(FINDING_NO_EDNS));
}

static void odd_answers_are_named(void **state)
{
	struct survey_address *a = &seoul->addresses[0];

	(void)state;
	a->misfits = 2;
	a->malformed = 3;
	a->cut = 4;
	a->no_recursion = a->wrong_case = true;
	found_are(FINDING_MISFIT, FINDING_MALFORMED, FINDING_CUT, FINDING_NO_RECURSION, FINDING_WRONG_CASE, END_OF_LIST);
	detail_is(FINDING_MISFIT, "2");
	detail_is(FINDING_CUT, "4");
}

static void misfits_alone_are_not_called_silence(void **state)
{
	(void)state;
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].misfits = 3;
	found_are(FINDING_MISFIT, END_OF_LIST);
}

static void slow_is_twice_the_best_and_20_ms(void **state)
{
	(void)state;
	seoul->addresses[2].median_us = 24 * MS;
	nothing_is_found();
	seoul->addresses[2].median_us = 24 * MS + 1;
	found_are(FINDING_SLOW, END_OF_LIST);
}

/* ---- endpoints that are asked over TCP */

static void tcp_endpoint_is_not_blamed_for_udp(void **state)
{
	(void)state;
	seoul->tcp = true;
	for (size_t i = 0; i < SURVEY_SIZES; i++)
		seoul->addresses[0].sizes[i] = SOUNDER_SKIPPED;
	nothing_is_found();
	make_silent(&seoul->addresses[0]);
	seoul->addresses[0].refused = 3;
	seoul->addresses[0].tcp = SOUNDER_REFUSED;
	found_are(FINDING_ADDRESS_CLOSED, END_OF_LIST);
	detail_is(FINDING_ADDRESS_CLOSED, "TCP is reset");
}

/* ---- the endpoint */

static void one_address_is_a_warning(void **state)
{
	(void)state;
	seoul->count = 1;
	seoul->zones[0].look_count = seoul->zones[1].look_count = 1;
	found_are(FINDING_ONE_ADDRESS, END_OF_LIST);
	make_silent(&seoul->addresses[0]);
	found_are(FINDING_ONE_ADDRESS, FINDING_PATH_SILENT, END_OF_LIST);
	detail_is(FINDING_PATH_SILENT, "its one address");
}

static void all_in_one_az_is_a_warning(void **state)
{
	(void)state;
	for (size_t i = 0; i < ADDRESSES; i++)
		seoul->addresses[i].az = "az2";
	found_are(FINDING_ONE_AZ, END_OF_LIST);
	assert_string_equal(find(FINDING_ONE_AZ)->az, "az2");
	for (size_t i = 0; i < ADDRESSES; i++)
		seoul->addresses[i].az = NULL;
	found_are(FINDING_NO_AZ, END_OF_LIST);
	seoul->addresses[0].az = "az1";
	nothing_is_found();
}

static void differing_ttls_are_a_note(void **state)
{
	(void)state;
	seoul->addresses[1].ttl_s = 59;
	nothing_is_found();
	seoul->addresses[1].ttl_s = 12;
	found_are(FINDING_TTL_SKEW, END_OF_LIST);
	detail_is(FINDING_TTL_SKEW, "12 to 60");
	assert_int_equal(finding_row(FINDING_TTL_SKEW)->severity, FINDING_NOTE);
}

static void address_in_two_endpoints_is_said_once(void **state)
{
	(void)state;
	ad->addresses[0].addr = seoul->addresses[1].addr;
	found_are(FINDING_DUPLICATE, END_OF_LIST);
	detail_is(FINDING_DUPLICATE, "seoul and in ad");
}

static void address_where_we_listen_is_ourselves(void **state)
{
	struct addr interface = address("10.10.2.10");

	(void)state;
	bed->listen[0] = address("0.0.0.0:53");
	bed->host.interfaces = &interface;
	bed->host.interface_count = 1;
	found_are(FINDING_OURSELVES, END_OF_LIST);
	bed->listen[0] = address("0.0.0.0:5353");
	bed->host.programs.count = 0;
	nothing_is_found();
}

static void question_that_came_back_is_a_loop(void **state)
{
	(void)state;
	seoul->loop = SURVEY_LOOP_FOUND;
	seoul->loop_client = address("10.99.0.4");
	found_are(FINDING_LOOP, END_OF_LIST);
	detail_is(FINDING_LOOP, "our own port, brought by 10.99.0.4");
}

/* ---- zones */

static void set_looks(struct survey_zone *z, struct survey_look look)
{
	for (uint8_t i = 0; i < z->look_count; i++) {
		look.place = i;
		z->looks[i] = look;
	}
}

static const struct survey_look elsewhere = {.outcome = SOUNDER_ANSWERED, .origin = ORIGIN_ELSEWHERE, .server = {.len = 1}};

static void zone_with_other_servers_is_detached(void **state)
{
	struct survey_look look = elsewhere;

	(void)state;
	look.server = name("ns1.example.net");
	set_looks(&seoul->zones[0], look);
	found_are(FINDING_ZONE_DETACHED, END_OF_LIST);
	detail_is(FINDING_ZONE_DETACHED, "ns1.example.net");
	assert_string_equal(find(FINDING_ZONE_DETACHED)->zone, "corp.example");
	seoul->zones[0].association = false;
	nothing_is_found();
}

static void names_from_the_network_are_escaped(void **state)
{
	static const uint8_t evil[] = {5, '\033', '[', '3', '1', 'm', 0};
	struct survey_look look = elsewhere;

	(void)state;
	assert_true(name_read(&look.server, evil, sizeof(evil)) > 0);
	set_looks(&seoul->zones[0], look);
	found_are(FINDING_ZONE_DETACHED, END_OF_LIST);
	assert_null(strchr(find(FINDING_ZONE_DETACHED)->detail, '\033'));
	assert_non_null(strstr(find(FINDING_ZONE_DETACHED)->detail, "\\027"));
}

static void service_zone_of_aws_itself_is_a_note(void **state)
{
	(void)state;
	set_looks(&seoul->zones[1], elsewhere);
	found_are(FINDING_ZONE_SERVICE, END_OF_LIST);
	seoul->zones[1].a = SURVEY_A_OTHER;
	seoul->zones[1].seen = address("52.95.1.1");
	found_are(FINDING_ZONE_DETACHED, FINDING_VPCE_PUBLIC, END_OF_LIST);
	detail_is(FINDING_VPCE_PUBLIC, "52.95.1.1");
}

static void nxdomain_at_the_apex_is_a_problem_but_for_reverse_zones(void **state)
{
	const struct survey_look look = {.outcome = SOUNDER_ANSWERED, .rcode = DNS_NXDOMAIN};

	(void)state;
	set_looks(&seoul->zones[0], look);
	found_are(FINDING_ZONE_NXDOMAIN, END_OF_LIST);
	detail_is(FINDING_ZONE_NXDOMAIN, "");
	assert_int_equal(finding_row(FINDING_ZONE_NXDOMAIN)->severity, FINDING_PROBLEM);
	seoul->zones[0].source = ZONE_REVERSE;
	found_are(FINDING_ZONE_REVERSE, END_OF_LIST);
}

static void nxdomain_says_whose_word_it_is(void **state)
{
	struct survey_look look = elsewhere;

	(void)state;
	look.rcode = DNS_NXDOMAIN;
	look.server = name("a.gtld-servers.net");
	set_looks(&seoul->zones[0], look);
	found_are(FINDING_ZONE_NXDOMAIN, END_OF_LIST);
	detail_is(FINDING_ZONE_NXDOMAIN, ", says a.gtld-servers.net");
}

static void servfail_at_the_apex_is_a_problem(void **state)
{
	const struct survey_look look = {.outcome = SOUNDER_ANSWERED, .rcode = DNS_SERVFAIL};

	(void)state;
	set_looks(&ad->zones[0], look);
	found_are(FINDING_ZONE_SERVFAIL, END_OF_LIST);
	assert_string_equal(find(FINDING_ZONE_SERVFAIL)->endpoint, "ad");
}

/* With one zone, nobody can tell the zone from the addresses: both are said. */
static void only_zone_that_fails_everywhere_is_named_too(void **state)
{
	const struct survey_look look = {.outcome = SOUNDER_ANSWERED, .rcode = DNS_SERVFAIL};

	(void)state;
	memset(ad->addresses[0].rcodes, 0, sizeof(ad->addresses[0].rcodes));
	ad->addresses[0].rcodes[DNS_SERVFAIL] = SAMPLES;
	set_looks(&ad->zones[0], look);
	found_are(FINDING_RESOLVER_RCODE, FINDING_ZONE_SERVFAIL, END_OF_LIST);
}

static void zone_without_answers_at_addresses_that_answer_is_silent(void **state)
{
	const struct survey_look look = {.outcome = SOUNDER_SILENT};

	(void)state;
	set_looks(&seoul->zones[0], look);
	found_are(FINDING_ZONE_SILENT, END_OF_LIST);
	seoul->zones[0].looks[1].outcome = SOUNDER_SKIPPED;
	nothing_is_found();
}

static void answer_without_servers_is_a_note(void **state)
{
	const struct survey_look look = {.outcome = SOUNDER_ANSWERED};

	(void)state;
	set_looks(&seoul->zones[0], look);
	found_are(FINDING_ZONE_UNKNOWN, END_OF_LIST);
	/* Nobody wants to know it of resolvers' zones. */
	make_look(&seoul->zones[0].looks[0], 0);
	make_look(&seoul->zones[0].looks[1], 1);
	set_looks(&ad->zones[0], look);
	nothing_is_found();
}

static void addresses_that_disagree_are_both_quoted(void **state)
{
	(void)state;
	seoul->zones[0].looks[1].origin = ORIGIN_ELSEWHERE;
	found_are(FINDING_ZONE_DIFFERS, END_OF_LIST);
	detail_is(FINDING_ZONE_DIFFERS, "10.10.1.10:53 calls it private, 10.10.2.10:53 calls it not private");
}

static void cut_or_malformed_look_says_nothing_of_the_zone(void **state)
{
	struct survey_look look = {.outcome = SOUNDER_ANSWERED, .cut = true};

	(void)state;
	set_looks(&seoul->zones[0], look);
	nothing_is_found();
	look = (struct survey_look){.outcome = SOUNDER_ANSWERED, .malformed = true, .rcode = DNS_SERVFAIL};
	set_looks(&seoul->zones[0], look);
	nothing_is_found();
}

static void vpc_endpoint_without_addresses_is_a_warning(void **state)
{
	(void)state;
	seoul->zones[1].a = SURVEY_A_NONE;
	found_are(FINDING_VPCE_EMPTY, END_OF_LIST);
	seoul->zones[1].a = SURVEY_A_FAILED;
	seoul->zones[1].a_rcode = DNS_NXDOMAIN;
	found_are(FINDING_VPCE_EMPTY, END_OF_LIST);
	seoul->zones[1].a_rcode = DNS_SERVFAIL;
	nothing_is_found();
}

static void zones_that_were_left_out_are_counted(void **state)
{
	(void)state;
	seoul->zones_in_file = 1000;
	found_are(FINDING_ZONES_LEFT_OUT, END_OF_LIST);
	detail_is(FINDING_ZONES_LEFT_OUT, "2 of 1000 zones were asked for");
}

/* ---- local upstreams, this host */

static void silent_resolver_gets_no_advice_about_aws(void **state)
{
	(void)state;
	make_silent(&local->addresses[0]);
	found_are(FINDING_RESOLVER_SILENT, END_OF_LIST);
	detail_is(FINDING_RESOLVER_SILENT, "silence");
	make_healthy(&local->addresses[0], "192.168.0.2", NULL);
	local->addresses[0].tcp = SOUNDER_REFUSED;
	found_are(FINDING_RESOLVER_TCP, END_OF_LIST);
}

static void no_local_upstreams_is_a_problem_unless_the_root_is_routed(void **state)
{
	(void)state;
	local->count = 0;
	found_are(FINDING_LOCAL_NONE, END_OF_LIST);
	ad->zones[0].name = name(".");
	nothing_is_found();
}

static void programs(const char *first, const char *second)
{
	bed->host.programs.count = 0;
	bed->host.programs.servers[bed->host.programs.count++] = address(first);
	if (second != NULL)
		bed->host.programs.servers[bed->host.programs.count++] = address(second);
}

static void resolv_conf_is_told_apart(void **state)
{
	(void)state;
	programs("192.168.0.2", NULL);
	found_are(FINDING_RESOLV_ELSEWHERE, END_OF_LIST);
	detail_is(FINDING_RESOLV_ELSEWHERE, "/etc/resolv.conf names 192.168.0.2");
	programs("127.0.0.1", "192.168.0.2");
	found_are(FINDING_RESOLV_MIXED, END_OF_LIST);
	programs("127.0.0.53", NULL);
	found_are(FINDING_RESOLV_STUB, END_OF_LIST);
	bed->host.programs.count = 0;
	nothing_is_found();
}

static void server_for_others_may_itself_ask_elsewhere(void **state)
{
	(void)state;
	programs("192.168.0.2", NULL);
	bed->listen[1] = address("10.0.0.5:53");
	bed->host.listen_count = 2;
	found_are(FINDING_RESOLV_OTHERS, END_OF_LIST);
	assert_int_equal(finding_row(FINDING_RESOLV_OTHERS)->severity, FINDING_NOTE);
}

static void taken_port_without_a_daemon_is_a_problem(void **state)
{
	(void)state;
	bed->host.listen_error[0] = EADDRINUSE;
	bed->host.ear_count = 0;
	found_are(FINDING_PORT_TAKEN, FINDING_LOOP_UNKNOWN, END_OF_LIST);
	bed->host.listen_error[0] = EACCES;
	found_are(FINDING_LOOP_UNKNOWN, END_OF_LIST);
}

static void address_that_is_not_here_is_a_problem_unless_it_is_the_default(void **state)
{
	(void)state;
	bed->listen[1] = address("[::1]:53");
	bed->host.listen_count = 2;
	bed->host.listen_error[1] = EADDRNOTAVAIL;
	found_are(FINDING_LISTEN_UNAVAILABLE, END_OF_LIST);
	bed->host.listen_default = true;
	nothing_is_found();
}

static void running_daemon_is_a_note_and_its_loops_a_problem(void **state)
{
	(void)state;
	bed->host.daemon = true;
	bed->host.ear_count = 0;
	bed->host.listen_error[0] = 0;
	found_are(FINDING_DAEMON, END_OF_LIST);
	bed->host.loops = 7;
	found_are(FINDING_DAEMON, FINDING_LOOPS_SEEN, END_OF_LIST);
	detail_is(FINDING_LOOPS_SEEN, "7");
}

static void nothing_is_said_of_a_host_that_was_not_looked_at(void **state)
{
	(void)state;
	local->count = 0;
	diagnosis_make(&bed->survey, NULL, &bed->found);
	assert_int_equal(bed->found.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(healthy_endpoint_has_no_findings),
		TEST(one_silent_address_is_that_address),
		TEST(all_silent_addresses_are_the_path),
		TEST(zones_of_a_dead_endpoint_are_not_judged),
		TEST(silent_udp_with_tcp_is_udp_blocked),
		TEST(refused_udp_with_tcp_is_udp_refused),
		TEST(refused_udp_and_tcp_is_a_closed_port),
		TEST(unreachable_address_says_what_the_network_said),
		TEST(address_that_was_not_asked_is_not_judged_but_told),
		TEST(each_way_tcp_can_fail_has_its_finding),
		TEST(large_question_lost_over_tcp_is_the_mtu),
		TEST(largest_size_that_passes_decides),
		TEST(small_size_lost_while_larger_pass_is_chance),
		TEST(sizes_that_were_not_asked_say_nothing),
		TEST(lost_questions_are_counted),
		TEST(address_that_answers_errors_only_is_failing_and_its_zones_are_not),
		TEST(some_errors_among_answers_are_not_the_addresss),
		TEST(formerr_to_edns_alone_is_no_edns),
		TEST(odd_answers_are_named),
		TEST(misfits_alone_are_not_called_silence),
		TEST(slow_is_twice_the_best_and_20_ms),
		TEST(tcp_endpoint_is_not_blamed_for_udp),
		TEST(one_address_is_a_warning),
		TEST(all_in_one_az_is_a_warning),
		TEST(differing_ttls_are_a_note),
		TEST(address_in_two_endpoints_is_said_once),
		TEST(address_where_we_listen_is_ourselves),
		TEST(question_that_came_back_is_a_loop),
		TEST(zone_with_other_servers_is_detached),
		TEST(names_from_the_network_are_escaped),
		TEST(service_zone_of_aws_itself_is_a_note),
		TEST(nxdomain_at_the_apex_is_a_problem_but_for_reverse_zones),
		TEST(nxdomain_says_whose_word_it_is),
		TEST(servfail_at_the_apex_is_a_problem),
		TEST(only_zone_that_fails_everywhere_is_named_too),
		TEST(zone_without_answers_at_addresses_that_answer_is_silent),
		TEST(answer_without_servers_is_a_note),
		TEST(addresses_that_disagree_are_both_quoted),
		TEST(cut_or_malformed_look_says_nothing_of_the_zone),
		TEST(vpc_endpoint_without_addresses_is_a_warning),
		TEST(zones_that_were_left_out_are_counted),
		TEST(silent_resolver_gets_no_advice_about_aws),
		TEST(no_local_upstreams_is_a_problem_unless_the_root_is_routed),
		TEST(resolv_conf_is_told_apart),
		TEST(server_for_others_may_itself_ask_elsewhere),
		TEST(taken_port_without_a_daemon_is_a_problem),
		TEST(address_that_is_not_here_is_a_problem_unless_it_is_the_default),
		TEST(running_daemon_is_a_note_and_its_loops_a_problem),
		TEST(nothing_is_said_of_a_host_that_was_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
