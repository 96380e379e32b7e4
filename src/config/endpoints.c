/* SPDX-License-Identifier: Apache-2.0 */
#include "config/endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"

/* AWS's usual size of an inbound endpoint; its source ports are bounded because an ENI tracks pairs, which a company's own server does
 * not, so the local upstreams get more room to hide a question in. */
enum { USUAL_MIN_ADDRESSES = 2, USUAL_MAX_ADDRESSES = 6, LOCAL_SOURCE_PORTS = 4096 };

/* The long form of an address. */
struct long_form {
	const struct yaml *ip, *port, *az;
};

static void take_ip(struct reading *r, const struct yaml *key, void *into)
{
	((struct long_form *)into)->ip = reader_expect(r, key, YAML_WORD, "an address");
}

static void take_port(struct reading *r, const struct yaml *key, void *into)
{
	(void)r;
	((struct long_form *)into)->port = key;
}

static void take_az(struct reading *r, const struct yaml *key, void *into)
{
	((struct long_form *)into)->az = reader_expect(r, key, YAML_WORD, "the name of an AZ");
}

static const struct reader long_form_readers[] = {{"ip", take_ip}, {"port", take_port}, {"az", take_az}, {NULL, NULL}};
static const struct reader_shape long_form_shape = {"an address", SECTIONS, 0, long_form_readers};

/* Names end up in tables, labels of metrics and messages: letters, digits, `-`, `_`, `.` and all that is not ASCII. */
static bool is_name(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t len = 0;

	for (; text[len] != '\0'; len++)
		if ((unsigned char)text[len] < 0x80 && !strchr(plain, text[len]))
			return false;
	return len > 0 && len <= ENDPOINTS_NAME_MAX;
}

/* What cannot be sent to, as the end of a sentence; NULL when it can. */
static const char *unusable(const struct addr *a)
{
	const struct in6_addr *ip6 = &a->in6.sin6_addr;

	if (addr_is_any(a))
		return "is no address of a server";
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >= 0xe0000000u ? "is a multicast or reserved address" : NULL;
	if (IN6_IS_ADDR_MULTICAST(ip6))
		return "is a multicast address";
	if (IN6_IS_ADDR_V4MAPPED(ip6))
		return "is an IPv4 address in IPv6's clothes: write it as IPv4";
	return IN6_IS_ADDR_LINKLOCAL(ip6) && a->in6.sin6_scope_id == 0 ? "is link-local: name its interface, as in fe80::1%eth0" : NULL;
}

/* A datagram to `a` would come in at `own`: it is the same socket address, or a loopback one of a wildcard's port. */
static bool comes_back(const struct addr *a, const struct addr *own)
{
	if (addr_equal(a, own))
		return true;
	return addr_is_any(own) && own->sa.sa_family == a->sa.sa_family && addr_port(own) == addr_port(a) && addr_is_loopback(a);
}

/* Says what is wrong with this address in this endpoint; true when nothing is. */
static bool check_address(struct reading *r, const struct yaml *at, const struct config_endpoint *e, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	const char *reason = unusable(a);

	addr_format(a, text);
	if (reason) {
		reader_error(r, at, "`%s` %s", addr_format_ip(a, text), reason);
		return false;
	}
	for (size_t i = 0; i < e->count; i++) {
		if (!addr_equal(&e->addresses[i].addr, a))
			continue;
		reader_error(r, at, "the address `%s` is given twice in this endpoint", text);
		return false;
	}
	for (size_t i = 0; i < r->config->listen_count; i++) {
		if (!comes_back(a, &r->config->listen[i]))
			continue;
		reader_error(r, at, "`%s` is where we listen ourselves: queries would go round in a loop", text);
		return false;
	}
	return true;
}

/* Takes the long form apart; sets *az when it names one. */
static bool read_long_form(struct reading *r, const struct yaml *member, uint16_t port, struct addr *a, const char **az)
{
	struct long_form form = {0};
	struct config_endpoint_options options = {.port = port};
	const struct config_option *port_row = option_find(SECTION_endpoint, "port");
	char shown[READER_SHOWN_MAX], expects[OPTION_TEXT_MAX];

	if (!reader_map(r, member, "an address", &long_form_shape, &form))
		return false;
	const struct yaml *value = form.port ? form.port->value : NULL;
	if (value && value->kind != YAML_REFUSED && (value->kind != YAML_WORD || !option_read(port_row, value->text, &options)))
		reader_error(r, value, "`port` must be %s, not %s", option_expects(port_row, expects), reader_shown(value, shown));
	if (form.az && !is_name(form.az->text))
		reader_error(r, form.az, "`az` must be the name of an AZ, not %s", reader_shown(form.az, shown));
	else if (form.az)
		*az = form.az->text;
	if (!form.ip) {
		if (!yaml_tree_find(member, "ip"))
			reader_error(r, member, "this address has no `ip`");
		return false;
	}
	if (!reader_address(r, form.ip, (uint16_t)options.port, "an IP address", a))
		return false;
	if (form.port && addr_port(a) != options.port)
		reader_error(r, form.ip, "%s has a port of its own, and `port` says another", reader_shown(form.ip, shown));
	return true;
}

static void read_address(struct reading *r, const struct yaml *member, struct config_endpoint *e)
{
	static const char expected[] = "an address (IP, IP:PORT, [IP6]:PORT or {ip, port, az})";
	uint16_t port = (uint16_t)e->options.port;
	const char *az = NULL;
	struct addr a;

	if (member->kind == YAML_MAP) {
		if (!read_long_form(r, member, port, &a, &az))
			return;
	} else {
		if (!reader_member(r, member, expected) || !reader_address(r, member, port, expected, &a))
			return;
	}
	if (check_address(r, member, e, &a))
		e->addresses[e->count++] = (struct config_address){a, az ? reader_copy(r, az) : NULL};
}

static void read_addresses(struct reading *r, const struct yaml *key, void *into)
{
	const struct yaml *list = reader_expect_list(r, key, 1, CONFIG_MAX_ADDRESSES);

	for (const struct yaml *member = list ? list->first : NULL; member; member = member->next)
		read_address(r, member, into);
}

static const struct reader no_readers[] = {{NULL, NULL}};
static const struct reader_shape probe_shape = {"`probe`", SECTION_probe, 0, no_readers};

static void read_probe(struct reading *r, const struct yaml *key, void *into)
{
	reader_section(r, key, &probe_shape, &((struct config_endpoint *)into)->probe);
}

static const struct reader endpoint_readers[] = {{"addresses", read_addresses}, {"probe", read_probe}, {NULL, NULL}};
static const struct reader_shape endpoint_shape = {"an endpoint", SECTION_endpoint, offsetof(struct config_endpoint, options),
						   endpoint_readers};

static void check_prefer_az(struct reading *r, const struct yaml *map, const struct config_endpoint *e)
{
	const struct yaml *key = yaml_tree_find(map, "prefer-az");
	char hint[SUGGEST_TEXT_MAX];
	struct suggest nearest;

	if (!e->options.prefer_az || !key)
		return;
	suggest_init(&nearest, e->options.prefer_az);
	for (size_t i = 0; i < e->count; i++) {
		const char *az = e->addresses[i].az;
		if (az && strcmp(az, e->options.prefer_az) == 0)
			return;
		if (az)
			suggest_offer(&nearest, az);
	}
	reader_error(r, key->value, "no address of this endpoint is in the AZ `%.64s`%s", e->options.prefer_az,
		     suggest_hint(&nearest, hint));
}

/* What AWS would let one build, but advises against. */
static void warn_of_shape(struct reading *r, const struct yaml *list, const struct config_endpoint *e)
{
	const char *az = e->count > 1 ? e->addresses[0].az : NULL;
	bool one_az = az != NULL;

	if (e->count < USUAL_MIN_ADDRESSES)
		reader_warning(r, list, "one address only: an inbound endpoint has at least two, name them all");
	else if (e->count > USUAL_MAX_ADDRESSES)
		reader_warning(r, list, "%zu addresses: an inbound endpoint has %d at most unless AWS raised the quota", e->count,
			       USUAL_MAX_ADDRESSES);
	for (size_t i = 1; i < e->count && one_az; i++)
		one_az = e->addresses[i].az && strcmp(e->addresses[i].az, az) == 0;
	if (one_az)
		reader_warning(r, list, "all addresses are in the AZ `%s`: when it fails, the whole endpoint does", az);
}

static void give_back(struct config_endpoint *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->addresses[i].az);
	option_free_texts(SECTION_endpoint, &e->options);
	option_free_texts(SECTION_probe, &e->probe);
	free(e->addresses);
	free(e->name);
}

/* Adds one with its defaults, where there is room for it; NULL without memory. */
static struct config_endpoint *add(struct reading *r, struct config *c, const char *name, enum config_endpoint_kind kind, unsigned line)
{
	struct config_endpoint *e = &c->endpoints[c->endpoint_count];

	*e = (struct config_endpoint){.name = reader_copy(r, name), .kind = kind, .line = line};
	e->addresses = reader_allocate(r, CONFIG_MAX_ADDRESSES, sizeof(*e->addresses));
	if (e->name && e->addresses && option_set_defaults(SECTION_endpoint, &e->options) &&
	    option_set_defaults(SECTION_probe, &e->probe)) {
		c->endpoint_count++;
		return e;
	}
	diagnostics_no_memory(r->d);
	give_back(e);
	return NULL;
}

static void read_endpoint(struct reading *r, const struct yaml *key, struct config_endpoint *e)
{
	char shown[READER_SHOWN_MAX];

	if (!reader_section(r, key, &endpoint_shape, e))
		return;
	const struct yaml *addresses = yaml_tree_find(key->value, "addresses");
	if (!addresses)
		reader_error(r, key, "the endpoint %s has no `addresses`", reader_shown(key, shown));
	check_prefer_az(r, key->value, e);
	/* An address that was refused says more than a warning about those that are left. */
	if (addresses && e->kind == ENDPOINT_INBOUND && e->count > 0 && e->count == addresses->value->count)
		warn_of_shape(r, addresses->value, e);
}

/* Says what is wrong with an endpoint's name; true when nothing is. */
static bool check_name(struct reading *r, const struct yaml *key)
{
	char shown[READER_SHOWN_MAX];
	int other;

	if (!is_name(key->text)) {
		reader_error(r, key, "%s is no name for an endpoint: 1 to %d letters, digits, `-`, `_`, `.`", reader_shown(key, shown),
			     ENDPOINTS_NAME_MAX);
		return false;
	}
	other = endpoints_find(r->config, key->text);
	if (other == 0)
		reader_error(r, key, "`local` is the name of the local upstreams: call this one otherwise");
	else if (other > 0)
		reader_error(r, key, "%s is given twice; the first is in line %u", reader_shown(key, shown),
			     r->config->endpoints[other].line);
	return other < 0;
}

static void read_endpoints(struct reading *r, const struct yaml *key, enum config_endpoint_kind kind)
{
	const struct yaml *map = reader_expect(r, key, YAML_MAP, "a map of names");
	struct config *c = r->config;

	if (!map) {
		r->endpoints_wrong = true;
		return;
	}
	if (c->endpoint_count + map->count > ENDPOINTS_MAX) {
		reader_error(r, map, "more than %d endpoints", ENDPOINTS_MAX);
		r->endpoints_wrong = true;
		return;
	}
	struct config_endpoint *grown = reallocarray(c->endpoints, c->endpoint_count + map->count, sizeof(*grown));
	if (!grown) {
		diagnostics_no_memory(r->d);
		r->endpoints_wrong = true;
		return;
	}
	c->endpoints = grown;
	for (const struct yaml *name = map->first; name; name = name->next) {
		if (!check_name(r, name))
			continue;
		struct config_endpoint *e = add(r, c, name->text, kind, name->line);
		if (e)
			read_endpoint(r, name, e);
	}
}

void endpoints_read_inbound(struct reading *r, const struct yaml *key, void *config)
{
	(void)config;
	read_endpoints(r, key, ENDPOINT_INBOUND);
}

void endpoints_read_resolvers(struct reading *r, const struct yaml *key, void *config)
{
	(void)config;
	read_endpoints(r, key, ENDPOINT_RESOLVERS);
}

void endpoints_read_local(struct reading *r, const struct yaml *key, void *config)
{
	struct config_endpoint *local = &((struct config *)config)->endpoints[0];

	r->config->local_from_resolv = false;
	local->line = key->line;
	read_addresses(r, key, local);
}

bool endpoints_add_local(struct reading *r, struct config *c)
{
	c->endpoints = reader_allocate(r, 1, sizeof(*c->endpoints));
	if (!c->endpoints || !add(r, c, "local", ENDPOINT_LOCAL, 0))
		return false;
	c->endpoints[0].options.source_ports = LOCAL_SOURCE_PORTS;
	c->local_from_resolv = true;
	return true;
}

int endpoints_find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		if (strcmp(c->endpoints[i].name, name) == 0)
			return (int)i;
	return -1;
}

void endpoints_warn_unused(struct reading *r, const struct yaml *root)
{
	static const char *const maps[] = {"inbound-endpoints", "resolvers"};
	const struct config *c = r->config;
	bool *used = reader_allocate(r, c->endpoint_count, sizeof(*used));

	if (!used)
		return;
	for (size_t i = 0; i < c->zone_count; i++)
		for (size_t j = 0; j < c->zones[i].to_count; j++)
			used[c->zones[i].to[j]] = true;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		const struct yaml *key = yaml_tree_find(root, maps[i]);
		const struct yaml *name = key && key->value->kind == YAML_MAP ? key->value->first : NULL;
		for (; name; name = name->next) {
			int index = endpoints_find(c, name->text);
			if (index > 0 && !used[index])
				reader_warning(r, name, "no zone goes to `%.64s`", name->text);
		}
	}
	free(used);
}

void endpoints_free(struct config *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		give_back(&c->endpoints[i]);
	free(c->endpoints);
}
