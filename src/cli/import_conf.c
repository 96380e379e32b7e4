/* SPDX-License-Identifier: Apache-2.0 */
/* Zones are gathered from hosted zones and VPC endpoints, once each, and written in the shorthand where all names of a service are there.
 * A private zone that the VPC does not list is written all the same: Route 53 Profiles associate zones that no list shows, and without
 * its entry the name would go to the local upstreams, where nobody is to hear of it. The daemon's check of association tells whether it
 * was right. */
#include "cli/import_conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "cli/import_yaml.h"
#include "config/services.h"
#include "core/route.h"
#include "wire/text.h"

enum { COMMENT_MAX = 160, REGIONS_MAX = 64, ROUTE_MAX = CONFIG_MAX_TO * (ENDPOINTS_NAME_MAX + 8) };

/* Where zones go: the endpoints of one VPC. */
struct route {
	const char *vpc;    /* NULL: not known */
	char to[ROUTE_MAX]; /* what stands behind `to:` */
};

/* A zone as it will stand in the file. */
struct zone {
	struct name name;
	const char *comment;
	uint16_t route; /* index into draft.routes */
	bool guarded;	/* of a VPC endpoint's private DNS: expects private addresses */
	bool unlisted;	/* the account's own, but not among those that the VPC lists */
	bool folded;	/* said by the shorthand */
};

struct draft {
	struct import *import;
	struct import_join join;
	struct zone *zones; /* heap */
	size_t zone_count;
	bool full;		   /* IMPORT_CONF_ZONES: said once */
	struct route_table *table; /* zones by name: values are indices */
	struct route *routes;	   /* heap; [0]: of zones that are not known to be of a VPC */
	size_t route_count;
	char regions[REGIONS_MAX][SERVICES_REGION_MAX];
	size_t region_count;
	FILE *out;
};

static bool is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---- where zones go ---- */

static uint16_t add_route(struct draft *d, const char *vpc)
{
	struct route *route = &d->routes[d->route_count];
	char names[ROUTE_MAX] = "";
	struct strbuf s;
	unsigned count = 0;

	strbuf_init(&s, names, sizeof(names));
	for (size_t k = 0; k < d->join.count && count < CONFIG_MAX_TO; k++) {
		/* The first one, if none is known to be there. */
		if (!is_same(d->join.endpoints[k].vpc, vpc) && (vpc != NULL || k > 0))
			continue;
		char *quoted = import_yaml_word(d->join.endpoints[k].name);
		strbuf_addf(&s, "%s%s", count++ > 0 ? ", " : "", quoted);
		free(quoted);
	}
	route->vpc = vpc;
	strbuf_init(&s, route->to, sizeof(route->to));
	strbuf_addf(&s, "%s%s%s", count > 1 ? "[" : "", names, count > 1 ? "]" : "");
	return (uint16_t)d->route_count++;
}

/* Zones that belong to no VPC in particular: to the endpoints in the first one's VPC. */
static void add_default_route(struct draft *d)
{
	const struct import_join *j = &d->join;
	bool one_vpc = true;

	for (size_t k = 1; k < j->count; k++)
		one_vpc = one_vpc && is_same(j->endpoints[k].vpc, j->endpoints[0].vpc);
	if (!one_vpc)
		import_note(d->import,
			    "the endpoints are in several VPCs, and a list of zones does not say whose it is: they go to %s, look at "
			    "each `to`",
			    j->endpoints[0].name);
	if (j->count == 0)
		import_note(d->import, "there is no inbound endpoint with addresses: zones are written as comments");
	add_route(d, j->count > 0 ? j->endpoints[0].vpc : NULL);
}

/* The route for a VPC's zones; -1 when no endpoint is in it. */
static int route_of_vpc(struct draft *d, const char *vpc)
{
	bool unknown = d->join.count == 0;

	if (vpc == NULL)
		return 0;
	for (size_t k = 0; k < d->route_count; k++)
		if (is_same(d->routes[k].vpc, vpc))
			return (int)k;
	for (size_t k = 0; k < d->join.count; k++) {
		if (is_same(d->join.endpoints[k].vpc, vpc))
			return add_route(d, vpc);
		unknown = unknown || d->join.endpoints[k].vpc == NULL;
	}
	return unknown ? 0 : -1;
}

/* ---- zones ---- */

/* Route 53 writes octets as octal \ooo, DNS as decimal \ddd. */
static bool read_name(struct name *n, const char *text)
{
	char converted[TEXT_NAME_MAX];
	struct strbuf s;

	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	else if (strncmp(text, "\\052.", 5) == 0)
		text += 5;
	strbuf_init(&s, converted, sizeof(converted));
	for (; *text != '\0' && !s.cut; text++) {
		if (*text == '\\' && strspn(text + 1, "01234567") >= 3 && text[1] <= '3') {
			strbuf_addf(&s, "\\%03d", (text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
			text += 3;
		} else {
			strbuf_addf(&s, "%c", *text);
		}
	}
	return !s.cut && text_read_name(n, converted) == 0;
}

static bool takes_zone(struct import *i, const struct name *n)
{
	char why[SCREEN_CELL_MAX], text[TEXT_NAME_MAX], *quoted = import_yaml_word(text_name(n, text));
	bool taken = import_yaml_takes(why, "zones: [{name: %s, to: local}]\n", quoted);

	free(quoted);
	if (!taken)
		import_note(i, "the zone %s is left out: %s", text, why);
	return taken;
}

/* The labels of service names that are regions tell where to look for services. */
static void note_region(struct draft *d, const char *region)
{
	struct services_region suffixes;

	if (!services_read_region(region, &suffixes))
		return;
	for (size_t k = 0; k < d->region_count; k++)
		if (strcmp(d->regions[k], region) == 0)
			return;
	if (d->region_count < REGIONS_MAX)
		snprintf(d->regions[d->region_count++], SERVICES_REGION_MAX, "%s", region);
}

static void note_regions(struct draft *d, const char *text)
{
	char label[SERVICES_REGION_MAX];

	for (; text != NULL && *text != '\0'; text += *text == '.') {
		size_t len = strcspn(text, ".");
		if (len < sizeof(label)) {
			memcpy(label, text, len);
			label[len] = '\0';
			note_region(d, label);
		}
		text += len;
	}
}

/* The zone of this very name; NULL without one. */
static struct zone *find_zone(const struct draft *d, const struct name *n)
{
	int at = route_find(d->table, n);

	return at != ROUTE_NONE && name_equal(&d->zones[at].name, n) ? &d->zones[at] : NULL;
}

static bool has_no_room(struct draft *d)
{
	if (d->zone_count < IMPORT_CONF_ZONES)
		return false;
	if (!d->full)
		import_note(d->import, "more than %d zones: the rest is left out", IMPORT_CONF_ZONES);
	d->full = true;
	return true;
}

/* Adds a zone, unless it is there. NULL if it is no name, or none that can be routed. */
static struct zone *add_zone(struct draft *d, const char *text, uint16_t route)
{
	char name[TEXT_NAME_MAX];
	struct name n;

	if (text == NULL || !read_name(&n, text)) {
		import_note(d->import, "a zone called %.64s is left out: that is no domain name", text != NULL ? text : "nothing");
		return NULL;
	}
	if (n.labels == 0) {
		import_note(d->import, "the zone . is left out: every name would go to the endpoint; if that is meant, write it by hand");
		return NULL;
	}
	struct zone *there = find_zone(d, &n);
	if (there != NULL || has_no_room(d) || !takes_zone(d->import, &n))
		return there;
	if ((d->zone_count & (d->zone_count - 1)) == 0)
		d->zones = reallocarray(d->zones, d->zone_count == 0 ? 1 : 2 * d->zone_count, sizeof(*d->zones));
	ASSERT(d->zones != NULL);
	int error = route_table_add(d->table, &n, (int)d->zone_count);
	ASSERT(error == 0);
	note_regions(d, text_name(&n, name));
	struct zone *zone = &d->zones[d->zone_count++];
	*zone = (struct zone){.name = n, .route = route};
	return zone;
}

/* What a VPC sees comes first: then an account's own zones are doubtful if they are not among these. */
static void add_hosted_zones(struct draft *d)
{
	struct import *i = d->import;

	for (int of_vpc = 1; of_vpc >= 0; of_vpc--)
		for (size_t k = 0; k < i->zone_count; k++) {
			size_t before = d->zone_count;
			struct zone *zone = i->zones[k].of_vpc == of_vpc ? add_zone(d, i->zones[k].name, 0) : NULL;
			if (zone == NULL)
				continue;
			if (zone->comment == NULL)
				zone->comment = i->zones[k].comment;
			if (d->zone_count == before || of_vpc || !i->vpc_zones_known)
				continue;
			zone->unlisted = true;
			import_note(i,
				    "%s is private, but not among the zones that the VPC lists: is it associated, perhaps by a Route 53 "
				    "Profile?",
				    i->zones[k].name);
		}
}

/* ---- VPC endpoints ---- */

/* The private names of an endpoint; those that hold `.vpce.` are its own and resolve everywhere. Returns how many there were. */
static unsigned add_private_names(struct draft *d, const struct import_vpc_endpoint *v, uint16_t route)
{
	const json_t *entry;
	unsigned names = 0;
	size_t k;

	json_array_foreach (v->entries, k, entry) {
		const char *name = json_string_value(json_object_get(entry, "DnsName"));
		if (name == NULL || strstr(name, ".vpce.") != NULL)
			continue;
		struct zone *zone = add_zone(d, name, route);
		if (zone == NULL)
			continue;
		zone->guarded = true;
		zone->unlisted = false;
		zone->comment = zone->comment != NULL ? zone->comment : v->id;
		names++;
	}
	return names;
}

/* The service and the region of "com.amazonaws.ap-northeast-2.ecr.dkr"; NULL for one that is not known. */
static const struct service *service_of(const struct import_vpc_endpoint *v, char region[SERVICES_REGION_MAX],
					struct services_region *suffixes)
{
	for (const char *at = v->service, *dot; at != NULL && (dot = strchr(at, '.')) != NULL; at = dot + 1) {
		size_t len = (size_t)(dot - at);
		if (len >= SERVICES_REGION_MAX)
			continue;
		memcpy(region, at, len);
		region[len] = '\0';
		if (services_read_region(region, suffixes))
			return services_find(dot + 1);
	}
	return NULL;
}

/* How many of the names that its service stands for are zones already; *all: how many there are. */
static unsigned count_names(const struct draft *d, const struct import_vpc_endpoint *v, unsigned *all)
{
	char region[SERVICES_REGION_MAX], apex[SERVICES_APEX_MAX];
	struct services_region suffixes;
	const struct service *service = service_of(v, region, &suffixes);
	const char *at = service != NULL ? service->apexes : "";
	unsigned there = 0;
	struct name n;

	for (*all = 0; *at != '\0' && services_next_apex(&at, region, &suffixes, apex); ++*all)
		there += text_read_name(&n, apex) == 0 && find_zone(d, &n) != NULL;
	return there;
}

static bool has_hosted_zone(const struct draft *d, const struct import_vpc_endpoint *v)
{
	unsigned all;

	return count_names(d, v, &all) > 0;
}

static void note_part(struct draft *d, const struct import_vpc_endpoint *v, const char *id)
{
	unsigned all, there = count_names(d, v, &all);

	if (there > 0 && there < all)
		import_note(d->import, "%s (%s) names %u of the %u zones that the service has elsewhere: written one by one", id,
			    v->service, there, all);
}

static void add_vpc_endpoints(struct draft *d)
{
	struct import *i = d->import;

	for (size_t k = 0; k < i->vpc_endpoint_count; k++) {
		const struct import_vpc_endpoint *v = &i->vpc_endpoints[k];
		const char *id = v->id != NULL ? v->id : "a VPC endpoint", *service = v->service != NULL ? v->service : "a service";
		int route = route_of_vpc(d, v->vpc);
		note_regions(d, v->service);
		if (v->state != NULL && strcasecmp(v->state, "available") != 0)
			import_note(i, "%s (%s) is %s: left out", id, service, v->state);
		else if (!v->private_dns && has_hosted_zone(d, v))
			continue;
		else if (!v->private_dns)
			import_note(i, "%s (%s) has no private DNS: its names are private only where a hosted zone says so", id, service);
		else if (route < 0)
			import_note(i, "%s (%s) is in the VPC %s, where no inbound endpoint is: left out", id, service, v->vpc);
		else if (add_private_names(d, v, (uint16_t)route) == 0)
			import_note(i, "%s (%s) names no private name: left out", id, service);
		else
			note_part(d, v, id);
	}
}

/* ---- the shorthand ---- */

/* All zones of a service are there, go the same way, and none is said already. */
static bool is_whole(const struct draft *d, const struct service *s, const char *region, const struct services_region *suffixes, int *route)
{
	const char *at = s->apexes;
	char apex[SERVICES_APEX_MAX];

	*route = -1;
	if (s->kind == SERVICE_REFUSED || (s->kind == SERVICE_AWS_ONLY && strcmp(suffixes->partition, "aws") != 0))
		return false;
	/* A name without the region in it is found once. */
	if (strstr(s->apexes, "{r}") == NULL)
		return false;
	while (services_next_apex(&at, region, suffixes, apex)) {
		struct name n;
		if (text_read_name(&n, apex) != 0)
			return false;
		const struct zone *zone = find_zone(d, &n);
		if (zone == NULL || zone->folded || (*route >= 0 && zone->route != *route))
			return false;
		*route = zone->route;
	}
	return *route >= 0;
}

static void fold(struct draft *d, const struct service *s, const char *region, const struct services_region *suffixes)
{
	const char *at = s->apexes;
	char apex[SERVICES_APEX_MAX];
	struct name n;

	while (services_next_apex(&at, region, suffixes, apex))
		if (text_read_name(&n, apex) == 0)
			find_zone(d, &n)->folded = true;
}

/* One entry of the shorthand: a region's services that go one way. Returns how many there are. */
static unsigned write_services(struct draft *d, const char *region, int wanted)
{
	struct services_region suffixes;
	unsigned written = 0;
	size_t count;
	const struct service *all = services(&count);

	if (!services_read_region(region, &suffixes))
		return 0;
	for (size_t k = 0; k < count; k++) {
		int route;
		if (!is_whole(d, &all[k], region, &suffixes, &route) || route != wanted)
			continue;
		if (written++ == 0)
			fprintf(d->out, "%s- {vpc-endpoints: {region: %s, services: [", d->join.count > 0 ? "  " : "  # ", region);
		fprintf(d->out, "%s%s", written > 1 ? ", " : "", all[k].id);
		fold(d, &all[k], region, &suffixes);
	}
	if (written > 0)
		fprintf(d->out, "]}, to: %s}\n", d->join.count > 0 ? d->routes[wanted].to : "ENDPOINT");
	return written;
}

/* ---- writing ---- */

/* As much of a text as a comment may hold, in whole characters. */
static const char *shorten(const char *text, char cell[SCREEN_CELL_MAX])
{
	size_t len = MIN(strlen(screen_safe(text, cell)), (size_t)COMMENT_MAX);

	while (((unsigned char)cell[len] & 0xc0) == 0x80)
		len--;
	cell[len] = '\0';
	return cell;
}

/* Those of the texts that are there, behind whatever stands on the line. */
static void write_comment(FILE *out, const char *const *texts, size_t count)
{
	char cell[SCREEN_CELL_MAX];
	const char *before = "  # ";

	for (size_t k = 0; k < count; k++) {
		if (texts[k] == NULL || *texts[k] == '\0')
			continue;
		fprintf(out, "%s%s", before, shorten(texts[k], cell));
		before = ", ";
	}
	fputc('\n', out);
}

static void write_address(const struct draft *d, const struct import_join_endpoint *e, size_t k)
{
	const struct import_address *a = e->addresses[k];
	char *ip = import_yaml_word(a->ip), *az = e->azs[k] != NULL ? import_yaml_word(e->azs[k]) : NULL;

	if (az != NULL)
		fprintf(d->out, "      - {ip: %s, az: %s}", ip, az);
	else
		fprintf(d->out, "      - %s", ip);
	write_comment(d->out, &a->status, 1);
	if (a->ip6 != NULL) {
		char cell[SCREEN_CELL_MAX];
		fprintf(d->out, "      # the same interface has the address %s\n", shorten(a->ip6, cell));
	}
	free(ip);
	free(az);
}

static void write_endpoint(const struct draft *d, const struct import_join_endpoint *e)
{
	char *name = import_yaml_word(e->name);
	bool well = e->status == NULL || strcmp(e->status, "OPERATIONAL") == 0;
	const char *const about[] = {e->id, e->vpc, e->status, well ? NULL : e->message};
	unsigned without_az = 0;

	fprintf(d->out, "  %s:", name);
	write_comment(d->out, about, ARRAY_SIZE(about));
	fputs("    addresses:\n", d->out);
	for (size_t k = 0; k < e->count; k++) {
		without_az += e->azs[k] == NULL;
		write_address(d, e, k);
	}
	if (without_az > 0)
		import_note(d->import, "%s: the AZ of %u address%s is not known (aws ec2 describe-subnets has it)", e->name, without_az,
			    without_az == 1 ? "" : "es");
	free(name);
}

static void write_zone(const struct draft *d, const struct zone *zone)
{
	const char *const about[] = {zone->comment, zone->unlisted ? "not among the zones that the VPC lists" : NULL};
	char text[TEXT_NAME_MAX], *name = import_yaml_word(text_name(&zone->name, text));

	fprintf(d->out, "  %s- {name: %s, to: %s%s}", d->join.count > 0 ? "" : "# ", name,
		d->join.count > 0 ? d->routes[zone->route].to : "ENDPOINT", zone->guarded ? ", expect: private, guard: warn" : "");
	write_comment(d->out, about, ARRAY_SIZE(about));
	free(name);
}

static void write_zones(struct draft *d)
{
	unsigned services_written = 0;
	size_t left = 0;

	fprintf(d->out, "\nzones:%s\n", d->join.count == 0 || d->zone_count == 0 ? " []" : "");
	for (size_t region = 0; region < d->region_count; region++)
		for (size_t route = 0; route < d->route_count; route++)
			services_written += write_services(d, d->regions[region], (int)route);
	for (size_t k = 0; k < d->zone_count; k++) {
		if (d->zones[k].folded)
			continue;
		if (left++ == 0 && services_written > 0)
			fputs("  # one by one\n", d->out);
		write_zone(d, &d->zones[k]);
	}
}

/* Returns how many there are. */
static size_t write_local(const struct draft *d)
{
	struct import *i = d->import;
	char text[ADDR_TEXT_MAX], why[SCREEN_CELL_MAX];
	size_t written = 0;

	for (size_t k = 0; k < i->resolv.count; k++) {
		addr_format_ip(&i->resolv.servers[k], text);
		if (!import_yaml_takes(why, "zones: []\nlocal-upstreams: [\"%s\"]\n", text)) {
			import_note(i, "the nameserver %s is left out: %s", text, why);
			continue;
		}
		if (strcmp(text, "127.0.0.53") == 0)
			import_note(i, "127.0.0.53 is systemd-resolved's stub: /run/systemd/resolve/resolv.conf has the servers behind it");
		fprintf(d->out, "%s\"%s\"", written++ > 0 ? ", " : "\nlocal-upstreams: [", text);
	}
	fputs(written > 0 ? "]\n" : "", d->out);
	return written;
}

/* Returns false when there was nothing to write. */
static bool write_all(struct draft *d)
{
	size_t addresses = 0;

	fputs("# zones.conf, written by `r53fwd import`. Before it serves: r53fwd check --zones FILE\n", d->out);
	for (size_t k = 0; k < d->join.count; k++) {
		fputs(k == 0 ? "\ninbound-endpoints:\n" : "", d->out);
		write_endpoint(d, &d->join.endpoints[k]);
		addresses += d->join.endpoints[k].count;
	}
	write_zones(d);
	size_t zones = d->join.count > 0 ? d->zone_count : 0, upstreams = write_local(d);
	import_note(d->import, "written: %zu inbound endpoint%s with %zu addresses, %zu zones, %zu local upstreams", d->join.count,
		    d->join.count == 1 ? "" : "s", addresses, zones, upstreams);
	return d->join.count + d->zone_count + upstreams > 0;
}

bool import_conf_write(struct import *i, const struct import_join_ids *ids, FILE *out)
{
	struct draft d = {.import = i, .out = out};
	bool written = import_join(&d.join, i, ids);

	/* A route for each VPC with an endpoint, and the default one. */
	d.routes = calloc(d.join.count + 1, sizeof(*d.routes));
	d.table = route_table_new(i->zone_count + 1);
	ASSERT(d.routes && d.table);
	if (written) {
		add_default_route(&d);
		add_hosted_zones(&d);
		add_vpc_endpoints(&d);
		written = write_all(&d);
	}
	route_table_free(d.table);
	import_join_deinit(&d.join);
	free(d.routes);
	free(d.zones);
	return written;
}
