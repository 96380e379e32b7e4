/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_NAME_H
#define WIRE_NAME_H
/* Domain names as octets (RFC 1035 sections 3.1 and 4.1.4). Checked once, where they enter; trusted afterwards. */

#include "base/base.h"

/* RFC 1035 section 2.3.4: 255 octets with the root's zero, hence at most 127 labels before it. */
enum { NAME_MAX_OCTETS = 255, NAME_MAX_LABELS = 127, NAME_MAX_LABEL_OCTETS = 63 };

/* A checked name: uncompressed, in lower case, ending in the root label. */
struct name {
	uint8_t len;    /* octets, the final zero included: 1 for the root */
	uint8_t labels; /* labels before the root: 0 for the root */
	uint8_t at[NAME_MAX_LABELS + 1];   /* at[i]: offset of label i's length octet; at[labels]: of the root */
	uint8_t octets[NAME_MAX_OCTETS + 1];
};

/* Reads an uncompressed name from the start of `len` octets: a question's name never needs a pointer, so one with a
 * pointer is refused. Returns octets consumed, or -EBADMSG. Names with label types other than 00 are refused. */
NODISCARD int name_read(struct name *n, const uint8_t *octets, size_t len);

/* Reads a name that may be compressed, at `at` of a whole message. Pointers must go strictly backwards, each before
 * the start of the piece it was met in, so a loop is impossible; never into the header, which changes with each client;
 * at most 128 of them. Returns the offset after the name's own octets, or -EBADMSG. */
NODISCARD int name_unpack(struct name *n, const uint8_t *message, size_t len, size_t at);

/* The same check without the copy. Returns the offset after the name, or -EBADMSG. */
NODISCARD int name_skip(const uint8_t *message, size_t len, size_t at);

/* Same name. Letter case never matters: both are lower case by construction. */
bool name_equal(const struct name *a, const struct name *b);

/* Copies `len` octets, A to Z as a to z. */
void name_lower(uint8_t *to, const uint8_t *from, size_t len);

/* `n` is `zone` or lies below it. The root is above everything. */
bool name_is_within(const struct name *n, const struct name *zone);

/* `octets` (len = n->len) spell the name `n` if letter case is ignored / in this very letter case. Lower-casing
 * touches A to Z only, as RFC 4343 says. */
bool name_spells(const struct name *n, const uint8_t *octets);

/* Writes the name with the letter case that `bits` say: letter number i is upper case if bit i mod 64 is set
 * (draft-vixie-dnsext-dns0x20). Writes n->len octets to `out`. */
void name_write_cased(const struct name *n, uint64_t bits, uint8_t *out);

/* `octets` (n->len of them) are exactly what name_write_cased would write. */
bool name_matches_cased(const struct name *n, uint64_t bits, const uint8_t *octets);

#endif
