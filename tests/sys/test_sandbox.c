/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sandbox.h"

#include <asm/ioctls.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sys/sandbox_private.h"
#include "walled.h"

static const struct landlock_rule rules[] = {{"/dev/null", LANDLOCK_RIGHT_READ}};

static void enter(void)
{
	const struct sandbox_plan plan = {.rules = rules, .count = 1};
	struct sandbox_outcome o = sandbox_enter(&plan);

	WALLED_NEED(o.calls == 0 && (o.files == 0 || landlock_version() < 0));
}

/* Builds with holes (a sanitizer's) cannot show every wall. */
static void needs_walls_without_holes(void)
{
	if (sandbox_holes.call_count > 0)
		skip();
}

static void *in_a_thread(void *arg)
{
	char *room = malloc(1 << 22);

	*(int *)arg = room != NULL;
	free(room);
	return NULL;
}

static int serve(void)
{
	struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(loopback);
	pthread_t thread;
	int done = 0, one = 1;

	enter();
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), loop = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	char octet = 'x';
	WALLED_NEED(fd >= 0 && loop >= 0 && eventfd(0, EFD_CLOEXEC) >= 0);
	WALLED_NEED(bind(fd, (struct sockaddr *)&loopback, len) == 0 && getsockname(fd, (struct sockaddr *)&loopback, &len) == 0);
	WALLED_NEED(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	WALLED_NEED(sendto(fd, &octet, 1, 0, (struct sockaddr *)&loopback, len) == 1 && epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0);
	WALLED_NEED(epoll_wait(loop, &event, 1, 5000) == 1 && recv(fd, &octet, 1, 0) == 1);
	WALLED_NEED(pthread_create(&thread, NULL, in_a_thread, &done) == 0 && pthread_join(thread, NULL) == 0 && done == 1);
	WALLED_NEED(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 || errno == EAFNOSUPPORT);
	return open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
}

static void a_forwarder_can_do_its_work(void **state)
{
	(void)state;
	assert_int_equal(walled_run(serve), 0);
}

static int execute(void)
{
	enter();
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int mount_something(void)
{
	enter();
	(void)mount("none", "/tmp", "tmpfs", 0, NULL);
	return 0;
}

static int become_root(void)
{
	enter();
	(void)syscall(SYS_setuid, 0);
	return 0;
}

static void whoever_executes_or_mounts_dies(void **state)
{
	(void)state;
	assert_int_equal(walled_run(execute), -SIGSYS);
	assert_int_equal(walled_run(mount_something), -SIGSYS);
	assert_int_equal(walled_run(become_root), -SIGSYS);
}

static int start_a_process(void)
{
	enter();
	return WALLED_ERROR(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static int start_a_process_the_new_way(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	enter();
	return WALLED_ERROR(syscall(SYS_clone3, &args, sizeof(args)));
}

static int trace(void)
{
	enter();
	(void)syscall(SYS_ptrace, 0, 0, 0, 0);
	return 0;
}

static int map_what_can_be_executed(void)
{
	enter();
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int make_it_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	enter();
	return WALLED_ERROR(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int kill_the_parent(void)
{
	enter();
	return WALLED_ERROR(kill(getppid(), 0));
}

static void no_process_is_started_traced_or_told_to_end(void **state)
{
	(void)state;
	assert_int_equal(walled_run(start_a_process_the_new_way), ENOSYS);
	needs_walls_without_holes();
	assert_int_equal(walled_run(start_a_process), ENOSYS);
	assert_int_equal(walled_run(trace), -SIGSYS);
	assert_int_equal(walled_run(kill_the_parent), ENOSYS);
}

enum phase { SERVING, WORKER, PAGES };

static void enter_phase(enum phase phase)
{
	const struct sandbox_plan plan = {.pages = true};

	if (phase == PAGES)
		WALLED_NEED(sandbox_enter(&plan).calls == 0);
	else
		enter();
	if (phase != SERVING)
		WALLED_NEED(sandbox_enter_worker() == 0);
}

/* Of a file that is ready for signals, each way to say who gets them, and which. The number of what went wrong. */
static int have_the_kernel_signal(enum phase phase)
{
	const struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getppid()};
	pid_t pid = getppid();
	int ends[2], on = 1;

	WALLED_NEED(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	enter_phase(phase);
	const int errors[] = {
		WALLED_ERROR(fcntl(ends[0], F_SETOWN, pid)),
		WALLED_ERROR(fcntl(ends[0], F_SETOWN_EX, &owner)),
		WALLED_ERROR(fcntl(ends[0], F_SETSIG, SIGURG)),
		WALLED_ERROR(fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK)),
		WALLED_ERROR(syscall(SYS_fcntl, ends[0], UINT64_C(1) << 32 | F_SETOWN, pid)), /* the kernel looks at 32 bits */
		WALLED_ERROR(fcntl(ends[0], F_SETLEASE, F_WRLCK)),
		WALLED_ERROR(fcntl(ends[0], F_NOTIFY, DN_MODIFY)),
		WALLED_ERROR(ioctl(ends[0], FIOASYNC, &on)),
		WALLED_ERROR(ioctl(ends[0], FIOSETOWN, &pid)),
		WALLED_ERROR(ioctl(ends[0], SIOCSPGRP, &pid)),
		WALLED_ERROR(prctl(PR_SET_PDEATHSIG, SIGURG)),
	};
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i] != ENOSYS)
			return (int)i + 1;
	return 0;
}

static int have_it_signal_while_serving(void)
{
	return have_the_kernel_signal(SERVING);
}

static int have_it_signal_as_worker(void)
{
	return have_the_kernel_signal(WORKER);
}

static int have_it_signal_as_pages(void)
{
	return have_the_kernel_signal(PAGES);
}

/* What libuv, libmicrohttpd, the C library and we do with descriptors. */
static int use_descriptors(void)
{
	int ends[2];

	WALLED_NEED(pipe2(ends, O_CLOEXEC) == 0);
	enter_phase(WORKER);
	WALLED_NEED(fcntl(ends[0], F_GETFL) == O_RDONLY && fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
	WALLED_NEED(fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	WALLED_NEED(fcntl(ends[0], F_DUPFD, 0) >= 0 && fcntl(ends[0], F_DUPFD_CLOEXEC, 0) >= 0);
	return fcntl(ends[0], F_GETFL) == (O_RDONLY | O_NONBLOCK) ? 0 : 1;
}

static void nobody_is_signalled_by_way_of_a_descriptor(void **state)
{
	(void)state;
	assert_int_equal(walled_run(use_descriptors), 0);
	needs_walls_without_holes();
	assert_int_equal(walled_run(have_it_signal_while_serving), 0);
	assert_int_equal(walled_run(have_it_signal_as_worker), 0);
	assert_int_equal(walled_run(have_it_signal_as_pages), 0);
}

static void no_memory_becomes_executable(void **state)
{
	(void)state;
	needs_walls_without_holes();
	assert_int_equal(walled_run(map_what_can_be_executed), ENOSYS);
	assert_int_equal(walled_run(make_it_executable), ENOSYS);
}

static int open_sockets_of_others(void)
{
	static const int families[] = {AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG};

	enter();
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 || errno != ENOSYS)
			return (int)i + 1;
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0 || errno != ENOSYS ? 98 : 0;
}

/* One end of datagrams reaches whoever listens for them anywhere: another name is all it takes. */
static int pair_sockets(void)
{
	static const int wrong[] = {SOCK_DGRAM, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, SOCK_STREAM | SOCK_CLOEXEC};
	int ends[2];

	enter();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (socketpair(AF_UNIX, wrong[i], 0, ends) == 0 || errno != ENOSYS)
			return (int)i + 1;
	if (socketpair(AF_INET, SOCK_SEQPACKET, 0, ends) == 0 || errno != ENOSYS)
		return 90;
	return WALLED_ERROR(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
}

static void pairs_of_sockets_are_bridges_and_nothing_else(void **state)
{
	(void)state;
	needs_walls_without_holes();
	assert_int_equal(walled_run(pair_sockets), 0);
}

static void sockets_are_of_ip_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(walled_run(open_sockets_of_others), 0);
}

/* The number of what went wrong. */
static int show_pages(void)
{
	const struct sandbox_plan plan = {.pages = true};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	WALLED_NEED(fd >= 0 && sandbox_forbid_rings() == 0);
	struct sandbox_outcome o = sandbox_enter(&plan);
	WALLED_NEED(o.calls == 0 && sandbox_enter_worker() == 0);
	if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0)
		return 1;
	if (socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_INET6, SOCK_DGRAM, 0) >= 0)
		return 2;
	if (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 || open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
		return 3;
	if (syscall(SYS_memfd_create, "x", 0) >= 0)
		return 4;
	return 0;
}

static void pages_ask_over_unix_streams_and_do_nothing_else(void **state)
{
	(void)state;
	needs_walls_without_holes();
	assert_int_equal(walled_run(show_pages), 0);
}

static int ask_something_new(void)
{
	enter();
	return WALLED_ERROR(syscall(SYS_inotify_init1, 0));
}

static void what_is_in_no_list_is_said_not_to_exist(void **state)
{
	(void)state;
	assert_int_equal(walled_run(ask_something_new), ENOSYS);
}

static int ask_for_a_ring(void)
{
	return WALLED_ERROR(syscall(SYS_io_uring_setup, 1, NULL));
}

static int ask_for_a_ring_before_the_walls(void)
{
	WALLED_NEED(sandbox_forbid_rings() == 0);
	WALLED_NEED(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
	return ask_for_a_ring();
}

static int ask_for_a_ring_inside(void)
{
	enter();
	return ask_for_a_ring();
}

static int ask_for_a_ring_inside_both(void)
{
	WALLED_NEED(sandbox_forbid_rings() == 0);
	enter();
	WALLED_NEED(sandbox_enter_worker() == 0);
	return ask_for_a_ring();
}

static int start_a_program_before_the_walls(void)
{
	WALLED_NEED(sandbox_forbid_rings() == 0);
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}

static void rings_are_said_not_to_exist_in_every_phase(void **state)
{
	(void)state;
	assert_int_equal(walled_run(ask_for_a_ring_before_the_walls), ENOSYS);
	assert_int_equal(walled_run(ask_for_a_ring_inside), ENOSYS);
	assert_int_equal(walled_run(ask_for_a_ring_inside_both), ENOSYS);
	assert_int_equal(walled_run(start_a_program_before_the_walls), 0);
}

/* What the main thread may open, this one may not: the number of its error. */
static void *open_as_worker(void *arg)
{
	int *error = arg;

	*error = sandbox_enter_worker() != 0 ? WALLED_SETUP_FAILED : WALLED_ERROR(open("/dev/null", O_RDONLY | O_CLOEXEC));
	if (*error == EACCES && syscall(SYS_memfd_create, "x", 0) >= 0)
		*error = 0;
	if (*error == EACCES && socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0)
		*error = errno;
	return NULL;
}

static int work(void)
{
	pthread_t thread;
	int error = 0;

	enter();
	WALLED_NEED(pthread_create(&thread, NULL, open_as_worker, &error) == 0 && pthread_join(thread, NULL) == 0);
	WALLED_NEED(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
	return error;
}

static int work_without_walls(void)
{
	pthread_t thread;
	int error = 0;

	WALLED_NEED(pthread_create(&thread, NULL, open_as_worker, &error) == 0 && pthread_join(thread, NULL) == 0);
	return error;
}

static void a_worker_opens_sockets_and_no_files(void **state)
{
	(void)state;
	assert_int_equal(walled_run(work_without_walls), 0);
	needs_walls_without_holes();
	assert_int_equal(walled_run(work), EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forwarder_can_do_its_work),
		cmocka_unit_test(whoever_executes_or_mounts_dies),
		cmocka_unit_test(no_process_is_started_traced_or_told_to_end),
		cmocka_unit_test(nobody_is_signalled_by_way_of_a_descriptor),
		cmocka_unit_test(no_memory_becomes_executable),
		cmocka_unit_test(sockets_are_of_ip_and_nothing_else),
		cmocka_unit_test(pairs_of_sockets_are_bridges_and_nothing_else),
		cmocka_unit_test(pages_ask_over_unix_streams_and_do_nothing_else),
		cmocka_unit_test(what_is_in_no_list_is_said_not_to_exist),
		cmocka_unit_test(rings_are_said_not_to_exist_in_every_phase),
		cmocka_unit_test(a_worker_opens_sockets_and_no_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
