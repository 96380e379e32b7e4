/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H
/* The daemon: reads zones.conf, binds, starts the workers, and keeps the main thread: signals, reload, probes, resolv.conf.
 *
 * The life of the server: load → bind (the only moment that needs a privilege) → workers → serve → SIGHUP: load aside, bind
 * what is new, hand over → SIGTERM or SIGINT, or another instance has taken over: listeners are read empty, what is unanswered is
 * waited for (5 s at most) → 0. With `takeover` the sockets of the instance that runs come before what is to be bound.
 * How it can fail: while starting, with one clear sentence; while running not at all: a file that does not load changes nothing. */

#include "base/addr.h"
#include "base/log.h"

/* The command line; what is set here wins over zones.conf, also at a reload. */
struct server_options {
	const char *zones_path;
	const struct addr *listen; /* lent */
	size_t listen_count;       /* 0: as zones.conf says */
	uint32_t workers;          /* 0: as zones.conf says */
	int log_level;             /* -1: as zones.conf says */
	bool takeover;             /* from the instance that runs, if one does */
};

/* Serves until told to stop. Returns the exit status: 0, or 1 when it could not start. */
int server_run(const struct server_options *options);

#endif
