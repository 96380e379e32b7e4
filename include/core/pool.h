/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_POOL_H
#define CORE_POOL_H
/* The upstreams of one inbound endpoint (or of a group of resolvers, or the local ones), and which of them is asked next.
 *
 * Order of preference: healthy and not slow; healthy but slow (RTT above twice the best + 20 ms); suspect; down. Within the
 * best kind that is left: another AZ than the ones already asked, the preferred AZ, then the policy's choice. Above its
 * max-qps an address is passed over. An upstream is shared by all threads and lives through reloads; a pool belongs to one
 * snapshot and takes its memory over from the one before. */

#include <stdatomic.h>

#include "base/addr.h"
#include "core/health.h"
#include "core/policy.h"
#include "core/rtt.h"

enum { POOL_MAX_UPSTREAMS = 20, POOL_MAX_THREADS = 65 }; /* 64 workers and the main thread */
enum { POOL_SLOW_US = 20000, POOL_HEDGE_BUCKET = 20, POOL_NO_EDNS_US = 15 * 60 * 1000000 };

/* A server of one's own that is held to be down for its silence may answer questions and leave probes alone: so often one is asked. */
enum { POOL_TRIAL_US = 30 * 1000000 };

/* An endpoint that was down is not trusted by `to: [first, second]` before it has stayed open this long. */
enum { POOL_RETURN_US = 10 * 1000000 };

/* source-ports is a bound for all who ask one address. The main thread's three take these of it: probes a transport of 4, the loop
 * check a new one of 1 each 30 s of 180 at most, the association check one of 4. The workers divide the rest. */
enum { POOL_PROBE_PORTS = 4, POOL_LOOP_PORTS = 6, POOL_ASSOCIATION_PORTS = 4 };

/* Counted per upstream and thread, written by that thread only; summed when read. */
enum upstream_counter {
	UPSTREAM_QUERIES,
	UPSTREAM_ANSWERS,
	UPSTREAM_TIMEOUTS,
	UPSTREAM_SERVFAIL,
	UPSTREAM_REFUSED,
	UPSTREAM_HEDGES,
	UPSTREAM_PROBES,
	UPSTREAM_TCP,
	UPSTREAM_UNREACHABLE,
	UPSTREAM_COUNTERS
};

struct upstream_counts {
	_Atomic uint64_t of[UPSTREAM_COUNTERS];
	_Atomic uint64_t rtt_sum_us;
	_Atomic uint64_t rtt[RTT_BUCKETS];
} __attribute__((aligned(64)));

struct upstream {
	_Atomic uint32_t refs;
	uint32_t id;                      /* counted up over reloads: index of per-thread arrays, and what the cache knows an upstream by */
	struct addr addr;
	char text[ADDR_TEXT_MAX];         /* of addr */
	struct rtt rtt;
	struct health health;
	_Atomic uint64_t rate_ns;         /* theoretical arrival time of the next query at max-qps (GCRA), nanoseconds */
	_Atomic uint64_t no_edns_until_us;
	_Atomic uint32_t wrong_case;      /* answers in a row right in all but letter case */
	_Atomic bool case_off;            /* learned: does not echo letter case */
	_Atomic bool drained;             /* by the operator */
	struct upstream_counts *counts;   /* [POOL_MAX_THREADS], heap */
};

/* `id` is the caller's. NULL without memory. */
NODISCARD struct upstream *upstream_new(const struct addr *addr, uint32_t id);
struct upstream *upstream_ref(struct upstream *u);
void upstream_unref(struct upstream *u);

static inline void upstream_count(struct upstream *u, uint32_t thread, enum upstream_counter c)
{
	_Atomic uint64_t *n = &u->counts[thread].of[c];
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}
uint64_t upstream_counted(const struct upstream *u, enum upstream_counter c);

/* An answer took so long: for the smoothed RTT, and for the histogram that upstream_measured sums up over all threads. */
void upstream_measure(struct upstream *u, uint32_t thread, uint64_t us);

struct upstream_rtts {
	uint64_t in[RTT_BUCKETS], count, sum_us;
};
void upstream_measured(const struct upstream *u, struct upstream_rtts *out);

/* Whether it is asked with EDNS. */
static inline bool upstream_takes_edns(const struct upstream *u, uint64_t now_us)
{
	return now_us >= atomic_load_explicit(&u->no_edns_until_us, memory_order_relaxed);
}

/* It called a question with EDNS a FORMERR, and has answered the same one without. */
static inline void upstream_learn_no_edns(struct upstream *u, uint64_t now_us)
{
	atomic_store_explicit(&u->no_edns_until_us, now_us + POOL_NO_EDNS_US, memory_order_relaxed);
}

/* How one address of a pool is placed. */
struct pool_place {
	struct upstream *upstream; /* holds a reference */
	const char *az;            /* kept by the snapshot's config; NULL: a failure domain of its own */
	uint8_t az_index;          /* same number, same AZ */
};

/* What server/loopcheck.h knows: questions of this pool come back to us. */
struct pool_loop {
	_Atomic uint64_t nonce;     /* in the question that is out; 0: none */
	_Atomic uint64_t until_us;  /* a loop is known until then */
	_Atomic uint64_t client[2]; /* IP of whoever brings them back */
};

struct pool {
	const char *name;
	const struct policy *policy;
	struct health_rules rules;
	uint32_t max_qps, source_ports;
	uint64_t probe_interval_us;
	int64_t hedge_us;          /* -1: auto, 0: off */
	uint32_t hedge_budget_pm;
	int prefer_az;             /* az_index, -1: none */
	const char *az_wanted;     /* `prefer-az`, while the places are being added */
	bool case_randomization, local, tcp;
	bool inbound;              /* AWS's: it answers probes. What others do with `NS` of a zone is theirs to say */
	uint32_t zones;            /* that are routed there, but for those that are answered without asking anybody */
	uint8_t count;
	struct pool_place places[POOL_MAX_UPSTREAMS];
	/* shared, changing: */
	_Atomic bool down;         /* no address is known to answer: the path, or all of them */
	_Atomic bool silent;       /* while it is down: who has answered probes before answers them no more, not even with errors */
	_Atomic uint64_t trial_us; /* when a question may see whether that is so */
	_Atomic uint16_t outage;   /* its beginnings and ends: what was remembered in an earlier one is void */
	_Atomic uint32_t outages;  /* how often it has been, but by the operator's hand */
	_Atomic uint64_t open_since_us; /* end of the last outage; 0: none yet */
	_Atomic int32_t hedge_tokens_pm; /* per mille of a hedge, at most POOL_HEDGE_BUCKET * 1000 */
	_Atomic uint64_t spilled;  /* queries that found every address above max-qps */
	struct pool_loop loop;
};

/* What a question has done so far, and wants. */
struct pool_wish {
	uint32_t tried;      /* bit per place: not again … */
	uint32_t tried_twice;/* … before all have been tried once; not at all after the second time */
	uint32_t random;
	uint64_t now_us;
	bool other_az_only;  /* only in an AZ that was not tried (after an rcode) */
	bool modest;         /* see pool_take_rate_of */
};

enum { POOL_NONE = -1, POOL_ABOVE_RATE = -2 };

/* The place to ask now, having taken its rate token; POOL_NONE when nothing (more) is to be tried, POOL_ABOVE_RATE when
 * max-qps alone is in the way. */
int pool_pick(struct pool *p, const struct pool_wish *wish);

/* No more questions to this address, or again (`drain`, `undrain`). Port 0: whatever its port. Returns how many places it has. */
unsigned pool_set_drained(const struct pool *p, const struct addr *address, bool drained);

/* The places whose addresses are not drained, a bit each. */
uint32_t pool_usable(const struct pool *p);

/* Every address is drained: it is down by the operator's hand. Never of a pool without addresses. */
bool pool_is_drained(const struct pool *p);

/* Its servers are one's own, not AWS's, and not all of them are drained. */
bool pool_is_own(const struct pool *p);

/* It may be asked even while it is down: see snapshot_route_unsure. */
bool pool_is_unsure(const struct pool *p);

/* It is down and not unsure: takes the trial that is due, if it is not AWS's. */
bool pool_take_trial(struct pool *p, uint64_t now_us);

/* Whether an attempt at `place` needs no hedge budget to be followed by another: it is suspect, down or drained. */
bool pool_is_doubtful(const struct pool *p, int place);

/* How a place stands at the moment, best first. */
enum pool_tier { POOL_TIER_UP, POOL_TIER_SLOW, POOL_TIER_SUSPECT, POOL_TIER_DOWN, POOL_TIERS };
enum pool_tier pool_tier(const struct pool *p, int place);

/* Every query refills the hedge bucket a little; a hedge takes one out, if one is in. */
void pool_earn_hedge(struct pool *p);
bool pool_spend_hedge(struct pool *p);

/* How long to wait for `place` before asking another; UINT64_MAX when hedging is off. */
uint64_t pool_hedge_delay_us(const struct pool *p, int place);

/* A worker's share of source-ports; at least the two that a transport needs, so with more than (source_ports - 14) / 2 workers there is
 * no bound. */
uint32_t pool_worker_ports(const struct pool *p, uint32_t workers);

/* Takes one token of max-qps (burst: one second). For probes, too. */
bool pool_take_rate(const struct pool *p, struct upstream *u, uint64_t now_us);

/* The same for a question that, if `modest`, leaves the last eighth of the burst to others: its zone asks more than all of them. */
bool pool_take_rate_of(const struct pool *p, struct upstream *u, bool modest, uint64_t now_us);

/* Whether pool_take_rate would refuse; takes nothing. */
bool pool_is_above_rate(const struct pool *p, const struct upstream *u, uint64_t now_us);

/* All addresses out: opens an outage, which is counted unless all of them are drained. Returns false if it was down already. */
bool pool_close(struct pool *p);

/* The place `answered` answered: ends the outage, voids what it left behind. Returns false if it was not down. */
bool pool_open(struct pool *p, int answered, uint64_t now_us);

/* It was down by the operator's hand, who has given back an address that was well: nothing is void. Returns false if it was not down. */
bool pool_give_back(struct pool *p, uint64_t now_us);

/* May the first endpoint of several be used (again)? False while down and for POOL_RETURN_US after. */
bool pool_is_steady(const struct pool *p, uint64_t now_us);

#endif
