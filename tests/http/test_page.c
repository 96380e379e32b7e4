/* SPDX-License-Identifier: Apache-2.0 */
#include "http/page.h"

#include "pretend.h"

static const char healthy[] =
	"{'version': '0.1.0', 'uptime_seconds': 4000, 'qps': 12.5, 'zones_total': 2, 'endpoints': ["
	"{'name': 'local', 'kind': 'local', 'state': 'up', 'addresses': [{'address': '192.168.0.2:53', 'state': 'up', 'up': true}]},"
	"{'name': 'seoul', 'kind': 'inbound-endpoint', 'state': 'up',"
	" 'addresses': [{'address': '10.0.0.1:53', 'state': 'up', 'up': true}]}],"
	"'zones': [{'name': 'corp.example.', 'to': ['seoul', 'tokyo'], 'state': 'up', 'association': 'private', 'queries': 5},"
	"{'name': 'other.example.', 'to': ['seoul'], 'state': 'up'}],"
	"'cache': {'entries': 8123, 'bytes': 1048576, 'size_bytes': 67108864, 'hits': 930, 'misses': 70, 'stale': 0, 'stale_qps': 0},"
	"'inbound_queries': {'asked': 5000000, 'sent': 1000000, 'avoided': 4000000},"
	"'metrics': {'r53fwd_queries_total{proto=\\u0022udp\\u0022}': 1000, 'r53fwd_queries_total{proto=\\u0022tcp\\u0022}': 234},"
	"'config': {'path': '/etc/r53fwd/zones.conf', 'loaded_at': '2026-11-25T12:00:00Z', 'reloads': {'ok': 3, 'failed': 1}}}";

static char *print(const char *json)
{
	json_t *status = json != NULL ? read_json(json) : NULL;
	const struct page p = {
		.status = status, .trouble = status == NULL ? "no daemon <serves>" : NULL, .host = "gate<1>", .nonce = "abc123"};
	char *html = PRINTED(page_print(&p, out));

	json_decref(status);
	expect_well_formed(html);
	return html;
}

static void healthy_daemon_is_told_in_one_glance(void **state)
{
	char *html = print(healthy);

	(void)state;
	expect_part(html, "<span class=\"pill up\">all endpoints answer</span>");
	expect_part(html, "0.1.0, up 1 h 6 min");
	expect_part(html, "<div class=\"big\">12.5</div>");
	expect_part(html, "1,234 so far");
	expect_part(html, "93.0 <small>%</small>");
	expect_part(html, "<div class=\"big\">4,000,000</div>");
	expect_part(html, "1.60 USD at 0.40 a million; 1,000,000 were sent");
	expect_part(html, "1.0 MiB of 64.0 MiB");
	expect_part(html, "seoul, then tokyo");
	expect_part(html, "reloads: 3, failed: 1");
	expect_no_part(html, "class=\"hero");
	expect_no_part(html, "class=\"notice");
	free(html);
}

static void stale_answers_are_from_the_cache_too(void **state)
{
	char *html = print("{'cache': {'hits': 500, 'misses': 500, 'stale': 250}}");

	(void)state;
	expect_part(html, "75.0 <small>%</small>");
	expect_part(html, "500 fresh, 250 stale, 0 joined");
	free(html);
}

static void local_upstreams_come_last(void **state)
{
	char *html = print(healthy);

	(void)state;
	assert_true(strstr(html, "<h2>seoul</h2>") < strstr(html, "<h2>Local upstreams</h2>"));
	free(html);
}

static void stale_answers_and_who_is_to_blame_are_in_large_type(void **state)
{
	char *html = print("{'endpoints': [{'name': 'seoul', 'state': 'down', 'addresses': [{'state': 'down', 'up': false}]},"
			   "{'name': 'none', 'state': 'down', 'addresses': []}], 'cache': {'stale_qps': 142.4}}");

	(void)state;
	expect_part(html, "<section class=\"hero\"><span class=\"huge\">142</span>");
	expect_part(html, "stale answers are being served every second");
	expect_part(html, "No address of <b>seoul</b> answers.");
	expect_part(html, "<title>seoul: its address does not answer");
	free(html);
	html = print("{'endpoints': [{'name': 'seoul', 'state': 'up', 'addresses': [{'state': 'up', 'up': true}]}],"
		     " 'cache': {'stale_qps': 0.4}}");
	expect_part(html, "<section class=\"hero calm\"><span class=\"huge\">0.4</span>");
	free(html);
	html = print("{'endpoints': [{'kind': 'local', 'state': 'down', 'addresses': [{'state': 'down', 'up': false}]}]}");
	expect_part(html, "<span class=\"huge\">down</span>");
	expect_part(html, "<b>the local upstreams</b>");
	free(html);
}

/* Unless nobody would ask them. */
static void missing_local_upstreams_are_not_well(void **state)
{
	static const char sentence[] = "no local upstream is known: names that no zone routes get SERVFAIL";
	char *html = print("{'endpoints': [{'name': 'local', 'kind': 'local', 'state': 'down', 'used': true, 'addresses': []},"
			   "{'name': 'seoul', 'state': 'up', 'addresses': [{'state': 'up', 'up': true}]}]}");

	(void)state;
	expect_part(html, "<title>no local upstream is known");
	expect_part(html, "<span class=\"pill warn\">no local upstream is known: names that no zone routes get SERVFAIL</span>");
	free(html);
	html = print("{'endpoints': [{'name': 'local', 'kind': 'local', 'state': 'down', 'used': true, 'addresses': []},"
		     "{'name': 'seoul', 'state': 'down', 'addresses': [{'state': 'down', 'up': false}]}]}");
	expect_part(html, "<title>seoul: its address does not answer");
	free(html);
	html = print("{'endpoints': [{'name': 'local', 'kind': 'local', 'state': 'down', 'used': false, 'addresses': []}]}");
	expect_no_part(html, sentence);
	free(html);
}

static void zones_that_leak_or_break_their_guard_are_told(void **state)
{
	char *html = print("{'zones_total': 2, 'zones': [{'name': 'a.example.', 'association': 'detached', 'state': 'up'},"
			   "{'name': 'b.example.', 'state': 'up', 'guard_violations': 1}]}");

	(void)state;
	expect_part(html, "<b class=\"mono\">a.example.</b> is detached");
	expect_part(html, "<b class=\"mono\">b.example.</b>: 1 answer held addresses that the zone does not expect");
	expect_part(html, "<span class=\"pill bad\">detached</span>");
	free(html);
}

static void hostile_names_are_escaped_everywhere(void **state)
{
	char *html = print("{'version': '<b>',"
			   "'endpoints': [{'name': '<img src=x onerror=y>', 'state': 'down', 'addresses': [{'state': 'down'}]}],"
			   "'zones': [{'name': '</main><script>x</script>', 'to': ['\\u0022><i>'], 'association': 'detached',"
			   " 'guard_violations': 2}],"
			   "'cache': {'stale_qps': 1}, 'config': {'path': '<u>', 'loaded_at': '<s>'}}");

	(void)state;
	assert_int_equal(times(html, "<script"), 1);
	assert_int_equal(times(html, "</main>"), 1);
	static const char *const tags[] = {"<img", "<i>", "<u>", "<s>", "gate<1>", "<b>0"};
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		expect_no_part(html, tags[i]);
	expect_part(html, "gate&lt;1&gt;");
	free(html);
}

static void without_a_daemon_the_page_says_why(void **state)
{
	char *html = print(NULL);

	(void)state;
	expect_part(html, "no daemon &lt;serves&gt;");
	expect_part(html, "<title>no daemon - r53fwd on gate&lt;1&gt;</title>");
	free(html);
}

static void page_needs_nothing_from_elsewhere_and_no_script(void **state)
{
	char *html = print(healthy);

	(void)state;
	expect_no_part(html, "http://");
	expect_no_part(html, "https://");
	expect_no_part(html, " style=\"");
	expect_no_part(html, "src=");
	expect_part(html, "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>");
	expect_part(html, "<script nonce=\"abc123\">");
	expect_part(html, "<style nonce=\"abc123\">");
	expect_part(html, "prefers-color-scheme:dark");
	free(html);
}

static void status_of_another_version_is_printed_all_the_same(void **state)
{
	(void)state;
	free(print("{}"));
	free(print("[]"));
	free(print("{'endpoints': 7, 'zones': {}, 'cache': [], 'config': 'x', 'metrics': null}"));
	free(print("{'endpoints': [null, 7, {'addresses': [{}]}], 'zones': [7, {'to': [7]}]}"));
}

static void long_lists_of_zones_are_folded(void **state)
{
	char *json = strdup("{'zones_total': 100000, 'zones': [{'name': '0'}");

	(void)state;
	for (int i = 0; i < 20; i++) {
		char *longer = NULL;
		assert_true(asprintf(&longer, "%s, {'name': 'z%d.example.'}", json, i) > 0);
		free(json);
		json = longer;
	}
	char *whole = NULL;
	assert_true(asprintf(&whole, "%s]}", json) > 0);
	char *html = print(whole);
	expect_part(html, "<details id=\"zones\"><summary>100,000 zones, of which 21 are listed</summary>");
	free(html);
	free(whole);
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_daemon_is_told_in_one_glance),
		cmocka_unit_test(stale_answers_are_from_the_cache_too),
		cmocka_unit_test(local_upstreams_come_last),
		cmocka_unit_test(stale_answers_and_who_is_to_blame_are_in_large_type),
		cmocka_unit_test(missing_local_upstreams_are_not_well),
		cmocka_unit_test(zones_that_leak_or_break_their_guard_are_told),
		cmocka_unit_test(hostile_names_are_escaped_everywhere),
		cmocka_unit_test(without_a_daemon_the_page_says_why),
		cmocka_unit_test(page_needs_nothing_from_elsewhere_and_no_script),
		cmocka_unit_test(status_of_another_version_is_printed_all_the_same),
		cmocka_unit_test(long_lists_of_zones_are_folded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
