/* SPDX-License-Identifier: Apache-2.0 */
/* The script is a frame with lists in it: values of options, options that take one, and the options and operands of each command. Zones and
 * addresses are those of the daemon that the words typed so far would reach; who has none is offered none. */
#include "cli/completion.h"

#include <string.h>

#include "cli/cli.h"

static const struct {
	const char *name, *value_name, *words;
} flags[] = {
#define FLAG(value, name, value_name, words, help) {name, value_name, words},
#include "tables/flags.def"
#undef FLAG
};

static const struct {
	const char *name, *operands, *options;
} commands[] = {
#define COMMAND(name, unit, operands, options, help) {name, operands, options},
#include "tables/commands.def"
#undef COMMAND
};

/* bash takes `--zones=FILE` apart at the sign: without it, both spellings are the same two words. */
static const char head[] =
	"# Completion of r53fwd for bash, as `r53fwd --print completion` prints it.\n"
	"\n"
	"_r53fwd_offer()\n"
	"{\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
	"}\n"
	"\n"
	"_r53fwd_offer_files()\n"
	"{\n"
	"\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"}\n"
	"\n"
	"# Values in what the running daemon says of itself: $1 is a pattern that ends in the value.\n"
	"_r53fwd_known()\n"
	"{\n"
	"\tlocal i where=()\n"
	"\tfor ((i = 0; i + 1 < ${#words[@]}; i++)); do\n"
	"\t\tcase ${words[i]} in --zones | --control) where+=(\"${words[i]}\" \"${words[i + 1]}\") ;; esac\n"
	"\tdone\n"
	"\t\"$program\" status --json \"${where[@]}\" 2>/dev/null | grep -o \"$1\" | cut -d'\"' -f4 | sort -u\n"
	"}\n"
	"\n"
	"_r53fwd()\n"
	"{\n"
	"\tlocal program=$1 cur=${COMP_WORDS[COMP_CWORD]} prev='' command='' before=0 kind='' options='' wanted=() words=() i\n"
	"\tCOMPREPLY=()\n"
	"\tif [[ $cur == = ]]; then cur=''; fi\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tif [[ ${COMP_WORDS[i]} != = ]]; then words+=(\"${COMP_WORDS[i]}\") prev=${COMP_WORDS[i]}; fi\n"
	"\tdone\n"
	"\tcase $prev in\n";

static const char after_values[] = "\tesac\n"
				   "\tfor ((i = 0; i < ${#words[@]}; i++)); do\n"
				   "\t\tcase ${words[i]} in\n"
				   "\t\t";

static const char after_skipped[] = ") i=$((i + 1)) ;;\n"
				    "\t\t-*) ;;\n"
				    "\t\t*) if [[ -z $command ]]; then command=${words[i]}; else before=$((before + 1)); fi ;;\n"
				    "\t\tesac\n"
				    "\tdone\n"
				    "\tcase $command in\n";

static const char tail[] = "\tesac\n"
			   "\tif [[ $cur == -* ]]; then\n"
			   "\t\t_r53fwd_offer \"$options\"\n"
			   "\t\treturn\n"
			   "\tfi\n"
			   "\tkind=${wanted[before]:-}\n"
			   "\tif [[ ${wanted[0]:-} == *... ]]; then kind=${wanted[0]}; fi\n"
			   "\tcase $kind in\n"
			   "\tFILE*) _r53fwd_offer_files ;;\n"
			   "\tADDRESS) _r53fwd_offer \"$(_r53fwd_known '\"address\":\"[0-9.]*')\" ;;\n"
			   "\t'[TYPE]')\n"
			   "\t\tcur=${cur^^}\n"
			   "\t\t_r53fwd_offer 'A AAAA CNAME DS HTTPS MX NS PTR SOA SRV TXT'\n"
			   "\t\t;;\n"
			   "\tCOMMAND) _r53fwd_offer \"$options\" ;;\n"
			   "\tesac\n"
			   "}\n"
			   "complete -F _r53fwd r53fwd\n";

static void print_values(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (*flags[i].value_name == '\0')
			continue;
		fprintf(out, "\t--%s)\n\t\t", flags[i].name);
		if (*flags[i].words != '\0')
			fprintf(out, "_r53fwd_offer '%s'\n\t\t", flags[i].words);
		else if (strcmp(flags[i].value_name, "FILE") == 0 || strcmp(flags[i].value_name, "PATH") == 0)
			fputs("_r53fwd_offer_files\n\t\t", out);
		else if (strcmp(flags[i].value_name, "ZONE") == 0)
			fputs("_r53fwd_offer \"$(_r53fwd_known '\"name\":\"[A-Za-z0-9._-]*\",\"to\"')\"\n\t\t", out);
		fputs("return\n\t\t;;\n", out);
	}
}

/* Words of a row's options that are options, not names of values. */
static void print_options(const char *options, FILE *out)
{
	fputs("options='--zones", out);
	for (const char *at = options; *at != '\0';) {
		size_t len = strcspn(at, " ");
		if (strncmp(at, "--", 2) == 0)
			fprintf(out, " %.*s", (int)len, at);
		at += len + (at[len] == ' ');
	}
	fputs("'", out);
}

static void print_commands(FILE *out)
{
	fputs("\t'')\n\t\twanted=(COMMAND) ", out);
	print_options(CLI_SERVE_OPTIONS " --print --version --help", out);
	fputs("\n\t\tif [[ $cur != -* ]]; then options='", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", commands[i].name);
	fputs("'; fi\n\t\t;;\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		fprintf(out, "\t%s)\n\t\twanted=(", commands[i].name);
		for (const char *at = commands[i].operands; *at != '\0';) {
			size_t len = strcspn(at, " ");
			fprintf(out, "%s'%.*s'", at > commands[i].operands ? " " : "", (int)len, at);
			at += len + (at[len] == ' ');
		}
		fputs(") ", out);
		print_options(commands[i].options, out);
		fputs("\n\t\t;;\n", out);
	}
}

void completion_print(FILE *out)
{
	bool any = false;

	fputs(head, out);
	print_values(out);
	fputs(after_values, out);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (*flags[i].value_name == '\0')
			continue;
		fprintf(out, "%s--%s", any ? " | " : "", flags[i].name);
		any = true;
	}
	fputs(after_skipped, out);
	print_commands(out);
	fputs(tail, out);
}
