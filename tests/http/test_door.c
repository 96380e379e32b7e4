/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors of every kind, over real sockets on loopback; the door is turned by hand, and its clock is ours. */
#include "http/door.h"

#include "pretend.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { PATIENCE_US = 5 * 1000000, TURN_MS = 1, TURNS_MOST = 60000, ANSWER_MAX = 1 << 20 };

static const struct host_names hosts = {.names = {"metrics.test"}, .count = 1, .own = "gate"};

static struct door *door;
static struct pages *pages;
static struct addr at;
static uint64_t now_us;
static const char *says;
static char answer[ANSWER_MAX];

static int ask(void *arg, const char *line, struct control_reply *reply)
{
	(void)arg;
	(void)line;
	reply->text = strdup(says);
	reply->len = strlen(says);
	return 0;
}

static int set_up(void **state)
{
	socklen_t len = sizeof(at);

	(void)state;
	says = "{\"alive\":true}";
	now_us = 1000 * (uint64_t)US_PER_S;
	pages = pages_new(ask, NULL, "gate");
	assert_int_equal(addr_parse(&at, "127.0.0.1:1", 1), 0);
	at.in.sin_port = 0;
	int fd = door_listen(&at);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, &at.sa, &len), 0);
	const struct door_world world = {.pages = pages, .hosts = &hosts, .patience_us = PATIENCE_US};
	door = door_new(fd, &world);
	assert_non_null(door);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	door_close(door);
	pages_free(pages);
	return 0;
}

static int visit(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (connect(fd, &at.sa, addr_len(&at)) != 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static void turn(void)
{
	struct pollfd wait = {.fd = door_fd(door), .events = POLLIN};

	(void)door_turn(door, now_us);
	(void)poll(&wait, 1, TURN_MS);
	(void)door_turn(door, now_us);
}

/* Everything that comes until the other side closes, to `answer`. */
static void read_to_the_end(int fd)
{
	size_t len = 0;

	for (int turns = 0; turns < TURNS_MOST; turns++) {
		ssize_t got = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
		if (got == 0 || (got < 0 && errno == ECONNRESET)) {
			answer[len] = '\0';
			close(fd);
			return;
		}
		len += got > 0 ? (size_t)got : 0;
		turn();
	}
	fail_msg("the connection is never closed");
}

static void say(int fd, const char *text)
{
	size_t sent = 0;

	for (int turns = 0; turns < TURNS_MOST && sent < strlen(text); turns++) {
		ssize_t n = send(fd, text + sent, strlen(text) - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
			return; /* it has heard enough */
		turn();
	}
}

static void send_whole(const char *text)
{
	int fd = visit();

	say(fd, text);
	read_to_the_end(fd);
}

static void expect_status(const char *text, unsigned status)
{
	char wanted[32];

	send_whole(text);
	snprintf(wanted, sizeof(wanted), "HTTP/1.1 %u ", status);
	if (strncmp(answer, wanted, strlen(wanted)) != 0)
		fail_msg("not %u: %.200s", status, answer);
}

static void get_is_answered_with_the_headers_that_protect(void **state)
{
	(void)state;
	expect_status("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
	expect_part(answer, "\r\n\r\nok\n");
	expect_part(answer, "Content-Security-Policy: default-src 'none'");
	expect_part(answer, "X-Content-Type-Options: nosniff\r\n");
	expect_part(answer, "Content-Type: text/plain; charset=utf-8\r\n");
	expect_part(answer, "Cache-Control: no-store\r\n");
}

static void head_has_the_headers_alone(void **state)
{
	(void)state;
	expect_status("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
	expect_part(answer, "Content-Length: 3\r\n");
	expect_no_part(answer, "ok\n");
}

static void other_methods_are_refused(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "PROPFIND"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		snprintf(text, sizeof(text), "%s /health HTTP/1.1\r\nHost: localhost\r\n\r\n", methods[i]);
		expect_status(text, 405);
		expect_part(answer, "Allow: GET, HEAD\r\n");
	}
	expect_status("POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\nxxxx", 405);
}

static void unknown_paths_are_not_found(void **state)
{
	(void)state;
	expect_status("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n", 404);
	expect_status("GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404);
}

static void host_of_somebody_else_is_refused(void **state)
{
	(void)state;
	expect_status("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403);
	expect_part(answer, "http-host");
	expect_status("GET /health HTTP/1.1\r\nHost: a.metrics.test:80\r\n\r\n", 200);
	expect_status("GET /health HTTP/1.1\r\n\r\n", 400);
	expect_status("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400);
	send_whole("GET /health HTTP/1.0\r\n\r\n");
	expect_part(answer, " 200 OK");
}

static void strict_readiness_is_asked_for_by_argument(void **state)
{
	(void)state;
	says = "{\"ready\":false,\"zones\":[\"a.test.\"]}";
	expect_status("GET /ready?zones=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 503);
	expect_part(answer, "a.test.\n");
	says = "{\"ready\":true}";
	expect_status("GET /ready?zones=0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
}

static void garbage_is_closed_and_harms_nobody(void **state)
{
	static char line[64 * 1024];

	(void)state;
	send_whole("\r\n\r\n\x16\x03\x01\x02 TLS, is it?\r\n\r\n");
	send_whole("GET\r\n\r\n");
	send_whole("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n");
	memset(line, 'a', sizeof(line) - 1);
	memcpy(line, "GET /", 5);
	send_whole(line); /* a line without an end, larger than a visitor's memory */
	expect_status("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
}

static void who_is_slow_is_closed_however_busy_he_seems(void **state)
{
	int silent = visit(), half = visit(), dripping = visit();

	(void)state;
	say(half, "GET /health HTTP/1.1\r\nHo");
	say(dripping, "GET /health HTTP/1.1\r\n");
	for (int i = 0; i < 10; i++) {
		now_us += PATIENCE_US / 5;
		say(dripping, "X: y\r\n");
		turn();
	}
	read_to_the_end(silent);
	read_to_the_end(half);
	read_to_the_end(dripping);
	expect_no_part(answer, "200");
}

static void reader_that_does_not_read_is_closed(void **state)
{
	static char large[4 << 20];
	int one = 1024, fd = visit();
	char octet[4096];
	bool closed = false;

	(void)state;
	memset(large, ' ', sizeof(large) - 1);
	memcpy(large, "{\"x\":1}", 7);
	says = large;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one)), 0);
	say(fd, "GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n");
	for (int i = 0; i < 5; i++)
		turn();
	now_us += PATIENCE_US + 1;
	for (int turns = 0; turns < TURNS_MOST && !closed; turns++) {
		turn();
		closed = recv(fd, octet, sizeof(octet), 0) < 0 && errno == ECONNRESET;
	}
	assert_true(closed); /* before it was given all */
	close(fd);
}

static void crowd_does_not_lock_others_out(void **state)
{
	int crowd[3 * DOOR_VISITORS];

	(void)state;
	for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++) {
		crowd[i] = visit();
		say(crowd[i], "GET /hea");
	}
	expect_status("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
	for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++)
		close(crowd[i]);
	turn();
	expect_status("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
}

static void port_that_is_taken_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(door_listen(&at), -EADDRINUSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get_is_answered_with_the_headers_that_protect),
		TEST(head_has_the_headers_alone),
		TEST(other_methods_are_refused),
		TEST(unknown_paths_are_not_found),
		TEST(host_of_somebody_else_is_refused),
		TEST(strict_readiness_is_asked_for_by_argument),
		TEST(garbage_is_closed_and_harms_nobody),
		TEST(who_is_slow_is_closed_however_busy_he_seems),
		TEST(reader_that_does_not_read_is_closed),
		TEST(crowd_does_not_lock_others_out),
		TEST(port_that_is_taken_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
