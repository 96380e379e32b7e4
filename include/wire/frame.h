/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H
/* DNS over a byte stream: each message behind two octets of length (RFC 1035 section 4.2.2, RFC 7766). A reader that takes bytes in any
 * pieces and hands out whole messages; one message is lent from the caller's bytes when it came whole, else collected. */

#include "wire/dns.h"

struct frame_reader {
	uint8_t *partial;  /* heap, only while a message is split over reads */
	uint32_t have;     /* bytes of it, the two of the length included */
	uint32_t capacity;
};

void frame_reader_init(struct frame_reader *f);
void frame_reader_deinit(struct frame_reader *f);

/* Feeds *len bytes at *bytes; both move on. Returns 1 with a message in *message (lent until the next call), 0 when
 * more bytes are needed (all were taken), -EBADMSG when a length below DNS_HEADER_BYTES says that this is no DNS, -ENOMEM. */
NODISCARD int frame_read(struct frame_reader *f, const uint8_t **bytes, size_t *len, const uint8_t **message, size_t *message_len);

/* A message has begun and not ended: an idle timer runs differently then. */
bool frame_is_partial(const struct frame_reader *f);

#endif
