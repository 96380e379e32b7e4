/* SPDX-License-Identifier: Apache-2.0 */
/* Binding without workers: what is prepared, kept and given back. What workers make of it is the e2e suite's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listen.h"
#include "server/bindings.h"

enum { WORKERS = 2, NOW_US = 1000 * US_PER_S };

/* A port that is free of both kinds at an address of this process's own; `fd` holds it until it is closed. */
static struct addr reserve(int *fd, enum listen_kind kind)
{
	enum listen_kind other = kind == LISTEN_UDP ? LISTEN_TCP : LISTEN_UDP;
	char text[ADDR_TEXT_MAX];
	struct addr a;

	snprintf(text, sizeof(text), "127.%d.%d.1", 64 + (getpid() >> 8) % 128, getpid() % 256);
	for (int tries = 0; tries < 100; tries++) {
		socklen_t len = sizeof(a);
		assert_int_equal(addr_parse(&a, text, 53), 0);
		addr_set_port(&a, 0);
		*fd = listen_open(&a, kind, false);
		assert_true(*fd >= 0);
		assert_int_equal(getsockname(*fd, &a.sa, &len), 0);
		int also = listen_open(&a, other, false);
		if (also >= 0) {
			close(also);
			return a;
		}
		close(*fd);
	}
	fail_msg("no port is free of both kinds");
	return a;
}

static bool is_bound(const struct addr *a)
{
	int fd = listen_open(a, LISTEN_UDP, false);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static struct config wanting(struct addr *listen, size_t count)
{
	return (struct config){.listen = listen, .listen_count = count};
}

static void every_worker_gets_a_socket_of_each_kind(void **state)
{
	int fd;
	struct addr a = reserve(&fd, LISTEN_UDP);
	struct config c = wanting(&a, 1);
	struct bindings b;

	(void)state;
	close(fd);
	bindings_init(&b, WORKERS);
	assert_true(bindings_prepare(&b, &c, NOW_US));
	assert_int_equal(b.count, 1);
	for (int i = 0; i < 2 * WORKERS; i++)
		assert_true(b.rows[0].sockets[i].fd >= 0);
	assert_true(is_bound(&a));
	bindings_deinit(&b);
	assert_false(is_bound(&a));
}

static void port_in_use_by_our_own_kind_is_refused_and_nothing_stays_bound(void **state)
{
	int fd, other;
	struct addr taken = reserve(&fd, LISTEN_TCP), free_one = reserve(&other, LISTEN_UDP);
	struct addr both[] = {free_one, taken};
	struct config c = wanting(both, 2);
	struct bindings b;
	int one = 1;

	(void)state;
	close(other);
	/* Listening, with SO_REUSEPORT as another r53fwd would have it. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	assert_int_equal(listen(fd, 1), 0);
	bindings_init(&b, WORKERS);
	assert_false(bindings_prepare(&b, &c, NOW_US));
	assert_int_equal(b.count, 0);
	assert_false(is_bound(&free_one));
	bindings_deinit(&b);
	close(fd);
}

static void cancelled_change_leaves_what_was_there(void **state)
{
	int fd[2];
	struct addr a[] = {reserve(&fd[0], LISTEN_UDP), reserve(&fd[1], LISTEN_UDP)};
	struct config first = wanting(a, 1), more = wanting(a, 2);
	struct bindings b;

	(void)state;
	close(fd[0]);
	close(fd[1]);
	bindings_init(&b, WORKERS);
	assert_true(bindings_prepare(&b, &first, NOW_US));
	/* As if the workers had them: only what is new is given back by a cancel. */
	struct binding_socket *kept = b.rows[0].sockets;
	size_t count = b.rows[0].count;
	b.rows[0].sockets = NULL;
	b.rows[0].count = 0;
	assert_true(bindings_prepare(&b, &more, NOW_US));
	assert_int_equal(b.count, 2);
	bindings_cancel(&b);
	assert_int_equal(b.count, 1);
	assert_true(is_bound(&a[0]));
	assert_false(is_bound(&a[1]));
	b.rows[0].sockets = kept;
	b.rows[0].count = count;
	bindings_deinit(&b);
}

/* Sockets of both kinds as another instance had them, `count` of each. */
static size_t open_as_another(const struct addr *a, size_t count, int *fds)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		for (enum listen_kind kind = LISTEN_UDP; kind <= LISTEN_TCP; kind++) {
			fds[n] = listen_open(a, kind, i > 0);
			assert_true(fds[n] >= 0);
			if (kind == LISTEN_TCP)
				assert_int_equal(listen(fds[n], 1), 0);
			n++;
		}
	return n;
}

static struct addr free_address(void)
{
	int fd;
	struct addr a = reserve(&fd, LISTEN_UDP);

	close(fd);
	return a;
}

static void two_free_addresses(struct addr a[2])
{
	int fd;

	a[0] = reserve(&fd, LISTEN_UDP);
	a[1] = free_address(); /* another one, for the first is taken */
	close(fd);
}

static size_t count_bound(const struct bindings *b, const struct addr *a)
{
	for (size_t i = 0; i < b->count; i++)
		if (addr_equal(&b->rows[i].addr, a))
			return b->rows[i].count;
	return 0;
}

static void inherited_sockets_are_added_to_when_there_are_more_workers(void **state)
{
	struct addr a = free_address();
	struct config c = wanting(&a, 1);
	struct bindings b;
	int fds[2];

	(void)state;
	bindings_init(&b, 3);
	assert_true(bindings_inherit(&b, fds, open_as_another(&a, 1, fds)));
	assert_true(bindings_prepare(&b, &c, NOW_US));
	assert_int_equal(b.count, 1);
	assert_int_equal(b.rows[0].count, 6);
	assert_int_equal(b.rows[0].sockets[0].fd, fds[0]);
	bindings_deinit(&b);
	assert_false(is_bound(&a));
}

static void inherited_sockets_are_all_kept_when_there_are_fewer_workers(void **state)
{
	struct addr a = free_address();
	struct config c = wanting(&a, 1);
	struct bindings b;
	int fds[8];

	(void)state;
	bindings_init(&b, 1);
	assert_true(bindings_inherit(&b, fds, open_as_another(&a, 4, fds)));
	assert_true(bindings_prepare(&b, &c, NOW_US));
	assert_int_equal(b.rows[0].count, 8);
	bindings_deinit(&b);
	assert_false(is_bound(&a));
}

static void inherited_sockets_that_nobody_wants_are_closed(void **state)
{
	struct addr a[] = {free_address(), free_address()};
	struct config c = wanting(&a[1], 1);
	struct bindings b;
	int fds[4];

	(void)state;
	bindings_init(&b, WORKERS);
	assert_true(bindings_inherit(&b, fds, open_as_another(&a[0], 2, fds)));
	assert_true(bindings_prepare(&b, &c, NOW_US));
	assert_int_equal(count_bound(&b, &a[1]), 2 * WORKERS);
	/* What is wanted is handed to workers, which there are none of here. */
	for (size_t i = 0; i < b.count; i++)
		if (b.rows[i].wanted)
			b.rows[i].wanted = false;
	struct worker *none[WORKERS] = {NULL};
	b.workers = 0;
	assert_true(bindings_commit(&b, none, false, NOW_US));
	assert_int_equal(b.count, 0);
	assert_false(is_bound(&a[0]));
	bindings_deinit(&b);
}

static void what_is_no_socket_of_the_internet_is_not_inherited(void **state)
{
	struct bindings b;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	bindings_init(&b, 1);
	assert_false(bindings_inherit(&b, pair, 2));
	assert_int_equal(b.count, 0);
	assert_int_equal(close(pair[0]), -1);
	bindings_deinit(&b);
}

/* A port that nobody serves on any address, those of other tests that run at the same time included. */
static void find_free_everywhere(struct addr *all, struct addr *one)
{
	for (int tries = 0; tries < 1000; tries++) {
		*one = free_address();
		assert_int_equal(addr_parse(all, "0.0.0.0", addr_port(one)), 0);
		int udp = listen_open(all, LISTEN_UDP, false), tcp = listen_open(all, LISTEN_TCP, false);
		if (udp >= 0)
			close(udp);
		if (tcp >= 0)
			close(tcp);
		if (udp >= 0 && tcp >= 0)
			return;
	}
	fail_msg("there is no free port");
}

static void our_own_socket_on_all_addresses_is_not_in_the_way_of_one_on_one(void **state)
{
	struct addr both[2];
	struct bindings b;

	(void)state;
	find_free_everywhere(&both[0], &both[1]);
	for (int turn = 0; turn < 2; turn++) {
		struct config first = wanting(&both[turn], 1), then = wanting(&both[1 - turn], 1);
		bindings_init(&b, WORKERS);
		assert_true(bindings_prepare(&b, &first, NOW_US));
		assert_true(bindings_prepare(&b, &then, NOW_US));
		assert_int_equal(b.count, 2);
		/* The one on one is kept beside that on all: the kernel prefers it as long as it is bound. */
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(b.rows[i].wanted, turn == 1 || !addr_is_any(&b.rows[i].addr));
		bindings_deinit(&b);
	}
	/* Somebody else's is. */
	int fd = listen_open(&both[0], LISTEN_UDP, false);
	struct config c = wanting(&both[1], 1);
	bindings_init(&b, WORKERS);
	assert_false(bindings_prepare(&b, &c, NOW_US));
	bindings_deinit(&b);
	close(fd);
}

/* Until the last reply has left from there, however many reloads come meanwhile. */
static void our_own_socket_that_is_not_gone_yet_is_not_in_the_way(void **state)
{
	struct addr a[2];
	two_free_addresses(a);
	struct config first = wanting(&a[0], 1), then = wanting(&a[1], 1);
	struct bindings b;

	(void)state;
	bindings_init(&b, 0);
	assert_true(bindings_prepare(&b, &first, NOW_US));
	int going = listen_open(&a[0], LISTEN_UDP, false);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(bindings_prepare(&b, &then, NOW_US + i * US_PER_S));
		assert_true(bindings_commit(&b, NULL, true, NOW_US + i * US_PER_S));
	}
	b.workers = WORKERS;
	assert_true(bindings_prepare(&b, &first, NOW_US + 4 * US_PER_S));
	assert_int_equal(count_bound(&b, &a[0]), 2 * WORKERS);
	bindings_deinit(&b);
	/* That of another is. */
	bindings_init(&b, WORKERS);
	assert_false(bindings_prepare(&b, &first, NOW_US));
	bindings_deinit(&b);
	close(going);
}

static void address_that_was_left_long_ago_may_be_somebody_elses(void **state)
{
	struct addr a[2];
	two_free_addresses(a);
	struct config first = wanting(&a[0], 1), then = wanting(&a[1], 1);
	struct bindings b;

	(void)state;
	bindings_init(&b, 0);
	for (uint32_t turn = 0; turn < 2; turn++) {
		assert_true(bindings_prepare(&b, &first, NOW_US + turn * US_PER_S));
		assert_true(bindings_prepare(&b, &then, NOW_US + turn * US_PER_S));
		assert_true(bindings_commit(&b, NULL, true, NOW_US + turn * US_PER_S));
	}
	/* Of our own kind, which shares its ports among its workers. */
	int other = listen_open(&a[0], LISTEN_UDP, false);
	b.workers = WORKERS;
	assert_true(bindings_prepare(&b, &first, NOW_US + US_PER_S + BINDINGS_LEFT_US - 1));
	bindings_cancel(&b);
	assert_false(bindings_prepare(&b, &first, NOW_US + US_PER_S + BINDINGS_LEFT_US));
	bindings_deinit(&b);
	close(other);
}

static void as_many_addresses_as_there_may_be_are_remembered_when_they_are_left(void **state)
{
	enum { MANY = 40 };
	struct addr a[MANY], other = free_address();
	struct config first = wanting(a, MANY), then = wanting(&other, 1);
	struct bindings b;
	int going[MANY];

	(void)state;
	/* Of so many ports one may be a client's of somebody else when it is given back. */
	for (unsigned tries = 0, taken = 0; !taken; tries++) {
		assert_true(tries < 10);
		for (int i = 0; i < MANY; i++)
			a[i] = reserve(&going[i], LISTEN_UDP);
		for (int i = 0; i < MANY; i++)
			close(going[i]);
		bindings_init(&b, 0);
		taken = bindings_prepare(&b, &first, NOW_US);
		if (!taken)
			bindings_deinit(&b);
	}
	assert_true(bindings_prepare(&b, &then, NOW_US));
	assert_true(bindings_commit(&b, NULL, true, NOW_US));
	for (int i = 0; i < MANY; i++)
		going[i] = listen_open(&a[i], LISTEN_UDP, false);
	b.workers = 1;
	assert_true(bindings_prepare(&b, &first, NOW_US));
	bindings_deinit(&b);
	for (int i = 0; i < MANY; i++)
		close(going[i]);
}

/* A bound socket under the lowest number that is free, as a service manager leaves it. */
static int bound(const char *text, int type, int v6only)
{
	bool any = strcmp(text + strlen(text) - 2, ":0") == 0;
	char host[ADDR_TEXT_MAX];
	struct addr a;
	int one = 1;

	snprintf(host, sizeof(host), "%s%s", text, any ? "1" : ""); /* addr_parse takes no port 0 */
	assert_int_equal(addr_parse(&a, host, 0), 0);
	if (any)
		addr_set_port(&a, 0);
	int fd = socket(a.sa.sa_family, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	if (a.sa.sa_family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)), 0);
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	return fd;
}

static bool same_socket(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

static void passed_socket_is_shared_by_the_workers_and_the_other_kind_is_bound(void **state)
{
	int reserved;
	struct addr a = reserve(&reserved, LISTEN_TCP);
	char text[ADDR_TEXT_MAX];
	struct config c = wanting(&a, 1);
	struct bindings b;

	(void)state;
	close(reserved);
	int fd = bound(addr_format(&a, text), SOCK_DGRAM, 0);
	bindings_init(&b, WORKERS);
	assert_true(bindings_pass(&b, fd, 1));
	assert_true(bindings_prepare(&b, &c, NOW_US));
	assert_int_equal(b.rows[0].count, 2 * WORKERS);
	/* Whoever takes the address away must not make it deaf: its owner has it still. */
	assert_true(b.rows[0].shared);
	for (size_t i = 0; i < WORKERS; i++) {
		assert_true(same_socket(b.rows[0].sockets[i].fd, fd));
		assert_true(fcntl(b.rows[0].sockets[i].fd, F_GETFL) & O_NONBLOCK);
	}
	for (size_t i = WORKERS; i < 2 * WORKERS; i++)
		assert_false(same_socket(b.rows[0].sockets[i].fd, fd));
	/* It stays for a reload that takes the address away and brings it back. */
	bindings_cancel(&b);
	assert_true(bindings_prepare(&b, &c, NOW_US));
	assert_true(same_socket(b.rows[0].sockets[0].fd, fd));
	bindings_deinit(&b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void more_passed_sockets_than_workers_are_all_served(void **state)
{
	int spare;
	struct addr a = reserve(&spare, LISTEN_UDP);
	char text[ADDR_TEXT_MAX];
	struct config c = wanting(&a, 1);
	struct bindings b;

	(void)state;
	close(spare);
	int first = bound(addr_format(&a, text), SOCK_DGRAM, 0);
	int second = bound(text, SOCK_DGRAM, 0), third = bound(text, SOCK_DGRAM, 0);
	assert_int_equal(second, first + 1);
	assert_int_equal(third, first + 2);
	bindings_init(&b, WORKERS);
	assert_true(bindings_pass(&b, first, 3));
	assert_true(bindings_prepare(&b, &c, NOW_US));
	for (int i = 0; i < 3; i++)
		assert_true(same_socket(b.rows[0].sockets[i].fd, first + i));
	bindings_deinit(&b);
}

static void passed_socket_that_takes_ipv4_as_well_is_refused_with_the_remedy(void **state)
{
	int probe = socket(AF_INET6, SOCK_DGRAM, 0);
	struct bindings b;

	(void)state;
	if (probe < 0)
		skip();
	close(probe);
	int fd = bound("[::]:0", SOCK_DGRAM, 0);
	bindings_init(&b, WORKERS);
	assert_false(bindings_pass(&b, fd, 1));
	assert_non_null(strstr(b.refusal, "its .socket unit must say BindIPv6Only=ipv6-only"));
	bindings_deinit(&b);
	fd = bound("[::]:0", SOCK_DGRAM, 1);
	bindings_init(&b, WORKERS);
	assert_true(bindings_pass(&b, fd, 1));
	bindings_deinit(&b);
}

static void what_is_no_socket_for_dns_is_closed(void **state)
{
	int ends[2], fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct bindings b;

	(void)state;
	bindings_init(&b, WORKERS);
	assert_true(bindings_pass(&b, fd, 1));
	assert_int_equal(pipe(ends), 0);
	assert_true(bindings_pass(&b, ends[0], 1));
	assert_int_equal(b.passed_count, 0);
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
	close(ends[1]);
	bindings_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_worker_gets_a_socket_of_each_kind),
		cmocka_unit_test(port_in_use_by_our_own_kind_is_refused_and_nothing_stays_bound),
		cmocka_unit_test(cancelled_change_leaves_what_was_there),
		cmocka_unit_test(inherited_sockets_are_added_to_when_there_are_more_workers),
		cmocka_unit_test(inherited_sockets_are_all_kept_when_there_are_fewer_workers),
		cmocka_unit_test(inherited_sockets_that_nobody_wants_are_closed),
		cmocka_unit_test(what_is_no_socket_of_the_internet_is_not_inherited),
		cmocka_unit_test(our_own_socket_on_all_addresses_is_not_in_the_way_of_one_on_one),
		cmocka_unit_test(our_own_socket_that_is_not_gone_yet_is_not_in_the_way),
		cmocka_unit_test(address_that_was_left_long_ago_may_be_somebody_elses),
		cmocka_unit_test(as_many_addresses_as_there_may_be_are_remembered_when_they_are_left),
		cmocka_unit_test(passed_socket_is_shared_by_the_workers_and_the_other_kind_is_bound),
		cmocka_unit_test(more_passed_sockets_than_workers_are_all_served),
		cmocka_unit_test(passed_socket_that_takes_ipv4_as_well_is_refused_with_the_remedy),
		cmocka_unit_test(what_is_no_socket_for_dns_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
