/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h> /* before ldns, which makes a bool of its own otherwise */
#include <ldns/ldns.h>
#include <string.h>

#include "sample.h"
#include "wire/edns.h"

/* Type, class 4096, TTL with rcode bits 1, version 2, DO; rdlength is the caller's. */
static const uint8_t fixed[] = {0, 41, 0x10, 0, 1, 2, 0x80, 0, 0, 0};

static int read_options(struct edns *e, const uint8_t *options, size_t len)
{
	uint8_t octets[512];

	memcpy(octets, fixed, sizeof(fixed));
	memcpy(octets + sizeof(fixed), options, len);
	uint8_t *exact = sample_exact(octets, sizeof(fixed) + len);
	int read = edns_read(e, exact, len);
	free(exact);
	return read;
}

static void fixed_part_is_read(void **state)
{
	struct edns e = {0};

	(void)state;
	assert_int_equal(edns_read(&e, fixed, 0), 0);
	assert_true(e.present);
	assert_true(e.dnssec_ok);
	assert_int_equal(e.udp_bytes, 4096);
	assert_int_equal(e.rcode_upper, 1);
	assert_int_equal(e.version, 2);
}

static void sizes_below_512_are_read_as_512(void **state)
{
	static const uint16_t rows[][2] = {{0, 512}, {511, 512}, {512, 512}, {513, 513}, {65535, 65535}};
	uint8_t octets[sizeof(fixed)];
	struct edns e;

	(void)state;
	memcpy(octets, fixed, sizeof(fixed));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		dns_put16(octets + 2, rows[i][0]);
		assert_int_equal(edns_read(&e, octets, 0), 0);
		assert_int_equal(e.udp_bytes, rows[i][1]);
	}
}

static void reserved_flags_are_ignored(void **state)
{
	uint8_t octets[sizeof(fixed)];
	struct edns e;

	(void)state;
	memcpy(octets, fixed, sizeof(fixed));
	dns_put16(octets + 6, 0x7fff);
	assert_int_equal(edns_read(&e, octets, 0), 0);
	assert_false(e.dnssec_ok);
}

static void options_must_fill_the_rdata_exactly(void **state)
{
	/* A cookie, a client subnet of IPv4, and an empty option. */
	static const uint8_t options[] =
		"\000\012\000\010abcdefgh\000\010\000\007\000\001\030\000\012\000\000\377\377\000\000";
	struct edns e;

	(void)state;
	for (size_t len = 0; len < sizeof(options); len++) {
		bool whole = len == 0 || len == 12 || len == 23 || len == 27;
		e.present = false;
		assert_int_equal(read_options(&e, options, len), whole ? 0 : -EBADMSG);
		assert_int_equal(e.present, whole);
	}
	assert_int_equal(read_options(&e, (const uint8_t *)"\000\012\377\377a", 5), -EBADMSG);
}

/* Writes into memory of exactly `room` bytes; returns what was written as text of the extended error, "" when there is
 * none. */
static size_t write_opt(size_t room, enum dns_ede ede, const char *ede_text, char out[EDNS_EDE_TEXT_MAX + 1])
{
	uint8_t *octets = malloc(room > 0 ? room : 1);
	struct edns e;

	assert_non_null(octets);
	size_t len = edns_write(octets, room, true, DNS_BADVERS, ede, ede_text);
	assert_true(len <= room);
	out[0] = '\0';
	if (len > 0) {
		assert_int_equal(dns_get16(octets + 9), len - EDNS_OPT_BYTES);
		assert_int_equal(edns_read(&e, octets + 1, len - EDNS_OPT_BYTES), 0);
		assert_true(e.dnssec_ok && e.version == 0 && e.rcode_upper == 1 && e.udp_bytes == DNS_UDP_BYTES);
	}
	if (len > EDNS_OPT_BYTES) {
		assert_int_equal(dns_get16(octets + 11), 15);
		assert_int_equal(dns_get16(octets + 15), ede);
		memcpy(out, octets + 17, len - 17);
		out[len - 17] = '\0';
	}
	free(octets);
	return len;
}

static void bare_opt_takes_eleven_bytes(void **state)
{
	static const uint8_t bare[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
	uint8_t out[EDNS_OPT_MAX];

	(void)state;
	assert_int_equal(edns_write(out, sizeof(out), false, DNS_NXDOMAIN, DNS_EDE_NONE, "unheard"), EDNS_OPT_BYTES);
	assert_memory_equal(out, bare, sizeof(bare));
	for (size_t room = 0; room < EDNS_OPT_BYTES; room++)
		assert_int_equal(edns_write(out, room, false, 0, DNS_EDE_OTHER, "a"), 0);
}

static void error_without_room_or_text_is_left_out_or_bare(void **state)
{
	char text[EDNS_EDE_TEXT_MAX + 1];

	(void)state;
	for (size_t room = 11; room < 17; room++)
		assert_int_equal(write_opt(room, DNS_EDE_STALE_ANSWER, "stale", text), 11);
	assert_int_equal(write_opt(17, DNS_EDE_STALE_ANSWER, "stale", text), 17);
	assert_int_equal(write_opt(100, DNS_EDE_STALE_ANSWER, NULL, text), 17);
	assert_int_equal(write_opt(100, DNS_EDE_OTHER, "", text), 17);
}

static void text_is_cut_between_words(void **state)
{
	static const struct {
		size_t room; /* for the text */
		const char *text;
	} rows[] = {{20, "seoul: az1  silent"},
		    {18, "seoul: az1  silent"},
		    {17, "seoul: az1"},
		    {12, "seoul: az1"},
		    {11, "seoul: az1"},
		    {10, "seoul: az1"},
		    {9, "seoul:"},
		    {6, "seoul:"},
		    {5, ""},
		    {0, ""}};
	char text[EDNS_EDE_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = write_opt(17 + rows[i].room, DNS_EDE_NO_REACHABLE_AUTHORITY, "seoul: az1  silent", text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(len, 17 + strlen(text));
	}
}

static void text_is_never_longer_than_its_maximum(void **state)
{
	char long_text[600], text[EDNS_EDE_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(long_text); i++)
		long_text[i] = i % 7 == 6 ? ' ' : 'x';
	long_text[sizeof(long_text) - 1] = '\0';
	assert_true(write_opt(1000, DNS_EDE_OTHER, long_text, text) <= EDNS_OPT_MAX);
	assert_in_range(strlen(text), EDNS_EDE_TEXT_MAX - 7, EDNS_EDE_TEXT_MAX);
	assert_int_equal(text[strlen(text) - 1], 'x');
	long_text[EDNS_EDE_TEXT_MAX] = '\0';
	memset(long_text, 'x', EDNS_EDE_TEXT_MAX);
	assert_int_equal(write_opt(1000, DNS_EDE_OTHER, long_text, text), EDNS_OPT_MAX);
	for (size_t room = 0; room < 300; room++)
		write_opt(room, DNS_EDE_OTHER, long_text, text);
}

static void ldns_reads_what_was_written(void **state)
{
	uint8_t message[DNS_HEADER_BYTES + EDNS_OPT_MAX] = {0};
	ldns_pkt *packet = NULL;

	(void)state;
	message[11] = 1;
	size_t len = edns_write(message + 12, EDNS_OPT_MAX, true, DNS_BADVERS, DNS_EDE_PROHIBITED, "not from here");
	assert_int_equal(ldns_wire2pkt(&packet, message, 12 + len), LDNS_STATUS_OK);
	assert_true(ldns_pkt_edns(packet));
	assert_true(ldns_pkt_edns_do(packet));
	assert_int_equal(ldns_pkt_edns_udp_size(packet), DNS_UDP_BYTES);
	assert_int_equal(ldns_pkt_edns_extended_rcode(packet), 1);
	assert_int_equal(ldns_rdf_size(ldns_pkt_edns_data(packet)), 6 + strlen("not from here"));
	ldns_pkt_free(packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_part_is_read),
		cmocka_unit_test(sizes_below_512_are_read_as_512),
		cmocka_unit_test(reserved_flags_are_ignored),
		cmocka_unit_test(options_must_fill_the_rdata_exactly),
		cmocka_unit_test(bare_opt_takes_eleven_bytes),
		cmocka_unit_test(error_without_room_or_text_is_left_out_or_bare),
		cmocka_unit_test(text_is_cut_between_words),
		cmocka_unit_test(text_is_never_longer_than_its_maximum),
		cmocka_unit_test(ldns_reads_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
