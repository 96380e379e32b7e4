/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/metrics.h"

#include <string.h>

const struct metrics_row metrics_rows[METRICS] = {
#define METRIC(value, family, labels, help) {family, labels, help},
#include "tables/metrics.def"
};

const struct metrics_family metrics_gathered[METRICS_GATHERED] = {
#define GATHERED(value, family, type, labels, help) {family, labels, help, METRICS_##type},
#include "tables/metrics.def"
};

/* The values of a family's rows, if its label has but a few: udp, tcp. */
static void print_values(const char *family, FILE *out)
{
	const char *join = ".Pp\nOne of ";

	for (size_t row = 0; row < METRICS; row++) {
		const char *quote = strchr(metrics_rows[row].labels, '"');
		if (quote == NULL || strcmp(metrics_rows[row].family, family) != 0)
			continue;
		fprintf(out, "%s%.*s", join, (int)strcspn(quote + 1, "\""), quote + 1);
		join = ", ";
	}
	if (*join == ',')
		fputs(".\n", out);
}

static void print_family(const struct metrics_family *f, FILE *out)
{
	fprintf(out, ".It Cm r53fwd_%s", f->name);
	if (*f->labels != '\0')
		fprintf(out, " Ns Brq %.*s", (int)strcspn(f->labels, "="), f->labels);
	fprintf(out, "\n%s; ", metrics_type_name(f->type));
	/* Roff breaks lines at hyphens that are not escaped, and wants each sentence on a line of its own. */
	for (const char *at = f->help; *at != '\0'; at++)
		if (at[0] == '.' && at[1] == ' ')
			fputs(".\n", out), at++;
		else
			fprintf(out, *at == '-' ? "\\%c" : "%c", *at);
	fputc('\n', out);
	print_values(f->name, out);
}

void metrics_print_man(FILE *out)
{
	struct metrics_family f;

	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; metrics_family_at(i, &f); i++)
		print_family(&f, out);
	fputs(".El\n", out);
}

const char *metrics_type_name(enum metrics_type type)
{
	static const char *const names[] = {
		[METRICS_COUNTER] = "counter", [METRICS_GAUGE] = "gauge", [METRICS_HISTOGRAM] = "histogram"};

	return names[type];
}

bool metrics_family_at(size_t i, struct metrics_family *out)
{
	for (size_t row = 0; row < METRICS; row++) {
		/* Only a family's first row has its help. */
		if (*metrics_rows[row].help == '\0' || i-- > 0)
			continue;
		*out = (struct metrics_family){metrics_rows[row].family, metrics_rows[row].labels, metrics_rows[row].help, METRICS_COUNTER};
		return true;
	}
	if (i >= METRICS_GATHERED)
		return false;
	*out = metrics_gathered[i];
	return true;
}
