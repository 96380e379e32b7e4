/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_CHAOS_H
#define TESTS_LIB_CHAOS_H
/* A forwarder to which anything may happen: queries of every kind, faults that come and go, reloads, drains, time that jumps. What
 * happens is read from bytes, so that a fuzzer can choose it. Asserted all along:
 *
 *   every query is answered once, within its patience, or dropped at once
 *   a private name is never asked of the local upstreams, nor a public one of an endpoint
 *   a UDP reply is never larger than its client takes; a reply carries its client's id and question
 *   a question has at most three attempts out
 *   in the end nothing is held: no flight, no attempt, no query, no old snapshot */

#include "world.h"

struct chaos;

struct chaos *chaos_new(void);

/* One event. `next` gives a byte; its numbers need not be good. */
void chaos_step(struct chaos *c, uint8_t (*next)(void *arg), void *arg);

/* Lets everything end, and looks at what is left. */
void chaos_end(struct chaos *c);

#endif
