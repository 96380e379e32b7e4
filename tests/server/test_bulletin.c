/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses change their state by hand, the clock is a number, and the log's lines are read back. */
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
#include "server/bulletin.h"
#include "world.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.0.0.1, az: az1}, {ip: 10.0.0.2, az: az1}, {ip: 10.0.0.3, az: az2}, 10.0.0.4]}\n"
			   "  tokyo: {addresses: [10.0.1.1]}\n"
			   "zones:\n"
			   "  - {name: corp.test, to: seoul}\n"
			   "  - {name: [a.test, b.test], to: [seoul, tokyo]}\n"
			   "local-upstreams: [10.0.9.1]\n";

static struct world *w;
static struct bulletin *b;
static struct pool *seoul;
static uint64_t now_us;
static int kept_stderr, ends[2];

static int set_up(void **state)
{
	(void)state;
	w = world_new(conf);
	world_trace_off(w);
	b = bulletin_new();
	assert_non_null(b);
	seoul = world_pool(w, "seoul");
	now_us = 1000 * (uint64_t)US_PER_S;
	unsetenv("JOURNAL_STREAM");
	log_configure(LOG_INFO, LOG_TEXT);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(ends[0]);
	close(ends[1]);
	bulletin_free(b);
	world_free(w);
	return 0;
}

/* What was logged since the last call, without the times: "warn: …\n". */
static const char *logged(void)
{
	static char text[65536], raw[65536];
	ssize_t len = read(ends[0], raw, sizeof(raw) - 1);
	size_t to = 0;

	raw[MAX(len, 0)] = '\0';
	for (const char *line = raw; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *from = *line == '{' ? strstr(line, "\"event\"") : strstr(line, "Z ") + 2;
		size_t n = (size_t)(strchr(from, '\n') + 1 - from);
		memcpy(text + to, from, n);
		to += n;
	}
	text[to] = '\0';
	return text;
}

static struct upstream *at(int place)
{
	return seoul->places[place].upstream;
}

/* Probes that fail, until it is down. */
static void kill_address(int place)
{
	while (health_state(&at(place)->health) != HEALTH_DOWN)
		(void)health_probe_bad(&at(place)->health, &seoul->rules, true, 0, now_us);
	bulletin_address(b, seoul, at(place), now_us);
}

static void heal_address(int place)
{
	while (health_state(&at(place)->health) != HEALTH_UP)
		(void)health_probe_good(&at(place)->health, &seoul->rules, now_us);
	bulletin_address(b, seoul, at(place), now_us);
}

static void change_of_an_address_is_one_line_with_its_az_and_cause(void **state)
{
	(void)state;
	(void)health_unreachable(&at(0)->health, now_us);
	bulletin_address(b, seoul, at(0), now_us);
	assert_string_equal(logged(), "info: address 10.0.0.1:53 (az1) of seoul is suspect: the network says it is unreachable\n");
	kill_address(0);
	assert_string_equal(logged(), "warn: address 10.0.0.1:53 (az1) of seoul is down: a probe went unanswered\n");
	heal_address(0);
	assert_string_equal(logged(), "info: address 10.0.0.1:53 (az1) of seoul is up\n");
	kill_address(3);
	assert_string_equal(logged(), "warn: address 10.0.0.4:53 of seoul is down: a probe went unanswered\n");
}

static void same_state_again_is_no_news(void **state)
{
	(void)state;
	bulletin_address(b, seoul, at(0), now_us);
	assert_string_equal(logged(), "");
	kill_address(0);
	logged();
	bulletin_address(b, seoul, at(0), now_us);
	assert_string_equal(logged(), "");
}

static void az_is_out_with_its_last_address_and_back_with_the_first(void **state)
{
	(void)state;
	kill_address(0);
	assert_null(strstr(logged(), "AZ"));
	kill_address(1);
	assert_string_equal(logged(), "warn: address 10.0.0.2:53 (az1) of seoul is down: a probe went unanswered\n"
				      "warn: AZ az1 of seoul is out: none of its addresses answers\n");
	heal_address(0);
	assert_string_equal(logged(), "info: address 10.0.0.1:53 (az1) of seoul is up\n"
				      "info: AZ az1 of seoul is back\n");
	heal_address(1);
	assert_string_equal(logged(), "info: address 10.0.0.2:53 (az1) of seoul is up\n");
	kill_address(2);
	assert_string_equal(logged(), "warn: address 10.0.0.3:53 (az2) of seoul is down: a probe went unanswered\n"
				      "warn: AZ az2 of seoul is out: it has no other address\n");
}

static void drained_address_does_not_keep_its_az_in(void **state)
{
	(void)state;
	atomic_store(&at(1)->drained, true);
	kill_address(0);
	assert_non_null(strstr(logged(), "AZ az1 of seoul is out"));
	atomic_store(&at(1)->drained, false);
}

static void endpoint_that_is_down_says_what_becomes_of_its_zones(void **state)
{
	struct snapshot *s = world_snapshot(w);
	struct pool *tokyo = world_pool(w, "tokyo"), *local = world_pool(w, "local");

	(void)state;
	assert_true(pool_close(seoul));
	bulletin_closed(b, s, seoul, now_us);
	assert_string_equal(logged(), "warn: seoul is down: none of its 4 addresses answers; known names of its zones with no other "
				      "endpoint are answered from the cache; 2 of its zones are asked elsewhere\n");
	assert_true(pool_close(tokyo));
	bulletin_closed(b, s, tokyo, now_us);
	assert_string_equal(logged(), "warn: tokyo is down: none of its 1 addresses answers; "
				      "known names of its zones are answered from the cache\n");
	assert_true(pool_close(local));
	bulletin_closed(b, s, local, now_us);
	assert_string_equal(logged(), "warn: the local upstreams are down: none of their 1 addresses answers; "
				      "known names outside the forwarded zones are answered from the cache\n");
	assert_true(pool_open(tokyo, 0, now_us));
	bulletin_opened(b, s, tokyo, 0, now_us);
	assert_string_equal(logged(), "info: tokyo is up again: 10.0.1.1:53 answers\n");
}

static void endpoint_that_is_drained_is_not_called_down(void **state)
{
	struct snapshot *s = world_snapshot(w);
	struct pool *tokyo = world_pool(w, "tokyo");

	(void)state;
	atomic_store(&tokyo->places[0].upstream->drained, true);
	assert_true(pool_close(tokyo));
	bulletin_closed(b, s, tokyo, now_us);
	assert_string_equal(logged(), "warn: every address of tokyo is drained; 2 of its zones are asked elsewhere\n");
	atomic_store(&tokyo->places[0].upstream->drained, false);
	assert_true(pool_open(tokyo, 0, now_us));
	bulletin_opened(b, s, tokyo, 0, now_us);
	assert_string_equal(logged(), "info: tokyo is up again: 10.0.1.1:53 answers\n");
}

static void addresses_of_an_endpoint_that_is_down_are_no_news(void **state)
{
	struct snapshot *s = world_snapshot(w);

	(void)state;
	kill_address(0);
	kill_address(1);
	assert_true(pool_close(seoul));
	bulletin_closed(b, s, seoul, now_us);
	logged();
	kill_address(2);
	assert_string_equal(logged(), "");
	/* What was down before the outage is news when it comes up after it. */
	assert_true(pool_open(seoul, 3, now_us));
	bulletin_opened(b, s, seoul, 3, now_us);
	assert_string_equal(logged(), "info: seoul is up again: 10.0.0.4:53 answers\n");
	heal_address(0);
	assert_string_equal(logged(), "info: address 10.0.0.1:53 (az1) of seoul is up\n"
				      "info: AZ az1 of seoul is back\n");
	kill_address(1);
	kill_address(0);
	assert_non_null(strstr(logged(), "AZ az1 of seoul is out"));
}

/* Lines about place 3 in what was logged. */
static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (const char *line = text; (line = strstr(line, "address 10.0.0.4:53 of seoul is")) != NULL; line++)
		n++;
	return n;
}

static void address_that_flaps_cannot_flood_the_log(void **state)
{
	unsigned lines = 0;

	(void)state;
	for (int i = 0; i < 600; i++, now_us += US_PER_S) { /* two changes a second for ten minutes */
		bulletin_clock(b, world_snapshot(w), now_us);
		kill_address(3);
		heal_address(3);
		lines += count_lines(logged());
	}
	assert_in_range(lines, BULLETIN_BURST + 55, BULLETIN_BURST + 60);
}

static void last_line_says_how_it_is_and_how_much_was_left_out(void **state)
{
	char expected[256];

	(void)state;
	for (int i = 0; i < 9; i++, now_us += US_PER_S) {
		kill_address(3);
		heal_address(3);
	}
	assert_int_equal(count_lines(logged()), BULLETIN_BURST);
	kill_address(3);
	assert_string_equal(logged(), "");
	uint64_t next_us = bulletin_next_us(b);
	assert_in_range(next_us, now_us - 10 * US_PER_S, now_us + BULLETIN_EVERY_US);
	now_us = MAX(now_us, next_us);
	bulletin_clock(b, world_snapshot(w), now_us);
	snprintf(expected, sizeof(expected),
		 "warn: address 10.0.0.4:53 of seoul is down: a probe went unanswered; 13 changes of the last %llu s were left out\n",
		 (unsigned long long)(now_us / US_PER_S - 1003));
	assert_string_equal(logged(), expected);
	assert_int_equal(bulletin_next_us(b), UINT64_MAX);
	bulletin_clock(b, world_snapshot(w), now_us + 1000 * (uint64_t)US_PER_S);
	assert_string_equal(logged(), "");
}

static void what_a_reload_takes_away_is_forgotten(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		kill_address(3);
		heal_address(3);
	}
	logged();
	world_reload(w, "inbound-endpoints: {seoul: {addresses: [10.0.0.1]}}\nzones: [{name: corp.test, to: seoul}]\n"
			"local-upstreams: [10.0.9.1]\n");
	bulletin_clock(b, world_snapshot(w), now_us + 1000 * (uint64_t)US_PER_S);
	assert_string_equal(logged(), "");
	bulletin_adopt(b, world_snapshot(w));
	assert_int_equal(bulletin_next_us(b), UINT64_MAX);
}

static void json_has_a_member_for_each_fact(void **state)
{
	(void)state;
	log_configure(LOG_INFO, LOG_JSON);
	kill_address(2);
	assert_string_equal(logged(),
			    "\"event\":\"address\",\"endpoint\":\"seoul\",\"address\":\"10.0.0.3:53\",\"az\":\"az2\",\"state\":\"down\","
			    "\"cause\":\"a probe went unanswered\",\"left_out\":0,"
			    "\"message\":\"address 10.0.0.3:53 (az2) of seoul is down: a probe went unanswered\"}\n"
			    "\"event\":\"az\",\"endpoint\":\"seoul\",\"address\":null,\"az\":\"az2\",\"state\":\"down\",\"cause\":null,"
			    "\"left_out\":0,\"message\":\"AZ az2 of seoul is out: it has no other address\"}\n");
	assert_true(pool_close(seoul));
	bulletin_closed(b, world_snapshot(w), seoul, now_us);
	assert_non_null(strstr(logged(), "\"event\":\"endpoint\",\"endpoint\":\"seoul\",\"address\":null,\"az\":null,\"state\":\"down\""));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(change_of_an_address_is_one_line_with_its_az_and_cause),
		CASE(same_state_again_is_no_news),
		CASE(az_is_out_with_its_last_address_and_back_with_the_first),
		CASE(drained_address_does_not_keep_its_az_in),
		CASE(endpoint_that_is_down_says_what_becomes_of_its_zones),
		CASE(endpoint_that_is_drained_is_not_called_down),
		CASE(addresses_of_an_endpoint_that_is_down_are_no_news),
		CASE(address_that_flaps_cannot_flood_the_log),
		CASE(last_line_says_how_it_is_and_how_much_was_left_out),
		CASE(what_a_reload_takes_away_is_forgotten),
		CASE(json_has_a_member_for_each_fact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
