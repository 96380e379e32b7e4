/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_SERVICES_H
#define CONFIG_SERVICES_H
/* Which names an interface VPC endpoint answers: service and region to zone apexes. */

#include "base/base.h"

enum service_kind {
	SERVICE_PLAIN,
	SERVICE_WARN,	  /* expands, with a warning: the note */
	SERVICE_AWS_ONLY, /* its names are known for the partition `aws` only */
	SERVICE_REFUSED,  /* no zone would be right: the note says why */
};

struct service {
	const char *id;
	const char *apexes; /* with {r}, {s}, {api}; a blank between two */
	enum service_kind kind;
	const char *note;
};

/* One region's suffixes. */
struct services_region {
	const char *partition; /* "aws", "aws-cn", … */
	const char *suffix;    /* {s} */
	const char *api;       /* {api} */
};

const struct service *services(size_t *count);
const struct service *services_find(const char *id);

/* Reads a region's name. False when it is none: no partition has names of this form. */
NODISCARD bool services_read_region(const char *name, struct services_region *region);

/* Longest apex, with the zero: the template, a region, the longest suffix. */
enum { SERVICES_APEX_MAX = 192, SERVICES_REGION_MAX = 32 };

/* Writes the service's next apex; `*at` starts at service->apexes and moves on. False after the last one. */
bool services_next_apex(const char **at, const char *region_name, const struct services_region *region, char out[SERVICES_APEX_MAX]);

#endif
