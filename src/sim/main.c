/* SPDX-License-Identifier: Apache-2.0 */
/* r53sim: an inbound endpoint on loopback, for demos, tests, and for rehearsing an outage before there is one. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/program.h"
#include "sim/control.h"
#include "sim/endpoint.h"
#include "sim/fault.h"
#include "wire/text.h"

enum { EXIT_USAGE = 2, MAX_ARGUMENTS = 64, MAX_LINE_BYTES = 512 };

/* What the command line says. */
struct arguments {
	const char *zones[MAX_ARGUMENTS], *addresses[MAX_ARGUMENTS], *faults[MAX_ARGUMENTS];
	size_t zone_count, address_count, fault_count;
	const char *control, *log, *outside;
	bool countdown;
};

/* The running program. */
struct sim {
	const struct arguments *arguments;
	struct watch_set watches;
	struct watch signals;
	struct endpoint *endpoint;
	struct control *control;
	FILE *log;
};

static const char usage[] =
	"usage: r53sim --zone FILE... --address IP[:PORT][,az=NAME]... [options]\n"
	"       r53sim ctl --control PATH ADDRESS FAULT...\n"
	"\n"
	"Simulates a Route 53 Resolver inbound endpoint: several addresses, each in an AZ, that answer from\n"
	"zone files and fail on command. SIGHUP reads the zone files again.\n"
	"\n"
	"  --zone FILE...          zone files; each SOA in them begins a zone\n"
	"  --address IP[:PORT][,az=NAME]...\n"
	"                          serve here, over UDP and TCP; port 53 if none is given\n"
	"  --fault ADDRESS,FAULT   begin with a fault, e.g. --fault \"127.0.10.2,delay 300ms\"; repeatable\n"
	"  --control PATH          Unix socket for `r53sim ctl`\n"
	"  --log FILE              one line a query is appended here; - is stdout\n"
	"  --outside RCODE         the answer for names outside all zones (default REFUSED)\n"
	"  --ttl-countdown         count TTLs down, as a resolver's cache does\n"
	"  --version, --help\n"
	"\n"
	"r53sim ctl: ADDRESS is IP, IP:PORT, the name of an AZ, or `all`; without FAULT it shows their state.\n"
	"Several faults combine; they stay until `heal`.\n\n";

static int complain_usage(const char *sentence, const char *word)
{
	fprintf(stderr, "r53sim: %s `%s`; see r53sim --help\n", sentence, word);
	return EXIT_USAGE;
}

static void print_help(void)
{
	fputs(usage, stdout);
	fputs(fault_help(), stdout);
}

/* r53sim ctl: the words behind the options make one line. */
static int run_ctl(int argc, char **argv)
{
	static const struct option options[] = {{"control", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *control = NULL;
	char text[MAX_LINE_BYTES];
	struct strbuf line;
	int option;

	while ((option = program_next_option(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			control = optarg;
		else if (option == 'h')
			print_help();
		if (option != 'c')
			return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (!control || optind == argc) {
		fputs("r53sim: ctl needs --control PATH and an ADDRESS; see r53sim --help\n", stderr);
		return EXIT_USAGE;
	}
	strbuf_init(&line, text, sizeof(text));
	for (int i = optind; i < argc; i++)
		strbuf_addf(&line, "%s%s", i > optind ? " " : "", argv[i]);
	if (line.cut || strchr(text, '\n'))
		return complain_usage("that is no command:", argv[optind]);
	return control_ask(control, text);
}

static int add(const char **list, size_t *count, const char *what)
{
	if (*count == MAX_ARGUMENTS)
		return complain_usage("too many of them:", what);
	list[(*count)++] = what;
	return 0;
}

/* Lists may be given one option each, or as the shell spreads a pattern: --zone conf/demo/ *.zone. */
static int take_option(struct arguments *a, int option, int *list)
{
	if (option != 1)
		*list = option;
	switch (option == 1 ? *list : option) {
	case 'z':
		return add(a->zones, &a->zone_count, optarg);
	case 'a':
		return add(a->addresses, &a->address_count, optarg);
	case 'f':
		return add(a->faults, &a->fault_count, optarg);
	case 'c':
		a->control = optarg;
		break;
	case 'l':
		a->log = optarg;
		break;
	case 'o':
		a->outside = optarg;
		break;
	case 't':
		a->countdown = true;
		break;
	case 0:
		return complain_usage("what is meant by", optarg);
	default:
		return EXIT_USAGE;
	}
	*list = 0;
	return 0;
}

/* Returns 0 to go on, EXIT_USAGE, or -1 when --help or --version said all. */
static int read_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option options[] = {{"zone", required_argument, NULL, 'z'},
						{"address", required_argument, NULL, 'a'},
						{"fault", required_argument, NULL, 'f'},
						{"control", required_argument, NULL, 'c'},
						{"log", required_argument, NULL, 'l'},
						{"outside", required_argument, NULL, 'o'},
						{"ttl-countdown", no_argument, NULL, 't'},
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'v'},
						{0}};
	int option, list = 0;

	/* The `-` makes getopt hand out words without an option in their place, as option 1. */
	while ((option = program_next_option(argc, argv, "-", options, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			return -1;
		}
		if (option == 'v') {
			puts("r53sim " R53FWD_VERSION);
			return -1;
		}
		int result = take_option(a, option, &list);
		if (result != 0)
			return result;
	}
	if (a->zone_count > 0 && a->address_count > 0)
		return 0;
	fputs("r53sim: at least one --zone and one --address are needed; see r53sim --help\n", stderr);
	return EXIT_USAGE;
}

static struct zone_set *load_zones(const struct arguments *a)
{
	struct zone_set *zones = zone_set_new();
	struct zone_error error = {.sentence = "out of memory"};

	for (size_t i = 0; i < a->zone_count; i++) {
		if (zones && zone_set_load(zones, a->zones[i], &error) == 0)
			continue;
		if (error.line > 0)
			fprintf(stderr, "r53sim: %s:%u: %s\n", a->zones[i], error.line, error.sentence);
		else
			fprintf(stderr, "r53sim: %s: %s\n", a->zones[i], error.sentence);
		zone_set_free(zones);
		return NULL;
	}
	return zones;
}

/* `IP[:PORT][,az=NAME]` */
static int add_address(struct endpoint *e, const char *text)
{
	char copy[ADDR_TEXT_MAX + ENDPOINT_AZ_MAX];
	struct addr a;
	int length = snprintf(copy, sizeof(copy), "%s", text);
	char *az = strchr(copy, ',');

	if (az)
		*az++ = '\0';
	bool good = length < (int)sizeof(copy) && addr_parse(&a, copy, DNS_PORT) == 0;
	if (az) {
		good = good && strncmp(az, "az=", 3) == 0 && az[3] != '\0' && !strpbrk(az, " ,");
		az += 3;
	}
	if (!good)
		return complain_usage("an address reads IP[:PORT][,az=NAME], not", text);
	int error = endpoint_add(e, &a, az);
	if (error < 0) {
		fprintf(stderr, "r53sim: cannot listen on %s: %s\n", text, strerror(-error));
		return EXIT_FAILURE;
	}
	return 0;
}

/* `ADDRESS,FAULT`: the same words as ctl's, the first blank being a comma. */
static int add_fault(struct endpoint *e, const char *text)
{
	char line[MAX_LINE_BYTES], sentence[MAX_LINE_BYTES];
	struct strbuf out;
	int length = snprintf(line, sizeof(line), "%s", text);
	char *comma = strchr(line, ',');

	strbuf_init(&out, sentence, sizeof(sentence));
	if (!comma || length >= (int)sizeof(line))
		return complain_usage("a fault reads ADDRESS,FAULT, not", text);
	*comma = ' ';
	if (endpoint_command(e, line, &out) < 0) {
		fprintf(stderr, "r53sim: --fault \"%s\": %s\n", text, sentence);
		return EXIT_USAGE;
	}
	return 0;
}

static int read_rcode(const char *text)
{
	char name[TEXT_TYPE_MAX];

	for (uint16_t i = 0; i < 16; i++)
		if (strcasecmp(text, text_rcode(i, name)) == 0)
			return i;
	return -EINVAL;
}

static int run_command(void *arg, const char *line, struct strbuf *out)
{
	struct sim *s = arg;

	return endpoint_command(s->endpoint, line, out);
}

static void take_signal(struct watch *w, uint32_t events)
{
	struct sim *s = CONTAINER_OF(w, struct sim, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(w->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP) {
		watch_set_end(&s->watches);
		return;
	}
	/* A file that does not load leaves the zones as they are. */
	struct zone_set *zones = load_zones(s->arguments);
	if (zones)
		endpoint_set_zones(s->endpoint, zones);
}

static int watch_signals(struct sim *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->signals.ready = take_signal;
	return fd < 0 ? -errno : watch_start(&s->signals, &s->watches, fd, EPOLLIN);
}

static int open_log(struct sim *s)
{
	const char *path = s->arguments->log;

	if (!path)
		return 0;
	s->log = strcmp(path, "-") == 0 ? stdout : fopen(path, "ae");
	if (s->log)
		return 0;
	fprintf(stderr, "r53sim: cannot write %s: %s\n", path, strerror(errno));
	return EXIT_FAILURE;
}

static int open_endpoint(struct sim *s)
{
	const struct arguments *a = s->arguments;
	int outside = a->outside ? read_rcode(a->outside) : DNS_REFUSED;
	struct endpoint_settings settings = {.log = s->log, .countdown = a->countdown};

	if (outside < 0)
		return complain_usage("no rcode is called", a->outside);
	settings.outside_rcode = (uint16_t)outside;
	struct zone_set *zones = load_zones(a);
	if (!zones)
		return EXIT_FAILURE;
	size_t zone_count = zone_set_count(zones);
	s->endpoint = endpoint_new(&s->watches, &settings, zones);
	ASSERT(s->endpoint);
	int result = 0;
	for (size_t i = 0; i < a->address_count && result == 0; i++)
		result = add_address(s->endpoint, a->addresses[i]);
	for (size_t i = 0; i < a->fault_count && result == 0; i++)
		result = add_fault(s->endpoint, a->faults[i]);
	if (result == 0 && a->control) {
		s->control = control_new(&s->watches, a->control, run_command, s);
		if (!s->control) {
			fprintf(stderr, "r53sim: cannot listen on %s: %s\n", a->control, strerror(errno));
			result = EXIT_FAILURE;
		}
	}
	if (result == 0)
		fprintf(stderr, "r53sim: %zu zones on %zu addresses\n", zone_count, a->address_count);
	return result;
}

static int serve(const struct arguments *a)
{
	struct sim s = {.arguments = a};

	if (watch_set_init(&s.watches) < 0 || watch_signals(&s) < 0) {
		fputs("r53sim: the system gives no descriptors\n", stderr);
		return EXIT_FAILURE;
	}
	int result = open_log(&s);
	if (result == 0)
		result = open_endpoint(&s);
	if (result == 0)
		watch_set_run(&s.watches);
	if (s.control)
		control_free(s.control);
	if (s.endpoint)
		endpoint_free(s.endpoint);
	watch_stop(&s.signals);
	watch_set_deinit(&s.watches);
	if (s.log && s.log != stdout)
		fclose(s.log);
	return result;
}

static int run(int argc, char **argv)
{
	static struct arguments arguments;

	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return run_ctl(argc - 1, argv + 1);
	int result = read_arguments(&arguments, argc, argv);
	if (result != 0)
		return result < 0 ? EXIT_SUCCESS : result;
	return serve(&arguments);
}

int main(int argc, char **argv)
{
	return program_end("r53sim", run(argc, argv));
}
