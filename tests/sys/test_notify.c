/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sys/notify.h"

static char folder[] = "/tmp/r53fwd-notify.XXXXXX";
static char path[64];
static int ear = -1; /* the socket of the pretended service manager */

static void listen_at(const char *name, size_t len)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memcpy(a.sun_path, name, len);
	ear = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_true(ear >= 0);
	assert_int_equal(bind(ear, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
}

static void make_abstract(char name[32])
{
	snprintf(name, 32, "@r53fwd-notify-%d", (int)getpid());
	char octets[32];
	memcpy(octets, name, strlen(name));
	octets[0] = '\0';
	listen_at(octets, strlen(name));
}

static int set_up(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (ear >= 0)
		close(ear);
	ear = -1;
	unlink(path);
	return rmdir(folder);
}

static const char *hear(void)
{
	static char text[4096];
	ssize_t len = recv(ear, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (len < 0)
		return NULL;
	text[len] = '\0';
	return text;
}

static void without_notify_socket_nobody_is_told(void **state)
{
	struct notify n;

	(void)state;
	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_int_equal(notify_init(&n), 0);
	assert_int_equal(n.fd, -1);
	assert_int_equal(n.watchdog_us, 0);
	notify_send(&n, "READY=1");
	notify_send_reloading(&n);
	notify_deinit(&n);
}

static void message_is_one_datagram(void **state)
{
	struct notify n;

	(void)state;
	listen_at(path, strlen(path) + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_init(&n), 0);
	notify_send(&n, "READY=1\nSTATUS=12 zones");
	notify_send(&n, "STOPPING=1");
	assert_string_equal(hear(), "READY=1\nSTATUS=12 zones");
	assert_string_equal(hear(), "STOPPING=1");
	assert_null(hear());
	notify_deinit(&n);
}

static void abstract_address_begins_with_an_at_sign(void **state)
{
	struct notify n;
	char name[32];

	(void)state;
	make_abstract(name);
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_init(&n), 0);
	notify_send(&n, "READY=1");
	assert_string_equal(hear(), "READY=1");
	notify_deinit(&n);
}

static void reload_carries_the_time_of_the_monotonic_clock(void **state)
{
	struct notify n;
	struct timespec before, after;
	unsigned long long at_us;

	(void)state;
	listen_at(path, strlen(path) + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_init(&n), 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	notify_send_reloading(&n);
	clock_gettime(CLOCK_MONOTONIC, &after);
	const char *text = hear();
	assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu", &at_us), 1);
	assert_true(at_us >= (unsigned long long)before.tv_sec * US_PER_S + (unsigned long long)before.tv_nsec / 1000);
	assert_true(at_us <= (unsigned long long)after.tv_sec * US_PER_S + (unsigned long long)after.tv_nsec / 1000);
	notify_deinit(&n);
}

static void nobody_that_we_start_inherits_any_of_it(void **state)
{
	struct notify n;

	(void)state;
	listen_at(path, strlen(path) + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_init(&n), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_true(fcntl(n.fd, F_GETFD) & FD_CLOEXEC);
	notify_deinit(&n);
}

static void watchdog_is_heeded_when_it_is_meant_for_us(void **state)
{
	static const struct {
		const char *usec, *pid;
		bool ours;
	} rows[] = {
		{"30000000", NULL, true}, {"30000000", "ours", true}, {"30000000", "1", false}, {"30000000", "x", false},
		{"-1", NULL, false},	  {"", NULL, false},	      {"x", NULL, false},	{"1s", NULL, false},
		{NULL, NULL, false},
	};
	struct notify n;
	char pid[16];

	(void)state;
	listen_at(path, strlen(path) + 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setenv("NOTIFY_SOCKET", path, 1);
		if (rows[i].usec != NULL)
			setenv("WATCHDOG_USEC", rows[i].usec, 1);
		if (rows[i].pid != NULL)
			setenv("WATCHDOG_PID", rows[i].pid[0] == 'o' ? pid : rows[i].pid, 1);
		assert_int_equal(notify_init(&n), 0);
		assert_int_equal(n.watchdog_us, rows[i].ours ? 30000000 : 0);
		notify_deinit(&n);
	}
}

static void wrong_address_is_an_error_and_nobody_is_told(void **state)
{
	char longer[200];
	const char *const rows[] = {"relative", "/", "@", longer};
	struct notify n;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setenv("NOTIFY_SOCKET", rows[i], 1);
		assert_int_equal(notify_init(&n), -EINVAL);
		assert_int_equal(n.fd, -1);
	}
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_init(&n), -ENOENT);
	notify_send(&n, "READY=1");
}

static void reader_that_has_gone_or_is_slow_costs_nothing(void **state)
{
	struct notify n;

	(void)state;
	listen_at(path, strlen(path) + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_init(&n), 0);
	while (send(n.fd, "STATUS=", 7, MSG_DONTWAIT) > 0)
		continue;
	notify_send(&n, "WATCHDOG=1"); /* there is no room for it */
	assert_string_equal(hear(), "STATUS=");
	notify_send(&n, "WATCHDOG=1");
	close(ear);
	ear = -1;
	notify_send(&n, "WATCHDOG=1");
	notify_deinit(&n);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_notify_socket_nobody_is_told),
		CASE(message_is_one_datagram),
		CASE(abstract_address_begins_with_an_at_sign),
		CASE(reload_carries_the_time_of_the_monotonic_clock),
		CASE(nobody_that_we_start_inherits_any_of_it),
		CASE(watchdog_is_heeded_when_it_is_meant_for_us),
		CASE(wrong_address_is_an_error_and_nobody_is_told),
		CASE(reader_that_has_gone_or_is_slow_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
