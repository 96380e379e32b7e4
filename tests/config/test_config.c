/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <unistd.h>

#include "config/yaml.h"
#include "load.h"

/* The file of the contract with the users, without the keys that are yet to come. */
static const char contract[] =
	"listen: [127.0.0.1:53, \"[::1]:53\"]          # default; UDP and TCP on each\n"
	"workers: auto\n"
	"allow-from: [127.0.0.0/8, \"::1/128\", 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, \"fc00::/7\", \"fe80::/10\"]\n"
	"\n"
	"inbound-endpoints:\n"
	"  seoul:\n"
	"    addresses:\n"
	"      - {ip: 10.10.1.10, az: apne2-az1}     # or plain: 10.10.1.10\n"
	"      - {ip: 10.10.2.10, az: apne2-az2}\n"
	"      - {ip: 10.10.3.10, az: apne2-az3}\n"
	"    port: 53\n"
	"    transport: udp\n"
	"    policy: spread\n"
	"    prefer-az: apne2-az1\n"
	"    max-qps: 10000\n"
	"    source-ports: 512\n"
	"    case-randomization: on\n"
	"    hedge: auto\n"
	"    hedge-budget: 10%\n"
	"    probe: {interval: 2s, fall: 3, rise: 2}\n"
	"  tokyo:\n"
	"    addresses: [10.20.1.10, 10.20.2.10]\n"
	"\n"
	"resolvers:\n"
	"  ad: {addresses: [192.168.10.10, 192.168.10.11], policy: ordered}\n"
	"\n"
	"zones:\n"
	"  - {name: corp.example.internal, to: seoul}\n"
	"  - {name: [a.internal, b.internal], to: [seoul, tokyo]}\n"
	"  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, ssmmessages, ec2messages, s3, kms, sns, ecr.api, ecr.dkr]}, to: "
	"seoul}\n"
	"  - {reverse: 10.20.0.0/14, to: seoul}\n"
	"  - {name: corp.local, to: ad}\n"
	"  - {name: legacy.corp.example.internal, to: local}\n"
	"  - {name: db.example.com, to: seoul}\n"
	"\n"
	"local-upstreams: [192.168.0.2, 192.168.0.3]\n"
	"\n"
	"cache:\n"
	"  size: 64MiB\n"
	"  min-ttl: 0s\n"
	"  max-ttl: 1d\n"
	"  negative-max-ttl: 60s\n"
	"  prefetch: 10%\n"
	"  serve-stale: 1d\n"
	"  stale-after: 1.8s\n"
	"\n"
	"tcp: {idle: 10s, connections: 1000, per-client: 100}\n"
	"http: 127.0.0.1:9553\n"
	"control: /run/r53fwd/control.sock\n"
	"log: {level: info, format: text, queries: off}\n";

static void the_file_of_the_contract_loads(void **state)
{
	struct config *c = load_good(contract);

	(void)state;
	assert_int_equal(c->endpoint_count, 4);
	assert_int_equal(c->zone_count, 3 + 10 + 4 + 3);
	assert_int_equal(c->listen_count, 2);
	assert_int_equal(c->allow_from_count, 8);
	assert_false(c->listen_default);
	assert_false(c->local_from_resolv);
	config_free(c);
}

static void an_empty_list_of_zones_is_enough(void **state)
{
	struct config *c = load_good("zones: []\n");
	char text[CIDR_TEXT_MAX], address[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(c->zone_count, 0);
	assert_int_equal(c->endpoint_count, 1);
	assert_true(c->listen_default);
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(addr_format(&c->listen[0], address), "127.0.0.1:53");
	assert_string_equal(addr_format(&c->listen[1], address), "[::1]:53");
	assert_int_equal(c->allow_from_count, 8);
	assert_string_equal(cidr_format(&c->allow_from[3], text), "100.64.0.0/10");
	assert_int_equal(c->top.workers, 0);
	assert_int_equal(c->cache.size_bytes, 64 << 20);
	assert_int_equal(c->cache.stale_after_us, 1800000);
	assert_int_equal(c->cache.prefetch_pm, 100);
	assert_int_equal(c->tcp.connections, 1000);
	assert_int_equal(c->log.level, LOG_INFO);
	config_free(c);
}

static void a_file_without_zones_is_an_error(void **state)
{
	(void)state;
	expect_problems("", "z: the file is empty\n");
	expect_problems("# nothing\n", "z: the file is empty\n");
	expect_problems("---\n", "z: the file is empty\n");
	expect_problems("workers: 2\n", "z: `zones` is missing; it may be an empty list: zones: []\n");
	expect_problems("{}\n", "z: `zones` is missing; it may be an empty list: zones: []\n");
	expect_problems("zones:\n", "z:1:7: `zones` must be a list, not nothing\n");
}

static void all_problems_are_reported_in_one_go(void **state)
{
	(void)state;
	expect_problems("zones: [{name: a, to: b}]\nworkers: 0\nworker: 1\nlisten: []\n",
			"z:1:23: no endpoint is called `b`\n"
			"z:2:10: `workers` must be auto or a number from 1 to 64, not `0`\n"
			"z:3:1: unknown key `worker` in the file (did you mean `workers`?)\n"
			"z:4:9: `listen` must not be empty\n");
}

static void a_syntax_error_is_reported_alone(void **state)
{
	(void)state;
	expect_problems("worker: 1\nzones: [\n", "z:3:1: not valid YAML: did not find expected node content (while parsing a flow node "
						 "that begins in line 3)\n");
}

static void listen_takes_addresses_each_once(void **state)
{
	static const char expected[] = "must be an address (IP, IP:PORT or [IP6]:PORT), not";
	char text[512];

	(void)state;
	snprintf(text, sizeof(text),
		 "z:2:21: `127.0.0.1:53` is given twice in `listen`\nz:2:37: %s `localhost`\nz:2:48: %s `1.2.3.4:0`\nz:2:59: %s a map\n",
		 expected, expected, expected);
	expect_problems("zones: []\nlisten: [127.0.0.1, \"127.0.0.1:53\", localhost, 1.2.3.4:0, {ip: 1.2.3.4}]\n", text);
	expect_effective("zones: []\nlisten: [0.0.0.0, \"[::]\", \"127.0.0.1:5353\"]\n",
			 "listen: [0.0.0.0:53, \"[::]:53\", 127.0.0.1:5353]\n");
}

static void allow_from_takes_networks(void **state)
{
	(void)state;
	expect_problems("zones: []\nallow-from: []\n", "z:2:13: `allow-from` must not be empty\n");
	expect_problems("zones: []\nallow-from: [10.0.0.1/8, 10.0.0.0/40, office, [a]]\n",
			"z:2:14: `10.0.0.1/8` has host bits set (did you mean `10.0.0.0/8`?)\n"
			"z:2:26: must be a network (IP/BITS) or an IP address, not `10.0.0.0/40`\n"
			"z:2:39: must be a network (IP/BITS) or an IP address, not `office`\n"
			"z:2:47: must be a network (IP/BITS) or an IP address, not a list\n");
	expect_effective("zones: []\nallow-from: [192.0.2.7, \"2001:db8::1\", 0.0.0.0/0]\n",
			 "allow-from: [192.0.2.7/32, \"2001:db8::1/128\", 0.0.0.0/0]\n");
}

static void ttls_must_leave_room_between_them(void **state)
{
	(void)state;
	expect_problems("zones: []\ncache: {min-ttl: 10m, max-ttl: 5m}\n", "z:2:18: `min-ttl` is greater than `max-ttl`\n");
	expect_problems("zones: []\ncache:\n  max-ttl: 5m\n  min-ttl: 10m\n", "z:4:12: `min-ttl` is greater than `max-ttl`\n");
	expect_effective("zones: []\ncache: {min-ttl: 5m, max-ttl: 5m}\n", "  min-ttl: 5m\n  max-ttl: 5m\n");
}

static void the_cache_is_kept_in_a_file_whose_path_has_a_slash(void **state)
{
	(void)state;
	expect_problems("zones: []\ncache: {persist: off}\n",
			"z:2:18: `persist` must be a path, such as /var/lib/r53fwd/cache; leave it out to keep nothing\n");
	expect_effective("zones: []\ncache: {persist: ./cache, persist-interval: 90s}\n",
			 "  persist: ./cache\n  persist-interval: 90s\n");
}

static void http_is_an_address_and_its_host_a_name(void **state)
{
	struct config *c = load_good("zones: []\n");

	(void)state;
	assert_null(c->top.http);
	assert_null(c->top.http_host);
	config_free(c);
	expect_effective("zones: []\nhttp: '[::1]'\nhttp-host: dns.example\n", "http-host: dns.example\n");
	expect_problems("zones: []\nhttp: localhost\n",
			"z:2:7: `http` must be an address (IP, IP:PORT or [IP6]:PORT), not `localhost`; leave it out for none\n");
	expect_problems("zones: []\nhttp: off\nhttp-host: 'a..b'\n",
			"z:2:7: `http` must be an address (IP, IP:PORT or [IP6]:PORT), not `off`; leave it out for none\n"
			"z:3:12: `http-host` must be a domain name (letters, digits, `-`, `_` and dots; no `-` first), not `a..b`\n");
}

/* What check takes is what the daemon gives to r53fwd-http, and what that takes. */
static void a_host_is_nothing_that_a_program_could_take_for_something_else(void **state)
{
	static const char *const good[] = {"a", "dns.example", "DNS_1.example.", "a-b", "1.a"};
	static const char *const bad[] = {"", ".", "-foo.com", "x/y@z", "a b", "[::1]", "a\nb", "a..b", "\xec\x84\x9c", "a:80"};
	char longest[CONFIG_MAX_HOST + 2] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(config_is_host(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(config_is_host(bad[i]));
	for (size_t i = 0; i < CONFIG_MAX_HOST; i++)
		longest[i] = i % 2 == 0 ? 'a' : '.';
	assert_true(config_is_host(longest));
	longest[CONFIG_MAX_HOST] = '.';
	assert_false(config_is_host(longest));
	expect_problems("zones: []\nhttp-host: -foo.com\n",
			"z:2:12: `http-host` must be a domain name (letters, digits, `-`, `_` and dots; no `-` first), not `-foo.com`\n");
}

static void http_is_not_where_dns_is_answered(void **state)
{
	static const char sentence[] = "`http` must not be where DNS is answered:";
	char expected[200];

	(void)state;
	snprintf(expected, sizeof(expected), "z:3:7: %s 127.0.0.1:9553 is taken by `listen` (127.0.0.1:9553)\n", sentence);
	expect_problems("zones: []\nlisten: [192.0.2.1, 127.0.0.1:9553]\nhttp: 127.0.0.1\n", expected);
	snprintf(expected, sizeof(expected), "z:3:7: %s 127.0.0.1:53 is taken by `listen` (0.0.0.0:53)\n", sentence);
	expect_problems("zones: []\nlisten: [0.0.0.0]\nhttp: 127.0.0.1:53\n", expected);
	snprintf(expected, sizeof(expected), "z:2:7: %s [::]:53 is taken by `listen` ([::1]:53)\n", sentence);
	expect_problems("zones: []\nhttp: '[::]:53'\n", expected);
	config_free(load_good("zones: []\nlisten: [0.0.0.0, 127.0.0.1:9554]\nhttp: 127.0.0.1:9553\n"));
	config_free(load_good("zones: []\nlisten: [192.0.2.1, '[::]:53']\nhttp: 127.0.0.1:53\n"));
}

static void control_fits_a_socket_address(void **state)
{
	struct config *c = load_good("zones: []\n");
	char text[256];

	(void)state;
	assert_string_equal(c->top.control, "/run/r53fwd/control.sock");
	assert_true(c->control_default);
	config_free(c);
	snprintf(text, sizeof(text), "zones: []\ncontrol: /%0106d\n", 0);
	c = load_good(text);
	assert_int_equal(strlen(c->top.control), 107);
	assert_false(c->control_default);
	config_free(c);
	snprintf(text, sizeof(text), "zones: []\ncontrol: /%0107d\n", 0);
	expect_problems(text, "z:2:10: `control` is longer than the 107 octets that a socket's path may have\n");
	expect_problems("zones: []\ncontrol: off\n",
			"z:2:10: `control` must be a path, such as /run/r53fwd/control.sock; there is always a control socket\n");
	config_free(load_good("zones: []\ncontrol: ./r53fwd.sock\n"));
}

static void the_digest_tells_whether_a_file_has_changed(void **state)
{
	char path[] = "/tmp/r53fwd-digest-XXXXXX";
	int fd = mkstemp(path);
	struct diagnostics d;
	uint64_t before, after;

	(void)state;
	assert_int_equal(write(fd, "zones: []\n", 10), 10);
	diagnostics_init(&d);
	struct config *c = config_load(path, &d);
	assert_non_null(c);
	assert_int_equal(config_read_digest(path, &before), 0);
	assert_true(c->digest == before);
	assert_int_equal(write(fd, "#\n", 2), 2);
	assert_int_equal(config_read_digest(path, &after), 0);
	assert_true(after != before);
	assert_int_equal(config_read_digest("/nowhere/zones.conf", &after), -ENOENT);
	config_free(c);
	diagnostics_deinit(&d);
	close(fd);
	unlink(path);
}

/* What config_read_control finds in a file with this text. */
static void expect_control(const char *text, int error, const char *expected)
{
	char path[] = "/tmp/r53fwd-config-XXXXXX";
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	char *control;
	assert_int_equal(config_read_control(path, &control), error);
	assert_string_equal(control, expected);
	free(control);
	unlink(path);
}

static void control_is_found_in_a_file_that_is_wrong(void **state)
{
	static const char standard[] = "/run/r53fwd/control.sock";

	(void)state;
	expect_control("zones: []\ncontrol: /a/b.sock\n", 0, "/a/b.sock");
	expect_control("zone: 1\ncontrol: b.sock\nworkers: many\n", 0, "b.sock");
	expect_control("", 0, standard);
	expect_control("- a list\n", 0, standard);
	expect_control("control: [x]\n", -EINVAL, standard);
	expect_control("control: ''\n", -EINVAL, standard);
	expect_control("control: ${R53FWD_TEST_UNSET}\n", -EINVAL, standard);
	/* No YAML at all. */
	expect_control("zones: [\ncontrol: '/a/b.sock' # ours\n", 0, "/a/b.sock");
	expect_control("control: /a/b.sock\nzones:\n\t- x\n", 0, "/a/b.sock");
	expect_control("zones: [\ncontrol: /a/b.sock", 0, "/a/b.sock");
	expect_control("zones: [\n", 0, standard);
	expect_control("control: [no yaml\n", -EINVAL, standard);
	char *control;
	assert_int_equal(config_read_control("/nowhere/zones.conf", &control), -ENOENT);
	assert_string_equal(control, standard);
	free(control);
}

/* The default one may be another daemon's. */
static void control_that_a_file_seems_to_say_is_not_the_default(void **state)
{
	static const char *const unclear[] = {
		"  control: /a/b.sock\n", "\"control\": /a/b.sock\n", "'control': /a/b.sock\n", "control : /a/b.sock\n",
		"{workers: 1, control: /a/b.sock}\n", "{\"control\":/a/b.sock}\n", "? control\n: /a/b.sock\n", "&a control: /a/b.sock\n",
		"\xef\xbb\xbf" "control: /a/b.sock\n", "\tcontrol:\t/a/b.sock", "workers: 1\rcontrol: /a/b.sock\r",
	};
	static const char *const nothing[] = {
		"# control: /a/b.sock\n", "\t # \"control\": /a/b.sock\n", "access-control: x\n", "persist: /a/control.x: y\n", "control\n",
		"controls: x\n", "# the control socket\n", "control", "no-control", "",
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unclear); i++) {
		snprintf(text, sizeof(text), "%szones: [\n", unclear[i]);
		expect_control(text, -EBADMSG, "/run/r53fwd/control.sock");
		snprintf(text, sizeof(text), "zones: [\n%s", unclear[i]);
		expect_control(text, -EBADMSG, "/run/r53fwd/control.sock");
	}
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
		snprintf(text, sizeof(text), "zones: [\n%s", nothing[i]);
		expect_control(text, 0, "/run/r53fwd/control.sock");
	}
}

static void the_environment_fills_in_values(void **state)
{
	(void)state;
	setenv("R53FWD_TEST_ADDRESS", "192.0.2.53", 1);
	expect_effective("zones: []\nlocal-upstreams: [\"${R53FWD_TEST_ADDRESS}:5353\"]\n", "local-upstreams: [192.0.2.53:5353]\n");
}

static void the_whole_file_may_stand_in_the_environment(void **state)
{
	struct diagnostics d;

	(void)state;
	unsetenv(CONFIG_INLINE);
	assert_string_equal(config_default_path("/a"), "/a");
	setenv(CONFIG_INLINE, "", 1);
	assert_string_equal(config_default_path("/a"), "/a");
	setenv("R53FWD_TEST_ADDRESS", "192.0.2.53", 1);
	setenv(CONFIG_INLINE, "zones: []\ncontrol: /a/b.sock\nlocal-upstreams: ['${R53FWD_TEST_ADDRESS}']\n", 1);
	assert_string_equal(config_default_path("/a"), CONFIG_INLINE);
	diagnostics_init(&d);
	struct config *c = config_load(CONFIG_INLINE, &d);
	assert_non_null(c);
	assert_int_equal(d.count, 0);
	assert_int_equal(c->endpoints[0].count, 1);
	config_free(c);
	char *control;
	assert_int_equal(config_read_control(CONFIG_INLINE, &control), 0);
	assert_string_equal(control, "/a/b.sock");
	free(control);
	setenv(CONFIG_INLINE, "zones: []\nwrong: 1\n", 1);
	assert_null(config_load(CONFIG_INLINE, &d));
	assert_int_equal(d.errors, 1);
	assert_int_equal(d.rows[0].line, 2);
	diagnostics_deinit(&d);
	unsetenv(CONFIG_INLINE);
}

static void an_environment_that_holds_nothing_cannot_be_loaded(void **state)
{
	struct diagnostics d;

	(void)state;
	unsetenv(CONFIG_INLINE);
	diagnostics_init(&d);
	assert_null(config_load(CONFIG_INLINE, &d));
	assert_int_equal(d.count, 1);
	assert_string_equal(d.rows[0].sentence, "cannot be read: No such file or directory");
	diagnostics_deinit(&d);
	char *text = calloc(1, YAML_MAX_BYTES + 2);
	memset(text, '#', YAML_MAX_BYTES + 1);
	setenv(CONFIG_INLINE, text, 1);
	free(text);
	diagnostics_init(&d);
	assert_null(config_load(CONFIG_INLINE, &d));
	assert_string_equal(d.rows[0].sentence, "the file is larger than 16 MiB");
	diagnostics_deinit(&d);
	unsetenv(CONFIG_INLINE);
}

static void the_callers_listen_stands_for_the_files(void **state)
{
	char path[] = "/tmp/r53fwd-config-XXXXXX", text[ADDR_TEXT_MAX];
	static const char file[] = "zones: []\nlisten: [127.0.0.1]\nlocal-upstreams: [127.0.0.1]\n";
	struct diagnostics d;
	struct addr listen;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, file, strlen(file)), strlen(file));
	close(fd);
	assert_int_equal(addr_parse(&listen, "127.0.0.1:5300", 53), 0);
	diagnostics_init(&d);
	struct config *c = config_load_listening(path, &listen, 1, &d);
	assert_non_null(c);
	assert_int_equal(d.count, 0);
	assert_int_equal(c->listen_count, 1);
	assert_false(c->listen_default);
	assert_string_equal(addr_format(&c->listen[0], text), "127.0.0.1:5300");
	config_free(c);
	/* The file alone would ask itself. */
	assert_null(config_load(path, &d));
	assert_int_equal(d.errors, 1);
	assert_int_equal(d.rows[0].line, 3);
	assert_int_equal(d.rows[0].column, 19);
	diagnostics_deinit(&d);
	unlink(path);
}

static void a_file_that_cannot_be_read_is_an_error_without_a_place(void **state)
{
	static const char *const pairs[][2] = {{"/nonexistent/zones.conf", "cannot be read: No such file or directory"},
					       {"/tmp", "cannot be read: Is a directory"}};
	struct diagnostics d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		diagnostics_init(&d);
		assert_null(config_load(pairs[i][0], &d));
		assert_int_equal(d.count, 1);
		assert_int_equal(d.rows[0].line, 0);
		assert_string_equal(d.rows[0].sentence, pairs[i][1]);
		diagnostics_deinit(&d);
	}
}

static void a_huge_file_is_refused(void **state)
{
	char path[] = "/tmp/r53fwd-config-XXXXXX";
	struct diagnostics d;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(ftruncate(fd, YAML_MAX_BYTES + 1), 0);
	close(fd);
	diagnostics_init(&d);
	assert_null(config_load(path, &d));
	assert_int_equal(d.count, 1);
	assert_string_equal(d.rows[0].sentence, "the file is larger than 16 MiB");
	diagnostics_deinit(&d);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_of_the_contract_loads),
		cmocka_unit_test(an_empty_list_of_zones_is_enough),
		cmocka_unit_test(a_file_without_zones_is_an_error),
		cmocka_unit_test(all_problems_are_reported_in_one_go),
		cmocka_unit_test(a_syntax_error_is_reported_alone),
		cmocka_unit_test(listen_takes_addresses_each_once),
		cmocka_unit_test(allow_from_takes_networks),
		cmocka_unit_test(ttls_must_leave_room_between_them),
		cmocka_unit_test(the_cache_is_kept_in_a_file_whose_path_has_a_slash),
		cmocka_unit_test(http_is_an_address_and_its_host_a_name),
		cmocka_unit_test(a_host_is_nothing_that_a_program_could_take_for_something_else),
		cmocka_unit_test(http_is_not_where_dns_is_answered),
		cmocka_unit_test(control_fits_a_socket_address),
		cmocka_unit_test(control_is_found_in_a_file_that_is_wrong),
		cmocka_unit_test(control_that_a_file_seems_to_say_is_not_the_default),
		cmocka_unit_test(the_environment_fills_in_values),
		cmocka_unit_test(the_whole_file_may_stand_in_the_environment),
		cmocka_unit_test(an_environment_that_holds_nothing_cannot_be_loaded),
		cmocka_unit_test(the_callers_listen_stands_for_the_files),
		cmocka_unit_test(a_file_that_cannot_be_read_is_an_error_without_a_place),
		cmocka_unit_test(the_digest_tells_whether_a_file_has_changed),
		cmocka_unit_test(a_huge_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
