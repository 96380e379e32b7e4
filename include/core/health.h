/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_HEALTH_H
#define CORE_HEALTH_H
/* Whether one upstream can be trusted with the next question. Evidence is per question, so that one slow or broken *name*, silent behind
 * every address, takes no address out:
 *
 *   overdue   a sibling has answered, this one is late: three different questions, and not a single answer meanwhile → suspect at once,
 *             revoked by the first answer that comes after all (then it is slow, which the RTT tells, not silent)
 *   never     a sibling has answered, this one did not within HEALTH_NEVER_US → suspect
 *   silent    nobody answered: two different questions in a row → suspect, until the first good probe says that the names were to blame
 *   broken    SERVFAIL and the like where a sibling knew the answer → suspect
 *   icmp      anybody can forge it → suspect, until the first good probe
 *   probe     failures count toward `fall`; `rise` good ones bring it back
 *
 * Down: `fall` failures, at least one of them a probe. Who relapses within HEALTH_RELAPSE_US of coming back needs twice as
 * many good probes, up to eight times: no flapping. Back up, its share of the traffic grows over HEALTH_RAMP_US. Shared by
 * all threads; the usual answer takes no lock. */

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"

enum health_state { HEALTH_UP, HEALTH_SUSPECT, HEALTH_DOWN };

enum {
	HEALTH_NEVER_US = 1000000,    /* an answer later than this never came */
	HEALTH_OVERDUE_LEAST_US = 25000, /* overdue: after the hedge delay once more, but at least this */
	HEALTH_OVERDUE_QUESTIONS = 3,
	HEALTH_RELAPSE_US = 60 * 1000000,
	HEALTH_RELAPSES = 3,          /* doublings of `rise` at most */
	HEALTH_RAMP_US = 5 * 1000000,
	HEALTH_FULL_SHARE = 256,
	HEALTH_FIRST_SHARE = 32,      /* of HEALTH_FULL_SHARE, right after coming back */
};

struct health_rules {
	uint32_t fall, rise;
};

/* What happened last, for people. */
enum health_cause {
	HEALTH_CAUSE_NONE,
	HEALTH_CAUSE_SILENT,      /* questions unanswered */
	HEALTH_CAUSE_UNREACHABLE, /* ICMP, or a closed port */
	HEALTH_CAUSE_BROKEN,      /* an rcode that a sibling did not give, or an unreadable answer */
	HEALTH_CAUSE_PROBE_SILENT,
	HEALTH_CAUSE_PROBE_FAILED,
	HEALTH_CAUSE_OUTAGE,      /* the endpoint was down; not yet heard from since */
};

enum health_change { HEALTH_SAME, HEALTH_TO_UP, HEALTH_TO_SUSPECT, HEALTH_TO_DOWN };

struct health {
	_Atomic uint8_t state;          /* enum health_state */
	_Atomic uint8_t doubted;        /* anything but a clean slate: an answer must take the lock */
	_Atomic uint64_t last_answer_us;
	_Atomic uint64_t up_since_us;   /* 0: never was anything else */
	pthread_mutex_t lock;           /* for the rest */
	bool confirmed;                 /* suspect for more than a doubt: `rise` good probes are needed */
	bool revocable;                 /* suspect because overdue only */
	uint8_t relapses;
	enum health_cause cause;
	uint16_t cause_rcode;
	uint32_t fails, probe_fails, goods;
	uint32_t overdue, silent;       /* different questions in a row */
	uint64_t last_question;         /* hash of the latest of them */
	uint64_t overdue_since_us;      /* when the first overdue question was sent */
	uint64_t cause_at_us;
};

void health_init(struct health *h);
void health_deinit(struct health *h);

enum health_state health_state(const struct health *h);

/* Share of the ordinary traffic, of HEALTH_FULL_SHARE. */
uint32_t health_share(const struct health *h, uint64_t now_us);

/* An answer that helps, to a query or too late for one. */
enum health_change health_answered(struct health *h, uint64_t now_us);

/* `question` is a hash of name and type; see the list above for each. */
enum health_change health_overdue(struct health *h, uint64_t question, uint64_t sent_us, uint64_t now_us);
enum health_change health_never(struct health *h, const struct health_rules *rules, uint64_t question, uint64_t now_us);
enum health_change health_silent(struct health *h, const struct health_rules *rules, uint64_t question, uint64_t now_us);
enum health_change health_broken(struct health *h, const struct health_rules *rules, uint16_t rcode, uint64_t now_us);
enum health_change health_unreachable(struct health *h, uint64_t now_us);

enum health_change health_probe_good(struct health *h, const struct health_rules *rules, uint64_t now_us);
enum health_change health_probe_bad(struct health *h, const struct health_rules *rules, bool silent, uint16_t rcode, uint64_t now_us);

/* The endpoint was down and is open again: what was remembered is void. The address that answered is up; the others are suspect
 * with a clean slate until their first good probe. */
void health_void(struct health *h, bool answered, uint64_t now_us);

/* What was last seen to be wrong, when, and with which rcode (for the two BROKEN kinds). */
struct health_report {
	enum health_state state;
	enum health_cause cause;
	uint16_t rcode;
	uint64_t cause_at_us, last_answer_us;
	uint32_t goods, goods_needed;
};
void health_report(struct health *h, const struct health_rules *rules, struct health_report *out);

#endif
