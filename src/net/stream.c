/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers: 256 KiB are four of the longest answers or thousands of usual ones; a client that leaves more than
 * that in our memory does not read. An idle client keeps no buffer at all. 100 questions may be out when that shows, with
 * answers of up to 64 KiB each: 1 MiB is where patience ends. 64 MiB for all together is a quarter of what 1,000 clients could
 * keep otherwise; above it those lose that keep more than 64 KiB, which is nobody who reads. 16 KiB are what the slowest
 * modem takes in 5 s. */
#include "net/stream_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/listen.h"

enum { UNSENT_LIMIT = 256 << 10, UNSENT_MOST = 1 << 20, OUT_FIRST_BYTES = 512, LENGTH_BYTES = 2 };
enum { UNSENT_OF_ALL = 64 << 20, UNSENT_MODEST = 64 << 10, MOVING_BYTES = 16 << 10 };

/* What the output of all streams takes of memory. */
static _Atomic uint64_t held_by_all;

static void hold(struct stream *s, size_t capacity)
{
	atomic_fetch_add_explicit(&held_by_all, capacity - (uint64_t)s->out_capacity, memory_order_relaxed);
	s->out_capacity = (uint32_t)capacity;
}

void stream_init(struct stream *s, int fd)
{
	*s = (struct stream){.fd = fd};
	frame_reader_init(&s->frames);
}

void stream_deinit(struct stream *s)
{
	frame_reader_deinit(&s->frames);
	free(s->held);
	hold(s, 0);
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

/* Where so many octets may be put; NULL if they may not. */
static uint8_t *make_room(struct stream *s, size_t bytes)
{
	if (s->out_at > 0 && s->out_at + s->out_len + bytes > s->out_capacity) {
		memmove(s->out, s->out + s->out_at, s->out_len);
		s->out_at = 0;
	}
	if (s->out_at + s->out_len + bytes <= s->out_capacity)
		return s->out + s->out_at + s->out_len;
	size_t capacity = MAX(MAX((size_t)s->out_capacity * 2, s->out_len + bytes), (size_t)OUT_FIRST_BYTES);
	if (s->out_len > UNSENT_MODEST && atomic_load_explicit(&held_by_all, memory_order_relaxed) > UNSENT_OF_ALL)
		return NULL;
	uint8_t *out = realloc(s->out, capacity);
	if (!out)
		return NULL;
	s->out = out;
	hold(s, capacity);
	return s->out + s->out_at + s->out_len;
}

bool stream_append(struct stream *s, const uint8_t *message, size_t len)
{
	/* Whoever reads takes it now. */
	if (s->out_len > UNSENT_LIMIT && !s->blocked && stream_write(s) < 0)
		return false;
	uint8_t *at = s->out_len > UNSENT_MOST ? NULL : make_room(s, LENGTH_BYTES + len);
	if (at == NULL)
		return false;
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
		s->moved += (uint32_t)n;
	}
	s->blocked = s->out_len > 0;
	if (!s->blocked) {
		free(s->out);
		s->out = NULL;
		s->out_at = 0;
		hold(s, 0);
	}
	return n > 0 ? (int)n : 0;
}

bool stream_is_moving(struct stream *s)
{
	if (s->blocked && s->moved < MOVING_BYTES)
		return false;
	s->moved = 0;
	return true;
}
