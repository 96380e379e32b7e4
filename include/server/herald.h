/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_HERALD_H
#define SERVER_HERALD_H
/* Tells the service manager how the daemon is (sys/notify.h): that it serves, that it reads its file again, that it stops, that its
 * loops are alive, and in one line how its endpoints are: what `systemctl status` shows. Main thread only.
 *
 * The life of a herald: herald_new before there are threads → herald_ready when every address is served → a look each second
 * (herald_look), a sign of life each quarter of the watchdog's time, two messages a reload → herald_stopping → herald_free.
 * How it can fail: at herald_new, without memory. A manager that cannot be reached is said once. */

#include "net/loop.h"
#include "server/snapshot.h"

struct herald;

struct herald_world {
	struct loop *loop;
	struct snapshot *(*snapshot)(void *arg); /* the one in force; lent */
	/* Whether all other threads have answered since this was last asked; asks them again. */
	bool (*alive)(void *arg);
	void *arg;
};

/* `world` is copied. NULL without memory. */
NODISCARD struct herald *herald_new(const struct herald_world *world);
void herald_free(struct herald *h);

/* Every address is bound and served. From now on signs of life are given. */
void herald_ready(struct herald *h);

void herald_reloading(struct herald *h);
void herald_reloaded(struct herald *h, bool loaded);

/* Says how the endpoints are if that has changed. */
void herald_look(struct herald *h);

void herald_stopping(struct herald *h);

enum { HERALD_STATUS_MAX = 256 };

/* "12 zones; seoul is down, known names are answered from the cache; tokyo: 2 of 3 addresses are up", cut at the end of `out`.
 * Returns `out`. */
char *herald_describe(const struct snapshot *s, char out[HERALD_STATUS_MAX]);

#endif
