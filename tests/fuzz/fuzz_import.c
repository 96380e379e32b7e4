/* SPDX-License-Identifier: Apache-2.0 */
/* The text is a file given to `import`. Whatever it holds, it is refused with a place, or a zones.conf comes out that loads, in plain
 * ASCII; given twice it still does. */
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

static void check_conf(const char *text, size_t len)
{
	struct diagnostics d;

	for (size_t k = 0; k < len; k++)
		ASSERT(text[k] == '\n' || (text[k] >= ' ' && text[k] <= '~'));
	diagnostics_init(&d);
	struct config *c = config_load_text(text, len, &d);
	ASSERT(c);
	config_free(c);
	diagnostics_deinit(&d);
}

static void check_notes(const char *notes)
{
	for (; *notes != '\0'; notes++)
		ASSERT(*notes == '\n' || (*notes >= ' ' && *notes <= '~'));
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
	check_notes(notes);
	free(conf);
	free(again);
	free(notes);
	free(text);
	return 0;
}
