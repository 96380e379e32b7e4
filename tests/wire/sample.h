/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_WIRE_SAMPLE_H
#define TESTS_WIRE_SAMPLE_H
/* Seeded samples: the same names, octets and damage in every run, on every machine. */

#include <stdlib.h>
#include <string.h>

#include "wire/name.h"

struct sample {
	uint64_t state;
};

/* xorshift64* (Marsaglia, 2003; Vigna, 2014). The seed is not 0. */
static inline uint32_t sample_u32(struct sample *s)
{
	s->state ^= s->state >> 12;
	s->state ^= s->state << 25;
	s->state ^= s->state >> 27;
	return (uint32_t)(s->state * UINT64_C(2685821657736338717) >> 32);
}

static inline uint32_t sample_below(struct sample *s, uint32_t limit)
{
	return sample_u32(s) % limit;
}

/* A name on the wire, without compression: mostly like those of hosts, at times of any octets or as long as can be.
 * Returns octets written to `out`. */
static inline size_t sample_name(struct sample *s, uint8_t out[NAME_MAX_OCTETS])
{
	static const char common[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	bool strange = sample_below(s, 8) == 0;
	uint32_t labels = sample_below(s, strange ? NAME_MAX_LABELS + 1 : 6);
	size_t len = 0;

	while (labels-- > 0) {
		uint32_t label = 1 + sample_below(s, sample_below(s, 8) == 0 ? NAME_MAX_LABEL_OCTETS : 12);
		if (len + 1 + label + 1 > NAME_MAX_OCTETS)
			break;
		out[len++] = (uint8_t)label;
		for (; label > 0; label--)
			out[len++] =
				strange ? (uint8_t)sample_u32(s) : (uint8_t)common[sample_below(s, sizeof(common) - 1)];
	}
	out[len++] = 0;
	return len;
}

/* Does damage, mostly of one kind, at times of up to four, to the *len octets at `octets`, which have room for
 * `room`. */
static inline void sample_damage(struct sample *s, uint8_t *octets, size_t *len, size_t room)
{
	static const uint8_t telling[] = {0, 1, 2, 3, 12, 13, 41, 63, 64, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xff};
	uint32_t times = sample_below(s, 3) ? 1 : 2 + sample_below(s, 3);

	for (; times > 0 && *len > 0; times--) {
		size_t at = sample_below(s, (uint32_t)*len);
		switch (sample_below(s, 6)) {
		case 0:
			octets[at] ^= (uint8_t)(1u << sample_below(s, 8));
			break;
		case 1:
			octets[at] = telling[sample_below(s, ARRAY_SIZE(telling))];
			break;
		case 2:
			octets[at] = (uint8_t)sample_u32(s);
			break;
		case 3: /* cut */
			*len = at;
			break;
		case 4: /* one octet more */
			if (*len == room)
				break;
			memmove(octets + at + 1, octets + at, *len - at);
			octets[at] = (uint8_t)sample_u32(s);
			++*len;
			break;
		default: /* one octet less */
			memmove(octets + at, octets + at + 1, *len - at - 1);
			--*len;
			break;
		}
	}
}

/* A copy on the heap without a spare octet, so that a look beyond the end is seen by AddressSanitizer. */
static inline uint8_t *sample_exact(const uint8_t *octets, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	ASSERT(copy);
	if (len > 0)
		memcpy(copy, octets, len);
	return copy;
}

#endif
