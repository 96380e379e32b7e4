/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

void base_assert_failed(const char *condition, const char *file, int line)
{
	/* One write and no heap: nothing is known of the state that we are in. */
	dprintf(2, "r53fwd: %s:%d: assertion failed: %s\n", file, line, condition);
	abort();
}
