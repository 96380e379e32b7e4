/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CLI_IMPORTED_H
#define TESTS_CLI_IMPORTED_H
/* Texts that are imported, with the notes caught. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import.h"

struct imported {
	struct import import;
	FILE *out;
	char *notes; /* heap; whole after imported_notes */
	size_t len;
};

static inline void imported_start(struct imported *s)
{
	memset(s, 0, sizeof(*s));
	s->out = open_memstream(&s->notes, &s->len);
	assert_non_null(s->out);
	import_init(&s->import, s->out);
}

static inline void imported_stop(struct imported *s)
{
	import_deinit(&s->import);
	fclose(s->out);
	free(s->notes);
}

static inline const char *imported_notes(struct imported *s)
{
	fflush(s->out);
	return s->notes;
}

/* Reads a text in which ' stands for ". */
static inline bool imported_read(struct imported *s, const char *name, const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; *at != '\0'; at++)
		*at = *at == '\'' ? '"' : *at;
	bool good = import_read(&s->import, name, copy, strlen(copy));
	free(copy);
	return good;
}

static inline void imported_take(struct imported *s, const char *text)
{
	if (!imported_read(s, "a.json", text))
		fail_msg("%s", imported_notes(s));
}

static inline void imported_expect_note(struct imported *s, const char *note)
{
	if (strstr(imported_notes(s), note) == NULL)
		fail_msg("`%s` is not in the notes:\n%s", note, imported_notes(s));
}

#endif
