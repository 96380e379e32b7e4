/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H
/* An IP address with a port, and an IP network. */

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

/* IPv4 or IPv6 with port and scope id; AF_UNSPEC when empty. 28 bytes, fit for the socket calls. */
struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

/* Longest text of addr_format, with the zero: "[" IPv6 "%" scope "]:65535". */
enum { ADDR_TEXT_MAX = 80 };

/* Reads `IP`, `IP:PORT` or `[IP6]:PORT` (`[IP6]` and scope ids `%eth0`, `%2` too). Without a port: `default_port`.
 * Port 0 is refused. Returns 0; -EINVAL, or -ENODEV where the interface that the scope id names is not there (now): then *a is
 * untouched. */
NODISCARD int addr_parse(struct addr *a, const char *text, uint16_t default_port);

/* Writes `IP:PORT` or `[IP6]:PORT`; returns `out`. */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);

/* Writes the IP alone (with its scope id, without brackets); returns `out`. */
const char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX]);

/* Bytes that the socket calls want. */
socklen_t addr_len(const struct addr *a);

/* Port in host byte order. */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);

/* Same family, IP, scope and port; the same but for the port. */
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_equal_ip(const struct addr *a, const struct addr *b);

bool addr_is_any(const struct addr *a);      /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a); /* 127.0.0.0/8 or ::1 */

/* A network; host bits are zero. */
struct cidr {
	uint8_t bytes[16]; /* network byte order; IPv4 uses the first four */
	uint8_t bits;      /* prefix length */
	uint8_t family;    /* AF_INET or AF_INET6 */
};

/* Longest text of cidr_format, with the zero. */
enum { CIDR_TEXT_MAX = 56 };

/* Reads `IP/BITS`, or a bare IP as a network of its own. Returns 0, -EINVAL, or -EDOM when host bits were set:
 * then *c holds the network that was probably meant, for the hint. */
NODISCARD int cidr_parse(struct cidr *c, const char *text);
const char *cidr_format(const struct cidr *c, char out[CIDR_TEXT_MAX]);
bool cidr_contains(const struct cidr *c, const struct addr *a);

#endif
