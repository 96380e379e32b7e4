/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SOUNDER_H
#define CLI_SOUNDER_H
/* Asks many addresses many questions at once, for doctor: over UDP and TCP, with any EDNS size, as octets of any number, and says what
 * became of each. Apart from the daemon's transports, which ask in one way only and are themselves what is examined here.
 *
 * The life of a question: waits for its turn at its address → is sent → is answered, or its time is over, or the network says why not.
 * How it can fail: each way is an outcome. Its own sockets: a lack of descriptors makes others wait for their turn.
 *
 * An address that leaves three questions in a row unanswered, and has answered none, is asked no more: the rest is skipped. */

#include "base/addr.h"
#include "base/random.h"
#include "wire/question.h"

enum sounder_outcome {
	SOUNDER_SKIPPED, /* not asked: no time was left, or the address answers nothing */
	SOUNDER_ANSWERED,
	SOUNDER_SILENT,	     /* no answer in time; over TCP: a connection, but no answer */
	SOUNDER_UNCONNECTED, /* TCP only: not even a connection in time */
	SOUNDER_REFUSED,     /* nobody listens there: port unreachable, or RST to our SYN */
	SOUNDER_UNREACHABLE, /* a router or our own host says that there is no way; errno in `error` */
	SOUNDER_CUT,	     /* TCP only: the connection ended before the answer was whole */
};

struct sounder_question {
	/* the caller's */
	struct addr to;
	struct name name;
	uint16_t type;
	uint16_t udp_bytes; /* the size that EDNS offers; 0: no OPT */
	uint16_t octets;    /* the query's own size, reached by padding (RFC 7830); needs an OPT; 0: as it comes */
	bool tcp;
	uint32_t tag; /* the caller's own */
	/* the outcome */
	enum sounder_outcome outcome;
	int error;	  /* errno of UNREACHABLE */
	uint32_t took_us; /* of ANSWERED: from sending to the answer */
	bool wrong_case;  /* the answer's question is not in our letter case */
	uint16_t misfits; /* datagrams with a wrong id or question that came while it waited; at most 65535 */
	/* private to the sounder */
	uint64_t sent_us, case_bits;
	uint16_t id;
	int fd;
	uint8_t phase;
	uint8_t *stream; /* heap: TCP, in and out */
	size_t have, size;
};

/* Longest query: octets is at most this. */
enum { SOUNDER_QUERY_MAX = 4096 };

struct sounder {
	struct random *random;
	uint64_t wait_us; /* for one answer */
	uint64_t most_us; /* for all of them */
	/* `message` answers `q` (id and question fit, or QDCOUNT is 0 with an error); lent. */
	void (*heard)(void *arg, struct sounder_question *q, const uint8_t *message, size_t len);
	void *arg;
	/* Descriptors that are looked at meanwhile: `ear` is called when one can be read. */
	const int *ears;
	size_t ear_count;
	void (*ear)(void *arg, int fd);
};

/* Asks them all; those for one address stand together. Fills in the outcomes. Returns how many were sent. */
size_t sounder_run(const struct sounder *s, struct sounder_question *questions, size_t count);

/* Writes a query: flags RD only. `out` has room for SOUNDER_QUERY_MAX octets. */
size_t sounder_write(const struct sounder_question *q, uint8_t *out);

#endif
