/* SPDX-License-Identifier: Apache-2.0 */
#include "config/zones.h"

#include "load.h"
#include "wire/text.h"

#define ENDPOINTS "resolvers: {seoul: {addresses: [192.0.2.1]}, tokyo: {addresses: [192.0.2.2]}}\n"

/* Problems of a file with both endpoints in line 1 and these entries from line 3 on; warnings of unused endpoints do not come. */
static void expect_zones(const char *entries, const char *expected)
{
	char *text = NULL;

	assert_true(asprintf(&text, ENDPOINTS "zones:\n%s", entries) > 0);
	expect_problems(text, expected);
	free(text);
}

/* The zones of these entries, each as `name to,to line[ (source)]`, in the order of the file or by length. */
static void expect_routes(const char *entries, bool by_length, const char *expected)
{
	char *text = NULL, *routes = NULL, name[TEXT_NAME_MAX];
	size_t len;

	assert_true(asprintf(&text, ENDPOINTS "zones:\n%s  - {name: unused, to: [seoul, tokyo]}\n", entries) > 0);
	struct config *c = load_good(text);
	uint32_t *order = zones_by_length(c);
	FILE *out = open_memstream(&routes, &len);
	for (size_t i = 0; i < c->zone_count; i++) {
		const struct config_zone *zone = &c->zones[by_length ? order[i] : i];
		if (strcmp(text_name(&zone->name, name), "unused") == 0)
			continue;
		fprintf(out, "%s ", name);
		for (size_t j = 0; j < zone->to_count; j++)
			fprintf(out, "%s%s", j > 0 ? "," : "", c->endpoints[zone->to[j]].name);
		fprintf(out, " %u", zone->line);
		fprintf(out, zone->source_text ? " (%s)\n" : "\n", zone->source_text);
	}
	fclose(out);
	assert_string_equal(routes, expected);
	free(routes);
	free(order);
	config_free(c);
	free(text);
}

static void names_become_zones(void **state)
{
	(void)state;
	expect_routes("  - {name: Corp.Example.Internal., to: seoul}\n"
		      "  - {name: [a.internal, b.internal], to: [seoul, tokyo]}\n"
		      "  - {name: ., to: local}\n"
		      "  - name: _x.a\\.b.internal\n"
		      "    to:\n"
		      "      - tokyo\n",
		      false,
		      "corp.example.internal seoul 3\n"
		      "a.internal seoul,tokyo 4\n"
		      "b.internal seoul,tokyo 4\n"
		      ". local 5\n"
		      "_x.a\\046b.internal tokyo 6\n");
}

static void vpc_endpoints_become_zones(void **state)
{
	(void)state;
	expect_routes("  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, ecr]}, to: seoul}\n", false,
		      "ssm.ap-northeast-2.amazonaws.com seoul 3 (vpc-endpoints ap-northeast-2 ssm)\n"
		      "api.ecr.ap-northeast-2.amazonaws.com seoul 3 (vpc-endpoints ap-northeast-2 ecr)\n"
		      "dkr.ecr.ap-northeast-2.amazonaws.com seoul 3 (vpc-endpoints ap-northeast-2 ecr)\n");
}

static void networks_become_reverse_zones(void **state)
{
	(void)state;
	expect_routes(
		"  - {reverse: 10.20.0.0/15, to: seoul}\n  - {reverse: 192.0.2.1, to: tokyo}\n  - {reverse: \"fd00::/8\", to: seoul}\n",
		false,
		"20.10.in-addr.arpa seoul 3 (reverse 10.20.0.0/15)\n"
		"21.10.in-addr.arpa seoul 3 (reverse 10.20.0.0/15)\n"
		"1.2.0.192.in-addr.arpa tokyo 4 (reverse 192.0.2.1/32)\n"
		"d.f.ip6.arpa seoul 5 (reverse fd00::/8)\n");
}

static void the_longest_zone_comes_first_then_the_alphabet(void **state)
{
	(void)state;
	expect_routes("  - {name: [b.x, ., a.b.x, a-b.x, a.x, aa.x, x], to: local}\n", true,
		      "a.b.x local 3\n"
		      "a.x local 3\n"
		      "a-b.x local 3\n"
		      "aa.x local 3\n"
		      "b.x local 3\n"
		      "x local 3\n"
		      ". local 3\n");
}

static void an_entry_has_exactly_one_kind_and_a_destination(void **state)
{
	(void)state;
	expect_zones("  - {to: seoul}\n"
		     "  - {name: a, reverse: 10.0.0.0/8, to: seoul}\n"
		     "  - {name: b}\n"
		     "  - corp.internal\n"
		     "  - [a, b]\n",
		     "z:3:5: a zone has one of `name`, `vpc-endpoints` and `reverse`, this one has none\n"
		     "z:4:5: a zone has one of `name`, `vpc-endpoints` and `reverse`, this one has several\n"
		     "z:5:5: this zone has no `to`\n"
		     "z:6:5: a zone must be a map of keys, not `corp.internal`\n"
		     "z:7:5: a zone must be a map of keys, not a list\n");
}

static void what_is_no_domain_name_is_refused(void **state)
{
	char entries[128], expected[256], label[65];

	(void)state;
	expect_zones(
		"  - {name: a..b, to: local}\n  - {name: [], to: local}\n  - {name: [{a: b}, ''], to: local}\n  - {name: , to: local}\n",
		"z:3:12: `a..b` is no domain name\n"
		"z:4:12: `name` must not be empty\n"
		"z:5:13: must be a domain name, not a map\n"
		"z:5:21: must be a domain name, not ``\n"
		"z:6:12: must be a domain name, not nothing\n");
	memset(label, 'a', 64);
	label[64] = '\0';
	snprintf(entries, sizeof(entries), "  - {name: %s, to: local}\n", label);
	snprintf(expected, sizeof(expected), "z:3:12: `%s` is no domain name\n", label);
	expect_zones(entries, expected);
}

static void a_wildcard_is_refused_with_the_reason(void **state)
{
	(void)state;
	expect_zones("  - {name: \"*.corp.internal\", to: local}\n",
		     "z:3:12: `*.corp.internal`: a zone is a name and everything below it already, leave out the `*.`\n");
}

static void names_that_hardly_anybody_means_are_remarked(void **state)
{
	(void)state;
	expect_zones("  - {name: \"*\", to: local}\n"
		     "  - {name: \"https://a.example/\", to: local}\n"
		     "  - {name: \"b\u00fccher.example\", to: local}\n",
		     "z:3:12: `*`: all names are the zone `.`\n"
		     "z:4:12: `https://a.example/` is a URL: a zone is a domain name\n"
		     "z:5:12: `b\u00fccher.example` is no domain name: write it as it is asked for, in ASCII (`xn--…`)\n");
	expect_zones("  - {name: \"$NET.example\", to: seoul}\n"
		     "  - {name: \"a.example:53\", to: tokyo}\n"
		     "  - {name: 0/25.2.0.192.in-addr.arpa, to: local}\n",
		     "z:3:12: warning: `$NET.example` is taken as it stands, with the `$` in it: is that meant?\n"
		     "z:4:12: warning: `a.example:53` is taken as it stands, with the `:` in it: is that meant?\n");
}

static void names_that_are_answered_here_cannot_be_routed(void **state)
{
	(void)state;
	expect_zones("  - {name: [localhost, a.LOCALHOST, invalid, onion, x.onion., resolver.arpa], to: local}\n"
		     "  - {reverse: 127.0.0.0/8, to: local}\n"
		     "  - {reverse: \"::1\", to: local}\n"
		     "  - {name: 127.in-addr.arpa, to: local}\n",
		     "z:3:13: `localhost` cannot be routed: it is answered here and never sent anywhere\n"
		     "z:3:24: `a.LOCALHOST` cannot be routed: it is answered here and never sent anywhere\n"
		     "z:3:37: `invalid` cannot be routed: it is answered here and never sent anywhere\n"
		     "z:3:46: `onion` cannot be routed: it is answered here and never sent anywhere\n"
		     "z:3:53: `x.onion.` cannot be routed: it is answered here and never sent anywhere\n"
		     "z:3:63: `resolver.arpa` cannot be routed: it is answered here and never sent anywhere\n"
		     "z:4:15: `127.0.0.0/8` cannot be routed: the names of localhost are answered here\n"
		     "z:5:15: `::1` cannot be routed: the names of localhost are answered here\n"
		     "z:6:12: `127.in-addr.arpa` cannot be routed: it is answered here and never sent anywhere\n");
	expect_routes("  - {name: [arpa, mylocalhost, localhost.example], to: local}\n", false,
		      "arpa local 3\nmylocalhost local 3\nlocalhost.example local 3\n");
}

static void a_zone_given_twice_is_refused_with_both_places(void **state)
{
	(void)state;
	expect_zones("  - {name: a.internal, to: seoul}\n"
		     "  - {name: [b.internal, A.Internal., b.internal], to: tokyo}\n",
		     "z:4:25: the zone `a.internal` is given twice; the first is in line 3, column 12\n"
		     "z:4:38: the zone `b.internal` is given twice; the first is in line 4, column 13\n");
}

static void zones_are_compared_after_they_were_expanded(void **state)
{
	(void)state;
	expect_zones("  - {reverse: 10.20.0.0/14, to: seoul}\n"
		     "  - {name: 21.10.in-addr.arpa, to: local}\n"
		     "  - {reverse: 10.22.0.0/16, to: local}\n"
		     "  - {vpc-endpoints: {region: us-east-1, services: [ecr, ecr.dkr]}, to: tokyo}\n",
		     "z:4:12: the zone `21.10.in-addr.arpa` is given twice; the first is in line 3, column 15 (reverse 10.20.0.0/14)\n"
		     "z:5:15: the zone `22.10.in-addr.arpa` (reverse 10.22.0.0/16) is given twice; the first is in line 3, column 15 "
		     "(reverse 10.20.0.0/14)\n"
		     "z:6:57: the zone `dkr.ecr.us-east-1.amazonaws.com` (vpc-endpoints us-east-1 ecr.dkr) is given twice; the first is in "
		     "line 6, column 52 (vpc-endpoints us-east-1 ecr)\n");
}

static void a_destination_must_exist(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: soul}\n"
		     "  - {name: b, to: [seoul, locl]}\n"
		     "  - {name: c, to: nowhere}\n"
		     "  - {name: d, to: }\n"
		     "  - {name: e, to: {a: b}}\n"
		     "  - {name: f, to: []}\n",
		     "z:3:19: no endpoint is called `soul` (did you mean `seoul`?)\n"
		     "z:4:27: no endpoint is called `locl` (did you mean `local`?)\n"
		     "z:5:19: no endpoint is called `nowhere`\n"
		     "z:6:19: must be the name of an endpoint, or `local`, not nothing\n"
		     "z:7:19: must be the name of an endpoint, or `local`, not a map\n"
		     "z:8:19: `to` must not be empty\n");
}

static void a_forwarded_zone_never_falls_back_to_local(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: [seoul, local]}\n",
		     "z:3:19: `local` stands alone: a forwarded zone never falls back to the local upstreams\n");
	expect_routes("  - {name: a, to: [local]}\n", false, "a local 3\n");
}

static void a_zone_goes_to_four_different_endpoints_at_most(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: [seoul, tokyo, seoul]}\n  - {name: b, to: [a, b, c, d, e]}\n",
		     "z:3:34: `seoul` is given twice in this `to`\n"
		     "z:4:19: `to` has 5 members; 4 is the most\n");
}

static void a_network_with_host_bits_gets_the_network_as_hint(void **state)
{
	(void)state;
	expect_zones("  - {reverse: 10.20.1.0/14, to: seoul}\n"
		     "  - {reverse: 10.20.0.0/33, to: seoul}\n"
		     "  - {reverse: corp, to: seoul}\n"
		     "  - {reverse: [10.0.0.0/8], to: seoul}\n"
		     "  - {reverse: \"fd00::1/8\", to: seoul}\n",
		     "z:3:15: `10.20.1.0/14` has host bits set (did you mean `10.20.0.0/14`?)\n"
		     "z:4:15: `reverse` must be a network, such as 10.20.0.0/16, not `10.20.0.0/33`\n"
		     "z:5:15: `reverse` must be a network, such as 10.20.0.0/16, not `corp`\n"
		     "z:6:15: `reverse` must be a network, such as 10.20.0.0/16, not a list\n"
		     "z:7:15: `fd00::1/8` has host bits set (did you mean `fd00::/8`?)\n");
}

static void regions_are_checked(void **state)
{
	(void)state;
	expect_zones("  - {vpc-endpoints: {region: ap-northeast-2a, services: [ssm, nonsense]}, to: seoul}\n"
		     "  - {vpc-endpoints: {region: seoul, services: [ssm]}, to: seoul}\n"
		     "  - {vpc-endpoints: {region: [a], services: [ssm]}, to: seoul}\n"
		     "  - {vpc-endpoints: {}, to: seoul}\n"
		     "  - {vpc-endpoints: ssm, to: seoul}\n",
		     "z:3:30: `ap-northeast-2a` is no AWS region (did you mean `ap-northeast-2`?)\n"
		     "z:3:63: unknown service `nonsense`\n"
		     "z:4:30: `seoul` is no AWS region\n"
		     "z:5:30: `region` must be a region, not a list\n"
		     "z:6:6: `vpc-endpoints` has no `region`\n"
		     "z:6:6: `vpc-endpoints` has no `services`\n"
		     "z:7:21: `vpc-endpoints` must be a map of keys, not `ssm`\n");
}

static void services_are_checked(void **state)
{
	(void)state;
	expect_zones(
		"  - {vpc-endpoints: {region: us-east-1, services: [sssm, dynamodb, dynamodb-streams, [a], secretmanager]}, to: seoul}\n"
		"  - {vpc-endpoints: {region: us-east-1, services: []}, to: seoul}\n"
		"  - {vpc-endpoints: {region: us-east-1, services: ssm}, to: seoul}\n"
		"  - {vpc-endpoints: {region: us-gov-west-1, services: [iam]}, to: seoul}\n",
		"z:3:52: unknown service `sssm` (did you mean `ssm`?)\n"
		"z:3:58: `dynamodb` has no zone here: AWS says not to override its name with a private zone; clients use the "
		"endpoint's own vpce name\n"
		"z:3:68: `dynamodb-streams` has no zone here: its endpoint has no private DNS name; clients use the endpoint's own vpce "
		"name\n"
		"z:3:86: must be the name of a service, not a list\n"
		"z:3:91: unknown service `secretmanager` (did you mean `secretsmanager`?)\n"
		"z:4:51: `services` must not be empty\n"
		"z:5:51: `services` must be a list, not `ssm`\n"
		"z:6:56: `iam` has no zone here: its names outside the partition aws are not known\n");
}

static void execute_api_is_taken_with_a_warning(void **state)
{
	(void)state;
	expect_zones("  - {vpc-endpoints: {region: us-east-1, services: [execute-api]}, to: [seoul, tokyo]}\n",
		     "z:3:52: warning: `execute-api` takes in every API Gateway API of the region: public ones stop resolving publicly\n");
}

static void unknown_keys_get_the_nearest_one_as_hint(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: local, keepwarm: [a], expects: private, gaurd: warn, asociation: on}\n",
		     "z:3:26: unknown key `keepwarm` in a zone (did you mean `keep-warm`?)\n"
		     "z:3:41: unknown key `expects` in a zone (did you mean `expect`?)\n"
		     "z:3:59: unknown key `gaurd` in a zone (did you mean `guard`?)\n"
		     "z:3:72: unknown key `asociation` in a zone (did you mean `association`?)\n");
}

static void the_number_of_zones_is_bounded(void **state)
{
	char *text = NULL, *problems;
	struct config *c;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("zones:\n", out);
	for (unsigned i = 0; i < 4096; i++)
		fprintf(out, "  - {reverse: 10.%u.%u.128/25, to: local}\n", i / 256, i % 256);
	fclose(out);
	problems = load_problems(text, &c);
	assert_null(c);
	assert_non_null(strstr(problems, "more than 500000 zones"));
	free(problems);
	free(text);
}

static void a_hundred_thousand_zones_load(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("zones:\n", out);
	for (unsigned i = 0; i < 100000; i++)
		fprintf(out, "  - {name: z%u.corp.example.internal, to: local}\n", i);
	fclose(out);
	struct config *c = load_good(text);
	assert_int_equal(c->zone_count, 100000);
	config_free(c);
	free(text);
}

static void an_address_is_no_name_but_may_be_reversed(void **state)
{
	(void)state;
	expect_zones(
		"  - {name: 10.20.0.0/16, to: seoul}\n"
		"  - {name: [10.1.1.1, \"fd00::/8\"], to: seoul}\n",
		"z:3:12: `10.20.0.0/16` is no domain name: the names of a network's addresses are `reverse: 10.20.0.0/16`\n"
		"z:4:13: `10.1.1.1` is no domain name: the names of a network's addresses are `reverse: 10.1.1.1`\n"
		"z:4:23: `fd00::/8` is no domain name: the names of a network's addresses are `reverse: fd00::/8`\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_zones),
		cmocka_unit_test(vpc_endpoints_become_zones),
		cmocka_unit_test(networks_become_reverse_zones),
		cmocka_unit_test(the_longest_zone_comes_first_then_the_alphabet),
		cmocka_unit_test(an_entry_has_exactly_one_kind_and_a_destination),
		cmocka_unit_test(what_is_no_domain_name_is_refused),
		cmocka_unit_test(a_wildcard_is_refused_with_the_reason),
		cmocka_unit_test(names_that_hardly_anybody_means_are_remarked),
		cmocka_unit_test(names_that_are_answered_here_cannot_be_routed),
		cmocka_unit_test(a_zone_given_twice_is_refused_with_both_places),
		cmocka_unit_test(zones_are_compared_after_they_were_expanded),
		cmocka_unit_test(a_destination_must_exist),
		cmocka_unit_test(a_forwarded_zone_never_falls_back_to_local),
		cmocka_unit_test(a_zone_goes_to_four_different_endpoints_at_most),
		cmocka_unit_test(a_network_with_host_bits_gets_the_network_as_hint),
		cmocka_unit_test(regions_are_checked),
		cmocka_unit_test(services_are_checked),
		cmocka_unit_test(execute_api_is_taken_with_a_warning),
		cmocka_unit_test(unknown_keys_get_the_nearest_one_as_hint),
		cmocka_unit_test(the_number_of_zones_is_bounded),
		cmocka_unit_test(a_hundred_thousand_zones_load),
		cmocka_unit_test(an_address_is_no_name_but_may_be_reversed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
