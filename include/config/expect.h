/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_EXPECT_H
#define CONFIG_EXPECT_H
/* What a zone's answers are held to: the keys `expect`, `guard` and `association` of an entry of `zones`. */

#include "config/reader.h"

/* Networks of one `expect`. Each address of an answer is compared with all of them. */
enum { EXPECT_MAX_NETWORKS = 1000 };

/* The keys of one entry; NULL when not there. */
struct expect_keys {
	const struct yaml *expect, *guard, *association;
};

/* Reads them into what the entry's zones have in common, with the defaults for its source and destinations, which are there
 * already. */
void expect_read(struct reading *r, const struct expect_keys *keys, struct config_zone *route);

void expect_free(struct config *c);

#endif
