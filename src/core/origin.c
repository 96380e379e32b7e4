/* SPDX-License-Identifier: Apache-2.0 */
#include "core/origin.h"

#include <string.h>

/* On the wire; the text's zero is the root's. */
static const char *const reserved[] = {
	"\4ns-0\11awsdns-00\3com",
	"\6ns-512\11awsdns-00\3net",
	"\7ns-1024\11awsdns-00\3org",
	"\7ns-1536\11awsdns-00\2co\2uk",
};

struct look {
	enum origin origin;
	struct name *server;
};

static bool is_reserved(const struct name *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (n->len == strlen(reserved[i]) + 1 && memcmp(n->octets, reserved[i], n->len) == 0)
			return true;
	return false;
}

static bool see(void *arg, const struct name *server)
{
	struct look *l = arg;
	bool ours = is_reserved(server);

	if (ours || l->origin == ORIGIN_UNKNOWN)
		*l->server = *server;
	l->origin = ours ? ORIGIN_PRIVATE : ORIGIN_ELSEWHERE;
	return !ours;
}

enum origin origin_of(const struct answer *a, struct name *server)
{
	struct look l = {ORIGIN_UNKNOWN, server};

	answer_each_server_name(a, see, &l);
	return l.origin;
}
