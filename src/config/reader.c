/* SPDX-License-Identifier: Apache-2.0 */
#include "config/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"

void *reader_allocate(struct reading *r, size_t count, size_t bytes)
{
	void *memory = calloc(MAX(count, (size_t)1), bytes);

	if (!memory)
		diagnostics_no_memory(r->d);
	return memory;
}

char *reader_copy(struct reading *r, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		diagnostics_no_memory(r->d);
	return copy;
}

PRINTF_LIKE(4, 0)
static void add(struct reading *r, enum diagnostic_kind kind, const struct yaml *at, const char *format, va_list arguments)
{
	char *sentence = NULL;
	int len = vasprintf(&sentence, format, arguments);

	if (len < 0) {
		diagnostics_no_memory(r->d);
		return;
	}
	diagnostics_add(r->d, kind, at->line, at->column, "%s", sentence);
	free(sentence);
}

void reader_error(struct reading *r, const struct yaml *at, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(r, DIAGNOSTIC_ERROR, at, format, arguments);
	va_end(arguments);
}

void reader_warning(struct reading *r, const struct yaml *at, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(r, DIAGNOSTIC_WARNING, at, format, arguments);
	va_end(arguments);
}

const char *reader_shown(const struct yaml *item, char out[READER_SHOWN_MAX])
{
	enum { TEXT_MAX = 64 };

	switch (item->kind) {
	case YAML_WORD:
		if (strlen(item->text) <= TEXT_MAX)
			snprintf(out, READER_SHOWN_MAX, "`%s`", item->text);
		else
			snprintf(out, READER_SHOWN_MAX, "`%.*s...`", TEXT_MAX, item->text);
		return out;
	case YAML_LIST:
		return "a list";
	case YAML_MAP:
		return "a map";
	default:
		return "nothing";
	}
}

const struct yaml *reader_expect(struct reading *r, const struct yaml *key, enum yaml_kind kind, const char *expected)
{
	const struct yaml *value = key->value;
	char shown[READER_SHOWN_MAX];

	if (value->kind == kind)
		return value;
	if (value->kind != YAML_REFUSED)
		reader_error(r, value, "`%s` must be %s, not %s", key->text, expected, reader_shown(value, shown));
	return NULL;
}

const struct yaml *reader_expect_list(struct reading *r, const struct yaml *key, unsigned min, unsigned max)
{
	const struct yaml *list = reader_expect(r, key, YAML_LIST, "a list");

	if (!list)
		return NULL;
	if (list->count >= min && list->count <= max)
		return list;
	if (list->count < min)
		reader_error(r, list, "`%s` must not be empty", key->text);
	else
		reader_error(r, list, "`%s` has %u members; %u is the most", key->text, list->count, max);
	return NULL;
}

const char *reader_member(struct reading *r, const struct yaml *member, const char *expected)
{
	char shown[READER_SHOWN_MAX];

	if (member->kind == YAML_WORD && member->text[0] != '\0')
		return member->text;
	if (member->kind != YAML_REFUSED)
		reader_error(r, member, "must be %s, not %s", expected, reader_shown(member, shown));
	return NULL;
}

bool reader_address(struct reading *r, const struct yaml *word, uint16_t port, const char *expected, struct addr *a)
{
	char shown[READER_SHOWN_MAX];
	int error = addr_parse(a, word->text, port);

	if (error == -ENODEV)
		reader_error(r, word, "%s: this host has no such interface (now)", reader_shown(word, shown));
	else if (error < 0)
		reader_error(r, word, "must be %s, not %s", expected, reader_shown(word, shown));
	return error == 0;
}

bool reader_network(struct reading *r, const struct yaml *member, struct cidr *network)
{
	static const char expected[] = "a network (IP/BITS) or an IP address";
	const char *text = reader_member(r, member, expected);
	char shown[READER_SHOWN_MAX], meant[CIDR_TEXT_MAX];

	if (!text)
		return false;
	int result = cidr_parse(network, text);
	if (result == -EDOM)
		reader_error(r, member, "%s has host bits set (did you mean `%s`?)", reader_shown(member, shown),
			     cidr_format(network, meant));
	else if (result < 0)
		reader_error(r, member, "must be %s, not %s", expected, reader_shown(member, shown));
	return result == 0;
}

static const struct reader *find_reader(const struct reader_shape *shape, const char *key)
{
	for (const struct reader *reader = shape->readers; reader->key; reader++)
		if (strcmp(reader->key, key) == 0)
			return reader;
	return NULL;
}

static void report_unknown(struct reading *r, const struct yaml *key, const struct reader_shape *shape)
{
	char shown[READER_SHOWN_MAX], hint[SUGGEST_TEXT_MAX];
	struct suggest nearest;
	size_t count;
	const struct config_option *rows = config_options(&count);

	suggest_init(&nearest, key->text);
	for (size_t i = 0; i < count; i++)
		if (rows[i].section == shape->section)
			suggest_offer(&nearest, rows[i].key);
	for (const struct reader *reader = shape->readers; reader->key; reader++)
		suggest_offer(&nearest, reader->key);
	reader_error(r, key, "unknown key %s in %s%s", reader_shown(key, shown), shape->what, suggest_hint(&nearest, hint));
}

/* Words and their nearest, and the unit that was forgotten: what a wrong value's error says beyond "must be". */
static void report_value(struct reading *r, const struct yaml *key, const struct config_option *o)
{
	char shown[READER_SHOWN_MAX], expects[OPTION_TEXT_MAX], hint[SUGGEST_TEXT_MAX] = "";
	const struct yaml *value = key->value;

	if (value->kind == YAML_REFUSED)
		return;
	if (value->kind == YAML_WORD) {
		struct suggest nearest;
		const char *word;
		suggest_init(&nearest, value->text);
		for (size_t i = 0; (word = option_word(o, i)); i++)
			if (option_tells(o, i))
				suggest_offer(&nearest, word);
		suggest_hint(&nearest, hint);
	}
	reader_error(r, value, "`%s` must be %s, not %s%s", key->text, option_expects(o, expects), reader_shown(value, shown), hint);
}

static void read_option(struct reading *r, const struct yaml *key, const struct config_option *o, void *fields)
{
	if (key->value->kind == YAML_WORD && option_read(o, key->value->text, fields))
		return;
	/* Of a text nothing is wrong but its absence. */
	if (key->value->kind == YAML_WORD && o->type == OPTION_TEXT && key->value->text[0] != '\0')
		diagnostics_no_memory(r->d);
	else
		report_value(r, key, o);
}

bool reader_map(struct reading *r, const struct yaml *map, const char *name, const struct reader_shape *shape, void *into)
{
	char shown[READER_SHOWN_MAX];

	if (map->kind != YAML_MAP) {
		if (map->kind != YAML_REFUSED)
			reader_error(r, map, "%s must be a map of keys, not %s", name, reader_shown(map, shown));
		return false;
	}
	for (const struct yaml *key = map->first; key; key = key->next) {
		const struct config_option *o = option_find(shape->section, key->text);
		if (o)
			read_option(r, key, o, (char *)into + shape->fields);
		else if (!find_reader(shape, key->text))
			report_unknown(r, key, shape);
	}
	for (const struct reader *reader = shape->readers; reader->key; reader++) {
		const struct yaml *key = yaml_tree_find(map, reader->key);
		if (key)
			reader->read(r, key, into);
	}
	return true;
}

bool reader_section(struct reading *r, const struct yaml *key, const struct reader_shape *shape, void *into)
{
	char name[READER_SHOWN_MAX];

	return reader_map(r, key->value, reader_shown(key, name), shape, into);
}
