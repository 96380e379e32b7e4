/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "pretend.h"

/* An answer of the daemon, shortened; %s: state of the endpoint, addresses, zones. */
#define ANSWER(state, addresses, zones)                                                                                                    \
	"{\"version\":\"0.1.0\",\"uptime_seconds\":90061.5,\"workers\":2,\"qps\":12.5,\"endpoints\":[{\"name\":\"seoul\",\"state\":"       \
	"\"" state "\",\"policy\":\"spread\",\"max_qps\":100,\"outages\":0,\"addresses\":[" addresses "]}],\"zones\":[" zones              \
	"],\"zones_total\":3,"                                                                                                             \
	"\"cache\":{\"entries\":10,\"bytes\":3355443,\"size_bytes\":67108864,\"hits\":70,\"misses\":20,\"stale\":10,\"evictions\":4},"     \
	"\"inbound_queries\":{\"asked\":100,\"sent\":30},\"ready\":true,\"config\":{\"path\":\"relative.conf\",\"loaded_at\":"             \
	"\"2026-11-25T16:00:00Z\",\"digest\":\"x\",\"reloads\":{\"ok\":2,\"failed\":1}}}"

#define UP_ADDRESS                                                                                                                         \
	"{\"address\":\"10.10.1.10:53\",\"az\":\"apne2-az1\",\"state\":\"up\",\"rtt_ms\":4.12,\"qps\":12.5,\"queries\":1234,\"timeouts\":" \
	"5,"                                                                                                                               \
	"\"cause\":\"old news\",\"cause_age_seconds\":7000,\"last_answer_age_seconds\":3.4,\"share\":1.0}"
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
	assert_string_equal(p->printed,
			    "r53fwd 0.1.0, up 1 d 1 h, 2 workers, 12.5 queries/s\n"
			    "cache: 10 entries, 3.2 of 64 MiB, 70.0% hits, 10 stale answers, 4 evictions\n"
			    "inbound endpoints: asked 30 times for 100 queries\n"
			    "config: relative.conf, read at 2026-11-25T16:00:00Z; 1 of 3 reloads failed\n"
			    "\n"
			    "seoul  up  spread, max-qps 100 each; 1 of 1 addresses well\n"
			    "  ADDRESS        AZ         STATE     RTT ms      QPS  OF MAX  SHARE    QUERIES  TIMEOUTS  LAST ANSWER\n"
			    "  10.10.1.10:53  apne2-az1  up           4.1     12.5     12%   100%       1234         5  3 s\n"
			    "\n"
			    "zones: 3, all well\n");
}

static void trouble_is_told_with_its_cause(void **state)
{
	(void)state;
	p->says = ANSWER("degraded", UP_ADDRESS "," DOWN_ADDRESS, UP_ZONE "," DOWN_ZONE "," DETACHED_ZONE);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "seoul  degraded  spread, max-qps 100 each; 1 of 2 addresses well\n"));
	assert_non_null(
		strstr(p->printed, "  10.10.2.10:53  -          down           -      0.0      0%     0%          9         9  never"));
	assert_non_null(strstr(p->printed, "  a probe went unanswered, 1 min 15 s ago\n"));
	assert_non_null(strstr(p->printed, "\nzones in trouble:\n"
					   "  detached  gone.test -> seoul: answers are public data; "));
	assert_non_null(strstr(p->printed, "\n  down      other.test -> seoul\n"));
	assert_null(strstr(p->printed, "corp.test"));
	assert_null(strstr(p->printed, "old news"));
}

/* An address in this state, with more of its own, and a sentence that its row must end in. */
static void expect_why(const char *state, const char *more, const char *why)
{
	static char says[4096];

	snprintf(says, sizeof(says),
		 "{\"endpoints\":[{\"name\":\"e\",\"state\":\"up\",\"max_qps\":100,\"outages\":2,\"above_max_qps\":7,\"addresses\":[{"
		 "\"address\":"
		 "\"a\",\"state\":\"%s\"%s}]}],\"zones\":[],\"cache\":{}}",
		 state, more);
	p->says = says;
	assert_in_range(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK, CLI_OK);
	if (strstr(p->printed, why) == NULL)
		fail_msg("`%s` is not in:\n%s", why, p->printed);
}

static void each_odd_row_says_why(void **state)
{
	(void)state;
	expect_why("slow", "", "  RTT above twice the best + 20 ms: others are preferred\n");
	expect_why("drained", "", "  drained by hand; `r53fwd undrain` ends it\n");
	expect_why("up", ",\"share\":0.25", "  coming back: 25% of its usual share\n");
	expect_why("up", ",\"share\":1.0,\"qps\":85.0", "     85%   100%");
	expect_why("up", ",\"share\":1.0,\"qps\":85.0", "  near max-qps\n");
	expect_why("suspect", ",\"cause\":\"x\"", "  x\n");
	expect_why("up", "", "; down 2 times since the start; 7 questions above every max-qps\n");
}

static void what_must_not_be_overlooked_comes_first(void **state)
{
	(void)state;
	p->says =
		"{\"version\":\"1\",\"ready\":false,\"endpoints\":[{\"name\":\"seoul\",\"state\":\"down\",\"addresses\":[{}]},{\"name\":"
		"\"none\","
		"\"state\":\"down\",\"addresses\":[]}],\"zones\":[{\"name\":\"z.test\",\"state\":\"up\",\"to\":[],\"guard_violations\":3}],"
		"\"cache\":{\"stale_qps\":2.5}}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_DOWN);
	assert_non_null(strstr(p->printed, "queries/s\n"
					   "!! 2.5 stale answers a second are being given\n"
					   "!! seoul is down: none of its addresses answers\n"
					   "!! not ready yet: the first probes are under way\n"));
	assert_non_null(strstr(p->printed, "  up        z.test: 3 answers with addresses that it does not expect\n"));
}

static void a_file_that_has_changed_is_told(void **state)
{
	char path[] = "/tmp/r53fwd-status-XXXXXX", says[512], digest[24];
	int fd = mkstemp(path);
	uint64_t now;

	(void)state;
	assert_int_equal(write(fd, "zones: []\n", 10), 10);
	close(fd);
	assert_int_equal(config_read_digest(path, &now), 0);
	snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)now);
	for (int changed = 0; changed < 2; changed++) {
		snprintf(says, sizeof(says), "{\"endpoints\":[],\"config\":{\"path\":\"%s\",\"digest\":\"%s\"}}", path,
			 changed ? "0" : digest);
		p->says = says;
		assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
		assert_int_equal(strstr(p->printed, "; changed since, `r53fwd reload` has it read\n") != NULL, changed);
	}
	unlink(path);
}

static void an_endpoint_that_is_down_ends_in_3(void **state)
{
	(void)state;
	p->says = ANSWER("down", DOWN_ADDRESS, DOWN_ZONE);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_DOWN);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = true}), CLI_DOWN);
	p->says = ANSWER("drained", DOWN_ADDRESS, DOWN_ZONE);
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_DOWN);
	assert_non_null(strstr(p->printed, "!! every address of seoul is drained; `r53fwd undrain` ends it\n"));
	assert_null(strstr(p->printed, "!! seoul is down"));
	p->says = ANSWER("down", "", UP_ZONE); /* no addresses at all: local upstreams that nobody wants */
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "  no addresses\n"));
	assert_null(strstr(p->printed, "!! "));
	p->says = "{\"endpoints\":[{\"name\":\"local\",\"state\":\"down\",\"used\":true,\"addresses\":[]}]}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "!! no local upstream is known: names that no zone routes get SERVFAIL\n"));
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
		fprintf(out, "%s{\"name\":\"z%d.test\",\"to\":[],\"state\":\"up\",\"association\":\"detached\"}", i > 0 ? "," : "", i);
	fputs("]}", out);
	fclose(out);
	p->says = says;
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "z49.test"));
	assert_null(strstr(p->printed, "z50.test"));
	assert_non_null(strstr(p->printed, "  and 10 more; `r53fwd status --json` has them\n"));
	free(says);
}

static void zones_that_an_outage_takes_along_are_one_line(void **state)
{
	(void)state;
	p->says = "{\"endpoints\":[],\"zones\":[{\"name\":\"a\",\"to\":[\"x\",\"y\"],\"state\":\"down\"},{\"name\":\"b\",\"to\":[\"x\"],"
		  "\"state\":\"down\"},"
		  "{\"name\":\"c\",\"to\":[\"x\",\"y\"],\"state\":\"down\"},{\"name\":\"d\",\"to\":[\"x\",\"y\"],\"state\":\"degraded\"},"
		  "{\"name\":\"e\",\"to\":[\"x\",\"y\"],\"state\":\"down\"}]}";
	assert_int_equal(pretend_command(p, cmd_status, (struct cli){.json = false}), CLI_OK);
	assert_non_null(strstr(p->printed, "\nzones in trouble:\n"
					   "  down      a and 2 more -> x, y\n"
					   "  down      b -> x\n"
					   "  degraded  d -> x, y\n"));
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
		TEST(each_odd_row_says_why),
		TEST(what_must_not_be_overlooked_comes_first),
		TEST(a_file_that_has_changed_is_told),
		TEST(an_endpoint_that_is_down_ends_in_3),
		TEST(json_is_one_line_as_it_came),
		TEST(nothing_commands_the_terminal),
		TEST(answers_of_another_shape_do_no_harm),
		TEST(long_lists_of_troubled_zones_are_cut),
		TEST(zones_that_an_outage_takes_along_are_one_line),
		TEST(alive_is_about_the_daemon_alone),
		TEST(none_runs_is_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
