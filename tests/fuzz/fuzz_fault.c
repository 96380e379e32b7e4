/* SPDX-License-Identifier: Apache-2.0 */
/* The text is what r53sim is told of an address. What it understands it can say, and say again; what it does not leaves the address
 * alone. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "sim/fault.h"

static void print(const struct fault *f, char out[FAULT_TEXT_MAX])
{
	struct strbuf s;

	strbuf_init(&s, out, FAULT_TEXT_MAX);
	fault_print(f, &s);
	ASSERT(!s.cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), error[256], said[FAULT_TEXT_MAX], again_said[FAULT_TEXT_MAX];
	struct fault f = {.silent = true}, again = {.silent = false};
	struct strbuf why;

	ASSERT(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	strbuf_init(&why, error, sizeof(error));
	if (fault_parse(&f, text, &why) != 0) {
		ASSERT(why.len > 0 && f.silent && !f.closed && !f.has_rcode && f.loss_pm == 0 && f.delay_us == 0);
	} else {
		print(&f, said);
		ASSERT(fault_parse(&again, strcmp(said, "none") == 0 ? "heal" : said, &why) == 0);
		print(&again, again_said);
		ASSERT(strcmp(said, again_said) == 0 && f.loss_pm <= 1000);
	}
	free(text);
	return 0;
}
