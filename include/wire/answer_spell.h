/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ANSWER_SPELL_H
#define WIRE_ANSWER_SPELL_H
/* The question's letter case is a defence of ours (see question.h), and none of the client's business. Most servers point to the question
 * for a name that it holds; some copy it, and BIND makes the target of a CNAME from it that follows from a DNAME. */

#include "wire/answer.h"

/* Lowers the letters of each label, of the owners and of the targets of CNAMEs, that is spelled as a label of the question. `a` was read
 * from a message that `out` has a copy of, up to a->body_end, or is; NULL: nothing is written. Whether there was any. */
bool answer_spell_lower(const struct answer *a, uint8_t *out);

#endif
