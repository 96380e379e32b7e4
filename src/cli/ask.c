/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "config/config.h"
#include "net/control.h"

char *ask_path(const struct cli *c, char why[ASK_WHY_MAX])
{
	char *control;

	if (c->control != NULL)
		return strdup(c->control);
	int error = config_read_control(c->zones_path, &control);
	if (error == 0 || control == NULL || !c->zones_given)
		return control;
	/* Another daemon may have the default one. */
	snprintf(why, ASK_WHY_MAX, "%s: %s: it does not say where its daemon listens to commands, --control does", c->zones_path,
		 error == -EINVAL ? "`control` is no path" : error == -EBADMSG ? "it is no YAML" : strerror(-error));
	free(control);
	return NULL;
}

static void describe(const char *path, int error, struct strbuf *why)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		strbuf_addf(why, "no daemon serves at %s (%s); --control or --zones says where else", path, strerror(-error));
		return;
	case -EACCES:
	case -EPERM:
		strbuf_addf(why, "%s: %s; it is for root, and for the user and the group of the daemon", path, strerror(-error));
		return;
	case -ETIMEDOUT:
		strbuf_addf(why, "the daemon at %s does not answer", path);
		return;
	case -EPROTO:
	case -ECONNRESET:
	case -EPIPE:
		strbuf_addf(why, "the daemon at %s ended the connection without an answer", path);
		return;
	default:
		strbuf_addf(why, "%s: %s", path, strerror(-error));
	}
}

struct json_t *ask_try(const struct cli *c, struct json_t *question, int timeout_ms, char why[ASK_WHY_MAX])
{
	char *path, *line = json_dumps(question, JSON_COMPACT | JSON_ENSURE_ASCII);
	struct control_reply reply = {.text = NULL};
	json_t *answer = NULL;
	struct strbuf s;

	strbuf_init(&s, why, ASK_WHY_MAX);
	json_decref(question);
	path = ask_path(c, why);
	if (path == NULL && *why != '\0') {
		free(line);
		return NULL;
	}
	int error = path != NULL && line != NULL ? control_ask(path, line, &reply, timeout_ms) : -ENOMEM;
	if (error == 0)
		answer = json_loadb(reply.text, reply.len, 0, NULL);
	if (error == 0 && !json_is_object(answer)) {
		json_decref(answer);
		answer = NULL;
		strbuf_addf(&s, "what serves at %s is no r53fwd", path);
	} else if (error != 0) {
		describe(path != NULL ? path : "the control socket", error, &s);
	}
	control_reply_deinit(&reply);
	free(line);
	free(path);
	return answer;
}

struct json_t *ask_daemon(const struct cli *c, struct json_t *question, int timeout_ms)
{
	char why[ASK_WHY_MAX];
	json_t *answer = ask_try(c, question, timeout_ms, why);

	if (answer == NULL)
		fprintf(stderr, "r53fwd: %s\n", why);
	return answer;
}

struct json_t *ask_done(const struct cli *c, struct json_t *question)
{
	json_t *answer = ask_daemon(c, question, ASK_MS), *warning;
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *said = json_string_value(json_object_get(answer, "diagnostics"));
	size_t i;

	if (said != NULL)
		fputs(said, stderr);
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
		fprintf(stderr, "warning: %s\n", json_string_value(warning));
	if (error == NULL)
		return answer;
	fprintf(stderr, "r53fwd: %s\n", error);
	json_decref(answer);
	return NULL;
}
