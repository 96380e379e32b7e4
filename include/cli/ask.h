/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_ASK_H
#define CLI_ASK_H
/* Talking to the running daemon: which socket it is, one command there, and what can be wrong with that in words. */

#include "cli/cli.h"

struct json_t;

/* How long an answer may take. A daemon that says nothing for so long to `alive` is not alive; reading a large file takes its time. */
enum { ASK_ALIVE_MS = 5000, ASK_MS = 60000 };

enum { ASK_WHY_MAX = 512 };

/* --control, else `control:` of zones.conf, else the default. Heap. NULL: the file was named and does not tell, as `why` says; or there
 * is no memory. */
NODISCARD char *ask_path(const struct cli *c, char why[ASK_WHY_MAX]);

/* Sends `question` (takes it) and returns the answer, an object that the caller gives back. NULL: nobody serves there, or the answer is
 * none; `why` says it in a sentence without a full stop. An answer that holds an error is returned like any other. */
NODISCARD struct json_t *ask_try(const struct cli *c, struct json_t *question, int timeout_ms, char why[ASK_WHY_MAX]);

/* The same, with the sentence on stderr. */
NODISCARD struct json_t *ask_daemon(const struct cli *c, struct json_t *question, int timeout_ms);

/* The same for commands that either work or not: prints the daemon's error and warnings to stderr. NULL when it did not work. */
NODISCARD struct json_t *ask_done(const struct cli *c, struct json_t *question);

#endif
