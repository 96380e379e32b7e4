/* SPDX-License-Identifier: Apache-2.0 */
/* Local upstreams, and this host. */
#include "surveyed.h"

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

static void local_upstream_that_refuses_is_a_warning_and_one_that_fails_a_problem(void **state)
{
	(void)state;
	local->addresses[0].rcodes[DNS_NOERROR] = 0;
	local->addresses[0].rcodes[DNS_REFUSED] = SAMPLES;
	found_are(FINDING_RESOLVER_REFUSED, END_OF_LIST);
	assert_int_equal(finding_row(FINDING_RESOLVER_REFUSED)->severity, FINDING_WARNING);
	local->addresses[0].rcodes[DNS_SERVFAIL] = 1;
	found_are(FINDING_RESOLVER_RCODE, END_OF_LIST);
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

/* 127.0.0.1:5353, as for trying things out: resolv.conf cannot say so. */
static void where_no_port_53_is_listened_at_resolv_conf_cannot_point(void **state)
{
	(void)state;
	programs("192.168.0.2", NULL);
	bed->listen[0] = address("127.0.0.1:5353");
	found_are(FINDING_RESOLV_PORT, END_OF_LIST);
	detail_is(FINDING_RESOLV_PORT, "/etc/resolv.conf names 192.168.0.2");
	assert_int_equal(finding_row(FINDING_RESOLV_PORT)->severity, FINDING_NOTE);
	bed->listen[1] = address("10.0.0.5:5353");
	bed->host.listen_count = 2;
	found_are(FINDING_RESOLV_PORT, END_OF_LIST);
	bed->listen[1] = address("10.0.0.5:53");
	found_are(FINDING_RESOLV_OTHERS, END_OF_LIST);
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
	bed->host.listen_error[0] = EADDRINUSE;
	memcpy(bed->host.version, "9.9", sizeof("9.9"));
	bed->host.control_error = ENOENT;
	found_are(FINDING_DAEMON, END_OF_LIST);
	detail_is(FINDING_DAEMON, "r53fwd 9.9 serves here; its control socket is elsewhere (--control PATH says where)");
	bed->host.control_error = EACCES;
	found_are(FINDING_DAEMON, END_OF_LIST);
	detail_is(FINDING_DAEMON,
		  "r53fwd 9.9 serves here; its control socket is for root, and for its own user and group, which this user is none of");
	bed->host.control_error = ETIMEDOUT;
	found_are(FINDING_DAEMON, END_OF_LIST);
	detail_is(FINDING_DAEMON, "r53fwd 9.9 serves here; nothing was learned at its control socket");
	bed->host.control_error = 0;
	bed->host.told = true;
	found_are(FINDING_DAEMON, END_OF_LIST);
	detail_is(FINDING_DAEMON, "r53fwd 9.9 has been running for 0 s");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(silent_resolver_gets_no_advice_about_aws),
		TEST(local_upstream_that_refuses_is_a_warning_and_one_that_fails_a_problem),
		TEST(no_local_upstreams_is_a_problem_unless_the_root_is_routed),
		TEST(resolv_conf_is_told_apart),
		TEST(server_for_others_may_itself_ask_elsewhere),
		TEST(where_no_port_53_is_listened_at_resolv_conf_cannot_point),
		TEST(taken_port_without_a_daemon_is_a_problem),
		TEST(address_that_is_not_here_is_a_problem_unless_it_is_the_default),
		TEST(running_daemon_is_a_note_and_its_loops_a_problem),
		TEST(nothing_is_said_of_a_host_that_was_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
