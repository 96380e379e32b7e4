/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/notify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A start that the manager did not hear of would be undone: it is given time to read what it has. */
enum { PATIENCE_MS = 1000 };

/* False if it is no address of a Unix socket. */
static bool read_address(const char *text, struct sockaddr_un *to, socklen_t *len)
{
	size_t n = strlen(text);

	*to = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((*text != '/' && *text != '@') || n < 2 || n >= sizeof(to->sun_path))
		return false;
	memcpy(to->sun_path, text, n);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (*text == '@')
		to->sun_path[0] = '\0'; /* of an abstract address every octet counts, so no zero ends it */
	else
		(*len)++;
	return true;
}

/* A number of the environment; 0 if it is none. */
static uint64_t read_number(const char *name)
{
	const char *text = getenv(name);
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	return errno != 0 || *end != '\0' ? 0 : n;
}

static bool is_for_us(void)
{
	return getenv("WATCHDOG_PID") == NULL || read_number("WATCHDOG_PID") == (uint64_t)getpid();
}

static int open_socket(const char *text)
{
	struct sockaddr_un to;
	socklen_t len;

	if (!read_address(text, &to, &len))
		return -EINVAL;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to, len) == 0)
		return fd;
	int error = errno;
	close(fd);
	return -error;
}

int notify_init(struct notify *n)
{
	const char *text = getenv("NOTIFY_SOCKET");

	*n = (struct notify){.fd = -1};
	if (text == NULL || *text == '\0')
		return 0;
	int fd = open_socket(text);
	if (fd >= 0 && is_for_us())
		n->watchdog_us = read_number("WATCHDOG_USEC");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	n->fd = MAX(fd, -1);
	return MIN(fd, 0);
}

void notify_deinit(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void notify_send(const struct notify *n, const char *lines)
{
	struct pollfd room = {.fd = n->fd, .events = POLLOUT};

	if (n->fd < 0)
		return;
	if (send(n->fd, lines, strlen(lines), MSG_NOSIGNAL) >= 0 || errno != EAGAIN || poll(&room, 1, PATIENCE_MS) <= 0)
		return;
	ssize_t ignored = send(n->fd, lines, strlen(lines), MSG_NOSIGNAL);
	(void)ignored;
}

void notify_send_reloading(const struct notify *n)
{
	char lines[64];
	struct timespec t;

	/* sd_notify(3) wants this clock, which is not the one of net/loop. */
	ASSERT(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)t.tv_sec * US_PER_S + (unsigned long long)t.tv_nsec / 1000);
	notify_send(n, lines);
}
