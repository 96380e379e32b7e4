/* SPDX-License-Identifier: Apache-2.0 */
#include "config/expect.h"

#include "load.h"
#include "wire/text.h"

#define ENDPOINTS                                                                                                                          \
	"inbound-endpoints: {seoul: {addresses: [{ip: 192.0.2.1, az: a}, {ip: 192.0.2.2, az: b}]}}\nresolvers: {ad: {addresses: "          \
	"[192.0.2.3]}}\n"
#define USED "  - {name: unused, to: [seoul, ad]}\n"

/* Problems of a file with these entries from line 4 on. */
static void expect_zones(const char *entries, const char *expected)
{
	char *text = NULL;

	assert_true(asprintf(&text, ENDPOINTS "zones:\n%s" USED, entries) > 0);
	expect_problems(text, expected);
	free(text);
}

static struct config *load(const char *entries)
{
	char *text = NULL;

	assert_true(asprintf(&text, ENDPOINTS "zones:\n%s" USED, entries) > 0);
	struct config *c = load_good(text);
	free(text);
	return c;
}

/* Each zone as `name guard expect association`, but the last one. */
static void expect_held_to(const char *entries, const char *expected)
{
	static const char *const guards[] = {[GUARD_OFF] = "off", [GUARD_WARN] = "warn", [GUARD_ENFORCE] = "enforce"};
	struct config *c = load(entries);
	char *text = NULL, name[TEXT_NAME_MAX];
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (size_t i = 0; i + 1 < c->zone_count; i++) {
		const struct config_zone *zone = &c->zones[i];
		fprintf(out, "%s %s ", text_name(&zone->name, name), guards[zone->guard]);
		if (zone->expect)
			config_print_expect(zone->expect, out);
		fputs(zone->association ? " associated\n" : "\n", out);
	}
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	config_free(c);
}

static void a_zone_expects_nothing_unless_it_says_so(void **state)
{
	(void)state;
	expect_held_to("  - {name: a, to: seoul}\n", "a off  associated\n");
}

static void who_expects_something_is_warned(void **state)
{
	(void)state;
	expect_held_to("  - {name: a, to: seoul, expect: private}\n"
		       "  - {name: b, to: seoul, expect: Private, guard: enforce}\n"
		       "  - {name: c, to: seoul, expect: private, guard: off}\n"
		       "  - {name: d, to: seoul, expect: private, guard: false}\n"
		       "  - {name: e, to: seoul, guard: off}\n",
		       "a warn private associated\n"
		       "b enforce private associated\n"
		       "c off private associated\n"
		       "d off private associated\n"
		       "e off  associated\n");
}

static void vpc_endpoints_are_private_by_nature(void **state)
{
	(void)state;
	expect_held_to("  - {vpc-endpoints: {region: us-east-1, services: [ssm]}, to: seoul}\n"
		       "  - {vpc-endpoints: {region: us-east-1, services: [kms]}, to: seoul, guard: enforce}\n"
		       "  - {vpc-endpoints: {region: us-east-1, services: [sns]}, to: seoul, guard: off}\n"
		       "  - {vpc-endpoints: {region: us-east-1, services: [sqs]}, to: seoul, expect: [10.0.0.0/8]}\n",
		       "ssm.us-east-1.amazonaws.com warn private associated\n"
		       "kms.us-east-1.amazonaws.com enforce private associated\n"
		       "sns.us-east-1.amazonaws.com off private associated\n"
		       "sqs.us-east-1.amazonaws.com warn [10.0.0.0/8] associated\n");
}

static void networks_are_read_as_elsewhere(void **state)
{
	(void)state;
	expect_held_to("  - {name: a, to: seoul, expect: [10.0.0.0/8, \"fd00::/8\", 192.0.2.7]}\n",
		       "a warn [10.0.0.0/8, \"fd00::/8\", 192.0.2.7/32] associated\n");
	expect_zones("  - {name: a, to: seoul, expect: [10.0.0.1/8, corp, [a]]}\n",
		     "z:4:35: `10.0.0.1/8` has host bits set (did you mean `10.0.0.0/8`?)\n"
		     "z:4:47: must be a network (IP/BITS) or an IP address, not `corp`\n"
		     "z:4:53: must be a network (IP/BITS) or an IP address, not a list\n");
}

static void what_is_no_expectation_is_refused(void **state)
{
	char *entries = NULL;
	size_t len;

	(void)state;
	expect_zones("  - {name: a, to: seoul, expect: privat}\n"
		     "  - {name: b, to: seoul, expect: 10.0.0.0/8, guard: enforce}\n"
		     "  - {name: c, to: seoul, expect: {a: b}}\n"
		     "  - {name: d, to: seoul, expect: []}\n"
		     "  - {name: e, to: seoul, expect: }\n",
		     "z:4:34: `expect` must be private or a list of networks, not `privat` (did you mean `private`?)\n"
		     "z:5:34: `expect` must be private or a list of networks, not `10.0.0.0/8` (did you mean `[10.0.0.0/8]`?)\n"
		     "z:6:34: `expect` must be private or a list of networks, not a map\n"
		     "z:7:34: `expect` must not be empty\n"
		     "z:8:34: `expect` must be private or a list of networks, not nothing\n");
	FILE *out = open_memstream(&entries, &len);
	fputs("  - {name: a, to: seoul, expect: [10.0.0.0/8", out);
	for (int i = 0; i < EXPECT_MAX_NETWORKS; i++)
		fputs(", 10.0.0.0/8", out);
	fputs("]}\n", out);
	fclose(out);
	expect_zones(entries, "z:4:34: `expect` has 1001 members; 1000 is the most\n");
	free(entries);
}

static void a_guard_needs_something_to_check(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: seoul, guard: enforce}\n",
		     "z:4:26: `guard` has nothing to check without `expect` (did you mean to add `expect: private`?)\n");
	expect_zones("  - {name: a, to: seoul, guard: enforced}\n  - {name: b, to: seoul, expect: private, guard: [warn]}\n",
		     "z:4:33: `guard` must be off, warn or enforce, not `enforced` (did you mean `enforce`?)\n"
		     "z:5:50: `guard` must be off, warn or enforce, not a list\n");
}

static void association_is_for_names_at_inbound_endpoints(void **state)
{
	(void)state;
	expect_held_to("  - {name: [a, .], to: seoul}\n"
		       "  - {name: b, to: ad}\n"
		       "  - {name: c, to: [ad, seoul]}\n"
		       "  - {name: d, to: local}\n"
		       "  - {reverse: 10.0.0.0/8, to: seoul}\n"
		       "  - {name: e, to: seoul, association: off}\n"
		       "  - {name: f, to: seoul, association: on}\n"
		       "  - {name: g, to: ad, association: off}\n",
		       "a off  associated\n"
		       ". off \n"
		       "b off \n"
		       "c off  associated\n"
		       "d off \n"
		       "10.in-addr.arpa off \n"
		       "e off \n"
		       "f off  associated\n"
		       "g off \n");
}

static void association_that_cannot_be_checked_is_a_warning(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: local, association: on}\n"
		     "  - {reverse: 10.0.0.0/8, to: seoul, association: true}\n"
		     "  - {name: b, to: seoul, association: maybe}\n",
		     "z:4:26: warning: `association` is checked at inbound endpoints and for names: not for this entry\n"
		     "z:5:38: warning: `association` is checked at inbound endpoints and for names: not for this entry\n"
		     "z:6:39: `association` must be on or off, not `maybe`\n");
}

static void entries_that_expect_the_same_share_it(void **state)
{
	(void)state;
	struct config *c = load("  - {name: a, to: seoul, expect: [10.0.0.0/8, 192.168.0.0/16]}\n"
				"  - {name: [b, c], to: seoul, expect: [10.0.0.0/8, 192.168.0.0/16]}\n"
				"  - {name: d, to: seoul, expect: [10.0.0.0/8]}\n"
				"  - {name: e, to: seoul, expect: private}\n"
				"  - {name: f, to: seoul, expect: private}\n");
	assert_ptr_equal(c->zones[0].expect, c->zones[1].expect);
	assert_ptr_equal(c->zones[1].expect, c->zones[2].expect);
	assert_ptr_not_equal(c->zones[2].expect, c->zones[3].expect);
	assert_ptr_equal(c->zones[4].expect, c->zones[5].expect);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zone_expects_nothing_unless_it_says_so),
		cmocka_unit_test(who_expects_something_is_warned),
		cmocka_unit_test(vpc_endpoints_are_private_by_nature),
		cmocka_unit_test(networks_are_read_as_elsewhere),
		cmocka_unit_test(what_is_no_expectation_is_refused),
		cmocka_unit_test(a_guard_needs_something_to_check),
		cmocka_unit_test(association_is_for_names_at_inbound_endpoints),
		cmocka_unit_test(association_that_cannot_be_checked_is_a_warning),
		cmocka_unit_test(entries_that_expect_the_same_share_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
