/* SPDX-License-Identifier: Apache-2.0 */
/* The text is a zones.conf. One that loads is printed in full, and what is printed of its options loads again; one that does
 * not has an error, and every error a place that is in the text. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/zones.h"
#include "fuzz.h"

static void check_diagnostics(const struct diagnostics *d, size_t size)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct diagnostic *row = &d->rows[i];
		ASSERT(row->line <= size + 1 && (row->line == 0) == (row->column == 0) && row->column <= size + 1);
		ASSERT(row->sentence[0] != '\0');
		for (const char *at = row->sentence; *at != '\0'; at++)
			ASSERT((unsigned char)*at >= ' ');
		ASSERT(i == 0 || row->line >= d->rows[i - 1].line);
	}
}

static void check_config(const struct config *c)
{
	ASSERT(c->listen_count > 0 && c->allow_from_count > 0 && c->endpoint_count > 0);
	for (size_t i = 0; i < c->endpoint_count; i++)
		ASSERT(c->endpoints[i].count <= CONFIG_MAX_ADDRESSES && (i == 0 || c->endpoints[i].count > 0));
	for (size_t i = 0; i < c->zone_count; i++) {
		ASSERT(c->zones[i].to_count >= 1 && c->zones[i].to_count <= CONFIG_MAX_TO);
		for (size_t j = 0; j < c->zones[i].to_count; j++)
			ASSERT(c->zones[i].to[j] < c->endpoint_count);
	}
	free(zones_by_length(c));
}

/* The options in force, with an empty list of zones: a file that must load. */
static void check_printed(const struct config *c)
{
	struct diagnostics d;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ASSERT(out);
	config_print_effective(c, out);
	fputs("zones: []\n", out);
	fclose(out);
	diagnostics_init(&d);
	struct config *again = config_load_text(text, len, &d);
	ASSERT(again && again->endpoint_count == c->endpoint_count);
	config_free(again);
	diagnostics_deinit(&d);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text((const char *)data, size, &d);
	ASSERT((c == NULL) == (d.errors > 0));
	check_diagnostics(&d, size);
	if (c) {
		check_config(c);
		check_printed(c);
	}
	config_free(c);
	diagnostics_deinit(&d);
	return 0;
}
