/* SPDX-License-Identifier: Apache-2.0 */
/* A type is a row too: where its values are stored, how they are measured, which words stand for which values. Every value but a text
 * fits into an int64_t on its way between text and field. */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum storage { STORE_BOOL, STORE_U32, STORE_U64, STORE_I64, STORE_TEXT };

struct unit {
	const char *name; /* NULL ends */
	int64_t factor;
	bool fraction; /* when printing: 1.8s, but 90s rather than 1.5m */
};

struct word {
	const char *name; /* NULL ends; of several names of a value the first is printed */
	int64_t value;
};

struct measure {
	enum storage storage;
	const struct unit *units; /* the smallest first; NULL: words only */
	const struct word *words;
	const char *noun; /* of what has units */
};

static const struct unit plain_units[] = {{"", 1, false}, {NULL, 0, false}};
static const struct unit size_units[] = {{"KiB", 1 << 10, false}, {"MiB", 1 << 20, false}, {"GiB", 1 << 30, false}, {NULL, 0, false}};
static const struct unit time_units[] = {{"ms", US_PER_MS, true},
					 {"s", US_PER_S, true},
					 {"m", INT64_C(60) * US_PER_S, false},
					 {"h", INT64_C(3600) * US_PER_S, false},
					 {"d", INT64_C(86400) * US_PER_S, false},
					 {NULL, 0, false}};
static const struct unit share_units[] = {{"%", 10, true}, {NULL, 0, false}};

/* YAML 1.1 has six words for a bool; a value that can be `off` may be written `false`. */
static const struct word no_words[] = {{NULL, 0}};
static const struct word bool_words[] = {{"on", 1}, {"off", 0}, {"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {NULL, 0}};
static const struct word auto_words[] = {{"auto", 0}, {NULL, 0}};
static const struct word off_words[] = {{"off", 0}, {"false", 0}, {"no", 0}, {NULL, 0}};
static const struct word hedge_words[] = {{"auto", CONFIG_HEDGE_AUTO}, {"off", 0}, {"false", 0}, {"no", 0}, {NULL, 0}};
static const struct word policy_words[] = {
#define POLICY(value, name, ...) {name, POLICY_##value},
#include "tables/policies.def"
#undef POLICY
	{NULL, 0}};
static const struct word transport_words[] = {
#define TRANSPORT(value, name, ...) {name, TRANSPORT_##value},
#include "tables/transports.def"
#undef TRANSPORT
	{NULL, 0}};
static const struct word log_level_words[] = {
	{"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
static const struct word log_format_words[] = {{"text", LOG_TEXT}, {"json", LOG_JSON}, {NULL, 0}};
static const struct word log_queries_words[] = {{"off", LOG_QUERIES_OFF},   {"errors", LOG_QUERIES_ERRORS}, {"all", LOG_QUERIES_ALL},
						{"false", LOG_QUERIES_OFF}, {"no", LOG_QUERIES_OFF},	    {NULL, 0}};

static const struct measure measures[OPTION_TYPES] = {
	[OPTION_BOOL] = {STORE_BOOL, NULL, bool_words, NULL},
	[OPTION_COUNT] = {STORE_U32, plain_units, no_words, "a number"},
	[OPTION_COUNTOFF] = {STORE_U32, plain_units, off_words, "a number"},
	[OPTION_AUTO] = {STORE_U32, plain_units, auto_words, "a number"},
	[OPTION_SIZE] = {STORE_U64, size_units, no_words, "a size"},
	[OPTION_TIME] = {STORE_U64, time_units, no_words, "a time"},
	[OPTION_TIMEOFF] = {STORE_U64, time_units, off_words, "a time"},
	[OPTION_SHAREOFF] = {STORE_U32, share_units, off_words, "a share"},
	[OPTION_HEDGE] = {STORE_I64, time_units, hedge_words, "a time"},
	[OPTION_TEXT] = {STORE_TEXT, NULL, no_words, NULL},
	[OPTION_POLICY] = {STORE_U32, NULL, policy_words, NULL},
	[OPTION_TRANSPORT] = {STORE_U32, NULL, transport_words, NULL},
	[OPTION_LOG_LEVEL] = {STORE_U32, NULL, log_level_words, NULL},
	[OPTION_LOG_FORMAT] = {STORE_U32, NULL, log_format_words, NULL},
	[OPTION_LOG_QUERIES] = {STORE_U32, NULL, log_queries_words, NULL},
};

_Static_assert(sizeof(enum policy_kind) == sizeof(uint32_t) && sizeof(enum log_level) == sizeof(uint32_t), "enums are stored as 32 bits");

/* Which struct a section's rows lie in. */
#define STRUCT_top struct config_top
#define STRUCT_endpoint struct config_endpoint_options
#define STRUCT_probe struct config_probe
#define STRUCT_cache struct config_cache
#define STRUCT_tcp struct config_tcp
#define STRUCT_rate_limit struct config_rate_limit
#define STRUCT_log struct config_log

static const struct config_option rows[] = {
#define OPTION(section, key, field, type, standard, min, max, reload, help)                                                                \
	{SECTION_##section, OPTION_##type,  OPTION_##reload, key, standard, help, offsetof(STRUCT_##section, field),                       \
	 (uint64_t)(min),   (uint64_t)(max)},
#include "tables/options.def"
#undef OPTION
};

const struct config_option *config_options(size_t *count)
{
	*count = ARRAY_SIZE(rows);
	return rows;
}

const struct config_option *option_find(enum option_section section, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].section == section && strcmp(rows[i].key, key) == 0)
			return &rows[i];
	return NULL;
}

static void store(const struct config_option *o, void *fields, int64_t value)
{
	void *field = (char *)fields + o->offset;

	switch (measures[o->type].storage) {
	case STORE_BOOL:
		*(bool *)field = value != 0;
		break;
	case STORE_U32:
		*(uint32_t *)field = (uint32_t)value;
		break;
	case STORE_U64:
		*(uint64_t *)field = (uint64_t)value;
		break;
	case STORE_I64:
		*(int64_t *)field = value;
		break;
	case STORE_TEXT:
		break;
	}
}

static int64_t load(const struct config_option *o, const void *fields)
{
	const void *field = (const char *)fields + o->offset;

	switch (measures[o->type].storage) {
	case STORE_BOOL:
		return *(const bool *)field;
	case STORE_U32:
		return *(const uint32_t *)field;
	case STORE_U64:
		return (int64_t) * (const uint64_t *)field;
	case STORE_I64:
		return *(const int64_t *)field;
	case STORE_TEXT:
		break;
	}
	return 0;
}

/* Ten to the power of 6 is the finest fraction: with a day as its unit the product still fits. */
enum { FRACTION_DIGITS = 6 };

/* Reads digits with, perhaps, a fraction, in units of `factor`. Refuses what does not fit, and what is finer than the field; only
 * sizes are cut, to whole KiB, since no tenth of a GiB is a whole number of octets. */
static bool read_number(const char *text, size_t len, int64_t factor, bool is_size, int64_t *value)
{
	size_t digits = strspn(text, "0123456789"), fraction_digits = 0;
	int64_t whole = 0, fraction = 0, scale = 1;

	if (digits == 0 || digits > 15)
		return false;
	if (text[digits] == '.') {
		fraction_digits = strspn(text + digits + 1, "0123456789");
		if (fraction_digits == 0 || fraction_digits > FRACTION_DIGITS)
			return false;
	}
	if (digits + (fraction_digits ? fraction_digits + 1 : 0) != len)
		return false;
	for (size_t i = 0; i < digits; i++)
		whole = whole * 10 + (text[i] - '0');
	for (size_t i = 0; i < fraction_digits; i++, scale *= 10)
		fraction = fraction * 10 + (text[digits + 1 + i] - '0');
	if ((fraction * factor % scale != 0 && !is_size) || __builtin_mul_overflow(whole, factor, &whole) ||
	    __builtin_add_overflow(whole, fraction * factor / scale, value))
		return false;
	if (is_size)
		*value -= *value % size_units[0].factor;
	return true;
}

static bool read_measured(const struct unit *units, const char *text, int64_t *value)
{
	size_t number = strspn(text, "0123456789.");

	/* Zero is zero in any unit. */
	if (strcmp(text, "0") == 0) {
		*value = 0;
		return true;
	}
	for (const struct unit *unit = units; unit->name; unit++)
		if (strcmp(text + number, unit->name) == 0)
			return read_number(text, number, unit->factor, units == size_units, value);
	return false;
}

static bool read_word(const struct word *words, const char *text, int64_t *value)
{
	for (const struct word *word = words; word->name; word++) {
		if (strcasecmp(text, word->name) != 0)
			continue;
		*value = word->value;
		return true;
	}
	return false;
}

static bool read_value(const struct config_option *o, const char *text, int64_t *value)
{
	const struct measure *m = &measures[o->type];

	if (read_word(m->words, text, value))
		return true;
	return m->units && read_measured(m->units, text, value) && *value >= (int64_t)o->min && *value <= (int64_t)o->max;
}

bool option_read(const struct config_option *o, const char *text, void *fields)
{
	int64_t value;

	if (o->type == OPTION_TEXT) {
		char **field = (void *)((char *)fields + o->offset);
		char *copy = text[0] != '\0' ? strdup(text) : NULL;
		if (!copy)
			return false;
		free(*field);
		*field = copy;
		return true;
	}
	if (!read_value(o, text, &value))
		return false;
	store(o, fields, value);
	return true;
}

bool option_set_defaults(enum option_section section, void *fields)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].section != section || rows[i].standard[0] == '\0')
			continue;
		bool good = option_read(&rows[i], rows[i].standard, fields);
		ASSERT(good || rows[i].type == OPTION_TEXT);
		if (!good)
			return false;
	}
	return true;
}

void option_free_texts(enum option_section section, void *fields)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].section != section || rows[i].type != OPTION_TEXT)
			continue;
		char **field = (void *)((char *)fields + rows[i].offset);
		free(*field);
		*field = NULL;
	}
}

/* The value in the largest unit that shows it exactly and plainly. */
static void format_measured(const struct unit *units, int64_t value, char out[OPTION_TEXT_MAX])
{
	const struct unit *best = units;

	for (const struct unit *unit = units + 1; unit->name; unit++)
		if (value >= unit->factor && (value % unit->factor == 0 || (unit->fraction && value % (unit->factor / 1000) == 0)))
			best = unit;
	/* Zero minutes are zero seconds, which is how people write it. */
	if (value == 0 && units == time_units)
		best = units + 1;
	int64_t whole = value / best->factor, rest = value % best->factor;
	if (rest == 0) {
		snprintf(out, OPTION_TEXT_MAX, "%lld%s", (long long)whole, best->name);
		return;
	}
	char digits[FRACTION_DIGITS + 1];
	snprintf(digits, sizeof(digits), "%06lld", (long long)(rest * 1000000 / best->factor));
	for (size_t i = FRACTION_DIGITS; digits[i - 1] == '0'; i--)
		digits[i - 1] = '\0';
	snprintf(out, OPTION_TEXT_MAX, "%lld.%s%s", (long long)whole, digits, best->name);
}

/* A character that needs no quotes anywhere in a YAML scalar. */
static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("-_./", c));
}

/* No quotes: a letter or digit and what follows plainly; a single colon may stand before a port. */
static bool needs_quotes(const char *text)
{
	static const char *const taken[] = {"null", "Null", "NULL"};
	const char *at = text;

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (strcmp(text, taken[i]) == 0)
			return true;
	if (!is_bare(*at) || *at == '-')
		return true;
	while (is_bare(*at) || (*at == ':' && at[1] >= '0' && at[1] <= '9' && !strchr(at + 1, ':')))
		at++;
	return *at != '\0';
}

void option_print_word(const char *text, FILE *out)
{
	if (!needs_quotes(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if ((unsigned char)*at < ' ' || *at == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*at);
		else if (*at == '$' && at[1] == '{')
			fputs("$$", out);
		else
			fputc(*at, out);
	}
	fputc('"', out);
}

void option_print(const struct config_option *o, const void *fields, FILE *out)
{
	const struct measure *m = &measures[o->type];
	char text[OPTION_TEXT_MAX];

	if (o->type == OPTION_TEXT) {
		const char *const *field = (const void *)((const char *)fields + o->offset);
		if (*field)
			option_print_word(*field, out);
		return;
	}
	int64_t value = load(o, fields);
	for (const struct word *word = m->words; word->name; word++) {
		if (word->value != value)
			continue;
		fputs(word->name, out);
		return;
	}
	ASSERT(m->units);
	format_measured(m->units, value, text);
	fputs(text, out);
}

const char *option_word(const struct config_option *o, size_t i)
{
	return measures[o->type].words[i].name;
}

const char *option_unit(const struct config_option *o, size_t i)
{
	const struct unit *units = measures[o->type].units;

	return units ? units[i].name : NULL;
}

/* The names worth telling: one for each value. */
static bool is_first_name(const struct word *words, const struct word *word)
{
	for (const struct word *earlier = words; earlier != word; earlier++)
		if (earlier->value == word->value)
			return false;
	return true;
}

bool option_tells(const struct config_option *o, size_t i)
{
	const struct word *words = measures[o->type].words;

	return is_first_name(words, &words[i]);
}

const char *option_expects(const struct config_option *o, char out[OPTION_TEXT_MAX])
{
	const struct measure *m = &measures[o->type];
	const char *parts[16];
	char min[OPTION_TEXT_MAX], max[OPTION_TEXT_MAX], range[2 * OPTION_TEXT_MAX + 32];
	size_t count = 0, len = 0;

	for (const struct word *word = m->words; word->name; word++)
		if (is_first_name(m->words, word))
			parts[count++] = word->name;
	if (m->units) {
		format_measured(m->units, (int64_t)o->min, min);
		format_measured(m->units, (int64_t)o->max, max);
		snprintf(range, sizeof(range), "%s from %s to %s", m->noun, min, max);
		parts[count++] = range;
	}
	if (count == 0)
		parts[count++] = "a word";
	for (size_t i = 0; i < count && len < OPTION_TEXT_MAX; i++) {
		const char *join = i == 0 ? "" : i + 1 == count ? " or " : ", ";
		len += (size_t)snprintf(out + len, OPTION_TEXT_MAX - len, "%s%s", join, parts[i]);
	}
	return out;
}
