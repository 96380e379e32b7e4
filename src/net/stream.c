/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers: 256 KiB are four of the longest answers or thousands of usual ones; a client that leaves more than
 * that in our memory does not read. An idle client keeps no buffer at all. */
#include "net/stream_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/listen.h"

enum { UNSENT_LIMIT = 256 << 10, OUT_FIRST_BYTES = 512, LENGTH_BYTES = 2 };

void stream_init(struct stream *s, int fd)
{
	*s = (struct stream){.fd = fd};
	frame_reader_init(&s->frames);
}

void stream_deinit(struct stream *s)
{
	frame_reader_deinit(&s->frames);
	free(s->held);
	free(s->out);
}

/* ---- in ---- */

int stream_read(struct stream *s, uint8_t *in, size_t size)
{
	ASSERT(s->len == 0);
	ssize_t n = recv(s->fd, in, size, 0);
	if (n < 0)
		return -errno;
	s->ended = n == 0;
	s->bytes = in;
	s->len = (size_t)n;
	return (int)n;
}

bool stream_next(struct stream *s, const uint8_t **query, size_t *len)
{
	if (s->len == 0)
		return false;
	int r = frame_read(&s->frames, &s->bytes, &s->len, query, len);
	/* After a length that is none nothing makes sense any more. What was asked before is still answered. */
	if (r < 0) {
		s->ended = true;
		s->len = 0;
	}
	return r > 0;
}

void stream_feed(struct stream *s, const uint8_t *bytes, size_t len)
{
	ASSERT(s->len == 0);
	s->bytes = bytes;
	s->len = len;
}

bool stream_rest(struct stream *s, const uint8_t **bytes, size_t *len)
{
	size_t begun = frame_is_partial(&s->frames) ? s->frames.have : 0;

	*bytes = begun > 0 ? s->frames.partial : s->bytes;
	*len = begun + s->len;
	if (begun == 0 || s->len == 0)
		return true;
	uint8_t *all = malloc(*len);
	if (!all)
		return false;
	memcpy(all, s->frames.partial, begun);
	memcpy(all + begun, s->bytes, s->len);
	frame_reader_deinit(&s->frames);
	free(s->held);
	s->bytes = s->held = all;
	s->len = *len;
	*bytes = all;
	return true;
}

void stream_forget(struct stream *s)
{
	free(s->held);
	s->held = NULL;
	s->bytes = NULL;
	s->len = 0;
}

bool stream_keep(struct stream *s)
{
	if (s->len == 0)
		stream_forget(s);
	if (s->len == 0 || s->held)
		return true;
	s->held = malloc(s->len);
	if (!s->held)
		return false;
	memcpy(s->held, s->bytes, s->len);
	s->bytes = s->held;
	return true;
}

bool stream_is_paused(struct stream *s, uint32_t unanswered)
{
	if (s->paused)
		s->paused = unanswered > LISTEN_TCP_PIPELINE / 2 || s->out_len > UNSENT_LIMIT / 2;
	else
		s->paused = unanswered >= LISTEN_TCP_PIPELINE || s->out_len > UNSENT_LIMIT;
	return s->paused;
}

/* ---- out ---- */

static bool make_room(struct stream *s, size_t bytes)
{
	if (s->out_at > 0 && s->out_at + s->out_len + bytes > s->out_capacity) {
		memmove(s->out, s->out + s->out_at, s->out_len);
		s->out_at = 0;
	}
	if (s->out_at + s->out_len + bytes <= s->out_capacity)
		return true;
	size_t capacity = MAX(MAX((size_t)s->out_capacity * 2, s->out_len + bytes), (size_t)OUT_FIRST_BYTES);
	uint8_t *out = realloc(s->out, capacity);
	if (!out)
		return false;
	s->out = out;
	s->out_capacity = (uint32_t)capacity;
	return true;
}

bool stream_append(struct stream *s, const uint8_t *message, size_t len)
{
	if (!make_room(s, LENGTH_BYTES + len))
		return false;
	uint8_t *at = s->out + s->out_at + s->out_len;
	dns_put16(at, (uint16_t)len);
	memcpy(at + LENGTH_BYTES, message, len);
	s->out_len += (uint32_t)(LENGTH_BYTES + len);
	return true;
}

int stream_write(struct stream *s)
{
	ssize_t n = send(s->fd, s->out + s->out_at, s->out_len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n > 0) {
		s->out_at += (uint32_t)n;
		s->out_len -= (uint32_t)n;
	}
	s->blocked = s->out_len > 0;
	if (!s->blocked) {
		free(s->out);
		s->out = NULL;
		s->out_at = s->out_capacity = 0;
	}
	return n > 0 ? (int)n : 0;
}
