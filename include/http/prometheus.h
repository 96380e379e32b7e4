/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_PROMETHEUS_H
#define HTTP_PROMETHEUS_H
/* The daemon's metrics (server/exposition.h) as Prometheus's text, version 0.0.4. Knows no metric by its name: what a family is called and
 * which labels it has is the daemon's. Label values are escaped, whatever they hold; a family with a name that is none is left out. */

#include <stdio.h>

#include "base/base.h"

struct json_t;

/* False if that is no list of metrics. */
NODISCARD bool prometheus_print(const struct json_t *metrics, FILE *out);

#endif
