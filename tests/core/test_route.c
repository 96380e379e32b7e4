/* SPDX-License-Identifier: Apache-2.0 */
#include "cached.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/route.h"

static struct route_table *table;

static int set_up(void **state)
{
	(void)state;
	table = route_table_new(0);
	return table ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	route_table_free(table);
	return 0;
}

static int add(const char *zone, int value)
{
	struct name n;

	name_from(&n, zone);
	return route_table_add(table, &n, value);
}

static int find(const char *text)
{
	struct name n;

	name_from(&n, text);
	return route_find(table, &n);
}

static void empty_table_finds_nothing(void **state)
{
	int values[2];
	struct name n;

	(void)state;
	assert_int_equal(find("www.example.internal"), ROUTE_NONE);
	assert_int_equal(find(""), ROUTE_NONE);
	name_from(&n, "www.example.internal");
	assert_int_equal(route_find_all(table, &n, values, 2), 0);
	route_table_free(NULL);
}

static void longest_suffix_wins(void **state)
{
	(void)state;
	assert_int_equal(add("example.internal", 1), 0);
	assert_int_equal(add("b.c.example.internal", 2), 0);
	assert_int_equal(add("a.b.c.example.internal", 3), 0);
	assert_int_equal(find("example.internal"), 1);
	assert_int_equal(find("x.example.internal"), 1);
	assert_int_equal(find("c.example.internal"), 1); /* above a zone, in none but the apex's */
	assert_int_equal(find("b.c.example.internal"), 2);
	assert_int_equal(find("x.b.c.example.internal"), 2);
	assert_int_equal(find("x.y.a.b.c.example.internal"), 3);
	assert_int_equal(find("internal"), ROUTE_NONE);
	assert_int_equal(find("example.com"), ROUTE_NONE);
}

static void suffix_that_ends_inside_a_label_is_none(void **state)
{
	(void)state;
	assert_int_equal(add("example.internal", 1), 0);
	assert_int_equal(find("xexample.internal"), ROUTE_NONE);
	assert_int_equal(find("xample.internal"), ROUTE_NONE);
	assert_int_equal(find("example.internal.x"), ROUTE_NONE);
	assert_int_equal(find("a\007example\010internal"), ROUTE_NONE);
	assert_int_equal(find("example\010internal"), ROUTE_NONE);
}

static void root_zone_is_above_everything(void **state)
{
	(void)state;
	assert_int_equal(add("", 0), 0);
	assert_int_equal(find(""), 0);
	assert_int_equal(find("www.example.com"), 0);
	assert_int_equal(add("example.com", 5), 0);
	assert_int_equal(find("www.example.com"), 5);
	assert_int_equal(find("com"), 0);
	assert_int_equal(add("", 3), -EEXIST);
}

static void zone_is_added_once(void **state)
{
	(void)state;
	assert_int_equal(add("a.example", 1), 0);
	assert_int_equal(add("a.example", 2), -EEXIST);
	assert_int_equal(find("a.example"), 1);
	/* A name above a zone is no zone yet. */
	assert_int_equal(add("example", 7), 0);
	assert_int_equal(find("b.example"), 7);
}

static void all_zones_of_a_name_come_longest_first(void **state)
{
	int values[4];
	struct name n;

	(void)state;
	assert_int_equal(add("", 1), 0);
	assert_int_equal(add("internal", 2), 0);
	assert_int_equal(add("b.c.internal", 3), 0);
	assert_int_equal(add("a.b.c.internal", 4), 0);
	assert_int_equal(add("other", 5), 0);
	name_from(&n, "x.b.c.internal");
	assert_int_equal(route_find_all(table, &n, values, 4), 3);
	assert_int_equal(values[0], 3);
	assert_int_equal(values[1], 2);
	assert_int_equal(values[2], 1);
	assert_int_equal(route_find_all(table, &n, values, 2), 2);
	assert_int_equal(values[1], 2);
	assert_int_equal(route_find_all(table, &n, values, 0), 0);
	name_from(&n, "y.a.b.c.internal");
	assert_int_equal(route_find_all(table, &n, values, 4), 4);
	assert_int_equal(values[0], 4);
	name_from(&n, "");
	assert_int_equal(route_find_all(table, &n, values, 4), 1);
}

static void labels_of_all_lengths_and_depths_are_found(void **state)
{
	struct name n;
	uint8_t octets[NAME_MAX_OCTETS];
	int values[NAME_MAX_LABELS + 1];

	(void)state;
	/* 1 to 63 octets: each way through the hash. */
	for (unsigned len = 1; len <= 63; len++) {
		memset(octets, 'a', sizeof(octets));
		octets[0] = (uint8_t)len;
		octets[len + 1] = 0;
		assert_int_equal(name_read(&n, octets, len + 2), (int)len + 2);
		assert_int_equal(route_table_add(table, &n, (int)len), 0);
	}
	for (unsigned len = 1; len <= 63; len++) {
		memset(octets, 'a', sizeof(octets));
		octets[0] = (uint8_t)len;
		octets[len + 1] = 0;
		assert_int_equal(name_read(&n, octets, len + 2), (int)len + 2);
		assert_int_equal(route_find(table, &n), (int)len);
		octets[len] = 'b'; /* differs in its last octet */
		assert_int_equal(name_read(&n, octets, len + 2), (int)len + 2);
		assert_int_equal(route_find(table, &n), ROUTE_NONE);
	}
	/* 127 labels, the longest name, with a zone at each. */
	for (unsigned labels = 0; labels <= NAME_MAX_LABELS; labels++) {
		for (unsigned i = 0; i < labels; i++)
			memcpy(octets + 2 * i, "\001z", 2);
		octets[2 * labels] = 0;
		assert_int_equal(name_read(&n, octets, sizeof(octets)), 2 * (int)labels + 1);
		assert_int_equal(route_table_add(table, &n, 1000 + (int)labels), 0);
		assert_int_equal(route_find(table, &n), 1000 + (int)labels);
	}
	assert_int_equal(route_find_all(table, &n, values, ARRAY_SIZE(values)), NAME_MAX_LABELS + 1);
	assert_int_equal(values[0], 1000 + NAME_MAX_LABELS);
	assert_int_equal(values[NAME_MAX_LABELS], 1000);
}

/* ---- many zones ---- */

/* Few labels, so that zones lie above each other and names share parts. */
static void random_name(struct name *n, uint64_t *random)
{
	static const char *const labels[] = {"a", "b", "ab", "example", "xexample", "internal", "in-addr", "10"};
	char text[128] = "";
	unsigned count = next_number(random) % 7;
	size_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? "." : "",
					labels[next_number(random) % ARRAY_SIZE(labels)]);
	name_from(n, text);
}

static void look_up_agrees_with_comparing_all_suffixes(void **state)
{
	enum { ZONES = 120, NAMES = 3000 };
	static struct name zones[ZONES];
	uint64_t random = 3;
	struct name n;

	(void)state;
	for (unsigned round = 0; round < 15; round++) {
		unsigned zone_count = 0;
		struct route_table *t = route_table_new(round);
		for (unsigned i = 0; i < ZONES; i++) {
			bool known = false;
			random_name(&n, &random);
			if (round % 2 && n.labels < 2)
				continue;
			for (unsigned z = 0; z < zone_count; z++)
				known |= name_equal(&zones[z], &n);
			assert_int_equal(route_table_add(t, &n, (int)zone_count), known ? -EEXIST : 0);
			if (!known)
				zones[zone_count++] = n;
		}
		for (unsigned i = 0; i < NAMES; i++) {
			int best = ROUTE_NONE, values[8], first;
			random_name(&n, &random);
			for (unsigned z = 0; z < zone_count; z++)
				if (name_is_within(&n, &zones[z]) && (best < 0 || zones[z].len > zones[best].len))
					best = (int)z;
			assert_int_equal(route_find(t, &n), best);
			first = route_find_all(t, &n, values, 8) > 0 ? values[0] : ROUTE_NONE;
			assert_int_equal(first, best);
		}
		route_table_free(t);
	}
}

static void hundred_thousand_zones_load_quickly_into_little_memory(void **state)
{
	enum { ZONES = 100000 };
	struct timespec before, after;
	char text[64];

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < ZONES; i++) {
		(void)snprintf(text, sizeof(text), "z%d.example.internal", i);
		assert_int_equal(add(text, i), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 5); /* 25 ms without sanitizers */
	for (int i = 0; i < ZONES; i++) {
		(void)snprintf(text, sizeof(text), "www.z%d.example.internal", i);
		assert_int_equal(find(text), i);
	}
	assert_int_equal(find("z100000.example.internal"), ROUTE_NONE);
	assert_in_range(route_table_bytes(table), 100000, 6000000);
}

/* Pairs of parents below which the label `a` has the same tag, found by search: only the parent tells the two apart. */
static void same_label_below_another_zone_is_told_apart_where_tags_collide(void **state)
{
	static const char *const pairs[][2] = {{"18795", "19e90"}, {"14465", "2708b"}, {"4c4f", "232b5"}, {"2dd68", "3673e"}};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		(void)snprintf(text, sizeof(text), "a.%s", pairs[i][0]);
		assert_int_equal(add(text, 1), 0);
		(void)snprintf(text, sizeof(text), "b.%s", pairs[i][1]);
		assert_int_equal(add(text, 2), 0);
		(void)snprintf(text, sizeof(text), "a.%s", pairs[i][1]);
		assert_int_equal(find(text), ROUTE_NONE);
		assert_int_equal(add(text, 3), 0);
		assert_int_equal(find(text), 3);
		(void)snprintf(text, sizeof(text), "a.%s", pairs[i][0]);
		assert_int_equal(find(text), 1);
	}
}

/* Enough of them for tags of 32 bits to collide by themselves. */
static void names_that_nobody_routed_are_never_found(void **state)
{
	uint64_t random = 11;
	char text[64];

	(void)state;
	for (int i = 0; i < 50000; i++) {
		(void)snprintf(text, sizeof(text), "%x", i);
		assert_int_equal(add(text, i), 0);
	}
	for (int i = 0; i < 300000; i++) {
		(void)snprintf(text, sizeof(text), "y%x", next_number(&random));
		assert_int_equal(find(text), ROUTE_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty_table_finds_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(longest_suffix_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(suffix_that_ends_inside_a_label_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(root_zone_is_above_everything, set_up, tear_down),
		cmocka_unit_test_setup_teardown(zone_is_added_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_zones_of_a_name_come_longest_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(labels_of_all_lengths_and_depths_are_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(look_up_agrees_with_comparing_all_suffixes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hundred_thousand_zones_load_quickly_into_little_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(same_label_below_another_zone_is_told_apart_where_tags_collide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_that_nobody_routed_are_never_found, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
