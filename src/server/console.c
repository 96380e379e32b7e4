/* SPDX-License-Identifier: Apache-2.0 */
#include "server/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

struct console {
	struct console_world world;
	struct loop *loop;
	struct loop_timer *timer;
	struct control *control; /* NULL: does without */
	char *path;		 /* heap; what it was opened with */
	struct qps *qps;
	struct history *history;
	const struct metrics **metrics; /* heap, [workers] */
	uint64_t started_us, reloads_ok, reloads_failed;
	int64_t started_at, loaded_at;
};

static struct status_world look(struct console *c)
{
	for (uint32_t i = 0; i < c->world.workers; i++)
		c->metrics[i] = c->world.metrics(c->world.arg, i);
	return (struct status_world){
		.snapshot = c->world.snapshot(c->world.arg),
		.metrics = c->metrics,
		.workers = c->world.workers,
		.qps = c->qps,
		.history = c->history,
		.probed = c->world.probed(c->world.arg),
		.now_us = loop_now_us(c->loop),
		.started_us = c->started_us,
		.zones_path = c->world.zones_path,
		.started_at = c->started_at,
		.loaded_at = c->loaded_at,
		.reloads_ok = c->reloads_ok,
		.reloads_failed = c->reloads_failed,
	};
}

static void on_line(void *arg, const struct control_line *line, struct control_reply *reply)
{
	struct console *c = arg;
	const struct command_world w = {
		.status = look(c),
		.reload = c->world.reload,
		.drained = c->world.drained,
		.takeover = c->world.takeover,
		.only_looks = c->world.only_looks,
		.pages = c->world.pages,
		.is_leaving = c->world.is_leaving,
		.arg = c->world.arg,
	};

	command_run(&w, line, reply);
}

static void on_second(void *arg)
{
	struct console *c = arg;
	struct status_world w = look(c);

	const uint64_t totals[QPS_TOTALS] = {
		[QPS_QUERIES] = status_metric(&w, METRIC_QUERIES_UDP) + status_metric(&w, METRIC_QUERIES_TCP),
		[QPS_STALE] = status_metric(&w, METRIC_CACHE_STALE),
	};

	qps_sample(c->qps, w.snapshot, totals, w.now_us);
	history_sample(c->history, w.snapshot, w.now_us);
	loop_timer_set(c->timer, w.now_us + QPS_EVERY_US);
}

struct console *console_new(struct loop *l, const struct console_world *world)
{
	struct console *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->world = *world;
	c->loop = l;
	c->started_us = loop_now_us(l);
	c->started_at = c->loaded_at = (int64_t)time(NULL);
	c->timer = loop_timer_new(l, on_second, c);
	c->qps = qps_new();
	c->history = history_new();
	c->metrics = calloc(MAX(world->workers, 1u), sizeof(struct metrics *));
	if (c->timer != NULL && c->qps != NULL && c->history != NULL && c->metrics != NULL)
		return c;
	console_free(c);
	return NULL;
}

static const char *reason(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "another r53fwd runs there";
	case -EEXIST:
		return "the file is there and is no socket";
	default:
		return strerror(-error);
	}
}

bool console_expect(struct console *c, const struct config *config)
{
	c->path = strdup(config->top.control);
	if (c->path == NULL) {
		log_error("out of memory");
		return false;
	}
	loop_timer_set(c->timer, loop_now_us(c->loop) + QPS_EVERY_US);
	return true;
}

static bool listen_anew(struct console *c, const struct config *config)
{
	int fd = control_open(config->top.control);

	if (fd >= 0)
		c->control = control_new(c->loop, fd, on_line, c);
	if (c->control != NULL)
		return true;
	const char *why = reason(fd < 0 ? fd : -ENOMEM);
	if (config->control_default)
		log_warn("no control socket at %s: %s; `r53fwd status`, `reload`, `flush` and `drain` will not reach this daemon (set "
			 "`control:`)",
			 config->top.control, why);
	else
		log_error("cannot make the control socket %s: %s", config->top.control, why);
	return config->control_default;
}

bool console_open(struct console *c, const struct config *config)
{
	return console_expect(c, config) && listen_anew(c, config);
}

void console_inherit(struct console *c, const struct config *config, int fd)
{
	c->control = control_new(c->loop, fd, on_line, c);
	if (c->control == NULL)
		(void)listen_anew(c, config);
}

int console_fd(const struct console *c)
{
	return c->control != NULL ? control_fd(c->control) : -1;
}

void console_leave(struct console *c, bool keep_file)
{
	if (c->control != NULL)
		(keep_file ? control_leave : control_close)(c->control);
	c->control = NULL;
}

void console_free(struct console *c)
{
	if (c->control != NULL)
		control_close(c->control);
	if (c->timer != NULL)
		loop_timer_close(c->timer);
	if (c->qps != NULL)
		qps_free(c->qps);
	if (c->history != NULL)
		history_free(c->history);
	free(c->metrics);
	free(c->path);
	free(c);
}

const char *console_path(const struct console *c)
{
	return c->path;
}

bool console_serves(const struct console *c)
{
	return c->control != NULL;
}

void console_reloaded(struct console *c, bool loaded)
{
	*(loaded ? &c->reloads_ok : &c->reloads_failed) += 1;
	if (loaded)
		c->loaded_at = (int64_t)time(NULL);
}
