/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/bridge.h"
#include "server/forward.h"
#include "sys/sandbox.h"
#include "wire/text.h"

/* A stop waits this long for answers that are still out. */
enum { STOP_PATIENCE_US = 5 * 1000000, POOL_NAME_MAX = 256 };

enum order_kind { ORDER_LISTEN, ORDER_UNLISTEN, ORDER_CLIENT, ORDER_POOL_CLOSED, ORDER_REFRESH };

struct order {
	struct list link;
	enum order_kind kind;
	struct addr addr;
	enum listen_kind listen_kind;
	bool ours;      /* nobody else has the listener's socket */
	int fd;         /* a listener's or a client's */
	uint8_t *bytes; /* heap: with a client */
	size_t len;
	char pool_name[POOL_NAME_MAX];
	struct name name;
	uint16_t type;
};

/* What net counts, and where it is shown. */
static const struct {
	enum metric metric;
	size_t offset;
} listener_metrics[] = {
	{METRIC_DROPPED_PORT_ZERO, offsetof(struct listener_counts, port_zero)},
	{METRIC_DROPPED_TOO_LONG, offsetof(struct listener_counts, too_long)},
	{METRIC_UNSENT, offsetof(struct listener_counts, send_failed)},
	{METRIC_TCP_ACCEPTED, offsetof(struct listener_counts, accepted)},
	{METRIC_TCP_REFUSED, offsetof(struct listener_counts, refused)},
	{METRIC_TCP_RESTS, offsetof(struct listener_counts, rests)},
	{METRIC_TCP_CLOSED_IDLE, offsetof(struct listener_counts, closed[CLOSED_IDLE])},
	{METRIC_TCP_CLOSED_UNREAD, offsetof(struct listener_counts, closed[CLOSED_UNREAD])},
	{METRIC_TCP_CLOSED_ROOM, offsetof(struct listener_counts, closed[CLOSED_ROOM])},
	{METRIC_TCP_CLOSED_MEMORY, offsetof(struct listener_counts, closed[CLOSED_MEMORY])},
};

struct open_listener {
	struct list link;
	struct listener *listener;
	uint64_t counted[ARRAY_SIZE(listener_metrics)];
};

struct worker {
	uint32_t index;
	pthread_t thread;
	bool running; /* from worker_start to worker_join; the main thread's */
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_wakeup *wakeup;
	struct forward *forward;
	struct transport_env env;
	struct random random;
	struct metrics metrics;
	uint64_t counted_mismatched, counted_forgeries, counted_unsent, counted_shortages; /* of env */
	struct listen_limits *limits;
	struct worker_news news;
	struct list listeners;     /* changed under the lock below, for those who copy their sockets */
	uint32_t open_listeners;   /* those that were closed and owe something included */
	uint64_t stop_by_us;       /* 0: not stopping */
	_Atomic bool asked;        /* by worker_check; the loop takes it back */
	int bridge;                /* while stopping: where TCP clients go; -1: nowhere */
	pthread_mutex_t mailbox_lock;
	struct list mailbox;
	/* What must arrive although there is no memory. */
	struct snapshot *adopt; /* the newest that was not adopted yet: a reference, or NULL */
	bool stop;
	int stop_bridge; /* with `stop`: the bridge, or -1 */
};

/* ---- the loop's callbacks */

static void on_query(void *arg, const struct reply_to *to, const uint8_t *query, size_t len)
{
	struct worker *w = arg;

	forward_query(w->forward, to, query, len, loop_now_us(w->loop));
}

static void on_timer(void *arg)
{
	struct worker *w = arg;

	forward_clock(w->forward, loop_now_us(w->loop));
}

/* To the other instance. Once that fails nobody is there any more, and nobody waits for it again. */
static bool pass_client(void *arg, int fd, const uint8_t *bytes, size_t len)
{
	struct worker *w = arg;

	if (w->bridge < 0)
		return false;
	if (bridge_send(w->bridge, BRIDGE_CLIENT, fd, bytes, len))
		return true;
	w->bridge = -1;
	return false;
}

static void count(struct worker *w, enum metric metric, uint64_t now, uint64_t *counted)
{
	if (LIKELY(now == *counted))
		return;
	metrics_add(&w->metrics, metric, now - *counted);
	*counted = now;
}

/* Takes over what was counted since the last turn. */
static void count_listener(struct worker *w, struct open_listener *o)
{
	struct listener_counts now;

	listener_counts(o->listener, &now);
	for (size_t i = 0; i < ARRAY_SIZE(listener_metrics); i++)
		count(w, listener_metrics[i].metric, *(const uint64_t *)(const void *)((const char *)&now + listener_metrics[i].offset),
		      &o->counted[i]);
}

static void close_listener(struct worker *w, struct open_listener *o)
{
	count_listener(w, o);
	pthread_mutex_lock(&w->mailbox_lock);
	list_remove(&o->link);
	pthread_mutex_unlock(&w->mailbox_lock);
	if (w->bridge >= 0)
		listener_pass(o->listener, pass_client, w);
	else
		listener_close(o->listener);
	free(o);
}

static void close_listeners(struct worker *w)
{
	LIST_FOR_EACH(link, &w->listeners)
		close_listener(w, CONTAINER_OF(link, struct open_listener, link));
}

static void on_turn(void *arg)
{
	struct worker *w = arg;
	forward_flush(w->forward);
	uint64_t next_us = forward_next_us(w->forward);
	count(w, METRIC_DROPPED_MISMATCHED_ANSWER, w->env.mismatched, &w->counted_mismatched);
	count(w, METRIC_FORGERIES, w->env.forgeries, &w->counted_forgeries);
	count(w, METRIC_UNSENT_FULL, w->env.unsent, &w->counted_unsent);
	count(w, METRIC_UNSENT_SHORTAGE, w->env.shortages, &w->counted_shortages);
	LIST_FOR_EACH(link, &w->listeners) {
		struct open_listener *o = CONTAINER_OF(link, struct open_listener, link);
		listener_flush(o->listener);
		count_listener(w, o);
	}
	if (UNLIKELY(w->stop_by_us != 0)) {
		bool done = forward_waiting(w->forward) == 0 && w->open_listeners == 0;
		if (done || loop_now_us(w->loop) >= w->stop_by_us) {
			loop_stop(w->loop);
			return;
		}
		next_us = MIN(next_us, w->stop_by_us);
	}
	loop_timer_set(w->timer, next_us);
}

static void on_gone(void *arg)
{
	((struct worker *)arg)->open_listeners--;
}

static bool allows(void *arg, const struct addr *client)
{
	const struct worker *w = arg;

	return forward_allows(w->forward, client);
}

static bool add_listener(struct worker *w, enum listen_kind kind, int fd)
{
	struct open_listener *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		close(fd);
		return false;
	}
	o->listener = listener_new(w->loop, kind, fd, w->limits, on_query, w);
	if (o->listener == NULL) {
		free(o);
		return false;
	}
	listener_set_gone(o->listener, on_gone, w);
	listener_set_allows(o->listener, allows, w);
	w->open_listeners++;
	pthread_mutex_lock(&w->mailbox_lock);
	list_append(&w->listeners, &o->link);
	pthread_mutex_unlock(&w->mailbox_lock);
	return true;
}

static void remove_listener(struct worker *w, const struct addr *addr, bool ours)
{
	LIST_FOR_EACH(link, &w->listeners) {
		struct open_listener *o = CONTAINER_OF(link, struct open_listener, link);
		if (!addr_equal(listener_addr(o->listener), addr))
			continue;
		if (ours)
			listener_leave(o->listener);
		close_listener(w, o);
	}
}

/* Where a client belongs that has asked at `local`: NULL without a listener for TCP. */
static struct listener *find_listener(const struct worker *w, const struct addr *local)
{
	struct listener *found = NULL;

	LIST_FOR_EACH(link, &w->listeners) {
		struct listener *l = CONTAINER_OF(link, struct open_listener, link)->listener;
		if (listener_kind(l) != LISTEN_TCP)
			continue;
		if (addr_equal(listener_addr(l), local))
			return l;
		found = l;
	}
	return found;
}

static void take_client(struct worker *w, struct order *o)
{
	struct addr local = {0};
	socklen_t len = sizeof(local);
	bool known = getsockname(o->fd, &local.sa, &len) == 0;
	struct listener *l = known ? find_listener(w, &local) : NULL;

	if (l != NULL)
		listener_adopt(l, o->fd, o->bytes, o->len);
	else
		close(o->fd);
	free(o->bytes);
}

static void obey(struct worker *w, struct order *o)
{
	uint64_t now_us = loop_now_us(w->loop);

	switch (o->kind) {
	case ORDER_LISTEN:
		if (!add_listener(w, o->listen_kind, o->fd))
			log_error("worker %u does not serve an address that a reload has added, for want of memory: take it out and add "
				  "it again", w->index);
		break;
	case ORDER_UNLISTEN:
		remove_listener(w, &o->addr, o->ours);
		break;
	case ORDER_CLIENT:
		take_client(w, o);
		break;
	case ORDER_POOL_CLOSED:
		forward_pool_closed(w->forward, o->pool_name, now_us);
		break;
	case ORDER_REFRESH:
		forward_refresh(w->forward, &o->name, o->type, now_us);
		break;
	}
	free(o);
}

static void take_snapshot(struct worker *w, struct snapshot *s)
{
	forward_adopt(w->forward, s, loop_now_us(w->loop));
	snapshot_unref(s);
	/* It may allow others. */
	LIST_FOR_EACH(link, &w->listeners)
		listener_set_allows(CONTAINER_OF(link, struct open_listener, link)->listener, allows, w);
}

/* The snapshot comes first: orders that were posted later may be about what is in it. The stop comes last. */
static void on_wakeup(void *arg)
{
	struct worker *w = arg;
	struct list *link;

	atomic_store_explicit(&w->asked, false, memory_order_relaxed);
	do {
		pthread_mutex_lock(&w->mailbox_lock);
		struct snapshot *adopt = w->adopt;
		w->adopt = NULL;
		link = list_take_first(&w->mailbox);
		bool stop = link == NULL && w->stop;
		int bridge = w->stop_bridge;
		pthread_mutex_unlock(&w->mailbox_lock);
		if (adopt != NULL)
			take_snapshot(w, adopt);
		if (link != NULL)
			obey(w, CONTAINER_OF(link, struct order, link));
		if (stop && w->stop_by_us == 0) {
			w->stop_by_us = loop_now_us(w->loop) + STOP_PATIENCE_US;
			w->bridge = bridge;
			close_listeners(w); /* each reads what the kernel holds, and sends what is still to be answered */
		}
	} while (link != NULL);
}

/* ---- forward's world */

static uint64_t turn_now_us(void *arg)
{
	return loop_now_us(((struct worker *)arg)->loop);
}

static void on_doubt(void *arg, struct pool *pool)
{
	struct worker *w = arg;

	w->news.doubt(w->news.arg, pool->name);
}

static void on_changed(void *arg, struct pool *pool, struct upstream *upstream, enum health_change change)
{
	struct worker *w = arg;

	w->news.changed(w->news.arg, pool->name, upstream_ref(upstream), change);
}

static void on_looped(void *arg, const struct snapshot_route *route, const struct addr *client)
{
	char text[ADDR_TEXT_MAX];

	(void)arg;
	log_warn("a loop: what is asked of %s comes back from %s; its queries for these zones are refused%s", route->pools[0]->name,
		 addr_format_ip(client, text), addr_is_loopback(client) ? " while the same is being asked" : "");
}

static void on_violated(void *arg, const struct snapshot_zone *zone, const struct pool *pool, const struct addr *seen)
{
	char name[TEXT_NAME_MAX], ip[ADDR_TEXT_MAX];
	bool kept = zone->config->guard == GUARD_ENFORCE;

	(void)arg;
	log_warn("%s does not expect %s, which came from %s; %s", text_name(&zone->config->name, name), addr_format_ip(seen, ip),
		 pool->name, kept ? "such answers are not passed on" : "such answers are passed on and counted");
}

static bool is_stream(const struct reply_to *to)
{
	return listener_kind(to->listener) == LISTEN_TCP;
}

static bool make_forward(struct worker *w, uint32_t workers, struct snapshot *s)
{
	struct forward_world world = {
		.thread = w->index,
		.random = &w->random,
		.metrics = &w->metrics,
		.env = &w->env,
		.replies = {listener_room, listener_send, listener_drop, is_stream},
		.workers = workers,
		.now_us = turn_now_us,
		.doubt = on_doubt,
		.looped = on_looped,
		.violated = on_violated,
		.changed = on_changed,
		.arg = w,
	};
#define TRANSPORT(value, name, unit, help) world.transports[TRANSPORT_##value] = &transport_##unit;
#include "tables/transports.def"
#undef TRANSPORT
	w->forward = forward_new(&world, s, loop_now_us(w->loop));
	return w->forward != NULL;
}

/* ---- from the main thread */

struct worker *worker_new(const struct worker_plan *plan, struct snapshot *s, const struct worker_news *news)
{
	struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);

	if (w == NULL)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->index = plan->index;
	w->limits = plan->limits;
	w->env.socket_limit = plan->sockets;
	w->news = *news;
	w->bridge = -1;
	list_init(&w->listeners);
	list_init(&w->mailbox);
	ASSERT(pthread_mutex_init(&w->mailbox_lock, NULL) == 0);
	random_init(&w->random);
	w->loop = loop_new();
	w->env.loop = w->loop;
	w->env.random = &w->random;
	if (w->loop != NULL && (w->timer = loop_timer_new(w->loop, on_timer, w)) != NULL &&
	    (w->wakeup = loop_wakeup_new(w->loop, on_wakeup, w)) != NULL && make_forward(w, plan->workers, s)) {
		loop_set_turn(w->loop, on_turn, w);
		return w;
	}
	worker_free(w);
	return NULL;
}

bool worker_listen(struct worker *w, enum listen_kind kind, int fd)
{
	return add_listener(w, kind, fd);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	char name[16];
	int error = sandbox_enter_worker();

	/* For `top -H` and debuggers. */
	snprintf(name, sizeof(name), "worker %u", w->index);
	pthread_setname_np(pthread_self(), name);
	if (error != 0)
		log_warn("worker %u may do what the main thread may: %s", w->index, strerror(-error));
	loop_run(w->loop);
	return NULL;
}

int worker_start(struct worker *w)
{
	sigset_t all, before;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->running = error == 0;
	return -error;
}

/* False: there is no memory, and the order is lost. */
static bool post(struct worker *w, const struct order *order)
{
	struct order *o = malloc(sizeof(*o));

	if (o == NULL)
		return false;
	*o = *order;
	list_init(&o->link);
	pthread_mutex_lock(&w->mailbox_lock);
	list_append(&w->mailbox, &o->link);
	pthread_mutex_unlock(&w->mailbox_lock);
	loop_wakeup_send(w->wakeup);
	return true;
}

void worker_adopt(struct worker *w, struct snapshot *s)
{
	pthread_mutex_lock(&w->mailbox_lock);
	struct snapshot *passed_over = w->adopt;
	w->adopt = snapshot_ref(s);
	pthread_mutex_unlock(&w->mailbox_lock);
	if (passed_over != NULL)
		snapshot_unref(passed_over);
	loop_wakeup_send(w->wakeup);
}

bool worker_add_listener(struct worker *w, enum listen_kind kind, int fd)
{
	if (post(w, &(struct order){.kind = ORDER_LISTEN, .listen_kind = kind, .fd = fd}))
		return true;
	close(fd);
	return false;
}

bool worker_remove_listener(struct worker *w, const struct addr *addr, bool ours)
{
	return post(w, &(struct order){.kind = ORDER_UNLISTEN, .addr = *addr, .ours = ours});
}

void worker_pool_closed(struct worker *w, const char *pool_name)
{
	struct order o = {.kind = ORDER_POOL_CLOSED};

	strncat(o.pool_name, pool_name, sizeof(o.pool_name) - 1);
	post(w, &o);
}

void worker_refresh(struct worker *w, const struct name *name, uint16_t type)
{
	post(w, &(struct order){.kind = ORDER_REFRESH, .name = *name, .type = type});
}

void worker_stop(struct worker *w)
{
	worker_hand_over(w, -1);
}

void worker_hand_over(struct worker *w, int bridge)
{
	pthread_mutex_lock(&w->mailbox_lock);
	w->stop = true;
	w->stop_bridge = bridge;
	pthread_mutex_unlock(&w->mailbox_lock);
	loop_wakeup_send(w->wakeup);
}

void worker_take_client(struct worker *w, int fd, const uint8_t *bytes, size_t len)
{
	struct order o = {.kind = ORDER_CLIENT, .fd = fd, .bytes = malloc(MAX(len, (size_t)1)), .len = len};

	if (o.bytes != NULL && len > 0)
		memcpy(o.bytes, bytes, len);
	if (o.bytes != NULL && post(w, &o))
		return;
	free(o.bytes);
	close(fd);
}

static bool copy_socket(int fd, int **fds, size_t *count)
{
	int *grown = realloc(*fds, (*count + 1) * sizeof(**fds));

	if (grown == NULL)
		return false;
	*fds = grown;
	grown[*count] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return grown[*count] >= 0 && ++*count > 0;
}

bool worker_copy_sockets(struct worker *w, int **fds, size_t *count)
{
	bool ok = true;

	pthread_mutex_lock(&w->mailbox_lock);
	LIST_FOR_EACH(link, &w->listeners)
		ok = ok && copy_socket(listener_fd(CONTAINER_OF(link, struct open_listener, link)->listener), fds, count);
	LIST_FOR_EACH(link, &w->mailbox) {
		const struct order *o = CONTAINER_OF(link, struct order, link);
		if (o->kind == ORDER_LISTEN)
			ok = ok && copy_socket(o->fd, fds, count);
	}
	pthread_mutex_unlock(&w->mailbox_lock);
	return ok;
}

bool worker_check(struct worker *w)
{
	bool answered = !atomic_exchange_explicit(&w->asked, true, memory_order_relaxed);

	loop_wakeup_send(w->wakeup);
	return answered;
}

void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
	w->running = false;
}

void worker_free(struct worker *w)
{
	/* A start that failed behind it. */
	if (w->running) {
		worker_stop(w);
		worker_join(w);
	}
	close_listeners(w);
	if (w->forward != NULL)
		forward_free(w->forward);
	if (w->timer != NULL)
		loop_timer_close(w->timer);
	if (w->wakeup != NULL)
		loop_wakeup_close(w->wakeup);
	if (w->loop != NULL)
		loop_free(w->loop);
	LIST_FOR_EACH(link, &w->mailbox) {
		struct order *o = CONTAINER_OF(link, struct order, link);
		if (o->kind == ORDER_LISTEN || o->kind == ORDER_CLIENT)
			close(o->fd);
		free(o->bytes);
		free(o);
	}
	if (w->adopt != NULL)
		snapshot_unref(w->adopt);
	pthread_mutex_destroy(&w->mailbox_lock);
	free(w);
}

const struct metrics *worker_metrics(const struct worker *w)
{
	return &w->metrics;
}
