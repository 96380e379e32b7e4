/* SPDX-License-Identifier: Apache-2.0 */
/* r53fwd: reads the command line, then serves or runs a subcommand. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "server/server.h"

static const struct command {
	const char *name, *operands, *help;
	int (*run)(const struct cli *c);
} commands[] = {
#define COMMAND(name, unit, operands, help) {name, operands, help, cmd_##unit},
#include "tables/commands.def"
#undef COMMAND
};

enum { OPTION_ZONES = 256, OPTION_LISTEN, OPTION_WORKERS, OPTION_LOG_LEVEL, OPTION_PRINT, OPTION_VERSION, OPTION_HELP };

static const struct option options[] = {
	{"zones", required_argument, NULL, OPTION_ZONES},
	{"listen", required_argument, NULL, OPTION_LISTEN},
	{"workers", required_argument, NULL, OPTION_WORKERS},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"print", required_argument, NULL, OPTION_PRINT},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static void print_help(FILE *out)
{
	fputs("r53fwd forwards DNS queries: private zones to the addresses of Route 53 inbound endpoints, all else to local upstreams.\n\n"
	      "  r53fwd [--zones FILE] [options]     serve, in the foreground\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  r53fwd %s%s%s [--zones FILE]%*s%s\n", commands[i].name,
			*commands[i].operands == '\0' ? "" : " ", commands[i].operands,
			(int)MAX(1, 14 - (int)strlen(commands[i].name) - (int)strlen(commands[i].operands)), "", commands[i].help);
	fputs("\n"
	      "  --zones FILE           the configuration; default " CLI_DEFAULT_ZONES "\n"
	      "  --listen ADDR[:PORT]   serve there instead of `listen:` in the file; may be given several times\n"
	      "  --workers N            threads that serve, instead of `workers:`\n"
	      "  --log-level LEVEL      error, warn, info or debug, instead of `log.level`\n"
	      "  --print WHAT           example, man or schema: what the options of zones.conf are\n"
	      "  --version\n"
	      "  --help\n\n"
	      "SIGHUP reads zones.conf again; SIGTERM and SIGINT answer what is in flight, then end.\n"
	      "See r53fwd(8) and zones.conf(5).\n",
	      out);
}

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "r53fwd: %s: %s\nTry `r53fwd --help`.\n", what, value);
	return CLI_USAGE;
}

static int take_listen(struct cli *c, const char *value)
{
	if (c->listen_count == CLI_MAX_LISTEN)
		return complain("too many --listen", value);
	if (addr_parse(&c->listen[c->listen_count], value, 53) != 0)
		return complain("--listen wants IP, IP:PORT or [IP6]:PORT, not", value);
	c->listen_count++;
	return CLI_OK;
}

static int take_workers(struct cli *c, const char *value)
{
	char *end;

	errno = 0;
	unsigned long n = strtoul(value, &end, 10);
	if (errno != 0 || *end != '\0' || *value < '0' || *value > '9' || n < 1 || n > 64)
		return complain("--workers wants a number from 1 to 64, not", value);
	c->workers = (uint32_t)n;
	return CLI_OK;
}

static int take_log_level(struct cli *c, const char *value)
{
	static const char *const names[] = {[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(value, names[i]) == 0) {
			c->log_level = (int)i;
			return CLI_OK;
		}
	return complain("--log-level wants error, warn, info or debug, not", value);
}

static int print(const char *what)
{
	if (strcmp(what, "example") == 0)
		config_print_example(stdout);
	else if (strcmp(what, "man") == 0)
		config_print_man(stdout);
	else if (strcmp(what, "schema") == 0)
		config_print_schema(stdout);
	else
		return complain("--print wants example, man or schema, not", what);
	return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* Negative: go on; else the exit status. */
static int take_option(struct cli *c, int option)
{
	int status = CLI_OK;

	switch (option) {
	case OPTION_ZONES:
		c->zones_path = optarg;
		break;
	case OPTION_LISTEN:
		status = take_listen(c, optarg);
		break;
	case OPTION_WORKERS:
		status = take_workers(c, optarg);
		break;
	case OPTION_LOG_LEVEL:
		status = take_log_level(c, optarg);
		break;
	case OPTION_PRINT:
		return print(optarg);
	case OPTION_VERSION:
		puts("r53fwd " R53FWD_VERSION);
		return CLI_OK;
	case OPTION_HELP:
		print_help(stdout);
		return CLI_OK;
	default:
		fputs("Try `r53fwd --help`.\n", stderr);
		return CLI_USAGE;
	}
	return status == CLI_OK ? -1 : status;
}

static int serve(const struct cli *c)
{
	const struct server_options o = {
		.zones_path = c->zones_path,
		.listen = c->listen,
		.listen_count = c->listen_count,
		.workers = c->workers,
		.log_level = c->log_level,
	};

	return server_run(&o);
}

static int run_command(const struct command *command, const struct cli *c)
{
	if (c->operand_count > 0 && *command->operands == '\0')
		return complain("too much on the command line", c->operands[0]);
	return command->run(c);
}

int main(int argc, char **argv)
{
	struct cli c = {.zones_path = CLI_DEFAULT_ZONES, .log_level = -1};

	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		int status = take_option(&c, option);
		if (status >= 0)
			return status;
	}
	c.operands = argv + optind;
	c.operand_count = argc - optind;
	if (c.operand_count == 0)
		return serve(&c);
	const char *name = *c.operands++;
	c.operand_count--;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return run_command(&commands[i], &c);
	return complain("no such command", name);
}
