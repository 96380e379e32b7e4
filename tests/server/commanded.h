/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SERVER_COMMANDED_H
#define TESTS_SERVER_COMMANDED_H
/* Commands given to a world on a virtual clock: what the console does in the daemon. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "server/command.h"
#include "world.h"

/* Where the clock behind world_now_us begins. */
enum { COMMANDED_BEGIN_US = 1000000000 };

struct commanded {
	struct world *world;
	struct qps *qps;
	struct history *history;
	const struct metrics *metrics[1];
	const char *drained_name; /* of the pool that command_world.drained was told last */
	bool reload_works;
	const char *reload_says;
	const char *zones_path; /* "zones.conf" */
	unsigned reloads;
	bool own;             /* who gives the commands: the daemon's own user, else a stranger */
	bool pages;           /* or r53fwd-http */
	bool leaving;         /* another instance has been offered everything */
	const char *refusal;  /* what takeover says; NULL: it is carried out */
	pid_t successor;
};

static inline void on_reload(void *arg, struct command_reload *result)
{
	struct commanded *c = arg;

	c->reloads++;
	result->loaded = c->reload_works;
	result->said = c->reload_says != NULL ? strdup(c->reload_says) : NULL;
}

static inline void on_drained(void *arg, const struct pool *pool)
{
	((struct commanded *)arg)->drained_name = pool->name;
}

static inline const char *on_takeover(void *arg, pid_t pid, struct control_reply *reply)
{
	struct commanded *c = arg;

	c->successor = pid;
	(void)reply;
	return c->refusal;
}

static inline struct status_world look(struct commanded *c)
{
	c->metrics[0] = world_metrics(c->world);
	return (struct status_world){
		.snapshot = world_snapshot(c->world),
		.metrics = c->metrics,
		.workers = 1,
		.qps = c->qps,
		.history = c->history,
		.probed = true,
		.now_us = COMMANDED_BEGIN_US + world_now_us(c->world),
		.started_us = COMMANDED_BEGIN_US,
		.zones_path = c->zones_path,
		.started_at = 1763999000,
		.loaded_at = 1764000000,
		.reloads_ok = 3,
		.reloads_failed = 1,
	};
}

static inline pid_t on_pages(void *arg)
{
	(void)arg;
	return 4712;
}

static inline bool on_is_leaving(void *arg)
{
	return ((struct commanded *)arg)->leaving;
}

static inline bool on_only_looks(void *arg, pid_t pid)
{
	(void)pid;
	return ((struct commanded *)arg)->pages;
}

/* The reply to a line, read. The caller gives it back. */
static inline json_t *tell_octets(struct commanded *c, const char *text, size_t len)
{
	const struct command_world w = {.status = look(c), .reload = on_reload, .drained = on_drained, .takeover = on_takeover,
					.only_looks = on_only_looks, .pages = on_pages, .is_leaving = on_is_leaving, .arg = c};
	const struct control_line line = {.text = text, .len = len, .uid = c->own ? geteuid() : 7, .pid = 8};
	struct control_reply reply = {.text = NULL};

	command_run(&w, &line, &reply);
	assert_non_null(reply.text);
	assert_int_equal(strlen(reply.text), reply.len);
	for (const char *at = reply.text; *at != '\0'; at++)
		assert_in_range((unsigned char)*at, ' ', '~'); /* one line, of ASCII */
	json_t *answer = json_loadb(reply.text, reply.len, 0, NULL);
	assert_true(json_is_object(answer));
	control_reply_deinit(&reply);
	return answer;
}

static inline json_t *tell(struct commanded *c, const char *text)
{
	return tell_octets(c, text, strlen(text));
}

/* The reply is this error and, with it, nothing else. */
static inline void expect_error(struct commanded *c, const char *text, const char *error)
{
	json_t *answer = tell(c, text);

	assert_string_equal(json_string_value(json_object_get(answer, "error")), error);
	assert_int_equal(json_object_size(answer), 1);
	json_decref(answer);
}

static inline void commanded_start(struct commanded *c, const char *conf)
{
	memset(c, 0, sizeof(*c));
	c->zones_path = "zones.conf";
	c->world = world_new(conf);
	c->qps = qps_new();
	c->history = history_new();
	world_trace_off(c->world);
}

static inline void commanded_stop(struct commanded *c)
{
	qps_free(c->qps);
	history_free(c->history);
	world_free(c->world);
}

#endif
