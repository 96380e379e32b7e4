/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/association.h"
#include "server/keepwarm.h"
#include "wire/text.h"

enum { MOST_QUERIES = 1 << 20, REPLIES_KEPT = 4096, START_US = 1000000000 };

enum event_kind { EVENT_ANSWER, EVENT_ICMP, EVENT_UNSENT, EVENT_GUESSES, EVENT_FAILED };

struct event {
	struct event *next;
	uint64_t at_us, number;
	enum event_kind kind;
	struct transport_attempt *attempt;
	struct fake_transport *transport;
	size_t len;
	uint8_t message[]; /* exactly so long: a look beyond it is seen by AddressSanitizer */
};

struct fake_transport {
	struct transport transport; /* first */
	struct list link;           /* of the world's */
	struct world *world;
	struct world_upstream *upstream;
	bool stream;
};

struct world {
	uint64_t now_us, events_made;
	struct event *events; /* in order of time */
	struct list transports;
	struct snapshot *snapshot;
	struct forward *forward;
	struct prober *prober;
	struct association *association; /* NULL: nobody asked for it */
	struct keepwarm *keepwarm;
	struct random random;
	struct transport_env worker_env, main_env, association_env;
	struct metrics metrics;
	struct world_upstream upstreams[WORLD_UPSTREAMS];
	unsigned upstream_count, queries, replies, dropped, loss_state;
	bool trace_off;
	size_t trace_len;
	/* From here on nothing is read that was not written before, but the numbers of the replies' queries. */
	struct world_reply kept[REPLIES_KEPT];
	uint8_t out[65536];
	char trace[WORLD_TRACE_BYTES], given[WORLD_TRACE_BYTES];
};

static struct world *the_world; /* transports are opened without a word of whose they are */
static struct world *spare;     /* one that has ended: a fuzzer makes thousands, and fresh pages would be most of the work */

static void PRINTF_LIKE(2, 3) note(struct world *w, const char *format, ...)
{
	va_list args;

	if (w->trace_off || w->trace_len > sizeof(w->trace) - 512)
		return;
	w->trace_len += (size_t)snprintf(w->trace + w->trace_len, 64, "[%5llu] ", (unsigned long long)((w->now_us - START_US) / US_PER_MS));
	va_start(args, format);
	w->trace_len += (size_t)vsnprintf(w->trace + w->trace_len, 400, format, args);
	va_end(args);
	w->trace[w->trace_len++] = '\n';
	w->trace[w->trace_len] = '\0';
}

/* ---- upstreams */

struct world_upstream *world_upstream(struct world *w, const char *ip)
{
	for (unsigned i = 0; i < w->upstream_count; i++)
		if (strcmp(w->upstreams[i].ip, ip) == 0)
			return &w->upstreams[i];
	ASSERT(w->upstream_count < WORLD_UPSTREAMS);
	struct world_upstream *u = &w->upstreams[w->upstream_count++];
	snprintf(u->ip, sizeof(u->ip), "%s", ip);
	u->rtt_us = 4 * US_PER_MS;
	return u;
}

void world_set(struct world *w, const char *ip, enum world_fault fault)
{
	static const char *const names[WORLD_SERVER_FAULTS] = {
		"well",	  "silent",	"broken",	"unreachable", "slandered",    "closed",
		"truncating", "lower-casing", "without EDNS", "babbling",	   "out of reach", "beyond our means",
		"choked", "guessed at", "forestalled",
	};

	note(w, "-- %s is %s", ip, names[fault]);
	world_upstream(w, ip)->fault = fault;
}

void world_set_all(struct world *w, enum world_fault fault)
{
	for (size_t i = 0; i < w->snapshot->pool_count; i++)
		for (int k = 0; k < w->snapshot->pools[i].count; k++) {
			char ip[ADDR_TEXT_MAX];
			world_set(w, addr_format_ip(&w->snapshot->pools[i].places[k].upstream->addr, ip), fault);
		}
}

static void push(struct world *w, const struct event *e, const uint8_t *message)
{
	struct event *copy = malloc(sizeof(*copy) + e->len), **at = &w->events;

	ASSERT(copy != NULL);
	*copy = *e;
	if (e->len > 0)
		memcpy(copy->message, message, e->len);
	copy->number = w->events_made++;
	while (*at != NULL && (*at)->at_us <= copy->at_us)
		at = &(*at)->next;
	copy->next = *at;
	*at = copy;
}

/* Numbers that repeat from run to run. */
static unsigned dice(struct world *w)
{
	w->loss_state = w->loss_state * 1103515245u + 12345u;
	return (w->loss_state >> 16) % 1000;
}

/* An A record with TTL 60 for A; NXDOMAIN with an SOA for names that begin with "nx"; NODATA for other types; NS for NS. */
static size_t write_answer(const struct world_upstream *u, const struct question_upstream *q, bool stream, uint8_t *out)
{
	static const uint8_t soa[] = {0xc0, 12, 0, 6, 0, 1, 0, 0, 3, 0x84, 0, 22, 0, 0, 0,    0, 0,
				      1,    0,	0, 3, 0x84, 0, 0, 3, 0x84, 0, 0, 3, 0x84, 0, 0, 3, 0x84};
	static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3};
	static const uint8_t ns[] = "\xc0\14\0\2\0\1\0\0\0\74\0\24\4ns-0\11awsdns-00\3com";
	struct question_upstream echo = *q;
	bool broken = u->fault == WORLD_RCODE, no_edns = u->fault == WORLD_NO_EDNS && q->edns;
	uint16_t flags = (uint16_t)(DNS_QR | DNS_RD | DNS_RA | (q->flags & DNS_AD));
	size_t len;

	if (u->fault == WORLD_WRONG_CASE)
		echo.case_bits = 0;
	echo.edns = q->edns && !no_edns;
	echo.flags = 0;
	len = question_write(&echo, out);
	size_t opt = echo.edns ? EDNS_OPT_BYTES : 0, body = len - opt;
	uint8_t opt_bytes[EDNS_OPT_BYTES];
	memcpy(opt_bytes, out + body, opt);
	if (u->fault == WORLD_GARBAGE) {
		out[7] = 9; /* records that are not there */
	} else if (u->fault == WORLD_TRUNCATE && !stream) {
		flags |= DNS_TC;
	} else if (broken || no_edns) {
		flags |= broken ? u->rcode : DNS_FORMERR;
	} else if (q->type == DNS_TYPE_A && memcmp(q->name->octets + 1, "nx", 2) != 0) {
		memcpy(out + body, a, sizeof(a));
		body += sizeof(a);
		if (u->detached)
			memcpy(out + body - 4, (const uint8_t[]){203, 0, 113, 5}, 4);
		out[7] = 1;
	} else if (q->type == DNS_TYPE_NS) {
		memcpy(out + body, ns, sizeof(ns));
		body += sizeof(ns);
		if (u->detached)
			out[body - 6] = '7'; /* awsdns-07.com */
		out[7] = 1;
	} else {
		memcpy(out + body, soa, sizeof(soa));
		body += sizeof(soa);
		out[9] = 1;
		flags |= q->type == DNS_TYPE_A ? DNS_NXDOMAIN : DNS_NOERROR;
	}
	memcpy(out + body, opt_bytes, opt);
	dns_put16(out + 2, flags);
	return body + opt;
}

static bool begins(const struct question_upstream *q, const char *label)
{
	return label != NULL && q->type != DNS_TYPE_NS && memcmp(q->name->octets + 1, label, strlen(label)) == 0;
}

static void check_never(const char *never, const struct question_upstream *q)
{
	size_t n = never == NULL ? 0 : strlen(never) + 1;

	/* Where a label begins: the octets alone may stand in the middle of one. */
	for (unsigned i = 0; n > 0 && i <= q->name->labels; i++)
		ASSERT((size_t)q->name->len - q->name->at[i] != n || memcmp(q->name->octets + q->name->at[i], never, n) != 0);
}

static bool is_silent(struct world *w, const struct world_upstream *u, const struct question_upstream *q)
{
	if (u->fault == WORLD_SILENT || begins(q, u->silent_name))
		return true;
	return u->lost_pm > 0 && dice(w) < u->lost_pm;
}

/* Right in all but that it counts records which are not there. */
static void push_garbage(struct world *w, struct fake_transport *ft, struct transport_attempt *a)
{
	struct event e = {.attempt = a, .transport = ft, .at_us = w->now_us + US_PER_MS, .kind = EVENT_ANSWER};
	uint8_t message[QUESTION_UPSTREAM_MAX];

	e.len = question_write(&a->asked, message);
	dns_put16(message + 2, DNS_QR | DNS_RD | DNS_RA);
	message[7] = 9;
	push(w, &e, message);
}

static int fake_send(struct transport *t, struct transport_attempt *a)
{
	struct fake_transport *ft = (struct fake_transport *)t;
	struct world *w = ft->world;
	struct world_upstream *u = ft->upstream;
	bool probe = t->env == &w->main_env, check = t->env == &w->association_env;
	struct event e = {.attempt = a, .transport = ft, .at_us = w->now_us + u->rtt_us, .kind = EVENT_ANSWER};
	static uint8_t message[WORLD_ANSWER_BYTES];
	char name[TEXT_NAME_MAX];

	if (u->fault == WORLD_STARVED)
		return -EMFILE;
	if (u->full)
		return -EBUSY;
	t->dirty = true;
	a->asked.id = random_u16(&w->random);
	(*(check ? &u->checked : probe ? &u->probed : &u->asked))++;
	u->streamed += ft->stream && !check && !probe;
	if (!w->trace_off)
		note(w, "  %s %s%s: %s", check ? "check" : probe ? "probe" : "attempt", u->ip, ft->stream ? " over TCP" : "",
		     text_name(a->asked.name, name));
	for (size_t i = 0; i < ARRAY_SIZE(u->never); i++)
		check_never(u->never[i], &a->asked);
	if (u->fault == WORLD_FORGED_ICMP && !ft->stream)
		push(w, &(struct event){.attempt = a, .transport = ft, .at_us = w->now_us + US_PER_MS, .kind = EVENT_ICMP}, NULL);
	if (u->fault == WORLD_GUESSED && !ft->stream)
		push(w, &(struct event){.attempt = a, .transport = ft, .at_us = w->now_us + US_PER_MS, .kind = EVENT_GUESSES}, NULL);
	if (u->fault == WORLD_FORESTALLED && !ft->stream)
		push_garbage(w, ft, a);
	if (u->fault == WORLD_UNSENDABLE)
		e.at_us = w->now_us;
	else if (begins(&a->asked, u->slow_name))
		e.at_us += u->slow_us;
	if (u->fault == WORLD_CHOKED && !ft->stream)
		e = (struct event){.attempt = a, .transport = ft, .at_us = w->now_us, .kind = EVENT_UNSENT};
	else if (u->fault == WORLD_UNSENDABLE || (ft->stream && (u->tcp_closed || u->fault == WORLD_CLOSED)))
		e.kind = EVENT_FAILED;
	else if (!ft->stream && (u->fault == WORLD_ICMP || u->fault == WORLD_CLOSED))
		e.kind = EVENT_ICMP;
	else if (is_silent(w, u, &a->asked))
		return 0;
	if (e.kind == EVENT_ANSWER)
		e.len = u->answer != NULL ? u->answer(&a->asked, ft->stream, message) : write_answer(u, &a->asked, ft->stream, message);
	if (e.kind != EVENT_ANSWER || e.len > 0)
		push(w, &e, message);
	return 0;
}

static void fake_cancel(struct transport *t, struct transport_attempt *a)
{
	struct world *w = ((struct fake_transport *)t)->world;

	for (struct event **at = &w->events; *at != NULL;) {
		struct event *e = *at;
		if (e->attempt == a) {
			*at = e->next;
			free(e);
		} else {
			at = &e->next;
		}
	}
}

static void happen(struct world *w, struct event *e);

/* What the system refuses is reported from here, as UDP does: the owner may send again meanwhile. */
static void fake_flush(struct transport *t)
{
	struct world *w = ((struct fake_transport *)t)->world;
	uint64_t made = w->events_made; /* what is sent meanwhile waits for another flush */

	t->dirty = false;
	for (struct event **at = &w->events; *at != NULL;) {
		struct event *e = *at;
		if (&e->transport->transport != t || e->kind != EVENT_FAILED || e->transport->stream || e->number >= made) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		happen(w, e);
		free(e);
		at = &w->events; /* the report may have changed the list */
	}
}

static void fake_close(struct transport *t)
{
	ASSERT(t->open_attempts == 0);
	list_remove(&((struct fake_transport *)t)->link);
	free(t);
}

static struct transport *fake_open(struct transport_env *env, const struct addr *addr, bool stream);

static void fake_set_ports(struct transport *t, uint32_t source_ports)
{
	struct fake_transport *ft = (struct fake_transport *)t;

	ASSERT(source_ports >= 2);
	if (t->env == &ft->world->worker_env)
		ft->upstream->ports = source_ports;
}

static struct transport *open_udp(struct transport_env *env, const struct addr *addr, uint32_t source_ports)
{
	struct transport *t = fake_open(env, addr, false);

	fake_set_ports(t, source_ports);
	return t;
}

static struct transport *open_tcp(struct transport_env *env, const struct addr *addr, uint32_t source_ports)
{
	(void)source_ports;
	return fake_open(env, addr, true);
}

static const struct transport_ops fake_udp = {open_udp, fake_send, fake_cancel, fake_flush, fake_close, false, fake_set_ports};
static const struct transport_ops fake_tcp = {open_tcp, fake_send, fake_cancel, fake_flush, fake_close, true, NULL};

static struct transport *fake_open(struct transport_env *env, const struct addr *addr, bool stream)
{
	struct fake_transport *ft = calloc(1, sizeof(*ft));
	char ip[ADDR_TEXT_MAX];

	ASSERT(ft != NULL);
	ft->transport.ops = stream ? &fake_tcp : &fake_udp;
	ft->transport.env = env;
	ft->world = the_world;
	ft->upstream = world_upstream(ft->world, addr_format_ip(addr, ip));
	ft->stream = stream;
	list_append(&ft->world->transports, &ft->link);
	return &ft->transport;
}

static void happen(struct world *w, struct event *e)
{
	struct transport_attempt *a = e->attempt;
	struct transport *t = &e->transport->transport;
	struct transport_events *events = &t->env->events;

	if (e->kind == EVENT_ICMP) {
		events->hint(events->arg, a, TRANSPORT_ICMP, ECONNREFUSED);
		return;
	}
	if (e->kind == EVENT_UNSENT) {
		events->hint(events->arg, a, TRANSPORT_UNSENT, ENOBUFS);
		return;
	}
	if (e->kind == EVENT_GUESSES) {
		events->hint(events->arg, a, TRANSPORT_FORGERY, 0);
		return;
	}
	enum question_echo echo = e->kind == EVENT_ANSWER ? question_echo(&a->asked, e->message, e->len) : ECHO_NO;
	if (echo == ECHO_WRONG_CASE && !e->transport->stream) {
		events->hint(events->arg, a, TRANSPORT_WRONG_CASE, 0);
		return;
	}
	if (e->kind == EVENT_ANSWER && !e->transport->stream && events->readable != NULL &&
	    !events->readable(events->arg, a, e->message, e->len))
		return;
	fake_cancel(t, a); /* an ICMP error that would come after its answer is nobody's */
	a->transport = NULL;
	t->open_attempts--;
	if (e->kind == EVENT_FAILED)
		events->failed(events->arg, a, -ECONNREFUSED);
	else
		events->answered(events->arg, a, e->message, e->len);
	(void)w;
}

/* ---- clients */

static uint8_t *room(const struct reply_to *to, size_t *size)
{
	struct world *w = (struct world *)(void *)to->listener;

	*size = to->client.in6.sin6_scope_id != 0 ? sizeof(w->out) - 1 : DNS_UDP_BYTES;
	return w->out;
}

static int read_ede(const uint8_t *message, size_t len, char *text, size_t size)
{
	/* Our own OPT is last: 11 bytes, then one option 15. */
	for (size_t at = DNS_HEADER_BYTES; at + 17 <= len; at++)
		if (message[at] == 0 && dns_get16(message + at + 1) == DNS_TYPE_OPT && dns_get16(message + at + 11) == 15 &&
		    at + 15 + dns_get16(message + at + 13) == len) {
			snprintf(text, size, "%.*s", (int)(len - at - 17), (const char *)message + at + 17);
			return dns_get16(message + at + 15);
		}
	return -1;
}

static uint32_t first_ttl(const uint8_t *message, size_t len)
{
	int at = name_skip(message, len, DNS_HEADER_BYTES);

	if (at < 0 || dns_ancount(message) + dns_nscount(message) == 0)
		return 0;
	at = name_skip(message, len, (size_t)at + 4);
	return at < 0 ? 0 : dns_get32(message + at + 4);
}

static void send_reply(const struct reply_to *to, size_t len)
{
	struct world *w = (struct world *)(void *)to->listener;
	struct world_reply *r = &w->kept[to->tcp.slot % REPLIES_KEPT];
	char rcode[TEXT_TYPE_MAX];

	ASSERT(r->query != to->tcp.slot); /* each query is answered once */
	memset(r, 0, offsetof(struct world_reply, message));
	r->query = to->tcp.slot;
	r->at_us = world_now_us(w);
	r->flags = dns_flags(w->out);
	r->rcode = r->flags & DNS_RCODE;
	r->ancount = dns_ancount(w->out);
	r->ttl_s = first_ttl(w->out, len);
	r->ede = read_ede(w->out, len, r->ede_text, sizeof(r->ede_text));
	r->len = len;
	memcpy(r->message, w->out, MIN(len, sizeof(r->message)));
	w->replies++;
	note(w, "reply %u %s%s%s%s", r->query, text_rcode(r->rcode, rcode), r->flags & DNS_TC ? " TC" : "",
	     r->ede >= 0 ? ", " : "", r->ede >= 0 ? r->ede_text : "");
}

static void drop_reply(const struct reply_to *to)
{
	struct world *w = (struct world *)(void *)to->listener;

	w->dropped++;
	note(w, "dropped %u", to->tcp.slot);
}

static bool is_stream(const struct reply_to *to)
{
	return to->client.in6.sin6_scope_id != 0;
}

unsigned world_send(struct world *w, const uint8_t *packet, size_t len, const char *client, bool stream)
{
	struct reply_to to = {.listener = (struct listener *)(void *)w};

	ASSERT(addr_parse(&to.client, client, 40000) == 0 && ++w->queries < MOST_QUERIES);
	to.client.in6.sin6_scope_id = stream; /* unused by IPv4: marks the stream */
	to.tcp.slot = w->queries;
	forward_query(w->forward, &to, packet, len, w->now_us);
	forward_flush(w->forward);
	return w->queries;
}

unsigned world_ask(struct world *w, const char *name, const char *type)
{
	uint8_t packet[QUESTION_UPSTREAM_MAX];
	struct name n;

	ASSERT(text_read_name(&n, name) == 0);
	int number = text_read_type(type);
	ASSERT(number >= 0);
	struct question_upstream q = {.name = &n, .id = (uint16_t)(w->queries + 1), .type = (uint16_t)number,
				      .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = true};
	note(w, "query %u %s %s", w->queries + 1, name, type);
	return world_send(w, packet, question_write(&q, packet), "127.0.0.1", false);
}

const struct world_reply *world_reply(const struct world *w, unsigned query)
{
	const struct world_reply *r = &w->kept[query % REPLIES_KEPT];
	return r->query == query ? r : NULL;
}

unsigned world_replies(const struct world *w)
{
	return w->replies;
}

unsigned world_dropped(const struct world *w)
{
	return w->dropped;
}

/* ---- time */

static uint64_t now(void *arg)
{
	return ((struct world *)arg)->now_us;
}

static void on_doubt(void *arg, struct pool *pool)
{
	struct world *w = arg;

	note(w, "  %s is doubted", pool->name);
	prober_doubt(w->prober, pool->name, w->now_us);
}

static void on_changed(void *arg, struct pool *pool, struct upstream *u, enum health_change change)
{
	struct world *w = arg;
	char ip[ADDR_TEXT_MAX];

	(void)pool;
	note(w, "  %s %s", addr_format_ip(&u->addr, ip), change == HEALTH_TO_UP ? "up" : change == HEALTH_TO_DOWN ? "down" : "suspect");
	if (change == HEALTH_TO_SUSPECT)
		prober_suspect(w->prober, u, w->now_us);
}

static void on_looped(void *arg, const struct snapshot_route *route, const struct addr *client)
{
	char ip[ADDR_TEXT_MAX];

	note(arg, "%s loops: %s brings it back", route->pools[0]->name, addr_format_ip(client, ip));
}

static void on_violated(void *arg, const struct snapshot_zone *zone, const struct pool *pool, const struct addr *seen)
{
	char name[TEXT_NAME_MAX], ip[ADDR_TEXT_MAX];

	note(arg, "  %s does not expect %s from %s", text_name(&zone->config->name, name), addr_format_ip(seen, ip), pool->name);
}

static void on_judged(void *arg, const struct name *zone, const struct pool *pool, bool detached, const struct name *server)
{
	char name[TEXT_NAME_MAX], at[TEXT_NAME_MAX];

	note(arg, "%s is %s at %s: %s", text_name(zone, name), detached ? "detached" : "private", pool->name, text_name(server, at));
}

static void on_heard(void *arg, const struct pool *pool, const struct name *zone, const uint8_t *message, size_t len)
{
	struct world *w = arg;

	if (w->association != NULL)
		association_hear(w->association, pool, zone, message, len);
}

static void on_refresh(void *arg, const struct name *name, uint16_t type, uint64_t hash)
{
	struct world *w = arg;

	(void)hash;
	forward_refresh(w->forward, name, type, w->now_us);
}

static void on_closed(void *arg, struct pool *pool)
{
	struct world *w = arg;

	note(w, "%s is down", pool->name);
	forward_pool_closed(w->forward, pool->name, w->now_us);
}

static void on_opened(void *arg, struct pool *pool, int place)
{
	char ip[ADDR_TEXT_MAX];

	if (place == POOL_NONE)
		note(arg, "%s is tried again", pool->name);
	else
		note(arg, "%s is open: %s answers", pool->name, addr_format_ip(&pool->places[place].upstream->addr, ip));
}

void world_run_ms(struct world *w, uint64_t ms)
{
	uint64_t end = w->now_us + ms * US_PER_MS;

	for (;;) {
		uint64_t next = MIN(forward_next_us(w->forward), prober_next_us(w->prober));
		next = MIN(next, keepwarm_next_us(w->keepwarm));
		if (w->association != NULL)
			next = MIN(next, association_next_us(w->association));
		if (w->events != NULL)
			next = MIN(next, w->events->at_us);
		if (next > end)
			break;
		w->now_us = MAX(w->now_us, next);
		while (w->events != NULL && w->events->at_us <= w->now_us) {
			struct event *e = w->events;
			w->events = e->next;
			happen(w, e);
			free(e);
		}
		forward_clock(w->forward, w->now_us);
		prober_clock(w->prober, w->now_us);
		keepwarm_clock(w->keepwarm, w->now_us);
		if (w->association != NULL)
			association_clock(w->association, w->now_us);
		forward_flush(w->forward);
		prober_flush(w->prober);
		if (w->association != NULL)
			association_flush(w->association);
	}
	w->now_us = end;
}

uint64_t world_now_us(const struct world *w)
{
	return w->now_us - START_US;
}

const char *world_trace(struct world *w)
{
	memcpy(w->given, w->trace, w->trace_len + 1);
	w->trace_len = 0;
	w->trace[0] = '\0';
	return w->given;
}

void world_trace_off(struct world *w)
{
	w->trace_off = true;
}

/* ---- birth and death */

static struct config *read_config(const char *zones_conf)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(zones_conf, strlen(zones_conf), &d);
	if (c == NULL)
		diagnostics_print(&d, "zones.conf", stderr);
	ASSERT(c != NULL);
	diagnostics_deinit(&d);
	return c;
}

static struct world *blank(void)
{
	/* Most of it is never touched. */
	struct world *w = spare != NULL ? spare : calloc(1, sizeof(*w));

	ASSERT(w != NULL);
	for (unsigned i = 1; i <= MIN(w->queries, (unsigned)REPLIES_KEPT); i++)
		w->kept[i % REPLIES_KEPT].query = 0;
	memset(w, 0, offsetof(struct world, kept));
	w->trace[0] = '\0';
	list_init(&w->transports);
	spare = NULL;
	return w;
}

struct world *world_new(const char *zones_conf)
{
	struct world *w = the_world = blank();

	w->now_us = START_US;
	w->loss_state = 1;
	random_init(&w->random);
	w->worker_env.random = w->main_env.random = &w->random;
	w->snapshot = snapshot_new(read_config(zones_conf), NULL, NULL);
	ASSERT(w->snapshot != NULL);
	const struct forward_world fw = {.thread = 1, .random = &w->random, .metrics = &w->metrics, .env = &w->worker_env,
					 .transports = {[TRANSPORT_UDP] = &fake_udp, [TRANSPORT_TCP] = &fake_tcp},
					 .replies = {room, send_reply, drop_reply, is_stream}, .workers = 1, .now_us = now,
					 .doubt = on_doubt, .looped = on_looped, .violated = on_violated, .changed = on_changed, .arg = w};
	w->forward = forward_new(&fw, w->snapshot, w->now_us);
	const struct prober_world pw = {.random = &w->random, .env = &w->main_env,
					.transports = {[TRANSPORT_UDP] = &fake_udp, [TRANSPORT_TCP] = &fake_tcp},
					.now_us = now, .closed = on_closed, .opened = on_opened, .changed = on_changed,
					.heard = on_heard, .arg = w};
	w->prober = prober_new(&pw, w->snapshot, w->now_us);
	w->keepwarm = keepwarm_new(&(struct keepwarm_world){on_refresh, w}, w->snapshot, w->now_us);
	ASSERT(w->forward != NULL && w->prober != NULL && w->keepwarm != NULL);
	return w;
}

void world_associate(struct world *w)
{
	const struct association_world aw = {.random = &w->random, .env = &w->association_env,
					     .transports = {[TRANSPORT_UDP] = &fake_udp, [TRANSPORT_TCP] = &fake_tcp}, .now_us = now,
					     .judged = on_judged, .changed = on_changed, .arg = w};

	w->association_env.random = &w->random;
	w->association = association_new(&aw, w->snapshot, w->now_us);
	ASSERT(w->association != NULL);
}

void world_reload(struct world *w, const char *zones_conf)
{
	struct snapshot *next = snapshot_new(read_config(zones_conf), NULL, w->snapshot);

	ASSERT(next != NULL);
	note(w, "-- reload");
	forward_adopt(w->forward, next, w->now_us);
	prober_adopt(w->prober, next, w->now_us);
	keepwarm_adopt(w->keepwarm, next, w->now_us);
	if (w->association != NULL)
		association_adopt(w->association, next, w->now_us);
	snapshot_unref(w->snapshot);
	w->snapshot = next;
}

void world_free(struct world *w)
{
	forward_free(w->forward);
	prober_free(w->prober);
	keepwarm_free(w->keepwarm);
	if (w->association != NULL)
		association_free(w->association);
	ASSERT(w->events == NULL && list_empty(&w->transports));
	snapshot_unref(w->snapshot);
	if (spare != NULL)
		free(w);
	else
		spare = w;
}

struct pool *world_pool(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->snapshot->pool_count; i++)
		if (strcmp(w->snapshot->pools[i].name, name) == 0)
			return &w->snapshot->pools[i];
	ASSERT_NEVER("no such pool");
	return NULL;
}

struct upstream *world_upstream_state(struct world *w, const char *ip)
{
	struct addr a;

	ASSERT(addr_parse(&a, ip, 53) == 0);
	for (size_t i = 0; i < w->snapshot->pool_count; i++)
		for (int k = 0; k < w->snapshot->pools[i].count; k++)
			if (addr_equal_ip(&w->snapshot->pools[i].places[k].upstream->addr, &a))
				return w->snapshot->pools[i].places[k].upstream;
	ASSERT_NEVER("no such upstream");
	return NULL;
}

static bool is_known(const struct snapshot *s, const char *ip)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++)
			if (strcmp(addr_format_ip(&s->pools[i].places[k].upstream->addr, text), ip) == 0)
				return true;
	return false;
}

unsigned world_strange_transports(const struct world *w)
{
	unsigned strange = 0;

	LIST_FOR_EACH (link, &w->transports)
		strange += !is_known(w->snapshot, CONTAINER_OF(link, struct fake_transport, link)->upstream->ip);
	return strange;
}

unsigned world_open_attempts(const struct world *w, const struct world_upstream *u)
{
	unsigned open = 0;

	LIST_FOR_EACH (link, &w->transports) {
		const struct fake_transport *ft = CONTAINER_OF(link, struct fake_transport, link);
		open += ft->upstream == u && ft->transport.env == &w->worker_env ? ft->transport.open_attempts : 0;
	}
	return open;
}

struct forward *world_forward(struct world *w)
{
	return w->forward;
}

struct prober *world_prober(struct world *w)
{
	return w->prober;
}

struct snapshot *world_snapshot(struct world *w)
{
	return w->snapshot;
}

const struct metrics *world_metrics(const struct world *w)
{
	return &w->metrics;
}
