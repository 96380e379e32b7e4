/* SPDX-License-Identifier: Apache-2.0 */
#include "http/markup.h"

#include <string.h>

#include <jansson.h>

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

/* Counts of the daemon are 64 bits; a double holds so many exactly, and nothing on the page is larger. */
static const double LARGEST = 9e15;

const char *markup_text_of(const struct json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

double markup_number_of(const struct json_t *object, const char *key)
{
	double n = json_number_value(json_object_get(object, key));

	return n > 0 ? MIN(n, LARGEST) : 0;
}

bool markup_has_number(const struct json_t *object, const char *key)
{
	return json_is_number(json_object_get(object, key));
}

void markup_text(const char *text, FILE *out)
{
	static const char special[] = "&<>\"'";
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

	for (; *text != '\0'; text++) {
		const char *at = strchr(special, *text);
		if (at != NULL)
			fputs(entities[at - special], out);
		else if ((unsigned char)*text < ' ' || *text == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
}

void markup_count(double n, FILE *out)
{
	char digits[32];

	if (n < 100 && n != (double)(long long)n) {
		fprintf(out, "%.1f", n);
		return;
	}
	int len = snprintf(digits, sizeof(digits), "%.0f", n);
	for (int i = 0; i < len; i++)
		fprintf(out, i > 0 && (len - i) % 3 == 0 ? ",%c" : "%c", digits[i]);
}

void markup_time(double seconds, FILE *out)
{
	long long s = (long long)MIN(seconds, LARGEST);

	if (s >= DAY_S)
		fprintf(out, "%lld d %lld h", s / DAY_S, s % DAY_S / HOUR_S);
	else if (s >= HOUR_S)
		fprintf(out, "%lld h %lld min", s / HOUR_S, s % HOUR_S / MINUTE_S);
	else if (s >= MINUTE_S)
		fprintf(out, "%lld min", s / MINUTE_S);
	else
		fprintf(out, "%lld s", s);
}

void markup_size(double bytes, FILE *out)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	for (bytes /= 1024; bytes >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
		bytes /= 1024;
	fprintf(out, bytes < 100 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

const char *markup_grade(const char *state)
{
	static const char *const grades[][2] = {{"up", "up"},	       {"private", "up"},   {"slow", "warn"}, {"suspect", "warn"},
						{"degraded", "warn"}, {"drained", "warn"}, {"down", "bad"},  {"detached", "bad"}};

	for (size_t i = 0; i < ARRAY_SIZE(grades); i++)
		if (strcmp(grades[i][0], state) == 0)
			return grades[i][1];
	return "warn";
}

void markup_pill(const char *state, FILE *out)
{
	fprintf(out, "<span class=\"pill %s\">", markup_grade(state));
	markup_text(state, out);
	fputs("</span>", out);
}

void markup_bar(double share, bool alarming, FILE *out)
{
	double percent = 100 * (share > 0 ? MIN(share, 1) : 0);
	const char *grade = !alarming || percent < 50 ? "" : percent < 80 ? " warn" : " bad";

	fprintf(out, "<svg class=\"bar%s\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" aria-hidden=\"true\">", grade);
	if (percent > 0)
		fprintf(out, "<rect width=\"%.2f\" height=\"6\" rx=\"1\"/>", MAX(percent, 0.6));
	fputs("</svg>", out);
}
