/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "config/config.h"
#include "net/control.h"

char *ask_path(const struct cli *c)
{
	if (c->control != NULL)
		return strdup(c->control);
	return config_read_control(c->zones_path);
}

static void complain(const char *path, int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		fprintf(stderr, "r53fwd: no daemon serves at %s (%s); --control or --zones says where else\n", path, strerror(-error));
		return;
	case -EACCES:
	case -EPERM:
		fprintf(stderr, "r53fwd: %s: %s; it is for root, and for the user and the group of the daemon\n", path, strerror(-error));
		return;
	case -ETIMEDOUT:
		fprintf(stderr, "r53fwd: the daemon at %s does not answer\n", path);
		return;
	case -EPROTO:
	case -ECONNRESET:
	case -EPIPE:
		fprintf(stderr, "r53fwd: the daemon at %s ended the connection without an answer\n", path);
		return;
	default:
		fprintf(stderr, "r53fwd: %s: %s\n", path, strerror(-error));
	}
}

struct json_t *ask_daemon(const struct cli *c, struct json_t *question, int timeout_ms)
{
	char *path = ask_path(c), *line = json_dumps(question, JSON_COMPACT | JSON_ENSURE_ASCII);
	struct control_reply reply = {.text = NULL};
	json_t *answer = NULL;

	json_decref(question);
	int error = path != NULL && line != NULL ? control_ask(path, line, &reply, timeout_ms) : -ENOMEM;
	if (error == 0)
		answer = json_loadb(reply.text, reply.len, 0, NULL);
	if (error == 0 && !json_is_object(answer)) {
		json_decref(answer);
		answer = NULL;
		fprintf(stderr, "r53fwd: what serves at %s is no r53fwd\n", path);
	} else if (error != 0) {
		complain(path != NULL ? path : "the control socket", error);
	}
	control_reply_deinit(&reply);
	free(line);
	free(path);
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
