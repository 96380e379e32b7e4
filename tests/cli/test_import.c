/* SPDX-License-Identifier: Apache-2.0 */
#include "imported.h"

static struct imported s;

static int set_up(void **state)
{
	(void)state;
	imported_start(&s);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	imported_stop(&s);
	return 0;
}

static void expect_place(const char *text, const char *note)
{
	assert_false(imported_read(&s, "b.json", text));
	imported_expect_note(&s, note);
}

static void every_kind_of_document_becomes_rows(void **state)
{
	const struct import *i = &s.import;

	(void)state;
	imported_take(&s, "{'ResolverEndpoints': [{'Id': 'in', 'Direction': 'INBOUND', 'HostVPCId': 'v', 'Status': 'OPERATIONAL'},"
			  " {'Id': 'out', 'Direction': 'OUTBOUND'}], 'MaxResults': 10}");
	imported_take(&s, "{'ResolverEndpoint': {'Id': 'in2', 'Direction': 'inbound', 'Protocols': ['DoH']}}");
	imported_take(&s, "{'IpAddresses': [{'Ip': '10.0.0.1', 'Ipv6': 'fd00::1', 'SubnetId': 's', 'Status': 'ATTACHED'}]}");
	imported_take(&s,
		      "{'Subnets': [{'SubnetId': 's', 'VpcId': 'v', 'AvailabilityZoneId': 'use1-az1', 'AvailabilityZone': 'us-east-1a'},"
		      " {'SubnetId': 't', 'AvailabilityZone': 'us-east-1b'}]}");
	imported_take(&s,
		      "{'HostedZones': [{'Name': 'a.', 'Config': {'PrivateZone': true, 'Comment': 'c'}}, {'Name': 'b.', 'Config': {}}]}");
	imported_take(&s, "{'HostedZoneSummaries': [{'Name': 'c.', 'Owner': {'OwningService': 'efs.amazonaws.com'}}]}");
	imported_take(&s, "{'VpcEndpoints': [{'VpcEndpointId': 'e', 'PrivateDnsEnabled': true, 'DnsEntries': []},"
			  " {'VpcEndpointId': 'g', 'VpcEndpointType': 'Gateway'}]}");
	assert_int_equal(i->endpoint_count, 3);
	assert_true(i->endpoints[0].inbound && i->endpoints[0].do53);
	assert_false(i->endpoints[1].inbound);
	assert_true(i->endpoints[2].inbound && !i->endpoints[2].do53);
	assert_int_equal(i->address_count, 1);
	assert_string_equal(i->addresses[0].ip6, "fd00::1");
	assert_string_equal(i->subnets[0].az, "use1-az1");
	assert_string_equal(i->subnets[1].az, "us-east-1b");
	assert_int_equal(i->zone_count, 2);
	assert_string_equal(i->zones[0].comment, "c");
	assert_true(i->zones[1].of_vpc && i->vpc_zones_known);
	assert_int_equal(i->vpc_endpoint_count, 1);
	imported_expect_note(&s, "b. is a public zone: left out\n");
	imported_expect_note(&s, "g is a Gateway endpoint");
	assert_null(strstr(imported_notes(&s), "MaxResults"));
}

static void several_documents_in_one_text_are_all_read(void **state)
{
	(void)state;
	imported_take(&s, "{'Subnets': [{}]}\n\t{'Subnets': [{}]}{'IpAddresses': [{}]} \n");
	imported_take(&s, "[{'Subnets': [{}]}, {'IpAddresses': [{}]}, {'IpAddresses': []}]");
	assert_int_equal(s.import.subnet_count, 3);
	assert_int_equal(s.import.address_count, 2);
	assert_int_equal(s.import.lists, 3);
	assert_int_equal(s.import.addresses[1].list, 1);
}

static void broken_json_has_its_place(void **state)
{
	(void)state;
	expect_place("", "b.json:1:1: this is no JSON: ");
	expect_place("zones: []\n", "b.json:1:1: this is no JSON: ");
	expect_place("{'a':\n  [1,,]}", "b.json:2:6: this is no JSON: ");
	expect_place("{'Subnets': []}\n\n {'Subnets': [}", "b.json:3:15: this is no JSON: ");
	expect_place("{'Subnets': []", "b.json:1:15: this is no JSON: ");
	expect_place("{'a': 1, 'a': 2}", "duplicate object key");
	expect_place("{'a': '\xff'}", "this is no JSON: ");
	expect_place("{'a': 1} rubbish", "b.json:1:10: this is no JSON: ");
}

static void depth_and_size_are_bounded(void **state)
{
	size_t len = 1 << 20;
	char *deep = malloc(len + 1);

	(void)state;
	memset(deep, '[', len);
	deep[len] = '\0';
	expect_place(deep, "this is no JSON: maximum parsing depth reached");
	free(deep);
	s.import.bytes = IMPORT_MAX_BYTES;
	expect_place("{}", "b.json: more than 64 MiB in all");
}

static void rows_are_bounded(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("{'ResolverEndpoints': [{}", out);
	for (int i = 0; i < 2 * IMPORT_MAX_ENDPOINTS; i++)
		fputs(", {}", out);
	fputs("]}", out);
	for (int i = 0; i < 2 * IMPORT_MAX_LISTS; i++)
		fputs("{'IpAddresses': [{}]}", out);
	fclose(out);
	imported_take(&s, text);
	free(text);
	assert_int_equal(s.import.endpoint_count, IMPORT_MAX_ENDPOINTS);
	assert_int_equal(s.import.lists, IMPORT_MAX_LISTS);
	assert_int_equal(s.import.address_count, IMPORT_MAX_LISTS);
	assert_string_equal(imported_notes(&s), "there is more than can be taken: the rest is left out\n");
}

static void wrong_types_are_as_good_as_not_there(void **state)
{
	(void)state;
	imported_take(&s,
		      "{'Subnets': 7, 'IpAddresses': [1, {'Ip': 5}], 'ResolverEndpoints': [{'Id': [], 'Direction': 1, 'Protocols': {}}],"
		      " 'HostedZones': [{'Name': 1, 'Config': 'x'}], 'VpcEndpoints': [{'VpcEndpointType': 1, 'DnsEntries': 'x'}]}");
	imported_expect_note(&s, "a.json: `Subnets` is no list: not used");
	imported_expect_note(&s, "a.json: entry 1 of `IpAddresses` is no object: not used");
	assert_null(s.import.addresses[0].ip);
	assert_null(s.import.endpoints[0].id);
	assert_null(s.import.vpc_endpoints[0].entries);
	imported_take(&s, "[5]");
	imported_expect_note(&s, "a.json: entry 1 of the list is no object");
}

static void what_is_not_known_and_what_is_missing_is_said(void **state)
{
	(void)state;
	imported_take(&s, "{'ResolverRules': [], 'Ev\\u001bil': 1}");
	imported_expect_note(&s, "a.json: `ResolverRules` is nothing that can be used here\n");
	imported_expect_note(&s, "`Ev\\x1bil`");
	imported_take(&s, "{'HostedZones': [], 'IsTruncated': true}");
	imported_expect_note(&s, "a.json is one page of several");
	imported_take(&s, "{'Subnets': [], 'NextToken': 'x'}");
	assert_int_equal(s.import.notes_count, 4);
}

static void remarks_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 3 * IMPORT_MAX_NOTES; i++)
		import_note(&s.import, "x");
	assert_int_equal(strlen(imported_notes(&s)), 2 * IMPORT_MAX_NOTES);
	assert_int_equal(s.import.notes_count, 3 * IMPORT_MAX_NOTES);
}

static void resolv_conf_is_told_from_json(void **state)
{
	(void)state;
	imported_take(&s, "# by hand\nsearch x\nnameserver 10.0.0.2\nnameserver fd00::2\n");
	assert_int_equal(s.import.resolv.count, 2);
	imported_take(&s, "nameserver nobody\n");
	imported_expect_note(&s, "a.json names no server that can be used");
	assert_false(imported_read(&s, "c", "# nameserver 10.0.0.2\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* As Windows writes them: PowerShell 5's `>` makes UTF-16, its Out-File -Encoding utf8 a mark at the beginning. */
static void files_of_windows_are_read_or_named_for_what_they_are(void **state)
{
	static const char little[] = "\xff\xfe{\0}\0", big[] = "\xfe\xff\0{\0}", bare[] = "{\0}\0";
	static const char sentence[] = "w.json: it is UTF-16, as `>` in PowerShell 5 writes; write it as UTF-8: aws ... | Out-File";
	struct imported own;

	(void)state;
	imported_start(&own);
	imported_take(&own, "\xef\xbb\xbf{'ResolverEndpoints': [{'Id': 'in-1', 'Direction': 'INBOUND'}]}");
	assert_int_equal(own.import.endpoint_count, 1);
	imported_take(&own, "\xef\xbb\xbfnameserver 192.0.2.53\r\n");
	assert_int_equal(own.import.resolv.count, 1);
	imported_stop(&own);
	const struct {
		const char *text;
		size_t len;
	} rows[] = {{little, sizeof(little) - 1}, {big, sizeof(big) - 1}, {bare, sizeof(bare) - 1}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		imported_start(&own);
		assert_false(import_read(&own.import, "w.json", rows[i].text, rows[i].len));
		imported_expect_note(&own, sentence);
		imported_stop(&own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_document_becomes_rows),
		TEST(several_documents_in_one_text_are_all_read),
		TEST(broken_json_has_its_place),
		TEST(depth_and_size_are_bounded),
		TEST(rows_are_bounded),
		TEST(wrong_types_are_as_good_as_not_there),
		TEST(what_is_not_known_and_what_is_missing_is_said),
		TEST(remarks_are_bounded),
		TEST(resolv_conf_is_told_from_json),
		cmocka_unit_test(files_of_windows_are_read_or_named_for_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
