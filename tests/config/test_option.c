/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of options.def: every row is walked, so a new one is examined without a new test. */
#include "config/option.h"

#include "load.h"

/* Room for the struct of any section. */
union fields {
	struct config_top top;
	struct config_endpoint_options endpoint;
	struct config_probe probe;
	struct config_cache cache;
	struct config_tcp tcp;
	struct config_rate_limit rate_limit;
	struct config_log log;
};

/* How a map of each section is written around one key, and where in it the value stands. */
static const struct {
	const char *before, *after;
} around[SECTIONS] = {
	[SECTION_top] = {"zones: []\n", "\n"},
	[SECTION_endpoint] = {"zones: [{name: x, to: e}]\nresolvers: {e: {addresses: [{ip: 192.0.2.1, az: a}], ", "}}\n"},
	[SECTION_probe] = {"zones: [{name: x, to: e}]\nresolvers: {e: {addresses: [192.0.2.1], probe: {", "}}}\n"},
	[SECTION_cache] = {"zones: []\ncache: {", "}\n"},
	[SECTION_tcp] = {"zones: []\ntcp: {", "}\n"},
	[SECTION_rate_limit] = {"zones: []\nrate-limit: {", "}\n"},
	[SECTION_log] = {"zones: []\nlog: {", "}\n"},
};

static char *file_with(const struct config_option *o, const char *value)
{
	char *text = NULL;

	assert_true(asprintf(&text, "%s%s: %s%s", around[o->section].before, o->key, value, around[o->section].after) > 0);
	return text;
}

static char *printed(const struct config_option *o, const union fields *fields)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	option_print(o, fields, out);
	fclose(out);
	return text;
}

/* The value is refused, in one error on line 2 (1 for the file's own options) that names the key and what it must be. */
static void expect_refused(const struct config_option *o, const char *value)
{
	char expects[OPTION_TEXT_MAX], sentence[OPTION_TEXT_MAX + 64];
	char *text = file_with(o, value);
	struct config *c;
	char *problems = load_problems(text, &c);

	assert_null(c);
	snprintf(sentence, sizeof(sentence), ": `%s` must be %s, not ", o->key, option_expects(o, expects));
	assert_int_equal(strncmp(problems, "z:2:", 4), 0);
	assert_non_null(strstr(problems, sentence));
	assert_ptr_equal(strchr(problems, '\n'), problems + strlen(problems) - 1);
	free(problems);
	free(text);
}

static void expect_taken(const struct config_option *o, const char *value)
{
	char *text = file_with(o, value);
	struct config *c;
	char *problems = load_problems(text, &c);

	if (!c)
		fail_msg("`%s: %s` is refused: %s", o->key, value, problems);
	config_free(c);
	free(problems);
	free(text);
}

static void every_default_is_taken_and_printed_alike(void **state)
{
	size_t count;
	const struct config_option *rows = config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		union fields a = {0}, b = {0};
		if (rows[i].standard[0] == '\0')
			continue;
		expect_taken(&rows[i], rows[i].standard);
		assert_true(option_read(&rows[i], rows[i].standard, &a));
		char *once = printed(&rows[i], &a);
		assert_true(option_read(&rows[i], once, &b));
		char *twice = printed(&rows[i], &b);
		assert_string_equal(once, twice);
		if (rows[i].type != OPTION_TEXT)
			assert_memory_equal(&a, &b, sizeof(a));
		option_free_texts(rows[i].section, &a);
		option_free_texts(rows[i].section, &b);
		free(once);
		free(twice);
	}
}

/* Writes `value` in the smallest unit that the row has, which all bounds are whole numbers of; -1 when it has no units. */
static int write_number(const struct config_option *o, uint64_t value, char out[64])
{
	const char *unit = option_unit(o, 0);

	if (!unit)
		return -1;
	if (strcmp(unit, "ms") == 0)
		return snprintf(out, 64, "%llu.%03llums", (unsigned long long)value / 1000, (unsigned long long)value % 1000);
	if (strcmp(unit, "%") == 0)
		return snprintf(out, 64, "%llu.%llu%%", (unsigned long long)value / 10, (unsigned long long)value % 10);
	return snprintf(out, 64, "%llu%s", (unsigned long long)(unit[0] == 'K' ? value / 1024 : value), unit);
}

static void bounds_are_taken_and_what_lies_outside_is_refused(void **state)
{
	size_t count;
	const struct config_option *rows = config_options(&count);
	char text[64];

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct config_option *o = &rows[i];
		uint64_t step = o->type == OPTION_SIZE ? 1024 : 1;
		if (write_number(o, o->min, text) < 0)
			continue;
		assert_true(o->min <= o->max && o->max > 0);
		/* min-ttl at its most needs a max-ttl that is no less: the default is. */
		expect_taken(o, text);
		write_number(o, o->max, text);
		expect_taken(o, text);
		write_number(o, o->max + step, text);
		expect_refused(o, text);
		if (o->min < step)
			continue;
		write_number(o, o->min - step, text);
		expect_refused(o, text);
	}
}

static void wrong_types_are_refused_with_the_keys_name(void **state)
{
	const char *const values[] = {"[1]", "{a: b}", "", "~", "''"};
	size_t count;
	const struct config_option *rows = config_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(values); j++)
			expect_refused(&rows[i], values[j]);
		if (rows[i].type != OPTION_TEXT)
			expect_refused(&rows[i], "nonsense");
		if (option_unit(&rows[i], 0))
			expect_refused(&rows[i], "-1");
	}
}

static void every_word_is_taken(void **state)
{
	size_t count;
	const struct config_option *rows = config_options(&count);
	const char *word;

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; (word = option_word(&rows[i], j)); j++)
			expect_taken(&rows[i], word);
}

static void rows_are_complete(void **state)
{
	size_t count;
	const struct config_option *rows = config_options(&count);

	(void)state;
	assert_true(count > 20);
	for (size_t i = 0; i < count; i++) {
		assert_true(rows[i].help[0] != '\0');
		/* Printed as prose in the man page and as JSON in the schema. */
		assert_null(strpbrk(rows[i].help, "\"\\\n"));
		assert_true(rows[i].help[0] != '.' && rows[i].help[0] != '\'');
		assert_ptr_equal(option_find(rows[i].section, rows[i].key), &rows[i]);
		assert_true(rows[i].standard[0] != '\0' || rows[i].type == OPTION_TEXT);
	}
	assert_null(option_find(SECTION_cache, "port"));
	assert_null(option_find(SECTIONS, "port"));
}

static void expect_reading(enum option_section section, const char *key, const char *text, const char *expected)
{
	const struct config_option *o = option_find(section, key);
	union fields fields = {0};

	assert_non_null(o);
	if (!expected) {
		union fields untouched = {0};
		assert_false(option_read(o, text, &fields));
		assert_memory_equal(&fields, &untouched, sizeof(fields));
		return;
	}
	if (!option_read(o, text, &fields))
		fail_msg("`%s` is refused", text);
	char *result = printed(o, &fields);
	assert_string_equal(result, expected);
	free(result);
}

static void times_have_units_and_fractions(void **state)
{
	const char *const pairs[][2] = {
		{"1.8s", "1.8s"},
		{"1800ms", "1.8s"},
		{"60s", "1m"},
		{"90s", "90s"},
		{"0.5h", "30m"},
		{"60m", "1h"},
		{"2h", NULL},
		{"0.25m", "15s"},
		{"0s", "0s"},
		{"0", "0s"},
		{"0ms", "0s"},
		{"1.234ms", "1.234ms"},
		{"1.000001s", "1000.001ms"},
		{"007s", "7s"},
		{"60", NULL},
		{"60 s", NULL},
		{"s", NULL},
		{"1.s", NULL},
		{".5s", NULL},
		{"1.0000001s", NULL},
		{"1S", NULL},
		{"1s ", NULL},
		{"+1s", NULL},
		{"1e3s", NULL},
		{"0.0001ms", NULL},
		{"999999999999999d", NULL},
		{"9999999999999999s", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		expect_reading(SECTION_cache, "min-ttl", pairs[i][0], pairs[i][1]);
}

static void sizes_have_units_and_fractions(void **state)
{
	(void)state;
	expect_reading(SECTION_cache, "size", "64MiB", "64MiB");
	expect_reading(SECTION_cache, "size", "2048KiB", "2MiB");
	expect_reading(SECTION_cache, "size", "1.5GiB", "1536MiB");
	expect_reading(SECTION_cache, "size", "1.1GiB", "1153433KiB");
	expect_reading(SECTION_cache, "size", "64MB", NULL);
	expect_reading(SECTION_cache, "size", "64M", NULL);
	expect_reading(SECTION_cache, "size", "67108864", NULL);
}

static void shares_have_a_sign_and_tenths(void **state)
{
	(void)state;
	expect_reading(SECTION_cache, "prefetch", "10%", "10%");
	expect_reading(SECTION_cache, "prefetch", "12.5%", "12.5%");
	expect_reading(SECTION_cache, "prefetch", "0.1%", "0.1%");
	expect_reading(SECTION_cache, "prefetch", "12.55%", NULL);
	expect_reading(SECTION_cache, "prefetch", "0.1", NULL);
	expect_reading(SECTION_cache, "prefetch", "10", NULL);
	expect_reading(SECTION_cache, "prefetch", "0%", NULL);
}

static void off_may_be_written_false(void **state)
{
	(void)state;
	expect_reading(SECTION_cache, "prefetch", "false", "off");
	expect_reading(SECTION_cache, "serve-stale", "off", "off");
	expect_reading(SECTION_cache, "serve-stale", "False", "off");
	expect_reading(SECTION_endpoint, "hedge", "false", "off");
	expect_reading(SECTION_endpoint, "hedge", "auto", "auto");
	expect_reading(SECTION_endpoint, "hedge", "25ms", "25ms");
	expect_reading(SECTION_endpoint, "case-randomization", "false", "off");
	expect_reading(SECTION_endpoint, "case-randomization", "YES", "on");
	expect_reading(SECTION_log, "queries", "false", "off");
	expect_reading(SECTION_log, "queries", "true", NULL);
}

static void counts_are_plain_whole_numbers(void **state)
{
	(void)state;
	expect_reading(SECTION_top, "workers", "4", "4");
	expect_reading(SECTION_top, "workers", "AUTO", "auto");
	expect_reading(SECTION_top, "workers", "4.5", NULL);
	expect_reading(SECTION_top, "workers", "0x4", NULL);
	expect_reading(SECTION_top, "workers", "4.5", NULL);
	expect_reading(SECTION_top, "workers", "0", NULL);
}

static void expectations_read_as_sentences(void **state)
{
	static const struct {
		enum option_section section;
		const char *key, *expected;
	} rows[] = {
		{SECTION_top, "workers", "auto or a number from 1 to 64"},
		{SECTION_endpoint, "port", "a number from 1 to 65535"},
		{SECTION_endpoint, "policy", "spread, nearest or ordered"},
		{SECTION_endpoint, "hedge", "auto, off or a time from 1ms to 4s"},
		{SECTION_endpoint, "case-randomization", "on or off"},
		{SECTION_endpoint, "prefer-az", "a word"},
		{SECTION_cache, "size", "a size from 1MiB to 64GiB"},
		{SECTION_cache, "prefetch", "off or a share from 0.1% to 90%"},
		{SECTION_log, "queries", "off, errors or all"},
	};
	char expects[OPTION_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(option_expects(option_find(rows[i].section, rows[i].key), expects), rows[i].expected);
}

static void words_are_quoted_where_yaml_needs_it(void **state)
{
	const char *const pairs[][2] = {
		{"apne2-az1", "apne2-az1"},
		{"10.0.0.1:53", "10.0.0.1:53"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"[::1]:53", "\"[::1]:53\""},
		{"fc00::/7", "\"fc00::/7\""},
		{"null", "\"null\""},
		{"", "\"\""},
		{"-a", "\"-a\""},
		{"a b", "\"a b\""},
		{"a\"\\b\n", "\"a\\\"\\\\b\\x0a\""},
		{"${A} $B", "\"$${A} $B\""},
		{"a:", "\"a:\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);
		option_print_word(pairs[i][0], out);
		fclose(out);
		assert_string_equal(text, pairs[i][1]);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_default_is_taken_and_printed_alike),
		cmocka_unit_test(bounds_are_taken_and_what_lies_outside_is_refused),
		cmocka_unit_test(wrong_types_are_refused_with_the_keys_name),
		cmocka_unit_test(every_word_is_taken),
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(times_have_units_and_fractions),
		cmocka_unit_test(sizes_have_units_and_fractions),
		cmocka_unit_test(shares_have_a_sign_and_tenths),
		cmocka_unit_test(off_may_be_written_false),
		cmocka_unit_test(counts_are_plain_whole_numbers),
		cmocka_unit_test(expectations_read_as_sentences),
		cmocka_unit_test(words_are_quoted_where_yaml_needs_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
