/* SPDX-License-Identifier: Apache-2.0 */
/* How many TCP connections there may be, who makes room for newcomers, and who is closed for want of progress.
 *
 * Connections stand in the order of last progress, in one of three lists of their listener: *strangers*, who may not ask and have nothing
 * to wait for; *idle* clients; and *busy* ones, to whom something is owed. At the limit whoever idles for longest makes room, wherever: a
 * stranger if there is one, else a client, but never a client for a stranger. Each listener says how many may go of each kind and since
 * when the longest of them has idled. If that is one of another listener, of this worker or of another one, the newcomer enters all the
 * same, and that listener is asked, by a wake-up, to close its longest. So for a moment there may be as many connections above the limit
 * as idle ones are about to go. Where nobody idles, a client that does not take its answers goes, at the newcomer's listener.
 * At a client's own limit it is the same among its own connections: at each listener that it is connected to it has a *seat*, which says
 * how many of them idle there and since when. Others lose nothing for it, and if all are busy the newcomer is refused.
 * Only where connections come and go is a lock taken, and never while a connection is being closed. */
#include "net/listen_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { CLIENT_BUCKETS = 1024 };

/* Until listen_limits_set: the defaults of zones.conf. */
enum { DEFAULT_IDLE_US = 10 * US_PER_S, DEFAULT_CONNECTIONS = 1000, DEFAULT_PER_CLIENT = 100 };

/* Who counts as one client: an IPv4 address, or an IPv6 network of 64 bits, for that is what one host may choose from. Strangers of the
 * same network are another one. */
struct client_key {
	uint8_t bytes[8];
	uint32_t family, stranger;
};

struct listen_client {
	struct listen_client *next;
	struct client_key key;
	struct list seats;
	uint32_t connections;
	uint32_t leaving; /* of these, as in the limits */
};

struct listen_limits {
	_Atomic uint64_t idle_us;
	pthread_mutex_t lock; /* for all below; taken where connections come and go, never per query */
	uint32_t connections_limit, per_client_limit;
	uint32_t connections;
	uint32_t leaving;  /* of these: those whose listener was asked to close them, and has not yet */
	struct list members;
	struct hash_key hash;
	struct listen_client *buckets[CLIENT_BUCKETS];
};

/* Those who make room, first to last. */
enum kind { STRANGERS, CLIENTS, KINDS };

/* Connections of one listener that may be closed to make room. */
struct listen_idlers {
	struct listen_member *member;
	struct listen_seat *seat; /* a client's; NULL: the listener's */
	struct list order; /* by_progress, or of_client; of the member's thread, as all that is not said to be otherwise */
	uint32_t asked;    /* to close so many; under the limits' lock */
	_Atomic uint32_t count;
	_Atomic uint64_t since_us; /* when the first of the order made progress */
};

/* One client's connections at one listener. But for `idle.order` under the limits' lock. */
struct listen_seat {
	struct listen_client *client;
	struct list link;  /* of the client's seats */
	struct list asked; /* of the member's, while it is asked to close some of these */
	uint32_t connections;
	struct listen_idlers idle;
};

struct listen_member {
	struct list link; /* of the limits' members; off it once the listener closes */
	struct listen_limits *limits;
	struct loop_wakeup *wakeup;
	listen_close_fn *close;
	listen_stuck_fn *is_stuck;
	struct listen_idlers idle[KINDS];
	struct list busy; /* clients; by_progress */
	struct list asked_seats; /* under the lock */
	struct listen_idlers *carrying_out; /* one of these is being closed because others asked, and has not gone yet */
};

struct listen_limits *listen_limits_new(void)
{
	struct listen_limits *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	if (pthread_mutex_init(&l->lock, NULL) != 0) {
		free(l);
		return NULL;
	}
	list_init(&l->members);
	hash_key_init(&l->hash);
	listen_limits_set(l, DEFAULT_IDLE_US, DEFAULT_CONNECTIONS, DEFAULT_PER_CLIENT);
	return l;
}

void listen_limits_free(struct listen_limits *l)
{
	if (!l)
		return;
	ASSERT(l->connections == 0 && list_empty(&l->members));
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void listen_limits_set(struct listen_limits *l, uint64_t idle_us, uint32_t connections, uint32_t per_client)
{
	ASSERT(idle_us > 0);
	atomic_store_explicit(&l->idle_us, idle_us, memory_order_relaxed);
	pthread_mutex_lock(&l->lock);
	l->connections_limit = connections;
	l->per_client_limit = per_client;
	pthread_mutex_unlock(&l->lock);
}

static struct client_key client_key(const struct addr *a, bool stranger)
{
	struct client_key key = {.family = a->sa.sa_family, .stranger = stranger};
	if (a->sa.sa_family == AF_INET6)
		memcpy(key.bytes, &a->in6.sin6_addr, 8);
	else
		memcpy(key.bytes, &a->in.sin_addr, 4);
	return key;
}

/* Where the client hangs, or would. */
static struct listen_client **find_client(struct listen_limits *l, const struct client_key *key)
{
	struct listen_client **at = &l->buckets[hash_bytes(&l->hash, key, sizeof(*key)) % CLIENT_BUCKETS];
	while (*at && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

/* ---- the order of progress ---- */

static struct listen_guest *first_of(const struct list *order)
{
	return list_empty(order) ? NULL : CONTAINER_OF(order->next, struct listen_guest, by_progress);
}

static struct listen_guest *longest_of(const struct listen_idlers *i)
{
	if (!i->seat || list_empty(&i->order))
		return first_of(&i->order);
	return CONTAINER_OF(i->order.next, struct listen_guest, of_client);
}

static uint64_t since_us(const struct list *order)
{
	const struct listen_guest *g = first_of(order);
	return g ? g->progress_us : UINT64_MAX;
}

static uint32_t count_of(const struct listen_idlers *i)
{
	return atomic_load_explicit(&i->count, memory_order_relaxed);
}

/* Others read it; this thread alone writes. */
static void publish(struct listen_idlers *i, uint32_t count)
{
	const struct listen_guest *longest = longest_of(i);
	atomic_store_explicit(&i->count, count, memory_order_relaxed);
	atomic_store_explicit(&i->since_us, longest ? longest->progress_us : UINT64_MAX, memory_order_relaxed);
}

static void init_idlers(struct listen_idlers *i, struct listen_member *m, struct listen_seat *seat)
{
	i->member = m;
	i->seat = seat;
	list_init(&i->order);
	publish(i, 0);
}

static void take_off(struct listen_guest *g)
{
	struct listen_idlers *i = g->among;
	list_remove(&g->by_progress);
	list_remove(&g->of_client);
	g->among = NULL;
	if (i) {
		publish(i, count_of(i) - 1);
		publish(&g->seat->idle, count_of(&g->seat->idle) - 1);
	}
}

/* At the end of the list where it belongs. A stranger has no claim to answers: they were REFUSED, or asked for under other rules. */
static void put(struct listen_member *m, struct listen_guest *g)
{
	take_off(g);
	if (g->stranger)
		g->among = &m->idle[STRANGERS];
	else if (!g->busy)
		g->among = &m->idle[CLIENTS];
	list_append(g->among ? &g->among->order : &m->busy, &g->by_progress);
	if (g->among) {
		list_append(&g->seat->idle.order, &g->of_client);
		publish(g->among, count_of(g->among) + 1);
		publish(&g->seat->idle, count_of(&g->seat->idle) + 1);
	}
}

void listen_member_note(struct listen_member *m, struct listen_guest *g, bool busy, uint64_t now_us)
{
	g->busy = busy;
	g->progress_us = now_us;
	put(m, g);
}

void listen_member_sort(struct listen_member *m)
{
	struct list *lists[] = {&m->idle[STRANGERS].order, &m->idle[CLIENTS].order, &m->busy}, all;
	struct listen_guest *g;
	list_init(&all);
	do { /* the earliest of their firsts, until there are none */
		g = NULL;
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			if (!list_empty(lists[i]) && (!g || since_us(lists[i]) < g->progress_us))
				g = first_of(lists[i]);
		if (g) {
			take_off(g);
			list_append(&all, &g->by_progress);
		}
	} while (g);
	while ((g = first_of(&all)) != NULL)
		put(m, g);
}

static uint64_t idle_us(const struct listen_member *m)
{
	return atomic_load_explicit(&m->limits->idle_us, memory_order_relaxed);
}

uint64_t listen_member_next_us(const struct listen_member *m)
{
	uint64_t first = MIN(since_us(&m->busy), MIN(since_us(&m->idle[STRANGERS].order), since_us(&m->idle[CLIENTS].order)));
	return first == UINT64_MAX ? first : first + idle_us(m);
}

static void close_overdue(struct listen_member *m, struct list *order, uint64_t now_us)
{
	struct listen_guest *g;
	while ((g = first_of(order)) != NULL && g->progress_us + idle_us(m) <= now_us) {
		/* One that has just come has not been tried yet. */
		if (g->busy && !m->is_stuck(g))
			listen_member_note(m, g, true, now_us);
		else
			m->close(g, g->busy ? CLOSED_UNREAD : CLOSED_IDLE);
	}
}

void listen_member_close_idle(struct listen_member *m, uint64_t now_us)
{
	for (size_t i = 0; i < KINDS; i++)
		close_overdue(m, &m->idle[i].order, now_us);
	close_overdue(m, &m->busy, now_us);
}

/* ---- who makes room ---- */

/* Somebody there idles who is not promised to others yet. */
static bool has_idle(const struct listen_idlers *i)
{
	return count_of(i) > i->asked;
}

static bool is_longer(const struct listen_idlers *i, const struct listen_idlers *than)
{
	return than == NULL || atomic_load_explicit(&i->since_us, memory_order_relaxed) <
				       atomic_load_explicit(&than->since_us, memory_order_relaxed);
}

/* The listener's own are at hand, whoever was promised them. */
static struct listen_idlers *find_longest(struct listen_limits *l, struct listen_member *own, enum kind kind)
{
	struct listen_idlers *longest = count_of(&own->idle[kind]) > 0 ? &own->idle[kind] : NULL;
	LIST_FOR_EACH(link, &l->members) {
		struct listen_member *m = CONTAINER_OF(link, struct listen_member, link);
		if (m != own && has_idle(&m->idle[kind]) && is_longer(&m->idle[kind], longest))
			longest = &m->idle[kind];
	}
	return longest;
}

/* The same of one client's. */
static struct listen_idlers *find_longest_of_client(const struct listen_client *client, const struct listen_member *own)
{
	struct listen_idlers *longest = NULL;
	LIST_FOR_EACH(link, &client->seats) {
		struct listen_idlers *i = &CONTAINER_OF(link, struct listen_seat, link)->idle;
		bool retired = list_empty(&i->member->link);
		bool at_hand = i->member == own ? count_of(i) > 0 : !retired && has_idle(i);
		if (at_hand && is_longer(i, longest))
			longest = i;
	}
	return longest;
}

static void ask(struct listen_limits *l, struct listen_idlers *i)
{
	struct listen_seat *seat = i->seat;
	i->asked++;
	l->leaving++;
	if (seat) {
		seat->client->leaving++;
		list_remove(&seat->asked);
		list_append(&i->member->asked_seats, &seat->asked);
	}
	loop_wakeup_send(i->member->wakeup);
}

/* So many fewer are asked for. */
static void unask(struct listen_limits *l, struct listen_idlers *i, uint32_t count)
{
	i->asked -= count;
	l->leaving -= count;
	if (i->seat) {
		i->seat->client->leaving -= count;
		if (i->asked == 0)
			list_remove(&i->seat->asked);
	}
}

/* Room for one more among all; where others idle for longest they are asked for it. False: it is for the caller to close one of `own`, if
 * any. */
static bool find_room(struct listen_member *m, bool stranger, struct listen_idlers **own)
{
	struct listen_limits *l = m->limits;
	while (l->connections >= l->connections_limit + l->leaving) {
		struct listen_idlers *longest = find_longest(l, m, STRANGERS);
		if (!longest && !stranger)
			longest = find_longest(l, m, CLIENTS);
		if (!longest || longest->member == m) {
			*own = longest;
			return false;
		}
		ask(l, longest);
	}
	return true;
}

/* The same among the connections of the client, which has none if it is NULL. */
static bool find_room_of_client(struct listen_member *m, const struct listen_client *client, struct listen_idlers **own)
{
	struct listen_limits *l = m->limits;
	if (!client)
		return l->per_client_limit > 0;
	while (client->connections >= l->per_client_limit + client->leaving) {
		struct listen_idlers *longest = find_longest_of_client(client, m);
		if (!longest || longest->member == m) {
			*own = longest;
			return false;
		}
		ask(l, longest);
	}
	return true;
}

static struct listen_seat *find_seat(const struct listen_client *client, const struct listen_member *m)
{
	LIST_FOR_EACH(link, &client->seats) {
		struct listen_seat *seat = CONTAINER_OF(link, struct listen_seat, link);
		if (seat->idle.member == m)
			return seat;
	}
	return NULL;
}

/* The client's seat at `m`, made if need be, and the client at `*at` as well. NULL without memory. */
static struct listen_seat *take_seat(struct listen_member *m, struct listen_client **at, const struct client_key *key)
{
	struct listen_seat *seat = *at ? find_seat(*at, m) : NULL;
	if (seat)
		return seat;
	struct listen_client *client = *at ? *at : calloc(1, sizeof(*client));
	seat = client ? calloc(1, sizeof(*seat)) : NULL;
	if (!seat) {
		if (!*at)
			free(client);
		return NULL;
	}
	if (!*at) {
		client->key = *key;
		list_init(&client->seats);
		*at = client;
	}
	seat->client = client;
	list_init(&seat->asked);
	list_append(&client->seats, &seat->link);
	init_idlers(&seat->idle, m, seat);
	return seat;
}

static enum limits_verdict enter_locked(struct listen_member *m, struct listen_guest *g, const struct client_key *key,
					struct listen_idlers **own)
{
	struct listen_limits *l = m->limits;
	struct listen_client **at = find_client(l, key);
	/* The client's own limit first: who is above it must not cost others their connections. */
	if (!find_room_of_client(m, *at, own))
		return LIMITS_CLIENT_FULL;
	if (!find_room(m, g->stranger, own))
		return LIMITS_FULL;
	g->seat = take_seat(m, at, key);
	if (!g->seat)
		return LIMITS_CLIENT_FULL;
	g->seat->connections++;
	g->seat->client->connections++;
	l->connections++;
	return LIMITS_ENTERED;
}

/* At this listener: the longest idle, else, at the limit of all, whoever has not taken its answers for the longest. */
static struct listen_guest *find_victim(const struct listen_member *m, enum limits_verdict verdict, const struct listen_idlers *own,
					bool for_stranger)
{
	if (own)
		return longest_of(own);
	if (verdict == LIMITS_FULL && !for_stranger)
		LIST_FOR_EACH(link, &m->busy) {
			struct listen_guest *g = CONTAINER_OF(link, struct listen_guest, by_progress);
			if (m->is_stuck(g))
				return g;
		}
	return NULL;
}

enum limits_verdict listen_member_enter(struct listen_member *m, struct listen_guest *g, const struct addr *client)
{
	struct client_key key = client_key(client, g->stranger);
	struct listen_guest *victim;
	enum limits_verdict verdict;
	list_init(&g->by_progress);
	list_init(&g->of_client);
	/* More than one goes where the limit was lowered. */
	do {
		struct listen_idlers *own = NULL;
		pthread_mutex_lock(&m->limits->lock);
		verdict = enter_locked(m, g, &key, &own);
		pthread_mutex_unlock(&m->limits->lock);
		victim = find_victim(m, verdict, own, g->stranger);
		if (victim)
			m->close(victim, CLOSED_ROOM);
	} while (victim);
	return verdict;
}

/* One that it was asked for is closed, or cannot be. */
static void answer_locked(struct listen_member *m)
{
	if (!m->carrying_out)
		return;
	unask(m->limits, m->carrying_out, 1);
	m->carrying_out = NULL;
}

void listen_member_leave(struct listen_member *m, struct listen_guest *g)
{
	struct listen_limits *l = m->limits;
	take_off(g);
	pthread_mutex_lock(&l->lock);
	struct listen_seat *seat = g->seat;
	struct listen_client *client = seat->client;
	l->connections--;
	client->connections--;
	answer_locked(m);
	if (--seat->connections == 0) {
		unask(l, &seat->idle, seat->idle.asked);
		list_remove(&seat->link);
		free(seat);
	}
	if (client->connections == 0) {
		*find_client(l, &client->key) = client->next;
		free(client);
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- members ---- */

/* Whether others need room: one of whom is then to be closed. */
static bool is_asked(struct listen_member *m)
{
	pthread_mutex_lock(&m->limits->lock);
	for (size_t i = 0; i < KINDS && !m->carrying_out; i++)
		m->carrying_out = m->idle[i].asked > 0 ? &m->idle[i] : NULL;
	if (!m->carrying_out && !list_empty(&m->asked_seats))
		m->carrying_out = &CONTAINER_OF(m->asked_seats.next, struct listen_seat, asked)->idle;
	pthread_mutex_unlock(&m->limits->lock);
	return m->carrying_out != NULL;
}

/* Whoever has begun to ask meanwhile is spared: then there is one more than the limit until somebody goes. */
static void on_wakeup(void *arg)
{
	struct listen_member *m = arg;
	while (is_asked(m)) {
		struct listen_guest *longest = longest_of(m->carrying_out);
		if (longest)
			m->close(longest, CLOSED_ROOM);
		pthread_mutex_lock(&m->limits->lock);
		answer_locked(m);
		pthread_mutex_unlock(&m->limits->lock);
	}
}

struct listen_member *listen_member_new(struct listen_limits *l, struct loop *loop, listen_close_fn *close, listen_stuck_fn *is_stuck)
{
	struct listen_member *m = calloc(1, sizeof(*m));
	if (!m || !(m->wakeup = loop_wakeup_new(loop, on_wakeup, m))) {
		free(m);
		return NULL;
	}
	m->limits = l;
	m->close = close;
	m->is_stuck = is_stuck;
	list_init(&m->busy);
	list_init(&m->asked_seats);
	for (size_t i = 0; i < KINDS; i++)
		init_idlers(&m->idle[i], m, NULL);
	pthread_mutex_lock(&l->lock);
	list_append(&l->members, &m->link);
	pthread_mutex_unlock(&l->lock);
	return m;
}

void listen_member_retire(struct listen_member *m)
{
	pthread_mutex_lock(&m->limits->lock);
	list_remove(&m->link);
	for (size_t i = 0; i < KINDS; i++)
		unask(m->limits, &m->idle[i], m->idle[i].asked);
	LIST_FOR_EACH(link, &m->asked_seats) {
		struct listen_idlers *i = &CONTAINER_OF(link, struct listen_seat, asked)->idle;
		unask(m->limits, i, i->asked);
	}
	pthread_mutex_unlock(&m->limits->lock);
	loop_wakeup_close(m->wakeup);
	m->wakeup = NULL;
}

void listen_member_free(struct listen_member *m)
{
	if (m && m->wakeup)
		listen_member_retire(m);
	free(m);
}
