/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a tree: libyaml's events come in the order of the text; a stack of open lists and maps says where each value belongs; a map
 * that closes gets its keys checked. Events, not libyaml's own document tree: that one has already followed the aliases, and
 * grows without a bound.
 *
 * How it can fail: the text is no YAML, or breaks a bound: that one error, no tree. Anything else is an error beside which
 * reading goes on, with a REFUSED in the place of the value, so that one slip is reported once. */
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Large enough that 100,000 zones take some hundred blocks. */
enum { BLOCK_BYTES = 256 << 10 };

/* Memory of the tree, freed whole. */
struct block {
	struct block *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

struct yaml_tree {
	struct block *blocks;
	const struct yaml *root;
};

/* A list or map whose end has not come yet. */
struct level {
	struct yaml *holder;
	struct yaml *last; /* its last member or key */
	struct yaml *key;  /* of a map: waits for its value */
};

struct building {
	struct yaml_tree *tree;
	struct diagnostics *d;
	struct level levels[YAML_MAX_DEPTH];
	size_t depth;
	size_t items;
	size_t expanded; /* octets that came from the environment */
	unsigned documents;
	bool over; /* a bound was broken: `d` holds that alone */
};

/* NULL without memory. */
static void *take(struct yaml_tree *t, size_t bytes)
{
	bytes = (bytes + 15) & ~(size_t)15;
	if (!t->blocks || t->blocks->size - t->blocks->used < bytes) {
		size_t size = MAX(bytes, (size_t)BLOCK_BYTES);
		struct block *fresh = malloc(sizeof(*fresh) + size);
		if (!fresh)
			return NULL;
		fresh->used = 0;
		fresh->size = size;
		fresh->next = t->blocks;
		t->blocks = fresh;
	}
	void *taken = t->blocks->bytes + t->blocks->used;
	t->blocks->used += bytes;
	return taken;
}

void yaml_tree_free(struct yaml_tree *t)
{
	if (!t)
		return;
	while (t->blocks) {
		struct block *next = t->blocks->next;
		free(t->blocks);
		t->blocks = next;
	}
	free(t);
}

const struct yaml *yaml_tree_root(const struct yaml_tree *t)
{
	return t->root;
}

const struct yaml *yaml_tree_find(const struct yaml *map, const char *text)
{
	for (const struct yaml *key = map->first; key; key = key->next)
		if (strcmp(key->text, text) == 0)
			return key;
	return NULL;
}

/* The one error of a text that cannot be read on. */
static void give_up(struct building *b, unsigned line, unsigned column, const char *sentence)
{
	diagnostics_deinit(b->d);
	diagnostics_add(b->d, DIAGNOSTIC_ERROR, line, column, "%s", sentence);
	b->over = true;
}

static void give_up_memory(struct building *b)
{
	diagnostics_deinit(b->d);
	diagnostics_no_memory(b->d);
	b->over = true;
}

static unsigned line_of(yaml_mark_t mark)
{
	return (unsigned)mark.line + 1;
}

static unsigned column_of(yaml_mark_t mark)
{
	return (unsigned)mark.column + 1;
}

static struct yaml *make(struct building *b, enum yaml_kind kind, yaml_mark_t mark)
{
	if (++b->items > YAML_MAX_ITEMS)
		give_up(b, line_of(mark), column_of(mark), "too many values for one file");
	struct yaml *item = take(b->tree, sizeof(*item));
	if (!item) {
		give_up_memory(b);
		return NULL;
	}
	*item = (struct yaml){.kind = kind, .line = line_of(mark), .column = column_of(mark)};
	return item;
}

#define refuse(b, item, ...)                                                                                                               \
	(diagnostics_add((b)->d, DIAGNOSTIC_ERROR, (item)->line, (item)->column, __VA_ARGS__), (item)->kind = YAML_REFUSED)

/* Hangs a finished value (or an opened one) where it belongs. In a map keys and values take turns. */
static void place(struct building *b, struct yaml *item)
{
	if (b->depth == 0) {
		b->tree->root = item;
		return;
	}
	struct level *level = &b->levels[b->depth - 1];
	if (level->key) {
		level->key->value = item;
		level->key = NULL;
		return;
	}
	if (level->last)
		level->last->next = item;
	else
		level->holder->first = item;
	level->last = item;
	level->holder->count++;
	if (level->holder->kind == YAML_MAP)
		level->key = item;
}

static void open_level(struct building *b, struct yaml *holder)
{
	place(b, holder);
	if (b->depth == YAML_MAX_DEPTH) {
		give_up(b, holder->line, holder->column, "nested too deeply");
		return;
	}
	b->levels[b->depth++] = (struct level){.holder = holder};
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml *x = *(struct yaml *const *)a, *y = *(struct yaml *const *)b;
	int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

/* Sorted, so that a map of a million keys costs no more than its share. */
static void refuse_duplicates(struct building *b, struct yaml *map)
{
	struct yaml **keys = calloc(map->count + 1, sizeof(struct yaml *));
	size_t count = 0;

	if (!keys) {
		give_up_memory(b);
		return;
	}
	for (struct yaml *key = (struct yaml *)map->first; key; key = (struct yaml *)key->next)
		if (key->kind == YAML_WORD)
			keys[count++] = key;
	qsort(keys, count, sizeof(struct yaml *), compare_keys);
	const struct yaml *first = count > 0 ? keys[0] : NULL;
	for (size_t i = 1; i < count; i++) {
		if (strcmp(first->text, keys[i]->text) != 0)
			first = keys[i];
		else
			refuse(b, keys[i], "`%.64s` is given twice; the first is in line %u, column %u", first->text, first->line,
			       first->column);
	}
	free(keys);
}

/* A key that is no word has an error of its own, or gets one here. */
static void check_key(struct building *b, struct yaml *key)
{
	if (key->kind == YAML_REFUSED)
		return;
	if (key->kind != YAML_WORD)
		refuse(b, key, "a key must be a word");
	else if (strcmp(key->text, "<<") == 0)
		refuse(b, key, "merge keys (`<<`) are not used here: write the values out");
}

/* The map is complete: only good keys stay in it, each once. */
static void close_map(struct building *b, struct yaml *map)
{
	const struct yaml **link = &map->first;

	for (struct yaml *key = (struct yaml *)map->first; key; key = (struct yaml *)key->next)
		check_key(b, key);
	refuse_duplicates(b, map);
	while (*link) {
		struct yaml *key = (struct yaml *)*link;
		if (key->kind == YAML_WORD) {
			link = &key->next;
			continue;
		}
		*link = key->next;
		map->count--;
	}
}

static void close_level(struct building *b)
{
	struct yaml *holder = b->levels[--b->depth].holder;

	ASSERT(holder);
	if (holder->kind == YAML_MAP)
		close_map(b, holder);
}

/* What one `$` stands for. Sets *value, NULL when that is an error (reported); returns how many octets it took. */
static size_t substitute(struct building *b, struct yaml *word, const char *at, const char **value)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	char name[128];

	*value = "$";
	if (at[1] != '{') {
		bool escaped = at[1] == '$' && at[2] == '{';
		*value = escaped ? "${" : "$";
		return escaped ? 3 : 1;
	}
	size_t len = strspn(at + 2, letters);
	*value = NULL;
	if (len == 0 || len >= sizeof(name) || at[2 + len] != '}' || (at[2] >= '0' && at[2] <= '9')) {
		refuse(b, word, "`${` must be followed by a variable's name and `}`; a literal `${` is written `$${`");
		return strlen(at);
	}
	memcpy(name, at + 2, len);
	name[len] = '\0';
	*value = getenv(name);
	if (!*value)
		refuse(b, word, "the environment variable `%s` is not set", name);
	return len + 3;
}

/* Replaces `${NAME}`. The value is text and stays text: it is never read as YAML. */
static void expand(struct building *b, struct yaml *word)
{
	char *grown = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&grown, &len);

	if (!out) {
		give_up_memory(b);
		return;
	}
	for (const char *at = word->text; *at != '\0';) {
		const char *value = NULL;
		size_t plain = strcspn(at, "$");
		fwrite(at, 1, plain, out);
		at += plain;
		if (*at == '\0')
			break;
		at += substitute(b, word, at, &value);
		fputs(value ? value : "", out);
	}
	bool whole = fclose(out) == 0 && grown != NULL;
	b->expanded += len;
	if (b->expanded > YAML_MAX_BYTES) {
		give_up(b, word->line, word->column, "the environment makes the file too large");
	} else {
		char *text = whole ? take(b->tree, len + 1) : NULL;
		if (text)
			memcpy(text, grown, len + 1);
		else
			give_up_memory(b);
		word->text = text;
	}
	free(grown);
}

static bool spells_nothing(const char *text)
{
	static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++)
		if (strcmp(text, spellings[i]) == 0)
			return true;
	return false;
}

static void add_scalar(struct building *b, const yaml_event_t *event)
{
	size_t len = event->data.scalar.length;
	struct yaml *word = make(b, YAML_WORD, event->start_mark);
	char *text = word ? take(b->tree, len + 1) : NULL;

	if (!text) {
		give_up_memory(b);
		return;
	}
	memcpy(text, event->data.scalar.value, len);
	text[len] = '\0';
	word->text = text;
	if (event->data.scalar.tag && strcmp((const char *)event->data.scalar.tag, "!") != 0)
		refuse(b, word, "tags (`!name`) are not used here");
	else if (memchr(text, '\0', len))
		refuse(b, word, "a zero octet has no meaning here");
	else if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && spells_nothing(text))
		word->kind = YAML_NOTHING;
	else if (strchr(text, '$'))
		expand(b, word);
	place(b, word);
}

/* `tag`: NULL in nearly all files. */
static void add_holder(struct building *b, const yaml_event_t *event, enum yaml_kind kind, const yaml_char_t *tag)
{
	struct yaml *holder = make(b, kind, event->start_mark);

	if (!holder)
		return;
	if (tag)
		diagnostics_add(b->d, DIAGNOSTIC_ERROR, holder->line, holder->column, "tags (`!name`) are not used here");
	open_level(b, holder);
}

static void add_alias(struct building *b, const yaml_event_t *event)
{
	struct yaml *item = make(b, YAML_REFUSED, event->start_mark);

	if (!item)
		return;
	refuse(b, item, "aliases (`*%.64s`) are not used here: write the value out", (const char *)event->data.alias.anchor);
	place(b, item);
}

/* A second document ends the reading: whether it is for us at all is not known. */
static bool begin_document(struct building *b, const yaml_event_t *event)
{
	if (b->documents++ == 0)
		return true;
	diagnostics_add(b->d, DIAGNOSTIC_ERROR, line_of(event->start_mark), column_of(event->start_mark),
			"a second document begins here; the file must be one");
	return false;
}

/* Returns false when reading is over. */
static bool add_event(struct building *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return begin_document(b, event);
	case YAML_SCALAR_EVENT:
		add_scalar(b, event);
		break;
	case YAML_ALIAS_EVENT:
		add_alias(b, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		add_holder(b, event, YAML_LIST, event->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		add_holder(b, event, YAML_MAP, event->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_level(b);
		break;
	case YAML_STREAM_END_EVENT:
		return false;
	default:
		break;
	}
	return !b->over;
}

/* The line with this number, up to its end. */
static const char *line_at(const char *text, size_t len, unsigned number, size_t *octets)
{
	const char *end = text + len, *stop = text;

	for (; number > 1 && (stop = memchr(text, '\n', (size_t)(end - text))) != NULL; number--)
		text = stop + 1;
	stop = memchr(text, '\n', (size_t)(end - text));
	*octets = (size_t)((stop ? stop : end) - text);
	return text;
}

/* What people have usually done who get this from libyaml; NULL: nobody knows. */
static const char *guess(const yaml_parser_t *parser, const char *text, size_t len)
{
	size_t octets;
	const char *line = line_at(text, len, line_of(parser->problem_mark), &octets), *problem = parser->problem;

	if (strstr(problem, "cannot start any token") && parser->problem_mark.column < octets && line[parser->problem_mark.column] == '\t')
		return "a tab, where YAML takes spaces only";
	if (strstr(problem, "mapping values are not allowed"))
		return "a space is missing behind a `:` or a `-`, or a line is indented deeper than those it belongs to";
	bool flow = strstr(problem, "expected node content") || strstr(problem, "expected ','");
	if (flow && (memmem(line, octets, "::", 2) || memmem(line, octets, "${", 2)))
		return "an IPv6 address, or `${NAME}`, must stand in quotes here";
	return NULL;
}

/* libyaml tells the place of most problems; of octets that are no text only their number in the file. */
static void report_problem(struct building *b, const yaml_parser_t *parser, const char *text, size_t len)
{
	if (parser->error == YAML_MEMORY_ERROR) {
		give_up_memory(b);
		return;
	}
	unsigned line = line_of(parser->problem_mark), column = column_of(parser->problem_mark);
	const char *problem = parser->problem ? parser->problem : "it cannot be read";
	char sentence[256];

	if (parser->error == YAML_READER_ERROR) {
		line = column = 1;
		for (size_t i = 0; i < MIN(parser->problem_offset, len); i++, column++) {
			if (text[i] != '\n')
				continue;
			line++;
			column = 0;
		}
	}
	const char *meant = parser->problem && parser->error != YAML_READER_ERROR ? guess(parser, text, len) : NULL;
	if (meant)
		snprintf(sentence, sizeof(sentence), "not valid YAML: %s (%s)", meant, problem);
	else if (parser->context)
		snprintf(sentence, sizeof(sentence), "not valid YAML: %s (%s that begins in line %u)", problem, parser->context,
			 line_of(parser->context_mark));
	else
		snprintf(sentence, sizeof(sentence), "not valid YAML: %s", problem);
	give_up(b, line, column, sentence);
}

struct yaml_tree *yaml_tree_read(const char *text, size_t len, struct diagnostics *d)
{
	struct building b = {.d = d};
	yaml_parser_t parser;
	bool more = true;

	b.tree = calloc(1, sizeof(*b.tree));
	if (!b.tree || yaml_parser_initialize(&parser) != 1) {
		free(b.tree);
		diagnostics_no_memory(d);
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (more) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			report_problem(&b, &parser, text, len);
			break;
		}
		more = add_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (!b.over)
		return b.tree;
	yaml_tree_free(b.tree);
	return NULL;
}
