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
#include "wire/text.h"

static struct name name_of_text(const char *text)
{
	struct name n;

	assert_int_equal(text_read_name(&n, text), 0);
	return n;
}

static void names_are_printed_without_the_final_dot(void **state)
{
	static const char *const rows[][2] = {
		{"www.example.com", "www.example.com"},
		{"WWW.Example.COM.", "www.example.com"},
		{".", "."},
		{"*.a-b._tcp.c", "*.a-b._tcp.c"},
		{"0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"},
		{"a\\.b.c", "a\\046b.c"},
		{"a\\046b.c", "a\\046b.c"},
		{"\\000\\255", "\\000\\255"},
		{"\\097\\065", "aa"},
		{"a=b", "a=b"},
		{"@", "\\064"},
	};
	char text[TEXT_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct name n = name_of_text(rows[i][0]);
		assert_string_equal(text_name(&n, text), rows[i][1]);
	}
}

static void no_octet_is_printed_as_more_than_itself(void **state)
{
	char text[TEXT_NAME_MAX];
	struct name n;

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t octets[] = {1, (uint8_t)c, 0};
		assert_int_equal(name_read(&n, octets, 3), 3);
		text_name(&n, text);
		if (strlen(text) == 1)
			assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_*/=", text[0]));
		else
			assert_true(text[0] == '\\' && strlen(text) == 4 && strspn(text + 1, "0123456789") == 3);
	}
}

static void longest_name_fits_its_text(void **state)
{
	uint8_t octets[NAME_MAX_OCTETS];
	char text[TEXT_NAME_MAX];
	struct name n;

	(void)state;
	memset(octets, 0xff, sizeof(octets));
	octets[0] = octets[64] = octets[128] = 63;
	octets[192] = 61;
	octets[254] = 0;
	assert_int_equal(name_read(&n, octets, sizeof(octets)), 255);
	assert_int_equal(strlen(text_name(&n, text)), 4 * 250 + 3);
	struct name again = name_of_text(text);
	assert_true(name_equal(&n, &again));
}

static void every_name_is_read_back_as_it_was_printed(void **state)
{
	struct sample s = {3};
	uint8_t octets[NAME_MAX_OCTETS];
	char text[TEXT_NAME_MAX];
	struct name n;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		size_t len = sample_name(&s, octets);
		assert_int_equal(name_read(&n, octets, len), len);
		struct name again = name_of_text(text_name(&n, text));
		assert_true(name_equal(&n, &again));
		/* What ldns prints is read as the same name, too, unless it holds what only ldns leaves bare. */
		ldns_rdf *rdf = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, len, octets);
		char *printed = ldns_rdf2str(rdf);
		again = name_of_text(printed);
		assert_true(name_equal(&n, &again));
		free(printed);
		ldns_rdf_deep_free(rdf);
	}
}

static void what_is_no_name_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"..",
		".a",
		"a..b",
		"a b",
		" a",
		"a\t",
		"a\n",
		"a\\",
		"\\25",
		"\\256",
		"\\300",
		"caf\xc3\xa9",
		"a\x7f",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	char text[2 * TEXT_NAME_MAX];
	struct name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(text_read_name(&n, rows[i]), -EINVAL);
	for (size_t i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "a.", 2);
	text[254] = '\0';
	assert_int_equal(text_read_name(&n, text), 0);
	assert_int_equal(n.len, 255);
	text[254] = 'a';
	text[255] = '\0';
	assert_int_equal(text_read_name(&n, text), -EINVAL);
	text[255] = '.';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(text_read_name(&n, text), -EINVAL);
}

static void types_are_printed_by_name_or_by_number(void **state)
{
	static const struct {
		uint16_t type;
		const char *text;
	} rows[] = {{1, "A"},      {28, "AAAA"},         {41, "OPT"},         {64, "SVCB"}, {65, "HTTPS"},
		    {250, "TSIG"}, {251, "IXFR"},        {252, "AXFR"},       {255, "ANY"}, {257, "CAA"},
		    {0, "TYPE0"},  {65280, "TYPE65280"}, {65535, "TYPE65535"}};
	char text[TEXT_TYPE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(text_type(rows[i].type, text), rows[i].text);
		assert_int_equal(text_read_type(rows[i].text), rows[i].type);
	}
}

static void every_type_is_read_back_as_it_was_printed(void **state)
{
	char text[TEXT_TYPE_MAX];

	(void)state;
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		assert_int_equal(text_read_type(text_type((uint16_t)type, text)), type);
		snprintf(text, sizeof(text), "type%u", type);
		assert_int_equal(text_read_type(text), type);
	}
}

static void types_are_read_in_any_case_and_nonsense_is_refused(void **state)
{
	static const char *const rows[] = {"",       "BOGUS",  "AA",     "TYPE",      "TYPEx",      "TYPE-1",
					   "TYPE+1", "TYPE 1", "TYPE1x", "TYPE65536", "TYPE000065", "TYPE99999999999",
					   "A ",     " A",     "1",      "TYPE0x1"};

	(void)state;
	assert_int_equal(text_read_type("a"), 1);
	assert_int_equal(text_read_type("Aaaa"), 28);
	assert_int_equal(text_read_type("TyPe65"), 65);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(text_read_type(rows[i]), -EINVAL);
}

static void rcodes_have_iana_names_or_numbers(void **state)
{
	char text[TEXT_TYPE_MAX];

	(void)state;
	assert_string_equal(text_rcode(0, text), "NOERROR");
	assert_string_equal(text_rcode(1, text), "FORMERR");
	assert_string_equal(text_rcode(2, text), "SERVFAIL");
	assert_string_equal(text_rcode(3, text), "NXDOMAIN");
	assert_string_equal(text_rcode(4, text), "NOTIMP");
	assert_string_equal(text_rcode(5, text), "REFUSED");
	assert_string_equal(text_rcode(16, text), "BADVERS");
	assert_string_equal(text_rcode(17, text), "RCODE17");
	assert_string_equal(text_rcode(15, text), "RCODE15");
	assert_string_equal(text_rcode(4095, text), "RCODE4095");
}

/* An answer with a TXT record that holds an escape sequence and a tab. */
static const uint8_t message[] = "\022\064\201\200\000\001\000\001\000\000\000\000"
				 "\001a\004test\000\000\020\000\001"
				 "\300\014\000\020\000\001\000\000\000\074\000\007\006\033[31m\t";

static void message_is_printed_for_people_and_safely(void **state)
{
	char *text = text_message(message, sizeof(message) - 1);

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "opcode: QUERY, rcode: NOERROR, id: 4660"));
	assert_non_null(strstr(text, "a.test.\t60\tIN\tTXT\t\"\\027[31m"));
	assert_null(strchr(text, '\033'));
	/* Nothing of a transport or of a time that nobody measured. */
	assert_null(strstr(text, "WHEN"));
	assert_null(strstr(text, "Query time"));
	assert_null(strstr(text, "SERVER"));
	free(text);
}

static void message_that_does_not_parse_has_no_text(void **state)
{
	(void)state;
	assert_null(text_message(message, 20));
	assert_null(text_message(message, 0));
}

static void damaged_messages_are_printed_without_control_characters(void **state)
{
	struct sample s = {5};
	uint8_t octets[128];
	int printed = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		size_t len = sizeof(message) - 1;
		memcpy(octets, message, len);
		sample_damage(&s, octets, &len, sizeof(octets));
		char *text = text_message(octets, len);
		if (!text)
			continue;
		printed++;
		for (const char *c = text; *c != '\0'; c++)
			assert_true((*c >= ' ' && *c <= '~') || *c == '\n' || *c == '\t');
		free(text);
	}
	assert_true(printed > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_printed_without_the_final_dot),
		cmocka_unit_test(no_octet_is_printed_as_more_than_itself),
		cmocka_unit_test(longest_name_fits_its_text),
		cmocka_unit_test(every_name_is_read_back_as_it_was_printed),
		cmocka_unit_test(what_is_no_name_is_refused),
		cmocka_unit_test(types_are_printed_by_name_or_by_number),
		cmocka_unit_test(every_type_is_read_back_as_it_was_printed),
		cmocka_unit_test(types_are_read_in_any_case_and_nonsense_is_refused),
		cmocka_unit_test(rcodes_have_iana_names_or_numbers),
		cmocka_unit_test(message_is_printed_for_people_and_safely),
		cmocka_unit_test(message_that_does_not_parse_has_no_text),
		cmocka_unit_test(damaged_messages_are_printed_without_control_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
