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

#include "cli/ask.h"
#include "cli/screen.h"
#include "server/command.h"

enum { ZONES_SHOWN = 50 };

/* ---- endpoints ---- */

/* Over all endpoints. */
static int column(const json_t *endpoints, const char *key, const char *heading)
{
	int widest = 0;
	const json_t *endpoint;
	size_t i;

	json_array_foreach(endpoints, i, endpoint)
		widest = MAX(widest, screen_column(json_object_get(endpoint, "addresses"), key, heading));
	return widest;
}

static bool is_well(const char *state)
{
	return strcmp(state, "up") == 0 || strcmp(state, "slow") == 0;
}

static void print_address(const json_t *a, int address_column, int az_column)
{
	const char *state = screen_text(a, "state");
	char cell[SCREEN_CELL_MAX], age[SCREEN_TIME_MAX];

	printf("  %-*s  ", address_column, screen_cell(a, "address", cell));
	printf("%-*s  ", az_column, screen_cell(a, "az", cell));
	screen_state(state, 8);
	if (json_is_number(json_object_get(a, "rtt_ms")))
		printf("%8.1f", screen_number(a, "rtt_ms"));
	else
		printf("%8s", "-");
	printf("%9.1f %10lld %9lld", screen_number(a, "qps"), screen_count(a, "queries"), screen_count(a, "timeouts"));
	if (!is_well(state) && *screen_text(a, "cause") != '\0') {
		printf("  %s", screen_cell(a, "cause", cell));
		if (json_is_number(json_object_get(a, "cause_age_seconds"))) {
			printf(", %s ago", screen_time(screen_number(a, "cause_age_seconds"), age));
		}
	}
	putchar('\n');
}

static void print_endpoint(const json_t *e, int address_column, int az_column)
{
	const json_t *addresses = json_object_get(e, "addresses"), *address;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	printf("\n%s  ", screen_cell(e, "name", cell));
	screen_state(screen_text(e, "state"), 0);
	printf("  (%s)\n", screen_cell(e, "policy", cell));
	if (json_array_size(addresses) == 0) {
		printf("  no addresses\n");
		return;
	}
	printf("  %-*s  %-*s  %-8s%8s%9s %10s %9s\n", address_column, "ADDRESS", az_column, "AZ", "STATE", "RTT ms", "QPS", "QUERIES",
	       "TIMEOUTS");
	json_array_foreach(addresses, i, address)
		print_address(address, address_column, az_column);
}

/* ---- zones, cache ---- */

static bool is_detached(const json_t *zone)
{
	return strcmp(screen_text(zone, "association"), "detached") == 0;
}

static void print_zone(const json_t *zone)
{
	const json_t *to;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	printf("  ");
	screen_state(is_detached(zone) ? "detached" : screen_text(zone, "state"), 8);
	printf("  %s  ->", screen_cell(zone, "name", cell));
	json_array_foreach(json_object_get(zone, "to"), i, to)
		printf("%s %s", i > 0 ? "," : "", screen_safe(json_string_value(to), cell));
	putchar('\n');
}

/* Those that something is wrong with; there may be 100,000 of them. */
static void print_zones(const json_t *s)
{
	const json_t *zone;
	size_t i, troubled = 0;

	json_array_foreach(json_object_get(s, "zones"), i, zone) {
		if (strcmp(screen_text(zone, "state"), "up") == 0 && !is_detached(zone))
			continue;
		if (troubled++ == 0)
			printf("\nzones in trouble:\n");
		if (troubled <= ZONES_SHOWN)
			print_zone(zone);
	}
	if (troubled > ZONES_SHOWN)
		printf("  and more; `r53fwd status --json` has them\n");
	if (troubled == 0)
		printf("\nzones: %lld, all well\n", screen_count(s, "zones_total"));
}

static void print_cache(const json_t *c)
{
	double hits = screen_number(c, "hits"), stale = screen_number(c, "stale"), all = hits + stale + screen_number(c, "misses");

	printf("cache: %lld entries, %.1f of %.0f MiB, ", screen_count(c, "entries"), screen_number(c, "bytes") / (1 << 20),
	       screen_number(c, "size_bytes") / (1 << 20));
	if (all > 0)
		printf("%.1f%% hits, ", 100 * hits / all);
	printf("%lld stale answers, %lld evictions\n", screen_count(c, "stale"), screen_count(c, "evictions"));
}

static void print_table(const json_t *s)
{
	const json_t *endpoints = json_object_get(s, "endpoints"), *endpoint;
	int address_column = column(endpoints, "address", "ADDRESS"), az_column = column(endpoints, "az", "AZ");
	char cell[SCREEN_CELL_MAX], age[SCREEN_TIME_MAX];
	size_t i;

	printf("r53fwd %s, up %s", screen_cell(s, "version", cell), screen_time(screen_number(s, "uptime_seconds"), age));
	printf(", %lld worker%s, %.1f queries/s\n", screen_count(s, "workers"), screen_count(s, "workers") == 1 ? "" : "s",
	       screen_number(s, "qps"));
	print_cache(json_object_get(s, "cache"));
	json_array_foreach(endpoints, i, endpoint)
		print_endpoint(endpoint, address_column, az_column);
	print_zones(s);
}

/* ---- the command ---- */

/* The local upstreams count while there are any: who has none may well want none. */
static int judge(const json_t *s)
{
	const json_t *endpoint;
	size_t i;

	json_array_foreach(json_object_get(s, "endpoints"), i, endpoint)
		if (strcmp(screen_text(endpoint, "state"), "down") == 0 && json_array_size(json_object_get(endpoint, "addresses")) > 0)
			return CLI_DOWN;
	return CLI_OK;
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
	/* Whole pictures: a terminal shows no half ones, a pipe gets each in one piece. */
	if (c->watch && !c->json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	if (c->json) {
		json_dumpf(s, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(COMMAND_DIGITS));
		putchar('\n');
	} else {
		print_table(s);
	}
	int status = judge(s);
	json_decref(s);
	return fflush(stdout) == 0 ? status : CLI_FAILED;
}

static int watch(const struct cli *c)
{
	struct timespec second = {.tv_sec = 1};
	int status;

	while ((status = show(c)) != CLI_FAILED) {
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
