/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/import_yaml.h"

#include <stdarg.h>
#include <stdlib.h>

#include "config/config.h"
#include "config/option.h"

bool import_yaml_takes(char why[SCREEN_CELL_MAX], const char *format, ...)
{
	struct diagnostics d;
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	int len = vasprintf(&text, format, arguments);
	va_end(arguments);
	ASSERT(len >= 0);
	diagnostics_init(&d);
	struct config *c = config_load_text(text, (size_t)len, &d);
	bool taken = c != NULL;
	for (size_t k = 0; !taken && k < d.count; k++)
		if (d.rows[k].kind == DIAGNOSTIC_ERROR) {
			snprintf(why, SCREEN_CELL_MAX, "%s", d.rows[k].sentence);
			break;
		}
	config_free(c);
	diagnostics_deinit(&d);
	free(text);
	return taken;
}

char *import_yaml_word(const char *text)
{
	char *word = NULL;
	size_t len;
	FILE *out = open_memstream(&word, &len);

	ASSERT(out);
	option_print_word(text, out);
	fclose(out);
	return word;
}
