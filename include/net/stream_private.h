/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H
/* The two byte streams of a TCP client: questions that come in, in any pieces, and answers that go out, collected
 * and written in one go. Knows no loop; the socket is lent. */

#include "wire/frame.h"

struct stream {
	int fd;
	struct frame_reader frames;
	const uint8_t *bytes; /* read and not looked at: in the reader's buffer, or in `held` */
	size_t len;
	uint8_t *held; /* heap */
	uint32_t held_bytes;
	uint32_t held_above; /* what all its buffers take above the share that is free */
	uint8_t *out;  /* collected, heap; NULL while there is nothing */
	uint32_t out_at, out_len, out_capacity;
	uint32_t moved; /* bytes that left since stream_is_moving last said so */
	bool paused;  /* see stream_is_paused */
	bool blocked; /* the kernel takes no more for now */
	bool ended;   /* nothing more comes in */
};

void stream_init(struct stream *s, int fd);
void stream_deinit(struct stream *s);

/* Reads once, to `in` (lent until stream_keep). Returns the number of bytes, 0 at the end, or -errno. Nothing may be
 * left of the last time. */
NODISCARD int stream_read(struct stream *s, uint8_t *in, size_t size);

/* The next question, lent until the next call. False: more bytes are needed, or there will be none. */
NODISCARD bool stream_next(struct stream *s, const uint8_t **query, size_t *len);

/* As if `bytes` had been read: what somebody else has read of it. Nothing may be left. */
void stream_feed(struct stream *s, const uint8_t *bytes, size_t len);

/* All that came in and was not handed out, the start of a question included; lent. False without memory. */
NODISCARD bool stream_rest(struct stream *s, const uint8_t **bytes, size_t *len);

/* Copies what was not looked at, before `in` is used for others, and ends the loan of stream_next. False without memory, or when it holds
 * more than 8 KiB, more than before, and all clients together hold 16 MiB above their 8 KiB. */
NODISCARD bool stream_keep(struct stream *s);

/* Forgets it instead. */
void stream_forget(struct stream *s);

/* Too much is owed to this client to take more questions. Begins at the limits (LISTEN_TCP_PIPELINE, or 256 KiB not
 * sent, 8 KiB while all clients together hold 8 MiB) and ends at half of them, so that it does not change with each answer. */
bool stream_is_paused(struct stream *s, uint32_t unanswered);

/* Collects an answer. False without memory, or when the client has left too much of it in ours: 1 MiB; 64 KiB while all clients together
 * hold 8 MiB above the 8 KiB that each has free; more than these 8 KiB, and growing, while they hold 16 MiB. */
NODISCARD bool stream_append(struct stream *s, const uint8_t *message, size_t len);

/* Writes once what was collected. Returns the number of bytes (0: the kernel takes none), or -errno. */
NODISCARD int stream_write(struct stream *s);

/* The client takes what it gets: all of it, or 16 KiB since this was last true. A byte now and then is none. */
bool stream_is_moving(struct stream *s);

#endif
