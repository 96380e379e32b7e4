/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/import_join.h"

#include "imported.h"

static struct imported s;
static struct import_join join;
static bool joined;

static int set_up(void **state)
{
	(void)state;
	imported_start(&s);
	joined = false;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (joined)
		import_join_deinit(&join);
	imported_stop(&s);
	return 0;
}

static bool run(const char *first, const char *second)
{
	const struct import_join_ids ids = {.ids = {first, second}, .count = second != NULL ? 2 : first != NULL};

	joined = true;
	return import_join(&join, &s.import, &ids);
}

/* "name: ip/az ip; name: ip" of what was joined. */
static void expect(const char *wanted)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (size_t i = 0; i < join.count; i++) {
		const struct import_join_endpoint *e = &join.endpoints[i];
		fprintf(out, "%s%s:", i > 0 ? "; " : "", e->name);
		for (size_t k = 0; k < e->count; k++)
			fprintf(out, " %s%s%s", e->addresses[k]->ip, e->azs[k] != NULL ? "/" : "", e->azs[k] != NULL ? e->azs[k] : "");
	}
	fclose(out);
	assert_string_equal(text, wanted);
	free(text);
}

#define SUBNETS                                                                                                                            \
	"{'Subnets': [{'SubnetId': 's1', 'VpcId': 'v1', 'AvailabilityZoneId': 'az1'},"                                                     \
	" {'SubnetId': 's2', 'VpcId': 'v2', 'AvailabilityZoneId': 'az2'}]}"
#define TWO                                                                                                                                \
	"{'ResolverEndpoints': [{'Id': 'in-1', 'Name': 'one', 'Direction': 'INBOUND', 'HostVPCId': 'v1'},"                                 \
	" {'Id': 'out', 'Direction': 'OUTBOUND', 'HostVPCId': 'v1'},"                                                                      \
	" {'Id': 'in-2', 'Name': 'two', 'Direction': 'INBOUND', 'HostVPCId': 'v2'}]}"
#define LIST_1 "{'IpAddresses': [{'Ip': '10.1.0.1', 'SubnetId': 's1'}, {'Ip': '10.1.0.2', 'SubnetId': 's1'}]}"
#define LIST_2 "{'IpAddresses': [{'Ip': '10.2.0.1', 'SubnetId': 's2'}]}"

static void the_only_inbound_endpoint_gets_the_list(void **state)
{
	(void)state;
	imported_take(&s, LIST_1 SUBNETS
		      "{'ResolverEndpoints': [{'Id': 'in-1', 'Name': 'hub', 'Direction': 'INBOUND'},"
		      " {'Id': 'out', 'Direction': 'OUTBOUND'}]}{'ResolverEndpoint': {'Id': 'in-1', 'Direction': 'INBOUND'}}");
	assert_true(run(NULL, NULL));
	expect("hub: 10.1.0.1/az1 10.1.0.2/az1");
	imported_expect_note(&s, "out is no INBOUND endpoint: left out\n");
}

static void subnets_tell_the_vpc_and_the_vpc_the_endpoint(void **state)
{
	(void)state;
	imported_take(&s, LIST_2 LIST_1 TWO SUBNETS);
	assert_true(run(NULL, NULL));
	expect("two: 10.2.0.1/az2; one: 10.1.0.1/az1 10.1.0.2/az1");
}

static void a_list_of_nobody_knows_whom_is_left_out(void **state)
{
	(void)state;
	imported_take(&s, LIST_1 TWO);
	assert_true(run(NULL, NULL));
	expect("");
	imported_expect_note(&s, "list 1 of addresses could be of any of 2 inbound endpoints");
	imported_expect_note(&s, "in-1 has no addresses here: left out");
}

static void ids_name_the_endpoints_in_order(void **state)
{
	(void)state;
	imported_take(&s, LIST_1 LIST_2 TWO);
	assert_true(run("in-2", "in-1"));
	expect("two: 10.1.0.1 10.1.0.2; one: 10.2.0.1");
	import_join_deinit(&join);
	assert_true(run("in-1", NULL));
	expect("one: 10.1.0.1 10.1.0.2 10.2.0.1");
}

static void an_id_that_nobody_described_is_taken_at_its_word(void **state)
{
	(void)state;
	imported_take(&s, LIST_1);
	assert_true(run("rslvr-in-9", NULL));
	expect("rslvr-in-9: 10.1.0.1 10.1.0.2");
	import_join_deinit(&join);
	assert_true(run(NULL, NULL));
	expect("inbound: 10.1.0.1 10.1.0.2");
}

static void an_outbound_id_is_an_error(void **state)
{
	(void)state;
	imported_take(&s, LIST_1 TWO);
	assert_false(run("out", NULL));
	imported_expect_note(&s, "--endpoint out is no inbound endpoint");
}

static void an_id_that_is_not_in_the_list_is_an_error_that_has_the_list(void **state)
{
	(void)state;
	imported_take(&s, LIST_1 TWO);
	assert_false(run("in-1", "in-3"));
	imported_expect_note(&s, "--endpoint in-3 is none of the inbound endpoints that are listed: in-1, in-2\n");
}

static void names_are_made_to_fit_and_never_meet(void **state)
{
	(void)state;
	imported_take(&s, "{'ResolverEndpoints': [{'Id': 'a', 'Name': 'x y:#z', 'Direction': 'INBOUND'},"
			  " {'Id': 'b', 'Name': 'x-y-z', 'Direction': 'INBOUND'}, {'Id': 'c', 'Name': 'local', 'Direction': 'INBOUND'},"
			  " {'Id': 'd', 'Name': '\\u001b\\n', 'Direction': 'INBOUND'}]}"
			  "{'IpAddresses': [{'Ip': '10.0.0.1'}]}{'IpAddresses': [{'Ip': '10.0.0.2'}]}");
	assert_true(run("a", "b"));
	expect("x-y-z: 10.0.0.1; x-y-z-2: 10.0.0.2");
	import_join_deinit(&join);
	assert_true(run("c", "d"));
	expect("local-endpoint: 10.0.0.1; inbound: 10.0.0.2");
}

static void addresses_that_cannot_be_asked_are_left_out(void **state)
{
	(void)state;
	imported_take(&s, "{'IpAddresses': [{'Ip': '10.0.0.1', 'Status': 'DELETING'}, {'Ip': '10.0.0.2', 'Status': 'FAILED_CREATION'},"
			  " {}, {'Ip': '224.0.0.1'}, {'Ip': '${HOME}'}, {'Ip': 'x\\ny'}, {'Ipv6': 'fd00::1'},"
			  " {'Ip': '10.0.0.3', 'Status': 'REMAP_ATTACHING'}, {'Ip': '10.0.0.3'}]}");
	assert_true(run(NULL, NULL));
	expect("inbound: fd00::1 10.0.0.3");
	imported_expect_note(&s, "the address 10.0.0.1 is DELETING: left out\n");
	imported_expect_note(&s, "an address of inbound has no Ip: left out\n");
	imported_expect_note(&s, "the address 224.0.0.1 is left out: ");
}

static void no_more_addresses_than_an_endpoint_may_have(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("{'IpAddresses': [{}", out);
	for (int i = 1; i <= 30; i++)
		fprintf(out, ", {'Ip': '10.0.0.%d'}", i);
	fputs("]}", out);
	fclose(out);
	imported_take(&s, text);
	free(text);
	assert_true(run(NULL, NULL));
	assert_int_equal(join.endpoints[0].count, CONFIG_MAX_ADDRESSES);
	imported_expect_note(&s, "inbound has more than 20 addresses: 10.0.0.21 is left out");
}

static void an_az_that_zones_conf_refuses_is_not_written(void **state)
{
	(void)state;
	imported_take(
		&s,
		"{'IpAddresses': [{'Ip': '10.0.0.1', 'SubnetId': 's'}]}{'Subnets': [{'SubnetId': 's', 'AvailabilityZoneId': 'a}, b'}]}");
	assert_true(run(NULL, NULL));
	expect("inbound: 10.0.0.1");
	imported_expect_note(&s, "the AZ of 10.0.0.1 is left out: `az` must be the name of an AZ");
}

static void a_list_too_many_is_noticed(void **state)
{
	(void)state;
	imported_take(&s, "{'ResolverEndpoint': {'Id': 'in-1', 'Name': 'hub', 'Direction': 'INBOUND', 'IpAddressCount': 2}}" LIST_1 LIST_1);
	assert_true(run(NULL, NULL));
	expect("hub: 10.1.0.1 10.1.0.2");
	assert_null(strstr(imported_notes(&s), "by AWS's count"));
	import_join_deinit(&join);
	imported_take(&s, LIST_2);
	assert_true(run(NULL, NULL));
	imported_expect_note(&s, "hub has 2 addresses by AWS's count and 3 in the lists");
}

static void an_endpoint_for_https_alone_cannot_be_asked(void **state)
{
	(void)state;
	imported_take(&s, "{'ResolverEndpoint': {'Id': 'in-1', 'Direction': 'INBOUND', 'Protocols': ['DoH', 'DoH-FIPS']}}" LIST_1);
	assert_true(run(NULL, NULL));
	expect("");
	imported_expect_note(&s, "in-1 speaks DNS over HTTPS only");
	imported_expect_note(&s, "list 1 of addresses is of none of the endpoints that can be asked");
	import_join_deinit(&join);
	assert_false(run("in-1", NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_only_inbound_endpoint_gets_the_list),
		TEST(subnets_tell_the_vpc_and_the_vpc_the_endpoint),
		TEST(a_list_of_nobody_knows_whom_is_left_out),
		TEST(ids_name_the_endpoints_in_order),
		TEST(an_id_that_nobody_described_is_taken_at_its_word),
		TEST(an_outbound_id_is_an_error),
		TEST(an_id_that_is_not_in_the_list_is_an_error_that_has_the_list),
		TEST(names_are_made_to_fit_and_never_meet),
		TEST(addresses_that_cannot_be_asked_are_left_out),
		TEST(no_more_addresses_than_an_endpoint_may_have),
		TEST(an_az_that_zones_conf_refuses_is_not_written),
		TEST(a_list_too_many_is_noticed),
		TEST(an_endpoint_for_https_alone_cannot_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
