/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H
/* What the AWS command line prints about resolver endpoints, hosted zones and VPC endpoints, read into rows: in any number of files, any
 * order, several documents in one file. And resolv.conf(5). Nothing is joined here; import_join.h does that. */

#include <stdio.h>

#include "config/resolv.h"

struct json_t;

/* Of all files together: an account's zones and endpoints take some hundred KiB. */
enum { IMPORT_MAX_BYTES = 64 << 20 };

/* Rows of one kind, and lists of addresses: far above AWS's quotas, low enough to be joined by looking at each pair. */
enum { IMPORT_MAX_ENDPOINTS = 1000, IMPORT_MAX_LISTS = 200, IMPORT_MAX_ROWS = 20000, IMPORT_MAX_ZONES = 100000 };

/* More remarks than this are counted, not printed. */
enum { IMPORT_MAX_NOTES = 100 };

/* Texts are lent by the documents; NULL: not there. */
struct import_endpoint {
	const char *id, *name, *vpc, *status, *message;
	bool inbound, do53; /* do53: speaks plain DNS */
	long long addresses; /* how many AWS says it has; 0: it does not say */
};

struct import_address {
	const char *ip, *ip6, *subnet, *status;
	unsigned list; /* the how manieth list of addresses it stood in, from 0: a list is of one endpoint, and does not say of which */
};

struct import_subnet {
	const char *id, *vpc, *az; /* az: its AZ id, which means the same in every account, else its name */
};

struct import_zone {
	const char *name, *comment;
	bool of_vpc; /* of a list of the zones that a VPC sees; else of an account's own, associated or not */
};

struct import_vpc_endpoint {
	const char *id, *vpc, *service, *state;
	bool private_dns;
	const struct json_t *entries; /* DnsEntries, or NULL */
};

struct import {
	FILE *notes; /* lent: where it is said what cannot be used */
	unsigned notes_count;
	size_t bytes;
	struct json_t *documents; /* what the rows' texts belong to */
	struct import_endpoint *endpoints;
	struct import_address *addresses;
	struct import_subnet *subnets;
	struct import_zone *zones;
	struct import_vpc_endpoint *vpc_endpoints;
	size_t endpoint_count, address_count, subnet_count, zone_count, vpc_endpoint_count;
	unsigned lists;	      /* of addresses */
	bool full;	      /* a bound was reached: said once */
	bool vpc_zones_known; /* a list of the zones that a VPC sees was read */
	struct resolv resolv; /* of resolv.conf; count 0: none was read */
};

void import_init(struct import *i, FILE *notes);
void import_deinit(struct import *i);

/* Reads `len` octets (ended by a zero behind them) of the file `name`. False when they are no JSON and no resolv.conf: then the place and a
 * sentence, `NAME:LINE:COL: …`, went to the notes. */
NODISCARD bool import_read(struct import *i, const char *name, const char *text, size_t len);

/* A remark about something that cannot be used, as a line; escaped. */
void import_note(struct import *i, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
