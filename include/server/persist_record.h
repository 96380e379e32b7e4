/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_PERSIST_RECORD_H
#define SERVER_PERSIST_RECORD_H
/* One answer of the cache as octets in a file, and back, by somebody who trusts nothing in them. Numbers are in network byte order, like
 * everything else in DNS: a file may move to another machine.
 *
 *   route 4 | age 4 | lifetime 4 | type 2 | key bits 1 | octets of name 1 | AD and rcode, as in a header 2 |
 *   ANCOUNT 2 | NSCOUNT 2 | ARCOUNT 2 | octets of body 2 | name | body
 *
 * Ages are those at the moment of writing; how long ago that was is the file's to say. */

#include "server/snapshot.h"
#include "wire/answer.h"

/* What stands before the name; the longest record. */
enum { PERSIST_RECORD_HEAD_BYTES = 26, PERSIST_RECORD_MAX_BYTES = PERSIST_RECORD_HEAD_BYTES + NAME_MAX_OCTETS + CACHE_BODY_MAX };

/* Nobody knows any more which upstream gave an answer that comes from a file. */
#define PERSIST_RECORD_ORIGIN UINT32_MAX

/* Of no use to anybody any more: expired for longer than it may be served. */
static inline bool persist_record_is_past(uint64_t age_s, uint32_t life_s, uint32_t serve_stale_s)
{
	return age_s >= life_s && age_s - life_s >= serve_stale_s;
}

/* How old an answer is; none if it was stored while we were looking. */
static inline uint32_t persist_record_age_s(const struct cache_entry *e, uint32_t now_s)
{
	return (int32_t)(now_s - e->stored_s) > 0 ? now_s - e->stored_s : 0;
}

/* Octets that the record of `e` takes. */
static inline size_t persist_record_bytes(const struct cache_entry *e)
{
	return PERSIST_RECORD_HEAD_BYTES + (size_t)e->name.len + e->answer.body_bytes;
}

/* Writes persist_record_bytes octets to `out`. */
void persist_record_write(const struct cache_entry *e, uint32_t now_s, uint8_t *out);

/* Where records that are read go. */
struct persist_reading {
	struct snapshot *snapshot;
	uint32_t now_s;    /* of the cache's clock */
	uint32_t passed_s; /* since the file was written */
	uint64_t entries;  /* taken into the cache */
	uint64_t left_out; /* past serve-stale, routed otherwise now, or not sound */
	struct answer answer;
	uint8_t message[DNS_MESSAGE_MAX];
};

/* Takes whole records from the start of `bytes`, as hostile as if a stranger had sent them: a name that is one; a body that reads as an
 * answer to that question with the counts it was said to have; no longer alive or stale than the rules in force allow; sent where its
 * name is sent now; and, where the zone's guard enforces, as expected. TTLs are found anew and bounded by the rules. Returns how many
 * octets the whole records took. */
size_t persist_record_read(struct persist_reading *r, const uint8_t *bytes, size_t len);

#endif
