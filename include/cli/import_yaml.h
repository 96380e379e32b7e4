/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_YAML_H
#define CLI_IMPORT_YAML_H
/* Names and addresses that come from outside are shown to the reader of zones.conf first, alone: what it refuses is left out with its own
 * sentence, so that the file as a whole is accepted, and no rule stands twice. */

#include "cli/screen.h"

/* Whether zones.conf would take this text; if not, `why` gets the reader's sentence. */
NODISCARD bool import_yaml_takes(char why[SCREEN_CELL_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

/* `text` as a YAML scalar; heap. */
NODISCARD char *import_yaml_word(const char *text);

#endif
