/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H
/* What our programs do alike at their beginning and at their end: options in one spelling each, and output that is written or
 * complained of. */

struct option; /* of getopt.h */

/* As getopt_long(3), which sets `optarg` and `optind`, but without its abbreviations, and without values that are empty: `--vers` and
 * `--zones=` are complained of on standard error, and '?' is returned. `index` may be NULL. */
int program_next_option(int argc, char *const *argv, const char *letters, const struct option *options, int *index);

/* Writes what standard output still holds. Returns `status`; if something of it could not be written, 1 after a sentence on standard error.
 * Without the sentence where the reader has gone (EPIPE), which ends most programs by a signal already. */
int program_end(const char *program, int status);

#endif
