/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_FAULTS_H
#define TESTS_LIB_FAULTS_H
/* Makes calls fail that nearly never do: allocations of ours, libuv's that may say no, and those of the system. A program that links
 * faults.c (r53fwd_faults in tests/CMakeLists.txt) has its own objects' calls wrapped; those inside libraries are left alone. Which call
 * fails is said here, or from outside through the file that R53FWD_FAULTS names, which holds this struct.
 *
 * Every call is of a kind: "memory", "libuv" or "system". Not among them, since they can fail by a mistake of ours alone and are asserted
 * (net/loop_private.h says why): uv_poll_start, uv_timer_*, uv_prepare_*, uv_idle_*, uv_async_send, uv_loop_close. Nor close(), whose
 * failure changes nothing, nor what is written to the standard streams: the log is what tests read. */

#include <stdatomic.h>
#include <stdint.h>

enum { FAULTS_NAME_BYTES = 32 };

struct faults {
	_Atomic uint64_t calls;      /* made so far: of those that are meant by `only` */
	_Atomic uint64_t fail_at;    /* the number of the call that fails, counted from 1; 0: none */
	_Atomic uint64_t fail_count; /* that many in a row; 0 is 1 */
	_Atomic uint64_t failed;     /* how many did */
	_Atomic uint64_t error;      /* the errno with which libuv's and the system's fail; 0: the usual one of each */
	char only[FAULTS_NAME_BYTES]; /* the calls meant: of that kind, or of that name; empty: all. Changed while none is to fail */
};

extern struct faults *faults;

/* From now on the n-th call fails, 1 being the next; 0: none. */
void faults_arm(uint64_t n);

/* Calls of this kind or name alone are meant; "": all. Arms none. */
void faults_mean(const char *only);

#endif
