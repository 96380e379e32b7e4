/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/answer_spell.h"

#include <string.h>

#include "wire/answer_private.h"

static bool is_upper(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z';
}

/* Another spelling than the one in small letters. */
static bool has_upper(const uint8_t *label)
{
	for (unsigned i = 1; i <= label[0]; i++)
		if (is_upper(label[i]))
			return true;
	return false;
}

static bool is_of_question(const uint8_t *message, const uint8_t *label)
{
	for (const uint8_t *at = message + DNS_HEADER_BYTES; *at > 0 && *at <= NAME_MAX_LABEL_OCTETS; at += *at + 1u)
		if (*at == *label && memcmp(at, label, *label + 1u) == 0)
			return true;
	return false;
}

/* The labels that stand at `at` themselves: what is pointed to is lowered where it stands. */
static bool lower_name(const uint8_t *message, size_t at, uint8_t *out)
{
	bool any = false;

	for (; message[at] > 0 && message[at] <= NAME_MAX_LABEL_OCTETS; at += message[at] + 1u) {
		if (!has_upper(message + at) || !is_of_question(message, message + at))
			continue;
		any = true;
		for (unsigned i = 1; out != NULL && i <= message[at]; i++)
			out[at + i] = (uint8_t)(message[at + i] + (is_upper(message[at + i]) ? 'a' - 'A' : 0));
	}
	return any;
}

bool answer_spell_lower(const struct answer *a, uint8_t *out)
{
	bool any = false;

	for (size_t i = 0; i < a->ttls; i++) {
		struct answer_record r = answer_record_at(a, i);
		any |= lower_name(a->message, r.owner, out);
		if (r.type == DNS_TYPE_CNAME)
			any |= lower_name(a->message, r.rdata, out);
	}
	return any;
}
