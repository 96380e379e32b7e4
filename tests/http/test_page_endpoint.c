/* SPDX-License-Identifier: Apache-2.0 */
#include "http/page_endpoint.h"

#include "pretend.h"

static const char three[] =
	"{'name': 'seoul', 'kind': 'inbound-endpoint', 'state': 'degraded', 'policy': 'spread', 'max_qps': 1000, 'outages': 2,"
	" 'addresses': ["
	"{'address': '10.0.0.1:53', 'az': 'a', 'state': 'up', 'up': true, 'rtt_ms': 4.25, 'rtt_history_ms': [4, null, 4.25], 'qps': 300,"
	" 'queries': 1234, 'timeouts': 0, 'hedges': 3, 'cause': null},"
	"{'address': '10.0.0.2:53', 'az': 'a', 'state': 'slow', 'up': true, 'rtt_ms': 90, 'qps': 100, 'queries': 7,"
	" 'cause': 'a probe went unanswered', 'cause_age_seconds': 7200},"
	"{'address': '10.0.0.3:53', 'az': 'b', 'state': 'down', 'up': false, 'rtt_ms': null, 'qps': 600, 'queries': 70, 'timeouts': 9,"
	" 'cause': 'questions went unanswered', 'cause_age_seconds': 65, 'last_answer_age_seconds': 130}]}";

static char *print(const char *json)
{
	json_t *e = read_json(json);
	char *html = PRINTED(page_endpoint_print(e, out));

	json_decref(e);
	expect_well_formed(html);
	return html;
}

static void expect_verdict(const char *json, const char *wanted)
{
	json_t *e = read_json(json);
	bool wrong = false;
	char *said = PRINTED(wrong = page_endpoint_print_verdict(e, out));

	assert_string_equal(said, wanted);
	assert_int_equal(wrong, *wanted != '\0');
	free(said);
	json_decref(e);
}

static void addresses_stand_in_their_azs(void **state)
{
	char *html = print(three);

	(void)state;
	assert_int_equal(times(html, "<h3>"), 2);
	assert_int_equal(times(html, "class=\"address\""), 3);
	const char *b = strstr(html, "<h3>b</h3>");
	assert_non_null(b);
	assert_true(strstr(html, "10.0.0.2:53") < b && strstr(html, "10.0.0.3:53") > b);
	free(html);
}

static void numbers_of_an_address_are_told(void **state)
{
	char *html = print(three);

	(void)state;
	expect_part(html, "4.2 <small>ms</small>");
	expect_part(html, "300 <span class=\"dim\">of 1,000 queries/s</span>");
	expect_part(html, "30 % <span class=\"dim\">of the traffic</span>");
	expect_part(html, "asked 1,234 &middot; hedges 3<");
	expect_part(html, "asked 70 &middot; unanswered 9<");
	expect_part(html, "class=\"bar warn\""); /* 600 of 1,000 */
	expect_part(html, "outages so far: 2");
	free(html);
}

static void last_failure_is_told_in_words_and_loudly_while_it_lasts(void **state)
{
	char *html = print(three);

	(void)state;
	expect_part(html, "<p class=\"said now\">questions went unanswered, 1 min ago</p>");
	expect_part(html, "<p class=\"said\">last trouble: a probe went unanswered, 2 h 0 min ago</p>");
	expect_part(html, "2 min <small>silent</small>");
	assert_int_equal(times(html, "class=\"said"), 2);
	free(html);
}

static void hostile_names_are_escaped(void **state)
{
	char *html = print("{'name': '<b>', 'kind': '<i>', 'state': '<u>', 'policy': '<s>', 'addresses': ["
			   "{'address': '<a href=x>', 'az': '<img onerror=x>', 'state': '<x>', 'cause': '<script>'}]}");

	(void)state;
	static const char *const tags[] = {"<b>seoul", "<b><", "<i>", "<u>", "<s>", "<a ", "<img", "<x>", "<script>"};
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		expect_no_part(html, tags[i]);
	expect_part(html, "&lt;img onerror=x&gt;");
	free(html);
}

static void addresses_without_an_az_stand_alone(void **state)
{
	char *html = print("{'name': 'x', 'addresses': [{'address': '1', 'az': null}, {'address': '2', 'az': null}]}");

	(void)state;
	assert_int_equal(times(html, "<div class=\"az\">"), 2);
	assert_int_equal(times(html, "<h3>"), 0);
	free(html);
}

static void endpoint_of_another_version_is_printed_all_the_same(void **state)
{
	(void)state;
	free(print("{}"));
	free(print("[]"));
	free(print("{'addresses': 7, 'name': null}"));
	free(print("{'addresses': [null, 7, {}, {'az': 7, 'rtt_history_ms': {}}, {'az': 'a', 'rtt_history_ms': ['x', -4]}]}"));
	char *html = print("{'name': 'local', 'kind': 'local', 'addresses': []}");
	expect_part(html, "Local upstreams");
	expect_part(html, "no address is known");
	free(html);
}

static void verdict_counts_what_is_wrong(void **state)
{
	(void)state;
	expect_verdict(three, "seoul: 1 of 3 addresses is out of favour");
	expect_verdict("{'name': 'x', 'state': 'up', 'addresses': [{'state': 'up', 'up': true}]}", "");
	expect_verdict("{'name': 'x', 'state': 'down', 'addresses': []}", "");
	expect_verdict("{'name': 'x', 'state': 'down', 'addresses': [{'state': 'down', 'up': false}]}", "x: its address does not answer");
	expect_verdict("{'name': '<x>', 'state': 'down', 'addresses': [{'state': 'down', 'up': false}, {'state': 'down', 'up': false}]}",
		       "&lt;x&gt;: none of its 2 addresses answers");
	expect_verdict("{'name': 'x', 'state': 'drained', 'addresses': [{'state': 'drained', 'up': false}]}",
		       "x: every address is drained");
	expect_verdict("{'name': 'x', 'state': 'up', 'addresses': [{'state': 'slow', 'up': true}, {'state': 'up', 'up': true}]}",
		       "x: 1 of 2 addresses is slow");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_stand_in_their_azs),
		cmocka_unit_test(numbers_of_an_address_are_told),
		cmocka_unit_test(last_failure_is_told_in_words_and_loudly_while_it_lasts),
		cmocka_unit_test(hostile_names_are_escaped),
		cmocka_unit_test(addresses_without_an_az_stand_alone),
		cmocka_unit_test(endpoint_of_another_version_is_printed_all_the_same),
		cmocka_unit_test(verdict_counts_what_is_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
