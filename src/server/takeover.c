/* SPDX-License-Identifier: Apache-2.0 */
/* What comes is sorted by what it is, not by its place in a list: each descriptor says so itself. */
#include "server/takeover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "net/bridge.h"
#include "net/control.h"
#include "server/command.h"

/* The other one may have to wait for a disk before it answers (PERSIST_STOP_US), and may be about to end. */
enum { ASK_MS = 30000, ASK_TIMES = 3, END_MS = 20000 };

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static void keep_only(int *place, int fd)
{
	if (*place >= 0)
		close(*place);
	*place = fd;
}

static bool is_file(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Takes the descriptors of the reply. */
static void sort(struct takeover *t, struct control_reply *r, const char *path)
{
	for (size_t i = 0; i < r->fd_count; i++) {
		int fd = r->fds[i];
		if (is_file(fd))
			keep_only(&t->cache, fd);
		else if (option_of(fd, SO_DOMAIN) != AF_UNIX)
			t->sockets[t->socket_count++] = fd;
		else if (option_of(fd, SO_TYPE) == SOCK_SEQPACKET)
			keep_only(&t->bridge_end, fd);
		else
			keep_only(&t->control, fd);
	}
	r->fd_count = 0;
	t->keeps = t->control >= 0 && control_is_at(t->control, path);
	if (!t->keeps)
		keep_only(&t->control, -1);
}

static enum takeover_verdict fail(const char *path, const char *why)
{
	log_error("cannot take over from the instance at %s: %s", path, why);
	return TAKEOVER_FAILED;
}

/* It is gone, or does not talk to us: the next time tells. */
static bool is_cut(int error)
{
	return error == -EPROTO || error == -ECONNRESET || error == -EPIPE;
}

static enum takeover_verdict explain(const char *path, int error)
{
	if (error == -ENOENT || error == -ECONNREFUSED) {
		log_info("no instance runs at %s to take over from: starting as usual", path);
		return TAKEOVER_NOBODY;
	}
	if (error == -ETIMEDOUT)
		return fail(path, "it does not answer");
	if (is_cut(error))
		return fail(path, "it ended the connection without an answer; it talks to root, and to its own user and group");
	return fail(path, strerror(-error));
}

static enum takeover_verdict take(struct takeover *t, struct control_reply *r, const char *path, uid_t user)
{
	char why[COMMAND_ERROR_MAX];

	if (r->uid != 0 && r->uid != geteuid() && r->uid != user)
		return fail(path, "it runs as another user, whose sockets are not taken");
	if (command_read_error(r, why))
		return fail(path, why);
	t->sockets = calloc(r->fd_count + 1, sizeof(int));
	if (t->sockets == NULL)
		return fail(path, "out of memory");
	sort(t, r, path);
	t->drained_count = command_read_drained(r, &t->drained);
	t->pages = command_read_pages(r);
	t->pid = r->pid;
	return t->bridge_end >= 0 && t->socket_count > 0 ? TAKEOVER_GIVEN : fail(path, "its answer brought no sockets");
}

void takeover_init(struct takeover *t)
{
	*t = (struct takeover){.bridge_end = -1, .control = -1, .cache = -1};
}

/* Its ports are free when it is gone: the one after another, so that its control socket may be closed and its ports not yet. */
static void await_end(pid_t pid)
{
	struct pollfd wait = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	if (wait.fd < 0)
		return;
	(void)poll(&wait, 1, END_MS);
	close(wait.fd);
}

enum takeover_verdict takeover_ask(struct takeover *t, const char *path, uid_t user)
{
	struct control_reply r = {.text = NULL};

	takeover_init(t);
	int error = -EPROTO;
	pid_t ending = 0;
	for (int i = 0; i < ASK_TIMES && is_cut(error); i++) {
		error = control_ask(path, "{\"command\": \"takeover\"}", &r, ASK_MS);
		ending = is_cut(error) ? r.pid : ending;
	}
	if (error != 0 && ending > 0)
		await_end(ending);
	enum takeover_verdict verdict = error != 0 ? explain(path, error) : take(t, &r, path, user);
	control_reply_deinit(&r);
	return verdict;
}

void takeover_forget_sockets(struct takeover *t)
{
	t->socket_count = 0;
}

/* ---- once we serve */

static void settle(struct takeover *t)
{
	t->settled = true;
	loop_timer_set(t->patience, UINT64_MAX);
	t->yours(t->arg);
}

/* It will not be ended for it: it may be held up only by a debugger, or a disk. */
static void on_patience(void *arg)
{
	struct takeover *t = arg;

	/* A loop that was late fires its timers first: a word that waits came in time. */
	bridge_read(t->bridge);
	if (t->settled)
		return;
	log_warn("process %d is taken over and does not leave: until it does, or ends, %s; kill it if it hangs", (int)t->pid,
		 t->keeps ? "no command reaches this daemon, which serves, and the cache is not written" : "the cache is not written");
}

static void end(struct takeover *t)
{
	bridge_close(t->bridge);
	t->bridge = NULL;
	if (t->settled)
		log_info("process %d has stopped: taken over", (int)t->pid);
	else
		log_warn("process %d has ended before it handed over: its sockets are ours, what it had in flight is lost", (int)t->pid);
	if (!t->settled)
		settle(t);
}

static void on_word(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	struct takeover *t = arg;

	switch (word) {
	case BRIDGE_CLIENT:
		t->client(t->arg, fd, bytes, len);
		break;
	case BRIDGE_YOURS:
		if (!t->settled)
			settle(t);
		break;
	case BRIDGE_NO:
		if (!t->settled) {
			t->settled = true;
			loop_timer_set(t->patience, UINT64_MAX);
			log_error("process %d serves on: this one took too long to take over", (int)t->pid);
			t->refused(t->arg);
		}
		break;
	case BRIDGE_ENDED:
		end(t);
		break;
	default:
		break;
	}
}

bool takeover_begin(struct takeover *t, struct loop *l)
{
	t->bridge = bridge_new(l, t->bridge_end, on_word, t);
	t->bridge_end = -1;
	t->patience = loop_timer_new(l, on_patience, t);
	if (t->bridge == NULL || t->patience == NULL)
		return false;
	loop_timer_set(t->patience, loop_now_us(l) + TAKEOVER_PATIENCE_US);
	/* If nobody hears it, the bridge says so in a moment. */
	(void)bridge_send(bridge_end(t->bridge), t->keeps ? BRIDGE_KEEPS : BRIDGE_SERVES, -1, NULL, 0);
	return true;
}

void takeover_deinit(struct takeover *t)
{
	for (size_t i = 0; i < t->socket_count; i++)
		close(t->sockets[i]);
	free(t->sockets);
	free(t->drained);
	keep_only(&t->cache, -1);
	keep_only(&t->control, -1);
	keep_only(&t->bridge_end, -1);
	if (t->bridge != NULL)
		bridge_close(t->bridge);
	if (t->patience != NULL)
		loop_timer_close(t->patience);
	takeover_init(t);
}
