/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* getopt_long takes any beginning of a name that begins no other: what works today would be an error when an option is added. `word`: the
 * one that it has just taken. */
static bool is_whole(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, len) == 0 && (word[2 + len] == '\0' || word[2 + len] == '=');
}

int program_next_option(int argc, char *const *argv, const char *letters, const struct option *options, int *index)
{
	int at = -1, option = getopt_long(argc, argv, letters, options, &at);

	/* An error, the end, or a word without an option, handed out as option 1. */
	if (at < 0)
		return option;
	if (index != NULL)
		*index = at;
	/* It stands before `optind`, and before its value if that is a word of its own. */
	const char *word = argv[optind - 1 - (optarg != NULL && optarg == argv[optind - 1])];
	if (!is_whole(word, options[at].name))
		fprintf(stderr, "%s: unrecognized option '%s' (did you mean `--%s`?)\n", argv[0], word, options[at].name);
	else if (optarg != NULL && *optarg == '\0')
		fprintf(stderr, "%s: option '--%s' requires an argument that is not empty\n", argv[0], options[at].name);
	else
		return option;
	return '?';
}

int program_end(const char *program, int status)
{
	bool failed_before = ferror(stdout) != 0;
	int error = fflush(stdout) == 0 ? 0 : errno;

	if (!failed_before && error == 0)
		return status;
	if (error == 0)
		fprintf(stderr, "%s: standard output cannot be written\n", program);
	else if (error != EPIPE)
		fprintf(stderr, "%s: standard output cannot be written: %s\n", program, strerror(error));
	return EXIT_FAILURE;
}
