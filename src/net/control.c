/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a command: accepted → the kernel says who it is → bytes are collected up to the end of the line → it is carried out →
 * the reply is written, descriptors first → closed.
 *
 * How it can fail: a client that says nothing, half a line or more than a line's worth, or that does not take its reply, is
 * closed; of too many the oldest is. None of them can hold up more than itself: it all runs on one loop, but nothing in it waits.
 *
 * The numbers: 253 descriptors are what the kernel takes in one message (SCM_MAX_FD); a reply of 100,000 zones is some 8 MiB. */
#include "net/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "net/loop_private.h"

enum {
	FIRST_LINE_BYTES = 512, /* enough for any command that we know of */
	FDS_PER_MESSAGE = 253,
	REPLY_MAX_BYTES = 64 << 20, /* what the asking side reads at most */
	FDS_MAX = 16384, /* UDP and TCP, of 64 workers, on 64 addresses, and some */
	GROUPS_MAX = 256,
	BACKLOG = 64,
	ACCEPTED_PER_TURN = 16,
	PAUSE_US = 1000000, /* after accept has found no descriptor left */
};

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == CONTROL_PATH_MAX, "sockaddr_un");

struct client {
	uv_poll_t poll;
	struct list link;
	struct control *control;
	struct loop_timer *timer;
	int fd;
	uid_t uid;
	pid_t pid;
	char *line; /* heap */
	size_t line_len, line_room;
	struct control_reply reply; /* text: with the line's end */
	size_t sent, fds_sent;
};

struct control {
	uv_poll_t poll;
	struct loop_guest guest;
	struct loop *loop;
	struct loop_timer *pause;
	int fd;
	control_fn *handle;
	void *arg;
	struct list clients; /* the oldest first */
	uint32_t client_count;
	char path[CONTROL_PATH_MAX];
	dev_t device; /* of the file that we made */
	ino_t inode;
	gid_t group;
};

void control_reply_deinit(struct control_reply *r)
{
	for (size_t i = 0; i < r->fd_count; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	free(r->fds);
	free(r->text);
	memset(r, 0, sizeof(*r));
}

/* ---- the file ---- */

static int make_address(struct sockaddr_un *a, const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(a->sun_path))
		return len == 0 ? -EINVAL : -ENAMETOOLONG;
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, len);
	return 0;
}

static void make_folder(const char *path)
{
	char folder[CONTROL_PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	(void)mkdir(folder, 0750); /* what it cannot do, bind will say */
}

static int connect_to(const struct sockaddr_un *a, int timeout_ms)
{
	struct timeval patience = {.tv_sec = timeout_ms / MS_PER_S, .tv_usec = (suseconds_t)(timeout_ms % MS_PER_S) * US_PER_MS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* A full backlog is waited for, which this bounds. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error == -EAGAIN ? -ETIMEDOUT : error;
}

/* A socket's file outlives a program that was killed: it is ours to remove if nobody listens there. */
static int remove_stale(const struct sockaddr_un *a)
{
	struct stat status;

	if (lstat(a->sun_path, &status) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	int fd = connect_to(a, 1);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || fd == -ETIMEDOUT)
		return -EADDRINUSE;
	if (fd != -ECONNREFUSED)
		return fd;
	return unlink(a->sun_path) == 0 ? 0 : -errno;
}

int control_open(const char *path)
{
	struct sockaddr_un a;
	int error = make_address(&a, path);

	if (error != 0)
		return error;
	make_folder(path);
	error = remove_stale(&a);
	if (error != 0)
		return error;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The mask is the process's, but while there are other threads none of them makes files. */
	mode_t mask = umask(0117);
	error = bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : -errno;
	umask(mask);
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* What the file is now, so that another one in its place is known as such. */
static bool know_file(struct control *c)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	struct stat status;

	if (getsockname(c->fd, (struct sockaddr *)&a, &len) != 0 || stat(a.sun_path, &status) != 0)
		return false;
	memcpy(c->path, a.sun_path, sizeof(c->path));
	c->path[sizeof(c->path) - 1] = '\0';
	c->device = status.st_dev;
	c->inode = status.st_ino;
	c->group = status.st_gid;
	return true;
}

static void remove_file(const struct control *c)
{
	struct stat status;

	if (lstat(c->path, &status) == 0 && status.st_dev == c->device && status.st_ino == c->inode)
		unlink(c->path);
}

/* ---- a client ---- */

static void free_client(uv_handle_t *handle)
{
	struct client *k = CONTAINER_OF(handle, struct client, poll);

	control_reply_deinit(&k->reply);
	free(k->line);
	free(k);
}

static void end_client(struct client *k)
{
	list_remove(&k->link);
	k->control->client_count--;
	loop_timer_close(k->timer);
	uv_close((uv_handle_t *)&k->poll, free_client);
	close(k->fd);
}

static void on_patience(void *arg)
{
	end_client(arg);
}

/* Sends descriptors with the next octets, as many as one message takes; -errno, or octets sent. */
static ssize_t send_piece(struct client *k)
{
	size_t fds = MIN(k->reply.fd_count - k->fds_sent, (size_t)FDS_PER_MESSAGE), left = k->reply.len - k->sent;
	union {
		char room[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
		struct cmsghdr align;
	} control = {.room = {0}};
	bool more = k->fds_sent + fds < k->reply.fd_count;
	/* An octet for each message with descriptors but the last, which brings the rest. */
	struct iovec octets = {.iov_base = k->reply.text + k->sent, .iov_len = more ? 1 : left};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1};

	if (fds > 0) {
		message.msg_control = control.room;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		ASSERT(header != NULL);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(header), k->reply.fds + k->fds_sent, fds * sizeof(int));
	}
	ssize_t sent = sendmsg(k->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return -errno;
	k->fds_sent += fds;
	return sent;
}

static void write_reply(struct client *k)
{
	while (k->sent < k->reply.len) {
		ssize_t sent = send_piece(k);
		if (sent == -EAGAIN || sent == -EINTR)
			return;
		if (sent < 0)
			break;
		k->sent += (size_t)sent;
	}
	end_client(k);
}

static void on_event(uv_poll_t *handle, int status, int events);

/* The line is whole: it is carried out, and its reply begun. */
static void carry_out(struct client *k, size_t len)
{
	struct control *c = k->control;
	struct control_line line = {.text = k->line, .len = len, .uid = k->uid, .pid = k->pid};

	k->line[len] = '\0';
	c->handle(c->arg, &line, &k->reply);
	char *text = k->reply.text == NULL ? NULL : realloc(k->reply.text, k->reply.len + 2);
	if (text == NULL) {
		end_client(k);
		return;
	}
	k->reply.text = text;
	memcpy(text + k->reply.len++, "\n", 2);
	ASSERT(k->reply.len > k->reply.fd_count / FDS_PER_MESSAGE);
	loop_timer_set(k->timer, loop_now_us(c->loop) + CONTROL_PATIENCE_US);
	loop_watch(&k->poll, UV_WRITABLE, on_event);
	write_reply(k);
}

/* Room for more of a line, and for a zero behind it. */
static bool make_room(struct client *k)
{
	if (k->line_len + 1 < k->line_room)
		return true;
	size_t room = k->line_room == 0 ? FIRST_LINE_BYTES : MIN(2 * k->line_room, (size_t)CONTROL_LINE_BYTES + 1);
	char *line = room > k->line_room ? realloc(k->line, room) : NULL;
	if (line == NULL)
		return false;
	k->line = line;
	k->line_room = room;
	return true;
}

static void read_line(struct client *k)
{
	if (!make_room(k)) {
		end_client(k);
		return;
	}
	ssize_t got = recv(k->fd, k->line + k->line_len, k->line_room - 1 - k->line_len, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		end_client(k);
		return;
	}
	char *end = memchr(k->line + k->line_len, '\n', (size_t)got);
	k->line_len += (size_t)got;
	if (end != NULL)
		carry_out(k, (size_t)(end - k->line));
}

static void on_event(uv_poll_t *handle, int status, int events)
{
	struct client *k = CONTAINER_OF(handle, struct client, poll);

	(void)events;
	if (status < 0)
		end_client(k);
	else if (k->reply.text != NULL)
		write_reply(k);
	else
		read_line(k);
}

/* ---- who it is ---- */

static bool is_in_group(int fd, gid_t group, const struct ucred *who)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (who->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* Who is at the other end, by the kernel's word. 0 or -errno. */
static int who_is(int fd, struct ucred *who)
{
	socklen_t len = sizeof(*who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &len) == 0 ? 0 : -errno;
}

static bool may_command(const struct control *c, int fd, struct ucred *who)
{
	if (who_is(fd, who) != 0)
		return false;
	return who->uid == 0 || who->uid == geteuid() || is_in_group(fd, c->group, who);
}

/* ---- the door ---- */

static bool add_client(struct control *c, int fd, const struct ucred *who)
{
	struct client *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return false;
	k->timer = loop_timer_new(c->loop, on_patience, k);
	if (k->timer == NULL || uv_poll_init(loop_uv(c->loop), &k->poll, fd) != 0) {
		loop_timer_close(k->timer);
		free(k);
		return false;
	}
	k->control = c;
	k->fd = fd;
	k->uid = who->uid;
	k->pid = who->pid;
	list_init(&k->link);
	list_append(&c->clients, &k->link);
	c->client_count++;
	loop_timer_set(k->timer, loop_now_us(c->loop) + CONTROL_PATIENCE_US);
	loop_watch(&k->poll, UV_READABLE, on_event);
	return true;
}

static void let_in(struct control *c, int fd)
{
	struct ucred who;

	if (c->client_count >= CONTROL_CLIENTS)
		end_client(CONTAINER_OF(c->clients.next, struct client, link));
	if (!may_command(c, fd, &who) || !add_client(c, fd, &who))
		close(fd);
}

static void on_knock(uv_poll_t *handle, int status, int events)
{
	struct control *c = CONTAINER_OF(handle, struct control, poll);

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTED_PER_TURN; i++) {
		int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			let_in(c, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		/* Out of descriptors: the knock goes on, so we do not listen for a while. */
		uv_poll_stop(&c->poll);
		loop_timer_set(c->pause, loop_now_us(c->loop) + PAUSE_US);
		return;
	}
}

static void on_pause_end(void *arg)
{
	struct control *c = arg;

	loop_watch(&c->poll, UV_READABLE, on_knock);
}

static void free_control(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct control, poll));
}

static void evict(struct loop_guest *g)
{
	control_close(CONTAINER_OF(g, struct control, guest));
}

struct control *control_new(struct loop *l, int fd, control_fn *handle, void *arg)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->loop = l;
	c->fd = fd;
	c->handle = handle;
	c->arg = arg;
	list_init(&c->clients);
	list_init(&c->guest.link);
	c->pause = loop_timer_new(l, on_pause_end, c);
	if (c->pause == NULL || !know_file(c) || listen(fd, BACKLOG) != 0 || uv_poll_init(loop_uv(l), &c->poll, fd) != 0) {
		loop_timer_close(c->pause);
		close(fd);
		free(c);
		return NULL;
	}
	loop_guest_add(l, &c->guest, evict);
	loop_watch(&c->poll, UV_READABLE, on_knock);
	return c;
}

void control_leave(struct control *c)
{
	LIST_FOR_EACH(link, &c->clients)
		end_client(CONTAINER_OF(link, struct client, link));
	list_remove(&c->guest.link);
	loop_timer_close(c->pause);
	uv_close((uv_handle_t *)&c->poll, free_control);
	close(c->fd);
}

void control_close(struct control *c)
{
	remove_file(c);
	control_leave(c);
}

int control_fd(const struct control *c)
{
	return c->fd;
}

bool control_is_at(int fd, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNSPEC};
	socklen_t len = sizeof(a);

	return getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.sun_family == AF_UNIX && len > sizeof(sa_family_t) &&
	       strncmp(a.sun_path, path, sizeof(a.sun_path)) == 0;
}

/* ---- the asking side ---- */

static int send_all(int fd, const char *octets, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, octets, len, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		octets += sent;
		len -= (size_t)sent;
	}
	return 0;
}

static bool keep_fds(struct control_reply *r, struct msghdr *message)
{
	bool kept = true;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int *fds = r->fd_count + count <= FDS_MAX ? realloc(r->fds, (r->fd_count + count) * sizeof(*fds)) : NULL;
		int received[FDS_PER_MESSAGE];
		memcpy(received, CMSG_DATA(h), count * sizeof(int));
		for (size_t i = 0; fds == NULL && i < count; i++)
			close(received[i]);
		kept &= fds != NULL;
		if (fds == NULL)
			continue;
		memcpy(fds + r->fd_count, received, count * sizeof(int));
		r->fds = fds;
		r->fd_count += count;
	}
	return kept;
}

/* Appends what comes next. Octets, 0 at the end, or -errno. */
static ssize_t receive_piece(int fd, struct control_reply *r, size_t *room)
{
	union {
		char room[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
		struct cmsghdr align;
	} control;

	if (r->len + 1 >= *room) {
		size_t grown = *room == 0 ? CONTROL_LINE_BYTES : 2 * *room;
		char *text = grown <= REPLY_MAX_BYTES ? realloc(r->text, grown) : NULL;
		if (text == NULL)
			return -ENOBUFS;
		r->text = text;
		*room = grown;
	}
	struct iovec octets = {.iov_base = r->text + r->len, .iov_len = *room - 1 - r->len};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	r->len += (size_t)got;
	r->text[r->len] = '\0';
	return keep_fds(r, &message) && !(message.msg_flags & MSG_CTRUNC) ? got : -ENOBUFS;
}

static int receive_line(int fd, struct control_reply *r, uint64_t until_us)
{
	size_t room = 0;

	for (;;) {
		uint64_t now_us = loop_clock_us();
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int ready = now_us < until_us ? poll(&wait, 1, (int)((until_us - now_us) / US_PER_MS) + 1) : 0;
		if (ready == 0)
			return -ETIMEDOUT;
		ssize_t got = ready < 0 ? -errno : receive_piece(fd, r, &room);
		if (got == -EAGAIN || got == -EINTR)
			continue;
		if (got < 0)
			return (int)got;
		if (got == 0)
			return -EPROTO;
		/* Nothing comes behind the end of the line. */
		if (r->text[r->len - 1] != '\n')
			continue;
		r->text[--r->len] = '\0';
		return 0;
	}
}

int control_ask(const char *path, const char *line, struct control_reply *reply, int timeout_ms)
{
	uint64_t until_us = loop_clock_us() + (uint64_t)timeout_ms * US_PER_MS;
	struct sockaddr_un a;
	struct ucred server = {0};
	int error = make_address(&a, path);

	memset(reply, 0, sizeof(*reply));
	if (error != 0)
		return error;
	int fd = connect_to(&a, timeout_ms);
	if (fd < 0)
		return fd;
	error = who_is(fd, &server);
	if (error == 0)
		error = send_all(fd, line, strlen(line));
	if (error == 0)
		error = send_all(fd, "\n", 1);
	if (error == 0)
		error = receive_line(fd, reply, until_us);
	close(fd);
	if (error != 0)
		control_reply_deinit(reply);
	reply->uid = server.uid;
	reply->pid = server.pid;
	return error;
}
