/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel keeps a map of the calls that are allowed whatever their arguments are (since 5.11), so that those cost next to nothing; which
 * is why few calls have their arguments looked at, and none of the road. Measured on the way of a cached answer: nothing to be seen in the
 * noise. */
#include "sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/sandbox_private.h"

/* Kernel 5.17; musl's <sys/prctl.h> is older. */
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d61
#endif

/* Calls of all threads, whatever their arguments. Names that an architecture does not have are passed over. */
static const char *const allowed[] = {
	/* datagrams, streams */
	"recvmmsg", "sendmmsg", "recvmsg", "sendmsg", "recvfrom", "sendto", "read", "readv", "write", "writev", "accept4", "accept",
	"bind", "connect", "listen", "shutdown", "getsockname", "getpeername", "getsockopt", "setsockopt", "pipe2", "close",
	/* the loop */
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "epoll_create1", "eventfd2", "timerfd_create", "timerfd_settime", "poll",
	"ppoll", "select", "pselect6", "restart_syscall",
	/* time, chance, who we are */
	"clock_gettime", "clock_getres", "gettimeofday", "time", "clock_nanosleep", "nanosleep", "getrandom", "getpid", "gettid", "getuid",
	"geteuid", "getgid", "getegid", "getppid", "uname", "sysinfo", "getrusage", "times", "getrlimit", "getcpu",
	/* memory, threads, signals */
	"brk", "munmap", "mremap", "madvise", "mlock", "munlock", "futex", "futex_time64", "sched_yield", "sched_getaffinity",
	"set_robust_list", "rseq", "membarrier", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending",
	"sigaltstack", "exit", "exit_group",
	/* more walls */
	"seccomp",
	/* files, as far as landlock goes along */
	"openat", "open", "lseek", "pread64", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "fstat",
	"newfstatat", "fstatat64", "statx", "stat", "lstat", "fstatfs", "access", "faccessat", "faccessat2",
	"readlink", "readlinkat", "getcwd", "getdents64", "unlink", "unlinkat", "rename", "renameat", "renameat2",
	"umask", "fchmod", "dup", "dup2", "dup3", "flock", "memfd_create",
	/* the end of a program that was started before, and that is waited for */
	"wait4", "waitid",
};

/* What no library of ours ever calls. */
static const char *const deadly[] = {
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "fork", "vfork", "setuid", "setgid", "setresuid",
	"setresgid", "setreuid", "setregid", "setgroups", "capset", "chroot", "pivot_root", "mount", "umount2", "move_mount", "setns",
	"unshare", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open", "userfaultfd",
	"keyctl", "add_key", "request_key", "reboot", "swapon", "swapoff", "acct", "iopl", "ioperm", "open_by_handle_at",
};

/* What a worker does without: it is given all that it needs. */
static const char *const not_of_workers[] = {
	"openat", "open", "unlink", "unlinkat", "rename", "renameat", "renameat2", "umask", "fchmod", "ftruncate", "fallocate", "clone",
	"socketpair", "wait4", "waitid", "readlink", "readlinkat", "getdents64", "memfd_create",
};

/* What a newer event loop asks for by itself, and does without: it is said not to exist. Nor is it deadly: of several filters the deadliest
 * wins. */
static const char rings[] = "io_uring_setup";

static _Atomic bool serving;

static bool is_hole(const char *name)
{
	for (size_t i = 0; i < sandbox_holes.call_count; i++)
		if (strcmp(sandbox_holes.calls[i], name) == 0)
			return true;
	return false;
}

static int add(scmp_filter_ctx filter, uint32_t action, const char *name)
{
	int call = seccomp_syscall_resolve_name(name);

	return call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, call, 0);
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && error == 0; i++)
		error = add(filter, action, names[i]);
	return error;
}

/* "The argument equals", and "of the argument these bits equal": all fields given, as clang wants it. */
static int allow_if(scmp_filter_ctx f, int call, struct scmp_arg_cmp condition)
{
	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &condition);
}

static struct scmp_arg_cmp equals(unsigned argument, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){argument, SCMP_CMP_EQ, value, 0};
}

static struct scmp_arg_cmp bits_equal(unsigned argument, scmp_datum_t bits, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){argument, SCMP_CMP_MASKED_EQ, bits, value};
}

/* Memory is written or executed, never both: what is executed was mapped before. */
static int allow_memory(scmp_filter_ctx f)
{
	int error = allow_if(f, SCMP_SYS(mmap), bits_equal(2, PROT_EXEC, 0));

	return error != 0 ? error : allow_if(f, SCMP_SYS(mprotect), bits_equal(2, PROT_EXEC, 0));
}

static int allow_sockets_of_ip(scmp_filter_ctx f)
{
	static const scmp_datum_t families[] = {AF_INET, AF_INET6}, types[] = {SOCK_DGRAM, SOCK_STREAM};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) * ARRAY_SIZE(types) && error == 0; i++) {
		const struct scmp_arg_cmp both[] = {equals(0, families[i / 2]), bits_equal(1, 0xf, types[i % 2])};
		error = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), ARRAY_SIZE(both), both);
	}
	return error;
}

static int allow_sockets(scmp_filter_ctx f, bool pages)
{
	const struct scmp_arg_cmp streams[] = {equals(0, AF_UNIX), bits_equal(1, 0xf, SOCK_STREAM)};

	return pages ? seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), ARRAY_SIZE(streams), streams) : allow_sockets_of_ip(f);
}

/* Those of net/bridge. An end of a pair of datagrams could send to whoever listens for them on this host. */
static int allow_pairs(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp bridge[] = {equals(0, AF_UNIX), bits_equal(1, 0xf, SOCK_SEQPACKET)};

	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), ARRAY_SIZE(bridge), bridge);
}

/* What libraries and we do with descriptors. Not who gets a signal once there is something to be read, and which signal: that ends
 * processes of ours by the kernel's hand. */
static int allow_fcntl(scmp_filter_ctx f)
{
	static const scmp_datum_t commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL};
	const struct scmp_arg_cmp quiet[] = {equals(1, F_SETFL), bits_equal(2, O_ASYNC, 0)};
	int error = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), ARRAY_SIZE(quiet), quiet);

	for (size_t i = 0; i < ARRAY_SIZE(commands) && error == 0; i++)
		error = allow_if(f, SCMP_SYS(fcntl), equals(1, commands[i]));
	return error;
}

/* Threads and no processes; and clone3 not at all, whose flags lie in memory: then the C library takes clone. Signals go to ourselves
 * (abort), ioctl is for sockets. Limits are looked at; setting them would need the third argument. */
static int allow_looked_at(scmp_filter_ctx f)
{
	const struct {
		int call;
		struct scmp_arg_cmp condition;
	} rows[] = {
		{SCMP_SYS(clone), bits_equal(0, CLONE_THREAD, CLONE_THREAD)},
		{SCMP_SYS(tgkill), equals(0, (scmp_datum_t)getpid())},
		{SCMP_SYS(prlimit64), equals(2, 0)},
		{SCMP_SYS(ioctl), equals(1, FIONBIO)},
		{SCMP_SYS(ioctl), equals(1, FIONREAD)},
		{SCMP_SYS(ioctl), equals(1, SIOCGIFINDEX)},
		{SCMP_SYS(ioctl), equals(1, SIOCGIFNAME)},
		{SCMP_SYS(prctl), equals(0, PR_SET_NAME)},
		{SCMP_SYS(prctl), equals(0, PR_GET_NAME)},
		{SCMP_SYS(prctl), equals(0, PR_SET_VMA)},
		{SCMP_SYS(prctl), equals(0, PR_SET_NO_NEW_PRIVS)},
		{SCMP_SYS(prctl), equals(0, PR_SET_SECCOMP)},
		{SCMP_SYS(prctl), equals(0, PR_GET_SECCOMP)},
	};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && error == 0; i++)
		error = allow_if(f, rows[i].call, rows[i].condition);
	return error;
}

static int fill(scmp_filter_ctx f, bool pages)
{
	int error = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	if (error == 0)
		error = add_all(f, SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed));
	if (error == 0)
		error = add_all(f, SCMP_ACT_ALLOW, sandbox_holes.calls, sandbox_holes.call_count);
	for (size_t i = 0; i < ARRAY_SIZE(deadly) && error == 0; i++)
		if (!is_hole(deadly[i]))
			error = add(f, SCMP_ACT_KILL_PROCESS, deadly[i]);
	if (error == 0)
		error = allow_memory(f);
	if (error == 0)
		error = allow_sockets(f, pages);
	if (error == 0)
		error = allow_pairs(f);
	if (error == 0)
		error = allow_fcntl(f);
	return error != 0 ? error : allow_looked_at(f);
}

int sandbox_forbid_rings(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int error = f == NULL ? -ENOMEM : seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	if (error == 0)
		error = add(f, SCMP_ACT_ERRNO(ENOSYS), rings);
	if (error == 0)
		error = seccomp_load(f);
	seccomp_release(f);
	return error;
}

static int enter_calls(bool pages)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int error = f == NULL ? -ENOMEM : fill(f, pages);

	if (error == 0)
		error = seccomp_load(f);
	seccomp_release(f);
	atomic_store(&serving, error == 0);
	return error;
}

static int enter_files(const struct sandbox_plan *p)
{
	size_t count = p->count + sandbox_holes.rule_count;
	struct landlock_rule *rules = calloc(count + 1, sizeof(*rules));

	if (rules == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		rules[i] = i < p->count ? p->rules[i] : sandbox_holes.rules[i - p->count];
	int error = landlock_enter(rules, count);
	free(rules);
	return error;
}

/* The filter comes second: it has no place for what makes the first wall. */
struct sandbox_outcome sandbox_enter(const struct sandbox_plan *p)
{
	struct sandbox_outcome o = {.files = enter_files(p)};

	o.calls = enter_calls(p->pages);
	return o;
}

int sandbox_enter_worker(void)
{
	if (!atomic_load(&serving))
		return 0;
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int error = f == NULL ? -ENOMEM : 0;
	for (size_t i = 0; i < ARRAY_SIZE(not_of_workers) && error == 0; i++)
		if (!is_hole(not_of_workers[i]))
			error = add(f, SCMP_ACT_ERRNO(EACCES), not_of_workers[i]);
	if (error == 0)
		error = seccomp_load(f);
	seccomp_release(f);
	return error;
}
