/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ROUTE_H
#define CORE_ROUTE_H
/* Zone suffix → what to do: the longest match on label boundaries. Built once, then only read, by any number of threads.
 *
 * A hash table with a node for each zone and for each name above one. A look-up walks down from the root, label by label, and stops
 * where no zone lies below: one step for a name that nobody routed, whether there are 10 zones or 100,000. */

#include "wire/name.h"

struct route_table;

enum { ROUTE_NONE = -1 };

NODISCARD struct route_table *route_table_new(size_t zones_expected);
void route_table_free(struct route_table *t);

/* `value` is the caller's index, 0 or more. Returns 0, -EEXIST if the zone is there already, or -ENOMEM. */
NODISCARD int route_table_add(struct route_table *t, const struct name *zone, int value);

/* The value of the longest zone that `n` is or lies below; ROUTE_NONE without one. */
int route_find(const struct route_table *t, const struct name *n);

/* All zones that `n` lies within, longest first: for explain. Returns how many were written to `values`. */
size_t route_find_all(const struct route_table *t, const struct name *n, int *values, size_t max);

size_t route_table_bytes(const struct route_table *t);

#endif
