/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_ZONES_H
#define CONFIG_ZONES_H
/* The reader of `zones`: each entry, and the zones that it stands for. */

#include "config/reader.h"

/* Reads the whole list, then finds zones that were given twice. After the endpoints, which it refers to. */
void zones_read(struct reading *r, const struct yaml *key, void *config);

void zones_free(struct config *c);

/* Indices of all zones, the longest first: by labels, most first, then by their names' text. Heap, zone_count of them. */
NODISCARD uint32_t *zones_by_length(const struct config *c);

#endif
