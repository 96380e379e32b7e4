/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DIAGNOSIS_H
#define CLI_DIAGNOSIS_H
/* What doctor's measurements mean: rows of findings.def. Asks nobody, prints nothing. */

#include "cli/finding.h"
#include "cli/host.h"
#include "cli/survey.h"

/* All findings: endpoint by endpoint (its addresses, then itself, then its zones), this host last. `h` may be NULL: then nothing is said
 * of the host. */
void diagnosis_make(const struct survey *s, const struct host *h, struct findings *out);

/* The largest datagram that is known to pass to the address, in octets; 0: none. */
uint16_t diagnosis_largest(const struct survey_address *a);

#endif
