/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
/* One line a message, to stderr, through base/log_writer.h: nobody waits for whoever reads it. Any thread. Called by server, cli, sim
 * only: rooms below return what happened instead. Text that came from the network must be escaped by whoever prints it (wire/text.h
 * does); what would harm a terminal or break a line's JSON is escaped here. */

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Sets what is printed and how; at start and at reload. When stderr is the journal (JOURNAL_STREAM names it), text lines carry a
 * priority like <4>, and no time, which it knows. */
void log_configure(enum log_level level, enum log_format format);

/* "error", "warn", "info", "debug": what users write. -1: none of these. */
int log_level_named(const char *word);
const char *log_level_name(enum log_level level);

bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_write(LOG_DEBUG, __VA_ARGS__) : (void)0)

/* What machines read of a message: members of its JSON, `event` mostly the first. In text there is only the message, which says it in
 * words. A list ends with LOG_END. */
enum log_kind { LOG_FIELD_TEXT, LOG_FIELD_COUNT, LOG_FIELD_MS };

struct log_field {
	const char *key;  /* letters and `_` */
	const char *text; /* LOG_FIELD_TEXT; NULL is null */
	enum log_kind kind;
	uint64_t number;  /* LOG_FIELD_COUNT: printed as it is; LOG_FIELD_MS: microseconds, printed in milliseconds */
};

#define LOG_STRING(k, t) {.key = (k), .text = (t)}
#define LOG_COUNT(k, n) {.key = (k), .kind = LOG_FIELD_COUNT, .number = (n)}
#define LOG_MS(k, us) {.key = (k), .kind = LOG_FIELD_MS, .number = (us)}
#define LOG_END {.key = NULL}

void log_event(enum log_level level, const struct log_field *fields, const char *format, ...) PRINTF_LIKE(3, 4);

/* At level info, but printed whatever the level: what somebody has asked for by name. */
void log_report(const struct log_field *fields, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
