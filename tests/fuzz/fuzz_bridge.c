/* SPDX-License-Identifier: Apache-2.0 */
/* The octets are what comes over the bridge of a takeover: messages, each with a number of descriptors and a length before it, from a
 * process that need not be what it says. A descriptor comes up with a client and with nothing else; none stays open; after the end nothing
 * comes. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/bridge.h"

enum { DESCRIPTORS_MOST = 3, MESSAGES_MOST = 32 };

struct side {
	struct bridge *bridge;
	const uint8_t *said; /* what the next word must be, with its octets; NULL: nothing can come */
	size_t said_len;
	unsigned heard;
	bool ended;
};

static struct loop *loop;

static void on_word(void *arg, enum bridge_word word, int fd, const uint8_t *bytes, size_t len)
{
	struct side *s = arg;

	ASSERT(!s->ended && (fd >= 0) == (word == BRIDGE_CLIENT));
	if (word == BRIDGE_ENDED && bytes == NULL) {
		s->ended = true;
		return;
	}
	ASSERT(s->said != NULL && len == s->said_len - 1 && (uint8_t)word == s->said[0] && memcmp(bytes, s->said + 1, len) == 0);
	s->heard++;
	if (fd >= 0)
		close(fd);
}

static void send_raw(int end, const uint8_t *octets, size_t len, unsigned fds)
{
	union {
		char room[CMSG_SPACE(DESCRIPTORS_MOST * sizeof(int))];
		struct cmsghdr align;
	} rights = {.room = {0}};
	const int sent[DESCRIPTORS_MOST] = {end, end, end};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)octets, .iov_len = len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds > 0) {
		message.msg_control = rights.room;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(header), sent, fds * sizeof(int));
	}
	ASSERT(sendmsg(end, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
}

static int next_descriptor(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	ASSERT(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct side s = {.bridge = NULL};
	int ends[2];

	if (loop == NULL)
		ASSERT((loop = loop_new()) != NULL);
	int before = next_descriptor();
	ASSERT(bridge_pair(ends) == 0);
	s.bridge = bridge_new(loop, ends[0], on_word, &s);
	ASSERT(s.bridge != NULL);
	for (unsigned i = 0; i < MESSAGES_MOST && size >= 2 && !s.ended; i++) {
		unsigned fds = data[0] % (DESCRIPTORS_MOST + 1);
		size_t len = MIN(data[1], size - 2);
		s.said = data + 2;
		s.said_len = len;
		if (len > 0)
			send_raw(ends[1], data + 2, len, fds);
		unsigned heard = s.heard;
		bridge_read(s.bridge);
		bool fits = len > 0 && (data[2] == BRIDGE_CLIENT ? fds == 1 : fds == 0);
		ASSERT((s.heard > heard) == fits || data[2] != BRIDGE_CLIENT);
		data += 2 + len;
		size -= 2 + len;
	}
	s.said = NULL;
	close(ends[1]);
	bridge_read(s.bridge);
	ASSERT(s.ended);
	bridge_close(s.bridge);
	loop_run(loop); /* it closes */
	ASSERT(next_descriptor() == before);
	return 0;
}
