/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H
/* A YAML document as a small tree with places. What zones.conf does not take (aliases, merge keys, tags, duplicate keys, a second
 * document) is refused here, and `${NAME}` is replaced here, so readers above see plain maps, lists and texts.
 * Functions begin with yaml_tree, not yaml: libyaml exports a yaml_free of its own, which ours would take the place of. */

#include "config/diagnostic.h"

/* Bounds: nobody writes more by hand or by script, and a file must not eat the memory of a daemon that reloads it. 100,000 zones
 * take some 6 MiB and 500,000 items. Items deeper than 32 have no meaning anywhere. */
enum { YAML_MAX_BYTES = 16 << 20, YAML_MAX_ITEMS = 2 << 20, YAML_MAX_DEPTH = 32 };

enum yaml_kind {
	YAML_NOTHING, /* `key:` with nothing behind it, `~` or `null` */
	YAML_WORD,    /* a scalar, whatever it spells */
	YAML_LIST,
	YAML_MAP,
	YAML_REFUSED, /* an error was reported already: pass over it in silence */
};

struct yaml {
	enum yaml_kind kind;
	unsigned line, column;	  /* of its first character, from 1 */
	unsigned count;		  /* members of a LIST, keys of a MAP */
	const char *text;	  /* of a WORD; never holds a zero octet */
	const struct yaml *first; /* first member of a LIST, first key of a MAP */
	const struct yaml *next;  /* the next member or key */
	const struct yaml *value; /* of a key, never NULL; keys are WORDs, each once in its MAP */
};

struct yaml_tree;

/* Reads `len` octets of `text`. Problems go to `d`. Returns a tree that yaml_tree_free frees; NULL when the text is no YAML or breaks a
 * bound: then `d` holds that one error, since what follows from it is noise. */
NODISCARD struct yaml_tree *yaml_tree_read(const char *text, size_t len, struct diagnostics *d);
void yaml_tree_free(struct yaml_tree *t);

/* The document's content; NULL when the text holds nothing but blanks and comments. */
const struct yaml *yaml_tree_root(const struct yaml_tree *t);

/* The key of `map` that spells `text`, or NULL. */
const struct yaml *yaml_tree_find(const struct yaml *map, const char *text);

#endif
