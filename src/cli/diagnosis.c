/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers: slow is what the pool calls slow (twice the best + 20 ms); a lost question is one that was sent and not answered; TTLs
 * differ when they do so by two seconds, for the questions themselves are that far apart. */
#include "cli/diagnosis.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "core/pool.h"
#include "wire/text.h"

enum { TTL_SKEW_S = 2, PLACES_TEXT_MAX = 256, RESOLVED_STUB_LAST = 53 };

struct diagnosing {
	const struct survey *survey;
	const struct host *host;
	const struct survey_endpoint *e;
	struct findings *out;
};

/* ---- places */

/* A finding about one address of the endpoint. */
#define ADD_AT(d, a, kind, ...)                                                                                                            \
	do {                                                                                                                               \
		char at_text[ADDR_TEXT_MAX];                                                                                               \
		const struct finding_place at = {(d)->e->name, (a)->az, addr_format(&(a)->addr, at_text), NULL};                           \
		findings_add((d)->out, kind, &at, __VA_ARGS__);                                                                            \
	} while (0)

#define ADD_ZONE(d, z, kind, ...)                                                                                                          \
	do {                                                                                                                               \
		char zone_text[TEXT_NAME_MAX];                                                                                             \
		const struct finding_place at = {(d)->e->name, NULL, NULL, text_name(&(z)->name, zone_text)};                              \
		findings_add((d)->out, kind, &at, __VA_ARGS__);                                                                            \
	} while (0)

static struct finding_place of_endpoint(const struct survey_endpoint *e)
{
	return (struct finding_place){.endpoint = e->name};
}

/* ---- one address */

static bool is_inbound(const struct survey_endpoint *e)
{
	return e->kind == ENDPOINT_INBOUND;
}

static const char *refusal(int error)
{
	return error == 0 ? "nobody listens there" : strerror(error);
}

/* Nothing at all came from it, and nothing says why. */
static bool is_silent(const struct survey_address *a)
{
	bool tcp = a->tcp == SOUNDER_SILENT || a->tcp == SOUNDER_UNCONNECTED || a->tcp == SOUNDER_SKIPPED;

	return a->asked > 0 && a->answered + a->refused + a->unreachable + a->misfits == 0 && tcp;
}

static void judge_dead_inbound(const struct diagnosing *d, const struct survey_address *a)
{
	bool tcp_answers = a->tcp == SOUNDER_ANSWERED && !d->e->tcp;

	if (a->misfits > 0)
		return; /* said already, and why it counts as dead */
	if (a->refused > 0 && tcp_answers)
		ADD_AT(d, a, FINDING_UDP_REFUSED, "port unreachable");
	else if (a->refused > 0)
		ADD_AT(d, a, FINDING_ADDRESS_CLOSED, "%s",
		       a->tcp == SOUNDER_REFUSED ? (d->e->tcp ? "TCP is reset" : "UDP is answered with port unreachable, TCP with a reset")
						 : "UDP is answered with port unreachable");
	else if (a->unreachable > 0 && tcp_answers)
		ADD_AT(d, a, FINDING_UDP_REFUSED, "%s", strerror(a->error));
	else if (a->unreachable > 0)
		ADD_AT(d, a, FINDING_ADDRESS_UNREACHABLE, "%s", strerror(a->error));
	else if (tcp_answers)
		ADD_AT(d, a, FINDING_UDP_BLOCKED, "%s", "");
	else if (a->tcp == SOUNDER_CUT)
		ADD_AT(d, a, FINDING_TCP_CUT, "%s", "");
	else
		ADD_AT(d, a, FINDING_ADDRESS_SILENT, "%s", "");
}

static void judge_dead(const struct diagnosing *d, const struct survey_address *a)
{
	if (a->asked == 0)
		return; /* no time was left */
	if (is_inbound(d->e))
		judge_dead_inbound(d, a);
	else if (a->misfits == 0)
		ADD_AT(d, a, FINDING_RESOLVER_SILENT, "%s",
		       a->unreachable > 0 ? strerror(a->error)
		       : a->refused > 0	  ? "nobody listens there"
					  : "silence");
}

/* What TCP does at an address that answers over UDP; NULL: it answers, or was not asked. */
static const char *tcp_trouble(const struct survey_address *a)
{
	switch (a->tcp) {
	case SOUNDER_REFUSED:
		return "the connection is reset";
	case SOUNDER_UNREACHABLE:
		return refusal(a->tcp_error);
	case SOUNDER_UNCONNECTED:
		return "no connection comes about";
	case SOUNDER_SILENT:
		return "a connection comes about, and no answer";
	case SOUNDER_CUT:
		return "the connection ends before the answer";
	case SOUNDER_ANSWERED:
	case SOUNDER_SKIPPED:
		break;
	}
	return NULL;
}

static void judge_tcp(const struct diagnosing *d, const struct survey_address *a)
{
	const char *trouble = tcp_trouble(a);

	if (trouble != NULL && !is_inbound(d->e))
		ADD_AT(d, a, FINDING_RESOLVER_TCP, "%s", trouble);
	else if (a->tcp == SOUNDER_REFUSED || a->tcp == SOUNDER_UNREACHABLE)
		ADD_AT(d, a, FINDING_TCP_CLOSED, "%s", trouble);
	else if (a->tcp == SOUNDER_CUT)
		ADD_AT(d, a, FINDING_TCP_CUT, "%s", trouble);
	else if (trouble != NULL)
		ADD_AT(d, a, FINDING_TCP_SILENT, "%s", trouble);
	else if (a->tcp == SOUNDER_ANSWERED && a->tcp_large == SOUNDER_SILENT)
		ADD_AT(d, a, FINDING_TCP_LARGE_LOST, "%u", (unsigned)SOUNDER_QUERY_MAX);
}

uint16_t diagnosis_largest(const struct survey_address *a)
{
	for (size_t i = SURVEY_SIZES; i > 0; i--)
		if (a->sizes[i - 1] == SOUNDER_ANSWERED)
			return survey_sizes[i - 1];
	return 0;
}

/* What did not pass though what is larger did was lost by chance. */
static void judge_sizes(const struct diagnosing *d, const struct survey_address *a)
{
	size_t first = SURVEY_SIZES;

	while (first > 0 && a->sizes[first - 1] != SOUNDER_ANSWERED)
		first--;
	if (first == SURVEY_SIZES || a->sizes[first] == SOUNDER_SKIPPED)
		return;
	if (survey_sizes[first] <= DNS_UDP_BYTES)
		ADD_AT(d, a, FINDING_SIZE_SMALL, "those of %u octets stay without an answer", (unsigned)survey_sizes[first]);
	else
		ADD_AT(d, a, first + 1 == SURVEY_SIZES ? FINDING_SIZE_FRAGMENTS : FINDING_SIZE_TUNNEL, "%s", "");
}

/* "SERVFAIL", or "SERVFAIL and REFUSED". */
static void list_rcodes(const struct survey_address *a, struct strbuf *s)
{
	char text[TEXT_TYPE_MAX];

	for (unsigned i = 0; i < SURVEY_RCODES; i++)
		if (a->rcodes[i] > 0 && i != DNS_NOERROR && i != DNS_NXDOMAIN)
			strbuf_addf(s, "%s%s", s->len > 0 ? " and " : "", text_rcode((uint16_t)i, text));
}

static void judge_answers(const struct diagnosing *d, const struct survey_address *a)
{
	char memory[PLACES_TEXT_MAX];
	struct strbuf s;

	strbuf_init(&s, memory, sizeof(memory));
	list_rcodes(a, &s);
	/* A company's own server may know its own zones only. */
	if (d->e->kind == ENDPOINT_LOCAL && survey_is_failing(a) && a->rcodes[DNS_REFUSED] == survey_errors(a))
		ADD_AT(d, a, FINDING_RESOLVER_REFUSED, "%s", "");
	else if (survey_is_failing(a))
		ADD_AT(d, a, is_inbound(d->e) ? FINDING_RCODE : FINDING_RESOLVER_RCODE, "%s to all of %u questions", memory,
		       survey_errors(a));
	else if (a->no_edns)
		ADD_AT(d, a, FINDING_NO_EDNS, "%s", "");
	if (a->malformed > 0)
		ADD_AT(d, a, FINDING_MALFORMED, "%u of its", a->malformed);
	if (a->cut > 0)
		ADD_AT(d, a, FINDING_CUT, "%u", a->cut);
	if (a->no_recursion)
		ADD_AT(d, a, FINDING_NO_RECURSION, "%s", "");
	if (a->wrong_case)
		ADD_AT(d, a, FINDING_WRONG_CASE, "%s", "");
	if (a->asked > a->answered)
		ADD_AT(d, a, FINDING_LOSS, "%u of %u", a->asked - a->answered, a->asked);
}

static void judge_address(const struct diagnosing *d, const struct survey_address *a)
{
	if (a->misfits > 0)
		ADD_AT(d, a, FINDING_MISFIT, "%u", a->misfits);
	if (a->answered == 0) {
		judge_dead(d, a);
		return;
	}
	judge_answers(d, a);
	if (!d->e->tcp)
		judge_sizes(d, a);
	judge_tcp(d, a);
}

/* ---- an endpoint */

static void judge_speed(const struct diagnosing *d)
{
	uint32_t best = UINT32_MAX;

	for (size_t i = 0; i < d->e->count; i++)
		if (d->e->addresses[i].median_us > 0)
			best = MIN(best, d->e->addresses[i].median_us);
	for (size_t i = 0; i < d->e->count; i++) {
		const struct survey_address *a = &d->e->addresses[i];
		if (a->median_us > (uint64_t)2 * best + POOL_SLOW_US)
			ADD_AT(d, a, FINDING_SLOW, "a round trip takes %.1f ms, the best of its siblings %.1f ms",
			       (double)a->median_us / US_PER_MS, (double)best / US_PER_MS);
	}
}

static void judge_ttls(const struct diagnosing *d)
{
	const struct finding_place at = of_endpoint(d->e);
	uint32_t least = UINT32_MAX, most = 0;

	for (size_t i = 0; i < d->e->count; i++)
		if (d->e->addresses[i].has_ttl) {
			least = MIN(least, d->e->addresses[i].ttl_s);
			most = MAX(most, d->e->addresses[i].ttl_s);
		}
	if (most >= (uint64_t)least + TTL_SKEW_S)
		findings_add(d->out, FINDING_TTL_SKEW, &at, "%u to %u", least, most);
}

static bool same_az(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void judge_spread(const struct diagnosing *d)
{
	struct finding_place at = of_endpoint(d->e);
	const struct survey_address *a = d->e->addresses;
	size_t count = d->e->count, alike = 0, none = 0;

	for (size_t i = 0; i < count; i++) {
		alike += same_az(a[i].az, a[0].az);
		none += a[i].az == NULL;
	}
	at.az = a[0].az;
	if (count == 1)
		findings_add(d->out, FINDING_ONE_ADDRESS, &at, "%s", "");
	else if (alike == count)
		findings_add(d->out, FINDING_ONE_AZ, &at, "%zu", count);
	else if (none == count)
		findings_add(d->out, FINDING_NO_AZ, &at, "%zu", count);
}

static void judge_left_out(const struct diagnosing *d)
{
	const struct finding_place at = of_endpoint(d->e);
	size_t asked = 0;

	for (size_t i = 0; i < d->e->count; i++)
		asked += d->e->addresses[i].asked > 0;
	if (asked < d->e->count)
		findings_add(d->out, FINDING_ADDRESSES_LEFT_OUT, &at, "%zu of %zu addresses were asked", asked, d->e->count);
}

static void judge_duplicates(const struct diagnosing *d)
{
	for (size_t i = 0; i < d->e->count; i++) {
		const struct survey_address *a = &d->e->addresses[i];
		/* Endpoints before this one have said it already. */
		for (const struct survey_endpoint *o = d->e + 1; o < d->survey->endpoints + d->survey->count; o++)
			for (size_t k = 0; k < o->count; k++)
				if (addr_equal(&a->addr, &o->addresses[k].addr))
					ADD_AT(d, a, FINDING_DUPLICATE, "%s and in %s", d->e->name, o->name);
	}
}

static void judge_ourselves(const struct diagnosing *d)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < d->e->count && d->host != NULL; i++)
		if (host_is_ours(d->host, &d->e->addresses[i].addr))
			ADD_AT(d, &d->e->addresses[i], FINDING_OURSELVES, "%s", addr_format(&d->host->listen[0], text));
}

static void judge_loop(const struct diagnosing *d)
{
	const struct survey_endpoint *e = d->e;
	char address[ADDR_TEXT_MAX], client[ADDR_TEXT_MAX], zone[TEXT_NAME_MAX];

	if (e->loop != SURVEY_LOOP_FOUND)
		return;
	const struct finding_place at = {e->name, e->addresses[e->loop_place].az, addr_format(&e->addresses[e->loop_place].addr, address),
					 text_name(&e->zones[0].name, zone)};
	findings_add(d->out, FINDING_LOOP, &at, "our own port, brought by %s", addr_format_ip(&e->loop_client, client));
}

/* ---- a zone */

enum zone_state { ZONE_NOT_HEARD, ZONE_PRIVATE, ZONE_ELSEWHERE, ZONE_UNNAMED, ZONE_NO_SUCH, ZONE_FAILING };

static bool all_are_failing(const struct survey_endpoint *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->addresses[i].answered > 0 && !survey_is_failing(&e->addresses[i]))
			return false;
	return true;
}

static enum zone_state state_of(const struct survey_endpoint *e, const struct survey_look *l)
{
	bool failed = l->rcode != DNS_NOERROR && l->rcode != DNS_NXDOMAIN;

	if (l->outcome != SOUNDER_ANSWERED || l->malformed || l->cut)
		return ZONE_NOT_HEARD;
	/* An address that fails at everything says nothing of a zone, unless all do so and there is but this one. */
	if (failed && survey_is_failing(&e->addresses[l->place]) && (e->zone_count > 1 || !all_are_failing(e)))
		return ZONE_NOT_HEARD;
	if (failed)
		return ZONE_FAILING;
	if (l->rcode == DNS_NXDOMAIN)
		return ZONE_NO_SUCH;
	if (l->origin == ORIGIN_UNKNOWN)
		return ZONE_UNNAMED;
	return l->origin == ORIGIN_PRIVATE ? ZONE_PRIVATE : ZONE_ELSEWHERE;
}

/* All looks stayed silent, at addresses that answer other questions. */
static bool is_zone_silent(const struct survey_endpoint *e, const struct survey_zone *z)
{
	size_t silent = 0;

	for (size_t i = 0; i < z->look_count; i++)
		silent += z->looks[i].outcome == SOUNDER_SILENT && survey_good_answers(&e->addresses[z->looks[i].place]) > 0;
	return z->look_count > 0 && silent == z->look_count;
}

/* Two addresses that see the zone differently; true when said. */
static bool judge_difference(const struct diagnosing *d, const struct survey_zone *z)
{
	enum zone_state states[SURVEY_LOOKS] = {ZONE_NOT_HEARD, ZONE_NOT_HEARD};
	char first[ADDR_TEXT_MAX], second[ADDR_TEXT_MAX];
	static const char *const words[] = {[ZONE_PRIVATE] = "private",
					    [ZONE_ELSEWHERE] = "not private",
					    [ZONE_UNNAMED] = "without servers",
					    [ZONE_NO_SUCH] = "not existing (NXDOMAIN)",
					    [ZONE_FAILING] = "failing"};

	for (size_t i = 0; i < z->look_count; i++)
		states[i] = state_of(d->e, &z->looks[i]);
	if (states[0] == ZONE_NOT_HEARD || states[1] == ZONE_NOT_HEARD || states[0] == states[1])
		return false;
	ADD_ZONE(d, z, FINDING_ZONE_DIFFERS, "%s calls it %s, %s calls it %s", addr_format(&d->e->addresses[z->looks[0].place].addr, first),
		 words[states[0]], addr_format(&d->e->addresses[z->looks[1].place].addr, second), words[states[1]]);
	return true;
}

static void judge_state(const struct diagnosing *d, const struct survey_zone *z, const struct survey_look *l, enum zone_state state)
{
	char server[TEXT_NAME_MAX] = "", rcode[TEXT_TYPE_MAX];

	if (l->origin != ORIGIN_UNKNOWN)
		text_name(&l->server, server);
	switch (state) {
	case ZONE_ELSEWHERE:
		if (z->association)
			ADD_ZONE(d, z, z->a == SURVEY_A_EXPECTED ? FINDING_ZONE_SERVICE : FINDING_ZONE_DETACHED, "%s", server);
		break;
	case ZONE_NO_SUCH:
		ADD_ZONE(d, z, z->source == ZONE_REVERSE ? FINDING_ZONE_REVERSE : FINDING_ZONE_NXDOMAIN, "%s%s", *server ? ", says " : "",
			 server);
		break;
	case ZONE_FAILING:
		ADD_ZONE(d, z, FINDING_ZONE_SERVFAIL, "%s", text_rcode(l->rcode, rcode));
		break;
	case ZONE_UNNAMED:
		if (z->association)
			ADD_ZONE(d, z, FINDING_ZONE_UNKNOWN, "%s", "");
		break;
	case ZONE_PRIVATE:
	case ZONE_NOT_HEARD:
		break;
	}
}

static void judge_a(const struct diagnosing *d, const struct survey_zone *z)
{
	char text[ADDR_TEXT_MAX];

	if (z->a == SURVEY_A_OTHER)
		ADD_ZONE(d, z, FINDING_VPCE_PUBLIC, "%s", addr_format_ip(&z->seen, text));
	else if (z->a == SURVEY_A_NONE || (z->a == SURVEY_A_FAILED && z->a_rcode == DNS_NXDOMAIN))
		ADD_ZONE(d, z, FINDING_VPCE_EMPTY, "%s", z->a == SURVEY_A_NONE ? "no record" : "NXDOMAIN");
}

static void judge_zone(const struct diagnosing *d, const struct survey_zone *z)
{
	bool differs = judge_difference(d, z), said = false;

	for (size_t i = 0; i < z->look_count && !differs && !said; i++) {
		enum zone_state state = state_of(d->e, &z->looks[i]);
		said = state != ZONE_NOT_HEARD;
		judge_state(d, z, &z->looks[i], state);
		/* NXDOMAIN says all there is to say of its A. */
		if (state == ZONE_NO_SUCH)
			return;
	}
	if (is_zone_silent(d->e, z))
		ADD_ZONE(d, z, FINDING_ZONE_SILENT, "%s", "");
	judge_a(d, z);
}

static bool is_dead(const struct survey_endpoint *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->addresses[i].answered > 0)
			return false;
	return true;
}

static void judge_zones(const struct diagnosing *d)
{
	const struct finding_place at = of_endpoint(d->e);
	size_t looked = 0;

	if (d->e->zones_in_file == 0 || is_dead(d->e))
		return;
	for (size_t i = 0; i < d->e->zone_count; i++) {
		bool asked = false;
		for (size_t k = 0; k < d->e->zones[i].look_count; k++)
			asked = asked || d->e->zones[i].looks[k].outcome != SOUNDER_SKIPPED;
		looked += asked;
		judge_zone(d, &d->e->zones[i]);
	}
	if (looked < d->e->zones_in_file)
		findings_add(d->out, FINDING_ZONES_LEFT_OUT, &at, "%zu of %zu zones were asked for", looked, d->e->zones_in_file);
}

static void judge_endpoint(const struct diagnosing *d)
{
	const struct finding_place at = of_endpoint(d->e);
	size_t silent = 0;

	for (size_t i = 0; i < d->e->count; i++)
		silent += is_silent(&d->e->addresses[i]);
	bool path = is_inbound(d->e) && d->e->count > 0 && silent == d->e->count;
	if (path && d->e->count > 1)
		findings_add(d->out, FINDING_PATH_SILENT, &at, "any of its %zu addresses", d->e->count);
	else if (path)
		findings_add(d->out, FINDING_PATH_SILENT, &at, "its one address");
	for (size_t i = 0; i < d->e->count && !path; i++)
		judge_address(d, &d->e->addresses[i]);
	judge_speed(d);
	if (is_inbound(d->e)) {
		judge_ttls(d);
		judge_spread(d);
	}
	judge_left_out(d);
	judge_duplicates(d);
	judge_ourselves(d);
	judge_loop(d);
	judge_zones(d);
}

/* ---- this host */

static bool is_root_routed(const struct survey *s)
{
	for (size_t i = 0; i < s->count; i++)
		for (size_t k = 0; k < s->endpoints[i].zone_count && s->endpoints[i].zones_in_file > 0; k++)
			if (s->endpoints[i].zones[k].name.labels == 0)
				return true;
	return false;
}

/* 127.0.0.53 and .54 are systemd-resolved's. */
static bool is_resolved_stub(const struct addr *a)
{
	uint32_t ip = a->sa.sa_family == AF_INET ? ntohl(a->in.sin_addr.s_addr) : 0;

	return ip == ((uint32_t)INADDR_LOOPBACK - 1 + RESOLVED_STUB_LAST) || ip == (uint32_t)INADDR_LOOPBACK + RESOLVED_STUB_LAST;
}

static bool listens_on_loopback_only(const struct host *h)
{
	for (size_t i = 0; i < h->listen_count; i++)
		if (!addr_is_loopback(&h->listen[i]))
			return false;
	return true;
}

/* The only port that resolv.conf can mean. */
static bool listens_on_port_53(const struct host *h)
{
	for (size_t i = 0; i < h->listen_count; i++)
		if (addr_port(&h->listen[i]) == DNS_PORT)
			return true;
	return false;
}

static enum finding_kind judge_others(const struct host *h)
{
	if (!listens_on_port_53(h))
		return FINDING_RESOLV_PORT;
	return listens_on_loopback_only(h) ? FINDING_RESOLV_ELSEWHERE : FINDING_RESOLV_OTHERS;
}

static void judge_resolv(const struct host *h, struct findings *out)
{
	const struct finding_place nowhere = {0};
	const struct resolv *r = &h->programs;
	char text[ADDR_TEXT_MAX], memory[PLACES_TEXT_MAX];
	size_t ours = 0;
	struct strbuf s;

	strbuf_init(&s, memory, sizeof(memory));
	for (size_t i = 0; i < r->count; i++) {
		ours += host_is_ours(h, &r->servers[i]);
		strbuf_addf(&s, "%s%s", i > 0 ? ", " : "", addr_format_ip(&r->servers[i], text));
	}
	if (r->count == 0 || ours == r->count)
		return; /* without a server the C library asks 127.0.0.1 */
	if (ours > 0)
		findings_add(out, FINDING_RESOLV_MIXED, &nowhere, "%s names %s", h->programs_path, memory);
	else if (is_resolved_stub(&r->servers[0]))
		findings_add(out, FINDING_RESOLV_STUB, &nowhere, "%s", memory);
	else
		findings_add(out, judge_others(h), &nowhere, "%s names %s", h->programs_path, memory);
}

static void judge_ports(const struct host *h, struct findings *out)
{
	const struct finding_place nowhere = {0};
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < h->listen_count; i++) {
		int error = h->listen_error[i];
		addr_format(&h->listen[i], text);
		/* The default [::1]:53 may be missing. */
		if (error == EADDRINUSE)
			findings_add(out, FINDING_PORT_TAKEN, &nowhere, "%s", text);
		else if (error == EADDRNOTAVAIL && !h->listen_default)
			findings_add(out, FINDING_LISTEN_UNAVAILABLE, &nowhere, "%s is no address of this host", text);
	}
	if (h->ear_count == 0)
		findings_add(out, FINDING_LOOP_UNKNOWN, &nowhere, "%s",
			     h->listen_count > 0 ? addr_format(&h->listen[0], text) : "an address to listen at");
}

static void judge_host(const struct survey *s, const struct host *h, struct findings *out)
{
	const struct finding_place nowhere = {0};

	if (s->endpoints[s->count - 1].count == 0 && !is_root_routed(s))
		findings_add(out, FINDING_LOCAL_NONE, &nowhere, "%s", h->programs_path);
	judge_resolv(h, out);
	if (!h->daemon) {
		judge_ports(h, out);
		return;
	}
	if (h->told)
		findings_add(out, FINDING_DAEMON, &nowhere, "r53fwd %s has been running for %lld s", h->version, h->uptime_s);
	else
		findings_add(out, FINDING_DAEMON, &nowhere, "r53fwd %s serves here; %s", h->version,
			     h->control_error == EACCES || h->control_error == EPERM
				     ? "its control socket is for root, and for its own user and group, which this user is none of"
			     : h->control_error == ENOENT || h->control_error == ECONNREFUSED
				     ? "its control socket is elsewhere (--control PATH says where)"
				     : "nothing was learned at its control socket");
	if (h->loops > 0)
		findings_add(out, FINDING_LOOPS_SEEN, &nowhere, "%lld", h->loops);
}

void diagnosis_make(const struct survey *s, const struct host *h, struct findings *out)
{
	struct diagnosing d = {s, h, NULL, out};

	for (size_t i = 0; i < s->count; i++) {
		d.e = &s->endpoints[i];
		judge_endpoint(&d);
	}
	if (h != NULL)
		judge_host(s, h, out);
}
