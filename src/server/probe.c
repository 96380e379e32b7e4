/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a probe: an address is due → `NS <apex of a zone>` → an answer, or its timeout → health. One zone that is broken or silent
 * says nothing of an address: where the answer is an error, or half of its patience is over without one, it is asked about another zone
 * that was answered before, and the better of the two answers counts.
 * How it can fail: the network has no way there (counted as silence); this host has no descriptor, port or memory to ask with, or
 * max-qps is reached: then nothing is known, and it is put off by one interval. */
#include <errno.h>

#include "server/prober_private.h"

enum { ZONES_LOOKED_AT = 4096 };

uint64_t probe_timeout_us(const struct pool *p)
{
	return MIN(p->probe_interval_us, (uint64_t)PROBER_TIMEOUT_US);
}

uint64_t probe_patience_us(const struct probe *b)
{
	return rtt_smoothed_us(&b->upstream->rtt) != 0 ? rtt_timeout_us(&b->upstream->rtt) : probe_timeout_us(b->pool) * 9 / 10;
}

static void tell(struct prober *p, const struct probe *b, enum health_change change)
{
	if (change != HEALTH_SAME)
		p->world.changed(p->world.arg, b->pool, b->upstream, change);
}

/* ---- judging */

uint64_t probe_last_answer_us(const struct probe *b)
{
	return atomic_load_explicit(&b->upstream->health.last_answer_us, memory_order_relaxed);
}

bool probe_is_doubted(const struct probe *b)
{
	return pool_of(b->prober, b)->doubted_us > probe_last_answer_us(b);
}

bool probe_is_telling(const struct probe *b)
{
	return b->pool->inbound || b->heard || probe_is_doubted(b);
}

void probe_stop(struct probe *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(b->asked); i++) {
		transport_cancel(&b->asked[i].via);
		b->asked[i].out = false;
	}
	b->seconded = false;
	b->asks = 0;
	b->rcode = 0;
}

static void count_timeouts(const struct probe *b)
{
	upstream_count(b->upstream, 0, UPSTREAM_TIMEOUTS);
	if (b->asked[0].out && b->asked[1].out)
		upstream_count(b->upstream, 0, UPSTREAM_TIMEOUTS);
}

void probe_judge_silence(struct probe *b, uint64_t now_us)
{
	struct prober *p = b->prober;
	uint16_t rcode = b->rcode; /* one of the two was answered, badly */

	count_timeouts(b);
	probe_stop(b);
	b->done_once = true;
	if (!probe_is_telling(b))
		return;
	b->bad_us = b->sent_us;
	b->bad_rcode = rcode;
	if (!atomic_load(&b->pool->down)) /* of a path that is down, no address remembers anything */
		tell(p, b, health_probe_bad(&b->upstream->health, &b->pool->rules, rcode == 0, rcode, now_us));
}

uint64_t probe_second_us(const struct probe *b)
{
	return b->sent_us + probe_patience_us(b) / 2;
}

uint64_t probe_judgement_us(const struct probe *b)
{
	uint64_t patience_us = probe_patience_us(b), first_us = b->sent_us + patience_us;

	/* The second one is given its time even where this host was late to ask it. */
	return b->asks < 2 ? first_us : MAX(first_us, b->seconded_us + patience_us / 2);
}

/* ---- sending */

/* The next zone of the pool, in turn; the root for the local upstreams. */
static void next_zone(struct prober *p, struct prober_pool *pp, struct name *out)
{
	const struct snapshot *s = p->snapshot;

	out->len = 1;
	out->labels = out->at[0] = out->octets[0] = 0;
	if (pp->pool->local)
		return;
	for (size_t looked = 0; looked < MIN(s->zone_count, (size_t)ZONES_LOOKED_AT); looked++) {
		const struct snapshot_zone *z = &s->zones[pp->zone++ % s->zone_count];
		if (z->config != NULL && snapshot_route_place(&s->routes[z->route], pp->pool) >= 0) {
			*out = z->config->name;
			return;
		}
	}
}

static bool open_transport(struct prober *p, struct probe *b)
{
	const struct transport_ops *ops = p->world.transports[b->pool->tcp ? TRANSPORT_TCP : TRANSPORT_UDP];

	if (b->transport == NULL)
		b->transport = ops->open(p->world.env, &b->upstream->addr, POOL_PROBE_PORTS);
	return b->transport != NULL;
}

static void ask(struct prober *p, struct asking *a, uint64_t now_us)
{
	struct probe *b = a->probe;
	bool edns = !a->plain && upstream_takes_edns(b->upstream, now_us);

	a->via.asked = (struct question_upstream){
		.name = &a->name, .type = DNS_TYPE_NS, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = edns};
	a->sent_us = now_us;
	int error = open_transport(p, b) ? transport_send(b->transport, &a->via) : -ENOMEM;
	if (transport_is_shortage(error)) {
		probe_stop(b);
		return;
	}
	if (error != 0) {
		probe_judge_silence(b, now_us); /* the system says that there is no way */
		return;
	}
	a->out = true;
	upstream_count(b->upstream, 0, UPSTREAM_QUERIES);
	upstream_count(b->upstream, 0, UPSTREAM_PROBES);
}

static bool is_known(const struct name *n)
{
	return n->len != 0;
}

void probe_send(struct prober *p, struct probe *b, bool about_address, uint64_t now_us)
{
	struct prober_pool *pp = pool_of(p, b);
	struct asking *a = &b->asked[0];

	b->next_us = now_us + b->pool->probe_interval_us;
	if (probe_is_out(b) || !pool_take_rate(b->pool, b->upstream, now_us))
		return;
	probe_stop(b);
	if (about_address && is_known(&pp->good[0]))
		a->name = pp->good[0];
	else
		next_zone(p, pp, &a->name);
	a->plain = b->plain_due;
	b->plain_due = false;
	b->asks = 1;
	b->sent_us = now_us;
	ask(p, a, now_us);
}

/* Another zone than `zone`: one that was answered before or, where none is known, the next in turn. */
static bool find_other_zone(struct prober *p, struct prober_pool *pp, const struct name *zone, struct name *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(pp->good); i++)
		if (is_known(&pp->good[i]) && !name_equal(&pp->good[i], zone)) {
			*out = pp->good[i];
			return true;
		}
	next_zone(p, pp, out);
	if (name_equal(out, zone))
		next_zone(p, pp, out);
	return !name_equal(out, zone);
}

void probe_second(struct prober *p, struct probe *b, uint64_t now_us)
{
	struct asking *a = &b->asked[1];

	b->seconded = true;
	b->seconded_us = now_us;
	if (!find_other_zone(p, pool_of(p, b), &b->asked[0].name, &a->name) || !pool_take_rate(b->pool, b->upstream, now_us))
		return;
	a->plain = false;
	b->asks = 2;
	ask(p, a, now_us);
}

/* ---- answers */

/* FORMERR without an OPT: it may not know EDNS, which says nothing of its health. True if it is asked the same again without. */
static bool ask_plain(struct prober *p, struct asking *a, uint64_t now_us)
{
	struct probe *b = a->probe;

	if (!a->via.asked.edns || !answer_denies_edns(&p->answer))
		return false;
	b->heard = true;
	upstream_count(b->upstream, 0, UPSTREAM_ANSWERS);
	upstream_measure(b->upstream, 0, now_us - a->sent_us);
	a->out = false;
	a->plain = true;
	b->sent_us = now_us;
	b->plain_due = !pool_take_rate(b->pool, b->upstream, now_us);
	if (b->plain_due)
		probe_stop(b);
	else
		ask(p, a, now_us);
	return true;
}

/* A company's own server that does not want to be asked for the root, or for a zone's servers, is there all the same. */
static bool is_refusal(const struct pool *p, uint16_t rcode)
{
	return !p->inbound && (rcode == DNS_REFUSED || rcode == DNS_NOTIMP || rcode == DNS_FORMERR);
}

static void remember_good(struct prober_pool *pp, const struct name *zone)
{
	if (is_known(&pp->good[0]) && name_equal(&pp->good[0], zone))
		return;
	pp->good[1] = pp->good[0];
	pp->good[0] = *zone;
}

static void count_answer(const struct asking *a, uint16_t rcode, uint64_t now_us)
{
	struct upstream *u = a->probe->upstream;
	bool fine = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN;

	upstream_count(u, 0, UPSTREAM_ANSWERS);
	if (!fine)
		upstream_count(u, 0, rcode == DNS_REFUSED ? UPSTREAM_REFUSED : UPSTREAM_SERVFAIL);
	upstream_measure(u, 0, now_us - a->sent_us);
	if (fine && a->plain)
		upstream_learn_no_edns(u, now_us);
}

/* An error may be the zone's. True if it need not be counted now: another one is asked about. */
static bool is_open_yet(struct prober *p, struct probe *b, uint16_t rcode, uint64_t now_us)
{
	b->rcode = rcode;
	if (probe_is_out(b))
		return true;
	if (b->asks == 2)
		return false;
	b->sent_us = now_us;
	probe_second(p, b, now_us);
	return b->asks != 1; /* it was asked, or put off, or could not be sent and is judged */
}

static void judge_answer(struct asking *a, uint16_t rcode, uint64_t now_us)
{
	struct probe *b = a->probe;
	struct prober *p = b->prober;
	struct prober_pool *pp = pool_of(p, b);
	struct health *h = &b->upstream->health;
	bool good = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN || is_refusal(b->pool, rcode);
	uint64_t sent_us = b->sent_us;

	a->out = false;
	b->done_once = b->heard = true;
	count_answer(a, rcode, now_us);
	if (good)
		remember_good(pp, &a->name);
	else if (is_open_yet(p, b, rcode, now_us))
		return;
	probe_stop(b);
	if (good && !atomic_load(&b->upstream->drained) && atomic_load(&b->pool->down)) {
		prober_open_pool(p, pp, b, now_us);
		return;
	}
	b->bad_us = good ? 0 : sent_us;
	b->bad_rcode = good ? 0 : rcode;
	tell(p, b, good ? health_probe_good(h, &b->pool->rules, now_us) : health_probe_bad(h, &b->pool->rules, false, rcode, now_us));
	if (good && health_state(h) != HEALTH_UP)
		b->next_us = MIN(b->next_us, now_us + PROBER_DOWN_US);
	prober_judge_pool(p, pp, now_us);
}

/* ---- events */

static void answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct prober *p = arg;
	struct asking *a = CONTAINER_OF(via, struct asking, via);
	uint64_t now_us = p->world.now_us(p->world.arg);

	/* What cannot be read is no answer to a client either, whatever its header says. Who might forge it might forge SERVFAIL as well.
	 * Of a cut one, the header is all that can be asked for. */
	bool readable = answer_read(&p->answer, message, len) == ANSWER_OK;
	p->next_us = now_us;
	if (readable && ask_plain(p, a, now_us))
		return;
	if (readable && p->world.heard != NULL)
		p->world.heard(p->world.arg, a->probe->pool, &a->name, message, len);
	judge_answer(a, readable || dns_flags(message) & DNS_TC ? dns_flags(message) & DNS_RCODE : DNS_UNREADABLE, now_us);
}

static void failed(void *arg, struct transport_attempt *via, int error)
{
	const struct prober *p = arg;

	if (transport_is_shortage(error))
		probe_stop(CONTAINER_OF(via, struct asking, via)->probe);
	else
		probe_judge_silence(CONTAINER_OF(via, struct asking, via)->probe, p->world.now_us(p->world.arg));
}

static void hint(void *arg, struct transport_attempt *via, enum transport_hint what, int detail)
{
	(void)arg;
	(void)detail;
	/* Anybody can forge the others: the timeout decides. */
	if (what == TRANSPORT_UNSENT)
		probe_stop(CONTAINER_OF(via, struct asking, via)->probe);
}

void probe_listen(struct prober *p)
{
	p->world.env->events = (struct transport_events){.answered = answered, .failed = failed, .hint = hint, .arg = p};
}
