/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CLI_PRETEND_H
#define TESTS_CLI_PRETEND_H
/* A pretended daemon on a thread of its own, which says what it was told to, and commands with their output caught. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "net/control.h"

enum { PRETEND_TEXT_MAX = 1 << 20 };

struct pretend {
	char path[CONTROL_PATH_MAX];
	struct loop *loop;
	struct loop_wakeup *stop;
	pthread_t thread;
	const char *says; /* NULL: nothing */
	char heard[4096];
	unsigned lines;
	char printed[PRETEND_TEXT_MAX], said[PRETEND_TEXT_MAX]; /* of the last command: stdout, stderr */
};

static inline void pretend_handle(void *arg, const struct control_line *line, struct control_reply *reply)
{
	struct pretend *p = arg;

	p->lines++;
	snprintf(p->heard, sizeof(p->heard), "%s", line->text);
	if (p->says == NULL)
		return;
	reply->text = strdup(p->says);
	reply->len = strlen(p->says);
}

static inline void pretend_end(void *arg)
{
	loop_stop(((struct pretend *)arg)->loop);
}

static inline void *pretend_run(void *arg)
{
	loop_run(((struct pretend *)arg)->loop);
	return NULL;
}

static inline struct pretend *pretend_new(const char *says)
{
	struct pretend *p = calloc(1, sizeof(*p));

	snprintf(p->path, sizeof(p->path), "/tmp/r53fwd-pretend-%d.sock", (int)getpid());
	p->says = says;
	p->loop = loop_new();
	p->stop = loop_wakeup_new(p->loop, pretend_end, p);
	int fd = control_open(p->path);
	assert_true(fd >= 0);
	assert_non_null(control_new(p->loop, fd, pretend_handle, p));
	assert_int_equal(pthread_create(&p->thread, NULL, pretend_run, p), 0);
	return p;
}

static inline void pretend_free(struct pretend *p)
{
	loop_wakeup_send(p->stop);
	pthread_join(p->thread, NULL);
	loop_free(p->loop);
	free(p);
}

/* Runs a command with stdout and stderr in files; returns its exit status. */
static inline int pretend_command(struct pretend *p, int (*command)(const struct cli *c), struct cli c)
{
	char *texts[] = {p->printed, p->said};
	FILE *files[2];
	int kept[2];

	if (c.control == NULL)
		c.control = p->path;
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		files[i] = tmpfile();
		kept[i] = dup(i + 1);
		dup2(fileno(files[i]), i + 1);
	}
	int status = command(&c);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(kept[i], i + 1);
		close(kept[i]);
		ssize_t got = pread(fileno(files[i]), texts[i], PRETEND_TEXT_MAX - 1, 0);
		texts[i][MAX(got, 0)] = '\0';
		fclose(files[i]);
	}
	return status;
}

#endif
