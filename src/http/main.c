/* SPDX-License-Identifier: Apache-2.0 */
/* r53fwd-http: metrics and the status page, read from the daemon's control socket. Binds first, then gives up what it does not need, then
 * serves until SIGTERM or SIGINT. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "http/door.h"
#include "http/socket_file.h"
#include "net/loop.h"
#include "sys/passed.h"
#include "sys/privilege.h"
#include "sys/sandbox.h"

static const char default_control[] = "/run/r53fwd/control.sock";
static const char default_listen[] = "127.0.0.1:9553";

/* Visitors, and a few for ourselves. */
enum { OK = 0, FAILED = 1, USAGE = 2, DEFAULT_PORT = 9553, DESCRIPTORS = DOOR_VISITORS + 64 };

enum { LISTEN_PATIENCE_US = US_PER_S, LISTEN_AGAIN_MS = 5 };

enum {
	OPTION_CONTROL = 1,
	OPTION_LISTEN,
	OPTION_HOST,
	OPTION_USER,
	OPTION_LOG_FORMAT,
	OPTION_LOG_LEVEL,
	OPTION_SANDBOX,
	OPTION_VERSION,
	OPTION_HELP
};

static const struct option options[] = {
	{"control", required_argument, NULL, OPTION_CONTROL}, {"listen", required_argument, NULL, OPTION_LISTEN},
	{"host", required_argument, NULL, OPTION_HOST},	      {"user", required_argument, NULL, OPTION_USER},
	{"version", no_argument, NULL, OPTION_VERSION},	      {"help", no_argument, NULL, OPTION_HELP},
	{"log-format", required_argument, NULL, OPTION_LOG_FORMAT}, {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"sandbox", required_argument, NULL, OPTION_SANDBOX}, {NULL, 0, NULL, 0},
};

struct settings {
	const char *control, *listen, *user;
	char own_host[256]; /* "": unknown */
	struct host_names hosts;
	enum log_format format;
	int level;
	bool exposed; /* --sandbox off */
};

static void print_help(void)
{
	fputs("Usage: r53fwd-http [--control PATH] [--listen ADDR[:PORT]] [--host NAME]...\n"
	      "\n"
	      "Metrics and the status page of a running r53fwd, over HTTP:\n"
	      "\n",
	      stdout);
#define PAGE(unit, path, type, question, help) printf("  %-16s%s\n", path, help);
#include "tables/pages.def"
#undef PAGE
	printf("\n"
	       "  --control PATH         the daemon's control socket; default %s\n"
	       "  --listen ADDR[:PORT]   serve there; default %s\n"
	       "  --host NAME            a name that we are asked by, as well as IP addresses, localhost and this host's own\n"
	       "                         name; names below it too; may be given several times\n"
	       "  --user NAME            whom to become when started by root; default nobody\n"
	       "  --log-format FORMAT    of what is said on standard error: text (the default) or json\n"
	       "  --log-level LEVEL      error, warn, info (the default) or debug\n"
	       "  --sandbox off          keeps what serving does not take, for a debugger; default on\n"
	       "  --version\n"
	       "  --help\n"
	       "\n"
	       "r53fwd starts it by itself when `http` is set in zones.conf. See r53fwd-http(8).\n",
	       default_control, default_listen);
}

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "r53fwd-http: %s: %s\nTry `r53fwd-http --help`.\n", what, value);
	return USAGE;
}

static int take_host(struct settings *s, const char *name)
{
	if (s->hosts.count == HOST_NAMES)
		return complain("too many --host", name);
	s->hosts.names[s->hosts.count++] = name;
	return -1;
}

/* Negative: go on; else the exit status. */
static int take_option(struct settings *s, int option)
{
	switch (option) {
	case OPTION_CONTROL:
		s->control = optarg;
		return -1;
	case OPTION_LISTEN:
		s->listen = optarg;
		return -1;
	case OPTION_HOST:
		return take_host(s, optarg);
	case OPTION_USER:
		s->user = optarg;
		return -1;
	case OPTION_LOG_FORMAT:
		s->format = strcmp(optarg, "json") == 0 ? LOG_JSON : LOG_TEXT;
		return s->format == LOG_JSON || strcmp(optarg, "text") == 0 ? -1 : complain("--log-format wants text or json, not", optarg);
	case OPTION_LOG_LEVEL:
		s->level = log_level_named(optarg);
		return s->level >= 0 ? -1 : complain("--log-level wants error, warn, info or debug, not", optarg);
	case OPTION_SANDBOX:
		s->exposed = strcmp(optarg, "off") == 0;
		return s->exposed || strcmp(optarg, "on") == 0 ? -1 : complain("--sandbox wants on or off, not", optarg);
	case OPTION_VERSION:
		puts("r53fwd-http " R53FWD_VERSION);
		return OK;
	case OPTION_HELP:
		print_help();
		return OK;
	default:
		fputs("Try `r53fwd-http --help`.\n", stderr);
		return USAGE;
	}
}

/* ---- giving up privileges ---- */

/* The control socket's group may talk to the daemon. Root's socket has root's group: it opens files of root's, which enclose puts out of
 * reach. */
static bool become(const struct settings *s, const struct socket_file *file)
{
	const struct passwd *user = getpwnam(s->user);

	if (user == NULL || user->pw_uid == 0) {
		log_error("there is no user %s to become", s->user);
		return false;
	}
	gid_t group = socket_file_group(file, user->pw_gid);
	privilege_bound();
	if (setgroups(0, NULL) == 0 && setresgid(group, group, group) == 0 && setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == 0)
		return true;
	log_error("cannot become %s: %s", s->user, strerror(errno));
	return false;
}

/* The kernel forgets whose death we wanted to hear of when we become somebody else. */
static bool drop(const struct settings *s, const struct socket_file *file)
{
	const struct rlimit none = {0, 0}, few = {DESCRIPTORS, DESCRIPTORS};
	pid_t parent = getppid();
	int death_signal = 0;

	(void)prctl(PR_GET_PDEATHSIG, &death_signal);
	if (geteuid() == 0 && !become(s, file))
		return false;
	if (death_signal != 0)
		(void)prctl(PR_SET_PDEATHSIG, death_signal);
	/* Limits are for the case that all else fails; a service manager's filter may forbid them. */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_NOFILE, &few);
	(void)prctl(PR_SET_DUMPABLE, 0);
	int error = privilege_shed_all();
	/* A service manager's filter may forbid it; then it has seen to it itself. */
	if (error != 0 && error != -EPERM) {
		log_error("cannot give up privileges: %s", strerror(-error));
		return false;
	}
	return death_signal == 0 || getppid() == parent;
}

/* All is open. What is left are visitors, and questions to the daemon: no files, no programs, no sockets but Unix streams. */
static void enclose(const struct settings *s)
{
	const struct sandbox_plan plan = {.pages = true};

	if (s->exposed)
		return;
	struct sandbox_outcome o = sandbox_enter(&plan);
	int error = sandbox_enter_worker();
	if (o.files != 0 && o.files != -ENOSYS && o.files != -EOPNOTSUPP)
		log_warn("files are not out of reach: landlock: %s", strerror(-o.files));
	if (o.calls != 0 || error != 0)
		log_warn("system calls are not filtered: seccomp: %s", strerror(o.calls != 0 ? -o.calls : -error));
}

/* ---- serving ---- */

static int ask(void *arg, const char *line, struct control_reply *reply)
{
	return socket_file_ask(arg, line, reply, PAGES_ASK_MS);
}

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve(struct door *d, int signals)
{
	struct pollfd wait[] = {{.fd = door_fd(d), .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	for (;;) {
		int most_ms = door_turn(d, loop_clock_us());
		int ready = poll(wait, ARRAY_SIZE(wait), most_ms);
		if (ready > 0 && wait[1].revents != 0)
			return;
	}
}

/* The r53fwd-http of an instance that is being taken over from has the port for a moment longer. */
static int listen_patiently(const struct addr *at, int signals)
{
	uint64_t until_us = loop_clock_us() + LISTEN_PATIENCE_US;
	struct pollfd wait = {.fd = signals, .events = POLLIN};
	int fd;

	while ((fd = door_listen(at)) == -EADDRINUSE && loop_clock_us() < until_us && poll(&wait, 1, LISTEN_AGAIN_MS) == 0)
		continue;
	return fd;
}

static int open_and_serve(struct settings *s, const struct addr *at)
{
	char where[ADDR_TEXT_MAX];
	struct socket_file file;
	int signals = open_signals(), fd = listen_patiently(at, signals);

	if (fd < 0 || signals < 0) {
		log_error("cannot listen at %s: %s", addr_format(at, where), strerror(fd < 0 ? -fd : errno));
		return FAILED;
	}
	(void)gethostname(s->own_host, sizeof(s->own_host) - 1);
	s->hosts.own = s->own_host;
	socket_file_find(&file, s->control);
	struct pages *pages = drop(s, &file) ? pages_new(ask, &file, s->own_host) : NULL;
	const struct door_world world = {.pages = pages, .hosts = &s->hosts, .patience_us = DOOR_PATIENCE_US};
	struct door *d = pages != NULL ? door_new(fd, &world) : NULL;
	if (d == NULL) {
		log_error("cannot serve at %s", addr_format(at, where));
		return FAILED;
	}
	log_info("http://%s/ shows the r53fwd at %s", addr_format(at, where), s->control);
	enclose(s);
	serve(d, signals);
	door_close(d);
	pages_free(pages);
	socket_file_forget(&file);
	close(signals);
	return OK;
}

static int run(int argc, char **argv)
{
	struct settings s = {.control = default_control, .listen = default_listen, .user = "nobody", .level = LOG_INFO};
	struct addr at;

	passed_fill_standard();
	for (int option; (option = program_next_option(argc, argv, "", options, NULL)) != -1;) {
		int status = take_option(&s, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return complain("too much on the command line", argv[optind]);
	if (addr_parse(&at, s.listen, DEFAULT_PORT) != 0)
		return complain("--listen wants IP, IP:PORT or [IP6]:PORT, not", s.listen);
	log_configure((enum log_level)s.level, s.format);
	return open_and_serve(&s, &at);
}

int main(int argc, char **argv)
{
	return program_end("r53fwd-http", run(argc, argv));
}
