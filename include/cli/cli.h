/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H
/* The command line, read once for all subcommands. */

#include "base/addr.h"

/* Exit statuses. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_DOWN = 3 };

enum { CLI_MAX_LISTEN = 64, CLI_MAX_ENDPOINTS = 16 };

#define CLI_DEFAULT_ZONES "/etc/r53fwd/zones.conf"

/* What serving takes, as a row of commands.def would say it. */
#define CLI_SERVE_OPTIONS "--listen ADDR --workers N --log-level LEVEL --takeover"

struct cli {
	const char *command; /* as it was written; NULL: serve */
	const char *zones_path;
	bool zones_given;    /* else the path is the default one */
	struct addr listen[CLI_MAX_LISTEN];
	size_t listen_count;
	uint32_t workers;    /* 0: as zones.conf says */
	int log_level;       /* -1: as zones.conf says */
	const char *control; /* NULL: as zones.conf says */
	const char *zone;    /* NULL: not given */
	const char *endpoints[CLI_MAX_ENDPOINTS]; /* --endpoint, in order */
	size_t endpoint_count;
	bool json, watch, alive, all, takeover;
	char **operands;     /* lent: what is left of argv */
	int operand_count;
};

#define COMMAND(name, unit, operands, options, help) int cmd_##unit(const struct cli *c);
#include "tables/commands.def"
#undef COMMAND

#endif
