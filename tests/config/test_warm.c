/* SPDX-License-Identifier: Apache-2.0 */
#include "config/warm.h"

#include "load.h"
#include "wire/text.h"

#define ENDPOINTS "resolvers: {seoul: {addresses: [192.0.2.1]}}\n"

/* Problems of a file with these entries from line 3 on; warnings of an unused endpoint do not come. */
static void expect_zones(const char *entries, const char *expected)
{
	char *text = NULL;

	assert_true(asprintf(&text, ENDPOINTS "zones:\n%s", entries) > 0);
	expect_problems(text, expected);
	free(text);
}

/* The names that are kept warm, each as `name line:column`. */
static void expect_warm(const char *entries, const char *expected)
{
	char *text = NULL, *warm = NULL, name[TEXT_NAME_MAX];
	size_t len;

	assert_true(asprintf(&text, ENDPOINTS "zones:\n%s", entries) > 0);
	struct config *c = load_good(text);
	FILE *out = open_memstream(&warm, &len);
	for (size_t i = 0; i < c->keep_warm_count; i++)
		fprintf(out, "%s %u:%u\n", text_name(&c->keep_warm[i].name, name), c->keep_warm[i].line, c->keep_warm[i].column);
	fclose(out);
	assert_string_equal(warm, expected);
	free(warm);
	config_free(c);
	free(text);
}

static void names_within_the_zone_are_kept_warm(void **state)
{
	(void)state;
	expect_warm("  - {name: db.example.com, to: seoul, keep-warm: [Main.DB.example.com., db.example.com, a.b.c.db.example.com]}\n",
		    "main.db.example.com 3:51\ndb.example.com 3:73\na.b.c.db.example.com 3:89\n");
	expect_warm("  - {name: ., to: seoul, keep-warm: [www.example]}\n", "www.example 3:38\n");
}

static void any_zone_of_the_entry_will_do(void **state)
{
	(void)state;
	expect_warm("  - {name: c, to: seoul}\n  - {name: [a, b.x, y.z.b], to: seoul, keep-warm: [www.a, www.b.x, y.z.b]}\n",
		    "www.a 4:52\nwww.b.x 4:59\ny.z.b 4:68\n");
	expect_zones("  - {name: c, to: seoul}\n  - {name: [a, b.x], to: seoul, keep-warm: [www.c, b, xa, x]}\n",
		     "z:4:45: `www.c` lies in no zone of this entry\n"
		     "z:4:52: `b` lies in no zone of this entry\n"
		     "z:4:55: `xa` lies in no zone of this entry\n"
		     "z:4:59: `x` lies in no zone of this entry\n");
}

static void vpc_endpoints_keep_their_own_names(void **state)
{
	(void)state;
	expect_warm("  - {vpc-endpoints: {region: us-east-1, services: [ssm, ecr]}, to: seoul, keep-warm: true}\n",
		    "ssm.us-east-1.amazonaws.com 3:86\n"
		    "api.ecr.us-east-1.amazonaws.com 3:86\n"
		    "dkr.ecr.us-east-1.amazonaws.com 3:86\n");
	expect_warm("  - {vpc-endpoints: {region: us-east-1, services: [ecr]}, to: seoul, keep-warm: "
		    "[123456789012.dkr.ecr.us-east-1.amazonaws.com]}\n",
		    "123456789012.dkr.ecr.us-east-1.amazonaws.com 3:82\n");
	expect_warm("  - {vpc-endpoints: {region: us-east-1, services: [ssm]}, to: seoul, keep-warm: off}\n"
		    "  - {name: a, to: seoul, keep-warm: false}\n",
		    "");
}

static void true_is_for_names_that_are_known(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: seoul, keep-warm: true}\n",
		     "z:3:37: `keep-warm: true` is for `vpc-endpoints`; here it takes a list of names\n");
	expect_zones("  - {reverse: 10.0.0.0/8, to: seoul, keep-warm: [10.in-addr.arpa]}\n",
		     "z:3:38: `keep-warm` is for addresses: a `reverse` zone has none\n");
}

static void what_is_no_list_of_names_is_refused(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: seoul, keep-warm: www.a}\n"
		     "  - {name: b, to: seoul, keep-warm: {a: b}}\n"
		     "  - {name: c, to: seoul, keep-warm: []}\n"
		     "  - {name: d, to: seoul, keep-warm: [a..d, [d]]}\n",
		     "z:3:37: `keep-warm` must be a list of names, or true with `vpc-endpoints`, not `www.a`\n"
		     "z:4:37: `keep-warm` must be a list of names, or true with `vpc-endpoints`, not a map\n"
		     "z:5:37: `keep-warm` must not be empty\n"
		     "z:6:38: `a..d` is no domain name\n"
		     "z:6:44: must be a domain name, not a list\n");
}

static void a_wrong_entry_has_no_more_errors_than_its_own(void **state)
{
	(void)state;
	expect_zones("  - {name: a..b, to: seoul, keep-warm: [www.a]}\n", "z:3:12: `a..b` is no domain name\n");
}

static void a_name_is_kept_warm_once(void **state)
{
	(void)state;
	expect_zones("  - {name: a, to: seoul, keep-warm: [x.b.a, y.a, X.B.A.]}\n  - {name: b.a, to: seoul, keep-warm: [x.b.a]}\n",
		     "z:3:50: `x.b.a` is kept warm twice; the first is in line 3, column 38\n"
		     "z:4:40: `x.b.a` is kept warm twice; the first is in line 3, column 38\n");
}

static void the_number_of_names_is_bounded(void **state)
{
	char *text = NULL, *problems;
	struct config *c;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("zones:\n", out);
	for (unsigned entry = 0; entry < 2; entry++) {
		fprintf(out, "  - {name: z%u, to: local, keep-warm: [z%u", entry, entry);
		for (unsigned i = 0; i < WARM_MAX_NAMES / 2; i++)
			fprintf(out, ", n%u.z%u", i, entry);
		fputs("]}\n", out);
	}
	fclose(out);
	problems = load_problems(text, &c);
	assert_null(c);
	assert_non_null(strstr(problems, "more than 10000 names are to be kept warm\n"));
	free(problems);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_within_the_zone_are_kept_warm),
		cmocka_unit_test(any_zone_of_the_entry_will_do),
		cmocka_unit_test(vpc_endpoints_keep_their_own_names),
		cmocka_unit_test(true_is_for_names_that_are_known),
		cmocka_unit_test(what_is_no_list_of_names_is_refused),
		cmocka_unit_test(a_wrong_entry_has_no_more_errors_than_its_own),
		cmocka_unit_test(a_name_is_kept_warm_once),
		cmocka_unit_test(the_number_of_names_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
