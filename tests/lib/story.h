/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_STORY_H
#define TESTS_LIB_STORY_H
/* What stories have in common: one world at a time, an endpoint in three AZs, and a trace to compare with. Included behind cmocka.h. */

#include <stdio.h>
#include <string.h>

#include "world.h"

#define STORY_ADDRESSES                                                                                                      \
	"    addresses:\n"                                                                                                    \
	"      - {ip: 10.0.1.1, az: az1}\n      - {ip: 10.0.2.1, az: az2}\n      - {ip: 10.0.3.1, az: az3}\n"
#define STORY_REST "zones: [{name: corp.example, to: seoul}]\nlocal-upstreams: [192.168.0.2]\n"

/* An endpoint with more keys, each a line indented by four. `ordered` makes a story the same each time. */
#define STORY_ENDPOINT(keys) "inbound-endpoints:\n  seoul:\n" STORY_ADDRESSES keys STORY_REST
#define STORY_ORDERED STORY_ENDPOINT("    policy: ordered\n")
#define STORY_SPREAD STORY_ENDPOINT("")

static struct world *w;

/* With the first probes behind it. */
static inline void start(const char *conf)
{
	w = world_new(conf);
	world_run_ms(w, 1000);
	world_trace(w);
}

static inline int end(void **state)
{
	(void)state;
	if (w != NULL)
		world_free(w);
	w = NULL;
	return 0;
}

static inline void expect(const char *story)
{
	if (strcmp(story, "?") == 0) { printf("<<<\n%s>>>\n", world_trace(w)); return; }
	assert_string_equal(world_trace(w), story);
}

static inline struct world_upstream *at(const char *ip)
{
	return world_upstream(w, ip);
}

static inline enum health_state state_of(const char *ip)
{
	return health_state(&world_upstream_state(w, ip)->health);
}

/* Asks and waits: what came within `ms`. */
static inline const struct world_reply *ask_within(const char *name, const char *type, uint64_t ms)
{
	unsigned q = world_ask(w, name, type);

	world_run_ms(w, ms);
	return world_reply(w, q);
}

#define STORY(name) cmocka_unit_test_teardown(name, end)

#endif
