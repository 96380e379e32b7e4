/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/host.h"

#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "net/control.h"
#include "wire/dns.h"

enum { DAEMON_MS = 2000, VERSION_MS = 500, VERSION_ID = 0x7235, ANSWER_BYTES = 512 };

static void ask_daemon(struct host *h, const char *control)
{
	struct control_reply reply = {.text = NULL};

	h->control_error = control == NULL ? ENOENT : -control_ask(control, "{\"command\": \"status\"}", &reply, DAEMON_MS);
	if (h->control_error != 0)
		return;
	json_t *status = json_loadb(reply.text, reply.len, 0, NULL);
	const char *version = json_string_value(json_object_get(status, "version"));
	h->daemon = h->told = version != NULL;
	snprintf(h->version, sizeof(h->version), "%s", version != NULL ? version : "");
	h->uptime_s = (long long)json_number_value(json_object_get(status, "uptime_seconds"));
	h->loops = (long long)json_integer_value(json_object_get(json_object_get(status, "metrics"), "r53fwd_loops_total"));
	json_decref(status);
	control_reply_deinit(&reply);
}

/* What `version.server` in class CHAOS is answered at `a`; returns its length, 0: nothing. */
static size_t ask_version(const struct addr *a, uint8_t answer[ANSWER_BYTES])
{
	static const uint8_t query[] = "\x72\x35\1\0\0\1\0\0\0\0\0\0\7version\6server\0\0\x10\0\3";
	int fd = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	ssize_t len = 0;

	if (fd >= 0 && connect(fd, &a->sa, addr_len(a)) == 0 && send(fd, query, sizeof(query) - 1, 0) > 0 &&
	    poll(&polled, 1, VERSION_MS) == 1)
		len = recv(fd, answer, ANSWER_BYTES, 0);
	if (fd >= 0)
		close(fd);
	return len > (ssize_t)sizeof(query) && dns_id(answer) == VERSION_ID ? (size_t)len : 0;
}

/* Whoever has our port may be an r53fwd whose control socket is not where we looked. */
static void recognise(struct host *h, const struct addr *listen)
{
	static const char mark[] = "r53fwd ";
	uint8_t answer[ANSWER_BYTES];
	struct addr a = *listen;

	if (addr_is_any(&a) && addr_parse(&a, a.sa.sa_family == AF_INET ? "127.0.0.1" : "::1", addr_port(listen)) < 0)
		ASSERT_NEVER("both are addresses");
	size_t len = ask_version(&a, answer), used = 0;
	const uint8_t *text = memmem(answer, len, mark, sizeof(mark) - 1);
	if (text == NULL)
		return;
	h->daemon = true;
	for (text += sizeof(mark) - 1; text<answer + len && * text> ' ' && *text <= '~' && used < HOST_VERSION_MAX - 1; text++)
		h->version[used++] = (char)*text;
	h->version[used] = '\0';
}

/* Binds without sharing the port with anybody: whoever has it keeps it. */
static void listen_at(struct host *h, size_t i)
{
	const struct addr *a = &h->listen[i];
	int fd = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd >= 0 && a->sa.sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (fd < 0 || bind(fd, &a->sa, addr_len(a)) < 0) {
		h->listen_error[i] = errno;
		if (fd >= 0)
			close(fd);
		if (h->listen_error[i] == EADDRINUSE)
			recognise(h, a);
		return;
	}
	h->ears[h->ear_count++] = fd;
}

static void read_interfaces(struct host *h)
{
	struct ifaddrs *all = NULL;
	size_t count = 0;

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		count++;
	h->interfaces = calloc(count + 1, sizeof(*h->interfaces));
	ASSERT(h->interfaces);
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct addr *a = &h->interfaces[h->interface_count];
		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(a, i->ifa_addr, i->ifa_addr->sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6));
		addr_set_port(a, 0);
		h->interface_count++;
	}
	freeifaddrs(all);
}

bool host_is_ours(const struct host *h, const struct addr *a)
{
	for (size_t i = 0; i < h->listen_count; i++) {
		const struct addr *own = &h->listen[i];
		if (addr_equal(a, own))
			return true;
		/* A wildcard is every address of this host, of its own family: our sockets are IPV6_V6ONLY. */
		if (!addr_is_any(own) || own->sa.sa_family != a->sa.sa_family || addr_port(own) != addr_port(a))
			continue;
		if (addr_is_loopback(a))
			return true;
		for (size_t k = 0; k < h->interface_count; k++)
			if (addr_equal_ip(a, &h->interfaces[k]))
				return true;
	}
	return false;
}

/* The C library's file is the last of those that local upstreams may come from. */
static void read_programs(struct host *h)
{
	const char *const *paths = resolv_paths();
	const char *only[] = {NULL, NULL};

	while (paths[1] != NULL)
		paths++;
	only[0] = h->programs_path = *paths;
	(void)resolv_read(&h->programs, only, NULL, 0);
}

void host_init(struct host *h, const struct config *c, const char *control)
{
	memset(h, 0, sizeof(*h));
	h->listen = c->listen;
	h->listen_count = MIN(c->listen_count, (size_t)HOST_EARS);
	h->listen_default = c->listen_default;
	ask_daemon(h, control);
	for (size_t i = 0; i < h->listen_count && !h->daemon; i++)
		listen_at(h, i);
	read_interfaces(h);
	(void)resolv_read(&h->local, resolv_paths(), c->listen, c->listen_count);
	read_programs(h);
}

void host_deinit(struct host *h)
{
	for (size_t i = 0; i < h->ear_count; i++)
		close(h->ears[i]);
	free(h->interfaces);
}
