/* SPDX-License-Identifier: Apache-2.0 */
#include "config/resolv.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "load.h"

static char first[] = "/tmp/r53fwd-resolv-1-XXXXXX", second[] = "/tmp/r53fwd-resolv-2-XXXXXX";
static const char *const paths[] = {"/nonexistent/resolv.conf", first, second, NULL};

static int make_files(void **state)
{
	(void)state;
	close(mkstemp(first));
	close(mkstemp(second));
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(first);
	unlink(second);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* With these texts in both files and `own` as our one address: the path taken, and the servers. */
static void expect(const char *text, const char *next_text, const char *own, const char *path, const char *servers)
{
	char all[RESOLV_MAX_SERVERS * ADDR_TEXT_MAX], one[ADDR_TEXT_MAX];
	struct strbuf joined;
	struct resolv r;
	struct addr a;

	write_file(first, text);
	write_file(second, next_text);
	assert_int_equal(addr_parse(&a, own, 53), 0);
	resolv_read(&r, paths, &a, 1);
	strbuf_init(&joined, all, sizeof(all));
	for (size_t i = 0; i < r.count; i++)
		strbuf_addf(&joined, "%s%s", i > 0 ? " " : "", addr_format(&r.servers[i], one));
	assert_string_equal(all, servers);
	assert_ptr_equal(r.path, path);
}

static void nameserver_lines_are_taken_in_order(void **state)
{
	(void)state;
	expect("# a comment\nsearch corp.example\nnameserver 10.0.0.2\nnameserver\t10.0.0.3 # behind\noptions edns0\n", "", "127.0.0.1",
	       first, "10.0.0.2:53 10.0.0.3:53");
	expect("nameserver 2001:db8::1\r\nnameserver fe80::1%lo", "", "127.0.0.1", first, "[2001:db8::1]:53 [fe80::1%lo]:53");
}

static void what_does_not_parse_is_skipped(void **state)
{
	(void)state;
	expect(" nameserver 10.0.0.1\n#nameserver 10.0.0.1\n;nameserver 10.0.0.1\nnameserver\nnameserver \nnameservers 10.0.0.1\n"
	       "nameserver 10.0.0\nnameserver 10.0.0.1:5353\nnameserver [::1]\nnameserver fe80::1%nosuchif\nnameserver x\n"
	       "nameserver 10.0.0.9\n",
	       "", "127.0.0.1", first, "10.0.0.9:53");
}

static void a_server_named_twice_is_taken_once(void **state)
{
	(void)state;
	expect("nameserver 10.0.0.2\nnameserver 10.0.0.2\n", "", "127.0.0.1", first, "10.0.0.2:53");
}

static void we_are_not_our_own_upstream(void **state)
{
	(void)state;
	expect("nameserver 127.0.0.1\nnameserver 10.0.0.2\n", "", "127.0.0.1", first, "10.0.0.2:53");
	expect("nameserver 127.0.0.1\n", "nameserver 10.0.0.3\n", "127.0.0.1", second, "10.0.0.3:53");
	expect("nameserver 127.0.0.1\n", "nameserver 127.0.0.1\n", "127.0.0.1", NULL, "");
	expect("nameserver 127.0.0.53\n", "nameserver 10.0.0.3\n", "0.0.0.0", second, "10.0.0.3:53");
	expect("nameserver ::1\n", "nameserver 10.0.0.3\n", "::", second, "10.0.0.3:53");
	expect("nameserver 0.0.0.0\n", "nameserver 10.0.0.3\n", "127.0.0.1", second, "10.0.0.3:53");
}

static void someone_else_on_this_host_is_an_upstream(void **state)
{
	(void)state;
	expect("nameserver 127.0.0.53\n", "", "127.0.0.1", first, "127.0.0.53:53");
	expect("nameserver 127.0.0.1\n", "", "127.0.0.1:5353", first, "127.0.0.1:53");
	expect("nameserver 127.0.0.1\n", "", "[::]:53", first, "127.0.0.1:53");
}

static void a_file_without_servers_is_passed_over(void **state)
{
	(void)state;
	expect("search x\n", "nameserver 10.0.0.3\n", "127.0.0.1", second, "10.0.0.3:53");
}

static void the_number_of_servers_is_bounded(void **state)
{
	char text[4096];
	struct strbuf s;

	(void)state;
	strbuf_init(&s, text, sizeof(text));
	for (unsigned i = 1; i <= 20; i++)
		strbuf_addf(&s, "nameserver 10.0.0.%u\n", i);
	expect(text, "", "127.0.0.1", first,
	       "10.0.0.1:53 10.0.0.2:53 10.0.0.3:53 10.0.0.4:53 10.0.0.5:53 10.0.0.6:53 10.0.0.7:53 10.0.0.8:53");
}

static void the_size_of_a_file_is_bounded(void **state)
{
	char *text = malloc(100000);

	(void)state;
	/* The bound falls into the address of the last line: half an address must not be taken for one. */
	memset(text, '#', 65536 - 21);
	snprintf(text + 65536 - 22, 64, "\nnameserver 10.0.0.123\nnameserver 10.0.0.2\n");
	expect(text, "nameserver 10.0.0.3\n", "127.0.0.1", second, "10.0.0.3:53");
	free(text);
}

static void the_environment_can_name_the_file(void **state)
{
	(void)state;
	unsetenv("R53FWD_RESOLV_CONF");
	assert_string_equal(resolv_paths()[0], "/run/r53fwd/resolv.conf");
	assert_string_equal(resolv_paths()[3], "/etc/resolv.conf");
	assert_null(resolv_paths()[4]);
	setenv("R53FWD_RESOLV_CONF", "/some/where", 1);
	assert_string_equal(resolv_paths()[0], "/some/where");
	assert_null(resolv_paths()[1]);
	unsetenv("R53FWD_RESOLV_CONF");
}

/* An address of this host that is not loopback; false without one. */
static bool find_own_address(char text[INET_ADDRSTRLEN])
{
	struct ifaddrs *all = NULL;
	bool found = false;

	assert_int_equal(getifaddrs(&all), 0);
	for (const struct ifaddrs *i = all; i != NULL && !found; i = i->ifa_next) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)i->ifa_addr;
		found = in != NULL && in->sin_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 != 127;
		if (found)
			inet_ntop(AF_INET, &in->sin_addr, text, INET_ADDRSTRLEN);
	}
	freeifaddrs(all);
	return found;
}

static void a_wildcard_is_every_address_of_this_host(void **state)
{
	char ip[INET_ADDRSTRLEN], text[64], expected[64];

	(void)state;
	expect("nameserver 203.0.113.53\n", "", "0.0.0.0", first, "203.0.113.53:53");
	if (!find_own_address(ip))
		skip();
	snprintf(text, sizeof(text), "nameserver %s\n", ip);
	expect(text, "nameserver 10.0.0.3\n", "0.0.0.0", second, "10.0.0.3:53");
	/* Somebody else may serve there where we do not. */
	snprintf(expected, sizeof(expected), "%s:53", ip);
	expect(text, "", "127.0.0.1", first, expected);
	expect(text, "", "::", first, expected);
}

static void a_text_may_name_any_server(void **state)
{
	struct resolv r;
	char one[ADDR_TEXT_MAX];

	(void)state;
	resolv_read_text(&r, "nameserver 127.0.0.1\n#nameserver 10.0.0.9\nnameserver fd00::2");
	assert_int_equal(r.count, 2);
	assert_string_equal(addr_format(&r.servers[0], one), "127.0.0.1:53");
	assert_string_equal(addr_format(&r.servers[1], one), "[fd00::2]:53");
	assert_null(r.path);
	resolv_read_text(&r, "");
	assert_int_equal(r.count, 0);
}

static void lists_are_the_same_if_their_servers_and_order_are(void **state)
{
	struct resolv a = {.path = "a", .count = 2}, b = {.path = "b", .count = 2};

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(addr_parse(&a.servers[i], i == 0 ? "10.0.0.1" : "10.0.0.2", 53), 0);
		b.servers[i] = a.servers[i];
	}
	assert_true(resolv_same_servers(&a, &b));
	b.servers[0] = a.servers[1];
	b.servers[1] = a.servers[0];
	assert_false(resolv_same_servers(&a, &b));
	b = a;
	b.count = 1;
	assert_false(resolv_same_servers(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nameserver_lines_are_taken_in_order),	    cmocka_unit_test(what_does_not_parse_is_skipped),
		cmocka_unit_test(a_server_named_twice_is_taken_once),	    cmocka_unit_test(we_are_not_our_own_upstream),
		cmocka_unit_test(someone_else_on_this_host_is_an_upstream), cmocka_unit_test(a_file_without_servers_is_passed_over),
		cmocka_unit_test(the_number_of_servers_is_bounded),	    cmocka_unit_test(the_size_of_a_file_is_bounded),
		cmocka_unit_test(the_environment_can_name_the_file),
		cmocka_unit_test(a_wildcard_is_every_address_of_this_host),
		cmocka_unit_test(a_text_may_name_any_server),
		cmocka_unit_test(lists_are_the_same_if_their_servers_and_order_are),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
