/* SPDX-License-Identifier: Apache-2.0 */
#include "http/pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/limit.h"
#include "base/random.h"
#include "http/page.h"
#include "http/prometheus.h"

enum { OK = 200, NOT_FOUND = 404, UNAVAILABLE = 503 };

/* Nothing may be loaded, and nobody may frame it. */
static const char strictest_policy[] = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* What an answer is made of. */
struct making {
	json_t *said;    /* by the daemon; NULL: nothing, and `error` says why */
	const char *raw; /* the same as it came */
	int error;
	const char *host, *nonce;
};

static const char *reason(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "no daemon serves at the control socket";
	case -EACCES:
	case -EPERM:
		return "the control socket is not for this user";
	case -ETIMEDOUT:
		return "the daemon does not answer";
	case -EPROTO:
		return "what answers at the control socket is no r53fwd";
	default:
		return strerror(-error);
	}
}

/* ---- one function a row: writes the body, returns the status */

static unsigned make_index(const struct making *m, FILE *out)
{
	const struct page page = {
		.status = m->said, .trouble = m->said == NULL ? reason(m->error) : NULL, .host = m->host, .nonce = m->nonce};

	page_print(&page, out);
	return m->said == NULL ? UNAVAILABLE : OK;
}

static unsigned say_reason(const struct making *m, FILE *out)
{
	fprintf(out, "%s\n", reason(m->said == NULL ? m->error : -EPROTO));
	return UNAVAILABLE;
}

static unsigned make_metrics(const struct making *m, FILE *out)
{
	return m->said != NULL && prometheus_print(m->said, out) ? OK : say_reason(m, out);
}

static unsigned make_health(const struct making *m, FILE *out)
{
	if (!json_is_true(json_object_get(m->said, "alive")))
		return say_reason(m, out);
	fputs("ok\n", out);
	return OK;
}

static unsigned make_ready(const struct making *m, FILE *out)
{
	json_t *zone;
	size_t i;

	if (!json_is_boolean(json_object_get(m->said, "ready")))
		return say_reason(m, out);
	if (json_is_true(json_object_get(m->said, "ready"))) {
		fputs("ready\n", out);
		return OK;
	}
	if (json_array_size(json_object_get(m->said, "zones")) == 0)
		fputs("not ready: the first probes are not done\n", out);
	else
		fputs("not ready: these zones have neither an address that answers nor anything stale\n", out);
	json_array_foreach(json_object_get(m->said, "zones"), i, zone)
		fprintf(out, "%s\n", json_string_value(zone));
	json_int_t total = json_integer_value(json_object_get(m->said, "zones_total"));
	if (total > (json_int_t)i)
		fprintf(out, "and %lld more\n", (long long)total - (long long)i);
	return UNAVAILABLE;
}

static unsigned make_strict(const struct making *m, FILE *out)
{
	return make_ready(m, out);
}

static unsigned make_status(const struct making *m, FILE *out)
{
	if (m->said == NULL) {
		fprintf(out, "{\"error\":\"%s\"}\n", reason(m->error));
		return UNAVAILABLE;
	}
	fprintf(out, "%s\n", m->raw);
	return OK;
}

static const struct row {
	const char *path, *type, *question;
	unsigned (*make)(const struct making *m, FILE *out);
} rows[] = {
#define PAGE(unit, path, type, question, help) {path, type, question, make_##unit},
#include "tables/pages.def"
#undef PAGE
};

struct pages {
	pages_ask_fn *ask;
	void *arg;
	const char *host;
	struct random random;
	struct kept {
		struct pages_reply *reply; /* a reference, or NULL */
		struct limit looks;
		uint64_t silent_until_us; /* the daemon is not asked before */
	} kept[ARRAY_SIZE(rows)];
};

/* ---- answers */

void pages_give_back(struct pages_reply *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	free(r->body);
	free(r);
}

struct pages_reply *pages_say(unsigned status, const char *sentence)
{
	struct pages_reply *r = calloc(1, sizeof(*r));
	size_t len = strlen(sentence);

	if (r == NULL)
		return NULL;
	r->refs = 1;
	r->status = status;
	r->type = "text/plain; charset=utf-8";
	r->body = malloc(len + 2);
	if (r->body == NULL) {
		free(r);
		return NULL;
	}
	snprintf(r->body, len + 2, "%s\n", sentence);
	r->len = len + 1;
	memcpy(r->policy, strictest_policy, sizeof(strictest_policy));
	return r;
}

/* ---- making them */

static struct pages_reply *print(const struct row *row, const struct making *m)
{
	struct pages_reply *r = calloc(1, sizeof(*r));
	FILE *out = r == NULL ? NULL : open_memstream(&r->body, &r->len);

	if (out == NULL) {
		free(r);
		return NULL;
	}
	r->refs = 1;
	r->type = row->type;
	r->status = row->make(m, out);
	if (fclose(out) != 0) {
		pages_give_back(r);
		return NULL;
	}
	if (row->make == make_index)
		snprintf(r->policy, sizeof(r->policy),
			 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
			 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			 m->nonce, m->nonce);
	else
		memcpy(r->policy, strictest_policy, sizeof(strictest_policy));
	return r;
}

/* `error`: why the daemon said nothing, or 0. */
static struct pages_reply *make(struct pages *p, const struct row *row, int *error)
{
	struct control_reply reply = {.text = NULL};
	struct making m = {.host = p->host};
	char nonce[33];

	snprintf(nonce, sizeof(nonce), "%016llx%016llx", (unsigned long long)random_u64(&p->random),
		 (unsigned long long)random_u64(&p->random));
	m.nonce = nonce;
	m.error = p->ask(p->arg, row->question, &reply);
	m.raw = reply.text;
	if (m.error == 0 && (m.said = json_loadb(reply.text, reply.len, 0, NULL)) == NULL)
		m.error = -EPROTO;
	/* An older daemon than we are knows less. */
	if (m.said != NULL && json_object_get(m.said, "error") != NULL) {
		json_decref(m.said);
		m.said = NULL;
		m.error = -EPROTO;
	}
	struct pages_reply *r = print(row, &m);
	*error = m.error;
	json_decref(m.said);
	control_reply_deinit(&reply);
	return r;
}

struct pages *pages_new(pages_ask_fn *ask, void *arg, const char *host)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->ask = ask;
	p->arg = arg;
	p->host = host;
	random_init(&p->random);
	json_object_seed(0); /* from a file, which cannot be opened once we serve */
	return p;
}

void pages_free(struct pages *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		pages_give_back(p->kept[i].reply);
	free(p);
}

static void look(struct pages *p, size_t i, uint64_t now_us)
{
	struct kept *k = &p->kept[i];
	int error;

	pages_give_back(k->reply);
	k->reply = make(p, &rows[i], &error);
	if (error == -ETIMEDOUT)
		k->silent_until_us = now_us + PAGES_SILENT_US;
}

struct pages_reply *pages_get(struct pages *p, const char *path, uint64_t now_us)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kept *k = &p->kept[i];
		if (strcmp(rows[i].path, path) != 0)
			continue;
		if ((now_us >= k->silent_until_us && limit_pass(&k->looks, now_us, PAGES_LOOK_EVERY_US, PAGES_LOOKS)) || k->reply == NULL)
			look(p, i, now_us);
		if (k->reply != NULL)
			k->reply->refs++;
		return k->reply;
	}
	return pages_say(NOT_FOUND, "there is no such page; / has what there is");
}
