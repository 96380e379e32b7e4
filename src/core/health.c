/* SPDX-License-Identifier: Apache-2.0 */
#include "core/health.h"

#include <string.h>

void health_init(struct health *h)
{
	memset(h, 0, sizeof(*h));
	ASSERT(pthread_mutex_init(&h->lock, NULL) == 0);
}

void health_deinit(struct health *h)
{
	pthread_mutex_destroy(&h->lock);
}

enum health_state health_state(const struct health *h)
{
	return (enum health_state)atomic_load_explicit(&h->state, memory_order_relaxed);
}

static void set_state(struct health *h, enum health_state state)
{
	atomic_store_explicit(&h->state, (uint8_t)state, memory_order_relaxed);
}

uint32_t health_share(const struct health *h, uint64_t now_us)
{
	uint64_t since = atomic_load_explicit(&h->up_since_us, memory_order_relaxed);

	if (LIKELY(since == 0) || now_us >= since + HEALTH_RAMP_US)
		return HEALTH_FULL_SHARE;
	uint64_t age = now_us > since ? now_us - since : 0;
	return (uint32_t)(HEALTH_FIRST_SHARE + (HEALTH_FULL_SHARE - HEALTH_FIRST_SHARE) * age / HEALTH_RAMP_US);
}

static uint32_t goods_needed(const struct health *h, const struct health_rules *rules)
{
	return h->confirmed ? rules->rise << h->relapses : 1;
}

static void blame(struct health *h, enum health_cause cause, uint16_t rcode, uint64_t now_us)
{
	h->cause = cause;
	h->cause_rcode = rcode;
	h->cause_at_us = now_us;
	atomic_store_explicit(&h->doubted, 1, memory_order_relaxed);
}

static void forget_questions(struct health *h)
{
	h->overdue = h->silent = 0;
	h->last_question = 0;
}

/* A clean slate, as far as the next failure is concerned; relapses are remembered. */
static enum health_change become_up(struct health *h, bool ramp, uint64_t now_us)
{
	set_state(h, HEALTH_UP);
	atomic_store_explicit(&h->doubted, 0, memory_order_relaxed);
	if (ramp)
		atomic_store_explicit(&h->up_since_us, now_us, memory_order_relaxed);
	h->fails = h->probe_fails = h->goods = 0;
	h->confirmed = h->revocable = false;
	forget_questions(h);
	return HEALTH_TO_UP;
}

static enum health_change become_suspect(struct health *h, bool confirmed, uint64_t now_us)
{
	bool news = confirmed && !h->confirmed;

	if (news) {
		uint64_t since = atomic_load_explicit(&h->up_since_us, memory_order_relaxed);
		bool relapse = since != 0 && now_us < since + HEALTH_RELAPSE_US;
		h->relapses = relapse ? (uint8_t)MIN(h->relapses + 1, HEALTH_RELAPSES) : 0;
		h->confirmed = true;
		h->revocable = false;
	}
	if (health_state(h) != HEALTH_UP)
		return HEALTH_SAME;
	h->goods = 0;
	set_state(h, HEALTH_SUSPECT);
	return HEALTH_TO_SUSPECT;
}

/* `fall` failures, at least one of them a probe. */
static enum health_change judge(struct health *h, const struct health_rules *rules, enum health_change change)
{
	if (health_state(h) != HEALTH_SUSPECT || h->fails < rules->fall || h->probe_fails == 0)
		return change;
	h->confirmed = true;
	h->revocable = false;
	set_state(h, HEALTH_DOWN);
	return HEALTH_TO_DOWN;
}

enum health_change health_answered(struct health *h, uint64_t now_us)
{
	enum health_change change = HEALTH_SAME;

	atomic_store_explicit(&h->last_answer_us, now_us, memory_order_relaxed);
	if (LIKELY(!atomic_load_explicit(&h->doubted, memory_order_relaxed)))
		return HEALTH_SAME;
	pthread_mutex_lock(&h->lock);
	forget_questions(h);
	if (health_state(h) == HEALTH_UP)
		change = (become_up(h, false, now_us), HEALTH_SAME);
	else if (h->revocable)
		change = become_up(h, false, now_us);
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_overdue(struct health *h, uint64_t question, uint64_t sent_us, uint64_t now_us)
{
	enum health_change change = HEALTH_SAME;

	pthread_mutex_lock(&h->lock);
	uint64_t answered_us = atomic_load_explicit(&h->last_answer_us, memory_order_relaxed);
	if (h->overdue > 0 && answered_us > h->overdue_since_us)
		h->overdue = 0;
	if (answered_us > sent_us)
		goto out; /* it answers, only not this: health_never will tell */
	if (h->overdue == 0)
		h->overdue_since_us = sent_us;
	if (h->overdue == 0 || question != h->last_question)
		h->overdue++;
	h->last_question = question;
	blame(h, HEALTH_CAUSE_SILENT, 0, now_us);
	if (h->overdue >= HEALTH_OVERDUE_QUESTIONS && health_state(h) == HEALTH_UP) {
		h->revocable = true;
		h->fails += HEALTH_OVERDUE_QUESTIONS;
		change = become_suspect(h, false, now_us);
	}
out:
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_never(struct health *h, const struct health_rules *rules, uint64_t question, uint64_t now_us)
{
	pthread_mutex_lock(&h->lock);
	h->fails++;
	h->last_question = question;
	blame(h, HEALTH_CAUSE_SILENT, 0, now_us);
	enum health_change change = judge(h, rules, become_suspect(h, true, now_us));
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_silent(struct health *h, const struct health_rules *rules, uint64_t question, uint64_t now_us)
{
	enum health_change change = HEALTH_SAME;

	pthread_mutex_lock(&h->lock);
	if (h->silent == 0 || question != h->last_question) {
		h->silent++;
		h->fails++;
	}
	h->last_question = question;
	blame(h, HEALTH_CAUSE_SILENT, 0, now_us);
	if (h->silent >= 2)
		change = judge(h, rules, become_suspect(h, false, now_us));
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_broken(struct health *h, const struct health_rules *rules, uint16_t rcode, uint64_t now_us)
{
	pthread_mutex_lock(&h->lock);
	h->fails++;
	blame(h, HEALTH_CAUSE_BROKEN, rcode, now_us);
	enum health_change change = judge(h, rules, become_suspect(h, true, now_us));
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_unreachable(struct health *h, uint64_t now_us)
{
	pthread_mutex_lock(&h->lock);
	blame(h, HEALTH_CAUSE_UNREACHABLE, 0, now_us);
	enum health_change change = become_suspect(h, false, now_us);
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_probe_good(struct health *h, const struct health_rules *rules, uint64_t now_us)
{
	enum health_change change = HEALTH_SAME;

	pthread_mutex_lock(&h->lock);
	atomic_store_explicit(&h->last_answer_us, now_us, memory_order_relaxed);
	forget_questions(h);
	h->goods++;
	if (health_state(h) == HEALTH_UP)
		become_up(h, false, now_us);
	else if (h->goods >= goods_needed(h, rules))
		change = become_up(h, h->confirmed, now_us);
	pthread_mutex_unlock(&h->lock);
	return change;
}

enum health_change health_probe_bad(struct health *h, const struct health_rules *rules, bool silent, uint16_t rcode, uint64_t now_us)
{
	pthread_mutex_lock(&h->lock);
	h->goods = 0;
	h->fails++;
	h->probe_fails++;
	blame(h, silent ? HEALTH_CAUSE_PROBE_SILENT : HEALTH_CAUSE_PROBE_FAILED, rcode, now_us);
	enum health_change change = judge(h, rules, become_suspect(h, true, now_us));
	pthread_mutex_unlock(&h->lock);
	return change;
}

void health_void(struct health *h, bool answered, uint64_t now_us)
{
	pthread_mutex_lock(&h->lock);
	become_up(h, false, now_us);
	h->relapses = 0;
	if (!answered) {
		blame(h, HEALTH_CAUSE_OUTAGE, 0, now_us);
		set_state(h, HEALTH_SUSPECT);
	}
	pthread_mutex_unlock(&h->lock);
}

void health_report(struct health *h, const struct health_rules *rules, struct health_report *out)
{
	pthread_mutex_lock(&h->lock);
	*out = (struct health_report){
		.state = health_state(h),
		.cause = h->cause,
		.rcode = h->cause_rcode,
		.cause_at_us = h->cause_at_us,
		.last_answer_us = atomic_load_explicit(&h->last_answer_us, memory_order_relaxed),
		.goods = h->goods,
		.goods_needed = goods_needed(h, rules),
	};
	pthread_mutex_unlock(&h->lock);
}
