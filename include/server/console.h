/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_CONSOLE_H
#define SERVER_CONSOLE_H
/* The daemon's end of the control socket, and what is remembered for those who look in: since when it runs, how reloads went, how
 * many queries a second there are. Main thread only. */

#include "server/command.h"

struct console;

struct console_world {
	struct snapshot *(*snapshot)(void *arg); /* the one in force; lent */
	const struct metrics *(*metrics)(void *arg, uint32_t worker);
	void (*reload)(void *arg, struct command_reload *result);
	void (*drained)(void *arg, const struct pool *pool);
	bool (*probed)(void *arg); /* each address was probed once */
	void *arg;
	uint32_t workers;
	const char *zones_path;
};

/* `world` is copied. NULL without memory. */
NODISCARD struct console *console_new(struct loop *l, const struct console_world *world);

/* Listens where `control:` says, and begins to count. False when that cannot be: said why, and that is fatal if somebody wrote `control:`;
 * without the default socket the daemon does without. */
NODISCARD bool console_open(struct console *c, const struct config *config);

void console_free(struct console *c);

/* What `control:` was when the daemon started. */
const char *console_path(const struct console *c);

/* zones.conf was read again, by whatever way. */
void console_reloaded(struct console *c, bool loaded);

#endif
