/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_MARKUP_H
#define HTTP_MARKUP_H
/* Small pieces of HTML, and of the daemon's JSON. A member that is missing or of another type is 0, false, or empty: the daemon may be of
 * another version than we are. */

#include <stdio.h>

#include "base/base.h"

struct json_t;

const char *markup_text_of(const struct json_t *object, const char *key);
double markup_number_of(const struct json_t *object, const char *key);
bool markup_has_number(const struct json_t *object, const char *key);

/* Text between tags or in a quoted attribute, whatever it holds: markup is escaped, control characters are shown as \xHH. */
void markup_text(const char *text, FILE *out);

/* 1,234,567; 12.3 below a hundred, if it has a fraction. */
void markup_count(double n, FILE *out);

/* 7 s, 3 min, 2 h 5 min, 4 d 3 h. */
void markup_time(double seconds, FILE *out);

/* 512 KiB, 12.5 MiB. */
void markup_size(double bytes, FILE *out);

/* How bad a state is, as the style sheet calls it: up, warn, bad. */
const char *markup_grade(const char *state);

/* The state in its colour, with its shape. */
void markup_pill(const char *state, FILE *out);

/* A bar that is so full, 0 to 1; from half on it warns, from 80 % on it is bad, if `alarming`. */
void markup_bar(double share, bool alarming, FILE *out);

#endif
