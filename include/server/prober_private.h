/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_PROBER_PRIVATE_H
#define SERVER_PROBER_PRIVATE_H
/* What prober.c (who is asked, and when; the endpoint) and probe.c (one address: what it is asked, and what that says of it) share. */

#include "server/prober.h"
#include "wire/answer.h"

/* One question of a probe. */
struct asking {
	struct transport_attempt via; /* first */
	struct probe *probe;
	struct name name;
	uint64_t sent_us;
	bool out;                  /* it is unanswered */
	bool plain;                /* without EDNS, since the same one with it was called a FORMERR */
};

struct probe {
	struct asking asked[2];    /* about a zone; about another one, where the first is late or answered with an error */
	struct prober *prober;
	struct pool *pool;
	struct upstream *upstream; /* a reference */
	struct transport *transport;
	uint8_t place;
	uint8_t asks;              /* how many of `asked` this time */
	bool seconded;             /* it was time for the second one, whether there is any */
	bool plain_due;            /* max-qps was in the way of asking once more without EDNS: the next one is so */
	bool done_once;
	bool heard;                /* it has answered a probe, with whatever rcode */
	bool put_aside;            /* well, when its pool was closed by the operator's hand alone */
	uint16_t rcode;            /* the error that this probe was answered with; 0: none yet */
	uint16_t bad_rcode;        /* what the last bad one was answered with; 0: nothing, or the last one was good */
	uint64_t seconded_us;
	uint64_t bad_us;           /* when the last bad probe was sent; 0: the last one was good */
	uint64_t sent_us, next_us; /* when the waiting for an answer began; next due */
};

struct prober_pool {
	struct pool *pool;
	struct probe **probes;     /* [count], in the order of places: a part of the prober's */
	size_t count;
	uint64_t doubted_us;           /* last doubt … */
	uint64_t resolved_us;          /* … and the last for which those were probed who had not just answered */
	uint64_t round_us;             /* next step round a closed pool */
	uint64_t closed_us;            /* when it was closed last, or taken over closed */
	size_t round;
	size_t zone;               /* where the next probe's zone is looked for */
	struct name good[2];       /* the zones that somebody answered well last, the latest first; empty: none yet */
};

struct prober {
	struct prober_world world;
	struct snapshot *snapshot;
	struct prober_pool *pools;
	struct probe **probes;     /* [count], in the order of pools and places */
	size_t count;
	uint64_t next_us;
	struct answer answer;      /* 12 KiB of scratch */
};

/* At least one of its questions is unanswered. */
static inline bool probe_is_out(const struct probe *b)
{
	return b->asked[0].out || b->asked[1].out;
}

static inline struct prober_pool *pool_of(struct prober *p, const struct probe *b)
{
	return &p->pools[b->pool - p->snapshot->pools];
}

/* ---- prober.c */

/* Closes the pool if each of its addresses is out. */
void prober_judge_pool(struct prober *p, struct prober_pool *pp, uint64_t now_us);

/* `answered`: who has; NULL: nobody, it is a trial. */
void prober_open_pool(struct prober *p, struct prober_pool *pp, struct probe *answered, uint64_t now_us);

/* ---- probe.c */

/* What the transports tell. */
void probe_listen(struct prober *p);

/* Unless one is out, or the address is at its max-qps. `about_address`: about a zone that was answered last, so that silence is none of the
 * zone's; else about the next one in turn. */
void probe_send(struct prober *p, struct probe *b, bool about_address, uint64_t now_us);

/* It is late, but not too late: asks about another zone as well, if there is one. */
void probe_second(struct prober *p, struct probe *b, uint64_t now_us);

/* Nothing of it is out any more. By itself it says nothing: the next one is asked when it is due. */
void probe_stop(struct probe *b);

/* It is over: nobody has answered. */
void probe_judge_silence(struct probe *b, uint64_t now_us);

uint64_t probe_timeout_us(const struct pool *p);

/* After this a probe that is out speaks for a path that is. Where nothing has ever answered nobody knows how far it is, and a cold start
 * over half the world must not look like an outage: just before the probe's own timeout, which makes it a matter of the address alone. */
uint64_t probe_patience_us(const struct probe *b);

/* When the one that is out is joined by its second; when it speaks for the path. */
uint64_t probe_second_us(const struct probe *b);
uint64_t probe_judgement_us(const struct probe *b);

uint64_t probe_last_answer_us(const struct probe *b);

/* A question was left unanswered since it has answered anything. */
bool probe_is_doubted(const struct probe *b);

/* The silence of a probe says nothing of a server that has never answered one, and is not AWS's: it may leave `NS` unanswered and answer
 * questions. It does once questions are silent, too. */
bool probe_is_telling(const struct probe *b);

#endif
