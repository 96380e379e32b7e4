/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"

#include "load.h"

/* Writes the tree in a short form: words in quotes, `-` for nothing, `!` for what was refused. */
static void print_item(const struct yaml *item, FILE *out)
{
	switch (item->kind) {
	case YAML_NOTHING:
		fputc('-', out);
		return;
	case YAML_REFUSED:
		fputc('!', out);
		return;
	case YAML_WORD:
		fprintf(out, "'%s'", item->text);
		return;
	case YAML_LIST:
	case YAML_MAP:
		break;
	}
	fputc(item->kind == YAML_LIST ? '[' : '{', out);
	unsigned count = 0;
	for (const struct yaml *member = item->first; member; member = member->next, count++) {
		fputs(count > 0 ? " " : "", out);
		print_item(member, out);
		if (item->kind == YAML_MAP) {
			fputc(':', out);
			print_item(member->value, out);
		}
	}
	assert_int_equal(count, item->count);
	fputc(item->kind == YAML_LIST ? ']' : '}', out);
}

/* The tree of `text`, a newline, and the problems. */
static void expect_octets(const char *text, size_t text_len, const char *expected)
{
	struct diagnostics d;
	char *result = NULL;
	size_t len;
	FILE *out = open_memstream(&result, &len);

	diagnostics_init(&d);
	struct yaml_tree *t = yaml_tree_read(text, text_len, &d);
	if (t && yaml_tree_root(t))
		print_item(yaml_tree_root(t), out);
	else
		fputs(t ? "empty" : "none", out);
	fputc('\n', out);
	diagnostics_sort(&d);
	diagnostics_print(&d, "z", out);
	fclose(out);
	assert_string_equal(result, expected);
	free(result);
	diagnostics_deinit(&d);
	yaml_tree_free(t);
}

static void expect(const char *text, const char *expected)
{
	expect_octets(text, strlen(text), expected);
}

static void maps_lists_and_words_become_a_tree(void **state)
{
	(void)state;
	expect("a: 1\nb: [x, \"y z\", {c: d}]\ne:\n  - f\n  - g: h\n", "{'a':'1' 'b':['x' 'y z' {'c':'d'}] 'e':['f' {'g':'h'}]}\n");
	expect("just a word", "'just a word'\n");
	expect("[]", "[]\n");
	expect("{}", "{}\n");
	expect("a: |\n  two\n  lines\n", "{'a':'two\nlines\n'}\n");
}

static void nothing_is_told_from_an_empty_word(void **state)
{
	(void)state;
	expect("a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: off\n", "{'a':- 'b':- 'c':- 'd':'' 'e':'null' 'f':'off'}\n");
}

static void a_text_of_blanks_and_comments_is_empty(void **state)
{
	(void)state;
	expect("", "empty\n");
	expect("# only this\n\n", "empty\n");
	expect("---\n", "-\n");
}

static void places_count_from_one_in_characters(void **state)
{
	const char text[] = "a: 1\n\n  # more\n\"\303\274\": {b: [x,  y]}\n";
	struct diagnostics d;

	(void)state;
	diagnostics_init(&d);
	struct yaml_tree *t = yaml_tree_read(text, strlen(text), &d);
	assert_non_null(t);
	const struct yaml *key = yaml_tree_find(yaml_tree_root(t), "\303\274");
	assert_non_null(key);
	assert_int_equal(key->line, 4);
	assert_int_equal(key->column, 1);
	assert_int_equal(key->value->line, 4);
	assert_int_equal(key->value->column, 6);
	const struct yaml *list = yaml_tree_find(key->value, "b")->value;
	assert_int_equal(list->first->next->column, 15);
	assert_null(yaml_tree_find(yaml_tree_root(t), "c"));
	yaml_tree_free(t);
	diagnostics_deinit(&d);
}

static void a_key_given_twice_is_refused_with_both_places(void **state)
{
	(void)state;
	expect("a: 1\nb: 2\na: 3\n", "{'a':'1' 'b':'2'}\nz:3:1: `a` is given twice; the first is in line 1, column 1\n");
	expect("{a: 1, 'a': 2, \"a\": 3}", "{'a':'1'}\n"
					   "z:1:8: `a` is given twice; the first is in line 1, column 2\n"
					   "z:1:16: `a` is given twice; the first is in line 1, column 2\n");
	expect("x: {k: 1, k: 2}\ny: {k: 1}\n",
	       "{'x':{'k':'1'} 'y':{'k':'1'}}\nz:1:11: `k` is given twice; the first is in line 1, column 5\n");
}

static void keys_must_be_words(void **state)
{
	(void)state;
	expect("{[a]: b, c: d}", "{'c':'d'}\nz:1:2: a key must be a word\n");
	expect("? {a: b}\n: c\n", "{}\nz:1:3: a key must be a word\n");
	expect("~: c\n", "{}\nz:1:1: a key must be a word\n");
}

static void aliases_are_refused_where_they_are_used(void **state)
{
	(void)state;
	expect("a: &x 1\nb: *x\nc: [*x]\n", "{'a':'1' 'b':! 'c':[!]}\n"
					    "z:2:4: aliases (`*x`) are not used here: write the value out\n"
					    "z:3:5: aliases (`*x`) are not used here: write the value out\n");
}

static void merge_keys_are_refused(void **state)
{
	(void)state;
	expect("a: {<<: {b: c}, d: e}\n", "{'a':{'d':'e'}}\nz:1:5: merge keys (`<<`) are not used here: write the values out\n");
}

static void tags_are_refused(void **state)
{
	(void)state;
	expect("a: !!str 1\n", "{'a':!}\nz:1:4: tags (`!name`) are not used here\n");
	expect("a: !x [b]\n", "{'a':['b']}\nz:1:4: tags (`!name`) are not used here\n");
	expect("a: !x {b: c}\n", "{'a':{'b':'c'}}\nz:1:4: tags (`!name`) are not used here\n");
	expect("a: ! b\n", "{'a':'b'}\n");
}

static void a_second_document_is_refused(void **state)
{
	(void)state;
	expect("a: 1\n---\nb: 2\n", "{'a':'1'}\nz:2:1: a second document begins here; the file must be one\n");
}

static void a_zero_octet_is_refused(void **state)
{
	(void)state;
	expect("a: \"b\\0c\"\n", "{'a':!}\nz:1:4: a zero octet has no meaning here\n");
	expect_octets("a: \0b\n", 6, "none\nz:1:4: not valid YAML: control characters are not allowed\n");
}

static void a_syntax_error_stands_alone(void **state)
{
	(void)state;
	expect("a: 1\na: 2\nb: *x\nc: [1, 2\nd: 3\n",
	       "none\nz:5:2: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 4)\n");
	expect("a: 1\n\tb: 2\n", "none\nz:2:1: not valid YAML: found a tab character that violates indentation (while scanning a plain "
				 "scalar that begins in line 1)\n");
}

#define MISSING_SPACE "a space is missing behind a `:` or a `-`, or a line is indented deeper than those it belongs to"

/* What libyaml says of them helps nobody. */
static void usual_mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *place, *meant;
	} rows[] = {
		{"a:\n\tb: 2\n", "z:2:1", "a tab, where YAML takes spaces only"},
		{"a: [127.0.0.1:53, ::1]\n", "z:1:19", "an IPv6 address, or `${NAME}`, must stand in quotes here"},
		{"a: [[::1]:53]\n", "z:1:6", "an IPv6 address, or `${NAME}`, must stand in quotes here"},
		{"a: {b: ${NAME}, c: d}\n", "z:1:9", "an IPv6 address, or `${NAME}`, must stand in quotes here"},
		{"a:[x]\nb: c\n", "z:2:2", MISSING_SPACE},
		{"a: b\n  c: d\n", "z:2:4", MISSING_SPACE},
	};
	char expected[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct diagnostics d;
		diagnostics_init(&d);
		assert_null(yaml_tree_read(rows[i].text, strlen(rows[i].text), &d));
		assert_int_equal(d.count, 1);
		snprintf(expected, sizeof(expected), "z:%u:%u", d.rows[0].line, d.rows[0].column);
		assert_string_equal(expected, rows[i].place);
		snprintf(expected, sizeof(expected), "not valid YAML: %s (", rows[i].meant);
		if (strncmp(d.rows[0].sentence, expected, strlen(expected)) != 0)
			fail_msg("%s", d.rows[0].sentence);
		diagnostics_deinit(&d);
	}
}

static void octets_that_are_no_text_have_their_place(void **state)
{
	(void)state;
	expect("a: 1\nb: \"\377\"\n", "none\nz:2:5: not valid YAML: invalid leading UTF-8 octet\n");
}

static void variables_come_from_the_environment(void **state)
{
	(void)state;
	setenv("R53FWD_TEST_IP", "10.1.2.3", 1);
	setenv("R53FWD_TEST_EMPTY", "", 1);
	expect("a: ${R53FWD_TEST_IP}:53\nb: \"x${R53FWD_TEST_IP}y${R53FWD_TEST_IP}\"\n${R53FWD_TEST_IP}: c\n",
	       "{'a':'10.1.2.3:53' 'b':'x10.1.2.3y10.1.2.3' '10.1.2.3':'c'}\n");
	expect("a: ${R53FWD_TEST_EMPTY}\n", "{'a':''}\n");
}

static void a_variable_is_never_read_as_yaml(void **state)
{
	(void)state;
	setenv("R53FWD_TEST_YAML", "[a, {b: ~}] # ${HOME}", 1);
	setenv("R53FWD_TEST_NULL", "null", 1);
	expect("a: ${R53FWD_TEST_YAML}\nb: ${R53FWD_TEST_NULL}\n", "{'a':'[a, {b: ~}] # ${HOME}' 'b':'null'}\n");
}

static void an_unset_variable_is_an_error(void **state)
{
	(void)state;
	unsetenv("R53FWD_TEST_UNSET");
	expect("a: 1\nb: x${R53FWD_TEST_UNSET}\n", "{'a':'1' 'b':!}\nz:2:4: the environment variable `R53FWD_TEST_UNSET` is not set\n");
	expect("${R53FWD_TEST_UNSET}: 1\n", "{}\nz:1:1: the environment variable `R53FWD_TEST_UNSET` is not set\n");
}

static void a_dollar_that_names_nothing_stays(void **state)
{
	(void)state;
	expect("a: $HOME $ $$ 5$\nb: $${HOME} $$${\n", "{'a':'$HOME $ $$ 5$' 'b':'${HOME} $${'}\n");
}

static void half_a_variable_is_an_error(void **state)
{
	const char *const texts[] = {"a: ${", "a: ${}", "a: ${A", "a: ${A-b}", "a: ${1}", "a: ${ A }"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect(texts[i], "{'a':!}\nz:1:4: `${` must be followed by a variable's name and `}`; a literal `${` is written "
				 "`$${`\n");
}

static char *repeated(const char *piece, size_t times, const char *before)
{
	size_t len = strlen(piece);
	char *text = malloc(strlen(before) + len * times + 1), *to = stpcpy(text, before);

	for (size_t i = 0; i < times; i++)
		to = stpcpy(to, piece);
	return text;
}

static void deep_nesting_is_refused(void **state)
{
	char *good = repeated("- ", YAML_MAX_DEPTH, ""), *deep = repeated("[", 1 << 20, "a: ");

	(void)state;
	good[strlen(good) - 1] = '\n';
	struct diagnostics d;
	diagnostics_init(&d);
	struct yaml_tree *t = yaml_tree_read(good, strlen(good), &d);
	assert_non_null(t);
	yaml_tree_free(t);
	expect(deep, "none\nz:1:35: nested too deeply\n");
	free(good);
	free(deep);
}

static void too_many_values_are_refused(void **state)
{
	char *text = repeated("a,", YAML_MAX_ITEMS, "[\n");

	(void)state;
	expect(text, "none\nz:2:4194303: too many values for one file\n");
	free(text);
}

static void the_environment_cannot_make_the_file_huge(void **state)
{
	char *value = repeated("x", 100000, ""), *text = repeated("\n- ${R53FWD_TEST_HUGE}", 200, "");

	(void)state;
	setenv("R53FWD_TEST_HUGE", value, 1);
	expect(text, "none\nz:169:3: the environment makes the file too large\n");
	unsetenv("R53FWD_TEST_HUGE");
	free(value);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_lists_and_words_become_a_tree),
		cmocka_unit_test(nothing_is_told_from_an_empty_word),
		cmocka_unit_test(a_text_of_blanks_and_comments_is_empty),
		cmocka_unit_test(places_count_from_one_in_characters),
		cmocka_unit_test(a_key_given_twice_is_refused_with_both_places),
		cmocka_unit_test(keys_must_be_words),
		cmocka_unit_test(aliases_are_refused_where_they_are_used),
		cmocka_unit_test(merge_keys_are_refused),
		cmocka_unit_test(tags_are_refused),
		cmocka_unit_test(a_second_document_is_refused),
		cmocka_unit_test(a_zero_octet_is_refused),
		cmocka_unit_test(a_syntax_error_stands_alone),
		cmocka_unit_test(usual_mistakes_are_named),
		cmocka_unit_test(octets_that_are_no_text_have_their_place),
		cmocka_unit_test(variables_come_from_the_environment),
		cmocka_unit_test(a_variable_is_never_read_as_yaml),
		cmocka_unit_test(an_unset_variable_is_an_error),
		cmocka_unit_test(a_dollar_that_names_nothing_stays),
		cmocka_unit_test(half_a_variable_is_an_error),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(too_many_values_are_refused),
		cmocka_unit_test(the_environment_cannot_make_the_file_huge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
