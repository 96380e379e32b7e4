/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
/* One line a message, to stderr, in one write. Any thread. Called by server, cli, sim only: rooms below return what
 * happened instead. Text that came from the network must be escaped by whoever prints it (wire/text.h does). */

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Sets what is printed and how; at start and at reload. Under systemd (JOURNAL_STREAM set) text lines carry a
 * priority like <4>. Control characters in a message are printed as \xHH, JSON strings are escaped as JSON. */
void log_configure(enum log_level level, enum log_format format);

bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_write(LOG_DEBUG, __VA_ARGS__) : (void)0)

#endif
