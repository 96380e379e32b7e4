/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_FINDING_H
#define CLI_FINDING_H
/* What doctor found: rows of tables/findings.def, each with its place and what was seen there. */

#include <stdio.h>

#include "base/base.h"

struct json_t;

enum finding_severity { FINDING_PROBLEM, FINDING_WARNING, FINDING_NOTE, FINDING_SEVERITIES };

enum finding_kind {
#define FINDING(value, ...) FINDING_##value,
#include "tables/findings.def"
#undef FINDING
	FINDING_KINDS
};

struct finding_row {
	const char *id, *title, *seen, *means, *advice;
	enum finding_severity severity;
};

/* Where something was found; NULL: not said. Lent. */
struct finding_place {
	const char *endpoint, *az, *address, *zone;
};

struct finding {
	enum finding_kind kind;
	char *endpoint, *az, *address, *zone, *detail; /* heap; may be NULL */
};

/* All of them, in the order in which they were found. */
struct findings {
	struct finding *rows;
	size_t count, allocated;
};

const struct finding_row *finding_row(enum finding_kind kind);
const char *finding_severity_name(enum finding_severity severity);

/* `detail` is what {detail} stands for; text in it that came from the network is escaped by the caller. */
void findings_add(struct findings *f, enum finding_kind kind, const struct finding_place *where, const char *detail, ...) PRINTF_LIKE(4, 5);
void findings_free(struct findings *f);
size_t findings_count(const struct findings *f, enum finding_severity severity);

/* Longest filled-in sentence, with the zero; more is cut. */
enum { FINDING_TEXT_MAX = 2048 };

/* Fills in a row's sentence; returns `out`. Braces that hold no known word stay as they are. */
const char *finding_fill(const struct finding *f, const char *sentence, char out[FINDING_TEXT_MAX]);

/* Prints it as three paragraphs below a heading. `colour`: with escape sequences. */
void finding_print(const struct finding *f, bool colour, FILE *out);

/* {id, severity, title, seen, means, do, and endpoint, az, address, zone as far as they are known}. New. */
struct json_t *finding_json(const struct finding *f);

#endif
