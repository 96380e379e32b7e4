/* SPDX-License-Identifier: Apache-2.0 */
/* r53fwd: reads the command line, then serves or runs a subcommand. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"
#include "cli/cli.h"
#include "cli/completion.h"
#include "config/config.h"
#include "obs/metrics.h"
#include "server/server.h"
#include "sys/passed.h"

enum { HELP_COLUMN = 34, HELP_OPTION_COLUMN = 25 };

static const struct command {
	const char *name, *operands, *options, *help;
	int (*run)(const struct cli *c);
} commands[] = {
#define COMMAND(name, unit, operands, options, help) {name, operands, options, help, cmd_##unit},
#include "tables/commands.def"
#undef COMMAND
};

enum { OPTION_BEFORE_FIRST = 255, /* no character's */
#define FLAG(value, name, value_name, words, help) OPTION_##value,
#include "tables/flags.def"
#undef FLAG
};

static const struct option options[] = {
#define FLAG(value, name, value_name, words, help) {name, sizeof(value_name) > 1 ? required_argument : no_argument, NULL, OPTION_##value},
#include "tables/flags.def"
#undef FLAG
	{NULL, 0, NULL, 0},
};

static const struct flag {
	const char *name, *value_name, *help;
} flags[] = {
#define FLAG(value, name, value_name, words, help) {name, value_name, help},
#include "tables/flags.def"
#undef FLAG
};

static void print_help(FILE *out)
{
	fputs("r53fwd forwards DNS queries: private zones to the addresses of Route 53 inbound endpoints, all else to local upstreams.\n\n"
	      "  r53fwd [options]                serve, in the foreground\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];
		int used = fprintf(out, "  r53fwd %s%s%s", c->name, *c->operands != '\0' ? " " : "", c->operands);
		fprintf(out, "%*s%s\n", MAX(1, HELP_COLUMN - used), "", c->help);
	}
	fputs("\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		const struct flag *f = &flags[i];
		int used = fprintf(out, "  --%s%s%s", f->name, *f->value_name != '\0' ? " " : "", f->value_name);
		fprintf(out, "%*s%s\n", MAX(1, HELP_OPTION_COLUMN - used), "", f->help);
	}
	fputs("\n"
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
	for (size_t i = 0; i < c->listen_count; i++)
		if (addr_equal(&c->listen[i], &c->listen[c->listen_count]))
			return complain("--listen is given twice for", value);
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
	c->log_level = log_level_named(value);
	return c->log_level >= 0 ? CLI_OK : complain("--log-level wants error, warn, info or debug, not", value);
}

static int print(const char *what)
{
	if (strcmp(what, "example") == 0)
		config_print_example(stdout);
	else if (strcmp(what, "man") == 0)
		config_print_man(stdout);
	else if (strcmp(what, "metrics") == 0)
		metrics_print_man(stdout);
	else if (strcmp(what, "schema") == 0)
		config_print_schema(stdout);
	else if (strcmp(what, "completion") == 0)
		completion_print(stdout);
	else
		return complain("--print wants example, man, metrics, schema or completion, not", what);
	return CLI_OK;
}

/* Negative: go on; else the exit status. */
static int take_option(struct cli *c, int option)
{
	int status = CLI_OK;

	switch (option) {
	case OPTION_ZONES:
		c->zones_path = optarg;
		c->zones_given = true;
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
	case OPTION_TAKEOVER:
		c->takeover = true;
		break;
	case OPTION_CONTROL:
		c->control = optarg;
		break;
	case OPTION_JSON:
		c->json = true;
		break;
	case OPTION_WATCH:
		c->watch = true;
		break;
	case OPTION_ALIVE:
		c->alive = true;
		break;
	case OPTION_ZONE:
		c->zone = optarg;
		break;
	case OPTION_ENDPOINT:
		if (c->endpoint_count == CLI_MAX_ENDPOINTS)
			return complain("too many --endpoint", optarg);
		c->endpoints[c->endpoint_count++] = optarg;
		break;
	case OPTION_ALL:
		c->all = true;
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
		.takeover = c->takeover,
	};

	return server_run(&o);
}

/* `--zone` is a word of "--zone ZONE --all", and not of "--zones FILE". */
static bool takes_option(const char *accepted, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = accepted; (at = strstr(at, "--")) != NULL; at += 2)
		if (strncmp(at + 2, name, len) == 0 && (at[2 + len] == ' ' || at[2 + len] == '\0'))
			return true;
	return false;
}

/* An option that the command does nothing with would be obeyed by nobody, in silence. Bit i of `given`: options[i]. */
static int check_options(uint32_t given, const char *accepted)
{
	for (size_t i = 0; i < ARRAY_SIZE(options) - 1; i++)
		if (given >> i & 1 && options[i].val != OPTION_ZONES && !takes_option(accepted, options[i].name))
			return complain("this command does not take the option", options[i].name);
	return CLI_OK;
}

/* "NAME [TYPE]" are two at most, "FILE..." any number. */
static int most_operands(const char *operands)
{
	int most = *operands != '\0';

	if (strstr(operands, "...") != NULL)
		return INT_MAX;
	for (; *operands != '\0'; operands++)
		most += *operands == ' ';
	return most;
}

static int run_command(struct cli *c, uint32_t given)
{
	c->command = *c->operands++;
	c->operand_count--;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(c->command, commands[i].name) != 0)
			continue;
		if (c->operand_count > most_operands(commands[i].operands))
			return complain("too much on the command line", c->operands[c->operand_count - 1]);
		int status = check_options(given, commands[i].options);
		return status != CLI_OK ? status : commands[i].run(c);
	}
	return complain("no such command", c->command);
}

static int run(int argc, char **argv)
{
	struct cli c = {.zones_path = config_default_path(CLI_DEFAULT_ZONES), .log_level = -1};
	uint32_t given = 0;
	int index = 0;

	passed_fill_standard();
	for (int option; (option = program_next_option(argc, argv, "", options, &index)) != -1;) {
		int status = take_option(&c, option);
		if (status >= 0)
			return status;
		given |= 1u << index;
	}
	c.operands = argv + optind;
	c.operand_count = argc - optind;
	if (c.operand_count > 0)
		return run_command(&c, given);
	int status = check_options(given, CLI_SERVE_OPTIONS);
	return status != CLI_OK ? status : serve(&c);
}

int main(int argc, char **argv)
{
	base_return_large_blocks();
	return program_end("r53fwd", run(argc, argv));
}
