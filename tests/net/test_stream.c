/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "net/stream_private.h"

enum { OURS, THEIRS, MESSAGE_BYTES = 14, FRAME_BYTES = 16, READ_BYTES = 4096, LONG = 65535 };

struct pair {
	int fds[2];
	struct stream stream;
	uint8_t in[READ_BYTES];
};

static int set_up(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	if (!p || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds) < 0)
		return -1;
	stream_init(&p->stream, p->fds[OURS]);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;
	stream_deinit(&p->stream);
	close(p->fds[OURS]);
	close(p->fds[THEIRS]);
	free(p);
	return 0;
}

/* Sends `count` messages whose ids go up from `first`. */
static void ask(struct pair *p, uint16_t first, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		uint8_t frame[FRAME_BYTES] = {0, MESSAGE_BYTES};
		dns_put16(frame + 2, (uint16_t)(first + i));
		assert_int_equal(write(p->fds[THEIRS], frame, sizeof(frame)), sizeof(frame));
	}
}

static void assert_next(struct pair *p, uint16_t id)
{
	const uint8_t *query;
	size_t len;
	assert_true(stream_next(&p->stream, &query, &len));
	assert_int_equal(len, MESSAGE_BYTES);
	assert_int_equal(dns_id(query), id);
}

static void assert_no_next(struct pair *p)
{
	const uint8_t *query;
	size_t len;
	assert_false(stream_next(&p->stream, &query, &len));
}

static void what_is_kept_outlives_the_buffer(void **state)
{
	struct pair *p = *state;
	ask(p, 0, 5);
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), 5 * FRAME_BYTES);
	assert_next(p, 0);
	assert_true(stream_keep(&p->stream));
	memset(p->in, 0xff, READ_BYTES);
	assert_next(p, 1);
	assert_next(p, 2);
	assert_true(stream_keep(&p->stream));
	assert_next(p, 3);
	assert_next(p, 4);
	assert_no_next(p);
	assert_true(stream_keep(&p->stream));
	assert_null(p->stream.held);
	/* Read again as if nothing had been. */
	ask(p, 9, 1);
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), FRAME_BYTES);
	assert_next(p, 9);
}

static void what_is_forgotten_is_gone(void **state)
{
	struct pair *p = *state;
	ask(p, 0, 3);
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), 3 * FRAME_BYTES);
	assert_next(p, 0);
	assert_true(stream_keep(&p->stream));
	stream_forget(&p->stream);
	assert_no_next(p);
}

static void question_may_come_in_two_reads(void **state)
{
	struct pair *p = *state;
	ask(p, 7, 2);
	assert_int_equal(stream_read(&p->stream, p->in, FRAME_BYTES + 5), FRAME_BYTES + 5);
	assert_next(p, 7);
	assert_no_next(p);
	assert_true(stream_keep(&p->stream));
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), FRAME_BYTES - 5);
	assert_next(p, 8);
	assert_no_next(p);
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), -EAGAIN);
	assert_false(p->stream.ended);
}

static void end_of_bytes_ends_the_stream(void **state)
{
	struct pair *p = *state;
	assert_int_equal(shutdown(p->fds[THEIRS], SHUT_WR), 0);
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), 0);
	assert_true(p->stream.ended);
}

static void length_that_is_no_dns_ends_the_stream(void **state)
{
	struct pair *p = *state;
	ask(p, 1, 1);
	assert_int_equal(write(p->fds[THEIRS], "\0\5hello", 7), 7);
	ask(p, 2, 1);
	assert_int_equal(stream_read(&p->stream, p->in, READ_BYTES), 2 * FRAME_BYTES + 7);
	assert_next(p, 1);
	assert_no_next(p);
	assert_true(p->stream.ended);
	assert_no_next(p);
}

static void pause_begins_at_the_limit_and_ends_at_half_of_it(void **state)
{
	struct pair *p = *state;
	assert_false(stream_is_paused(&p->stream, LISTEN_TCP_PIPELINE - 1));
	assert_true(stream_is_paused(&p->stream, LISTEN_TCP_PIPELINE));
	assert_true(stream_is_paused(&p->stream, LISTEN_TCP_PIPELINE / 2 + 1));
	assert_false(stream_is_paused(&p->stream, LISTEN_TCP_PIPELINE / 2));
	assert_false(stream_is_paused(&p->stream, LISTEN_TCP_PIPELINE - 1));
}

static void answers_leave_in_one_write_and_leave_no_memory(void **state)
{
	struct pair *p = *state;
	uint8_t got[64];
	assert_true(stream_append(&p->stream, (const uint8_t *)"first answer", 12));
	assert_true(stream_append(&p->stream, (const uint8_t *)"second", 6));
	assert_int_equal(stream_write(&p->stream), 22);
	assert_int_equal(read(p->fds[THEIRS], got, sizeof(got)), 22);
	assert_memory_equal(got, "\0\14first answer\0\6second", 22);
	assert_false(p->stream.blocked);
	assert_null(p->stream.out);
}

/* More than the kernel takes, appended to between writes: not a byte is lost, doubled or out of order. */
static void answers_that_do_not_fit_go_on_where_they_stopped(void **state)
{
	enum { ANSWERS = 40 };
	struct pair *p = *state;
	static uint8_t answer[LONG], got[2 + LONG];
	size_t appended = 0, have = 0, whole = 0;
	while (whole < ANSWERS) {
		memset(answer, (int)appended, sizeof(answer));
		if (appended < ANSWERS && appended < whole + 8) {
			assert_true(stream_append(&p->stream, answer, sizeof(answer)));
			appended++;
		}
		if (p->stream.out_len > 0)
			assert_true(stream_write(&p->stream) >= 0);
		assert_int_equal(p->stream.blocked, p->stream.out_len > 0);
		ssize_t n = read(p->fds[THEIRS], got + have, sizeof(got) - have);
		have += n > 0 ? (size_t)n : 0;
		if (have < sizeof(got))
			continue;
		assert_int_equal(dns_get16(got), LONG);
		for (size_t i = 2; i < sizeof(got); i++)
			assert_int_equal(got[i], whole);
		have = 0;
		whole++;
	}
	assert_null(p->stream.out);
}

static void unsent_answers_pause_as_well(void **state)
{
	struct pair *p = *state;
	static uint8_t answer[LONG];
	p->stream.blocked = true; /* else they would leave */
	for (int i = 0; i < 3; i++)
		assert_true(stream_append(&p->stream, answer, sizeof(answer)));
	assert_false(stream_is_paused(&p->stream, 0));
	for (int i = 0; i < 2; i++)
		assert_true(stream_append(&p->stream, answer, sizeof(answer)));
	assert_true(stream_is_paused(&p->stream, 0));
}

/* Appends until it is refused; returns how much is held then. */
static size_t append_all(struct stream *s)
{
	static uint8_t answer[LONG];
	for (int i = 0; i < 1000; i++)
		if (!stream_append(s, answer, sizeof(answer)))
			return s->out_len;
	fail();
	return 0;
}

static void client_that_leaves_a_mebibyte_has_left_too_much(void **state)
{
	struct pair *p = *state;
	assert_in_range(append_all(&p->stream), 1 << 20, (1 << 20) + 2 + LONG);
}

enum { MANY = 1000, OF_ALL = 16 << 20, FREE = 8 << 10 };
static struct stream many[MANY];

/* What their buffers take of memory. */
static size_t held_by_many(void)
{
	size_t held = 0;
	for (int i = 0; i < MANY; i++)
		held += many[i].frames.capacity + many[i].held_bytes + many[i].out_capacity;
	return held;
}

static void let_many_go(void)
{
	for (int i = 0; i < MANY; i++)
		stream_deinit(&many[i]);
}

/* As a connection does that is closed when it may not grow. */
static void close_if(struct stream *s, bool refused)
{
	if (refused) {
		stream_deinit(s);
		stream_init(s, s->fd);
	}
}

static void all_clients_together_are_bounded(void **state)
{
	struct pair *p = *state;
	static uint8_t answer[LONG];
	int refused = 0;
	for (int i = 0; i < MANY; i++) {
		stream_init(&many[i], p->fds[OURS]);
		many[i].blocked = true;
		bool grew = stream_append(&many[i], answer, sizeof(answer));
		refused += !grew;
		close_if(&many[i], !grew);
	}
	assert_in_range(held_by_many(), OF_ALL - 2 * LONG, OF_ALL + MANY * FREE);
	assert_in_range(refused, MANY / 2, MANY - 1);
	/* Who takes what it gets is served all the same, however much that is. */
	assert_true(stream_append(&p->stream, (const uint8_t *)"first answer", 12));
	assert_true(stream_write(&p->stream) > 0);
	assert_true(stream_append(&p->stream, answer, LONG));
	assert_null(p->stream.out);
	let_many_go();
	p->stream.blocked = true;
	assert_in_range(append_all(&p->stream), 1 << 20, (1 << 20) + 2 + LONG);
}

/* 64 KiB each are room for many more than there were with a mebibyte each. */
static void few_that_do_not_read_leave_room_for_others(void **state)
{
	struct pair *p = *state;
	for (int i = 0; i < MANY; i++) {
		stream_init(&many[i], p->fds[OURS]);
		many[i].blocked = true;
	}
	for (int i = 0; i < 20; i++)
		append_all(&many[i]);
	assert_in_range(held_by_many(), OF_ALL / 2, OF_ALL);
	assert_true(stream_append(&many[MANY - 1], (const uint8_t[LONG]){0}, LONG));
	/* Who leaves something lying is not read on meanwhile. */
	assert_true(stream_is_paused(&many[MANY - 1], 0));
	assert_false(stream_is_paused(&p->stream, 0));
	/* Who reads is served at length. */
	static uint8_t got[8 * LONG];
	for (int i = 0; i < 8; i++) {
		assert_true(stream_append(&p->stream, (const uint8_t[LONG]){0}, LONG));
		(void)!read(p->fds[THEIRS], got, sizeof(got));
	}
	struct stream last = many[MANY - 1];
	stream_init(&many[MANY - 1], p->fds[OURS]);
	let_many_go();
	assert_false(stream_is_paused(&last, 0));
	stream_deinit(&last);
}

/* Feeds the start of a question of 64 KiB; false if that may not be kept. */
static bool begin_question(struct stream *s, size_t bytes)
{
	static uint8_t begun[2 + LONG] = {0xff, 0xff};
	const uint8_t *query;
	size_t len;
	stream_feed(s, begun, bytes);
	assert_false(stream_next(s, &query, &len));
	return stream_keep(s);
}

static void questions_that_do_not_end_are_bounded_for_all_together(void **state)
{
	struct pair *p = *state;
	int refused = 0;
	for (int i = 0; i < MANY; i++) {
		stream_init(&many[i], p->fds[OURS]);
		bool grew = begin_question(&many[i], LONG);
		refused += !grew;
		close_if(&many[i], !grew);
	}
	assert_in_range(held_by_many(), OF_ALL - 2 * LONG, OF_ALL + MANY * FREE);
	assert_in_range(refused, MANY / 2, MANY - 1);
	/* Usual ones go on, in pieces as well, and so do answers; both count together. */
	assert_true(begin_question(&p->stream, 4096));
	assert_true(stream_append(&p->stream, (const uint8_t *)"answer", 6));
	p->stream.blocked = true;
	assert_false(stream_append(&p->stream, (const uint8_t[LONG]){0}, LONG));
	let_many_go();
	assert_true(stream_append(&p->stream, (const uint8_t[LONG]){0}, LONG));
}

static void question_that_is_over_leaves_no_memory(void **state)
{
	struct pair *p = *state;
	const uint8_t *query;
	size_t len;
	static uint8_t rest[LONG];
	assert_true(begin_question(&p->stream, 1000));
	stream_feed(&p->stream, rest, 2 + LONG - 1000);
	assert_true(stream_next(&p->stream, &query, &len));
	assert_int_equal(len, LONG);
	assert_true(stream_keep(&p->stream));
	assert_null(p->stream.frames.partial);
}

static void byte_now_and_then_is_no_motion(void **state)
{
	struct pair *p = *state;
	static uint8_t got[1 << 16];
	append_all(&p->stream);
	assert_true(stream_write(&p->stream) >= 0);
	(void)stream_is_moving(&p->stream);
	assert_true(p->stream.blocked);
	assert_false(stream_is_moving(&p->stream));
	p->stream.moved = (16 << 10) - 1;
	assert_false(stream_is_moving(&p->stream));
	p->stream.moved = 16 << 10;
	assert_true(stream_is_moving(&p->stream));
	assert_false(stream_is_moving(&p->stream));
	/* Or all that there is. */
	while (p->stream.blocked) {
		while (read(p->fds[THEIRS], got, sizeof(got)) > 0)
			continue;
		assert_true(stream_write(&p->stream) >= 0);
	}
	assert_true(stream_is_moving(&p->stream));
}

static void nobody_to_write_to_is_an_error(void **state)
{
	struct pair *p = *state;
	assert_int_equal(shutdown(p->fds[OURS], SHUT_WR), 0);
	assert_true(stream_append(&p->stream, (const uint8_t *)"x", 1));
	assert_int_equal(stream_write(&p->stream), -EPIPE);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(what_is_kept_outlives_the_buffer),
		STREAM_TEST(what_is_forgotten_is_gone),
		STREAM_TEST(question_may_come_in_two_reads),
		STREAM_TEST(end_of_bytes_ends_the_stream),
		STREAM_TEST(length_that_is_no_dns_ends_the_stream),
		STREAM_TEST(pause_begins_at_the_limit_and_ends_at_half_of_it),
		STREAM_TEST(answers_leave_in_one_write_and_leave_no_memory),
		STREAM_TEST(answers_that_do_not_fit_go_on_where_they_stopped),
		STREAM_TEST(unsent_answers_pause_as_well),
		STREAM_TEST(client_that_leaves_a_mebibyte_has_left_too_much),
		STREAM_TEST(all_clients_together_are_bounded),
		STREAM_TEST(few_that_do_not_read_leave_room_for_others),
		STREAM_TEST(questions_that_do_not_end_are_bounded_for_all_together),
		STREAM_TEST(question_that_is_over_leaves_no_memory),
		STREAM_TEST(byte_now_and_then_is_no_motion),
		STREAM_TEST(nobody_to_write_to_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
