/* SPDX-License-Identifier: Apache-2.0 */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/text.h"

enum { PATIENCE_US = 5 * US_PER_S };

void crowd_init(struct crowd *c, struct world *w, const char *zone)
{
	memset(c, 0, sizeof(*c));
	c->world = w;
	c->zone = zone;
	c->took_us = calloc(CROWD_MOST, sizeof(*c->took_us));
	c->waiting = calloc(CROWD_WAITING, sizeof(*c->waiting));
	ASSERT(c->took_us != NULL && c->waiting != NULL);
}

void crowd_deinit(struct crowd *c)
{
	free(c->took_us);
	free(c->waiting);
}

static void note_reply(struct crowd *c, const struct world_reply *r, uint64_t began_us)
{
	uint64_t took_us = r->at_us - began_us;
	bool well = r->rcode == DNS_NOERROR || r->rcode == DNS_NXDOMAIN;
	char rcode[TEXT_TYPE_MAX];

	ASSERT(c->well + c->failed < CROWD_MOST);
	c->took_us[c->well + c->failed] = (uint32_t)took_us;
	c->slowest_us = MAX(c->slowest_us, took_us);
	c->stale += r->ede == DNS_EDE_STALE_ANSWER || r->ede == DNS_EDE_STALE_NXDOMAIN;
	if (!well && c->failed == 0)
		snprintf(c->first_failure, sizeof(c->first_failure), "%llu: %s %.200s", (unsigned long long)r->at_us / US_PER_MS,
			 text_rcode(r->rcode, rcode), r->ede_text);
	*(well ? &c->well : &c->failed) += 1;
}

static void look(struct crowd *c)
{
	unsigned left = 0;

	for (unsigned i = 0; i < c->waiting_count; i++) {
		const struct world_reply *r = world_reply(c->world, c->waiting[i].query);
		ASSERT(r != NULL || world_now_us(c->world) < c->waiting[i].began_us + PATIENCE_US);
		if (r != NULL)
			note_reply(c, r, c->waiting[i].began_us);
		else
			c->waiting[left++] = c->waiting[i];
	}
	c->waiting_count = left;
}

static void ask_one(struct crowd *c)
{
	char name[300];

	ASSERT(c->waiting_count < CROWD_WAITING);
	snprintf(name, sizeof(name), "%s%u.%s", c->label == NULL ? "q" : c->label, c->asked++, c->zone);
	c->waiting[c->waiting_count].began_us = world_now_us(c->world);
	c->waiting[c->waiting_count++].query = world_ask(c->world, name, "A");
}

void crowd_ask(struct crowd *c, unsigned qps, uint64_t ms)
{
	uint64_t began_us = world_now_us(c->world), done = 0;

	for (uint64_t i = 1; i <= ms; i++) {
		for (; done < i * qps / 1000; done++)
			ask_one(c);
		world_run_ms(c->world, 1);
		look(c);
	}
	ASSERT(world_now_us(c->world) == began_us + ms * US_PER_MS);
}

void crowd_wait(struct crowd *c)
{
	while (c->waiting_count > 0) {
		world_run_ms(c->world, 10);
		look(c);
	}
}

void crowd_reset(struct crowd *c)
{
	crowd_wait(c);
	c->well = c->failed = c->stale = 0;
	c->slowest_us = 0;
	c->first_failure[0] = '\0';
}

static int by_time(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t crowd_percentile_us(const struct crowd *c, unsigned pm)
{
	unsigned count = c->well + c->failed;

	qsort(c->took_us, count, sizeof(*c->took_us), by_time);
	return count == 0 ? 0 : c->took_us[(uint64_t)(count - 1) * pm / 1000];
}

unsigned crowd_asked_upstream(struct world *w, const char *const *ips, unsigned count)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += world_upstream(w, ips[i])->asked;
	return sum;
}
