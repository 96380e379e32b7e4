/* SPDX-License-Identifier: Apache-2.0 */
#include "messages.h"

#include <string.h>

#include "wire/answer_spell.h"

/* wWw.eXample.cOm as asked, A; the records as they come. */
static const uint8_t head[] = "\x12\x34\x81\x80\0\1\0\0\0\0\0\0\3wWw\7eXample\3cOm\0\0\1\0\1";

static uint8_t message[512], lowered[512];
static size_t len;
static struct answer a;

static void begin(void)
{
	memcpy(message, head, sizeof(head) - 1);
	len = sizeof(head) - 1;
}

static void add(const char *octets, size_t count)
{
	memcpy(message + len, octets, count);
	len += count;
	message[7]++;
}
#define ADD(octets) add(octets, sizeof(octets) - 1)

static bool lower(void)
{
	assert_int_equal(answer_read(&a, message, len), ANSWER_OK);
	bool any = answer_spell_lower(&a, NULL);
	memcpy(lowered, message, len);
	assert_int_equal(answer_spell_lower(&a, lowered), any);
	assert_memory_equal(lowered, message, sizeof(head) - 1); /* the question is spelled by others */
	return any;
}

static bool holds(const char *octets, size_t count)
{
	return memmem(lowered + sizeof(head) - 1, len - (sizeof(head) - 1), octets, count) != NULL;
}
#define HOLDS(octets) holds(octets, sizeof(octets) - 1)

static void owners_that_copy_the_question_are_lowered(void **state)
{
	(void)state;
	begin();
	ADD("\3wWw\7eXample\3cOm\0\0\1\0\1\0\0\0\x3c\0\4\12\1\2\3");
	assert_true(lower());
	assert_true(HOLDS("\3www\7example\3com\0"));
}

/* As BIND makes it from a DNAME: our label, then the DNAME's target. */
static void targets_of_cnames_are_lowered_as_far_as_they_copy_it(void **state)
{
	(void)state;
	begin();
	ADD("\xc0\14\0\5\0\1\0\0\0\x3c\0\16\3wWw\3New\4tEst\0");
	assert_true(lower());
	assert_true(HOLDS("\3www\3New\4tEst\0"));
}

static void what_is_spelled_by_the_server_stays(void **state)
{
	(void)state;
	begin();
	ADD("\xc0\14\0\5\0\1\0\0\0\x3c\0\6\3WWW\xc0\20");
	ADD("\3WWW\xc0\20\0\1\0\1\0\0\0\x3c\0\4\12\1\2\3");
	ADD("\3WWW\xc0\20\0\20\0\1\0\0\0\x3c\0\4\3wWw"); /* a text is no name */
	assert_false(lower());
	assert_memory_equal(lowered, message, len);
}

static void small_letters_are_nothing_to_do(void **state)
{
	(void)state;
	begin();
	memcpy(message + 12, "\3www\7example\3com", 16);
	ADD("\3www\7example\3com\0\0\1\0\1\0\0\0\x3c\0\4\12\1\2\3");
	assert_int_equal(answer_read(&a, message, len), ANSWER_OK);
	assert_false(answer_spell_lower(&a, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners_that_copy_the_question_are_lowered),
		cmocka_unit_test(targets_of_cnames_are_lowered_as_far_as_they_copy_it),
		cmocka_unit_test(what_is_spelled_by_the_server_stays),
		cmocka_unit_test(small_letters_are_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
