/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_BULLETIN_H
#define SERVER_BULLETIN_H
/* The log's lines about addresses, AZs and endpoints: one for each change of state. Who flaps is limited: BULLETIN_BURST lines at once,
 * then one each BULLETIN_EVERY_US, which says how the state is then and how many changes were left out; so the last line about
 * something always says how it is. Main thread only.
 *
 * While an endpoint is down its addresses are not news; when it is up again, nothing that was said of them before counts.
 * How it can fail: without memory a line is not said. */

#include "server/snapshot.h"

enum { BULLETIN_BURST = 6, BULLETIN_EVERY_US = 10 * 1000000 };

struct bulletin;

/* NULL without memory. */
NODISCARD struct bulletin *bulletin_new(void);
void bulletin_free(struct bulletin *b);

/* The state of an address of `p` has changed. */
void bulletin_address(struct bulletin *b, struct pool *p, const struct upstream *u, uint64_t now_us);

/* The endpoint went down, or came up again by the answer of `place`. */
void bulletin_closed(struct bulletin *b, const struct snapshot *s, struct pool *p, uint64_t now_us);
void bulletin_opened(struct bulletin *b, const struct snapshot *s, struct pool *p, int place, uint64_t now_us);

/* What was left out and may be said now. */
void bulletin_clock(struct bulletin *b, const struct snapshot *s, uint64_t now_us);
uint64_t bulletin_next_us(const struct bulletin *b); /* UINT64_MAX: nothing waits */

/* Forgets what `s` no longer has. */
void bulletin_adopt(struct bulletin *b, const struct snapshot *s);

#endif
