/* SPDX-License-Identifier: Apache-2.0 */
/* len < size holds at all times, so there is always room for the zero; what is too much is cut and never an error,
 * since nobody can do anything about it while printing. */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void strbuf_init(struct strbuf *s, char *memory, size_t size)
{
	ASSERT(size > 0);
	s->text = memory;
	s->size = size;
	s->len = 0;
	s->cut = false;
	s->text[0] = '\0';
}

void strbuf_add(struct strbuf *s, const char *text)
{
	/* The zero has its place in any case. */
	size_t room = s->size - s->len - 1;
	size_t len = strlen(text);

	s->cut = s->cut || len > room;
	len = MIN(len, room);
	memcpy(s->text + s->len, text, len);
	s->len += len;
	s->text[s->len] = '\0';
}

void strbuf_addf(struct strbuf *s, const char *format, ...)
{
	size_t room = s->size - s->len;
	va_list args;

	va_start(args, format);
	int len = vsnprintf(s->text + s->len, room, format, args);
	va_end(args);
	/* A negative length is a format that we wrote wrongly, or a text beyond 2 GiB. */
	ASSERT(len >= 0);
	s->cut = s->cut || (size_t)len >= room;
	s->len += MIN((size_t)len, room - 1);
}
