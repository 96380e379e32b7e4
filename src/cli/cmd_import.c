/* SPDX-License-Identifier: Apache-2.0 */
/* What AWS and resolv.conf say, as a zones.conf on stdout; what of it could not be used, on stderr. Nothing is written before all of it was
 * read: half a file is worse than none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/import_conf.h"
#include "config/config.h"

enum { FIRST_BYTES = 64 << 10 };

/* Reads to the end, one octet more than may be. Returns heap with a zero behind it; NULL when it cannot be read, with errno. */
static char *read_all(FILE *file, size_t *len)
{
	size_t room = FIRST_BYTES;
	char *text = malloc(room + 1);

	for (*len = 0; text != NULL;) {
		*len += fread(text + *len, 1, room - *len, file);
		if (*len < room || *len > IMPORT_MAX_BYTES)
			break;
		room *= 2;
		char *grown = realloc(text, room + 1);
		if (grown == NULL)
			free(text);
		text = grown;
	}
	if (text == NULL || ferror(file)) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

static bool read_file(struct import *i, const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0, read;
	const char *name = is_stdin ? "standard input" : path;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	size_t len;

	errno = 0;
	char *text = file != NULL ? read_all(file, &len) : NULL;
	if (text == NULL) {
		import_note(i, "%s: cannot be read: %s", name, strerror(errno != 0 ? errno : ENOENT));
		read = false;
	} else {
		read = import_read(i, name, text, len);
	}
	free(text);
	if (file != NULL && !is_stdin)
		fclose(file);
	return read;
}

/* All files, so that each error is told; without any, standard input. */
static bool read_files(struct import *i, const struct cli *c)
{
	bool good = true;

	if (c->operand_count == 0)
		return read_file(i, "-");
	for (int k = 0; k < c->operand_count; k++)
		good = read_file(i, c->operands[k]) && good;
	return good;
}

/* What was written must be what `check` accepts; its warnings are worth reading now. */
static bool check(const char *text, size_t len)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, len, &d);
	bool good = c != NULL;
	diagnostics_print(&d, "standard output", stderr);
	config_free(c);
	diagnostics_deinit(&d);
	return good;
}

static int write_conf(struct import *i, const struct import_join_ids *ids)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return CLI_FAILED;
	bool written = import_conf_write(i, ids, out);
	fclose(out);
	if (written && !check(text, len)) {
		fputs("r53fwd: import has written what check refuses: that is a defect, please report it with the input\n", stderr);
		written = false;
	}
	if (written)
		fwrite(text, 1, len, stdout);
	else
		fputs("r53fwd: nothing was imported\n", stderr);
	free(text);
	return written ? CLI_OK : CLI_FAILED;
}

int cmd_import(const struct cli *c)
{
	struct import_join_ids ids = {.count = c->endpoint_count};
	struct import i;

	if (c->operand_count == 0 && isatty(STDIN_FILENO)) {
		fputs("r53fwd: import wants a FILE, or JSON on standard input\nTry `r53fwd --help`.\n", stderr);
		return CLI_USAGE;
	}
	memcpy(ids.ids, c->endpoints, sizeof(ids.ids));
	import_init(&i, stderr);
	int status = read_files(&i, c) ? write_conf(&i, &ids) : CLI_FAILED;
	if (i.notes_count > IMPORT_MAX_NOTES)
		fprintf(stderr, "and %u remarks more\n", i.notes_count - IMPORT_MAX_NOTES);
	import_deinit(&i);
	return status;
}
