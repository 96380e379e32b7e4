/* SPDX-License-Identifier: Apache-2.0 */
/* AddressSanitizer looks for leaks with a process of its own, which stops and traces our threads; all sanitizers read the map of the
 * memory and the program itself for a report. */
#include "sys/sandbox_private.h"

static const char *const calls[] = {"clone",  "ptrace",	   "kill",  "tgkill", "prctl", "openat",
				    "open",   "readlink",  "getdents64", "getdents", "wait4",  "mmap",  "mprotect", "socketpair"};
static const struct landlock_rule rules[] = {{"/proc/self/maps", LANDLOCK_RIGHT_READ}, {"/proc/self/exe", LANDLOCK_RIGHT_READ}};

const struct sandbox_holes sandbox_holes = {calls, ARRAY_SIZE(calls), rules, ARRAY_SIZE(rules)};
