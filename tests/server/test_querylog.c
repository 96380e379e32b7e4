/* SPDX-License-Identifier: Apache-2.0 */
/* Lines about queries, on a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/forward_private.h"
#include "world.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.0.0.1, az: az1}, {ip: 10.0.0.2, az: az2}], policy: ordered}\n"
			   "zones: [{name: corp.test, to: seoul}]\n"
			   "local-upstreams: [10.0.9.1]\n";

static struct world *w;
static int kept_stderr, ends[2];

static void start(const char *queries, enum log_format format)
{
	char text[512];

	snprintf(text, sizeof(text), "%slog: {queries: %s}\n", conf, queries);
	w = world_new(text);
	world_trace_off(w);
	unsetenv("JOURNAL_STREAM");
	log_configure(LOG_ERROR, format); /* what was asked for by name is logged at any level */
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
}

static int tear_down(void **state)
{
	(void)state;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(ends[0]);
	close(ends[1]);
	world_free(w);
	return 0;
}

/* What was logged since the last call, without times and levels. */
static const char *logged(void)
{
	static char text[1 << 20], raw[1 << 20];
	ssize_t len = read(ends[0], raw, sizeof(raw) - 1);
	size_t to = 0;

	raw[MAX(len, 0)] = '\0';
	for (const char *line = raw; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *from = *line == '{' ? strstr(line, "\"event\"") : strstr(line, "info: ") + 6;
		size_t n = (size_t)(strchr(from, '\n') + 1 - from);
		memcpy(text + to, from, n);
		to += n;
	}
	text[to] = '\0';
	return text;
}

static void ask(const char *name, const char *type)
{
	world_ask(w, name, type);
	world_run_ms(w, 10);
}

static void answer_names_its_address_az_and_time(void **state)
{
	(void)state;
	start("all", LOG_TEXT);
	ask("www.corp.test", "A");
	assert_string_equal(logged(), "query www.corp.test A from 127.0.0.1 over udp: NOERROR, seoul 10.0.0.1:53 (az1) in 4.000 ms, "
				      "zone corp.test\n");
	ask("www.corp.test", "A");
	assert_string_equal(logged(), "query www.corp.test A from 127.0.0.1 over udp: NOERROR, from the cache, zone corp.test\n");
	ask("nx.example", "A");
	assert_string_equal(logged(), "query nx.example A from 127.0.0.1 over udp: NXDOMAIN, local 10.0.9.1:53 in 4.000 ms\n");
	ask("localhost", "A");
	assert_string_equal(logged(), "query localhost A from 127.0.0.1 over udp: NOERROR, answered here\n");
}

static void json_has_a_member_for_each_fact(void **state)
{
	(void)state;
	start("all", LOG_JSON);
	ask("www.corp.test", "A");
	assert_string_equal(logged(),
			    "\"event\":\"query\",\"client\":\"127.0.0.1\",\"proto\":\"udp\",\"name\":\"www.corp.test\",\"type\":\"A\","
			    "\"zone\":\"corp.test\",\"endpoint\":\"seoul\",\"address\":\"10.0.0.1:53\",\"az\":\"az1\",\"cache\":\"miss\","
			    "\"rcode\":\"NOERROR\",\"duration_ms\":4.000,"
			    "\"message\":\"query www.corp.test A from 127.0.0.1 over udp: NOERROR, seoul 10.0.0.1:53 (az1) in 4.000 ms, "
			    "zone corp.test\"}\n");
	ask("www.corp.test", "A");
	assert_non_null(strstr(logged(), "\"endpoint\":null,\"address\":null,\"az\":null,\"cache\":\"hit\","
					 "\"rcode\":\"NOERROR\","
					 "\"duration_ms\":0.000"));
	ask("localhost", "A");
	assert_non_null(strstr(logged(), "\"zone\":\".\",\"endpoint\":null,\"address\":null,\"az\":null,\"cache\":\"none\""));
}

static void each_client_waits_its_own_time(void **state)
{
	(void)state;
	start("all", LOG_TEXT);
	world_upstream(w, "10.0.0.1")->rtt_us = 8000;
	world_ask(w, "www.corp.test", "A");
	world_run_ms(w, 3);
	world_ask(w, "www.corp.test", "A"); /* joins */
	world_run_ms(w, 20);
	const char *text = logged();
	assert_non_null(strstr(text, "in 8.000 ms"));
	assert_non_null(strstr(text, "in 5.000 ms"));
}

static void stale_answer_and_failure_say_so(void **state)
{
	(void)state;
	start("all", LOG_TEXT);
	ask("www.corp.test", "A");
	world_run_ms(w, 70 * 1000); /* expired */
	world_set_all(w, WORLD_SILENT);
	logged();
	world_ask(w, "www.corp.test", "A");
	world_run_ms(w, 6000);
	assert_non_null(strstr(logged(), "query www.corp.test A from 127.0.0.1 over udp: NOERROR, stale"));
	world_ask(w, "other.corp.test", "A");
	world_run_ms(w, 6000);
	assert_non_null(strstr(logged(), "query other.corp.test A from 127.0.0.1 over udp: SERVFAIL, seoul"));
}

static void hostile_name_is_escaped_in_either_form(void **state)
{
	static const uint8_t packet[] = "\0\1\1\0\0\1\0\0\0\0\0\0" "\6\"\n\\\0\x1b\xff" "\4corp\4test\0" "\0\1\0\1";

	(void)state;
	start("all", LOG_JSON);
	world_send(w, packet, sizeof(packet) - 1, "127.0.0.1", false);
	world_run_ms(w, 10);
	const char *text = logged();
	assert_non_null(strstr(text, "\"name\":\"\\\\034\\\\010\\\\092\\\\000\\\\027\\\\255.corp.test\""));
	for (const char *at = text; *at != '\0'; at++)
		assert_true(*at == '\n' || (*at >= ' ' && *at <= '~'));
}

static void errors_alone_are_logged_with_errors(void **state)
{
	static const uint8_t bad[] = "\0\1\1\0\0\2\0\0\0\0\0\0"; /* two questions, none there */

	(void)state;
	start("errors", LOG_TEXT);
	ask("www.corp.test", "A");
	ask("nx.corp.test", "A");
	assert_string_equal(logged(), "");
	world_send(w, bad, sizeof(bad) - 1, "127.0.0.1", false);
	assert_string_equal(logged(), "query ? ? from 127.0.0.1 over udp: FORMERR, refused by its form\n");
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

static void flood_of_errors_does_not_flood_the_log(void **state)
{
	static const uint8_t bad[] = "\0\1\1\0\0\2\0\0\0\0\0\0";
	uint64_t left_out;

	(void)state;
	start("errors", LOG_TEXT);
	for (int i = 0; i < 3000; i++)
		world_send(w, bad, sizeof(bad) - 1, "127.0.0.1", false);
	assert_int_equal(count_lines(logged()), QUERYLOG_BURST);
	left_out = metrics_get(world_metrics(w), METRIC_LOG_LEFT_OUT);
	assert_int_equal(left_out, 3000 - QUERYLOG_BURST);
	world_run_ms(w, 1000);
	for (int i = 0; i < 3000; i++)
		world_send(w, bad, sizeof(bad) - 1, "127.0.0.1", false);
	assert_int_equal(count_lines(logged()), US_PER_S / QUERYLOG_EVERY_US);
}

static void nothing_is_logged_when_off(void **state)
{
	(void)state;
	start("off", LOG_TEXT);
	ask("www.corp.test", "A");
	world_set_all(w, WORLD_SILENT);
	world_ask(w, "other.corp.test", "A");
	world_run_ms(w, 6000);
	assert_string_equal(logged(), "");
}

#define CASE(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answer_names_its_address_az_and_time),
		CASE(json_has_a_member_for_each_fact),
		CASE(each_client_waits_its_own_time),
		CASE(stale_answer_and_failure_say_so),
		CASE(hostile_name_is_escaped_in_either_form),
		CASE(errors_alone_are_logged_with_errors),
		CASE(flood_of_errors_does_not_flood_the_log),
		CASE(nothing_is_logged_when_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
