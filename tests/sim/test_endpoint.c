/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loopback.h"
#include "sim/endpoint.h"
#include "wire/question.h"
#include "wire/text.h"

static struct {
	struct watch_set set;
	struct watch_timer timer;
	struct endpoint *endpoint;
	struct addr addrs[2];
	char texts[2][ADDR_TEXT_MAX];
	FILE *log;
	char out[1024];
} t;

static struct zone_set *zones_of(const char *text)
{
	char path[] = "/tmp/test_endpoint.XXXXXX";
	struct zone_error error;
	struct zone_set *zones = zone_set_new();
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(zone_set_load(zones, path, &error), 0);
	unlink(path);
	return zones;
}

static int begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.log = tmpfile();
	assert_int_equal(watch_set_init(&t.set), 0);
	const struct endpoint_settings settings = {.log = t.log, .outside_rcode = DNS_NXDOMAIN};
	t.endpoint = endpoint_new(&t.set, &settings, zones_of("test. 60 IN SOA a. b. 1 2 3 4 5\nwww.test. 60 IN A 192.0.2.1\n"));
	assert_non_null(t.endpoint);
	for (int i = 0; i < 2; i++) {
		t.addrs[i] = loopback_addr();
		addr_format(&t.addrs[i], t.texts[i]);
		assert_int_equal(endpoint_add(t.endpoint, &t.addrs[i], i == 0 ? "az1" : NULL), 0);
	}
	return 0;
}

static int end(void **state)
{
	(void)state;
	endpoint_free(t.endpoint);
	watch_set_deinit(&t.set);
	fclose(t.log);
	return 0;
}

static int command(const char *line)
{
	struct strbuf out;

	strbuf_init(&out, t.out, sizeof(t.out));
	return endpoint_command(t.endpoint, line, &out);
}

static void end_run(struct watch_timer *timer)
{
	(void)timer;
	watch_set_end(&t.set);
}

/* Asks address `i`; returns the rcode, or -1 when nothing came within some milliseconds. */
static int ask(int i, const char *text)
{
	struct name name;
	uint8_t packet[QUESTION_UPSTREAM_MAX], got[512];
	int fd = loopback_connect(&t.addrs[i], SOCK_DGRAM);

	assert_int_equal(text_read_name(&name, text), 0);
	const struct question_upstream u = {
		.name = &name, .id = 7, .type = DNS_TYPE_A, .class = DNS_CLASS_IN, .flags = DNS_RD, .edns = true, .case_bits = 1};
	size_t len = question_write(&u, packet);
	assert_int_equal(send(fd, packet, len, 0), (ssize_t)len);
	t.timer.due = end_run;
	t.set.ended = false;
	watch_timer_start(&t.set, &t.timer, watch_now_us() + 5000);
	watch_set_run(&t.set);
	ssize_t received = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	close(fd);
	return received < DNS_HEADER_BYTES ? -1 : dns_flags(got) & DNS_RCODE;
}

/* The log's last line. */
static void expect_log(const char *pieces[])
{
	char line[512] = "";

	rewind(t.log);
	while (fgets(line, sizeof(line), t.log))
		continue;
	for (; *pieces; pieces++)
		if (!strstr(line, *pieces))
			fail_msg("no `%s` in: %s", *pieces, line);
}

static void query_is_answered_and_logged(void **state)
{
	const char *pieces[] = {"query 127.0.0.1:", " az1 udp www.test. A id=7 from=127.0.0.1:",
				" edns=1232 flags=rd spelled=Www.test. answer=NOERROR\n",
				NULL};

	(void)state;
	assert_int_equal(ask(0, "www.test"), DNS_NOERROR);
	expect_log(pieces);
}

static void names_outside_get_what_was_settled(void **state)
{
	(void)state;
	assert_int_equal(ask(0, "www.else"), DNS_NXDOMAIN);
}

static void silence_is_logged_too(void **state)
{
	const char *pieces[] = {" - udp www.test. A ", " answer=-\n", NULL};

	(void)state;
	assert_int_equal(command("all silent"), 0);
	assert_int_equal(ask(1, "www.test"), -1);
	expect_log(pieces);
}

static void names_in_the_log_are_escaped(void **state)
{
	const char *pieces[] = {" a\\010\\027b.test. A ", NULL};

	(void)state;
	assert_int_equal(ask(0, "a\\010\\027b.test"), DNS_NXDOMAIN);
	expect_log(pieces);
}

static void command_means_an_address_an_az_or_all(void **state)
{
	char line[128];

	(void)state;
	assert_int_equal(command("az1 rcode REFUSED"), 0);
	assert_int_equal(ask(0, "www.test"), DNS_REFUSED);
	assert_int_equal(ask(1, "www.test"), DNS_NOERROR);
	snprintf(line, sizeof(line), "%s truncate", t.texts[1]);
	assert_int_equal(command(line), 0);
	assert_int_equal(command("all"), 0);
	assert_non_null(strstr(t.out, " az1 queries 1 faults rcode REFUSED\n"));
	assert_non_null(strstr(t.out, " - queries 1 faults truncate\n"));
	/* Without a port: whatever is served on that IP. */
	assert_int_equal(command("127.0.0.1 heal"), 0);
	assert_int_equal(ask(0, "www.test"), DNS_NOERROR);
}

static void unknown_address_and_unknown_fault_change_nothing(void **state)
{
	(void)state;
	assert_true(command("127.0.0.2 silent") < 0);
	assert_non_null(strstr(t.out, "127.0.0.2"));
	assert_true(command("all slow") < 0);
	assert_true(command("") < 0);
	assert_int_equal(ask(0, "www.test"), DNS_NOERROR);
}

static void closed_address_heals(void **state)
{
	(void)state;
	assert_int_equal(command("az1 closed"), 0);
	assert_int_equal(command("az1 closed"), 0);
	assert_int_equal(ask(0, "www.test"), -1);
	assert_int_equal(command("az1 heal"), 0);
	assert_int_equal(ask(0, "www.test"), DNS_NOERROR);
}

static void address_whose_port_was_taken_meanwhile_stays_closed(void **state)
{
	int taker = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(command("az1 closed"), 0);
	assert_int_equal(bind(taker, &t.addrs[0].sa, addr_len(&t.addrs[0])), 0);
	assert_int_equal(command("az1 heal"), -EADDRINUSE);
	assert_non_null(strstr(t.out, "cannot open"));
	close(taker);
	assert_int_equal(command("az1 heal"), 0);
}

static void zones_can_be_exchanged(void **state)
{
	(void)state;
	endpoint_set_zones(t.endpoint, zones_of("else. 60 IN SOA a. b. 1 2 3 4 5\nwww.else. 60 IN A 192.0.2.1\n"));
	assert_int_equal(ask(0, "www.else"), DNS_NOERROR);
}

static void addresses_are_bounded(void **state)
{
	int error = 0, added = 2;

	(void)state;
	for (; error == 0 && added <= ENDPOINT_MAX_ADDRESSES; added++) {
		struct addr a = loopback_addr();
		error = endpoint_add(t.endpoint, &a, NULL);
	}
	assert_int_equal(error, -E2BIG);
	assert_int_equal(endpoint_add(t.endpoint, &t.addrs[0], NULL), -E2BIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(query_is_answered_and_logged),
		TEST(names_outside_get_what_was_settled),
		TEST(silence_is_logged_too),
		TEST(names_in_the_log_are_escaped),
		TEST(command_means_an_address_an_az_or_all),
		TEST(unknown_address_and_unknown_fault_change_nothing),
		TEST(closed_address_heals),
		TEST(address_whose_port_was_taken_meanwhile_stays_closed),
		TEST(zones_can_be_exchanged),
		TEST(addresses_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
