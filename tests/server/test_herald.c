/* SPDX-License-Identifier: Apache-2.0 */
/* Between a pretended service manager and endpoints on a virtual clock; the herald's own timer runs on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/herald.h"
#include "world.h"

static const char conf[] = "inbound-endpoints:\n"
			   "  seoul: {addresses: [{ip: 10.0.0.1, az: az1}, {ip: 10.0.0.2, az: az2}, {ip: 10.0.0.3, az: az3}]}\n"
			   "  tokyo: {addresses: [10.0.1.1]}\n"
			   "zones:\n"
			   "  - {name: corp.test, to: [seoul, tokyo]}\n"
			   "  - {name: other.test, to: tokyo}\n"
			   "local-upstreams: [10.0.9.1]\n";

static struct world *w;
static struct loop *loop;
static int ear; /* the socket of the pretended service manager */
static bool alive;
static unsigned asked, enough;

static struct snapshot *in_force(void *arg)
{
	(void)arg;
	return world_snapshot(w);
}

static bool is_alive(void *arg)
{
	(void)arg;
	if (++asked == enough)
		loop_stop(loop);
	return alive;
}

/* Where messages go: an abstract address of this test's own. */
static int set_up(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char name[64];
	int len = snprintf(name, sizeof(name), "@r53fwd-herald-%d", (int)getpid());

	(void)state;
	memcpy(a.sun_path + 1, name + 1, (size_t)len - 1);
	ear = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(ear, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "40000", 1);
	unsetenv("WATCHDOG_PID");
	w = world_new(conf);
	loop = loop_new();
	alive = true;
	asked = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	loop_free(loop);
	close(ear);
	return 0;
}

static const char *hear(void)
{
	static char text[4096];
	ssize_t len = recv(ear, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[MAX(len, 0)] = '\0';
	return len < 0 ? NULL : text;
}

static struct herald *make(void)
{
	struct herald *h = herald_new(&(struct herald_world){.loop = loop, .snapshot = in_force, .alive = is_alive});

	assert_non_null(h);
	assert_null(hear());
	return h;
}

static void lose(const char *name, const char *ips)
{
	char ip[16] = "";

	for (const char *at = ips; sscanf(at, "%15s", ip) == 1; at += strlen(ip) + (at[strlen(ip)] == ' '))
		world_set(w, ip, WORLD_SILENT);
	for (int i = 0; i < 20; i++) {
		world_ask(w, name, "A");
		world_run_ms(w, 1000);
	}
}

static void start_is_announced_once_with_how_it_is(void **state)
{
	struct herald *h = make();

	(void)state;
	herald_ready(h);
	assert_string_equal(hear(), "READY=1\nSTATUS=2 zones; all endpoints are up");
	herald_look(h);
	assert_null(hear()); /* nothing has changed */
	herald_free(h);
}

static void reload_and_stop_are_announced(void **state)
{
	struct herald *h = make();

	(void)state;
	herald_ready(h);
	hear();
	herald_reloading(h);
	assert_int_equal(strncmp(hear(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	herald_reloaded(h, false);
	assert_string_equal(hear(), "READY=1\nSTATUS=zones.conf was not taken at the last reload; 2 zones; all endpoints are up");
	herald_look(h);
	assert_null(hear());
	herald_reloaded(h, true);
	assert_string_equal(hear(), "READY=1\nSTATUS=2 zones; all endpoints are up");
	herald_stopping(h);
	assert_string_equal(hear(), "STOPPING=1\nSTATUS=answering what is in flight");
	herald_free(h);
}

static void lost_address_and_lost_endpoint_are_said_in_words(void **state)
{
	struct herald *h = make();
	char text[HERALD_STATUS_MAX];

	(void)state;
	herald_ready(h);
	hear();
	lose("a.corp.test", "10.0.0.2");
	herald_look(h);
	assert_string_equal(hear(), "STATUS=2 zones; seoul: 2 of 3 addresses are up");
	herald_look(h);
	assert_null(hear());
	lose("b.corp.test", "10.0.0.1 10.0.0.3");
	herald_look(h);
	assert_string_equal(hear(), "STATUS=2 zones; seoul is down, known names are answered from the cache");
	lose("a.other.test", "10.0.1.1");
	lose("elsewhere.test", "10.0.9.1");
	assert_string_equal(herald_describe(world_snapshot(w), text),
			    "2 zones; the local upstreams are down, known names are answered from the cache; "
			    "seoul is down, known names are answered from the cache; "
			    "tokyo is down, known names are answered from the cache");
	herald_free(h);
}

static void text_that_is_too_long_is_cut(void **state)
{
	char text[1024], out[HERALD_STATUS_MAX];
	int len = snprintf(text, sizeof(text), "zones: []\nlocal-upstreams: [10.0.9.1]\ninbound-endpoints:\n");

	(void)state;
	for (int i = 0; i < 8; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
				"  an-endpoint-with-a-rather-long-name-%d: {addresses: [10.0.0.1, 10.0.0.2]}\n", i);
	world_reload(w, text);
	world_snapshot(w);
	for (size_t i = 1; i < world_snapshot(w)->pool_count; i++)
		atomic_store(&world_snapshot(w)->pools[i].down, true);
	assert_int_equal(strlen(herald_describe(world_snapshot(w), out)), HERALD_STATUS_MAX - 1);
}

static void drained_endpoint_is_not_said_to_be_down(void **state)
{
	char out[HERALD_STATUS_MAX];

	(void)state;
	atomic_store(&world_upstream_state(w, "10.0.1.1")->drained, true);
	assert_string_equal(herald_describe(world_snapshot(w), out),
			    "2 zones; every address of tokyo is drained, known names are answered from the cache");
}

static void no_local_upstream_is_said(void **state)
{
	char out[HERALD_STATUS_MAX];

	(void)state;
	world_snapshot(w)->pools[0].count = 0; /* as when resolv.conf names nobody but us */
	assert_string_equal(herald_describe(world_snapshot(w), out), "2 zones; no local upstream is known");
	world_snapshot(w)->pools[0].count = 1;
}

static void sign_of_life_is_given_while_all_loops_turn(void **state)
{
	struct herald *h = make();

	(void)state;
	herald_ready(h);
	hear();
	enough = 3;
	loop_run(loop);
	for (int i = 0; i < 3; i++)
		assert_string_equal(hear(), "WATCHDOG=1");
	assert_null(hear());
	herald_free(h);
}

static void no_sign_of_life_is_given_while_a_loop_stands_still(void **state)
{
	struct herald *h = make();

	(void)state;
	herald_ready(h);
	hear();
	alive = false;
	enough = 3;
	loop_run(loop);
	assert_null(hear());
	alive = true; /* it was only slow */
	enough = 4;
	loop_run(loop);
	assert_string_equal(hear(), "WATCHDOG=1");
	herald_free(h);
}

static void without_a_watchdog_nobody_is_asked(void **state)
{
	(void)state;
	unsetenv("WATCHDOG_USEC");
	struct herald *h = make();

	herald_ready(h);
	loop_run(loop); /* ends at once: no timer is set */
	assert_int_equal(asked, 0);
	herald_free(h);
}

static void socket_that_cannot_be_reached_does_not_end_the_start(void **state)
{
	(void)state;
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	struct herald *h = make();

	herald_ready(h);
	herald_look(h);
	herald_stopping(h);
	herald_free(h);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(start_is_announced_once_with_how_it_is),
		CASE(reload_and_stop_are_announced),
		CASE(lost_address_and_lost_endpoint_are_said_in_words),
		CASE(text_that_is_too_long_is_cut),
		CASE(drained_endpoint_is_not_said_to_be_down),
		CASE(no_local_upstream_is_said),
		CASE(sign_of_life_is_given_while_all_loops_turn),
		CASE(no_sign_of_life_is_given_while_a_loop_stands_still),
		CASE(without_a_watchdog_nobody_is_asked),
		CASE(socket_that_cannot_be_reached_does_not_end_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
