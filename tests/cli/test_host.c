/* SPDX-License-Identifier: Apache-2.0 */
#include "pretend.h"
#include "scripted.h"

#include "cli/host.h"

#include <errno.h>

static struct host host;
static struct addr listen_at[2];

static struct addr address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text, 53), 0);
	return a;
}

/* A socket on a free port of 127.0.0.1, and where that is. */
static int bound(struct addr *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*a = address("127.0.0.1:1");
	addr_set_port(a, 0);
	assert_int_equal(bind(fd, &a->sa, addr_len(a)), 0);
	assert_int_equal(getsockname(fd, &a->sa, &len), 0);
	return fd;
}

static void look(const char *control, size_t count)
{
	struct config c = {.listen = listen_at, .listen_count = count};

	host_init(&host, &c, control);
}

static void is_ours(const char *text, bool expected)
{
	struct addr a = address(text);

	if (host_is_ours(&host, &a) != expected)
		fail_msg("%s", text);
}

static void free_port_is_listened_at_and_given_back(void **state)
{
	(void)state;
	int fd = bound(&listen_at[0]);
	close(fd);
	look(NULL, 1);
	assert_int_equal(host.listen_error[0], 0);
	assert_int_equal(host.ear_count, 1);
	host_deinit(&host);
	look(NULL, 1);
	assert_int_equal(host.ear_count, 1);
	host_deinit(&host);
}

static void taken_port_is_an_error_even_for_the_same_user(void **state)
{
	int on = 1;

	(void)state;
	int fd = bound(&listen_at[0]);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	look(NULL, 1);
	assert_int_equal(host.listen_error[0], EADDRINUSE);
	assert_int_equal(host.ear_count, 0);
	host_deinit(&host);
	close(fd);
}

static const char *version;

/* A TXT record with `version`, to whatever is asked. */
static size_t tells_its_version(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	uint8_t text[64];

	(void)s;
	(void)len;
	(void)tcp;
	assert_int_equal(q->class, DNS_CLASS_CH);
	text[0] = (uint8_t)strlen(version);
	memcpy(text + 1, version, text[0]);
	return scripted_record(out, scripted_header(q, 0, out), DNS_TYPE_TXT, 0, text, text[0] + 1u);
}

static void our_own_kind_at_the_port_is_recognised(void **state)
{
	static const struct {
		const char *says, *version;
	} kinds[] = {{"r53fwd 9.9", "9.9"}, {"r53fwd \033[31m", ""}, {"unbound 1.17.1", NULL}, {"r53fwd", NULL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		version = kinds[i].says;
		struct scripted *s = scripted_new("127.0.0.1", tells_its_version, true, false);
		listen_at[0] = s->addr;
		look(NULL, 1);
		assert_int_equal(host.daemon, kinds[i].version != NULL);
		assert_false(host.told);
		assert_int_equal(host.control_error, ENOENT);
		assert_string_equal(host.version, kinds[i].version ? kinds[i].version : "");
		host_deinit(&host);
		scripted_free(s);
	}
}

static void address_of_another_host_is_not_available(void **state)
{
	(void)state;
	listen_at[0] = address("192.0.2.1:5300");
	look(NULL, 1);
	assert_int_equal(host.listen_error[0], EADDRNOTAVAIL);
	host_deinit(&host);
}

static void running_daemon_is_asked_and_its_ports_left_alone(void **state)
{
	struct pretend *p = pretend_new("{\"version\": \"9.9\", \"uptime_seconds\": 7.5, \"metrics\": {\"r53fwd_loops_total\": 3}}");

	(void)state;
	int fd = bound(&listen_at[0]);
	look(p->path, 1);
	assert_true(host.daemon);
	assert_int_equal(host.control_error, 0);
	assert_string_equal(host.version, "9.9");
	assert_int_equal(host.uptime_s, 7);
	assert_int_equal(host.loops, 3);
	assert_int_equal(host.listen_error[0], 0);
	assert_int_equal(host.ear_count, 0);
	host_deinit(&host);
	close(fd);
	pretend_free(p);
}

static void what_is_no_daemon_is_not_taken_for_one(void **state)
{
	struct pretend *p = pretend_new("hello");

	(void)state;
	int fd = bound(&listen_at[0]);
	close(fd);
	look(p->path, 1);
	assert_false(host.daemon);
	host_deinit(&host);
	look("/nonexistent/control.sock", 1);
	assert_false(host.daemon);
	host_deinit(&host);
	pretend_free(p);
}

static void ours_is_where_we_listen(void **state)
{
	(void)state;
	listen_at[0] = address("127.0.0.1:5300");
	look(NULL, 1);
	is_ours("127.0.0.1:5300", true);
	is_ours("127.0.0.1:53", false);
	is_ours("127.0.0.2:5300", false);
	host_deinit(&host);
}

static void wildcard_is_every_address_of_this_host(void **state)
{
	struct addr interface = address("10.10.2.10");

	(void)state;
	host = (struct host){.listen = listen_at, .listen_count = 2, .interfaces = &interface, .interface_count = 1};
	listen_at[0] = address("0.0.0.0:53");
	listen_at[1] = address("10.1.1.1:5300");
	is_ours("127.0.0.53", true);
	is_ours("10.10.2.10", true);
	is_ours("10.10.2.10:54", false);
	is_ours("10.10.2.11", false);
	is_ours("[::1]:53", false);
	is_ours("10.1.1.1:5300", true);
}

static void this_hosts_own_addresses_are_known(void **state)
{
	struct addr loopback = address("127.0.0.1");
	bool found = false;

	(void)state;
	look(NULL, 0);
	for (size_t i = 0; i < host.interface_count; i++)
		found = found || addr_equal_ip(&host.interfaces[i], &loopback);
	assert_true(found);
	host_deinit(&host);
}

/* What programs read holds ourselves; what local upstreams come from does not. */
static void resolv_conf_is_read_for_both_purposes(void **state)
{
	char path[] = "/tmp/r53fwd-host-XXXXXX";
	static const char text[] = "nameserver 127.0.0.1\nnameserver 192.168.0.2\n";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	setenv("R53FWD_RESOLV_CONF", path, 1);
	listen_at[0] = address("127.0.0.1:53");
	look(NULL, 1);
	assert_int_equal(host.programs.count, 2);
	assert_int_equal(host.local.count, 1);
	assert_string_equal(host.programs_path, path);
	host_deinit(&host);
	unsetenv("R53FWD_RESOLV_CONF");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_port_is_listened_at_and_given_back),
		cmocka_unit_test(taken_port_is_an_error_even_for_the_same_user),
		cmocka_unit_test(our_own_kind_at_the_port_is_recognised),
		cmocka_unit_test(address_of_another_host_is_not_available),
		cmocka_unit_test(running_daemon_is_asked_and_its_ports_left_alone),
		cmocka_unit_test(what_is_no_daemon_is_not_taken_for_one),
		cmocka_unit_test(ours_is_where_we_listen),
		cmocka_unit_test(wildcard_is_every_address_of_this_host),
		cmocka_unit_test(this_hosts_own_addresses_are_known),
		cmocka_unit_test(resolv_conf_is_read_for_both_purposes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
