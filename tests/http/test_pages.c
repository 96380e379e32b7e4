/* SPDX-License-Identifier: Apache-2.0 */
#include "http/pages.h"

#include "pretend.h"

#include <errno.h>

/* A daemon that says what it is told to. */
struct daemon {
	const char *says; /* NULL: `error` */
	int error;
	unsigned asked;
	char question[256];
};

static int ask(void *arg, const char *line, struct control_reply *reply)
{
	struct daemon *d = arg;

	d->asked++;
	snprintf(d->question, sizeof(d->question), "%s", line);
	if (d->says == NULL)
		return d->error;
	reply->text = strdup(d->says);
	reply->len = strlen(reply->text);
	return 0;
}

static struct daemon pretended;
static struct pages *pages;
static uint64_t now_us;

static int set_up(void **state)
{
	(void)state;
	pretended = (struct daemon){.says = NULL, .error = -ECONNREFUSED};
	now_us = 1000 * (uint64_t)US_PER_S;
	pages = pages_new(ask, &pretended, "gate");
	assert_non_null(pages);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pages_free(pages);
	return 0;
}

/* What `path` gets a while later, when a daemon that was silent is asked again. */
static struct pages_reply *get(const char *path)
{
	now_us += PAGES_SILENT_US;
	struct pages_reply *r = pages_get(pages, path, now_us);
	assert_non_null(r);
	assert_int_equal(strlen(r->body), r->len);
	return r;
}

static void expect(const char *path, const char *says, unsigned status, const char *body)
{
	pretended.says = says;
	struct pages_reply *r = get(path);
	assert_int_equal(r->status, status);
	assert_string_equal(r->body, body);
	pages_give_back(r);
}

static void health_is_whether_the_daemon_answers(void **state)
{
	(void)state;
	expect("/health", "{\"alive\":true}", 200, "ok\n");
	assert_string_equal(pretended.question, "{\"command\": \"alive\"}");
	expect("/health", "{\"alive\":false}", 503, "what answers at the control socket is no r53fwd\n");
	expect("/health", "nonsense", 503, "what answers at the control socket is no r53fwd\n");
	expect("/health", NULL, 503, "no daemon serves at the control socket\n");
	pretended.error = -ETIMEDOUT;
	expect("/health", NULL, 503, "the daemon does not answer\n");
	pretended.error = -EACCES;
	expect("/health", NULL, 503, "the control socket is not for this user\n");
}

static void ready_says_what_is_missing(void **state)
{
	(void)state;
	expect("/ready", "{\"ready\":true,\"probed\":true}", 200, "ready\n");
	expect("/ready", "{\"ready\":false,\"probed\":false}", 503, "not ready: the first probes are not done\n");
	expect("/ready?zones=1", "{\"ready\":true,\"zones\":[]}", 200, "ready\n");
	assert_string_equal(pretended.question, "{\"command\": \"ready\", \"zones\": true}");
	expect("/ready?zones=1", "{\"ready\":false,\"zones\":[\"a.test.\",\"b.test.\"]}", 503,
	       "not ready: these zones have neither an address that answers nor anything stale\na.test.\nb.test.\n");
	expect("/ready?zones=1", "{\"ready\":false,\"zones\":[\"a.test.\"],\"zones_total\":1001}", 503,
	       "not ready: these zones have neither an address that answers nor anything stale\na.test.\nand 1000 more\n");
	expect("/ready", "{\"error\":\"there is no command `ready`\"}", 503, "what answers at the control socket is no r53fwd\n");
}

static void status_is_passed_on_as_it_came(void **state)
{
	(void)state;
	expect("/status.json", "{\"version\":\"x\", \"n\":1}", 200, "{\"version\":\"x\", \"n\":1}\n");
	expect("/status.json", NULL, 503, "{\"error\":\"no daemon serves at the control socket\"}\n");
}

static void metrics_are_prometheus_text(void **state)
{
	(void)state;
	expect("/metrics", "{\"families\":[{\"name\":\"x\",\"type\":\"gauge\",\"help\":\"h\",\"samples\":[{\"value\":3}]}]}", 200,
	       "# HELP x h\n# TYPE x gauge\nx 3\n");
	expect("/metrics", "{}", 503, "what answers at the control socket is no r53fwd\n");
	expect("/metrics", NULL, 503, "no daemon serves at the control socket\n");
}

static void page_has_a_policy_of_its_own_and_a_nonce_for_once(void **state)
{
	char nonce[64];

	(void)state;
	pretended.says = "{\"version\":\"x\"}";
	struct pages_reply *first = get("/"), *second = get("/");
	assert_int_equal(first->status, 200);
	expect_part(first->policy, "default-src 'none'; script-src 'nonce-");
	expect_part(first->policy, "frame-ancestors 'none'");
	snprintf(nonce, sizeof(nonce), "<script nonce=\"%.32s\">", strstr(first->policy, "nonce-") + strlen("nonce-"));
	expect_part(first->body, nonce);
	expect_no_part(second->body, nonce);
	pages_give_back(first);
	pages_give_back(second);
	pretended.says = NULL;
	first = get("/");
	assert_int_equal(first->status, 503);
	expect_part(first->body, "no daemon serves at the control socket");
	pages_give_back(first);
}

static void what_is_no_page_may_load_nothing(void **state)
{
	(void)state;
	struct pages_reply *r = get("/metrics");
	expect_no_part(r->policy, "nonce");
	expect_part(r->policy, "default-src 'none'");
	pages_give_back(r);
}

static void unknown_paths_are_not_found_and_ask_nobody(void **state)
{
	static const char *const paths[] = {"", "/x", "/metrics/", "//", "/Metrics", "/status", "/ready?zones=2", "/../etc/passwd"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct pages_reply *r = get(paths[i]);
		assert_int_equal(r->status, 404);
		pages_give_back(r);
	}
	assert_int_equal(pretended.asked, 0);
}

static void few_visits_see_what_is_so_now(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		pretended.says = i % 2 ? "{\"n\":1}" : "{\"n\":2}";
		struct pages_reply *r = pages_get(pages, "/status.json", now_us + (uint64_t)i);
		assert_string_equal(r->body, i % 2 ? "{\"n\":1}\n" : "{\"n\":2}\n");
		pages_give_back(r);
	}
	/* A scrape a second, and somebody who looks twice as often as the page renews itself. */
	for (int i = 0; i < 100; i++) {
		now_us += i % 3 == 0 ? US_PER_S / 3 : 2 * (uint64_t)US_PER_S / 3;
		unsigned asked = pretended.asked;
		pages_give_back(pages_get(pages, "/status.json", now_us));
		assert_int_equal(pretended.asked, asked + 1);
	}
}

static void crowds_share_what_was_said_a_moment_before(void **state)
{
	(void)state;
	pretended.says = "{\"alive\":true}";
	for (int i = 0; i < 1000; i++)
		pages_give_back(pages_get(pages, "/health", now_us));
	assert_int_equal(pretended.asked, PAGES_LOOKS);
	/* Another page is not worse off for it. */
	pages_give_back(pages_get(pages, "/metrics", now_us));
	assert_int_equal(pretended.asked, PAGES_LOOKS + 1);
	for (int i = 0; i < 10000; i++)
		pages_give_back(pages_get(pages, "/health", now_us + (uint64_t)i * 1000));
	assert_in_range(pretended.asked, PAGES_LOOKS + 1 + 10 * US_PER_S / PAGES_LOOK_EVERY_US - 1,
			PAGES_LOOKS + 1 + 10 * US_PER_S / PAGES_LOOK_EVERY_US);
}

/* Each look would hold up all visitors for as long as it is waited for. */
static void daemon_that_is_silent_is_left_alone_for_a_while(void **state)
{
	(void)state;
	pretended.error = -ETIMEDOUT;
	for (int i = 0; i < 1000; i++)
		pages_give_back(pages_get(pages, "/health", now_us));
	assert_int_equal(pretended.asked, 1);
	pages_give_back(pages_get(pages, "/health", now_us + PAGES_SILENT_US - 1));
	assert_int_equal(pretended.asked, 1);
	pages_give_back(pages_get(pages, "/health", now_us + PAGES_SILENT_US));
	assert_int_equal(pretended.asked, 2);
	/* One that is not there costs nothing to ask. */
	now_us += 2 * PAGES_SILENT_US;
	pretended.error = -ECONNREFUSED;
	pages_give_back(pages_get(pages, "/health", now_us));
	pretended.says = "{\"alive\":true}";
	struct pages_reply *r = pages_get(pages, "/health", now_us);
	assert_int_equal(r->status, 200);
	pages_give_back(r);
}

static void answer_outlives_the_next_one(void **state)
{
	(void)state;
	pretended.says = "{\"n\":1}";
	struct pages_reply *first = get("/status.json");
	pretended.says = "{\"n\":2}";
	struct pages_reply *second = get("/status.json");
	assert_string_equal(first->body, "{\"n\":1}\n");
	assert_string_equal(second->body, "{\"n\":2}\n");
	pages_give_back(first);
	pages_give_back(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(health_is_whether_the_daemon_answers),
		TEST(ready_says_what_is_missing),
		TEST(status_is_passed_on_as_it_came),
		TEST(metrics_are_prometheus_text),
		TEST(page_has_a_policy_of_its_own_and_a_nonce_for_once),
		TEST(what_is_no_page_may_load_nothing),
		TEST(unknown_paths_are_not_found_and_ask_nobody),
		TEST(few_visits_see_what_is_so_now),
		TEST(crowds_share_what_was_said_a_moment_before),
		TEST(daemon_that_is_silent_is_left_alone_for_a_while),
		TEST(answer_outlives_the_next_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
