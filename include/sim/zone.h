/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ZONE_H
#define SIM_ZONE_H
/* The zones that the simulator answers from: read with ldns, kept as plain octets, looked up as RFC 1034 section 4.3.2 and
 * RFC 4592 (wildcards) say. Zone files are absolute or carry $ORIGIN; each SOA begins a zone, so one file may hold several. */

#include "wire/dns.h"
#include "wire/name.h"

/* A chain longer than any resolver follows (Unbound: 11, BIND: 16), and room for it with every set of one name behind it. */
enum { ZONE_MAX_CHAIN = 16, ZONE_MAX_SETS = 64 };

struct zone_set;

struct zone_record {
	struct name name;
	uint32_t ttl_s;
	uint16_t type;
	uint16_t rdata_len;
	unsigned line;  /* of its file */
	uint8_t *rdata; /* heap; names in it are uncompressed */
};

struct zone_error {
	unsigned line; /* 0: the whole file is meant */
	char sentence[256];
};

NODISCARD struct zone_set *zone_set_new(void);
void zone_set_free(struct zone_set *s);
size_t zone_set_count(const struct zone_set *s);

/* Adds the zones of the file `path`. Returns 0, or a negative errno with *error filled in; the set is then fit for
 * zone_set_free only. */
NODISCARD int zone_set_load(struct zone_set *s, const char *path, struct zone_error *error);

/* Records of one type under one name, as they go into an answer. */
struct zone_rrset {
	struct name owner; /* the name asked for where a wildcard matched */
	const struct zone_record *first;
	size_t count;
};

struct zone_answer {
	bool outside;   /* no zone holds the name: rcode means nothing */
	uint16_t rcode; /* NOERROR, NXDOMAIN; SERVFAIL for a chain without end */
	size_t count;
	struct zone_rrset sets[ZONE_MAX_SETS]; /* the chain first, in its order */
	struct zone_rrset soa;                 /* for the authority section of a negative answer; count 0: none */
};

/* What the zones know of `name` and `type` (DNS_TYPE_ANY: all sets). CNAMEs are followed inside the set's zones; a chain that
 * leaves them ends there, whole. The result points into the set. */
void zone_set_lookup(const struct zone_set *s, const struct name *name, uint16_t type, struct zone_answer *out);

#endif
