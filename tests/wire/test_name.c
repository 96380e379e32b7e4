/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h> /* before ldns, which makes a bool of its own otherwise */
#include <ldns/ldns.h>
#include <string.h>

#include "sample.h"
#include "wire/dns.h"

#define OCTETS(text) ((const uint8_t *)(text))
/* A name in a string constant: the constant's own zero is the root. */
#define READ(name, text) name_read(name, OCTETS(text), sizeof(text))

static struct name name_of(const char *octets)
{
	struct name n;

	assert_true(name_read(&n, OCTETS(octets), strlen(octets) + 1) > 0);
	return n;
}

static void name_is_read_in_lower_case_with_its_labels(void **state)
{
	struct name n;

	(void)state;
	assert_int_equal(READ(&n, "\003WwW\007eXample\003COM"), 17);
	assert_int_equal(n.len, 17);
	assert_int_equal(n.labels, 3);
	assert_memory_equal(n.octets, "\003www\007example\003com", 17);
	assert_int_equal(n.at[0], 0);
	assert_int_equal(n.at[1], 4);
	assert_int_equal(n.at[2], 12);
	assert_int_equal(n.at[3], 16);
}

static void root_is_one_octet_without_labels(void **state)
{
	struct name n;

	(void)state;
	assert_int_equal(name_read(&n, OCTETS("\0trailing"), 9), 1);
	assert_int_equal(n.len, 1);
	assert_int_equal(n.labels, 0);
	assert_int_equal(n.at[0], 0);
	assert_int_equal(n.octets[0], 0);
}

static void name_of_every_length_is_read_whole_and_refused_when_cut(void **state)
{
	uint8_t octets[NAME_MAX_OCTETS];
	struct name n;

	(void)state;
	for (size_t len = 3; len <= NAME_MAX_OCTETS; len++) {
		/* Labels of one octet, with one of two at the front where the length is even. */
		size_t at = 0;
		while (at + 1 < len) {
			octets[at] = at == 0 && len % 2 == 0 ? 2 : 1;
			memset(octets + at + 1, 'A', octets[at]);
			at += octets[at] + 1u;
		}
		octets[at] = 0;
		uint8_t *exact = sample_exact(octets, len);
		assert_int_equal(name_read(&n, exact, len), len);
		assert_int_equal(n.labels, (len - 1) / 2);
		assert_int_equal(n.at[n.labels], len - 1);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(n.octets[i], tolower(exact[i]));
		assert_int_equal(name_read(&n, exact, len - 1), -EBADMSG);
		free(exact);
	}
}

static void name_of_256_octets_is_refused(void **state)
{
	uint8_t octets[300];
	struct name n;

	(void)state;
	memset(octets, 1, sizeof(octets));
	octets[sizeof(octets) - 1] = 0;
	assert_int_equal(name_read(&n, octets + 300 - 255, 255), 255);
	/* 63 + 63 + 63 + 62 and their lengths are 255: no octet is left for the root. */
	memset(octets, 'x', sizeof(octets));
	octets[0] = octets[64] = octets[128] = 63;
	octets[192] = 61;
	octets[254] = 0;
	assert_int_equal(name_read(&n, octets, sizeof(octets)), 255);
	assert_int_equal(name_unpack(&n, octets, sizeof(octets), 0), 255);
	octets[192] = 62;
	octets[255] = 0;
	assert_int_equal(name_read(&n, octets, sizeof(octets)), -EBADMSG);
	assert_int_equal(name_unpack(&n, octets, sizeof(octets), 0), -EBADMSG);
	assert_int_equal(name_skip(octets, sizeof(octets), 0), -EBADMSG);
}

static void other_label_types_and_pointers_are_refused_in_a_question(void **state)
{
	struct name n;

	(void)state;
	for (unsigned type = 64; type < 256; type++) {
		uint8_t octets[300] = {1, 'a', (uint8_t)type};
		assert_int_equal(name_read(&n, octets, sizeof(octets)), -EBADMSG);
	}
	assert_int_equal(name_read(&n, OCTETS(""), 0), -EBADMSG);
}

static void only_a_to_z_change_their_case(void **state)
{
	struct name n;

	(void)state;
	for (size_t len = 1; len <= 20; len++)
		for (unsigned c = 0; c < 256; c++) {
			uint8_t octets[22] = {(uint8_t)len};
			memset(octets + 1, (int)c, len);
			assert_int_equal(name_read(&n, octets, len + 2), len + 2);
			assert_int_equal(n.octets[0], len);
			for (size_t i = 1; i <= len; i++)
				assert_int_equal(n.octets[i], c >= 'A' && c <= 'Z' ? c + 32 : c);
			assert_true(name_spells(&n, octets));
		}
}

/* A message with a header of 12 octets, then at 12 `com`, at 17 `example` and a pointer to 12, at 27 `WWW` and a
 * pointer to 17, and at 33 a pointer to 27. */
static const uint8_t packed[] = "............\003com\000\007Example\300\014\003WWW\300\021\300\033";

static void pointers_are_followed_backwards(void **state)
{
	static const struct {
		size_t at;
		int after;
		const char *name;
		uint8_t labels;
	} rows[] = {
		{12, 17, "\003com", 1},
		{17, 27, "\007example\003com", 2},
		{27, 33, "\003www\007example\003com", 3},
		{33, 35, "\003www\007example\003com", 3},
	};
	struct name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct name plain = name_of(rows[i].name);
		assert_int_equal(name_unpack(&n, packed, 35, rows[i].at), rows[i].after);
		assert_int_equal(name_skip(packed, 35, rows[i].at), rows[i].after);
		assert_true(name_equal(&n, &plain));
		assert_int_equal(n.labels, rows[i].labels);
		assert_memory_equal(n.at, plain.at, n.labels + 1u);
	}
}

/* Puts a label `a` and a pointer behind a header and tries to read them. */
static int read_with_pointer(unsigned to, size_t len)
{
	uint8_t message[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 1, 'a', 0, 0, 1, 'b', 0};
	struct name n;

	dns_put16(message + 17, (uint16_t)(0xc000 | to));
	int after = name_unpack(&n, message, len, 15);
	assert_int_equal(name_skip(message, len, 15), after);
	return after;
}

static void pointer_that_does_not_go_backwards_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_with_pointer(12, 22), 19);
	assert_int_equal(read_with_pointer(14, 22), 19);
	assert_int_equal(read_with_pointer(15, 22), -EBADMSG); /* its own piece: a loop */
	assert_int_equal(read_with_pointer(16, 22), -EBADMSG);
	assert_int_equal(read_with_pointer(17, 22), -EBADMSG); /* itself */
	assert_int_equal(read_with_pointer(19, 22), -EBADMSG); /* forward */
	assert_int_equal(read_with_pointer(0x3fff, 22), -EBADMSG);
}

static void pointer_into_the_header_is_refused(void **state)
{
	(void)state;
	for (unsigned to = 0; to < DNS_HEADER_BYTES; to++)
		assert_int_equal(read_with_pointer(to, 22), -EBADMSG);
}

static void pointer_cut_in_half_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_with_pointer(12, 19), 19);
	assert_int_equal(read_with_pointer(12, 18), -EBADMSG);
	assert_int_equal(read_with_pointer(12, 17), -EBADMSG);
	assert_int_equal(read_with_pointer(12, 15), -EBADMSG);
	assert_int_equal(read_with_pointer(12, 14), -EBADMSG);
}

static void pointers_to_pointers_end_at_a_number(void **state)
{
	uint8_t message[600] = {0};
	struct name n;

	(void)state;
	/* The root at 12, then each pointer leads to the one before it. */
	for (unsigned at = 13; at + 1 < sizeof(message); at += 2)
		dns_put16(message + at, (uint16_t)(0xc000 | (at == 13 ? 12 : at - 2)));
	assert_int_equal(name_unpack(&n, message, sizeof(message), 13 + 2 * 127), 13 + 2 * 128);
	assert_int_equal(n.len, 1);
	assert_int_equal(name_unpack(&n, message, sizeof(message), 13 + 2 * 128), -EBADMSG);
	assert_int_equal(name_skip(message, sizeof(message), 13 + 2 * 128), -EBADMSG);
}

static void unpacked_name_may_have_255_octets_and_not_more(void **state)
{
	uint8_t message[400] = {0};
	struct name n;

	(void)state;
	/* 126 labels of one octet from 12 on, the root at 264; behind it a label and a pointer to the first. */
	for (size_t at = 12; at < 264; at += 2)
		message[at] = 1;
	memcpy(message + 265, "\001a\300\014", 4);
	assert_int_equal(name_unpack(&n, message, sizeof(message), 265), 269);
	assert_int_equal(n.len, 255);
	assert_int_equal(n.labels, 127);
	memcpy(message + 265, "\002aa\300\014", 5);
	assert_int_equal(name_unpack(&n, message, sizeof(message), 265), -EBADMSG);
	assert_int_equal(name_skip(message, sizeof(message), 265), -EBADMSG);
}

static void within_is_judged_on_label_boundaries(void **state)
{
	static const struct {
		const char *name, *zone;
		bool within;
	} rows[] = {
		{"\003www\007example\003com", "\007example\003com", true},
		{"\007example\003com", "\007example\003com", true},
		{"\003com", "\007example\003com", false},
		{"\012badexample\003com", "\007example\003com", false},
		{"\003www\007example\003org", "\007example\003com", false},
		{"\003www\007example\003com", "", true},
		{"", "", true},
		{"", "\003com", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct name n = name_of(rows[i].name), zone = name_of(rows[i].zone);
		assert_int_equal(name_is_within(&n, &zone), rows[i].within);
	}
	/* The octets end alike, the labels do not. */
	struct name n = name_of("\007abc\003com"), zone = name_of("\003com");
	assert_false(name_is_within(&n, &zone));
}

static void equality_ignores_case_and_nothing_else(void **state)
{
	struct name a = name_of("\003WWW\003com"), b = name_of("\003www\003COM"), c = name_of("\003wwx\003com"),
		    d = name_of("\003www");

	(void)state;
	assert_true(name_equal(&a, &b));
	assert_false(name_equal(&a, &c));
	assert_false(name_equal(&a, &d));
	/* '@' and '`', '[' and '{' differ by the same bit as 'A' and 'a'. */
	a = name_of("\002@[");
	b = name_of("\002`{");
	assert_false(name_equal(&a, &b));
}

static void spelling_is_compared_without_letter_case(void **state)
{
	struct sample s = {7};
	uint8_t octets[NAME_MAX_OCTETS], other[NAME_MAX_OCTETS];
	struct name n;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		size_t len = sample_name(&s, octets);
		assert_int_equal(name_read(&n, octets, len), len);
		uint8_t *exact = sample_exact(octets, len);
		assert_true(name_spells(&n, exact));
		size_t at = sample_below(&s, (uint32_t)len);
		memcpy(other, octets, len);
		other[at] ^= (uint8_t)(1u << sample_below(&s, 8));
		assert_int_equal(name_spells(&n, other), isalpha(octets[at]) && (other[at] ^ octets[at]) == 0x20);
		free(exact);
	}
}

static void letter_case_follows_the_bits(void **state)
{
	struct name n = name_of("\003www\007ex-mp1e\003com");
	uint8_t out[NAME_MAX_OCTETS];

	(void)state;
	name_write_cased(&n, 0, out);
	assert_memory_equal(out, n.octets, n.len);
	name_write_cased(&n, UINT64_MAX, out);
	assert_memory_equal(out, "\003WWW\007EX-MP1E\003COM", n.len);
	/* Digits, hyphens and lengths are not counted: bit 5 is the m, bit 7 the second e, bit 8 the c. */
	name_write_cased(&n, 1 << 0 | 1 << 5 | 1 << 7 | 1 << 8, out);
	assert_memory_equal(out, "\003Www\007ex-Mp1E\003Com", n.len);
}

static void bits_come_round_after_64_letters(void **state)
{
	char text[] = "\077aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\004aaaa";
	struct name n = name_of(text);
	uint8_t out[NAME_MAX_OCTETS];

	(void)state;
	name_write_cased(&n, 1 | UINT64_C(1) << 63, out);
	for (size_t i = 0; i < n.len; i++)
		assert_int_equal(out[i] == 'A', i == 1 || i == 65 || i == 66);
}

static void name_matches_what_was_written_and_no_other_case(void **state)
{
	struct sample s = {11};
	uint8_t octets[NAME_MAX_OCTETS];
	struct name n;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		size_t len = sample_name(&s, octets);
		uint64_t bits = (uint64_t)sample_u32(&s) << 32 | sample_u32(&s);
		assert_int_equal(name_read(&n, octets, len), len);
		name_write_cased(&n, bits, octets);
		assert_true(name_spells(&n, octets));
		assert_true(name_matches_cased(&n, bits, octets));
		octets[sample_below(&s, (uint32_t)len)] ^= (uint8_t)(1u << sample_below(&s, 8));
		assert_false(name_matches_cased(&n, bits, octets));
	}
}

/* Whatever name_unpack accepts in damaged messages, ldns reads as the same name and ends at the same place. */
static bool agree_on(const uint8_t *message, size_t len, size_t at)
{
	struct name n;
	ldns_rdf *rdf = NULL;
	size_t pos = at;
	int after = name_unpack(&n, message, len, at);

	assert_int_equal(name_skip(message, len, at), after);
	if (after < 0)
		return false;
	assert_int_equal(ldns_wire2dname(&rdf, message, len, &pos), LDNS_STATUS_OK);
	assert_int_equal(pos, after);
	assert_int_equal(ldns_rdf_size(rdf), n.len);
	assert_true(name_spells(&n, ldns_rdf_data(rdf)));
	ldns_rdf_deep_free(rdf);
	return true;
}

static void ldns_reads_every_accepted_name_alike(void **state)
{
	struct sample s = {13};
	uint8_t message[1024];
	int accepted = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = DNS_HEADER_BYTES, starts[4];
		memset(message, 0, len);
		for (size_t i = 0; i < 4; i++) {
			starts[i] = len;
			len += sample_name(&s, message + len);
			/* Instead of the root often a pointer to an earlier name, or into one. */
			if (i > 0 && sample_below(&s, 4) > 0) {
				size_t to = starts[sample_below(&s, (uint32_t)i)];
				dns_put16(message + len - 1, (uint16_t)(0xc000 | to));
				len++;
			}
		}
		if (round % 2)
			sample_damage(&s, message, &len, sizeof(message));
		uint8_t *exact = sample_exact(message, len);
		for (size_t i = 0; i < 4; i++)
			accepted += agree_on(exact, len, starts[i]);
		free(exact);
	}
	assert_in_range(accepted, 40000, 80000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_is_read_in_lower_case_with_its_labels),
		cmocka_unit_test(root_is_one_octet_without_labels),
		cmocka_unit_test(name_of_every_length_is_read_whole_and_refused_when_cut),
		cmocka_unit_test(name_of_256_octets_is_refused),
		cmocka_unit_test(other_label_types_and_pointers_are_refused_in_a_question),
		cmocka_unit_test(only_a_to_z_change_their_case),
		cmocka_unit_test(pointers_are_followed_backwards),
		cmocka_unit_test(pointer_that_does_not_go_backwards_is_refused),
		cmocka_unit_test(pointer_into_the_header_is_refused),
		cmocka_unit_test(pointer_cut_in_half_is_refused),
		cmocka_unit_test(pointers_to_pointers_end_at_a_number),
		cmocka_unit_test(unpacked_name_may_have_255_octets_and_not_more),
		cmocka_unit_test(within_is_judged_on_label_boundaries),
		cmocka_unit_test(equality_ignores_case_and_nothing_else),
		cmocka_unit_test(spelling_is_compared_without_letter_case),
		cmocka_unit_test(letter_case_follows_the_bits),
		cmocka_unit_test(bits_come_round_after_64_letters),
		cmocka_unit_test(name_matches_what_was_written_and_no_other_case),
		cmocka_unit_test(ldns_reads_every_accepted_name_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
