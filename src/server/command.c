/* SPDX-License-Identifier: Apache-2.0 */
#include "server/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "server/explain.h"
#include "server/exposition.h"
#include "server/jsontext.h"
#include "server/ready.h"
#include "wire/text.h"

/* What a command is given: the object, and the line's sender for the log. */
struct call {
	const struct command_world *world;
	json_t *object;
	struct control_reply *reply; /* for descriptors */
	unsigned uid, pid;
};

enum { SHOWN_MAX = 64 };

/* Words of the other side as we give them back: short, and ASCII, whatever they were cut at. */
static const char *shown(const char *from, char out[SHOWN_MAX])
{
	size_t len = 0;

	for (; len < SHOWN_MAX - 1 && from[len] != '\0'; len++)
		out[len] = from[len] >= ' ' && from[len] <= '~' ? from[len] : '?';
	out[len] = '\0';
	return out;
}

static json_t *say(const char *format, va_list arguments) PRINTF_LIKE(1, 0);

static json_t *say(const char *format, va_list arguments)
{
	char *sentence = NULL;
	json_t *text = jsontext_new(vasprintf(&sentence, format, arguments) >= 0 ? sentence : "out of memory");

	free(sentence);
	return text;
}

static json_t *refuse(const char *format, ...) PRINTF_LIKE(1, 2);

static json_t *refuse(const char *format, ...)
{
	json_t *answer = json_object();
	va_list arguments;

	va_start(arguments, format);
	json_object_set_new(answer, "error", say(format, arguments));
	va_end(arguments);
	return answer;
}

static void warn(json_t *warnings, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(json_t *warnings, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	json_array_append_new(warnings, say(format, arguments));
	va_end(arguments);
}

static const char *text_of(const struct call *c, const char *key)
{
	return json_string_value(json_object_get(c->object, key));
}

/* ---- commands ---- */

static json_t *status(const struct call *c)
{
	const char *zones = text_of(c, "zones");

	if (zones != NULL && strcmp(zones, "all") != 0)
		return refuse("`zones` of status must be `all`");
	return status_make(&c->world->status, zones != NULL);
}

static json_t *alive(const struct call *c)
{
	json_t *answer = json_object();

	(void)c;
	json_object_set_new(answer, "alive", json_true());
	return answer;
}

static json_t *metrics(const struct call *c)
{
	return exposition_make(&c->world->status);
}

static json_t *ready(const struct call *c)
{
	return ready_make(&c->world->status, json_is_true(json_object_get(c->object, "zones")));
}

static json_t *reload(const struct call *c)
{
	struct command_reload result = {.said = NULL};
	const char *path = c->world->status.zones_path;

	log_info("reload, asked for by uid %u (pid %u)", c->uid, c->pid);
	c->world->reload(c->world->arg, &result);
	json_t *answer = result.loaded ? json_object() : refuse("%s was not loaded; everything stays as it was", path);
	json_object_set_new(answer, "loaded", json_boolean(result.loaded));
	json_object_set_new(answer, "diagnostics", jsontext_new(result.said != NULL ? result.said : ""));
	free(result.said);
	return answer;
}

/* Reads a name into `out`; text: what it is shown as. */
static bool read_name(const char *from, struct name *out, char text[TEXT_NAME_MAX])
{
	if (text_read_name(out, from) != 0)
		return false;
	text_name(out, text);
	return true;
}

static json_t *flush(const struct call *c)
{
	const char *name = text_of(c, "name"), *zone = text_of(c, "zone");
	bool all = json_is_true(json_object_get(c->object, "all"));
	struct cache *cache = c->world->status.snapshot->cache;
	char what[TEXT_NAME_MAX] = "everything", given[SHOWN_MAX];
	json_t *answer = json_object();
	uint64_t forgotten = 0;
	struct name n;

	if ((name != NULL) + (zone != NULL) + all != 1) {
		json_decref(answer);
		return refuse("flush wants one of a name, a zone, or all");
	}
	if (!all && !read_name(name != NULL ? name : zone, &n, what)) {
		json_decref(answer);
		return refuse("`%s` is no name", shown(name != NULL ? name : zone, given));
	}
	if (all)
		forgotten = cache_flush_all(cache);
	else
		forgotten = name != NULL ? cache_flush_name(cache, &n) : cache_flush_zone(cache, &n);
	log_info("flushed %s%s: %llu forgotten, asked for by uid %u (pid %u)", what, zone != NULL ? " and what is below" : "",
		 (unsigned long long)forgotten, c->uid, c->pid);
	json_object_set_new(answer, "forgotten", json_integer((json_int_t)forgotten));
	return answer;
}

static json_t *explain(const struct call *c)
{
	const char *name = text_of(c, "name"), *type = text_of(c, "type");
	int number = text_read_type(type != NULL ? type : "A");
	char given[SHOWN_MAX];
	struct name n;

	if (name == NULL)
		return refuse("explain wants a name");
	if (text_read_name(&n, name) != 0)
		return refuse("`%s` is no name", shown(name, given));
	if (number < 0)
		return refuse("`%s` is no type", shown(type, given));
	return explain_make(&c->world->status, &(struct explain_question){.name = &n, .type = (uint16_t)number, .live = true});
}

/* ---- drain and undrain ---- */

/* An endpoint that is out of addresses serves what is known, and SERVFAIL: carried out, but not in silence. */
static void warn_drained(const struct pool *p, json_t *warnings)
{
	log_warn("no address of %s takes questions any more: all are drained", p->name);
	warn(warnings, "no address of %s takes questions any more: all are drained", p->name);
}

static json_t *change_drain(const struct call *c, bool drained)
{
	const struct snapshot *s = c->world->status.snapshot;
	const char *verb = drained ? "drained" : "undrained", *from = text_of(c, "address");
	unsigned places = 0;
	struct addr a;

	/* Port 0: none was given. */
	if (from == NULL || addr_parse(&a, from, 0) != 0)
		return refuse("%s wants an address (IP, IP:PORT or [IP6]:PORT)", drained ? "drain" : "undrain");
	json_t *answer = json_object(), *endpoints = json_array(), *warnings = json_array();
	for (size_t i = 0; i < s->pool_count; i++) {
		bool took = pool_usable(&s->pools[i]) != 0;
		unsigned meant = pool_set_drained(&s->pools[i], &a, drained);
		if (meant == 0)
			continue;
		places += meant;
		log_info("%s of %s is %s, asked for by uid %u (pid %u)", from, s->pools[i].name, verb, c->uid, c->pid);
		json_array_append_new(endpoints, jsontext_new(s->pools[i].name));
		bool takes = pool_usable(&s->pools[i]) != 0;
		if (took && !takes)
			warn_drained(&s->pools[i], warnings);
		if (took != takes)
			c->world->drained(c->world->arg, &s->pools[i]);
	}
	json_object_set_new(answer, verb, json_integer(places));
	json_object_set_new(answer, "endpoints", endpoints);
	if (json_array_size(warnings) > 0)
		json_object_set(answer, "warnings", warnings);
	json_decref(warnings);
	if (places > 0)
		return answer;
	json_decref(answer);
	return refuse("no endpoint has the address %s", from);
}

static json_t *drain(const struct call *c)
{
	return change_drain(c, true);
}

static json_t *undrain(const struct call *c)
{
	return change_drain(c, false);
}

/* ---- takeover ---- */

static json_t *list_drained(const struct snapshot *s)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->pool_count; i++)
		for (int k = 0; k < s->pools[i].count; k++) {
			const struct upstream *u = s->pools[i].places[k].upstream;
			if (atomic_load(&u->drained))
				json_array_append_new(list, json_string(addr_format(&u->addr, text)));
		}
	return list;
}

/* Whoever has the sockets is the daemon: members of the group may command it, but not be it. */
static json_t *takeover(const struct call *c)
{
	if (c->uid != 0 && c->uid != geteuid())
		return refuse("to take over is for root and for the daemon's own user");
	const char *why_not = c->world->takeover(c->world->arg, (pid_t)c->pid, c->reply);
	if (why_not != NULL)
		return refuse("%s", why_not);
	log_info("process %u wants to take over, asked for by uid %u", c->pid, c->uid);
	json_t *answer = json_object();
	json_object_set_new(answer, "version", json_string(R53FWD_VERSION));
	json_object_set_new(answer, "pid", json_integer(getpid()));
	json_object_set_new(answer, "descriptors", json_integer((json_int_t)c->reply->fd_count));
	json_object_set_new(answer, "drained", list_drained(c->world->status.snapshot));
	json_object_set_new(answer, "pages", json_integer(c->world->pages(c->world->arg)));
	return answer;
}

/* ---- the table ---- */

enum reach { PAGES, PEOPLE, CHANGES };

static const struct {
	const char *name, *keys;
	enum reach reach;
	json_t *(*run)(const struct call *c);
} rows[] = {
#define CONTROL(unit, name, reach, keys, help) {name, keys, reach, unit},
#include "tables/control.def"
#undef CONTROL
};

/* What the key's value must be: "text" or "flag", and what follows; NULL: nobody knows the key. */
static const char *kind_of(const char *keys, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = keys; (at = strstr(at, key)) != NULL && len > 0; at += len)
		if ((at == keys || at[-1] == ' ') && at[len] == ':')
			return at + len + 1;
	return NULL;
}

/* What is not understood is refused: `{"command": "flush", "zome": "x"}` must not mean something else than was meant, nor `"type": 5` the
 * same as no type. NULL: all is well. */
static json_t *refuse_keys(const struct call *c, const char *name, const char *keys)
{
	void *at = json_object_iter(c->object);
	char given[SHOWN_MAX];

	for (; at != NULL; at = json_object_iter_next(c->object, at)) {
		const char *key = json_object_iter_key(at);
		const json_t *value = json_object_iter_value(at);
		if (strcmp(key, "command") == 0)
			continue;
		const char *kind = kind_of(keys, key);
		if (kind == NULL)
			return refuse("%s does not know `%s`", name, shown(key, given));
		bool flag = strncmp(kind, "flag", 4) == 0;
		if (flag ? !json_is_boolean(value) : !json_is_string(value))
			return refuse("`%s` of %s must be %s", key, name, flag ? "true or false" : "a text");
	}
	return NULL;
}

static json_t *dispatch(const struct call *c)
{
	const char *name = text_of(c, "command");
	char given[SHOWN_MAX];

	if (name == NULL)
		return refuse("a command is a JSON object with the key `command`");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		if (rows[i].reach != PAGES && c->world->only_looks(c->world->arg, (pid_t)c->pid))
			return refuse("%s is nothing that r53fwd-http may ask for", name);
		if (rows[i].reach == CHANGES && c->world->is_leaving(c->world->arg))
			return refuse("another instance is about to take over: ask for %s in a moment", name);
		json_t *refusal = refuse_keys(c, name, rows[i].keys);
		return refusal != NULL ? refusal : rows[i].run(c);
	}
	return refuse("there is no command `%s`", shown(name, given));
}

void command_run(const struct command_world *w, const struct control_line *line, struct control_reply *reply)
{
	json_error_t error;
	json_t *object = json_loadb(line->text, line->len, JSON_REJECT_DUPLICATES, &error);
	struct call c = {.world = w, .object = object, .reply = reply, .uid = (unsigned)line->uid, .pid = (unsigned)line->pid};
	json_t *answer = dispatch(&c);

	/* In ASCII: a name's control characters reach nobody's terminal as such. */
	reply->text = answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(COMMAND_DIGITS)) : NULL;
	reply->len = reply->text != NULL ? strlen(reply->text) : 0;
	json_decref(answer);
	json_decref(object);
}

bool command_read_error(const struct control_reply *reply, char out[COMMAND_ERROR_MAX])
{
	json_t *answer = json_loadb(reply->text, reply->len, 0, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	bool refused = error != NULL || !json_is_object(answer);

	snprintf(out, COMMAND_ERROR_MAX, "%s", error != NULL ? error : "what serves there is no r53fwd");
	for (char *at = out; *at != '\0'; at++)
		*at = *at >= ' ' && *at <= '~' ? *at : '?';
	json_decref(answer);
	return refused;
}

size_t command_read_drained(const struct control_reply *reply, struct addr **out)
{
	json_t *answer = json_loadb(reply->text, reply->len, 0, NULL);
	const json_t *list = json_object_get(answer, "drained");
	size_t room = json_array_size(list), count = 0;

	*out = room > 0 ? calloc(room, sizeof(**out)) : NULL;
	for (size_t i = 0; *out != NULL && i < room; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		count += text != NULL && addr_parse(&(*out)[count], text, 0) == 0;
	}
	if (count == 0) {
		free(*out);
		*out = NULL;
	}
	json_decref(answer);
	return count;
}

pid_t command_read_pages(const struct control_reply *reply)
{
	json_t *answer = json_loadb(reply->text, reply->len, 0, NULL);
	pid_t pid = (pid_t)json_integer_value(json_object_get(answer, "pages"));

	json_decref(answer);
	return pid;
}
