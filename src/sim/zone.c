/* SPDX-License-Identifier: Apache-2.0 */
/* A zone is one array of records sorted by canonical name (RFC 4034 section 6.1) and type. In that order a name's
 * descendants follow it directly, so one binary search tells the three cases of RFC 4592 apart: the name has records,
 * it has none but something lies below it (an empty non-terminal), or it does not exist. */
#include "sim/zone.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TTL_S = 300 }; /* a file without $TTL: what Route 53's console proposes */

struct zone {
	struct name apex;
	struct zone_record *records; /* heap, sorted once the file is read */
	size_t count, capacity;
};

struct zone_set {
	struct zone *zones; /* heap */
	size_t count;
};

struct zone_set *zone_set_new(void)
{
	return calloc(1, sizeof(struct zone_set));
}

void zone_set_free(struct zone_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++) {
		for (size_t j = 0; j < s->zones[i].count; j++)
			free(s->zones[i].records[j].rdata);
		free(s->zones[i].records);
	}
	free(s->zones);
	free(s);
}

size_t zone_set_count(const struct zone_set *s)
{
	return s->count;
}

/* Canonical order: label by label from the right, a shorter one first. */
static int compare_names(const struct name *a, const struct name *b)
{
	for (unsigned i = 1; i <= a->labels && i <= b->labels; i++) {
		const uint8_t *x = a->octets + a->at[a->labels - i];
		const uint8_t *y = b->octets + b->at[b->labels - i];
		int order = memcmp(x + 1, y + 1, MIN(x[0], y[0]));
		if (order == 0)
			order = x[0] - y[0];
		if (order != 0)
			return order;
	}
	return a->labels - b->labels;
}

static int compare_records(const void *left, const void *right)
{
	const struct zone_record *a = left, *b = right;
	int order = compare_names(&a->name, &b->name);

	if (order == 0)
		order = a->type - b->type;
	/* The file's order inside a set is the order of answers. */
	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static int complain(struct zone_error *error, unsigned line, const char *sentence)
{
	error->line = line;
	snprintf(error->sentence, sizeof(error->sentence), "%s", sentence);
	return -EINVAL;
}

static int begin_zone(struct zone_set *s, const struct name *apex, unsigned line, struct zone_error *error)
{
	for (size_t i = 0; i < s->count; i++)
		if (name_equal(&s->zones[i].apex, apex))
			return complain(error, line, "a second SOA for a zone that is already there");
	struct zone *zones = reallocarray(s->zones, s->count + 1, sizeof(*zones));
	if (!zones)
		return -ENOMEM;
	s->zones = zones;
	zones[s->count++] = (struct zone){.apex = *apex};
	return 0;
}

/* The record's rdata as octets. */
static int copy_rdata(struct zone_record *to, const ldns_rr *rr)
{
	ldns_buffer *buffer = ldns_buffer_new(LDNS_MAX_PACKETLEN);
	int result = -ENOMEM;

	if (buffer && ldns_rr_rdata2buffer_wire(buffer, rr) == LDNS_STATUS_OK) {
		to->rdata_len = (uint16_t)ldns_buffer_position(buffer);
		to->rdata = malloc(MAX(to->rdata_len, 1u));
		if (to->rdata) {
			memcpy(to->rdata, ldns_buffer_begin(buffer), to->rdata_len);
			result = 0;
		}
	}
	ldns_buffer_free(buffer);
	return result;
}

/* Takes the zone's next record out of `rr`, which stays the caller's. `begun`: zones of the set before this file. */
static int add_record(struct zone_set *s, size_t begun, const ldns_rr *rr, unsigned line, struct zone_error *error)
{
	struct zone_record record = {.ttl_s = ldns_rr_ttl(rr), .type = (uint16_t)ldns_rr_get_type(rr), .line = line};
	const ldns_rdf *owner = ldns_rr_owner(rr);

	if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
		return complain(error, line, "only class IN is served");
	if (name_read(&record.name, ldns_rdf_data(owner), ldns_rdf_size(owner)) < 0)
		return complain(error, line, "the owner is no domain name");
	if (record.type == DNS_TYPE_SOA) {
		int result = begin_zone(s, &record.name, line, error);
		if (result < 0)
			return result;
	}
	if (s->count == begun)
		return complain(error, line, "a zone begins with its SOA record");
	struct zone *z = &s->zones[s->count - 1];
	if (!name_is_within(&record.name, &z->apex))
		return complain(error, line, "the owner lies outside the zone");
	if (z->count == z->capacity) {
		size_t capacity = MAX(z->capacity * 2, (size_t)16);
		struct zone_record *records = reallocarray(z->records, capacity, sizeof(*records));
		if (!records)
			return -ENOMEM;
		z->records = records;
		z->capacity = capacity;
	}
	int result = copy_rdata(&record, rr);
	if (result == 0)
		z->records[z->count++] = record;
	return result;
}

static bool same_data(const struct zone_record *a, const struct zone_record *b)
{
	return a->type == b->type && a->rdata_len == b->rdata_len && memcmp(a->rdata, b->rdata, a->rdata_len) == 0;
}

/* Record `i` says what an earlier one of its set, from `kept` backwards, has said. */
static bool is_repeated(const struct zone *z, size_t kept, size_t i)
{
	const struct zone_record *r = &z->records[i];

	for (size_t j = kept; j > 0 && name_equal(&z->records[j - 1].name, &r->name); j--)
		if (same_data(&z->records[j - 1], r))
			return true;
	return false;
}

/* Sorts, drops what is said twice (RFC 2181 section 5), and refuses data beside a CNAME (RFC 1034 section 3.6.2): no
 * server could tell which was meant. */
static int finish_zone(struct zone *z, struct zone_error *error)
{
	size_t kept = 0;

	qsort(z->records, z->count, sizeof(*z->records), compare_records);
	for (size_t i = 0; i < z->count; i++) {
		if (is_repeated(z, kept, i))
			free(z->records[i].rdata);
		else
			z->records[kept++] = z->records[i];
	}
	z->count = kept;
	for (size_t i = 1; i < z->count; i++) {
		const struct zone_record *a = &z->records[i - 1], *b = &z->records[i];
		bool alias = a->type == DNS_TYPE_CNAME || b->type == DNS_TYPE_CNAME;
		if (alias && name_equal(&a->name, &b->name))
			return complain(error, MAX(a->line, b->line), "a name with a CNAME has no other records");
	}
	return 0;
}

/* ldns reads up to the next record or directive; the line it names is the one behind it. */
static int read_records(struct zone_set *s, FILE *file, struct zone_error *error)
{
	const size_t begun = s->count;
	uint32_t ttl = DEFAULT_TTL_S;
	ldns_rdf *origin = NULL, *owner = NULL;
	int line = 1, result = 0;

	while (result == 0 && !feof(file)) {
		ldns_rr *rr = NULL;
		unsigned at = (unsigned)line;
		ldns_status status = ldns_rr_new_frm_fp_l(&rr, file, &ttl, &origin, &owner, &line);

		if (status == LDNS_STATUS_OK)
			result = add_record(s, begun, rr, at, error);
		else if (status != LDNS_STATUS_SYNTAX_EMPTY && status != LDNS_STATUS_SYNTAX_TTL &&
			 status != LDNS_STATUS_SYNTAX_ORIGIN)
			result = complain(error, at, ldns_get_errorstr_by_id(status));
		ldns_rr_free(rr);
	}
	ldns_rdf_deep_free(origin);
	ldns_rdf_deep_free(owner);
	for (size_t i = begun; result == 0 && i < s->count; i++)
		result = finish_zone(&s->zones[i], error);
	if (result == 0 && s->count == begun)
		result = complain(error, 0, "there is no SOA record in it: not a zone file");
	return result;
}

int zone_set_load(struct zone_set *s, const char *path, struct zone_error *error)
{
	FILE *file = fopen(path, "re");
	int result;

	*error = (struct zone_error){0};
	if (!file) {
		result = -errno;
	} else {
		result = read_records(s, file, error);
		if (result == 0 && ferror(file))
			result = -EIO;
		fclose(file);
	}
	if (result < 0 && error->sentence[0] == '\0')
		snprintf(error->sentence, sizeof(error->sentence), "%s", strerror(-result));
	return result;
}

/* Index of the first record at or behind `name`. */
static size_t lower_bound(const struct zone *z, const struct name *name)
{
	size_t low = 0, high = z->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_names(&z->records[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The longest zone that holds `name`. */
static const struct zone *find_zone(const struct zone_set *s, const struct name *name)
{
	const struct zone *best = NULL;

	for (size_t i = 0; i < s->count; i++) {
		const struct zone *z = &s->zones[i];
		if (name_is_within(name, &z->apex) && (!best || z->apex.labels > best->apex.labels))
			best = z;
	}
	return best;
}

/* The name's ancestor that has `labels` labels, with "*" in front if asked. False when that is too long for a name. */
static bool ancestor(struct name *out, const struct name *name, unsigned labels, bool star)
{
	uint8_t octets[NAME_MAX_OCTETS + 2] = {1, '*'};
	size_t at = name->at[name->labels - labels], front = star ? 2 : 0;

	memcpy(octets + front, name->octets + at, name->len - at);
	return name_read(out, octets, front + name->len - at) > 0;
}

/* The name whose records answer for `name`: itself, or the wildcard of its closest encloser (RFC 4592 section 3.3.1).
 * Returns the index of its first record; z->count when the name exists without records or not at all (*exists tells). */
static size_t find_node(const struct zone *z, const struct name *name, bool *exists)
{
	struct name n = *name;
	size_t i = lower_bound(z, name);

	*exists = i < z->count && name_is_within(&z->records[i].name, name);
	if (*exists)
		return name_equal(&z->records[i].name, name) ? i : z->count;
	for (unsigned labels = name->labels; labels-- > z->apex.labels;) {
		if (!ancestor(&n, name, labels, false))
			break;
		i = lower_bound(z, &n);
		if (i == z->count || !name_is_within(&z->records[i].name, &n))
			continue;
		if (!ancestor(&n, name, labels, true))
			break;
		i = lower_bound(z, &n);
		*exists = i < z->count && name_equal(&z->records[i].name, &n);
		return *exists ? i : z->count;
	}
	return z->count;
}

/* Adds the sets of `type` at the node that begins with record `i`, under the owner `name`. */
static size_t add_sets(const struct zone *z, size_t i, uint16_t type, const struct name *name, struct zone_answer *out)
{
	const size_t node = i;
	size_t added = 0;

	while (i < z->count && name_equal(&z->records[i].name, &z->records[node].name)) {
		size_t first = i;
		for (; i < z->count && name_equal(&z->records[i].name, &z->records[node].name); i++)
			if (z->records[i].type != z->records[first].type)
				break;
		bool wanted = type == DNS_TYPE_ANY || z->records[first].type == type;
		if (wanted && out->count < ZONE_MAX_SETS) {
			out->sets[out->count++] = (struct zone_rrset){*name, &z->records[first], i - first};
			added++;
		}
	}
	return added;
}

static void add_soa(const struct zone *z, struct zone_answer *out)
{
	size_t i = lower_bound(z, &z->apex);

	while (z->records[i].type != DNS_TYPE_SOA)
		i++;
	out->soa = (struct zone_rrset){z->apex, &z->records[i], 1};
}

void zone_set_lookup(const struct zone_set *s, const struct name *name, uint16_t type, struct zone_answer *out)
{
	struct name at = *name;

	out->outside = false;
	out->rcode = DNS_NOERROR;
	out->count = out->soa.count = 0;
	for (unsigned hops = 0; hops <= ZONE_MAX_CHAIN; hops++) {
		const struct zone *z = find_zone(s, &at);
		bool exists = false;

		if (!z) {
			out->outside = hops == 0;
			return;
		}
		size_t node = find_node(z, &at, &exists);
		if (add_sets(z, node, type, &at, out) > 0)
			return;
		if (add_sets(z, node, DNS_TYPE_CNAME, &at, out) == 0) {
			out->rcode = exists ? DNS_NOERROR : DNS_NXDOMAIN;
			add_soa(z, out);
			return;
		}
		const struct zone_record *cname = out->sets[out->count - 1].first;
		if (name_read(&at, cname->rdata, cname->rdata_len) < 0)
			break;
	}
	out->rcode = DNS_SERVFAIL;
	out->count = 0;
}
