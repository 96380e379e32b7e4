/* SPDX-License-Identifier: Apache-2.0 */
#include "config/reader.h"

#include "load.h"

static void unknown_keys_are_refused_at_every_level(void **state)
{
	(void)state;
	expect_problems("zones: []\nlisten-on: 1\nforwarders: 2\n", "z:2:1: unknown key `listen-on` in the file (did you mean `listen`?)\n"
								    "z:3:1: unknown key `forwarders` in the file\n");
	expect_problems("zones: []\ncache: {sise: 1MiB}\ntcp: {idel: 1s}\nlog: {levle: info}\n",
			"z:2:9: unknown key `sise` in `cache` (did you mean `size`?)\n"
			"z:3:7: unknown key `idel` in `tcp` (did you mean `idle`?)\n"
			"z:4:7: unknown key `levle` in `log` (did you mean `level`?)\n");
	expect_problems("zones: []\n"
			"resolvers:\n"
			"  a: {addresses: [{ip: 192.0.2.1, zone: b}], polici: spread, probe: {intervall: 1s}}\n",
			"z:3:35: unknown key `zone` in an address\n"
			"z:3:46: unknown key `polici` in an endpoint (did you mean `policy`?)\n"
			"z:3:70: unknown key `intervall` in `probe` (did you mean `interval`?)\n");
	expect_problems("zones:\n"
			"  - {nane: x, name: y, to: local}\n"
			"  - {vpc-endpoints: {region: us-east-1, service: [ssm], services: [ssm]}, to: local}\n",
			"z:2:6: unknown key `nane` in a zone (did you mean `name`?)\n"
			"z:3:41: unknown key `service` in `vpc-endpoints` (did you mean `services`?)\n");
}

static void keys_of_one_map_are_unknown_in_another(void **state)
{
	(void)state;
	expect_problems("zones: []\nport: 53\ncache: {port: 53}\n", "z:2:1: unknown key `port` in the file\n"
								    "z:3:9: unknown key `port` in `cache`\n");
}

static void a_map_must_be_a_map(void **state)
{
	(void)state;
	expect_problems("zones: []\ncache: 64MiB\ntcp: []\nlog:\n", "z:2:8: `cache` must be a map of keys, not `64MiB`\n"
								    "z:3:6: `tcp` must be a map of keys, not a list\n"
								    "z:4:5: `log` must be a map of keys, not nothing\n");
	expect_problems("- zones\n", "z:1:1: the file must be a map of keys, not a list\n");
	expect_problems("zones\n", "z:1:1: the file must be a map of keys, not `zones`\n");
}

static void a_list_must_be_a_list(void **state)
{
	(void)state;
	expect_problems("zones: corp.internal\nlisten: 127.0.0.1\nallow-from: {a: b}\nlocal-upstreams: 192.0.2.1\n",
			"z:1:8: `zones` must be a list, not `corp.internal`\n"
			"z:2:9: `listen` must be a list, not `127.0.0.1`\n"
			"z:3:13: `allow-from` must be a list, not a map\n"
			"z:4:18: `local-upstreams` must be a list, not `192.0.2.1`\n");
}

static void what_was_refused_once_is_not_refused_again(void **state)
{
	(void)state;
	unsetenv("R53FWD_TEST_UNSET");
	expect_problems("zones: [{name: &n x.y, to: local}, {name: *n, to: local}]\n"
			"workers: ${R53FWD_TEST_UNSET}\n"
			"listen: [\"${R53FWD_TEST_UNSET}\", 127.0.0.1]\n"
			"cache: *n\n"
			"allow-from: *n\n",
			"z:1:43: aliases (`*n`) are not used here: write the value out\n"
			"z:2:10: the environment variable `R53FWD_TEST_UNSET` is not set\n"
			"z:3:10: the environment variable `R53FWD_TEST_UNSET` is not set\n"
			"z:4:8: aliases (`*n`) are not used here: write the value out\n"
			"z:5:13: aliases (`*n`) are not used here: write the value out\n");
}

static void long_words_are_cut_in_messages(void **state)
{
	char text[256], expected[256], word[101];

	(void)state;
	memset(word, 'w', 100);
	word[100] = '\0';
	snprintf(text, sizeof(text), "zones: []\nworkers: %s\n", word);
	snprintf(expected, sizeof(expected), "z:2:10: `workers` must be auto or a number from 1 to 64, not `%.64s...`\n", word);
	expect_problems(text, expected);
}

/* `on` is nearer to `no` than to any word of the list, and `no` is not in it. */
static void a_hint_is_one_of_the_words_that_the_sentence_names(void **state)
{
	(void)state;
	expect_problems("zones: []\nlog: {queries: on}\n", "z:2:16: `queries` must be off, errors or all, not `on`\n");
	expect_problems("zones: []\nlog: {queries: error}\n",
			"z:2:16: `queries` must be off, errors or all, not `error` (did you mean `errors`?)\n");
	expect_problems("inbound-endpoints: {e: {addresses: [192.0.2.1, 192.0.2.2]}}\n"
			"zones: [{name: a, to: e, expect: private, guard: on}]\n",
			"z:2:50: `guard` must be off, warn or enforce, not `on`\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_keys_are_refused_at_every_level),
		cmocka_unit_test(keys_of_one_map_are_unknown_in_another),
		cmocka_unit_test(a_map_must_be_a_map),
		cmocka_unit_test(a_list_must_be_a_list),
		cmocka_unit_test(what_was_refused_once_is_not_refused_again),
		cmocka_unit_test(long_words_are_cut_in_messages),
		cmocka_unit_test(a_hint_is_one_of_the_words_that_the_sentence_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
