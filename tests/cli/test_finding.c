/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/finding.h"

enum { PRINTED_MAX = 16384, WIDEST = 100 };

static const struct finding_place somewhere = {"seoul", "az1", "10.10.1.10:53", "corp.example"};

static char *printed(const struct finding *f, bool colour)
{
	static char text[PRINTED_MAX];
	FILE *out = tmpfile();

	assert_non_null(out);
	finding_print(f, colour, out);
	rewind(out);
	text[fread(text, 1, sizeof(text) - 1, out)] = '\0';
	fclose(out);
	return text;
}

static void one(struct findings *f, enum finding_kind kind, const struct finding_place *where, const char *detail)
{
	*f = (struct findings){0};
	findings_add(f, kind, where, "%s", detail);
}

static void every_row_has_an_id_of_its_own_and_whole_sentences(void **state)
{
	(void)state;
	for (int i = 0; i < FINDING_KINDS; i++) {
		const struct finding_row *row = finding_row((enum finding_kind)i);
		for (const char *c = row->id; *c; c++)
			assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-');
		for (int k = 0; k < i; k++)
			assert_string_not_equal(row->id, finding_row((enum finding_kind)k)->id);
		const char *sentences[] = {row->seen, row->means, row->advice};
		for (size_t k = 0; k < ARRAY_SIZE(sentences); k++) {
			size_t len = strlen(sentences[k]);
			assert_true(len > 10 || strcmp(sentences[k], "{detail}.") == 0 || strcmp(sentences[k], "Nothing.") == 0);
			assert_non_null(strchr(".?", sentences[k][len - 1]));
		}
		assert_true(row->title[0] != '\0' && row->title[strlen(row->title) - 1] != '.');
	}
}

/* Filled in, no sentence has a brace left but those of zones.conf's own syntax, and none is cut. */
static void every_row_can_be_filled_in(void **state)
{
	char text[FINDING_TEXT_MAX];
	struct findings f;

	(void)state;
	for (int i = 0; i < FINDING_KINDS; i++) {
		one(&f, (enum finding_kind)i, &somewhere, "this and that");
		const struct finding_row *row = finding_row((enum finding_kind)i);
		const char *sentences[] = {row->seen, row->means, row->advice};
		for (size_t k = 0; k < ARRAY_SIZE(sentences); k++) {
			finding_fill(&f.rows[0], sentences[k], text);
			assert_null(strstr(text, "{detail}"));
			assert_null(strstr(text, "{address}"));
			assert_null(strstr(text, "{endpoint}"));
			assert_null(strstr(text, "{zone}"));
			assert_null(strstr(text, "{az}"));
			assert_non_null(strchr(".?", text[strlen(text) - 1]));
		}
		findings_free(&f);
	}
}

static void words_in_braces_are_filled_in(void **state)
{
	char text[FINDING_TEXT_MAX];
	struct findings f;

	(void)state;
	one(&f, FINDING_LOSS, &somewhere, "2 of 9");
	assert_string_equal(finding_fill(&f.rows[0], "{address} in {az} of {endpoint}: {detail} for {zone}", text),
			    "10.10.1.10:53 in az1 of seoul: 2 of 9 for corp.example");
	assert_string_equal(finding_fill(&f.rows[0], "{detail}{detail}", text), "2 of 92 of 9");
	findings_free(&f);
}

static void other_braces_stay_as_they_are(void **state)
{
	static const char *const sentences[] = {"{ip: 1, az: a}", "{", "}", "{}", "{detail", "a {b} c", "{{", ""};
	char text[FINDING_TEXT_MAX];
	struct findings f;

	(void)state;
	one(&f, FINDING_LOSS, &somewhere, "2 of 9");
	for (size_t i = 0; i < ARRAY_SIZE(sentences); i++)
		assert_string_equal(finding_fill(&f.rows[0], sentences[i], text), sentences[i]);
	findings_free(&f);
}

static void what_is_not_known_is_a_question_mark(void **state)
{
	const struct finding_place nowhere = {0};
	char text[FINDING_TEXT_MAX];
	struct findings f;

	(void)state;
	one(&f, FINDING_LOSS, &nowhere, "x");
	assert_string_equal(finding_fill(&f.rows[0], "{az} {zone}", text), "? ?");
	findings_free(&f);
}

static void long_detail_is_cut_not_overrun(void **state)
{
	char text[FINDING_TEXT_MAX], huge[3 * FINDING_TEXT_MAX];
	struct findings f;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	one(&f, FINDING_LOSS, &somewhere, huge);
	assert_true(strlen(finding_fill(&f.rows[0], "{detail}{detail}{detail}", text)) < FINDING_TEXT_MAX);
	findings_free(&f);
}

static void print_is_wrapped_and_has_all_three_paragraphs(void **state)
{
	struct findings f;

	(void)state;
	for (int i = 0; i < FINDING_KINDS; i++) {
		one(&f, (enum finding_kind)i, &somewhere, "2 of 9");
		char *text = printed(&f.rows[0], false), *rest = NULL;
		assert_non_null(strstr(text, "\n    seen   "));
		assert_non_null(strstr(text, "\n    means  "));
		assert_non_null(strstr(text, "\n    do     "));
		assert_non_null(strstr(text, finding_row((enum finding_kind)i)->id));
		for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			assert_true(strlen(line) <= WIDEST);
			assert_int_not_equal(line[strlen(line) - 1], ' ');
		}
		findings_free(&f);
	}
}

static void colour_is_there_only_when_asked_for(void **state)
{
	struct findings f;

	(void)state;
	one(&f, FINDING_LOSS, &somewhere, "2 of 9");
	assert_null(strchr(printed(&f.rows[0], false), '\033'));
	assert_non_null(strstr(printed(&f.rows[0], true), "\033[33mwarning\033[0m"));
	findings_free(&f);
}

static void json_holds_the_sentences_and_the_place(void **state)
{
	struct findings f;

	(void)state;
	one(&f, FINDING_LOSS, &somewhere, "2 of 9");
	json_t *o = finding_json(&f.rows[0]);
	assert_string_equal(json_string_value(json_object_get(o, "id")), "loss");
	assert_string_equal(json_string_value(json_object_get(o, "severity")), "warning");
	assert_string_equal(json_string_value(json_object_get(o, "address")), "10.10.1.10:53");
	assert_string_equal(json_string_value(json_object_get(o, "zone")), "corp.example");
	assert_non_null(strstr(json_string_value(json_object_get(o, "seen")), "2 of 9"));
	assert_true(json_is_string(json_object_get(o, "means")) && json_is_string(json_object_get(o, "do")));
	json_decref(o);
	findings_free(&f);
}

static void json_leaves_out_what_is_not_known(void **state)
{
	const struct finding_place nowhere = {0};
	struct findings f;

	(void)state;
	one(&f, FINDING_DAEMON, &nowhere, "x");
	json_t *o = finding_json(&f.rows[0]);
	assert_null(json_object_get(o, "zone"));
	assert_null(json_object_get(o, "endpoint"));
	json_decref(o);
	findings_free(&f);
}

static void findings_are_counted_by_severity(void **state)
{
	struct findings f = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		findings_add(&f, i % 2 ? FINDING_LOSS : FINDING_PATH_SILENT, &somewhere, "%d", i);
	findings_add(&f, FINDING_DAEMON, &somewhere, "%s", "");
	assert_int_equal(findings_count(&f, FINDING_PROBLEM), 50);
	assert_int_equal(findings_count(&f, FINDING_WARNING), 50);
	assert_int_equal(findings_count(&f, FINDING_NOTE), 1);
	findings_free(&f);
	assert_int_equal(findings_count(&f, FINDING_PROBLEM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_an_id_of_its_own_and_whole_sentences),
		cmocka_unit_test(every_row_can_be_filled_in),
		cmocka_unit_test(words_in_braces_are_filled_in),
		cmocka_unit_test(other_braces_stay_as_they_are),
		cmocka_unit_test(what_is_not_known_is_a_question_mark),
		cmocka_unit_test(long_detail_is_cut_not_overrun),
		cmocka_unit_test(print_is_wrapped_and_has_all_three_paragraphs),
		cmocka_unit_test(colour_is_there_only_when_asked_for),
		cmocka_unit_test(json_holds_the_sentences_and_the_place),
		cmocka_unit_test(json_leaves_out_what_is_not_known),
		cmocka_unit_test(findings_are_counted_by_severity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
