/* SPDX-License-Identifier: Apache-2.0 */
/* The octets are the records of a cache's file. What is taken from them reads as an answer to its own question, is sent where its name is
 * sent, and lives no longer than the rules allow; and, written to a file, it comes back whole. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "server/persist_file.h"
#include "server/persist_record.h"
#include "wire/dns.h"

enum { NOW_S = 100, WALL_S = 1800000000, PATH_BYTES = 64 };

static const char zones_conf[] =
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n"
	"local-upstreams: [192.168.0.2]\n"
	"zones: [{name: example, to: seoul}, {name: private.example, to: seoul, expect: private, guard: enforce}]\n"
	"cache: {size: 1MiB, max-ttl: 1h, serve-stale: 1h}\n";

static struct snapshot *snapshot;
static struct persist_reading *reading;

static void begin(void)
{
	struct diagnostics d;

	diagnostics_init(&d);
	struct config *c = config_load_text(zones_conf, sizeof(zones_conf) - 1, &d);
	ASSERT(c != NULL);
	diagnostics_deinit(&d);
	snapshot = snapshot_new(c, NULL, NULL);
	reading = calloc(1, sizeof(*reading));
	ASSERT(snapshot != NULL && reading != NULL);
}

static bool check_entry(void *arg, const struct cache_entry *e)
{
	static uint8_t message[2 * DNS_MESSAGE_MAX];
	static struct answer a;
	const struct cache_answer *kept = &e->answer;
	size_t body_at = DNS_HEADER_BYTES + (size_t)e->name.len + 4;
	const struct snapshot_zone *zone = snapshot_find_zone(snapshot, &e->name);

	++*(uint64_t *)arg;
	ASSERT(zone->identity == e->key.route && zone->special == SPECIAL_NONE);
	ASSERT(kept->body_at == body_at && kept->ttls > 0 && (kept->flags & ~DNS_AD) == 0);
	ASSERT(e->expires_s - e->stored_s > 0 && e->expires_s - e->stored_s <= 3600);
	memset(message, 0, DNS_HEADER_BYTES);
	dns_put16(message + 2, (uint16_t)(DNS_QR | kept->rcode));
	dns_put16(message + 4, 1);
	dns_put16(message + 6, kept->ancount);
	dns_put16(message + 8, kept->nscount);
	dns_put16(message + 10, kept->arcount);
	memcpy(message + DNS_HEADER_BYTES, e->name.octets, e->name.len);
	dns_put16(message + body_at - 4, e->key.type);
	dns_put16(message + body_at - 2, DNS_CLASS_IN);
	memcpy(message + body_at, kept->body, kept->body_bytes);
	ASSERT(answer_read(&a, message, body_at + kept->body_bytes) == ANSWER_OK);
	ASSERT(a.ttls == kept->ttls && memcmp(a.ttl_at, kept->ttl_at, a.ttls * sizeof(a.ttl_at[0])) == 0);
	for (unsigned i = 0; i < a.ttls; i++)
		ASSERT(dns_get32(message + a.ttl_at[i]) <= 3600);
	return true;
}

static void check_round_trip(uint64_t entries)
{
	const struct persist_time now = {NOW_S, WALL_S};
	char folder[] = "/dev/shm/r53fwd-fuzz-XXXXXX", path[PATH_BYTES] = "";

	if (mkdtemp(folder) == NULL)
		return; /* a machine without shared memory: the rest was examined */
	strncat(path, folder, PATH_BYTES - 8);
	strncat(path, "/cache", 7);
	const struct persist_plan plan = {.path = path, .cache = snapshot->cache, .serve_stale_s = 3600, .time = now};
	struct persist_outcome wrote = persist_file_write(&plan);
	cache_flush_all(snapshot->cache);
	struct persist_outcome read = persist_file_read(path, snapshot, &now);
	unlink(path);
	rmdir(folder);
	ASSERT(wrote.verdict == PERSIST_DONE && wrote.entries == entries);
	ASSERT(read.verdict == PERSIST_DONE && read.entries == entries && read.left_out == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t entries = 0;

	if (snapshot == NULL)
		begin();
	cache_flush_all(snapshot->cache);
	reading->snapshot = snapshot;
	reading->now_s = NOW_S;
	reading->passed_s = size > 0 ? data[size - 1] * 16u : 0;
	reading->entries = reading->left_out = 0;
	size_t took = persist_record_read(reading, data, size);
	ASSERT(took <= size && size - took < PERSIST_RECORD_MAX_BYTES);
	cache_each(snapshot->cache, check_entry, &entries);
	ASSERT(entries <= reading->entries); /* some have the same key */
	if (entries > 0)
		check_round_trip(entries);
	return 0;
}
