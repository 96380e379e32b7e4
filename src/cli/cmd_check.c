/* SPDX-License-Identifier: Apache-2.0 */
/* One line a zone, in columns that awk can take apart: name, endpoints in order, line, and what it was expanded from. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/option.h"
#include "config/resolv.h"
#include "config/zones.h"
#include "wire/text.h"

/* Names longer than this push their line to the right rather than all the others. */
enum { NAME_COLUMN_MAX = 56 };

static int name_column(const struct config *c)
{
	size_t widest = 4;
	char text[TEXT_NAME_MAX];

	for (size_t i = 0; i < c->zone_count; i++)
		widest = MAX(widest, MIN(strlen(text_name(&c->zones[i].name, text)), (size_t)NAME_COLUMN_MAX));
	return (int)widest;
}

/* Names of endpoints, with a comma between two; returns the columns used. */
static int print_to(const struct config *c, const struct config_zone *zone)
{
	int used = 0;

	for (size_t i = 0; i < zone->to_count; i++)
		used += printf("%s%s", i > 0 ? "," : "", c->endpoints[zone->to[i]].name);
	return used;
}

static int to_column(const struct config *c)
{
	size_t widest = 5;

	for (size_t i = 0; i < c->zone_count; i++) {
		size_t width = (size_t)c->zones[i].to_count - 1;
		for (size_t j = 0; j < c->zones[i].to_count; j++)
			width += strlen(c->endpoints[c->zones[i].to[j]].name);
		widest = MAX(widest, width);
	}
	return (int)widest;
}

static void print_routes(const struct config *c, const uint32_t *order)
{
	int names = name_column(c), tos = to_column(c);
	char text[TEXT_NAME_MAX];
	bool root = false;

	printf("Routes, the longest suffix first:\n");
	for (size_t i = 0; i < c->zone_count; i++) {
		const struct config_zone *zone = &c->zones[order[i]];
		root = root || zone->name.labels == 0;
		printf("  %-*s  ", names, text_name(&zone->name, text));
		int used = print_to(c, zone);
		printf("%*s  line %u", MAX(tos - used, 0), "", zone->line);
		if (zone->source_text)
			printf("  (%s)", zone->source_text);
		printf("\n");
	}
	if (!root)
		printf("  %-*s  %-*s  all other names\n", names, ".", tos, "local");
}

/* The zones of one entry's member stand together in the order of the file. */
static void print_expansions(const struct config *c)
{
	const struct config_zone *previous = NULL;
	char text[TEXT_NAME_MAX];
	bool any = false;

	for (size_t i = 0; i < c->zone_count; previous = &c->zones[i], i++) {
		const struct config_zone *zone = &c->zones[i];
		if (!zone->source_text)
			continue;
		if (!any)
			printf("\nExpanded:");
		any = true;
		bool same = previous && previous->source_text && previous->line == zone->line &&
			    previous->column == zone->column;
		if (!same)
			printf("\n  line %u  %s ->", zone->line, zone->source_text);
		printf(" %s", text_name(&zone->name, text));
	}
	if (any)
		printf("\n");
}

/* Zones that expect something, each with what it expects and what becomes of other answers. */
static void print_guards(const struct config *c, const uint32_t *order)
{
	static const char *const guards[] = {[GUARD_OFF] = "off", [GUARD_WARN] = "warn", [GUARD_ENFORCE] = "enforce"};
	int names = name_column(c);
	char text[TEXT_NAME_MAX];
	bool any = false;

	for (size_t i = 0; i < c->zone_count; i++) {
		const struct config_zone *zone = &c->zones[order[i]];
		if (!zone->expect)
			continue;
		fputs(any ? "" : "\nGuards:\n", stdout);
		any = true;
		printf("  %-*s  %-7s  ", names, text_name(&zone->name, text), guards[zone->guard]);
		config_print_expect(zone->expect, stdout);
		printf("\n");
	}
}

/* Zones that go to an inbound endpoint and are not checked there. */
static void print_unassociated(const struct config *c, const uint32_t *order)
{
	char text[TEXT_NAME_MAX];
	bool any = false;

	for (size_t i = 0; i < c->zone_count; i++) {
		const struct config_zone *zone = &c->zones[order[i]];
		bool inbound = false;
		for (size_t j = 0; j < zone->to_count; j++)
			inbound = inbound || c->endpoints[zone->to[j]].kind == ENDPOINT_INBOUND;
		if (!inbound || zone->association || zone->source == ZONE_REVERSE || zone->name.labels == 0)
			continue;
		fputs(any ? "" : "\nAssociation not checked:\n", stdout);
		any = true;
		printf("  %s\n", text_name(&zone->name, text));
	}
}

static void print_warm(const struct config *c)
{
	char text[TEXT_NAME_MAX];

	if (c->keep_warm_count > 0)
		printf("\nKept warm:\n");
	for (size_t i = 0; i < c->keep_warm_count; i++)
		printf("  %s  line %u\n", text_name(&c->keep_warm[i].name, text), c->keep_warm[i].line);
}

static const char *kind_name(enum config_endpoint_kind kind)
{
	return kind == ENDPOINT_INBOUND ? "inbound-endpoint" : "resolvers";
}

static void print_endpoints(const struct config *c)
{
	char text[ADDR_TEXT_MAX];

	if (c->endpoint_count > 1)
		printf("\nEndpoints:\n");
	for (size_t i = 1; i < c->endpoint_count; i++) {
		const struct config_endpoint *e = &c->endpoints[i];
		printf("  %s  %s  line %u\n", e->name, kind_name(e->kind), e->line);
		for (size_t j = 0; j < e->count; j++)
			printf("    %s%s%s\n", addr_format(&e->addresses[j].addr, text), e->addresses[j].az ? "  " : "",
			       e->addresses[j].az ? e->addresses[j].az : "");
	}
}

static void print_local(const struct config *c)
{
	const struct config_endpoint *local = &c->endpoints[0];
	char text[ADDR_TEXT_MAX];
	struct resolv resolv;

	if (!c->local_from_resolv) {
		printf("\nLocal upstreams, line %u:\n", local->line);
		for (size_t i = 0; i < local->count; i++)
			printf("  %s\n", addr_format(&local->addresses[i].addr, text));
		return;
	}
	(void)resolv_read(&resolv, resolv_paths(), c->listen, c->listen_count);
	if (!resolv.path) {
		printf("\nLocal upstreams: none; no resolv.conf names anyone but ourselves, names outside the routes get SERVFAIL\n");
		return;
	}
	printf("\nLocal upstreams, from %s:\n", resolv.path);
	for (size_t i = 0; i < resolv.count; i++)
		printf("  %s\n", addr_format(&resolv.servers[i], text));
}

int cmd_check(const struct cli *cli)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_listening(cli->zones_path, cli->listen, cli->listen_count, &d);
	diagnostics_print(&d, cli->zones_path, stderr);
	diagnostics_deinit(&d);
	if (!c)
		return 1;
	uint32_t *order = zones_by_length(c);
	if (!order) {
		fprintf(stderr, "%s: out of memory\n", cli->zones_path);
		config_free(c);
		return 1;
	}
	print_routes(c, order);
	print_expansions(c);
	print_guards(c, order);
	print_unassociated(c, order);
	print_warm(c);
	free(order);
	print_endpoints(c);
	print_local(c);
	printf("\nOptions in force:\n");
	config_print_effective(c, stdout);
	config_free(c);
	return 0;
}
