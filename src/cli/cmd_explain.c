/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the daemon why a question goes where it goes. Without one, zones.conf is compiled as the daemon would and explained by the same
 * code, with every address taken as healthy. A file that has changed since the daemon read it is explained as well. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/ask.h"
#include "cli/screen.h"
#include "server/command.h"
#include "server/explain.h"
#include "server/jsontext.h"
#include "wire/text.h"

/* Any time will do: a pool that nobody has used has no past. */
static const uint64_t some_time_us = 1000 * (uint64_t)US_PER_S;

/* What is wanted, and what was found. */
struct explain {
	const struct cli *cli;
	struct name name;
	uint16_t type;
	char why[ASK_WHY_MAX]; /* no daemon was asked */
	json_t *running;       /* the daemon's answer, or NULL */
	json_t *file;	       /* by the file alone, or NULL */
	const char *path;      /* of the file, lent: what is compared with the daemon's, or explained alone */
	bool changed;	       /* what the daemon runs is not what the file says now */
};

/* ---- finding out ---- */

/* By the file alone; what is wrong with it goes to stderr. NULL then. */
static json_t *explain_file(const struct explain *e)
{
	struct diagnostics d;
	struct resolv resolv;
	json_t *answer = NULL;

	diagnostics_init(&d);
	struct config *c = config_load(e->path, &d);
	if (c == NULL)
		diagnostics_print(&d, e->path, stderr);
	diagnostics_deinit(&d);
	if (c == NULL)
		return NULL;
	(void)resolv_read(&resolv, resolv_paths(), c->listen, c->listen_count);
	struct snapshot *s = snapshot_new(c, &resolv, NULL);
	if (s == NULL) {
		fputs("r53fwd: out of memory\n", stderr);
		return NULL;
	}
	const struct status_world w = {.snapshot = s, .now_us = some_time_us, .zones_path = e->path, .loaded_at = (int64_t)time(NULL)};
	answer = explain_make(&w, &(struct explain_question){.name = &e->name, .type = e->type});
	snapshot_unref(s);
	return answer;
}

/* Sets the file that the daemon's is to be compared with: the one that was named, else the daemon's own if it says where it is. */
static void find_file(struct explain *e)
{
	const char *daemons = screen_text(json_object_get(e->running, "config"), "path");

	e->path = e->cli->zones_given || e->running == NULL ? e->cli->zones_path : *daemons == '/' ? daemons : NULL;
}

/* True if the file has other octets than those that the daemon runs. One that was named must be there. */
static bool has_changed(const struct explain *e)
{
	char text[24];
	uint64_t digest;

	if (e->path == NULL)
		return false;
	if (config_read_digest(e->path, &digest) != 0)
		return e->cli->zones_given;
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)digest);
	return strcmp(text, screen_text(json_object_get(e->running, "config"), "digest")) != 0;
}

/* Returns an exit status. */
static int find_out(struct explain *e)
{
	char name[TEXT_NAME_MAX], type[TEXT_TYPE_MAX], cell[SCREEN_CELL_MAX];

	e->running = ask_try(
		e->cli,
		json_pack("{s:s, s:s, s:s}", "command", "explain", "name", text_name(&e->name, name), "type", text_type(e->type, type)),
		ASK_MS, e->why);
	if (e->running != NULL && *screen_text(e->running, "error") != '\0') {
		fprintf(stderr, "r53fwd: %s\n", screen_cell(e->running, "error", cell));
		return CLI_FAILED;
	}
	find_file(e);
	e->changed = e->running != NULL && has_changed(e);
	if (e->running == NULL || e->changed)
		e->file = explain_file(e);
	return (e->running == NULL || e->changed) && e->file == NULL ? CLI_FAILED : CLI_OK;
}

/* ---- telling ---- */

static void print_to(const json_t *zone)
{
	const json_t *to;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	json_array_foreach (json_object_get(zone, "to"), i, to)
		printf("%s%s", i > 0 ? ", then " : "", screen_safe(json_string_value(to), cell));
}

static void print_zone(const char *heading, const json_t *zone, const char *path)
{
	char cell[SCREEN_CELL_MAX];

	printf("%-7s%s  ", heading, screen_cell(zone, "name", cell));
	printf("%s:%lld", screen_safe(path, cell), screen_count(zone, "line"));
	if (*screen_text(zone, "from") != '\0')
		printf(" (%s)", screen_cell(zone, "from", cell));
	printf("  to ");
	print_to(zone);
	printf(": %s\n", screen_cell(zone, "why", cell));
}

static void print_route(const json_t *e)
{
	const char *path = screen_text(json_object_get(e, "config"), "path");
	const json_t *zone = json_object_get(e, "zone"), *lost;
	char cell[SCREEN_CELL_MAX];
	size_t i;

	if (json_is_object(zone))
		print_zone("zone", zone, path);
	else if (*screen_text(e, "answered_here") == '\0')
		printf("zone   none of %s: all other names go to the local upstreams\n", screen_safe(path, cell));
	if (strcmp(screen_text(zone, "association"), "detached") == 0) {
		printf("       ");
		screen_state("detached", 0);
		printf(": its hosted zone seems not to be associated with the endpoint's VPC, what comes back is public data\n");
	}
	json_array_foreach (json_object_get(e, "lost"), i, lost)
		print_zone(i == 0 ? "lost" : "", lost, path);
	if (screen_count(e, "lost_left_out") > 0)
		printf("       and %lld more\n", screen_count(e, "lost_left_out"));
	if (*screen_text(e, "note") != '\0')
		printf("type   %s\n", screen_cell(e, "note", cell));
	if (*screen_text(e, "answered_here") != '\0')
		printf("here   never sent anywhere. %s\n", screen_cell(e, "answered_here", cell));
}

static void print_held(const json_t *cache)
{
	char cell[SCREEN_CELL_MAX], age[SCREEN_TIME_MAX], rest[SCREEN_TIME_MAX];
	bool stale = strcmp(screen_text(cache, "state"), "stale") == 0;

	printf("%s with %lld answer record%s, ", screen_cell(cache, "rcode", cell), screen_count(cache, "answers"),
	       screen_count(cache, "answers") == 1 ? "" : "s");
	printf("%s old, %s %s", screen_time(screen_number(cache, "age_seconds"), age),
	       screen_time(screen_number(cache, stale ? "stale_seconds" : "ttl_left_seconds"), rest), stale ? "past its expiry" : "left");
	if (*screen_text(cache, "address") != '\0')
		printf(", from %s", screen_cell(cache, "address", cell));
	else
		printf(", %s", json_is_true(json_object_get(cache, "from_disk")) ? "known from before the start"
										 : "from an address that is gone");
	if (*screen_text(cache, "az") != '\0')
		printf(" (%s)", screen_cell(cache, "az", cell));
	printf("%s%s\n", json_is_true(json_object_get(cache, "dnssec_ok")) ? "; for queries with DO" : "",
	       json_is_true(json_object_get(cache, "checking_disabled")) ? "; for queries with CD" : "");
}

static void print_cache(const json_t *e)
{
	const json_t *cache = json_object_get(e, "cache");
	const char *state = screen_text(cache, "state");
	char cell[SCREEN_CELL_MAX];

	if (!json_is_object(cache))
		return;
	printf("cache  ");
	if (strcmp(state, "none") == 0)
		printf("nothing is known of it\n");
	else if (strcmp(state, "failed") == 0)
		printf("no answer; asking has failed: %s\n", screen_cell(cache, "failure", cell));
	else {
		printf("%s: ", screen_safe(state, cell));
		print_held(cache);
	}
	printf("now    %s\n", screen_cell(e, "now", cell));
}

static void print_address(const json_t *a, int address_column, int az_column, bool live)
{
	char cell[SCREEN_CELL_MAX];

	if (json_is_integer(json_object_get(a, "place")))
		printf("  %2lld  ", screen_count(a, "place"));
	else
		printf("   -  ");
	printf("%-*s  ", address_column, screen_cell(a, "address", cell));
	printf("%-*s  ", az_column, *screen_text(a, "az") != '\0' ? screen_cell(a, "az", cell) : "-");
	if (live) {
		screen_state(screen_text(a, "state"), 8);
		if (json_is_number(json_object_get(a, "rtt_ms")))
			printf("%8.1f  ", screen_number(a, "rtt_ms"));
		else
			printf("%8s  ", "-");
	}
	printf("%s\n", screen_cell(a, "why", cell));
}

static void print_endpoint(const json_t *endpoint, bool live)
{
	const json_t *addresses = json_object_get(endpoint, "addresses"), *address;
	int address_column = screen_column(addresses, "address", "ADDRESS"), az_column = screen_column(addresses, "az", "AZ");
	char cell[SCREEN_CELL_MAX];
	size_t i;

	printf("\n%s  ", screen_cell(endpoint, "name", cell));
	if (live) {
		screen_state(screen_text(endpoint, "state"), 0);
		printf(", ");
	}
	printf("%s: ", screen_cell(endpoint, "policy", cell));
	printf("%s\n", screen_cell(endpoint, "why", cell));
	if (json_array_size(addresses) == 0)
		return;
	printf("   #  %-*s  %-*s  %s%s\n", address_column, "ADDRESS", az_column, "AZ", live ? "STATE     RTT ms  " : "", "WHY");
	json_array_foreach (addresses, i, address)
		print_address(address, address_column, az_column, live);
}

static void print_explanation(const json_t *e)
{
	const json_t *endpoint;
	bool live = json_is_true(json_object_get(e, "live"));
	char cell[SCREEN_CELL_MAX];
	size_t i;

	printf("%s ", screen_cell(e, "name", cell));
	printf("%s\n\n", screen_cell(e, "type", cell));
	print_route(e);
	print_cache(e);
	json_array_foreach (json_object_get(e, "endpoints"), i, endpoint)
		print_endpoint(endpoint, live);
	if (*screen_text(e, "if_first_dies") != '\0')
		printf("\n%s\n", screen_cell(e, "if_first_dies", cell));
}

static void print_sentences(const struct explain *e)
{
	char cell[SCREEN_CELL_MAX];

	if (e->running == NULL) {
		printf("By %s alone, with every address taken as healthy: ", screen_safe(e->path, cell));
		printf("%s.\n\n", screen_safe(e->why, cell));
		print_explanation(e->file);
		return;
	}
	print_explanation(e->running);
	if (!e->changed)
		return;
	printf("\n%s is not what the daemon runs, which was read from ", screen_safe(e->path, cell));
	printf("%s at ", screen_cell(json_object_get(e->running, "config"), "path", cell));
	printf("%s; `r53fwd reload` has it read its file again.\n", screen_cell(json_object_get(e->running, "config"), "loaded_at", cell));
	if (e->file != NULL) {
		printf("What %s says, with every address taken as healthy:\n\n", screen_safe(e->path, cell));
		print_explanation(e->file);
	}
}

/* The daemon's explanation, or the file's; `file` beside it says whether it has changed and, if so, what it says. */
static void print_json(struct explain *e)
{
	json_t *all = e->running != NULL ? json_incref(e->running) : json_incref(e->file), *file = json_object();

	json_object_set_new(file, "path", jsontext_new(e->path));
	json_object_set_new(file, "changed", e->running != NULL ? json_boolean(e->changed) : json_null());
	json_object_set(file, "says", e->running != NULL && e->file != NULL ? e->file : json_null());
	json_object_set_new(file, "why_alone", e->running == NULL ? jsontext_new(e->why) : json_null());
	json_object_set_new(all, "file", file);
	json_dumpf(all, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(COMMAND_DIGITS));
	putchar('\n');
	json_decref(all);
}

static int complain(const char *sentence, const char *what)
{
	char cell[SCREEN_CELL_MAX];

	fprintf(stderr, "r53fwd: %s%s\nTry `r53fwd --help`.\n", screen_safe(what, cell), sentence);
	return CLI_USAGE;
}

int cmd_explain(const struct cli *c)
{
	struct explain e = {.cli = c};

	if (c->operand_count < 1)
		return complain("explain wants a NAME", "");
	if (text_read_name(&e.name, c->operands[0]) != 0)
		return complain(" is no name", c->operands[0]);
	int type = text_read_type(c->operand_count > 1 ? c->operands[1] : "A");
	if (type < 0)
		return complain(" is no type", c->operands[1]);
	e.type = (uint16_t)type;
	int status = find_out(&e);
	if ((e.running != NULL && status == CLI_OK) || e.file != NULL || e.changed) {
		if (c->json)
			print_json(&e);
		else
			print_sentences(&e);
	}
	json_decref(e.running);
	json_decref(e.file);
	return status;
}
