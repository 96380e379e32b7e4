/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log_writer.h"

enum { LINE = 64, THREADS = 4, EACH = 2000 };

static int kept_stderr, ends[2];
static char got[1 << 20];

/* Standard error goes into a pipe, of `bytes` if that is not 0. */
static void catch_stderr(int bytes)
{
	assert_int_equal(pipe(ends), 0);
	if (bytes > 0)
		assert_true(fcntl(ends[1], F_SETPIPE_SZ, bytes) > 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

static void give_back(void)
{
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
}

/* Everything until the pipe's end; counts the lines. */
static unsigned drain(void)
{
	unsigned lines = 0;
	size_t len = 0;
	ssize_t n;

	while ((n = read(ends[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	close(ends[0]);
	for (const char *at = got; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	return lines;
}

/* A line of LINE bytes that names its writer and number. */
static uint64_t put(int writer, unsigned number)
{
	char line[LINE + 1];

	snprintf(line, sizeof(line), "%c%06u%*s\n", 'a' + writer, number, LINE - 8, ".");
	return log_writer_put(line, LINE);
}

static void before_the_start_a_line_is_written_on_the_spot(void **state)
{
	(void)state;
	catch_stderr(0);
	assert_int_equal(put(0, 1), 0);
	assert_int_equal(read(ends[0], got, sizeof(got)), LINE);
	give_back();
	close(ends[0]);
}

static void queued_lines_are_all_there_after_the_stop_in_their_order(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) { /* it can be started again */
		catch_stderr(1 << 20);
		log_writer_start();
		for (unsigned i = 0; i < EACH; i++)
			assert_int_equal(put(0, i), 0);
		log_writer_stop();
		put(0, EACH);
		give_back();
		assert_int_equal(drain(), EACH + 1);
		for (unsigned i = 0; i <= EACH; i++)
			assert_int_equal(atoi(got + i * LINE + 1), i);
	}
}

static _Atomic uint64_t lost_by_all; /* what the queue had no room for, if its thread was slow */

static void *write_many(void *arg)
{
	for (unsigned i = 0; i < EACH; i++)
		atomic_fetch_add(&lost_by_all, put((int)(intptr_t)arg, i));
	return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
	unsigned next[THREADS] = {0};
	pthread_t threads[THREADS];

	(void)state;
	catch_stderr(1 << 20);
	log_writer_start();
	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_writer_stop();
	uint64_t lost = atomic_load(&lost_by_all) + put(0, EACH);
	give_back();
	unsigned lines = drain();
	assert_int_equal(lines + lost, THREADS * EACH + 1);
	for (unsigned i = 0; i < lines; i++) {
		const char *line = got + (size_t)i * LINE;
		int writer = line[0] - 'a';
		assert_in_range(writer, 0, THREADS - 1);
		assert_int_equal(line[LINE - 1], '\n');
		assert_in_range(atoi(line + 1), next[writer], EACH);
		next[writer] = (unsigned)atoi(line + 1) + 1;
	}
}

static void *drain_late(void *lines)
{
	*(unsigned *)lines = drain();
	return NULL;
}

static void reader_that_does_not_read_costs_lines_and_nobody_waits(void **state)
{
	enum { MANY = 3 * LOG_WRITER_BYTES / LINE };
	unsigned number = 0, lines = 0, rest;
	uint64_t lost = 0, early = 0;
	pthread_t reader;

	(void)state;
	catch_stderr(4096);
	log_writer_start();
	while (number < MANY)
		early += put(0, number++); /* would hang here forever if it waited */
	while (lost == 0) {
		if (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 20) == 0)
			lost = put(0, number++); /* all that was queued has come */
		else
			lines += (unsigned)read(ends[0], got, sizeof(got)) / LINE;
	}
	assert_int_equal(pthread_create(&reader, NULL, drain_late, &rest), 0);
	log_writer_stop();
	give_back();
	pthread_join(reader, NULL);
	assert_int_equal(early, 0);
	assert_in_range(lost, MANY - LOG_WRITER_BYTES / LINE - 2 * LOG_WRITER_LINE / LINE, number);
	assert_int_equal(lines + rest + lost, number);
}

static void standard_error_that_does_not_block_is_waited_for(void **state)
{
	unsigned lines;
	pthread_t reader;

	(void)state;
	catch_stderr(4096);
	assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK), 0);
	log_writer_start();
	for (unsigned i = 0; i < EACH; i++)
		put(0, i);
	assert_int_equal(pthread_create(&reader, NULL, drain_late, &lines), 0);
	log_writer_stop();
	give_back();
	pthread_join(reader, NULL);
	assert_int_equal(lines, EACH);
}

static void standard_error_that_is_gone_is_no_reason_to_hang(void **state)
{
	(void)state;
	catch_stderr(0);
	close(ends[0]);
	log_writer_start();
	for (unsigned i = 0; i < EACH; i++)
		put(0, i);
	log_writer_stop();
	give_back();
}

/* In a process of its own: the thread that hangs ends with it. */
static void stop_does_not_wait_for_ever(void **state)
{
	int status;

	(void)state;
	catch_stderr(4096);
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		log_writer_start();
		for (unsigned i = 0; i < EACH; i++)
			put(0, i);
		log_writer_stop();
		put(0, 0); /* does not hang either */
		_exit(0);
	}
	give_back();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(ends[0]);
}

static int ignore_sigpipe(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_start_a_line_is_written_on_the_spot),
		cmocka_unit_test(queued_lines_are_all_there_after_the_stop_in_their_order),
		cmocka_unit_test(lines_of_several_threads_do_not_mix),
		cmocka_unit_test(reader_that_does_not_read_costs_lines_and_nobody_waits),
		cmocka_unit_test(standard_error_that_does_not_block_is_waited_for),
		cmocka_unit_test(standard_error_that_is_gone_is_no_reason_to_hang),
		cmocka_unit_test(stop_does_not_wait_for_ever),
	};
	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
