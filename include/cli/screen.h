/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H
/* What the daemon said, on a terminal: values of its JSON, whatever their type is; text that cannot command the terminal; colours
 * where they are wanted; times as people say them. */

#include <stdio.h>

#include "base/base.h"

struct json_t;

enum { SCREEN_CELL_MAX = 1024 };

/* The text, number or count of `key`: "" or 0 when it is missing or of another type. */
const char *screen_text(const struct json_t *o, const char *key);
double screen_number(const struct json_t *o, const char *key);
long long screen_count(const struct json_t *o, const char *key);

/* Printable ASCII and characters of UTF-8 as they are, all else \xHH, as in the log; cut to SCREEN_CELL_MAX. NULL is shown as nothing.
 * Returns `out`. */
const char *screen_safe(const char *from, char out[SCREEN_CELL_MAX]);

/* screen_text, safe. */
const char *screen_cell(const struct json_t *o, const char *key, char out[SCREEN_CELL_MAX]);

/* Whether stdout is a terminal, and NO_COLOR is not set. */
bool screen_may_colour(void);

/* A state in its column: green, yellow, red. `width` 0: no column. */
void screen_state(const char *state, int width);

/* "1 d 2 h", "3 min 4 s", "5 s"; returns `out`. */
enum { SCREEN_TIME_MAX = 48 };
const char *screen_time(double seconds, char out[SCREEN_TIME_MAX]);

/* Wide enough for `heading` and for the text of `key` in every object of the array. */
int screen_column(const struct json_t *rows, const char *key, const char *heading);

#endif
