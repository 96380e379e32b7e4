/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H
/* The simulator's control socket: one line in (`ADDRESS FAULT…`), the answer out, the connection ends. The answer begins with
 * `ok` or `error` on a line of its own. */

#include "base/strbuf.h"
#include "sim/watch.h"

struct control;

/* Runs one command: 0 or a negative errno, text in `out`. */
typedef int control_command_fn(void *arg, const char *line, struct strbuf *out);

/* Listens at `path`, mode 0600; a socket there that nobody serves any more is removed first. Returns NULL with errno set. */
NODISCARD struct control *control_new(struct watch_set *w, const char *path, control_command_fn *fn, void *arg);

/* Closes and removes the socket. */
void control_free(struct control *c);

/* The other side: sends `line`, prints what comes back, to stdout or for errors to stderr. The program's exit status. */
int control_ask(const char *path, const char *line);

#endif
