/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
/* What may be shown as it is of a text that need not be UTF-8: one rule for the log, the terminal and JSON. */

#include <stddef.h>

/* Octets of the character of UTF-8 at `s`, 2 to 4; 0 if it is ASCII, none at all (RFC 3629), or one that is obeyed instead of shown: the
 * control characters of the upper half (U+0080 to U+009F), what ends a line (U+2028, U+2029: of YAML as well), what turns the direction
 * (U+202A to U+202E, U+2066 to U+2069), a byte order mark (U+FEFF), U+FFFE and U+FFFF. Reads no further than the zero at the end. */
size_t utf8_multibyte(const char *s);

/* Writes the first character of a text that is not empty so that it can be shown: itself, or \xHH for its first octet. Returns how many
 * octets of the text that stands for. */
enum { UTF8_SHOWN_MAX = 5 };
size_t utf8_show(const char *s, char out[UTF8_SHOWN_MAX]);

#endif
