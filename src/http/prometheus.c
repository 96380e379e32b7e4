/* SPDX-License-Identifier: Apache-2.0 */
#include "http/prometheus.h"

#include <ctype.h>
#include <string.h>

#include <jansson.h>

static bool is_name(const char *name)
{
	if (name == NULL || (!isalpha((unsigned char)*name) && *name != '_'))
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

/* HELP has backslashes and line ends escaped, label values quotes as well. */
static void print_escaped(const char *text, bool quotes, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || (quotes && *text == '"'))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void print_number(const json_t *value, FILE *out)
{
	if (json_is_integer(value))
		fprintf(out, " %lld\n", (long long)json_integer_value(value));
	else
		fprintf(out, " %.12g\n", json_number_value(value));
}

/* `{a="b",le="0.1"}`; le: NULL, or the bound of a bucket. */
static void print_labels(json_t *labels, const char *le, FILE *out)
{
	const char *name, *join = "{";
	json_t *value;

	json_object_foreach(labels, name, value) {
		if (!is_name(name) || !json_is_string(value))
			continue;
		fprintf(out, "%s%s=\"", join, name);
		print_escaped(json_string_value(value), true, out);
		fputc('"', out);
		join = ",";
	}
	if (le != NULL) {
		fprintf(out, "%sle=\"%s\"", join, le);
		join = ",";
	}
	if (*join == ',')
		fputc('}', out);
}

static void print_line(const char *name, const char *suffix, json_t *sample, const char *le, FILE *out)
{
	fprintf(out, "%s%s", name, suffix);
	print_labels(json_object_get(sample, "labels"), le, out);
}

static void print_histogram(const char *name, json_t *sample, FILE *out)
{
	json_t *bucket;
	char le[32];
	size_t i;

	json_array_foreach(json_object_get(sample, "buckets"), i, bucket) {
		snprintf(le, sizeof(le), "%.12g", json_number_value(json_array_get(bucket, 0)));
		print_line(name, "_bucket", sample, le, out);
		print_number(json_array_get(bucket, 1), out);
	}
	print_line(name, "_bucket", sample, "+Inf", out);
	print_number(json_object_get(sample, "count"), out);
	print_line(name, "_sum", sample, NULL, out);
	print_number(json_object_get(sample, "sum"), out);
	print_line(name, "_count", sample, NULL, out);
	print_number(json_object_get(sample, "count"), out);
}

static void print_family(json_t *family, FILE *out)
{
	const char *name = json_string_value(json_object_get(family, "name"));
	const char *type = json_string_value(json_object_get(family, "type"));
	const char *help = json_string_value(json_object_get(family, "help"));
	json_t *sample;
	size_t i;

	if (!is_name(name) || !is_name(type) || help == NULL)
		return;
	fprintf(out, "# HELP %s ", name);
	print_escaped(help, false, out);
	fprintf(out, "\n# TYPE %s %s\n", name, type);
	json_array_foreach(json_object_get(family, "samples"), i, sample) {
		if (strcmp(type, "histogram") == 0) {
			print_histogram(name, sample, out);
			continue;
		}
		print_line(name, "", sample, NULL, out);
		print_number(json_object_get(sample, "value"), out);
	}
}

bool prometheus_print(const struct json_t *metrics, FILE *out)
{
	json_t *families = json_object_get(metrics, "families"), *family;
	size_t i;

	json_array_foreach(families, i, family)
		print_family(family, out);
	return json_is_array(families);
}
