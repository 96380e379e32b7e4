/* SPDX-License-Identifier: Apache-2.0 */
/* The text is a file given to `import`. Whatever it holds, it is refused with a place, or a zones.conf comes out that loads, without
 * control characters; given twice it still does. */
#include <stdlib.h>
#include <string.h>

#include "cli/import_conf.h"
#include "config/config.h"
#include "fuzz.h"

/* What is written after reading the text so many times; NULL if nothing was. The caller frees. */
static char *import_text(const char *text, size_t size, int times, FILE *notes, size_t *len)
{
	struct import_join_ids ids = {.count = 0};
	char *conf = NULL;
	struct import i;
	bool good = true;

	FILE *out = open_memstream(&conf, len);
	ASSERT(out);
	import_init(&i, notes);
	for (int k = 0; k < times && good; k++)
		good = import_read(&i, "fuzz", text, size);
	good = good && import_conf_write(&i, &ids, out);
	fclose(out);
	import_deinit(&i);
	if (good)
		return conf;
	free(conf);
	return NULL;
}

/* Letters of any script, and no control characters: nor those of C1, by which some terminals are steered as well. */
static void check_text(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		ASSERT(*at == '\n' || (unsigned char)*at >= 0x80 || (*at >= ' ' && *at <= '~'));
	while ((text = strchr(text, 0xc2)) != NULL)
		ASSERT((unsigned char)*++text >= 0xa0);
}

static void check_conf(const char *text, size_t len)
{
	struct diagnostics d;

	check_text(text);
	ASSERT(strlen(text) == len);
	diagnostics_init(&d);
	struct config *c = config_load_text(text, len, &d);
	ASSERT(c);
	config_free(c);
	diagnostics_deinit(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *notes = NULL;
	size_t len, again_len, notes_len;
	FILE *out = open_memstream(&notes, &notes_len);

	ASSERT(text && out);
	memcpy(text, data, size);
	text[size] = '\0';
	char *conf = import_text(text, size, 1, out, &len);
	char *again = import_text(text, size, 2, out, &again_len);
	fclose(out);
	ASSERT((conf == NULL) == (again == NULL));
	if (conf != NULL)
		check_conf(conf, len);
	if (again != NULL)
		check_conf(again, again_len);
	check_text(notes);
	free(conf);
	free(again);
	free(notes);
	free(text);
	return 0;
}
