/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
/* What may be shown as it is of a text that need not be UTF-8: one rule for the log, the terminal and JSON. */

#include <stddef.h>

/* Octets of the character of UTF-8 at `s`, 2 to 4; 0 if it is ASCII, none at all (RFC 3629), or a control character of the upper half
 * (U+0080 to U+009F), which some terminals obey. Reads no further than the zero at the end. */
size_t utf8_multibyte(const char *s);

#endif
