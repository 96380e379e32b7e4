/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_FAULTS_H
#define TESTS_LIB_FAULTS_H
/* Makes calls fail that nearly never do: allocations of ours, and libuv's that may say no. A program that links faults.c (r53fwd_faults in
 * tests/CMakeLists.txt) has its own objects' calls wrapped; those inside libraries are left alone. Which call fails is said here, or
 * from outside through the file that R53FWD_FAULTS names, which holds this struct. */

#include <stdatomic.h>
#include <stdint.h>

struct faults {
	_Atomic uint64_t calls;   /* made so far */
	_Atomic uint64_t fail_at; /* the number of the call that fails, counted from 1; 0: none */
	_Atomic uint64_t fail_count; /* that many in a row; 0 is 1 */
	_Atomic uint64_t failed;  /* how many did */
};

extern struct faults *faults;

/* From now on the n-th call fails, 1 being the next; 0: none. */
void faults_arm(uint64_t n);

#endif
