/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault.h"
#include "wire/dns.h"

static char message[256];

static int parse(struct fault *f, const char *text)
{
	struct strbuf error;

	strbuf_init(&error, message, sizeof(message));
	return fault_parse(f, text, &error);
}

static const char *print(const struct fault *f)
{
	static char text[FAULT_TEXT_MAX];
	struct strbuf out;

	strbuf_init(&out, text, sizeof(text));
	fault_print(f, &out);
	assert_false(out.cut);
	return text;
}

static void every_word_comes_back_as_it_was_written(void **state)
{
	static const char *const texts[] = {"silent",   "delay 300ms", "jitter 20ms",    "loss 30%", "rcode SERVFAIL",
					    "truncate", "garbage",     "wrong-id",       "tcp-cut",  "wrong-question",
					    "closed",   "no-edns",     "lower-case",     "loss 2.3%", "loss 0.1%", "rcode NOERROR",
					    "delay 300ms jitter 20ms loss 30% rcode REFUSED tcp-cut"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct fault f = {0};
		assert_int_equal(parse(&f, texts[i]), 0);
		assert_string_equal(print(&f), texts[i]);
	}
}

static void all_words_at_once_fit_the_text(void **state)
{
	struct fault f = {0};

	(void)state;
	assert_int_equal(parse(&f, "silent delay 59999.9ms jitter 59999.9ms loss 99.9% rcode NXDOMAIN truncate garbage wrong-id "
				   "wrong-question tcp-cut closed no-edns lower-case"),
			 0);
	assert_non_null(strstr(print(&f), "lower-case"));
}

static void times_have_units(void **state)
{
	struct fault f = {0};

	(void)state;
	assert_int_equal(parse(&f, "delay 1.5s"), 0);
	assert_int_equal(f.delay_us, 1500000);
	assert_int_equal(parse(&f, "delay 250us"), 0);
	assert_int_equal(f.delay_us, 250);
}

static void faults_add_up_and_heal_takes_them_back(void **state)
{
	struct fault f = {0};

	(void)state;
	assert_int_equal(parse(&f, "delay 300ms"), 0);
	assert_int_equal(parse(&f, "loss 10%"), 0);
	assert_string_equal(print(&f), "delay 300ms loss 10%");
	assert_int_equal(parse(&f, "heal silent"), 0);
	assert_string_equal(print(&f), "silent");
	assert_int_equal(parse(&f, "heal"), 0);
	assert_string_equal(print(&f), "none");
}

static void rcode_is_read_in_any_letter_case(void **state)
{
	struct fault f = {0};

	(void)state;
	assert_int_equal(parse(&f, "rcode servfail"), 0);
	assert_int_equal(f.rcode, DNS_SERVFAIL);
}

static void nonsense_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		const char *text, *sentence;
	} rows[] = {
		{"", "which fault"},
		{"slow", "no fault is called `slow`"},
		{"delay", "`delay` needs a value like `delay 300ms`"},
		{"delay 300", "not `300`"},
		{"delay -1ms", "not `-1ms`"},
		{"delay infs", "not `infs`"},
		{"delay 1.2.3s", "not `1.2.3s`"},
		{"delay 61s", "not `61s`"},
		{"loss 30", "not `30`"},
		{"loss 101%", "not `101%`"},
		{"loss 0.05%", "not `0.05%`"},
		{"loss 33.33%", "not `33.33%`"},
		{"delay 0.5us", "not `0.5us`"},
		{"rcode BADVERS", "not `BADVERS`"},
		{"rcode 2", "not `2`"},
		{"loss 50% nonsense", "`nonsense`"},
	};
	char big[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fault f = {.silent = true};
		assert_true(parse(&f, rows[i].text) < 0);
		assert_non_null(strstr(message, rows[i].sentence));
		assert_string_equal(print(&f), "silent");
	}
	struct fault f = {0};
	memset(big, ' ', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_true(parse(&f, big) < 0);
}

static void help_names_every_word(void **state)
{
	(void)state;
	assert_non_null(strstr(fault_help(), "  delay 300ms "));
	assert_non_null(strstr(fault_help(), "  heal "));
}

static void silent_and_closed_addresses_never_answer(void **state)
{
	struct random r;
	uint64_t wait_us;

	(void)state;
	random_init(&r);
	assert_false(fault_draw(&(struct fault){.silent = true}, true, &r, &wait_us));
	assert_false(fault_draw(&(struct fault){.closed = true}, false, &r, &wait_us));
	assert_true(fault_draw(&(struct fault){0}, false, &r, &wait_us));
	assert_int_equal(wait_us, 0);
}

static void loss_takes_its_share_over_udp_only(void **state)
{
	const struct fault f = {.loss_pm = 300};
	struct random r;
	uint64_t wait_us;
	unsigned lost = 0;

	(void)state;
	random_init(&r);
	for (int i = 0; i < 10000; i++) {
		lost += !fault_draw(&f, false, &r, &wait_us);
		assert_true(fault_draw(&f, true, &r, &wait_us));
	}
	/* 3,000 expected, a standard deviation of 46: ten of them. */
	assert_in_range(lost, 2540, 3460);
}

static void jitter_spreads_the_delay_both_ways(void **state)
{
	const struct fault f = {.delay_us = 1000, .jitter_us = 200}, early = {.delay_us = 10, .jitter_us = 200};
	uint64_t wait_us, least = UINT64_MAX, most = 0;
	struct random r;

	(void)state;
	random_init(&r);
	for (int i = 0; i < 5000; i++) {
		assert_true(fault_draw(&f, false, &r, &wait_us));
		least = MIN(least, wait_us);
		most = MAX(most, wait_us);
		assert_true(fault_draw(&early, false, &r, &wait_us));
		assert_in_range(wait_us, 0, 210);
	}
	assert_in_range(least, 800, 830);
	assert_in_range(most, 1170, 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_comes_back_as_it_was_written),
		cmocka_unit_test(all_words_at_once_fit_the_text),
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(faults_add_up_and_heal_takes_them_back),
		cmocka_unit_test(rcode_is_read_in_any_letter_case),
		cmocka_unit_test(nonsense_is_refused_and_changes_nothing),
		cmocka_unit_test(help_names_every_word),
		cmocka_unit_test(silent_and_closed_addresses_never_answer),
		cmocka_unit_test(loss_takes_its_share_over_udp_only),
		cmocka_unit_test(jitter_spreads_the_delay_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
