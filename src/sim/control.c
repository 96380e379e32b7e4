/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a command: a connection is accepted → its bytes are collected up to the end of the line → the command is carried out,
 * its answer written, the connection closed.
 *
 * How it can fail: a client that says nothing holds a descriptor and nothing else; one that says more than a line's worth is
 * closed. */
#include "sim/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512, ANSWER_MAX_BYTES = 32768, ASK_PATIENCE_S = 5 };

struct asker {
	struct watch watch;
	struct list link;
	struct control *control;
	size_t len;
	char line[LINE_MAX_BYTES];
};

struct control {
	struct watch watch;
	struct list askers;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	control_command_fn *fn;
	void *arg;
};

static void send_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		text += sent;
		left -= (size_t)sent;
	}
}

static void end_asker(struct asker *a)
{
	watch_stop(&a->watch);
	list_remove(&a->link);
	free(a);
}

/* The answer fits into the kernel's buffer: nobody has to wait for the asker to read it. */
static void carry_out(const struct control *c, const struct asker *a)
{
	static char text[ANSWER_MAX_BYTES];
	struct strbuf out;

	strbuf_init(&out, text, sizeof(text));
	send_all(a->watch.fd, c->fn(c->arg, a->line, &out) < 0 ? "error\n" : "ok\n");
	send_all(a->watch.fd, text);
}

static void asker_ready(struct watch *w, uint32_t events)
{
	struct asker *a = CONTAINER_OF(w, struct asker, watch);
	ssize_t got = recv(w->fd, a->line + a->len, sizeof(a->line) - 1 - a->len, 0);

	(void)events;
	if (got <= 0) {
		end_asker(a);
		return;
	}
	a->len += (size_t)got;
	a->line[a->len] = '\0';
	char *end = strchr(a->line, '\n');
	if (end) {
		*end = '\0';
		carry_out(a->control, a);
	}
	if (end || a->len == sizeof(a->line) - 1)
		end_asker(a);
}

static void accept_ready(struct watch *w, uint32_t events)
{
	struct control *c = CONTAINER_OF(w, struct control, watch);
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	struct asker *a = calloc(1, sizeof(*a));
	if (!a) {
		close(fd);
		return;
	}
	a->control = c;
	a->watch.ready = asker_ready;
	list_init(&a->link);
	if (watch_start(&a->watch, c->watch.set, fd, EPOLLIN) == 0)
		list_append(&c->askers, &a->link);
	else
		end_asker(a);
}

static int make_address(struct sockaddr_un *a, const char *path)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	memcpy(a->sun_path, path, strlen(path) + 1);
	return 0;
}

static int connect_to(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* A socket file outlives a program that was killed: it is ours to remove only if nobody answers there. */
static int remove_stale(const struct sockaddr_un *a)
{
	struct stat status;
	int fd = connect_to(a);

	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	if (fd == -ECONNREFUSED && lstat(a->sun_path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(a->sun_path);
	return 0;
}

static int bind_at(int fd, const struct sockaddr_un *a)
{
	mode_t mask = umask(0177);
	int error = bind(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ? 0 : -errno;

	umask(mask);
	return error;
}

/* The file has its name once somebody listens: whoever sees it may ask. */
static int listen_at(const char *path)
{
	struct sockaddr_un a, fresh;
	char fresh_path[sizeof(a.sun_path) + 4];
	int error = make_address(&a, path);

	if (error == 0)
		error = remove_stale(&a);
	if (error < 0)
		return error;
	snprintf(fresh_path, sizeof(fresh_path), "%s.new", path);
	error = make_address(&fresh, fresh_path);
	if (error < 0)
		return error;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(fresh_path); /* of one who was killed in this moment */
	error = bind_at(fd, &fresh);
	if (error == 0 && (listen(fd, 16) < 0 || link(fresh_path, path) < 0))
		error = -errno;
	unlink(fresh_path);
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

struct control *control_new(struct watch_set *w, const char *path, control_command_fn *fn, void *arg)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fn = fn;
	c->arg = arg;
	c->watch.ready = accept_ready;
	list_init(&c->askers);
	int fd = listen_at(path);
	int error = fd < 0 ? fd : watch_start(&c->watch, w, fd, EPOLLIN);
	if (error < 0) {
		free(c);
		errno = -error;
		return NULL;
	}
	memcpy(c->path, path, strlen(path) + 1);
	return c;
}

void control_free(struct control *c)
{
	LIST_FOR_EACH(link, &c->askers)
		end_asker(CONTAINER_OF(link, struct asker, link));
	watch_stop(&c->watch);
	unlink(c->path);
	free(c);
}

/* All that comes until the other side closes. */
static void read_answer(int fd, char *text, size_t size)
{
	struct timeval patience = {.tv_sec = ASK_PATIENCE_S};
	size_t len = 0;
	ssize_t got = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (got > 0 && len < size - 1) {
		got = read(fd, text + len, size - 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	text[len] = '\0';
}

int control_ask(const char *path, const char *line)
{
	static char answer[ANSWER_MAX_BYTES];
	struct sockaddr_un a;
	int fd = make_address(&a, path);

	if (fd == 0)
		fd = connect_to(&a);
	if (fd < 0) {
		fprintf(stderr, "r53sim: no simulator answers at %s: %s\n", path, strerror(-fd));
		return 1;
	}
	send_all(fd, line);
	send_all(fd, "\n");
	read_answer(fd, answer, sizeof(answer));
	close(fd);
	if (strncmp(answer, "ok\n", 3) == 0) {
		fputs(answer + 3, stdout);
		return 0;
	}
	bool refused = strncmp(answer, "error\n", 6) == 0;
	fprintf(stderr, "r53sim: %s\n", refused ? answer + 6 : "the simulator did not answer");
	return 1;
}
