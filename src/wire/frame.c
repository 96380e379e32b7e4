/* SPDX-License-Identifier: Apache-2.0 */
/* Memory follows what has arrived, not what a length promises: two octets from a stranger must not cost 64 KiB. It
 * begins with 512 bytes, room for nearly every query, and doubles. */
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>

enum { LENGTH_BYTES = 2, FIRST_BYTES = 512 };

void frame_reader_init(struct frame_reader *f)
{
	*f = (struct frame_reader){0};
}

void frame_reader_deinit(struct frame_reader *f)
{
	free(f->partial);
	frame_reader_init(f);
}

/* Bytes of the frame that has begun, as far as is known: those of its length, then all. */
static size_t frame_bytes(const struct frame_reader *f)
{
	return f->have < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + (size_t)dns_get16(f->partial);
}

/* Moves bytes from the caller to what is collected, until `want` are there. Returns 1 then, 0 when the caller has no
 * more, -ENOMEM. */
static int collect(struct frame_reader *f, const uint8_t **bytes, size_t *len, size_t want)
{
	/* Never beyond this frame: what follows may come whole and be lent. */
	size_t take = MIN(*len, want - f->have);

	if (f->have + take > f->capacity) {
		size_t capacity = MAX(MAX(f->have + take, (size_t)f->capacity * 2), (size_t)FIRST_BYTES);
		uint8_t *partial = realloc(f->partial, capacity);
		if (!partial)
			return -ENOMEM;
		f->partial = partial;
		f->capacity = (uint32_t)capacity;
	}
	if (take > 0)
		memcpy(f->partial + f->have, *bytes, take);
	f->have += (uint32_t)take;
	*bytes += take;
	*len -= take;
	return f->have == want;
}

/* Lends a message that lies whole in the caller's bytes; 0 when it does not. */
static int lend(const uint8_t **bytes, size_t *len, const uint8_t **message, size_t *message_len)
{
	if (*len < LENGTH_BYTES)
		return 0;
	/* The usual case: a read brings whole messages, and nothing is copied. */
	size_t size = dns_get16(*bytes);
	if (size < DNS_HEADER_BYTES)
		return -EBADMSG;
	if (*len < LENGTH_BYTES + size)
		return 0;
	*message = *bytes + LENGTH_BYTES;
	*message_len = size;
	*bytes += LENGTH_BYTES + size;
	*len -= LENGTH_BYTES + size;
	return 1;
}

int frame_read(struct frame_reader *f, const uint8_t **bytes, size_t *len, const uint8_t **message, size_t *message_len)
{
	/* The last call lent what was collected: that is over now. */
	if (f->have > 0 && !frame_is_partial(f))
		frame_reader_deinit(f);
	if (f->have == 0) {
		int lent = lend(bytes, len, message, message_len);
		if (lent != 0 || *len == 0)
			return lent;
	}
	if (f->have < LENGTH_BYTES) {
		int got = collect(f, bytes, len, LENGTH_BYTES);
		if (got <= 0)
			return got;
	}
	/* A header takes 12 octets: whoever promises less speaks another protocol, or has lost its place. */
	if (dns_get16(f->partial) < DNS_HEADER_BYTES)
		return -EBADMSG;
	int got = collect(f, bytes, len, frame_bytes(f));
	if (got <= 0)
		return got;
	*message = f->partial + LENGTH_BYTES;
	*message_len = f->have - LENGTH_BYTES;
	return 1;
}

bool frame_is_partial(const struct frame_reader *f)
{
	return f->have > 0 && f->have < frame_bytes(f);
}
