/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Of three octets. */
static bool is_obeyed(const unsigned char *c)
{
	unsigned code = (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);

	return (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff || code >= 0xfffe;
}

size_t utf8_multibyte(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;
	size_t len = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
	unsigned least = c[0] == 0xe0 || c[0] == 0xc2 ? 0xa0 : c[0] == 0xf0 ? 0x90 : 0x80;
	unsigned most = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : 0xbf;

	if (c[0] < 0xc2 || c[0] > 0xf4 || c[1] < least || c[1] > most)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (c[i] < 0x80 || c[i] > 0xbf)
			return 0;
	return len == 3 && is_obeyed(c) ? 0 : len;
}

size_t utf8_show(const char *s, char out[UTF8_SHOWN_MAX])
{
	size_t len = *s >= ' ' && *s <= '~' ? 1 : utf8_multibyte(s);

	if (len == 0) {
		snprintf(out, UTF8_SHOWN_MAX, "\\x%02x", (unsigned char)*s);
		return 1;
	}
	memcpy(out, s, len);
	out[len] = '\0';
	return len;
}
