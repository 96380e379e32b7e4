/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H
/* "Did you mean …": the nearest of some words to one that was not understood. */

#include "base/base.h"

/* Words longer than this get no hint. */
enum { SUGGEST_WORD_MAX = 40, SUGGEST_TEXT_MAX = SUGGEST_WORD_MAX + 24 };

struct suggest {
	const char *text;  /* lent; what was written */
	const char *best;  /* lent; NULL: nothing near yet */
	unsigned distance; /* of best */
};

void suggest_init(struct suggest *s, const char *text);
void suggest_offer(struct suggest *s, const char *word);

/* Writes " (did you mean `best`?)", or nothing; returns `out`. */
const char *suggest_hint(const struct suggest *s, char out[SUGGEST_TEXT_MAX]);

#endif
