/* SPDX-License-Identifier: Apache-2.0 */
/* 100,000 zones may each say what they expect: those that say the same as the entry before them share one object. */
#include "config/expect.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/suggest.h"

static const struct config_expect expect_private = {.is_private = true};

struct word {
	const char *name; /* NULL ends */
	int value;
};

/* YAML 1.1 has several words for a bool; a value that can be `off` may be written `false`. */
static const struct word guard_words[] = {{"off", GUARD_OFF},	{"warn", GUARD_WARN}, {"enforce", GUARD_ENFORCE},
					  {"false", GUARD_OFF}, {"no", GUARD_OFF},    {NULL, 0}};
static const struct word switch_words[] = {{"on", 1}, {"off", 0}, {"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {NULL, 0}};

/* The word's value; `otherwise` when it is none of them (reported). */
static int read_word(struct reading *r, const struct yaml *key, const struct word *words, const char *expected, int otherwise)
{
	const struct yaml *value = key->value;
	char shown[READER_SHOWN_MAX], hint[SUGGEST_TEXT_MAX] = "";
	struct suggest nearest;

	if (value->kind == YAML_REFUSED)
		return otherwise;
	if (value->kind == YAML_WORD) {
		suggest_init(&nearest, value->text);
		for (const struct word *word = words; word->name; word++) {
			if (strcasecmp(value->text, word->name) == 0)
				return word->value;
			/* Of several words for one value the first is told, and is the hint. */
			const struct word *first = words;
			while (first->value != word->value)
				first++;
			suggest_offer(&nearest, first->name);
		}
		suggest_hint(&nearest, hint);
	}
	reader_error(r, value, "`%s` must be %s, not %s%s", key->text, expected, reader_shown(value, shown), hint);
	return otherwise;
}

/* ---- expect: ---- */

static bool says_the_same(const struct config_expect *a, const struct config_expect *b)
{
	return a->count == b->count && memcmp(a->networks, b->networks, a->count * sizeof(*a->networks)) == 0;
}

static void give_back(struct config_expect *e)
{
	free(e->networks);
	free(e);
}

static const struct config_expect *read_networks(struct reading *r, const struct yaml *key)
{
	const struct yaml *list = reader_expect_list(r, key, 1, EXPECT_MAX_NETWORKS);
	struct config *c = r->config;

	if (!list)
		return NULL;
	struct config_expect *e = reader_allocate(r, 1, sizeof(*e));
	if (!e)
		return NULL;
	e->networks = reader_allocate(r, list->count, sizeof(*e->networks));
	if (!e->networks) {
		give_back(e);
		return NULL;
	}
	for (const struct yaml *member = list->first; member; member = member->next)
		e->count += reader_network(r, member, &e->networks[e->count]);
	if (c->expects && says_the_same(c->expects, e)) {
		give_back(e);
		return c->expects;
	}
	e->next = c->expects;
	c->expects = e;
	return e;
}

static const struct config_expect *read_expect(struct reading *r, const struct yaml *key)
{
	const struct yaml *value = key->value;
	char shown[READER_SHOWN_MAX], hint[READER_SHOWN_MAX + 32] = "";
	struct cidr network;

	if (value->kind == YAML_LIST)
		return read_networks(r, key);
	if (value->kind == YAML_WORD && strcasecmp(value->text, "private") == 0)
		return &expect_private;
	if (value->kind == YAML_REFUSED)
		return NULL;
	if (value->kind == YAML_WORD && cidr_parse(&network, value->text) == 0)
		snprintf(hint, sizeof(hint), " (did you mean `[%.*s]`?)", CIDR_TEXT_MAX, value->text);
	else if (value->kind == YAML_WORD) {
		struct suggest nearest;
		suggest_init(&nearest, value->text);
		suggest_offer(&nearest, "private");
		suggest_hint(&nearest, hint);
	}
	reader_error(r, value, "`expect` must be private or a list of networks, not %s%s", reader_shown(value, shown), hint);
	return NULL;
}

/* ---- the entry ---- */

static void read_guard(struct reading *r, const struct expect_keys *keys, struct config_zone *route)
{
	/* Wrong words fall back to what is right everywhere: no second error follows from the first. */
	int guard = keys->guard ? read_word(r, keys->guard, guard_words, "off, warn or enforce", GUARD_OFF) : GUARD_WARN;

	if (keys->guard && guard != GUARD_OFF && !route->expect && !keys->expect)
		reader_error(r, keys->guard, "`guard` has nothing to check without `expect` (did you mean to add `expect: private`?)");
	route->guard = (uint8_t)(route->expect ? guard : GUARD_OFF);
}

/* Only Route 53 knows the names that tell a private zone; of a network's reverse zones most are in no zone at all. */
static bool can_be_associated(const struct config *c, const struct config_zone *route)
{
	for (size_t i = 0; i < route->to_count; i++)
		if (c->endpoints[route->to[i]].kind == ENDPOINT_INBOUND)
			return route->source != ZONE_REVERSE;
	return false;
}

static void read_association(struct reading *r, const struct yaml *key, struct config_zone *route)
{
	bool on = key ? read_word(r, key, switch_words, "on or off", 0) : true;
	bool possible = can_be_associated(r->config, route);

	if (key && on && !possible && route->to_count > 0)
		reader_warning(r, key, "`association` is checked at inbound endpoints and for names: not for this entry");
	route->association = on && possible;
}

void expect_read(struct reading *r, const struct expect_keys *keys, struct config_zone *route)
{
	if (keys->expect)
		route->expect = read_expect(r, keys->expect);
	else if (route->source == ZONE_VPC_ENDPOINTS)
		route->expect = &expect_private;
	read_guard(r, keys, route);
	read_association(r, keys->association, route);
}

void expect_free(struct config *c)
{
	while (c->expects) {
		struct config_expect *next = c->expects->next;
		give_back(c->expects);
		c->expects = next;
	}
}
