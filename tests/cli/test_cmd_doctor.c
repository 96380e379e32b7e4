/* SPDX-License-Identifier: Apache-2.0 */
/* The whole command, with servers of the test's own; what it prints is caught. */
#include "pretend.h"
#include "scripted.h"

#include <jansson.h>

static struct pretend *caught;
static char conf_path[64];

/* Listens where nobody does. */
static void write_conf(const struct scripted *first, const struct scripted *second, const char *zones)
{
	struct scripted *nobody = scripted_new("127.0.0.9", scripted_private, false, false);
	char texts[3][ADDR_TEXT_MAX];
	FILE *file = fopen(conf_path, "w");

	assert_non_null(file);
	fprintf(file,
		"listen: ['%s']\ncontrol: /nonexistent/control.sock\ninbound-endpoints:\n"
		"  seoul: {addresses: [{ip: '%s', az: az1}, {ip: '%s', az: az2}]}\nlocal-upstreams: ['%s']\nzones:\n%s",
		addr_format(&nobody->addr, texts[2]), addr_format(&first->addr, texts[0]), addr_format(&second->addr, texts[1]), texts[0],
		zones);
	fclose(file);
	scripted_free(nobody);
}

static int doctor(bool json)
{
	return pretend_command(caught, cmd_doctor,
			       (struct cli){.command = "doctor", .zones_path = conf_path, .json = json, .control = "/nonexistent/c"});
}

static const char corp[] = "  - {name: corp.test, to: seoul}\n";

static size_t public(struct scripted *s, const struct question *q, size_t len, bool tcp, uint8_t *out)
{
	(void)s;
	(void)len;
	(void)tcp;
	return scripted_ns(q, 30, "ns1.example.net", out);
}

static void healthy_is_0_and_says_what_it_cost(void **state)
{
	struct scripted *a = scripted_new("127.0.0.1", scripted_private, true, true),
			*b = scripted_new("127.0.0.2", scripted_private, true, true);

	(void)state;
	write_conf(a, b, corp);
	assert_int_equal(doctor(false), CLI_OK);
	assert_non_null(strstr(caught->printed, "seoul  (inbound endpoint, 1 zone)"));
	assert_non_null(strstr(caught->printed, "UDP answers      TCP answers      RTT "));
	assert_non_null(strstr(caught->printed, "nothing is wrong"));
	assert_non_null(strstr(caught->printed, "0 problems, "));
	assert_non_null(strstr(caught->printed, " questions asked in "));
	assert_non_null(strstr(caught->printed, "to inbound endpoints (billed: 0.0000"));
	assert_null(strchr(caught->printed, '\033'));
	scripted_free(a);
	scripted_free(b);
}

static void problem_is_1_and_stands_below_its_endpoint(void **state)
{
	struct scripted *a = scripted_new("127.0.0.1", public, true, true), *b = scripted_new("127.0.0.2", public, true, false);

	(void)state;
	write_conf(a, b, corp);
	assert_int_equal(doctor(false), CLI_FAILED);
	const char *endpoint = strstr(caught->printed, "seoul  ("), *local = strstr(caught->printed, "local  (");
	const char *closed = strstr(caught->printed, "[tcp-closed]"), *detached = strstr(caught->printed, "[zone-detached]");
	assert_true(endpoint < closed && closed < detached && detached < local);
	assert_non_null(strstr(caught->printed, "ns1.example.net"));
	assert_non_null(strstr(caught->printed, "2 problems, "));
	scripted_free(a);
	scripted_free(b);
}

static void json_is_one_line_with_findings_and_measurements(void **state)
{
	struct scripted *a = scripted_new("127.0.0.1", scripted_private, true, true),
			*b = scripted_new("127.0.0.2", scripted_private, true, false);

	(void)state;
	write_conf(a, b, corp);
	assert_int_equal(doctor(true), CLI_FAILED);
	assert_ptr_equal(strchr(caught->printed, '\n'), caught->printed + strlen(caught->printed) - 1);
	json_t *o = json_loads(caught->printed, 0, NULL);
	assert_non_null(o);
	assert_true(json_is_false(json_object_get(o, "healthy")));
	assert_true(json_integer_value(json_object_get(o, "questions")) > 20);
	assert_true(json_integer_value(json_object_get(o, "billed_questions")) > 10);
	json_t *finding = json_array_get(json_object_get(o, "findings"), 0);
	assert_string_equal(json_string_value(json_object_get(finding, "id")), "tcp-closed");
	assert_string_equal(json_string_value(json_object_get(finding, "az")), "az2");
	json_t *seoul = json_array_get(json_object_get(o, "endpoints"), 0),
	       *address = json_array_get(json_object_get(seoul, "addresses"), 1);
	assert_string_equal(json_string_value(json_object_get(seoul, "name")), "seoul");
	assert_string_equal(json_string_value(json_object_get(address, "tcp")), "refused");
	assert_string_equal(json_string_value(json_object_get(json_object_get(address, "datagrams"), "1232")), "answers");
	assert_true(json_is_real(json_object_get(json_object_get(address, "rtt_ms"), "p95")));
	json_decref(o);
	scripted_free(a);
	scripted_free(b);
}

static void broken_file_is_1_and_asks_nobody(void **state)
{
	struct scripted *a = scripted_new("127.0.0.1", scripted_private, true, true);

	(void)state;
	write_conf(a, a, corp); /* the same address twice */
	assert_int_equal(doctor(false), CLI_FAILED);
	assert_non_null(strstr(caught->said, "is given twice in this endpoint"));
	assert_string_equal(caught->printed, "");
	assert_int_equal(atomic_load(&a->udp_queries), 0);
	scripted_free(a);
}

static int set_up(void **state)
{
	(void)state;
	caught = calloc(1, sizeof(*caught));
	snprintf(conf_path, sizeof(conf_path), "/tmp/r53fwd-doctor-%d.conf", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(conf_path);
	free(caught);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_is_0_and_says_what_it_cost),
		cmocka_unit_test(problem_is_1_and_stands_below_its_endpoint),
		cmocka_unit_test(json_is_one_line_with_findings_and_measurements),
		cmocka_unit_test(broken_file_is_1_and_asks_nobody),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
