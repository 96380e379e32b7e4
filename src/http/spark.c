/* SPDX-License-Identifier: Apache-2.0 */
#include "http/spark.h"

/* In the drawing's own units; the style sheet stretches it. */
enum { WIDTH = 118, HEIGHT = 34, GROUND = 32, STEP = 2, MARK = 5 };

struct drawing {
	const double *samples; /* [count], of which the last is drawn at the right edge */
	size_t count;
	double top;
	FILE *out;
};

static int place(const struct drawing *d, size_t i)
{
	return WIDTH - (int)(d->count - 1 - i) * STEP;
}

static double height(const struct drawing *d, size_t i)
{
	double share = d->top > 0 ? d->samples[i] / d->top : 0;

	return GROUND - MIN(share, 1) * (GROUND - 2);
}

/* One run of samples: a line, and the area below it if `filled`. Returns where the run ends. */
static size_t draw_run(const struct drawing *d, size_t from, bool filled)
{
	size_t end = from;

	if (filled)
		fprintf(d->out, "M%d %dL", place(d, from), GROUND);
	for (; end < d->count && d->samples[end] >= 0; end++)
		fprintf(d->out, "%s%d %.1f", filled || end > from ? " " : "M", place(d, end), height(d, end));
	if (filled)
		fprintf(d->out, " %d %dz", place(d, end - 1), GROUND);
	else if (end == from + 1)
		fprintf(d->out, "h.1"); /* a line of one point is a dot, by its round ends */
	return end;
}

static void draw_runs(const struct drawing *d, bool filled)
{
	fprintf(d->out, "<path class=\"%s\" d=\"", filled ? "a" : "l");
	for (size_t i = 0; i < d->count;)
		i = d->samples[i] < 0 ? i + 1 : draw_run(d, i, filled);
	fputs("\"/>", d->out);
}

static void draw_gaps(const struct drawing *d)
{
	fputs("<path class=\"g\" d=\"", d->out);
	for (size_t i = 0; i < d->count; i++)
		if (d->samples[i] < 0)
			fprintf(d->out, "M%d %dv-%d", place(d, i), GROUND, MARK);
	fputs("\"/>", d->out);
}

void spark_print(const double *samples, size_t count, double top, FILE *out)
{
	size_t drawn = MIN(count, (size_t)SPARK_SAMPLES);
	const struct drawing d = {samples + (count - drawn), drawn, top, out};

	fprintf(out, "<svg class=\"spark\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" aria-hidden=\"true\">", WIDTH, HEIGHT);
	fprintf(out, "<path class=\"b\" d=\"M0 %dH%d\"/>", GROUND, WIDTH);
	draw_runs(&d, true);
	draw_runs(&d, false);
	draw_gaps(&d);
	fputs("</svg>", out);
}
