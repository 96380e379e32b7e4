/* SPDX-License-Identifier: Apache-2.0 */
/* A name must lie within a zone of its entry. An entry may have 100,000 zones and as many names, so zones are sorted once and each
 * suffix of a name is looked up among them. */
#include "config/warm.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire/text.h"

/* The zones of one entry, by their octets. */
struct index {
	const struct config_zone **zones; /* heap */
	size_t count;
};

/* A name, or one of its suffixes. */
struct suffix {
	const uint8_t *octets;
	size_t len;
};

static int compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

static int compare_zones(const void *x, const void *y)
{
	const struct name *a = &(*(const struct config_zone *const *)x)->name, *b = &(*(const struct config_zone *const *)y)->name;

	return compare(a->octets, a->len, b->octets, b->len);
}

static int compare_suffix(const void *key, const void *member)
{
	const struct suffix *s = key;
	const struct name *n = &(*(const struct config_zone *const *)member)->name;

	return compare(s->octets, s->len, n->octets, n->len);
}

static bool index_zones(struct reading *r, size_t first_zone, struct index *index)
{
	const struct config *c = r->config;

	index->count = c->zone_count - first_zone;
	index->zones = reader_allocate(r, index->count, sizeof(*index->zones));
	if (!index->zones)
		return false;
	for (size_t i = 0; i < index->count; i++)
		index->zones[i] = &c->zones[first_zone + i];
	qsort(index->zones, index->count, sizeof(*index->zones), compare_zones);
	return true;
}

static bool is_within_any(const struct index *index, const struct name *n)
{
	for (unsigned i = 0; i <= n->labels; i++) {
		struct suffix s = {n->octets + n->at[i], (size_t)n->len - n->at[i]};
		if (bsearch(&s, index->zones, index->count, sizeof(*index->zones), compare_suffix))
			return true;
	}
	return false;
}

/* ---- reading ---- */

static void add(struct reading *r, const struct yaml *at, const struct name *name)
{
	struct config *c = r->config;

	if (c->keep_warm_count == WARM_MAX_NAMES) {
		reader_error(r, at, "more than %d names are to be kept warm", WARM_MAX_NAMES);
		return;
	}
	if ((c->keep_warm_count & (c->keep_warm_count - 1)) == 0) { /* full at 0, 1, 2, 4, … */
		struct config_warm *grown = reallocarray(c->keep_warm, MAX(2 * c->keep_warm_count, (size_t)1), sizeof(*grown));
		if (!grown) {
			diagnostics_no_memory(r->d);
			return;
		}
		c->keep_warm = grown;
	}
	c->keep_warm[c->keep_warm_count++] = (struct config_warm){.name = *name, .line = at->line, .column = at->column};
}

static void read_name(struct reading *r, const struct yaml *member, const struct index *index)
{
	const char *text = reader_member(r, member, "a domain name");
	char shown[READER_SHOWN_MAX];
	struct name name;

	if (!text)
		return;
	reader_shown(member, shown);
	if (text_read_name(&name, text) < 0)
		reader_error(r, member, "%s is no domain name", shown);
	else if (index->count > 0 && !is_within_any(index, &name)) /* an entry without zones has its error already */
		reader_error(r, member, "%s lies in no zone of this entry", shown);
	else
		add(r, member, &name);
}

static void read_names(struct reading *r, const struct yaml *key, size_t first_zone)
{
	const struct yaml *list = reader_expect_list(r, key, 1, WARM_MAX_NAMES);
	struct index index;

	if (!list || !index_zones(r, first_zone, &index))
		return;
	for (const struct yaml *member = list->first; member; member = member->next)
		read_name(r, member, &index);
	free(index.zones);
}

/* 1 and 0 for the words of a bool, else -1. */
static int read_switch(const struct yaml *value)
{
	static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};

	for (size_t i = 0; value->kind == YAML_WORD && i < ARRAY_SIZE(words); i++)
		if (strcasecmp(value->text, words[i]) == 0)
			return i % 2;
	return -1;
}

void warm_read(struct reading *r, const struct yaml *key, enum config_zone_source source, size_t first_zone)
{
	const struct config *c = r->config;
	int on = read_switch(key->value);
	char shown[READER_SHOWN_MAX];

	if (on == 0 || key->value->kind == YAML_REFUSED)
		return;
	if (source == ZONE_REVERSE)
		reader_error(r, key, "`keep-warm` is for addresses: a `reverse` zone has none");
	else if (key->value->kind == YAML_LIST)
		read_names(r, key, first_zone);
	else if (on < 0)
		reader_error(r, key->value, "`keep-warm` must be a list of names, or true with `vpc-endpoints`, not %s",
			     reader_shown(key->value, shown));
	else if (source != ZONE_VPC_ENDPOINTS)
		reader_error(r, key->value, "`keep-warm: true` is for `vpc-endpoints`; here it takes a list of names");
	for (size_t i = first_zone; on == 1 && source == ZONE_VPC_ENDPOINTS && i < c->zone_count; i++)
		add(r, key->value, &c->zones[i].name);
}

/* ---- all of them ---- */

static int compare_warm(const void *x, const void *y)
{
	const struct config_warm *a = *(const struct config_warm *const *)x, *b = *(const struct config_warm *const *)y;
	int order = compare(a->name.octets, a->name.len, b->name.octets, b->name.len);

	return order != 0 ? order : a < b ? -1 : a > b; /* of the same name the first in the file comes first */
}

void warm_judge(struct reading *r)
{
	const struct config *c = r->config;
	const struct config_warm **sorted = reader_allocate(r, c->keep_warm_count, sizeof(*sorted));
	char name[TEXT_NAME_MAX];
	size_t first = 0;

	if (!sorted)
		return;
	for (size_t i = 0; i < c->keep_warm_count; i++)
		sorted[i] = &c->keep_warm[i];
	qsort(sorted, c->keep_warm_count, sizeof(*sorted), compare_warm);
	for (size_t i = 1; i < c->keep_warm_count; i++) {
		struct yaml at = {.line = sorted[i]->line, .column = sorted[i]->column};
		if (!name_equal(&sorted[first]->name, &sorted[i]->name))
			first = i;
		else
			reader_error(r, &at, "`%s` is kept warm twice; the first is in line %u, column %u",
				     text_name(&sorted[i]->name, name), sorted[first]->line, sorted[first]->column);
	}
	free(sorted);
}

void warm_free(struct config *c)
{
	free(c->keep_warm);
}
