/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diagnostic.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void diagnostics_init(struct diagnostics *d)
{
	memset(d, 0, sizeof(*d));
}

void diagnostics_deinit(struct diagnostics *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->rows[i].sentence);
	free(d->rows);
	memset(d, 0, sizeof(*d));
}

/* Sentences quote the file, which may hold anything ("\e[2J" in quotes is legal YAML), and end in a terminal. */
static char *escape(const char *text)
{
	char *out = malloc(strlen(text) * (UTF8_SHOWN_MAX - 1) + 1), *to = out;

	if (!out)
		return NULL;
	*to = '\0';
	for (; *text != '\0'; to += strlen(to))
		text += utf8_show(text, to);
	return out;
}

static void count_one(struct diagnostics *d, enum diagnostic_kind kind)
{
	if (kind == DIAGNOSTIC_ERROR)
		d->errors++;
}

void diagnostics_no_memory(struct diagnostics *d)
{
	d->errors++;
	d->no_memory = true;
}

/* Room for one more: the array doubles at each power of two. */
static bool make_room(struct diagnostics *d)
{
	if ((d->count & (d->count - 1)) != 0)
		return true;
	struct diagnostic *rows = reallocarray(d->rows, d->count ? d->count * 2 : 1, sizeof(*d->rows));
	if (!rows)
		return false;
	d->rows = rows;
	return true;
}

void diagnostics_add(struct diagnostics *d, enum diagnostic_kind kind, unsigned line, unsigned column, const char *format, ...)
{
	char *sentence = NULL;
	va_list arguments;

	count_one(d, kind);
	if (d->count == DIAGNOSTICS_MAX) {
		d->left_out++;
		return;
	}
	va_start(arguments, format);
	int len = vasprintf(&sentence, format, arguments);
	va_end(arguments);
	char *escaped = len >= 0 ? escape(sentence) : NULL;
	if (len >= 0)
		free(sentence);
	if (escaped && make_room(d)) {
		d->rows[d->count++] = (struct diagnostic){kind, line, column, escaped};
		return;
	}
	free(escaped);
	diagnostics_no_memory(d);
}

static int compare(const void *a, const void *b)
{
	const struct diagnostic *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->sentence, y->sentence);
}

void diagnostics_sort(struct diagnostics *d)
{
	if (d->count > 0)
		qsort(d->rows, d->count, sizeof(*d->rows), compare);
}

void diagnostics_print(const struct diagnostics *d, const char *file, FILE *out)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct diagnostic *row = &d->rows[i];
		const char *kind = row->kind == DIAGNOSTIC_WARNING ? "warning: " : "";
		if (row->line > 0)
			fprintf(out, "%s:%u:%u: %s%s\n", file, row->line, row->column, kind, row->sentence);
		else
			fprintf(out, "%s: %s%s\n", file, kind, row->sentence);
	}
	if (d->no_memory)
		fprintf(out, "%s: out of memory\n", file);
	if (d->left_out > 0)
		fprintf(out, "%s: and %zu more\n", file, d->left_out);
}
