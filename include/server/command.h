/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H
/* What may be said to a running daemon, one JSON object each way: {"command": "flush", "zone": "corp.example"} → {"forgotten": 12}.
 * Commands are the rows of tables/control.def. What cannot be done is answered with {"error": "a sentence"}; what was done all the
 * same, with "warnings" beside the result. Main thread only. */

#include "net/control.h"
#include "server/status.h"

/* Of a number that is no count: what was meant is 2.2, not 2.2000000000000002. */
enum { COMMAND_DIGITS = 12 };

/* How a reload went. */
struct command_reload {
	bool loaded;
	char *said; /* heap or NULL: errors and warnings, a line each */
};

struct command_world {
	struct status_world status;
	void (*reload)(void *arg, struct command_reload *result); /* the snapshot above may be gone afterwards */
	/* No address of the pool takes questions any more, or one does again: it should be judged soon. */
	void (*drained)(void *arg, const struct pool *pool);
	/* Process `pid` wants to take over: what it needs goes to the reply's descriptors. NULL, or why not, in a sentence. */
	const char *(*takeover)(void *arg, pid_t pid, struct control_reply *reply);
	/* Is it r53fwd-http, which may look and no more? */
	bool (*only_looks)(void *arg, pid_t pid);
	pid_t (*pages)(void *arg); /* who that is; 0: nobody */
	/* Another instance has been offered everything: what is changed now would be lost. */
	bool (*is_leaving)(void *arg);
	void *arg;
};

/* Carries the line out. `reply` gets its text; none without memory. */
void command_run(const struct command_world *w, const struct control_line *line, struct control_reply *reply);

/* The reply's error as far as it fits, in ASCII. False: it is the answer of somebody who did what he was told. */
enum { COMMAND_ERROR_MAX = 512 };
bool command_read_error(const struct control_reply *reply, char out[COMMAND_ERROR_MAX]);

/* The r53fwd-http of whoever is taken over from: it may outlive that for a moment. 0: there is none. */
pid_t command_read_pages(const struct control_reply *reply);

/* The addresses that somebody who is taken over from has drained: heap, the caller's; NULL when there are none. */
size_t command_read_drained(const struct control_reply *reply, struct addr **out);

#endif
