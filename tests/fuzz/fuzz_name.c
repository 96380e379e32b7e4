/* SPDX-License-Identifier: Apache-2.0 */
/* The first two octets say where in the rest, taken as a message, a name begins. ldns reads what we accept alike; what
 * we accept is read back from its text and from its spelling. */
#include <stdbool.h>
#include <ldns/ldns.h>
#include <string.h>

#include "fuzz.h"
#include "wire/dns.h"
#include "wire/text.h"

static void check_structure(const struct name *n)
{
	ASSERT(n->len >= 1 && n->labels <= NAME_MAX_LABELS);
	for (unsigned i = 0; i < n->labels; i++) {
		ASSERT(n->octets[n->at[i]] >= 1 && n->octets[n->at[i]] <= NAME_MAX_LABEL_OCTETS);
		ASSERT(n->at[i] + 1u + n->octets[n->at[i]] == n->at[i + 1]);
	}
	ASSERT(n->at[n->labels] == n->len - 1 && n->octets[n->len - 1] == 0);
}

static void check_spelling(const struct name *n, uint64_t bits)
{
	char text[TEXT_NAME_MAX];
	uint8_t cased[NAME_MAX_OCTETS];
	struct name again;

	ASSERT(text_read_name(&again, text_name(n, text)) == 0);
	ASSERT(name_equal(n, &again) && name_is_within(n, &again));
	name_write_cased(n, bits, cased);
	ASSERT(name_matches_cased(n, bits, cased) && name_spells(n, cased));
	ASSERT(name_read(&again, cased, n->len) == n->len);
	ASSERT(name_equal(n, &again) && memcmp(n->at, again.at, n->labels + 1u) == 0);
}

static void check_with_ldns(const struct name *n, const uint8_t *message, size_t len, size_t at, size_t after)
{
	ldns_rdf *rdf = NULL;

	ASSERT(ldns_wire2dname(&rdf, message, len, &at) == LDNS_STATUS_OK);
	ASSERT(at == after && ldns_rdf_size(rdf) == n->len && name_spells(n, ldns_rdf_data(rdf)));
	ldns_rdf_deep_free(rdf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct name n, plain;

	if (size < 2 || size > 2 + DNS_MESSAGE_MAX)
		return 0;
	const uint8_t *message = data + 2;
	size_t len = size - 2, at = dns_get16(data);
	int after = name_unpack(&n, message, len, at);
	ASSERT(name_skip(message, len, at) == after);
	/* Without pointers both readers are one. */
	int read = at <= len ? name_read(&plain, message + at, len - at) : -1;
	ASSERT(read < 0 || (after == (int)at + read && name_equal(&n, &plain)));
	if (after < 0)
		return 0;
	check_structure(&n);
	check_spelling(&n, size * UINT64_C(0x9e3779b97f4a7c15));
	check_with_ldns(&n, message, len, at, (size_t)after);
	return 0;
}
