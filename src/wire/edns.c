/* SPDX-License-Identifier: Apache-2.0 */
/* An OPT's fixed part, from its type on (RFC 6891 section 6.1.2 and 6.1.3):
 *
 *   0 TYPE 41   2 CLASS: UDP size   4 TTL: upper rcode, version, DO and 15 bits of Z   8 RDLENGTH
 *
 * then options of a code, a length and octets. An extended error is option 15: an info-code and text (RFC 8914
 * section 2). */
#include "wire/edns.h"

#include <errno.h>

enum {
	FIXED_BYTES = 10,
	OPTION_BYTES = 4,
	OPTION_EDE = 15,
	EDE_BYTES = OPTION_BYTES + 2, /* an extended error without text */
	FLAG_DO = 0x8000,
};

int edns_read(struct edns *e, const uint8_t *fixed, size_t rdata_len)
{
	const uint8_t *option = fixed + FIXED_BYTES;

	while (rdata_len > 0) {
		if (rdata_len < OPTION_BYTES)
			return -EBADMSG;
		size_t len = OPTION_BYTES + (size_t)dns_get16(option + 2);
		if (len > rdata_len)
			return -EBADMSG;
		option += len;
		rdata_len -= len;
	}
	e->present = true;
	e->udp_bytes = MAX(dns_get16(fixed + 2), (uint16_t)DNS_UDP_PLAIN_BYTES);
	e->rcode_upper = fixed[4];
	e->version = fixed[5];
	e->dnssec_ok = dns_get16(fixed + 6) & FLAG_DO;
	return 0;
}

/* How many bytes of `text` fit into `room` if it is cut between two words. A first word that does not fit is left out
 * as well: half a name misleads, and a cut inside a character of UTF-8 would not be text any more. */
static size_t whole_words(const char *text, size_t room)
{
	size_t len = strnlen(text, room + 1);

	if (len <= room)
		return len;
	for (len = room; len > 0 && text[len] != ' '; len--)
		;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	return len;
}

size_t edns_write(uint8_t *out, size_t room, bool dnssec_ok, uint16_t rcode, enum dns_ede ede, const char *ede_text)
{
	if (room < EDNS_OPT_BYTES)
		return 0;
	out[0] = 0; /* the root's name */
	dns_put16(out + 1, DNS_TYPE_OPT);
	dns_put16(out + 3, DNS_UDP_BYTES);
	out[5] = (uint8_t)(rcode >> 4);
	out[6] = 0; /* version */
	dns_put16(out + 7, dnssec_ok ? FLAG_DO : 0);
	dns_put16(out + 9, 0);
	room -= EDNS_OPT_BYTES;
	if (ede == DNS_EDE_NONE || room < EDE_BYTES)
		return EDNS_OPT_BYTES;

	size_t text_len = ede_text ? whole_words(ede_text, MIN(room - EDE_BYTES, (size_t)EDNS_EDE_TEXT_MAX)) : 0;
	dns_put16(out + 9, (uint16_t)(EDE_BYTES + text_len));
	dns_put16(out + 11, OPTION_EDE);
	dns_put16(out + 13, (uint16_t)(2 + text_len));
	dns_put16(out + 15, (uint16_t)ede);
	if (text_len > 0)
		memcpy(out + 17, ede_text, text_len);
	return EDNS_OPT_BYTES + EDE_BYTES + text_len;
}
