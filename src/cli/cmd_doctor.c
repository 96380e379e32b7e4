/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: looks at the host, asks everybody, thinks, says it. Works without a running daemon, and beside one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/diagnosis.h"
#include "cli/screen.h"
#include "net/loop.h"
#include "server/jsontext.h"
#include "wire/text.h"

enum { BILLION = 1000000000, CENTS_40 = 400, JSON_DIGITS = 6, ADDRESS_COLUMN = 24, WORD_COLUMN = 11 };

/* ---- for people */

static const char *outcome_word(enum sounder_outcome outcome)
{
	static const char *const words[] = {
		[SOUNDER_SKIPPED] = "not asked",  [SOUNDER_ANSWERED] = "answers", [SOUNDER_SILENT] = "silent",
		[SOUNDER_UNCONNECTED] = "silent", [SOUNDER_REFUSED] = "refused",  [SOUNDER_UNREACHABLE] = "unreachable",
		[SOUNDER_CUT] = "cut short",
	};

	return words[outcome];
}

/* What the small questions over UDP came to. */
static enum sounder_outcome udp_outcome(const struct survey_endpoint *e, const struct survey_address *a)
{
	if (e->tcp || a->asked == 0)
		return SOUNDER_SKIPPED;
	if (a->answered > 0)
		return SOUNDER_ANSWERED;
	if (a->refused > 0)
		return SOUNDER_REFUSED;
	return a->unreachable > 0 ? SOUNDER_UNREACHABLE : SOUNDER_SILENT;
}

static double ms(uint32_t us)
{
	return (double)us / US_PER_MS;
}

static void print_address(const struct survey_endpoint *e, const struct survey_address *a)
{
	char text[ADDR_TEXT_MAX];
	unsigned largest = diagnosis_largest(a);

	printf("    %-*s  UDP %-11s  TCP %s", ADDRESS_COLUMN, addr_format(&a->addr, text), outcome_word(udp_outcome(e, a)),
	       outcome_word(a->tcp));
	if (a->times > 0)
		printf("%*s  RTT %.1f / %.1f / %.1f ms", WORD_COLUMN - (int)strlen(outcome_word(a->tcp)), "", ms(a->min_us),
		       ms(a->median_us), ms(a->p95_us));
	if (largest > 0)
		printf("  datagrams up to %u", largest);
	putchar('\n');
}

static const char *kind_name(enum config_endpoint_kind kind)
{
	static const char *const names[] = {
		[ENDPOINT_LOCAL] = "local upstreams", [ENDPOINT_INBOUND] = "inbound endpoint", [ENDPOINT_RESOLVERS] = "resolvers"};

	return names[kind];
}

/* Addresses of one AZ stand together, in the order of the file. */
static void print_addresses(const struct survey_endpoint *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const char *az = e->addresses[i].az;
		bool seen = false;
		for (size_t k = 0; k < i; k++) {
			const char *other = e->addresses[k].az;
			seen = seen || az == other || (az != NULL && other != NULL && strcmp(az, other) == 0);
		}
		if (seen)
			continue;
		if (az != NULL)
			printf("  %s\n", az);
		for (size_t k = i; k < e->count; k++) {
			const char *other = e->addresses[k].az;
			if (az == other || (az != NULL && other != NULL && strcmp(az, other) == 0))
				print_address(e, &e->addresses[k]);
		}
	}
}

/* Findings of one endpoint, or of none, the worst first. */
static size_t print_findings(const struct findings *f, const char *endpoint)
{
	bool colour = screen_may_colour();
	size_t printed = 0;

	for (int severity = 0; severity < FINDING_SEVERITIES; severity++)
		for (size_t i = 0; i < f->count; i++) {
			const struct finding *one = &f->rows[i];
			bool here = endpoint && one->endpoint ? strcmp(endpoint, one->endpoint) == 0 : endpoint == one->endpoint;
			if (!here || finding_row(one->kind)->severity != (enum finding_severity)severity)
				continue;
			if (printed++ == 0)
				putchar('\n');
			finding_print(one, colour, stdout);
		}
	return printed;
}

static void print_endpoint(const struct survey_endpoint *e, const struct findings *f)
{
	printf("%s  (%s", e->name, kind_name(e->kind));
	if (e->zones_in_file > 0)
		printf(", %zu zone%s", e->zones_in_file, e->zones_in_file == 1 ? "" : "s");
	printf(")\n");
	print_addresses(e);
	if (print_findings(f, e->name) == 0 && e->count > 0)
		printf("  nothing is wrong\n");
	putchar('\n');
}

static void print_count(size_t count, const char *what)
{
	printf("%zu %s%s", count, what, count == 1 ? "" : "s");
}

static void print_people(const struct survey *s, const struct findings *f)
{
	for (size_t i = 0; i < s->count; i++)
		print_endpoint(&s->endpoints[i], f);
	printf("this host\n");
	if (print_findings(f, NULL) == 0)
		printf("  nothing is wrong\n");
	putchar('\n');
	for (int i = 0; i < FINDING_SEVERITIES; i++) {
		print_count(findings_count(f, (enum finding_severity)i), finding_severity_name((enum finding_severity)i));
		printf("%s", i + 1 < FINDING_SEVERITIES ? ", " : ". ");
	}
	print_count(s->questions, "question");
	/* 0.40 USD for a million, the price of an endpoint's first billion a month. */
	printf(" asked in %.1f s, %zu of them to inbound endpoints (billed: %.6f USD).\n", (double)s->took_us / US_PER_S, s->billed,
	       (double)s->billed * CENTS_40 / BILLION);
}

/* ---- for programs */

static json_t *make_address(const struct survey_endpoint *e, const struct survey_address *a)
{
	char text[ADDR_TEXT_MAX];
	json_t *sizes = json_object(), *o = json_object();

	json_object_set_new(o, "address", json_string(addr_format(&a->addr, text)));
	json_object_set_new(o, "az", jsontext_new(a->az));
	json_object_set_new(o, "udp", json_string(outcome_word(udp_outcome(e, a))));
	json_object_set_new(o, "tcp", json_string(outcome_word(a->tcp)));
	json_object_set_new(o, "questions", json_integer(a->asked));
	json_object_set_new(o, "answers", json_integer(a->answered));
	if (a->times > 0)
		json_object_set_new(o, "rtt_ms",
				    json_pack("{s:f, s:f, s:f, s:I}", "min", ms(a->min_us), "median", ms(a->median_us), "p95",
					      ms(a->p95_us), "samples", (json_int_t)a->times));
	for (size_t i = 0; i < SURVEY_SIZES; i++) {
		snprintf(text, sizeof(text), "%u", (unsigned)survey_sizes[i]);
		json_object_set_new(sizes, text, json_string(outcome_word(a->sizes[i])));
	}
	json_object_set_new(o, "datagrams", sizes);
	return o;
}

static json_t *make_endpoint(const struct survey_endpoint *e)
{
	json_t *addresses = json_array();

	for (size_t i = 0; i < e->count; i++)
		json_array_append_new(addresses, make_address(e, &e->addresses[i]));
	return json_pack("{s:o, s:s, s:I, s:o}", "name", jsontext_new(e->name), "kind", kind_name(e->kind), "zones",
			 (json_int_t)e->zones_in_file, "addresses", addresses);
}

static void print_json(const struct survey *s, const struct findings *f)
{
	json_t *o = json_object(), *endpoints = json_array(), *all = json_array();

	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(endpoints, make_endpoint(&s->endpoints[i]));
	for (size_t i = 0; i < f->count; i++)
		json_array_append_new(all, finding_json(&f->rows[i]));
	json_object_set_new(o, "version", json_string(R53FWD_VERSION));
	json_object_set_new(o, "healthy", json_boolean(findings_count(f, FINDING_PROBLEM) == 0));
	json_object_set_new(o, "seconds", json_real((double)s->took_us / US_PER_S));
	json_object_set_new(o, "questions", json_integer((json_int_t)s->questions));
	json_object_set_new(o, "billed_questions", json_integer((json_int_t)s->billed));
	json_object_set_new(o, "endpoints", endpoints);
	json_object_set_new(o, "findings", all);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(JSON_DIGITS));
	putchar('\n');
	json_decref(o);
}

/* ---- the command */

static int examine(const struct cli *cli, const struct config *c)
{
	char why[ASK_WHY_MAX], *control = ask_path(cli, why);
	const struct config_endpoint *local = &c->endpoints[0];
	struct addr upstreams[CONFIG_MAX_ADDRESSES];
	struct findings findings = {0};
	struct random random;
	struct host host;

	random_init(&random);
	host_init(&host, c, control);
	size_t count = c->local_from_resolv ? host.local.count : local->count;
	for (size_t i = 0; i < count; i++)
		upstreams[i] = c->local_from_resolv ? host.local.servers[i] : local->addresses[i].addr;
	struct survey *s = survey_new(c, upstreams, count);
	if (s != NULL) {
		survey_run(s, &random, host.ears, host.ear_count);
		diagnosis_make(s, &host, &findings);
		(cli->json ? print_json : print_people)(s, &findings);
		survey_free(s);
	}
	int status = s == NULL || findings_count(&findings, FINDING_PROBLEM) > 0 ? CLI_FAILED : CLI_OK;
	findings_free(&findings);
	host_deinit(&host);
	free(control);
	return status;
}

int cmd_doctor(const struct cli *cli)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_listening(cli->zones_path, cli->listen, cli->listen_count, &d);
	diagnostics_print(&d, cli->zones_path, stderr);
	diagnostics_deinit(&d);
	if (c == NULL)
		return CLI_FAILED;
	int status = examine(cli, c);
	config_free(c);
	return status;
}
