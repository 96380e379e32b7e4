/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/finding.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "server/jsontext.h"

enum { COLUMNS = 100, LABEL_COLUMNS = 7, INDENT = 4, DETAIL_MAX = 1024 };

static const struct finding_row rows[] = {
#define FINDING(value, id, severity, title, seen, means, advice) {id, title, seen, means, advice, FINDING_##severity},
#include "tables/findings.def"
#undef FINDING
};

const struct finding_row *finding_row(enum finding_kind kind)
{
	ASSERT((size_t)kind < ARRAY_SIZE(rows));
	return &rows[kind];
}

const char *finding_severity_name(enum finding_severity severity)
{
	static const char *const names[] = {[FINDING_PROBLEM] = "problem", [FINDING_WARNING] = "warning", [FINDING_NOTE] = "note"};

	return names[severity];
}

/* ---- the list */

static char *copy(const char *text)
{
	char *copied = text ? strdup(text) : NULL;

	ASSERT(copied || !text);
	return copied;
}

void findings_add(struct findings *f, enum finding_kind kind, const struct finding_place *where, const char *detail, ...)
{
	char text[DETAIL_MAX];
	va_list args;

	va_start(args, detail);
	int len = vsnprintf(text, sizeof(text), detail, args);
	va_end(args);
	if (f->count == f->allocated) {
		f->allocated = f->allocated * 2 + 16;
		f->rows = realloc(f->rows, f->allocated * sizeof(*f->rows));
		ASSERT(f->rows);
	}
	f->rows[f->count++] = (struct finding){.kind = kind,
					       .endpoint = copy(where->endpoint),
					       .az = copy(where->az),
					       .address = copy(where->address),
					       .zone = copy(where->zone),
					       .detail = copy(len > 0 ? text : "")};
}

void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->rows[i].endpoint);
		free(f->rows[i].az);
		free(f->rows[i].address);
		free(f->rows[i].zone);
		free(f->rows[i].detail);
	}
	free(f->rows);
	*f = (struct findings){0};
}

size_t findings_count(const struct findings *f, enum finding_severity severity)
{
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++)
		count += rows[f->rows[i].kind].severity == severity;
	return count;
}

/* ---- sentences */

/* What a word in braces stands for; NULL: it is no such word. */
static const char *meaning(const struct finding *f, const char *word, size_t len)
{
	const struct {
		const char *word, *text;
	} words[] = {{"endpoint", f->endpoint}, {"az", f->az}, {"address", f->address}, {"zone", f->zone}, {"detail", f->detail}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].word) == len && memcmp(words[i].word, word, len) == 0)
			return words[i].text ? words[i].text : "?";
	return NULL;
}

const char *finding_fill(const struct finding *f, const char *sentence, char out[FINDING_TEXT_MAX])
{
	struct strbuf s;

	strbuf_init(&s, out, FINDING_TEXT_MAX);
	while (*sentence != '\0') {
		size_t plain = strcspn(sentence, "{"), word = strcspn(sentence + plain, "}");
		bool braces = sentence[plain] == '{' && sentence[plain + word] == '}';
		const char *text = braces ? meaning(f, sentence + plain + 1, word - 1) : NULL;
		if (text == NULL && sentence[plain] == '{')
			plain++;
		strbuf_addf(&s, "%.*s", (int)plain, sentence);
		sentence += plain;
		if (text != NULL) {
			strbuf_add(&s, text);
			sentence += word + 1;
		}
	}
	return out;
}

/* A paragraph, broken at blanks. */
static void print_wrapped(const char *label, const char *text, FILE *out)
{
	int column = fprintf(out, "%*s%-*s", INDENT, "", LABEL_COLUMNS, label);

	for (bool first = true; *text != '\0'; first = false) {
		int len = (int)strcspn(text, " ");
		if (!first && column + 1 + len > COLUMNS)
			column = fprintf(out, "\n%*s", INDENT + LABEL_COLUMNS, "") - 1;
		else if (!first)
			column += fprintf(out, " ");
		column += fprintf(out, "%.*s", len, text);
		text += len + (text[len] == ' ');
	}
	fputc('\n', out);
}

void finding_print(const struct finding *f, bool colour, FILE *out)
{
	static const char *const heads[] = {[FINDING_PROBLEM] = "PROBLEM", [FINDING_WARNING] = "warning", [FINDING_NOTE] = "note"};
	static const char *const colours[] = {[FINDING_PROBLEM] = "31", [FINDING_WARNING] = "33", [FINDING_NOTE] = "36"};
	const struct finding_row *row = finding_row(f->kind);
	char text[FINDING_TEXT_MAX];

	if (colour)
		fprintf(out, "  \033[%sm%s\033[0m", colours[row->severity], heads[row->severity]);
	else
		fprintf(out, "  %s", heads[row->severity]);
	fprintf(out, "  %s  [%s]\n", row->title, row->id);
	print_wrapped("seen", finding_fill(f, row->seen, text), out);
	print_wrapped("means", finding_fill(f, row->means, text), out);
	print_wrapped("do", finding_fill(f, row->advice, text), out);
}

struct json_t *finding_json(const struct finding *f)
{
	const struct finding_row *row = finding_row(f->kind);
	json_t *o = json_object();
	char text[FINDING_TEXT_MAX];
	const struct {
		const char *key, *text;
	} places[] = {{"endpoint", f->endpoint}, {"az", f->az}, {"address", f->address}, {"zone", f->zone}};

	json_object_set_new(o, "id", json_string(row->id));
	json_object_set_new(o, "severity", json_string(finding_severity_name(row->severity)));
	json_object_set_new(o, "title", json_string(row->title));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i].text)
			json_object_set_new(o, places[i].key, jsontext_new(places[i].text));
	json_object_set_new(o, "seen", jsontext_new(finding_fill(f, row->seen, text)));
	json_object_set_new(o, "means", jsontext_new(finding_fill(f, row->means, text)));
	json_object_set_new(o, "do", jsontext_new(finding_fill(f, row->advice, text)));
	return o;
}
