/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_LOAD_H
#define SERVER_LOAD_H
/* zones.conf as the daemon reads it, with the command line laid over it; and what is said of it in the log. */

#include <stdio.h>

#include "config/config.h"
#include "server/server.h"

/* At a reload. What is to be said of the file goes to `said`, a line each as diagnostics_print has it. NULL: it cannot be used; what is
 * no regular file cannot. */
NODISCARD struct config *load_zones(const struct server_options *o, FILE *said);

/* At the start, when it is not yet known how the log is wanted: if the file loads, the log is configured and warnings go there; else
 * errors go to stderr as they are. */
NODISCARD struct config *load_first(const struct server_options *o);

/* Logs what was said, at most LOAD_LINES lines of it: a file that is wrong throughout is no reason to fill the log. */
enum { LOAD_LINES = 20 };
void load_say(const char *said, bool loaded);

#endif
