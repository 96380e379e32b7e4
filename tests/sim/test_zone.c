/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "sim/zone.h"
#include "wire/text.h"

static const char corp[] = "$ORIGIN corp.example.internal.\n"
			   "$TTL 60\n"
			   "@ IN SOA ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400\n"
			   "@ NS ns-0.awsdns-00.com.\n"
			   "@ NS ns-512.awsdns-00.net.\n"
			   "www A 10.20.1.1\n"
			   "www A 10.20.1.2\n"
			   "www 30 AAAA fd00::1\n"
			   "www A 10.20.1.1 ; said twice\n"
			   "app CNAME www\n"
			   "far CNAME db.other.internal.\n"
			   "out CNAME www.example.org.\n"
			   "dead CNAME nothing\n"
			   "ring CNAME ring2\n"
			   "ring2 CNAME ring\n"
			   "*.wild A 10.20.9.9\n"
			   "real.wild TXT \"hides the wildcard\"\n"
			   "a.b.deep A 10.20.3.3\n";
static const char other[] = "$ORIGIN other.internal.\n"
			    "@ 900 SOA ns-1536.awsdns-00.co.uk. host.example. 1 7200 900 1209600 86400\n"
			    "db A 10.21.0.1\n"
			    "$ORIGIN sub.corp.example.internal.\n"
			    "@ 900 SOA ns-1536.awsdns-00.co.uk. host.example. 1 7200 900 1209600 86400\n"
			    "x A 10.22.0.1\n";

/* A file of `text`; its path is good until the next call. */
static const char *file_of(const char *text)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/test_zone.XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static int load(struct zone_set *s, const char *text, struct zone_error *error)
{
	const char *path = file_of(text);
	int result = zone_set_load(s, path, error);

	unlink(path);
	return result;
}

static int set_up(void **state)
{
	struct zone_error error;
	struct zone_set *s = zone_set_new();

	assert_non_null(s);
	assert_int_equal(load(s, corp, &error), 0);
	assert_int_equal(load(s, other, &error), 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	zone_set_free(*state);
	return 0;
}

static void look_up(void **state, const char *text, uint16_t type, struct zone_answer *out)
{
	struct name name;

	assert_int_equal(text_read_name(&name, text), 0);
	zone_set_lookup(*state, &name, type, out);
}

static void expect_owner(const struct zone_rrset *set, const char *text)
{
	char owner[TEXT_NAME_MAX];

	assert_string_equal(text_name(&set->owner, owner), text);
}

static void every_soa_begins_a_zone(void **state)
{
	assert_int_equal(zone_set_count(*state), 3);
}

static void all_records_of_a_set_are_found_in_the_order_of_the_file(void **state)
{
	struct zone_answer out;

	look_up(state, "WWW.corp.Example.internal", DNS_TYPE_A, &out);
	assert_false(out.outside);
	assert_int_equal(out.rcode, DNS_NOERROR);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.sets[0].count, 2);
	assert_memory_equal(out.sets[0].first[0].rdata, "\x0a\x14\x01\x01", 4);
	assert_memory_equal(out.sets[0].first[1].rdata, "\x0a\x14\x01\x02", 4);
	assert_int_equal(out.sets[0].first[0].ttl_s, 60);
	assert_int_equal(out.soa.count, 0);
}

static void own_ttl_wins_over_the_default(void **state)
{
	struct zone_answer out;

	look_up(state, "www.corp.example.internal", DNS_TYPE_AAAA, &out);
	assert_int_equal(out.sets[0].first[0].ttl_s, 30);
}

static void any_is_every_set_of_the_name(void **state)
{
	struct zone_answer out;

	look_up(state, "www.corp.example.internal", DNS_TYPE_ANY, &out);
	assert_int_equal(out.count, 2);
}

static void missing_type_is_nodata_with_the_soa(void **state)
{
	struct zone_answer out;

	look_up(state, "www.corp.example.internal", DNS_TYPE_MX, &out);
	assert_int_equal(out.rcode, DNS_NOERROR);
	assert_int_equal(out.count, 0);
	assert_int_equal(out.soa.count, 1);
	expect_owner(&out.soa, "corp.example.internal");
}

static void missing_name_is_nxdomain_with_the_soa(void **state)
{
	struct zone_answer out;

	look_up(state, "no.such.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NXDOMAIN);
	assert_int_equal(out.soa.count, 1);
}

static void name_with_something_below_it_exists(void **state)
{
	struct zone_answer out;

	look_up(state, "b.deep.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NOERROR);
	assert_int_equal(out.count, 0);
	look_up(state, "deep.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NOERROR);
	look_up(state, "c.deep.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NXDOMAIN);
}

static void wildcard_covers_several_labels_under_the_name_asked_for(void **state)
{
	struct zone_answer out;

	look_up(state, "a.b.c.wild.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.count, 1);
	expect_owner(&out.sets[0], "a.b.c.wild.corp.example.internal");
	look_up(state, "x.wild.corp.example.internal", DNS_TYPE_TXT, &out);
	assert_int_equal(out.rcode, DNS_NOERROR);
	assert_int_equal(out.soa.count, 1);
}

static void existing_name_hides_the_wildcard_for_itself_and_below(void **state)
{
	struct zone_answer out;

	look_up(state, "real.wild.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NOERROR);
	assert_int_equal(out.count, 0);
	look_up(state, "below.real.wild.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NXDOMAIN);
}

static void wildcard_covers_the_longest_names(void **state)
{
	struct zone_answer out;
	char text[300];
	struct strbuf long_name;

	/* 253 octets: the ancestors are looked for one label at a time, to the top. */
	strbuf_init(&long_name, text, sizeof(text));
	for (int i = 0; i < 112; i++)
		strbuf_add(&long_name, "a.");
	strbuf_add(&long_name, "wild.corp.example.internal");
	look_up(state, text, DNS_TYPE_A, &out);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.sets[0].owner.labels, 116);
}

static void chain_is_followed_across_our_zones(void **state)
{
	struct zone_answer out;

	look_up(state, "far.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.count, 2);
	assert_int_equal(out.sets[0].first->type, DNS_TYPE_CNAME);
	expect_owner(&out.sets[1], "db.other.internal");
}

static void chain_that_leaves_our_zones_is_left_whole(void **state)
{
	struct zone_answer out;

	look_up(state, "out.corp.example.internal", DNS_TYPE_A, &out);
	assert_false(out.outside);
	assert_int_equal(out.rcode, DNS_NOERROR);
	assert_int_equal(out.count, 1);
}

static void chain_to_nothing_is_nxdomain_with_the_chain(void **state)
{
	struct zone_answer out;

	look_up(state, "dead.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_NXDOMAIN);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.soa.count, 1);
}

static void chain_without_end_is_servfail(void **state)
{
	struct zone_answer out;

	look_up(state, "ring.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.rcode, DNS_SERVFAIL);
	assert_int_equal(out.count, 0);
}

static void cname_itself_can_be_asked_for(void **state)
{
	struct zone_answer out;

	look_up(state, "app.corp.example.internal", DNS_TYPE_CNAME, &out);
	assert_int_equal(out.count, 1);
	look_up(state, "app.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.count, 2);
}

static void longest_zone_answers(void **state)
{
	struct zone_answer out;

	look_up(state, "x.sub.corp.example.internal", DNS_TYPE_A, &out);
	assert_int_equal(out.count, 1);
	look_up(state, "y.sub.corp.example.internal", DNS_TYPE_A, &out);
	expect_owner(&out.soa, "sub.corp.example.internal");
}

static void name_outside_all_zones_is_outside(void **state)
{
	struct zone_answer out;

	look_up(state, "xcorp.example.internal", DNS_TYPE_A, &out);
	assert_true(out.outside);
	look_up(state, ".", DNS_TYPE_NS, &out);
	assert_true(out.outside);
}

static void root_can_be_a_zone(void **state)
{
	struct zone_set *s = zone_set_new();
	struct zone_error error;
	struct zone_answer out;
	struct name root;

	(void)state;
	assert_int_equal(load(s, ". 60 IN SOA a. b. 1 2 3 4 5\n*.test. 60 IN A 192.0.2.1\n", &error), 0);
	assert_int_equal(text_read_name(&root, "."), 0);
	zone_set_lookup(s, &root, DNS_TYPE_SOA, &out);
	assert_int_equal(out.count, 1);
	assert_int_equal(text_read_name(&root, "www.test"), 0);
	zone_set_lookup(s, &root, DNS_TYPE_A, &out);
	assert_int_equal(out.count, 1);
	zone_set_free(s);
}

static void broken_file_says_where_and_why(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *sentence;
	} rows[] = {
		{"a.example. 60 IN A 192.0.2.1\n", 1, "begins with its SOA"},
		{"example. 60 IN SOA a. b. 1 2 3 4 5\nwww.example. 60 IN A 300.1.1.1\n", 2, ""},
		{"example. 60 IN SOA a. b. 1 2 3 4 5\n\nwww.else. 60 IN A 192.0.2.1\n", 3, "outside the zone"},
		{"example. 60 IN SOA a. b. 1 2 3 4 5\nexample. 60 IN SOA a. b. 2 2 3 4 5\n", 2, "already there"},
		{"example. 60 IN SOA a. b. 1 2 3 4 5\nx.example. 60 CH TXT \"x\"\n", 2, "only class IN"},
		{"example. 60 IN SOA a. b. 1 2 3 4 5\nx.example. 60 A 192.0.2.1\nx.example. 60 CNAME y.example.\n", 3,
		 "CNAME"},
		{"example. 60 IN SOA a. b. 1 2 3 4 5\nx.example. 60 CNAME y.example.\nx.example. 60 CNAME z.example.\n", 3,
		 "CNAME"},
		{"", 0, "no SOA"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct zone_set *s = zone_set_new();
		struct zone_error error;

		assert_true(load(s, rows[i].text, &error) < 0);
		assert_int_equal(error.line, rows[i].line);
		assert_non_null(strstr(error.sentence, rows[i].sentence));
		zone_set_free(s);
	}
}

static void file_that_is_not_there_says_so(void **state)
{
	struct zone_set *s = zone_set_new();
	struct zone_error error;

	(void)state;
	assert_true(zone_set_load(s, "/nowhere/x.zone", &error) < 0);
	assert_string_equal(error.sentence, "No such file or directory");
	assert_int_equal(error.line, 0);
	zone_set_free(s);
	zone_set_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_soa_begins_a_zone),
		cmocka_unit_test(all_records_of_a_set_are_found_in_the_order_of_the_file),
		cmocka_unit_test(own_ttl_wins_over_the_default),
		cmocka_unit_test(any_is_every_set_of_the_name),
		cmocka_unit_test(missing_type_is_nodata_with_the_soa),
		cmocka_unit_test(missing_name_is_nxdomain_with_the_soa),
		cmocka_unit_test(name_with_something_below_it_exists),
		cmocka_unit_test(wildcard_covers_several_labels_under_the_name_asked_for),
		cmocka_unit_test(existing_name_hides_the_wildcard_for_itself_and_below),
		cmocka_unit_test(wildcard_covers_the_longest_names),
		cmocka_unit_test(chain_is_followed_across_our_zones),
		cmocka_unit_test(chain_that_leaves_our_zones_is_left_whole),
		cmocka_unit_test(chain_to_nothing_is_nxdomain_with_the_chain),
		cmocka_unit_test(chain_without_end_is_servfail),
		cmocka_unit_test(cname_itself_can_be_asked_for),
		cmocka_unit_test(longest_zone_answers),
		cmocka_unit_test(name_outside_all_zones_is_outside),
		cmocka_unit_test(root_can_be_a_zone),
		cmocka_unit_test(broken_file_says_where_and_why),
		cmocka_unit_test(file_that_is_not_there_says_so),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
