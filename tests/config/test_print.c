/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <jansson.h>

#include "base/strbuf.h"
#include "config/option.h"

static char *printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print(out);
	fclose(out);
	return text;
}

static char *effective(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	config_print_effective(c, out);
	fclose(out);
	return text;
}

/* Prints the options in force, loads them again, and prints once more. */
static void expect_same_after_reading_back(const char *file)
{
	struct config *c, *again;
	char *problems = load_problems(file, &c), *with_zones = NULL;

	if (!c)
		fail_msg("%s", problems);
	char *first = effective(c);
	assert_true(asprintf(&with_zones, "%szones: []\n", first) > 0);
	free(problems);
	problems = load_problems(with_zones, &again);
	if (!again)
		fail_msg("%s\n%s", problems, with_zones);
	char *second = effective(again);
	assert_string_equal(first, second);
	free(problems);
	free(first);
	free(second);
	free(with_zones);
	config_free(c);
	config_free(again);
}

static void options_in_force_can_be_read_back(void **state)
{
	(void)state;
	expect_same_after_reading_back("zones: []\n");
	expect_same_after_reading_back(
		"zones: []\n"
		"workers: 3\n"
		"control: ./my control.sock\n"
		"listen: [\"[::]:5353\", 0.0.0.0]\n"
		"allow-from: [\"::/0\", 0.0.0.0/0, 192.0.2.1]\n"
		"local-upstreams: [\"2001:db8::1\", {ip: 192.0.2.9, port: 54, az: x}]\n"
		"inbound-endpoints:\n"
		"  \"null\": {addresses: [{ip: \"2001:db8::2\", az: \"a-1\"}, 192.0.2.3], prefer-az: a-1, hedge: 12.5ms}\n"
		"resolvers: {\"0\": {addresses: [192.0.2.4:99], hedge: off, hedge-budget: 0.1%, transport: tcp}}\n"
		"cache: {size: 1.5GiB, prefetch: off, serve-stale: off, max-ttl: 90s}\n"
		"log: {level: debug, format: json, queries: errors}\n");
}

static void the_example_loads_and_says_the_defaults(void **state)
{
	char *example = printed(config_print_example);
	struct config *c = load_good(example), *plain = load_good("zones: []\n");

	(void)state;
	assert_int_equal(c->endpoint_count, 4);
	assert_int_equal(c->top.workers, plain->top.workers);
	assert_string_equal(c->top.control, plain->top.control);
	assert_memory_equal(&c->cache, &plain->cache, sizeof(c->cache));
	assert_memory_equal(&c->tcp, &plain->tcp, sizeof(c->tcp));
	assert_memory_equal(&c->log, &plain->log, sizeof(c->log));
	/* tokyo says nothing: seoul, which says all, is no different. */
	assert_memory_equal(&c->endpoints[1].options, &c->endpoints[2].options, sizeof(c->endpoints[1].options));
	assert_memory_equal(&c->endpoints[1].probe, &c->endpoints[2].probe, sizeof(c->endpoints[1].probe));
	assert_int_equal(c->listen_count, plain->listen_count);
	assert_int_equal(c->allow_from_count, plain->allow_from_count);
	assert_memory_equal(c->allow_from, plain->allow_from, c->allow_from_count * sizeof(*c->allow_from));
	config_free(c);
	config_free(plain);
	free(example);
}

static void every_option_is_in_the_example_and_the_man_page(void **state)
{
	char *example = printed(config_print_example), *man = printed(config_print_man);
	size_t count;
	const struct config_option *rows = config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char key[64], item[128];
		struct strbuf s;
		strbuf_init(&s, item, sizeof(item));
		strbuf_add(&s, ".It Cm ");
		snprintf(key, sizeof(key), "%s: ", rows[i].key);
		assert_non_null(strstr(example, key));
		assert_non_null(strstr(example, rows[i].help));
		for (const char *at = rows[i].key; *at != '\0'; at++)
			strbuf_addf(&s, "%s%c", *at == '-' ? "\\" : "", *at);
		strbuf_add(&s, "\n");
		assert_non_null(strstr(man, item));
	}
	free(example);
	free(man);
}

static void lists_of_the_man_page_are_closed(void **state)
{
	char *man = printed(config_print_man);
	unsigned begun = 0, ended = 0;

	(void)state;
	for (const char *at = man; (at = strstr(at, "\n.Bl ")); at++)
		begun++;
	for (const char *at = man; (at = strstr(at, "\n.El\n")); at++)
		ended++;
	assert_int_equal(begun, SECTIONS);
	assert_int_equal(ended, SECTIONS);
	free(man);
}

/* The properties of the map where a section's rows are described. */
static json_t *properties(json_t *schema, enum option_section section)
{
	static const char *const names[] = {[SECTION_endpoint] = "endpoint",
					    [SECTION_probe] = "probe",
					    [SECTION_cache] = "cache",
					    [SECTION_tcp] = "tcp",
					    [SECTION_rate_limit] = "rate-limit",
					    [SECTION_log] = "log"};

	if (section == SECTION_top)
		return json_object_get(schema, "properties");
	return json_object_get(json_object_get(json_object_get(schema, "definitions"), names[section]), "properties");
}

/* Every "$ref" below `value` leads to a definition. */
static void check_references(json_t *schema, json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member) check_references(schema, member);
	json_object_foreach(value, key, member)
	{
		check_references(schema, member);
		if (strcmp(key, "$ref") != 0)
			continue;
		const char *path = json_string_value(member);
		assert_int_equal(strncmp(path, "#/definitions/", 14), 0);
		assert_non_null(json_object_get(json_object_get(schema, "definitions"), path + 14));
	}
}

static void the_schema_is_json_and_knows_every_option(void **state)
{
	char *text = printed(config_print_schema);
	json_error_t error;
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	size_t count;
	const struct config_option *rows = config_options(&count);

	(void)state;
	if (!schema)
		fail_msg("line %d: %s", error.line, error.text);
	assert_string_equal(json_string_value(json_object_get(schema, "$schema")), "http://json-schema.org/draft-07/schema#");
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object_get(properties(schema, rows[i].section), rows[i].key);
		assert_non_null(row);
		assert_string_equal(json_string_value(json_object_get(row, "description")), rows[i].help);
		assert_true(json_array_size(json_object_get(row, "anyOf")) > 0);
	}
	check_references(schema, schema);
	json_decref(schema);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_in_force_can_be_read_back),
		cmocka_unit_test(the_example_loads_and_says_the_defaults),
		cmocka_unit_test(every_option_is_in_the_example_and_the_man_page),
		cmocka_unit_test(lists_of_the_man_page_are_closed),
		cmocka_unit_test(the_schema_is_json_and_knows_every_option),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
