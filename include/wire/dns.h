/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DNS_H
#define WIRE_DNS_H
/* Numbers of the protocol, each with where it comes from, and the header's fields read and written in place. */

#include <string.h>

#include "base/base.h"

/* RFC 1035 section 4.1.1. */
enum { DNS_HEADER_BYTES = 12, DNS_PORT = 53, DNS_MESSAGE_MAX = 65535 };

/* Sizes: RFC 1035 section 4.2.1 (512), and 1232 = 1280 - 40 - 8, what crosses every path (DNS flag day 2020). */
enum { DNS_UDP_PLAIN_BYTES = 512, DNS_UDP_BYTES = 1232 };

/* Flag bits of the header's second 16 bits. */
enum {
	DNS_QR = 0x8000,
	DNS_OPCODE = 0x7800,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_AD = 0x0020,
	DNS_CD = 0x0010,
	DNS_RCODE = 0x000f,
};

/* IANA DNS parameters. */
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* RFC 6891: needs the OPT's upper bits */

	DNS_UNREADABLE = 0xffff, /* stands where an rcode does, of which there are 4,096: what came cannot be read */
};
enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_HINFO = 13,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_DNAME = 39,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_DS = 43,
	DNS_TYPE_SVCB = 64,
	DNS_TYPE_HTTPS = 65,
	DNS_TYPE_TKEY = 249,
	DNS_TYPE_TSIG = 250,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_ANY = 255,
};
enum dns_class { DNS_CLASS_IN = 1, DNS_CLASS_CH = 3, DNS_CLASS_ANY = 255 };

/* RFC 8914. */
enum dns_ede {
	DNS_EDE_NONE = -1,
	DNS_EDE_OTHER = 0,
	DNS_EDE_STALE_ANSWER = 3,
	DNS_EDE_FORGED_ANSWER = 4,
	DNS_EDE_CACHED_ERROR = 13,
	DNS_EDE_BLOCKED = 15,
	DNS_EDE_PROHIBITED = 18,
	DNS_EDE_STALE_NXDOMAIN = 19,
	DNS_EDE_NO_REACHABLE_AUTHORITY = 22,
	DNS_EDE_NETWORK_ERROR = 23,
};

static inline uint16_t dns_get16(const uint8_t *p)
{
	return (uint16_t)((uint16_t)(p[0] << 8) | p[1]);
}

static inline uint32_t dns_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void dns_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void dns_put32(uint8_t *p, uint32_t v)
{
	dns_put16(p, (uint16_t)(v >> 16));
	dns_put16(p + 2, (uint16_t)v);
}

/* The header's fields; `m` holds at least DNS_HEADER_BYTES. */
static inline uint16_t dns_id(const uint8_t *m) { return dns_get16(m); }
static inline uint16_t dns_flags(const uint8_t *m) { return dns_get16(m + 2); }
static inline uint16_t dns_qdcount(const uint8_t *m) { return dns_get16(m + 4); }
static inline uint16_t dns_ancount(const uint8_t *m) { return dns_get16(m + 6); }
static inline uint16_t dns_nscount(const uint8_t *m) { return dns_get16(m + 8); }
static inline uint16_t dns_arcount(const uint8_t *m) { return dns_get16(m + 10); }

#endif
