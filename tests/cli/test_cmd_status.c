/* SPDX-License-Identifier: Apache-2.0 */
#include "pretend.h"

/* An answer of the daemon, shortened; %s: state of the endpoint, addresses, zones. */
#define ANSWER(state, addresses, zones)                                                                                                    \
	"{\"version\":\"0.1.0\",\"uptime_seconds\":90061.5,\"workers\":2,\"qps\":12.5,\"endpoints\":[{\"name\":\"seoul\",\"state\":"       \
	"\"" state "\",\"policy\":\"spread\",\"addresses\":[" addresses "]}],\"zones\":[" zones "],\"zones_total\":3,"                     \
	"\"cache\":{\"entries\":10,\"bytes\":3355443,\"size_bytes\":67108864,\"hits\":70,\"misses\":20,\"stale\":10,\"evictions\":4}}"

#define UP_ADDRESS                                                                                                                         \
	"{\"address\":\"10.10.1.10:53\",\"az\":\"apne2-az1\",\"state\":\"up\",\"rtt_ms\":4.12,\"qps\":12.5,\"queries\":1234,\"timeouts\":" \
	"5,"                                                                                                                               \
	"\"cause\":\"old news\",\"cause_age_seconds\":7000}"
#define DOWN_ADDRESS                                                                                                                       \
	"{\"address\":\"10.10.2.10:53\",\"az\":null,\"state\":\"down\",\"rtt_ms\":null,\"qps\":0.0,\"queries\":9,\"timeouts\":9,"          \
	"\"cause\":\"a probe went unanswered\",\"cause_age_seconds\":75.2}"
#define UP_ZONE "{\"name\":\"corp.test\",\"to\":[\"seoul\",\"tokyo\"],\"state\":\"up\",\"association\":\"private\"}"
#define DOWN_ZONE "{\"name\":\"other.test\",\"to\":[\"seoul\"],\"state\":\"down\",\"association\":\"unknown\"}"
#define DETACHED_ZONE "{\"name\":\"gone.test\",\"to\":[\"seoul\"],\"state\":\"up\",\"association\":\"detached\"}"

static struct pretend *p;

static int set_up(void **state)
{
	(void)state;
	p = pretend_new(ANSWER("up", UP_ADDRESS, UP_ZONE));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pretend_free(p);
	return 0;
}

static void the_table_shows_it_all(void **state)
{
	(void)state;
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"status\"}");
	assert_string_equal(p->said, "");
	assert_string_equal(p->printed, "r53fwd 0.1.0, up 1 d 1 h, 2 workers, 12.5 queries/s\n"
					"cache: 10 entries, 3.2 of 64 MiB, 70.0% hits, 10 stale answers, 4 evictions\n"
					"\n"
					"seoul  up  (spread)\n"
					"  ADDRESS        AZ         STATE     RTT ms      QPS    QUERIES  TIMEOUTS\n"
					"  10.10.1.10:53  apne2-az1  up           4.1     12.5       1234         5\n"
					"\n"
					"zones: 3, all well\n");
}

static void trouble_is_told_with_its_cause(void **state)
{
	(void)state;
	p->says = ANSWER("degraded", UP_ADDRESS "," DOWN_ADDRESS, UP_ZONE "," DOWN_ZONE "," DETACHED_ZONE);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "seoul  degraded  (spread)\n"));
	assert_non_null(strstr(p->printed, "  10.10.2.10:53             down           -      0.0          9         9  "
					   "a probe went unanswered, 1 min 15 s ago\n"));
	assert_non_null(strstr(p->printed, "\nzones in trouble:\n"
					   "  down      other.test  -> seoul\n"
					   "  detached  gone.test  -> seoul\n"));
	assert_null(strstr(p->printed, "corp.test"));
	assert_null(strstr(p->printed, "old news"));
}

static void an_endpoint_that_is_down_ends_in_3(void **state)
{
	(void)state;
	p->says = ANSWER("down", DOWN_ADDRESS, DOWN_ZONE);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_DOWN);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = true}), CLI_DOWN);
	p->says = ANSWER("down", "", UP_ZONE); /* no addresses at all: local upstreams that nobody wants */
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "  no addresses\n"));
}

static void json_is_one_line_as_it_came(void **state)
{
	(void)state;
	p->says = ANSWER("up", UP_ADDRESS, UP_ZONE);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = true}), CLI_OK);
	size_t len = strlen(p->says);
	assert_memory_equal(p->printed, p->says, len);
	assert_string_equal(p->printed + len, "\n");
}

/* Endpoints' and zones' names are written by people, but not always by those who look at the terminal. */
static void nothing_commands_the_terminal(void **state)
{
	(void)state;
	p->says =
		"{\"version\":\"1\\u001b[2J\",\"endpoints\":[{\"name\":\"a\\u001b]0;x\\u0007\",\"state\":\"up\\n\",\"policy\":\"\\u009b\","
		"\"addresses\":[{\"address\":\"\\u001b\",\"az\":\"\\u001b\",\"state\":\"\\u001b\",\"cause\":\"\\u001b\"}]}],"
		"\"zones\":[{\"name\":\"\\u001b\",\"to\":[\"\\u001b\"],\"state\":\"\\u001b\"}]}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	for (const char *at = p->printed; *at != '\0'; at++)
		assert_true(*at == '\n' || (*at >= ' ' && *at <= '~'));
	assert_non_null(strstr(p->printed, "a\\x1b]0;x\\x07"));
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = true}), CLI_OK);
	for (const char *at = p->printed; *at != '\0'; at++)
		assert_true(*at == '\n' || (*at >= ' ' && *at <= '~'));
}

/* Whatever is missing or of another type is shown as nothing. */
static void answers_of_another_shape_do_no_harm(void **state)
{
	static const char *const answers[] = {
		"{\"endpoints\":[]}",
		"{\"endpoints\":[1,null,[],{\"addresses\":{}},{\"addresses\":[1,{\"rtt_ms\":\"x\"}]}],\"zones\":[1,{\"to\":[1]}]}",
		"{\"endpoints\":[{\"name\":1,\"state\":null,\"addresses\":[{}]}],\"zones\":{},\"uptime_seconds\":-1e300}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		p->says = answers[i];
		assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	}
	p->says = "{\"error\":\"not \\u001b now\"}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_FAILED);
	assert_string_equal(p->said, "r53fwd: the daemon does not tell its status: not \\x1b now\n");
}

static void long_lists_of_troubled_zones_are_cut(void **state)
{
	char *says = NULL;
	size_t len;
	FILE *out = open_memstream(&says, &len);

	(void)state;
	fputs("{\"endpoints\":[],\"zones\":[", out);
	for (int i = 0; i < 60; i++)
		fprintf(out, "%s{\"name\":\"z%d.test\",\"to\":[],\"state\":\"down\"}", i > 0 ? "," : "", i);
	fputs("]}", out);
	fclose(out);
	p->says = says;
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "z49.test"));
	assert_null(strstr(p->printed, "z50.test"));
	assert_non_null(strstr(p->printed, "  and more; `r53fwd status --json` has them\n"));
	free(says);
}

static void alive_is_about_the_daemon_alone(void **state)
{
	(void)state;
	p->says = "{\"alive\":true}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.alive = true}), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"alive\"}");
	assert_string_equal(p->printed, "");
	assert_string_equal(p->said, "");
	p->says = "{\"alive\":1}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.alive = true}), CLI_FAILED);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.alive = true, .control = "/nowhere/x"}), CLI_FAILED);
}

static void none_runs_is_1(void **state)
{
	(void)state;
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.control = "/nowhere/x"}), CLI_FAILED);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.control = "/nowhere/x", .watch = true}), CLI_FAILED);
	assert_string_equal(p->printed, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_table_shows_it_all),
		TEST(trouble_is_told_with_its_cause),
		TEST(an_endpoint_that_is_down_ends_in_3),
		TEST(json_is_one_line_as_it_came),
		TEST(nothing_commands_the_terminal),
		TEST(answers_of_another_shape_do_no_harm),
		TEST(long_lists_of_troubled_zones_are_cut),
		TEST(alive_is_about_the_daemon_alone),
		TEST(none_runs_is_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
