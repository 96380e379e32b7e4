/* SPDX-License-Identifier: Apache-2.0 */
#include "server/news.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, EACH = 200 };

struct stage {
	struct loop *loop;
	struct news *news;
	unsigned want, heard;
	char last[300];
	unsigned next[THREADS]; /* what is expected of each thread */
};

static void on_doubt(void *arg, const char *pool_name)
{
	struct stage *s = arg;
	unsigned thread, number;

	snprintf(s->last, sizeof(s->last), "%s", pool_name);
	if (sscanf(pool_name, "%u of %u", &number, &thread) == 2)
		assert_int_equal(number, s->next[thread]++);
	if (++s->heard == s->want)
		loop_stop(s->loop);
}

static void on_changed(void *arg, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	struct stage *s = arg;

	assert_non_null(upstream);
	assert_int_equal(change, HEALTH_TO_DOWN);
	on_doubt(s, pool_name);
}

static int set_up(void **state)
{
	static struct stage stage;

	memset(&stage, 0, sizeof(stage));
	stage.loop = loop_new();
	stage.news = news_new(&(struct news_world){stage.loop, on_doubt, on_changed, &stage});
	assert_non_null(stage.news);
	*state = &stage;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	news_free(s->news);
	loop_free(s->loop);
	return 0;
}

struct teller {
	struct news *news;
	unsigned number;
};

static void *tell(void *arg)
{
	const struct teller *t = arg;
	const struct worker_news ears = news_ears(t->news);
	char name[64];

	for (unsigned i = 0; i < EACH; i++) {
		snprintf(name, sizeof(name), "%u of %u", i, t->number);
		ears.doubt(ears.arg, name);
	}
	return NULL;
}

static void everybodys_news_come_in_their_order(void **state)
{
	struct stage *s = *state;
	pthread_t threads[THREADS];
	struct teller tellers[THREADS];

	s->want = THREADS * EACH;
	for (unsigned i = 0; i < THREADS; i++) {
		tellers[i] = (struct teller){s->news, i};
		assert_int_equal(pthread_create(&threads[i], NULL, tell, &tellers[i]), 0);
	}
	loop_run(s->loop);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s->heard, THREADS * EACH);
}

static struct upstream *make_upstream(void)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, "192.0.2.1", 53), 0);
	struct upstream *u = upstream_new(&a, 0);
	assert_non_null(u);
	return u;
}

/* Each reference that is given is given back, or the sanitizer says so. */
static void change_of_an_address_comes_with_the_address(void **state)
{
	struct stage *s = *state;
	const struct worker_news ears = news_ears(s->news);
	struct upstream *u = make_upstream();

	s->want = 1;
	ears.changed(ears.arg, "seoul", upstream_ref(u), HEALTH_TO_DOWN);
	loop_run(s->loop);
	assert_string_equal(s->last, "seoul");
	ears.changed(ears.arg, "seoul", u, HEALTH_TO_DOWN); /* never handed out */
}

static void long_names_are_cut_and_floods_bounded(void **state)
{
	struct stage *s = *state;
	const struct worker_news ears = news_ears(s->news);
	char name[400];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < NEWS_MOST + 10; i++)
		ears.doubt(ears.arg, name);
	ears.changed(ears.arg, name, make_upstream(), HEALTH_TO_DOWN);
	s->want = NEWS_MOST;
	loop_run(s->loop);
	assert_int_equal(s->heard, NEWS_MOST);
	assert_int_equal(strlen(s->last), 255);
	/* And there is room again. */
	s->want = NEWS_MOST + 1;
	ears.doubt(ears.arg, "seoul");
	loop_run(s->loop);
	assert_string_equal(s->last, "seoul");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everybodys_news_come_in_their_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(change_of_an_address_comes_with_the_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_names_are_cut_and_floods_bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
