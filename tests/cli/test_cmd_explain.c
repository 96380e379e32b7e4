/* SPDX-License-Identifier: Apache-2.0 */
#include "pretend.h"

/* An answer of the daemon, shortened. The digest is of no file. */
#define CONFIG "\"config\":{\"path\":\"relative.conf\",\"digest\":\"0000000000000001\",\"loaded_at\":\"2026-11-25T16:00:00Z\"}"
#define ANSWER                                                                                                                             \
	"{\"name\":\"www.corp.test\",\"type\":\"A\",\"live\":true,"                                                                        \
	"\"zone\":{\"name\":\"corp.test\",\"line\":4,\"from\":null,\"to\":[\"seoul\",\"tokyo\"],\"why\":\"the longest\","                  \
	"\"association\":\"detached\"},"                                                                                                   \
	"\"lost\":[{\"name\":\"test\",\"line\":9,\"from\":\"reverse x\",\"to\":[\"local\"],\"why\":\"shorter\"}],\"lost_left_out\":3,"     \
	"\"note\":null,\"answered_here\":null," CONFIG ","                                                                                 \
	"\"endpoints\":[{\"name\":\"seoul\",\"state\":\"up\",\"policy\":\"spread\",\"asked\":true,\"why\":\"asked\",\"addresses\":["       \
	"{\"address\":\"10.1.0.1:53\",\"az\":\"az1\",\"place\":1,\"state\":\"up\",\"rtt_ms\":4.1,\"why\":\"healthy\"},"                    \
	"{\"address\":\"10.1.0.2:53\",\"az\":null,\"place\":null,\"state\":\"drained\",\"rtt_ms\":null,\"why\":\"drained\"}]}],"           \
	"\"cache\":{\"state\":\"%s\",\"rcode\":\"NOERROR\",\"answers\":2,\"age_seconds\":75,\"ttl_left_seconds\":5,\"stale_seconds\":90,"  \
	"\"address\":\"10.1.0.1:53\",\"az\":\"az1\"},\"now\":\"answered from the cache\",\"if_first_dies\":\"If it fell silent, so what.\"}"

static struct pretend *p;
static char says[4096], conf_path[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(says, sizeof(says), ANSWER, "fresh");
	p = pretend_new(says);
	snprintf(conf_path, sizeof(conf_path), "/tmp/r53fwd-explain-%d.conf", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(conf_path);
	pretend_free(p);
	return 0;
}

static void write_conf(const char *text)
{
	FILE *file = fopen(conf_path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int run(struct cli c, const char *name, const char *type)
{
	char *operands[] = {(char *)(uintptr_t)name, (char *)(uintptr_t)type};

	c.operands = operands;
	c.operand_count = name == NULL ? 0 : type == NULL ? 1 : 2;
	return pretend_command(p, cmd_explain, c);
}

static void expect(const char *text)
{
	if (strstr(p->printed, text) == NULL)
		fail_msg("`%s` is not in:\n%s\n%s", text, p->printed, p->said);
}

static const char conf[] = "inbound-endpoints: {seoul: {addresses: [{ip: 10.1.0.1, az: az1}, {ip: 10.1.0.2, az: az2}]}}\n"
			   "zones:\n  - {name: corp.test, to: seoul}\nlocal-upstreams: [10.9.0.1]\n";

static void the_daemons_words_become_a_table(void **state)
{
	(void)state;
	assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "WWW.corp.test.", NULL), CLI_OK);
	assert_string_equal(p->heard, "{\"command\":\"explain\",\"name\":\"www.corp.test\",\"type\":\"A\"}");
	assert_string_equal(p->said, "");
	assert_string_equal(p->printed, "www.corp.test A\n\n"
					"zone   corp.test  relative.conf:4  to seoul, then tokyo: the longest\n"
					"       detached: its hosted zone seems not to be associated with the endpoint's VPC, "
					"what comes back is public data\n"
					"lost   test  relative.conf:9 (reverse x)  to local: shorter\n"
					"       and 3 more\n"
					"cache  fresh: NOERROR with 2 answer records, 1 min 15 s old, 5 s left, from 10.1.0.1:53 (az1)\n"
					"now    answered from the cache\n"
					"\n"
					"seoul  up, spread: asked\n"
					"   #  ADDRESS      AZ   STATE     RTT ms  WHY\n"
					"   1  10.1.0.1:53  az1  up           4.1  healthy\n"
					"   -  10.1.0.2:53  -    drained        -  drained\n"
					"\n"
					"If it fell silent, so what.\n");
}

static void stale_failed_and_unknown_are_told_apart(void **state)
{
	static const char *const rows[][2] = {{"stale", "cache  stale: NOERROR with 2 answer records, 1 min 15 s old, 1 min 30 s past"},
					      {"failed", "cache  no answer; asking has failed: "},
					      {"none", "cache  nothing is known of it\n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(says, sizeof(says), ANSWER, rows[i][0]);
		assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "www.corp.test", "A"), CLI_OK);
		expect(rows[i][1]);
	}
}

static void without_a_daemon_the_file_is_explained_and_that_is_said(void **state)
{
	(void)state;
	write_conf(conf);
	assert_int_equal(run((struct cli){.control = "/nowhere/x", .zones_path = conf_path}, "a.corp.test", "mx"), CLI_OK);
	assert_int_equal(p->lines, 0);
	expect("alone, with every address taken as healthy: no daemon serves at /nowhere/x");
	expect("a.corp.test MX\n\nzone   corp.test  /tmp/r53fwd-explain-");
	expect(".conf:3  to seoul: the longest suffix");
	expect("   1  10.1.0.1:53  az1  taken as healthy; by lot, 2 alike (50 %)\n");
	assert_null(strstr(p->printed, "cache"));
}

static void a_file_that_has_changed_is_explained_too(void **state)
{
	(void)state;
	write_conf(conf);
	assert_int_equal(run((struct cli){.zones_path = conf_path, .zones_given = true}, "www.corp.test", NULL), CLI_OK);
	expect("is not what the daemon runs, which was read from relative.conf at 2026-11-25T16:00:00Z; `r53fwd reload`");
	expect(".conf:3  to seoul: the longest suffix");
	expect("relative.conf:4");
}

static void a_bad_file_ends_in_1(void **state)
{
	(void)state;
	write_conf("zonen: []\n");
	assert_int_equal(run((struct cli){.control = "/nowhere/x", .zones_path = conf_path, .zones_given = true}, "a", NULL), CLI_FAILED);
	assert_string_equal(p->printed, "");
	assert_non_null(strstr(p->said, ".conf:1:1: "));
	/* The daemon's explanation comes all the same. */
	assert_int_equal(run((struct cli){.zones_path = conf_path, .zones_given = true}, "a", NULL), CLI_FAILED);
	expect("zone   corp.test");
	assert_non_null(strstr(p->said, ".conf:1:1: "));
	assert_int_equal(run((struct cli){.zones_path = "/nowhere/zones.conf", .zones_given = true}, "a", NULL), CLI_FAILED);
	assert_non_null(strstr(p->said, "/nowhere/zones.conf: cannot be read"));
}

static void what_is_no_question_is_usage(void **state)
{
	(void)state;
	assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, NULL, NULL), CLI_USAGE);
	assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "a..b", NULL), CLI_USAGE);
	assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "a", "NOTHING"), CLI_USAGE);
	assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "\033[2J", "\033"), CLI_USAGE);
	assert_null(strchr(p->said, '\033'));
	assert_int_equal(p->lines, 0);
}

static void json_tells_of_the_file_as_well(void **state)
{
	(void)state;
	write_conf(conf);
	assert_int_equal(run((struct cli){.zones_path = conf_path, .zones_given = true, .json = true}, "www.corp.test", NULL), CLI_OK);
	expect("\"live\":true");
	expect("\"changed\":true,\"says\":{\"name\":\"www.corp.test\"");
	assert_int_equal(run((struct cli){.control = "/nowhere/x", .zones_path = conf_path, .json = true}, "www.corp.test", NULL), CLI_OK);
	expect("\"live\":false");
	expect("\"changed\":null,\"says\":null,\"why_alone\":\"no daemon serves at /nowhere/x");
	assert_int_equal(strchr(p->printed, '\n') - p->printed, strlen(p->printed) - 1);
}

static void an_error_of_the_daemon_is_told(void **state)
{
	(void)state;
	p->says = "{\"error\":\"there is no command \\u001b `explain`\"}";
	assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "a", NULL), CLI_FAILED);
	assert_string_equal(p->said, "r53fwd: there is no command \\x1b `explain`\n");
}

static void answers_of_another_shape_do_no_harm(void **state)
{
	static const char *const answers[] = {
		"{}", "{\"zone\":1,\"lost\":{},\"endpoints\":[1,{},{\"addresses\":[1,{\"place\":\"x\"}]}],\"cache\":[],\"config\":[]}",
		"{\"zone\":{\"to\":[1]},\"lost\":[1],\"cache\":{\"state\":7},\"endpoints\":[{\"addresses\":{}}],\"name\":\"\\u001b\"}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		p->says = answers[i];
		assert_int_equal(run((struct cli){.zones_path = "/nowhere"}, "a", NULL), CLI_OK);
		assert_null(strchr(p->printed, '\033'));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_daemons_words_become_a_table),
		TEST(stale_failed_and_unknown_are_told_apart),
		TEST(without_a_daemon_the_file_is_explained_and_that_is_said),
		TEST(a_file_that_has_changed_is_explained_too),
		TEST(a_bad_file_ends_in_1),
		TEST(what_is_no_question_is_usage),
		TEST(json_tells_of_the_file_as_well),
		TEST(an_error_of_the_daemon_is_told),
		TEST(answers_of_another_shape_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
