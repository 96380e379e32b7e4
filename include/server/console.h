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
	const char *(*takeover)(void *arg, pid_t pid, struct control_reply *reply); /* as in struct command_world */
	bool (*only_looks)(void *arg, pid_t pid); /* the same; these too: */
	pid_t (*pages)(void *arg);
	bool (*is_leaving)(void *arg);
	void *arg;
	uint32_t workers;
	const char *zones_path;
};

/* `world` is copied. NULL without memory. */
NODISCARD struct console *console_new(struct loop *l, const struct console_world *world);

/* Listens where `control:` says, and begins to count. False when that cannot be: said why, and that is fatal if somebody wrote `control:`;
 * without the default socket the daemon does without. */
NODISCARD bool console_open(struct console *c, const struct config *config);

/* The instance that we take over from listens on the socket of `control:`. console_expect: begins to count, but leaves the socket alone.
 * console_inherit: we listen on it, `fd` (taken over), from now on. If its file is gone, what console_open does is tried, without being
 * fatal: in the sandbox, which makes no sockets of this kind, we do without. */
NODISCARD bool console_expect(struct console *c, const struct config *config);
void console_inherit(struct console *c, const struct config *config, int fd);

/* To the instance that takes over from us: the socket (lent; -1: there is none), and the end of our listening on it. */
int console_fd(const struct console *c);
void console_leave(struct console *c, bool keep_file);

void console_free(struct console *c);

/* What `control:` was when the daemon started. */
const char *console_path(const struct console *c);

/* Can somebody be served there? */
bool console_serves(const struct console *c);

/* zones.conf was read again, by whatever way. */
void console_reloaded(struct console *c, bool loaded);

#endif
