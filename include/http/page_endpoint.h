/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_PAGE_ENDPOINT_H
#define HTTP_PAGE_ENDPOINT_H
/* One endpoint on the status page: its AZs, and in each its addresses. */

#include <stdio.h>

#include "base/base.h"

struct json_t;

/* `endpoint` is a member of the status's list. */
void page_endpoint_print(const struct json_t *endpoint, FILE *out);

/* What is wrong with it, as a sentence without its end; nothing if it is well. Returns whether anything is. */
bool page_endpoint_print_verdict(const struct json_t *endpoint, FILE *out);

#endif
