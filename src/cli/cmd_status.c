/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's status as a table for people. What it says comes from the socket as JSON, and every text in it is escaped before it
 * reaches a terminal: the daemon is ours, but what it shows may not be. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "cli/ask.h"
#include "cli/screen.h"
#include "config/config.h"
#include "server/command.h"

enum { ZONES_SHOWN = 50, NEAR_MAX_QPS_PERCENT = 80 };

/* ---- endpoints ---- */

/* Over all endpoints. */
static int column(const json_t *endpoints, const char *key, const char *heading)
{
	int widest = 0;
	const json_t *endpoint;
	size_t i;

	json_array_foreach (endpoints, i, endpoint)
		widest = MAX(widest, screen_column(json_object_get(endpoint, "addresses"), key, heading));
	return widest;
}

static bool is_well(const char *state)
{
	return strcmp(state, "up") == 0 || strcmp(state, "slow") == 0;
}

/* What is common to the rows of an endpoint. */
struct frame {
	int address_column, az_column;
	double qps, max_qps; /* of the endpoint in all; of one address at most */
};

static void print_percent(double part, double whole, int width)
{
	if (whole > 0)
		printf("%*.0f%%", width - 1, 100 * part / whole);
	else
		printf("%*s", width, "-");
}

/* Why an address is not like the others; "" if it is. */
static const char *why_of(const json_t *a, const struct frame *f, char out[SCREEN_CELL_MAX])
{
	const char *state = screen_text(a, "state"), *cause = screen_text(a, "cause");
	double share = screen_number(a, "share"), load = f->max_qps > 0 ? 100 * screen_number(a, "qps") / f->max_qps : 0;
	char cell[SCREEN_CELL_MAX], age[SCREEN_TIME_MAX];
	struct strbuf s;

	strbuf_init(&s, out, SCREEN_CELL_MAX);
	if (strcmp(state, "slow") == 0)
		strbuf_add(&s, "RTT above twice the best + 20 ms: others are preferred");
	else if (strcmp(state, "drained") == 0)
		strbuf_add(&s, "drained by hand; `r53fwd undrain` ends it");
	else if (!is_well(state) && *cause != '\0') {
		strbuf_add(&s, screen_safe(cause, cell));
		if (json_is_number(json_object_get(a, "cause_age_seconds")))
			strbuf_addf(&s, ", %s ago", screen_time(screen_number(a, "cause_age_seconds"), age));
	} else if (json_is_number(json_object_get(a, "share")) && share < 1)
		strbuf_addf(&s, "coming back: %.0f%% of its usual share", 100 * share);
	if (load >= NEAR_MAX_QPS_PERCENT)
		strbuf_addf(&s, "%snear max-qps", s.len > 0 ? "; " : "");
	return out;
}

static void print_address(const json_t *a, const struct frame *f)
{
	char cell[SCREEN_CELL_MAX], age[SCREEN_TIME_MAX];
	bool answered = json_is_number(json_object_get(a, "last_answer_age_seconds"));
	const char *last = answered ? screen_time(screen_number(a, "last_answer_age_seconds"), age) : "never";

	printf("  %-*s  ", f->address_column, screen_cell(a, "address", cell));
	printf("%-*s  ", f->az_column, *screen_text(a, "az") != '\0' ? screen_cell(a, "az", cell) : "-");
	screen_state(screen_text(a, "state"), 8);
	if (json_is_number(json_object_get(a, "rtt_ms")))
		printf("%8.1f", screen_number(a, "rtt_ms"));
	else
		printf("%8s", "-");
	printf("%9.1f", screen_number(a, "qps"));
	print_percent(screen_number(a, "qps"), f->max_qps, 8);
	print_percent(screen_number(a, "qps"), f->qps, 7);
	printf(" %10lld %9lld", screen_count(a, "queries"), screen_count(a, "timeouts"));
	if (*why_of(a, f, cell) != '\0')
		printf("  %-11s  %s\n", last, cell);
	else
		printf("  %s\n", last);
}

/* "spread, max-qps 10000 each; 2 of 3 addresses well; down 1 time since the start" */
static void print_summary(const json_t *e, const json_t *addresses)
{
	const json_t *address;
	size_t i, well = 0;
	char cell[SCREEN_CELL_MAX];

	json_array_foreach (addresses, i, address)
		well += is_well(screen_text(address, "state"));
	printf("  %s, max-qps %lld each; %zu of %zu addresses well", screen_cell(e, "policy", cell), screen_count(e, "max_qps"), well,
	       json_array_size(addresses));
	if (screen_count(e, "outages") > 0)
		printf("; down %lld time%s since the start", screen_count(e, "outages"), screen_count(e, "outages") == 1 ? "" : "s");
	if (screen_count(e, "above_max_qps") > 0)
		printf("; %lld questions above every max-qps", screen_count(e, "above_max_qps"));
	putchar('\n');
}

static void print_endpoint(const json_t *e, struct frame *f)
{
	const json_t *addresses = json_object_get(e, "addresses"), *address;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	printf("\n%s  ", screen_cell(e, "name", cell));
	screen_state(screen_text(e, "state"), 0);
	if (json_array_size(addresses) == 0) {
		printf("  no addresses\n");
		return;
	}
	print_summary(e, addresses);
	f->max_qps = screen_number(e, "max_qps");
	f->qps = 0;
	json_array_foreach (addresses, i, address)
		f->qps += screen_number(address, "qps");
	printf("  %-*s  %-*s  %-8s%8s%9s%8s%7s %10s %9s  %s\n", f->address_column, "ADDRESS", f->az_column, "AZ", "STATE", "RTT ms", "QPS",
	       "OF MAX", "SHARE", "QUERIES", "TIMEOUTS", "LAST ANSWER");
	json_array_foreach (addresses, i, address)
		print_address(address, f);
}

/* ---- zones, cache ---- */

static bool is_detached(const json_t *zone)
{
	return strcmp(screen_text(zone, "association"), "detached") == 0;
}

/* There is more to say of it than that its endpoints are out. */
static bool is_special(const json_t *zone)
{
	return is_detached(zone) || screen_count(zone, "guard_violations") > 0;
}

static bool is_troubled(const json_t *zone)
{
	return strcmp(screen_text(zone, "state"), "up") != 0 || is_special(zone);
}

static void print_to(const json_t *zone)
{
	const json_t *to;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	json_array_foreach (json_object_get(zone, "to"), i, to)
		printf("%s%s", i > 0 ? ", " : " -> ", screen_safe(json_string_value(to), cell));
}

static void print_special_zone(const json_t *zone)
{
	char cell[SCREEN_CELL_MAX];

	printf("  ");
	screen_state(is_detached(zone) ? "detached" : screen_text(zone, "state"), 8);
	printf("  %s", screen_cell(zone, "name", cell));
	print_to(zone);
	if (is_detached(zone))
		printf(": answers are public data; is its hosted zone still associated with the endpoint's VPC?");
	if (screen_count(zone, "guard_violations") > 0)
		printf(": %lld answers with addresses that it does not expect", screen_count(zone, "guard_violations"));
	putchar('\n');
}

/* Zones that go the same way and are in the same state: of a hundred that an outage takes along one line is enough. */
struct zone_group {
	const json_t *first;
	size_t count;
};

static void print_group(const struct zone_group *g)
{
	char cell[SCREEN_CELL_MAX];

	printf("  ");
	screen_state(screen_text(g->first, "state"), 8);
	printf("  %s", screen_cell(g->first, "name", cell));
	if (g->count > 1)
		printf(" and %zu more", g->count - 1);
	print_to(g->first);
	putchar('\n');
}

/* Adds to the group of the zone's like; false if there is no room for another group. */
static bool group_zone(struct zone_group *groups, size_t *count, const json_t *zone)
{
	size_t i = 0;

	while (i < *count && !(strcmp(screen_text(groups[i].first, "state"), screen_text(zone, "state")) == 0 &&
			       json_equal(json_object_get(groups[i].first, "to"), json_object_get(zone, "to"))))
		i++;
	if (i == ZONES_SHOWN)
		return false;
	if (i == *count)
		groups[(*count)++] = (struct zone_group){.first = zone};
	groups[i].count++;
	return true;
}

/* Those that something is wrong with; there may be 100,000 of them. */
static void print_zones(const json_t *s)
{
	struct zone_group groups[ZONES_SHOWN];
	long long listed = 0, left_out = 0;
	size_t i, special = 0, group_count = 0;
	const json_t *zone;

	json_array_foreach (json_object_get(s, "zones"), i, zone) {
		if (!is_troubled(zone))
			continue;
		if (listed++ == 0)
			printf("\nzones in trouble:\n");
		if (is_special(zone) && special++ < ZONES_SHOWN)
			print_special_zone(zone);
		else if (is_special(zone) || !group_zone(groups, &group_count, zone))
			left_out++;
	}
	for (i = 0; i < group_count; i++)
		print_group(&groups[i]);
	left_out += MAX(screen_count(s, "zones_in_trouble") - listed, 0); /* the list has an end */
	if (left_out > 0)
		printf("  and %lld more; `r53fwd status --json` has them\n", left_out);
	if (listed == 0)
		printf("\nzones: %lld, all well\n", screen_count(s, "zones_total"));
}

static void print_cache(const json_t *s)
{
	const json_t *c = json_object_get(s, "cache"), *inbound = json_object_get(s, "inbound_queries");
	double hits = screen_number(c, "hits"), stale = screen_number(c, "stale"), all = hits + stale + screen_number(c, "misses");

	printf("cache: %lld entries, %.1f of %.0f MiB, ", screen_count(c, "entries"), screen_number(c, "bytes") / (1 << 20),
	       screen_number(c, "size_bytes") / (1 << 20));
	if (all > 0)
		printf("%.1f%% hits, ", 100 * hits / all);
	printf("%lld stale answers, %lld evictions\n", screen_count(c, "stale"), screen_count(c, "evictions"));
	if (screen_count(inbound, "asked") > 0)
		printf("inbound endpoints: asked %lld times for %lld queries\n", screen_count(inbound, "sent"),
		       screen_count(inbound, "asked"));
}

static void print_config(const json_t *s)
{
	const json_t *config = json_object_get(s, "config"), *reloads = json_object_get(config, "reloads");
	char cell[SCREEN_CELL_MAX], digest[24];
	uint64_t now;

	if (!json_is_object(config))
		return;
	printf("config: %s", screen_cell(config, "path", cell));
	printf(", read at %s", screen_cell(config, "loaded_at", cell));
	if (screen_count(reloads, "failed") > 0)
		printf("; %lld of %lld reloads failed", screen_count(reloads, "failed"),
		       screen_count(reloads, "failed") + screen_count(reloads, "ok"));
	/* A path that is not absolute is the daemon's, not ours. */
	if (*screen_text(config, "path") == '/' && config_read_digest(screen_text(config, "path"), &now) == 0) {
		snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)now);
		if (strcmp(digest, screen_text(config, "digest")) != 0)
			printf("; changed since, `r53fwd reload` has it read");
	}
	putchar('\n');
}

/* Of whom there are, nobody is asked or nobody answers. */
static bool is_out(const json_t *endpoint)
{
	const char *state = screen_text(endpoint, "state");

	return (strcmp(state, "down") == 0 || strcmp(state, "drained") == 0) &&
	       json_array_size(json_object_get(endpoint, "addresses")) > 0;
}

/* What must not be overlooked comes first. */
static void print_alarms(const json_t *s)
{
	double stale_qps = screen_number(json_object_get(s, "cache"), "stale_qps");
	const json_t *endpoint;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	if (stale_qps > 0)
		printf("!! %.1f stale answers a second are being given\n", stale_qps);
	json_array_foreach (json_object_get(s, "endpoints"), i, endpoint) {
		if (strcmp(screen_text(endpoint, "state"), "drained") == 0)
			printf("!! every address of %s is drained; `r53fwd undrain` ends it\n", screen_cell(endpoint, "name", cell));
		else if (is_out(endpoint))
			printf("!! %s is down: none of its addresses answers\n", screen_cell(endpoint, "name", cell));
		else if (json_array_size(json_object_get(endpoint, "addresses")) == 0 && json_is_true(json_object_get(endpoint, "used")))
			printf("!! no local upstream is known: names that no zone routes get SERVFAIL\n");
	}
	if (json_is_false(json_object_get(s, "ready")))
		printf("!! not ready yet: the first probes are under way\n");
}

static void print_table(const json_t *s)
{
	const json_t *endpoints = json_object_get(s, "endpoints"), *endpoint;
	struct frame f = {.address_column = column(endpoints, "address", "ADDRESS"), .az_column = column(endpoints, "az", "AZ")};
	char cell[SCREEN_CELL_MAX], age[SCREEN_TIME_MAX];
	size_t i;

	printf("r53fwd %s, up %s", screen_cell(s, "version", cell), screen_time(screen_number(s, "uptime_seconds"), age));
	printf(", %lld worker%s, %.1f queries/s\n", screen_count(s, "workers"), screen_count(s, "workers") == 1 ? "" : "s",
	       screen_number(s, "qps"));
	print_alarms(s);
	print_cache(s);
	print_config(s);
	json_array_foreach (endpoints, i, endpoint)
		print_endpoint(endpoint, &f);
	print_zones(s);
}

/* ---- the command ---- */

/* The local upstreams count while there are any: who has none may well want none. */
static int judge(const json_t *s)
{
	const json_t *endpoint;
	size_t i;

	json_array_foreach (json_object_get(s, "endpoints"), i, endpoint)
		if (is_out(endpoint))
			return CLI_DOWN;
	return CLI_OK;
}

static void draw(const struct cli *c, const json_t *s)
{
	bool redraws = c->watch && !c->json && isatty(STDOUT_FILENO);

	/* Whole pictures: a terminal shows no half ones, a pipe gets each in one piece. */
	if (redraws)
		fputs("\033[H\033[2J", stdout);
	if (c->json) {
		json_dumpf(s, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(COMMAND_DIGITS));
		putchar('\n');
	} else {
		print_table(s);
	}
	if (redraws)
		fputs("\nagain each second; Ctrl-C ends\n", stdout);
}

static int show(const struct cli *c)
{
	json_t *s = ask_daemon(c, json_pack("{s:s}", "command", "status"), ASK_MS);

	if (s == NULL)
		return CLI_FAILED;
	if (!json_is_array(json_object_get(s, "endpoints"))) {
		char cell[SCREEN_CELL_MAX];
		fprintf(stderr, "r53fwd: the daemon does not tell its status: %s\n", screen_cell(s, "error", cell));
		json_decref(s);
		return CLI_FAILED;
	}
	draw(c, s);
	int status = judge(s);
	json_decref(s);
	return status;
}

/* Who watches on a terminal wants to see the daemon come back after a restart; a program that reads along wants an end. */
static int watch(const struct cli *c)
{
	struct timespec second = {.tv_sec = 1};
	bool seen = false;
	int status;

	while ((status = show(c)) != CLI_FAILED || (seen && isatty(STDOUT_FILENO))) {
		seen = true;
		if (fflush(stdout) != 0)
			return CLI_FAILED;
		nanosleep(&second, NULL);
		if (!c->json && !isatty(STDOUT_FILENO))
			putchar('\n');
	}
	return status;
}

static int ask_alive(const struct cli *c)
{
	json_t *answer = ask_daemon(c, json_pack("{s:s}", "command", "alive"), ASK_ALIVE_MS);
	bool alive = json_is_true(json_object_get(answer, "alive"));

	if (answer != NULL && !alive)
		fputs("r53fwd: what answers there is no r53fwd\n", stderr);
	json_decref(answer);
	return alive ? CLI_OK : CLI_FAILED;
}

int cmd_status(const struct cli *c)
{
	if (c->alive)
		return ask_alive(c);
	return c->watch ? watch(c) : show(c);
}
