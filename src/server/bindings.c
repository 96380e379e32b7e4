/* SPDX-License-Identifier: Apache-2.0 */
#include "server/bindings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const kind_names[] = {[LISTEN_UDP] = "UDP", [LISTEN_TCP] = "TCP"};

void bindings_init(struct bindings *b, uint32_t workers)
{
	memset(b, 0, sizeof(*b));
	b->workers = workers;
}

static void close_fds(struct binding *row)
{
	ASSERT(row->count == 0 || row->sockets != NULL);
	for (size_t i = 0; i < row->count; i++)
		close(row->sockets[i].fd);
	free(row->sockets);
	row->sockets = NULL;
	row->count = 0;
}

/* Takes `fd` over, also on failure. */
static bool add_fd(struct binding *row, int fd, enum listen_kind kind)
{
	struct binding_socket *grown = realloc(row->sockets, (row->count + 1) * sizeof(*grown));

	if (grown == NULL) {
		close(fd);
		return false;
	}
	row->sockets = grown;
	grown[row->count++] = (struct binding_socket){fd, kind};
	return true;
}

static size_t count_kind(const struct binding *row, enum listen_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < row->count; i++)
		n += row->sockets[i].kind == kind;
	return n;
}

static void remove_row(struct bindings *b, size_t i)
{
	close_fds(&b->rows[i]);
	b->rows[i] = b->rows[--b->count];
}

void bindings_deinit(struct bindings *b)
{
	while (b->count > 0)
		remove_row(b, b->count - 1);
	free(b->rows);
	b->rows = NULL;
	for (size_t i = 0; i < b->passed_count; i++)
		close(b->passed[i].fd);
	free(b->passed);
	b->passed = NULL;
	b->passed_count = 0;
	free(b->left);
	b->left = NULL;
	b->left_count = 0;
}

static struct binding *find(struct bindings *b, const struct addr *a)
{
	for (size_t i = 0; i < b->count; i++)
		if (addr_equal(&b->rows[i].addr, a))
			return &b->rows[i];
	return NULL;
}

static void explain(struct bindings *b, const struct addr *a, enum listen_kind kind, int error)
{
	char text[ADDR_TEXT_MAX];
	const char *hint = "";

	if (error == -EADDRINUSE)
		hint = "; another program serves there (`ss -lunpt` names it): stop it, or choose another address with `listen:` or "
		       "--listen";
	else if (error == -EACCES || error == -EPERM)
		hint = "; a port below 1024 needs root or CAP_NET_BIND_SERVICE: start it through its unit, or choose a port such as 5353";
	else if (error == -EADDRNOTAVAIL)
		hint = "; no interface of this host has the address";
	snprintf(b->refusal, sizeof(b->refusal), "cannot listen on %s (%s): %s%s", addr_format(a, text), kind_names[kind],
		 strerror(-error), hint);
}

static bool is_missing_ipv6(const struct addr *a, int error)
{
	return a->sa.sa_family == AF_INET6 && (error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT);
}

/* Only the user who has bound the first socket of an address may add another. */
static bool must_share(const struct binding *row, enum listen_kind kind, size_t have, int error)
{
	char text[ADDR_TEXT_MAX];

	if (!row->inherited || have == 0 || (error != -EADDRINUSE && error != -EACCES && error != -EPERM))
		return false;
	log_warn("only %zu workers serve %s over %s: its sockets belong to the user of the instance before this one", have,
		 addr_format(&row->addr, text), kind_names[kind]);
	return true;
}

static bool covers(const struct addr *wide, const struct addr *a)
{
	return addr_is_any(wide) && wide->sa.sa_family == a->sa.sa_family && addr_port(wide) == addr_port(a);
}

/* A socket of our own stands in the way: the port on all addresses, and on one of them. Who has one has it from a bind that would have
 * met anybody else. */
static bool overlaps_own(const struct bindings *b, const struct addr *a)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct addr *own = &b->rows[i].addr;
		if (!addr_equal(own, a) && (covers(own, a) || covers(a, own)))
			return true;
	}
	return false;
}

/* ---- passed by a service manager */

static void explain_passed(struct bindings *b, const struct addr *a, int error)
{
	char text[ADDR_TEXT_MAX];

	snprintf(b->refusal, sizeof(b->refusal), "the socket that the service manager passed for %s cannot be used: %s",
		 addr_format(a, text),
		 error == -EAFNOSUPPORT ? "it takes IPv4 as well; its .socket unit must say BindIPv6Only=ipv6-only" : strerror(-error));
}

static bool pass_one(struct bindings *b, int fd)
{
	struct binding_passed p = {.fd = fd};
	int error = listen_adopt(fd, &p.kind, &p.addr);

	if (error == -EPROTOTYPE || error == -ENOTSOCK) {
		log_warn("descriptor %d, which the service manager passed, is no UDP or TCP socket: closed", fd);
		close(fd);
		return true;
	}
	struct binding_passed *grown = realloc(b->passed, (b->passed_count + 1) * sizeof(*grown));
	if (grown == NULL) {
		close(fd);
		return false;
	}
	b->passed = grown;
	grown[b->passed_count++] = p;
	if (error != 0)
		explain_passed(b, &p.addr, error);
	return error == 0;
}

bool bindings_pass(struct bindings *b, int first, size_t count)
{
	bool ok = true;

	b->refusal[0] = '\0';
	for (size_t i = 0; i < count; i++)
		ok &= pass_one(b, first + (int)i);
	return ok;
}

/* The passed ones of an address, in their order. Returns how many there are. */
static size_t find_passed(const struct bindings *b, const struct binding *row, enum listen_kind kind, struct binding_passed **found)
{
	size_t n = 0;

	for (size_t i = 0; i < b->passed_count; i++)
		if (b->passed[i].kind == kind && addr_equal(&b->passed[i].addr, &row->addr))
			found[n++] = &b->passed[i];
	return n;
}

/* Gives each passed socket to a worker, and each worker one. 1: there is none; 0, or the error. */
static int share_passed(struct bindings *b, struct binding *row, enum listen_kind kind)
{
	struct binding_passed **found = calloc(b->passed_count + 1, sizeof(*found));
	size_t n = found != NULL ? find_passed(b, row, kind, found) : 0;
	int error = found == NULL ? -ENOMEM : n == 0 ? 1 : 0;

	row->shared |= n > 0;
	for (size_t i = 0; error == 0 && i < MAX(n, (size_t)b->workers); i++) {
		int fd = fcntl(found[i % n]->fd, F_DUPFD_CLOEXEC, 0);
		found[i % n]->used = true;
		if (fd < 0)
			error = -errno;
		else if (!add_fd(row, fd, kind))
			error = -ENOMEM;
	}
	free(found);
	return error;
}

/* ---- left by us */

static struct binding_left *find_left(struct bindings *b, const struct addr *a)
{
	for (size_t i = 0; i < b->left_count; i++)
		if (addr_equal(&b->left[i].addr, a))
			return &b->left[i];
	return NULL;
}

/* Whoever serves there from now on is not we. */
static void forget_left(struct bindings *b, uint64_t now_us)
{
	for (size_t i = b->left_count; i-- > 0;)
		if (now_us >= b->left[i].until_us)
			b->left[i] = b->left[--b->left_count];
}

/* Without memory it is not known: then the address is in use until the last reply has left. */
static void note_left(struct bindings *b, const struct addr *a, uint64_t now_us)
{
	struct binding_left *l = find_left(b, a);

	if (l == NULL) {
		struct binding_left *grown = realloc(b->left, (b->left_count + 1) * sizeof(*grown));
		if (grown == NULL)
			return;
		b->left = grown;
		l = &grown[b->left_count++];
	}
	*l = (struct binding_left){*a, now_us + BINDINGS_LEFT_US};
}

/* ---- bound by us */

/* One who was bound there a moment ago may find himself in the way. */
static int open_socket(struct bindings *b, const struct addr *a, enum listen_kind kind, bool join)
{
	int fd = listen_open(a, kind, join);

	return fd == -EADDRINUSE && find_left(b, a) != NULL ? listen_open(a, kind, true) : fd;
}

/* The sockets of one kind that are missing. 0, or the error. */
static int bind_kind(struct bindings *b, struct binding *row, enum listen_kind kind)
{
	int shared = b->passed_count > 0 && count_kind(row, kind) == 0 ? share_passed(b, row, kind) : 1;

	if (shared <= 0)
		return shared;
	bool joins = overlaps_own(b, &row->addr);

	for (size_t have = count_kind(row, kind); have < b->workers; have++) {
		int fd = open_socket(b, &row->addr, kind, have > 0 || joins);
		if (fd < 0)
			return must_share(row, kind, have, fd) ? 0 : fd;
		if (!add_fd(row, fd, kind))
			return -ENOMEM;
	}
	return 0;
}

/* All sockets of one address. 0, or the error, which was explained unless it `may_miss`. */
static int bind_row(struct bindings *b, struct binding *row, bool may_miss)
{
	for (enum listen_kind kind = LISTEN_UDP; kind <= LISTEN_TCP; kind++) {
		int error = bind_kind(b, row, kind);
		if (error == 0)
			continue;
		if (!may_miss || !is_missing_ipv6(&row->addr, error))
			explain(b, &row->addr, kind, error);
		close_fds(row);
		return error;
	}
	return 0;
}

static struct binding *append_row(struct bindings *b, const struct addr *a)
{
	struct binding *grown = realloc(b->rows, (b->count + 1) * sizeof(*grown));

	if (grown == NULL)
		return NULL;
	b->rows = grown;
	grown[b->count] = (struct binding){.addr = *a};
	return &grown[b->count++];
}

static bool add_row(struct bindings *b, const struct addr *a, bool may_miss)
{
	struct binding *row = append_row(b, a);
	char text[ADDR_TEXT_MAX];

	if (row == NULL) {
		explain(b, a, LISTEN_UDP, -ENOMEM);
		return false;
	}
	row->wanted = true;
	int error = bind_row(b, row, may_miss);
	if (error == 0)
		return true;
	b->count--;
	if (may_miss && is_missing_ipv6(a, error)) {
		log_warn("no IPv6 here: not listening on the default %s", addr_format(a, text));
		return true;
	}
	return false;
}

static bool inherit_one(struct bindings *b, int fd)
{
	struct addr a = {0};
	socklen_t len = sizeof(a), type_len = sizeof(int);
	struct binding *row = NULL;
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && getsockname(fd, &a.sa, &len) == 0 &&
	    (a.sa.sa_family == AF_INET || a.sa.sa_family == AF_INET6)) {
		row = find(b, &a);
		row = row != NULL ? row : append_row(b, &a);
	}
	if (row == NULL) {
		close(fd);
		return false;
	}
	row->inherited = true;
	return add_fd(row, fd, type == SOCK_STREAM ? LISTEN_TCP : LISTEN_UDP);
}

bool bindings_inherit(struct bindings *b, const int *fds, size_t count)
{
	bool ok = true;

	for (size_t i = 0; i < count; i++)
		ok &= inherit_one(b, fds[i]);
	return ok;
}

/* By a wildcard that is wanted. */
static bool is_covered(const struct bindings *b, const struct addr *a)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->rows[i].wanted && covers(&b->rows[i].addr, a))
			return true;
	return false;
}

bool bindings_prepare(struct bindings *b, const struct config *c, uint64_t now_us)
{
	b->refusal[0] = '\0';
	forget_left(b, now_us);
	for (size_t i = 0; i < b->count; i++)
		b->rows[i].wanted = false;
	for (size_t i = 0; i < c->listen_count; i++) {
		struct binding *row = find(b, &c->listen[i]);
		bool ok = row != NULL || add_row(b, &c->listen[i], c->listen_default);
		if (row != NULL) {
			row->wanted = true;
			ok = row->sockets == NULL || bind_row(b, row, false) == 0;
		}
		if (!ok) {
			bindings_cancel(b);
			return false;
		}
	}
	for (size_t i = 0; i < b->count; i++)
		b->rows[i].wanted = b->rows[i].wanted || is_covered(b, &b->rows[i].addr);
	return true;
}

void bindings_cancel(struct bindings *b)
{
	for (size_t i = b->count; i-- > 0;)
		if (b->rows[i].sockets != NULL)
			remove_row(b, i);
}

/* Of each kind in turn, so that no worker gets a second one before each has one. */
static bool hand_out(struct binding *row, struct worker **workers, uint32_t count, bool running)
{
	uint32_t next[] = {[LISTEN_UDP] = 0, [LISTEN_TCP] = 0};
	bool ok = true;

	ASSERT(count > 0);
	for (size_t i = 0; i < row->count; i++) {
		const struct binding_socket *s = &row->sockets[i];
		struct worker *w = workers[next[s->kind]++ % count];
		if (running)
			ok &= worker_add_listener(w, s->kind, s->fd);
		else
			ok &= worker_listen(w, s->kind, s->fd);
	}
	free(row->sockets);
	row->sockets = NULL;
	row->count = 0;
	return ok;
}

bool bindings_commit(struct bindings *b, struct worker **workers, bool running, uint64_t now_us)
{
	bool ok = true;

	for (size_t i = b->count; i-- > 0;) {
		struct binding *row = &b->rows[i];
		if (row->sockets != NULL && row->wanted) {
			ok &= hand_out(row, workers, b->workers, running);
		} else if (!row->wanted) {
			bool gone = true, ours = !row->shared && !row->inherited; /* the one before us may have it from a service manager */
			for (uint32_t w = 0; w < b->workers; w++)
				gone &= worker_remove_listener(workers[w], &row->addr, ours);
			ok &= gone;
			note_left(b, &row->addr, now_us);
			/* Else the next commit tells them again. */
			if (gone)
				remove_row(b, i);
		}
	}
	return ok;
}

void bindings_log(const struct bindings *b)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < b->count; i++)
		log_info("listening on %s, UDP and TCP", addr_format(&b->rows[i].addr, text));
	for (size_t i = 0; i < b->passed_count; i++)
		if (b->passed[i].used)
			log_info("%s over %s is a socket of the service manager", addr_format(&b->passed[i].addr, text),
				 kind_names[b->passed[i].kind]);
		else
			log_warn("the service manager passed a socket for %s over %s, which `listen` does not name: nobody answers there",
				 addr_format(&b->passed[i].addr, text), kind_names[b->passed[i].kind]);
}
