/* SPDX-License-Identifier: Apache-2.0 */
/* What resolv.conf(5) says of `nameserver`, and what glibc makes of it: the keyword begins the line, one blank or tab follows,
 * what stands behind the address does not matter. A file is read up to 64 KiB: real ones have some hundred octets. */
#include "config/resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_BYTES = 64 << 10 };

const char *const *resolv_paths(void)
{
	static const char *const usual[] = {"/run/r53fwd/resolv.conf", "/run/systemd/resolve/resolv.conf",
					    "/run/NetworkManager/no-stub-resolv.conf", "/etc/resolv.conf", NULL};
	static const char *only[] = {NULL, NULL};
	const char *path = getenv("R53FWD_RESOLV_CONF");

	if (!path || path[0] == '\0')
		return usual;
	only[0] = path;
	return only;
}

/* It may be otherwise in a moment: that says nothing of the file, or of the address. */
static bool passes(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EIO || error == EINTR;
}

/* Who asks, and whether the answers can be relied on. */
struct asker {
	const struct addr *own;
	size_t own_count;
	bool unsure; /* the system had no socket to look with */
};

/* The way to an address of this host begins there. Nothing is sent; asking for a list of our addresses would take a kind of socket that
 * the sandbox forbids, and trying to bind it would say yes to everything where ip_nonlocal_bind is set, as for a floating address. */
static bool is_of_this_host(struct asker *by, const struct addr *a)
{
	struct addr from = {0};
	socklen_t len = sizeof(from);
	int fd = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool looked = fd >= 0 && connect(fd, &a->sa, addr_len(a)) == 0 && getsockname(fd, &from.sa, &len) == 0;

	by->unsure |= !looked && passes(errno);
	if (fd >= 0)
		close(fd);
	return looked && addr_equal_ip(&from, a);
}

/* A query to `a` would come back to us. */
static bool is_own(struct asker *by, const struct addr *a)
{
	const struct addr *own = by->own;

	for (size_t i = 0; i < by->own_count; i++) {
		if (addr_equal(a, &own[i]))
			return true;
		/* A wildcard stands for its own family only: our sockets are IPV6_V6ONLY. */
		if (addr_is_any(&own[i]) && own[i].sa.sa_family == a->sa.sa_family && addr_port(&own[i]) == addr_port(a) &&
		    (addr_is_loopback(a) || is_of_this_host(by, a)))
			return true;
	}
	return false;
}

/* Reads the address behind the keyword. Ports and brackets, which addr_parse would take, are nothing that glibc knows. */
static bool read_server(const char *text, struct addr *a)
{
	char word[ADDR_TEXT_MAX];
	size_t len = strcspn(text, " \t\r");

	if (len == 0 || len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	const char *colon = strchr(word, ':');
	if (strchr(word, '[') || (colon && !strchr(colon + 1, ':')))
		return false;
	if (addr_parse(a, word, 53) < 0)
		return false;
	/* 0.0.0.0 and :: as a destination mean this host: the loopback address, by its honest name. */
	if (addr_is_any(a)) {
		int read = addr_parse(a, a->sa.sa_family == AF_INET ? "127.0.0.1" : "::1", 53);
		ASSERT(read == 0);
	}
	return true;
}

static void add_server(struct resolv *r, const struct addr *a)
{
	for (size_t i = 0; i < r->count; i++)
		if (addr_equal(&r->servers[i], a))
			return;
	if (r->count < RESOLV_MAX_SERVERS)
		r->servers[r->count++] = *a;
}

static void read_line(struct resolv *r, const char *line, struct asker *by)
{
	static const char keyword[] = "nameserver";
	size_t len = sizeof(keyword) - 1;
	struct addr a;

	/* Comments, which begin with `#` or `;`, are no keyword either. */
	if (strncmp(line, keyword, len) != 0 || (line[len] != ' ' && line[len] != '\t'))
		return;
	line += len;
	line += strspn(line, " \t");
	if (read_server(line, &a) && !is_own(by, &a))
		add_server(r, &a);
}

/* Reads a file's text; empty when there is none, NULL when that cannot be told now. The caller frees. */
static char *read_text(const char *path)
{
	char *text = calloc(1, FILE_BYTES + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t got = fd;

	while (text && got >= 0 && len < FILE_BYTES && (got = read(fd, text + len, FILE_BYTES - len)) > 0)
		len += (size_t)got;
	bool failed = got < 0 && passes(errno);
	if (fd >= 0)
		close(fd);
	if (!text || failed) {
		free(text);
		return NULL;
	}
	/* A line that the bound cut in two might be half an address. */
	if (len == FILE_BYTES)
		while (len > 0 && text[len - 1] != '\n')
			text[--len] = '\0';
	return text;
}

void resolv_read_text(struct resolv *r, const char *text)
{
	char *copy = strdup(text), *rest = copy, *line;
	struct asker nobody = {.own = NULL};

	ASSERT(copy);
	memset(r, 0, sizeof(*r));
	while ((line = strsep(&rest, "\n")))
		read_line(r, line, &nobody);
	free(copy);
}

bool resolv_read(struct resolv *r, const char *const *paths, const struct addr *own, size_t own_count)
{
	struct asker by = {.own = own, .own_count = own_count};

	memset(r, 0, sizeof(*r));
	for (; *paths; paths++) {
		char *text = read_text(*paths), *rest = text, *line;
		if (!text)
			return false;
		while ((line = strsep(&rest, "\n")))
			read_line(r, line, &by);
		free(text);
		if (by.unsure) {
			memset(r, 0, sizeof(*r));
			return false;
		}
		if (r->count == 0)
			continue;
		r->path = *paths;
		return true;
	}
	return true;
}

bool resolv_same_servers(const struct resolv *a, const struct resolv *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!addr_equal(&a->servers[i], &b->servers[i]))
			return false;
	return true;
}
