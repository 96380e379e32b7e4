/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/answer_spell.h"

#include <string.h>

#include "wire/answer_private.h"

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
	uint8_t small[NAME_MAX_LABEL_OCTETS];
	bool any = false;

	for (size_t len; (len = message[at]) > 0 && len <= NAME_MAX_LABEL_OCTETS; at += len + 1) {
		name_lower(small, message + at + 1, len);
		if (memcmp(small, message + at + 1, len) == 0 || !is_of_question(message, message + at))
			continue;
		any = true;
		if (out != NULL)
			memcpy(out + at + 1, small, len);
	}
	return any;
}

bool answer_spell_lower(const struct answer *a, uint8_t *out)
{
	bool any = false;

	for (size_t i = 0; a->own_names && i < a->ttls; i++) {
		struct answer_record r = answer_record_at(a, i);
		any |= lower_name(a->message, r.owner, out);
		if (r.type == DNS_TYPE_CNAME)
			any |= lower_name(a->message, r.rdata, out);
	}
	return any;
}
