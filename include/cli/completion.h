/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H
/* Completion for bash, from the same tables that the command line is read by. */

#include <stdio.h>

/* Prints the script; it needs bash alone, no package of common functions. */
void completion_print(FILE *out);

#endif
