/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/signals.h"

#include <signal.h>
#include <unistd.h>

static void leave(int signal)
{
	(void)signal;
	_exit(0);
}

void signals_begin(void)
{
	signals_let_hangup(false);
	if (getpid() != 1)
		return;
	signal(SIGTERM, leave);
	signal(SIGINT, leave);
}

void signals_let_hangup(bool now)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(now ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}
