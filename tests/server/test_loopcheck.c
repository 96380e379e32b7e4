/* SPDX-License-Identifier: Apache-2.0 */
/* On the virtual clock: what loopcheck asks is caught on its way out and brought to our own door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/loopcheck.h"
#include "world.h"

static const char conf[] = "inbound-endpoints:\n  seoul:\n    addresses: [{ip: 10.0.1.1, az: az1}, {ip: 10.0.2.1, az: az2}]\n"
			   "zones: [{name: corp.example, to: seoul}, {name: other.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n";

/* A transport that keeps the question. */
static struct name sent;
static unsigned sends;

static struct transport *catch_open(struct transport_env *env, const struct addr *addr, uint32_t source_ports);
static int catch_send(struct transport *t, struct transport_attempt *a)
{
	(void)t;
	sent = *a->asked.name;
	sends++;
	return 0;
}
static void catch_cancel(struct transport *t, struct transport_attempt *a)
{
	(void)t;
	(void)a;
}
static void catch_flush(struct transport *t)
{
	t->dirty = false;
}
static void catch_close(struct transport *t)
{
	assert_int_equal(t->open_attempts, 0);
	free(t);
}
static const struct transport_ops catcher = {catch_open, catch_send, catch_cancel, catch_flush, catch_close, false, NULL};
static struct transport *catch_open(struct transport_env *env, const struct addr *addr, uint32_t source_ports)
{
	struct transport *t = calloc(1, sizeof(*t));

	(void)addr;
	(void)source_ports;
	assert_non_null(t);
	t->ops = &catcher;
	t->env = env;
	return t;
}

struct bed {
	struct world *world;
	struct random random;
	struct transport_env env;
	struct loopcheck *loops;
	uint64_t now_us;
};

/* Takes the clock on, as the main thread would. */
static void run_until(struct bed *b, uint64_t us)
{
	while (loopcheck_next_us(b->loops) <= us) {
		b->now_us = loopcheck_next_us(b->loops);
		loopcheck_clock(b->loops, b->now_us);
		loopcheck_flush(b->loops);
	}
	b->now_us = us;
}

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->world = world_new(conf);
	random_init(&b->random);
	b->env.random = &b->random;
	const struct loopcheck_world w = {
		.random = &b->random, .env = &b->env, .transports = {[TRANSPORT_UDP] = &catcher, [TRANSPORT_TCP] = &catcher}};
	b->loops = loopcheck_new(&w, world_snapshot(b->world), 0);
	assert_non_null(b->loops);
	sends = 0;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	loopcheck_free(b->loops);
	world_free(b->world);
	free(b);
	return 0;
}

static const struct snapshot_route *route_of(struct bed *b, const struct name *n)
{
	const struct snapshot *s = world_snapshot(b->world);
	return &s->routes[snapshot_find_zone(s, n)->route];
}

static struct addr client(const char *ip)
{
	struct addr a;
	assert_int_equal(addr_parse(&a, ip, 4000), 0);
	return a;
}

static void the_question_lies_within_a_zone_of_the_endpoint(void **state)
{
	struct bed *b = *state;

	struct snapshot *s = world_snapshot(b->world);

	run_until(b, LOOPCHECK_FIRST_US);
	assert_int_equal(sends, 2); /* the local upstreams' first */
	assert_ptr_equal(route_of(b, &sent)->pools[0], &s->pools[1]);
	assert_int_equal(sent.labels, 4);
}

static void name_carries_its_nonce_where_there_is_room(void **state)
{
	struct name apex, n;
	uint8_t octets[NAME_MAX_OCTETS];
	size_t len = 0;

	(void)state;
	assert_true(name_read(&apex, (const uint8_t *)"\004corp\007example", 14) > 0);
	assert_true(loopcheck_write_name(&n, UINT64_C(0xfedcba9876543211), &apex));
	assert_true(name_is_within(&n, &apex));
	assert_int_equal(loopcheck_read_nonce(&n), UINT64_C(0xfedcba9876543211));
	assert_int_equal(loopcheck_read_nonce(&apex), 0);
	/* An apex of 225 octets is the longest that leaves 30 for the two labels. */
	for (size_t wanted = 225; wanted <= 226; wanted++) {
		len = 0;
		for (size_t left = wanted - 1; left > 0;) {
			size_t label = left - 1 > NAME_MAX_LABEL_OCTETS ? NAME_MAX_LABEL_OCTETS - 1 : left - 1;
			octets[len++] = (uint8_t)label;
			memset(octets + len, 'x', label);
			len += label;
			left -= label + 1;
		}
		octets[len++] = 0;
		assert_int_equal(name_read(&apex, octets, len), wanted);
		assert_int_equal(loopcheck_write_name(&n, 1, &apex), wanted == 225);
	}
}

static void a_nonce_that_comes_back_names_a_loop_once_and_its_client_is_refused(void **state)
{
	struct bed *b = *state;
	struct addr from = client("10.9.9.9"), other = client("10.9.9.8");

	run_until(b, LOOPCHECK_FIRST_US);
	const struct snapshot_route *r = route_of(b, &sent);
	assert_int_equal(loopcheck_meet(r, &sent, &from, b->now_us), LOOPCHECK_FOUND);
	assert_int_equal(loopcheck_meet(r, &sent, &from, b->now_us), LOOPCHECK_REFUSE);
	struct name www;
	assert_true(name_read(&www, (const uint8_t *)"\003www\004corp\007example", 18) > 0);
	assert_int_equal(loopcheck_meet(r, &www, &from, b->now_us), LOOPCHECK_REFUSE);
	assert_int_equal(loopcheck_meet(r, &www, &other, b->now_us), LOOPCHECK_PASS);
	assert_int_equal(loopcheck_meet(&world_snapshot(b->world)->routes[0], &www, &from, b->now_us), LOOPCHECK_PASS);
}

static void a_loop_that_ends_is_forgotten(void **state)
{
	struct bed *b = *state;
	struct addr from = client("10.9.9.9");

	run_until(b, LOOPCHECK_FIRST_US);
	const struct snapshot_route *r = route_of(b, &sent);
	assert_int_equal(loopcheck_meet(r, &sent, &from, b->now_us), LOOPCHECK_FOUND);
	unsigned before = sends;
	run_until(b, b->now_us + LOOPCHECK_HOLD_US + 1);
	assert_in_range(sends - before, 2, 4); /* asked again meanwhile */
	assert_false(loopcheck_is_looping(r->pools[0], b->now_us));
}

static void a_guessed_nonce_is_no_loop(void **state)
{
	struct bed *b = *state;
	struct addr from = client("10.9.9.9");

	run_until(b, LOOPCHECK_FIRST_US);
	sent.octets[3] = sent.octets[3] == 'a' ? 'b' : 'a';
	assert_int_equal(loopcheck_meet(route_of(b, &sent), &sent, &from, b->now_us), LOOPCHECK_PASS);
}

static void clients_on_loopback_are_not_refused_for_one_of_them(void **state)
{
	struct bed *b = *state;
	struct addr from = client("127.0.0.1");
	struct name www;

	run_until(b, LOOPCHECK_FIRST_US);
	assert_true(name_read(&www, (const uint8_t *)"\003www\004corp\007example", 18) > 0);
	const struct snapshot_route *r = route_of(b, &sent);
	assert_int_equal(loopcheck_meet(r, &sent, &from, b->now_us), LOOPCHECK_FOUND);
	assert_int_equal(loopcheck_meet(r, &www, &from, b->now_us), LOOPCHECK_SHARED);
}

static void endpoint_that_goes_down_is_asked_at_once_and_while_it_is_down(void **state)
{
	struct bed *b = *state;
	struct addr from = client("10.9.9.9");
	struct pool *seoul = world_pool(b->world, "seoul");

	run_until(b, LOOPCHECK_FIRST_US);
	unsigned before = sends;
	run_until(b, 10 * (uint64_t)US_PER_S);
	assert_int_equal(sends, before);
	/* Nobody answers: because the questions wait for themselves, perhaps. */
	assert_true(pool_close(seoul));
	loopcheck_clock(b->loops, b->now_us); /* with the probes of an endpoint that is down, twice a second */
	assert_int_equal(sends, before + 1);
	run_until(b, 12 * (uint64_t)US_PER_S + LOOPCHECK_AGAIN_US);
	assert_int_equal(sends, before + 2);
	const struct snapshot_route *r = route_of(b, &sent);
	assert_ptr_equal(r->pools[0], seoul);
	assert_int_equal(loopcheck_meet(r, &sent, &from, b->now_us), LOOPCHECK_FOUND);
}

static void an_idle_hour_costs_one_question_in_five_minutes_per_endpoint(void **state)
{
	struct bed *b = *state;

	run_until(b, 3600 * (uint64_t)US_PER_S);
	assert_in_range(sends, 2 * 12, 2 * 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_carries_its_nonce_where_there_is_room),
		cmocka_unit_test_setup_teardown(the_question_lies_within_a_zone_of_the_endpoint, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_nonce_that_comes_back_names_a_loop_once_and_its_client_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_loop_that_ends_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_guessed_nonce_is_no_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clients_on_loopback_are_not_refused_for_one_of_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(endpoint_that_goes_down_is_asked_at_once_and_while_it_is_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_idle_hour_costs_one_question_in_five_minutes_per_endpoint, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
