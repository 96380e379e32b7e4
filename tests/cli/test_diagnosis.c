/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, endpoints and zones. */
#include "surveyed.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
