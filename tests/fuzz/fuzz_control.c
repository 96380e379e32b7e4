/* SPDX-License-Identifier: Apache-2.0 */
/* The lines are what is said to a running daemon, in turn by a stranger, by r53fwd-http and by the daemon's own user. Whatever it is, one
 * line of ASCII comes back, a JSON object; who may only look changes nothing. The same octets are also an answer, from whoever may sit at
 * the control socket. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "../lib/world.h"
#include "base/log.h"
#include "fuzz.h"
#include "server/command.h"

enum { LINES_MOST = 16, DRAINED_MOST = 4096 };

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.1.0.2, az: b}]}\n"
			   "  tokyo: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.2.0.2, port: 5300, az: b}]}\n"
			   "zones: [{name: corp.test, to: [seoul, tokyo]}, {name: other.test, to: tokyo}]\n"
			   "local-upstreams: [10.9.0.1]\n";

static struct world *w;
static struct qps *qps;
static struct history *history;
static unsigned acts; /* what has been done, beside drains and flushes */

static void on_reload(void *arg, struct command_reload *result)
{
	(void)arg;
	acts++;
	result->loaded = acts % 2;
	result->said = strdup("zones.conf:1:1: \xc3\xa9\xff\n");
}

static void on_drained(void *arg, const struct pool *pool)
{
	(void)arg;
	ASSERT(pool->count > 0);
}

static const char *on_takeover(void *arg, pid_t pid, struct control_reply *reply)
{
	(void)arg;
	(void)pid;
	(void)reply;
	return ++acts % 2 ? "not now" : NULL;
}

static bool only_looks(void *arg, pid_t pid)
{
	(void)arg;
	return pid == 1;
}

static unsigned count_drained(void)
{
	const struct snapshot *s = world_snapshot(w);
	unsigned drained = 0;

	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++)
			drained += atomic_load(&s->pools[i].places[k].upstream->drained);
	return drained;
}

static void check_reply(const struct control_reply *reply)
{
	ASSERT(reply->text != NULL && strlen(reply->text) == reply->len);
	for (size_t i = 0; i < reply->len; i++)
		ASSERT(reply->text[i] >= ' ' && reply->text[i] <= '~');
	json_t *answer = json_loadb(reply->text, reply->len, JSON_REJECT_DUPLICATES, NULL);
	ASSERT(json_is_object(answer));
	json_decref(answer);
}

static pid_t nobody(void *arg)
{
	(void)arg;
	return 0;
}

static bool stays(void *arg)
{
	(void)arg;
	return false;
}

static void say(const uint8_t *line, size_t len, unsigned who)
{
	const struct metrics *metrics[] = {world_metrics(w)};
	const struct status_world status = {.snapshot = world_snapshot(w), .metrics = metrics, .workers = 1, .qps = qps, .history = history,
					    .probed = true, .now_us = 2000000000, .started_us = 1000000000, .zones_path = "zones.conf"};
	const struct command_world world = {.status = status, .reload = on_reload, .drained = on_drained, .takeover = on_takeover,
					    .only_looks = only_looks, .pages = nobody, .is_leaving = stays};
	struct control_reply reply = {.text = NULL};
	char *text = malloc(len + 1);
	unsigned drained = count_drained(), done = acts;

	ASSERT(text != NULL);
	memcpy(text, line, len);
	text[len] = '\0';
	const struct control_line l = {.text = text, .len = len, .uid = who == 2 ? geteuid() : 4711, .pid = who == 1 ? 1 : 4712};
	command_run(&world, &l, &reply);
	check_reply(&reply);
	ASSERT(who != 1 || (count_drained() == drained && acts == done));
	control_reply_deinit(&reply);
	free(text);
}

/* As an answer. */
static void hear(const uint8_t *octets, size_t len)
{
	char *text = malloc(len + 1), why[COMMAND_ERROR_MAX];
	struct addr *drained;

	ASSERT(text != NULL);
	memcpy(text, octets, len);
	text[len] = '\0';
	const struct control_reply reply = {.text = text, .len = len};
	(void)command_read_error(&reply, why);
	for (const char *at = why; *at != '\0'; at++)
		ASSERT(*at >= ' ' && *at <= '~');
	size_t count = command_read_drained(&reply, &drained);
	ASSERT((count == 0) == (drained == NULL));
	for (size_t i = 0; i < count; i++)
		ASSERT(drained[i].sa.sa_family == AF_INET || drained[i].sa.sa_family == AF_INET6);
	free(drained);
	free(text);
}

static void begin(void)
{
	log_configure(LOG_ERROR, LOG_TEXT);
	w = world_new(conf);
	world_trace_off(w);
	qps = qps_new();
	history = history_new();
	ASSERT(qps != NULL && history != NULL);
	(void)world_ask(w, "www.corp.test", "A");
	world_run_ms(w, 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;

	if (w == NULL)
		begin();
	hear(data, size);
	for (unsigned i = 0; i < LINES_MOST && at < end; i++) {
		const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
		line_end = line_end != NULL ? line_end : end;
		say(at, (size_t)(line_end - at), i % 3);
		at = line_end + 1;
	}
	return 0;
}
