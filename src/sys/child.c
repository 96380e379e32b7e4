/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the keeper: forked → told what to run → runs it → it ends: again, after a while → told otherwise: ends it, runs that → the
 * other end of the socket pair is closed: ends it, and itself.
 *
 * Whoever holds the other end may be hostile: a message is values for the fields of the job, which is a copy from before the fork, and
 * nothing else. Descriptors that come along are dropped by the kernel.
 *
 * How it can fail: no such program, or one that ends at once: said so each time, ever more rarely. SIGTERM and SIGINT may reach all
 * processes of a terminal or a service at once: then the program ends by itself, and is not started again. */
#include "sys/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/child_call.h"

/* That of a message from it: a sentence follows; or from the program before it is one: its process id. */
enum { SAID = 's', STARTED = 'p' };

_Static_assert(1 + CHILD_FIELDS * CHILD_VALUE_BYTES <= CHILD_MESSAGE_BYTES, "what fits is heard whole");

struct child {
	int socket;
	size_t count; /* of the job's fields */
	pid_t pid; /* of the keeper; 0: it is gone, and buried */
	pid_t program; /* that was started last; 0: none was */
};

struct keeper {
	const struct child_job *job;
	int socket, signals;
	char path[PATH_MAX];              /* of the program, once found */
	struct child_call call;           /* as it was told last */
	pid_t pid;                        /* of the program; 0: none runs */
	uint64_t started_ms, again_at_ms; /* again_at_ms 0: no start is due */
	uint64_t delay_ms;
	bool leaving; /* the whole service is being ended */
};

/* ---- the keeper's side ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MS_PER_S + (uint64_t)t.tv_nsec / (US_PER_S);
}

static void say(const struct keeper *k, const char *format, ...) PRINTF_LIKE(2, 3);

/* A sentence that finds no room is lost; a later one says as much. */
static void say(const struct keeper *k, const char *format, ...)
{
	char text[CHILD_MESSAGE_BYTES] = {SAID};
	va_list arguments;

	va_start(arguments, format);
	int len = vsnprintf(text + 1, sizeof(text) - 1, format, arguments);
	va_end(arguments);
	if (len > 0)
		(void)send(k->socket, text, MIN(1 + (size_t)len, sizeof(text) - 1), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_program(const char *folder, size_t len, const char *name, char out[PATH_MAX])
{
	int written = snprintf(out, PATH_MAX, "%.*s/%s", (int)len, folder, name);

	return len > 0 && written > 0 && written < PATH_MAX && access(out, X_OK) == 0;
}

/* Found once, it stays what was found. All that is looked at is from before the fork. */
static bool find_program(const char *name, char out[PATH_MAX])
{
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (*out != '\0')
		return access(out, X_OK) == 0;
	if (strchr(name, '/') != NULL)
		return snprintf(out, PATH_MAX, "%s", name) < PATH_MAX && access(out, X_OK) == 0;
	own[MAX(len, 0)] = '\0';
	const char *slash = strrchr(own, '/');
	if (slash != NULL && is_program(own, (size_t)(slash - own), name, out))
		return true;
	if (is_program(R53FWD_LIBEXEC, strlen(R53FWD_LIBEXEC), name, out))
		return true;
	const char *at = getenv("PATH");
	for (; at != NULL && *at != '\0'; at += strcspn(at, ":"), at += *at == ':')
		if (is_program(at, strcspn(at, ":"), name, out))
			return true;
	*out = '\0';
	return false;
}

/* Whoever protects us from running out of memory need not protect it: the daemon goes on without. */
static void become_expendable(void)
{
	static const char score[] = "500";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, score, sizeof(score) - 1);
}

/* Waits for room: the daemon must know before the program can do anything. */
static void tell_who(int socket)
{
	char message[1 + sizeof(pid_t)] = {STARTED};
	pid_t pid = getpid();

	memcpy(message + 1, &pid, sizeof(pid));
	if (send(socket, message, sizeof(message), MSG_NOSIGNAL) < 0)
		_exit(127);
}

__attribute__((noreturn)) static void become_program(const struct keeper *k, pid_t keeper)
{
	char *arguments[CHILD_ARGUMENTS_MAX + 1] = {NULL}; /* exec's own type: it changes none of them */
	sigset_t none;

	for (size_t i = 0; k->call.arguments[i] != NULL; i++)
		arguments[i] = (char *)(uintptr_t)k->call.arguments[i];
	(void)prctl(PR_SET_DUMPABLE, 1); /* its own files below /proc are ours again */

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_DFL);
	become_expendable();
	tell_who(k->socket);
	/* The keeper may have died before the kernel was told to tell. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == keeper)
		execv(k->path, arguments);
	_exit(127);
}

static void put_off(struct keeper *k, const char *what)
{
	k->delay_ms = k->delay_ms == 0 ? CHILD_AGAIN_MS : MIN(2 * k->delay_ms, (uint64_t)CHILD_AGAIN_MOST_MS);
	k->again_at_ms = now_ms() + k->delay_ms;
	say(k, "%s %s; it is started again in %llu s", k->job->program, what, (unsigned long long)k->delay_ms / MS_PER_S);
}

static void start(struct keeper *k)
{
	pid_t keeper = getpid();

	k->again_at_ms = 0;
	if (!find_program(k->job->program, k->path)) {
		put_off(k, "is not installed");
		return;
	}
	k->pid = fork();
	if (k->pid == 0)
		become_program(k, keeper);
	if (k->pid < 0) {
		k->pid = 0;
		put_off(k, strerror(errno));
		return;
	}
	k->started_ms = now_ms();
}

static void wait_for_signal(const struct keeper *k, int most_ms)
{
	struct signalfd_siginfo info;
	struct pollfd wait = {.fd = k->signals, .events = POLLIN};

	if (poll(&wait, 1, most_ms) > 0)
		(void)!read(k->signals, &info, sizeof(info));
}

static void end_program(struct keeper *k)
{
	uint64_t until_ms = now_ms() + CHILD_GRACE_MS;

	if (k->pid == 0)
		return;
	kill(k->pid, SIGTERM);
	while (waitpid(k->pid, NULL, WNOHANG) == 0) {
		uint64_t at_ms = now_ms();
		if (at_ms >= until_ms)
			kill(k->pid, SIGKILL);
		wait_for_signal(k, at_ms >= until_ms ? 10 : (int)(until_ms - at_ms));
	}
	k->pid = 0;
}

static void see_end(struct keeper *k)
{
	char what[64];
	int status;

	if (k->pid == 0 || waitpid(k->pid, &status, WNOHANG) != k->pid)
		return;
	k->pid = 0;
	if (k->leaving)
		return;
	if (now_ms() - k->started_ms >= CHILD_AGAIN_MOST_MS)
		k->delay_ms = 0;
	if (WIFSIGNALED(status))
		snprintf(what, sizeof(what), "was ended by signal %d", WTERMSIG(status));
	else
		snprintf(what, sizeof(what), "ended with status %d", WEXITSTATUS(status));
	put_off(k, what);
}

static void obey(struct keeper *k, const char *message, size_t len)
{
	const char *values[CHILD_FIELDS], *misfit = child_call_misfit(k->job, message, len, values);

	if (misfit != NULL) {
		say(k, "%s stays as it is: what it was to be told is refused: %s", k->job->program, misfit);
		return;
	}
	end_program(k);
	k->delay_ms = k->again_at_ms = 0;
	if (message[0] == CHILD_STOP || k->leaving)
		return;
	child_call_fill(&k->call, k->job, values);
	start(k);
}

/* False: there is nobody any more who could tell us. */
static bool hear_message(struct keeper *k)
{
	char message[CHILD_MESSAGE_BYTES];
	ssize_t len = recv(k->socket, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);

	if (len <= 0)
		return len < 0 && (errno == EAGAIN || errno == EINTR);
	if ((size_t)len <= sizeof(message))
		obey(k, message, (size_t)len);
	else
		say(k, "%s stays as it is: what it was to be told is refused: too long", k->job->program);
	return true;
}

static void hear_signal(struct keeper *k)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		see_end(k);
		return;
	}
	k->leaving = true;
	k->again_at_ms = 0;
	end_program(k);
}

static int patience_ms(const struct keeper *k)
{
	uint64_t at_ms = now_ms();

	if (k->again_at_ms == 0)
		return -1;
	return at_ms >= k->again_at_ms ? 0 : (int)(k->again_at_ms - at_ms);
}

__attribute__((noreturn)) static void keep(struct keeper *k)
{
	struct pollfd wait[] = {{.fd = k->socket, .events = POLLIN}, {.fd = k->signals, .events = POLLIN}};

	for (;;) {
		(void)poll(wait, ARRAY_SIZE(wait), patience_ms(k));
		if (wait[1].revents != 0)
			hear_signal(k);
		if (wait[0].revents != 0 && !hear_message(k))
			break;
		if (k->again_at_ms != 0 && now_ms() >= k->again_at_ms)
			start(k);
	}
	/* The daemon is gone, or about to be: nobody knows the program any more, so it must not live on for a moment. */
	if (k->pid != 0)
		kill(k->pid, SIGKILL);
	end_program(k);
	_exit(0);
}

/* Who it is, and what it may, for good. */
static void give_up_rights(const struct keeper *k)
{
	int error = k->job->user != NULL ? privilege_become(k->job->user) : 0;

	if (error == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0);
		error = privilege_shed_to_start();
		/* A service manager's filter may forbid it; then it has seen to it itself. */
		if (error == 0 || error == -EPERM)
			return;
	}
	say(k, "%s cannot be started: privileges cannot be given up: %s", k->job->program, strerror(-error));
	_exit(1);
}

__attribute__((noreturn)) static void become_keeper(const struct child_job *job, int socket)
{
	static struct keeper k;
	sigset_t set;

	k.job = job;
	/* Its own end alone, moved to where the rest can be closed behind it: the program gets the standard streams and nothing else. */
	k.socket = dup2(socket, STDERR_FILENO + 1);
	(void)syscall(SYS_close_range, STDERR_FILENO + 2, UINT_MAX, 0);
	give_up_rights(&k);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_NAME, "r53fwd-keeper");
	k.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k.socket < 0 || k.signals < 0 || fcntl(k.socket, F_SETFD, FD_CLOEXEC) != 0)
		_exit(1);
	keep(&k);
}

/* ---- our side ---- */

struct child *child_new(const struct child_job *job)
{
	struct child *c = calloc(1, sizeof(*c));
	int pair[2]; /* behind the standard streams: see passed_fill_standard */

	ASSERT(job->count <= CHILD_FIELDS && job->fixed[CHILD_FIXED] == NULL);
	if (c == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		free(c);
		return NULL;
	}
	c->pid = fork();
	if (c->pid == 0) {
		close(pair[0]);
		become_keeper(job, pair[1]);
	}
	close(pair[1]);
	c->socket = pair[0];
	c->count = job->count;
	if (c->pid > 0)
		return c;
	close(pair[0]);
	free(c);
	return NULL;
}

int child_run(struct child *c, const char *const *values)
{
	char message[CHILD_MESSAGE_BYTES];
	size_t len = 1;

	if (values == NULL)
		c->program = 0; /* its number may be somebody else's soon */
	message[0] = values != NULL ? CHILD_RUN : CHILD_STOP;
	for (size_t i = 0; values != NULL && i < c->count; i++) {
		const char *value = values[i] != NULL ? values[i] : "";
		size_t octets = strlen(value) + 1;
		if (octets > CHILD_VALUE_BYTES)
			return -E2BIG;
		memcpy(message + len, value, octets);
		len += octets;
	}
	return send(c->socket, message, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int child_hear(struct child *c, char out[CHILD_MESSAGE_BYTES])
{
	char message[CHILD_MESSAGE_BYTES];
	ssize_t len;

	while ((len = recv(c->socket, message, sizeof(message), MSG_DONTWAIT)) == 1 + (ssize_t)sizeof(c->program) && *message == STARTED)
		memcpy(&c->program, message + 1, sizeof(c->program));
	bool silent = len < 0 && (errno == EAGAIN || errno == EINTR);
	size_t said = len > 0 ? (size_t)len - 1 : 0;
	memcpy(out, message + 1, said);
	out[said] = '\0';
	if (len > 0 || silent)
		return len > 0;
	/* Its end of the pair is closed a little before it can be buried. */
	if (c->pid != 0 && waitpid(c->pid, NULL, WNOHANG) == c->pid)
		c->pid = 0;
	return -ECHILD;
}

pid_t child_program(const struct child *c)
{
	return c->program;
}

/* It ends when it reads the end of the pair. What holds it up must not hold us up: it is left behind then. */
void child_free(struct child *c)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	uint64_t until_ms = now_ms() + 2ULL * CHILD_GRACE_MS;

	close(c->socket);
	while (c->pid != 0 && waitpid(c->pid, NULL, WNOHANG) == 0 && now_ms() < until_ms)
		nanosleep(&moment, NULL);
	free(c);
}
