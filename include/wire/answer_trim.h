/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ANSWER_TRIM_H
#define WIRE_ANSWER_TRIM_H
/* What an upstream adds to an answer that nobody asked for is left out. */

#include "wire/answer.h"

/* Keeps only what belongs to the question, compacting a copy of the message: what a local upstream adds beyond it is dropped. That is, of
 * the answer section, records whose owner lies on the CNAME/DNAME chain that starts at the question, with their signatures; of the
 * authority section, NS records of zones that a name of the chain lies in, SOAs, and what DNSSEC proves with; of the additional section,
 * addresses of servers, exchanges and services that a kept record points to. Returns the length of the message written to `out` (which
 * has room for the input less one octet), `len` with out untouched when nothing had to go. Names behind the first dropped record are
 * written anew, with pointers to what is still there. Left out as well are, behind that place, records of obsolete types with names
 * that are not checked (MD to MR, MINFO), what followed the OPT, and, if an awkward message would grow instead, all records from there
 * on. Only for answers that answer_read accepted. */
size_t answer_trim(const struct answer *a, size_t len, uint8_t *out);

#endif
