/* SPDX-License-Identifier: Apache-2.0 */
#include "server/bindings.h"

#include <errno.h>
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

static void close_fds(struct binding *row, uint32_t workers)
{
	for (uint32_t i = 0; row->fds != NULL && i < 2 * workers; i++)
		if (row->fds[i] >= 0)
			close(row->fds[i]);
	free(row->fds);
	row->fds = NULL;
}

static void remove_row(struct bindings *b, size_t i)
{
	close_fds(&b->rows[i], b->workers);
	b->rows[i] = b->rows[--b->count];
}

void bindings_deinit(struct bindings *b)
{
	while (b->count > 0)
		remove_row(b, b->count - 1);
	free(b->rows);
	b->rows = NULL;
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
	log_error("%s", b->refusal);
}

static bool is_missing_ipv6(const struct addr *a, int error)
{
	return a->sa.sa_family == AF_INET6 && (error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT);
}

/* All sockets of one address. 0, or the error, which was explained unless `quiet`. */
static int bind_row(struct bindings *b, struct binding *row, bool may_miss)
{
	uint32_t workers = b->workers;

	row->fds = malloc(2 * workers * sizeof(*row->fds));
	if (row->fds == NULL)
		return -ENOMEM;
	memset(row->fds, 0xff, 2 * workers * sizeof(*row->fds));
	for (uint32_t i = 0; i < 2 * workers; i++) {
		enum listen_kind kind = i % 2 == 0 ? LISTEN_UDP : LISTEN_TCP;
		row->fds[i] = listen_open(&row->addr, kind, i >= 2);
		if (row->fds[i] >= 0)
			continue;
		int error = row->fds[i];
		if (!may_miss || !is_missing_ipv6(&row->addr, error))
			explain(b, &row->addr, kind, error);
		close_fds(row, workers);
		return error;
	}
	return 0;
}

static bool add_row(struct bindings *b, const struct addr *a, bool may_miss)
{
	struct binding *grown = realloc(b->rows, (b->count + 1) * sizeof(*grown));
	char text[ADDR_TEXT_MAX];

	if (grown == NULL)
		return false;
	b->rows = grown;
	struct binding *row = &grown[b->count];
	*row = (struct binding){.addr = *a, .wanted = true};
	int error = bind_row(b, row, may_miss);
	if (error != 0 && may_miss && is_missing_ipv6(a, error)) {
		log_warn("no IPv6 here: not listening on the default %s", addr_format(a, text));
		return true;
	}
	b->count += error == 0;
	return error == 0;
}

bool bindings_prepare(struct bindings *b, const struct config *c)
{
	b->refusal[0] = '\0';
	for (size_t i = 0; i < b->count; i++)
		b->rows[i].wanted = false;
	for (size_t i = 0; i < c->listen_count; i++) {
		struct binding *row = find(b, &c->listen[i]);
		if (row != NULL) {
			row->wanted = true;
		} else if (!add_row(b, &c->listen[i], c->listen_default)) {
			bindings_cancel(b);
			return false;
		}
	}
	return true;
}

void bindings_cancel(struct bindings *b)
{
	for (size_t i = b->count; i-- > 0;)
		if (b->rows[i].fds != NULL)
			remove_row(b, i);
}

static bool hand_out(struct binding *row, struct worker **workers, uint32_t count, bool running)
{
	bool ok = true;

	for (uint32_t i = 0; i < 2 * count; i++) {
		enum listen_kind kind = i % 2 == 0 ? LISTEN_UDP : LISTEN_TCP;
		if (running)
			worker_add_listener(workers[i / 2], kind, row->fds[i]);
		else
			ok &= worker_listen(workers[i / 2], kind, row->fds[i]);
	}
	free(row->fds);
	row->fds = NULL;
	return ok;
}

bool bindings_commit(struct bindings *b, struct worker **workers, bool running)
{
	bool ok = true;

	for (size_t i = b->count; i-- > 0;) {
		struct binding *row = &b->rows[i];
		if (row->fds != NULL) {
			ok &= hand_out(row, workers, b->workers, running);
		} else if (!row->wanted) {
			for (uint32_t w = 0; w < b->workers; w++)
				worker_remove_listener(workers[w], &row->addr);
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
}
