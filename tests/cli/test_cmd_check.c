/* SPDX-License-Identifier: Apache-2.0 */
/* What `r53fwd check` prints: scripts read it, so it is held here to the letter. */
#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include "../config/load.h"

/* Runs the command with stdout and stderr in files; returns the exit status. */
static int run(const char *file, char **printed, char **said)
{
	char names[3][32] = {"/tmp/r53fwd-check-XXXXXX", "/tmp/r53fwd-check-XXXXXX", "/tmp/r53fwd-check-XXXXXX"};
	char **texts[] = {NULL, printed, said};
	int fds[3], kept[3];

	for (int i = 0; i < 3; i++)
		fds[i] = mkstemp(names[i]);
	assert_int_equal(write(fds[0], file, strlen(file)), strlen(file));
	fflush(stdout);
	fflush(stderr);
	for (int i = 1; i < 3; i++) {
		kept[i] = dup(i);
		dup2(fds[i], i);
	}
	int status = cmd_check(&(struct cli){.zones_path = names[0], .log_level = -1});
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 3; i++) {
		if (i > 0) {
			dup2(kept[i], i);
			close(kept[i]);
			*texts[i] = calloc(1, 65536);
			assert_true(pread(fds[i], *texts[i], 65535, 0) >= 0);
		}
		close(fds[i]);
		unlink(names[i]);
	}
	return status;
}

static void the_routing_table_is_printed(void **state)
{
	static const char file[] = "inbound-endpoints:\n"
				   "  seoul: {addresses: [{ip: 10.10.1.10, az: apne2-az1}, {ip: 10.10.2.10, az: apne2-az2}]}\n"
				   "resolvers:\n"
				   "  ad: {addresses: [192.168.10.10]}\n"
				   "zones:\n"
				   "  - {name: corp.example.internal, to: [seoul, ad]}\n"
				   "  - {name: legacy.corp.example.internal, to: local}\n"
				   "  - {vpc-endpoints: {region: ap-northeast-2, services: [ssm, ecr]}, to: seoul}\n"
				   "  - {reverse: 10.20.0.0/15, to: seoul}\n"
				   "local-upstreams: [192.168.0.2]\n";
	static const char expected[] =
		"Routes, the longest suffix first:\n"
		"  api.ecr.ap-northeast-2.amazonaws.com  seoul     line 8  (vpc-endpoints ap-northeast-2 ecr)\n"
		"  dkr.ecr.ap-northeast-2.amazonaws.com  seoul     line 8  (vpc-endpoints ap-northeast-2 ecr)\n"
		"  20.10.in-addr.arpa                    seoul     line 9  (reverse 10.20.0.0/15)\n"
		"  21.10.in-addr.arpa                    seoul     line 9  (reverse 10.20.0.0/15)\n"
		"  legacy.corp.example.internal          local     line 7\n"
		"  ssm.ap-northeast-2.amazonaws.com      seoul     line 8  (vpc-endpoints ap-northeast-2 ssm)\n"
		"  corp.example.internal                 seoul,ad  line 6\n"
		"  .                                     local     all other names\n"
		"\n"
		"Expanded:\n"
		"  line 8  vpc-endpoints ap-northeast-2 ssm -> ssm.ap-northeast-2.amazonaws.com\n"
		"  line 8  vpc-endpoints ap-northeast-2 ecr -> api.ecr.ap-northeast-2.amazonaws.com dkr.ecr.ap-northeast-2.amazonaws.com\n"
		"  line 9  reverse 10.20.0.0/15 -> 20.10.in-addr.arpa 21.10.in-addr.arpa\n"
		"\n"
		"Guards:\n"
		"  api.ecr.ap-northeast-2.amazonaws.com  warn     private\n"
		"  dkr.ecr.ap-northeast-2.amazonaws.com  warn     private\n"
		"  ssm.ap-northeast-2.amazonaws.com      warn     private\n"
		"\n"
		"Endpoints:\n"
		"  seoul  inbound-endpoint  line 2\n"
		"    10.10.1.10:53  apne2-az1\n"
		"    10.10.2.10:53  apne2-az2\n"
		"  ad  resolvers  line 4\n"
		"    192.168.10.10:53\n"
		"\n"
		"Local upstreams, line 10:\n"
		"  192.168.0.2:53\n"
		"\n"
		"Options in force:\n"
		"listen: [127.0.0.1:53, \"[::1]:53\"]\n"
		"workers: auto\n"
		"control: /run/r53fwd/control.sock\n"
		"sandbox: on\n"
		"allow-from: [127.0.0.0/8, ";
	char *printed, *said;

	(void)state;
	assert_int_equal(run(file, &printed, &said), 0);
	assert_string_equal(said, "");
	printed[strlen(expected)] = '\0';
	assert_string_equal(printed, expected);
	free(printed);
	free(said);
}

static void what_zones_are_held_to_is_printed(void **state)
{
	static const char file[] = "inbound-endpoints: {seoul: {addresses: [{ip: 10.10.1.10, az: a}, {ip: 10.10.2.10, az: b}]}}\n"
				   "zones:\n"
				   "  - {name: db.example.com, to: seoul, expect: [10.0.0.0/8, \"fd00::/8\"], guard: enforce, "
				   "keep-warm: [a.db.example.com]}\n"
				   "  - {name: forwarded.example, to: seoul, association: off, expect: private, guard: off}\n"
				   "  - {reverse: 10.0.0.0/8, to: seoul}\n"
				   "  - {name: ., to: seoul}\n"
				   "local-upstreams: [192.168.0.2]\n";
	static const char expected[] = "\n"
				       "Guards:\n"
				       "  db.example.com     enforce  [10.0.0.0/8, \"fd00::/8\"]\n"
				       "  forwarded.example  off      private\n"
				       "\n"
				       "Association not checked:\n"
				       "  forwarded.example\n"
				       "\n"
				       "Kept warm:\n"
				       "  a.db.example.com  line 3\n"
				       "\n"
				       "Endpoints:\n";
	char *printed, *said;

	(void)state;
	assert_int_equal(run(file, &printed, &said), 0);
	assert_non_null(strstr(printed, expected));
	free(printed);
	free(said);
}

static void a_routed_root_leaves_nothing_to_local(void **state)
{
	char *printed, *said;

	(void)state;
	assert_int_equal(run("zones: [{name: ., to: local}]\nlocal-upstreams: [192.0.2.1]\n", &printed, &said), 0);
	assert_non_null(strstr(printed, "\n  .     local  line 1\n\nLocal upstreams"));
	assert_null(strstr(printed, "all other names"));
	assert_null(strstr(printed, "Expanded"));
	assert_null(strstr(printed, "Endpoints"));
	free(printed);
	free(said);
}

static void local_upstreams_name_their_resolv_conf(void **state)
{
	char path[] = "/tmp/r53fwd-resolv-XXXXXX", expected[256];
	int fd = mkstemp(path);
	char *printed, *said;

	(void)state;
	setenv("R53FWD_RESOLV_CONF", path, 1);
	assert_int_equal(run("zones: []\n", &printed, &said), 0);
	assert_non_null(strstr(printed, "\nLocal upstreams: none; no resolv.conf names anyone but ourselves"));
	free(printed);
	free(said);
	assert_int_equal(write(fd, "nameserver 127.0.0.1\nnameserver 192.0.2.5\n", 42), 42);
	close(fd);
	assert_int_equal(run("zones: []\n", &printed, &said), 0);
	snprintf(expected, sizeof(expected), "\nLocal upstreams, from %s:\n  192.0.2.5:53\n\n", path);
	assert_non_null(strstr(printed, expected));
	free(printed);
	free(said);
	unsetenv("R53FWD_RESOLV_CONF");
	unlink(path);
}

static void warnings_do_not_fail(void **state)
{
	char *printed, *said;

	(void)state;
	assert_int_equal(run("zones: []\nresolvers: {a: {addresses: [192.0.2.1]}}\n", &printed, &said), 0);
	assert_non_null(strstr(said, ":2:13: warning: no zone goes to `a`\n"));
	assert_non_null(strstr(printed, "Options in force:\n"));
	free(printed);
	free(said);
}

static void errors_go_to_stderr_and_nothing_to_stdout(void **state)
{
	char *printed, *said;

	(void)state;
	assert_int_equal(run("zones: []\nworker: 1\n", &printed, &said), 1);
	assert_string_equal(printed, "");
	assert_int_equal(strncmp(said, "/tmp/r53fwd-check-", 18), 0);
	assert_non_null(strstr(said, ":2:1: unknown key `worker` in the file (did you mean `workers`?)\n"));
	free(printed);
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_routing_table_is_printed),
		cmocka_unit_test(what_zones_are_held_to_is_printed),
		cmocka_unit_test(a_routed_root_leaves_nothing_to_local),
		cmocka_unit_test(local_upstreams_name_their_resolv_conf),
		cmocka_unit_test(warnings_do_not_fail),
		cmocka_unit_test(errors_go_to_stderr_and_nothing_to_stdout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
