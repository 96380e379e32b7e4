/* SPDX-License-Identifier: Apache-2.0 */
/* A message is formatted into memory of the stack, escaped into another piece, and handed on whole: lines of several threads do not
 * mix. What is longer is cut, with "..." at the end. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log_writer.h"
#include "base/strbuf.h"
#include "base/utf8.h"

enum {
	MESSAGE_BYTES = 2048,
	TAIL_BYTES = 8,      /* kept free behind the message: "...", quote and brace, end of line */
	FIELDS_ROOM = 1024,  /* kept free behind each field: for the keys of the others, and a message */
};

/* Set by the main thread at reload, read by all: each on its own, no order between them is needed. */
static _Atomic int level_now = LOG_INFO;
static _Atomic int format_now = LOG_TEXT;
static atomic_bool journal;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
/* Of syslog: LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG. */
static const int level_priorities[] = {3, 4, 6, 7};

/* systemd gives stderr's device and inode: a file or a pipe that we were given instead is not the journal. */
static bool is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (text == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(text, own) == 0;
}

void log_configure(enum log_level level, enum log_format format)
{
	atomic_store(&level_now, (int)level);
	atomic_store(&format_now, (int)format);
	atomic_store(&journal, is_journal());
}

int log_level_named(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (strcmp(word, level_names[i]) == 0)
			return (int)i;
	return -1;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

/* Writes the character at `s` as it may stand in a JSON string, to `out`; returns the octets of `s` that it stands for. */
static size_t escape_json(const char *s, char out[8])
{
	unsigned char first = (unsigned char)s[0];

	if (first >= 0x80 && utf8_multibyte(s) == 0)
		snprintf(out, 8, "\\ufffd"); /* JSON has no way to say an octet: the character that replaces what cannot be read */
	else if (first < 0x20 || first == 0x7f)
		snprintf(out, 8, "\\u%04x", first);
	else if (first == '"' || first == '\\')
		snprintf(out, 8, "\\%c", first);
	else
		return utf8_show(s, out);
	return 1;
}

/* Leaves `kept` bytes free. */
static void add_escaped(struct strbuf *line, const char *message, bool json, size_t kept)
{
	char piece[8];

	while (*message != '\0') {
		message += json ? escape_json(message, piece) : utf8_show(message, piece);
		/* Cut between characters, never inside an escape: a JSON line stays JSON. */
		if (line->len + strlen(piece) + kept >= line->size) {
			strbuf_add(line, "...");
			return;
		}
		strbuf_add(line, piece);
	}
}

/* What stands before the message. */
static void add_head(struct strbuf *line, enum log_level level, bool json)
{
	struct timespec now;
	struct tm utc;
	char when[32];

	if (!json && atomic_load(&journal)) {
		/* The journal knows the time itself. */
		strbuf_addf(line, "<%d>", level_priorities[level]);
		return;
	}
	/* UTC, so that lines of hosts in several zones sort as they happened. */
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
	strbuf_addf(line, json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\"," : "%s.%03ldZ %s: ", when,
		    now.tv_nsec / 1000000, level_names[level]);
}

static void add_field(struct strbuf *line, const struct log_field *f)
{
	unsigned long long n = f->number;

	strbuf_addf(line, "\"%s\":", f->key);
	if (f->kind == LOG_FIELD_COUNT) {
		strbuf_addf(line, "%llu,", n);
	} else if (f->kind == LOG_FIELD_MS) {
		strbuf_addf(line, "%llu.%03llu,", n / 1000, n % 1000);
	} else if (f->text == NULL) {
		strbuf_add(line, "null,");
	} else {
		strbuf_add(line, "\"");
		add_escaped(line, f->text, true, FIELDS_ROOM);
		strbuf_add(line, "\",");
	}
}

static uint64_t put(enum log_level level, const struct log_field *fields, const char *message)
{
	char text[LOG_WRITER_LINE + 1];
	bool json = atomic_load(&format_now) == LOG_JSON;
	struct strbuf line;

	strbuf_init(&line, text, sizeof(text));
	add_head(&line, level, json);
	for (; json && fields != NULL && fields->key != NULL; fields++)
		add_field(&line, fields);
	if (json)
		strbuf_add(&line, "\"message\":\"");
	add_escaped(&line, message, json, TAIL_BYTES);
	strbuf_add(&line, json ? "\"}\n" : "\n");
	ASSERT(!line.cut);
	return log_writer_put(line.text, line.len);
}

static void PRINTF_LIKE(3, 0) say(enum log_level level, const struct log_field *fields, const char *format, va_list args)
{
	/* On the stack: threads do not wait for one another, and a full heap can still be reported. */
	char message[MESSAGE_BYTES];
	int len = vsnprintf(message, sizeof(message), format, args);

	ASSERT(len >= 0);
	if ((size_t)len >= sizeof(message))
		memcpy(message + sizeof(message) - 4, "...", 4);
	uint64_t lost = put(level, fields, message);
	if (UNLIKELY(lost > 0)) {
		const struct log_field members[] = {LOG_STRING("event", "log"), LOG_COUNT("lost", lost), LOG_END};
		snprintf(message, sizeof(message), "%llu lines before the last one were lost: whoever reads standard error is too slow",
			 (unsigned long long)lost);
		(void)put(LOG_WARN, members, message);
	}
}

void log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	say(level, NULL, format, args);
	va_end(args);
}

void log_event(enum log_level level, const struct log_field *fields, const char *format, ...)
{
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	say(level, fields, format, args);
	va_end(args);
}

void log_report(const struct log_field *fields, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(LOG_INFO, fields, format, args);
	va_end(args);
}
