/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum writer_state { WRITER_NONE, WRITER_RUNS, WRITER_ENDS, WRITER_STUCK };

/* One log a process, as there is one standard error. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled, emptied; /* the latter is there while the thread is */
	pthread_t thread;
	enum writer_state state;
	size_t first, used;  /* of `bytes`, which is a ring */
	bool writing, losing;
	uint64_t lost;
	char bytes[LOG_WRITER_BYTES];
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

/* Nobody can be told that the log is gone. */
static void write_out(const char *at, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, at, len);
		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* Whoever gave us standard error set it so. */
			struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
			(void)poll(&room, 1, -1);
		} else if (errno != EINTR) {
			return;
		}
	}
}

/* ---- the ring */

static void append(const char *line, size_t len)
{
	size_t at = (writer.first + writer.used) % LOG_WRITER_BYTES, before_end = MIN(len, LOG_WRITER_BYTES - at);

	memcpy(writer.bytes + at, line, before_end);
	memcpy(writer.bytes, line + before_end, len - before_end);
	writer.used += len;
}

/* Takes whole lines, as many as LOG_WRITER_LINE bytes hold; at least one. */
static size_t take(char out[LOG_WRITER_LINE])
{
	size_t len = MIN(writer.used, (size_t)LOG_WRITER_LINE), before_end = MIN(len, LOG_WRITER_BYTES - writer.first);

	memcpy(out, writer.bytes + writer.first, before_end);
	memcpy(out + before_end, writer.bytes, len - before_end);
	while (out[len - 1] != '\n')
		len--;
	writer.first = (writer.first + len) % LOG_WRITER_BYTES;
	writer.used -= len;
	return len;
}

/* ---- the thread */

static void *run(void *arg)
{
	char out[LOG_WRITER_LINE];

	pthread_setname_np(pthread_self(), "log");
	pthread_mutex_lock(&writer.lock);
	for (;;) {
		while (writer.used == 0 && writer.state == WRITER_RUNS)
			pthread_cond_wait(&writer.filled, &writer.lock);
		if (writer.used == 0)
			break;
		size_t len = take(out);
		writer.writing = true;
		pthread_mutex_unlock(&writer.lock);
		write_out(out, len);
		pthread_mutex_lock(&writer.lock);
		writer.writing = false;
	}
	pthread_cond_signal(&writer.emptied);
	pthread_mutex_unlock(&writer.lock);
	return arg;
}

/* Waited for by a clock that nobody sets: a step back would make the stop last as much longer. */
static void init_emptied(void)
{
	pthread_condattr_t steady;

	ASSERT(pthread_condattr_init(&steady) == 0 && pthread_condattr_setclock(&steady, CLOCK_MONOTONIC) == 0);
	ASSERT(pthread_cond_init(&writer.emptied, &steady) == 0);
	pthread_condattr_destroy(&steady);
}

void log_writer_start(void)
{
	sigset_t all, before;

	ASSERT(writer.state == WRITER_NONE);
	init_emptied();
	writer.state = WRITER_RUNS;
	writer.losing = false;
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&writer.thread, NULL, run, NULL) != 0) {
		pthread_cond_destroy(&writer.emptied);
		writer.state = WRITER_NONE;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* False if the reader does not read. */
static bool await_end(void)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOG_WRITER_STOP_MS / MS_PER_S;
	while ((writer.used > 0 || writer.writing) && error == 0)
		error = pthread_cond_timedwait(&writer.emptied, &writer.lock, &until);
	return writer.used == 0 && !writer.writing;
}

void log_writer_stop(void)
{
	pthread_mutex_lock(&writer.lock);
	if (writer.state != WRITER_RUNS) {
		pthread_mutex_unlock(&writer.lock);
		return;
	}
	writer.state = WRITER_ENDS;
	pthread_cond_signal(&writer.filled);
	bool ended = await_end();
	writer.state = ended ? WRITER_NONE : WRITER_STUCK;
	pthread_mutex_unlock(&writer.lock);
	/* A thread that hangs in write() cannot be joined: it ends with the process. */
	if (!ended) {
		pthread_detach(writer.thread);
		return;
	}
	pthread_join(writer.thread, NULL);
	pthread_cond_destroy(&writer.emptied);
}

static uint64_t take_lost(void)
{
	uint64_t lost = writer.lost;

	writer.lost = 0;
	return lost;
}

uint64_t log_writer_put(const char *line, size_t len)
{
	uint64_t lost = 0;

	ASSERT(len > 0 && len <= LOG_WRITER_LINE && line[len - 1] == '\n');
	pthread_mutex_lock(&writer.lock);
	if (writer.state == WRITER_NONE) {
		lost = take_lost();
		pthread_mutex_unlock(&writer.lock);
		write_out(line, len);
		return lost;
	}
	size_t room = writer.losing ? LOG_WRITER_BYTES / 2 : LOG_WRITER_BYTES;
	writer.losing = writer.used + len > room || writer.state == WRITER_STUCK;
	if (writer.losing) {
		writer.lost++;
	} else {
		lost = take_lost();
		append(line, len);
		if (writer.used == len)
			pthread_cond_signal(&writer.filled);
	}
	pthread_mutex_unlock(&writer.lock);
	return lost;
}
