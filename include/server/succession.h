/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_SUCCESSION_H
#define SERVER_SUCCESSION_H
/* Where the server stands in the row of instances: what a takeover and a handover mean for bindings, console, snapshot and workers.
 *
 * Main thread only. */

#include "server/bindings.h"
#include "server/console.h"
#include "server/handover.h"
#include "server/persist.h"
#include "server/takeover.h"

struct succession_world {
	struct loop *loop;
	struct console *console;
	struct persist *persist;
	struct worker **workers; /* [worker_count] */
	uint32_t worker_count;
	struct snapshot *(*snapshot)(void *arg); /* the one in force; lent */
	void (*inherited)(void *arg);            /* the control socket is ours */
	void *arg;
};

struct succession {
	struct succession_world world;
	struct takeover takeover;  /* from the one before us */
	struct handover *handover; /* to the one after us; NULL: too early for that */
	int bridge;                /* to the one that has taken over; -1: none has */
	uint32_t clients;          /* taken from the one before us */
	bool failed;               /* the one before us serves on: we must not */
};

void succession_init(struct succession *s);
void succession_deinit(struct succession *s);

/* `--takeover`: asks the instance that runs, if one does, for its sockets, which go to `b`. False: it refuses; said why. */
NODISCARD bool succession_ask(struct succession *s, const struct config *c, struct bindings *b);

/* console_open, or console_expect if the control socket comes from the one before us. */
NODISCARD bool succession_open_console(struct succession *s, struct console *k, const struct config *c);

/* Somebody is about to take over from us. */
bool succession_is_leaving(const struct succession *s);

/* What the one before us knew and what its operator had drained goes to `s`. False without a takeover, or if nothing came along. */
bool succession_take(struct succession *s, struct snapshot *snapshot, uint64_t now_us);

/* The workers serve: the one before us may stop, and one after us may ask. `world` is copied. False without memory. */
NODISCARD bool succession_begin(struct succession *s, const struct succession_world *world);

/* Process `pid` asks: handover_offer. */
const char *succession_offer(struct succession *s, pid_t pid, struct control_reply *reply);

/* worker_stop, or worker_hand_over if somebody has taken over. */
void succession_stop_worker(const struct succession *s, struct worker *w);

#endif
