/* SPDX-License-Identifier: Apache-2.0 */
/* A message is formatted into memory of the stack, escaped into another piece, and written once: lines of several
 * threads do not mix (a pipe takes PIPE_BUF, 4 KiB, in one piece). What is longer is cut, with "..." at the end. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/strbuf.h"

enum {
	MESSAGE_BYTES = 2048,
	LINE_BYTES = 4096,
	TAIL_BYTES = 8, /* kept free behind the message: "...", quote and brace, end of line */
};

/* Set by the main thread at reload, read by all: each on its own, no order between them is needed. */
static _Atomic int level_now = LOG_INFO;
static _Atomic int format_now = LOG_TEXT;
static atomic_bool journal;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
/* Of syslog: LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG. */
static const int level_priorities[] = {3, 4, 6, 7};

void log_configure(enum log_level level, enum log_format format)
{
	atomic_store(&level_now, (int)level);
	atomic_store(&format_now, (int)format);
	atomic_store(&journal, getenv("JOURNAL_STREAM") != NULL);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

/* Octets of the character of UTF-8 at `s`, 2 to 4; 0 if it is none (RFC 3629), or a control character of the upper half
 * (U+0080 to U+009F), which some terminals obey. The zero at the end stops every look ahead. */
static size_t multibyte(const unsigned char *s)
{
	size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	unsigned least = s[0] == 0xe0 || s[0] == 0xc2 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	unsigned most = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

	if (s[0] < 0xc2 || s[0] > 0xf4 || s[1] < least || s[1] > most)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

/* Writes the character at `s` so that it does no harm, to `out`; returns the octets of `s` that it stands for. */
static size_t escape(const unsigned char *s, bool json, char out[8])
{
	if (s[0] >= 0x80) {
		size_t len = multibyte(s);
		if (len > 0) {
			memcpy(out, s, len);
			out[len] = '\0';
			return len;
		}
		/* JSON has no way to say an octet: the character that replaces what cannot be read. */
		snprintf(out, 8, json ? "\\ufffd" : "\\x%02x", s[0]);
		return 1;
	}
	if (s[0] < 0x20 || s[0] == 0x7f)
		snprintf(out, 8, json ? "\\u%04x" : "\\x%02x", s[0]);
	else
		snprintf(out, 8, "%s%c", json && (s[0] == '"' || s[0] == '\\') ? "\\" : "", s[0]);
	return 1;
}

static void add_escaped(struct strbuf *line, const char *message, bool json)
{
	const unsigned char *s = (const unsigned char *)message;
	char piece[8];

	while (*s != '\0') {
		s += escape(s, json, piece);
		/* Cut between characters, never inside an escape: a JSON line stays JSON. */
		if (line->len + strlen(piece) + TAIL_BYTES >= line->size) {
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
	strbuf_addf(line, json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":\"" : "%s.%03ldZ %s: ", when,
		    now.tv_nsec / 1000000, level_names[level]);
}

void log_write(enum log_level level, const char *format, ...)
{
	/* On the stack: threads do not wait for one another, and a full heap can still be reported. */
	char message[MESSAGE_BYTES], text[LINE_BYTES];
	bool json = atomic_load(&format_now) == LOG_JSON;
	struct strbuf line;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	int len = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	ASSERT(len >= 0);
	if ((size_t)len >= sizeof(message))
		memcpy(message + sizeof(message) - 4, "...", 4);

	strbuf_init(&line, text, sizeof(text));
	add_head(&line, level, json);
	add_escaped(&line, message, json);
	strbuf_add(&line, json ? "\"}\n" : "\n");
	/* Nobody can be told that the log is full or gone. */
	ssize_t ignored = write(STDERR_FILENO, line.text, line.len);
	(void)ignored;
}
