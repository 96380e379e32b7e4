/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a message from an upstream. What is accepted of it is walked, trimmed and made a reply of, whole and cut;
 * what comes out must be accepted again and say the same. */
#include <stdlib.h>

#include "fuzz.h"
#include "wire/answer_spell.h"
#include "wire/answer_trim.h"
#include "wire/reply.h"

static struct answer original, again;

static size_t owner_at(const struct answer *a, size_t i)
{
	return i == 0 ? a->body_at : a->ttl_at[i - 1] + 6u + dns_get16(a->message + a->ttl_at[i - 1] + 4);
}

static void check_bounds(const struct answer *a, size_t size)
{
	size_t before = a->body_at;

	ASSERT(a->body_at <= a->body_end && a->body_end <= size);
	ASSERT(a->ttls == a->ancount + a->nscount + a->arcount && a->ttls <= ANSWER_MAX_RECORDS);
	for (size_t i = 0; i < a->ttls; i++) {
		ASSERT(a->ttl_at[i] >= before + 5);
		before = owner_at(a, i + 1);
		ASSERT(before <= a->body_end);
	}
	ASSERT(before == a->body_end);
	ASSERT(a->ttl_s <= INT32_MAX && (a->ttls > 0 || a->ttl_s == 0));
	ASSERT(a->kind != ANSWER_POSITIVE || a->ancount > 0);
	ASSERT((a->rcode > 15) <= a->edns.present);
}

struct walk {
	const struct answer *a;
	size_t seen;
};

static bool see_address(void *arg, const uint8_t *octets, size_t len)
{
	struct walk *walk = arg;

	ASSERT(len == 4 || len == 16);
	ASSERT(octets >= walk->a->message + walk->a->body_at && octets + len <= walk->a->message + walk->a->body_end);
	return ++walk->seen < 100;
}

static bool see_name(void *arg, const struct name *name)
{
	struct walk *walk = arg;

	ASSERT(name->len > 0 && name->octets[name->len - 1] == 0);
	return ++walk->seen < 100;
}

static void check_walks(const struct answer *a)
{
	struct walk addresses = {.a = a}, names = {.a = a};

	ASSERT(answer_each_address(a, see_address, &addresses) == (addresses.seen < 100));
	ASSERT(answer_each_server_name(a, see_name, &names) == (names.seen < 100));
	ASSERT(addresses.seen <= a->ancount && names.seen <= (size_t)a->ancount + a->nscount);
}

static bool same_name(const struct answer *a, size_t at, const struct answer *b, size_t other_at)
{
	struct name name, other;

	ASSERT(name_unpack(&name, a->message, a->body_end, at) > 0);
	ASSERT(name_unpack(&other, b->message, b->body_end, other_at) > 0);
	return name_equal(&name, &other);
}

/* Record `i` of `a` says what record `j` of `b` says, as far as names that pointers may have are concerned. */
static bool same_record(const struct answer *a, size_t i, const struct answer *b, size_t j)
{
	const uint8_t *fixed = a->message + a->ttl_at[i] - 4, *other = b->message + b->ttl_at[j] - 4;
	uint16_t type = dns_get16(fixed);

	if (memcmp(fixed, other, 8) != 0 || !same_name(a, owner_at(a, i), b, owner_at(b, j)))
		return false;
	switch (type) {
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
	case DNS_TYPE_DNAME:
		return same_name(a, a->ttl_at[i] + 6u, b, b->ttl_at[j] + 6u);
	case DNS_TYPE_MX:
		return same_name(a, a->ttl_at[i] + 8u, b, b->ttl_at[j] + 8u);
	case DNS_TYPE_SRV:
		return same_name(a, a->ttl_at[i] + 12u, b, b->ttl_at[j] + 12u);
	case DNS_TYPE_SOA:
		return same_name(a, a->ttl_at[i] + 6u, b, b->ttl_at[j] + 6u) &&
		       memcmp(a->message + owner_at(a, i + 1) - 20, b->message + owner_at(b, j + 1) - 20, 20) == 0;
	default:
		return dns_get16(fixed + 8) == dns_get16(other + 8) && memcmp(fixed + 10, other + 10, dns_get16(fixed + 8)) == 0;
	}
}

/* What was trimmed may be trimmed once more: where the copy had no room for the chain's last record, what hung on it is a stray now. */
static void check_trim_again(size_t size)
{
	static struct answer third;
	uint8_t *out = malloc(size);
	size_t len = answer_trim(&again, size, out);

	ASSERT(len <= size && (len == size || answer_read(&third, out, len) == ANSWER_OK));
	free(out);
}

static void check_trim(const struct answer *a, size_t size)
{
	uint8_t *out = malloc(size - 1); /* the promised size */
	size_t len = answer_trim(a, size, out), i = 0;

	if (len < size) {
		ASSERT(answer_read(&again, out, len) == ANSWER_OK);
		check_bounds(&again, len);
		ASSERT(again.flags == a->flags && again.rcode == a->rcode && again.edns.present == a->edns.present);
		/* What is left is some of what was there, in its order. */
		for (size_t j = 0; j < again.ttls; j++, i++) {
			while (i < a->ttls && !same_record(a, i, &again, j))
				i++;
			ASSERT(i < a->ttls);
		}
		ASSERT(again.ttls < a->ttls);
		check_trim_again(len);
	}
	free(out);
}

/* Other letters, the same names. */
static void check_lowered(const struct answer *a, size_t size)
{
	uint8_t *out = malloc(size);

	memcpy(out, a->message, size);
	bool any = answer_spell_lower(a, out);
	ASSERT(any == (memcmp(out, a->message, size) != 0));
	ASSERT(answer_read(&again, out, size) == ANSWER_OK && again.ttls == a->ttls);
	for (size_t i = 0; i < a->ttls; i++)
		ASSERT(same_record(a, i, &again, i));
	free(out);
}

static struct reply_asker asker_for(const struct answer *a)
{
	uint16_t spice = dns_id(a->message);

	return (struct reply_asker){
		.id = spice,
		.flags = dns_flags(a->message) & (uint16_t)~DNS_OPCODE, /* records are sent to who asked with QUERY alone */
		.type = a->type,
		.class = dns_get16(a->message + a->body_at - 2),
		.limit = (uint16_t)(DNS_UDP_PLAIN_BYTES + spice % 1024),
		.has_question = true,
		.edns = spice & 1,
		.dnssec_ok = spice & 2,
		.name_len = (uint8_t)(a->body_at - DNS_HEADER_BYTES - 4),
		.spelled = a->message + DNS_HEADER_BYTES,
	};
}

/* A reply around the body: it can be read again, and with other TTLs its records say the same. */
static void check_reply(const struct answer *a, bool count_down)
{
	struct reply_asker asker = asker_for(a);
	struct reply r = {
		.rcode = a->rcode,
		.flags = a->flags,
		.ancount = a->ancount,
		.nscount = a->nscount,
		.arcount = a->arcount,
		.body_bytes = (size_t)a->body_end - a->body_at,
		.ede = a->message[0] % 2 ? DNS_EDE_STALE_ANSWER : DNS_EDE_NONE,
		.ede_text = "some words that say why",
	};
	uint8_t *out = malloc(MAX((size_t)a->body_end, (size_t)asker.limit));

	memcpy(out + a->body_at, a->message + a->body_at, r.body_bytes);
	for (size_t i = 0; count_down && i < a->ttls; i++)
		dns_put32(out + a->ttl_at[i], 0x0c0cc00cu);
	size_t len = reply_finish(out, asker.limit, &asker, &r);
	ASSERT(len <= asker.limit && len >= reply_body_at(&asker));
	ASSERT(dns_arcount(out) >= asker.edns);
	ASSERT(answer_read(&again, out, len) == ANSWER_OK);
	ASSERT(again.edns.present == asker.edns && again.ancount <= a->ancount && again.nscount <= a->nscount);
	bool cut = again.ancount < a->ancount || again.nscount < a->nscount;
	ASSERT(((again.flags & DNS_TC) != 0) == (cut || (a->flags & DNS_TC)));
	ASSERT(again.arcount == 0 || (again.arcount == a->arcount && !cut));
	for (size_t i = 0; i < again.ttls && !count_down; i++)
		ASSERT(same_record(a, i, &again, i));
	for (size_t i = 0; i < again.ttls && count_down; i++)
		ASSERT(same_name(a, owner_at(a, i), &again, owner_at(&again, i)));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (answer_read(&original, data, size) != ANSWER_OK) {
		ASSERT(size < DNS_HEADER_BYTES || original.flags == dns_flags(data));
		return 0;
	}
	check_bounds(&original, size);
	check_walks(&original);
	check_trim(&original, size);
	check_lowered(&original, size);
	if (dns_qdcount(data) == 1) {
		check_reply(&original, false);
		check_reply(&original, true);
	}
	return 0;
}
