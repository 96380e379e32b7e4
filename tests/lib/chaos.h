/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_CHAOS_H
#define TESTS_LIB_CHAOS_H
/* A forwarder to which anything may happen: queries of every kind, faults that come and go, reloads, drains, time that jumps. What
 * happens is read from bytes, so that a fuzzer can choose it. Asserted all along:
 *
 *   every query is answered once, within its patience; dropped, and at once, are responses and what is no header, and nothing else
 *   a private name is never asked of the local upstreams, nor a public one of an endpoint, nor `localhost` or `invalid` of anybody
 *   a UDP reply is never larger than its client takes; a reply carries its client's id and question, an OPT if the client did, no
 *     TTL above what the upstreams and the bounds allow
 *   what `guard: enforce` does not let pass reaches nobody; with `serve-stale: off` nothing stale does; what is stale says so
 *   a question has at most three attempts out; all that wait hang on some question's flight
 *   a drained address is asked nothing new; an address is not asked above max-qps
 *   in the end nothing is held: no flight, no attempt, no query, no old snapshot, no socket to an address that is gone */

#include "world.h"

struct chaos;

struct chaos *chaos_new(void);

/* One event. `next` gives a byte; its numbers need not be good. */
void chaos_step(struct chaos *c, uint8_t (*next)(void *arg), void *arg);

/* Lets everything end, and looks at what is left. */
void chaos_end(struct chaos *c);

#endif
