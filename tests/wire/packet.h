/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_WIRE_PACKET_H
#define TESTS_WIRE_PACKET_H
/* Packets put together octet by octet, and read from memory of exactly their size. Included behind cmocka.h. */

#include "sample.h"
#include "wire/question.h"

/* A packet under construction. */
struct packet {
	size_t len;
	uint8_t octets[1024];
};

/* A record of the question's name: an address. */
#define RECORD_A "\300\014\000\001\000\001\000\000\000\074\000\004\012\000\000\001"

/* A header with id 0x1234, the flags and the four counts. */
static inline struct packet begin(uint16_t flags, const uint8_t counts[4])
{
	struct packet p = {.len = DNS_HEADER_BYTES};

	dns_put16(p.octets, 0x1234);
	dns_put16(p.octets + 2, flags);
	for (size_t i = 0; i < 4; i++)
		p.octets[5 + 2 * i] = counts[i];
	return p;
}

static inline void put(struct packet *p, const void *octets, size_t len)
{
	memcpy(p->octets + p->len, octets, len);
	p->len += len;
}

/* Puts a string constant without its final zero. */
#define PUT(packet, constant) put(packet, constant, sizeof(constant) - 1)
#define BEGIN(flags, ...) begin(flags, (const uint8_t[4]){__VA_ARGS__})

/* Reads a copy without a spare octet. `spelled` then points into `p`. */
static inline enum question_verdict read_packet(struct question *q, const struct packet *p)
{
	uint8_t *exact = sample_exact(p->octets, p->len);

	memset(q, 0xaa, sizeof(*q));
	enum question_verdict verdict = question_read(q, exact, p->len);
	if (verdict == QUESTION_OK || verdict == QUESTION_BADVERS) {
		assert_ptr_equal(q->spelled, exact + DNS_HEADER_BYTES);
		q->spelled = p->octets + DNS_HEADER_BYTES;
	}
	free(exact);
	return verdict;
}

#endif
