/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SERVER_PROBED_H
#define TESTS_SERVER_PROBED_H
/* The world of the stories about probes: the endpoint seoul, its addresses, and what is expected of them. Include it behind cmocka.h. */

#include "world.h"

#define CACHE "cache: {size: 1MiB}\n"
#define ZONE "zones: [{name: a.example, to: seoul}]\n"

static const char *const ips[] = {"10.10.1.10", "10.10.2.10", "10.10.3.10"};

static struct world *w;

static int end(void **state)
{
	(void)state;
	if (w != NULL)
		world_free(w);
	w = NULL;
	return 0;
}

static void expect_trace(const char *expected)
{
	assert_string_equal(world_trace(w), expected);
}

static void expect_state(const char *ip, enum health_state expected)
{
	assert_int_equal(health_state(&world_upstream_state(w, ip)->health), expected);
}

#endif
