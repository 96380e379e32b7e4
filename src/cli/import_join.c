/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/import_join.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "cli/import_yaml.h"

static bool is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---- endpoints ---- */

static const struct import_endpoint *find_endpoint(const struct import *i, const char *id)
{
	for (size_t k = 0; k < i->endpoint_count; k++)
		if (is_same(i->endpoints[k].id, id))
			return &i->endpoints[k];
	return NULL;
}

static bool is_usable(const struct import_endpoint *e)
{
	return e->inbound && e->do53 && e->id != NULL;
}

/* The only inbound endpoint there is (in `vpc`, unless that is NULL); NULL when there are more, or none; *count says which. */
static const struct import_endpoint *only_endpoint(const struct import *i, const char *vpc, size_t *count)
{
	const struct import_endpoint *found = NULL;

	*count = 0;
	for (size_t k = 0; k < i->endpoint_count; k++) {
		const struct import_endpoint *e = &i->endpoints[k];
		/* The same one may stand in a list and alone. */
		if (!is_usable(e) || (vpc != NULL && !is_same(e->vpc, vpc)) || find_endpoint(i, e->id) != e)
			continue;
		found = e;
		++*count;
	}
	return *count == 1 ? found : NULL;
}

static const struct import_subnet *find_subnet(const struct import *i, const char *id)
{
	for (size_t k = 0; k < i->subnet_count; k++)
		if (is_same(i->subnets[k].id, id))
			return &i->subnets[k];
	return NULL;
}

/* The VPC that all known subnets of a list's addresses are in; NULL if they are in several or in none that is known. */
static const char *vpc_of_list(const struct import *i, unsigned list)
{
	const char *vpc = NULL;

	for (size_t k = 0; k < i->address_count; k++) {
		const struct import_subnet *s = i->addresses[k].list == list ? find_subnet(i, i->addresses[k].subnet) : NULL;
		if (s == NULL || s->vpc == NULL)
			continue;
		if (vpc != NULL && !is_same(vpc, s->vpc))
			return NULL;
		vpc = s->vpc;
	}
	return vpc;
}

/* Letters of a name that zones.conf takes for an endpoint; what it does not becomes a hyphen. Unlike all names before it. */
static void name_entry(struct import_join *j, struct import_join_endpoint *e, const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	char base[ENDPOINTS_NAME_MAX - 15];
	size_t len = 0;

	if (name == NULL || *name == '\0')
		name = e->id != NULL && *e->id != '\0' ? e->id : "inbound";
	for (; *name != '\0' && len < sizeof(base) - 1; name++) {
		bool taken = strchr(plain, *name) != NULL;
		if (taken || (len > 0 && base[len - 1] != '-'))
			base[len++] = taken ? *name : '-';
	}
	while (len > 0 && base[len - 1] == '-')
		len--;
	base[len] = '\0';
	if (len == 0)
		snprintf(base, sizeof(base), "inbound");
	snprintf(e->name, sizeof(e->name), "%s%s", base, strcmp(base, "local") == 0 ? "-endpoint" : "");
	for (unsigned number = 2, unique = 0; !unique; number++) {
		unique = 1;
		for (size_t k = 0; k < j->count && unique; k++)
			unique = &j->endpoints[k] == e || strcmp(j->endpoints[k].name, e->name) != 0;
		if (!unique)
			snprintf(e->name, sizeof(e->name), "%s-%u", base, number % 10000);
	}
}

/* The entry of an endpoint, made at its first mention. `known` NULL: nothing but the id is known, if that. */
static struct import_join_endpoint *entry_of(struct import_join *j, const struct import_endpoint *known, const char *id)
{
	for (size_t k = 0; k < j->count; k++)
		if (known != NULL ? is_same(j->endpoints[k].id, known->id) : j->endpoints[k].id == id || is_same(j->endpoints[k].id, id))
			return &j->endpoints[k];
	struct import_join_endpoint *e = &j->endpoints[j->count++];
	*e = (struct import_join_endpoint){.id = id};
	if (known != NULL)
		*e = (struct import_join_endpoint){
			.id = known->id,
			.vpc = known->vpc,
			.status = known->status,
			.message = known->message,
			.expected = known->addresses,
		};
	name_entry(j, e, known != NULL ? known->name : NULL);
	return e;
}

/* Which endpoint the list of addresses is of; NULL when that cannot be known. */
static struct import_join_endpoint *entry_of_list(struct import_join *j, struct import *i, unsigned list, const struct import_join_ids *ids)
{
	const struct import_endpoint *known;
	size_t count;

	if (ids->count > 0) {
		const char *id = ids->ids[MIN((size_t)list, ids->count - 1)];
		known = find_endpoint(i, id);
		return entry_of(j, known, id);
	}
	known = only_endpoint(i, NULL, &count);
	if (known == NULL && count > 1) {
		const char *vpc = vpc_of_list(i, list);
		size_t in_vpc;
		known = vpc != NULL ? only_endpoint(i, vpc, &in_vpc) : NULL;
	}
	if (known == NULL && count > 1)
		import_note(i, "list %u of addresses could be of any of %zu inbound endpoints: left out; say --endpoint ID for each list",
			    list + 1, count);
	else if (known == NULL && i->endpoint_count > 0)
		import_note(i, "list %u of addresses is of none of the endpoints that can be asked: left out", list + 1);
	else
		return entry_of(j, known, NULL);
	return NULL;
}

/* ---- addresses ---- */

static bool has_address(const struct import_join_endpoint *e, const struct import_address *a)
{
	for (size_t k = 0; k < e->count; k++)
		if (is_same(e->addresses[k]->ip, a->ip))
			return true;
	return false;
}

static bool takes_address(struct import *i, const char *ip)
{
	char why[SCREEN_CELL_MAX], *quoted = import_yaml_word(ip);
	bool taken = import_yaml_takes(why, "zones: []\ninbound-endpoints: {e: {addresses: [{ip: %s}]}}\n", quoted);

	free(quoted);
	if (!taken)
		import_note(i, "the address %.64s is left out: %s", ip, why);
	return taken;
}

/* States in which an address answers nobody and will not again. */
static bool is_gone(const char *status)
{
	static const char *const states[] = {
		"DELETING", "DETACHING", "REMAP_DETACHING", "FAILED_CREATION", "FAILED_RESOURCE_GONE", "DELETE_FAILED_FAS_EXPIRED"};

	for (size_t k = 0; k < ARRAY_SIZE(states); k++)
		if (is_same(status, states[k]))
			return true;
	return false;
}

/* The AZ of the address's subnet, if zones.conf takes it. */
static const char *az_of(struct import *i, const struct import_address *a)
{
	const struct import_subnet *subnet = find_subnet(i, a->subnet);
	char why[SCREEN_CELL_MAX];

	if (subnet == NULL || subnet->az == NULL)
		return NULL;
	char *quoted = import_yaml_word(subnet->az);
	bool taken = import_yaml_takes(why, "zones: []\ninbound-endpoints: {e: {addresses: [{ip: 192.0.2.1, az: %s}]}}\n", quoted);
	free(quoted);
	if (!taken)
		import_note(i, "the AZ of %.64s is left out: %s", a->ip, why);
	return taken ? subnet->az : NULL;
}

static void add_address(struct import *i, struct import_join_endpoint *e, struct import_address *a)
{
	e->listed += !has_address(e, a);
	/* Either family will do; where there are both, the file has IPv4 and tells of the other. */
	if (a->ip == NULL) {
		a->ip = a->ip6;
		a->ip6 = NULL;
	}
	if (a->ip == NULL)
		import_note(i, "an address of %s has no Ip: left out", e->name);
	else if (is_gone(a->status))
		import_note(i, "the address %.64s is %s: left out", a->ip, a->status);
	else if (has_address(e, a))
		return; /* the same list twice */
	else if (e->count == CONFIG_MAX_ADDRESSES)
		import_note(i, "%s has more than %d addresses: %.64s is left out", e->name, CONFIG_MAX_ADDRESSES, a->ip);
	else if (takes_address(i, a->ip)) {
		e->azs[e->count] = az_of(i, a);
		e->addresses[e->count++] = a;
	}
}

/* "rslvr-in-1, rslvr-in-2": the endpoints that can be asked. */
static const char *list_ids(const struct import *i, char out[SCREEN_CELL_MAX])
{
	struct strbuf s;

	strbuf_init(&s, out, SCREEN_CELL_MAX);
	for (size_t k = 0; k < i->endpoint_count; k++)
		if (is_usable(&i->endpoints[k]) && find_endpoint(i, i->endpoints[k].id) == &i->endpoints[k])
			strbuf_addf(&s, "%s%s", s.len > 0 ? ", " : "", i->endpoints[k].id);
	return s.len > 0 ? out : "none that speaks plain DNS";
}

/* Ids that were given must be among the endpoints where these are listed, and not of one that cannot be asked. Without a list they are
 * taken at their word. */
static bool check_ids(struct import *i, const struct import_join_ids *ids)
{
	char there[SCREEN_CELL_MAX];
	bool good = true;

	for (size_t k = 0; k < ids->count; k++) {
		const struct import_endpoint *known = find_endpoint(i, ids->ids[k]);
		if (known != NULL ? is_usable(known) : i->endpoint_count == 0)
			continue;
		if (known != NULL)
			import_note(i, "--endpoint %s is no inbound endpoint that speaks plain DNS", ids->ids[k]);
		else
			import_note(i, "--endpoint %s is none of the inbound endpoints that are listed: %s", ids->ids[k],
				    list_ids(i, there));
		good = false;
	}
	return good;
}

/* A list too many is one of another endpoint, most likely. */
static void note_counts(const struct import_join *j, struct import *i)
{
	for (size_t k = 0; k < j->count; k++) {
		const struct import_join_endpoint *e = &j->endpoints[k];
		if (e->expected != 0 && e->listed != e->expected)
			import_note(
				i,
				"%s has %lld addresses by AWS's count and %lld in the lists: is one list of another endpoint, or missing?",
				e->name, e->expected, e->listed);
	}
}

static void note_unused(const struct import_join *j, struct import *i)
{
	for (size_t k = 0; k < i->endpoint_count; k++) {
		const struct import_endpoint *e = &i->endpoints[k];
		bool used = false;
		for (size_t n = 0; n < j->count; n++)
			used = used || is_same(j->endpoints[n].id, e->id);
		if (used || find_endpoint(i, e->id) != e)
			continue;
		if (!e->inbound)
			import_note(i, "%.64s is no INBOUND endpoint: left out", e->id);
		else if (!e->do53)
			import_note(i, "%.64s speaks DNS over HTTPS only: left out", e->id);
		else
			import_note(i,
				    "%.64s has no addresses here: left out (aws route53resolver list-resolver-endpoint-ip-addresses "
				    "--resolver-endpoint-id has them)",
				    e->id);
	}
}

bool import_join(struct import_join *j, struct import *i, const struct import_join_ids *ids)
{
	size_t kept = 0;

	*j = (struct import_join){.endpoints = calloc(i->lists + 1, sizeof(*j->endpoints))};
	ASSERT(j->endpoints);
	if (!check_ids(i, ids))
		return false;
	for (unsigned list = 0; list < i->lists; list++) {
		struct import_join_endpoint *e = entry_of_list(j, i, list, ids);
		for (size_t k = 0; e != NULL && k < i->address_count; k++)
			if (i->addresses[k].list == list)
				add_address(i, e, &i->addresses[k]);
	}
	for (size_t k = 0; k < j->count; k++)
		if (j->endpoints[k].count > 0)
			j->endpoints[kept++] = j->endpoints[k];
	j->count = kept;
	note_counts(j, i);
	note_unused(j, i);
	return true;
}

void import_join_deinit(struct import_join *j)
{
	free(j->endpoints);
}
