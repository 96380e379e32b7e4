/* SPDX-License-Identifier: Apache-2.0 */
/* What bash makes of the script is tests/e2e/test_completion.py's business. */
#include "cli/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cli/cli.h"

static char *script;

static int set_up(void **state)
{
	size_t len;
	FILE *out = open_memstream(&script, &len);

	(void)state;
	completion_print(out);
	return fclose(out);
}

static int tear_down(void **state)
{
	(void)state;
	free(script);
	return 0;
}

static void every_command_has_its_case(void **state)
{
	static const char *const names[] = {
#define COMMAND(name, unit, operands, options, help) "\t" name ")\n\t\twanted=(",
#include "tables/commands.def"
#undef COMMAND
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strstr(script, names[i]) == NULL)
			fail_msg("%s", names[i]);
}

static void every_option_with_a_value_has_its_case(void **state)
{
	static const struct {
		const char *text;
		bool value;
	} options[] = {
#define FLAG(value, name, value_name, words, help) {"\t--" name ")\n", sizeof(value_name) > 1},
#include "tables/flags.def"
#undef FLAG
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if ((strstr(script, options[i].text) != NULL) != options[i].value)
			fail_msg("%s", options[i].text);
}

/* Words of compgen -W are expanded once more: nothing that a daemon says may hold a `$` or a backquote. */
static void what_the_daemon_says_is_taken_in_plain_letters_only(void **state)
{
	(void)state;
	assert_non_null(strstr(script, "_r53fwd_known '\"name\":\"[A-Za-z0-9._-]*\",\"to\"'"));
	assert_non_null(strstr(script, "_r53fwd_known '\"address\":\"[0-9.]*'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_has_its_case),
		cmocka_unit_test(every_option_with_a_value_has_its_case),
		cmocka_unit_test(what_the_daemon_says_is_taken_in_plain_letters_only),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
