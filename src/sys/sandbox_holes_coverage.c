/* SPDX-License-Identifier: Apache-2.0 */
/* gcov adds what was reached to its files in the build folder when the program ends, and locks them meanwhile. */
#include "sys/sandbox_private.h"

static const char *const calls[] = {"mkdir", "fcntl"};
static const struct landlock_rule rules[] = {{"/proc/self/exe", LANDLOCK_RIGHT_CHANGE}};

const struct sandbox_holes sandbox_holes = {calls, ARRAY_SIZE(calls), rules, ARRAY_SIZE(rules)};
