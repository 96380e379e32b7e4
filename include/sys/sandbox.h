/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H
/* What the process can still ask of the kernel: landlock for files (sys/landlock.h) and a filter of system calls (seccomp). In phases:
 *
 *   start    no walls: programs may be started, users changed, anything opened
 *   loops    the same without io_uring: from before the first event loop is made
 *   serving  every thread: what a forwarder does. Sockets of IPv4 and IPv6, threads, files in the folders of the plan
 *   pages    the same for r53fwd-http, with sockets of Unix streams (to ask the daemon) in the place of those of IP
 *   worker   the threads that read packets: no file can be opened, no thread begun either; what they need is open.
 *            r53fwd-http is one as well
 *
 * What is not in the list fails with ENOSYS, because a C library tries a new call first and falls back to the old one: an update of the
 * system must not take the forwarder down. What nobody but an intruder would call (exec, ptrace, mount, ...) ends the process on the spot:
 * an intruder who lives on answers DNS queries, while a supervisor starts the program anew within a second. */

#include "sys/landlock.h"

struct sandbox_plan {
	const struct landlock_rule *rules;
	size_t count;
	bool pages; /* r53fwd-http's serving phase, not a forwarder's */
};

/* Each 0, or -errno: why that wall does not stand. */
struct sandbox_outcome {
	int files, calls;
};

/* io_uring_setup fails with ENOSYS from now on, in all threads; all else stays allowed. To be called before the first event loop is made:
 * libuv from 1.45 on asks for rings where it can have them, in every loop, and aborts if one that it has is refused its calls later, as
 * sandbox_enter does. Sets no_new_privs: programs that are to be started with more than we have, must have been started. 0 or -errno. */
NODISCARD int sandbox_forbid_rings(void);

/* The serving phase, for all threads from now on; to be called while there is one. */
NODISCARD struct sandbox_outcome sandbox_enter(const struct sandbox_plan *p);

/* The calling thread becomes a worker for good. Does nothing, with 0, if there is no filter. Else -errno. */
NODISCARD int sandbox_enter_worker(void);

#endif
