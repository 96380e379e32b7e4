/* SPDX-License-Identifier: Apache-2.0 */
#include "server/jsontext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "base/strbuf.h"
#include "base/utf8.h"

enum { ESCAPED_BYTES = 4 }; /* \xHH */

static json_t *escape(const char *from)
{
	size_t size = ESCAPED_BYTES * strlen(from) + 1;
	char *memory = malloc(size);
	struct strbuf s;

	if (memory == NULL)
		return NULL;
	strbuf_init(&s, memory, size);
	for (size_t len; *from != '\0'; from += len) {
		len = utf8_multibyte(from);
		if (len == 0 && (unsigned char)*from >= 0x80)
			strbuf_addf(&s, "\\x%02x", (unsigned char)*from);
		len = MAX(len, (size_t)1);
		if (len > 1 || (unsigned char)*from < 0x80)
			strbuf_addf(&s, "%.*s", (int)len, from);
	}
	json_t *text = json_string(memory);
	free(memory);
	return text;
}

struct json_t *jsontext_new(const char *from)
{
	if (from == NULL)
		return json_null();
	json_t *text = json_string(from);
	return text != NULL ? text : escape(from);
}
