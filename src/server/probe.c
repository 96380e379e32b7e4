/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a probe: an address is due → `NS <apex of a zone>` → an answer, or its timeout → health.
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

bool probe_is_telling(const struct probe *b)
{
	return b->pool->inbound || b->heard || pool_of(b->prober, b)->doubted_us > probe_last_answer_us(b);
}

void probe_judge_silence(struct probe *b, uint64_t now_us)
{
	struct prober *p = b->prober;

	transport_cancel(&b->via);
	b->out = b->again = false;
	b->done_once = true;
	upstream_count(b->upstream, 0, UPSTREAM_TIMEOUTS);
	if (!probe_is_telling(b))
		return;
	b->bad_us = b->sent_us;
	if (!atomic_load(&b->pool->down)) /* of a path that is down, no address remembers anything */
		tell(p, b, health_probe_bad(&b->upstream->health, &b->pool->rules, true, 0, now_us));
}

void probe_put_off(struct probe *b)
{
	transport_cancel(&b->via);
	b->out = b->again = false;
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

/* Asks for b->name. */
static void ask(struct prober *p, struct probe *b, uint64_t now_us)
{
	bool edns = !b->plain && upstream_takes_edns(b->upstream, now_us);

	b->via.asked = (struct question_upstream){
		.name = &b->name, .type = DNS_TYPE_NS, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = edns};
	b->sent_us = now_us;
	int error = open_transport(p, b) ? transport_send(b->transport, &b->via) : -ENOMEM;
	b->out = error == 0;
	if (transport_is_shortage(error)) {
		probe_put_off(b);
		return;
	}
	if (!b->out) {
		probe_judge_silence(b, now_us); /* the system says that there is no way */
		return;
	}
	upstream_count(b->upstream, 0, UPSTREAM_QUERIES);
	upstream_count(b->upstream, 0, UPSTREAM_PROBES);
}

void probe_send(struct prober *p, struct probe *b, uint64_t now_us)
{
	b->next_us = now_us + b->pool->probe_interval_us;
	if (b->out || !pool_take_rate(b->pool, b->upstream, now_us))
		return;
	b->plain = false;
	if (b->again)
		b->name = pool_of(p, b)->good;
	else
		next_zone(p, pool_of(p, b), &b->name);
	ask(p, b, now_us);
}

/* ---- answers */

/* One broken zone says nothing of an address: before an error counts, the zone is asked for that was last answered well. True if the
 * error need not be counted now. */
static bool ask_good_zone(struct prober *p, struct probe *b, uint64_t now_us)
{
	const struct prober_pool *pp = pool_of(p, b);

	if (b->again || pp->good.len == 0 || name_equal(&pp->good, &b->name))
		return false;
	b->again = true;
	probe_send(p, b, now_us);
	return true;
}

/* FORMERR without an OPT: it may not know EDNS, which says nothing of its health. True if it is asked the same again without. */
static bool ask_plain(struct prober *p, struct probe *b, uint64_t now_us)
{
	if (!b->via.asked.edns || p->answer.rcode != DNS_FORMERR || p->answer.edns.present)
		return false;
	b->out = false;
	b->heard = true;
	upstream_count(b->upstream, 0, UPSTREAM_ANSWERS);
	upstream_measure(b->upstream, 0, now_us - b->sent_us);
	b->plain = true;
	if (pool_take_rate(b->pool, b->upstream, now_us))
		ask(p, b, now_us);
	else
		probe_put_off(b);
	return true;
}

/* A company's own server that does not want to be asked for the root, or for a zone's servers, is there all the same. */
static bool is_refusal(const struct pool *p, uint16_t rcode)
{
	return !p->inbound && (rcode == DNS_REFUSED || rcode == DNS_NOTIMP || rcode == DNS_FORMERR);
}

static void judge_answer(struct probe *b, uint16_t rcode, uint64_t now_us)
{
	struct prober *p = b->prober;
	struct health *h = &b->upstream->health;
	bool good = rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN || is_refusal(b->pool, rcode);
	bool drained = atomic_load(&b->upstream->drained);

	b->out = false;
	b->done_once = b->heard = true;
	upstream_count(b->upstream, 0, UPSTREAM_ANSWERS);
	if (rcode != DNS_NOERROR && rcode != DNS_NXDOMAIN)
		upstream_count(b->upstream, 0, rcode == DNS_REFUSED ? UPSTREAM_REFUSED : UPSTREAM_SERVFAIL);
	upstream_measure(b->upstream, 0, now_us - b->sent_us);
	if (b->plain && (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN))
		upstream_learn_no_edns(b->upstream, now_us);
	if (good && !drained && atomic_load(&b->pool->down)) {
		prober_open_pool(p, pool_of(p, b), b, now_us);
		return;
	}
	if (!good && ask_good_zone(p, b, now_us))
		return;
	b->again = false;
	if (good) {
		pool_of(p, b)->good = b->name;
		b->bad_us = 0;
	} else {
		b->bad_us = b->sent_us;
	}
	tell(p, b, good ? health_probe_good(h, &b->pool->rules, now_us) : health_probe_bad(h, &b->pool->rules, false, rcode, now_us));
	if (good && health_state(h) != HEALTH_UP)
		b->next_us = MIN(b->next_us, now_us + PROBER_DOWN_US);
	prober_judge_pool(p, pool_of(p, b), now_us);
}

/* ---- events */

static void answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct prober *p = arg;
	struct probe *b = CONTAINER_OF(via, struct probe, via);
	uint64_t now_us = p->world.now_us(p->world.arg);

	/* What cannot be read is no answer to a client either, whatever its header says. Who might forge it might forge SERVFAIL as well.
	 * Of a cut one, the header is all that can be asked for. */
	bool readable = answer_read(&p->answer, message, len) == ANSWER_OK;
	p->next_us = now_us;
	if (readable && ask_plain(p, b, now_us))
		return;
	if (readable && p->world.heard != NULL)
		p->world.heard(p->world.arg, b->pool, &b->name, message, len);
	judge_answer(b, readable || dns_flags(message) & DNS_TC ? dns_flags(message) & DNS_RCODE : DNS_UNREADABLE, now_us);
}

static void failed(void *arg, struct transport_attempt *via, int error)
{
	const struct prober *p = arg;

	if (transport_is_shortage(error))
		probe_put_off(CONTAINER_OF(via, struct probe, via));
	else
		probe_judge_silence(CONTAINER_OF(via, struct probe, via), p->world.now_us(p->world.arg));
}

static void hint(void *arg, struct transport_attempt *via, enum transport_hint what, int detail)
{
	(void)arg;
	(void)detail;
	/* Anybody can forge the others: the timeout decides. */
	if (what == TRANSPORT_UNSENT)
		probe_put_off(CONTAINER_OF(via, struct probe, via));
}

void probe_listen(struct prober *p)
{
	p->world.env->events = (struct transport_events){.answered = answered, .failed = failed, .hint = hint, .arg = p};
}
