/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_DESCRIPTORS_H
#define TESTS_LIB_DESCRIPTORS_H
/* Whether a test leaks any: counted before, and after. Include cmocka first. */

#include <dirent.h>
#include <stddef.h>

/* How many entries /proc/self/fd has: good for comparing with itself only. */
static inline int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count;
}

#endif
