/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVER_EXPOSITION_H
#define SERVER_EXPOSITION_H
/* Every metric as JSON, from the rows of tables/metrics.def; r53fwd-http makes Prometheus's text of it, knowing none of them by name:
 *
 *   {"families": [{"name": "r53fwd_address_up", "type": "gauge", "help": "…", "samples": [
 *       {"labels": {"endpoint": "seoul", "address": "10.0.0.1:53", "az": "a"}, "value": 1}, …]}, …]}
 *
 * A histogram's sample has "buckets": [[upper bound, so many up to there], …], "sum" and "count" in the place of "value". */

#include "server/status.h"

/* Of more zones than STATUS_ZONES only those that were asked for or are in trouble are listed, and so many of them at most. */
enum { EXPOSITION_ZONES = 2000 };

/* An object; the caller gives it back. NULL without memory. */
NODISCARD struct json_t *exposition_make(const struct status_world *w);

#endif
