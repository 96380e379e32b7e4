/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers: 256 KiB are four of the longest answers or thousands of usual ones; a client that leaves more than
 * that in our memory does not read. An idle client keeps no buffer at all. 100 questions may be out when that shows, with
 * answers of up to 64 KiB each: 1 MiB is where patience ends.
 * 8 KiB a connection are free: more than all but a few questions and answers take. What all connections hold above that, in questions that
 * have not come whole and in answers that were not taken, is counted, for a thousand times little is much: beyond 16 MiB a connection that
 * grows is closed, so that 1,000 of them cost 24 MiB at the most, in every way there is. From half of it on nobody who
 * keeps more than that share is asked for more, and those go that keep more than 64 KiB of answers, which is nobody who reads: a few
 * that do not must not use up what is there for all.
 * 16 KiB are what the slowest modem takes in 5 s. */
#include "net/stream_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/listen.h"

enum { UNSENT_LIMIT = 256 << 10, UNSENT_MOST = 1 << 20, OUT_FIRST_BYTES = 512, LENGTH_BYTES = 2 };
enum { FREE_BYTES = 8 << 10, HELD_MOST = 16 << 20, HELD_MUCH = HELD_MOST / 2, UNSENT_MODEST = 64 << 10, MOVING_BYTES = 16 << 10 };

/* What all streams take of memory above their free share. */
static _Atomic uint64_t held_by_all;

static bool all_hold_more_than(uint64_t bytes)
{
	return atomic_load_explicit(&held_by_all, memory_order_relaxed) > bytes;
}

/* The stream's buffers have become so large. Whoever stays within the free share touches nothing that is shared. */
static void count_held(struct stream *s, size_t bytes)
{
	uint32_t held = bytes > FREE_BYTES ? (uint32_t)(bytes - FREE_BYTES) : 0;
	if (held == s->held_above)
		return;
	atomic_fetch_add_explicit(&held_by_all, (uint64_t)held - s->held_above, memory_order_relaxed);
	s->held_above = held;
}

static void count_buffers(struct stream *s)
{
	count_held(s, (size_t)s->frames.capacity + s->held_bytes + s->out_capacity);
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
	free(s->out);
	count_held(s, 0);
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
	s->held_bytes = (uint32_t)*len;
	s->len = *len;
	*bytes = all;
	return true;
}

void stream_forget(struct stream *s)
{
	free(s->held);
	s->held = NULL;
	s->held_bytes = 0;
	s->bytes = NULL;
	s->len = 0;
}

static bool hold_rest(struct stream *s)
{
	s->held = malloc(s->len);
	if (!s->held)
		return false;
	memcpy(s->held, s->bytes, s->len);
	s->held_bytes = (uint32_t)s->len;
	s->bytes = s->held;
	return true;
}

bool stream_keep(struct stream *s)
{
	uint32_t before = s->held_above;
	/* The question that came in pieces and was handed out last is over. */
	if (s->frames.have > 0 && !frame_is_partial(&s->frames))
		frame_reader_deinit(&s->frames);
	if (s->len == 0)
		stream_forget(s);
	else if (!s->held && !hold_rest(s))
		return false;
	count_buffers(s);
	return s->held_above <= before || !all_hold_more_than(HELD_MOST);
}

/* How much a client may leave unsent and ask on: when room becomes scarce, who is served at length waits first. */
static uint32_t unsent_limit(void)
{
	return all_hold_more_than(HELD_MUCH) ? FREE_BYTES : UNSENT_LIMIT;
}

bool stream_is_paused(struct stream *s, uint32_t unanswered)
{
	uint32_t limit = unsent_limit();
	if (s->paused)
		s->paused = unanswered > LISTEN_TCP_PIPELINE / 2 || s->out_len > limit / 2;
	else
		s->paused = unanswered >= LISTEN_TCP_PIPELINE || s->out_len > limit;
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
	if (s->out_len > UNSENT_MODEST && all_hold_more_than(HELD_MUCH))
		return NULL;
	uint8_t *out = realloc(s->out, capacity);
	if (!out)
		return NULL;
	s->out = out;
	s->out_capacity = (uint32_t)capacity;
	count_buffers(s);
	return s->out + s->out_at + s->out_len;
}

/* There is no room for what collects until the turn ends: it leaves at once. False if it does not, and is more than everybody may hold. */
static bool fits_among_all(struct stream *s)
{
	if (s->held_above == 0 || !all_hold_more_than(HELD_MOST))
		return true;
	return !s->blocked && stream_write(s) >= 0 && (!s->blocked || s->held_above == 0);
}

bool stream_append(struct stream *s, const uint8_t *message, size_t len)
{
	uint32_t before = s->held_above;
	/* Whoever reads takes it now. */
	if (s->out_len > unsent_limit() && !s->blocked && stream_write(s) < 0)
		return false;
	uint8_t *at = s->out_len > UNSENT_MOST ? NULL : make_room(s, LENGTH_BYTES + len);
	if (at == NULL)
		return false;
	dns_put16(at, (uint16_t)len);
	memcpy(at + LENGTH_BYTES, message, len);
	s->out_len += (uint32_t)(LENGTH_BYTES + len);
	return s->held_above <= before || fits_among_all(s);
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
		s->out_at = s->out_capacity = 0;
		count_buffers(s);
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
