/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/import_conf.h"

#include "config/config.h"
#include "imported.h"

static struct imported s;
static char *conf;

static int set_up(void **state)
{
	(void)state;
	imported_start(&s);
	conf = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(conf);
	imported_stop(&s);
	return 0;
}

static bool write_conf(void)
{
	const struct import_join_ids ids = {.count = 0};
	size_t len;

	free(conf);
	FILE *out = open_memstream(&conf, &len);
	bool written = import_conf_write(&s.import, &ids, out);
	fclose(out);
	return written;
}

/* What is written loads, whatever it is. */
static void run(const char *text)
{
	struct diagnostics d;

	imported_take(&s, text);
	assert_true(write_conf());
	diagnostics_init(&d);
	struct config *c = config_load_text(conf, strlen(conf), &d);
	if (c == NULL)
		fail_msg("%s\n%s", d.rows[0].sentence, conf);
	config_free(c);
	diagnostics_deinit(&d);
}

static void expect(const char *line)
{
	if (strstr(conf, line) == NULL)
		fail_msg("`%s` is not in:\n%s\n%s", line, conf, imported_notes(&s));
}

static void expect_no(const char *text)
{
	if (strstr(conf, text) != NULL)
		fail_msg("`%s` is in:\n%s", text, conf);
}

#define HUB                                                                                                                                \
	"{'ResolverEndpoint': {'Id': 'in-1', 'Name': 'hub', 'Direction': 'INBOUND', 'HostVPCId': 'v1', 'Status': 'OPERATIONAL',"           \
	" 'StatusMessage': 'all is well'}}"                                                                                                \
	"{'IpAddresses': [{'Ip': '10.1.0.1', 'SubnetId': 's1', 'Status': 'ATTACHED'}, {'Ip': '10.1.0.2', 'Ipv6': 'fd00::2'}]}"             \
	"{'Subnets': [{'SubnetId': 's1', 'VpcId': 'v1', 'AvailabilityZoneId': 'az1'}]}"
#define ZONE(name) "{'HostedZoneSummaries': [{'Name': '" name "'}]}"
#define INTERFACE(service, names)                                                                                                          \
	"{'VpcEndpoints': [{'VpcEndpointId': 'vpce-1', 'VpcEndpointType': 'Interface', 'VpcId': 'v1', 'State': 'available',"               \
	" 'ServiceName': 'com.amazonaws.eu-west-1." service "', 'PrivateDnsEnabled': true, 'DnsEntries': [" names "]}]}"
#define ENTRY(name) "{'DnsName': '" name "'}"

static void an_endpoint_stands_with_its_azs_and_states(void **state)
{
	(void)state;
	run(HUB ZONE("corp.example.internal."));
	expect("inbound-endpoints:\n"
	       "  hub:  # in-1, v1, OPERATIONAL\n"
	       "    addresses:\n"
	       "      - {ip: 10.1.0.1, az: az1}  # ATTACHED\n"
	       "      - 10.1.0.2\n"
	       "      # the same interface has the address fd00::2\n"
	       "\n"
	       "zones:\n"
	       "  - {name: corp.example.internal, to: hub}\n");
	imported_expect_note(&s, "hub: the AZ of 1 address is not known");
	imported_expect_note(&s, "written: 1 inbound endpoint with 2 addresses, 1 zones, 0 local upstreams\n");
}

static void a_state_that_is_not_well_brings_its_message(void **state)
{
	(void)state;
	run("{'ResolverEndpoint': {'Id': 'in-1', 'Direction': 'INBOUND', 'Status': 'ACTION_NEEDED', 'StatusMessage': 'look\\nat: "
	    "it\\u001b'}}"
	    "{'IpAddresses': [{'Ip': '10.1.0.1'}]}");
	expect("  in-1:  # in-1, ACTION_NEEDED, look\\x0aat: it\\x1b\n");
}

#define COMMENTED HUB "{'HostedZones': [{'Name': 'a.example.', 'Config': {'PrivateZone': true, 'Comment': '%s'}}]}"

/* What AWS stores there is anybody's text: it must not end the comment, nor may the comment end within a character. */
static void a_comment_stays_one(void **state)
{
	static const char *const comments[] = {"ERP\u2028local-upstreams: [203.0.113.66]", "ERP\u2029x", "\ufeffERP", "\302\205ERP"};
	char text[2048], syllables[256 * 3 + 1];

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(comments); k++) {
		snprintf(text, sizeof(text), COMMENTED, comments[k]);
		run(text);
		imported_expect_note(&s, "1 zones, 0 local upstreams");
		expect_no("\u2028");
	}
	for (size_t k = 0; k < 3; k++) {
		memset(syllables, 'x', k);
		for (size_t i = 0; i < 200; i++)
			memcpy(syllables + k + 3 * i, "\uc11c", 4);
		snprintf(text, sizeof(text), COMMENTED, syllables);
		tear_down(state);
		set_up(state);
		run(text);
		expect("\uc11c\uc11c\n");
	}
}

static void only_private_zones_are_written_each_once(void **state)
{
	(void)state;
	run(HUB "{'HostedZones': [{'Name': 'a.example.', 'Config': {'PrivateZone': true, 'Comment': 'ours'}},"
		" {'Name': 'public.example.', 'Config': {'PrivateZone': false}}, {'Name': 'A.example', 'Config': {'PrivateZone': true}}]}");
	expect("  - {name: a.example, to: hub}  # ours\n");
	expect_no("public");
	assert_null(strstr(strstr(conf, "a.example") + 1, "a.example"));
}

static void a_zone_that_the_vpc_does_not_list_is_remarked(void **state)
{
	(void)state;
	run(HUB "{'HostedZones': [{'Name': 'a.example.', 'Config': {'PrivateZone': true}}, {'Name': 'b.example.', 'Config': "
		"{'PrivateZone': true,"
		" 'Comment': 'x'}}]}" ZONE("a.example."));
	expect("  - {name: a.example, to: hub}\n");
	expect("  - {name: b.example, to: hub}  # x, not among the zones that the VPC lists\n");
	imported_expect_note(&s, "b.example. is private, but not among the zones that the VPC lists");
}

static void an_empty_list_of_the_vpc_counts_too(void **state)
{
	(void)state;
	run(HUB "{'HostedZoneSummaries': []}{'HostedZones': [{'Name': 'a.example.', 'Config': {'PrivateZone': true}}]}");
	imported_expect_note(&s, "a.example. is private, but not among");
}

static void names_of_all_kinds_become_zones_or_remarks(void **state)
{
	(void)state;
	run(HUB ZONE("\\\\052.w.example.") ZONE("*.x.example") ZONE("\\\\303\\\\251.example") ZONE("localhost") ZONE("a..b") ZONE(".")
		    ZONE("${HOME}.example") "{'HostedZoneSummaries': [{}]}");
	expect("  - {name: w.example, to: hub}\n");
	expect("  - {name: x.example, to: hub}\n");
	expect("  - {name: \"\\\\195\\\\169.example\", to: hub}\n");
	expect_no("HOME}");
	imported_expect_note(&s, "the zone localhost is left out: ");
	imported_expect_note(&s, "a zone called a..b is left out: that is no domain name\n");
	imported_expect_note(&s, "the zone . is left out: every name would go to the endpoint");
	imported_expect_note(&s, "a zone called nothing is left out");
}

static void private_names_fold_into_the_shorthand_where_it_says_the_same(void **state)
{
	(void)state;
	run(HUB INTERFACE("ssm", ENTRY("vpce-1-x.ssm.eu-west-1.vpce.amazonaws.com") "," ENTRY("ssm.eu-west-1.amazonaws.com"))
		    INTERFACE("s3", ENTRY("*.s3.eu-west-1.amazonaws.com") "," ENTRY("*.s3-control.eu-west-1.amazonaws.com") "," ENTRY(
					    "*.s3-accesspoint.eu-west-1.amazonaws.com")) ZONE("kms.eu-west-1.amazonaws.com."));
	expect("zones:\n  - {vpc-endpoints: {region: eu-west-1, services: [ssm, kms, s3]}, to: hub}\n");
	expect_no("- {name");
	expect_no("vpce-1-x");
}

static void a_part_of_a_service_is_written_by_name(void **state)
{
	(void)state;
	run(HUB INTERFACE("s3", ENTRY("s3.eu-west-1.amazonaws.com")));
	expect("  - {name: s3.eu-west-1.amazonaws.com, to: hub, expect: private, guard: warn}  # vpce-1\n");
	imported_expect_note(&s, "names 1 of the 3 zones that the service has elsewhere");
}

static void a_service_that_nobody_knows_is_written_by_name(void **state)
{
	(void)state;
	run(HUB INTERFACE("vpce-svc-1", ENTRY("api.partner.example")));
	expect("  - {name: api.partner.example, to: hub, expect: private, guard: warn}  # vpce-1\n");
}

static void endpoints_without_private_names_are_remarked(void **state)
{
	(void)state;
	run(HUB INTERFACE(
		"ssm",
		"") "{'VpcEndpoints': [{'VpcEndpointId': 'off', 'State': 'available', 'VpcId': 'v1', 'ServiceName':"
		    " 'com.amazonaws.eu-west-1.sqs'}, {'VpcEndpointId': 'kms-off', 'State': 'available', 'ServiceName': "
		    "'com.amazonaws.eu-west-1.kms'},"
		    " {'VpcEndpointId': 'gone', 'State': 'deleting', 'PrivateDnsEnabled': true}, {'VpcEndpointId': 'far', 'VpcId': 'v9',"
		    " 'PrivateDnsEnabled': true, 'State': 'Available'}]}" ZONE("kms.eu-west-1.amazonaws.com."));
	imported_expect_note(&s, "vpce-1 (com.amazonaws.eu-west-1.ssm) names no private name: left out");
	imported_expect_note(&s, "off (com.amazonaws.eu-west-1.sqs) has no private DNS");
	imported_expect_note(&s, "gone (a service) is deleting: left out");
	imported_expect_note(&s, "far (a service) is in the VPC v9, where no inbound endpoint is: left out");
	assert_null(strstr(imported_notes(&s), "kms-off")); /* a hosted zone gives its name */
}

static void endpoints_of_one_vpc_stand_in_for_each_other(void **state)
{
	(void)state;
	run("{'ResolverEndpoints': [{'Id': 'a', 'Direction': 'INBOUND', 'HostVPCId': 'v1'}, {'Id': 'b', 'Direction': 'INBOUND', "
	    "'HostVPCId': 'v2'},"
	    " {'Id': 'c', 'Direction': 'INBOUND', 'HostVPCId': 'v1'}]}"
	    "{'IpAddresses': [{'Ip': '10.1.0.1'}]}{'IpAddresses': [{'Ip': '10.2.0.1', 'SubnetId': 's2'}]}{'Subnets': [{'SubnetId': 's2', "
	    "'VpcId': "
	    "'v2'}]}" ZONE("z.example"));
	/* Only b is known for its list; then the zones go there. */
	expect("  - {name: z.example, to: b}\n");
	const struct import_join_ids ids = {.ids = {"a", "c"}, .count = 2};
	free(conf);
	size_t len;
	FILE *out = open_memstream(&conf, &len);
	assert_true(import_conf_write(&s.import, &ids, out));
	fclose(out);
	expect("  - {name: z.example, to: [a, c]}\n");
}

static void endpoints_of_several_vpcs_are_remarked(void **state)
{
	(void)state;
	run(
		"{'ResolverEndpoints': [{'Id': 'a', 'Direction': 'INBOUND', 'HostVPCId': 'v1'}, {'Id': 'b', 'Direction': 'INBOUND', "
		"'HostVPCId': 'v2'}]}"
		"{'IpAddresses': [{'Ip': '10.1.0.1', 'SubnetId': 's1'}]}{'IpAddresses': [{'Ip': '10.2.0.1', 'SubnetId': 's2'}]}"
		"{'Subnets': [{'SubnetId': 's1', 'VpcId': 'v1'}, {'SubnetId': 's2', 'VpcId': 'v2'}]}" ZONE(
			"z.example") "{'VpcEndpoints': [{'VpcId': 'v2', 'State': 'available', 'PrivateDnsEnabled': true, 'DnsEntries': "
				     "[" ENTRY("y.example") "]}]}");
	expect("  - {name: z.example, to: a}\n");
	expect("  - {name: y.example, to: b, expect: private, guard: warn}\n");
	imported_expect_note(&s, "the endpoints are in several VPCs");
}

static void without_an_endpoint_zones_are_comments(void **state)
{
	(void)state;
	run(ZONE("z.example") ZONE("kms.eu-west-1.amazonaws.com"));
	expect("zones: []\n  # - {vpc-endpoints: {region: eu-west-1, services: [kms]}, to: ENDPOINT}\n  # one by one\n"
	       "  # - {name: z.example, to: ENDPOINT}\n");
	imported_expect_note(&s, "there is no inbound endpoint with addresses");
}

static void resolv_conf_becomes_local_upstreams(void **state)
{
	(void)state;
	imported_take(&s, "nameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver 127.0.0.1\nnameserver fd00::2\n");
	run("{}");
	expect("zones: []\n\nlocal-upstreams: [\"127.0.0.53\", \"10.0.0.2\", \"fd00::2\"]\n");
	imported_expect_note(&s, "127.0.0.53 is systemd-resolved's stub");
	imported_expect_note(&s, "the nameserver 127.0.0.1 is left out: ");
}

static void nothing_usable_is_no_file(void **state)
{
	(void)state;
	imported_take(&s, "{'HostedZones': [{'Name': 'public.example'}]}");
	assert_false(write_conf());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_endpoint_stands_with_its_azs_and_states),
		TEST(a_state_that_is_not_well_brings_its_message),
		TEST(a_comment_stays_one),
		TEST(only_private_zones_are_written_each_once),
		TEST(a_zone_that_the_vpc_does_not_list_is_remarked),
		TEST(an_empty_list_of_the_vpc_counts_too),
		TEST(names_of_all_kinds_become_zones_or_remarks),
		TEST(private_names_fold_into_the_shorthand_where_it_says_the_same),
		TEST(a_part_of_a_service_is_written_by_name),
		TEST(a_service_that_nobody_knows_is_written_by_name),
		TEST(endpoints_without_private_names_are_remarked),
		TEST(endpoints_of_one_vpc_stand_in_for_each_other),
		TEST(endpoints_of_several_vpcs_are_remarked),
		TEST(without_an_endpoint_zones_are_comments),
		TEST(resolv_conf_becomes_local_upstreams),
		TEST(nothing_usable_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
