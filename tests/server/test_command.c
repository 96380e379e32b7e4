/* SPDX-License-Identifier: Apache-2.0 */
#include "server/command.h"

#include "base/log.h"
#include "commanded.h"
#include "wire/dns.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.1.0.2, az: b}], policy: ordered}\n"
			   "  tokyo: {addresses: [{ip: 10.1.0.1, az: a}, {ip: 10.2.0.2, port: 5300, az: b}]}\n"
			   "zones:\n"
			   "  - {name: corp.test, to: seoul}\n"
			   "  - {name: other.test, to: tokyo}\n"
			   "local-upstreams: [10.9.0.1]\n";

static struct commanded c;

static int set_up(void **state)
{
	(void)state;
	commanded_start(&c, conf);
	world_run_ms(c.world, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	commanded_stop(&c);
	return 0;
}

/* Asks, and awaits the answer: it is in the cache then. */
static void warm(const char *name, const char *type)
{
	unsigned query = world_ask(c.world, name, type);

	world_run_ms(c.world, 100);
	assert_non_null(world_reply(c.world, query));
	assert_int_equal(world_reply(c.world, query)->rcode, DNS_NOERROR);
}

static long long count_in(json_t *answer, const char *key)
{
	assert_null(json_object_get(answer, "error"));
	assert_true(json_is_integer(json_object_get(answer, key)));
	long long n = (long long)json_integer_value(json_object_get(answer, key));
	json_decref(answer);
	return n;
}

static bool is_drained(const char *pool, int place)
{
	return atomic_load(&world_pool(c.world, pool)->places[place].upstream->drained);
}

/* ---- the line ---- */

static void what_is_no_command_is_answered_with_an_error(void **state)
{
	static const char no_object[] = "a command is a JSON object with the key `command`";

	(void)state;
	expect_error(&c, "", no_object);
	expect_error(&c, "status", no_object);
	expect_error(&c, "{\"command\":", no_object);
	expect_error(&c, "[\"status\"]", no_object);
	expect_error(&c, "{}", no_object);
	expect_error(&c, "{\"command\": 7}", no_object);
	expect_error(&c, "{\"command\": \"alive\", \"command\": \"alive\"}", no_object);
	expect_error(&c, "{\"command\": \"explode\"}", "there is no command `explode`");
	expect_error(&c, "{\"command\": \"al\"}", "there is no command `al`");
	expect_error(&c, "{\"command\": \"\xc3\xa9\x1b\"}", no_object);
	expect_error(&c, "{\"command\": \"\xc3\xa9\\u001b\"}", "there is no command `???`");
	json_t *answer = tell_octets(&c, "{\"command\": \"alive\"}\0x", 22);
	assert_non_null(json_object_get(answer, "error"));
	json_decref(answer);
}

static void long_words_come_back_short(void **state)
{
	char line[8192];

	(void)state;
	snprintf(line, sizeof(line), "{\"command\": \"%08000d\"}", 0);
	json_t *answer = tell(&c, line);
	assert_in_range(strlen(json_string_value(json_object_get(answer, "error"))), 60, 120);
	json_decref(answer);
}

static void unknown_keys_are_refused(void **state)
{
	(void)state;
	expect_error(&c, "{\"command\": \"alive\", \"really\": true}", "alive does not know `really`");
	expect_error(&c, "{\"command\": \"flush\", \"zome\": \"x\"}", "flush does not know `zome`");
	expect_error(&c, "{\"command\": \"flush\", \"one\": \"x\"}", "flush does not know `one`");
	expect_error(&c, "{\"command\": \"flush\", \"\": \"x\"}", "flush does not know ``");
}

/* "yes" is not true, and 5 is no type. */
static void values_of_the_wrong_type_are_refused(void **state)
{
	(void)state;
	expect_error(&c, "{\"command\": \"ready\", \"zones\": \"yes\"}", "`zones` of ready must be true or false");
	expect_error(&c, "{\"command\": \"ready\", \"zones\": 1}", "`zones` of ready must be true or false");
	expect_error(&c, "{\"command\": \"explain\", \"name\": \"a\", \"type\": 5}", "`type` of explain must be a text");
	expect_error(&c, "{\"command\": \"flush\", \"name\": null, \"all\": true}", "`name` of flush must be a text");
	expect_error(&c, "{\"command\": \"flush\", \"all\": \"true\"}", "`all` of flush must be true or false");
	expect_error(&c, "{\"command\": \"status\", \"zones\": true}", "`zones` of status must be a text");
	expect_error(&c, "{\"command\": \"status\", \"zones\": \"some\"}", "`zones` of status must be `all`");
	json_decref(tell(&c, "{\"command\": \"ready\", \"zones\": false}"));
}

static void alive_is_alive(void **state)
{
	(void)state;
	json_t *answer = tell(&c, "{\"command\": \"alive\"}");
	assert_true(json_is_true(json_object_get(answer, "alive")));
	json_decref(answer);
}

/* ---- without memory ---- */

static unsigned allocations, failing_allocation;

static void *allocate_or_fail(size_t bytes)
{
	return ++allocations == failing_allocation ? NULL : malloc(bytes);
}

/* The reply is NULL or a whole one. */
static void every_command_survives_that_any_one_allocation_of_its_answer_fails(void **state)
{
	static const char *const lines[] = {
		"{\"command\": \"status\"}",
		"{\"command\": \"metrics\"}",
		"{\"command\": \"ready\", \"zones\": true}",
		"{\"command\": \"alive\"}",
		"{\"command\": \"flush\", \"all\": true}",
		"{\"command\": \"drain\", \"address\": \"10.1.0.1\"}",
		"{\"command\": \"undrain\", \"address\": \"10.1.0.1\"}",
		"{\"command\": \"reload\"}",
		"{\"command\": \"takeover\"}",
		"{\"command\": \"explode\"}",
		"{\"command\": \"explain\", \"name\": \"www.corp.test\", \"type\": \"A\"}",
	};

	(void)state;
	c.own = true;
	c.reload_works = true;
	log_configure(LOG_ERROR, LOG_TEXT);
	json_set_alloc_funcs(allocate_or_fail, free);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		unsigned tried = 0;
		do {
			const struct command_world w = {
				.status = look(&c), .reload = on_reload, .drained = on_drained, .takeover = on_takeover,
				.only_looks = on_only_looks, .pages = on_pages, .is_leaving = on_is_leaving, .arg = &c};
			const struct control_line line = {.text = lines[i], .len = strlen(lines[i]), .uid = geteuid(), .pid = 8};
			struct control_reply reply = {.text = NULL};
			failing_allocation = ++tried;
			allocations = 0;
			command_run(&w, &line, &reply);
			assert_int_equal(reply.len, reply.text != NULL ? strlen(reply.text) : 0);
			assert_true(reply.text != NULL || allocations >= failing_allocation);
			control_reply_deinit(&reply);
		} while (allocations >= failing_allocation);
		assert_in_range(tried, 8, 100000);
	}
	json_set_alloc_funcs(malloc, free);
	log_configure(LOG_INFO, LOG_TEXT);
}

/* ---- reload ---- */

static void a_reload_that_works_gives_the_warnings_back(void **state)
{
	(void)state;
	c.reload_works = true;
	json_t *answer = tell(&c, "{\"command\": \"reload\"}");
	assert_true(json_is_true(json_object_get(answer, "loaded")));
	assert_string_equal(json_string_value(json_object_get(answer, "diagnostics")), "");
	json_decref(answer);
	c.reload_says = "zones.conf:1:1: warning: hm\n";
	answer = tell(&c, "{\"command\": \"reload\"}");
	assert_null(json_object_get(answer, "error"));
	assert_string_equal(json_string_value(json_object_get(answer, "diagnostics")), c.reload_says);
	json_decref(answer);
	assert_int_equal(c.reloads, 2);
}

static void a_reload_that_fails_gives_the_errors_back(void **state)
{
	(void)state;
	c.reload_says = "zones.conf:1:1: unknown key `x\xff`\n";
	json_t *answer = tell(&c, "{\"command\": \"reload\"}");
	assert_true(json_is_false(json_object_get(answer, "loaded")));
	assert_string_equal(json_string_value(json_object_get(answer, "error")), "zones.conf was not loaded; everything stays as it was");
	assert_string_equal(json_string_value(json_object_get(answer, "diagnostics")), "zones.conf:1:1: unknown key `x\\xff`\n");
	json_decref(answer);
}

/* jansson takes nothing but UTF-8: an error that it left out was a success to whoever asked. */
static void a_refusal_is_one_whatever_the_file_is_called(void **state)
{
	(void)state;
	c.zones_path = "/etc/\xff.conf";
	json_t *answer = tell(&c, "{\"command\": \"reload\"}");
	assert_string_equal(json_string_value(json_object_get(answer, "error")),
			    "/etc/\\xff.conf was not loaded; everything stays as it was");
	json_decref(answer);
	answer = tell(&c, "{\"command\": \"status\"}");
	assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "config"), "path")), "/etc/\\xff.conf");
	json_decref(answer);
}

/* ---- flush ---- */

static void a_name_is_flushed_with_all_its_types(void **state)
{
	(void)state;
	warm("www.corp.test", "A");
	warm("www.corp.test", "AAAA");
	warm("below.www.corp.test", "A");
	assert_int_equal(count_in(tell(&c, "{\"command\": \"flush\", \"name\": \"WWW.corp.test.\"}"), "forgotten"), 2);
	assert_int_equal(count_in(tell(&c, "{\"command\": \"flush\", \"name\": \"www.corp.test\"}"), "forgotten"), 0);
}

static void a_zone_is_flushed_with_what_is_below(void **state)
{
	(void)state;
	warm("www.corp.test", "A");
	warm("corp.test", "A");
	warm("www.other.test", "A");
	assert_int_equal(count_in(tell(&c, "{\"command\": \"flush\", \"zone\": \"corp.test\"}"), "forgotten"), 2);
}

static void all_is_flushed(void **state)
{
	(void)state;
	warm("www.corp.test", "A");
	warm("www.other.test", "A");
	assert_int_equal(count_in(tell(&c, "{\"command\": \"flush\", \"all\": true}"), "forgotten"), 2);
}

static void flush_wants_exactly_one_thing(void **state)
{
	static const char one[] = "flush wants one of a name, a zone, or all";

	(void)state;
	warm("www.corp.test", "A");
	expect_error(&c, "{\"command\": \"flush\"}", one);
	expect_error(&c, "{\"command\": \"flush\", \"all\": false}", one);
	expect_error(&c, "{\"command\": \"flush\", \"name\": \"a\", \"zone\": \"a\"}", one);
	expect_error(&c, "{\"command\": \"flush\", \"name\": \"a\", \"all\": true}", one);
	expect_error(&c, "{\"command\": \"flush\", \"name\": \"a..b\"}", "`a..b` is no name");
	expect_error(&c, "{\"command\": \"flush\", \"zone\": \"\"}", "`` is no name");
	assert_int_equal(count_in(tell(&c, "{\"command\": \"flush\", \"all\": true}"), "forgotten"), 1);
}

/* ---- drain ---- */

static void a_drained_address_gets_no_more_questions(void **state)
{
	(void)state;
	warm("a.corp.test", "A");
	unsigned asked = world_upstream(c.world, "10.1.0.1")->asked, other = world_upstream(c.world, "10.1.0.2")->asked;
	assert_true(asked > 0);
	assert_int_equal(count_in(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1:53\"}"), "drained"), 2);
	warm("b.corp.test", "A");
	warm("c.corp.test", "A");
	assert_int_equal(world_upstream(c.world, "10.1.0.1")->asked, asked);
	assert_int_equal(world_upstream(c.world, "10.1.0.2")->asked, other + 2);
	assert_int_equal(count_in(tell(&c, "{\"command\": \"undrain\", \"address\": \"10.1.0.1\"}"), "undrained"), 2);
	warm("d.corp.test", "A");
	assert_int_equal(world_upstream(c.world, "10.1.0.1")->asked, asked + 1);
	assert_null(c.drained_name);
}

static void each_place_of_the_address_is_drained(void **state)
{
	(void)state;
	json_t *answer = tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "endpoints")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "endpoints"), 1)), "tokyo");
	assert_null(json_object_get(answer, "warnings"));
	json_decref(answer);
	assert_true(is_drained("seoul", 0) && is_drained("tokyo", 0));
	assert_false(is_drained("seoul", 1) || is_drained("tokyo", 1));
}

static void a_port_is_looked_at_if_given(void **state)
{
	(void)state;
	expect_error(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.2:53\"}", "no endpoint has the address 10.2.0.2:53");
	assert_int_equal(count_in(tell(&c, "{\"command\": \"drain\", \"address\": \"10.2.0.2:5300\"}"), "drained"), 1);
	assert_int_equal(count_in(tell(&c, "{\"command\": \"undrain\", \"address\": \"10.2.0.2\"}"), "undrained"), 1);
	assert_false(is_drained("tokyo", 1));
}

static void the_last_address_is_drained_with_a_warning(void **state)
{
	(void)state;
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1\"}"));
	json_t *answer = tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.2\"}");
	assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "warnings"), 0)),
			    "no address of seoul takes questions any more: all are drained");
	assert_int_equal(json_array_size(json_object_get(answer, "warnings")), 1);
	json_decref(answer);
	assert_true(is_drained("seoul", 0) && is_drained("seoul", 1));
	assert_string_equal(c.drained_name, "seoul");
	/* Once more is no news. */
	c.drained_name = NULL;
	answer = tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.2\"}");
	assert_null(json_object_get(answer, "warnings"));
	json_decref(answer);
	assert_null(c.drained_name);
}

static void drains_survive_a_reload(void **state)
{
	(void)state;
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1\"}"));
	world_reload(c.world, conf);
	assert_true(is_drained("seoul", 0) && is_drained("tokyo", 0));
	assert_false(is_drained("seoul", 1));
}

static void what_is_no_address_is_refused(void **state)
{
	static const char wants[] = "drain wants an address (IP, IP:PORT or [IP6]:PORT)";

	(void)state;
	expect_error(&c, "{\"command\": \"drain\"}", wants);
	expect_error(&c, "{\"command\": \"drain\", \"address\": \"seoul\"}", wants);
	expect_error(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1:0\"}", wants);
	expect_error(&c, "{\"command\": \"undrain\", \"address\": 1}", "`address` of undrain must be a text");
	expect_error(&c, "{\"command\": \"drain\", \"address\": \"192.0.2.77\"}", "no endpoint has the address 192.0.2.77");
}

/* Whatever a row asks for: it answers, with an object, and knows no key that it does not name. */
static void every_row_answers(void **state)
{
	static const char *const names[] = {
#define CONTROL(unit, name, reach, keys, help) name,
#include "tables/control.def"
#undef CONTROL
	};
	char line[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(line, sizeof(line), "{\"command\": \"%s\"}", names[i]);
		json_decref(tell(&c, line));
		snprintf(line, sizeof(line), "{\"command\": \"%s\", \"nonsense\": 1}", names[i]);
		json_t *answer = tell(&c, line);
		assert_non_null(json_object_get(answer, "error"));
		json_decref(answer);
	}
}

/* Whoever takes r53fwd-http over, which faces browsers, may look and no more. */
static void status_page_may_look_and_no_more(void **state)
{
	static const char *const may[] = {"status", "alive", "metrics", "ready"};
	static const char *const may_not[] = {"reload", "flush", "drain", "undrain", "takeover", "explain"};
	char line[128], why[128];

	(void)state;
	c.own = c.pages = true;
	for (size_t i = 0; i < ARRAY_SIZE(may); i++) {
		snprintf(line, sizeof(line), "{\"command\": \"%s\"}", may[i]);
		json_t *answer = tell(&c, line);
		assert_null(json_object_get(answer, "error"));
		json_decref(answer);
	}
	for (size_t i = 0; i < ARRAY_SIZE(may_not); i++) {
		snprintf(line, sizeof(line), "{\"command\": \"%s\"}", may_not[i]);
		snprintf(why, sizeof(why), "%s is nothing that r53fwd-http may ask for", may_not[i]);
		expect_error(&c, line, why);
	}
}

static void what_would_be_lost_in_a_takeover_is_refused(void **state)
{
	(void)state;
	c.own = c.leaving = true;
	json_decref(tell(&c, "{\"command\": \"status\"}"));
	expect_error(&c, "{\"command\": \"flush\", \"all\": true}", "another instance is about to take over: ask for flush in a moment");
	expect_error(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1\"}",
		     "another instance is about to take over: ask for drain in a moment");
	assert_false(is_drained("seoul", 0));
	c.leaving = false;
	assert_int_equal(count_in(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1:53\"}"), "drained"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- takeover ---- */

static void only_the_daemons_own_user_and_root_take_over(void **state)
{
	(void)state;
	expect_error(&c, "{\"command\": \"takeover\"}", "to take over is for root and for the daemon's own user");
	assert_int_equal(c.successor, 0);
}

static void takeover_is_refused_with_the_reason(void **state)
{
	(void)state;
	c.own = true;
	c.refusal = "another instance is about to take over";
	expect_error(&c, "{\"command\": \"takeover\"}", "another instance is about to take over");
	expect_error(&c, "{\"command\": \"takeover\", \"now\": true}", "takeover does not know `now`");
}

static void takeover_is_answered_with_who_we_are(void **state)
{
	(void)state;
	c.own = true;
	json_t *answer = tell(&c, "{\"command\": \"takeover\"}");
	assert_null(json_object_get(answer, "error"));
	assert_int_equal(json_integer_value(json_object_get(answer, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(answer, "descriptors")), 0);
	assert_int_equal(c.successor, 8);
	assert_int_equal(json_array_size(json_object_get(answer, "drained")), 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "pages")), 4712);
	json_decref(answer);
}

static void takeover_is_told_which_addresses_are_drained(void **state)
{
	(void)state;
	c.own = true;
	json_decref(tell(&c, "{\"command\": \"drain\", \"address\": \"10.1.0.1\"}"));
	json_t *answer = tell(&c, "{\"command\": \"takeover\"}"), *drained = json_object_get(answer, "drained");
	assert_true(json_array_size(drained) > 0);
	assert_string_equal(json_string_value(json_array_get(drained, 0)), "10.1.0.1:53");
	json_decref(answer);
}

/* ---- what another one answers ---- */

static void expect_answer(const char *text, bool refused, const char *why)
{
	struct control_reply r = {.text = (char *)(uintptr_t)text, .len = strlen(text)};
	char out[COMMAND_ERROR_MAX];

	assert_int_equal(command_read_error(&r, out), refused);
	if (refused)
		assert_string_equal(out, why);
}

static void error_of_an_answer_is_read_and_made_harmless(void **state)
{
	char text[4 * COMMAND_ERROR_MAX], out[COMMAND_ERROR_MAX];

	(void)state;
	expect_answer("{\"pid\": 7}", false, NULL);
	expect_answer("{\"error\": \"not now\"}", true, "not now");
	expect_answer("{\"error\": \"\\u001b[2J\\u00e9\"}", true, "?[2J??");
	expect_answer("{\"error\": 7}", false, NULL);
	expect_answer("[\"error\"]", true, "what serves there is no r53fwd");
	expect_answer("", true, "what serves there is no r53fwd");
	int len = snprintf(text, sizeof(text), "{\"error\": \"%0*d\"}", 2 * COMMAND_ERROR_MAX, 0);
	assert_true(command_read_error(&(struct control_reply){.text = text, .len = (size_t)len}, out));
	assert_int_equal(strlen(out), COMMAND_ERROR_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_command_is_answered_with_an_error),
		TEST(long_words_come_back_short),
		TEST(unknown_keys_are_refused),
		TEST(values_of_the_wrong_type_are_refused),
		TEST(alive_is_alive),
		TEST(every_command_survives_that_any_one_allocation_of_its_answer_fails),
		TEST(a_reload_that_works_gives_the_warnings_back),
		TEST(a_reload_that_fails_gives_the_errors_back),
		TEST(a_refusal_is_one_whatever_the_file_is_called),
		TEST(a_name_is_flushed_with_all_its_types),
		TEST(a_zone_is_flushed_with_what_is_below),
		TEST(all_is_flushed),
		TEST(flush_wants_exactly_one_thing),
		TEST(a_drained_address_gets_no_more_questions),
		TEST(each_place_of_the_address_is_drained),
		TEST(a_port_is_looked_at_if_given),
		TEST(the_last_address_is_drained_with_a_warning),
		TEST(drains_survive_a_reload),
		TEST(what_is_no_address_is_refused),
		TEST(every_row_answers),
		TEST(status_page_may_look_and_no_more),
		TEST(what_would_be_lost_in_a_takeover_is_refused),
		TEST(only_the_daemons_own_user_and_root_take_over),
		TEST(takeover_is_refused_with_the_reason),
		TEST(takeover_is_answered_with_who_we_are),
		TEST(takeover_is_told_which_addresses_are_drained),
		TEST(error_of_an_answer_is_read_and_made_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
