/* SPDX-License-Identifier: Apache-2.0 */
/* Distance: insertions, deletions, substitutions and swaps of two neighbours (Damerau 1964, the restricted form), without
 * regard to letter case. A hint is worth giving up to a third of the word's length, at most 3: `prot` means `port`, but `udp`
 * is no `tcp`. */
#include "config/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FARTHEST = 3 };

void suggest_init(struct suggest *s, const char *text)
{
	size_t len = strnlen(text, SUGGEST_WORD_MAX + 1);

	s->text = len <= SUGGEST_WORD_MAX ? text : "";
	s->best = NULL;
	s->distance = (unsigned)MIN((len + 1) / 3, (size_t)FARTHEST) + 1;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
	return MIN(MIN(a, b), c);
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Row i of the table is kept in rows[i % 3]: a swap looks two rows back. */
static unsigned measure(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][SUGGEST_WORD_MAX + 1];

	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[j] = MIN(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

void suggest_offer(struct suggest *s, const char *word)
{
	size_t text_len = strlen(s->text), word_len = strnlen(word, SUGGEST_WORD_MAX + 1);
	size_t apart = text_len > word_len ? text_len - word_len : word_len - text_len;

	if (text_len == 0 || word_len > SUGGEST_WORD_MAX || apart >= s->distance)
		return;
	unsigned distance = measure(s->text, text_len, word, word_len);
	if (distance < s->distance) {
		s->distance = distance;
		s->best = word;
	}
}

const char *suggest_hint(const struct suggest *s, char out[SUGGEST_TEXT_MAX])
{
	out[0] = '\0';
	if (s->best)
		snprintf(out, SUGGEST_TEXT_MAX, " (did you mean `%s`?)", s->best);
	return out;
}
