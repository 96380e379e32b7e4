/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a snapshot fails once: there is none then, the one in force goes on, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "faults.h"
#include "server/snapshot.h"

enum { ALLOCATIONS_MOST = 2000 };

static const char before[] =
	"inbound-endpoints: {seoul: {addresses: [{ip: 10.10.1.10, az: a}, {ip: 10.10.2.10, az: b}]}}\n"
	"zones: [{name: a.internal, to: seoul, keep-warm: [w.a.internal]}, {name: b.internal, to: seoul}]\n"
	"local-upstreams: [192.168.0.2]\ncache: {size: 1MiB}\n";
static const char after[] =
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.3.10]}, tokyo: {addresses: [10.20.1.10, 10.20.2.10]}}\n"
	"zones: [{name: a.internal, to: [seoul, tokyo], expect: private}, {reverse: 10.20.0.0/14, to: tokyo}]\n"
	"cache: {size: 2MiB}\n";

static struct config *load(const char *text)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	diagnostics_deinit(&d);
	assert_non_null(c);
	return c;
}

/* A snapshot of `text` that follows `old`, the n-th allocation failing; *came: it came to that. */
static struct snapshot *make(const char *text, struct snapshot *old, uint64_t n, bool *came)
{
	struct config *c = load(text);
	struct resolv r = {.count = 0};
	uint64_t failed = faults->failed;

	faults_arm(n);
	struct snapshot *s = snapshot_new(c, &r, old);
	faults_arm(0);
	*came = faults->failed > failed;
	return s;
}

static void each_fault(const char *text, struct snapshot *old)
{
	bool came = true;

	for (uint64_t n = 1; came; n++) {
		assert_true(n < ALLOCATIONS_MOST);
		struct snapshot *s = make(text, old, n, &came);
		assert_true(s != NULL || came);
		assert_true(came || n > 10);
		if (s != NULL)
			snapshot_unref(s);
	}
}

static void the_first_snapshot_is_made_whole_or_not_at_all(void **state)
{
	(void)state;
	each_fault(before, NULL);
}

static void a_snapshot_that_cannot_be_made_leaves_the_old_one_as_it_was(void **state)
{
	bool came;
	struct snapshot *old = make(before, NULL, 0, &came);

	(void)state;
	assert_non_null(old);
	size_t zones = old->zone_count;
	each_fault(after, old);
	each_fault(before, old);
	assert_int_equal(old->zone_count, zones);
	snapshot_unref(old);
}

static void other_local_upstreams_are_taken_whole_or_not_at_all(void **state)
{
	struct resolv r = {.count = 2, .path = "/etc/resolv.conf"};
	bool came = true;
	struct snapshot *old = make(after, NULL, 0, &came);

	(void)state;
	assert_int_equal(addr_parse(&r.servers[0], "192.0.2.1", 53), 0);
	assert_int_equal(addr_parse(&r.servers[1], "192.0.2.2", 53), 0);
	came = true;
	for (uint64_t n = 1; came; n++) {
		uint64_t failed = faults->failed;
		assert_true(n < ALLOCATIONS_MOST);
		faults_arm(n);
		struct snapshot *s = snapshot_renew(old, &r);
		faults_arm(0);
		came = faults->failed > failed;
		assert_true(s != NULL || came);
		if (s != NULL)
			snapshot_unref(s);
	}
	snapshot_unref(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_snapshot_is_made_whole_or_not_at_all),
		cmocka_unit_test(a_snapshot_that_cannot_be_made_leaves_the_old_one_as_it_was),
		cmocka_unit_test(other_local_upstreams_are_taken_whole_or_not_at_all),
	};
	faults_mean("memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
