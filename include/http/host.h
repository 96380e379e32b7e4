/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H
/* Whether a browser that asks meant us. A page of a stranger may have its own name resolve to our address (DNS rebinding) and then read
 * what we say, as we are of its origin; but it cannot choose the Host field that the browser sends. */

#include "base/base.h"

enum { HOST_NAMES = 32 };

struct host_names {
	const char *names[HOST_NAMES]; /* lent; the name and all below it */
	size_t count;
	const char *own;               /* lent; this machine's name, by its first label alone too; NULL: none */
};

/* `field`: what stands in Host, `NAME`, `NAME:PORT` or an IP. Right are IP addresses, localhost, and the names. */
bool host_is_right(const struct host_names *names, const char *field);

#endif
