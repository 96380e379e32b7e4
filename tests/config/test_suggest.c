/* SPDX-License-Identifier: Apache-2.0 */
#include "config/suggest.h"

#include "load.h"

static const char *const words[] = {"zones", "listen", "port", "policy", "prefer-az", "log", "udp", "tcp"};

static void expect(const char *text, const char *best)
{
	char hint[SUGGEST_TEXT_MAX], expected[SUGGEST_TEXT_MAX] = "";
	struct suggest s;

	suggest_init(&s, text);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		suggest_offer(&s, words[i]);
	if (best)
		snprintf(expected, sizeof(expected), " (did you mean `%s`?)", best);
	assert_string_equal(suggest_hint(&s, hint), expected);
}

static void one_slip_is_understood(void **state)
{
	(void)state;
	expect("zone", "zones");
	expect("zoness", "zones");
	expect("zomes", "zones");
	expect("prot", "port");
	expect("Listen", "listen");
	expect("prefer_az", "prefer-az");
	expect("dup", "udp");
}

static void the_nearest_of_two_wins(void **state)
{
	(void)state;
	expect("polic", "policy");
	expect("porl", "port");
}

static void another_word_gets_no_hint(void **state)
{
	(void)state;
	expect("dot", NULL);
	expect("http", NULL);
	expect("a", NULL);
	expect("forwarders", NULL);
	expect("", NULL);
	expect("xyz", NULL);
}

static void long_words_get_no_hint(void **state)
{
	char text[SUGGEST_WORD_MAX + 2];

	(void)state;
	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	expect(text, NULL);
	text[SUGGEST_WORD_MAX] = '\0';
	expect(text, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slip_is_understood),
		cmocka_unit_test(the_nearest_of_two_wins),
		cmocka_unit_test(another_word_gets_no_hint),
		cmocka_unit_test(long_words_get_no_hint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
