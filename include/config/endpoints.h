/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_ENDPOINTS_H
#define CONFIG_ENDPOINTS_H
/* Readers of whom we ask: inbound-endpoints, resolvers, local-upstreams. */

#include "config/reader.h"

/* Endpoint names become columns, labels and words in messages. */
enum { ENDPOINTS_MAX = 1000, ENDPOINTS_NAME_MAX = 64 };

void endpoints_read_inbound(struct reading *r, const struct yaml *key, void *config);
void endpoints_read_resolvers(struct reading *r, const struct yaml *key, void *config);
void endpoints_read_local(struct reading *r, const struct yaml *key, void *config);

/* Puts the local upstreams at index 0, with the defaults. First of all. */
NODISCARD bool endpoints_add_local(struct reading *r, struct config *c);

/* Index of the endpoint called `name`, or -1. */
int endpoints_find(const struct config *c, const char *name);

/* Warns of endpoints that no zone uses; `root` tells where they stand. Last of all. */
void endpoints_warn_unused(struct reading *r, const struct yaml *root);

void endpoints_free(struct config *c);

#endif
