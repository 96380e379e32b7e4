/* SPDX-License-Identifier: Apache-2.0 */
#include "server/handover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "net/bridge.h"

struct handover {
	struct handover_world world;
	struct loop_timer *patience;
	struct bridge *bridge; /* NULL: nobody takes over */
	pid_t pid;
	bool done;
};

static void end_bridge(struct handover *h)
{
	bridge_close(h->bridge);
	h->bridge = NULL;
	loop_timer_set(h->patience, UINT64_MAX);
}

static void go_on(struct handover *h)
{
	end_bridge(h);
	h->world.resume(h->world.arg);
}

static void give_over(struct handover *h, bool keep_file)
{
	h->done = true;
	loop_timer_set(h->patience, UINT64_MAX);
	h->world.leave(h->world.arg, keep_file);
	(void)bridge_send(bridge_end(h->bridge), BRIDGE_YOURS, -1, NULL, 0);
	log_info("process %d has taken over: stopping", (int)h->pid);
	h->world.stop(h->world.arg, bridge_end(h->bridge));
}

static void on_word(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	struct handover *h = arg;

	(void)bytes;
	(void)len;
	if (fd >= 0)
		close(fd); /* nothing that it should send us */
	if (h->done)
		return;
	if (word == BRIDGE_SERVES || word == BRIDGE_KEEPS) {
		give_over(h, word == BRIDGE_KEEPS);
	} else if (word == BRIDGE_ENDED) {
		log_warn("process %d wanted to take over and has ended before it served; we serve on", (int)h->pid);
		go_on(h);
	}
}

static void on_patience(void *arg)
{
	struct handover *h = arg;

	/* A loop that was late fires its timers first: a word that waits came in time. */
	bridge_read(h->bridge);
	if (h->bridge == NULL || h->done)
		return;
	log_warn("process %d wanted to take over and does not serve after %d s; we serve on", (int)h->pid, HANDOVER_PATIENCE_US / US_PER_S);
	(void)bridge_send(bridge_end(h->bridge), BRIDGE_NO, -1, NULL, 0);
	go_on(h);
}

struct handover *handover_new(const struct handover_world *world)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->world = *world;
	h->patience = loop_timer_new(world->loop, on_patience, h);
	if (h->patience != NULL)
		return h;
	free(h);
	return NULL;
}

void handover_free(struct handover *h)
{
	/* We are stopped in the middle of it: whoever has the offer will find the bridge closed, and serve at our control socket. */
	if (h->bridge != NULL && !h->done)
		h->world.leave(h->world.arg, true);
	if (h->bridge != NULL)
		bridge_close(h->bridge);
	loop_timer_close(h->patience);
	free(h);
}

/* The bridge's other end first. False when something is missing; what is there goes with the reply. */
static bool fill(struct handover *h, struct control_reply *reply, int ends[2])
{
	int control = fcntl(h->world.control(h->world.arg), F_DUPFD_CLOEXEC, 0);

	reply->fds = calloc(3, sizeof(int));
	if (reply->fds == NULL || control < 0) {
		close(ends[0]);
		close(ends[1]);
		if (control >= 0)
			close(control);
		return false;
	}
	reply->fds[reply->fd_count++] = ends[1];
	reply->fds[reply->fd_count++] = control;
	int cache = h->world.cache(h->world.arg);
	if (cache >= 0)
		reply->fds[reply->fd_count++] = cache;
	h->bridge = bridge_new(h->world.loop, ends[0], on_word, h);
	return h->bridge != NULL && h->world.sockets(h->world.arg, &reply->fds, &reply->fd_count);
}

bool handover_is_out(const struct handover *h)
{
	return h->bridge != NULL;
}

const char *handover_offer(struct handover *h, pid_t pid, struct control_reply *reply)
{
	int ends[2];

	if (h->bridge != NULL)
		return h->done ? "another instance has taken over already" : "another instance is about to take over";
	if (bridge_pair(ends) != 0 || !fill(h, reply, ends)) {
		if (h->bridge != NULL)
			end_bridge(h);
		control_reply_deinit(reply);
		return "out of memory or descriptors";
	}
	h->pid = pid;
	h->world.hold(h->world.arg);
	loop_timer_set(h->patience, loop_now_us(h->world.loop) + HANDOVER_PATIENCE_US);
	return NULL;
}
