/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ORIGIN_H
#define CORE_ORIGIN_H
/* Whence an answer comes: from a private hosted zone, or from elsewhere. Route 53 reserves four server names for private zones, the same
 * in every account and never used in public: AWS's "Creating a private hosted zone". */

#include "wire/answer.h"

enum origin {
	ORIGIN_UNKNOWN,	  /* the answer names no server */
	ORIGIN_PRIVATE,	  /* one of the four is named: in an NS record of the answer, or as an SOA's MNAME */
	ORIGIN_ELSEWHERE, /* others are, and none of the four */
};

/* *server is the reserved name, or the first other one; untouched for ORIGIN_UNKNOWN. */
enum origin origin_of(const struct answer *a, struct name *server);

#endif
