/* SPDX-License-Identifier: Apache-2.0 */
/* How many TCP connections there may be, and who makes room for newcomers: whoever idles for longest, wherever.
 *
 * Each TCP listener says how many of its connections are idle and since when the longest of them has been. At the limit a newcomer enters
 * all the same if somebody idles at another listener, of this worker or of another one, for longer than anybody does here: that listener is
 * asked, by a wake-up, to close its longest. So for a moment there may be as many connections above the limit as idle ones are about to go.
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

/* Who counts as one client: an IPv4 address, or an IPv6 network of 64 bits, for that is what one host may choose
 * from. */
struct client_key {
	uint8_t bytes[8];
	uint64_t family;
};

struct client {
	struct client *next;
	struct client_key key;
	uint32_t connections;
};

struct listen_limits {
	_Atomic uint64_t idle_us;
	pthread_mutex_t lock; /* for all below; taken where connections come and go, never per query */
	uint32_t connections_limit, per_client_limit;
	uint32_t connections;
	uint32_t leaving;  /* of these: those whose listener was asked to close them, and has not yet */
	struct list members;
	struct hash_key hash;
	struct client *buckets[CLIENT_BUCKETS];
};

struct listen_member {
	struct list link; /* of the limits' members; off it once the listener closes */
	struct listen_limits *limits;
	struct loop_wakeup *wakeup;
	loop_fn *close_longest;
	void *arg;
	uint32_t asked;    /* to close so many; under the limits' lock */
	bool carrying_out; /* close_longest is being called, and has closed nothing yet */
	_Atomic uint32_t idle;
	_Atomic uint64_t since_us;
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

static struct client_key client_key(const struct addr *a)
{
	struct client_key key = {.family = a->sa.sa_family};
	if (a->sa.sa_family == AF_INET6)
		memcpy(key.bytes, &a->in6.sin6_addr, 8);
	else
		memcpy(key.bytes, &a->in.sin_addr, 4);
	return key;
}

/* Where the client hangs, or would. */
static struct client **find_client(struct listen_limits *l, const struct client_key *key)
{
	struct client **at = &l->buckets[hash_bytes(&l->hash, key, sizeof(*key)) % CLIENT_BUCKETS];
	while (*at && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

static bool has_idle(const struct listen_member *m)
{
	return atomic_load_explicit(&m->idle, memory_order_relaxed) > m->asked;
}

static bool is_longer(const struct listen_member *m, const struct listen_member *than)
{
	return than == NULL || atomic_load_explicit(&m->since_us, memory_order_relaxed) <
				       atomic_load_explicit(&than->since_us, memory_order_relaxed);
}

/* Asks the listener with the longest idle connection to close it. False if that is `own`, or if nobody idles: then it is for the caller. */
static bool ask_for_room(struct listen_limits *l, struct listen_member *own)
{
	struct listen_member *longest = has_idle(own) ? own : NULL;
	LIST_FOR_EACH(link, &l->members) {
		struct listen_member *m = CONTAINER_OF(link, struct listen_member, link);
		if (m != own && has_idle(m) && is_longer(m, longest))
			longest = m;
	}
	if (longest == NULL || longest == own)
		return false;
	longest->asked++;
	l->leaving++;
	loop_wakeup_send(longest->wakeup);
	return true;
}

static enum limits_verdict enter_locked(struct listen_member *m, const struct client_key *key)
{
	struct listen_limits *l = m->limits;
	struct client **at = find_client(l, key);
	/* The client's own limit first: who is above it must not cost others their connections. */
	if ((*at ? (*at)->connections : 0) >= l->per_client_limit)
		return LIMITS_CLIENT_FULL;
	if (l->connections >= l->connections_limit + l->leaving && !ask_for_room(l, m))
		return LIMITS_FULL;
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return LIMITS_CLIENT_FULL;
		(*at)->key = *key;
	}
	(*at)->connections++;
	l->connections++;
	return LIMITS_ENTERED;
}

enum limits_verdict listen_member_enter(struct listen_member *m, const struct addr *client)
{
	struct client_key key = client_key(client);
	pthread_mutex_lock(&m->limits->lock);
	enum limits_verdict verdict = enter_locked(m, &key);
	pthread_mutex_unlock(&m->limits->lock);
	return verdict;
}

/* One that it was asked for is closed, or cannot be. */
static void answer_locked(struct listen_member *m)
{
	if (!m->carrying_out)
		return;
	m->carrying_out = false;
	m->asked--;
	m->limits->leaving--;
}

void listen_member_leave(struct listen_member *m, const struct addr *client)
{
	struct listen_limits *l = m->limits;
	struct client_key key = client_key(client);
	pthread_mutex_lock(&l->lock);
	struct client **at = find_client(l, &key), *gone = *at;
	ASSERT(gone);
	l->connections--;
	answer_locked(m);
	if (--gone->connections == 0) {
		*at = gone->next;
		free(gone);
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- members ---- */

static bool is_asked(struct listen_member *m)
{
	pthread_mutex_lock(&m->limits->lock);
	m->carrying_out = m->asked > 0;
	pthread_mutex_unlock(&m->limits->lock);
	return m->carrying_out;
}

/* Others need room. Whoever has begun to ask meanwhile is spared: then there is one more than the limit until somebody goes. */
static void on_wakeup(void *arg)
{
	struct listen_member *m = arg;
	while (is_asked(m)) {
		m->close_longest(m->arg);
		pthread_mutex_lock(&m->limits->lock);
		answer_locked(m);
		pthread_mutex_unlock(&m->limits->lock);
	}
}

struct listen_member *listen_member_new(struct listen_limits *l, struct loop *loop, loop_fn *close_longest, void *arg)
{
	struct listen_member *m = calloc(1, sizeof(*m));
	if (!m || !(m->wakeup = loop_wakeup_new(loop, on_wakeup, m))) {
		free(m);
		return NULL;
	}
	m->limits = l;
	m->close_longest = close_longest;
	m->arg = arg;
	pthread_mutex_lock(&l->lock);
	list_append(&l->members, &m->link);
	pthread_mutex_unlock(&l->lock);
	return m;
}

uint64_t listen_member_idle_us(struct listen_member *m)
{
	return atomic_load_explicit(&m->limits->idle_us, memory_order_relaxed);
}

void listen_member_note(struct listen_member *m, uint32_t idle, uint64_t since_us)
{
	atomic_store_explicit(&m->idle, idle, memory_order_relaxed);
	atomic_store_explicit(&m->since_us, since_us, memory_order_relaxed);
}

void listen_member_retire(struct listen_member *m)
{
	pthread_mutex_lock(&m->limits->lock);
	list_remove(&m->link);
	m->limits->leaving -= m->asked;
	m->asked = 0;
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
