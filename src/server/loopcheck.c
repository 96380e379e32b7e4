/* SPDX-License-Identifier: Apache-2.0 */
#include "server/loopcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One label of 16 hex digits, one of our own. HINFO, since nobody's cache has one. */
enum { NONCE_DIGITS = 16, MARK_OCTETS = 12, LEAST_OCTETS = 1 + NONCE_DIGITS + MARK_OCTETS + 1 };
static const uint8_t mark[MARK_OCTETS + 1] = "\013r53fwd-loop";

/* The question that is out for one pool. */
struct asked {
	struct transport_attempt via; /* first */
	struct pool *pool;
	struct transport *transport;
	struct name name;
	uint64_t due_us, sent_us;
	bool was_down;
	size_t zone; /* where the next apex is looked for */
};

struct loopcheck {
	struct loopcheck_world world;
	struct snapshot *snapshot;
	struct asked *asked; /* [count], as the snapshot's pools */
	size_t count;
	uint64_t next_us;
};

/* ---- names */

bool loopcheck_write_name(struct name *out, uint64_t nonce, const struct name *apex)
{
	uint8_t octets[NAME_MAX_OCTETS + LEAST_OCTETS];
	char digits[NONCE_DIGITS + 1];

	if (apex->len + LEAST_OCTETS > NAME_MAX_OCTETS)
		return false;
	snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)nonce);
	octets[0] = NONCE_DIGITS;
	memcpy(octets + 1, digits, NONCE_DIGITS);
	memcpy(octets + 1 + NONCE_DIGITS, mark, MARK_OCTETS);
	memcpy(octets + LEAST_OCTETS - 1, apex->octets, apex->len);
	int read = name_read(out, octets, LEAST_OCTETS - 1u + apex->len);
	ASSERT(read > 0);
	return true;
}

uint64_t loopcheck_read_nonce(const struct name *n)
{
	char digits[NONCE_DIGITS + 1] = {0};
	char *end;

	if (LIKELY(n->octets[0] != NONCE_DIGITS || n->len < LEAST_OCTETS))
		return 0;
	if (memcmp(n->octets + 1 + NONCE_DIGITS, mark, MARK_OCTETS) != 0)
		return 0;
	memcpy(digits, n->octets + 1, NONCE_DIGITS);
	unsigned long long nonce = strtoull(digits, &end, 16);
	return *end == '\0' ? nonce : 0;
}

/* The next zone of the pool whose apex leaves room; the root for the local upstreams. */
static bool next_apex(struct loopcheck *l, struct asked *a, struct name *apex)
{
	static const uint8_t root[] = {0};
	const struct snapshot *s = l->snapshot;

	if (a->pool->local)
		return name_read(apex, root, sizeof(root)) > 0;
	for (size_t looked = 0; looked < s->zone_count; looked++) {
		const struct snapshot_zone *z = &s->zones[a->zone++ % s->zone_count];
		const struct snapshot_route *r = &s->routes[z->route];
		if (z->config == NULL || r->pools[0] != a->pool || z->config->name.len + LEAST_OCTETS > NAME_MAX_OCTETS)
			continue;
		*apex = z->config->name;
		return true;
	}
	return false;
}

/* ---- asking */

static void ask(struct loopcheck *l, struct asked *a, uint64_t now_us)
{
	struct pool_wish wish = {.random = random_u32(l->world.random), .now_us = now_us};
	struct name apex;

	bool soon = a->was_down || loopcheck_is_looping(a->pool, now_us);
	a->due_us = now_us + (soon ? LOOPCHECK_AGAIN_US : LOOPCHECK_EVERY_US);
	if (a->pool->count == 0 || !next_apex(l, a, &apex))
		return;
	int place = pool_pick(a->pool, &wish);
	if (place < 0)
		return;
	struct upstream *u = a->pool->places[place].upstream;
	a->transport = l->world.transports[a->pool->tcp ? TRANSPORT_TCP : TRANSPORT_UDP]->open(l->world.env, &u->addr, 2);
	if (a->transport == NULL)
		return;
	uint64_t nonce = random_u64(l->world.random) | 1;
	bool written = loopcheck_write_name(&a->name, nonce, &apex);
	ASSERT(written); /* next_apex passes over those that leave no room */
	atomic_store(&a->pool->loop.nonce, nonce);
	a->via.asked = (struct question_upstream){.name = &a->name, .type = DNS_TYPE_HINFO, .class = DNS_CLASS_IN, .flags = DNS_RD};
	a->sent_us = now_us;
	if (transport_send(a->transport, &a->via) == 0) {
		upstream_count(u, 0, UPSTREAM_QUERIES);
		upstream_count(u, 0, UPSTREAM_PROBES);
	}
}

static void stop_asking(struct asked *a)
{
	transport_cancel(&a->via);
	if (a->transport != NULL)
		a->transport->ops->close(a->transport);
	a->transport = NULL;
}

/* Whatever the answer is: who asks us is all that matters. The transport is closed at the next clock, not inside its report. */
static void answered(void *arg, struct transport_attempt *via, const uint8_t *message, size_t len)
{
	struct loopcheck *l = arg;

	(void)message;
	(void)len;
	CONTAINER_OF(via, struct asked, via)->sent_us = 0;
	l->next_us = 0;
}

static void failed(void *arg, struct transport_attempt *via, int error)
{
	(void)error;
	answered(arg, via, NULL, 0);
}

static void hint(void *arg, struct transport_attempt *via, enum transport_hint what, int detail)
{
	(void)arg;
	(void)via;
	(void)what;
	(void)detail;
}

void loopcheck_clock(struct loopcheck *l, uint64_t now_us)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < l->count; i++) {
		struct asked *a = &l->asked[i];
		if (a->transport != NULL && now_us >= a->sent_us + LOOPCHECK_PATIENCE_US)
			stop_asking(a);
		/* In a loop probes wait for themselves, too: that nobody answers may be all there is to see of it. */
		bool down = atomic_load(&a->pool->down);
		if (down && !a->was_down)
			a->due_us = MIN(a->due_us, now_us);
		a->was_down = down;
		/* Found since it was last asked: ask again soon, to see it go. */
		if (loopcheck_is_looping(a->pool, now_us))
			a->due_us = MIN(a->due_us, now_us + LOOPCHECK_AGAIN_US);
		if (a->transport == NULL && now_us >= a->due_us)
			ask(l, a, now_us);
		next = MIN(next, a->transport != NULL ? a->sent_us + LOOPCHECK_PATIENCE_US : a->due_us);
	}
	l->next_us = next;
}

uint64_t loopcheck_next_us(const struct loopcheck *l)
{
	return l->next_us;
}

void loopcheck_flush(struct loopcheck *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->asked[i].transport != NULL && l->asked[i].transport->dirty)
			l->asked[i].transport->ops->flush(l->asked[i].transport);
}

/* ---- birth, change, death */

static void let_go(struct loopcheck *l)
{
	for (size_t i = 0; i < l->count; i++)
		stop_asking(&l->asked[i]);
	free(l->asked);
	if (l->snapshot != NULL)
		snapshot_unref(l->snapshot);
}

void loopcheck_adopt(struct loopcheck *l, struct snapshot *s, uint64_t now_us)
{
	struct asked *asked = calloc(s->pool_count, sizeof(*asked));

	if (asked == NULL)
		return; /* the old ones go on being asked */
	for (size_t i = 0; i < s->pool_count; i++)
		asked[i] = (struct asked){.pool = &s->pools[i], .due_us = now_us + LOOPCHECK_FIRST_US};
	let_go(l);
	l->asked = asked;
	l->count = s->pool_count;
	l->snapshot = snapshot_ref(s);
	l->next_us = now_us + LOOPCHECK_FIRST_US;
}

struct loopcheck *loopcheck_new(const struct loopcheck_world *world, struct snapshot *s, uint64_t now_us)
{
	struct loopcheck *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->world = *world;
	l->world.env->events = (struct transport_events){.answered = answered, .failed = failed, .hint = hint, .arg = l};
	loopcheck_adopt(l, s, now_us);
	if (l->snapshot != NULL)
		return l;
	free(l);
	return NULL;
}

void loopcheck_free(struct loopcheck *l)
{
	let_go(l);
	free(l);
}

/* ---- on a worker */

static void ip_words(const struct addr *a, uint64_t out[2])
{
	out[0] = out[1] = 0;
	if (a->sa.sa_family == AF_INET)
		memcpy(out, &a->in.sin_addr, sizeof(a->in.sin_addr));
	else
		memcpy(out, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
}

bool loopcheck_is_looping(const struct pool *p, uint64_t now_us)
{
	return now_us < atomic_load_explicit(&p->loop.until_us, memory_order_relaxed);
}

enum loopcheck_verdict loopcheck_meet(const struct snapshot_route *route, const struct name *name, const struct addr *client,
				      uint64_t now_us)
{
	uint64_t nonce = loopcheck_read_nonce(name), ip[2];

	for (int i = 0; i < route->count; i++) {
		struct pool *p = route->pools[i];
		bool known = loopcheck_is_looping(p, now_us);
		if (LIKELY(nonce == 0 && !known))
			continue;
		ip_words(client, ip);
		if (nonce != 0 && nonce == atomic_load(&p->loop.nonce)) {
			atomic_store(&p->loop.client[0], ip[0]);
			atomic_store(&p->loop.client[1], ip[1]);
			/* Of several workers that meet it at once, one has found it. */
			known = now_us < atomic_exchange(&p->loop.until_us, now_us + LOOPCHECK_HOLD_US);
			return known ? LOOPCHECK_REFUSE : LOOPCHECK_FOUND;
		}
		if (known && ip[0] == atomic_load(&p->loop.client[0]) && ip[1] == atomic_load(&p->loop.client[1]))
			return addr_is_loopback(client) ? LOOPCHECK_SHARED : LOOPCHECK_REFUSE;
	}
	return LOOPCHECK_PASS;
}
