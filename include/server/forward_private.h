/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_FORWARD_PRIVATE_H
#define SERVER_FORWARD_PRIVATE_H
/* What forward.c (doors), flight.c (questions travelling upstream), attempt.c (tries), outcome.c (what comes of
 * them) and landing.c (replies) share. */

#include "base/limit.h"
#include "base/slab.h"
#include "base/strbuf.h"
#include "base/wheel.h"
#include "server/forward.h"
#include "wire/answer.h"
#include "wire/reply.h"

/* Who asks most of a pool: the zone that more than half of the last questions were about, if one is (the vote of Boyer and Moore). */
struct share {
	const struct snapshot_zone *zone;
	uint32_t lead; /* over all others together, at most SHARE_LEAD_MAX */
};

enum { SHARE_LEAD_MAX = 128 };

/* One worker's use of one snapshot: counts its flights, so that only the last one touches the shared count. */
struct lease {
	struct snapshot *snapshot;
	uint32_t flights;
	uint16_t *zone_flights; /* [zone_count]: at most half of the room for one zone */
	struct share *shares;   /* [pool_count]: nor all of max-qps */
	_Atomic uint64_t *queries; /* [zone_count]: this thread's counters, lent by the snapshot */
	struct lease *next;
};

/* A question travelling upstream for any number of queries. */
struct flight {
	struct list chain;     /* in the table, until it lands */
	struct wheel_timer timer;
	struct lease *lease;
	const struct snapshot_zone *zone;
	const struct snapshot_route *route;
	struct pool *pool;     /* the one asked now */
	struct cache_key key;  /* its name points below */
	struct list queries;
	struct list attempts;  /* open ones */
	uint64_t began_us, stale_at_us, deadline_us;
	uint64_t next_at_us;   /* when to try another address; UINT64_MAX: never */
	uint64_t delay_us;     /* last distance between two tries */
	uint8_t *cut;          /* heap: an answer with TC whose TCP road was closed; the last resort */
	uint16_t cut_len;
	uint16_t query_count;
	uint32_t tried, tried_twice; /* places of `pool` */
	uint32_t silent, unreachable, broken; /* places, for the error's text */
	uint32_t blamed;       /* places whose silence was counted */
	uint32_t plain;        /* places that called this question with EDNS a FORMERR, and are asked without */
	uint8_t left;          /* pools of the route that were turned away from */
	uint16_t outage;       /* the route's when it began: what began in an outage is void with it */
	uint32_t blocked;      /* places that answered what the zone does not expect … */
	const struct pool *blocked_from; /* … the last pool that did; NULL: none */
	struct addr blocked_by; /* and the address in its answer */
	uint16_t rcodes[POOL_MAX_UPSTREAMS]; /* what broken places said */
	uint8_t open, rcode_retries;
	int8_t last_place;
	bool landed, answered; /* off the table; by a good answer */
	const struct pool *by_pool; /* who answered … */
	const struct pool_place *by; /* … and where it stands there; NULL: nobody has */
	bool starved;          /* an attempt was not sent for want of descriptors, ports or memory … */
	bool crowded;          /* … or since as many are open to the address as may be */
	bool doubted, above_rate;
	bool modest;           /* of a zone that asks more than all others together */
	struct name name;
};

/* Who is to be answered, and when now is. */
struct client {
	const struct reply_to *to;
	const struct reply_asker *asker;
	uint64_t now_us;
	const struct flight *flight; /* that it has waited for; NULL: it is answered on the spot */
	uint64_t since_us;           /* when it began to wait, if there is a flight */
};

/* Where a reply comes from. */
enum landing_how { LANDING_HIT, LANDING_STALE, LANDING_ANSWER, LANDING_HERE, LANDING_REFUSAL };

/* One client's question, waiting. */
struct query {
	struct list link;
	struct reply_to to;
	struct reply_asker asker;
	uint64_t since_us; /* when it was asked */
	uint8_t spelled[NAME_MAX_OCTETS];
};

/* One try of a flight at one upstream. */
struct attempt {
	struct transport_attempt via; /* first: events come with its address */
	struct list link;
	struct flight *flight;
	struct upstream *upstream;    /* of the flight's pool when it was sent; the lease keeps it */
	uint64_t sent_us, overdue_us;
	uint64_t ends_us;             /* what came cannot be read: the true answer is waited for until then; 0: nothing did */
	uint8_t place, pool_number;   /* pool_number: of the route */
	bool stream, hinted, overdue, judged;
};

struct forward_transport {
	struct upstream *upstream; /* a reference */
	struct transport *by_kind[TRANSPORT_KINDS];
};

enum { FLIGHT_BUCKETS = 4096 };

struct forward {
	struct forward_world world;
	struct lease *lease;       /* the current one */
	struct lease *old_leases;
	struct wheel wheel;
	struct slab flights, queries, attempts;
	uint32_t waiting;          /* flights that have not landed */
	struct forward_transport *transports; /* [transport_count], by upstream id; heap */
	uint32_t transport_count;
	uint32_t limited;          /* queries above rate-limit */
	bool strangers;            /* after a reload: some may be of upstreams that are gone */
	struct transport **dirty;  /* to flush at the end of the turn; heap */
	uint32_t dirty_count, dirty_room;
	struct limit query_lines;   /* of the log, about errors */
	struct answer answer;      /* 12 KiB of scratch */
	bool answer_is_whole;      /* the last one that came could be read to its end */
	uint8_t *scratch;          /* DNS_MESSAGE_MAX bytes, for answers that were trimmed or do not fit a datagram; heap */
	uint8_t *wide;             /* the same, for a reply that must be cut while scratch holds the answer; heap */
	struct list table[FLIGHT_BUCKETS];
};

/* ---- flight.c */
struct flight *flight_find(struct forward *f, const struct cache_key *key);
/* NULL when a bound is reached. */
struct flight *flight_new(struct forward *f, const struct snapshot_zone *zone, const struct cache_key *key, struct pool *pool,
			  uint64_t now_us);
/* Off the table: no query may join any more. Its open attempts go on. */
void flight_land(struct forward *f, struct flight *fl);
/* Frees a landed flight without open attempts; otherwise arms its timer for what they may still tell. */
void flight_settle(struct forward *f, struct flight *fl, uint64_t now_us);
void flight_arm(struct forward *f, struct flight *fl, uint64_t now_us);
/* The next endpoint of the route takes over, if there is one; false if not. */
bool flight_move(struct forward *f, struct flight *fl, uint64_t now_us);
/* There is one. */
bool flight_has_next_pool(const struct flight *fl);
/* Where the pool that is asked now stands in the route. */
uint8_t flight_pool_number(const struct flight *fl);
/* Its timer has fired. */
void flight_due(struct forward *f, struct flight *fl, uint64_t now_us);
/* Nobody is left to ask: stale, the rcode, the cut answer, or SERVFAIL with the reason. Lands. */
void flight_fail(struct forward *f, struct flight *fl, uint64_t now_us);
/* Compares the answer in f->answer with what the zone expects; other addresses are counted and told. True if it must not be passed
 * on. */
bool flight_blocks(struct forward *f, struct flight *fl, const struct pool *p, uint64_t now_us);
/* Nobody was asked who could have answered: not the network failed, but this host. */
bool flight_is_starved(const struct flight *fl);
void lease_return(struct forward *f, struct lease *l);

/* ---- attempt.c */
/* Tries another address, if one may be tried now; returns false if nothing was sent. */
bool attempt_next(struct forward *f, struct flight *fl, bool other_az_only, uint64_t now_us);
/* Every address of the pool that is not drained has been asked: asking them once more is for the clock, not for those who have just
 * failed. */
bool attempt_all_were_asked(const struct flight *fl);
/* Sends one to `place` of the flight's pool, however often that was tried. False if nothing went out. */
bool attempt_start(struct forward *f, struct flight *fl, int place, bool stream, bool random_case, uint64_t now_us);
/* When the next one is due, after one at `place`. */
void attempt_set_next(struct flight *fl, int place, uint64_t now_us);
/* Frees it. */
void attempt_end(struct forward *f, struct attempt *a);
/* The pool that it was sent to, which the flight may have left since. */
struct pool *attempt_pool(const struct attempt *a);
/* UDP's silence is the address's; TCP's only where all questions go over TCP. */
bool attempt_is_evidence(const struct attempt *a);
void attempt_tell(struct forward *f, struct pool *p, struct upstream *u, enum health_change change);
/* Looks at the open attempts: who is overdue, who never answered. */
void attempt_judge_open(struct forward *f, struct flight *fl, uint64_t now_us);
/* When attempt_judge_open has something to say next. */
uint64_t attempt_next_judgement_us(const struct flight *fl, uint64_t now_us);
void attempt_cancel_all(struct forward *f, struct flight *fl);
/* Ended to make room for another: it stays silent in the books. */
void attempt_give_up(struct forward *f, struct attempt *a);
/* The flight has its answer: what its earlier attempts did is now evidence. */
void attempt_blame(struct forward *f, struct flight *fl, uint64_t now_us);

/* ---- outcome.c */
/* No address of the flight's pool is left to ask, and none is out: the next endpoint, the prober, or the end of the flight. */
void outcome_leave_pool(struct forward *f, struct flight *fl, uint64_t now_us);
/* Transport events. */
bool outcome_readable(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len);
void outcome_answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len);
void outcome_failed(void *arg, struct transport_attempt *via, int error);
void outcome_hint(void *arg, struct transport_attempt *via, enum transport_hint hint, int detail);

/* ---- landing.c */
/* Counts a reply that is about to be sent, and has it logged if zones.conf says so. `why`: for people, with LANDING_REFUSAL. */
void landing_note(struct forward *f, const struct client *c, uint16_t rcode, enum landing_how how, const char *why);
/* A reply without records. */
void landing_error(struct forward *f, const struct client *c, uint16_t rcode, enum dns_ede ede, const char *text);
/* An empty reply with TC: no larger than what was asked, and over TCP the client shows who it is. */
void landing_slip(struct forward *f, const struct client *c);
/* From the cache, straight into the outgoing buffer. What it found; only CACHE_FRESH was replied to, and CACHE_STALE if `stale` says to the
 * client why it gets that. */
enum cache_result landing_from_cache(struct forward *f, const struct client *c, const struct cache_key *key, const char *stale,
				     struct cache_hit *hit);
/* Every waiting query of the flight gets the answer in f->answer. */
void landing_answer(struct forward *f, struct flight *fl, uint64_t now_us);
/* Every waiting query that can be served from an expired answer is. Returns how many still wait. */
uint32_t landing_stale(struct forward *f, struct flight *fl, uint64_t now_us);
/* Every waiting query gets an error. */
void landing_failure(struct forward *f, struct flight *fl, uint16_t rcode, enum dns_ede ede, const char *text);
/* SERVFAIL since the zone's answers were kept from clients a moment ago. */
void landing_blocked(struct forward *f, const struct client *c, const struct snapshot_zone *zone);
/* "db.example.com does not expect 203.0.113.5, which came from seoul". */
void landing_describe_blocked(const struct flight *fl, char *out, size_t size);
/* Longer than any EDE's text, which is cut between two words. */
enum { LANDING_TEXT_MAX = 1536 };
/* What each address did, for an EDE: "seoul: 10.10.1.10 (az1) silent, …". */
void landing_describe(const struct flight *fl, char *out, size_t size);
/* The same of what the cache remembers as failed: there is one word for all addresses, or none. */
void landing_describe_failed(const struct snapshot_route *route, uint16_t remembered, char *out, size_t size);
/* The same where all are known to be down: what they were last seen to do. Returns the EDE's code. */
enum dns_ede landing_describe_down(const struct snapshot_route *route, char *out, size_t size);

/* ---- querylog.c: `log.queries` */
/* A line about the reply, if `log.queries` wants it. Of errors no more than QUERYLOG_BURST at once, then one each QUERYLOG_EVERY_US and
 * worker; the others are counted. */
enum { QUERYLOG_BURST = 500, QUERYLOG_EVERY_US = 10000 };
void querylog_write(struct forward *f, const struct client *c, uint16_t rcode, enum landing_how how, const char *why);

/* ---- special.c: names answered here */
bool special_reply(struct forward *f, const struct client *c, const struct snapshot_zone *zone, const struct question *q);
void special_any(struct forward *f, const struct client *c);
void special_chaos(struct forward *f, const struct client *c, const struct question *q);

#endif
