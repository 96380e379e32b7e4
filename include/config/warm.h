/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_WARM_H
#define CONFIG_WARM_H
/* Names that are kept resolved though nobody asks: the key `keep-warm` of an entry of `zones`. */

#include "config/reader.h"

/* Each costs a billed query in nine tenths of its TTL. */
enum { WARM_MAX_NAMES = 10000 };

/* Reads the key of an entry from `source` whose zones are those from `first_zone` on. */
void warm_read(struct reading *r, const struct yaml *key, enum config_zone_source source, size_t first_zone);

/* Finds names given twice. After the last entry. */
void warm_judge(struct reading *r);

void warm_free(struct config *c);

#endif
