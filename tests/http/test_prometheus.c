/* SPDX-License-Identifier: Apache-2.0 */
#include "http/prometheus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* What is printed of this JSON, whose quotes are written as apostrophes. NULL if it was not taken. Heap. */
static char *print(const char *json)
{
	char *text = strdup(json), *printed = NULL;
	size_t len;

	for (char *at = text; *at != '\0'; at++)
		*at = *at == '\'' ? '"' : *at;
	json_t *metrics = json_loads(text, 0, NULL);
	assert_non_null(metrics);
	FILE *out = open_memstream(&printed, &len);
	bool taken = prometheus_print(metrics, out);
	assert_int_equal(fclose(out), 0);
	json_decref(metrics);
	free(text);
	if (taken)
		return printed;
	free(printed);
	return NULL;
}

static void expect(const char *json, const char *wanted)
{
	char *printed = print(json);

	assert_non_null(printed);
	assert_string_equal(printed, wanted);
	free(printed);
}

static void family_is_help_type_and_samples(void **state)
{
	(void)state;
	expect("{'families': [{'name': 'r53fwd_queries_total', 'type': 'counter', 'help': 'Queries.', 'samples': ["
	       "{'labels': {'proto': 'udp'}, 'value': 7}, {'labels': {'proto': 'tcp'}, 'value': 123456789012345}]},"
	       "{'name': 'r53fwd_ready', 'type': 'gauge', 'help': 'Ready.', 'samples': [{'value': 0.25}]},"
	       "{'name': 'r53fwd_none', 'type': 'gauge', 'help': 'None.', 'samples': []}]}",
	       "# HELP r53fwd_queries_total Queries.\n"
	       "# TYPE r53fwd_queries_total counter\n"
	       "r53fwd_queries_total{proto=\"udp\"} 7\n"
	       "r53fwd_queries_total{proto=\"tcp\"} 123456789012345\n"
	       "# HELP r53fwd_ready Ready.\n"
	       "# TYPE r53fwd_ready gauge\n"
	       "r53fwd_ready 0.25\n"
	       "# HELP r53fwd_none None.\n"
	       "# TYPE r53fwd_none gauge\n");
}

static void histogram_is_buckets_sum_and_count(void **state)
{
	(void)state;
	expect("{'families': [{'name': 'r_seconds', 'type': 'histogram', 'help': 'H.', 'samples': ["
	       "{'labels': {'az': 'a'}, 'buckets': [[0.00025, 1], [0.001, 3]], 'sum': 0.125, 'count': 4},"
	       "{'buckets': [], 'sum': 0, 'count': 0}]}]}",
	       "# HELP r_seconds H.\n"
	       "# TYPE r_seconds histogram\n"
	       "r_seconds_bucket{az=\"a\",le=\"0.00025\"} 1\n"
	       "r_seconds_bucket{az=\"a\",le=\"0.001\"} 3\n"
	       "r_seconds_bucket{az=\"a\",le=\"+Inf\"} 4\n"
	       "r_seconds_sum{az=\"a\"} 0.125\n"
	       "r_seconds_count{az=\"a\"} 4\n"
	       "r_seconds_bucket{le=\"+Inf\"} 0\n"
	       "r_seconds_sum 0\n"
	       "r_seconds_count 0\n");
}

static void hostile_labels_and_help_are_escaped(void **state)
{
	(void)state;
	expect("{'families': [{'name': 'x', 'type': 'gauge', 'help': 'a\\\\b\\nc', 'samples': ["
	       "{'labels': {'zone': '\\u0022} 1\\nevil 2 \\\\'}, 'value': 1}]}]}",
	       "# HELP x a\\\\b\\nc\n"
	       "# TYPE x gauge\n"
	       "x{zone=\"\\\"} 1\\nevil 2 \\\\\"} 1\n");
}

static void names_that_are_none_are_left_out(void **state)
{
	(void)state;
	expect("{'families': [{'name': 'x y', 'type': 'gauge', 'help': 'h', 'samples': []}, {'name': '', 'type': 'gauge', 'help': 'h'},"
	       "{'name': '9x', 'type': 'gauge', 'help': 'h'}, {'name': 'x', 'type': 'ga\\nuge', 'help': 'h'},"
	       "{'name': 'x', 'type': 'gauge'},"
	       "7, {'name': 'y', 'type': 'gauge', 'help': 'h',"
	       " 'samples': [{'labels': {'a b': 'c', 'd': 7, 'e': 'f'}, 'value': 1}]}]}",
	       "# HELP y h\n# TYPE y gauge\ny{e=\"f\"} 1\n");
}

static void what_is_no_list_of_metrics_is_not_taken(void **state)
{
	(void)state;
	assert_null(print("{}"));
	assert_null(print("{'error': 'there is no command'}"));
	assert_null(print("[]"));
	assert_null(print("{'families': 7}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(family_is_help_type_and_samples),
		cmocka_unit_test(histogram_is_buckets_sum_and_count),
		cmocka_unit_test(hostile_labels_and_help_are_escaped),
		cmocka_unit_test(names_that_are_none_are_left_out),
		cmocka_unit_test(what_is_no_list_of_metrics_is_not_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
