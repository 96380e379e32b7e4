/* SPDX-License-Identifier: Apache-2.0 */
/* Zones that lost their hosted zone, and names that are kept resolved, as stories on a virtual clock. Policy `ordered`, so that
 * a story is the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

/* With these keys in the zone corp.example. */
#define CONF(keys)                                                                                                                         \
	"inbound-endpoints:\n  seoul:\n    addresses:\n"                                                                                   \
	"      - {ip: 10.0.1.1, az: az1}\n      - {ip: 10.0.2.1, az: az2}\n      - {ip: 10.0.3.1, az: az3}\n"                              \
	"    policy: ordered\nzones: [{name: corp.example, to: seoul, " keys "}]\nlocal-upstreams: [192.168.0.2]\n"

static struct world *w;

/* With the first probes behind it. */
static void start(const char *conf)
{
	w = world_new(conf);
	world_run_ms(w, 1000);
	world_trace(w);
}

static int end(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

static void expect(const char *story)
{
	assert_string_equal(world_trace(w), story);
}

static void detach(const char *ip)
{
	world_upstream(w, ip)->detached = true;
}

static void detach_all(bool detached)
{
	world_upstream(w, "10.0.1.1")->detached = detached;
	world_upstream(w, "10.0.2.1")->detached = detached;
	world_upstream(w, "10.0.3.1")->detached = detached;
}

static uint64_t violations(void)
{
	return metrics_get(world_metrics(w), METRIC_GUARD_VIOLATIONS);
}

/* ---- guard */

static void a_warned_answer_is_passed_on_and_kept(void **state)
{
	(void)state;
	start(CONF("expect: private"));
	detach_all(true);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	world_ask(w, "www.corp.example", "A");
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1004]   corp.example does not expect 203.0.113.5 from seoul\n"
	       "[ 1004] reply 1 NOERROR\n"
	       "[ 1100] query 2 www.corp.example A\n"
	       "[ 1100] reply 2 NOERROR\n");
	assert_int_equal(violations(), 1);
}

static void a_warning_is_given_once_until_all_was_well_for_a_while(void **state)
{
	(void)state;
	start(CONF("expect: private"));
	detach_all(true);
	for (int i = 0; i < 10; i++) { /* each minute: expired, asked again */
		world_ask(w, "www.corp.example", "A");
		world_run_ms(w, 70000);
	}
	const char *trace = world_trace(w);
	const char *first = strstr(trace, "does not expect");
	assert_non_null(first);
	assert_null(strstr(first + 1, "does not expect"));
	assert_int_equal(violations(), 10);
	assert_int_equal(world_snapshot(w)->learned[0].violations, 10);
	detach_all(false);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 400000);
	assert_null(strstr(world_trace(w), "does not expect"));
	detach_all(true);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	assert_non_null(strstr(world_trace(w), "does not expect"));
}

static void an_enforced_zone_asks_another_az(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: enforce"));
	detach("10.0.1.1");
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 2000);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1004]   corp.example does not expect 203.0.113.5 from seoul\n"
	       "[ 1004]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1008] reply 1 NOERROR\n");
	/* What it says is not how it is: the address stays up. */
	assert_int_equal(health_state(&world_upstream_state(w, "10.0.1.1")->health), HEALTH_UP);
	world_ask(w, "www.corp.example", "A");
	expect("[ 3000] query 2 www.corp.example A\n[ 3000] reply 2 NOERROR\n");
}

static void an_enforced_zone_that_all_break_is_blocked(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: enforce"));
	detach_all(true);
	unsigned query = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	expect("[ 1000] query 1 www.corp.example A\n"
	       "[ 1000]   attempt 10.0.1.1: www.corp.example\n"
	       "[ 1004]   corp.example does not expect 203.0.113.5 from seoul\n"
	       "[ 1004]   attempt 10.0.2.1: www.corp.example\n"
	       "[ 1008]   attempt 10.0.3.1: www.corp.example\n"
	       "[ 1012] reply 1 SERVFAIL, corp.example does not expect 203.0.113.5, which came from seoul\n");
	assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
	assert_int_equal(violations(), 3);
	/* A moment later nobody is asked. */
	query = world_ask(w, "www.corp.example", "A");
	expect("[ 1100] query 2 www.corp.example A\n"
	       "[ 1100] reply 2 SERVFAIL, corp.example does not expect the addresses that came a moment ago\n");
	assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
	/* Nothing of it stays once the zone is back. */
	detach_all(false);
	world_run_ms(w, 2000);
	query = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
}

static void the_last_good_answer_is_given_where_all_break_it(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: enforce"));
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 70000);
	detach_all(true);
	world_trace(w);
	unsigned query = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	const struct world_reply *r = world_reply(w, query);
	assert_int_equal(r->rcode, DNS_NOERROR);
	assert_int_equal(r->ede, DNS_EDE_STALE_ANSWER);
	assert_int_equal(r->ttl_s, 30);
	assert_memory_equal(r->message + r->len - 4 - (11 + 4 + 2 + strlen(r->ede_text)), ((const uint8_t[]){10, 1, 2, 3}), 4);
	/* Not asked again for each query. */
	world_trace(w);
	world_ask(w, "www.corp.example", "A");
	assert_null(strstr(world_trace(w), "attempt"));
}

static void an_enforced_zone_with_one_az_asks_once_more(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {addresses: [10.0.1.1]}}\n"
	      "zones: [{name: corp.example, to: seoul, expect: [10.0.0.0/8], guard: enforce}]\nlocal-upstreams: [192.168.0.2]\n");
	detach("10.0.1.1");
	unsigned query = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 1000);
	assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
	assert_true(world_upstream(w, "10.0.1.1")->asked <= 2);
}

static void a_blocked_address_is_not_asked_again_while_another_may_answer(void **state)
{
	(void)state;
	start("inbound-endpoints: {seoul: {policy: ordered, addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]}}\n"
	      "zones: [{name: corp.example, to: seoul, expect: private, guard: enforce}]\nlocal-upstreams: [192.168.0.2]\n");
	detach("10.0.1.1");
	world_upstream(w, "10.0.2.1")->slow_name = "slow";
	world_upstream(w, "10.0.2.1")->slow_us = US_PER_S;
	unsigned query = world_ask(w, "slow.corp.example", "A");
	world_run_ms(w, 1500);
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked, 1);
}

static void answers_without_addresses_are_no_violation(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: enforce"));
	detach_all(true);
	unsigned query = world_ask(w, "www.corp.example", "TXT"), none = world_ask(w, "nx.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
	assert_int_equal(world_reply(w, none)->rcode, DNS_NXDOMAIN);
	assert_int_equal(violations(), 0);
}

static void a_guard_that_is_off_looks_at_nothing(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: off"));
	detach_all(true);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(violations(), 0);
}

static void violations_live_through_a_reload(void **state)
{
	(void)state;
	start(CONF("expect: private"));
	detach_all(true);
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	world_reload(w, CONF("expect: private, guard: enforce"));
	world_run_ms(w, 70000);
	world_trace(w);
	unsigned query = world_ask(w, "other.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
	assert_null(strstr(world_trace(w), "203.0.113.5 from seoul\n")); /* known, so no news */
	assert_int_equal(world_snapshot(w)->learned[0].violations, 4);
	assert_int_equal(snapshot_zone_queries(world_snapshot(w), 0), 2);
}

static void what_was_warned_of_is_not_the_last_good_answer_once_it_is_enforced(void **state)
{
	static const char *const enforced[] = {CONF("expect: private, guard: enforce"), CONF("expect: [10.0.0.0/8], guard: enforce")};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(enforced); i++) {
		start(i == 0 ? CONF("expect: private") : CONF("expect: [203.0.113.0/24], guard: enforce"));
		detach_all(true);
		unsigned warned = world_ask(w, "www.corp.example", "A");
		world_run_ms(w, 100);
		assert_int_equal(world_reply(w, warned)->rcode, DNS_NOERROR);
		world_reload(w, enforced[i]);
		unsigned query = world_ask(w, "www.corp.example", "A");
		world_run_ms(w, 100);
		assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
		if (i == 0)
			world_free(w);
	}
}

static void what_was_asked_before_it_is_enforced_is_not_kept(void **state)
{
	(void)state;
	start(CONF("expect: private"));
	detach_all(true);
	unsigned before = world_ask(w, "www.corp.example", "A");
	world_reload(w, CONF("expect: private, guard: enforce")); /* while the answer is on its way */
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, before)->rcode, DNS_NOERROR);
	unsigned query = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
}

static void what_a_zone_without_a_guard_knew_is_not_served_by_the_one_above_it(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: enforce}, {name: free.corp.example, to: seoul"));
	detach_all(true);
	unsigned before = world_ask(w, "www.free.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, before)->rcode, DNS_NOERROR);
	world_reload(w, CONF("expect: private, guard: enforce"));
	unsigned query = world_ask(w, "www.free.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, query)->ede, DNS_EDE_BLOCKED);
}

static void a_reload_that_changes_no_guard_forgets_nothing(void **state)
{
	(void)state;
	start(CONF("expect: private, guard: enforce"));
	world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	world_reload(w, CONF("expect: private, guard: enforce"));
	detach_all(true);
	unsigned query = world_ask(w, "www.corp.example", "A");
	world_run_ms(w, 100);
	assert_int_equal(world_reply(w, query)->rcode, DNS_NOERROR);
}

/* ---- association */

static void a_detached_zone_is_told_once_and_when_it_is_back(void **state)
{
	(void)state;
	start(CONF("association: on"));
	world_associate(w);
	world_run_ms(w, 2000);
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_PRIVATE);
	expect("[ 2000]   check 10.0.1.1: corp.example\n");
	detach_all(true);
	world_run_ms(w, 310000);
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_DETACHED);
	const char *trace = world_trace(w), *told = strstr(trace, "corp.example is detached at seoul: ns-0.awsdns-07.com\n");
	assert_non_null(told);
	assert_null(strstr(strchr(told, '\n'), "detached"));
	world_run_ms(w, 1000000);
	assert_null(strstr(world_trace(w), "detached"));
	detach_all(false);
	world_run_ms(w, 310000);
	assert_non_null(strstr(world_trace(w), "corp.example is private at seoul: ns-0.awsdns-00.com\n"));
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_PRIVATE);
}

static void what_was_learned_of_a_zone_lives_through_a_reload(void **state)
{
	(void)state;
	start(CONF("association: on"));
	detach_all(true);
	world_associate(w);
	world_run_ms(w, 2000);
	assert_non_null(strstr(world_trace(w), "corp.example is detached"));
	world_reload(w, CONF("expect: private"));
	world_run_ms(w, 10000);
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_DETACHED);
	expect("[ 3000] -- reload\n"); /* and is not asked again at once */
	world_reload(w, CONF("association: off"));
	assert_int_equal(snapshot_zone_association(world_snapshot(w), 0), ASSOCIATION_UNKNOWN);
}

/* ---- keep-warm */

static void a_warm_name_never_expires(void **state)
{
	(void)state;
	for (int enforced = 0; enforced < 2; enforced++) {
		start(enforced ? CONF("keep-warm: [www.corp.example], expect: private, guard: enforce")
			       : CONF("keep-warm: [www.corp.example]"));
		assert_int_equal(world_upstream(w, "10.0.1.1")->asked, 1);
		/* TTL 60: refreshed with 6 s left. */
		for (int i = 0; i < 60; i++) {
			unsigned query = world_ask(w, "www.corp.example", "A");
			assert_non_null(world_reply(w, query));
			assert_int_equal(world_reply(w, query)->ede, -1);
			world_run_ms(w, 10000);
		}
		unsigned asked = world_upstream(w, "10.0.1.1")->asked;
		if (asked < 10 || asked > 13)
			fail_msg("%u refreshes in 10 minutes", asked);
		if (!enforced)
			world_free(w);
	}
}

static void a_warm_name_is_not_asked_while_the_endpoint_is_down(void **state)
{
	(void)state;
	start(CONF("keep-warm: [www.corp.example]"));
	world_set_all(w, WORLD_SILENT);
	world_run_ms(w, 120000); /* it expires, and the endpoint is found down */
	assert_true(world_pool(w, "seoul")->down);
	world_trace(w);
	unsigned asked = world_upstream(w, "10.0.1.1")->asked;
	world_run_ms(w, 600000);
	assert_int_equal(world_upstream(w, "10.0.1.1")->asked, asked);
	world_set_all(w, WORLD_WELL);
	world_run_ms(w, 10000);
	unsigned query = world_ask(w, "www.corp.example", "A");
	assert_non_null(world_reply(w, query));
	assert_int_equal(world_reply(w, query)->ede, -1);
}

static void a_warm_name_that_fails_is_asked_less_and_less(void **state)
{
	(void)state;
	w = world_new(CONF("keep-warm: [www.corp.example]"));
	world_upstream(w, "10.0.1.1")->silent_name = world_upstream(w, "10.0.2.1")->silent_name =
		world_upstream(w, "10.0.3.1")->silent_name = "www";
	world_run_ms(w, 30000);
	unsigned early = world_upstream(w, "10.0.1.1")->asked;
	world_run_ms(w, 570000);
	unsigned late = world_upstream(w, "10.0.1.1")->asked - early;
	assert_true(early >= 3);
	/* Once a minute, and each try asks an address at most twice. */
	assert_true(late >= 8 && late <= 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_warned_answer_is_passed_on_and_kept, end),
		cmocka_unit_test_teardown(a_warning_is_given_once_until_all_was_well_for_a_while, end),
		cmocka_unit_test_teardown(an_enforced_zone_asks_another_az, end),
		cmocka_unit_test_teardown(an_enforced_zone_that_all_break_is_blocked, end),
		cmocka_unit_test_teardown(the_last_good_answer_is_given_where_all_break_it, end),
		cmocka_unit_test_teardown(an_enforced_zone_with_one_az_asks_once_more, end),
		cmocka_unit_test_teardown(a_blocked_address_is_not_asked_again_while_another_may_answer, end),
		cmocka_unit_test_teardown(answers_without_addresses_are_no_violation, end),
		cmocka_unit_test_teardown(a_guard_that_is_off_looks_at_nothing, end),
		cmocka_unit_test_teardown(violations_live_through_a_reload, end),
		cmocka_unit_test_teardown(what_was_warned_of_is_not_the_last_good_answer_once_it_is_enforced, end),
		cmocka_unit_test_teardown(what_was_asked_before_it_is_enforced_is_not_kept, end),
		cmocka_unit_test_teardown(what_a_zone_without_a_guard_knew_is_not_served_by_the_one_above_it, end),
		cmocka_unit_test_teardown(a_reload_that_changes_no_guard_forgets_nothing, end),
		cmocka_unit_test_teardown(a_detached_zone_is_told_once_and_when_it_is_back, end),
		cmocka_unit_test_teardown(what_was_learned_of_a_zone_lives_through_a_reload, end),
		cmocka_unit_test_teardown(a_warm_name_never_expires, end),
		cmocka_unit_test_teardown(a_warm_name_is_not_asked_while_the_endpoint_is_down, end),
		cmocka_unit_test_teardown(a_warm_name_that_fails_is_asked_less_and_less, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
