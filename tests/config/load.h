/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFIG_LOAD_H
#define TESTS_CONFIG_LOAD_H
/* Loading a zones.conf that stands in the test, and the problems it has, as `check` prints them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* The problems of `text`, one a line with `z` as the file; the caller frees. *c gets the config, NULL if there is none. */
static inline char *load_problems(const char *text, struct config **c)
{
	struct diagnostics d;
	char *problems = NULL;
	size_t len;
	FILE *out = open_memstream(&problems, &len);

	diagnostics_init(&d);
	*c = config_load_text(text, strlen(text), &d);
	assert_int_equal(*c == NULL, d.errors > 0);
	diagnostics_print(&d, "z", out);
	diagnostics_deinit(&d);
	fclose(out);
	return problems;
}

/* `text` has exactly these problems. */
static inline void expect_problems(const char *text, const char *expected)
{
	struct config *c;
	char *problems = load_problems(text, &c);

	assert_string_equal(problems, expected);
	free(problems);
	config_free(c);
}

/* `text` has no problem at all. The caller frees. */
static inline struct config *load_good(const char *text)
{
	struct config *c;
	char *problems = load_problems(text, &c);

	assert_string_equal(problems, "");
	free(problems);
	return c;
}

/* What `text` sets, as config_print_effective shows it, holds `part`. */
static inline void expect_effective(const char *text, const char *part)
{
	struct config *c = load_good(text);
	char *effective = NULL;
	size_t len;
	FILE *out = open_memstream(&effective, &len);

	config_print_effective(c, out);
	fclose(out);
	if (!strstr(effective, part))
		fail_msg("`%s` is not in:\n%s", part, effective);
	free(effective);
	config_free(c);
}

#endif
