/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_EXPLAIN_H
#define SERVER_EXPLAIN_H
/* Why a question goes where it goes, as JSON: the zone that matched and those that did not, the endpoints and their addresses in
 * order with what decided each place, what the cache knows, what would be answered now and what if the first address died. Nothing is
 * asked, counted or changed by it. Main thread only. */

#include "server/status.h"

struct explain_question {
	const struct name *name;
	uint16_t type;
	bool live; /* of a running daemon; else of zones.conf alone: health, cache and rates say nothing then, and qps is NULL */
};

/* So many zones that lost are listed: the exceptions below the zone, and names that look alike. */
enum { EXPLAIN_LOST = 8 };

/* An object; the caller gives it back. NULL without memory. */
NODISCARD struct json_t *explain_make(const struct status_world *w, const struct explain_question *q);

#endif
