/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_WORLD_H
#define TESTS_LIB_WORLD_H
/* A worker's forwarder, the prober and the names kept warm on a virtual clock, between pretended clients and pretended upstreams: a
 * day of outages runs in milliseconds, and what happened is a text to compare with.
 *
 * Each upstream has an RTT and a fault. Events are kept in order of time; time jumps from one to the next. */

#include "server/forward.h"
#include "server/prober.h"

enum { WORLD_UPSTREAMS = 32, WORLD_TRACE_BYTES = 1 << 20, WORLD_ANSWER_BYTES = 4096 };

enum world_fault {
	WORLD_WELL,
	WORLD_SILENT,
	WORLD_RCODE,       /* `rcode` */
	WORLD_ICMP,        /* unreachable, at once */
	WORLD_FORGED_ICMP, /* the same, but the answer comes all the same */
	WORLD_CLOSED,      /* unreachable, and TCP refused */
	WORLD_TRUNCATE,    /* TC over UDP */
	WORLD_WRONG_CASE,  /* does not echo letter case */
	WORLD_NO_EDNS,     /* FORMERR without OPT to who sends one */
	WORLD_GARBAGE,     /* answers that do not parse */
	WORLD_UNSENDABLE,  /* the system knows no way: fails when it is flushed */
	WORLD_STARVED,     /* this host lacks descriptors to ask it with: nothing is sent */
	WORLD_CHOKED,      /* nor has it room for the datagrams: they are lost before they leave */
	WORLD_GUESSED,     /* somebody guesses at the ports it is asked from */
	WORLD_FORESTALLED, /* somebody who knows all of a question sends garbage before the answer comes */
	WORLD_SERVER_FAULTS
};

/* Writes the answer to what was asked; returns its length, 0: silence. At most WORLD_ANSWER_BYTES. */
typedef size_t world_answer_fn(const struct question_upstream *asked, bool stream, uint8_t *out);

struct world_upstream {
	char ip[64];
	uint64_t rtt_us;
	enum world_fault fault;
	uint16_t rcode;
	bool tcp_closed;
	bool full;                 /* as many questions are open to it as may be */
	unsigned lost_pm;          /* of 1000 queries, by a fixed sequence */
	const char *silent_name;   /* silent about names that begin with this label, however well otherwise */
	const char *slow_name;     /* `slow_us` more for names that begin with this label, over UDP and TCP */
	uint64_t slow_us;
	const char *never[3];      /* a question that ends in one of these must never come: octets of a name */
	world_answer_fn *answer;   /* says what comes instead of the usual */
	bool detached;             /* answers for everybody: A 203.0.113.5, and servers of another name than private zones have */
	uint32_t ports;            /* of ours that the worker may use towards it; 0: it was not asked over UDP yet */
	unsigned asked, probed, checked; /* client questions, probes and checks of association that came */
	unsigned streamed;               /* of those asked, over TCP */
};

/* What a client got. */
struct world_reply {
	unsigned query;
	uint64_t at_us;
	uint16_t rcode, flags;
	uint16_t ancount;
	uint32_t ttl_s;            /* of the first record */
	int ede;                   /* -1: none */
	char ede_text[512];
	size_t len;
	uint8_t message[4096];     /* as far as it fits */
};

struct world;

/* From the text of a zones.conf. Time starts at 0 in the trace; the clock itself far from zero. */
struct world *world_new(const char *zones_conf);
void world_free(struct world *w);

/* The upstream with this IP, whatever its port: made well, RTT 4 ms, at first mention. */
struct world_upstream *world_upstream(struct world *w, const char *ip);
void world_set(struct world *w, const char *ip, enum world_fault fault);
void world_set_all(struct world *w, enum world_fault fault);

/* Asks; returns the query's number. Names in presentation format. */
unsigned world_ask(struct world *w, const char *name, const char *type);
unsigned world_send(struct world *w, const uint8_t *packet, size_t len, const char *client, bool stream);

/* Lets time pass. */
void world_run_ms(struct world *w, uint64_t ms);
uint64_t world_now_us(const struct world *w);

/* From now on associations are checked, and what probes say of them is heard. */
void world_associate(struct world *w);

/* Reads another zones.conf. */
void world_reload(struct world *w, const char *zones_conf);

/* The reply to a query; NULL if none came yet. */
const struct world_reply *world_reply(const struct world *w, unsigned query);
unsigned world_replies(const struct world *w);
unsigned world_dropped(const struct world *w);

/* Everything that happened since the last call, a line each: `[  12] …`. */
const char *world_trace(struct world *w);
void world_trace_off(struct world *w); /* for long runs */

struct pool *world_pool(struct world *w, const char *name);
struct upstream *world_upstream_state(struct world *w, const char *ip);
struct forward *world_forward(struct world *w);
struct prober *world_prober(struct world *w);
struct snapshot *world_snapshot(struct world *w);
const struct metrics *world_metrics(const struct world *w);

/* Transports to addresses that the snapshot in force does not have. */
unsigned world_strange_transports(const struct world *w);

/* Client questions that are open at `u`, whether an answer is still waited for or only looked out for. */
unsigned world_open_attempts(const struct world *w, const struct world_upstream *u);

#endif
