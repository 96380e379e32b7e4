/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "base/utf8.h"

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400, TIME_MOST_S = 1000000000 };

const char *screen_text(const struct json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

double screen_number(const struct json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

long long screen_count(const struct json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

const char *screen_safe(const char *from, char out[SCREEN_CELL_MAX])
{
	struct strbuf s;

	strbuf_init(&s, out, SCREEN_CELL_MAX);
	/* Whole pieces: no character is cut in two. */
	for (size_t len; from != NULL && *from != '\0'; from += len) {
		char piece[UTF8_SHOWN_MAX];
		len = utf8_show(from, piece);
		if (s.len + strlen(piece) >= SCREEN_CELL_MAX)
			break;
		strbuf_add(&s, piece);
	}
	return out;
}

const char *screen_cell(const struct json_t *o, const char *key, char out[SCREEN_CELL_MAX])
{
	return screen_safe(screen_text(o, key), out);
}

bool screen_may_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0');
}

void screen_state(const char *state, int width)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {{"up", "32"},   {"slow", "33"},	  {"suspect", "33"}, {"degraded", "33"},
		       {"down", "31"}, {"drained", "33"}, {"detached", "31"}};
	const char *colour = NULL;
	char cell[SCREEN_CELL_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(colours) && screen_may_colour(); i++)
		if (strcmp(colours[i].state, state) == 0)
			colour = colours[i].colour;
	screen_safe(state, cell);
	if (colour != NULL)
		printf("\033[%sm%-*s\033[0m", colour, width, cell);
	else
		printf("%-*s", width, cell);
}

const char *screen_time(double seconds, char out[SCREEN_TIME_MAX])
{
	long long s = seconds > 0 && seconds < TIME_MOST_S ? (long long)seconds : 0;

	if (s >= DAY_S)
		snprintf(out, SCREEN_TIME_MAX, "%lld d %lld h", s / DAY_S, s % DAY_S / HOUR_S);
	else if (s >= HOUR_S)
		snprintf(out, SCREEN_TIME_MAX, "%lld h %lld min", s / HOUR_S, s % HOUR_S / MINUTE_S);
	else if (s >= MINUTE_S)
		snprintf(out, SCREEN_TIME_MAX, "%lld min %lld s", s / MINUTE_S, s % MINUTE_S);
	else
		snprintf(out, SCREEN_TIME_MAX, "%lld s", s);
	return out;
}

int screen_column(const struct json_t *rows, const char *key, const char *heading)
{
	size_t widest = strlen(heading), i;
	const json_t *row;
	char cell[SCREEN_CELL_MAX];

	json_array_foreach (rows, i, row)
		widest = MAX(widest, strlen(screen_cell(row, key, cell)));
	return (int)widest;
}
