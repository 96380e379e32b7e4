/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of an attempt, and what next: answered, failed, or hinted at.
 * How it can fail: the network calls it unreachable, or what comes cannot be read (it stays open: both can be forged; the next one
 * starts at once), an rcode or an answer that the zone's guard does not let pass (another AZ is asked at once), a cut answer (the
 * same address over TCP), wrong letter case (the same address, in lower case). */
#include <stdlib.h>
#include <string.h>

#include "server/forward_private.h"
#include "wire/answer_spell.h"
#include "wire/answer_trim.h"

/* Answers in a row that were right in all but letter case, before an address is asked in lower case for good; other AZs
 * asked after an rcode. */
enum { WRONG_CASE_LEARNED = 3, RCODE_RETRIES = 2 };

static uint64_t now(struct forward *f)
{
	return f->world.now_us(f->world.arg);
}

static bool all_are_doubtful(const struct pool *p)
{
	for (int i = 0; i < p->count; i++)
		if (!pool_is_doubtful(p, i))
			return false;
	return true;
}

static bool has_answered_lately(const struct pool *p, uint64_t now_us)
{
	for (int i = 0; i < p->count; i++) {
		const struct health *h = &p->places[i].upstream->health;
		if (now_us < atomic_load_explicit(&h->last_answer_us, memory_order_relaxed) + p->probe_interval_us)
			return true;
	}
	return false;
}

/* All that were asked have answered with errors. If they do so to probes, too, it is not the name; asking them is dear, so it is done
 * when there is an endpoint to turn to, or nothing good has come for a while. */
static bool may_be_the_pool(const struct flight *fl, uint64_t now_us)
{
	return fl->broken != 0 && !fl->doubted && (flight_has_next_pool(fl) || !has_answered_lately(fl->pool, now_us));
}

/* No address of this pool is left to ask, and none is out. The next endpoint takes over if nobody answered here, or if nobody here is in
 * favour: an error of one name is no reason, since the other endpoint may know less of it. */
void outcome_leave_pool(struct forward *f, struct flight *fl, uint64_t now_us)
{
	bool answers = fl->broken != 0 || fl->blocked_from != NULL || fl->cut != NULL;

	if ((!answers || all_are_doubtful(fl->pool)) && flight_move(f, fl, now_us))
		return;
	if (may_be_the_pool(fl, now_us)) {
		fl->doubted = true;
		f->world.doubt(f->world.arg, fl->pool);
		if (flight_has_next_pool(fl)) {
			fl->next_at_us = now_us + RTT_LEAST_TIMEOUT_US; /* once more, when the probes have told */
			flight_arm(f, fl, now_us);
			return;
		}
	}
	flight_fail(f, fl, now_us);
}

/* Nothing good came of this attempt and it is over: what next? */
static void go_on(struct forward *f, struct flight *fl, bool after_rcode, uint64_t now_us)
{
	bool sent = false;

	if (after_rcode && fl->rcode_retries < RCODE_RETRIES) {
		fl->rcode_retries++;
		sent = attempt_next(f, fl, true, now_us);
		if (!sent && fl->rcode_retries == 1 && list_empty(&fl->attempts))
			sent = attempt_next(f, fl, false, now_us); /* there is but one AZ */
	} else if (!after_rcode && fl->open < FORWARD_OPEN_ATTEMPTS && !attempt_all_were_asked(fl)) {
		sent = attempt_next(f, fl, false, now_us);
	}
	if (!sent && list_empty(&fl->attempts)) {
		outcome_leave_pool(f, fl, now_us);
		return;
	}
	flight_arm(f, fl, now_us);
}

static void take_broken(struct forward *f, struct attempt *a, uint16_t rcode, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct pool *p = attempt_pool(a);
	struct upstream *u = a->upstream;
	uint8_t place = a->place;

	upstream_count(u, f->world.thread, rcode == DNS_REFUSED ? UPSTREAM_REFUSED : UPSTREAM_SERVFAIL);
	attempt_end(f, a);
	if (fl->landed) {
		if (fl->answered)
			attempt_tell(f, p, u, health_broken(&u->health, &p->rules, rcode, now_us));
		flight_settle(f, fl, now_us);
		return;
	}
	if (p == fl->pool) {
		fl->broken |= 1u << place;
		fl->rcodes[place] = rcode;
	}
	go_on(f, fl, true, now_us);
}

static bool all_are_unreadable(const struct flight *fl)
{
	LIST_FOR_EACH(link, &fl->attempts)
		if (CONTAINER_OF(link, struct attempt, link)->ends_us == 0)
			return false;
	return true;
}

/* From now on its silence is no evidence against the address. */
static void excuse(struct attempt *a)
{
	a->judged = a->overdue = true;
}

/* A datagram that is right in all but its records. Who sent it may be a forger: the attempt stays open as long as a true answer may
 * take. Who sent it may be the address: another AZ is asked, as after an rcode. */
static void wait_for_the_true_one(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct upstream *u = a->upstream;

	metrics_add(f->world.metrics, METRIC_DROPPED_MALFORMED_ANSWER, 1);
	if (a->ends_us != 0)
		return;
	upstream_count(u, f->world.thread, UPSTREAM_SERVFAIL);
	a->ends_us = now_us + rtt_timeout_us(&u->rtt);
	excuse(a);
	if (fl->answered)
		attempt_tell(f, attempt_pool(a), u, health_broken(&u->health, &attempt_pool(a)->rules, DNS_UNREADABLE, now_us));
	if (!fl->landed && attempt_pool(a) == fl->pool) {
		fl->broken |= 1u << a->place;
		fl->rcodes[a->place] = DNS_UNREADABLE;
		bool sent = false;
		if (fl->open < FORWARD_OPEN_ATTEMPTS && fl->rcode_retries < RCODE_RETRIES) {
			fl->rcode_retries++;
			sent = attempt_next(f, fl, true, now_us) || (!attempt_all_were_asked(fl) && attempt_next(f, fl, false, now_us));
		}
		if (!sent && all_are_unreadable(fl))
			fl->next_at_us = UINT64_MAX;
	}
	flight_arm(f, fl, now_us);
}

/* The same address once more, in another way. False: that cannot be, or would be above its max-qps. */
static bool ask_again(struct forward *f, struct flight *fl, int place, bool stream, bool random_case, uint64_t now_us)
{
	if (!pool_take_rate_of(fl->pool, fl->pool->places[place].upstream, fl->modest, now_us)) {
		fl->above_rate = true;
		return false;
	}
	return attempt_start(f, fl, place, stream, random_case, now_us);
}

/* TC: the whole over TCP, from the same address; the cut one is kept as a last resort. */
static void take_cut(struct forward *f, struct attempt *a, const uint8_t *message, size_t len, uint64_t now_us)
{
	struct flight *fl = a->flight;
	int place = attempt_pool(a) == fl->pool ? a->place : POOL_NONE;

	attempt_end(f, a);
	if (fl->landed) {
		flight_settle(f, fl, now_us);
		return;
	}
	uint8_t *copy = realloc(fl->cut, len);
	if (copy != NULL) {
		memcpy(copy, message, len);
		fl->cut = copy;
		fl->cut_len = (uint16_t)len;
	}
	if (place == POOL_NONE || !ask_again(f, fl, place, true, false, now_us)) {
		go_on(f, fl, false, now_us);
		return;
	}
	attempt_set_next(fl, place, now_us);
	flight_arm(f, fl, now_us);
}

/* FORMERR without an OPT: it may not know EDNS. True if it is asked again without, which tells: of a name that is too much for it, it says
 * the same again. */
static bool take_no_edns(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	int place = a->place;
	bool stream = a->stream;

	if (!a->via.asked.edns || !answer_denies_edns(&f->answer) || fl->landed || attempt_pool(a) != fl->pool)
		return false;
	fl->plain |= 1u << place;
	if (!ask_again(f, fl, place, stream, true, now_us))
		return false;
	attempt_end(f, a);
	flight_arm(f, fl, now_us);
	return true;
}

static void keep(struct forward *f, struct flight *fl, const struct upstream *from, uint64_t now_us)
{
	const struct answer *a = &f->answer;
	struct cache_answer c = {.body = a->message + a->body_at,
				 .body_bytes = a->body_end - a->body_at,
				 .ttl_at = a->ttl_at,
				 .ttls = a->ttls,
				 .body_at = a->body_at,
				 .rcode = a->rcode,
				 .flags = a->flags & (DNS_TC | DNS_AD),
				 .ancount = a->ancount,
				 .nscount = a->nscount,
				 .arcount = a->arcount,
				 .negative = a->kind != ANSWER_POSITIVE,
				 .ttl_s = a->ttl_s,
				 .origin = from->id};

	if (c.negative && !a->has_soa) /* RFC 2308 section 5: not to be cached; kept as long as a failure, against a flood */
		c.ttl_s = c.ttls > 0 ? MIN(c.ttl_s, 5u) : 5;
	if (!(c.flags & DNS_TC))
		cache_put(f->lease->snapshot->cache, &fl->key, &f->lease->snapshot->cache_rules, (uint32_t)(now_us / US_PER_S), &c);
}

/* Right in every way but what it says: that is no fault of the address's, so nothing of health; another AZ may know better. */
static void take_blocked(struct forward *f, struct flight *fl, int place, uint64_t now_us)
{
	if (place != POOL_NONE)
		fl->blocked |= 1u << place;
	go_on(f, fl, true, now_us);
}

/* What came is lent; what was trimmed is ours already. */
static void lower_copies(struct forward *f)
{
	if (f->answer.message != f->scratch)
		memcpy(f->scratch, f->answer.message, f->answer.body_end);
	f->answer.message = f->scratch;
	(void)answer_spell_lower(&f->answer, f->scratch);
}

static void take_good(struct forward *f, struct attempt *a, size_t len, uint64_t now_us)
{
	struct flight *fl = a->flight;
	struct pool *p = attempt_pool(a);
	const struct pool_place *by = &p->places[a->place];
	int place = p == fl->pool ? a->place : POOL_NONE;
	bool respell = a->via.asked.case_bits != 0, asked_plain = !a->via.asked.edns;

	attempt_tell(f, p, by->upstream, health_answered(&by->upstream->health, now_us));
	attempt_end(f, a);
	if (fl->landed) {
		flight_settle(f, fl, now_us);
		return;
	}
	if (fl->route->local) {
		size_t trimmed = answer_trim(&f->answer, len, f->scratch);
		if (trimmed != len && answer_read(&f->answer, f->scratch, trimmed) != ANSWER_OK)
			ASSERT_NEVER("what answer_trim wrote must be readable");
	}
	if (UNLIKELY(flight_blocks(f, fl, p, now_us))) {
		take_blocked(f, fl, place, now_us);
		return;
	}
	if (respell && answer_spell_lower(&f->answer, NULL))
		lower_copies(f);
	if (place != POOL_NONE) {
		fl->broken &= ~(1u << place); /* it may have taken two tries */
		fl->silent &= ~(1u << place);
	}
	if (UNLIKELY(asked_plain && place != POOL_NONE && fl->plain >> place & 1))
		upstream_learn_no_edns(by->upstream, now_us);
	keep(f, fl, by->upstream, now_us);
	metrics_add(f->world.metrics, METRIC_UPSTREAM_ANSWERS, 1);
	fl->answered = true;
	fl->by_pool = p, fl->by = by;
	landing_answer(f, fl, now_us);
	attempt_blame(f, fl, now_us);
	flight_land(f, fl);
	flight_settle(f, fl, now_us);
}

static bool read_answer(struct forward *f, const uint8_t *message, size_t len)
{
	f->answer_is_whole = answer_read(&f->answer, message, len) == ANSWER_OK;
	return f->answer_is_whole;
}

bool outcome_readable(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct forward *f = arg;

	if (LIKELY(read_answer(f, message, len)) || f->answer.flags & DNS_TC)
		return true; /* of a cut one, the whole comes over TCP */
	wait_for_the_true_one(f, CONTAINER_OF(via, struct attempt, via), now(f));
	return false;
}

void outcome_answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct forward *f = arg;
	struct attempt *a = CONTAINER_OF(via, struct attempt, via);
	uint64_t now_us = now(f);

	if (attempt_is_evidence(a))
		upstream_measure(a->upstream, f->world.thread, now_us - a->sent_us);
	if (via->asked.case_bits != 0)
		atomic_store_explicit(&a->upstream->wrong_case, 0, memory_order_relaxed);
	upstream_count(a->upstream, f->world.thread, UPSTREAM_ANSWERS);
	if (!a->stream && f->answer.flags & DNS_TC)
		take_cut(f, a, message, f->answer_is_whole ? len : DNS_HEADER_BYTES, now_us);
	else if (a->stream && !read_answer(f, message, len)) {
		metrics_add(f->world.metrics, METRIC_DROPPED_MALFORMED_ANSWER, 1);
		take_broken(f, a, DNS_UNREADABLE, now_us);
	} else if (f->answer.rcode == DNS_NOERROR || f->answer.rcode == DNS_NXDOMAIN)
		take_good(f, a, len, now_us);
	else if (!take_no_edns(f, a, now_us))
		take_broken(f, a, f->answer.rcode, now_us);
}

void outcome_failed(void *arg, struct transport_attempt *via, int error)
{
	struct forward *f = arg;
	struct attempt *a = CONTAINER_OF(via, struct attempt, via);
	struct flight *fl = a->flight;
	uint64_t now_us = now(f);

	if (transport_is_shortage(error)) {
		fl->starved = true;
	} else {
		upstream_count(a->upstream, f->world.thread, UPSTREAM_UNREACHABLE);
		if (attempt_is_evidence(a))
			attempt_tell(f, attempt_pool(a), a->upstream, health_unreachable(&a->upstream->health, now_us));
		if (attempt_pool(a) == fl->pool)
			fl->unreachable |= 1u << a->place;
	}
	attempt_end(f, a);
	if (fl->landed)
		flight_settle(f, fl, now_us);
	else
		go_on(f, fl, false, now_us);
}

/* The answer came in another letter case: asked again in lower case, which a forger would have to guess anew. */
static void ask_in_lower_case(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;

	if (atomic_fetch_add_explicit(&a->upstream->wrong_case, 1, memory_order_relaxed) + 1 >= WRONG_CASE_LEARNED)
		atomic_store_explicit(&a->upstream->case_off, true, memory_order_relaxed);
	excuse(a); /* it stays open against forgers only */
	if (fl->landed || a->hinted || attempt_pool(a) != fl->pool)
		return;
	a->hinted = true;
	if (ask_again(f, fl, a->place, false, false, now_us) && fl->open > FORWARD_OPEN_ATTEMPTS)
		attempt_end(f, a);
	flight_arm(f, fl, now_us);
}

/* Somebody guesses at the attempt's port: it ends there, before a guess is right, and the address is asked over TCP. */
static void flee(struct forward *f, struct attempt *a, uint64_t now_us)
{
	struct flight *fl = a->flight;
	bool asked = attempt_pool(a) == fl->pool && ask_again(f, fl, a->place, true, false, now_us);

	attempt_end(f, a);
	if (!asked) {
		go_on(f, fl, false, now_us);
		return;
	}
	attempt_set_next(fl, fl->last_place, now_us);
	flight_arm(f, fl, now_us);
}

static bool all_are_unreachable(const struct flight *fl)
{
	return (pool_usable(fl->pool) & ~fl->unreachable) == 0;
}

void outcome_hint(void *arg, struct transport_attempt *via, enum transport_hint hint, int detail)
{
	struct forward *f = arg;
	struct attempt *a = CONTAINER_OF(via, struct attempt, via);
	struct flight *fl = a->flight;
	uint64_t now_us = now(f);

	(void)detail;
	if (hint == TRANSPORT_WRONG_CASE) {
		ask_in_lower_case(f, a, now_us);
		return;
	}
	if (hint == TRANSPORT_FORGERY) {
		if (!fl->landed) /* else nothing more comes of it */
			flee(f, a, now_us);
		return;
	}
	if (hint == TRANSPORT_UNSENT) {
		fl->starved = true;
		excuse(a);
		a->hinted = true; /* the next one is due by the clock */
		return;
	}
	if (hint == TRANSPORT_ICMP) {
		upstream_count(a->upstream, f->world.thread, UPSTREAM_UNREACHABLE);
		attempt_tell(f, attempt_pool(a), a->upstream, health_unreachable(&a->upstream->health, now_us));
	}
	if (fl->landed || a->hinted || attempt_pool(a) != fl->pool)
		return;
	a->hinted = true;
	fl->unreachable |= 1u << a->place;
	if (fl->open < FORWARD_OPEN_ATTEMPTS && !attempt_all_were_asked(fl))
		attempt_next(f, fl, false, now_us);
	else if (!attempt_all_were_asked(fl))
		fl->next_at_us = now_us; /* gives this one's place up */
	else if (atomic_load_explicit(&fl->pool->down, memory_order_relaxed) && all_are_unreachable(fl))
		flight_fail(f, fl, now_us); /* it was asked in spite of that; the network says the same */
	if (!fl->landed)
		flight_arm(f, fl, now_us);
}
