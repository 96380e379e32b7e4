/* SPDX-License-Identifier: Apache-2.0 */
#include "config/services.h"

#include "base/strbuf.h"
#include "load.h"
#include "wire/text.h"

/* The service's apexes in the region, with a blank between two. */
static void expect(const char *id, const char *region_name, const char *expected)
{
	char apex[SERVICES_APEX_MAX], all[4 * SERVICES_APEX_MAX];
	const struct service *service = services_find(id);
	struct services_region region;
	struct strbuf s;

	assert_non_null(service);
	strbuf_init(&s, all, sizeof(all));
	assert_true(services_read_region(region_name, &region));
	const char *at = service->apexes;
	while (services_next_apex(&at, region_name, &region, apex))
		strbuf_addf(&s, "%s%s", s.len > 0 ? " " : "", apex);
	assert_string_equal(all, expected);
}

static void services_become_their_zone_apexes(void **state)
{
	(void)state;
	expect("ssm", "ap-northeast-2", "ssm.ap-northeast-2.amazonaws.com");
	expect("s3", "ap-northeast-2",
	       "s3.ap-northeast-2.amazonaws.com s3-control.ap-northeast-2.amazonaws.com s3-accesspoint.ap-northeast-2.amazonaws.com");
	expect("kinesis-streams", "us-east-1", "kinesis.us-east-1.amazonaws.com");
	expect("sagemaker.runtime", "eu-west-1", "runtime.sagemaker.eu-west-1.amazonaws.com");
	expect("notebook", "eu-west-1", "notebook.eu-west-1.sagemaker.aws");
	expect("iam", "us-east-1", "iam.amazonaws.com");
}

static void ecr_stands_for_both_of_its_endpoints(void **state)
{
	(void)state;
	expect("ecr.api", "us-west-2", "api.ecr.us-west-2.amazonaws.com");
	expect("ecr.dkr", "us-west-2", "dkr.ecr.us-west-2.amazonaws.com");
	expect("ecr", "us-west-2", "api.ecr.us-west-2.amazonaws.com dkr.ecr.us-west-2.amazonaws.com");
}

static void partitions_have_their_suffixes(void **state)
{
	(void)state;
	expect("kms", "cn-north-1", "kms.cn-north-1.amazonaws.com.cn");
	expect("kms", "us-gov-west-1", "kms.us-gov-west-1.amazonaws.com");
	expect("kms", "eusc-de-east-1", "kms.eusc-de-east-1.amazonaws.eu");
	expect("kms", "us-iso-east-1", "kms.us-iso-east-1.c2s.ic.gov");
	expect("kms", "us-isob-east-1", "kms.us-isob-east-1.sc2s.sgov.gov");
	expect("kms", "eu-isoe-west-1", "kms.eu-isoe-west-1.cloud.adc-e.uk");
	expect("kms", "us-isof-south-1", "kms.us-isof-south-1.csp.hci.ic.gov");
	expect("eks-auth", "eu-central-1", "eks-auth.eu-central-1.api.aws");
	expect("eks-auth", "cn-northwest-1", "eks-auth.cn-northwest-1.api.amazonwebservices.com.cn");
	expect("eks-auth", "eusc-de-east-1", "eks-auth.eusc-de-east-1.amazonaws.eu");
}

static void region_names_have_a_form(void **state)
{
	const char *const good[] = {"us-east-1", "ap-southeast-5", "mx-central-1", "il-central-1", "us-gov-east-1", "eu-west-10"};
	const char *const bad[] = {"",		"us",	       "us-east",      "us-east-",	 "us-east-1a",
				   "US-EAST-1", "xx-east-1",   "us--1",	       "us-east-1-",	 "us-east-1 ",
				   "east-1",	"us-east-one", "us-gov-a-b-1", "eusc-fr-east-1", "ap-northeast-22222222222222222222"};
	struct services_region region;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(services_read_region(good[i], &region));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(services_read_region(bad[i], &region));
}

/* The contract of the table: a new row is examined without a new test. */
static void every_row_becomes_names(void **state)
{
	const char *const regions[] = {"ap-northeast-2", "cn-northwest-1", "us-gov-west-1", "us-isof-south-1"};
	struct services_region region;
	size_t count;
	const struct service *all = services(&count);

	(void)state;
	for (size_t i = 0; i < count * ARRAY_SIZE(regions); i++) {
		const struct service *service = &all[i / ARRAY_SIZE(regions)];
		const char *region_name = regions[i % ARRAY_SIZE(regions)], *at = service->apexes;
		char apex[SERVICES_APEX_MAX], text[TEXT_NAME_MAX];
		unsigned apexes = 0;
		assert_true(services_read_region(region_name, &region));
		while (services_next_apex(&at, region_name, &region, apex)) {
			struct name name;
			assert_int_equal(text_read_name(&name, apex), 0);
			assert_string_equal(text_name(&name, text), apex);
			/* Broader than this would sweep in public names. */
			assert_true(name.labels >= 3);
			assert_null(strpbrk(apex, "{} "));
			apexes++;
		}
		assert_int_equal(apexes == 0, service->kind == SERVICE_REFUSED);
		assert_int_equal(service->note[0] != '\0', service->kind != SERVICE_PLAIN);
	}
}

static void ids_are_unique(void **state)
{
	size_t count;
	const struct service *all = services(&count);

	(void)state;
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(services_find(all[i].id), &all[i]);
	assert_null(services_find("no-such-service"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_become_their_zone_apexes), cmocka_unit_test(ecr_stands_for_both_of_its_endpoints),
		cmocka_unit_test(partitions_have_their_suffixes),    cmocka_unit_test(region_names_have_a_form),
		cmocka_unit_test(every_row_becomes_names),	     cmocka_unit_test(ids_are_unique),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
