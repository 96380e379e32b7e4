/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sample.h"
#include "wire/frame.h"

/* Appends a frame of `size` octets, all `fill`. Returns the stream's new length. */
static size_t put_frame(uint8_t *stream, size_t at, size_t size, int fill)
{
	dns_put16(stream + at, (uint16_t)size);
	memset(stream + at + 2, fill, size);
	return at + 2 + size;
}

static bool all_are(const uint8_t *octets, size_t len, uint8_t fill)
{
	for (size_t i = 0; i < len; i++)
		if (octets[i] != fill)
			return false;
	return true;
}

static void whole_messages_are_lent_from_the_callers_bytes(void **state)
{
	uint8_t stream[256];
	size_t len = put_frame(stream, put_frame(stream, 0, 12, 'a'), 30, 'b');
	const uint8_t *bytes = stream, *message;
	struct frame_reader f;
	size_t message_len;

	(void)state;
	frame_reader_init(&f);
	assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 1);
	assert_ptr_equal(message, stream + 2);
	assert_int_equal(message_len, 12);
	assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 1);
	assert_ptr_equal(message, stream + 16);
	assert_int_equal(message_len, 30);
	assert_int_equal(len, 0);
	assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 0);
	assert_null(f.partial);
	frame_reader_deinit(&f);
}

/* Feeds the first `len` bytes of `stream` in one go from memory that is gone afterwards; counts messages and checks
 * that message number i holds only 'a' + i. */
static int feed(struct frame_reader *f, const uint8_t *stream, size_t len, int count)
{
	uint8_t *exact = sample_exact(stream, len);
	const uint8_t *bytes = exact, *message;
	size_t message_len;
	int read;

	while ((read = frame_read(f, &bytes, &len, &message, &message_len)) == 1) {
		assert_true(message_len >= DNS_HEADER_BYTES);
		assert_true(all_are(message, message_len, (uint8_t)('a' + count % 26)));
		count++;
	}
	assert_int_equal(read, 0);
	assert_int_equal(len, 0);
	free(exact);
	return count;
}

static void stream_split_at_any_place_gives_the_same_messages(void **state)
{
	uint8_t stream[256];
	size_t len = put_frame(stream, put_frame(stream, put_frame(stream, 0, 12, 'a'), 40, 'b'), 13, 'c');
	struct frame_reader f;

	(void)state;
	for (size_t split = 0; split <= len; split++) {
		frame_reader_init(&f);
		int count = feed(&f, stream, split, 0);
		assert_int_equal(frame_is_partial(&f), split != 0 && split != 14 && split != 56 && split != len);
		assert_int_equal(feed(&f, stream + split, len - split, count), 3);
		assert_false(frame_is_partial(&f));
		assert_null(f.partial);
		frame_reader_deinit(&f);
	}
}

static void stream_in_random_pieces_gives_the_same_messages(void **state)
{
	static uint8_t stream[400000];
	struct sample s = {17};
	struct frame_reader f;

	(void)state;
	for (int round = 0; round < 50; round++) {
		size_t len = 0, at = 0;
		int frames = 0, count = 0;
		while (len < sizeof(stream) - 70000) {
			uint32_t most = sample_below(&s, 10) == 0 ? DNS_MESSAGE_MAX : 2000;
			len = put_frame(stream, len, 12 + sample_below(&s, most - 11), 'a' + frames++ % 26);
		}
		frame_reader_init(&f);
		while (at < len) {
			size_t piece = sample_below(&s, sample_below(&s, 2) ? 5000 : 40);
			piece = MIN(piece, len - at);
			count = feed(&f, stream + at, piece, count);
			at += piece;
		}
		assert_int_equal(count, frames);
		assert_false(frame_is_partial(&f));
		frame_reader_deinit(&f);
	}
}

static void longest_message_comes_octet_by_octet(void **state)
{
	static uint8_t stream[2 + DNS_MESSAGE_MAX];
	size_t len = put_frame(stream, 0, DNS_MESSAGE_MAX, 'a');
	struct frame_reader f;
	int count = 0;

	(void)state;
	frame_reader_init(&f);
	for (size_t at = 0; at < len; at++)
		count = feed(&f, stream + at, 1, count);
	assert_int_equal(count, 1);
	frame_reader_deinit(&f);
}

static void length_below_a_header_is_no_dns(void **state)
{
	struct frame_reader f;

	(void)state;
	for (uint8_t size = 0; size < 12; size++) {
		uint8_t stream[2] = {0, size};
		const uint8_t *bytes = stream, *message;
		size_t len = 2, message_len;
		frame_reader_init(&f);
		assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), -EBADMSG);
		/* The same when its two octets come apart. */
		bytes = stream, len = 1;
		assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 0);
		len = 1;
		assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), -EBADMSG);
		frame_reader_deinit(&f);
	}
}

static void memory_follows_what_arrived_and_not_what_was_promised(void **state)
{
	static uint8_t stream[40000];
	struct frame_reader f;

	(void)state;
	put_frame(stream, 0, sizeof(stream) - 2, 'a');
	frame_reader_init(&f);
	assert_int_equal(feed(&f, stream, 2, 0), 0);
	assert_true(f.capacity <= 512);
	assert_int_equal(feed(&f, stream + 2, 998, 0), 0);
	assert_true(f.capacity <= 2048);
	assert_true(frame_is_partial(&f));
	frame_reader_deinit(&f);
	assert_false(frame_is_partial(&f));
	assert_null(f.partial);
}

static void collected_message_is_lent_until_the_next_call(void **state)
{
	uint8_t stream[64];
	size_t len = 5, message_len;
	const uint8_t *bytes = stream, *message;
	struct frame_reader f;

	(void)state;
	put_frame(stream, 0, 20, 'a');
	frame_reader_init(&f);
	assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 0);
	len = 17;
	assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 1);
	memset(stream, 0, sizeof(stream));
	assert_int_equal(message_len, 20);
	assert_true(all_are(message, 20, 'a'));
	assert_false(frame_is_partial(&f));
	assert_int_equal(frame_read(&f, &bytes, &len, &message, &message_len), 0);
	assert_null(f.partial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_messages_are_lent_from_the_callers_bytes),
		cmocka_unit_test(stream_split_at_any_place_gives_the_same_messages),
		cmocka_unit_test(stream_in_random_pieces_gives_the_same_messages),
		cmocka_unit_test(longest_message_comes_octet_by_octet),
		cmocka_unit_test(length_below_a_header_is_no_dns),
		cmocka_unit_test(memory_follows_what_arrived_and_not_what_was_promised),
		cmocka_unit_test(collected_message_is_lent_until_the_next_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
