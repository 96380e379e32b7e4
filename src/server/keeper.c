/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sys/child.h"

/* Longer than an instance that is taken over from needs to hand the socket over. */
enum { PORT = 9553, ARGUMENTS_MAX = 12, LOOKS_WITHOUT_SOCKET = 30 };

struct keeper {
	struct child *child; /* NULL: there is no process */
	unsigned without; /* looks in a row that found no control socket */
	char running[CHILD_MESSAGE_BYTES]; /* the arguments of what runs, with a line's end behind each; empty: nothing */
};

struct keeper *keeper_new(void)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->child = child_new();
	return k;
}

/* The same arguments as text, to be compared. False if they are too long. */
static bool join(const char *const *arguments, char out[CHILD_MESSAGE_BYTES])
{
	size_t len = 0;

	for (; *arguments != NULL; arguments++) {
		size_t octets = strlen(*arguments);
		if (len + octets + 2 > CHILD_MESSAGE_BYTES)
			return false;
		memcpy(out + len, *arguments, octets);
		len += octets;
		out[len++] = '\n';
	}
	out[len] = '\0';
	return true;
}

/* Whoever is named as our user is whom it becomes as well: it was forked off before we did. */
static void list_arguments(const struct config *c, const char *control, const char *listen, const char *out[ARGUMENTS_MAX])
{
	size_t n = 0;

	out[n++] = "r53fwd-http";
	out[n++] = "--control";
	out[n++] = control;
	out[n++] = "--listen";
	out[n++] = listen;
	if (c->top.http_host != NULL) {
		out[n++] = "--host";
		out[n++] = c->top.http_host;
	}
	if (c->top.user != NULL) {
		out[n++] = "--user";
		out[n++] = c->top.user;
	}
	out[n] = NULL;
}

/* What cannot be is said once, and not tried again before something else is wanted: without its process nothing can be. */
static void run(struct keeper *k, const char *const *arguments, const char *joined)
{
	int error = k->child == NULL ? -ECHILD : child_run(k->child, arguments);

	memcpy(k->running, joined, strlen(joined) + 1);
	if (error != 0)
		log_warn("`http`: r53fwd-http cannot be started: the process that would do so is gone (%s)", strerror(-error));
}

static void adopt(struct keeper *k, const struct config *c, const char *control)
{
	const char *arguments[ARGUMENTS_MAX];
	char joined[CHILD_MESSAGE_BYTES] = "", listen[ADDR_TEXT_MAX];
	struct addr at;

	bool wanted = c->top.http != NULL && control != NULL && addr_parse(&at, c->top.http, PORT) == 0;
	if (wanted) {
		list_arguments(c, control, addr_format(&at, listen), arguments);
		wanted = join(arguments, joined);
	}
	if (strcmp(joined, k->running) != 0)
		run(k, wanted ? arguments : NULL, joined);
}

void keeper_look(struct keeper *k, const struct config *c, const char *control)
{
	char said[CHILD_MESSAGE_BYTES];

	k->without = c->top.http != NULL && control == NULL ? k->without + 1 : 0;
	if (k->without == LOOKS_WITHOUT_SOCKET)
		log_warn("`http`: r53fwd-http is not started: there is no control socket that it could ask");
	adopt(k, c, control);
	while (k->child != NULL && child_hear(k->child, said, sizeof(said)))
		log_warn("%s", said);
}

void keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	if (k->child != NULL)
		child_free(k->child);
	free(k);
}
