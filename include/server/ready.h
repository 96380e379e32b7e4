/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_READY_H
#define SERVER_READY_H
/* Whether clients may be sent here: for /ready. Whoever can ask is answered by a daemon that has loaded its file and is bound; what is
 * left are the first probes, and, for who wants it strictly, each zone. */

#include "server/status.h"

/* Probes that are not done after this count as done. */
enum { READY_PATIENCE_US = 3 * 1000000 };

bool ready_is(const struct status_world *w);

/* {"ready": …, "probed": …}; with `zones` also those that have neither an address that answers nor anything that could be served stale,
 * without which it is ready only then. While there are such zones it walks through the cache, a lock at a time. NULL without memory. */
NODISCARD struct json_t *ready_make(const struct status_world *w, bool zones);

#endif
