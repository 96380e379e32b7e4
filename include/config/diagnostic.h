/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_DIAGNOSTIC_H
#define CONFIG_DIAGNOSTIC_H
/* What the user got wrong: all of it, each with its place, a sentence and a hint. */

#include <stdio.h>

#include "base/base.h"

enum diagnostic_kind { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING };

struct diagnostic {
	enum diagnostic_kind kind;
	unsigned line, column; /* from 1; 0: no place, the whole file is meant */
	char *sentence;        /* heap; with the hint, if there is one, in the form "… (did you mean `zones`?)" */
};

/* More than this nobody reads; what comes after is counted. */
enum { DIAGNOSTICS_MAX = 10000 };

struct diagnostics {
	struct diagnostic *rows; /* heap, sorted by place once config_load returns */
	size_t count;
	size_t errors;           /* how many errors there were, those left out too */
	size_t left_out;         /* came after row DIAGNOSTICS_MAX */
	bool no_memory;
};

void diagnostics_init(struct diagnostics *d);
void diagnostics_deinit(struct diagnostics *d);
void diagnostics_add(struct diagnostics *d, enum diagnostic_kind kind, unsigned line, unsigned column, const char *format, ...)
	PRINTF_LIKE(5, 6);

/* We have no memory to read on: counts as an error, and diagnostics_print says so. The functions above do it themselves. */
void diagnostics_no_memory(struct diagnostics *d);
void diagnostics_sort(struct diagnostics *d);

/* One line each: `FILE:LINE:COL: message`, `FILE: message` without a place; warnings begin with `warning: ` behind the place. */
void diagnostics_print(const struct diagnostics *d, const char *file, FILE *out);

#endif
