/* SPDX-License-Identifier: Apache-2.0 */
/* The command: files, standard input, exit status. What is made of their content has tests of its own. */
#include <fcntl.h>

#include "pretend.h"

static struct pretend *p;
static char good_path[64], bad_path[64];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	(void)state;
	p = calloc(1, sizeof(*p)); /* no daemon: only its catching of output */
	snprintf(good_path, sizeof(good_path), "/tmp/r53fwd-import-%d.json", (int)getpid());
	snprintf(bad_path, sizeof(bad_path), "/tmp/r53fwd-import-bad-%d.json", (int)getpid());
	write_file(good_path, "{\"IpAddresses\": [{\"Ip\": \"10.0.0.1\"}, {\"Ip\": \"10.0.0.2\"}]}");
	write_file(bad_path, "{\n \"a\"}");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(good_path);
	unlink(bad_path);
	free(p);
	return 0;
}

static int run(struct cli c, const char *first, const char *second)
{
	char *operands[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second};

	c.operands = operands;
	c.operand_count = first == NULL ? 0 : second == NULL ? 1 : 2;
	return pretend_command(p, cmd_import, c);
}

/* With the file at standard input. */
static int run_fed(const char *path, const char *operand)
{
	int kept = dup(STDIN_FILENO), fd = open(path, O_RDONLY);

	dup2(fd, STDIN_FILENO);
	int status = run((struct cli){.json = false}, operand, NULL);
	clearerr(stdin);
	dup2(kept, STDIN_FILENO);
	close(kept);
	close(fd);
	return status;
}

static void a_file_becomes_a_zones_conf_on_stdout(void **state)
{
	(void)state;
	assert_int_equal(run((struct cli){.json = false}, good_path, NULL), CLI_OK);
	assert_string_equal(p->printed, "# zones.conf, written by `r53fwd import`. Before it serves: r53fwd check --zones FILE\n"
					"\n"
					"inbound-endpoints:\n"
					"  inbound:\n"
					"    addresses:\n"
					"      - 10.0.0.1\n"
					"      - 10.0.0.2\n"
					"\n"
					"zones: []\n");
	assert_non_null(strstr(p->said, "written: 1 inbound endpoint with 2 addresses"));
	assert_non_null(strstr(p->said, "warning: no zone goes to `inbound`"));
}

static void endpoint_ids_are_passed_on(void **state)
{
	(void)state;
	assert_int_equal(run((struct cli){.endpoints = {"rslvr-in-1"}, .endpoint_count = 1}, good_path, NULL), CLI_OK);
	assert_non_null(strstr(p->printed, "  rslvr-in-1:  # rslvr-in-1\n"));
}

static void nothing_is_printed_when_one_file_is_broken(void **state)
{
	(void)state;
	assert_int_equal(run((struct cli){.json = false}, good_path, bad_path), CLI_FAILED);
	assert_string_equal(p->printed, "");
	assert_non_null(strstr(p->said, ".json:2:5: this is no JSON: "));
	assert_int_equal(run((struct cli){.json = false}, "/nowhere/x.json", bad_path), CLI_FAILED);
	assert_non_null(strstr(p->said, "/nowhere/x.json: cannot be read: No such file or directory\n"));
	assert_non_null(strstr(p->said, ".json:2:5: this is no JSON: "));
	assert_int_equal(run((struct cli){.json = false}, "/tmp", NULL), CLI_FAILED);
	assert_non_null(strstr(p->said, "/tmp: cannot be read: Is a directory\n"));
}

static void nothing_usable_is_said(void **state)
{
	(void)state;
	write_file(good_path, "{\"Something\": []}");
	assert_int_equal(run((struct cli){.json = false}, good_path, NULL), CLI_FAILED);
	assert_string_equal(p->printed, "");
	assert_non_null(strstr(p->said, "r53fwd: nothing was imported\n"));
}

static void standard_input_is_a_file_too(void **state)
{
	(void)state;
	assert_int_equal(run_fed(good_path, "-"), CLI_OK);
	assert_non_null(strstr(p->printed, "      - 10.0.0.2\n"));
	assert_int_equal(run_fed(good_path, NULL), CLI_OK);
	assert_non_null(strstr(p->printed, "      - 10.0.0.2\n"));
	assert_int_equal(run_fed(bad_path, "-"), CLI_FAILED);
	assert_non_null(strstr(p->said, "standard input:2:5: this is no JSON"));
}

static void too_many_remarks_are_counted(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("{\"IpAddresses\": [{\"Ip\": \"10.0.0.1\"}", out);
	for (int i = 0; i < 150; i++)
		fputs(", {}", out);
	fputs("]}", out);
	fclose(out);
	write_file(good_path, text);
	free(text);
	assert_int_equal(run((struct cli){.json = false}, good_path, NULL), CLI_OK);
	assert_non_null(strstr(p->said, "remarks more\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_becomes_a_zones_conf_on_stdout),
		TEST(endpoint_ids_are_passed_on),
		TEST(nothing_is_printed_when_one_file_is_broken),
		TEST(nothing_usable_is_said),
		TEST(standard_input_is_a_file_too),
		TEST(too_many_remarks_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
