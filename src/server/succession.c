/* SPDX-License-Identifier: Apache-2.0 */
#include "server/succession.h"

#include "base/log.h"
#include "server/confine.h"

void succession_init(struct succession *s)
{
	*s = (struct succession){.bridge = -1};
	takeover_init(&s->takeover);
}

void succession_deinit(struct succession *s)
{
	takeover_deinit(&s->takeover);
	if (s->handover != NULL)
		handover_free(s->handover);
	s->handover = NULL;
}

/* ---- from the one before us */

bool succession_ask(struct succession *s, const struct config *c, struct bindings *b)
{
	enum takeover_verdict v = takeover_ask(&s->takeover, c->top.control, confine_uid(c));

	if (v != TAKEOVER_GIVEN)
		return v == TAKEOVER_NOBODY;
	bool ok = bindings_inherit(b, s->takeover.sockets, s->takeover.socket_count);
	takeover_forget_sockets(&s->takeover);
	if (!ok)
		log_error("cannot take over: out of memory");
	return ok;
}

bool succession_open_console(struct succession *s, struct console *k, const struct config *c)
{
	return s->takeover.keeps ? console_expect(k, c) : console_open(k, c);
}

bool succession_take(struct succession *s, struct snapshot *snapshot, uint64_t now_us)
{
	struct takeover *t = &s->takeover;
	char text[ADDR_TEXT_MAX];

	bool known = persist_unpack(t->cache, snapshot, now_us);
	t->cache = -1;
	for (size_t i = 0; i < t->drained_count; i++) {
		unsigned places = 0;
		for (size_t k = 0; k < snapshot->pool_count; k++)
			places += pool_set_drained(&snapshot->pools[k], &t->drained[i], true);
		if (places > 0)
			log_info("%s stays drained", addr_format(&t->drained[i], text));
	}
	return known;
}

bool succession_is_leaving(const struct succession *s)
{
	return s->handover != NULL && handover_is_out(s->handover);
}

static void on_yours(void *arg)
{
	struct succession *s = arg;
	int control = s->takeover.control;

	s->takeover.control = -1;
	if (control >= 0)
		console_inherit(s->world.console, s->world.snapshot(s->world.arg)->config, control);
	persist_enable(s->world.persist);
	s->world.inherited(s->world.arg);
}

static void on_refused(void *arg)
{
	struct succession *s = arg;

	s->failed = true;
	loop_stop(s->world.loop);
}

static void on_client(void *arg, int fd, const uint8_t *bytes, size_t len)
{
	struct succession *s = arg;

	worker_take_client(s->world.workers[s->clients++ % s->world.worker_count], fd, bytes, len);
}

static bool begin_takeover(struct succession *s)
{
	if (s->takeover.bridge_end < 0)
		return true;
	persist_disable(s->world.persist);
	s->takeover.yours = on_yours;
	s->takeover.refused = on_refused;
	s->takeover.client = on_client;
	s->takeover.arg = s;
	return takeover_begin(&s->takeover, s->world.loop);
}

/* ---- to the one after us */

static bool copy_sockets(void *arg, int **fds, size_t *count)
{
	struct succession *s = arg;
	bool ok = true;

	for (uint32_t i = 0; i < s->world.worker_count; i++)
		ok = ok && worker_copy_sockets(s->world.workers[i], fds, count);
	return ok;
}

static int control_socket(void *arg)
{
	return console_fd(((struct succession *)arg)->world.console);
}

static int pack_cache(void *arg)
{
	struct succession *s = arg;

	return persist_pack(s->world.snapshot(s->world.arg), loop_now_us(s->world.loop));
}

static void hold(void *arg)
{
	persist_disable(((struct succession *)arg)->world.persist);
}

static void resume(void *arg)
{
	persist_enable(((struct succession *)arg)->world.persist);
}

static void leave(void *arg, bool keep_file)
{
	console_leave(((struct succession *)arg)->world.console, keep_file);
}

static void stop(void *arg, int bridge)
{
	struct succession *s = arg;

	s->bridge = bridge;
	loop_stop(s->world.loop);
}

bool succession_begin(struct succession *s, const struct succession_world *world)
{
	const struct handover_world older = {world->loop, copy_sockets, control_socket, pack_cache, hold, resume, leave, stop, s};

	s->world = *world;
	s->handover = handover_new(&older);
	return s->handover != NULL && begin_takeover(s);
}

const char *succession_offer(struct succession *s, pid_t pid, struct control_reply *reply)
{
	/* What is not settled with the one before us cannot be given away. */
	if (s->handover == NULL || (s->takeover.bridge != NULL && !s->takeover.settled))
		return "this instance is about to take over itself";
	return handover_offer(s->handover, pid, reply);
}

void succession_stop_worker(const struct succession *s, struct worker *w)
{
	if (s->bridge >= 0)
		worker_hand_over(w, s->bridge);
	else
		worker_stop(w);
}
