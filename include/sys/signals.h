/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_SIGNALS_H
#define SYS_SIGNALS_H
/* Signals while no event loop hears them: before it is made, and after it has gone. */

#include "base/base.h"

/* Before anything else. SIGHUP waits. The first process of a container hears nothing that it has no handler for, and
 * would be deaf to SIGTERM and SIGINT: they end it with status 0, for nothing is served yet. */
void signals_begin(void);

/* SIGHUP may come, or waits (again): without the loop it would end the process. Of the calling thread. */
void signals_let_hangup(bool now);

#endif
