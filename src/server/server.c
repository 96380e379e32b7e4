/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/list.h"
#include "server/bindings.h"
#include "server/loopcheck.h"
#include "server/prober.h"
#include "server/worker.h"
#include "sys/cpus.h"

enum { WATCH_US = 1000000, NEWS_MOST = 4096, NEWS_POOL_MAX = 256 };

/* What a worker told us. */
struct news {
	struct list link;
	bool doubt;
	char pool[NEWS_POOL_MAX];
	struct upstream *upstream; /* a reference; NULL with a doubt */
	enum health_change change;
};

struct server {
	const struct server_options *options;
	struct snapshot *snapshot;
	struct bindings bindings;
	struct worker **workers; /* [worker_count] */
	uint32_t worker_count;
	struct listen_limits *limits;
	struct loop *loop;
	struct loop_timer *probe_timer, *watch_timer;
	struct loop_wakeup *wakeup;
	struct loop_signal *signals[3];
	struct prober *prober;
	struct loopcheck *loopcheck;
	struct transport_env env, loop_env; /* the prober's; loopcheck's */
	struct random random;
	pthread_mutex_t news_lock;
	struct list news;
	uint32_t news_count;
	bool resolv_warned;
};

/* ---- what is said of health */

static const char *cause_text(const struct health_report *r)
{
	static const char *const texts[] = {
		[HEALTH_CAUSE_NONE] = "no reason remembered",
		[HEALTH_CAUSE_SILENT] = "questions went unanswered",
		[HEALTH_CAUSE_UNREACHABLE] = "the network says it is unreachable",
		[HEALTH_CAUSE_BROKEN] = "it answered with an error where another address knew the answer",
		[HEALTH_CAUSE_PROBE_SILENT] = "a probe went unanswered",
		[HEALTH_CAUSE_PROBE_FAILED] = "a probe was answered with an error",
		[HEALTH_CAUSE_OUTAGE] = "not yet heard from since the outage",
	};

	return texts[r->cause];
}

static const struct pool *find_pool(const struct server *s, const char *name)
{
	for (size_t i = 0; i < s->snapshot->pool_count; i++)
		if (strcmp(s->snapshot->pools[i].name, name) == 0)
			return &s->snapshot->pools[i];
	return NULL;
}

static void report_change(const struct server *s, const char *pool_name, struct upstream *u, enum health_change change)
{
	const struct pool *p = find_pool(s, pool_name);
	struct health_report r;

	if (p == NULL || atomic_load(&p->down))
		return; /* while the endpoint is down its addresses are not news */
	health_report(&u->health, &p->rules, &r);
	if (change == HEALTH_TO_UP)
		log_info("address %s of %s is up", u->text, pool_name);
	else
		log_warn("address %s of %s is %s: %s", u->text, pool_name, change == HEALTH_TO_DOWN ? "down" : "suspect", cause_text(&r));
}

/* ---- the prober's world */

static uint64_t turn_now_us(void *arg)
{
	return loop_now_us(((struct server *)arg)->loop);
}

static void on_closed(void *arg, struct pool *pool)
{
	struct server *s = arg;

	log_warn("%s is down: none of its %d addresses answers; known names are served from the cache", pool->name, pool->count);
	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_pool_closed(s->workers[i], pool->name);
}

static void on_opened(void *arg, struct pool *pool, int place)
{
	(void)arg;
	log_info("%s is up again: %s answers", pool->name, pool->places[place].upstream->text);
}

static void on_probe_changed(void *arg, struct pool *pool, struct upstream *upstream, enum health_change change)
{
	report_change(arg, pool->name, upstream, change);
}

static void on_probe_timer(void *arg)
{
	struct server *s = arg;

	prober_clock(s->prober, loop_now_us(s->loop));
	loopcheck_clock(s->loopcheck, loop_now_us(s->loop));
}

static void on_turn(void *arg)
{
	struct server *s = arg;

	prober_flush(s->prober);
	loopcheck_flush(s->loopcheck);
	loop_timer_set(s->probe_timer, MIN(prober_next_us(s->prober), loopcheck_next_us(s->loopcheck)));
}

/* ---- news from the workers */

static void hear_nothing(struct news *n)
{
	if (n->upstream != NULL)
		upstream_unref(n->upstream);
	free(n);
}

static void post_news(struct server *s, struct news *n)
{
	pthread_mutex_lock(&s->news_lock);
	bool room = s->news_count < NEWS_MOST;
	if (room) {
		list_append(&s->news, &n->link);
		s->news_count++;
	}
	pthread_mutex_unlock(&s->news_lock);
	if (!room) {
		hear_nothing(n);
		return;
	}
	loop_wakeup_send(s->wakeup);
}

static void tell(struct server *s, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	struct news *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		if (upstream != NULL)
			upstream_unref(upstream);
		return;
	}
	list_init(&n->link);
	n->doubt = upstream == NULL;
	strncat(n->pool, pool_name, sizeof(n->pool) - 1);
	n->upstream = upstream;
	n->change = change;
	post_news(s, n);
}

static void on_doubt(void *arg, const char *pool_name)
{
	tell(arg, pool_name, NULL, HEALTH_SAME);
}

static void on_changed(void *arg, const char *pool_name, struct upstream *upstream, enum health_change change)
{
	tell(arg, pool_name, upstream, change);
}

static void hear(struct server *s, struct news *n)
{
	uint64_t now_us = loop_now_us(s->loop);

	if (n->doubt) {
		prober_doubt(s->prober, n->pool, now_us);
	} else {
		report_change(s, n->pool, n->upstream, n->change);
		if (n->change == HEALTH_TO_SUSPECT)
			prober_suspect(s->prober, n->upstream, now_us);
		upstream_unref(n->upstream);
	}
	free(n);
}

static void on_news(void *arg)
{
	struct server *s = arg;

	for (;;) {
		pthread_mutex_lock(&s->news_lock);
		struct list *link = list_take_first(&s->news);
		s->news_count -= link != NULL;
		pthread_mutex_unlock(&s->news_lock);
		if (link == NULL)
			return;
		hear(s, CONTAINER_OF(link, struct news, link));
	}
}

/* ---- configuration */

static struct config *load(const struct server_options *o)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_listening(o->zones_path, o->listen, o->listen_count, &d);
	diagnostics_print(&d, o->zones_path, stderr);
	diagnostics_deinit(&d);
	if (c == NULL)
		return NULL;
	if (o->log_level >= 0)
		c->log.level = (enum log_level)o->log_level;
	if (o->workers > 0)
		c->top.workers = o->workers;
	return c;
}

static void read_resolv(const struct config *c, struct resolv *r)
{
	memset(r, 0, sizeof(*r));
	if (c->local_from_resolv)
		resolv_read(r, resolv_paths(), c->listen, c->listen_count);
}

static void warn_without_local(const struct snapshot *s)
{
	if (s->pools[0].count == 0)
		log_warn("no local upstream is known: resolv.conf names nobody but us; names outside the forwarded zones get SERVFAIL");
}

static void limit_tcp(struct server *s)
{
	const struct config_tcp *tcp = &s->snapshot->config->tcp;

	listen_limits_set(s->limits, tcp->idle_us, tcp->connections, tcp->per_client);
}

/* All workers and the prober see `next` from now on; the old one goes with its last question. */
static void hand_over(struct server *s, struct snapshot *next)
{
	struct snapshot *old = s->snapshot;

	s->snapshot = next;
	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_adopt(s->workers[i], next);
	prober_adopt(s->prober, next, loop_now_us(s->loop));
	loopcheck_adopt(s->loopcheck, next, loop_now_us(s->loop));
	snapshot_unref(old);
	limit_tcp(s);
	log_configure(next->config->log.level, next->config->log.format);
}

static uint32_t wanted_workers(const struct config *c)
{
	return c->top.workers != 0 ? c->top.workers : cpus_usable();
}

static void reload(struct server *s)
{
	struct config *c = load(s->options);
	struct resolv r;

	if (c == NULL) {
		log_error("%s was not loaded; everything stays as it was", s->options->zones_path);
		return;
	}
	if (wanted_workers(c) != s->worker_count)
		log_warn("`workers` takes effect at a restart; still %u", s->worker_count);
	if (!bindings_prepare(&s->bindings, c)) {
		log_error("%s was not loaded; everything stays as it was", s->options->zones_path);
		config_free(c);
		return;
	}
	read_resolv(c, &r);
	struct snapshot *next = snapshot_new(c, &r, s->snapshot);
	if (next == NULL) {
		bindings_cancel(&s->bindings);
		log_error("out of memory: %s was not loaded", s->options->zones_path);
		return;
	}
	hand_over(s, next);
	if (!bindings_commit(&s->bindings, s->workers, true))
		log_error("out of memory: not every new address is served by every worker");
	warn_without_local(next);
	log_info("%s loaded: %zu zones, %zu endpoints", s->options->zones_path, next->config->zone_count, next->config->endpoint_count - 1);
}

static bool same_servers(const struct resolv *a, const struct resolv *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!addr_equal(&a->servers[i], &b->servers[i]))
			return false;
	return true;
}

/* resolv.conf, looked at each second: replaced, rewritten or bind-mounted files are all seen alike. */
static void on_watch(void *arg)
{
	struct server *s = arg;
	struct resolv r;

	loop_timer_set(s->watch_timer, loop_now_us(s->loop) + WATCH_US);
	if (!s->snapshot->config->local_from_resolv)
		return;
	read_resolv(s->snapshot->config, &r);
	if (same_servers(&r, &s->snapshot->resolv)) {
		s->resolv_warned = false;
		return;
	}
	if (r.count == 0) {
		if (!s->resolv_warned)
			log_warn("resolv.conf names nobody but us any more; the last local upstreams are kept");
		s->resolv_warned = true;
		return;
	}
	struct snapshot *next = snapshot_renew(s->snapshot, &r);
	if (next == NULL)
		return;
	s->resolv_warned = false;
	hand_over(s, next);
	log_info("local upstreams are taken from %s: %zu", r.path, r.count);
}

static void on_signal(void *arg, int signal)
{
	struct server *s = arg;

	if (signal == SIGHUP) {
		reload(s);
		return;
	}
	log_info("stopping: %s", signal == SIGINT ? "SIGINT" : "SIGTERM");
	loop_stop(s->loop);
}

/* ---- start and stop */

/* Half of the descriptors may be source ports; says so when that is fewer than zones.conf asks for. */
static uint32_t share_descriptors(const struct snapshot *s, uint32_t threads)
{
	struct rlimit limit;
	uint64_t wanted = 0;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	for (size_t i = 0; i < s->pool_count; i++)
		wanted += (uint64_t)s->pools[i].count * s->pools[i].source_ports / 2;
	if (wanted > limit.rlim_cur / 2)
		log_warn("RLIMIT_NOFILE of %llu leaves room for %llu source ports at a time; zones.conf asks for %llu",
			 (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_cur / 2, (unsigned long long)wanted);
	return (uint32_t)MAX(1u, limit.rlim_cur / 2 / threads);
}

static bool start_prober(struct server *s)
{
	struct prober_world world = {
		.random = &s->random,
		.env = &s->env,
		.threads = s->worker_count + 1,
		.now_us = turn_now_us,
		.closed = on_closed,
		.opened = on_opened,
		.changed = on_probe_changed,
		.arg = s,
	};
#define TRANSPORT(value, name, unit, help) world.transports[TRANSPORT_##value] = &transport_##unit;
#include "tables/transports.def"
#undef TRANSPORT
	struct loopcheck_world loops = {.random = &s->random, .env = &s->loop_env};
	memcpy(loops.transports, world.transports, sizeof(loops.transports));
	s->env.loop = s->loop_env.loop = s->loop;
	s->env.random = s->loop_env.random = &s->random;
	s->prober = prober_new(&world, s->snapshot, loop_now_us(s->loop));
	s->loopcheck = loopcheck_new(&loops, s->snapshot, loop_now_us(s->loop));
	return s->prober != NULL && s->loopcheck != NULL;
}

static bool start_loop(struct server *s)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT};

	random_init(&s->random);
	list_init(&s->news);
	ASSERT(pthread_mutex_init(&s->news_lock, NULL) == 0);
	s->loop = loop_new();
	s->limits = listen_limits_new();
	if (s->loop == NULL || s->limits == NULL)
		return false;
	s->probe_timer = loop_timer_new(s->loop, on_probe_timer, s);
	s->watch_timer = loop_timer_new(s->loop, on_watch, s);
	s->wakeup = loop_wakeup_new(s->loop, on_news, s);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if ((s->signals[i] = loop_signal_new(s->loop, signals[i], on_signal, s)) == NULL)
			return false;
	return s->probe_timer != NULL && s->watch_timer != NULL && s->wakeup != NULL;
}

static bool start_workers(struct server *s)
{
	const struct worker_news news = {on_doubt, on_changed, s};
	uint32_t threads = s->worker_count + 1, descriptors = share_descriptors(s->snapshot, threads);

	s->env.socket_limit = descriptors;
	s->workers = calloc(s->worker_count, sizeof(struct worker *));
	if (s->workers == NULL)
		return false;
	for (uint32_t i = 0; i < s->worker_count; i++) {
		struct worker_plan plan = {.index = i + 1, .threads = threads, .sockets = descriptors, .limits = s->limits};
		s->workers[i] = worker_new(&plan, s->snapshot, &news);
		if (s->workers[i] == NULL)
			return false;
	}
	if (!start_prober(s) || !bindings_commit(&s->bindings, s->workers, false))
		return false;
	for (uint32_t i = 0; i < s->worker_count; i++)
		if (worker_start(s->workers[i]) != 0)
			return false;
	return true;
}

static void serve(struct server *s)
{
	loop_set_turn(s->loop, on_turn, s);
	loop_timer_set(s->watch_timer, loop_now_us(s->loop) + WATCH_US);
	warn_without_local(s->snapshot);
	bindings_log(&s->bindings);
	log_info("r53fwd " R53FWD_VERSION " serves: %zu zones, %u workers", s->snapshot->config->zone_count, s->worker_count);
	loop_run(s->loop);
	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_stop(s->workers[i]);
	for (uint32_t i = 0; i < s->worker_count; i++)
		worker_join(s->workers[i]);
}

static void give_back(struct server *s)
{
	for (uint32_t i = 0; s->workers != NULL && i < s->worker_count; i++)
		if (s->workers[i] != NULL)
			worker_free(s->workers[i]);
	free(s->workers);
	if (s->prober != NULL)
		prober_free(s->prober);
	if (s->loopcheck != NULL)
		loopcheck_free(s->loopcheck);
	bindings_deinit(&s->bindings);
	LIST_FOR_EACH(link, &s->news)
		hear_nothing(CONTAINER_OF(link, struct news, link));
	for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++)
		if (s->signals[i] != NULL)
			loop_signal_close(s->signals[i]);
	if (s->probe_timer != NULL)
		loop_timer_close(s->probe_timer);
	if (s->watch_timer != NULL)
		loop_timer_close(s->watch_timer);
	if (s->wakeup != NULL)
		loop_wakeup_close(s->wakeup);
	if (s->loop != NULL)
		loop_free(s->loop);
	if (s->limits != NULL)
		listen_limits_free(s->limits);
	if (s->snapshot != NULL)
		snapshot_unref(s->snapshot);
	pthread_mutex_destroy(&s->news_lock);
}

int server_run(const struct server_options *options)
{
	struct server s = {.options = options};
	struct config *c = load(options);
	struct resolv r;

	if (c == NULL)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	log_configure(c->log.level, c->log.format);
	s.worker_count = wanted_workers(c);
	read_resolv(c, &r);
	bindings_init(&s.bindings, s.worker_count);
	bool bound = bindings_prepare(&s.bindings, c);
	s.snapshot = snapshot_new(c, &r, NULL);
	bool started = start_loop(&s) && bound && s.snapshot != NULL;
	if (started) {
		limit_tcp(&s);
		started = start_workers(&s);
	}
	if (started)
		serve(&s);
	else if (bound)
		log_error("cannot start: out of memory or threads");
	give_back(&s);
	return started ? 0 : 1;
}
