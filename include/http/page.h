/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_PAGE_H
#define HTTP_PAGE_H
/* The status page: one HTML document that needs nothing else. Whatever the daemon says is escaped on its way into it: zones, endpoints and
 * AZs have the names that somebody gave them. */

#include <stdio.h>

#include "base/base.h"

struct json_t;

struct page {
	const struct json_t *status; /* as server/status.h makes it; NULL: … */
	const char *trouble;         /* … why there is none */
	const char *host;            /* this machine's name */
	const char *nonce;           /* of the Content-Security-Policy that it is sent with */
};

void page_print(const struct page *p, FILE *out);
#endif
