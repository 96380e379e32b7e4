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
#include "server/command.h"

enum { CELL_MAX = 128, ZONES_SHOWN = 50, MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400, TIME_MOST_S = 1000000000 };

/* ---- small things ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

static double number_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static long long count_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

/* Printable ASCII as it is, all else \xHH; cut to CELL_MAX. Nothing (NULL) is shown as such. */
static const char *safe(const char *from, char out[CELL_MAX])
{
	struct strbuf s;

	strbuf_init(&s, out, CELL_MAX);
	for (; from != NULL && *from != '\0' && !s.cut; from++) {
		if (*from >= ' ' && *from <= '~')
			strbuf_addf(&s, "%c", *from);
		else
			strbuf_addf(&s, "\\x%02x", (unsigned char)*from);
	}
	return out;
}

static bool may_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0');
}

/* A state in its column: green, yellow, red. */
static void print_state(const char *state, int width)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {{"up", "32"},   {"slow", "33"},	  {"suspect", "33"}, {"degraded", "33"},
		       {"down", "31"}, {"drained", "33"}, {"detached", "31"}};
	const char *colour = NULL;
	char cell[CELL_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(colours) && may_colour(); i++)
		if (strcmp(colours[i].state, state) == 0)
			colour = colours[i].colour;
	safe(state, cell);
	if (colour != NULL)
		printf("\033[%sm%-*s\033[0m", colour, width, cell);
	else
		printf("%-*s", width, cell);
}

static void print_time(double seconds)
{
	long long s = seconds > 0 && seconds < TIME_MOST_S ? (long long)seconds : 0;

	if (s >= DAY_S)
		printf("%lld d %lld h", s / DAY_S, s % DAY_S / HOUR_S);
	else if (s >= HOUR_S)
		printf("%lld h %lld min", s / HOUR_S, s % HOUR_S / MINUTE_S);
	else if (s >= MINUTE_S)
		printf("%lld min %lld s", s / MINUTE_S, s % MINUTE_S);
	else
		printf("%lld s", s);
}

/* ---- endpoints ---- */

/* Wide enough for every cell of a column, over all endpoints. */
static int column(const json_t *endpoints, const char *key, const char *heading)
{
	size_t widest = strlen(heading), i, j;
	const json_t *endpoint, *address;
	char cell[CELL_MAX];

	json_array_foreach(endpoints, i, endpoint)
		json_array_foreach(json_object_get(endpoint, "addresses"), j, address)
			widest = MAX(widest, strlen(safe(text_of(address, key), cell)));
	return (int)widest;
}

static bool is_well(const char *state)
{
	return strcmp(state, "up") == 0 || strcmp(state, "slow") == 0;
}

static void print_address(const json_t *a, int address_column, int az_column)
{
	const char *state = text_of(a, "state");
	char cell[CELL_MAX];

	printf("  %-*s  ", address_column, safe(text_of(a, "address"), cell));
	printf("%-*s  ", az_column, safe(text_of(a, "az"), cell));
	print_state(state, 8);
	if (json_is_number(json_object_get(a, "rtt_ms")))
		printf("%8.1f", number_of(a, "rtt_ms"));
	else
		printf("%8s", "-");
	printf("%9.1f %10lld %9lld", number_of(a, "qps"), count_of(a, "queries"), count_of(a, "timeouts"));
	if (!is_well(state) && *text_of(a, "cause") != '\0') {
		printf("  %s", safe(text_of(a, "cause"), cell));
		if (json_is_number(json_object_get(a, "cause_age_seconds"))) {
			printf(", ");
			print_time(number_of(a, "cause_age_seconds"));
			printf(" ago");
		}
	}
	putchar('\n');
}

static void print_endpoint(const json_t *e, int address_column, int az_column)
{
	const json_t *addresses = json_object_get(e, "addresses"), *address;
	char cell[CELL_MAX];
	size_t i;

	printf("\n%s  ", safe(text_of(e, "name"), cell));
	print_state(text_of(e, "state"), 0);
	printf("  (%s)\n", safe(text_of(e, "policy"), cell));
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
	return strcmp(text_of(zone, "association"), "detached") == 0;
}

static void print_zone(const json_t *zone)
{
	const json_t *to;
	char cell[CELL_MAX];
	size_t i;

	printf("  ");
	print_state(is_detached(zone) ? "detached" : text_of(zone, "state"), 8);
	printf("  %s  ->", safe(text_of(zone, "name"), cell));
	json_array_foreach(json_object_get(zone, "to"), i, to)
		printf("%s %s", i > 0 ? "," : "", safe(json_string_value(to), cell));
	putchar('\n');
}

/* Those that something is wrong with; there may be 100,000 of them. */
static void print_zones(const json_t *s)
{
	const json_t *zone;
	size_t i, troubled = 0;

	json_array_foreach(json_object_get(s, "zones"), i, zone) {
		if (strcmp(text_of(zone, "state"), "up") == 0 && !is_detached(zone))
			continue;
		if (troubled++ == 0)
			printf("\nzones in trouble:\n");
		if (troubled <= ZONES_SHOWN)
			print_zone(zone);
	}
	if (troubled > ZONES_SHOWN)
		printf("  and more; `r53fwd status --json` has them\n");
	if (troubled == 0)
		printf("\nzones: %lld, all well\n", count_of(s, "zones_total"));
}

static void print_cache(const json_t *c)
{
	double hits = number_of(c, "hits"), stale = number_of(c, "stale"), all = hits + stale + number_of(c, "misses");

	printf("cache: %lld entries, %.1f of %.0f MiB, ", count_of(c, "entries"), number_of(c, "bytes") / (1 << 20),
	       number_of(c, "size_bytes") / (1 << 20));
	if (all > 0)
		printf("%.1f%% hits, ", 100 * hits / all);
	printf("%lld stale answers, %lld evictions\n", count_of(c, "stale"), count_of(c, "evictions"));
}

static void print_table(const json_t *s)
{
	const json_t *endpoints = json_object_get(s, "endpoints"), *endpoint;
	int address_column = column(endpoints, "address", "ADDRESS"), az_column = column(endpoints, "az", "AZ");
	char cell[CELL_MAX];
	size_t i;

	printf("r53fwd %s, up ", safe(text_of(s, "version"), cell));
	print_time(number_of(s, "uptime_seconds"));
	printf(", %lld worker%s, %.1f queries/s\n", count_of(s, "workers"), count_of(s, "workers") == 1 ? "" : "s", number_of(s, "qps"));
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
		if (strcmp(text_of(endpoint, "state"), "down") == 0 && json_array_size(json_object_get(endpoint, "addresses")) > 0)
			return CLI_DOWN;
	return CLI_OK;
}

static int show(const struct cli *c)
{
	json_t *s = ask_daemon(c, json_pack("{s:s}", "command", "status"), ASK_MS);

	if (s == NULL)
		return CLI_FAILED;
	if (!json_is_array(json_object_get(s, "endpoints"))) {
		char cell[CELL_MAX];
		fprintf(stderr, "r53fwd: the daemon does not tell its status: %s\n", safe(text_of(s, "error"), cell));
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
