/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* 0 if it is no number. */
static unsigned long read_number(const char *name)
{
	const char *text = getenv(name);
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	return errno != 0 || *end != '\0' ? 0 : n;
}

void passed_fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR); /* not closed at exec, as the others are not */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

size_t passed_take(void)
{
	bool ours = read_number("LISTEN_PID") == (unsigned long)getpid();
	size_t count = ours ? MIN(read_number("LISTEN_FDS"), (unsigned long)PASSED_MOST) : 0, there = 0;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	while (there < count && fcntl(PASSED_FIRST + (int)there, F_SETFD, FD_CLOEXEC) == 0)
		there++;
	return there;
}
