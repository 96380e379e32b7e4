/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SERVER_KEPT_H
#define TESTS_SERVER_KEPT_H
/* Snapshots with a cache, answers to put into it, and a folder to keep it in: for the tests of persist and persist_file. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/persist_file.h"
#include "wire/answer.h"
#include "wire/dns.h"
#include "wire/text.h"

#define KEPT_ZONES                                                                                                         \
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10, 10.10.2.10]}, tokyo: {addresses: [10.20.1.10, 10.20.2.10]}}\n" \
	"local-upstreams: [192.168.0.2]\n"                                                                                  \
	"zones: [{name: corp.example, to: seoul}, {name: db.example, to: tokyo}]\n"
#define KEPT_CACHE "cache: {size: 4MiB, serve-stale: 1h}\n"

/* The cache's clock and the wall's when the tests begin. */
enum { KEPT_NOW_S = 5000, KEPT_WALL_S = 1800000000, KEPT_TTL_S = 60, KEPT_STALE_S = 3600 };

static const struct persist_time KEPT_TIME = {KEPT_NOW_S, KEPT_WALL_S};

static inline struct config *kept_config(const char *text)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(text, strlen(text), &d);
	if (c == NULL)
		diagnostics_print(&d, "zones.conf", stderr);
	diagnostics_deinit(&d);
	assert_non_null(c);
	return c;
}

static inline struct snapshot *kept_snapshot(const char *text)
{
	struct snapshot *s = snapshot_new(kept_config(text), NULL, NULL);

	assert_non_null(s);
	return s;
}

static inline struct snapshot *kept_usual(void)
{
	return kept_snapshot(KEPT_ZONES KEPT_CACHE);
}

/* A question with its name, as forward.c would make the key. */
struct kept_question {
	struct name name;
	struct cache_key key;
};

static inline const struct cache_key *kept_ask(struct kept_question *q, const struct snapshot *s, const char *name, uint16_t type,
					       uint8_t bits)
{
	assert_int_equal(text_read_name(&q->name, name), 0);
	q->key = (struct cache_key){
		.name = &q->name, .route = snapshot_find_zone(s, &q->name)->identity, .type = type, .bits = bits};
	cache_key_hash(s->cache, &q->key);
	return &q->key;
}

/* A message that is being written: the question, then records. */
struct kept_message {
	size_t len, body_at;
	int section; /* that records are added to: 0 answer, 1 authority, 2 additional */
	uint8_t octets[DNS_MESSAGE_MAX];
};

static inline void kept_begin(struct kept_message *m, const struct kept_question *q, uint16_t rcode)
{
	m->section = 0;
	memset(m->octets, 0, DNS_HEADER_BYTES);
	dns_put16(m->octets + 2, (uint16_t)(DNS_QR | rcode));
	dns_put16(m->octets + 4, 1);
	memcpy(m->octets + DNS_HEADER_BYTES, q->name.octets, q->name.len);
	m->body_at = m->len = DNS_HEADER_BYTES + (size_t)q->name.len + 4;
	dns_put16(m->octets + m->len - 4, q->key.type);
	dns_put16(m->octets + m->len - 2, DNS_CLASS_IN);
}

/* A record whose owner is a pointer to `owner`. Returns where its rdata stands. */
static inline size_t kept_add(struct kept_message *m, size_t owner, uint16_t type, uint32_t ttl_s, const void *rdata, size_t len)
{
	uint8_t *at = m->octets + m->len, *count = m->octets + 6 + 2 * m->section;

	assert_true(m->len + 12 + len <= sizeof(m->octets));
	dns_put16(at, (uint16_t)(0xc000 | owner));
	dns_put16(at + 2, type);
	dns_put16(at + 4, DNS_CLASS_IN);
	dns_put32(at + 6, ttl_s);
	dns_put16(at + 10, (uint16_t)len);
	memcpy(at + 12, rdata, len);
	m->len += 12 + len;
	dns_put16(count, (uint16_t)(dns_get16(count) + 1));
	return m->len - len;
}

static inline void kept_add_soa(struct kept_message *m, uint32_t ttl_s, uint32_t minimum_s)
{
	uint8_t rdata[2 + 20] = {0};

	dns_put32(rdata + 18, minimum_s);
	m->section = 1;
	kept_add(m, DNS_HEADER_BYTES, DNS_TYPE_SOA, ttl_s, rdata, sizeof(rdata));
}

/* Puts the message into the cache the way forward does. */
static inline void kept_put_message(struct snapshot *s, const struct kept_question *q, const struct kept_message *m, uint16_t flags,
				    uint32_t now_s)
{
	static struct answer a;

	assert_int_equal(answer_read(&a, m->octets, m->len), ANSWER_OK);
	const struct cache_answer keep = {.body = m->octets + a.body_at,
					  .body_bytes = (uint32_t)(a.body_end - a.body_at),
					  .ttl_at = a.ttl_at,
					  .ttls = a.ttls,
					  .body_at = a.body_at,
					  .rcode = a.rcode,
					  .flags = flags,
					  .ancount = a.ancount,
					  .nscount = a.nscount,
					  .arcount = a.arcount,
					  .negative = a.kind != ANSWER_POSITIVE,
					  .ttl_s = a.ttl_s,
					  .origin = 1};
	assert_true(cache_put(s->cache, &q->key, &s->cache_rules, now_s, &keep));
}

/* One A record with `last` as the address's last octet. */
static inline void kept_put(struct snapshot *s, const char *name, uint8_t last, uint32_t now_s)
{
	static struct kept_message m;
	struct kept_question q;

	kept_ask(&q, s, name, DNS_TYPE_A, 0);
	kept_begin(&m, &q, DNS_NOERROR);
	kept_add(&m, DNS_HEADER_BYTES, DNS_TYPE_A, KEPT_TTL_S, (const uint8_t[]){10, 0, 0, last}, 4);
	kept_put_message(s, &q, &m, 0, now_s);
}

/* What the cache says; the body goes to `body`. */
static uint8_t kept_body[DNS_MESSAGE_MAX];
static struct cache_hit kept_hit;

static inline enum cache_result kept_get(struct snapshot *s, const char *name, uint16_t type, uint32_t now_s)
{
	struct kept_question q;

	kept_ask(&q, s, name, type, 0);
	return cache_get(s->cache, &q.key, &s->cache_rules, now_s, (struct cache_room){kept_body, sizeof(kept_body)}, &kept_hit);
}

static inline uint64_t kept_entries(const struct snapshot *s)
{
	struct cache_counts counts;

	cache_count(s->cache, &counts);
	return counts.entries;
}

static inline struct persist_outcome kept_read(const char *path, struct snapshot *s, struct persist_time time)
{
	return persist_file_read(path, s, &time);
}

static inline struct persist_outcome kept_write(const char *path, struct snapshot *s, struct persist_time time)
{
	const struct persist_plan plan = {
		.path = path, .cache = s->cache, .serve_stale_s = s->cache_rules.serve_stale_s, .time = time};

	return persist_file_write(&plan);
}

/* ---- a folder of the test's own */

static char kept_folder[64];

static inline int kept_make_folder(void **state)
{
	(void)state;
	snprintf(kept_folder, sizeof(kept_folder), "/tmp/r53fwd-persist-XXXXXX");
	return mkdtemp(kept_folder) != NULL ? 0 : -1;
}

static inline int kept_remove_folder(void **state)
{
	char path[400];
	DIR *folder = opendir(kept_folder);
	struct dirent *entry;

	(void)state;
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", kept_folder, entry->d_name);
		if (entry->d_type == DT_DIR)
			(void)rmdir(path);
		else
			(void)unlink(path);
	}
	if (folder != NULL)
		closedir(folder);
	return rmdir(kept_folder);
}

/* A path in it; valid until the fourth call from now. */
static inline const char *kept_path(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", kept_folder, name);
	return path;
}

/* A cache with one answer in a file; returns the file's path. */
static inline const char *kept_one(const char *name)
{
	struct snapshot *s = kept_usual();
	const char *path = kept_path("cache");

	kept_put(s, name, 1, KEPT_NOW_S);
	assert_int_equal(kept_write(path, s, KEPT_TIME).verdict, PERSIST_DONE);
	snapshot_unref(s);
	return path;
}

/* The whole of a file, and putting one there. */
static inline size_t kept_slurp(const char *path, uint8_t *out, size_t room)
{
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	size_t len = fread(out, 1, room, f);
	fclose(f);
	return len;
}

static inline void kept_spill(const char *path, const uint8_t *octets, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(octets, 1, len, f), len);
	fclose(f);
}

#endif
