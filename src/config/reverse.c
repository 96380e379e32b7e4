/* SPDX-License-Identifier: Apache-2.0 */
/* Reverse zones are cut where labels end: IPv4 at octets (RFC 1035 section 3.5), IPv6 at nibbles (RFC 3596 section 2.5). A prefix that
 * ends inside a label becomes one zone for each value that the label may have: 10.20.0.0/14 is 20, 21, 22 and 23.10.in-addr.arpa.
 * At most 128 zones, for a prefix of 1, 9, 17 or 25 bits. */
#include "config/reverse.h"

#include <stdio.h>
#include <string.h>

static unsigned label_bits(const struct cidr *network)
{
	return network->family == AF_INET ? 8 : 4;
}

/* Labels before in-addr.arpa or ip6.arpa: as many as the prefix touches. */
static unsigned labels(const struct cidr *network)
{
	return (network->bits + label_bits(network) - 1) / label_bits(network);
}

unsigned reverse_count(const struct cidr *network)
{
	return 1u << (labels(network) * label_bits(network) - network->bits);
}

/* The value of label i, counted from the address's beginning. */
static unsigned label_value(const struct cidr *network, unsigned i)
{
	if (network->family == AF_INET)
		return network->bytes[i];
	return i % 2 == 0 ? network->bytes[i / 2] >> 4 : network->bytes[i / 2] & 0x0f;
}

/* Appends one label; returns the octets used so far. */
static size_t put_label(uint8_t *octets, size_t at, const char *text)
{
	size_t len = strlen(text);

	octets[at] = (uint8_t)len;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a label has its length before it, and no NUL behind it. */
	memcpy(octets + at + 1, text, len);
	return at + 1 + len;
}

void reverse_zone(const struct cidr *network, unsigned i, struct name *zone)
{
	uint8_t octets[NAME_MAX_OCTETS];
	size_t at = 0;

	/* The last label holds the bits that the prefix leaves open: i counts them. */
	for (unsigned label = labels(network); label-- > 0; i = 0) {
		char text[4];
		unsigned value = label_value(network, label) + i;
		snprintf(text, sizeof(text), network->family == AF_INET ? "%u" : "%x", value & 0xff);
		at = put_label(octets, at, text);
	}
	at = put_label(octets, at, network->family == AF_INET ? "in-addr" : "ip6");
	at = put_label(octets, at, "arpa");
	octets[at++] = 0;
	int read = name_read(zone, octets, at);
	ASSERT(read == (int)at);
}
