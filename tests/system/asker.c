/* SPDX-License-Identifier: Apache-2.0 */
/* An application that knows nothing of r53fwd: resolves names by the C library's own resolver, again and again until it is ended, and
 * prints a line for each: NAME ADDRESS, or NAME and what went wrong. Built with glibc and with musl.
 *
 *   asker PAUSE_MS NAME... */
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void resolve(const char *name)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char text[INET_ADDRSTRLEN] = "";

	int error = getaddrinfo(name, NULL, &hints, &found);
	if (error == 0) {
		struct sockaddr_in sin;
		memcpy(&sin, found->ai_addr, sizeof(sin));
		inet_ntop(AF_INET, &sin.sin_addr, text, sizeof(text));
		freeaddrinfo(found);
	}
	printf("%s %s\n", name, error == 0 ? text : gai_strerror(error));
	fflush(stdout);
}

/* The first process of a container is ended by no signal that it has not asked for. */
static void end(int number)
{
	(void)number;
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int pause_ms = (int)strtol(argv[1], NULL, 10);

	signal(SIGTERM, end);
	for (;;) {
		for (int i = 2; i < argc; i++)
			resolve(argv[i]);
		poll(NULL, 0, pause_ms);
	}
}
