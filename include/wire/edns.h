/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_EDNS_H
#define WIRE_EDNS_H
/* The OPT record (RFC 6891) and extended errors (RFC 8914). Options that we do not use (cookies, client subnet, padding …)
 * are checked for their bounds and otherwise ignored: ECS is never passed on. */

#include "wire/dns.h"

/* An OPT without options: root name, type, size, extended rcode, version, flags, rdlength. */
enum { EDNS_OPT_BYTES = 11, EDNS_EDE_TEXT_MAX = 400, EDNS_OPT_MAX = EDNS_OPT_BYTES + 6 + EDNS_EDE_TEXT_MAX };

struct edns {
	bool present;
	bool dnssec_ok;       /* DO */
	uint8_t version;
	uint8_t rcode_upper;  /* upper 8 of the 12 bits of an extended rcode */
	uint16_t udp_bytes;   /* what the sender takes; values below 512 are read as 512 (RFC 6891 section 6.2.3) */
};

/* Reads an OPT whose fixed part (type, class, TTL, rdlength) starts at `fixed`; `rdata_len` octets of options follow it and
 * are inside the message. Returns 0, or -EBADMSG when the options do not fill the rdata exactly. */
NODISCARD int edns_read(struct edns *e, const uint8_t *fixed, size_t rdata_len);

/* Writes an OPT: our UDP size 1232, version 0, DO as told, the upper rcode bits, and unless `ede` is DNS_EDE_NONE one
 * extended error with `ede_text` (may be NULL), cut at a word so that all fits into `room` bytes; without room for the
 * error's 6 bytes the error is left out. Returns bytes written, 0 when not even the bare OPT fits. */
size_t edns_write(uint8_t *out, size_t room, bool dnssec_ok, uint16_t rcode, enum dns_ede ede, const char *ede_text);

#endif
