/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_JOIN_H
#define CLI_IMPORT_JOIN_H
/* Which addresses are of which inbound endpoint, and in which AZ each is. A list of addresses does not say whose it is: it is of the only
 * inbound endpoint there is, of the only one in the VPC of its subnets, or of the one that --endpoint names. */

#include "cli/cli.h"
#include "cli/import.h"
#include "config/endpoints.h"

/* --endpoint ID, as given: one for all lists of addresses, or one for each in their order. */
struct import_join_ids {
	const char *ids[CLI_MAX_ENDPOINTS]; /* lent */
	size_t count;
};

/* An endpoint as it will stand in zones.conf. Texts are lent by the documents; NULL: not known. */
struct import_join_endpoint {
	const char *id, *vpc, *status, *message;
	char name[ENDPOINTS_NAME_MAX + 1]; /* zones.conf takes it, and no other has it */
	const struct import_address *addresses[CONFIG_MAX_ADDRESSES];
	const char *azs[CONFIG_MAX_ADDRESSES]; /* zones.conf takes them; NULL: not known */
	size_t count;
	long long listed, expected; /* addresses in the lists, those left out too; and as AWS counts them (0: it does not say) */
};

struct import_join {
	struct import_join_endpoint *endpoints; /* heap; those with at least one address */
	size_t count;
};

/* Says in the notes what is left out. False when an id is no inbound endpoint's. Either way import_join_deinit gives back. */
NODISCARD bool import_join(struct import_join *j, struct import *i, const struct import_join_ids *ids);
void import_join_deinit(struct import_join *j);

#endif
