/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a query here: it is read, its fate is drawn from the address's faults, its answer is written, logged, and given to
 * the port, which sends it now or later.
 *
 * How it can fail: an address that `heal` cannot open again (somebody else took the port) stays closed and says so. */
#include "sim/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/port.h"
#include "sim/response.h"
#include "wire/text.h"

struct address {
	struct endpoint *endpoint;
	struct addr addr;
	char az[ENDPOINT_AZ_MAX]; /* empty: none */
	struct fault fault;
	struct port *port;
	uint64_t queries;
};

struct endpoint {
	struct watch_set *watches;
	struct endpoint_settings settings;
	struct zone_set *zones;
	uint64_t begun_us;
	struct random random;
	struct address *addresses[ENDPOINT_MAX_ADDRESSES];
	size_t count;
	uint8_t out[DNS_MESSAGE_MAX];
};

/* One line of the log begins as its names are put together; strbuf keeps it whole whatever the network sent. */
static void log_question(struct strbuf *line, const struct question *q, bool readable)
{
	char name[TEXT_NAME_MAX], type[TEXT_TYPE_MAX];

	if (!readable) {
		strbuf_add(line, "? ?");
		return;
	}
	strbuf_addf(line, "%s%s %s", text_name(&q->name, name), q->name.labels > 0 ? "." : "", text_type(q->type, type));
}

static void log_details(struct strbuf *line, const struct question *q, bool readable)
{
	const struct {
		bool set;
		const char *word;
	} flags[] = {{q->flags & DNS_RD, "rd"}, {q->flags & DNS_AD, "ad"}, {q->flags & DNS_CD, "cd"}, {q->edns.dnssec_ok, "do"}};
	const char *gap = "";

	if (q->edns.present)
		strbuf_addf(line, " edns=%u flags=", q->edns.udp_bytes);
	else
		strbuf_add(line, " edns=- flags=");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!flags[i].set)
			continue;
		strbuf_addf(line, "%s%s", gap, flags[i].word);
		gap = ",";
	}
	if (gap[0] == '\0')
		strbuf_add(line, "-");
	if (readable) {
		/* The same labels at the same places, in the letter case that came: what shows 0x20 at work. */
		struct name spelled = q->name;
		char name[TEXT_NAME_MAX];
		memcpy(spelled.octets, q->spelled, q->name.len);
		strbuf_addf(line, " spelled=%s%s", text_name(&spelled, name), spelled.labels > 0 ? "." : "");
	}
}

/* `answer`: the rcode, or -1 when nothing goes out. */
static void log_query(const struct address *a, const struct port_client *client, const struct question *q, bool readable, int answer)
{
	char text[3 * TEXT_NAME_MAX], here[ADDR_TEXT_MAX], from[ADDR_TEXT_MAX], rcode[TEXT_TYPE_MAX];
	struct strbuf line;

	if (!a->endpoint->settings.log)
		return;
	strbuf_init(&line, text, sizeof(text));
	strbuf_addf(&line, "query %s %s %s ", addr_format(&a->addr, here), a->az[0] ? a->az : "-",
		    client->connection ? "tcp" : "udp");
	log_question(&line, q, readable);
	strbuf_addf(&line, " id=%u from=%s", q->id, addr_format(&client->addr, from));
	log_details(&line, q, readable);
	strbuf_addf(&line, " answer=%s", answer < 0 ? "-" : text_rcode((uint16_t)answer, rcode));
	fprintf(a->endpoint->settings.log, "%s\n", text);
	fflush(a->endpoint->settings.log);
}

static void take_query(void *arg, const struct port_client *client, const uint8_t *query, size_t len)
{
	struct address *a = arg;
	struct endpoint *e = a->endpoint;
	const uint64_t age_s = e->settings.countdown ? (watch_now_us() - e->begun_us) / US_PER_S : 0;
	const struct response_rules rules = {e->zones, e->settings.outside_rcode, (uint32_t)age_s};
	struct port_manner manner = {.cut = a->fault.tcp_cut};
	struct question q;

	if (question_glance(query, len) == QUESTION_DROP)
		return;
	const enum question_verdict verdict = question_read(&q, query, len);
	const bool readable = verdict == QUESTION_OK || verdict == QUESTION_BADVERS;
	const struct response_asked asked = {&rules, &a->fault, &q, verdict, client->connection != NULL};

	a->queries++;
	if (!fault_draw(&a->fault, asked.tcp, &e->random, &manner.wait_us)) {
		log_query(a, client, &q, readable, -1);
		return;
	}
	const size_t length = response_write(&asked, &e->random, e->out, sizeof(e->out));
	log_query(a, client, &q, readable, dns_flags(e->out) & DNS_RCODE);
	port_answer(a->port, client, e->out, length, manner);
}

struct endpoint *endpoint_new(struct watch_set *w, const struct endpoint_settings *settings, struct zone_set *zones)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	if (!e) {
		zone_set_free(zones);
		return NULL;
	}
	e->watches = w;
	e->settings = *settings;
	e->zones = zones;
	e->begun_us = watch_now_us();
	random_init(&e->random);
	return e;
}

void endpoint_free(struct endpoint *e)
{
	for (size_t i = 0; i < e->count; i++) {
		port_free(e->addresses[i]->port);
		free(e->addresses[i]);
	}
	zone_set_free(e->zones);
	free(e);
}

int endpoint_add(struct endpoint *e, const struct addr *a, const char *az)
{
	if (e->count == ENDPOINT_MAX_ADDRESSES)
		return -E2BIG;
	struct address *address = calloc(1, sizeof(*address));
	if (!address)
		return -ENOMEM;
	address->endpoint = e;
	address->addr = *a;
	snprintf(address->az, sizeof(address->az), "%s", az ? az : "");
	address->port = port_new(e->watches, a, take_query, address);
	if (!address->port) {
		free(address);
		return -errno;
	}
	e->addresses[e->count++] = address;
	return 0;
}

void endpoint_set_zones(struct endpoint *e, struct zone_set *zones)
{
	zone_set_free(e->zones);
	e->zones = zones;
}

/* An IP without port means every port that we serve there: it is read with the port of the address at hand. */
static bool is_meant(const struct address *a, const char *text)
{
	struct addr read;

	if (strcmp(text, "all") == 0 || (a->az[0] && strcmp(text, a->az) == 0))
		return true;
	return addr_parse(&read, text, addr_port(&a->addr)) == 0 && addr_equal(&read, &a->addr);
}

static void describe(const struct address *a, struct strbuf *out)
{
	char text[ADDR_TEXT_MAX];

	strbuf_addf(out, "%s %s queries %llu faults ", addr_format(&a->addr, text), a->az[0] ? a->az : "-",
		    (unsigned long long)a->queries);
	fault_print(&a->fault, out);
	strbuf_add(out, "\n");
}

static int change(struct address *a, const char *words, struct strbuf *out)
{
	struct fault f = a->fault;
	char text[ADDR_TEXT_MAX];
	int error = fault_parse(&f, words, out);

	if (error < 0)
		return error;
	if (f.closed && !a->fault.closed)
		port_close(a->port);
	if (!f.closed && a->fault.closed)
		error = port_open(a->port);
	if (error < 0) {
		strbuf_addf(out, "cannot open %s again: %s", addr_format(&a->addr, text), strerror(-error));
		return error;
	}
	a->fault = f;
	return 0;
}

int endpoint_command(struct endpoint *e, const char *line, struct strbuf *out)
{
	const size_t len = strcspn(line, " ");
	const char *words = line + len + strspn(line + len, " ");
	char where[ADDR_TEXT_MAX + ENDPOINT_AZ_MAX];
	bool found = false;

	snprintf(where, sizeof(where), "%.*s", (int)MIN(len, sizeof(where)), line);
	for (size_t i = 0; i < e->count; i++) {
		if (!is_meant(e->addresses[i], where))
			continue;
		found = true;
		if (words[0] == '\0') {
			describe(e->addresses[i], out);
			continue;
		}
		int error = change(e->addresses[i], words, out);
		if (error < 0)
			return error;
	}
	if (found)
		return 0;
	strbuf_addf(out, "no address or AZ here is called `%s`", where);
	return -ENOENT;
}
