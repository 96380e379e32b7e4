/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of `zones` becomes one zone or many; all of them are compared with each other only when the last is read. */
#include "config/zones.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/endpoints.h"
#include "config/expect.h"
#include "config/reverse.h"
#include "config/services.h"
#include "config/suggest.h"
#include "config/warm.h"
#include "wire/text.h"

/* A file within its bounds can stand for more than anyone means: 30,000 reverse prefixes are 4,000,000 zones. */
enum { ZONES_MAX = 500000 };

/* Longest source_text, and the same in parentheses, each with its zero. */
enum { SOURCE_MAX = 160, ORIGIN_MAX = SOURCE_MAX + 3 };

/* An entry whose keys have been seen. */
struct entry {
	const struct yaml *name, *vpc_endpoints, *reverse; /* keys; NULL when not there */
	const struct yaml *keep_warm;
	struct expect_keys held_to;
	struct config_zone route;			   /* what its zones have in common */
};

/* The keys of `vpc-endpoints`. */
struct vpc_form {
	const struct yaml *region, *services;
};

/* Names that are answered here and never sent anywhere (RFC 6761, RFC 7686, RFC 9462), and the reverse of localhost. */
static const char *const reserved[READING_RESERVED] = {
	"localhost",	 "invalid",	     "onion",
	"resolver.arpa", "127.in-addr.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
};

/* Once, not for each of 100,000 zones. */
static void prepare_reserved(struct reading *r)
{
	for (size_t i = 0; i < READING_RESERVED; i++) {
		int read = text_read_name(&r->reserved[i], reserved[i]);
		ASSERT(read == 0);
	}
}

static bool is_reserved(const struct reading *r, const struct name *n)
{
	for (size_t i = 0; i < READING_RESERVED; i++)
		if (name_is_within(n, &r->reserved[i]))
			return true;
	return false;
}

/* Adds one zone of the entry; `at` is the name, service or prefix that it comes from. */
static void add_zone(struct reading *r, const struct entry *entry, const struct yaml *at, const struct name *name, const char *source_text)
{
	struct config *c = r->config;

	if (c->zone_count == ZONES_MAX) {
		reader_error(r, at, "more than %d zones", ZONES_MAX);
		return;
	}
	if (c->zone_count == r->zones_allocated) {
		size_t room = MAX(r->zones_allocated * 2, (size_t)16);
		struct config_zone *grown = reallocarray(c->zones, room, sizeof(*grown));
		if (!grown) {
			diagnostics_no_memory(r->d);
			return;
		}
		c->zones = grown;
		r->zones_allocated = room;
	}
	struct config_zone *zone = &c->zones[c->zone_count++];
	*zone = entry->route;
	zone->name = *name;
	zone->association = zone->association && name->labels > 0;
	zone->line = at->line;
	zone->column = at->column;
	zone->source_text = source_text ? reader_copy(r, source_text) : NULL;
}

/* ---- name: ---- */

/* A name's octets may be any, so these would be names too; but nobody ever asks for them. */
static bool is_network(const char *text)
{
	struct cidr network;
	int result = cidr_parse(&network, text);

	return result == 0 || result == -EDOM;
}

static bool is_ascii(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80)
		text++;
	return *text == '\0';
}

/* Characters that a name may hold (RFC 2317 has `/`), and that are more often a slip. */
static void remark(struct reading *r, const struct yaml *member, const char *shown)
{
	size_t at = strcspn(member->text, "$:@*");

	if (member->text[at] != '\0')
		reader_warning(r, member, "%s is taken as it stands, with the `%c` in it: is that meant?", shown, member->text[at]);
}

static void read_name(struct reading *r, const struct entry *entry, const struct yaml *member)
{
	const char *text = reader_member(r, member, "a domain name");
	char shown[READER_SHOWN_MAX];
	struct name name;

	if (!text)
		return;
	reader_shown(member, shown);
	if (strcmp(text, "*") == 0)
		reader_error(r, member, "%s: all names are the zone `.`", shown);
	else if (strstr(text, "://") != NULL)
		reader_error(r, member, "%s is a URL: a zone is a domain name", shown);
	else if (strncmp(text, "*.", 2) == 0)
		reader_error(r, member, "%s: a zone is a name and everything below it already, leave out the `*.`", shown);
	else if (is_network(text))
		reader_error(r, member, "%s is no domain name: the names of a network's addresses are `reverse: %s`", shown, text);
	else if (text_read_name(&name, text) < 0)
		reader_error(r, member, "%s is no domain name%s", shown,
			     is_ascii(text) ? "" : ": write it as it is asked for, in ASCII (`xn--…`)");
	else if (is_reserved(r, &name))
		reader_error(r, member, "%s cannot be routed: it is answered here and never sent anywhere", shown);
	else {
		remark(r, member, shown);
		add_zone(r, entry, member, &name, NULL);
	}
}

static void read_names(struct reading *r, struct entry *entry)
{
	const struct yaml *value = entry->name->value;

	if (value->kind != YAML_LIST) {
		read_name(r, entry, value);
		return;
	}
	if (value->count == 0)
		reader_error(r, value, "`name` must not be empty");
	for (const struct yaml *member = value->first; member; member = member->next)
		read_name(r, entry, member);
}

/* ---- vpc-endpoints: ---- */

static void take_region(struct reading *r, const struct yaml *key, void *into)
{
	((struct vpc_form *)into)->region = reader_expect(r, key, YAML_WORD, "a region");
}

static void take_services(struct reading *r, const struct yaml *key, void *into)
{
	((struct vpc_form *)into)->services = reader_expect_list(r, key, 1, UINT16_MAX);
}

static const struct reader vpc_readers[] = {{"region", take_region}, {"services", take_services}, {NULL, NULL}};
static const struct reader_shape vpc_shape = {"`vpc-endpoints`", SECTIONS, 0, vpc_readers};

/* Regions have a form, and an AZ's name is a region's with a letter more: the usual slip. */
static bool read_region(struct reading *r, const struct yaml *item, struct services_region *region)
{
	char shown[READER_SHOWN_MAX], shorter[SERVICES_REGION_MAX] = "", hint[SERVICES_REGION_MAX + 24] = "";
	size_t len = strlen(item->text);

	if (services_read_region(item->text, region))
		return true;
	if (len > 0 && len < sizeof(shorter))
		memcpy(shorter, item->text, len - 1);
	if (services_read_region(shorter, region))
		snprintf(hint, sizeof(hint), " (did you mean `%s`?)", shorter);
	reader_error(r, item, "%s is no AWS region%s", reader_shown(item, shown), hint);
	return false;
}

static const struct service *find_service(struct reading *r, const struct yaml *member)
{
	const char *id = reader_member(r, member, "the name of a service");
	const struct service *service = id ? services_find(id) : NULL;
	char shown[READER_SHOWN_MAX], hint[SUGGEST_TEXT_MAX];
	struct suggest nearest;
	size_t count;

	if (!id || service)
		return service;
	const struct service *all = services(&count);
	suggest_init(&nearest, id);
	for (size_t i = 0; i < count; i++)
		suggest_offer(&nearest, all[i].id);
	reader_error(r, member, "unknown service %s%s", reader_shown(member, shown), suggest_hint(&nearest, hint));
	return NULL;
}

static void read_service(struct reading *r, const struct entry *entry, const struct yaml *member, const char *region_name,
			 const struct services_region *region)
{
	const struct service *service = find_service(r, member);
	char apex[SERVICES_APEX_MAX], source[SOURCE_MAX];

	if (!service)
		return;
	if (service->kind == SERVICE_REFUSED || (service->kind == SERVICE_AWS_ONLY && strcmp(region->partition, "aws") != 0)) {
		reader_error(r, member, "`%s` has no zone here: %s", service->id, service->note);
		return;
	}
	if (service->kind == SERVICE_WARN)
		reader_warning(r, member, "`%s` %s", service->id, service->note);
	snprintf(source, sizeof(source), "vpc-endpoints %s %s", region_name, service->id);
	const char *at = service->apexes;
	while (services_next_apex(&at, region_name, region, apex)) {
		struct name name;
		int read = text_read_name(&name, apex);
		ASSERT(read == 0);
		add_zone(r, entry, member, &name, source);
	}
}

static void read_vpc_endpoints(struct reading *r, struct entry *entry)
{
	const struct yaml *key = entry->vpc_endpoints;
	struct vpc_form form = {0};
	struct services_region region;

	if (!reader_section(r, key, &vpc_shape, &form))
		return;
	if (!yaml_tree_find(key->value, "region"))
		reader_error(r, key, "`vpc-endpoints` has no `region`");
	if (!yaml_tree_find(key->value, "services"))
		reader_error(r, key, "`vpc-endpoints` has no `services`");
	bool known = form.region && read_region(r, form.region, &region);
	const struct yaml *member = form.services ? form.services->first : NULL;
	for (; member; member = member->next) {
		/* Without a region there are no zones, but a wrong service is worth its error. */
		if (known)
			read_service(r, entry, member, form.region->text, &region);
		else
			(void)find_service(r, member);
	}
}

/* ---- reverse: ---- */

static void read_reverse(struct reading *r, struct entry *entry)
{
	const struct yaml *value = reader_expect(r, entry->reverse, YAML_WORD, "a network, such as 10.20.0.0/16");
	char shown[READER_SHOWN_MAX], source[SOURCE_MAX], text[CIDR_TEXT_MAX];
	struct cidr network;
	struct name name;

	if (!value)
		return;
	int result = cidr_parse(&network, value->text);
	if (result == -EDOM) {
		reader_error(r, value, "%s has host bits set (did you mean `%s`?)", reader_shown(value, shown),
			     cidr_format(&network, text));
		return;
	}
	if (result < 0) {
		reader_error(r, value, "`reverse` must be a network, such as 10.20.0.0/16, not %s", reader_shown(value, shown));
		return;
	}
	reverse_zone(&network, 0, &name);
	if (is_reserved(r, &name)) {
		reader_error(r, value, "%s cannot be routed: the names of localhost are answered here", reader_shown(value, shown));
		return;
	}
	snprintf(source, sizeof(source), "reverse %s", cidr_format(&network, text));
	for (unsigned i = 0; i < reverse_count(&network); i++) {
		reverse_zone(&network, i, &name);
		add_zone(r, entry, value, &name, source);
	}
}

/* ---- to: ---- */

static void add_to(struct reading *r, const struct yaml *member, struct config_zone *route)
{
	const struct config *c = r->config;
	const char *text = reader_member(r, member, "the name of an endpoint, or `local`");
	char shown[READER_SHOWN_MAX], hint[SUGGEST_TEXT_MAX];
	struct suggest nearest;
	int index = text ? endpoints_find(c, text) : -1;

	if (!text || (index < 0 && r->endpoints_wrong))
		return;
	if (index < 0) {
		suggest_init(&nearest, text);
		for (size_t i = 0; i < c->endpoint_count; i++)
			suggest_offer(&nearest, c->endpoints[i].name);
		reader_error(r, member, "no endpoint is called %s%s", reader_shown(member, shown), suggest_hint(&nearest, hint));
		return;
	}
	for (size_t i = 0; i < route->to_count; i++) {
		if (route->to[i] != index)
			continue;
		reader_error(r, member, "%s is given twice in this `to`", reader_shown(member, shown));
		return;
	}
	route->to[route->to_count++] = (uint16_t)index;
}

static void read_to(struct reading *r, const struct yaml *key, void *into)
{
	struct config_zone *route = &((struct entry *)into)->route;

	if (key->value->kind != YAML_LIST) {
		add_to(r, key->value, route);
		return;
	}
	const struct yaml *list = reader_expect_list(r, key, 1, CONFIG_MAX_TO);
	bool local = false;
	for (const struct yaml *member = list ? list->first : NULL; member; member = member->next) {
		add_to(r, member, route);
		local = local || (member->kind == YAML_WORD && strcmp(member->text, "local") == 0);
	}
	/* What a forwarded zone asks must not leak to the local upstreams, whatever fails. */
	if (local && list->count > 1)
		reader_error(r, list, "`local` stands alone: a forwarded zone never falls back to the local upstreams");
}

/* ---- the entry ---- */

static void take_name(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->name = key;
}

static void take_vpc_endpoints(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->vpc_endpoints = key;
}

static void take_reverse(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->reverse = key;
}

static void take_expect(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->held_to.expect = key;
}

static void take_guard(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->held_to.guard = key;
}

static void take_association(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->held_to.association = key;
}

static void take_keep_warm(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct entry *)into)->keep_warm = key;
}

static const struct reader entry_readers[] = {{"name", take_name},
					      {"vpc-endpoints", take_vpc_endpoints},
					      {"reverse", take_reverse},
					      {"to", read_to},
					      {"expect", take_expect},
					      {"guard", take_guard},
					      {"association", take_association},
					      {"keep-warm", take_keep_warm},
					      {NULL, NULL}};
static const struct reader_shape entry_shape = {"a zone", SECTIONS, 0, entry_readers};

static void read_entry(struct reading *r, const struct yaml *item)
{
	struct entry entry = {0};
	size_t first_zone = r->config->zone_count;

	if (!reader_map(r, item, "a zone", &entry_shape, &entry))
		return;
	entry.route.source = entry.name ? ZONE_NAME : entry.vpc_endpoints ? ZONE_VPC_ENDPOINTS : ZONE_REVERSE;
	expect_read(r, &entry.held_to, &entry.route);
	int kinds = (entry.name != NULL) + (entry.vpc_endpoints != NULL) + (entry.reverse != NULL);
	if (!yaml_tree_find(item, "to"))
		reader_error(r, item, "this zone has no `to`");
	if (kinds != 1) {
		reader_error(r, item, "a zone has one of `name`, `vpc-endpoints` and `reverse`, this one has %s",
			     kinds == 0 ? "none" : "several");
		return;
	}
	if (entry.name)
		read_names(r, &entry);
	else if (entry.vpc_endpoints)
		read_vpc_endpoints(r, &entry);
	else
		read_reverse(r, &entry);
	if (entry.keep_warm)
		warm_read(r, entry.keep_warm, entry.route.source, first_zone);
}

/* ---- all of them ---- */

static int compare_octets(const struct config_zone *a, const struct config_zone *b)
{
	if (a->name.len != b->name.len)
		return a->name.len < b->name.len ? -1 : 1;
	return memcmp(a->name.octets, b->name.octets, a->name.len);
}

static int compare_zones(const void *x, const void *y, void *zones)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	int order = compare_octets((const struct config_zone *)zones + a, (const struct config_zone *)zones + b);

	return order != 0 ? order : a < b ? -1 : a > b;
}

static uint32_t *all_indices(const struct config *c)
{
	uint32_t *indices = calloc(MAX(c->zone_count, (size_t)1), sizeof(*indices));

	for (size_t i = 0; indices && i < c->zone_count; i++)
		indices[i] = (uint32_t)i;
	return indices;
}

/* What an expanded zone comes from, in parentheses. */
static const char *origin(const struct config_zone *zone, char out[ORIGIN_MAX])
{
	out[0] = '\0';
	if (zone->source_text)
		snprintf(out, ORIGIN_MAX, " (%s)", zone->source_text);
	return out;
}

static void report_twice(struct reading *r, const struct config_zone *first, const struct config_zone *again)
{
	char name[TEXT_NAME_MAX], from[ORIGIN_MAX], first_from[ORIGIN_MAX];
	struct yaml at = {.line = again->line, .column = again->column};

	reader_error(r, &at, "the zone `%s`%s is given twice; the first is in line %u, column %u%s", text_name(&again->name, name),
		     origin(again, from), first->line, first->column, origin(first, first_from));
}

static void refuse_duplicates(struct reading *r)
{
	const struct config *c = r->config;
	uint32_t *indices = all_indices(c);
	size_t first = 0;

	if (!indices) {
		diagnostics_no_memory(r->d);
		return;
	}
	qsort_r(indices, c->zone_count, sizeof(*indices), compare_zones, c->zones);
	for (size_t i = 1; i < c->zone_count; i++) {
		if (compare_octets(&c->zones[indices[first]], &c->zones[indices[i]]) != 0)
			first = i;
		else
			report_twice(r, &c->zones[indices[first]], &c->zones[indices[i]]);
	}
	free(indices);
}

void zones_read(struct reading *r, const struct yaml *key, void *config)
{
	(void)config;
	const struct yaml *list = reader_expect(r, key, YAML_LIST, "a list");

	if (!list)
		return;
	prepare_reserved(r);
	for (const struct yaml *item = list->first; item; item = item->next)
		read_entry(r, item);
	refuse_duplicates(r);
	warm_judge(r);
}

void zones_free(struct config *c)
{
	for (size_t i = 0; i < c->zone_count; i++)
		free(c->zones[i].source_text);
	free(c->zones);
	expect_free(c);
	warm_free(c);
}

/* As people read them: labels are compared as text, from the left. */
static int compare_length(const void *x, const void *y, void *zones)
{
	const struct name *a = &((const struct config_zone *)zones)[*(const uint32_t *)x].name;
	const struct name *b = &((const struct config_zone *)zones)[*(const uint32_t *)y].name;

	if (a->labels != b->labels)
		return a->labels > b->labels ? -1 : 1;
	for (unsigned i = 0; i < a->labels; i++) {
		const uint8_t *p = a->octets + a->at[i], *q = b->octets + b->at[i];
		int order = memcmp(p + 1, q + 1, MIN(p[0], q[0]));
		if (order != 0 || p[0] != q[0])
			return order != 0 ? order : p[0] < q[0] ? -1 : 1;
	}
	return 0;
}

uint32_t *zones_by_length(const struct config *c)
{
	uint32_t *indices = all_indices(c);

	if (indices)
		qsort_r(indices, c->zone_count, sizeof(*indices), compare_length, c->zones);
	return indices;
}
