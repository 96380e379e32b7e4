/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_WRITER_H
#define BASE_LOG_WRITER_H
/* Lines on their way to standard error: a bounded queue and a thread that writes it, so that nobody waits for a journal, a pipe or a
 * disk that does not keep up. What does not fit is lost and counted. Any thread; for base/log.c alone but for start and stop.
 *
 * The life of the writer: lines are written on the spot → log_writer_start: a thread does it → log_writer_stop: the queue is emptied,
 * for LOG_WRITER_STOP_MS at most, and lines are written on the spot again; those of a reader that still does not read are lost.
 * How it can fail: without a thread, lines are written on the spot. */

#include "base/base.h"

enum {
	LOG_WRITER_LINE = 4096,         /* a line has no more: PIPE_BUF, so that lines of several programs do not mix */
	LOG_WRITER_BYTES = 256 * 1024,  /* of the queue: some 1,500 lines about queries */
	LOG_WRITER_STOP_MS = 2000,
};

/* May be started again after a stop. From the main thread. */
void log_writer_start(void);
void log_writer_stop(void);

/* Queues a line (with its end; at most LOG_WRITER_LINE). Returns how many were lost since the last one that was not: news for the log. Once
 * a line is lost, so are others until half of the queue is free. */
uint64_t log_writer_put(const char *line, size_t len);

#endif
