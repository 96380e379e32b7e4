/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_PAGES_H
#define HTTP_PAGES_H
/* From a path to what is answered: the rows of tables/pages.def. Few visitors see what is so now: the daemon is asked for each. Crowds cost
 * it what few do: beyond PAGES_LOOKS at once, and one each PAGES_LOOK_EVERY_US, the visitors of a page share what it said last. A daemon
 * that was silent is not asked for a while: that was waited for, and nobody else was served. Knows no HTTP library. */

#include "base/base.h"
#include "net/control.h"

enum {
	PAGES_LOOKS = 10,
	PAGES_LOOK_EVERY_US = 500000,
	PAGES_ASK_MS = 2000,
	PAGES_SILENT_US = PAGES_ASK_MS * US_PER_MS + 1000000, /* from when it was asked */
	PAGES_POLICY_MAX = 320,
};

/* An answer, shared by all who want it. */
struct pages_reply {
	unsigned refs;
	unsigned status; /* HTTP's */
	const char *type;
	char *body; /* heap */
	size_t len;
	char policy[PAGES_POLICY_MAX]; /* Content-Security-Policy */
};

/* Asks the daemon as control_ask does. */
typedef int pages_ask_fn(void *arg, const char *line, struct control_reply *reply);

struct pages;

/* `host`: this machine's name, for the status page; lent. NULL without memory. */
NODISCARD struct pages *pages_new(pages_ask_fn *ask, void *arg, const char *host);
void pages_free(struct pages *p);

/* What `path` gets; a reference, which pages_give_back takes. A path that there is not gets a 404. NULL without memory. */
NODISCARD struct pages_reply *pages_get(struct pages *p, const char *path, uint64_t now_us);

/* An answer of a status and one sentence; the caller gives it back. NULL without memory. */
NODISCARD struct pages_reply *pages_say(unsigned status, const char *sentence);
void pages_give_back(struct pages_reply *r);

#endif
