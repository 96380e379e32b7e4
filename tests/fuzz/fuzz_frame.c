/* SPDX-License-Identifier: Apache-2.0 */
/* The first octet tells how many of the following are the lengths of the pieces (used in turn, over and over) in which
 * the rest, a byte stream, is fed. The messages must be those of the stream fed in one piece. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/frame.h"

/* What came out of a reader: all messages, each behind its length, and how it ended. */
struct outcome {
	uint8_t *octets;
	size_t len;
	int last;
	bool partial;
};

static void keep(struct outcome *o, const uint8_t *message, size_t len)
{
	ASSERT(len >= DNS_HEADER_BYTES && len <= DNS_MESSAGE_MAX);
	dns_put16(o->octets + o->len, (uint16_t)len);
	memcpy(o->octets + o->len + 2, message, len);
	o->len += 2 + len;
}

/* Feeds one piece from memory of its own, gone afterwards. */
static void feed(struct frame_reader *f, struct outcome *o, const uint8_t *piece, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	const uint8_t *bytes = copy, *message;
	size_t message_len;

	ASSERT(copy);
	memcpy(copy, piece, len);
	while ((o->last = frame_read(f, &bytes, &len, &message, &message_len)) == 1)
		keep(o, message, message_len);
	ASSERT(o->last < 0 || (len == 0 && !f->partial == !frame_is_partial(f)));
	free(copy);
}

static struct outcome run(const uint8_t *stream, size_t len, const uint8_t *pieces, size_t piece_count)
{
	/* What comes out is never longer than what went in. */
	struct outcome o = {.octets = malloc(len + 1)};
	struct frame_reader f;
	size_t at = 0;

	ASSERT(o.octets);
	frame_reader_init(&f);
	for (size_t i = 0; at < len && o.last == 0; i++) {
		size_t piece = piece_count > 0 ? 1 + (size_t)pieces[i % piece_count] : len;
		piece = MIN(piece, len - at);
		feed(&f, &o, stream + at, piece);
		at += piece;
	}
	o.partial = frame_is_partial(&f);
	frame_reader_deinit(&f);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size - 1 < data[0])
		return 0;
	size_t piece_count = data[0], len = size - 1 - piece_count;
	const uint8_t *pieces = data + 1, *stream = pieces + piece_count;
	struct outcome whole = run(stream, len, NULL, 0), split = run(stream, len, pieces, piece_count);

	ASSERT(whole.len == split.len && memcmp(whole.octets, split.octets, whole.len) == 0);
	ASSERT(whole.last == split.last);
	ASSERT(whole.last < 0 || whole.partial == split.partial);
	free(whole.octets);
	free(split.octets);
	return 0;
}
