/* SPDX-License-Identifier: Apache-2.0 */
#include "server/follower.h"

#include <string.h>

#include "base/log.h"
#include "server/confine.h"

/* False if it could not be looked at: `r` is empty then. */
static bool read_row(const struct follower *f, const struct config *c, struct resolv *r)
{
	memset(r, 0, sizeof(*r));
	return !c->local_from_resolv || resolv_read(r, f->paths, c->listen, c->listen_count);
}

/* Which of the row a file is; behind the last if it is none. */
static size_t place_of(const struct follower *f, const char *path)
{
	size_t i = 0;

	while (f->paths[i] != NULL && (path == NULL || strcmp(f->paths[i], path) != 0))
		i++;
	return i;
}

/* The file that `taken` came from cannot be read any more, and no better one names anybody. */
static bool is_lost(const struct follower *f, const struct resolv *taken, const struct resolv *r)
{
	return taken->path != NULL && place_of(f, r->path) > place_of(f, taken->path) && confine_denies(taken->path);
}

void follower_begin(struct follower *f, const char *const *paths, const struct config *c, struct resolv *r)
{
	*f = (struct follower){.paths = paths};
	(void)read_row(f, c, r);
}

void follower_reload(const struct follower *f, const struct config *c, const struct resolv *taken, struct resolv *r)
{
	if (!read_row(f, c, r) || (c->local_from_resolv && (r->count == 0 || is_lost(f, taken, r))))
		*r = *taken;
}

static void warn_once(struct follower *f, const struct resolv *taken, bool lost)
{
	if (f->warned)
		return;
	f->warned = true;
	if (lost)
		log_warn("%s cannot be read by this process any more; the last local upstreams are kept until a restart", taken->path);
	else
		log_warn("resolv.conf names nobody but us any more; the last local upstreams are kept");
}

bool follower_look(struct follower *f, const struct config *c, const struct resolv *taken, struct resolv *r)
{
	if (!c->local_from_resolv || !read_row(f, c, r))
		return false;
	bool same = resolv_same_servers(r, taken), lost = !same && is_lost(f, taken, r);

	if (lost || (!same && r->count == 0)) {
		warn_once(f, taken, lost);
		return false;
	}
	f->warned = f->warned && !same;
	return !same;
}
