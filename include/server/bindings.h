/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_BINDINGS_H
#define SERVER_BINDINGS_H
/* The addresses that we listen on: UDP and TCP, one socket each per worker. A change is prepared (new sockets are bound
 * while the old ones serve), then committed or cancelled; an address that stays is never touched: closing a SO_REUSEPORT
 * socket throws away what the kernel has queued on it. For the same reason sockets that come from another instance are all kept, where
 * there are more of them than workers; and an address stays that a wildcard covers from now on: its socket, which the kernel prefers, is
 * there until its last reply has left, and nobody would read it.
 *
 * Sockets that a service manager has opened (socket activation) serve the addresses of `listen` that they are bound to: several of one
 * address are dealt out among the workers, fewer than workers are shared, each worker having a descriptor of its own for the same
 * socket. Nothing is bound beside them, for that would take the privilege that they save, and what waits in their queue over a restart
 * would not be all. They stay open for a later reload, which may name their address again. */

#include "config/config.h"
#include "server/worker.h"

struct binding_socket {
	int fd;
	enum listen_kind kind;
};

struct binding {
	struct addr addr;
	struct binding_socket *sockets; /* heap, [count]; NULL once the workers own them */
	size_t count;
	bool inherited; /* some come from another instance */
	bool shared;    /* some are the service manager's, who keeps them */
	bool wanted;    /* by the configuration being prepared */
};

/* A socket of the service manager's. */
struct binding_passed {
	struct addr addr;
	enum listen_kind kind;
	int fd;
	bool used;
};

/* What a reload took away. The socket is bound by us until the last reply has left, FORWARD_DEADLINE_US later at most: so long we may bind
 * beside it, and no longer, for then whoever is bound there is somebody else. */
struct binding_left {
	struct addr addr;
	uint64_t until_us;
};

enum { BINDINGS_REFUSAL_MAX = 384, BINDINGS_LEFT_US = 5 * US_PER_S };

struct bindings {
	struct binding *rows; /* heap */
	size_t count;
	uint32_t workers;
	struct binding_passed *passed; /* heap */
	size_t passed_count;
	struct binding_left *left; /* heap */
	size_t left_count;
	char refusal[BINDINGS_REFUSAL_MAX]; /* why bindings_prepare last said no, in one sentence; empty: without memory */
};

void bindings_init(struct bindings *b, uint32_t workers);
void bindings_deinit(struct bindings *b);

/* Sockets of the instance that is taken over from; all are taken over, also on failure, which is one of memory. Before the first
 * bindings_prepare, which adds what is missing; those at addresses that it does not want are closed by bindings_commit. */
NODISCARD bool bindings_inherit(struct bindings *b, const int *fds, size_t count);

/* Sockets of the service manager: `count` descriptors from `first` on, taken over. False if one of them cannot be used: says why in
 * `refusal`. Those that are no sockets for DNS are closed, with a warning. Before the first bindings_prepare. */
NODISCARD bool bindings_pass(struct bindings *b, int first, size_t count);

/* Binds what `c` wants and is not there yet. On failure says why in one sentence, gives back what it bound, and returns false. */
NODISCARD bool bindings_prepare(struct bindings *b, const struct config *c, uint64_t now_us);
void bindings_cancel(struct bindings *b);

/* Hands new sockets to the workers and takes those away that are not wanted any more. Before the workers run, it adds directly. */
NODISCARD bool bindings_commit(struct bindings *b, struct worker **workers, bool running, uint64_t now_us);

/* Where we listen, and which of the passed sockets nobody serves. */
void bindings_log(const struct bindings *b);

#endif
