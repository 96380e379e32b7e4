/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a packet from a client. ldns reads what we accept alike; what we would ask upstream because of it is a
 * question again, and its echo is known. */
#include <stdbool.h>
#include <ldns/ldns.h>
#include <string.h>

#include "fuzz.h"
#include "wire/question.h"

static void compare_edns(const struct question *q, const ldns_pkt *packet)
{
	ASSERT(ldns_pkt_edns(packet) == q->edns.present);
	if (!q->edns.present)
		return;
	ASSERT(q->edns.udp_bytes == MAX(ldns_pkt_edns_udp_size(packet), DNS_UDP_PLAIN_BYTES));
	ASSERT(q->edns.dnssec_ok == ldns_pkt_edns_do(packet) && q->edns.version == ldns_pkt_edns_version(packet));
}

static void compare(const struct question *q, const ldns_pkt *packet)
{
	const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
	const ldns_rdf *owner = ldns_rr_owner(rr);

	ASSERT(ldns_pkt_id(packet) == q->id && ldns_rr_get_type(rr) == q->type && ldns_rr_get_class(rr) == q->class);
	ASSERT(ldns_rdf_size(owner) == q->name.len && memcmp(ldns_rdf_data(owner), q->spelled, q->name.len) == 0);
	ASSERT(name_spells(&q->name, q->spelled));
}

/* ldns looks into the rdata of all records, we only into an OPT's: where there are others it may refuse, or (an A of 18 octets, say) go on
 * at the wrong place and not see the OPT behind. */
static void check_with_ldns(const struct question *q, const uint8_t *data, size_t size)
{
	int records = dns_ancount(data) + dns_nscount(data) + dns_arcount(data);
	ldns_pkt *packet = NULL;

	if (ldns_wire2pkt(&packet, data, size) != LDNS_STATUS_OK) {
		ASSERT(records > q->edns.present);
		return;
	}
	compare(q, packet);
	if (records == q->edns.present)
		compare_edns(q, packet);
	ldns_pkt_free(packet);
}

static void check_upstream(const struct question *q)
{
	struct question_upstream u = {
		.name = &q->name,
		.case_bits = UINT64_C(0x9e3779b97f4a7c15) * q->id,
		.id = q->id,
		.type = q->type,
		.class = q->class,
		.flags = q->flags,
		.edns = true,
		.dnssec_ok = q->edns.dnssec_ok,
	};
	uint8_t out[QUESTION_UPSTREAM_MAX];
	struct question again;
	size_t len = question_write(&u, out);

	ASSERT(len <= sizeof(out) && question_read(&again, out, len) == QUESTION_OK);
	ASSERT(name_equal(&again.name, &q->name) && again.edns.present && again.type == q->type);
	ASSERT(question_echo(&u, out, len) == ECHO_NO);
	out[2] |= DNS_QR >> 8;
	ASSERT(question_echo(&u, out, len) == ECHO_YES);
}

/* Whatever came in, taken as an answer to a question of ours, must be judged without harm. */
static void check_echo(const uint8_t *data, size_t size)
{
	struct name n;

	if (size < DNS_HEADER_BYTES || name_read(&n, data + DNS_HEADER_BYTES, size - DNS_HEADER_BYTES) < 0)
		return;
	struct question_upstream u = {.name = &n, .id = dns_id(data), .type = DNS_TYPE_A, .class = DNS_CLASS_IN};
	enum question_echo echo = question_echo(&u, data, size);
	ASSERT(echo == ECHO_NO || (data[2] & 0x80));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct question q;

	if (size > DNS_MESSAGE_MAX)
		return 0;
	check_echo(data, size);
	enum question_verdict verdict = question_read(&q, data, size);
	ASSERT((verdict == QUESTION_DROP) == (question_glance(data, size) == QUESTION_DROP));
	if (verdict != QUESTION_OK && verdict != QUESTION_BADVERS)
		return 0;
	ASSERT((verdict == QUESTION_BADVERS) == (q.edns.present && q.edns.version > 0));
	check_with_ldns(&q, data, size);
	check_upstream(&q);
	return 0;
}
