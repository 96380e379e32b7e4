/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Longer than an instance that is taken over from needs to hand the socket over. */
enum { LOOKS_WITHOUT_SOCKET = 30 };

enum { PORT = 9553 };

struct keeper {
	struct child *child; /* NULL: there is no process */
	unsigned without; /* looks in a row that found no control socket */
	bool gone; /* the process died */
	char running[CHILD_MESSAGE_BYTES]; /* the values of what runs; empty: nothing */
};

/* ---- asked in the keeper, of what may come from an intruder ---- */

static bool is_address(const char *value)
{
	struct addr a;

	return addr_parse(&a, value, PORT) == 0;
}

static bool is_format(const char *value)
{
	return strcmp(value, "json") == 0;
}

static bool is_level(const char *value)
{
	return log_level_named(value) >= 0;
}

const struct child_field keeper_fields[KEEPER_VALUES] = {
	[KEEPER_LISTEN] = {"--listen", is_address, true},
	[KEEPER_HOST] = {"--host", config_is_host, false},
	[KEEPER_LOG_FORMAT] = {"--log-format", is_format, false},
	[KEEPER_LOG_LEVEL] = {"--log-level", is_level, false},
};

struct keeper *keeper_new(const struct config *c)
{
	struct keeper *k = calloc(1, sizeof(*k));
	struct privilege_user user;
	struct child_job job = {
		.program = "r53fwd-http",
		.fixed = {"--control", c->top.control, c->top.sandbox ? NULL : "--sandbox", "off"},
		.count = KEEPER_VALUES,
	};

	memcpy(job.fields, keeper_fields, sizeof(keeper_fields));
	/* Who is nobody ends the start, later and with a sentence. */
	if (c->top.user != NULL && privilege_find(c->top.user, &user) == 0)
		job.user = &user;
	if (k != NULL && (c->top.user == NULL || job.user != NULL))
		k->child = child_new(&job);
	return k;
}

/* What cannot be is said once, and not tried again before something else is wanted: without its process nothing can be. */
static void run(struct keeper *k, const char *const *values)
{
	int error = k->child == NULL ? -ECHILD : child_run(k->child, values);

	if (error == -E2BIG)
		log_warn("`http-host`: too long for r53fwd-http, which stays as it is");
	else if (error != 0 && values != NULL)
		log_warn("`http`: r53fwd-http cannot be started: the process that would do so is gone (%s)", strerror(-error));
}

static void adopt(struct keeper *k, const struct config *c, bool served)
{
	/* What it does by itself is not told. */
	const char *values[KEEPER_VALUES] = {[KEEPER_HOST] = c->top.http_host,
					     [KEEPER_LOG_FORMAT] = c->log.format == LOG_JSON ? "json" : NULL,
					     [KEEPER_LOG_LEVEL] = c->log.level != LOG_INFO ? log_level_name(c->log.level) : NULL};
	char wanted[CHILD_MESSAGE_BYTES] = "", listen[ADDR_TEXT_MAX];
	struct addr at;

	if (c->top.http != NULL && served && addr_parse(&at, c->top.http, PORT) == 0) {
		values[KEEPER_LISTEN] = addr_format(&at, listen);
		snprintf(wanted, sizeof(wanted), "%s %s %d %d", listen, values[KEEPER_HOST] != NULL ? values[KEEPER_HOST] : "",
			 (int)c->log.format, (int)c->log.level);
	}
	if (strcmp(wanted, k->running) == 0)
		return;
	memcpy(k->running, wanted, sizeof(wanted));
	run(k, values[KEEPER_LISTEN] != NULL ? values : NULL);
}

static void hear(struct keeper *k)
{
	char said[CHILD_MESSAGE_BYTES];
	int heard = 0;

	while (k->child != NULL && (heard = child_hear(k->child, said)) > 0)
		log_warn("%s", said);
	if (heard == 0 || k->gone)
		return;
	k->gone = true;
	log_warn("`http`: the process that keeps r53fwd-http alive has died: until a restart there are neither metrics nor a status page");
}

void keeper_look(struct keeper *k, const struct config *c, bool served)
{
	k->without = c->top.http != NULL && !served ? k->without + 1 : 0;
	if (k->without == LOOKS_WITHOUT_SOCKET)
		log_warn("`http`: r53fwd-http is not started: there is no control socket that it could ask");
	adopt(k, c, served);
	hear(k);
}

pid_t keeper_program(struct keeper *k)
{
	if (k == NULL || k->child == NULL)
		return 0;
	hear(k);
	return child_program(k->child);
}

bool keeper_is_program(struct keeper *k, pid_t pid)
{
	return pid != 0 && keeper_program(k) == pid;
}

void keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	if (k->child != NULL)
		child_free(k->child);
	free(k);
}
