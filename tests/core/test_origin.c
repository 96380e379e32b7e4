/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../wire/messages.h"
#include "core/origin.h"

static enum origin judge(const char *answer, const char *authority, struct name *server)
{
	static struct answer a;
	static struct message m;

	message_from_text(&m, "corp.example", DNS_TYPE_NS, answer, authority);
	assert_int_equal(answer_read(&a, m.octets, m.len), ANSWER_OK);
	return origin_of(&a, server);
}

static void is_server(const struct name *server, const char *first_label)
{
	assert_int_equal(server->octets[0], strlen(first_label));
	assert_memory_equal(server->octets + 1, first_label, strlen(first_label));
}

static void each_reserved_server_is_private(void **state)
{
	static const char *const servers[] = {"ns-0.awsdns-00.com", "NS-512.awsdns-00.NET", "ns-1024.awsdns-00.org",
					      "ns-1536.awsdns-00.co.uk"};
	char record[128];
	struct name server;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		snprintf(record, sizeof(record), "corp.example. 60 IN NS %s.", servers[i]);
		assert_int_equal(judge(record, NULL, &server), ORIGIN_PRIVATE);
	}
}

static void one_reserved_server_among_others_is_private(void **state)
{
	struct name server;

	(void)state;
	assert_int_equal(judge("corp.example. 60 IN NS mine.example.\ncorp.example. 60 IN NS ns-512.awsdns-00.net.", NULL, &server),
			 ORIGIN_PRIVATE);
	is_server(&server, "ns-512");
}

static void other_servers_are_elsewhere_and_the_first_is_named(void **state)
{
	struct name server;

	(void)state;
	assert_int_equal(judge("corp.example. 60 IN NS one.example.\ncorp.example. 60 IN NS two.example.", NULL, &server),
			 ORIGIN_ELSEWHERE);
	is_server(&server, "one");
}

static void names_that_only_look_reserved_are_elsewhere(void **state)
{
	static const char *const servers[] = {"ns-0.awsdns-01.com", "ns-0.awsdns-00.com.example", "ns-1.awsdns-00.com",
					      "x.ns-0.awsdns-00.com"};
	char record[128];
	struct name server;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		snprintf(record, sizeof(record), "corp.example. 60 IN NS %s.", servers[i]);
		assert_int_equal(judge(record, NULL, &server), ORIGIN_ELSEWHERE);
	}
}

static void soa_of_a_negative_answer_tells_too(void **state)
{
	struct name server;

	(void)state;
	assert_int_equal(judge(NULL, "corp.example. 60 IN SOA ns-1536.awsdns-00.co.uk. h.example. 1 2 3 4 5", &server), ORIGIN_PRIVATE);
	assert_int_equal(judge(NULL, "example. 60 IN SOA a.gtld-servers.net. h.example. 1 2 3 4 5", &server), ORIGIN_ELSEWHERE);
	is_server(&server, "a");
}

static void answer_that_names_nobody_tells_nothing(void **state)
{
	struct name server = {.len = 77};

	(void)state;
	assert_int_equal(judge(NULL, NULL, &server), ORIGIN_UNKNOWN);
	assert_int_equal(server.len, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reserved_server_is_private),
		cmocka_unit_test(one_reserved_server_among_others_is_private),
		cmocka_unit_test(other_servers_are_elsewhere_and_the_first_is_named),
		cmocka_unit_test(names_that_only_look_reserved_are_elsewhere),
		cmocka_unit_test(soa_of_a_negative_answer_tells_too),
		cmocka_unit_test(answer_that_names_nobody_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
