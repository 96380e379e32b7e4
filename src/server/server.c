/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limit.h"
#include "base/log_writer.h"
#include "server/bindings.h"
#include "server/confine.h"
#include "server/console.h"
#include "server/descriptors.h"
#include "server/follower.h"
#include "server/herald.h"
#include "server/keeper.h"
#include "server/load.h"
#include "server/news.h"
#include "server/persist.h"
#include "server/succession.h"
#include "server/upkeep.h"
#include "server/worker.h"
#include "sys/cpus.h"
#include "sys/passed.h"
#include "sys/signals.h"

enum { WATCH_US = 1000000, LEFT_OUT_EVERY_US = 10 * US_PER_S, SHORTAGES_EVERY_US = 10 * US_PER_S };

struct server {
	const struct server_options *options;
	struct snapshot *snapshot;
	struct bindings bindings;
	struct confine confine;
	struct worker **workers; /* [worker_count] */
	uint32_t worker_count;
	struct listen_limits *limits;
	uint32_t connections_said; /* `tcp: connections` that were too many, as far as that was said; 0: they are not */
	struct loop *loop;
	struct loop_timer *watch_timer;
	struct news *news;
	struct loop_signal *signals[3];
	struct upkeep *upkeep;
	struct persist *persist;
	struct console *console;
	struct herald *herald;
	struct succession succession;
	struct limit left_out_pace, shortage_pace;
	uint64_t left_out, shortages; /* lines about queries; what was not sent, and rests of accepting: as far as that was said */
	struct keeper *keeper;
	struct random random;
	struct follower follower;
};

/* ---- upkeep's world */

static void on_closed(void *arg, struct pool *pool)
{
	struct server *s = arg;

	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_pool_closed(s->workers[i], pool->name);
	persist_soon(s->persist);
}

static void on_refresh(void *arg, const struct name *name, uint16_t type, uint64_t hash)
{
	struct server *s = arg;

	worker_refresh(s->workers[hash % s->worker_count], name, type);
}

static void on_turn(void *arg)
{
	upkeep_turn(((struct server *)arg)->upkeep);
}

/* ---- news from the workers */

static void on_doubt(void *arg, const char *pool_name)
{
	upkeep_doubt(((struct server *)arg)->upkeep, pool_name);
}

static void on_changed(void *arg, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	upkeep_changed(((struct server *)arg)->upkeep, pool_name, upstream, change);
}

/* ---- configuration */

static void warn_without_local(const struct snapshot *s)
{
	if (s->pools[0].count == 0)
		log_warn("no local upstream is known: resolv.conf names nobody but us; names outside the forwarded zones get SERVFAIL");
}

static void limit_tcp(struct server *s)
{
	const struct config_tcp *tcp = &s->snapshot->config->tcp;

	listen_limits_set(s->limits, tcp->idle_us, descriptors_connections(s->snapshot, s->worker_count + 1, &s->connections_said),
			  tcp->per_client);
}

/* All workers and the prober see `next` from now on; the old one goes with its last question. */
static void hand_over(struct server *s, struct snapshot *next)
{
	struct snapshot *old = s->snapshot;

	s->snapshot = next;
	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_adopt(s->workers[i], next);
	upkeep_adopt(s->upkeep, next);
	snapshot_unref(old);
	limit_tcp(s);
	log_configure(next->config->log.level, next->config->log.format);
}

static uint32_t wanted_workers(const struct config *c)
{
	return c->top.workers != 0 ? c->top.workers : cpus_usable();
}

static void warn_restart(const char *key, FILE *said)
{
	fprintf(said, "warning: `%s` takes effect at a restart\n", key);
}

static void keep_text(char **text, const char *before)
{
	free(*text);
	*text = before != NULL ? strdup(before) : NULL;
}

/* What this process has been since its start stays what is in force: the reload after this one compares with that. */
static void keep_what_was_started(const struct server *s, struct config *c, FILE *said)
{
	const struct config *before = s->snapshot->config;

	/* `auto` is not asked again: the files that say it are behind the walls. */
	if (c->top.workers != before->top.workers)
		warn_restart("workers", said);
	if (strcmp(c->top.control, console_path(s->console)) != 0)
		warn_restart("control", said);
	if (c->top.sandbox != before->top.sandbox)
		warn_restart("sandbox", said);
	if (!confine_same_user(c, before))
		warn_restart("user", said);
	c->top.workers = before->top.workers;
	c->top.sandbox = before->top.sandbox;
	keep_text(&c->top.user, before->top.user);
	if (confine_reaches(&s->confine, c->cache.persist))
		return;
	warn_restart("persist", said);
	keep_text(&c->cache.persist, before->cache.persist); /* the cache goes on being written where it can be */
}

static void look_after_http(void *arg)
{
	struct server *s = arg;

	keeper_look(s->keeper, s->snapshot->config, console_serves(s->console));
}

static bool read_again(struct server *s, FILE *said)
{
	struct config *c = load_zones(s->options, said);
	struct resolv r;

	if (c == NULL)
		return false;
	keep_what_was_started(s, c, said);
	if (!bindings_prepare(&s->bindings, c, loop_clock_us())) {
		fprintf(said, "%s\n", s->bindings.refusal);
		config_free(c);
		return false;
	}
	follower_reload(&s->follower, c, &s->snapshot->resolv, &r);
	struct snapshot *next = snapshot_new(c, &r, s->snapshot);
	if (next == NULL) {
		bindings_cancel(&s->bindings);
		fputs("out of memory\n", said);
		return false;
	}
	hand_over(s, next);
	if (!bindings_commit(&s->bindings, s->workers, true, loop_clock_us()))
		log_error("out of memory: not every worker has begun at a new address, or left an old one");
	warn_without_local(next);
	look_after_http(s);
	return true;
}

/* What was said goes to the log, and to whoever asked. */
static void reload(void *arg, struct command_reload *result)
{
	struct server *s = arg;
	const char *path = s->options->zones_path;
	const struct config *c;
	size_t len;
	FILE *said = open_memstream(&result->said, &len);

	herald_reloading(s->herald);
	result->loaded = said != NULL && read_again(s, said);
	if (said != NULL && fclose(said) == 0)
		load_say(result->said, result->loaded);
	console_reloaded(s->console, result->loaded);
	herald_reloaded(s->herald, result->loaded);
	c = s->snapshot->config;
	const struct log_field fields[] = {LOG_STRING("event", "config"), LOG_STRING("state", result->loaded ? "loaded" : "refused"),
					   LOG_STRING("file", path), LOG_END};
	if (!result->loaded)
		log_event(LOG_ERROR, fields, "%s was not loaded; everything stays as it was", path);
	else
		log_event(LOG_INFO, fields, "%s loaded: %zu zones, %zu endpoints", path, c->zone_count, c->endpoint_count - 1);
}

static uint64_t sum(const struct server *s, enum metric which)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->worker_count; i++)
		n += metrics_get(worker_metrics(s->workers[i]), which);
	return n;
}

static void watch_resolv(struct server *s)
{
	struct resolv r;

	if (!follower_look(&s->follower, s->snapshot->config, &s->snapshot->resolv, &r))
		return;
	struct snapshot *next = snapshot_renew(s->snapshot, &r);
	if (next == NULL)
		return;
	s->follower.warned = false;
	hand_over(s, next);
	log_info("local upstreams are taken from %s: %zu", r.path, r.count);
}

/* Workers leave lines about errors out when there are too many of them. */
static void tell_left_out(struct server *s, uint64_t now_us)
{
	uint64_t n = sum(s, METRIC_LOG_LEFT_OUT) - s->left_out;

	if (n == 0 || !limit_pass(&s->left_out_pace, now_us, LEFT_OUT_EVERY_US, 1))
		return;
	s->left_out += n;
	const struct log_field fields[] = {LOG_STRING("event", "log"), LOG_COUNT("left_out", n), LOG_END};
	log_event(LOG_WARN, fields, "%llu queries with errors are not in the log: there were too many", (unsigned long long)n);
}

/* Work is shed, or waits: the host's matter, which nobody else would notice. */
static void tell_shortages(struct server *s, uint64_t now_us)
{
	uint64_t n = sum(s, METRIC_UNSENT_SHORTAGE) + sum(s, METRIC_TCP_RESTS) - s->shortages;

	if (n == 0 || !limit_pass(&s->shortage_pace, now_us, SHORTAGES_EVERY_US, 1))
		return;
	s->shortages += n;
	const struct log_field fields[] = {LOG_STRING("event", "shortage"), LOG_COUNT("times", n), LOG_END};
	log_event(LOG_WARN, fields,
		  "descriptors, ports or memory have run out: %llu times a question could not be sent or a connection not be accepted",
		  (unsigned long long)n);
}

static void on_watch(void *arg)
{
	struct server *s = arg;

	loop_timer_set(s->watch_timer, loop_now_us(s->loop) + WATCH_US);
	persist_clock(s->persist, s->snapshot, sum(s, METRIC_UPSTREAM_ANSWERS), loop_now_us(s->loop));
	watch_resolv(s);
	herald_look(s->herald);
	look_after_http(s);
	tell_left_out(s, loop_now_us(s->loop));
	tell_shortages(s, loop_now_us(s->loop));
}

static void on_signal(void *arg, int signal)
{
	struct server *s = arg;

	if (signal == SIGHUP) {
		struct command_reload result = {.said = NULL};
		if (succession_is_leaving(&s->succession)) {
			log_warn("SIGHUP is not obeyed: another instance is about to take over, and has read its own file");
			return;
		}
		reload(s, &result);
		free(result.said);
		return;
	}
	log_info("stopping: %s", signal == SIGINT ? "SIGINT" : "SIGTERM");
	loop_stop(s->loop);
}

static const char *on_takeover(void *arg, pid_t pid, struct control_reply *reply)
{
	return succession_offer(&((struct server *)arg)->succession, pid, reply);
}

/* Ours, or that of the one before us, whose last questions may wait in the socket yet. */
static bool only_looks(void *arg, pid_t pid)
{
	struct server *s = arg;

	return keeper_is_program(s->keeper, pid) || (s->succession.takeover.pages != 0 && pid == s->succession.takeover.pages);
}

static pid_t pages(void *arg)
{
	return keeper_program(((struct server *)arg)->keeper);
}

static bool is_leaving(void *arg)
{
	return succession_is_leaving(&((struct server *)arg)->succession);
}

/* ---- start and stop */

static bool start_upkeep(struct server *s, uint32_t descriptors)
{
	const struct upkeep_world world = {.loop = s->loop, .random = &s->random, .sockets = descriptors,
					   .closed = on_closed, .refresh = on_refresh, .arg = s};

	s->upkeep = upkeep_new(&world, s->snapshot);
	return s->upkeep != NULL;
}

static bool start_loop(struct server *s)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT};

	random_init(&s->random);
	s->loop = loop_new();
	s->limits = listen_limits_new();
	if (s->loop == NULL || s->limits == NULL)
		return false;
	s->watch_timer = loop_timer_new(s->loop, on_watch, s);
	s->news = news_new(&(struct news_world){s->loop, on_doubt, on_changed, s});
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if ((s->signals[i] = loop_signal_new(s->loop, signals[i], on_signal, s)) == NULL)
			return false;
	signals_let_hangup(true);
	return s->watch_timer != NULL && s->news != NULL;
}

/* ---- the console's world */

static struct snapshot *in_force(void *arg)
{
	return ((struct server *)arg)->snapshot;
}

static const struct metrics *metrics_of(void *arg, uint32_t worker)
{
	return worker_metrics(((struct server *)arg)->workers[worker]);
}

static void on_drained(void *arg, const struct pool *pool)
{
	upkeep_doubt(((struct server *)arg)->upkeep, pool->name);
}

static bool is_probed(void *arg)
{
	return upkeep_is_probed(((struct server *)arg)->upkeep);
}

static bool make_console(struct server *s)
{
	const struct console_world world = {
		.snapshot = in_force,
		.metrics = metrics_of,
		.reload = reload,
		.drained = on_drained,
		.probed = is_probed,
		.takeover = on_takeover,
		.only_looks = only_looks,
		.pages = pages,
		.is_leaving = is_leaving,
		.arg = s,
		.workers = s->worker_count,
		.zones_path = s->options->zones_path,
	};

	s->console = console_new(s->loop, &world);
	return s->console != NULL;
}

/* ---- the herald's world */

static bool workers_alive(void *arg)
{
	struct server *s = arg;
	bool alive = true;

	for (uint32_t i = 0; i < s->worker_count; i++)
		alive &= worker_check(s->workers[i]);
	return alive;
}

static bool make_herald(struct server *s)
{
	const struct herald_world world = {s->loop, in_force, workers_alive, s};

	s->herald = herald_new(&world);
	return s->herald != NULL;
}

static bool start_workers(struct server *s)
{
	const struct worker_news news = news_ears(s->news);
	uint32_t threads = s->worker_count + 1, descriptors = descriptors_share(s->snapshot, threads);

	s->workers = calloc(s->worker_count, sizeof(struct worker *));
	if (s->workers == NULL)
		return false;
	for (uint32_t i = 0; i < s->worker_count; i++) {
		struct worker_plan plan = {.index = i + 1, .workers = s->worker_count, .sockets = descriptors, .limits = s->limits};
		s->workers[i] = worker_new(&plan, s->snapshot, &news);
		if (s->workers[i] == NULL)
			return false;
	}
	if (!start_upkeep(s, descriptors) || !bindings_commit(&s->bindings, s->workers, false, loop_clock_us()))
		return false;
	for (uint32_t i = 0; i < s->worker_count; i++)
		if (worker_start(s->workers[i]) != 0)
			return false;
	return true;
}

static void say_what_was_served(const struct server *s)
{
	struct cache_counts cache;

	cache_count(s->snapshot->cache, &cache);
	log_info("served %llu queries: %llu from the cache, %llu stale; %llu entries cached, %llu evicted, %llu locks contended",
		 (unsigned long long)(sum(s, METRIC_QUERIES_UDP) + sum(s, METRIC_QUERIES_TCP)),
		 (unsigned long long)sum(s, METRIC_CACHE_HITS),
		 (unsigned long long)sum(s, METRIC_CACHE_STALE), (unsigned long long)cache.entries, (unsigned long long)cache.evictions,
		 (unsigned long long)cache.contended);
}

static void serve(struct server *s)
{
	loop_set_turn(s->loop, on_turn, s);
	loop_timer_set(s->watch_timer, loop_now_us(s->loop) + WATCH_US);
	warn_without_local(s->snapshot);
	bindings_log(&s->bindings);
	look_after_http(s);
	log_info("r53fwd " R53FWD_VERSION " serves: %zu zones, %u workers", s->snapshot->config->zone_count, s->worker_count);
	herald_ready(s->herald);
	loop_run(s->loop);
	herald_stopping(s->herald);
	for (uint32_t i = 0; i < s->worker_count; i++)
		succession_stop_worker(&s->succession, s->workers[i]);
	keeper_free(s->keeper); /* its port may be wanted by whoever takes over */
	s->keeper = NULL;
	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_join(s->workers[i]);
	persist_stop(s->persist, s->snapshot, loop_clock_us());
	say_what_was_served(s);
}

static void give_back(struct server *s)
{
	signals_let_hangup(false); /* nobody hears it any more */
	for (uint32_t i = 0; s->workers != NULL && i < s->worker_count; i++)
		if (s->workers[i] != NULL)
			worker_free(s->workers[i]);
	free(s->workers);
	succession_deinit(&s->succession);
	if (s->console != NULL)
		console_free(s->console);
	if (s->herald != NULL)
		herald_free(s->herald);
	if (s->upkeep != NULL)
		upkeep_free(s->upkeep);
	if (s->persist != NULL)
		persist_free(s->persist);
	keeper_free(s->keeper);
	bindings_deinit(&s->bindings);
	if (s->news != NULL)
		news_free(s->news);
	for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++)
		if (s->signals[i] != NULL)
			loop_signal_close(s->signals[i]);
	if (s->watch_timer != NULL)
		loop_timer_close(s->watch_timer);
	if (s->loop != NULL)
		loop_free(s->loop);
	if (s->limits != NULL)
		listen_limits_free(s->limits);
	if (s->snapshot != NULL)
		snapshot_unref(s->snapshot);
}

static bool begin_succession(struct server *s)
{
	const struct succession_world world = {s->loop, s->console, s->persist, s->workers, s->worker_count, in_force, look_after_http, s};

	return succession_begin(&s->succession, &world);
}

/* Says why it cannot. The control socket comes before the walls and the threads: its file's mode is made by the process's mask. What was
 * kept on the disk is read inside the walls. */
static bool start(struct server *s, bool bound)
{
	const struct config *c = s->snapshot != NULL ? s->snapshot->config : NULL;
	bool made = start_loop(s) && c != NULL && make_console(s) && make_herald(s);

	if (!bound || (made && !succession_open_console(&s->succession, s->console, c)))
		return false;
	if (made)
		confine_enter(&s->confine, c, s->options->zones_path);
	if (made && (s->persist = persist_new(s->snapshot, loop_now_us(s->loop))) == NULL)
		return false;
	if (made && !succession_take(&s->succession, s->snapshot, loop_now_us(s->loop)))
		persist_load(s->persist, s->snapshot, loop_now_us(s->loop));
	if (made)
		limit_tcp(s);
	log_writer_start(); /* from here on nobody waits for whoever reads the log */
	if (made && start_workers(s) && begin_succession(s))
		return true;
	log_error("cannot start: out of memory or threads");
	return false;
}

/* The only moment that needs a privilege; afterwards we become who `user` says. */
static bool take_sockets(struct server *s, const struct config *c, size_t passed)
{
	if (s->options->takeover && !succession_ask(&s->succession, c, &s->bindings))
		return false;
	if (bindings_pass(&s->bindings, PASSED_FIRST, passed) && bindings_prepare(&s->bindings, c, loop_clock_us()))
		return confine_become(c);
	log_error("%s", *s->bindings.refusal != '\0' ? s->bindings.refusal : "cannot start: out of memory");
	return false;
}

int server_run(const struct server_options *options)
{
	struct server s = {.options = options};
	size_t passed = passed_take(); /* first of all: descriptors that are opened later must not be taken for them */
	struct resolv r;

	signals_begin();
	struct config *c = load_first(options);
	if (c == NULL)
		return 1;
	s.keeper = keeper_new(c);
	if (s.keeper == NULL) {
		log_error("cannot start: out of memory");
		config_free(c);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN); /* not of the keeper's, who is a process of its own by now */
	descriptors_raise();
	s.worker_count = wanted_workers(c);
	follower_begin(&s.follower, resolv_paths(), c, &r);
	bindings_init(&s.bindings, s.worker_count);
	succession_init(&s.succession);
	bool bound = take_sockets(&s, c, passed);
	confine_forbid_rings(c); /* the next thing made is a loop */
	s.snapshot = snapshot_new(c, &r, NULL);
	bool started = start(&s, bound);
	if (started)
		serve(&s);
	give_back(&s);
	log_writer_stop();
	return started && !s.succession.failed ? 0 : 1;
}
