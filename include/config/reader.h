/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H
/* How a map of zones.conf is read: its scalars by the rows of options.def, the rest by readers, one for each key. A new key is a
 * row there or a reader in one of the lists; unknown keys, hints and wrong types come by themselves. */

#include "config/config.h"
#include "config/option.h"
#include "config/yaml.h"

enum { READING_RESERVED = 6 };

/* One zones.conf being read. */
struct reading {
	struct config *config;
	struct diagnostics *d;
	size_t zones_allocated;
	struct name reserved[READING_RESERVED]; /* names that cannot be routed */
	bool listen_given;			/* the caller said where we listen: the file's `listen:` is checked, not taken */
	bool endpoints_wrong; /* inbound-endpoints or resolvers is no map: their names are not known, so no word on them */
};

/* Reads the value of one key; `into` is what reader_map was given. */
struct reader {
	const char *key;
	void (*read)(struct reading *r, const struct yaml *key, void *into);
};

/* What a map may hold. Readers run in the order of this list, after the rows. */
struct reader_shape {
	const char *what;	      /* for sentences: "an endpoint" */
	enum option_section section;  /* SECTIONS: it has no rows */
	size_t fields;		      /* offset of the section's struct in `into` */
	const struct reader *readers; /* ends with a NULL key */
};

/* Reads `map` into `into`. `name` is what sentences call it. False when it is not a map at all (reported). */
bool reader_map(struct reading *r, const struct yaml *map, const char *name, const struct reader_shape *shape, void *into);

/* The same as a reader would be given it: the value of `key`. */
bool reader_section(struct reading *r, const struct yaml *key, const struct reader_shape *shape, void *into);

/* The value of `key` if it is of this kind; otherwise reports that the key takes `expected`, and returns NULL. */
const struct yaml *reader_expect(struct reading *r, const struct yaml *key, enum yaml_kind kind, const char *expected);

/* The same for a list, which must have `min` to `max` members. */
const struct yaml *reader_expect_list(struct reading *r, const struct yaml *key, unsigned min, unsigned max);

/* The text of a member of a list, or NULL (reported). `expected` as above. */
const char *reader_member(struct reading *r, const struct yaml *member, const char *expected);

/* The address that a word says, with this port unless it has one; else an error: that it "must be `expected`", or that its interface is not
 * there. */
bool reader_address(struct reading *r, const struct yaml *word, uint16_t port, const char *expected, struct addr *a);

/* A member of a list that is a network or a bare address. False when it is none, or has host bits set (reported, with the hint). */
bool reader_network(struct reading *r, const struct yaml *member, struct cidr *network);

/* "`text`", "a list", "a map", "nothing": the end of "must be …, not …". Bounded: long texts are cut. */
enum { READER_SHOWN_MAX = 96 };
const char *reader_shown(const struct yaml *item, char out[READER_SHOWN_MAX]);

void reader_error(struct reading *r, const struct yaml *at, const char *format, ...) PRINTF_LIKE(3, 4);
void reader_warning(struct reading *r, const struct yaml *at, const char *format, ...) PRINTF_LIKE(3, 4);

/* Memory for `count` zeroed objects, a copy of a text; NULL when there is no memory, which is then an error of the reading. */
NODISCARD void *reader_allocate(struct reading *r, size_t count, size_t bytes);
NODISCARD char *reader_copy(struct reading *r, const char *text);

#endif
