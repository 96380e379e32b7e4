/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H
/* The rows of options.def at work: text to value, value to text, and what a value may be. */

#include "config/config.h"

enum option_type {
	OPTION_BOOL,
	OPTION_COUNT,
	OPTION_COUNTOFF,
	OPTION_AUTO,
	OPTION_SIZE,
	OPTION_TIME,
	OPTION_TIMEOFF,
	OPTION_SHAREOFF,
	OPTION_HEDGE,
	OPTION_TEXT,
	OPTION_POLICY,
	OPTION_TRANSPORT,
	OPTION_LOG_LEVEL,
	OPTION_LOG_FORMAT,
	OPTION_LOG_QUERIES,
	OPTION_TYPES
};

/* The maps that have rows. `endpoint` is one entry of inbound-endpoints and resolvers, and `probe` lies in it. */
enum option_section { SECTION_top, SECTION_endpoint, SECTION_probe, SECTION_cache, SECTION_tcp, SECTION_rate_limit, SECTION_log, SECTIONS };

enum option_reload { OPTION_LIVE, OPTION_START };

struct config_option {
	enum option_section section;
	enum option_type type;
	enum option_reload reload;
	const char *key;
	const char *standard; /* the default as one would write it; "" for a TEXT that is not set */
	const char *help;
	size_t offset;	   /* of the field in its section's struct */
	uint64_t min, max; /* in the field's unit; both 0: no range */
};

/* Longest text of option_expects, with the zero. */
enum { OPTION_TEXT_MAX = 160 };

/* All rows, section after section, in the order of the table. */
const struct config_option *config_options(size_t *count);

/* The row of `key`, or NULL. */
const struct config_option *option_find(enum option_section section, const char *key);

/* Sets every field of a section's struct (zeroed before) to its default; false without memory for a text. */
NODISCARD bool option_set_defaults(enum option_section section, void *fields);
/* Frees the texts in it. */
void option_free_texts(enum option_section section, void *fields);

/* Reads `text` into the row's field of `fields`. False when it is no such value or out of range: then the field is untouched. */
NODISCARD bool option_read(const struct config_option *o, const char *text, void *fields);

/* Prints the field as zones.conf would spell it; nothing for a TEXT that is not set. */
void option_print(const struct config_option *o, const void *fields, FILE *out);

/* Prints any text as a YAML scalar that reads back as the same text. */
void option_print_word(const char *text, FILE *out);

/* What a value must be, as the end of a sentence: "a time from 100ms to 1m", "udp or tcp"; returns `out`. */
const char *option_expects(const struct config_option *o, char out[OPTION_TEXT_MAX]);

/* The words that the value may be instead of a number, one by one (on, off, auto, udp …); NULL at the end. */
const char *option_word(const struct config_option *o, size_t i);

/* Whether option_expects names that word: of several for one value it names the first. */
bool option_tells(const struct config_option *o, size_t i);

/* The units that a number may or must have, one by one; "" is none at all; NULL at the end, and at once for what is no number. */
const char *option_unit(const struct config_option *o, size_t i);

#endif
