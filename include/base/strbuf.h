/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H
/* Text appended into memory of a fixed size: never overruns, always ends in a zero, remembers that it was cut. */

#include "base/base.h"

struct strbuf {
	char *text;   /* lent by the caller */
	size_t size;  /* bytes of text, the zero included; at least 1 */
	size_t len;   /* without the zero */
	bool cut;     /* something did not fit */
};

void strbuf_init(struct strbuf *s, char *memory, size_t size);
void strbuf_add(struct strbuf *s, const char *text);
void strbuf_addf(struct strbuf *s, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
