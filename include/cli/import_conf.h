/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_CONF_H
#define CLI_IMPORT_CONF_H
/* What was imported, joined and written as a zones.conf that `check` accepts: endpoints with the AZs of their addresses, private zones,
 * VPC endpoints in the shorthand where it says the same. */

#include "cli/import_join.h"

/* Route 53 gives an account 500 hosted zones unless asked for more. */
enum { IMPORT_CONF_ZONES = 50000 };

/* Writes the file to `out`, and to the notes what could not be used and how much there is. False when nothing can be written: an id that is
 * no inbound endpoint's, or nothing usable at all. */
NODISCARD bool import_conf_write(struct import *i, const struct import_join_ids *ids, FILE *out);

#endif
