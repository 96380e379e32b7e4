/* SPDX-License-Identifier: Apache-2.0 */
#include "server/upkeep.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/association.h"
#include "server/bulletin.h"
#include "server/keepwarm.h"
#include "server/loopcheck.h"
#include "wire/text.h"

struct upkeep {
	struct upkeep_world world;
	const struct snapshot *snapshot; /* the server's; lent */
	struct loop_timer *timer;
	/* Reports go to whoever asked, so each of them has its own. */
	struct transport_env prober_env, loopcheck_env, association_env;
	struct prober *prober;
	struct loopcheck *loopcheck;
	struct association *association;
	struct keepwarm *keepwarm;
	struct bulletin *bulletin;
};

/* ---- the worlds of those who ask */

static uint64_t turn_now_us(void *arg)
{
	return loop_now_us(((struct upkeep *)arg)->world.loop);
}

static void on_closed(void *arg, struct pool *pool)
{
	struct upkeep *u = arg;

	bulletin_closed(u->bulletin, u->snapshot, pool, turn_now_us(u));
	u->world.closed(u->world.arg, pool);
}

static void on_opened(void *arg, struct pool *pool, int place)
{
	struct upkeep *u = arg;

	bulletin_opened(u->bulletin, u->snapshot, pool, place, turn_now_us(u));
}

static void on_changed(void *arg, struct pool *pool, struct upstream *upstream, enum health_change change)
{
	struct upkeep *u = arg;

	(void)change;
	bulletin_address(u->bulletin, pool, upstream, turn_now_us(u));
}

static void on_heard(void *arg, const struct pool *pool, const struct name *zone, const uint8_t *message, size_t len)
{
	association_hear(((struct upkeep *)arg)->association, pool, zone, message, len);
}

static void on_judged(void *arg, const struct name *zone, const struct pool *pool, bool detached, const struct name *server)
{
	char name[TEXT_NAME_MAX], at[TEXT_NAME_MAX];

	(void)arg;
	text_name(zone, name);
	const struct log_field fields[] = {LOG_STRING("event", "zone"), LOG_STRING("zone", name), LOG_STRING("endpoint", pool->name),
					   LOG_STRING("state", detached ? "detached" : "private"), LOG_END};
	if (detached)
		log_event(LOG_WARN, fields,
			  "%s is not private at %s: its server is %s; is the hosted zone still associated with the endpoint's VPC?", name,
			  pool->name, text_name(server, at));
	else
		log_event(LOG_INFO, fields, "%s is private at %s again", name, pool->name);
}

static void on_refresh(void *arg, const struct name *name, uint16_t type, uint64_t hash)
{
	struct upkeep *u = arg;

	u->world.refresh(u->world.arg, name, type, hash);
}

static void on_timer(void *arg)
{
	struct upkeep *u = arg;
	uint64_t now_us = loop_now_us(u->world.loop);

	prober_clock(u->prober, now_us);
	loopcheck_clock(u->loopcheck, now_us);
	association_clock(u->association, now_us);
	keepwarm_clock(u->keepwarm, now_us);
	bulletin_clock(u->bulletin, u->snapshot, now_us);
}

/* ---- from outside */

static struct pool *find_pool(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->pool_count; i++)
		if (strcmp(s->pools[i].name, name) == 0)
			return &s->pools[i];
	return NULL;
}

void upkeep_turn(struct upkeep *u)
{
	prober_flush(u->prober);
	loopcheck_flush(u->loopcheck);
	association_flush(u->association);
	uint64_t probes_us = MIN(prober_next_us(u->prober), loopcheck_next_us(u->loopcheck));
	uint64_t others_us = MIN(association_next_us(u->association), keepwarm_next_us(u->keepwarm));
	uint64_t lines_us = bulletin_next_us(u->bulletin);
	loop_timer_set(u->timer, MIN(lines_us, MIN(probes_us, others_us)));
}

void upkeep_changed(struct upkeep *u, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	struct pool *p = find_pool(u->snapshot, pool_name);

	if (p != NULL)
		bulletin_address(u->bulletin, p, upstream, loop_now_us(u->world.loop));
	if (change == HEALTH_TO_SUSPECT)
		prober_suspect(u->prober, upstream, loop_now_us(u->world.loop));
}

void upkeep_doubt(struct upkeep *u, const char *pool_name)
{
	prober_doubt(u->prober, pool_name, loop_now_us(u->world.loop));
}

bool upkeep_is_probed(const struct upkeep *u)
{
	return prober_is_done(u->prober);
}

void upkeep_adopt(struct upkeep *u, struct snapshot *s)
{
	uint64_t now_us = loop_now_us(u->world.loop);

	prober_adopt(u->prober, s, now_us);
	loopcheck_adopt(u->loopcheck, s, now_us);
	association_adopt(u->association, s, now_us);
	keepwarm_adopt(u->keepwarm, s, now_us);
	bulletin_adopt(u->bulletin, s);
	u->snapshot = s;
}

/* ---- birth and death */

static void take_transports(const struct transport_ops **transports)
{
#define TRANSPORT(value, name, unit, help) transports[TRANSPORT_##value] = &transport_##unit;
#include "tables/transports.def"
#undef TRANSPORT
}

static bool start(struct upkeep *u, struct snapshot *s)
{
	struct prober_world probes = {.random = u->world.random,
				      .env = &u->prober_env,
				      .now_us = turn_now_us,
				      .closed = on_closed,
				      .opened = on_opened,
				      .changed = on_changed,
				      .heard = on_heard,
				      .arg = u};
	struct loopcheck_world loops = {.random = u->world.random, .env = &u->loopcheck_env};
	struct association_world associations = {.random = u->world.random,
						 .env = &u->association_env,
						 .now_us = turn_now_us,
						 .judged = on_judged,
						 .changed = on_changed,
						 .arg = u};
	const struct keepwarm_world warm = {on_refresh, u};
	uint64_t now_us = loop_now_us(u->world.loop);

	take_transports(probes.transports);
	take_transports(loops.transports);
	take_transports(associations.transports);
	u->timer = loop_timer_new(u->world.loop, on_timer, u);
	u->prober = prober_new(&probes, s, now_us);
	u->loopcheck = loopcheck_new(&loops, s, now_us);
	u->association = association_new(&associations, s, now_us);
	u->keepwarm = keepwarm_new(&warm, s, now_us);
	u->bulletin = bulletin_new();
	return u->timer != NULL && u->prober != NULL && u->loopcheck != NULL && u->association != NULL && u->keepwarm != NULL &&
	       u->bulletin != NULL;
}

struct upkeep *upkeep_new(const struct upkeep_world *world, struct snapshot *s)
{
	struct upkeep *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->world = *world;
	u->snapshot = s;
	u->prober_env = (struct transport_env){.loop = world->loop, .random = world->random, .socket_limit = world->sockets};
	u->loopcheck_env = u->association_env = u->prober_env;
	if (start(u, s))
		return u;
	upkeep_free(u);
	return NULL;
}

void upkeep_free(struct upkeep *u)
{
	if (u->prober != NULL)
		prober_free(u->prober);
	if (u->loopcheck != NULL)
		loopcheck_free(u->loopcheck);
	if (u->association != NULL)
		association_free(u->association);
	if (u->keepwarm != NULL)
		keepwarm_free(u->keepwarm);
	if (u->bulletin != NULL)
		bulletin_free(u->bulletin);
	if (u->timer != NULL)
		loop_timer_close(u->timer);
	free(u);
}
