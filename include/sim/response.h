/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RESPONSE_H
#define SIM_RESPONSE_H
/* A message as an inbound endpoint would send it: QR, RD copied, RA; never AA; names compressed; an OPT with 4,096 bytes to those
 * who sent one; DO, CD and client subnets ignored. Written apart from wire/reply.h on purpose: what tests the forwarder must
 * not share its mistakes. Faults of the message (all but those of time and sockets) are put in here. */

#include "sim/fault.h"
#include "sim/zone.h"
#include "wire/question.h"

/* What the endpoint advertises and sends over UDP at most. */
enum { RESPONSE_UDP_BYTES = 4096 };

struct response_rules {
	const struct zone_set *zones;
	uint16_t outside_rcode; /* for names outside all zones */
	uint32_t age_s;         /* counted off TTLs, round and round: a record of 60 s reads 60, 59, … 1, 60 */
};

/* One query, and the state of the address that it came to. */
struct response_asked {
	const struct response_rules *rules;
	const struct fault *fault;
	const struct question *question; /* as question_read left it */
	enum question_verdict verdict;   /* not QUESTION_DROP */
	bool tcp;
};

/* Writes the response to `out`, which has `room` bytes, at least 512; over UDP it is also no longer than what the client takes.
 * Returns its length. */
size_t response_write(const struct response_asked *a, struct random *r, uint8_t *out, size_t room);

#endif
