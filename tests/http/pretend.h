/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HTTP_PRETEND_H
#define TESTS_HTTP_PRETEND_H
/* What a daemon says, written with apostrophes in the place of quotes; and what is printed, as text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* The caller gives it back. */
static inline json_t *read_json(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; *at != '\0'; at++)
		*at = *at == '\'' ? '"' : *at;
	json_t *json = json_loads(copy, 0, NULL);
	free(copy);
	assert_non_null(json);
	return json;
}

static inline size_t times(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
		count++;
	return count;
}

static inline void expect_part(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("there is no `%s` in: %s", part, text);
}

static inline void expect_no_part(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("there is `%s` in: %s", part, text);
}

/* Every tag that is opened is closed in its turn; void ones are not. */
static inline void expect_well_formed(const char *html)
{
	static const char *const voids[] = {"meta", "link", "!DOCTYPE"};
	char open[64][16];
	size_t depth = 0;

	for (const char *at = strchr(html, '<'); at != NULL; at = strchr(at + 1, '<')) {
		char name[16];
		bool closes = at[1] == '/';
		size_t len = strcspn(at + 1 + closes, " >/\n");
		const char *end = strchr(at, '>');
		assert_non_null(end);
		assert_true(len > 0 && len < sizeof(name));
		snprintf(name, sizeof(name), "%.*s", (int)len, at + 1 + closes);
		bool is_void = end[-1] == '/';
		for (size_t i = 0; i < sizeof(voids) / sizeof(voids[0]); i++)
			is_void |= strcmp(voids[i], name) == 0;
		if (closes) {
			assert_true(depth > 0);
			assert_string_equal(open[--depth], name);
		} else if (!is_void) {
			assert_true(depth < 64);
			memcpy(open[depth++], name, sizeof(name));
		}
		/* What stands in these is no markup. */
		if (!closes && (strcmp(name, "style") == 0 || strcmp(name, "script") == 0))
			at = strstr(end, "</") - 1;
	}
	assert_int_equal(depth, 0);
}

/* What `PRINT`, a statement that prints to `out`, prints. Heap. */
#define PRINTED(PRINT)                                                                                                                     \
	({                                                                                                                                 \
		char *printed_text = NULL;                                                                                                 \
		size_t printed_len;                                                                                                        \
		FILE *out = open_memstream(&printed_text, &printed_len);                                                                   \
		PRINT;                                                                                                                     \
		assert_int_equal(fclose(out), 0);                                                                                          \
		printed_text;                                                                                                              \
	})

#endif
