/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H
/* Names, types and rcodes as people read them, through ldns: the only place where the product prints or parses DNS
 * text. Everything that is not a letter, digit, hyphen, underscore, `*`, `/` or `=` comes out escaped (\DDD), so text
 * from the network is safe in a terminal, a log and, once quoted, in JSON and HTML. */

#include "wire/name.h"

/* 255 octets, each at worst \DDD, and the zero. */
enum { TEXT_NAME_MAX = 1024, TEXT_TYPE_MAX = 24 };

/* Presentation format without the final dot (the root is "."); returns `out`. */
const char *text_name(const struct name *n, char out[TEXT_NAME_MAX]);

/* Reads presentation format, any letter case, with or without the final dot. Returns 0 or -EINVAL. */
NODISCARD int text_read_name(struct name *n, const char *text);

/* "A", "AAAA", … or TYPE65535 (RFC 3597); returns `out`. */
const char *text_type(uint16_t type, char out[TEXT_TYPE_MAX]);

/* Reads "A", "a", "TYPE65". Returns the type, or -EINVAL. */
NODISCARD int text_read_type(const char *text);

/* "NOERROR", "SERVFAIL", …; "RCODE17" for what has no name, "unreadable" for DNS_UNREADABLE. Static memory for the names, `out` for
 * the rest. */
const char *text_rcode(uint16_t rcode, char out[TEXT_TYPE_MAX]);

/* A whole message as dig would show it, for logs at debug and for tests; heap memory that the caller frees, NULL when
 * it does not parse. */
char *text_message(const uint8_t *message, size_t len);

#endif
