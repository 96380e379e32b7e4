/* SPDX-License-Identifier: Apache-2.0 */
#include "server/load.h"

#include <stdlib.h>
#include <string.h>

static struct config *load(const struct server_options *o, bool again, FILE *said)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = again ? config_load_again(o->zones_path, o->listen, o->listen_count, &d)
				 : config_load_listening(o->zones_path, o->listen, o->listen_count, &d);
	diagnostics_print(&d, o->zones_path, said);
	diagnostics_deinit(&d);
	if (c == NULL)
		return NULL;
	if (o->log_level >= 0)
		c->log.level = (enum log_level)o->log_level;
	if (o->workers > 0)
		c->top.workers = o->workers;
	return c;
}

struct config *load_zones(const struct server_options *o, FILE *said)
{
	return load(o, true, said);
}

static void say_line(const char *line, size_t len, bool loaded)
{
	static const char warning[] = "warning: ";
	const struct log_field fields[] = {LOG_STRING("event", "config"), LOG_STRING("state", loaded ? "warning" : "error"), LOG_END};
	bool marked = strncmp(line, warning, sizeof(warning) - 1) == 0;

	/* The line's own mark would say the level twice. */
	if (marked) {
		line += sizeof(warning) - 1;
		len -= sizeof(warning) - 1;
	}
	log_event(loaded || marked ? LOG_WARN : LOG_ERROR, fields, "%.*s", (int)MIN(len, (size_t)4096), line);
}

void load_say(const char *said, bool loaded)
{
	size_t lines = 0, left_out = 0;

	for (const char *at = said, *end; *at != '\0'; at = end + (*end == '\n')) {
		end = at + strcspn(at, "\n");
		if (lines++ < LOAD_LINES)
			say_line(at, (size_t)(end - at), loaded);
		else
			left_out++;
	}
	if (left_out > 0)
		log_write(loaded ? LOG_WARN : LOG_ERROR, "and %zu more; `r53fwd check` shows them all", left_out);
}

struct config *load_first(const struct server_options *o)
{
	char *text = NULL;
	size_t len;
	FILE *said = open_memstream(&text, &len);

	if (said == NULL) {
		log_error("cannot start: out of memory");
		return NULL;
	}
	struct config *c = load(o, false, said);
	bool whole = fclose(said) == 0 && text != NULL;
	if (c != NULL)
		log_configure(c->log.level, c->log.format);
	if (!whole)
		log_write(c != NULL ? LOG_WARN : LOG_ERROR, "what is to be said of %s is lost: out of memory", o->zones_path);
	else if (c != NULL)
		load_say(text, true);
	else
		fputs(text, stderr);
	free(text);
	return c;
}
