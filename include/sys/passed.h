/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_PASSED_H
#define SYS_PASSED_H
/* Sockets that a service manager has opened for us: sd_listen_fds(3). They are descriptors 3 and up; LISTEN_FDS says how many, LISTEN_PID
 * for whom. */

#include "base/base.h"

enum { PASSED_FIRST = 3, PASSED_MOST = 256 };

/* Of the standard streams, those that we were started without lead to /dev/null from now on: else what is opened next would take their
 * numbers, and the log would be written to a socket. First of all in main. */
void passed_fill_standard(void);

/* How many there are, from PASSED_FIRST on; 0 if none or for somebody else. From now on they are closed at exec, and nothing of it is in
 * the environment. More than PASSED_MOST are a mistake: the rest is left alone. */
size_t passed_take(void);

#endif
