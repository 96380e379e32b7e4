/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "obs/metrics.h"

/* ---- the table */

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void family_and_labels_name_one_row(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++)
		for (int k = 0; k < i; k++)
			assert_false(same(metrics_rows[i].family, metrics_rows[k].family) &&
				     same(metrics_rows[i].labels, metrics_rows[k].labels));
}

/* Prometheus wants the samples of a family in one group, under one HELP and TYPE. */
static void rows_of_one_family_stand_together(void **state)
{
	(void)state;
	for (int i = 1; i < METRICS; i++)
		for (int k = 0; k < i; k++)
			if (same(metrics_rows[i].family, metrics_rows[k].family))
				assert_string_equal(metrics_rows[i].family, metrics_rows[i - 1].family);
}

static void first_row_of_a_family_and_no_other_has_its_help(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		const struct metrics_row *r = &metrics_rows[i];
		if (i > 0 && same(r->family, metrics_rows[i - 1].family)) {
			assert_string_equal(r->help, "");
			continue;
		}
		assert_true(strlen(r->help) > 0 && r->help[strlen(r->help) - 1] == '.');
		assert_null(strpbrk(r->help, "\\\n"));
	}
}

static bool is_name(const char *text, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_", more[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

	return len > 0 && strchr(letters, text[0]) != NULL && strspn(text, more) >= len;
}

static void families_are_names_that_prometheus_takes(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		assert_true(is_name(metrics_rows[i].family, strlen(metrics_rows[i].family)));
		assert_int_not_equal(strncmp(metrics_rows[i].family, "r53fwd_", 7), 0); /* said once, where it is printed */
	}
}

/* All rows are counters: they only grow. */
static void counters_end_in_total(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		size_t len = strlen(metrics_rows[i].family);
		assert_true(len > 6 && same(metrics_rows[i].family + len - 6, "_total"));
	}
}

static void labels_are_pairs_with_quoted_values(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS; i++) {
		const char *at = metrics_rows[i].labels;
		while (*at != '\0') {
			const char *equals = strstr(at, "=\"");
			assert_non_null(equals);
			assert_true(is_name(at, (size_t)(equals - at)));
			const char *end = strchr(equals + 2, '"');
			assert_non_null(end);
			assert_true(end > equals + 2 && memchr(equals + 2, '\\', (size_t)(end - equals - 2)) == NULL);
			at = end + 1;
			assert_true(*at == '\0' || (*at == ',' && at[1] != '\0'));
			at += *at == ',';
		}
	}
}

/* One without labels beside one with would count twice in every sum; labels of other names could not be summed at all. */
static void rows_of_one_family_have_the_same_labels(void **state)
{
	(void)state;
	for (int i = 1; i < METRICS; i++) {
		const char *one = metrics_rows[i - 1].labels, *other = metrics_rows[i].labels;
		if (!same(metrics_rows[i - 1].family, metrics_rows[i].family))
			continue;
		assert_true(strlen(one) > 0 && strlen(other) > 0);
		assert_int_equal(strcspn(one, "="), strcspn(other, "="));
		assert_memory_equal(one, other, strcspn(one, "="));
	}
}

static bool has_row(const char *family, const char *label)
{
	for (int i = 0; i < METRICS; i++)
		if (same(metrics_rows[i].family, family) && strncmp(metrics_rows[i].labels, label, strlen(label)) == 0)
			return true;
	return false;
}

static void names_promised_to_scripts_are_there(void **state)
{
	(void)state;
	assert_true(has_row("queries_total", "proto=\"udp\""));
	assert_true(has_row("queries_total", "proto=\"tcp\""));
	assert_true(has_row("responses_total", "rcode=\"SERVFAIL\""));
	assert_true(has_row("dropped_total", "reason="));
	assert_true(has_row("cache_hits_total", ""));
	assert_true(has_row("cache_misses_total", ""));
	assert_true(has_row("cache_stale_total", ""));
	assert_true(has_row("coalesced_total", ""));
}

/* ---- the rows that nobody counts */

static bool ends_in_total(const char *name)
{
	size_t len = strlen(name);

	return len > 6 && same(name + len - 6, "_total");
}

static void gathered_rows_are_named_as_prometheus_wants_it(void **state)
{
	(void)state;
	for (int i = 0; i < METRICS_GATHERED; i++) {
		const struct metrics_family *f = &metrics_gathered[i];
		assert_true(is_name(f->name, strlen(f->name)));
		assert_int_equal(ends_in_total(f->name), f->type == METRICS_COUNTER);
		assert_true(f->help[strlen(f->help) - 1] == '.');
		assert_null(strpbrk(f->help, "\\\n"));
		assert_true(*f->labels == '\0' || is_name(f->labels, strcspn(f->labels, ",")));
	}
	assert_string_equal(metrics_type_name(METRICS_COUNTER), "counter");
	assert_string_equal(metrics_type_name(METRICS_GAUGE), "gauge");
	assert_string_equal(metrics_type_name(METRICS_HISTOGRAM), "histogram");
}

static void every_family_comes_once(void **state)
{
	struct metrics_family f, other;
	size_t count = 0;

	(void)state;
	for (; metrics_family_at(count, &f); count++)
		for (size_t k = 0; k < count; k++) {
			assert_true(metrics_family_at(k, &other));
			assert_false(same(f.name, other.name));
		}
	assert_true(count > METRICS_GATHERED);
	assert_true(metrics_family_at(0, &f));
	assert_string_equal(f.name, metrics_rows[0].family);
	assert_true(metrics_family_at(count - 1, &f));
	assert_string_equal(f.name, metrics_gathered[METRICS_GATHERED - 1].name);
	assert_false(metrics_family_at(count, &f));
	assert_false(metrics_family_at(SIZE_MAX, &f));
}

static void manual_names_every_family(void **state)
{
	char *page = NULL, wanted[160];
	size_t len;
	FILE *out = open_memstream(&page, &len);
	struct metrics_family f;

	(void)state;
	metrics_print_man(out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; metrics_family_at(i, &f); i++) {
		snprintf(wanted, sizeof(wanted), ".It Cm r53fwd_%s%s", f.name, *f.labels != '\0' ? " Ns Brq " : "\n");
		assert_non_null(strstr(page, wanted));
	}
	assert_non_null(strstr(page, "r53fwd_queries_total Ns Brq proto\n"));
	assert_non_null(strstr(page, "One of udp, tcp."));
	free(page);
}

/* ---- counting */

static void each_counter_counts_alone(void **state)
{
	struct metrics m = {0};

	(void)state;
	for (int i = 0; i < METRICS; i++)
		for (int n = 0; n <= i; n++)
			metrics_add(&m, (enum metric)i, 3);
	for (int i = 0; i < METRICS; i++)
		assert_int_equal(metrics_get(&m, (enum metric)i), 3 * (i + 1));
}

static void counter_goes_beyond_32_bits(void **state)
{
	struct metrics m = {0};

	(void)state;
	metrics_add(&m, METRIC_QUERIES_UDP, UINT32_MAX);
	metrics_add(&m, METRIC_QUERIES_UDP, UINT32_MAX);
	assert_true(metrics_get(&m, METRIC_QUERIES_UDP) == 2 * (uint64_t)UINT32_MAX);
	assert_int_equal(metrics_get(&m, METRIC_QUERIES_TCP), 0);
}

static void threads_do_not_share_a_cache_line(void **state)
{
	static struct metrics two[2];

	(void)state;
	assert_int_equal(sizeof(two[0]) % 64, 0);
	assert_int_equal((uintptr_t)&two[1] % 64, 0);
}

static void *count(void *arg)
{
	for (int i = 0; i < 100000; i++)
		metrics_add(arg, METRIC_CACHE_HITS, 1);
	return NULL;
}

static void reader_sees_a_counter_only_grow(void **state)
{
	static struct metrics m;
	pthread_t writer;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, count, &m), 0);
	for (int i = 0; i < 100000; i++) {
		uint64_t now = metrics_get(&m, METRIC_CACHE_HITS);
		assert_true(now >= last);
		last = now;
	}
	pthread_join(writer, NULL);
	assert_int_equal(metrics_get(&m, METRIC_CACHE_HITS), 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(family_and_labels_name_one_row),
		cmocka_unit_test(rows_of_one_family_stand_together),
		cmocka_unit_test(first_row_of_a_family_and_no_other_has_its_help),
		cmocka_unit_test(families_are_names_that_prometheus_takes),
		cmocka_unit_test(counters_end_in_total),
		cmocka_unit_test(labels_are_pairs_with_quoted_values),
		cmocka_unit_test(rows_of_one_family_have_the_same_labels),
		cmocka_unit_test(gathered_rows_are_named_as_prometheus_wants_it),
		cmocka_unit_test(every_family_comes_once),
		cmocka_unit_test(manual_names_every_family),
		cmocka_unit_test(names_promised_to_scripts_are_there),
		cmocka_unit_test(each_counter_counts_alone),
		cmocka_unit_test(counter_goes_beyond_32_bits),
		cmocka_unit_test(threads_do_not_share_a_cache_line),
		cmocka_unit_test(reader_sees_a_counter_only_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
