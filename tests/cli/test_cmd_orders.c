/* SPDX-License-Identifier: Apache-2.0 */
/* reload, flush, drain and undrain: what they ask, what they print, and how they end. */
#include "pretend.h"

static struct pretend *p;

static int set_up(void **state)
{
	(void)state;
	p = pretend_new("{\"error\":\"no\"}");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pretend_free(p);
	return 0;
}

static void reload_is_quiet_if_it_works(void **state)
{
	(void)state;
	p->says = "{\"loaded\":true,\"diagnostics\":\"\"}";
	assert_int_equal(pretend_command(p, cmd_reload, (struct cli){.json = false}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"reload\"}");
	assert_string_equal(p->printed, "");
	assert_string_equal(p->said, "");
}

static void reload_prints_what_is_wrong(void **state)
{
	(void)state;
	p->says = "{\"error\":\"z was not loaded\",\"loaded\":false,\"diagnostics\":\"z:1:2: no\\n\"}";
	assert_int_equal(pretend_command(p, cmd_reload, (struct cli){.json = false}), CLI_FAILED);
	assert_string_equal(p->said, "z:1:2: no\nr53fwd: z was not loaded\n");
}

static void flush_says_how_much_is_gone(void **state)
{
	(void)state;
	p->says = "{\"forgotten\":2}";
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.operands = (char *[]){"www.x"}, .operand_count = 1}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"flush\",\"name\":\"www.x\"}");
	assert_string_equal(p->printed, "2 answers forgotten\n");
	p->says = "{\"forgotten\":1}";
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.zone = "x"}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"flush\",\"zone\":\"x\"}");
	assert_string_equal(p->printed, "1 answer forgotten\n");
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.all = true}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"flush\",\"all\":true}");
}

static void flush_wants_one_thing(void **state)
{
	(void)state;
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.all = false}), CLI_USAGE);
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.all = true, .zone = "x"}), CLI_USAGE);
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.operands = (char *[]){"x"}, .operand_count = 1, .all = true}),
			 CLI_USAGE);
	assert_int_equal(p->lines, 0);
}

static void drain_names_the_endpoints(void **state)
{
	(void)state;
	p->says = "{\"drained\":2,\"endpoints\":[\"seoul\",\"ad\"],\"warnings\":[\"hm\"]}";
	struct cli c = {.command = "drain", .operands = (char *[]){"192.0.2.1"}, .operand_count = 1};
	assert_int_equal(pretend_command(p, cmd_drain, c), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"drain\",\"address\":\"192.0.2.1\"}");
	assert_string_equal(p->printed, "192.0.2.1: drained at seoul, ad\n");
	assert_string_equal(p->said, "warning: hm\n");
	p->says = "{\"undrained\":1,\"endpoints\":[\"seoul\"]}";
	c.command = "undrain";
	assert_int_equal(pretend_command(p, cmd_drain, c), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"undrain\",\"address\":\"192.0.2.1\"}");
	assert_string_equal(p->printed, "192.0.2.1: undrained at seoul\n");
}

static void drain_wants_an_address(void **state)
{
	(void)state;
	assert_int_equal(pretend_command(p, cmd_drain, (struct cli){.command = "undrain"}), CLI_USAGE);
	assert_string_equal(p->said, "r53fwd: undrain wants an ADDRESS\nTry `r53fwd --help`.\n");
	assert_int_equal(p->lines, 0);
}

static void what_is_not_text_is_not_asked(void **state)
{
	char *operands[] = {"\xff\xfe"};

	(void)state;
	assert_int_equal(pretend_command(p, cmd_drain, (struct cli){.command = "drain", .operands = operands, .operand_count = 1}),
			 CLI_FAILED);
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.operands = operands, .operand_count = 1}), CLI_FAILED);
	assert_int_equal(p->lines, 0);
}

static void a_refusal_fails(void **state)
{
	char *operands[] = {"x"};

	(void)state;
	assert_int_equal(pretend_command(p, cmd_drain, (struct cli){.command = "drain", .operands = operands, .operand_count = 1}),
			 CLI_FAILED);
	assert_string_equal(p->said, "r53fwd: no\n");
	assert_int_equal(pretend_command(p, cmd_flush, (struct cli){.operands = operands, .operand_count = 1}), CLI_FAILED);
	assert_string_equal(p->printed, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reload_is_quiet_if_it_works),   TEST(reload_prints_what_is_wrong),
		TEST(flush_says_how_much_is_gone),   TEST(flush_wants_one_thing),
		TEST(drain_names_the_endpoints),     TEST(drain_wants_an_address),
		TEST(what_is_not_text_is_not_asked), TEST(a_refusal_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
