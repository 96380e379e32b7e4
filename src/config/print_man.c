/* SPDX-License-Identifier: Apache-2.0 */
/* The options' part of zones.conf(5), in mdoc: the build puts it where docs/man/zones.conf.5.in says. */
#include "config/option.h"

static const struct {
	enum option_section section;
	const char *heading, *text;
} sections[] = {
	{SECTION_top, "Options of the file", "These stand beside the lists, without indentation."},
	{SECTION_endpoint, "Options of an endpoint", "Of each entry of inbound-endpoints and resolvers."},
	{SECTION_probe, "Options of probe", "In the map probe of an endpoint."},
	{SECTION_cache, "Options of cache", "In the map cache."},
	{SECTION_tcp, "Options of tcp", "In the map tcp: connections of clients."},
	{SECTION_rate_limit, "Options of rate-limit",
	 "In the map rate\\-limit: what one client may ask over UDP.\nTCP proves who asks and is not limited.\nBeside these,\n"
	 ".Cm exempt\nis a list of networks that are left alone: other resolvers, and addresses that many clients share."},
	{SECTION_log, "Options of log", "In the map log."},
};

/* Roff reads a backslash as an escape, and a hyphen as one to break lines at; no row begins with a dot. */
static void print_escaped(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void print_option(const struct config_option *o, FILE *out)
{
	char expects[OPTION_TEXT_MAX];

	fputs(".It Cm ", out);
	print_escaped(o->key, out);
	fputc('\n', out);
	print_escaped(o->help, out);
	fputs(".\n", out);
	/* The help of a row that takes words alone names them. */
	if (option_unit(o, 0)) {
		fputs("Takes ", out);
		print_escaped(option_expects(o, expects), out);
		fputs(".\n", out);
	}
	if (o->standard[0] != '\0') {
		fputs("Default: ", out);
		print_escaped(o->standard, out);
		fputs(".\n", out);
	}
	if (o->reload == OPTION_START)
		fputs("Changing it takes a restart.\n", out);
}

void config_print_man(FILE *out)
{
	size_t count;
	const struct config_option *rows = config_options(&count);

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		fprintf(out, ".Ss %s\n%s\n.Bl -tag -width Ds\n", sections[i].heading, sections[i].text);
		for (size_t j = 0; j < count; j++)
			if (rows[j].section == sections[i].section)
				print_option(&rows[j], out);
		fputs(".El\n", out);
	}
}
