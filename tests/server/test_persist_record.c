/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"
#include "server/persist_record.h"

/* One record and what is tried with it. */
struct forged {
	uint32_t age_s, life_s;
	uint16_t type, flags, ancount, nscount, arcount;
	uint8_t bits;
	uint8_t name_len;
	uint16_t body_bytes;
	uint8_t name[256], body[600];
};

static const struct forged plain = {
	.life_s = 60, .type = DNS_TYPE_A, .ancount = 1, .name_len = 18, .name = "\3www\4corp\7example", .body_bytes = 16,
	.body = "\300\14\0\1\0\1\0\0\0\74\0\4\12\0\0\1"};

/* Whether it was taken. */
static bool forge(const struct forged *f, struct snapshot *s)
{
	struct persist_reading *r = calloc(1, sizeof(*r));
	size_t len = PERSIST_RECORD_HEAD_BYTES + (size_t)f->name_len + f->body_bytes;
	uint8_t *octets = malloc(len); /* of the exact size: a look beyond it is seen */
	struct name n = {.len = 1};

	assert_true(r != NULL && octets != NULL);
	if (name_read(&n, f->name, sizeof(f->name)) < 0)
		n = (struct name){.len = 1};
	dns_put32(octets, snapshot_find_zone(s, &n)->identity);
	dns_put32(octets + 4, f->age_s);
	dns_put32(octets + 8, f->life_s);
	dns_put16(octets + 12, f->type);
	octets[14] = f->bits;
	octets[15] = f->name_len;
	dns_put16(octets + 16, f->flags);
	dns_put16(octets + 18, f->ancount);
	dns_put16(octets + 20, f->nscount);
	dns_put16(octets + 22, f->arcount);
	dns_put16(octets + 24, f->body_bytes);
	memcpy(octets + 26, f->name, f->name_len);
	memcpy(octets + 26 + f->name_len, f->body, f->body_bytes);
	r->snapshot = s;
	r->now_s = KEPT_NOW_S;
	assert_int_equal(persist_record_read(r, octets, len), len);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(persist_record_read(r, octets, cut), 0);
	assert_int_equal(r->entries + r->left_out, 1);
	bool taken = r->entries == 1;
	free(octets);
	free(r);
	return taken;
}

static void forge_with(bool expected, struct snapshot *s, struct forged f)
{
	assert_int_equal(forge(&f, s), expected);
}

static struct forged with_body(const char *body, size_t len)
{
	struct forged f = plain;

	f.body_bytes = (uint16_t)len;
	memcpy(f.body, body, len);
	return f;
}

static void a_record_that_does_not_read_as_an_answer_is_left_out(void **state)
{
	struct snapshot *s = kept_usual();
	struct forged f = plain;

	(void)state;
	forge_with(true, s, plain);
	f.ancount = 2;
	forge_with(false, s, f);
	f.ancount = 0;
	forge_with(false, s, f);
	f = plain;
	f.arcount = 0xffff;
	forge_with(false, s, f);
	/* The rdata's length, a pointer forwards, a pointer into the header, octets left over. */
	forge_with(false, s, with_body("\300\14\0\1\0\1\0\0\0\74\0\5\12\0\0\1", 16));
	forge_with(false, s, with_body("\300\140\0\1\0\1\0\0\0\74\0\4\12\0\0\1", 16));
	forge_with(false, s, with_body("\300\2\0\1\0\1\0\0\0\74\0\4\12\0\0\1", 16));
	forge_with(false, s, with_body("\300\14\0\1\0\1\0\0\0\74\0\4\12\0\0\1\0", 17));
	f = plain;
	f.body_bytes = 0;
	forge_with(false, s, f);
	f.ancount = 0;
	forge_with(false, s, f); /* nothing says how long that would hold */
	f = plain;
	f.flags = DNS_SERVFAIL;
	forge_with(false, s, f);
	/* An OPT was never kept. */
	f = with_body("\300\14\0\1\0\1\0\0\0\74\0\4\12\0\0\1\0\0\51\4\320\0\0\0\0\0\0", 27);
	f.arcount = 1;
	forge_with(false, s, f);
	snapshot_unref(s);
}

static void a_name_that_is_none_is_left_out(void **state)
{
	struct snapshot *s = kept_usual();
	struct forged f = plain;

	(void)state;
	f.name_len = 0;
	forge_with(false, s, f);
	f.name_len = 17; /* no end */
	forge_with(false, s, f);
	f = plain;
	f.name[4] = 0; /* ends early */
	forge_with(false, s, f);
	f = plain;
	f.name[4] = 0xc0;
	forge_with(false, s, f);
	f.name_len = 255;
	forge_with(false, s, f);
	/* Letters are lowered: then it is the name that one would ask for. */
	f = plain;
	f.name[1] = 'W';
	forge_with(true, s, f);
	assert_int_equal(kept_get(s, "www.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	snapshot_unref(s);
}

static void a_record_cannot_say_that_it_lives_longer_than_its_ttls(void **state)
{
	struct snapshot *s = kept_usual();
	struct forged f = plain;

	(void)state;
	f.life_s = UINT32_MAX;
	forge_with(true, s, f);
	assert_int_equal(kept_get(s, "www.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	assert_int_equal(kept_hit.ttl_left_s, 60);
	f.life_s = 0;
	forge_with(false, s, f);
	f = plain;
	f.age_s = UINT32_MAX;
	forge_with(false, s, f);
	/* RFC 2181: the top bit set reads as 0. */
	forge_with(false, s, with_body("\300\14\0\1\0\1\200\0\0\74\0\4\12\0\0\1", 16));
	/* A week, where a day is the most. */
	f = with_body("\300\14\0\1\0\1\0\11\72\200\0\4\12\0\0\1", 16);
	f.life_s = 604800;
	forge_with(true, s, f);
	assert_int_equal(kept_get(s, "www.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	assert_int_equal(kept_hit.ttl_left_s, 86400);
	assert_int_equal(dns_get32(kept_body + 6), 86400);
	snapshot_unref(s);
}

static void what_a_key_cannot_be_is_left_out(void **state)
{
	struct snapshot *s = kept_usual();
	struct forged f = plain;

	(void)state;
	f.bits = CACHE_KEY_DO; /* an endpoint is always asked without */
	forge_with(false, s, f);
	memcpy(f.name, "\3www\4corp\4nets\0\0\0", 18);
	f.name_len = 15;
	forge_with(true, s, f);
	f.bits = 0x10;
	forge_with(false, s, f);
	snapshot_unref(s);
}

/* ---- what has changed since */

static void expect_left_out(const char *zones_conf, const char *name)
{
	struct snapshot *s = kept_snapshot(zones_conf);
	struct persist_outcome o = kept_read(kept_one(name), s, KEPT_TIME);

	assert_int_equal(o.verdict, PERSIST_DONE);
	assert_int_equal(o.entries, 0);
	assert_int_equal(o.left_out, 1);
	assert_int_equal(kept_entries(s), 0);
	snapshot_unref(s);
}

static void what_is_routed_otherwise_now_is_left_out(void **state)
{
	(void)state;
	expect_left_out("inbound-endpoints: {seoul: {addresses: [10.10.1.10]}, osaka: {addresses: [10.30.1.10]}}\n"
			"zones: [{name: corp.example, to: osaka}, {name: db.example, to: seoul}]\n",
			"www.corp.example");
	expect_left_out("local-upstreams: [192.168.0.2]\nzones: []\n", "www.corp.example");
	expect_left_out("inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n"
			"zones: [{name: corp.example, to: seoul}, {name: www.corp.example, to: local}]\n",
			"www.corp.example");
	expect_left_out("inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n"
			"zones: [{name: example.net, to: seoul}]\n",
			"www.example.net");
}

static void what_moved_along_with_its_endpoint_is_read(void **state)
{
	struct snapshot *s = kept_snapshot("inbound-endpoints: {seoul: {addresses: [10.99.1.10]}}\n"
					   "zones: [{name: example, to: seoul}]\n");

	(void)state;
	assert_int_equal(kept_read(kept_one("www.corp.example"), s, KEPT_TIME).entries, 1);
	snapshot_unref(s);
}

static void stricter_rules_hold_for_what_is_read(void **state)
{
	struct snapshot *s = kept_snapshot(KEPT_ZONES "cache: {max-ttl: 7s, serve-stale: 1h}\n");

	(void)state;
	assert_int_equal(kept_read(kept_one("www.corp.example"), s, KEPT_TIME).entries, 1);
	assert_int_equal(kept_get(s, "www.corp.example", DNS_TYPE_A, KEPT_NOW_S), CACHE_FRESH);
	assert_int_equal(kept_hit.ttl_left_s, 7);
	assert_int_equal(dns_get32(kept_body + 6), 7);
	assert_int_equal(kept_get(s, "www.corp.example", DNS_TYPE_A, KEPT_NOW_S + 7), CACHE_STALE);
	snapshot_unref(s);
}

static void a_guard_that_enforces_keeps_out_what_was_cached_before(void **state)
{
#define GUARDED(guard)                                                                  \
	"inbound-endpoints: {seoul: {addresses: [10.10.1.10]}}\n"                       \
	"zones: [{name: corp.example, to: seoul, expect: [192.0.2.0/24], guard: " guard "}]\n"
	struct snapshot *s = kept_snapshot(GUARDED("warn"));

	(void)state;
	expect_left_out(GUARDED("enforce"), "www.corp.example");
	assert_int_equal(kept_read(kept_path("cache"), s, KEPT_TIME).entries, 1);
	snapshot_unref(s);
}

static void names_that_are_answered_here_are_left_out(void **state)
{
	struct snapshot *s = kept_usual();
	uint8_t record[100];
	struct persist_reading *r = calloc(1, sizeof(*r));

	(void)state;
	assert_non_null(r);
	r->snapshot = s;
	size_t len = kept_slurp(kept_one("localhost"), record, sizeof(record)) - PERSIST_FILE_HEAD_BYTES - PERSIST_FILE_SUM_BYTES;
	assert_int_equal(persist_record_read(r, record + PERSIST_FILE_HEAD_BYTES, len), len);
	assert_int_equal(r->left_out, 1);
	free(r);
	snapshot_unref(s);
}

#define KEPT_TEST(name) cmocka_unit_test_setup_teardown(name, kept_make_folder, kept_remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEPT_TEST(a_record_that_does_not_read_as_an_answer_is_left_out),
		KEPT_TEST(a_name_that_is_none_is_left_out),
		KEPT_TEST(a_record_cannot_say_that_it_lives_longer_than_its_ttls),
		KEPT_TEST(what_a_key_cannot_be_is_left_out),
		KEPT_TEST(what_is_routed_otherwise_now_is_left_out),
		KEPT_TEST(what_moved_along_with_its_endpoint_is_read),
		KEPT_TEST(stricter_rules_hold_for_what_is_read),
		KEPT_TEST(a_guard_that_enforces_keeps_out_what_was_cached_before),
		KEPT_TEST(names_that_are_answered_here_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
