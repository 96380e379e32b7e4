/* SPDX-License-Identifier: Apache-2.0 */
/* Text is read strictly, without the liberties of inet_aton (10.1, 0x0a000001, leading zeroes): an address that means
 * something else to the next program is worse than an error. Nothing here asks a name server. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

/* Reads 1 to 10 digits up to the text's end; no sign, no blanks, which strtoul would let through. */
static int parse_number(const char *text, uint64_t max, uint32_t *value)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 10 || text[digits] != '\0')
		return -EINVAL;
	uint64_t number = strtoull(text, NULL, 10);
	if (number > max)
		return -EINVAL;
	*value = (uint32_t)number;
	return 0;
}

/* Port 0 means any port to the kernel: never what a file wants to say. */
static int parse_port(const char *text, uint16_t *port)
{
	uint32_t number;

	if (parse_number(text, UINT16_MAX, &number) < 0 || number == 0)
		return -EINVAL;
	*port = (uint16_t)number;
	return 0;
}

/* A scope id is an interface, by its number or by its name. */
static int parse_scope(const char *text, uint32_t *scope)
{
	if (parse_number(text, UINT32_MAX, scope) == 0)
		return *scope > 0 ? 0 : -EINVAL;
	*scope = if_nametoindex(text);
	return *scope > 0 ? 0 : *text == '\0' ? -EINVAL : -ENODEV;
}

static int parse_ip4(struct addr *a, const char *ip)
{
	a->in.sin_family = AF_INET;
	return inet_pton(AF_INET, ip, &a->in.sin_addr) == 1 ? 0 : -EINVAL;
}

/* `ip` is writable: the scope is split off, since inet_pton knows none. An IPv4 address mapped into IPv6 stays IPv6. */
static int parse_ip6(struct addr *a, char *ip)
{
	char *percent = strchr(ip, '%');

	a->in6.sin6_family = AF_INET6;
	if (percent)
		*percent = '\0';
	if (inet_pton(AF_INET6, ip, &a->in6.sin6_addr) != 1)
		return -EINVAL;
	return percent ? parse_scope(percent + 1, &a->in6.sin6_scope_id) : 0;
}

int addr_parse(struct addr *a, const char *text, uint16_t default_port)
{
	char copy[ADDR_TEXT_MAX];
	char *ip = copy, *port_text = NULL;
	uint16_t port = default_port;
	bool ip6;
	struct addr read;

	memset(&read, 0, sizeof(read));
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	if (copy[0] == '[') {
		char *end = strchr(copy, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		port_text = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
		ip++;
		ip6 = true;
	} else {
		/* One colon begins a port; two or more are IPv6, which needs brackets to have one. */
		char *colon = strchr(copy, ':');
		ip6 = colon && strchr(colon + 1, ':');
		if (colon && !ip6) {
			*colon = '\0';
			port_text = colon + 1;
		}
	}
	if (port_text && parse_port(port_text, &port) < 0)
		return -EINVAL;
	int error = ip6 ? parse_ip6(&read, ip) : parse_ip4(&read, ip);
	if (error < 0)
		return error;
	addr_set_port(&read, port);
	/* Only now: a failed read leaves the caller's address as it was. */
	*a = read;
	return 0;
}

static void add_ip(struct strbuf *s, const struct addr *a)
{
	char text[INET6_ADDRSTRLEN], interface[IF_NAMESIZE];

	if (a->sa.sa_family == AF_INET) {
		strbuf_add(s, inet_ntop(AF_INET, &a->in.sin_addr, text, sizeof(text)));
		return;
	}
	if (a->sa.sa_family != AF_INET6) {
		strbuf_add(s, "-");
		return;
	}
	strbuf_add(s, inet_ntop(AF_INET6, &a->in6.sin6_addr, text, sizeof(text)));
	if (a->in6.sin6_scope_id == 0)
		return;
	/* The interface may be gone by now: then its number. */
	if (if_indextoname(a->in6.sin6_scope_id, interface))
		strbuf_addf(s, "%%%s", interface);
	else
		strbuf_addf(s, "%%%u", a->in6.sin6_scope_id);
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	bool brackets = a->sa.sa_family == AF_INET6;
	struct strbuf s;

	strbuf_init(&s, out, ADDR_TEXT_MAX);
	strbuf_add(&s, brackets ? "[" : "");
	add_ip(&s, a);
	strbuf_add(&s, brackets ? "]" : "");
	if (a->sa.sa_family != AF_UNSPEC)
		strbuf_addf(&s, ":%u", addr_port(a));
	return out;
}

const char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	struct strbuf s;

	strbuf_init(&s, out, ADDR_TEXT_MAX);
	add_ip(&s, a);
	return out;
}

/* BSD and Linux take the exact size of the family only. */
socklen_t addr_len(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

/* Both families keep the port at the same place, but nothing promises it. */
uint16_t addr_port(const struct addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohs(a->in.sin_port);
	case AF_INET6:
		return ntohs(a->in6.sin6_port);
	default:
		return 0;
	}
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_equal_ip(a, b) && addr_port(a) == addr_port(b);
}

/* Field by field: the kernel fills in padding and flow labels as it likes. */
bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	if (a->sa.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) &&
		       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
	return true;
}

bool addr_is_any(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* All of 127.0.0.0/8 is the host itself (RFC 1122 section 3.2.1.3). */
bool addr_is_loopback(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* Zeroes what lies behind the prefix; says whether anything was there. */
static bool clear_host_bits(struct cidr *c)
{
	bool cleared = false;

	for (unsigned i = 0; i < sizeof(c->bytes); i++) {
		unsigned bits = c->bits > i * 8 ? MIN(c->bits - i * 8, 8u) : 0;
		uint8_t kept = (uint8_t)(c->bytes[i] & 0xff00u >> bits);
		cleared = cleared || kept != c->bytes[i];
		c->bytes[i] = kept;
	}
	return cleared;
}

int cidr_parse(struct cidr *c, const char *text)
{
	/* A scope means nothing to a network: inet_pton refuses it. */
	struct cidr read = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	uint32_t most = read.family == AF_INET ? 32 : 128, bits = most;
	char copy[CIDR_TEXT_MAX];

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	char *slash = strchr(copy, '/');
	if (slash) {
		*slash = '\0';
		if (parse_number(slash + 1, most, &bits) < 0)
			return -EINVAL;
	}
	if (inet_pton(read.family, copy, read.bytes) != 1)
		return -EINVAL;
	read.bits = (uint8_t)bits;
	bool host_bits = clear_host_bits(&read);
	*c = read;
	return host_bits ? -EDOM : 0;
}

const char *cidr_format(const struct cidr *c, char out[CIDR_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN];
	struct strbuf s;

	strbuf_init(&s, out, CIDR_TEXT_MAX);
	strbuf_addf(&s, "%s/%u", inet_ntop(c->family, c->bytes, text, sizeof(text)), c->bits);
	return out;
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
	if (c->family != a->sa.sa_family)
		return false;
	const uint8_t *bytes = c->family == AF_INET ? (const uint8_t *)&a->in.sin_addr : a->in6.sin6_addr.s6_addr;
	size_t whole = c->bits / 8;
	if (memcmp(bytes, c->bytes, whole) != 0)
		return false;
	/* The octet that the prefix ends in, if it ends inside one. */
	unsigned rest = c->bits % 8;
	return rest == 0 || (bytes[whole] & 0xff00u >> rest & 0xff) == c->bytes[whole];
}
